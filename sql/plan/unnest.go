package plan

import (
	"math"
	"slices"

	"stele/sql/expr"
	"stele/sql/physical"
)

// pull frees a subquery of its correlation: conditions that use columns of enclosing queries are taken out and returned,
// to become the condition of the join that puts the subquery in its place. The columns that they need come out of the
// returned rel. dups says that it does not matter how often a row comes, as below EXISTS and IN.
func (b *binder) pull(r *rel, dups bool) (*rel, []*expr.Node, error) {
	if len(r.freeColumns()) == 0 {
		return r, nil, nil
	}
	out, on, err := b.pullOp(r, dups)
	if err == nil && len(out.freeColumns()) > 0 { // in an aggregate, an order or a window
		err = refuse("a correlated subquery that aggregates, orders or numbers its rows by columns of the outer query")
	}
	return out, on, err
}

func (b *binder) pullOp(r *rel, dups bool) (*rel, []*expr.Node, error) {
	switch r.op {
	case opFilter:
		return b.pullFilter(r, dups)
	case opProject:
		return b.pullProject(r, dups)
	case opJoin:
		return b.pullJoin(r, dups)
	case opAgg:
		return b.pullAgg(r)
	case opSort, opLimit:
		return b.pullLimit(r)
	case opWindow:
		return b.pullWindow(r)
	}
	return nil, nil, refuse("a correlated subquery of this form")
}

// split parts conditions into those that use only made columns and the correlated rest.
func split(preds []*expr.Node, made idSet) (own, free []*expr.Node) {
	for _, p := range preds {
		if made.covers(p) {
			own = append(own, p)
		} else {
			free = append(free, p)
		}
	}
	return own, free
}

func (b *binder) pullFilter(r *rel, dups bool) (*rel, []*expr.Node, error) {
	kid, lifted, err := b.pull(r.kids[0], dups)
	if err != nil {
		return nil, nil, err
	}
	own, free := split(r.preds, newSet(kid.out...))
	return filter(kid, own...), append(lifted, free...), nil
}

func (b *binder) pullProject(r *rel, dups bool) (*rel, []*expr.Node, error) {
	kid, lifted, err := b.pull(r.kids[0], dups)
	if err != nil {
		return nil, nil, err
	}
	made := newSet(kid.out...)
	items := slices.Clone(r.items)
	have := newSet(r.out...)
	for _, it := range items {
		if !made.covers(it.expr) {
			return nil, nil, refuse("a correlated subquery whose select list uses columns of the outer query")
		}
	}
	for _, p := range lifted {
		eachColumn(p, func(id int) {
			if made.has(id) && !have.has(id) {
				have.add(id)
				items = append(items, item{id, b.col(id)})
			}
		})
	}
	return project(kid, items), lifted, nil
}

func (b *binder) pullJoin(r *rel, dups bool) (*rel, []*expr.Node, error) {
	left, lifted, err := b.pull(r.kids[0], dups)
	if err != nil {
		return nil, nil, err
	}
	right := r.kids[1]
	if r.kind == physical.JoinInner {
		var more []*expr.Node
		if right, more, err = b.pull(right, dups); err != nil {
			return nil, nil, err
		}
		lifted = append(lifted, more...)
	} else if len(right.freeColumns()) > 0 {
		return nil, nil, refuse("a correlated subquery below an outer join")
	}
	made := newSet(left.out...)
	made.add(right.out...)
	own, free := split(r.on, made)
	kind := r.kind
	if len(free) > 0 && kind == physical.JoinSemi && dups {
		kind = physical.JoinInner // the condition needs columns of both sides further out
	}
	if len(free) > 0 && kind != physical.JoinInner {
		return nil, nil, refuse("a subquery that refers to a query further out than the next")
	}
	out := join(kind, left, right, own...)
	out.single = r.single
	return out, append(lifted, free...), nil
}

