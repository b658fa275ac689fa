package sched

import (
	"slices"
	"testing"

	"stele/meta/types"

	"pgregory.net/rapid"
)

// smallWorld is any small cluster without faults.
func smallWorld(rt *rapid.T, minBEs int) *world {
	w := newWorld(rt, rapid.Uint64().Draw(rt, "seed"), rapid.IntRange(minBEs, minBEs+4).Draw(rt, "bes"), rapid.IntRange(1, 2).Draw(rt, "disks"),
		rapid.IntRange(1, 25).Draw(rt, "tablets"), 3)
	w.lim.RepairSlots = rapid.IntRange(1, 3).Draw(rt, "slots")
	return w
}

// TestPlacesOfTheirOwn: as long as there are locations and hosts enough, no two replicas of a tablet share one, whatever has
// happened.
func TestPlacesOfTheirOwn(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := smallWorld(rt, 4)
		hosts, zones := rapid.IntRange(3, len(w.bes)).Draw(rt, "hosts"), rapid.IntRange(0, 4).Draw(rt, "zones")
		for i := range w.bes {
			w.bes[i].Host = string(rune('a' + i%hosts))
			if zones > 0 {
				w.bes[i].Zone = string(rune('a' + i%zones))
			}
		}
		w.chaos(rapid.IntRange(1, 12).Draw(rt, "rounds"))
		w.healFor(3600_000)
		w.checkHealthy()
		v := w.view()
		for _, tab := range w.tablets {
			var places []int32
			for i := range tab.Replicas {
				if p := v.BE(tab.Replicas[i].BE).place; !slices.Contains(places, p) {
					places = append(places, p)
				}
			}
			if len(places) < min(tab.Want, v.places) {
				rt.Fatalf("tablet %d is in %d of %d locations: %+v", tab.ID, len(places), v.places, tab.Replicas)
			}
		}
	})
}

// TestWorkEnds: a static cluster, whatever state it is in, is repaired and evened out with a bounded number of actions, after
// which there are none.
func TestWorkEnds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := smallWorld(rt, 3)
		w.chaos(rapid.IntRange(1, 15).Draw(rt, "rounds"))
		w.actions = 0
		w.healFor(3600_000)
		w.checkHealthy()
		if most := 60*len(w.tablets) + 60; w.actions > most {
			rt.Fatalf("%d actions for %d tablets: %v", w.actions, len(w.tablets), w.log[max(0, len(w.log)-40):])
		}
		w.checkQuietFor(600_000)
	})
}

// TestSameStateSameWork: two runs from the same beginning decide the same.
func TestSameStateSameWork(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed, rounds := rapid.Uint64().Draw(rt, "seed"), rapid.IntRange(1, 8).Draw(rt, "rounds")
		run := func() uint64 {
			w := newWorld(rt, seed, 5, 2, 15, 3)
			w.chaos(rounds)
			w.run(600_000)
			return w.sum
		}
		if a, b := run(), run(); a != b {
			rt.Fatalf("two runs decided differently")
		}
	})
}

// TestHopelessNeverBlocks: tablets without a sound replica, many more than the queue holds, delay the repair of no other one.
func TestHopelessNeverBlocks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := smallWorld(rt, 4)
		w.lim.MaxScheduling = rapid.IntRange(1, 30).Draw(rt, "queue")
		hopeless := rapid.IntRange(0, len(w.tablets)-1).Draw(rt, "hopeless")
		for _, tab := range w.tablets[:hopeless] {
			for j := range tab.Replicas {
				tab.Replicas[j].Bad = true
				w.deposed(tab, &tab.Replicas[j])
			}
		}
		w.run(30_000)
		for _, tab := range w.tablets[hopeless:] {
			w.damage(tab)
		}
		w.run(1800_000)
		v := w.view()
		for i, tab := range w.tablets {
			d := Health(&tab.Tablet, v, w.s.clock())
			if i >= hopeless && d.Status != Healthy {
				rt.Fatalf("tablet %d was not repaired: %s; %+v", tab.ID, d.Detail(), w.s.tasks[tab.ID])
			}
			if i < hopeless && (len(tab.Replicas) != 3 || d.Status == Healthy) {
				rt.Fatalf("tablet %d without a sound replica: %s", tab.ID, d.Detail())
			}
		}
		for _, task := range w.s.Pending() {
			if task.Err == "" || task.Wait == WaitNone {
				rt.Fatalf("a waiting tablet does not say why: %+v", task)
			}
		}
	})
}

