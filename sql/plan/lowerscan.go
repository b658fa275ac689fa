package plan

import (
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/fn"
	"stele/sql/physical"
)

// chain is filters and projections over one scan, folded into it: conditions and expressions over the scan's columns.
type chain struct {
	scan  *rel
	preds []*expr.Node
	out   []item
}

// scanChain folds a rel into its scan, if that is what it is.
func (b *binder) scanChain(r *rel) (chain, bool) {
	switch r.op {
	case opScan:
		c := chain{scan: r}
		for _, id := range r.out {
			c.out = append(c.out, item{id, b.col(id)})
		}
		return c, true
	case opFilter, opProject:
		c, ok := b.scanChain(r.kids[0])
		if !ok || hasVolatile(c.out) {
			return c, false
		}
		if r.op == opFilter {
			for _, p := range r.preds {
				c.preds = append(c.preds, c.overScan(p))
			}
			return c, true
		}
		var out []item
		for _, it := range r.items {
			out = append(out, item{it.id, c.overScan(it.expr)})
		}
		c.out = out
		return c, true
	}
	return chain{}, false
}

// overScan rewrites an expression over what the chain yields as one over the scan's columns.
func (c *chain) overScan(e *expr.Node) *expr.Node {
	return substitute(e, func(n *expr.Node) *expr.Node {
		for _, it := range c.out {
			if it.id == n.Col {
				return it.expr
			}
		}
		return nil
	})
}

// lowerScan lowers a scan with everything that a fragment can do for the operators above it: filter, projection, first
// rows. Aggregation is lowerAgg's.
func (b *binder) lowerScan(r *rel, need idSet) (lowered, bool) {
	if c, ok := b.scanChain(r); ok {
		return b.fragment(c, need), true
	}
	if r.op != opSort && r.op != opLimit || r.limit <= 0 {
		return lowered{}, false
	}
	c, ok := b.scanChain(r.kids[0])
	if !ok || r.limit > 1<<62-r.offset {
		return lowered{}, false
	}
	want := need.with()
	for _, k := range r.keys {
		want.addExpr(k.Expr)
	}
	in := b.fragment(c, want)
	f := &in.node.Scan.Fragment
	if r.op == opLimit {
		f.Limit = r.limit + r.offset
		return b.node(&physical.Node{Limit: &physical.Limit{Offset: r.offset, Count: r.limit}}, in.layout, in.node), true
	}
	keys := atKeys(r.keys, in.layout)
	f.TopN = &physical.Sort{Keys: keys, Limit: r.limit + r.offset}
	return b.node(&physical.Node{Sort: &physical.Sort{Keys: keys, Limit: r.limit, Offset: r.offset}}, in.layout, in.node), true
}

// fragment makes the scan of a chain that yields the needed columns.
func (b *binder) fragment(c chain, need idSet) lowered {
	items := neededItems(c.out, need)
	tablet := slices.IndexFunc(items, func(it item) bool { return b.isTablet(it.expr) })
	tabletID := -1
	if tablet >= 0 {
		tabletID = items[tablet].id
		items = slices.Delete(items, tablet, tablet+1)
	}
	exprs := make([]*expr.Node, len(items))
	for i, it := range items {
		exprs[i] = it.expr
	}
	node, read := b.scanNode(c, exprs)
	var layout []int
	plain := len(items) == len(read)
	for i, it := range items {
		layout = append(layout, it.id)
		plain = plain && it.expr.Kind == expr.NodeColumn && it.expr.Col == read[i]
	}
	if len(items) == 0 { // rows without columns: the one that was read to count them stays
		return b.node(node, read)
	}
	if !plain {
		node.Scan.Fragment.Project = atAll(exprs, read)
	}
	if tabletID >= 0 {
		node.Scan.Fragment.TabletColumn = true
		layout = append(layout, tabletID)
	}
	return b.node(node, layout)
}

// isTablet reports whether an expression is the id of the tablet that a row lies in, which is no stored column.
func (b *binder) isTablet(e *expr.Node) bool {
	return e.Kind == expr.NodeColumn && b.cols[e.Col].pos == tabletPos
}