// pullAgg groups by the correlation as well.
func (b *binder) pullAgg(r *rel) (*rel, []*expr.Node, error) {
	if r.scalar {
		return nil, nil, refuse("a correlated subquery with an aggregate in this place")
	}
	kid, lifted, err := b.pull(r.kids[0], false)
	if err != nil {
		return nil, nil, err
	}
	keys, on, err := b.correlationKeys(kid, lifted)
	if err != nil {
		return nil, nil, err
	}
	made := newSet(kid.out...)
	for _, it := range r.items {
		if !made.covers(it.expr) {
			return nil, nil, refuse("a correlated subquery that groups by columns of the outer query")
		}
	}
	return aggregate(kid, append(slices.Clone(r.items), keys...), r.aggs), on, nil
}

// correlationKeys turns the correlated conditions of a rel into columns to group by, and conditions over those. Only
// equalities of an inner with an outer expression can be treated so.
func (b *binder) correlationKeys(r *rel, lifted []*expr.Node) ([]item, []*expr.Node, error) {
	made := newSet(r.out...)
	var keys []item
	var on []*expr.Node
	for _, p := range lifted {
		inner := correlatedEqual(p, made)
		if inner < 0 {
			return nil, nil, refuse("a correlated subquery with an aggregate or LIMIT whose correlation is not an equality")
		}
		key := item{b.newColumn(column{typ: p.Args[inner].Type}), p.Args[inner]}
		if i := slices.IndexFunc(keys, func(k item) bool { return sameExpr(k.expr, p.Args[inner]) }); i >= 0 {
			key = keys[i]
		} else {
			keys = append(keys, key)
		}
		eq := *p
		eq.Args = slices.Clone(p.Args)
		eq.Args[inner] = b.col(key.id)
		on = append(on, &eq)
	}
	return keys, on, nil
}

// correlatedEqual returns which side of an equality is of the subquery, when the other is wholly outside; else -1.
func correlatedEqual(p *expr.Node, made idSet) int {
	if !isCall(p, "=") {
		return -1
	}
	for i := range 2 {
		if made.covers(p.Args[i]) && made.touches(p.Args[i]) && !made.touches(p.Args[1-i]) {
			return i
		}
	}
	return -1
}

// pullLimit keeps the first rows for each value of the correlation by numbering them.
func (b *binder) pullLimit(r *rel) (*rel, []*expr.Node, error) {
	kid, lifted, err := b.pull(r.kids[0], false)
	if err != nil {
		return nil, nil, err
	}
	if r.limit < 0 {
		return kid, lifted, nil
	}
	made := newSet(kid.out...)
	var by []*expr.Node
	for _, p := range lifted {
		inner := correlatedEqual(p, made)
		if inner < 0 {
			return nil, nil, refuse("a correlated subquery with LIMIT whose correlation is not an equality")
		}
		by = append(by, p.Args[inner])
	}
	first, err := b.firstOf(kid, by, r.keys, r)
	return first, lifted, err
}

// firstOf keeps, of the rows for each value of some expressions, those that a limit keeps, by numbering them in an order.
func (b *binder) firstOf(r *rel, by []*expr.Node, order []expr.SortKey, limited *rel) (*rel, error) {
	w := b.numbered(r)
	w.partition, w.keys = by, order
	number := b.col(w.windows[0].id)
	last := limited.limit + min(limited.offset, math.MaxInt64-limited.limit) // LIMIT 1, 18446744073709551615 asks for all
	hi, err := b.call("<=", number, constInt(last))
	if err != nil {
		return nil, err
	}
	lo, err := b.call(">", number, constInt(limited.offset))
	if err != nil {
		return nil, err
	}
	return filter(w, hi, lo), nil
}

// pullWindow partitions by the correlation as well.
func (b *binder) pullWindow(r *rel) (*rel, []*expr.Node, error) {
	kid, lifted, err := b.pull(r.kids[0], false)
	if err != nil {
		return nil, nil, err
	}
	made := newSet(kid.out...)
	w := *r
	w.kids = []*rel{kid}
	w.partition = slices.Clone(r.partition)
	for _, p := range lifted {
		inner := correlatedEqual(p, made)
		if inner < 0 {
			return nil, nil, refuse("a correlated subquery with a window function whose correlation is not an equality")
		}
		w.partition = append(w.partition, p.Args[inner])
	}
	w.out = slices.Clone(kid.out)
	for _, f := range w.windows {
		w.out = append(w.out, f.id)
	}
	return &w, lifted, nil
}