// TestSlotsAreNoFailures: where nothing fails but there are few slots, nothing counts as failed, waits because of a failure or
// loses priority, however long the queue is.
func TestSlotsAreNoFailures(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := smallWorld(rt, 4)
		w.sound = true
		for _, tab := range w.tablets {
			if rapid.Bool().Draw(rt, "damaged") {
				w.damage(tab)
			}
		}
		if rapid.Bool().Draw(rt, "leaves") {
			w.bes[0].Decommissioned = true
		}
		for range 400 {
			w.run(3000)
			for _, task := range append(w.s.Pending(), w.s.Running()...) {
				if task.FailedRunning != 0 || task.Wait == WaitRetry || task.Wait == WaitSlot && (task.FailedSched != 0 || task.Hopeless) ||
					task.DynmPrio < task.OrigPrio {
					rt.Fatalf("waiting counts as a failure: %+v", task)
				}
			}
		}
		w.checkHealthy()
	})
}

// TestFewestCopiesFirst: of the tablets that wait for the same source, that with the fewest copies goes first.
func TestFewestCopiesFirst(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, rapid.Uint64().Draw(rt, "seed"), 6, 1, rapid.IntRange(2, 20).Draw(rt, "tablets"), 3)
		w.lim.RepairSlots, w.lim.DisableBalance, w.sound = 1, true, true
		w.run(1000)
		missing := map[types.TabletID]int{}
		for _, tab := range w.tablets {
			missing[tab.ID] = rapid.IntRange(0, 2).Draw(rt, "missing")
			tab.Leader = tab.Replicas[0].BE
			w.lag(tab, missing[tab.ID])
		}
		begun := map[types.TabletID]bool{}
		w.cloned = func(a *Action) {
			if begun[a.Tablet] {
				return
			}
			begun[a.Tablet] = true
			for _, tab := range w.tablets {
				free := true // both ends of what it needs were free when the other one was begun
				for i := range tab.Replicas {
					free = free && w.s.slots.taken(tab.Replicas[i].BE, tab.Replicas[i].Disk, false) == 0
				}
				if free && !begun[tab.ID] && missing[tab.ID] > missing[a.Tablet] {
					rt.Fatalf("tablet %d, which lacks %d, came before tablet %d, which lacks %d", a.Tablet, missing[a.Tablet], tab.ID, missing[tab.ID])
				}
			}
		}
		w.run(600_000)
		w.checkHealthy()
	})
}

// TestHintIsNotMadeToWait: what an operator wants repaired is repaired although its BE may come back; nothing else is.
func TestHintIsNotMadeToWait(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := smallWorld(rt, 4)
		w.lim.DisableBalance, w.lim.ToleranceMs = true, 600_000 // time for all of them, one by one
		hinted := rapid.IntRange(0, len(w.tablets)).Draw(rt, "hinted")
		for _, tab := range w.tablets[:hinted] {
			tab.Hinted = true
		}
		w.run(1000)
		dead := w.bes[w.rng.IntN(len(w.bes))].ID
		w.kill(dead)
		w.run(w.lim.ToleranceMs - 2000)
		for i, tab := range w.tablets {
			v := w.view()
			if i < hinted && (v.copies(&tab.Tablet) < tab.Want || tab.On(dead) != nil) {
				rt.Fatalf("hinted tablet %d waits: %+v; %+v", tab.ID, tab.Replicas, w.s.tasks[tab.ID])
			}
		}
		if want := w.moves; want > 0 && hinted == 0 {
			rt.Fatalf("%d replicas were made before the tolerance was over", want)
		}
		for i, tab := range w.tablets {
			if i >= hinted && len(tab.Replicas) != tab.Want {
				rt.Fatalf("tablet %d was touched: %+v", tab.ID, tab.Replicas)
			}
		}
	})
}

// TestGroupsStayTogether: whatever happens to colocated tablets, in the end those of a bucket lie on the same BEs, and no copy is
// lost on the way.
func TestGroupsStayTogether(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := smallWorld(rt, 4)
		buckets := rapid.IntRange(1, max(1, len(w.tablets)/2)).Draw(rt, "buckets")
		w.follow = func() {
			for i, tab := range w.tablets {
				if i >= buckets {
					tab.Assigned = w.homes(w.tablets[i%buckets])
					continue
				}
				tab.Trail, tab.TrailBytes = 0, 0
				for j := i + buckets; j < len(w.tablets); j += buckets {
					tab.Trail++
					tab.TrailBytes += w.tablets[j].Bytes()
				}
			}
		}
		if rapid.Bool().Draw(rt, "grows") {
			w.addBE("new", 1)
		}
		w.chaos(rapid.IntRange(0, 10).Draw(rt, "rounds"))
		w.healFor(3600_000)
		w.checkHealthy()
		for i, tab := range w.tablets {
			if lead := w.tablets[i%buckets]; !slices.Equal(homesOf(tab), homesOf(lead)) {
				rt.Fatalf("tablet %d is on %v, the one it follows on %v", tab.ID, homesOf(tab), homesOf(lead))
			}
		}
		w.checkQuietFor(600_000)
	})
}

