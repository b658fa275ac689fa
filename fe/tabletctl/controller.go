// Package tabletctl drives the pure scheduler of fe/sched on the leading FE: it turns catalog and reports into a View,
// calls Step when something happens, proposes the commands that come out, sends clones and drops to BEs, and feeds
// outcomes back. It decides nothing itself.
//
// One goroutine (Run) steps; each RPC runs in its own, bounded, and its outcome comes back through the inbox. Readers
// of the system tables get copies.
//
// Locks: inboxMu guards what has come in and is held for a few instructions, never together with mu. mu guards the
// scheduler and the view; no I/O happens under it.
//
// After a crash or a change of leader nothing is missing but pacing: learners are in the catalog, running clones are
// found again in what BEs report, and everything else follows from the state of the replicas.
package tabletctl

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"stele/fe/cluster"
	"stele/fe/sched"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/process"
	"stele/meta/types"
	"stele/proto/bepb"
)

// Log is the metadata log.
type Log interface {
	Current() *catalog.Catalog
	Propose(ctx context.Context, cmds ...command.Command) ([]catalog.Result, error)
}

// Cluster is what is known of BEs beyond the catalog.
type Cluster interface {
	Get(be types.BEID) (cluster.BE, bool)
	Replica(be types.BEID, tablet types.TabletID) (cluster.Replica, bool)
	// Lost reports whether a BE has told twice that it lacks a replica.
	Lost(be types.BEID, tablet types.TabletID) bool
	Clone(task types.TaskID) *bepb.CloneStatus
	Clones() []*bepb.CloneStatus
}

// Clients reaches BEs by address.
type Clients interface {
	BE(address string) (bepb.BackendClient, error)
}

// Options are what a Controller needs.
type Options struct {
	Log          Log
	Cluster      Cluster
	Clients      Clients
	Settings     func() sched.Limits // read at each step; AutoFailover in it is ignored
	AutoFailover func() bool
	Logger       *slog.Logger
}

const (
	idleMax     = time.Second           // between two steps, whatever happens
	paceMin     = 10 * time.Millisecond // between two steps under a flood of events
	errorPause  = time.Second           // after a step whose commands could not be proposed
	taskBlock   = 4096                  // task ids drawn at a time
	rpcMax      = 64                    // calls to BEs at a time
	rpcTimeout  = 10 * time.Second
	outcomesMax = 100_000 // kept for a Controller that does not run; a scan makes up for more
)

// Controller is the driver. It is safe for concurrent use; Run is called at most once at a time.
type Controller struct {
	o    Options
	now  func() time.Time
	wake chan struct{}
	rpcs sync.WaitGroup
	slot chan struct{}

	inboxMu sync.Mutex
	inbox   inbox

	mu      sync.Mutex
	sched   *sched.Scheduler
	world   world
	limits  sched.Limits
	started bool // this Scheduler has been told of the clones that ran before it
	notes   notes
	balance bool // an operator has asked for replicas to be evened out now
}

// inbox is what has come in since the last step.
type inbox struct {
	dirty    map[types.TabletID]struct{}
	outcomes []sched.Outcome
	nodes    bool // a BE has come, gone or restarted
}

// New returns a controller; Run makes it work.
func New(o Options) *Controller {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	c := &Controller{o: o, now: process.Steady(), wake: make(chan struct{}, 1), slot: make(chan struct{}, rpcMax)}
	c.reset()
	return c
}

// reset forgets all that an earlier term of leadership has left.
func (c *Controller) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sched = sched.New()
	c.world = newWorld(c.now())
	c.limits = c.settings()
	c.notes = notes{}
	c.started = false
}

func (c *Controller) settings() sched.Limits {
	l := c.o.Settings()
	l.AutoFailover = c.o.AutoFailover()
	return l
}

// Run works until ctx ends, then waits for the calls it has begun.
func (c *Controller) Run(ctx context.Context) {
	c.reset()
	defer c.rpcs.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		begun := c.now()
		next, err := c.Step(ctx)
		if ctx.Err() != nil {
			return
		}
		pause := min(max(next.Sub(c.now()), 0), idleMax)
		wake := c.wake
		if err != nil {
			c.o.Logger.Warn("tablet control", "err", err)
			pause, wake = errorPause, nil
		}
		if !c.wait(ctx, timer, pause, wake) {
			return
		}
		if rest := paceMin - c.now().Sub(begun); rest > 0 && !c.wait(ctx, timer, rest, nil) {
			return
		}
	}
}

// wait returns after a pause or a wake; false when ctx is over.
func (c *Controller) wait(ctx context.Context, timer *time.Timer, pause time.Duration, wake <-chan struct{}) bool {
	timer.Reset(pause)
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-timer.C:
	}
	return true
}

// Notify takes in an event. It does not block.
func (c *Controller) Notify(e cluster.Event) {
	c.put(func(in *inbox) {
		switch e.Kind {
		case cluster.ReplicaChanged:
			in.dirty[e.Tablet] = struct{}{}
		case cluster.CloneEnded:
			in.outcomes = append(in.outcomes, outcome(e))
			in.dirty[e.Tablet] = struct{}{}
		default:
			in.nodes = true
		}
	})
}

// Kick has tablets looked at at once.
func (c *Controller) Kick(tablets ...types.TabletID) {
	c.put(func(in *inbox) {
		for _, id := range tablets {
			in.dirty[id] = struct{}{}
		}
	})
}