// tabletPos stands for the tablet's id among the positions of a table's columns.
const tabletPos = -1

// scanNode makes a scan that reads what the conditions and the expressions need, in schema order, and returns what it
// reads. At least one column is read, so that rows can be counted.
func (b *binder) scanNode(c chain, exprs []*expr.Node) (*physical.Node, []int) {
	want := idSet{}.with(c.preds...).with(exprs...)
	t := c.scan.table
	s := &physical.Scan{TableID: t.ID, Parts: c.scan.parts, Picked: c.scan.picked, Fragment: physical.Fragment{Schema: t.Schema, TimeZone: b.ctx.zoneName()}}
	read := want.within(c.scan.out)
	if len(read) == 0 {
		key := t.Schema.KeyIndexes()[0]
		read = []int{c.scan.out[slices.Index(c.scan.columns, key)]}
	}
	for _, id := range read {
		s.Fragment.Columns = append(s.Fragment.Columns, t.Schema.Columns[b.cols[id].pos].ID)
	}
	preds := dedup(slices.DeleteFunc(slices.Clone(c.preds), isTrue))
	b.narrow(s, t, preds, read)
	if b.ctx.slots != nil {
		b.ctx.slots.scans = append(b.ctx.slots.scans, scanned{scan: s, table: t, preds: preds, read: read})
	}
	return &physical.Node{Scan: s}, read
}

// narrow says what of a table is read, by conditions over column ids of which some are read. It is all of a scan that depends on the
// values of constants.
func (b *binder) narrow(s *physical.Scan, t *catalog.Table, preds []*expr.Node, read []int) {
	if !b.ctx.literal {
		preds = dedup(b.prefixRanges(preds))
	}
	pr := pruner{b: b, table: t, parts: s.Parts, preds: preds}
	s.Tablets, s.Via = pr.tablets(), nil
	if s.Fragment.Keys = pr.keys(); s.Fragment.Keys == nil && len(s.Tablets) > 0 {
		s.Via = pr.via()
	}
	s.Fragment.Homes = pr.homes(s.Fragment.Keys)
	if len(preds) > 0 {
		s.Fragment.Filter = at(and(preds...), read)
	}
}

// lowerAgg aggregates; over one scan it does so in two phases, the first next to the data, or all of it there when no group has rows in
// two tablets.
func (b *binder) lowerAgg(r *rel, need idSet) lowered {
	aggs := slices.DeleteFunc(slices.Clone(r.aggs), func(a aggItem) bool { return !need.has(a.id) })
	if r.scalar && len(aggs) == 0 { // without groups and aggregates it would not be an aggregation
		aggs = slices.Clone(r.aggs[:1])
	}
	var layout []int
	for _, g := range r.items {
		layout = append(layout, g.id)
	}
	for _, a := range aggs {
		layout = append(layout, a.id)
	}
	if c, ok := b.scanChain(r.kids[0]); ok && !b.ctx.literal {
		if b.groupsWhole(c, r, aggs) {
			return b.node(b.aggregatingScan(c, wholeAgg(c, r, aggs)), layout)
		}
		if l, ok := b.twoPhase(c, r, aggs, layout); ok {
			return l
		}
	}
	want := idSet{}
	for _, g := range r.items {
		want.addExpr(g.expr)
	}
	for _, a := range aggs {
		want = want.with(aggExprs(a.fn)...)
	}
	in := b.lower(r.kids[0], want)
	agg := &physical.Agg{}
	for _, g := range r.items {
		agg.Group = append(agg.Group, at(g.expr, in.layout))
	}
	for _, a := range aggs {
		agg.Aggs = append(agg.Aggs, mapAgg(a.fn, func(e *expr.Node) *expr.Node { return at(e, in.layout) }))
	}
	return b.node(&physical.Node{Agg: agg}, layout, in.node)
}

