package plan

import (
	"slices"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
)

// dependent frees a subquery of its correlation whatever its form, where pull does not: the subquery is asked once for all distinct
// values that its correlated columns have in the rows around it (the domain), and tells with each of its rows for which values it is.
// The domain is read from a copy of those rows, so this costs reading them again.
type dependent struct {
	b    *binder
	rows *rel  // the rows around the subquery
	free []int // what it uses of them
}

// pull frees a subquery of its correlation with the rows of e.rel; see binder.pull. What it uses of queries further out stays in it.
func (e *env) pull(r *rel, dups bool) (*rel, []*expr.Node, error) {
	out, on, err := e.b.pull(r, dups)
	if !refused(err) {
		return out, on, err
	}
	d := &dependent{b: e.b, rows: e.rel}
	used := r.freeColumns()
	for _, id := range e.rel.out {
		if used.has(id) {
			d.free = append(d.free, id)
		}
	}
	if len(d.free) > 0 && e.rel.volatile() {
		return nil, nil, err
	}
	out, ids, err := d.forAll(r)
	if err != nil {
		return nil, nil, err
	}
	on, err = d.equal(d.free, ids)
	return out, on, err
}

// volatile reports whether reading the rel again may give other rows.
func (r *rel) volatile() bool {
	found := false
	r.walk(func(n *rel) { n.eachExpr(func(e **expr.Node) { found = found || expr.IsVolatile(*e) }) })
	return found
}

// uses reports whether a tree depends on the rows around it.
func (d *dependent) uses(r *rel) bool {
	used := r.freeColumns()
	return slices.ContainsFunc(d.free, used.has)
}

// domain is the distinct values of the correlated columns, by their bytes: queries may tell apart what compares as equal.
func (d *dependent) domain() (*rel, []int) {
	copied, renamed := d.b.copyOf(d.rows)
	ids, groups := make([]int, len(d.free)), make([]item, len(d.free))
	for i, id := range d.free {
		c := d.b.cols[id]
		c.typ = bytewise(c.typ)
		ids[i] = d.b.newColumn(c)
		groups[i] = item{ids[i], &expr.Node{Kind: expr.NodeColumn, Col: renamed[id], Type: c.typ}}
	}
	return aggregate(copied, groups, nil), ids
}

// bytewise is the type of a column that is compared by its bytes.
func bytewise(t types.ColumnType) types.ColumnType {
	if t.IsText() {
		t.Collation = types.CollationBinary
	}
	return t
}

// forAll is a rel for all members of the domain. It yields what the rel yields, and the columns of the domain that come second.
func (d *dependent) forAll(r *rel) (*rel, []int, error) {
	if !d.uses(r) {
		if len(d.free) == 0 {
			return r, nil, nil
		}
		domain, ids := d.domain()
		return join(physical.JoinInner, domain, r), ids, nil
	}
	switch r.op {
	case opJoin:
		return d.join(r)
	case opUnion, opSetOp:
		return d.set(r)
	case opValues:
		return d.values(r)
	}
	kid, ids, err := d.forAll(r.kids[0])
	if err != nil {
		return nil, nil, err
	}
	mine := r.mapped(d.within(ids))
	switch r.op {
	case opFilter:
		return filter(kid, mine.preds...), ids, nil
	case opProject:
		return project(kid, append(mine.items, d.b.same(ids)...)), ids, nil
	case opAgg:
		if r.scalar {
			return d.scalar(aggregate(kid, d.b.same(ids), mine.aggs), ids)
		}
		return aggregate(kid, append(mine.items, d.b.same(ids)...), mine.aggs), ids, nil
	case opSort, opLimit:
		if r.limit < 0 {
			return kid, ids, nil
		}
		first, err := d.b.firstOf(kid, d.columns(ids), mine.keys, r)
		return first, ids, err
	case opWindow:
		mine.kids, mine.partition = []*rel{kid}, append(mine.partition, d.columns(ids)...)
		mine.out = slices.Clone(kid.out)
		for _, w := range mine.windows {
			mine.out = append(mine.out, w.id)
		}
		return mine, ids, nil
	}
	return nil, nil, refuse("a correlated subquery of this form")
}

