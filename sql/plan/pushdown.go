package plan

import (
	"slices"

	"stele/sql/expr"
	"stele/sql/physical"
)

// push moves predicates as far down as they can go; preds are those that must hold for what r yields. On the way outer
// joins whose NULL rows cannot pass become inner joins.
func (b *binder) push(r *rel, preds []*expr.Node) *rel {
	switch r.op {
	case opFilter:
		return b.push(r.kids[0], append(slices.Clone(preds), b.factorAll(r.preds)...))
	case opProject:
		return b.pushProject(r, preds)
	case opJoin:
		return b.pushJoin(r, preds)
	case opAgg:
		return b.pushAgg(r, preds)
	case opSort:
		if r.limit < 0 {
			r.kids[0] = b.push(r.kids[0], preds)
			return r
		}
	case opUnion:
		return b.pushUnion(r, preds)
	case opWindow:
		return b.pushWindow(r, preds)
	case opScan:
		return filter(r, append(preds, b.derive(preds)...)...)
	}
	for i, k := range r.kids {
		r.kids[i] = b.push(k, nil)
	}
	return filter(r, preds...)
}

// pushProject rewrites predicates in terms of the input. A volatile column is not computed twice.
func (b *binder) pushProject(r *rel, preds []*expr.Node) *rel {
	sub := itemsOf(r)
	var down, stay []*expr.Node
	for _, p := range preds {
		if q := substitute(p, sub); expr.IsVolatile(q) {
			stay = append(stay, p)
		} else {
			down = append(down, b.refold(q))
		}
	}
	r.kids[0] = b.push(r.kids[0], down)
	return filter(r, stay...)
}

// refold evaluates what has become constant.
func (b *binder) refold(p *expr.Node) *expr.Node {
	n, err := b.foldDeep(p)
	if err != nil {
		return p
	}
	return n
}

// foldDeep folds a whole tree.
func (b *binder) foldDeep(p *expr.Node) (*expr.Node, error) { return expr.Fold(p, b.evalContext()) }

// pushAgg lets through what depends on groups only; a scalar aggregation yields its row whatever its input is.
func (b *binder) pushAgg(r *rel, preds []*expr.Node) *rel {
	var down, stay []*expr.Node
	made := idSet{}
	for _, g := range r.items {
		made.add(g.id)
	}
	sub := itemsOf(r)
	for _, p := range preds {
		if !r.scalar && len(r.items) > 0 && made.covers(p) && !expr.IsVolatile(p) {
			down = append(down, substitute(p, sub))
		} else {
			stay = append(stay, p)
		}
	}
	r.kids[0] = b.push(r.kids[0], down)
	return filter(r, stay...)
}

// pushUnion copies predicates into every member.
func (b *binder) pushUnion(r *rel, preds []*expr.Node) *rel {
	for i, k := range r.kids {
		sub := func(c *expr.Node) *expr.Node {
			if at := slices.Index(r.out, c.Col); at >= 0 {
				return b.col(r.inputs[i][at])
			}
			return nil
		}
		var down []*expr.Node
		for _, p := range preds {
			down = append(down, substitute(p, sub))
		}
		r.kids[i] = b.push(k, down)
	}
	return r
}

// restrict makes a rel yield exactly these columns.
func (b *binder) restrict(r *rel, out []int) *rel {
	var items []item
	for _, id := range out {
		items = append(items, item{id, b.col(id)})
	}
	return project(r, items)
}

// pushWindow lets through what holds for whole partitions.
func (b *binder) pushWindow(r *rel, preds []*expr.Node) *rel {
	made := idSet{}
	for _, p := range r.partition {
		if p.Kind == expr.NodeColumn {
			made.add(p.Col)
		}
	}
	var down, stay []*expr.Node
	for _, p := range preds {
		if made.covers(p) && made.touches(p) {
			down = append(down, p)
		} else {
			stay = append(stay, p)
		}
	}
	r.kids[0] = b.push(r.kids[0], down)
	return filter(r, stay...)
}

