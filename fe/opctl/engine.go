// Package opctl drives the ops of fe/ops on the leading FE: it gathers what is true about the tablet of each op that may
// run, proposes what Step asks for, calls BEs, and keeps the record of the op in the catalog. It decides nothing.
//
// One goroutine (Run) does all of it. After a crash or a change of leader the next engine goes on from the catalog: an
// effect that was proposed and not noted is found done. Calls to BEs may be made twice; they are all of the kind that may.
package opctl

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"stele/fe/cluster"
	"stele/fe/ops"
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
	Lost(be types.BEID, tablet types.TabletID) bool
	// Probe asks for a heartbeat at once.
	Probe(be types.BEID)
}

// Control is the control loop of tablets.
type Control interface {
	Kick(tablets ...types.TabletID)
	PlanLeaders(scope sched.LeaderScope) sched.LeaderPlan
	MoveLeaders(ctx context.Context, moves []sched.LeaderMove) (moved, refused int, err error)
	// Balance has replicas evened out at once, whatever the configuration says; false when there is nothing left to move.
	Balance(on bool) bool
}

// Clients reaches BEs by address.
type Clients interface {
	BE(address string) (bepb.BackendClient, error)
}

// Settings are read at each use.
type Settings struct {
	AutoFailover bool
	RecoverEmpty bool          // tablets of which nothing is left go on as empty ones
	Timeout      time.Duration // of an op
}

// Options are what an Engine needs.
type Options struct {
	Log      Log
	Cluster  Cluster
	Control  Control
	Clients  Clients
	Settings func() Settings
	Logger   *slog.Logger
}

const (
	tick         = 100 * time.Millisecond
	answerTick   = 5 * time.Millisecond // while BEs were asked for a heartbeat
	callLimit    = 10 * time.Second
	dropsAtATime = 16
	stepsMax     = 16 // effects of one op in one round
	roundLimit   = 500 * time.Millisecond
)

// Engine drives ops.
type Engine struct {
	o     Options
	now   func() time.Time
	drops chan struct{}
	calls sync.WaitGroup

	seen      *catalog.Catalog // that had nothing to do
	balancing bool             // the scheduler was told to balance
	manual    bool             // auto_failover was off when last looked at, or has not been looked at
	jobs      map[uint64]*job
	begun     map[uint64]time.Time // when this engine first saw each op that has not ended
	asked     bool                 // an op waits for heartbeats that were just asked for
	emptied   time.Time            // when tablets of which nothing is left were looked for last
}

// New returns an engine; Run makes it work.
func New(o Options) *Engine {
	return &Engine{o: o, now: process.Steady(), drops: make(chan struct{}, dropsAtATime), manual: true, jobs: map[uint64]*job{}, begun: map[uint64]time.Time{}}
}

