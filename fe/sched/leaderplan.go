package sched

import (
	"cmp"
	"math"
	"slices"

	"stele/meta/types"
)

// LeaderScope says what BALANCE VGROUP LEADER is about; the zero value is everything.
type LeaderScope struct {
	Tables []types.TableID // sorted; only the leaders of these are counted and moved; nil = of all
	Tablet types.TabletID  // only this tablet may move; 0 = any
}

func (sc LeaderScope) has(t *Tablet) bool {
	if sc.Tables == nil {
		return true
	}
	_, ok := slices.BinarySearch(sc.Tables, t.Table)
	return ok
}

// LeaderSpread is how evenly leaders are spread over the available BEs.
type LeaderSpread struct {
	Min, Max  int // leaders of one BE
	TableSkew int // the largest difference within one table, over the BEs that could lead some of it
}

// LeaderPlan is what a balance of leaders would do.
type LeaderPlan struct {
	Moves         []LeaderMove
	Before, After LeaderSpread
	Optimal       bool // no better plan exists; false when the work was cut short
	// LeftOut are the BEs that get no leaders of the tablets of which their full disks have replicas, by id.
	LeftOut []types.BEID
}

// leaderBudget bounds the work of one plan.
type leaderBudget struct {
	moves int // cycles cancelled, 0 = any number
	arcs  int // arcs relaxed
}

// PlanLeaderBalance finds the moves after which leaders per BE, and then per table and BE, differ as little as the
// placement of complete replicas allows, with the fewest moves. A second plan on the outcome has no moves.
func PlanLeaderBalance(v *View, scope LeaderScope) LeaderPlan {
	return planLeaders(v, scope, leaderBudget{arcs: 400_000_000})
}

// The plan is a flow of minimal cost. Each tablet sends one unit to a node (table, BE), this one to its BE, this one
// to the sink; n units through a node (table, BE) or a BE cost w·n², which makes even spreads cheapest, and a tablet
// that leaves its present leader costs 1. Starting with the leaders as they are, cycles of negative cost in the
// residual graph are cancelled until there is none: then the plan is optimal. Every state in between is a valid and
// better plan, so that the work can be cut short.
type leaderGraph struct {
	tablets []leaderTablet
	cells   []leaderCell // (table, BE) nodes
	bes     []leaderBE
	cellOf  map[cellKey]int32
	wTable  int64 // weights: a BE's spread outweighs that of tables, and both outweigh moves
	wBE     int64

	dist   []int64 // node numbers: cells, then BEs, then the sink
	parent []int32
	via    []int32 // tablet moved by the arc from parent, or -1
	mark   []int32
	arcs   int
}

type cellKey struct {
	table types.TableID
	be    int32
}

type leaderTablet struct {
	id    types.TabletID
	table types.TableID
	epoch types.Epoch
	orig  int32 // BE that leads now, -1 = one that must not
	from  types.BEID
	cell  int32
	cells []int32 // where it may go, sorted
	fixed bool
}

type leaderCell struct {
	be      int32
	table   types.TableID
	tablets []int32
	could   bool
}

type leaderBE struct {
	id    types.BEID
	unit  int64 // what a leader on it costs: the less the more it is to have
	w     int64 // its share in percent
	count int64
	cells []int32
}

func planLeaders(v *View, scope LeaderScope, budget leaderBudget) LeaderPlan {
	g := newLeaderGraph(v, scope)
	plan := LeaderPlan{Before: leaderSpread(v, scope, nil), LeftOut: v.leftOut(scope)}
	for n := 0; budget.moves == 0 || n < budget.moves; n++ {
		if g.arcs > budget.arcs {
			break
		}
		cycle := g.negativeCycle()
		if cycle == nil {
			plan.Optimal = true
			break
		}
		g.cancel(cycle)
	}
	now := make(map[types.TabletID]types.BEID, len(g.tablets))
	for i := range g.tablets {
		t := &g.tablets[i]
		to := g.bes[g.cells[t.cell].be].id
		now[t.id] = to
		if to != t.from {
			plan.Moves = append(plan.Moves, LeaderMove{Tablet: t.id, From: t.from, To: to, Epoch: t.epoch})
		}
	}
	plan.After = leaderSpread(v, scope, now)
	return plan
}

