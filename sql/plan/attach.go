package plan

import (
	"slices"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
)

// attachAgg joins the aggregates of the rows of r that belong to each row of e.rel. It returns how to read their results:
// where no row belongs, COUNT is 0 and the bit aggregates are what they are of nothing.
func (e *env) attachAgg(r *rel, aggs []aggItem) (func(*expr.Node) *expr.Node, error) {
	r, aggs = withoutProject(r, aggs)
	r, on, err := e.pull(r, false)
	if err != nil {
		return nil, err
	}
	made := newSet(r.out...)
	if slices.ContainsFunc(aggs, func(a aggItem) bool { return a.fn.Arg != nil && !made.covers(a.fn.Arg) }) {
		return itself, e.attachRows(r, on, aggs)
	}
	if len(on) == 0 {
		e.rel = join(physical.JoinInner, e.rel, aggregate(r, nil, aggs))
		return itself, nil
	}
	groups, keyed, err := e.b.correlationKeys(r, on)
	if refused(err) {
		return itself, e.attachRows(r, on, aggs)
	}
	if err != nil {
		return nil, err
	}
	e.leftJoin(aggregate(r, groups, aggs), keyed...)
	empty := map[int]*expr.Node{}
	for _, a := range aggs {
		if v := emptyAgg(a.fn); v != nil {
			col := e.b.col(a.id)
			if empty[a.id], err = e.b.call("coalesce", col, v); err != nil {
				return nil, err
			}
		} else {
			empty[a.id] = e.b.col(a.id)
		}
	}
	return func(c *expr.Node) *expr.Node { return empty[c.Col] }, nil
}

// itself substitutes nothing.
func itself(*expr.Node) *expr.Node { return nil }

// withoutProject has aggregates compute what a projection below them does.
func withoutProject(r *rel, aggs []aggItem) (*rel, []aggItem) {
	for r.op == opProject {
		sub := itemsOf(r)
		aggs = slices.Clone(aggs)
		for i := range aggs {
			if arg := aggs[i].fn.Arg; arg != nil {
				aggs[i].fn.Arg = substitute(arg, sub)
			}
		}
		r = r.kids[0]
	}
	return r, aggs
}

// attachRows is attachAgg for any correlation: each row of e.rel gets a number and is joined to all rows that belong to
// it, and what comes out is grouped by the number. It takes time and memory for all pairs.
func (e *env) attachRows(r *rel, on []*expr.Node, aggs []aggItem) error {
	r, mark := e.b.marked(r)
	e.b.forgetNotNull(r)
	mark = e.b.col(mark.Col)
	left := e.b.numbered(e.rel)
	guarded := slices.Clone(aggs)
	for i := range guarded {
		f := &guarded[i].fn
		if f.Arg == nil {
			f.Arg = mark // COUNT(*) of the rows that belong
			continue
		}
		arg, err := e.b.whenFound(mark, f.Arg)
		if err != nil {
			return err
		}
		f.Arg = arg
	}
	e.rel = aggregate(join(physical.JoinLeft, left, r, on...), e.b.same(left.out), guarded)
	return nil
}

// same are items that pass columns on.
func (b *binder) same(ids []int) []item {
	out := make([]item, len(ids))
	for i, id := range ids {
		out[i] = item{id, b.col(id)}
	}
	return out
}

// numbered gives each row a number of its own.
func (b *binder) numbered(r *rel) *rel {
	t := types.ColumnType{Kind: types.KindBigInt, Unsigned: true, NotNull: true}
	number := winItem{b.newColumn(column{name: "row_number", typ: t}), physical.WindowFunc{Name: "row_number", Type: t}}
	return &rel{op: opWindow, kids: []*rel{r}, out: append(slices.Clone(r.out), number.id), windows: []winItem{number}}
}

// marked adds a column that is NULL only where an outer join has found no row.
func (b *binder) marked(r *rel) (*rel, *expr.Node) {
	mark := item{b.newColumn(column{name: "found", typ: boolType}), constBool(true)}
	return project(r, append(b.same(r.out), mark)), b.col(mark.id)
}

// whenFound is a value where the mark is set, and NULL elsewhere.
func (b *binder) whenFound(mark, value *expr.Node) (*expr.Node, error) {
	null, err := b.call("isnull", mark)
	if err != nil {
		return nil, err
	}
	n, err := b.call("case", null, constNull(value.Type), value)
	if err != nil {
		return nil, err
	}
	return b.coerce(n, value.Type)
}

// emptyAgg is the value of an aggregate over nothing when that is not NULL.
func emptyAgg(f expr.AggFunc) *expr.Node {
	switch f.Name {
	case "count", "bit_or", "bit_xor":
		return &expr.Node{Kind: expr.NodeConst, Type: f.Type}
	case "bit_and":
		return &expr.Node{Kind: expr.NodeConst, Type: f.Type, Value: expr.Value{I: -1}}
	}
	return nil
}
