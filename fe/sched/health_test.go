package sched

import (
	"testing"

	"stele/meta/types"
)

// A replica in these tables is one letter: what it is and where it stands.
//
//	o complete  l lagging  b bad  x lost  d on a BE dead for long  t on a BE dead for a moment, complete
//	D on a BE being decommissioned, complete  g on a BE that is no more  n learner  s learner on a dead BE
func healthCase(want, free int, replicas string) (*Tablet, *View) {
	t := &Tablet{ID: 1, Want: want, Version: 5}
	var bes []BE
	for i, kind := range replicas {
		be := BE{ID: types.BEID(i + 1), Alive: true}
		r := Replica{ID: types.ReplicaID(i + 1), BE: be.ID, Version: 5}
		switch kind {
		case 'l':
			r.LastFailed, r.Version = 5, 4
		case 'b':
			r.Bad = true
		case 'x':
			r.Lost = true
		case 'd':
			be.Alive = false
		case 't':
			be.Alive, be.DeadSinceMs = false, 950
		case 'D':
			be.Decommissioned = true
		case 'n':
			r.Role, r.LastFailed = types.RoleLearner, 5
		case 's':
			r.Role, r.LastFailed = types.RoleLearner, 5
			be.Alive = false
		}
		if kind != 'g' {
			bes = append(bes, be)
		}
		t.Replicas = append(t.Replicas, r)
	}
	for i := range free {
		bes = append(bes, BE{ID: types.BEID(100 + i), Alive: true})
	}
	return t, NewView(bes, []Tablet{*t})
}

func TestHealth(t *testing.T) {
	for _, c := range []struct {
		want     int
		free     int
		replicas string
		status   Status
		priority Priority
		copies   int
	}{
		{3, 0, "ooo", Healthy, PriorityNormal, 3},
		{1, 0, "o", Healthy, PriorityNormal, 1},
		{3, 1, "oot", Healthy, PriorityNormal, 2}, // it may come back
		{3, 0, "oob", ForceRedundant, PriorityVeryHigh, 2},
		{3, 0, "oox", ForceRedundant, PriorityVeryHigh, 2},
		{3, 1, "oob", ReplicaMissing, PriorityNormal, 2},
		{3, 1, "oog", ReplicaMissing, PriorityNormal, 2},
		{3, 1, "ood", ReplicaMissing, PriorityNormal, 2},
		{3, 1, "odd", ReplicaMissing, PriorityHigh, 1},
		{3, 0, "ood", ReplicaMissing, PriorityNormal, 2}, // and nowhere to put it
		{3, 0, "oldn", ReplicaMissing, PriorityNormal, 1},
		{3, 0, "old", VersionIncomplete, PriorityHigh, 1}, // nothing to add, something to repair
		{1, 1, "b", ReplicaMissing, PriorityHigh, 0},
		{1, 0, "b", ReplicaMissing, PriorityHigh, 0}, // nothing is deleted by force without another copy
		{3, 1, "oo", ReplicaMissing, PriorityNormal, 2},
		{3, 1, "ool", VersionIncomplete, PriorityNormal, 2},
		{3, 1, "oll", VersionIncomplete, PriorityHigh, 1},
		{3, 0, "oooo", Redundant, PriorityVeryHigh, 4},
		{3, 0, "oool", Redundant, PriorityVeryHigh, 3},
		{3, 0, "oood", Redundant, PriorityVeryHigh, 3},
		{3, 1, "ooD", ReplicaRelocating, PriorityLow, 3},
		{3, 2, "oDD", ReplicaRelocating, PriorityNormal, 3},
		{3, 0, "oooD", Redundant, PriorityVeryHigh, 4},
		{3, 0, "ooon", NeedFurtherRepair, PriorityHigh, 3},
		{3, 0, "ooos", Redundant, PriorityLow, 3},
	} {
		tab, v := healthCase(c.want, c.free, c.replicas)
		d := Health(tab, v, Clock{NowMs: 1000, ToleranceMs: 100})
		if d.Status != c.status || d.Priority != c.priority || d.Copies != c.copies {
			t.Errorf("%q of %d with %d free: %s %s, copies %d; want %s %s, copies %d", c.replicas, c.want, c.free, d.Status, d.Priority,
				d.Copies, c.status, c.priority, c.copies)
		}
		tab.Hinted = true
		if d = Health(tab, v, Clock{NowMs: 1000, ToleranceMs: 100}); d.Status != Healthy && d.Priority != PriorityVeryHigh {
			t.Errorf("%q with a hint: %s", c.replicas, d.Priority)
		}
	}
}