func newLeaderGraph(v *View, scope LeaderScope) *leaderGraph {
	g := &leaderGraph{cellOf: map[cellKey]int32{}}
	index := map[types.BEID]int32{}
	for i := range v.BEs {
		if v.BEs[i].Alive {
			index[v.BEs[i].ID] = int32(len(g.bes))
			g.bes = append(g.bes, leaderBE{id: v.BEs[i].ID, w: int64(max(v.BEs[i].LeaderWeight, 0))})
		}
	}
	for i := range v.Tablets {
		if t := &v.Tablets[i]; scope.has(t) {
			g.add(v, t, index, scope.Tablet != 0 && scope.Tablet != t.ID)
		}
	}
	g.wTable = int64(len(g.tablets)) + 1
	g.wBE = 1024 * g.wTable
	for i := range g.bes {
		if g.bes[i].w == 0 {
			g.bes[i].w = 100
		}
		g.bes[i].unit = g.wBE * 100 / g.bes[i].w
	}
	n := len(g.cells) + len(g.bes) + 1
	g.dist, g.parent, g.via, g.mark = make([]int64, n), make([]int32, n), make([]int32, n), make([]int32, n)
	return g
}

// add puts a tablet with a live leader into the graph. A leader on a BE that is being decommissioned, or that could lead less well than
// another one (leadRank), is moved away first, to the BE that leads least.
func (g *leaderGraph) add(v *View, t *Tablet, index map[types.BEID]int32, fixed bool) {
	lead := t.On(t.Leader)
	if lead == nil || !v.isCopy(lead) {
		return
	}
	item := leaderTablet{id: t.ID, table: t.Table, epoch: t.Epoch, from: t.Leader, orig: index[t.Leader], fixed: fixed}
	var least leadRank
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if !v.isCopy(r) || !v.BE(r.BE).mayLead() {
			continue
		}
		rank := v.leadRank(t, r)
		if len(item.cells) == 0 || rank.compare(least) < 0 {
			least, item.cells = rank, item.cells[:0]
		}
		if rank == least {
			item.cells = append(item.cells, g.cell(t.Table, index[r.BE]))
		}
	}
	slices.SortFunc(item.cells, func(a, b int32) int { return cmp.Compare(g.cells[a].be, g.cells[b].be) })
	item.cell = g.cell(t.Table, item.orig)
	if !slices.Contains(item.cells, item.cell) && len(item.cells) > 0 && !fixed {
		item.cell, item.orig = g.leastLoaded(item.cells), -1
	}
	for _, c := range item.cells {
		g.cells[c].could = true
	}
	g.put(int32(len(g.tablets)), item.cell)
	g.tablets = append(g.tablets, item)
}

func (g *leaderGraph) leastLoaded(cells []int32) int32 {
	return slices.MinFunc(cells, func(a, b int32) int {
		return cmp.Compare(g.bes[g.cells[a].be].count, g.bes[g.cells[b].be].count)
	})
}

func (g *leaderGraph) cell(table types.TableID, be int32) int32 {
	k := cellKey{table, be}
	if c, ok := g.cellOf[k]; ok {
		return c
	}
	c := int32(len(g.cells))
	g.cells = append(g.cells, leaderCell{be: be, table: table})
	g.bes[be].cells = append(g.bes[be].cells, c)
	g.cellOf[k] = c
	return c
}

func (g *leaderGraph) put(tablet, cell int32) {
	g.cells[cell].tablets = append(g.cells[cell].tablets, tablet)
	g.bes[g.cells[cell].be].count++
}

func (g *leaderGraph) take(tablet, cell int32) {
	c := &g.cells[cell]
	i := slices.Index(c.tablets, tablet)
	c.tablets = slices.Delete(c.tablets, i, i+1)
	g.bes[c.be].count--
}

// moveCost is what it costs that a tablet goes from where it is to a cell.
func (g *leaderGraph) moveCost(t *leaderTablet, to int32) int64 {
	switch t.orig {
	case g.cells[t.cell].be:
		return 1
	case g.cells[to].be:
		return -1
	}
	return 0
}

// negativeCycle finds a cycle of negative cost (Bellman-Ford from everywhere at once); nil when there is none.
func (g *leaderGraph) negativeCycle() []int32 {
	for i := range g.dist {
		g.dist[i], g.parent[i], g.via[i] = 0, -1, -1
	}
	for round := 0; round < len(g.dist); round++ {
		if !g.relaxAll() {
			return nil
		}
		if cycle := g.parentCycle(); cycle != nil {
			return cycle
		}
	}
	return g.parentCycle()
}