// homes are the BEs that tablets which follow another one belong on, as fe/tabletctl has it.
func (w *world) homes(lead *worldTablet) []types.BEID {
	var out []types.BEID
	for _, role := range [...]types.Role{types.RoleFollower, types.RoleLearner} {
		for i := range lead.Replicas {
			if r := &lead.Replicas[i]; r.Role == role && !r.Bad && !w.be(r.BE).Decommissioned && len(out) < lead.Want {
				out = append(out, r.BE)
			}
		}
	}
	return out
}

// TestReturnEndsPause: a clone that failed because its destination died goes on as soon as that is back, and only then.
func TestReturnEndsPause(t *testing.T) {
	for _, tc := range []struct {
		name      string
		dies      types.BEID // and comes back
		unnoticed bool       // between two Steps
		waits     bool
	}{{"destination", 3, false, false}, {"source", 1, false, false}, {"restarted", 3, true, false}, {"another", 4, false, true}} {
		v := onDisks(ledByFirst([]BE{{ID: 1, Alive: true}, {ID: 2, Alive: true}, {ID: 3, Alive: true}, {ID: 4, Alive: true}}, 1))
		tab := &v.Tablets[0]
		tab.Want, tab.Replicas, tab.Version = 3, tab.Replicas[:3], 2
		tab.Replicas[0].Version, tab.Replicas[2].LastFailed = 2, 2
		v.BEs[1].Alive, v.BEs[1].DeadSinceMs = false, 1_000_000 // so that there is one source
		s := New()
		s.GrantTasks(1, 1000)
		now := int64(1_000_000)
		next := func(in Input) []Action {
			now += 100
			in.NowMs, in.View, in.Limits = now, NewView(v.BEs, v.Tablets), DefaultLimits()
			return s.Step(in).Actions
		}
		begun := next(Input{Scan: true})
		if len(begun) != 1 || begun[0].Kind != ActClone {
			t.Fatalf("%s: %+v", tc.name, begun)
		}
		fail := Input{Outcomes: []Outcome{{Task: begun[0].Task, Tablet: tab.ID, BE: 3, Reason: "connection reset"}}}
		if tc.unnoticed {
			next(fail)
		} else {
			v.BEs[tc.dies-1].Alive, v.BEs[tc.dies-1].DeadSinceMs = false, now
			next(fail)
			v.BEs[tc.dies-1].Alive = true
		}
		in := Input{}
		if tc.unnoticed {
			in.Restarted = []types.BEID{tc.dies}
		}
		if got := next(in); (len(got) == 0) != tc.waits {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
}

// TestMadeWithoutABackend: what a new tablet was made without is made at once where there is a BE for it, however short the BE that
// could not take it has been away; where there is none it is made on that BE when it is back, and nothing else is done meanwhile.
func TestMadeWithoutABackend(t *testing.T) {
	for _, bes := range []int{3, 4} {
		w := newWorld(t, 1, bes, 1, 9, 3)
		away := types.BEID(bes)
		w.lim.DisableBalance, w.lim.ToleranceMs, w.lim.DelayFactorMs = true, 900_000, 300_000
		for _, tab := range w.tablets { // made while the BE was away
			tab.Replicas = slices.DeleteFunc(tab.Replicas, func(r Replica) bool { return r.BE == away })
			for len(tab.Replicas) > 2 {
				tab.Replicas = tab.Replicas[:2]
			}
			tab.Leader = tab.Replicas[0].BE
		}
		w.kill(away)
		w.run(120_000) // much less than what is waited for a BE that may come back
		if made := w.moves; (bes == 4) != (made == len(w.tablets)) || bes == 3 && made != 0 {
			t.Errorf("%d BEs, one away: %d of %d replicas were made", bes, made, len(w.tablets))
		}
		if bes == 4 {
			w.checkHealthy()
			continue
		}
		w.checkQuietFor(120_000)
		w.revive(away)
		w.run(120_000)
		w.checkHealthy()
	}
}