// aggExprs lists the expressions of an aggregate.
func aggExprs(f expr.AggFunc) []*expr.Node {
	var out []*expr.Node
	if f.Arg != nil {
		out = append(out, f.Arg)
	}
	for _, k := range f.Order {
		out = append(out, k.Expr)
	}
	return out
}

// mapAgg maps the expressions of an aggregate.
func mapAgg(f expr.AggFunc, m func(*expr.Node) *expr.Node) expr.AggFunc {
	if f.Arg != nil {
		f.Arg = m(f.Arg)
	}
	var order []expr.SortKey
	for _, k := range f.Order {
		order = append(order, expr.SortKey{Expr: m(k.Expr), Desc: k.Desc})
	}
	f.Order = order
	return f
}

// twoPhase splits an aggregation over a scan. DISTINCT aggregates of one argument are split by grouping by it first.
func (b *binder) twoPhase(c chain, r *rel, aggs []aggItem, layout []int) (lowered, bool) {
	partial := &physical.Agg{Partial: true}
	for _, g := range r.items {
		partial.Group = append(partial.Group, c.overScan(g.expr))
	}
	distinct, ok := splittable(aggs)
	if !ok {
		return lowered{}, false
	}
	if distinct != nil {
		partial.Group = append(partial.Group, c.overScan(distinct))
	} else {
		for _, a := range aggs {
			partial.Aggs = append(partial.Aggs, mapAgg(a.fn, c.overScan))
		}
	}
	scan := b.aggregatingScan(c, partial)
	scan.Schema = partialSchema(partial)
	final := &physical.Agg{Merge: distinct == nil}
	for i := range r.items {
		final.Group = append(final.Group, expr.Col(i, partial.Group[i].Type))
	}
	for i, a := range aggs {
		f := a.fn
		if distinct != nil {
			f.Arg = expr.Col(len(r.items), partial.Group[len(r.items)].Type)
		} else {
			f.Arg = partial.Aggs[i].Arg
		}
		final.Aggs = append(final.Aggs, f)
	}
	return b.node(&physical.Node{Agg: final}, layout, scan), true
}

// aggregatingScan makes a scan that aggregates what a chain yields; the expressions of agg are over the scan's columns.
func (b *binder) aggregatingScan(c chain, agg *physical.Agg) *physical.Node {
	exprs := slices.Clone(agg.Group)
	for _, a := range agg.Aggs {
		exprs = append(exprs, aggExprs(a)...)
	}
	scan, read := b.scanNode(c, exprs)
	agg.Group = atAll(agg.Group, read)
	for i := range agg.Aggs {
		agg.Aggs[i] = mapAgg(agg.Aggs[i], func(e *expr.Node) *expr.Node { return at(e, read) })
	}
	scan.Scan.Fragment.Agg = agg
	return scan
}

// splittable reports whether aggregates can be computed in two phases, and the argument of the DISTINCT ones.
func splittable(aggs []aggItem) (distinct *expr.Node, ok bool) {
	for i, a := range aggs {
		switch {
		case isDocument(a.fn.Name):
			return nil, false
		case a.fn.Distinct && (i > 0 && distinct == nil || distinct != nil && !sameExpr(distinct, a.fn.Arg)):
			return nil, false
		case a.fn.Distinct:
			distinct = a.fn.Arg
		case distinct != nil:
			return nil, false
		}
	}
	return distinct, true
}

// partialSchema describes what a partial aggregation yields: groups, then states.
func partialSchema(a *physical.Agg) []physical.OutColumn {
	var out []physical.OutColumn
	for _, g := range a.Group {
		out = append(out, physical.OutColumn{Name: "group", Type: g.Type})
	}
	for _, f := range a.Aggs {
		var arg types.ColumnType
		if f.Arg != nil {
			arg = f.Arg.Type
		}
		_, _, state, err := fn.ResolveAgg(f.Name, arg, false)
		if err != nil {
			panic("BUG: an aggregate that was resolved before: " + err.Error())
		}
		for _, t := range state {
			out = append(out, physical.OutColumn{Name: f.Name, Type: t})
		}
	}
	return out
}