// within puts the columns of a domain in the place of the correlated ones.
func (d *dependent) within(ids []int) func(*expr.Node) *expr.Node {
	return func(c *expr.Node) *expr.Node {
		i := slices.Index(d.free, c.Col)
		if i < 0 {
			return nil
		}
		n := *c
		n.Col = ids[i]
		return &n
	}
}

func (d *dependent) columns(ids []int) []*expr.Node {
	out := make([]*expr.Node, len(ids))
	for i, id := range ids {
		out[i] = d.b.col(id)
	}
	return out
}

// equal is the condition that brings together what is of the same member of the domain.
func (d *dependent) equal(left, right []int) ([]*expr.Node, error) {
	var on []*expr.Node
	for i := range left {
		l, r := d.b.col(left[i]), d.b.col(right[i])
		l.Type = bytewise(l.Type)
		eqs, err := d.b.sameValue(l, r)
		if err != nil {
			return nil, err
		}
		on = append(on, eqs...)
	}
	return on, nil
}

// sameValue is l <=> r, in equalities by which a join can look rows up.
func (b *binder) sameValue(l, r *expr.Node) ([]*expr.Node, error) {
	if l.Type.NotNull && r.Type.NotNull {
		eq, err := b.call("=", l, r)
		return []*expr.Node{eq}, err
	}
	if l.Type.Kind == types.KindJSON || l.Type.Kind == types.KindNull {
		eq, err := b.call("<=>", l, r)
		return []*expr.Node{eq}, err
	}
	var nulls, values [2]*expr.Node
	for i, x := range []*expr.Node{l, r} {
		var err error
		if nulls[i], err = b.call("isnull", x); err != nil {
			return nil, err
		}
		if values[i], err = b.call("case", nulls[i], &expr.Node{Kind: expr.NodeConst, Type: x.Type}, x); err != nil {
			return nil, err
		}
	}
	null, err := b.call("=", nulls[0], nulls[1])
	if err != nil {
		return nil, err
	}
	value, err := b.call("=", values[0], values[1])
	return []*expr.Node{value, null}, err
}

// join is a join for all members of the domain. An outer or a semi join needs a domain on the left even if only its right side asks.
func (d *dependent) join(r *rel) (*rel, []int, error) {
	left, right := r.kids[0], r.kids[1]
	if r.kind == physical.JoinInner && !d.uses(left) && d.uses(right) {
		right, ids, err := d.forAll(right)
		if err != nil {
			return nil, nil, err
		}
		return join(r.kind, left, right, r.mapped(d.within(ids)).on...), ids, nil
	}
	left, ids, err := d.forAll(left)
	if err != nil {
		return nil, nil, err
	}
	on := r.mapped(d.within(ids)).on
	if d.uses(right) {
		var theirs []int
		if right, theirs, err = d.forAll(right); err != nil {
			return nil, nil, err
		}
		eqs, err := d.equal(ids, theirs)
		if err != nil {
			return nil, nil, err
		}
		on = append(on, eqs...)
	}
	out := join(r.kind, left, right, on...)
	out.single = r.single
	return out, ids, nil
}

// set is a UNION, EXCEPT or INTERSECT for all members of the domain.
func (d *dependent) set(r *rel) (*rel, []int, error) {
	out := *r
	out.kids, out.inputs = nil, nil
	var ids []int
	for i, k := range r.kids {
		kid, of, err := d.forAll(k)
		if err != nil {
			return nil, nil, err
		}
		out.kids, out.inputs = append(out.kids, kid), append(out.inputs, slices.Concat(r.inputs[i], of))
		ids = of
	}
	shared := make([]int, len(ids))
	for i, id := range ids {
		shared[i] = d.b.newColumn(d.b.cols[id])
	}
	out.out = slices.Concat(r.out, shared)
	return &out, shared, nil
}

// values is rows of expressions, each of which is one for every member of the domain.
func (d *dependent) values(r *rel) (*rel, []int, error) {
	union := &rel{op: opUnion}
	for _, row := range r.rows {
		domain, ids := d.domain()
		items := d.b.same(ids)
		for i, x := range row {
			items = append(items, item{d.b.newColumn(d.b.cols[r.out[i]]), substitute(x, d.within(ids))})
		}
		kid := project(domain, items)
		union.kids, union.inputs = append(union.kids, kid), append(union.inputs, slices.Clone(kid.out))
	}
	var ids []int
	for _, id := range union.inputs[0][:len(d.free)] {
		ids = append(ids, d.b.newColumn(d.b.cols[id]))
	}
	union.out = slices.Concat(ids, r.out)
	return union, ids, nil
}