// pushJoin distributes predicates over the sides of a join and its condition.
func (b *binder) pushJoin(r *rel, preds []*expr.Node) *rel {
	left, right := newSet(r.kids[0].out...), newSet(r.kids[1].out...)
	if (r.kind == physical.JoinLeft || r.kind == physical.JoinScalar && atMostOneRow(r.kids[1])) && rejectsNull(preds, right) {
		r.kind = physical.JoinInner
	}
	if r.kind == physical.JoinInner {
		return b.pushInner(r, left, right, append(slices.Clone(preds), b.factorAll(r.on)...))
	}
	var toLeft, toRight, on, stay []*expr.Node
	for _, p := range preds {
		if left.covers(p) && !expr.IsVolatile(p) {
			toLeft = append(toLeft, p)
		} else {
			stay = append(stay, p)
		}
	}
	for _, p := range b.factorAll(r.on) {
		switch {
		case right.covers(p) && right.touches(p) && r.kind != physical.JoinAntiNull:
			toRight = append(toRight, p)
		case r.kind == physical.JoinSemi && left.covers(p) && !isFalse(p):
			toLeft = append(toLeft, p)
		default:
			on = append(on, p)
		}
	}
	if r.kind != physical.JoinAntiNull {
		toRight = append(toRight, b.transfer(toLeft, on, right)...)
	}
	r.on = on
	r.kids[0], r.kids[1] = b.push(r.kids[0], toLeft), b.push(r.kids[1], toRight)
	r.setJoinOut()
	return filter(r, stay...)
}

// pushInner puts each condition of an inner join where its columns are.
func (b *binder) pushInner(r *rel, left, right idSet, preds []*expr.Node) *rel {
	var toLeft, toRight, on, stay []*expr.Node
	preds = append(preds, b.derive(preds)...)
	for _, p := range preds {
		switch {
		case expr.IsVolatile(p):
			stay = append(stay, p)
		case left.covers(p):
			toLeft = append(toLeft, p)
		case right.covers(p):
			toRight = append(toRight, p)
		default:
			on = append(on, p)
		}
	}
	r.on = dedup(on)
	r.kids[0], r.kids[1] = b.push(r.kids[0], dedup(toLeft)), b.push(r.kids[1], dedup(toRight))
	r.setJoinOut()
	return filter(r, stay...)
}

// dedup drops predicates that are there already.
func dedup(preds []*expr.Node) []*expr.Node {
	var out []*expr.Node
	for _, p := range preds {
		if !slices.ContainsFunc(out, func(o *expr.Node) bool { return sameExpr(o, p) }) {
			out = append(out, p)
		}
	}
	return out
}

// derive carries constant conditions over equalities of columns: a = b and a > 1 give b > 1.
func (b *binder) derive(preds []*expr.Node) []*expr.Node {
	var out []*expr.Node
	for _, eq := range preds {
		l, r, ok := columnEquality(eq)
		if !ok {
			continue
		}
		for _, p := range preds {
			if c, ok := constantCondition(p); ok && (c == l.Col || c == r.Col) {
				from, to := l, r
				if c == r.Col {
					from, to = r, l
				}
				if q := replaceColumn(p, from.Col, to); !slices.ContainsFunc(preds, func(o *expr.Node) bool { return sameExpr(o, q) }) {
					out = append(out, q)
				}
			}
		}
	}
	return out
}

// transfer carries constant conditions of the left side over the equalities of a join to its right side.
func (b *binder) transfer(left, on []*expr.Node, right idSet) []*expr.Node {
	var out []*expr.Node
	for _, q := range b.derive(append(slices.Clone(left), on...)) {
		if right.covers(q) {
			out = append(out, q)
		}
	}
	return out
}

// columnEquality reads "column = column" of one type.
func columnEquality(p *expr.Node) (l, r *expr.Node, ok bool) {
	if !isCall(p, "=") || p.Args[0].Kind != expr.NodeColumn || p.Args[1].Kind != expr.NodeColumn {
		return nil, nil, false
	}
	a, c := p.Args[0].Type, p.Args[1].Type
	a.NotNull, c.NotNull = false, false
	return p.Args[0], p.Args[1], a == c || a.IsInteger() && c.IsInteger() && a.Unsigned == c.Unsigned || a.IsText() && c.IsText()
}

// constantCondition reads a comparison of one bare column with constants.
func constantCondition(p *expr.Node) (col int, ok bool) {
	if p.Kind != expr.NodeCall || inverse[p.Func] == "" && p.Func != "in" {
		return 0, false
	}
	col = -1
	for _, a := range p.Args {
		switch {
		case a.Kind == expr.NodeConst:
		case a.Kind == expr.NodeColumn && col < 0:
			col = a.Col
		default:
			return 0, false
		}
	}
	return col, col >= 0
}

// replaceColumn puts one column in the place of another.
func replaceColumn(p *expr.Node, from int, to *expr.Node) *expr.Node {
	return substitute(p, func(c *expr.Node) *expr.Node {
		if c.Col == from {
			return to
		}
		return nil
	})
}

