package sched

import (
	"testing"

	"stele/meta/types"

	"pgregory.net/rapid"
)

// leaderCost is what a plan minimises: spread of BEs, then of tables, then moves.
func leaderCost(tablets []Tablet, leaders []types.BEID) [3]int {
	perBE, perCell := map[types.BEID]int{}, map[[2]uint64]int{}
	var cost [3]int
	for i, l := range leaders {
		perBE[l]++
		perCell[[2]uint64{uint64(tablets[i].Table), uint64(l)}]++
		if l != tablets[i].Leader {
			cost[2]++
		}
	}
	for _, n := range perBE {
		cost[0] += n * n
	}
	for _, n := range perCell {
		cost[1] += n * n
	}
	return cost
}

func less(a, b [3]int) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

// cheapest tries every assignment.
func cheapest(tablets []Tablet, at int, leaders []types.BEID, best *[3]int) {
	if at == len(tablets) {
		if c := leaderCost(tablets, leaders); less(c, *best) {
			*best = c
		}
		return
	}
	for _, r := range tablets[at].Replicas {
		if r.complete() {
			leaders[at] = r.BE
			cheapest(tablets, at+1, leaders, best)
		}
	}
}

func TestLeaderPlanIsOptimal(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(2, 5).Draw(rt, "bes")
		var bes []BE
		for i := range n {
			bes = append(bes, BE{ID: types.BEID(i + 1), Alive: true})
		}
		var tablets []Tablet
		for i := range rapid.IntRange(1, 7).Draw(rt, "tablets") {
			tab := Tablet{ID: types.TabletID(i + 1), Table: types.TableID(rapid.IntRange(1, 3).Draw(rt, "table")), Version: 1}
			first, count := rapid.IntRange(0, n-1).Draw(rt, "first"), rapid.IntRange(1, min(3, n)).Draw(rt, "replicas")
			for j := range count {
				r := Replica{ID: types.ReplicaID(i*10 + j + 1), BE: types.BEID((first+j)%n + 1), Version: 1}
				if j > 0 && rapid.IntRange(0, 9).Draw(rt, "lag") == 0 {
					r.LastFailed = 1
				}
				tab.Replicas = append(tab.Replicas, r)
			}
			tab.Leader = tab.Replicas[0].BE
			tablets = append(tablets, tab)
		}
		best := leaderCost(tablets, func() (now []types.BEID) {
			for i := range tablets {
				now = append(now, tablets[i].Leader)
			}
			return now
		}())
		cheapest(tablets, 0, make([]types.BEID, len(tablets)), &best)
		plan := PlanLeaderBalance(NewView(bes, tablets), LeaderScope{})
		after := make([]types.BEID, len(tablets))
		for i := range tablets {
			after[i] = tablets[i].Leader
		}
		for _, m := range plan.Moves {
			after[m.Tablet-1] = m.To
		}
		if got := leaderCost(tablets, after); got != best || !plan.Optimal || got[2] != len(plan.Moves) {
			rt.Fatalf("plan costs %v, %v is possible: %+v of %+v", got, best, plan, tablets)
		}
		for i := range tablets {
			tablets[i].Leader = after[i]
		}
		if again := PlanLeaderBalance(NewView(bes, tablets), LeaderScope{}); len(again.Moves) != 0 {
			rt.Fatalf("a second run moves %+v", again.Moves)
		}
	})
}
