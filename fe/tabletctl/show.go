package tabletctl

import (
	"fmt"
	"slices"

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

// Task returns the pending or running task of a tablet.
func (c *Controller) Task(id types.TabletID) (sched.Task, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sched.Task(id)
}

// Limits returns the settings as they are now.
func (c *Controller) Limits() sched.Limits { return c.settings() }

// Pending returns the tasks that wait, the next first, each with the reason in Err.
func (c *Controller) Pending() []sched.Task {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sched.Pending()
}

// CleanQueue forgets the tasks that wait and returns how many there were. What still needs repair is found by the next scan.
func (c *Controller) CleanQueue() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sched.Clean()
}

// Running returns the running tasks with their progress.
func (c *Controller) Running() []RunningTask {
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

// Load returns the load of each BE, by medium.
func (c *Controller) Load() []sched.Load {
	return sched.Loads(c.View(), c.settings())
}

// View returns a copy of what the scheduler sees, for health and status columns (sched.Health). It works on
// any FE, as far as that FE has heard of BEs.
func (c *Controller) View() *sched.View {
	cat, limits := c.o.Log.Current(), c.settings()
	now := c.now()
	c.mu.Lock()
	bes := c.world.peek(cat, c.o.Cluster, limits, now)
	changed := c.world.sync(cat, c.o.Cluster, now, false)
	tablets := slices.Clone(c.world.tablets)
	for i := range tablets {
		tablets[i].Replicas = slices.Clone(tablets[i].Replicas)
	}
	c.mu.Unlock()
	if len(changed) > 0 { // the next step would not find them changed any more
		c.Kick(changed...)
	}
	return sched.NewView(bes, tablets)
}

// Clock returns the time and patience with which tablets are judged now.
func (c *Controller) Clock() sched.Clock {
	return sched.Clock{NowMs: c.now().UnixMilli(), ToleranceMs: c.settings().ToleranceMs}
}

func countLeaders(res catalog.Result) (moved, refused int, err error) {
	if res.Err != nil {
		return 0, 0, res.Err
	}
	leaders, ok := res.Value.(catalog.LeadersResult)
	if !ok {
		return 0, 0, fmt.Errorf("BUG: SetLeaders answered %T", res.Value)
	}
	for _, err := range leaders.Errs {
		if err != nil {
			refused++
		} else {
			moved++
		}
	}
	return moved, refused, nil
}
