package plan

import (
	"slices"

	"stele/meta/catalog"
	"stele/sql/expr"
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
	c, scans := b.scanChain(r.kids[0])
	switch scans = scans && !b.ctx.literal && !hasDocument(aggs); {
	case scans && b.groupsWhole(c, r):
		return b.node(b.aggregatingScan(c, c.aggregation(r, aggs)), layout)
	case scans && !hasDistinct(aggs):
		return b.twoPhase(c, r, aggs, layout)
	case (scans || len(r.items) == 0) && sameDistinct(aggs) && !b.ctx.literal:
		return b.overDistinct(r, aggs, layout)
	case scans:
		if arg, ok := countsDistinct(aggs); ok {
			return b.countDistinct(c, r, aggs, arg, layout)
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

// twoPhase splits an aggregation over a scan.
func (b *binder) twoPhase(c chain, r *rel, aggs []aggItem, layout []int) lowered {
	partial := c.aggregation(r, aggs)
	partial.Partial = true
	scan := b.aggregatingScan(c, partial)
	scan.Schema = partialSchema(partial)
	final := &physical.Agg{Merge: true}
	for i := range r.items {
		final.Group = append(final.Group, expr.Col(i, partial.Group[i].Type))
	}
	for i, a := range aggs {
		f := a.fn
		f.Arg = partial.Aggs[i].Arg
		final.Aggs = append(final.Aggs, f)
	}
	return b.node(&physical.Node{Agg: final}, layout, scan)
}

// overDistinct aggregates the values of one argument, each once a group: groups by it come first. They need no sets, so that they find room in
// temporary files.
func (b *binder) overDistinct(r *rel, aggs []aggItem, layout []int) lowered {
	arg := aggs[0].fn.Arg
	value := item{b.newColumn(column{name: "value", typ: arg.Type}), arg}
	values := &rel{op: opAgg, kids: r.kids, items: append(slices.Clone(r.items), value)}
	for _, it := range values.items {
		values.out = append(values.out, it.id)
	}
	in := b.lowerAgg(values, newSet(values.out...))
	final := &physical.Agg{}
	for _, g := range r.items {
		final.Group = append(final.Group, at(b.col(g.id), in.layout))
	}
	for _, a := range aggs {
		f := a.fn
		f.Distinct, f.Arg = false, at(b.col(value.id), in.layout)
		final.Aggs = append(final.Aggs, f)
	}
	return b.node(&physical.Node{Agg: final}, layout, in.node)
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

// hasDistinct reports whether some aggregate is DISTINCT.
func hasDistinct(aggs []aggItem) bool {
	return slices.ContainsFunc(aggs, func(a aggItem) bool { return a.fn.Distinct })
}

// sameDistinct reports whether all aggregates are DISTINCT ones of the same argument.
func sameDistinct(aggs []aggItem) bool {
	return len(aggs) > 0 && !hasDocument(aggs) &&
		!slices.ContainsFunc(aggs, func(a aggItem) bool { return !a.fn.Distinct || !sameExpr(aggs[0].fn.Arg, a.fn.Arg) })
}

// hasDocument reports whether some aggregate makes one text of all rows, whose length the session bounds.
func hasDocument(aggs []aggItem) bool {
	return slices.ContainsFunc(aggs, func(a aggItem) bool {
		return a.fn.Name == "group_concat" || a.fn.Name == "json_arrayagg" || a.fn.Name == "json_objectagg"
	})
}

// partialSchema describes what a partial aggregation yields: groups, then states.
func partialSchema(a *physical.Agg) []physical.OutColumn {
	var out []physical.OutColumn
	for _, g := range a.Group {
		out = append(out, physical.OutColumn{Name: "group", Type: g.Type})
	}
	for _, f := range a.Aggs {
		for _, t := range stateTypes(f) {
			out = append(out, physical.OutColumn{Name: f.Name, Type: t})
		}
	}
	return out
}
