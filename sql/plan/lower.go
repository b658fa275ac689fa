package plan

import (
	"slices"
	"strconv"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
)

// lowered is a physical operator and the column ids that it yields, in order.
type lowered struct {
	node   *physical.Node
	layout []int
}

// lower makes the physical plan of a rel that yields at least the needed columns.
func (b *binder) lower(r *rel, need idSet) lowered {
	if l, ok := b.lowerScan(r, need); ok {
		return l
	}
	switch r.op {
	case opFilter:
		return b.lowerFilter(r, need)
	case opProject:
		return b.lowerProject(r, need)
	case opAgg:
		return b.lowerAgg(r, need)
	case opJoin:
		return b.lowerJoin(r, need)
	case opSort, opLimit:
		return b.lowerSort(r, need)
	case opUnion, opSetOp:
		return b.lowerSet(r, need)
	case opWindow:
		return b.lowerWindow(r, need)
	case opSystem:
		return b.lowerLeaf(r)
	case opValues:
		return b.node(&physical.Node{Values: &physical.Values{Rows: r.rows}}, r.out)
	}
	panic("BUG: a rel that cannot be lowered")
}

// node finishes an operator: its schema comes from its columns.
func (b *binder) node(n *physical.Node, layout []int, kids ...*physical.Node) lowered {
	n.Children = kids
	for _, id := range layout {
		n.Schema = append(n.Schema, b.outColumn(id))
	}
	return lowered{n, slices.Clone(layout)}
}

// outColumn describes a column id.
func (b *binder) outColumn(id int) physical.OutColumn {
	c := b.cols[id]
	o := c.origin
	if o.Name == "" {
		o.Name = c.name
	}
	o.Type = c.typ
	return o
}

// at replaces column ids by their positions.
func at(e *expr.Node, layout []int) *expr.Node {
	return substitute(e, func(c *expr.Node) *expr.Node {
		i := slices.Index(layout, c.Col)
		if i < 0 {
			panic("BUG: column id " + strconv.Itoa(c.Col) + " is not in reach")
		}
		n := *c
		n.Col = i
		return &n
	})
}

// atAll maps a list.
func atAll(list []*expr.Node, layout []int) []*expr.Node {
	out := make([]*expr.Node, len(list))
	for i, e := range list {
		out[i] = at(e, layout)
	}
	return out
}

// atKeys maps sort keys.
func atKeys(keys []expr.SortKey, layout []int) []expr.SortKey {
	var out []expr.SortKey
	for _, k := range keys {
		out = append(out, expr.SortKey{Expr: at(k.Expr, layout), Desc: k.Desc})
	}
	return out
}

// with returns the set and the columns of the expressions.
func (s idSet) with(list ...*expr.Node) idSet {
	out := newSet(s.sorted()...)
	for _, e := range list {
		out.addExpr(e)
	}
	return out
}

// within returns the ids of list that are in the set, in the order of list.
func (s idSet) within(list []int) []int {
	var out []int
	for _, id := range list {
		if s.has(id) {
			out = append(out, id)
		}
	}
	return out
}

func (b *binder) lowerFilter(r *rel, need idSet) lowered {
	in := b.lower(r.kids[0], need.with(r.preds...))
	cond := at(and(r.preds...), in.layout)
	passGroups(in.node, cond)
	return b.node(&physical.Node{Filter: cond}, in.layout, in.node)
}

// lowerProject computes what is needed; consecutive projections become one, and one that only passes columns on none.
func (b *binder) lowerProject(r *rel, need idSet) lowered {
	items := neededItems(r.items, need)
	kid := r.kids[0]
	for kid.op == opProject && !hasVolatile(kid.items) {
		sub := itemsOf(kid)
		for i := range items {
			items[i].expr = substitute(items[i].expr, sub)
		}
		kid = kid.kids[0]
	}
	want := idSet{}
	passing := true
	for _, it := range items {
		want.addExpr(it.expr)
		passing = passing && it.expr.Kind == expr.NodeColumn && it.expr.Col == it.id
	}
	in := b.lower(kid, want)
	if passing {
		return in
	}
	var layout []int
	n := &physical.Node{Project: []*expr.Node{}}
	for _, it := range items {
		layout = append(layout, it.id)
		n.Project = append(n.Project, at(it.expr, in.layout))
	}
	return b.node(n, layout, in.node)
}

