package sched

import (
	"testing"

	"stele/meta/types"

	"pgregory.net/rapid"
)

// operator does to a tablet what an operator does with auto_failover off.
func (w *world) operator(t *worldTablet) {
	r := &t.Replicas[w.rng.IntN(len(t.Replicas))]
	switch w.rng.IntN(8) {
	case 0, 1:
		if w.otherCopy(t, r) {
			r.Offline = true
			w.deposed(t, r)
		}
	case 2:
		r.Offline = false
	case 3, 4:
		t.Ordered = !t.Ordered
	case 5:
		t.Hinted = !t.Hinted
	case 6:
		t.Want = 1 + w.rng.IntN(min(3, len(w.bes)))
	case 7: // what an op puts there: a learner, filled while it has the tablet in hand, set aside when it is cancelled
		if w.otherCopy(t, r) {
			t.Ordered = true
			r.ID, w.nextID = w.nextID, w.nextID+1
			r.Role, r.Version, r.LastFailed, r.Bad, r.Lost = types.RoleLearner, 0, t.Version, false, false
			w.deposed(t, r)
		}
	}
	w.dirty = append(w.dirty, t.ID)
}

// handsOff fails on a decision that touches what is the operator's alone, or that nobody has asked for.
func (w *world) handsOff(a *Action) {
	if a.Kind == ActLeaders {
		w.t.Fatalf("leaders move by themselves: %+v", a)
	}
	if a.Tablet == 0 || a.Kind == ActReport || a.Kind == ActCancel {
		return
	}
	t := w.tablet(a.Tablet)
	r := w.replica(t, a.Replica)
	v := Health(&t.Tablet, w.view(), Clock{NowMs: w.now, ToleranceMs: w.lim.ToleranceMs})
	aside, bad := t.setAside(), r != nil && r.damaged()
	asked := t.Hinted && !aside || v.Status == ReplicaRelocating || v.Status == DiskMigration
	switch {
	case r != nil && r.Offline:
		w.t.Fatalf("what was set aside is touched: %+v\n%+v", a, t.Tablet)
	case t.Ordered && (a.Kind == ActDrop || a.Kind == ActAdd):
		w.t.Fatalf("what an op has in hand is touched: %+v\n%+v", a, t.Tablet)
	case a.Kind == ActDrop && bad && r.Role == types.RoleFollower && !asked:
		w.t.Fatalf("a bad replica is dropped, and nobody has asked for it: %+v\n%+v", a, t.Tablet)
	case a.Kind == ActAdd && !asked && v.Followers >= t.Want:
		w.t.Fatalf("a replica is added, and nobody has asked for it: %+v\n%+v", a, t.Tablet)
	}
}

// TestReservedIsNotTouched: with auto_failover off, whatever happens to the cluster and whatever else the operator orders, no
// decision touches a replica that he has set aside, nor drops or adds one where an op has the tablet in hand, nor drops a bad one
// unless a hint or a decommission asks for it. When he is done and switches auto_failover on, everything heals.
func TestReservedIsNotTouched(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, rapid.Uint64().Draw(rt, "seed"), rapid.IntRange(2, 6).Draw(rt, "bes"), rapid.IntRange(1, 2).Draw(rt, "disks"),
			rapid.IntRange(1, 12).Draw(rt, "tablets"), rapid.IntRange(1, 3).Draw(rt, "replicas"))
		w.lim.AutoFailover, w.acts = false, w.handsOff
		for range rapid.IntRange(1, 25).Draw(rt, "rounds") {
			w.chaos(1)
			for range 3 {
				w.operator(w.tablets[w.rng.IntN(len(w.tablets))])
			}
		}
		w.lim.AutoFailover, w.acts = true, nil
		for _, tab := range w.tablets {
			tab.Ordered, tab.Hinted = false, false
			for i := range tab.Replicas {
				tab.Replicas[i].Offline = false
			}
			w.dirty = append(w.dirty, tab.ID)
		}
		w.heal()
		w.checkHealthy()
	})
}

// TestFewerThanAreDead: with auto_failover off, who wants fewer replicas than there are gets none made for those on dead BEs. The one too
// many goes when they are back.
func TestFewerThanAreDead(t *testing.T) {
	w := newWorld(t, 1, 5, 1, 1, 3)
	w.lim.AutoFailover, w.acts = false, w.handsOff
	w.run(1000)
	tab := w.tablets[0]
	w.kill(tab.Replicas[1].BE)
	w.kill(tab.Replicas[2].BE)
	w.run(2 * w.lim.ToleranceMs)
	tab.Want = 2
	w.dirty = append(w.dirty, tab.ID)
	w.run(2 * w.lim.ToleranceMs)
	if len(tab.Replicas) != 3 {
		t.Fatalf("replicas while two of three are on dead bes: %+v", tab.Replicas)
	}
	w.revive(tab.Replicas[1].BE)
	w.revive(tab.Replicas[2].BE)
	w.run(2 * w.lim.ToleranceMs)
	if len(tab.Replicas) != 2 {
		t.Fatalf("replicas where two are wanted: %+v", tab.Replicas)
	}
}

// TestBadReplicaSetAside: what has a hint, is bad and is set aside at once, in this order or another, waits for recovertable.
func TestBadReplicaSetAside(t *testing.T) {
	for _, role := range []types.Role{types.RoleFollower, types.RoleLearner} {
		v := onDisks(ledByFirst([]BE{{ID: 1, Alive: true}, {ID: 2, Alive: true}, {ID: 3, Alive: true}, {ID: 4, Alive: true}}, 1))
		v.Tablets[0].Replicas = v.Tablets[0].Replicas[:3]
		tab, r := &v.Tablets[0], &v.Tablets[0].Replicas[2]
		tab.Want, tab.Hinted = 3, true
		r.Offline, r.Bad, r.Role = true, true, role
		if got := step(NewView(v.BEs, v.Tablets), false); len(got) != 0 {
			t.Errorf("manual, %v: %+v", role, got)
		}
		if got := step(NewView(v.BEs, v.Tablets), true); len(got) != 0 {
			t.Errorf("auto_failover was switched on, %v: %+v", role, got)
		}
		r.Offline = false // as it is a moment later
		if got := step(NewView(v.BEs, v.Tablets), true); len(got) != 1 || got[0].Kind != ActDrop || got[0].Replica != r.ID {
			t.Errorf("with auto_failover, %v: %+v", role, got)
		}
	}
}