// rejectsNull reports whether no row passes in which all columns of the set are NULL.
func rejectsNull(preds []*expr.Node, cols idSet) bool {
	return slices.ContainsFunc(preds, func(p *expr.Node) bool { return !trueOfNull(p, cols) })
}

// trueOfNull reports whether a predicate may be TRUE when the columns of the set are NULL.
func trueOfNull(p *expr.Node, cols idSet) bool {
	if p.Kind == expr.NodeCall {
		switch p.Func {
		case "and":
			return !slices.ContainsFunc(p.Args, func(a *expr.Node) bool { return !trueOfNull(a, cols) })
		case "or":
			return slices.ContainsFunc(p.Args, func(a *expr.Node) bool { return trueOfNull(a, cols) })
		case "not":
			if isCall(p.Args[0], "isnull") && nullOfNull(p.Args[0].Args[0], cols) {
				return false
			}
		}
	}
	return !nullOfNull(p, cols)
}

// nullOfNull reports whether an expression is surely NULL when the columns of the set are.
func nullOfNull(e *expr.Node, cols idSet) bool {
	switch e.Kind {
	case expr.NodeColumn:
		return cols.has(e.Col)
	case expr.NodeConst:
		return e.Value.Null
	}
	switch e.Func {
	case "=", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "div", "neg", "not", "like", "cast", "xor":
		return slices.ContainsFunc(e.Args, func(a *expr.Node) bool { return nullOfNull(a, cols) })
	case "in":
		return nullOfNull(e.Args[0], cols)
	}
	if _, ok := keyOf(e); ok {
		return nullOfNull(e.Args[0], cols)
	}
	return false
}

// factorAll takes common factors out of the ORs of a list: (a and b) or (a and c) is a and (b or c).
func (b *binder) factorAll(preds []*expr.Node) []*expr.Node {
	var out []*expr.Node
	for _, p := range preds {
		out = append(out, factor(p)...)
	}
	return out
}

// factor takes the common factors out of one predicate.
func factor(p *expr.Node) []*expr.Node {
	arms := disjuncts(p)
	if len(arms) < 2 {
		return conjuncts(p)
	}
	parts := make([][]*expr.Node, len(arms))
	for i, a := range arms {
		parts[i] = conjuncts(a)
	}
	var common []*expr.Node
	for _, c := range parts[0] {
		everywhere := !expr.IsVolatile(c)
		for _, arm := range parts[1:] {
			everywhere = everywhere && slices.ContainsFunc(arm, func(o *expr.Node) bool { return sameExpr(o, c) })
		}
		if everywhere {
			common = append(common, c)
		}
	}
	if len(common) == 0 {
		return append([]*expr.Node{p}, implied(parts)...)
	}
	var rest []*expr.Node
	for i := range parts {
		parts[i] = slices.DeleteFunc(parts[i], func(c *expr.Node) bool {
			return slices.ContainsFunc(common, func(o *expr.Node) bool { return sameExpr(o, c) })
		})
		if len(parts[i]) == 0 {
			return common
		}
		rest = append(rest, and(parts[i]...))
	}
	return append(common, append([]*expr.Node{or(rest...)}, implied(parts)...)...)
}

// implied makes, for each column that every arm of an OR compares with constants, the OR of those comparisons: it holds
// wherever the whole does, and can be pushed to the column's table (TPC-H Q7, Q19).
func implied(parts [][]*expr.Node) []*expr.Node {
	var out []*expr.Node
	seen := idSet{}
	for _, c := range parts[0] {
		col, ok := constantCondition(c)
		if !ok || seen.has(col) {
			continue
		}
		seen.add(col)
		var arms []*expr.Node
		for _, arm := range parts {
			var mine []*expr.Node
			for _, p := range arm {
				if got, ok := constantCondition(p); ok && got == col {
					mine = append(mine, p)
				}
			}
			if len(mine) == 0 {
				arms = nil
				break
			}
			arms = append(arms, and(mine...))
		}
		if len(arms) > 0 && len(allColumns(parts)) > 1 {
			out = append(out, or(arms...))
		}
	}
	return out
}

// allColumns collects the columns of the arms of an OR.
func allColumns(parts [][]*expr.Node) idSet {
	s := idSet{}
	for _, arm := range parts {
		for _, p := range arm {
			s.addExpr(p)
		}
	}
	return s
}