// neededItems picks the items that are needed.
func neededItems(items []item, need idSet) []item {
	var out []item
	for _, it := range items {
		if need.has(it.id) {
			out = append(out, it)
		}
	}
	return out
}

// hasVolatile reports whether an item must be computed exactly once.
func hasVolatile(items []item) bool {
	return slices.ContainsFunc(items, func(it item) bool { return expr.IsVolatile(it.expr) })
}

// arrange makes an operator yield exactly these columns.
func (b *binder) arrange(in lowered, out []int) lowered {
	if slices.Equal(in.layout, out) {
		return in
	}
	n := &physical.Node{Project: []*expr.Node{}}
	for _, id := range out {
		n.Project = append(n.Project, at(b.col(id), in.layout))
	}
	return b.node(n, out, in.node)
}

func (b *binder) lowerSort(r *rel, need idSet) lowered {
	want := need.with()
	for _, k := range r.keys {
		want.addExpr(k.Expr)
	}
	in := b.lower(r.kids[0], want)
	if r.op == opLimit {
		firstGroups(in.node, &physical.Sort{Limit: r.limit, Offset: r.offset})
		return b.node(&physical.Node{Limit: &physical.Limit{Offset: r.offset, Count: r.limit}}, in.layout, in.node)
	}
	if r.limit == 0 { // 0 means "all" in a Sort
		return b.node(&physical.Node{Limit: &physical.Limit{}}, in.layout, in.node)
	}
	s := &physical.Sort{Keys: atKeys(r.keys, in.layout), Limit: max(r.limit, 0), Offset: r.offset}
	firstGroups(in.node, s)
	return b.node(&physical.Node{Sort: s}, in.layout, in.node)
}

// lowerSet lowers both sides to the same columns; UNION ALL takes only those needed.
func (b *binder) lowerSet(r *rel, need idSet) lowered {
	keep := make([]int, 0, len(r.out))
	var out []int
	for i, id := range r.out {
		if r.op == opSetOp || need.has(id) {
			keep, out = append(keep, i), append(out, id)
		}
	}
	var kids []*physical.Node
	for n, k := range r.kids {
		var ids []int
		for _, i := range keep {
			ids = append(ids, r.inputs[n][i])
		}
		kids = append(kids, b.arrange(b.lower(k, newSet(ids...)), ids).node)
	}
	n := &physical.Node{Union: true}
	if r.op == opSetOp {
		op := r.setop
		n = &physical.Node{SetOp: &op}
	} else {
		kids = flattenUnion(kids)
	}
	return b.node(n, out, kids...)
}

// flattenUnion makes one operator of nested UNION ALLs.
func flattenUnion(kids []*physical.Node) []*physical.Node {
	var out []*physical.Node
	for _, k := range kids {
		if k.Union {
			out = append(out, k.Children...)
		} else {
			out = append(out, k)
		}
	}
	return out
}

func (b *binder) lowerWindow(r *rel, need idSet) lowered {
	want := need.with(r.partition...)
	for _, k := range r.keys {
		want.addExpr(k.Expr)
	}
	for _, w := range r.windows {
		want = want.with(w.fn.Args...)
		w.fn.Range.Each(func(x **expr.Node) { want.addExpr(*x) })
		delete(want, w.id)
	}
	in := b.lower(r.kids[0], want)
	w := &physical.Window{Partition: atAll(r.partition, in.layout), Order: atKeys(r.keys, in.layout)}
	layout := slices.Clone(in.layout)
	for _, it := range r.windows {
		f := it.fn
		f.Args = atAll(f.Args, in.layout)
		if f.Range != nil {
			r := *f.Range
			r.Each(func(x **expr.Node) { *x = at(*x, in.layout) })
			f.Range = &r
		}
		w.Funcs = append(w.Funcs, f)
		layout = append(layout, it.id)
	}
	return b.node(&physical.Node{Window: w}, layout, in.node)
}

