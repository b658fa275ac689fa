package clone

import (
	"context"
	"fmt"
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
	Disk       types.DiskID // destination; 0 = this BE chooses
	Medium     types.Medium
	MinVersion types.Version // to reach
	Timeout    time.Duration
	Balance    bool
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
}

func newProgress(task Task, cancel context.CancelCauseFunc, now time.Time) *progress {
	return &progress{task: task, cancel: cancel, started: now, done: make(chan struct{}), status: &bepb.CloneStatus{
		TaskId: uint64(task.ID), TabletId: uint64(task.Tablet), State: bepb.CloneStatus_WAITING, DiskId: uint64(task.Disk)}}
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
	return &bepb.CloneStatus{TaskId: s.TaskId, TabletId: s.TabletId, State: s.State, Full: s.Full, Reason: s.Reason,
		BytesDone: s.BytesDone, BytesTotal: s.BytesTotal, Version: s.Version, ElapsedMs: elapsed, DiskId: s.DiskId}
}
