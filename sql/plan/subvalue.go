package plan

import (
	"stele/meta/types"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
)

// countOf makes COUNT(arg), or COUNT(*) without one.
func (b *binder) countOf(arg *expr.Node) aggItem {
	t := types.ColumnType{Kind: types.KindBigInt, NotNull: true}
	return aggItem{b.newColumn(column{name: "count", typ: t}), expr.AggFunc{Name: "count", Arg: arg, Type: t}}
}

// existsValue is EXISTS where its truth is needed as a value: COUNT(*) of the rows is not 0.
func (e *env) existsValue(n *ast.ExistsSubqueryExpr) (*expr.Node, error) {
	out, err := e.subquery(n.Sel, 0)
	if err != nil {
		return nil, err
	}
	r := existsCore(out.rel)
	if alwaysOneRow(r) {
		return constBool(!n.Not), nil
	}
	if len(r.freeColumns()) == 0 {
		r = &rel{op: opLimit, kids: []*rel{r}, out: r.out, limit: 1}
	}
	count := e.b.countOf(nil)
	sub, err := e.attachAgg(r, []aggItem{count})
	if err != nil {
		return nil, err
	}
	name := "!="
	if n.Not {
		name = "="
	}
	return e.b.call(name, substitute(e.b.col(count.id), sub), constInt(0))
}

// inValue is IN (query) where its truth is needed as a value: the number of equal members, of members and of NULLs
// decide between TRUE, FALSE and NULL.
func (e *env) inValue(n *ast.PatternInExpr) (*expr.Node, error) {
	left, err := e.operand(n.Expr)
	if err != nil {
		return nil, err
	}
	var v *expr.Node
	if len(left) == 1 {
		v, err = e.membership(left[0], n.Sel)
	} else {
		v, err = e.rowMembership(left, n.Sel)
	}
	if err != nil || !n.Not {
		return v, err
	}
	return e.b.not(v)
}

// membership is the truth of x IN (query).
func (e *env) membership(left *expr.Node, sel ast.ExprNode) (*expr.Node, error) {
	match, err := e.matchMark(left, sel)
	if err != nil && !refused(err) {
		return nil, err
	}
	counted := refused(err)
	out, err := e.subquery(sel, 1)
	if err != nil {
		return nil, err
	}
	col := e.b.col(out.fields[0].id)
	all, known := e.b.countOf(nil), e.b.countOf(col)
	aggs := []aggItem{all, known}
	if counted { // the equal members are counted, too
		eq, err := e.b.call("=", left, col)
		if err != nil {
			return nil, err
		}
		if eq, err = e.b.call("case", eq, constBool(true), constNull(boolType)); err != nil {
			return nil, err
		}
		aggs = append(aggs, e.b.countOf(eq))
	}
	sub, err := e.attachAgg(out.rel, aggs)
	if err != nil {
		return nil, err
	}
	if counted {
		if match, err = e.b.call("!=", substitute(e.b.col(aggs[2].id), sub), constInt(0)); err != nil {
			return nil, err
		}
	}
	return e.b.threeWay(match, constBool(true), left, substitute(e.b.col(all.id), sub), substitute(e.b.col(known.id), sub))
}

// rowMembership is the truth of a row IN (query): the members that are equal are counted, and those of which NULLs leave it open.
func (e *env) rowMembership(left []*expr.Node, sel ast.ExprNode) (*expr.Node, error) {
	out, err := e.subquery(sel, len(left))
	if err != nil {
		return nil, err
	}
	eqs := make([]*expr.Node, len(left))
	for i, f := range out.fields {
		if eqs[i], err = e.b.call("=", left[i], e.b.col(f.id)); err != nil {
			return nil, err
		}
	}
	eq := and(eqs...)
	open, err := e.b.call("isnull", eq)
	if err != nil {
		return nil, err
	}
	aggs := make([]aggItem, 2)
	for i, p := range []*expr.Node{eq, open} {
		if p, err = e.b.call("case", p, constBool(true), constNull(boolType)); err != nil {
			return nil, err
		}
		aggs[i] = e.b.countOf(p)
	}
	sub, err := e.attachAgg(out.rel, aggs)
	if err != nil {
		return nil, err
	}
	some := make([]*expr.Node, 2)
	for i, a := range aggs {
		if some[i], err = e.b.call("!=", substitute(e.b.col(a.id), sub), constInt(0)); err != nil {
			return nil, err
		}
	}
	return e.b.call("case", some[0], constBool(true), some[1], constNull(boolType), constBool(false))
}