// scalar makes an aggregation that has grouped by the domain yield a row for each of its members again, also for those without rows.
func (d *dependent) scalar(groups *rel, ids []int) (*rel, []int, error) {
	domain, all := d.domain()
	on, err := d.equal(all, ids)
	if err != nil {
		return nil, nil, err
	}
	items := d.b.same(all)
	for i := range groups.aggs {
		a := &groups.aggs[i]
		shown := a.id
		a.id = d.b.newColumn(d.b.cols[shown])
		x := d.b.col(a.id)
		if empty := emptyAgg(a.fn); empty != nil {
			if x, err = d.b.call("coalesce", x, empty); err != nil {
				return nil, nil, err
			}
		}
		items = append(items, item{shown, x})
	}
	groups = aggregate(groups.kids[0], groups.items, groups.aggs)
	out := join(physical.JoinLeft, domain, groups, on...)
	out.single = true
	d.b.forgetNotNull(groups)
	return project(out, items), all, nil
}

// copyOf copies a tree, with other ids for all columns that it makes; it tells which those are.
func (b *binder) copyOf(r *rel) (*rel, map[int]int) {
	renamed := map[int]int{}
	r.walk(func(n *rel) {
		for _, id := range n.made() {
			if _, ok := renamed[id]; !ok {
				renamed[id] = b.newColumn(b.cols[id])
			}
		}
	})
	return r.renamed(renamed), renamed
}

// made are the columns that the rel yields, and those that it makes for itself.
func (r *rel) made() []int {
	ids := slices.Clone(r.out)
	for _, it := range r.items {
		ids = append(ids, it.id)
	}
	for _, a := range r.aggs {
		ids = append(ids, a.id)
	}
	for _, w := range r.windows {
		ids = append(ids, w.id)
	}
	return ids
}

// renamed copies a tree with some columns under other ids.
func (r *rel) renamed(ids map[int]int) *rel {
	out := r.mapped(func(c *expr.Node) *expr.Node {
		id, ok := ids[c.Col]
		if !ok {
			return nil
		}
		n := *c
		n.Col = id
		return &n
	})
	out.out = rename(r.out, ids)
	for i := range out.items {
		out.items[i].id = ids[out.items[i].id]
	}
	for i := range out.aggs {
		out.aggs[i].id = ids[out.aggs[i].id]
	}
	for i := range out.windows {
		out.windows[i].id = ids[out.windows[i].id]
	}
	out.kids, out.inputs = nil, nil
	for _, k := range r.kids {
		out.kids = append(out.kids, k.renamed(ids))
	}
	for _, in := range r.inputs {
		out.inputs = append(out.inputs, rename(in, ids))
	}
	return out
}

func rename(list []int, ids map[int]int) []int {
	out := make([]int, len(list))
	for i, id := range list {
		out[i] = ids[id]
	}
	return out
}

// mapped copies a rel (not its kids) with its columns substituted in all its expressions.
func (r *rel) mapped(f func(*expr.Node) *expr.Node) *rel {
	out := *r
	out.preds, out.items, out.on, out.partition = slices.Clone(r.preds), slices.Clone(r.items), slices.Clone(r.on), slices.Clone(r.partition)
	out.keys, out.aggs, out.windows = slices.Clone(r.keys), slices.Clone(r.aggs), slices.Clone(r.windows)
	for i := range out.aggs {
		out.aggs[i].fn.Order = slices.Clone(out.aggs[i].fn.Order)
	}
	for i := range out.windows {
		fn := &out.windows[i].fn
		fn.Args = slices.Clone(fn.Args)
		if fn.Range != nil {
			frame := *fn.Range
			fn.Range = &frame
		}
	}
	out.rows = slices.Clone(r.rows)
	for i := range out.rows {
		out.rows[i] = slices.Clone(out.rows[i])
	}
	out.eachExpr(func(e **expr.Node) { *e = substitute(*e, f) })
	return &out
}
