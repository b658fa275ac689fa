package sched

import (
	"math"
	"slices"

	"stele/meta/types"
)

// Planned is one thing that a dry run would do.
type Planned struct {
	Action  ActionKind
	Tablet  types.TabletID
	Replica types.ReplicaID // 0 = one that would be made
	From    types.BEID
	To      types.BEID
	ToDisk  types.DiskID
	Bytes   int64
	Balance bool
	Why     string
}

// Outlook is what a dry run comes to.
type Outlook struct {
	Steps []Planned
	Stuck []Task // what could not be done, each with its reason
	Cut   bool   // the run was ended before it came to rest
}

// dryRunSteps bounds the work of a dry run.
const dryRunSteps = 20_000

// DryRun lets the scheduler work on a copy of a cluster in which every clone succeeds at once, until there is nothing left
// to do, and tells what it did. change is made to the copy first. Dead BEs stay as they are: those that are missed
// already are, and those that may come back are given all the time.
func DryRun(v *View, l Limits, nowMs int64, change func(bes []BE)) Outlook {
	w := newDryWorld(v, l, nowMs)
	if change != nil {
		change(w.bes)
	}
	s := New()
	s.GrantTasks(1, math.MaxInt32)
	var out Outlook
	quietSince := w.now
	scan := true
	for step := 0; w.now-quietSince <= 3*l.withFloor().ScanMs || len(s.running) > 0; step++ {
		if step == dryRunSteps {
			out.Cut = true
			break
		}
		o := s.Step(Input{NowMs: w.now, View: NewView(w.bes, w.tablets), Dirty: w.dirty, Scan: scan, Outcomes: w.ended, Limits: w.limits})
		w.dirty, w.ended, scan = nil, nil, false
		for i := range o.Actions {
			w.carryOut(&o.Actions[i], &out)
		}
		if len(o.Actions) > 0 {
			quietSince = w.now
			continue
		}
		w.now = max(w.now+1, min(o.WakeMs, w.now+l.withFloor().ScanMs))
		scan = true
	}
	for _, t := range s.Pending() {
		if t.Hopeless || t.Wait != WaitNone {
			out.Stuck = append(out.Stuck, t)
		}
	}
	return out
}

// dryWorld is the copied cluster.
type dryWorld struct {
	now     int64
	limits  Limits
	bes     []BE
	tablets []Tablet
	nextID  types.ReplicaID
	dirty   []types.TabletID
	ended   []Outcome
	moved   map[types.TabletID]bool // by balance, and the old replica is still there
	own     map[types.TabletID]bool // whose replicas are copied: the others are those of the real cluster, and only read
}

const whyEvenLoad = "even load"

func newDryWorld(v *View, l Limits, nowMs int64) *dryWorld {
	w := &dryWorld{now: nowMs, limits: l, bes: slices.Clone(v.BEs), tablets: slices.Clone(v.Tablets), nextID: math.MaxUint32, moved: map[types.TabletID]bool{}, own: map[types.TabletID]bool{}}
	w.limits.DropDecommissioned = false
	for i := range w.bes {
		be := &w.bes[i]
		switch {
		case !be.dead():
		case nowMs-be.DeadSinceMs >= l.ToleranceMs:
			be.DeadSinceMs = math.MinInt32
		default: // its time does not pass
			be.DeadSinceMs = math.MaxInt64 / 2
		}
	}
	for i := range w.tablets {
		for j := range w.tablets[i].Replicas {
			w.nextID = max(w.nextID, w.tablets[i].Replicas[j].ID)
		}
	}
	return w
}

// tablet returns a tablet to be changed.
func (w *dryWorld) tablet(id types.TabletID) *Tablet {
	v := View{Tablets: w.tablets}
	t := v.Tablet(id)
	if t != nil && !w.own[id] {
		w.own[id] = true
		t.Replicas = slices.Clone(t.Replicas)
	}
	return t
}

func (w *dryWorld) carryOut(a *Action, out *Outlook) {
	if a.Tablet != 0 {
		w.dirty = append(w.dirty, a.Tablet)
	}
	step := Planned{Action: a.Kind, Tablet: a.Tablet, Replica: a.Replica, From: a.BE, Why: a.Why}
	switch a.Kind {
	case ActAdd, ActClone:
		t := w.tablet(a.Tablet)
		step = Planned{Action: a.Kind, Tablet: a.Tablet, Replica: a.Replica, From: a.Clone.SourceBE, To: a.BE, ToDisk: a.Clone.DestDisk,
			Bytes: t.Bytes(), Balance: a.Clone.Balance, Why: a.Why}
		if a.Kind == ActAdd {
			w.nextID++
			t.Replicas = append(t.Replicas, Replica{ID: w.nextID, BE: a.BE, Disk: a.Disk, Role: types.RoleLearner, LastFailed: t.Version, Bytes: t.Bytes()})
		}
		w.ended = append(w.ended, Outcome{Task: a.Task, Tablet: a.Tablet, BE: a.BE, Disk: a.Clone.DestDisk, Done: true, Full: a.Kind == ActAdd,
			Version: t.Version, Bytes: t.Bytes(), ElapsedMs: 1})
	case ActDrop:
		t := w.tablet(a.Tablet)
		t.Replicas = slices.DeleteFunc(t.Replicas, func(r Replica) bool { return r.ID == a.Replica })
		if t.Leader == a.BE {
			t.Leader = a.NewLeader
		}
		t.Epoch++
	case ActReport, ActPromote:
		w.report(a)
		return
	case ActLeaders:
		for _, m := range a.Leaders {
			t := w.tablet(m.Tablet)
			t.Leader = m.To
			t.Epoch++
			w.dirty = append(w.dirty, m.Tablet)
			out.Steps = append(out.Steps, Planned{Action: a.Kind, Tablet: m.Tablet, From: m.From, To: m.To, Balance: a.Why == whyEvenLeaders, Why: a.Why})
		}
		return
	default:
		return
	}
	if step.Balance {
		step.Why = whyEvenLoad
		w.moved[a.Tablet] = true
	} else if a.Kind == ActDrop && w.moved[a.Tablet] {
		step.Balance = true // the end of the move
		delete(w.moved, a.Tablet)
	}
	out.Steps = append(out.Steps, step)
}

// report takes in what a clone has reached, and the promotion that follows.
func (w *dryWorld) report(a *Action) {
	t := w.tablet(a.Tablet)
	r := t.On(a.BE)
	if r == nil || r.ID != a.Replica {
		return
	}
	if a.Kind == ActPromote {
		r.Role = types.RoleFollower
		t.Epoch++
		return
	}
	r.LastFailed, r.Version = 0, a.Version
	if a.Disk != 0 {
		r.Disk = a.Disk
	}
}
