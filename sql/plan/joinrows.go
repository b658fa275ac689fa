package plan

import (
	"math"

	"stele/sql/expr"
	"stele/sql/physical"
)

// domains bounds the number of values of columns, by their ids, by what they are equal to: a column that refers to a key has no more
// values than there are keys, and neither has any other that is equal to it.
type domains map[int]float64

// domainsOf finds the bounds that equalities between columns give to those which are no whole keys.
func (b *binder) domainsOf(preds []*expr.Node) domains {
	class := map[int]int{} // column -> another of its class, itself for the one that stands for it
	var find func(id int) int
	find = func(id int) int {
		if to, ok := class[id]; ok && to != id {
			return find(to)
		}
		class[id] = id
		return id
	}
	for _, p := range preds {
		if l, r, ok := columnEquality(p); ok {
			class[find(l.Col)] = find(r.Col)
		}
	}
	least := domains{}
	for id := range class { // unordered: the least counts
		if b.wholeKey(id) {
			of := find(id)
			if n := b.distinctValues(id); least[of] == 0 || n < least[of] {
				least[of] = n
			}
		}
	}
	out := domains{}
	for id := range class { // unordered: each by itself
		if n := least[find(id)]; n > 0 && !b.wholeKey(id) {
			out[id] = n
		}
	}
	return out
}

// joinRows guesses the size of an inner join: each equality keeps one pair in as many as the bigger side has values. Columns that are the
// whole key of a table have no more values together than it has rows; others no more than the biggest table below has.
func (b *binder) joinRows(l, r *rel, lrows, rrows float64, on []*expr.Node, known domains) float64 {
	key, keyRows := b.keyWithin(l, r, on)
	keyed, free, other := 1.0, 1.0, 1.0
	for _, p := range on {
		if !isCall(p, "=") {
			other *= selRange
			continue
		}
		n := math.Max(b.exprValues(p.Args[0], known), b.exprValues(p.Args[1], known))
		if key.touches(p) {
			keyed *= n
		} else {
			free *= n
		}
	}
	values := math.Min(free, math.Max(b.baseRows(l, lrows), b.baseRows(r, rrows)))
	if keyRows > 0 {
		values = math.Min(keyed, keyRows) * free
	}
	return math.Max(1, lrows*rrows/math.Max(1, values)*other)
}

// semiRows guesses how many of the rows of its left side a semi join keeps: as many as an inner join would yield, if those are fewer. Of
// the others, whose rows find nothing, nothing is known.
func (b *binder) semiRows(kind physical.JoinKind, l, r *rel, lrows float64, on []*expr.Node, known domains) float64 {
	if kind != physical.JoinSemi || len(on) == 0 {
		return math.Max(1, lrows*selOther)
	}
	return math.Min(lrows, b.joinRows(l, r, lrows, b.estimate(r), on, known))
}

// keyWithin returns the columns of the key of a table all of which equalities name, with its rows: that of the biggest such table. It is
// empty when there is none.
func (b *binder) keyWithin(l, r *rel, on []*expr.Node) (key idSet, rows float64) {
	named := newSet()
	for _, p := range on {
		if isCall(p, "=") {
			named.addExpr(p)
		}
	}
	look := func(n *rel) {
		if n.op != opScan || len(n.table.Schema.KeyIndexes()) == 0 {
			return
		}
		ids := b.keyIDs(n)
		for _, id := range ids {
			if !named.has(id) {
				return
			}
		}
		if size := b.ctx.rows(n.table.ID); len(ids) == len(n.table.Schema.KeyIndexes()) && size > rows {
			key, rows = newSet(ids...), size
		}
	}
	l.walk(look)
	r.walk(look)
	return key, rows
}

// keyIDs returns the columns of the primary key that a scan yields.
func (b *binder) keyIDs(scan *rel) (ids []int) {
	for _, id := range scan.out {
		for _, pos := range scan.table.Schema.KeyIndexes() {
			if b.cols[id].table != nil && b.cols[id].pos == pos {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// exprValues guesses the number of values of one side of an equality.
func (b *binder) exprValues(e *expr.Node, known domains) float64 {
	if e.Kind != expr.NodeColumn {
		return 20
	}
	n := b.distinctValues(e.Col)
	if most, ok := known[e.Col]; ok {
		n = math.Min(n, most)
	}
	return n
}

// baseRows is the size of the biggest table below, before any filter.
func (b *binder) baseRows(r *rel, rows float64) float64 {
	most := rows
	r.walk(func(n *rel) {
		if n.op == opScan {
			most = math.Max(most, b.ctx.rows(n.table.ID))
		}
	})
	return most
}
