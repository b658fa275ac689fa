package plan

import (
	"cmp"
	"slices"
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
)

// bind turns an AST expression into a typed one over column ids.
func (e *env) bind(n ast.ExprNode) (*expr.Node, error) {
	out, err := e.bindNode(n)
	if err != nil {
		return nil, err
	}
	return e.grouping(out)
}

// bindNode dispatches on the kind of expression.
func (e *env) bindNode(n ast.ExprNode) (*expr.Node, error) {
	switch n := n.(type) {
	case *ast.ParenthesesExpr:
		return e.bind(n.Expr)
	case *ast.ColumnNameExpr:
		return e.column(n.Name)
	case ast.ParamMarkerExpr:
		x, err := e.b.param(n)
		return e.b.slotted(n, x, err)
	case ast.ValueExpr:
		x, err := e.b.literal(n)
		return e.b.slotted(n, x, err)
	case *ast.BinaryOperationExpr:
		return e.binary(n)
	case *ast.UnaryOperationExpr:
		return e.unary(n)
	case *ast.FuncCallExpr:
		return e.funcCall(n)
	case *ast.FuncCastExpr:
		return e.castCall(n)
	case *ast.AggregateFuncExpr:
		return e.aggregateRef(n)
	case *ast.WindowFuncExpr:
		return e.windowRef(n)
	case *ast.SubqueryExpr, *ast.ExistsSubqueryExpr, *ast.CompareSubqueryExpr:
		return e.subqueryValue(n)
	case *ast.RowExpr:
		return nil, errorf(errno.OperandColumns, "Operand should contain 1 column(s)")
	}
	return e.bindPredicate(n)
}

// bindPredicate binds the operators that are no functions in the grammar, and variables.
func (e *env) bindPredicate(n ast.ExprNode) (*expr.Node, error) {
	switch n := n.(type) {
	case *ast.IsNullExpr:
		return e.negatable("isnull", n.Not, n.Expr)
	case *ast.IsTruthExpr:
		name := "istrue"
		if n.True == 0 {
			name = "isfalse"
		}
		return e.negatable(name, n.Not, n.Expr)
	case *ast.BetweenExpr:
		return e.between(n)
	case *ast.PatternInExpr:
		return e.inList(n)
	case *ast.PatternLikeOrIlikeExpr:
		return e.like(n)
	case *ast.PatternRegexpExpr:
		return e.negatable("regexp", n.Not, n.Expr, n.Pattern)
	case *ast.CaseExpr:
		return e.caseExpr(n)
	case *ast.VariableExpr:
		return e.variable(n)
	case *ast.DefaultExpr:
		return e.defaultOf(n)
	case *ast.ValuesExpr:
		return e.valuesOf(n)
	case *ast.SetCollationExpr:
		return e.collate(n)
	case *ast.MatchAgainst:
		return e.matchRank(n)
	case *ast.PositionExpr:
		return nil, errorf(errno.UnknownColumn, "Unknown column '%d' in '%s'", n.N, e.clause)
	case *ast.TimeUnitExpr, *ast.TrimDirectionExpr, *ast.GetFormatSelectorExpr:
		return nil, refuse("this use of a keyword as an argument")
	}
	return nil, refuse("this expression")
}

