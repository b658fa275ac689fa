package sched

import (
	"testing"

	"stele/meta/types"
)

// shares counts leaders by BE after a plan.
func shares(v *View) map[types.BEID]int {
	leaders := map[types.TabletID]types.BEID{}
	for i := range v.Tablets {
		leaders[v.Tablets[i].ID] = v.Tablets[i].Leader
	}
	for _, m := range PlanLeaderBalance(v, LeaderScope{}).Moves {
		leaders[m.Tablet] = m.To
	}
	out := map[types.BEID]int{}
	for _, be := range leaders {
		out[be]++
	}
	return out
}

// ledByFirst is a cluster in which the first BE leads everything and every BE has everything.
func ledByFirst(bes []BE, tablets int) *View {
	var list []Tablet
	for i := range tablets {
		t := Tablet{ID: types.TabletID(i + 1), Table: 1, Want: len(bes), Version: 1, Leader: bes[0].ID}
		for j := range bes {
			t.Replicas = append(t.Replicas, Replica{ID: types.ReplicaID(i*10 + j + 1), BE: bes[j].ID, Version: 1})
		}
		list = append(list, t)
	}
	return NewView(bes, list)
}

func TestLeadersFollowDrainsAndWeights(t *testing.T) {
	bes := func(change func([]BE)) []BE {
		out := []BE{{ID: 1, Alive: true}, {ID: 2, Alive: true}, {ID: 3, Alive: true}}
		change(out)
		return out
	}
	for _, tc := range []struct {
		name   string
		change func([]BE)
		want   [3]int
	}{
		{"even", func([]BE) {}, [3]int{4, 4, 4}},
		{"drained", func(b []BE) { b[0].Drained = true }, [3]int{0, 6, 6}},
		{"decommissioned", func(b []BE) { b[1].Decommissioned = true }, [3]int{6, 0, 6}},
		{"half", func(b []BE) { b[0].LeaderWeight = 50 }, [3]int{2, 5, 5}},
		{"double", func(b []BE) { b[2].LeaderWeight = 200 }, [3]int{3, 3, 6}},
	} {
		got := shares(ledByFirst(bes(tc.change), 12))
		if got[1] != tc.want[0] || got[2] != tc.want[1] || got[3] != tc.want[2] {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// step runs one Step over a view in which everything is looked at.
func step(v *View, auto bool) []Action {
	s := New()
	s.GrantTasks(1, 100_000)
	l := DefaultLimits()
	l.AutoFailover, l.ToleranceMs, l.DelayFactorMs = auto, 0, 0
	return s.Step(Input{NowMs: 1_000_000, View: v, Scan: true, Limits: l}).Actions
}

func onDisks(v *View) *View {
	for i := range v.BEs {
		v.BEs[i].Disks = []Disk{{ID: types.DiskID(v.BEs[i].ID), Total: 1 << 40, Available: 1 << 39}}
	}
	return NewView(v.BEs, v.Tablets)
}

// TestManualModeMovesNothing breaks a cluster in every way that repair knows: with auto_failover off nothing happens until
// somebody has ordered it, and then only what was ordered.
func TestManualModeMovesNothing(t *testing.T) {
	three := func() []BE { return []BE{{ID: 1, Alive: true}, {ID: 2, Alive: true}, {ID: 3, Alive: true}} }
	for _, tc := range []struct {
		name    string
		change  func(v *View)
		auto    bool // something is done with auto_failover
		ordered bool // something is done when an op has the tablet in hand
	}{
		{"healthy", func(*View) {}, false, false},
		{"dead leader", func(v *View) { v.BEs[0].Alive = false }, true, false},
		{"dead follower", func(v *View) { v.BEs[1].Alive = false }, false, false},
		{"lagging", func(v *View) { v.Tablets[0].Version, v.Tablets[0].Replicas[2].LastFailed = 2, 2 }, true, true},
		{"bad", func(v *View) { v.Tablets[0].Replicas[1].Bad = true }, true, false},
		{"lost", func(v *View) { v.Tablets[0].Replicas[1].Lost = true }, true, false},
		{"no leader", func(v *View) { v.Tablets[0].Leader = 0 }, true, false},
	} {
		for _, mode := range []struct {
			name          string
			auto, ordered bool
			want          bool
		}{{"auto", true, false, tc.auto}, {"manual", false, false, false}, {"ordered", false, true, tc.ordered}} {
			v := onDisks(ledByFirst(three(), 1))
			tc.change(v)
			v.Tablets[0].Ordered = mode.ordered
			got := step(NewView(v.BEs, v.Tablets), mode.auto)
			if (len(got) > 0) != mode.want {
				t.Errorf("%s, %s: %+v", tc.name, mode.name, got)
			}
		}
	}
}

// TestOfflineReplicaIsLeftAlone sets a replica aside: nobody copies to it or from it, and it leads nothing.
func TestOfflineReplicaIsLeftAlone(t *testing.T) {
	v := onDisks(ledByFirst([]BE{{ID: 1, Alive: true}, {ID: 2, Alive: true}, {ID: 3, Alive: true}}, 1))
	v.Tablets[0].Version, v.Tablets[0].Ordered = 2, true
	v.Tablets[0].Replicas[2].Offline, v.Tablets[0].Replicas[2].LastFailed = true, 2
	if got := step(v, false); len(got) != 0 {
		t.Errorf("an offline replica is repaired: %+v", got)
	}
	v.Tablets[0].Leader = 3
	v.BEs[2].Alive = false
	v.Tablets[0].Replicas[1].Offline = true
	for _, a := range step(v, true) {
		for _, m := range a.Leaders {
			if m.To != 1 || !m.Failover {
				t.Errorf("moved to %+v", m)
			}
		}
	}
}

// TestOperatorsWishesHoldInManualMode has an operator ask for more replicas, fewer, and none on a BE.
func TestOperatorsWishesHoldInManualMode(t *testing.T) {
	four := []BE{{ID: 1, Alive: true}, {ID: 2, Alive: true}, {ID: 3, Alive: true}, {ID: 4, Alive: true}}
	for _, tc := range []struct {
		name   string
		change func(v *View)
		want   ActionKind
	}{
		{"more", func(v *View) { v.Tablets[0].Want = 4 }, ActAdd},
		{"fewer", func(v *View) { v.Tablets[0].Want = 2 }, ActDrop},
		{"decommission", func(v *View) { v.BEs[0].Decommissioned = true }, ActAdd},
	} {
		v := onDisks(ledByFirst(four[:3], 1))
		v.BEs = append(v.BEs, four[3])
		v = onDisks(NewView(v.BEs, v.Tablets))
		tc.change(v)
		got := step(NewView(v.BEs, v.Tablets), false)
		if len(got) != 1 || got[0].Kind != tc.want {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
}

// TestCancelledRecoveryIsLeftAlone: a learner that a cancelled op has left is set aside. Its clone ends, and nothing is copied to
// it until somebody orders it again.
func TestCancelledRecoveryIsLeftAlone(t *testing.T) {
	v := onDisks(ledByFirst([]BE{{ID: 1, Alive: true}, {ID: 2, Alive: true}, {ID: 3, Alive: true}}, 1))
	tab := &v.Tablets[0]
	tab.Version, tab.Ordered = 2, true
	tab.Replicas[0].Version, tab.Replicas[1].Version = 2, 2
	tab.Replicas[2].Role, tab.Replicas[2].Version, tab.Replicas[2].LastFailed = types.RoleLearner, 0, 1
	s := New()
	s.GrantTasks(1, 100_000)
	l := DefaultLimits()
	l.AutoFailover, l.ToleranceMs, l.DelayFactorMs = false, 0, 0
	now := int64(1_000_000)
	next := func() []Action {
		now += 1000
		return s.Step(Input{NowMs: now, View: NewView(v.BEs, v.Tablets), Scan: true, Limits: l}).Actions
	}
	if got := next(); len(got) != 1 || got[0].Kind != ActClone {
		t.Fatalf("what an op has ordered: %+v", got)
	}
	tab.Ordered, tab.Replicas[2].Offline = false, true
	if got := next(); len(got) != 1 || got[0].Kind != ActCancel {
		t.Fatalf("after the cancel: %+v", got)
	}
	for n := range 10 {
		tab.Hinted = n >= 5 // nor does a hint
		if got := next(); len(got) != 0 {
			t.Fatalf("nobody has ordered %+v", got)
		}
	}
	tab.Hinted = false
	tab.Ordered, tab.Replicas[2].Offline = true, false
	if got := next(); len(got) != 1 || got[0].Kind != ActClone {
		t.Fatalf("ordered again: %+v", got)
	}
}

// TestHealthyAgainSaysSo: a repair that waited in vain and then is not needed any more does not end with what it had waited for.
func TestHealthyAgainSaysSo(t *testing.T) {
	v := onDisks(ledByFirst([]BE{{ID: 1, Alive: true}, {ID: 2, Alive: true}}, 1))
	s := New()
	s.GrantTasks(1, 100_000)
	l := DefaultLimits()
	l.DelayFactorMs = 0
	now := int64(1_000_000)
	next := func() Output {
		now += 20_000
		return s.Step(Input{NowMs: now, View: NewView(v.BEs, v.Tablets), Scan: true, Limits: l})
	}
	v.Tablets[0].Want = 3
	next()
	waiting := s.Pending()
	if len(waiting) != 1 || waiting[0].Err == "" {
		t.Fatalf("a tablet without a third backend: %+v", waiting)
	}
	v.Tablets[0].Want = 2
	for range 50 {
		if out := next(); len(out.Ended) > 0 {
			if e := out.Ended[0]; e.State != Finished || e.Err != "healthy again before anything was done" {
				t.Errorf("it ended %s: %q", e.State, e.Err)
			}
			return
		}
	}
	t.Error("the task never ended")
}
