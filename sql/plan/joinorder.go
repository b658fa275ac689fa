package plan

import (
	"math"
	"slices"

	"stele/sql/expr"
	"stele/sql/physical"
)

// order reorders the inner joins of a tree, greedily by estimated size, and puts the smaller side of each on the right,
// where the executor builds its table.
func (b *binder) order(r *rel) *rel {
	if r.op != opJoin && !(r.op == opFilter && r.kids[0].op == opJoin) {
		for i, k := range r.kids {
			r.kids[i] = b.order(k)
		}
		return r
	}
	g := &joinGraph{b: b}
	out := slices.Clone(r.out)
	g.flatten(r)
	for i, leaf := range g.leaves {
		g.leaves[i] = b.orderLeaf(leaf)
	}
	for _, s := range g.semis {
		s.kids[1] = b.order(s.kids[1])
	}
	built := g.build()
	if len(built.out) != len(out) {
		built = b.restrict(built, out)
	}
	return built
}

// orderLeaf orders below a node that is itself no inner join.
func (b *binder) orderLeaf(r *rel) *rel {
	for i, k := range r.kids {
		r.kids[i] = b.order(k)
	}
	return r
}

// joinGraph is a set of rels to be joined, the conditions between them, and the semi joins that filter them.
type joinGraph struct {
	b      *binder
	leaves []*rel
	preds  []*expr.Node
	known  domains // by all preds, also those that are used up
	semis  []*rel  // their left side is whatever has the columns that they need
}

// flatten takes inner joins, filters above them and semi joins over them apart.
func (g *joinGraph) flatten(r *rel) {
	switch {
	case r.op == opJoin && r.kind == physical.JoinInner:
		g.preds = append(g.preds, r.on...)
		g.flatten(r.kids[0])
		g.flatten(r.kids[1])
	case r.op == opFilter && r.kids[0].op == opJoin:
		g.preds = append(g.preds, r.preds...)
		g.flatten(r.kids[0])
	case r.op == opJoin && isSemi(r.kind):
		g.semis = append(g.semis, r)
		g.flatten(r.kids[0])
	default:
		g.leaves = append(g.leaves, r)
	}
}

// isSemi reports whether a join only filters its left side.
func isSemi(k physical.JoinKind) bool {
	return k == physical.JoinSemi || k == physical.JoinAnti || k == physical.JoinAntiNull
}

// part is a joined set of leaves with its estimate.
type part struct {
	rel  *rel
	have idSet
	rows float64
}

// build joins the leaves: it starts with the pair whose join is smallest and always adds what keeps the result small;
// what is not connected by a condition comes last.
func (g *joinGraph) build() *rel {
	g.known = g.b.domainsOf(g.preds)
	var parts []part
	for _, leaf := range g.leaves {
		parts = append(parts, g.reduce(part{leaf, newSet(leaf.out...), g.b.estimate(leaf)}, len(g.leaves) == 1))
	}
	for len(parts) > 1 {
		i, j := g.best(parts)
		joined := g.joinParts(parts[i], parts[j])
		parts = slices.Delete(parts, j, j+1)
		parts[i] = g.reduce(joined, len(parts) == 1)
		// From now on the tree grows around this part.
		parts[0], parts[i] = parts[i], parts[0]
	}
	p := g.reduce(parts[0], true)
	if len(g.preds) > 0 {
		return filter(p.rel, g.preds...)
	}
	return p.rel
}

// best picks the two parts to join next (i < j).
func (g *joinGraph) best(parts []part) (int, int) {
	bi, bj, cost, linked := 0, 1, math.Inf(1), false
	for i := range parts {
		for j := i + 1; j < len(parts); j++ {
			if parts[0].rel.op == opJoin && len(g.leaves) > len(parts) && i > 0 {
				continue // the tree has begun: extend it
			}
			on := g.between(parts[i], parts[j])
			rows := g.b.joinRows(parts[i].rel, parts[j].rel, parts[i].rows, parts[j].rows, on, g.known)
			if isLinked := len(on) > 0; isLinked && !linked || isLinked == linked && rows < cost {
				bi, bj, cost, linked = i, j, rows, isLinked
			}
		}
	}
	return bi, bj
}

// between lists the conditions that a join of two parts can check.
func (g *joinGraph) between(l, r part) []*expr.Node {
	var on []*expr.Node
	for _, p := range g.preds {
		ok := true
		eachColumn(p, func(id int) { ok = ok && (l.have.has(id) || r.have.has(id)) })
		if ok && l.have.touches(p) && r.have.touches(p) {
			on = append(on, p)
		}
	}
	return on
}

// joinParts joins two parts, the smaller one on the right.
func (g *joinGraph) joinParts(l, r part) part {
	on := g.between(l, r)
	g.preds = slices.DeleteFunc(g.preds, func(p *expr.Node) bool { return slices.Contains(on, p) })
	rows := g.b.joinRows(l.rel, r.rel, l.rows, r.rows, on, g.known)
	if l.rows < r.rows {
		l, r = r, l
	}
	out := part{rel: join(physical.JoinInner, l.rel, r.rel, on...), have: newSet(), rows: rows}
	out.have.add(out.rel.out...)
	return out
}

// reduce applies the filters that have all their columns, and the semi joins that do: those of plain equalities as early
// as possible, the others when everything is joined (last).
func (g *joinGraph) reduce(p part, last bool) part {
	var now []*expr.Node
	g.preds = slices.DeleteFunc(g.preds, func(c *expr.Node) bool {
		if !p.have.covers(c) || (!p.have.touches(c) && !last) {
			return false
		}
		now = append(now, c)
		return true
	})
	p.rel = filter(p.rel, now...)
	p.rows = math.Max(1, p.rows*math.Pow(0.5, float64(len(now))))
	for i := len(g.semis) - 1; i >= 0; i-- { // innermost first, as written
		s := g.semis[i]
		right := newSet(s.kids[1].out...)
		ready := !last && s.kind == physical.JoinSemi
		for _, c := range s.on {
			_, _, eq := columnEquality(c)
			ready = ready && eq
			eachColumn(c, func(id int) { ready = ready && (right.has(id) || p.have.has(id)) })
		}
		if !last && (!ready || len(s.on) == 0) {
			continue
		}
		p.rows = g.b.semiRows(s.kind, p.rel, s.kids[1], p.rows, s.on, g.known)
		p.rel = join(s.kind, p.rel, s.kids[1], s.on...)
		g.semis = slices.Delete(g.semis, i, i+1)
	}
	return p
}