func (c *Controller) put(f func(*inbox)) {
	c.inboxMu.Lock()
	if c.inbox.dirty == nil {
		c.inbox.dirty = map[types.TabletID]struct{}{}
	}
	f(&c.inbox)
	if n := len(c.inbox.outcomes) - outcomesMax; n > 0 {
		c.inbox.outcomes = append([]sched.Outcome(nil), c.inbox.outcomes[n:]...)
	}
	c.inboxMu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Controller) take() inbox {
	c.inboxMu.Lock()
	defer c.inboxMu.Unlock()
	in := c.inbox
	c.inbox = inbox{}
	return in
}

func outcome(e cluster.Event) sched.Outcome {
	s := e.Clone
	return sched.Outcome{Task: types.TaskID(s.TaskId), Tablet: e.Tablet, BE: e.BE, Disk: types.DiskID(s.DiskId),
		Done: s.State == bepb.CloneStatus_DONE, Full: s.Full, Version: types.Version(s.Version), Bytes: s.BytesDone,
		ElapsedMs: s.ElapsedMs, Reason: s.Reason}
}

// Step does one round: look, decide, carry out. It returns when the next round is due at the latest. Tests call it
// instead of Run.
func (c *Controller) Step(ctx context.Context) (time.Time, error) {
	if err := c.grant(ctx); err != nil {
		return c.now(), err
	}
	now := c.now()
	cat := c.o.Log.Current()
	if cat.Restoring() != nil { // what looks wrong may be what came after the backup
		return now.Add(idleMax), nil
	}
	in := c.take()
	c.mu.Lock()
	c.limits = c.settings()
	c.limits.BalanceNow = c.balance
	input := c.world.input(cat, c.o.Cluster, in, c.limits, now)
	if !c.started {
		input.Found = c.found(input.View)
		c.sched.Restore(restored(cat))
		c.started = true
	}
	input.Clones = c.progress()
	var hints []command.Command
	if input.Scan {
		hints = c.world.hints(cat, input.View, now)
		hints = append(hints, episodes(cat, input.View, sched.Clock{NowMs: now.UnixMilli(), ToleranceMs: c.limits.ToleranceMs})...)
	}
	out := c.sched.Step(input)
	c.notes.add(&out, input.NowMs)
	var note *command.NoteTasks
	if c.notes.due(input.NowMs, len(out.Actions)+len(hints) > 0) {
		note = c.notes.taken()
		hints = append(hints, note)
	}
	c.mu.Unlock()
	for _, n := range out.Trace {
		c.o.Logger.Debug("tablet control", "tablet_id", n.Tablet, "why", n.Text)
	}
	if err := c.carryOut(ctx, out.Actions, hints); err != nil {
		c.keepNotes(note, input.NowMs)
		return now, err
	}
	return time.UnixMilli(out.WakeMs), nil
}

// keepNotes has what could not be written down tried again.
func (c *Controller) keepNotes(note *command.NoteTasks, nowMs int64) {
	if note == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notes.back(note, nowMs)
}

// grant draws task ids from the catalog when the scheduler runs low: ids are never reused, so that a BE can tell the
// tasks of two leaders apart.
func (c *Controller) grant(ctx context.Context) error {
	c.mu.Lock()
	low := c.sched.TasksLow()
	c.mu.Unlock()
	if !low {
		return nil
	}
	res, err := c.o.Log.Propose(ctx, &command.AllocIDs{Counter: command.CounterIDs, N: taskBlock})
	if err != nil {
		return fmt.Errorf("draw task ids: %w", err)
	}
	if len(res) != 1 || res[0].Err != nil {
		return fmt.Errorf("draw task ids: %v", res)
	}
	ids, ok := res[0].Value.(catalog.AllocResult)
	if !ok {
		return fmt.Errorf("BUG: AllocIDs answered %T", res[0].Value)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sched.GrantTasks(types.TaskID(ids.First), ids.N)
	return nil
}

// progress lists how far the running clones are, as their BEs have told last, by task. mu is held.
func (c *Controller) progress() []sched.CloneProgress {
	running := c.sched.Running()
	out := make([]sched.CloneProgress, 0, len(running))
	for i := range running {
		p := sched.CloneProgress{Task: running[i].ID}
		if s := c.o.Cluster.Clone(p.Task); s == nil {
			p.Unknown = true
		} else {
			p.Bytes, p.ElapsedMs, p.Full = s.BytesDone, s.ElapsedMs, s.Full
			if s.State == bepb.CloneStatus_RUNNING {
				p.IdleMs = s.IdleMs
			}
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b sched.CloneProgress) int { return cmp.Compare(a.Task, b.Task) })
	return out
}

// found lists the clones of earlier leaders that still run. A BE's disk says where they run.
func (c *Controller) found(v *sched.View) []sched.FoundClone {
	where := map[types.DiskID]types.BEID{}
	for i := range v.BEs {
		for _, d := range v.BEs[i].Disks {
			where[d.ID] = v.BEs[i].ID
		}
	}
	var out []sched.FoundClone
	for _, s := range c.o.Cluster.Clones() {
		be, ok := where[types.DiskID(s.DiskId)]
		if !ok || s.State != bepb.CloneStatus_RUNNING && s.State != bepb.CloneStatus_WAITING {
			continue
		}
		out = append(out, sched.FoundClone{Task: types.TaskID(s.TaskId), Tablet: types.TabletID(s.TabletId), BE: be, Disk: types.DiskID(s.DiskId),
			SourceBE: types.BEID(s.SourceBe), SourceDisk: types.DiskID(s.SourceDisk), Balance: s.Balance, RunsMs: s.ElapsedMs})
	}
	return out
}
