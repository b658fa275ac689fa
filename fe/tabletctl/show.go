package tabletctl

import (
	"context"
	"fmt"
	"slices"
	"time"

	"stele/fe/sched"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/proto/bepb"
)

// RunningTask is a running task with the progress that its BE has reported last.
type RunningTask struct {
	sched.Task
	Waiting    bool // for a slot on one of its BEs
	BytesDone  int64
	BytesTotal int64
	CloneMs    int64 // since it began
	CloneFull  bool
	Reason     string // why it copies everything
}

// BytesPerSecond is the rate so far, 0 when it is not known.
func (t *RunningTask) BytesPerSecond() int64 {
	if t.CloneMs <= 0 {
		return 0
	}
	return t.BytesDone * 1000 / t.CloneMs
}

// LeftMs estimates the time left, -1 when it is not known.
func (t *RunningTask) LeftMs() int64 {
	if t.BytesDone <= 0 || t.BytesTotal < t.BytesDone {
		return -1
	}
	return int64(float64(t.BytesTotal-t.BytesDone) / float64(t.BytesDone) * float64(t.CloneMs))
}

// Pending returns the tasks that wait, the next first, each with the reason in Err.
func (c *Controller) Pending() []sched.Task {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sched.Pending()
}

// Running returns the running tasks.
func (c *Controller) Running() []sched.Task {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sched.Running()
}

// Progress returns the running tasks with their progress.
func (c *Controller) Progress() []RunningTask {
	c.mu.Lock()
	tasks := c.sched.Running()
	c.mu.Unlock()
	out := make([]RunningTask, len(tasks))
	for i, t := range tasks {
		out[i].Task = t
		if s := c.o.Cluster.Clone(t.ID); s != nil {
			out[i].Waiting, out[i].BytesDone, out[i].BytesTotal = s.State == bepb.CloneStatus_WAITING, s.BytesDone, s.BytesTotal
			out[i].CloneMs, out[i].CloneFull, out[i].Reason = s.ElapsedMs, s.Full, s.Reason
		}
	}
	return out
}

// History returns the newest ended tasks, newest first.
func (c *Controller) History() []sched.Task {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sched.History()
}

// Stats returns the counters of the scheduler.
func (c *Controller) Stats() sched.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sched.Stats()
}

// Slots returns how the slots of all disks are used.
func (c *Controller) Slots() []sched.SlotUse {
	v := c.View()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sched.Slots(v, c.limits)
}

// Loads returns the load of each BE, by medium.
func (c *Controller) Loads() []sched.Load {
	return sched.Loads(c.View(), c.settings())
}

// View returns a copy of what the scheduler sees, for health and status columns (sched.Health,
// sched.StatusOfReplica). It works on any FE, as far as that FE has heard of BEs.
func (c *Controller) View() *sched.View {
	cat := c.o.Log.Current()
	now := c.now()
	c.mu.Lock()
	bes := c.world.peek(cat, c.o.Cluster, now)
	changed := c.world.sync(cat, c.o.Cluster, now, false)
	tablets := slices.Clone(c.world.tablets)
	for i := range tablets {
		tablets[i].Replicas = slices.Clone(tablets[i].Replicas)
	}
	c.mu.Unlock()
	if len(changed) > 0 { // the next step would not find them changed any more
		c.look(changed...)
	}
	return sched.NewView(bes, tablets)
}

// Clock returns the time and patience with which tablets are judged now.
func (c *Controller) Clock() sched.Clock {
	return sched.Clock{NowMs: c.now().UnixMilli(), ToleranceMs: c.settings().ToleranceMs}
}

// BalanceLeaders spreads leaders as evenly as the placement of complete replicas allows, with the fewest moves; a dry
// run only tells how. The plan's Moves are those that were made: a tablet that changed meanwhile is left out.
func (c *Controller) BalanceLeaders(ctx context.Context, scope sched.LeaderScope, dryRun bool) (sched.LeaderPlan, error) {
	plan := sched.PlanLeaderBalance(c.View(), scope)
	if dryRun {
		return plan, nil
	}
	made := make([]sched.LeaderMove, 0, len(plan.Moves))
	for i, cmd := range setLeaders(plan.Moves) {
		results, err := c.o.Log.Propose(ctx, cmd)
		if err != nil {
			return plan, fmt.Errorf("set %d leaders: %w", len(cmd.Items), err)
		}
		leaders, ok := results[0].Value.(catalog.LeadersResult)
		if results[0].Err != nil || !ok {
			return plan, fmt.Errorf("set %d leaders: %T: %w", len(cmd.Items), results[0].Value, results[0].Err)
		}
		for k, err := range leaders.Errs {
			if err == nil {
				made = append(made, plan.Moves[i*leadersMax+k])
			}
		}
	}
	plan.Moves = made
	return plan, nil
}

// Health judges a tablet; false when it is not known.
func (c *Controller) Health(id types.TabletID) (sched.Verdict, bool) {
	v := c.recentView()
	t := v.Tablet(id)
	if t == nil {
		return sched.Verdict{}, false
	}
	return sched.Health(t, v, c.Clock()), true
}

// judgement is a view kept for a moment, so that a statement which judges every tablet copies the world once.
type judgement struct {
	view *sched.View
	at   time.Time
}

// judgementAge is how old a view may be by which tablets are judged: much less than a heartbeat.
const judgementAge = 100 * time.Millisecond

func (c *Controller) recentView() *sched.View {
	c.mu.Lock()
	j := c.judged
	c.mu.Unlock()
	if j.view != nil && c.now().Sub(j.at) < judgementAge {
		return j.view
	}
	v := c.View()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.judged = judgement{view: v, at: c.now()}
	return v
}
