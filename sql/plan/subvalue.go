package plan

import (
	"stele/meta/types"
	"stele/sql/expr"
	ast "stele/sql/parse"
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
	if len(left) != 1 {
		return nil, refuse("IN of rows over a query outside AND-ed conditions")
	}
	match, err := e.matchMark(left[0], n.Sel)
	if err != nil {
		return nil, err
	}
	out, err := e.subquery(n.Sel, 1)
	if err != nil {
		return nil, err
	}
	col := e.b.col(out.fields[0].id)
	all, known := e.b.countOf(nil), e.b.countOf(col)
	sub, err := e.attachAgg(out.rel, []aggItem{all, known})
	if err != nil {
		return nil, err
	}
	v, err := e.b.threeWay(match, constBool(true), left[0], substitute(e.b.col(all.id), sub), substitute(e.b.col(known.id), sub))
	if err != nil || !n.Not {
		return v, err
	}
	return e.b.not(v)
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
	r, on, err := e.b.pull(out.rel, true)
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

// extreme maps a comparison with ANY to the aggregate that decides it; with ALL it is the other one.
var extreme = map[string][2]string{">": {"min", "max"}, ">=": {"min", "max"}, "<": {"max", "min"}, "<=": {"max", "min"}}

// compareValue is x op ANY/ALL (query) where its truth is needed as a value.
func (e *env) compareValue(n *ast.CompareSubqueryExpr) (*expr.Node, error) {
	op := binaryNames[n.Op]
	if op == "=" && !n.All || op == "!=" && n.All {
		return e.inValue(&ast.PatternInExpr{Expr: n.L, Sel: n.R, Not: n.All})
	}
	names, ok := extreme[op]
	if !ok {
		return nil, refuse(op + " with ANY or ALL outside AND-ed conditions")
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
	name, answer := names[0], constBool(true)
	if n.All {
		name, answer, op = names[1], constBool(false), inverse[op]
	}
	t := col.Type
	t.NotNull = false
	ext := aggItem{e.b.newColumn(column{name: name, typ: t}), expr.AggFunc{Name: name, Arg: col, Type: t}}
	all, known := e.b.countOf(nil), e.b.countOf(col)
	sub, err := e.attachAgg(out.rel, []aggItem{ext, all, known})
	if err != nil {
		return nil, err
	}
	hit, err := e.b.call(op, left, e.b.col(ext.id))
	if err != nil {
		return nil, err
	}
	return e.b.threeWay(hit, answer, left, substitute(e.b.col(all.id), sub), substitute(e.b.col(known.id), sub))
}