func (g *leaderGraph) relax(from, to int32, cost int64, via int32) bool {
	g.arcs++
	if g.dist[from]+cost >= g.dist[to] {
		return false
	}
	g.dist[to], g.parent[to], g.via[to] = g.dist[from]+cost, from, via
	return true
}

func (g *leaderGraph) relaxAll() bool {
	changed := false
	first := int32(len(g.cells))
	sink := first + int32(len(g.bes))
	for b := range g.bes {
		be, n := &g.bes[b], first+int32(b)
		if be.count > 0 {
			changed = g.relax(sink, n, -be.unit*(2*be.count-1), -1) || changed
		}
		for _, c := range be.cells {
			if k := int64(len(g.cells[c].tablets)); k > 0 {
				changed = g.relax(n, c, -g.wTable*(2*k-1), -1) || changed
			}
		}
	}
	for c := range g.cells {
		for _, i := range g.cells[c].tablets {
			t := &g.tablets[i]
			if t.fixed {
				continue
			}
			for _, to := range t.cells {
				if to != t.cell {
					changed = g.relax(int32(c), to, g.moveCost(t, to), i) || changed
				}
			}
		}
	}
	for c := range g.cells {
		k := int64(len(g.cells[c].tablets))
		changed = g.relax(int32(c), first+g.cells[c].be, g.wTable*(2*k+1), -1) || changed
	}
	for b := range g.bes {
		changed = g.relax(first+int32(b), sink, g.bes[b].unit*(2*g.bes[b].count+1), -1) || changed
	}
	return changed
}

// parentCycle looks for a cycle among the parents; such a cycle has negative cost.
func (g *leaderGraph) parentCycle() []int32 {
	clear(g.mark)
	for start := range g.mark {
		stamp := int32(start) + 1
		n := int32(start)
		for n >= 0 && g.mark[n] == 0 {
			g.mark[n] = stamp
			n = g.parent[n]
		}
		if n < 0 || g.mark[n] != stamp {
			continue
		}
		cycle := []int32{n}
		for m := g.parent[n]; m != n; m = g.parent[m] {
			cycle = append(cycle, m)
		}
		return cycle
	}
	return nil
}

// cancel moves the tablets of a cycle.
func (g *leaderGraph) cancel(cycle []int32) {
	for _, n := range cycle {
		if i := g.via[n]; i >= 0 {
			g.take(i, g.tablets[i].cell)
			g.tablets[i].cell = n
			g.put(i, n)
		}
	}
}

// leaderSpread measures the spread of leaders over the available BEs, with the leaders in now, or the present ones.
func leaderSpread(v *View, scope LeaderScope, now map[types.TabletID]types.BEID) LeaderSpread {
	perBE := map[types.BEID]int{}
	perCell := map[cellKey]int{}
	could := map[cellKey]bool{}
	var keys []cellKey
	for i := range v.Tablets {
		t := &v.Tablets[i]
		if !scope.has(t) {
			continue
		}
		leader := t.Leader
		if to, ok := now[t.ID]; ok {
			leader = to
		}
		perBE[leader]++
		if b, ok := v.index.at(leader); ok {
			perCell[cellKey{t.Table, b}]++
		}
		for j := range t.Replicas {
			if b, ok := v.index.at(t.Replicas[j].BE); ok && v.BEs[b].mayLead() {
				if k := (cellKey{t.Table, b}); !could[k] {
					could[k] = true
					keys = append(keys, k)
				}
			}
		}
	}
	out := LeaderSpread{Min: math.MaxInt}
	for i := range v.BEs {
		if v.BEs[i].mayLead() && !v.BEs[i].leadsNothing() {
			out.Min, out.Max = min(out.Min, perBE[v.BEs[i].ID]), max(out.Max, perBE[v.BEs[i].ID])
		}
	}
	if out.Min == math.MaxInt {
		out.Min = 0
	}
	out.TableSkew = tableSkew(keys, perCell)
	return out
}

func tableSkew(keys []cellKey, perCell map[cellKey]int) int {
	slices.SortFunc(keys, func(a, b cellKey) int { return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(a.be, b.be)) })
	skew := 0
	for i := 0; i < len(keys); {
		lo, hi := math.MaxInt, 0
		j := i
		for ; j < len(keys) && keys[j].table == keys[i].table; j++ {
			lo, hi = min(lo, perCell[keys[j]]), max(hi, perCell[keys[j]])
		}
		skew = max(skew, hi-lo)
		i = j
	}
	return skew
}
