package sim

import (
	"cmp"
	"fmt"
	"slices"

	"stele/fe/sched"
	"stele/meta/types"
)

// Run lets virtual time pass until done says so, asked whenever nothing is left to do at a moment; false when that took
// longer than ms.
func (w *World) Run(ms int64, done func() bool) (bool, error) {
	for end := w.now + ms; w.now < end; {
		if err := w.settle(); err != nil {
			return false, err
		}
		if done != nil && len(w.clones) == 0 && done() {
			return true, nil
		}
		next := min(max(w.wakeAt, w.now+w.shape.PaceMs), end)
		if len(w.queue) > 0 {
			next = min(next, max(w.queue[0].endMs, w.now+w.shape.PaceMs))
		}
		if len(w.events) > 0 {
			next = min(next, max(w.events[0].atMs, w.now))
		}
		if w.writes.n > 0 {
			next = min(next, max(w.writes.atMs, w.now+1))
		}
		w.now = max(next, w.now+1)
		w.endClones()
		w.write()
		for len(w.events) > 0 && w.events[0].atMs <= w.now {
			e := w.events[0]
			w.events = w.events[1:]
			if err := e.do(); err != nil {
				return false, err
			}
		}
	}
	return done == nil, nil
}

// settle steps until nothing more is decided at this moment.
func (w *World) settle() error {
	for n := 0; ; n++ {
		out := w.step()
		for i := range out.Actions {
			if err := w.carryOut(&out.Actions[i]); err != nil {
				return err
			}
		}
		w.wakeAt = out.WakeMs
		if len(out.Actions) == 0 {
			return nil
		}
		if n > 10_000 {
			return fmt.Errorf("the scheduler does not come to rest at %d: %+v", w.now, out.Actions[0])
		}
	}
}

func (w *World) step() sched.Output {
	w.group()
	w.report()
	slices.Sort(w.dirty)
	in := sched.Input{NowMs: w.now, View: w.View(), Dirty: slices.Compact(w.dirty), Outcomes: w.ended, Restarted: w.restart, Found: w.found,
		Clones: w.progress(), Limits: w.shape.Limits, Scan: w.now >= w.scanAt}
	if in.Scan {
		w.scanAt = w.now + w.shape.Limits.ScanMs
	}
	w.dirty, w.ended, w.restart, w.found = nil, nil, nil, nil
	begun := cpuTime()
	out := w.sched.Step(in)
	took := (cpuTime() - begun).Nanoseconds()
	w.Stats.Steps++
	w.Stats.StepSumNs += took
	w.Stats.StepMaxNs = max(w.Stats.StepMaxNs, took)
	return out
}

// progress is how far the clones are, by task.
func (w *World) progress() []sched.CloneProgress {
	out := make([]sched.CloneProgress, 0, len(w.queue))
	for _, c := range w.queue {
		left := c.left - c.rate*float64(w.now-c.atMs)
		out = append(out, sched.CloneProgress{Task: c.task, Bytes: c.bytes - int64(max(left, 0)), ElapsedMs: w.now - c.begunMs, Full: true})
	}
	slices.SortFunc(out, func(a, b sched.CloneProgress) int { return cmp.Compare(a.Task, b.Task) })
	return out
}

// carryOut does by the rules of the catalog what an Action says, and fails where a rule of the scheduler is broken.
func (w *World) carryOut(a *sched.Action) error {
	if a.Tablet != 0 {
		w.dirty = append(w.dirty, a.Tablet)
	}
	switch a.Kind {
	case sched.ActReport:
		t := w.tablet(a.Tablet)
		if r := t.On(a.BE); r != nil && r.ID == a.Replica {
			if r.Disk != a.Disk {
				w.grow(diskKey{a.BE, r.Disk}, -r.Bytes)
				w.grow(diskKey{a.BE, a.Disk}, r.Bytes)
			}
			r.Disk, r.Version = a.Disk, max(r.Version, a.Version)
			if a.Version >= r.LastFailed {
				r.LastFailed = 0
			}
		}
	case sched.ActPromote:
		t := w.tablet(a.Tablet)
		if r := t.On(a.BE); r != nil && r.ID == a.Replica && r.Role == types.RoleLearner && r.LastFailed == 0 && a.Version == t.Version {
			r.Role = types.RoleFollower
			t.Epoch++
		}
	case sched.ActDrop:
		return w.drop(a)
	case sched.ActAdd:
		return w.add(a)
	case sched.ActClone:
		return w.clone(a, a.Replica)
	case sched.ActCancel:
		if c := w.clones[a.Task]; c != nil {
			w.remove(c)
		}
	case sched.ActLeaders:
		for _, m := range a.Leaders {
			t := w.tablet(m.Tablet)
			w.dirty = append(w.dirty, t.ID)
			if r := t.On(m.To); r == nil || r.Role != types.RoleFollower || r.LastFailed != 0 || !w.alive(m.To) {
				return fmt.Errorf("tablet %d: be %d cannot lead", t.ID, m.To)
			}
			t.Leader = m.To
			t.Epoch++
		}
	case sched.ActDropBE:
		w.be(a.BE).Alive = false
		w.be(a.BE).DeadSinceMs = w.now
	}
	return nil
}

