package sched

import (
	"slices"
	"testing"

	"stele/meta/types"

	"pgregory.net/rapid"
)

// TestOneLinkIsCut: where two of three BEs do not reach one another, the third leads what both have, every write reaches all replicas,
// and nothing is copied. When the link is there again leaders are spread as before.
func TestOneLinkIsCut(t *testing.T) {
	w := newWorld(t, 5, 3, 1, 30, 3)
	w.sound = true
	w.run(600_000)
	w.actions = 0
	w.be(1).Unreached = []types.BEID{2}
	w.settle()
	for _, tab := range w.tablets {
		if tab.Leader != 3 {
			t.Fatalf("tablet %d is led by be %d, which does not reach all", tab.ID, tab.Leader)
		}
	}
	for range 100 {
		for _, tab := range w.tablets {
			w.write(tab)
		}
		w.run(10_000)
	}
	w.checkHealthy()
	if w.actions != 1 {
		t.Fatalf("%d actions where one gives the leaders away: %v", w.actions, w.log)
	}
	w.be(1).Unreached = nil
	w.run(600_000)
	if s := leaderSpread(w.view(), LeaderScope{}, nil); s.Max-s.Min > 1 {
		t.Fatalf("leaders are not even again: %+v", s)
	}
	w.checkQuiet()
}

// TestSourceAcrossACut: a replica that lags is filled from a BE that it reaches, whatever was planned.
func TestSourceAcrossACut(t *testing.T) {
	w := newWorld(t, 6, 3, 1, 20, 3)
	w.sound = true
	w.run(600_000)
	w.be(1).Unreached = []types.BEID{2}
	clones := 0
	w.cloned = func(a *Action) {
		if clones++; w.cut(a.BE, a.Clone.SourceBE) {
			t.Fatalf("be %d is to copy from be %d: %v", a.BE, a.Clone.SourceBE, w.log)
		}
	}
	for _, tab := range w.tablets {
		w.lag(tab, 1)
	}
	w.run(600_000)
	w.checkHealthy()
	if clones == 0 {
		t.Fatal("nothing was copied")
	}
}

// TestCutsProperty plays links that are cut and mended under writes, and BEs that are drained. Once things are as they are for a moment no
// tablet is led by a BE where another one could that reaches more of its followers, and leaders stay where they are. When all links are
// mended everything is healthy and even.
func TestCutsProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(2, 6).Draw(rt, "bes")
		w := newWorld(rt, rapid.Uint64().Draw(rt, "seed"), n, 1, rapid.IntRange(1, 12).Draw(rt, "tablets"), rapid.IntRange(2, 3).Draw(rt, "replicas"))
		w.sound = true
		w.run(600_000)
		for range rapid.IntRange(1, 6).Draw(rt, "changes") {
			a, b := w.be(types.BEID(rapid.IntRange(1, n).Draw(rt, "a"))), types.BEID(rapid.IntRange(1, n).Draw(rt, "b"))
			switch {
			case a.ID == b:
				a.Drained = !a.Drained
			case slices.Contains(a.Unreached, b):
				a.Unreached = slices.DeleteFunc(slices.Clone(a.Unreached), func(id types.BEID) bool { return id == b })
			default:
				a.Unreached = append(slices.Clone(a.Unreached), b)
			}
			w.settle()
			if a.ID != b { // else it is the next scan that finds it
				w.checkReach(rt)
			}
			for range 10 {
				w.write(w.tablets[w.rng.IntN(len(w.tablets))])
			}
			w.run(2 * w.lim.ScanMs)
			w.checkReach(rt)
		}
		w.run(3600_000) // clones that were tried in vain, and evenness
		led, from := w.leaders(), len(w.log)
		w.run(1800_000)
		if now := w.leaders(); !slices.Equal(now, led) {
			rt.Fatalf("leaders go on moving from %v to %v: %v", led, now, w.log[from:])
		}
		for i := range w.bes {
			w.bes[i].Unreached, w.bes[i].Drained = nil, false
		}
		w.healFor(3600_000)
		w.checkHealthy()
		if plan := planLeaders(w.view(), LeaderScope{}, leaderBudget{arcs: 1 << 30}); len(plan.Moves) != 0 {
			rt.Fatalf("leaders are not even: %+v", plan)
		}
		w.checkQuietFor(1800_000)
	})
}

func (w *world) leaders() []types.BEID {
	var out []types.BEID
	for _, t := range w.tablets {
		out = append(out, t.Leader)
	}
	return out
}

func (w *world) checkReach(t fataler) {
	t.Helper()
	v := w.view()
	for i := range v.Tablets {
		tab := &v.Tablets[i]
		for j := range tab.Replicas {
			r := &tab.Replicas[j]
			if v.isCopy(r) && v.BE(r.BE).mayLead() && v.unreached(tab, r.BE) < v.unreached(tab, tab.Leader) {
				t.Fatalf("tablet %d is led by be %d, be %d reaches more: %+v %v", tab.ID, tab.Leader, r.BE, v.cuts, w.log)
			}
		}
	}
}

// TestNewReplicaAcrossACut: a lost replica is made on a BE that reaches the others, although one that does not has the least load, and
// nothing is moved there as long as the link is cut.
func TestNewReplicaAcrossACut(t *testing.T) {
	w := newWorld(t, 7, 5, 1, 30, 3)
	w.sound = true
	w.run(600_000)
	w.be(1).Unreached = []types.BEID{2}
	w.settle()
	made := 0
	w.cloned = func(a *Action) {
		for _, r := range w.tablet(a.Tablet).Replicas {
			if a.Kind == ActAdd && w.alive(r.BE) && w.cut(a.BE, r.BE) {
				t.Errorf("tablet %d gets a replica on be %d, which does not reach be %d: %v", a.Tablet, a.BE, r.BE, w.log)
			}
		}
		made++
	}
	w.kill(5)
	w.run(1_800_000)
	w.checkHealthy()
	if made == 0 {
		t.Error("nothing was made anew")
	}
}

// TestNewReplicaWhereNoneReachesAll: a BE that reaches a copy takes the replica from that one where none reaches all; one that reaches no
// copy does not.
func TestNewReplicaWhereNoneReachesAll(t *testing.T) {
	for _, c := range []struct {
		cut    []types.BEID
		source types.BEID
	}{{[]types.BEID{1}, 2}, {[]types.BEID{2}, 1}, {[]types.BEID{1, 2}, 0}} {
		w := newWorld(t, 8, 3, 1, 1, 3)
		w.sound = true
		w.run(600_000)
		w.be(3).Unreached = c.cut
		w.settle()
		var from types.BEID
		w.cloned = func(a *Action) { from = a.Clone.SourceBE }
		w.wipe(3)
		w.run(600_000)
		if from != c.source {
			t.Errorf("be 3 does not reach %v: cloned from be %d, not %d: %v", c.cut, from, c.source, w.log)
		}
	}
}