// compareRowTo compares a row with the row that a query yields, which is all NULL when it yields none.
func (e *env) compareRowTo(name string, row *ast.RowExpr, sub *ast.SubqueryExpr) (*expr.Node, error) {
	left, err := e.values(row.Values)
	if err != nil {
		return nil, err
	}
	out, err := e.subquery(sub, len(left))
	if err != nil {
		return nil, err
	}
	r, on, err := e.pull(out.rel, false)
	if err != nil {
		return nil, err
	}
	e.rel = join(physical.JoinScalar, e.rel, r, on...)
	e.b.forgetNotNull(r)
	right := make([]*expr.Node, len(left))
	for i, f := range out.fields {
		right[i] = e.b.col(f.id)
	}
	return e.b.compareLists(name, left, right)
}

// matchMark joins the distinct members of a query to the rows whose value is among them, and tells which those are.
func (e *env) matchMark(left *expr.Node, sel ast.ExprNode) (*expr.Node, error) {
	out, err := e.subquery(sel, 1)
	if err != nil {
		return nil, err
	}
	col := e.b.col(out.fields[0].id)
	eq, err := e.b.call("=", left, col)
	if err != nil {
		return nil, err
	}
	r, on, err := e.pull(out.rel, true)
	if err != nil {
		return nil, err
	}
	groups, on, err := e.b.correlationKeys(r, on)
	if err != nil {
		return nil, err
	}
	count := e.b.countOf(nil)
	member := item{e.b.newColumn(column{typ: col.Type}), col}
	eq = substitute(eq, func(c *expr.Node) *expr.Node {
		if c.Col == col.Col {
			return e.b.col(member.id)
		}
		return nil
	})
	e.leftJoin(aggregate(r, append(groups, member), []aggItem{count}), append(on, eq)...)
	null, err := e.b.call("isnull", e.b.col(count.id))
	if err != nil {
		return nil, err
	}
	return e.b.call("not", null)
}

// threeWay decides a quantified comparison: when hit holds the answer is known; over nothing it is the opposite; a NULL on
// either side leaves it unknown; otherwise it is the opposite as well.
func (b *binder) threeWay(hit, answer, left, all, known *expr.Node) (*expr.Node, error) {
	other := constBool(!truth(answer))
	none, err := b.call("=", all, constInt(0))
	if err != nil {
		return nil, err
	}
	null, err := b.call("isnull", left)
	if err != nil {
		return nil, err
	}
	gaps, err := b.call(">", all, known)
	if err != nil {
		return nil, err
	}
	unknown, err := b.call("or", null, gaps)
	if err != nil {
		return nil, err
	}
	return b.call("case", hit, answer, none, other, unknown, constNull(boolType), other)
}

// deciding are the aggregates of which one tells whether a comparison holds for any member: if all but one member are
// equal, either the least or the greatest differs.
var deciding = map[string][]string{">": {"min"}, ">=": {"min"}, "<": {"max"}, "<=": {"max"}, "!=": {"min", "max"}}

// compareValue is x op ANY/ALL (query) where its truth is needed as a value.
func (e *env) compareValue(n *ast.CompareSubqueryExpr) (*expr.Node, error) {
	op := binaryNames[n.Op]
	if op == "=" && !n.All || op == "!=" && n.All {
		return e.inValue(&ast.PatternInExpr{Expr: n.L, Sel: n.R, Not: n.All})
	}
	if inverse[op] == "" {
		return nil, refuse(op + " with ANY or ALL")
	}
	left, err := e.value(n.L)
	if err != nil {
		return nil, err
	}
	out, err := e.subquery(n.R, 1)
	if err != nil {
		return nil, err
	}
	col := e.b.col(out.fields[0].id)
	answer := !n.All
	if n.All {
		op = inverse[op] // whoever is not so decides
	}
	all, known := e.b.countOf(nil), e.b.countOf(col)
	aggs := []aggItem{all, known}
	for _, name := range deciding[op] {
		t := col.Type
		t.NotNull = false
		aggs = append(aggs, aggItem{e.b.newColumn(column{name: name, typ: t}), expr.AggFunc{Name: name, Arg: col, Type: t}})
	}
	sub, err := e.attachAgg(out.rel, aggs)
	if err != nil {
		return nil, err
	}
	hits := make([]*expr.Node, len(aggs)-2)
	for i, a := range aggs[2:] {
		if hits[i], err = e.b.call(op, left, substitute(e.b.col(a.id), sub)); err != nil {
			return nil, err
		}
	}
	hit := hits[0]
	if len(hits) > 1 {
		if hit, err = e.b.call("or", hits...); err != nil {
			return nil, err
		}
	}
	return e.b.threeWay(hit, constBool(answer), left, substitute(e.b.col(all.id), sub), substitute(e.b.col(known.id), sub))
}
