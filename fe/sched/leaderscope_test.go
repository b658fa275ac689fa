package sched

import (
	"slices"
	"testing"

	"stele/meta/types"

	"pgregory.net/rapid"
)

// leaderWorld is a small cluster with BEs that must not lead, BEs of other weights, and an order that is about part of it.
type leaderWorld struct {
	bes     []BE
	tablets []Tablet
	scope   LeaderScope
}

func drawLeaderWorld(rt *rapid.T) leaderWorld {
	n := rapid.IntRange(2, 4).Draw(rt, "bes")
	w := leaderWorld{}
	for i := range n {
		w.bes = append(w.bes, BE{ID: types.BEID(i + 1), Alive: true, Drained: rapid.IntRange(0, 4).Draw(rt, "drained") == 0,
			LeaderWeight: rapid.SampledFrom([]int{0, 0, 0, 50, 200}).Draw(rt, "weight")})
	}
	for i := range rapid.IntRange(1, 6).Draw(rt, "tablets") {
		tab := Tablet{ID: types.TabletID(i + 1), Table: types.TableID(rapid.IntRange(1, 2).Draw(rt, "table")), Version: 1}
		first := rapid.IntRange(0, n-1).Draw(rt, "first")
		for j := range rapid.IntRange(1, n).Draw(rt, "replicas") {
			tab.Replicas = append(tab.Replicas, Replica{ID: types.ReplicaID(i*10 + j + 1), BE: types.BEID((first+j)%n + 1), Version: 1})
		}
		tab.Leader = tab.Replicas[0].BE
		w.tablets = append(w.tablets, tab)
	}
	switch rapid.IntRange(0, 3).Draw(rt, "scope") {
	case 0:
		w.scope.Tables = []types.TableID{1}
	case 1:
		w.scope.Tablet = 1
	}
	return w
}

func (w *leaderWorld) be(id types.BEID) *BE { return &w.bes[id-1] }

// choices are where a tablet may be led: where it is, when the order is not about it or no replica is on a BE that may lead.
func (w *leaderWorld) choices(t *Tablet) []types.BEID {
	if w.scope.has(t) && (w.scope.Tablet == 0 || w.scope.Tablet == t.ID) {
		var out []types.BEID
		for _, r := range t.Replicas {
			if w.be(r.BE).mayLead() {
				out = append(out, r.BE)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return []types.BEID{t.Leader}
}

// spread is what a plan is to make small first: the squares of how many leaders each BE has, of the tablets that the order
// counts, weighted as the BEs are; then the same for each table.
func (w *leaderWorld) spread(leaders []types.BEID) (bes float64, tables, moves int) {
	perBE, perCell := map[types.BEID]int{}, map[[2]uint64]int{}
	for i, l := range leaders {
		if t := &w.tablets[i]; w.scope.has(t) {
			perBE[l]++
			perCell[[2]uint64{uint64(t.Table), uint64(l)}]++
			if l != t.Leader {
				moves++
			}
		}
	}
	for id, n := range perBE {
		weight := w.be(id).LeaderWeight
		if weight == 0 {
			weight = 100
		}
		bes += float64(n*n) * 100 / float64(weight)
	}
	for _, n := range perCell {
		tables += n * n
	}
	return bes, tables, moves
}

// each calls f with every assignment of leaders.
func (w *leaderWorld) each(at int, leaders []types.BEID, f func([]types.BEID)) {
	if at == len(w.tablets) {
		f(leaders)
		return
	}
	for _, be := range w.choices(&w.tablets[at]) {
		leaders[at] = be
		w.each(at+1, leaders, f)
	}
}

// TestLeaderPlanOfPart compares plans with every assignment that there is: BEs that must not lead are left, those of half the
// weight get half, an order about a table or a tablet moves nothing else, and no plan does as well with fewer moves.
func TestLeaderPlanOfPart(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := drawLeaderWorld(rt)
		plan := PlanLeaderBalance(NewView(w.bes, w.tablets), w.scope)
		after := make([]types.BEID, len(w.tablets))
		for i := range w.tablets {
			after[i] = w.tablets[i].Leader
		}
		for _, m := range plan.Moves {
			if !slices.Contains(w.choices(&w.tablets[m.Tablet-1]), m.To) {
				rt.Fatalf("%+v is no choice: %+v", m, w)
			}
			after[m.Tablet-1] = m.To
		}
		for i := range after {
			if !slices.Contains(w.choices(&w.tablets[i]), after[i]) {
				rt.Fatalf("tablet %d is still led by %d: %+v", i+1, after[i], w)
			}
		}
		bes, tables, moves := w.spread(after)
		w.each(0, make([]types.BEID, len(w.tablets)), func(other []types.BEID) {
			b, ta, m := w.spread(other)
			if b < bes-0.001 || b < bes+0.001 && (ta < tables || ta == tables && m < moves) {
				rt.Fatalf("%v costs %.2f %d %d, the plan %v %.2f %d %d: %+v", slices.Clone(other), b, ta, m, after, bes, tables, moves, w)
			}
		})
		for i := range w.tablets {
			w.tablets[i].Leader = after[i]
		}
		if again := PlanLeaderBalance(NewView(w.bes, w.tablets), w.scope); len(again.Moves) != 0 {
			rt.Fatalf("a second run moves %+v", again.Moves)
		}
	})
}
