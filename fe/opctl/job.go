package opctl

import (
	"context"
	"fmt"
	"slices"
	"time"

	"stele/fe/ops"
	"stele/fe/sched"
	"stele/meta/catalog"
	"stele/meta/types"
)

// Pacing of a balance of leaders: each transfer ends the writes that run on its tablet, so they come in batches.
const (
	leaderBatch = 100
	leaderPause = 500 * time.Millisecond
	// balanceQuiet is for how long nothing may be left to move for a balance of replicas to be over.
	balanceQuiet = 3 * time.Second
	refusedMax   = 50
)

// job is what an engine remembers of a job that it works on; a new engine starts with none.
type job struct {
	begun      bool
	quietSince time.Time
	refused    int
}

// job takes one of the cluster's jobs further.
func (e *Engine) job(ctx context.Context, was *catalog.Op) error {
	op := *was
	now := e.now()
	if op.State == catalog.OpInited {
		op.State, op.StartedMs = catalog.OpRunning, now.UnixMilli()
		op.DeadlineMs = op.StartedMs + e.o.Settings().Timeout.Milliseconds()
	}
	j := e.jobs[op.ID]
	if j == nil {
		j = &job{}
		e.jobs[op.ID] = j
	}
	switch {
	case now.UnixMilli() >= op.DeadlineMs:
		op.State, op.LastError, op.Message = catalog.OpFailed, "its time is over", "its time is over"
	case op.Type == ops.BalanceLeader:
		if err := e.moveLeaders(ctx, &op, j); err != nil {
			return err
		}
	default:
		e.moveReplicas(&op, j, now)
	}
	if op.Ended() {
		op.EndedMs = now.UnixMilli()
		delete(e.jobs, op.ID)
	}
	return e.save(ctx, was, ops.Decision{Op: op})
}

// LeaderScope is what a balance of leaders is about.
func LeaderScope(cat *catalog.Catalog, db types.DatabaseID, tablet types.TabletID) sched.LeaderScope {
	out := sched.LeaderScope{Tablet: tablet}
	if tablet == 0 && db != 0 {
		out.Tables = []types.TableID{}
		for t := range cat.Tables(db) {
			out.Tables = append(out.Tables, t.ID)
			for index := range cat.KeyTables(t) {
				out.Tables = append(out.Tables, index.ID)
			}
		}
		slices.Sort(out.Tables)
	}
	return out
}

// moveLeaders makes the next batch of transfers. The plan is made anew for each, so that it fits what the cluster is by then.
func (e *Engine) moveLeaders(ctx context.Context, op *catalog.Op, j *job) error {
	plan := e.o.Control.PlanLeaders(LeaderScope(e.o.Log.Current(), op.Database, op.Tablet))
	op.After = plan.After.Max - plan.After.Min
	if !j.begun && op.Done == 0 { // what follows a drain is ordered without a plan
		op.Before = plan.Before.Max - plan.Before.Min
	}
	j.begun = true
	if len(plan.Moves) == 0 || j.refused > refusedMax {
		op.State = catalog.OpDone
		op.Message = fmt.Sprintf("%d leaders moved, spread %d before and %d after", op.Done, op.Before, op.After)
		if len(plan.LeftOut) > 0 {
			op.Message += fmt.Sprintf("; left out, for their disks refuse writes or have had no room since: backends %d", plan.LeftOut)
		}
		if len(plan.Moves) > 0 {
			op.State, op.Message = catalog.OpFailed, "the tablets change faster than leaders can move"
		}
		return nil
	}
	op.Total = op.Done + int64(len(plan.Moves))
	moved, refused, err := e.o.Control.MoveLeaders(ctx, plan.Moves[:min(len(plan.Moves), leaderBatch)])
	if err != nil {
		return err
	}
	j.refused += refused
	op.Done += int64(moved)
	op.NextMs = e.now().Add(leaderPause).UnixMilli()
	return nil
}

// moveReplicas has the scheduler even out replicas until it finds nothing more to move.
func (e *Engine) moveReplicas(op *catalog.Op, j *job, now time.Time) {
	e.balancing = true
	if e.o.Control.Balance(true) {
		j.quietSince = time.Time{}
		return
	}
	if j.quietSince.IsZero() {
		j.quietSince = now
	}
	if now.Sub(j.quietSince) >= balanceQuiet {
		op.State, op.Done, op.Message = catalog.OpDone, op.Total, "nothing is left to be moved"
	}
}
