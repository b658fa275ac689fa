package clone

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"stele/meta/types"
	"stele/proto/bepb"
)

// Task is one clone as the FE asked for it.
type Task struct {
	ID         types.TaskID
	Tablet     types.TabletID
	Table      types.TableID
	Partition  types.PartitionID
	Replica    types.ReplicaID
	Epoch      types.Epoch
	Schema     types.Schema
	Source     string // host:port
	SourceBE   types.BEID
	SourceDisk types.DiskID // 0 = not known
	// SourceReplica is what is to be cloned; 0 = whichever is there.
	SourceReplica types.ReplicaID
	Disk          types.DiskID // destination; 0 = this BE chooses
	Medium        types.Medium
	MinVersion    types.Version // to reach
	Timeout       time.Duration
	Stall         time.Duration // the source may owe a message for so long, or be away; 0 = until the timeout
	Balance       bool
}

// State of a task:
//
//	WAITING ⇄ RUNNING → DONE | FAILED | CANCELLED
//
// It waits for a slot on its own disk, or runs and waits again when the source disk has no slot.
type progress struct {
	task    Task
	cancel  context.CancelCauseFunc
	started time.Time
	done    chan struct{} // closed when the task has ended

	mu     sync.Mutex
	status *bepb.CloneStatus
	ended  time.Time
	asked  time.Time // since when the source owes a message, zero = it owes none
	speed  speed
}

// speed is how fast bytes came lately.
type speed struct {
	from  time.Time
	bytes int64   // since from
	rate  float64 // a second, before from
}

// speedWindow is how long bytes are counted before the rate is drawn from them.
const speedWindow = time.Second

func (s *speed) add(n int, now time.Time) {
	if s.from.IsZero() {
		s.from = now
	}
	s.bytes += int64(n)
	s.turn(now)
}

// turn draws the rate when the window is over; the past counts for half.
func (s *speed) turn(now time.Time) {
	passed := now.Sub(s.from)
	if s.from.IsZero() || passed < speedWindow {
		return
	}
	fresh := float64(s.bytes) / passed.Seconds()
	if s.rate == 0 {
		s.rate = fresh
	}
	s.from, s.bytes, s.rate = now, 0, (s.rate+fresh)/2
}

func newProgress(task Task, cancel context.CancelCauseFunc, now time.Time) *progress {
	return &progress{task: task, cancel: cancel, started: now, done: make(chan struct{}), status: &bepb.CloneStatus{
		TaskId: uint64(task.ID), TabletId: uint64(task.Tablet), State: bepb.CloneStatus_WAITING, DiskId: uint64(task.Disk),
		SourceBe: uint64(task.SourceBE), SourceDisk: uint64(task.SourceDisk), Balance: task.Balance}}
}

// ask notes that the source owes a message from now on; heard that it owes none.
func (p *progress) ask() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = time.Now()
}

func (p *progress) heard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = time.Time{}
}

// idle is how long the source has owed a message.
func (p *progress) idle(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.idleLocked(now)
}

func (p *progress) idleLocked(now time.Time) time.Duration {
	if p.asked.IsZero() {
		return 0
	}
	return now.Sub(p.asked)
}

// update changes the status under the lock.
func (p *progress) update(f func(*bepb.CloneStatus)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p.status)
}

func (p *progress) state(s bepb.CloneStatus_State) {
	p.update(func(c *bepb.CloneStatus) { c.State = s })
}

// full notes that the clone copies everything, and why.
func (p *progress) full(reason string, args ...any) {
	p.update(func(c *bepb.CloneStatus) { c.Full, c.Reason = true, fmt.Sprintf(reason, args...) })
}

func (p *progress) add(bytes int) {
	p.update(func(c *bepb.CloneStatus) {
		c.BytesDone += int64(bytes)
		c.BytesTotal = max(c.BytesTotal, c.BytesDone)
		p.speed.add(bytes, time.Now())
	})
}

func (p *progress) bytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status.BytesDone
}

// caughtUp notes that the replica has got the rest without the clone: nothing is left to be copied.
func (p *progress) caughtUp() {
	p.update(func(c *bepb.CloneStatus) {
		c.BytesTotal = c.BytesDone
		c.Reason = strings.TrimPrefix(c.Reason+"; the replica has caught up by itself", "; ")
	})
}

// finish ends the task; an error makes it FAILED, a cancelled context CANCELLED.
func (p *progress) finish(err error, cancelled bool, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = now
	p.status.ElapsedMs = now.Sub(p.started).Milliseconds()
	switch {
	case err == nil:
		p.status.State = bepb.CloneStatus_DONE
	case cancelled:
		p.status.State, p.status.Reason = bepb.CloneStatus_CANCELLED, err.Error()
	default:
		p.status.State, p.status.Reason = bepb.CloneStatus_FAILED, err.Error()
	}
}

func (p *progress) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.ended.IsZero()
}

// snapshot copies the status for a heartbeat.
func (p *progress) snapshot(now time.Time) *bepb.CloneStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.status
	elapsed := s.ElapsedMs
	if p.ended.IsZero() {
		elapsed = now.Sub(p.started).Milliseconds()
	}
	out := &bepb.CloneStatus{TaskId: s.TaskId, TabletId: s.TabletId, State: s.State, Full: s.Full, Reason: s.Reason,
		BytesDone: s.BytesDone, BytesTotal: s.BytesTotal, Version: s.Version, ElapsedMs: elapsed, DiskId: s.DiskId,
		SourceBe: s.SourceBe, SourceDisk: s.SourceDisk, Balance: s.Balance, BytesKept: s.BytesKept}
	if p.ended.IsZero() {
		p.speed.turn(now)
		out.BytesPerSecond, out.IdleMs = int64(p.speed.rate), p.idleLocked(now).Milliseconds()
	}
	return out
}