func (w *World) drop(a *sched.Action) error {
	t := w.tablet(a.Tablet)
	i := slices.IndexFunc(t.Replicas, func(r sched.Replica) bool { return r.ID == a.Replica })
	if i < 0 || a.Epoch != t.Epoch {
		return nil
	}
	gone := t.Replicas[i]
	if gone.Role == types.RoleFollower {
		left := 0
		for j := range t.Replicas {
			if r := &t.Replicas[j]; j != i && r.Role == types.RoleFollower && r.LastFailed == 0 && !r.Bad && !r.Lost && w.alive(r.BE) {
				left++
			}
		}
		if left == 0 {
			return fmt.Errorf("tablet %d: dropping replica %d (%s) leaves no complete copy", t.ID, gone.ID, a.Why)
		}
		t.Epoch++
	}
	if t.Leader == gone.BE {
		t.Leader = a.NewLeader
	}
	w.grow(diskKey{gone.BE, gone.Disk}, -t.Bytes())
	t.Replicas = slices.Delete(t.Replicas, i, i+1)
	w.Stats.Drops++
	return nil
}

func (w *World) add(a *sched.Action) error {
	t, be := w.tablet(a.Tablet), w.be(a.BE)
	if be == nil || !be.Available() || t.On(a.BE) != nil {
		return fmt.Errorf("tablet %d: a new replica on be %d", t.ID, a.BE)
	}
	t.Replicas = append(t.Replicas, sched.Replica{ID: w.nextID, BE: a.BE, Disk: a.Disk, Role: types.RoleLearner, LastFailed: t.Version})
	w.nextID++
	w.grow(diskKey{a.BE, a.Disk}, t.Bytes())
	w.Stats.Adds++
	return w.clone(a, w.nextID-1)
}

func (w *World) clone(a *sched.Action, replica types.ReplicaID) error {
	t := w.tablet(a.Tablet)
	if !w.alive(a.BE) || !w.alive(a.Clone.SourceBE) {
		return fmt.Errorf("tablet %d: a clone from be %d to be %d, one of which is dead", t.ID, a.Clone.SourceBE, a.BE)
	}
	if w.refuses(diskKey{a.BE, a.Clone.DestDisk}) {
		return fmt.Errorf("tablet %d: a clone to disk %d of be %d, which refuses writes", t.ID, a.Clone.DestDisk, a.BE)
	}
	c := &clone{task: a.Task, tablet: a.Tablet, replica: replica, src: diskKey{a.Clone.SourceBE, a.Clone.SourceDisk},
		dst: diskKey{a.BE, a.Clone.DestDisk}, balance: a.Clone.Balance, version: a.Clone.Version, full: true, bytes: t.On(a.Clone.SourceBE).Bytes}
	if r := t.On(a.BE); r.Version > 0 && a.BE != a.Clone.SourceBE { // it lacks only what came since
		c.full, c.bytes = false, int64(a.Clone.Version-min(r.Version, a.Clone.Version))*writeBytes
	}
	w.begin(c)
	for _, k := range []diskKey{c.src, c.dst} {
		d := w.disks[k]
		if d.slots[0] > w.shape.Limits.RepairSlots || d.slots[1] > w.shape.Limits.BalanceSlots {
			return fmt.Errorf("be %d disk %d takes part in %v clones", k.be, k.disk, d.slots)
		}
	}
	return nil
}