// lowerJoin splits the condition into keys and the rest.
func (b *binder) lowerJoin(r *rel, need idSet) lowered {
	want := need.with(r.on...)
	lset, rset := newSet(r.kids[0].out...), newSet(r.kids[1].out...)
	left := b.lower(r.kids[0], newSet(want.within(r.kids[0].out)...))
	right := b.lower(r.kids[1], newSet(want.within(r.kids[1].out)...))
	j := &physical.Join{Kind: r.kind}
	var rest []*expr.Node
	for _, p := range r.on {
		l, rr, ok := b.joinKey(p, lset, rset)
		if !ok {
			rest = append(rest, p)
			continue
		}
		j.Left, j.Right = append(j.Left, at(l, left.layout)), append(j.Right, at(rr, right.layout))
	}
	both := append(slices.Clone(left.layout), right.layout...)
	if len(rest) > 0 {
		j.On = at(and(rest...), both)
	}
	b.reduce(r, j, left.node, right.node)
	layout := both
	if isSemi(r.kind) {
		layout = left.layout
	}
	layout = keepNeeded(j, layout, need)
	return b.node(&physical.Node{Join: j}, layout, left.node, right.node)
}

// keepNeeded has a join copy only the columns that someone above it needs, and one at least, as rows are counted by their columns. It returns
// what comes out.
func keepNeeded(j *physical.Join, layout []int, need idSet) []int {
	var keep, out []int
	for i, id := range layout {
		if need.has(id) {
			keep, out = append(keep, i), append(out, id)
		}
	}
	if len(out) == 0 && len(layout) > 0 {
		keep, out = []int{0}, layout[:1]
	}
	if len(out) < len(layout) {
		j.Keep = keep
	}
	return out
}

// joinKey reads a condition as an equality of a left with a right expression of one physical type.
func (b *binder) joinKey(p *expr.Node, left, right idSet) (l, r *expr.Node, ok bool) {
	if !isCall(p, "=") {
		return nil, nil, false
	}
	l, r = p.Args[0], p.Args[1]
	if !left.covers(l) || !right.covers(r) {
		l, r = r, l
	}
	if !left.covers(l) || !right.covers(r) || !right.touches(r) {
		return nil, nil, false
	}
	lt, rt := l.Type, r.Type
	if lt.Kind == types.KindDecimal && rt.Kind == types.KindDecimal && (lt.Scale != rt.Scale || lt.Phys() != rt.Phys()) {
		t, err := b.commonType(lt, rt)
		if err != nil {
			return nil, nil, false
		}
		l2, err1 := b.coerce(l, t)
		r2, err2 := b.coerce(r, t)
		return l2, r2, err1 == nil && err2 == nil
	}
	if lt.IsInteger() && rt.IsInteger() && lt.Unsigned != rt.Unsigned {
		l, r = sameSign(l, r)
		return l, r, true
	}
	same := lt.Phys() == rt.Phys() && lt.Scale == rt.Scale && (lt.Kind == rt.Kind || !lt.IsTemporal() && !rt.IsTemporal())
	return l, r, same && lt.Unsigned == rt.Unsigned && (lt.Kind == types.KindDecimal) == (rt.Kind == types.KindDecimal) &&
		(lt.Kind == types.KindFloat) == (rt.Kind == types.KindFloat) && lt.Kind != types.KindJSON && rt.Kind != types.KindJSON
}

// sameSign makes a signed and an unsigned integer comparable as keys: as BIGINT, or as decimals when the unsigned one may
// be too big for that.
func sameSign(l, r *expr.Node) (*expr.Node, *expr.Node) {
	for _, e := range []*expr.Node{l, r} {
		if e.Type.Unsigned && e.Type.Kind == types.KindBigInt {
			wide := types.ColumnType{Kind: types.KindDecimal, Length: 20}
			return expr.Cast(l, wide), expr.Cast(r, wide)
		}
	}
	return expr.Cast(l, bigintType), expr.Cast(r, bigintType)
}