// Run works until ctx ends, then waits for the calls it has begun.
func (e *Engine) Run(ctx context.Context) {
	defer e.calls.Wait()
	defer e.o.Control.Balance(false)
	e.seen, e.manual, e.jobs, e.begun = nil, true, map[uint64]*job{}, map[uint64]time.Time{}
	timer := time.NewTimer(tick)
	defer timer.Stop()
	for {
		if err := e.Round(ctx); err != nil && ctx.Err() == nil {
			e.o.Logger.Warn("ops", "err", err)
		}
		if timer.Reset(tick); e.asked {
			timer.Reset(answerTick)
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

// Round looks at every op, and at those behind one that has ended: a lane of many short ops does not wait a tick for each.
// Tests call it instead of Run.
func (e *Engine) Round(ctx context.Context) error {
	if err := e.release(ctx); err != nil {
		return err
	}
	if err := e.recoverEmpty(ctx); err != nil {
		return err
	}
	for begun := e.now(); ; {
		ended, err := e.pass(ctx)
		if err != nil || ended == 0 || e.now().Sub(begun) > roundLimit || ctx.Err() != nil {
			return err
		}
	}
}

// pass looks at every op once, and returns how many have ended by it.
func (e *Engine) pass(ctx context.Context) (ended int, err error) {
	cat := e.o.Log.Current()
	e.asked = false
	if cat == e.seen {
		return 0, nil
	}
	var open []*catalog.Op
	undone := false
	for op := range cat.Ops() {
		switch {
		case op.Undo:
			undone = true
			if err := e.undo(ctx, op); err != nil {
				return 0, err
			}
		case op.Type != 0 && !op.Ended():
			open = append(open, op)
		}
	}
	if e.balancing && !slices.ContainsFunc(open, func(op *catalog.Op) bool { return op.Type == ops.BalanceReplicas }) {
		e.balancing = e.o.Control.Balance(false) // whatever way it ended: cancelled, too
	}
	e.greet(open)
	if len(open) == 0 && !undone {
		e.seen = cat
		return 0, nil
	}
	now := e.now()
	for _, op := range ops.Runnable(open) {
		switch {
		case ops.Pauses(op, now.UnixMilli()):
			continue
		case now.Sub(e.begun[op.ID]) < tick && !e.answered(op):
			e.asked = true
			continue
		}
		if err := e.carryOn(ctx, op); err != nil {
			return ended, err
		}
		if after, ok := e.o.Log.Current().Op(op.ID); !ok || after.Ended() {
			ended++
		}
	}
	return ended, nil
}

// greet notes the ops that are new and asks the BEs that have to do with them for a heartbeat, so that what an op rests on
// is no older than the op.
func (e *Engine) greet(open []*catalog.Op) {
	begun, ask := make(map[uint64]time.Time, len(open)), map[types.BEID]bool{}
	for _, op := range open {
		at, ok := e.begun[op.ID]
		if !ok {
			at = e.now()
			for _, be := range e.concerned(op) {
				ask[be] = true
			}
		}
		begun[op.ID] = at
	}
	e.begun = begun
	for be := range ask {
		e.o.Cluster.Probe(be)
	}
}

// concerned lists the BEs that an op has to do with.
func (e *Engine) concerned(op *catalog.Op) (out []types.BEID) {
	tab, ok := e.o.Log.Current().Tablet(op.Tablet)
	if ok && !ops.IsJob(op) {
		for i := range tab.Replicas {
			out = append(out, tab.Replicas[i].BE)
		}
	}
	for _, be := range []types.BEID{op.BE, op.Dest} {
		if be != 0 && !slices.Contains(out, be) {
			out = append(out, be)
		}
	}
	return out
}

// answered reports whether all BEs of an op have answered since it is known, or are known to be dead.
func (e *Engine) answered(op *catalog.Op) bool {
	return !slices.ContainsFunc(e.concerned(op), func(id types.BEID) bool {
		be, ok := e.o.Cluster.Get(id)
		return ok && be.Alive && !be.LastHeartbeat.After(e.begun[op.ID])
	})
}

func (e *Engine) carryOn(ctx context.Context, op *catalog.Op) error {
	if ops.IsJob(op) {
		return e.job(ctx, op)
	}
	return e.step(ctx, op)
}

// step takes an op as far as it goes now.
func (e *Engine) step(ctx context.Context, was *catalog.Op) error {
	op := *was
	if op.State == catalog.OpInited { // the scheduler must know the tablet as ordered before anything else is done to it
		d := ops.Step(op, e.facts(&op))
		if d.Op.State == catalog.OpFailed {
			return e.save(ctx, &op, d)
		}
		begun := op // what the step asks for is asked again below
		begun.State, begun.StartedMs, begun.DeadlineMs = catalog.OpRunning, d.Op.StartedMs, d.Op.DeadlineMs
		if err := e.save(ctx, &op, ops.Decision{Op: begun}); err != nil {
			return err
		}
		now, ok := e.o.Log.Current().Op(op.ID)
		if !ok {
			return nil
		}
		op = *now
		was = now
	}
	for range stepsMax {
		f := e.facts(&op)
		d := ops.Step(op, f)
		if err := e.effects(ctx, &d); err != nil {
			return e.save(ctx, was, ops.Refused(op, f, err.Error()))
		}
		if len(d.Effects) == 0 {
			return e.save(ctx, was, d)
		}
		op = d.Op
	}
	return e.save(ctx, was, ops.Decision{Op: op})
}

// effects proposes what a decision asks for, and calls BEs. Drops are on their own way: a report puts right what is lost.
func (e *Engine) effects(ctx context.Context, d *ops.Decision) error {
	if len(d.Effects) > 0 {
		out, err := e.o.Log.Propose(ctx, d.Effects...)
		if err == nil {
			err = firstError(out)
		}
		if err != nil {
			return err
		}
		e.o.Control.Kick(d.Op.Tablet)
	}
	for _, drop := range d.Drops {
		e.drop(ctx, drop)
	}
	for _, c := range d.Calls {
		if err := e.call(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func firstError(out []catalog.Result) error {
	for _, res := range out {
		if res.Err != nil {
			return res.Err
		}
		if l, ok := res.Value.(catalog.LeadersResult); ok {
			for _, err := range l.Errs {
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// save keeps the record of an op if it says something new. That it has changed meanwhile (cancelled) is no error.
func (e *Engine) save(ctx context.Context, was *catalog.Op, d ops.Decision) error {
	if same(was, &d.Op) && len(d.Children) == 0 {
		return nil
	}
	next := d.Op
	next.Rev = was.Rev
	out, err := e.o.Log.Propose(ctx, &command.UpdateOp{Op: next, Children: d.Children, TimeMs: e.now().UnixMilli()})
	if err != nil {
		return fmt.Errorf("save op %d: %w", next.ID, err)
	}
	if out[0].Err != nil {
		e.o.Logger.Debug("op has changed", "op_id", next.ID, "err", out[0].Err)
		return nil
	}
	if next.Ended() || next.State != was.State || next.Task != was.Task {
		e.o.Logger.Info("op", "op_id", next.ID, "type", ops.TypeName(next.Type), "tablet_id", next.Tablet, "be_id", next.BE,
			"state", ops.StateName(next.State), "task", ops.CurrentTask(&next), "message", next.Message, "waiting", next.Waiting)
	}
	if next.Ended() {
		e.manual = true // what it has set aside is in use again when auto_failover is on
	}
	if next.Tablet != 0 {
		e.o.Control.Kick(next.Tablet)
	}
	return nil
}

func same(a, b *catalog.Op) bool {
	x, y := *a, *b
	x.Tasks, y.Tasks, x.Rev, y.Rev = nil, nil, 0, 0
	return fmt.Sprintf("%+v", x) == fmt.Sprintf("%+v", y)
}

// undo takes back what an op has left.
func (e *Engine) undo(ctx context.Context, was *catalog.Op) error {
	op := *was
	if ops.IsJob(was) || was.Tablet == 0 {
		op.Undo = false
		return e.save(ctx, was, ops.Decision{Op: op})
	}
	for range stepsMax {
		d := ops.Undo(op, e.facts(&op))
		if err := e.effects(ctx, &d); err != nil {
			e.o.Logger.Warn("take back op", "op_id", op.ID, "err", err)
			return nil // tried again in the next round
		}
		op = d.Op
		if len(d.Effects) == 0 {
			return e.save(ctx, was, d)
		}
	}
	return nil
}

// release takes every replica that was set aside into use when auto_failover is switched on: from then on the scheduler
// brings it what it lacks.
func (e *Engine) release(ctx context.Context) error {
	auto := e.o.Settings().AutoFailover
	if !auto {
		e.manual = true
		return nil
	}
	if !e.manual {
		return nil
	}
	cmd := &command.SetReplicaAlive{TimeMs: e.now().UnixMilli()}
	for tab := range e.o.Log.Current().Tablets() {
		for i := range tab.Replicas {
			if tab.Replicas[i].OfflineMs != 0 && len(cmd.Items) < releaseMax {
				cmd.Items = append(cmd.Items, command.ReplicaAlive{Tablet: tab.ID, BE: tab.Replicas[i].BE, Alive: true})
			}
		}
	}
	if len(cmd.Items) == 0 {
		e.manual = e.unfinished() // an op that still runs may set one aside
		return nil
	}
	if _, err := e.o.Log.Propose(ctx, cmd); err != nil {
		return fmt.Errorf("take %d replicas into use: %w", len(cmd.Items), err)
	}
	e.o.Logger.Info("auto_failover is on: replicas in use again", "replicas", len(cmd.Items))
	ids := make([]types.TabletID, len(cmd.Items))
	for i := range cmd.Items {
		ids[i] = cmd.Items[i].Tablet
	}
	e.o.Control.Kick(ids...)
	return nil
}

const releaseMax = 10_000

func (e *Engine) unfinished() bool {
	for op := range e.o.Log.Current().Ops() {
		if op.Type != 0 && !op.Ended() {
			return true
		}
	}
	return false
}