// bindAll binds a list.
func (e *env) bindAll(list []ast.ExprNode) ([]*expr.Node, error) {
	out := make([]*expr.Node, 0, len(list))
	for _, n := range list {
		x, err := e.bind(n)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

// callOf binds the arguments and calls a function.
func (e *env) callOf(name string, args ...ast.ExprNode) (*expr.Node, error) {
	list, err := e.bindAll(args)
	if err != nil {
		return nil, err
	}
	literalNumbers(name, args, list)
	if slices.Contains(comparing, name) {
		list = e.b.years(args, list)
	}
	return e.b.call(name, list...)
}

// negatable calls a predicate and negates it if asked.
func (e *env) negatable(name string, not bool, args ...ast.ExprNode) (*expr.Node, error) {
	p, err := e.callOf(name, args...)
	if err != nil || !not {
		return p, err
	}
	return e.b.not(p)
}

// binaryNames maps operators to functions.
var binaryNames = map[ast.Op]string{
	ast.OpLogicAnd: "and", ast.OpLogicOr: "or", ast.OpLogicXor: "xor",
	ast.OpLeftShift: "<<", ast.OpRightShift: ">>", ast.OpAnd: "&", ast.OpOr: "|", ast.OpXor: "^",
	ast.OpGE: ">=", ast.OpLE: "<=", ast.OpEQ: "=", ast.OpNE: "!=", ast.OpLT: "<", ast.OpGT: ">", ast.OpNullEQ: "<=>",
	ast.OpPlus: "+", ast.OpMinus: "-", ast.OpMul: "*", ast.OpDiv: "/", ast.OpIntDiv: "div", ast.OpMod: "%",
}

// binary binds a binary operator; comparisons of rows become comparisons of their members.
func (e *env) binary(n *ast.BinaryOperationExpr) (*expr.Node, error) {
	name, ok := binaryNames[n.Op]
	if !ok {
		return nil, refuse("operator " + n.Op.String())
	}
	l, lok := ast.Unparen(n.L).(*ast.RowExpr)
	r, rok := ast.Unparen(n.R).(*ast.RowExpr)
	if lok && rok {
		return e.compareRows(name, l.Values, r.Values)
	}
	if sub, ok := ast.Unparen(n.R).(*ast.SubqueryExpr); ok && lok {
		return e.compareRowTo(name, l, sub)
	}
	if sub, ok := ast.Unparen(n.L).(*ast.SubqueryExpr); ok && rok {
		return e.compareRowTo(cmp.Or(mirrored[name], name), r, sub)
	}
	if name == "and" || name == "or" || name == "xor" {
		return e.logic(name, n)
	}
	return e.callOf(name, n.L, n.R)
}

// logic binds AND, OR and XOR over truth values. A chain of one operator is bound as one call, so that a condition of
// thousands of arms takes linear time.
func (e *env) logic(name string, n *ast.BinaryOperationExpr) (*expr.Node, error) {
	defer e.b.perhaps()()
	arms := []ast.ExprNode{n.R}
	left := n.L
	for name != "xor" {
		next, ok := left.(*ast.BinaryOperationExpr)
		if !ok || next.Op != n.Op {
			break
		}
		arms, left = append(arms, next.R), next.L
	}
	arms = append(arms, left)
	slices.Reverse(arms)
	args := make([]*expr.Node, len(arms))
	for i, a := range arms {
		var err error
		if args[i], err = e.predicate(a); err != nil {
			return nil, err
		}
	}
	return e.b.call(name, args...)
}

// compareRows compares two rows member by member, as MySQL defines it.
func (e *env) compareRows(name string, l, r []ast.ExprNode) (*expr.Node, error) {
	if len(l) != len(r) {
		return nil, errorf(errno.OperandColumns, "Operand should contain %d column(s)", len(l))
	}
	left, err := e.bindAll(l)
	if err != nil {
		return nil, err
	}
	right, err := e.bindAll(r)
	if err != nil {
		return nil, err
	}
	for i := range left {
		literalPair(l[i], r[i], &left[i], &right[i])
	}
	return e.b.compareLists(name, left, right)
}

// compareLists compares two rows of equal length.
func (b *binder) compareLists(name string, l, r []*expr.Node) (*expr.Node, error) {
	last := len(l) - 1
	out, err := b.call(name, l[last], r[last])
	if err != nil {
		return nil, err
	}
	for i := last - 1; i >= 0; i-- {
		if out, err = b.compareHead(name, l[i], r[i], out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// compareHead puts one more member before a comparison of rows.
func (b *binder) compareHead(name string, l, r, rest *expr.Node) (*expr.Node, error) {
	switch name {
	case "=", "<=>":
		head, err := b.call(name, l, r)
		if err != nil {
			return nil, err
		}
		return b.call("and", head, rest)
	case "!=":
		head, err := b.call(name, l, r)
		if err != nil {
			return nil, err
		}
		return b.call("or", head, rest)
	case "<", "<=", ">", ">=":
		strict, err := b.call(name[:1], l, r)
		if err != nil {
			return nil, err
		}
		eq, err := b.call("=", l, r)
		if err != nil {
			return nil, err
		}
		tail, err := b.call("and", eq, rest)
		if err != nil {
			return nil, err
		}
		return b.call("or", strict, tail)
	}
	return nil, errorf(errno.OperandColumns, "Operand should contain 1 column(s)")
}

// unary binds a unary operator.
func (e *env) unary(n *ast.UnaryOperationExpr) (*expr.Node, error) {
	switch n.Op {
	case ast.OpNot, ast.OpNot2:
		p, err := e.predicate(n.V)
		if err != nil {
			return nil, err
		}
		return e.b.not(p)
	case ast.OpMinus:
		if l, ok := n.V.(*ast.Literal); ok {
			if c := negative(l); c != nil {
				return c, nil
			}
		}
		return e.callOf("neg", n.V)
	case ast.OpPlus:
		return e.bind(n.V)
	case ast.OpBitNeg:
		return e.callOf("~", n.V)
	}
	return nil, refuse("operator " + n.Op.String())
}

// inverse maps a comparison to the one that is true exactly when it is false.
var inverse = map[string]string{"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}

// not negates a truth value; comparisons are inverted, so that they stay usable for keys and ranges.
func (b *binder) not(p *expr.Node) (*expr.Node, error) {
	if isCall(p, "not") {
		return p.Args[0], nil
	}
	if p.Kind == expr.NodeCall && len(p.Args) == 2 {
		if inv, ok := inverse[p.Func]; ok {
			return b.call(inv, p.Args...)
		}
	}
	return b.call("not", p)
}

// between is two comparisons.
func (e *env) between(n *ast.BetweenExpr) (*expr.Node, error) {
	nodes := []ast.ExprNode{n.Expr, n.Left, n.Right}
	list, err := e.bindAll(nodes)
	if err != nil {
		return nil, err
	}
	literalNumbers("between", nodes, list)
	list = e.b.years(nodes, list)
	if list, err = e.b.together("between", list); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(list, func(n *expr.Node) bool { return isDated(n.Type) }) {
		if list, err = e.b.datesAmong(list); err != nil {
			return nil, err
		}
	}
	mixed := isPlainText(list[1].Type) && list[2].Type.IsNumeric() || isPlainText(list[2].Type) && list[1].Type.IsNumeric()
	if mixed && (isPlainText(list[0].Type) || e.b.special(list[0]) != nil) {
		if list, err = e.b.coerceAll(list, types.ColumnType{Kind: types.KindDouble}); err != nil { // one rule for all three
			return nil, err
		}
	}
	lo, err := e.b.call(">=", list[0], list[1])
	if err != nil {
		return nil, err
	}
	hi, err := e.b.call("<=", list[0], list[2])
	if err != nil {
		return nil, err
	}
	p, err := e.b.call("and", lo, hi)
	if err != nil || !n.Not {
		return p, err
	}
	return e.b.not(p)
}

// inList binds IN over a list of values or rows, and hands IN over a query on.
func (e *env) inList(n *ast.PatternInExpr) (*expr.Node, error) {
	if n.Sel != nil {
		return e.subqueryValue(n)
	}
	p, err := e.inValues(n)
	if err != nil || !n.Not {
		return p, err
	}
	return e.b.not(p)
}

// inValues makes "in" of plain values; rows, and lists whose types do not agree, become an OR of equalities.
func (e *env) inValues(n *ast.PatternInExpr) (*expr.Node, error) {
	if row, ok := ast.Unparen(n.Expr).(*ast.RowExpr); ok {
		return e.inRows(row, n.List)
	}
	nodes := append([]ast.ExprNode{n.Expr}, n.List...)
	list, err := e.bindAll(nodes)
	if err != nil {
		return nil, err
	}
	literalNumbers("in", nodes, list)
	list = e.b.years(nodes, list)
	if len(list) == 2 {
		return e.b.call("=", list[0], list[1])
	}
	if list, err = e.b.datesWith(list); err != nil {
		return nil, err
	}
	left, list := list[0], list[1:]
	if sameFamily(left, list) {
		return e.b.call("in", append([]*expr.Node{left}, list...)...)
	}
	var out *expr.Node
	for _, v := range list {
		eq, err := e.b.call("=", left, v)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = eq
		} else if out, err = e.b.call("or", out, eq); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sameFamily reports whether a value and a list can be compared in one type.
func sameFamily(left *expr.Node, list []*expr.Node) bool {
	for _, v := range list {
		if isApproximate(v.Type) && left.Type.IsNumeric() && !isApproximate(left.Type) {
			return false // the others compare exactly
		}
		if v.Type.Kind == types.KindNull || v.Type.IsString() == left.Type.IsString() && v.Type.IsTemporal() == left.Type.IsTemporal() {
			continue
		}
		if left.Type.IsTemporal() && v.Type.IsString() && v.Kind == expr.NodeConst {
			continue
		}
		return false
	}
	return true
}

func isApproximate(t types.ColumnType) bool {
	return t.Kind == types.KindFloat || t.Kind == types.KindDouble
}

// inRows is an OR of row equalities.
func (e *env) inRows(row *ast.RowExpr, list []ast.ExprNode) (*expr.Node, error) {
	var parts []*expr.Node
	for _, v := range list {
		r, ok := ast.Unparen(v).(*ast.RowExpr)
		if !ok {
			return nil, errorf(errno.OperandColumns, "Operand should contain %d column(s)", len(row.Values))
		}
		eq, err := e.compareRows("=", row.Values, r.Values)
		if err != nil {
			return nil, err
		}
		parts = append(parts, eq)
	}
	return or(parts...), nil
}

// like binds LIKE with its escape character.
func (e *env) like(n *ast.PatternLikeOrIlikeExpr) (*expr.Node, error) {
	if !n.IsLike {
		return nil, refuse("ILIKE")
	}
	args, err := e.bindAll([]ast.ExprNode{n.Expr, n.Pattern})
	if err != nil {
		return nil, err
	}
	if n.EscapeExplicit && n.Escape != '\\' {
		esc := ""
		if n.Escape != 0 {
			esc = string(rune(n.Escape))
		}
		args = append(args, constString(esc))
	}
	p, err := e.b.call("like", args...)
	if err != nil || !n.Not {
		return p, err
	}
	return e.b.not(p)
}

// caseExpr binds both forms of CASE to (condition, value)... [else].
func (e *env) caseExpr(n *ast.CaseExpr) (*expr.Node, error) {
	defer e.b.perhaps()()
	conds, err := e.whenConds(n)
	if err != nil {
		return nil, err
	}
	var args []*expr.Node
	for i, w := range n.WhenClauses {
		v, err := e.bind(w.Result)
		if err != nil {
			return nil, err
		}
		args = append(args, conds[i], v)
	}
	if n.ElseClause != nil {
		v, err := e.bind(n.ElseClause)
		if err != nil {
			return nil, err
		}
		args = append(args, v)
	}
	return e.b.call("case", args...)
}

// whenConds are the conditions of all WHENs; a subject meets their values by one collation.
func (e *env) whenConds(n *ast.CaseExpr) ([]*expr.Node, error) {
	conds := make([]*expr.Node, len(n.WhenClauses))
	if n.Value == nil {
		for i, w := range n.WhenClauses {
			var err error
			if conds[i], err = e.predicate(w.Expr); err != nil {
				return nil, err
			}
		}
		return conds, nil
	}
	list := []ast.ExprNode{n.Value}
	for _, w := range n.WhenClauses {
		list = append(list, w.Expr)
	}
	values, err := e.bindAll(list)
	if err != nil {
		return nil, err
	}
	if values, err = e.b.together("case", values); err != nil {
		return nil, err
	}
	if values, err = e.b.datesWith(values); err != nil {
		return nil, err
	}
	for i := range conds {
		subject := values[0]
		literalPair(list[0], list[i+1], &subject, &values[i+1])
		if conds[i], err = e.b.call("=", subject, values[i+1]); err != nil {
			return nil, err
		}
	}
	return conds, nil
}

// aggregateRef finds the result of an aggregate call.
func (e *env) aggregateRef(n *ast.AggregateFuncExpr) (*expr.Node, error) {
	if id, ok := e.aggs[n]; ok {
		return e.b.rounded(e.b.col(id), e.b.cols[id].visible)
	}
	return nil, errorf(errno.InvalidGroupFunction, "Invalid use of group function")
}

// windowRef finds the result of a window function call.
func (e *env) windowRef(n *ast.WindowFuncExpr) (*expr.Node, error) {
	if id, ok := e.wins[n]; ok {
		return e.b.col(id), nil
	}
	return nil, errorf(errno.WindowMisuse, "You cannot use the window function '%s' in this context.'", strings.ToLower(n.Name))
}
