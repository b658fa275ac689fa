package plan

import (
	"slices"

	"stele/meta/types"
	ast "stele/sql/parse"
)

// slotFinder goes through a query, and the queries within it, in the order of the text. It finds the values and the columns that they are
// compared with, and gives up where a value stands elsewhere, or the query asks for more than what its tables hold: a function, of which some
// know the session or the clock, or a variable.
type slotFinder struct {
	ctx      *Context
	tables   []Named
	scope    *keptScope
	prepared bool // the values are parameters; literals are part of the text
	found    slots
	columns  []*types.Column // nil of a value that belongs to the plan
	setting  bool            // values that columns are set to, as they stand, are found as well
	sets     []bool          // which values are such
	fields   []int           // how many values there were before each of the fields around
	failed   bool
}

// keptScope has the tables of one SELECT.
type keptScope struct {
	tables  []Named
	derived bool // there are others, whose columns nobody knows here
	outer   *keptScope
}

// findSlots finds the values of a query, an UPDATE or a DELETE; setting says whether those that columns are set to are kept apart.
func findSlots(ctx *Context, stmt ast.StmtNode, prepared, setting bool) (*slotFinder, bool) {
	f := &slotFinder{ctx: ctx, prepared: prepared, setting: setting, found: slots{at: map[ast.ExprNode]int{}}}
	switch n := stmt.(type) {
	case *ast.SelectStmt, *ast.SetOprStmt:
	case *ast.UpdateStmt:
		f.failed = n.With != nil || n.IgnoreErr || len(n.TableHints) > 0 || !f.enterWrite(n.TableRefs)
	case *ast.DeleteStmt:
		f.failed = n.With != nil || n.IgnoreErr || len(n.TableHints) > 0 || !f.enterWrite(n.TableRefs)
	default:
		return nil, false
	}
	stmt.Accept(f)
	return f, !f.failed && len(f.tables) <= maxNamed
}

// Enter looks at a node and says whether to leave out what is in it.
func (f *slotFinder) Enter(n ast.Node) (ast.Node, bool) {
	if f.failed {
		return n, true
	}
	took := false
	switch x := n.(type) {
	case *ast.SelectStmt:
		f.failed = !f.enter(x)
	case *ast.SelectField:
		f.fields = append(f.fields, len(f.columns))
	case *ast.FieldList:
		took = len(x.Fields) == 1 && isNumber(x.Fields[0].Expr) // SELECT 1 FROM
	case *ast.AggregateFuncExpr:
		took = len(x.Args) == 1 && isNumber(x.Args[0]) // COUNT(*) is one of a number
	case *ast.Limit:
		took = !f.prepared // its numbers belong to the text
	case *ast.Assignment:
		took = true
		f.failed = !f.set(x) && !f.assigned(x.Expr)
	case *ast.BinaryOperationExpr:
		took = f.comparison(x)
	case *ast.BetweenExpr:
		took = f.compared(x.Expr, x.Left, x.Right)
	case *ast.PatternInExpr:
		took = x.Sel == nil && f.compared(x.Expr, x.List...)
	case *ast.PatternLikeOrIlikeExpr:
		took = f.compared(x.Expr, x.Pattern)
	default:
		f.failed = !f.passes(n)
	}
	return n, took || f.failed
}

// Leave ends a SELECT or a field.
func (f *slotFinder) Leave(n ast.Node) (ast.Node, bool) {
	if f.failed {
		return n, false
	}
	switch x := n.(type) {
	case *ast.SelectStmt:
		f.scope = f.scope.outer
	case *ast.SelectField:
		last := len(f.fields) - 1
		f.failed = x.AsName.O == "" && f.fields[last] < len(f.columns) // its text is its name
		f.fields = f.fields[:last]
	}
	return n, !f.failed
}

// assigned takes the values of what a column is set to: they belong to the plan, as what is calculated with one depends on its digits. False =
// there is more than columns and operators.
func (f *slotFinder) assigned(n ast.ExprNode) bool {
	plain := true
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ColumnNameExpr, *ast.ColumnName, *ast.UnaryOperationExpr, *ast.ParenthesesExpr, *ast.BinaryOperationExpr, *ast.IsNullExpr:
		case *ast.Literal, *ast.Param:
			if f.isValue(n.(ast.ExprNode)) {
				f.columns = append(f.columns, nil)
			}
		default:
			plain = false
		}
		return plain
	})
	return plain
}

// set takes the literal that a column is set to as it stands. What it is converted to, and whether it fits, is found out with each row.
func (f *slotFinder) set(a *ast.Assignment) bool {
	l, ok := a.Expr.(*ast.Literal)
	if !f.setting || !ok || !f.isValue(l) {
		return false
	}
	c, known := f.scope.column(&ast.ColumnNameExpr{Name: a.Column})
	if !known || c == nil || c.Special() || c.Generated != nil || !settable(l, c.Type) {
		return false
	}
	f.found.at[l] = len(f.columns)
	f.sets = append(append(f.sets, make([]bool, len(f.columns)-len(f.sets))...), true)
	f.columns = append(f.columns, c)
	return true
}

// settable reports whether a literal is of the kind of a column: a number, a text, or a text that may be a date.
func settable(l *ast.Literal, t types.ColumnType) bool {
	if l.Kind == ast.LiteralInt {
		return !l.Bool && t.IsNumeric()
	}
	return l.Kind == ast.LiteralString && (t.IsString() || t.Kind == types.KindDate || t.Kind == types.KindDateTime)
}

// passes reports whether a node is one of those that ask for nothing but what tables hold.
func (f *slotFinder) passes(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.SetOprStmt:
		return n.With == nil
	case *ast.SetOprSelectList:
		return n.With == nil
	case *ast.Join:
		return !n.NaturalJoin && n.Using == nil
	case *ast.GroupByClause, *ast.OrderByClause, *ast.HavingClause: // names may mean fields there
		return !f.holdsValue(n)
	case *ast.UpdateStmt, *ast.DeleteStmt, *ast.DeleteTableList, *ast.WildCardField, *ast.TableRefsClause, *ast.OnCondition, *ast.TableSource, *ast.TableName, *ast.ColumnNameExpr, *ast.ColumnName,
		*ast.UnaryOperationExpr, *ast.ParenthesesExpr, *ast.IsNullExpr, *ast.ByItem, *ast.PositionExpr, *ast.RowExpr,
		*ast.SubqueryExpr, *ast.ExistsSubqueryExpr, *ast.CompareSubqueryExpr:
		return true
	case *ast.Literal, *ast.Param:
		return !f.isValue(n.(ast.ExprNode))
	}
	return false
}

// enter begins a SELECT that has nothing but clauses of which a plan can be kept.
func (f *slotFinder) enter(s *ast.SelectStmt) bool {
	if s.Kind != ast.SelectStmtKindSelect || s.From == nil || s.LockInfo != nil || s.With != nil || s.SelectIntoOpt != nil || len(s.TableHints) > 0 ||
		s.SelectStmtOpts != nil && s.CalcFoundRows {
		return false
	}
	f.scope = &keptScope{outer: f.scope}
	return f.name(s.From.TableRefs)
}

// enterWrite begins an UPDATE or DELETE.
func (f *slotFinder) enterWrite(refs *ast.TableRefsClause) bool {
	f.scope = &keptScope{}
	return f.name(refs.TableRefs)
}

// name finds the tables of a FROM; false = there is something else.
func (f *slotFinder) name(n ast.ResultSetNode) bool {
	switch n := n.(type) {
	case *ast.Join:
		return f.name(n.Left) && (n.Right == nil || f.name(n.Right))
	case *ast.TableSource:
		switch n.Source.(type) {
		case *ast.SelectStmt, *ast.SetOprStmt:
			f.scope.derived = true
			return !n.Lateral
		}
	}
	src, name, ok := bareSource(n)
	if !ok {
		return false
	}
	of, ok := f.ctx.named(src, name)
	f.tables, f.scope.tables = append(f.tables, of), append(f.scope.tables, of)
	return ok
}

// isNumber recognises the integers that parse.PointText leaves in the text.
func isNumber(n ast.ExprNode) bool {
	l, ok := n.(*ast.Literal)
	return ok && l.Kind == ast.LiteralInt && !l.Bool
}

// comparison takes the value of a comparison, if it has one.
func (f *slotFinder) comparison(n *ast.BinaryOperationExpr) bool {
	switch n.Op {
	case ast.OpEQ, ast.OpNE, ast.OpLT, ast.OpLE, ast.OpGT, ast.OpGE:
		return f.compared(n.L, n.R) || f.compared(n.R, n.L)
	}
	return false
}

// compared takes values that are compared with a column of a table, or rows of them with a row of columns; false = they are something else.
func (f *slotFinder) compared(column ast.ExprNode, values ...ast.ExprNode) bool {
	row, ok := ast.Unparen(column).(*ast.RowExpr)
	columns := []ast.ExprNode{column}
	if ok {
		columns = row.Values
	}
	var all []ast.ExprNode
	for _, v := range values {
		if !ok {
			all = append(all, v)
		} else if r, same := ast.Unparen(v).(*ast.RowExpr); same && len(r.Values) == len(columns) {
			all = append(all, r.Values...)
		} else {
			return false
		}
	}
	of := make([]*types.Column, len(columns))
	for i, c := range columns {
		if of[i] = f.column(ast.Unparen(c)); of[i] == nil {
			return false
		}
	}
	if slices.ContainsFunc(all, func(v ast.ExprNode) bool { return !f.isValue(v) }) {
		return false
	}
	for i, v := range all {
		f.found.at[v] = len(f.columns)
		f.columns = append(f.columns, of[i%len(of)])
	}
	return true
}

// column finds the column that a name stands for, if values that are compared with it may be kept apart; nil = there is none.
func (f *slotFinder) column(n ast.ExprNode) *types.Column {
	for s := f.scope; s != nil; s = s.outer {
		c, known := s.column(n)
		if !known {
			return nil
		}
		if c == nil {
			continue
		}
		if c.Special() || !keptKind(c.Type) || c.Type.Collation != types.CollationBinary {
			return nil
		}
		return c
	}
	return nil
}

// keptKind reports whether a plan may be kept whose values are compared with such columns.
func keptKind(t types.ColumnType) bool {
	return pointKind(t) || t.Kind == types.KindChar || t.Kind == types.KindDate || t.Kind == types.KindDateTime
}

// column finds a column among the tables of a SELECT, nil = there is none; known is false when it cannot be said which one it is.
func (s *keptScope) column(n ast.ExprNode) (c *types.Column, known bool) {
	name, ok := n.(*ast.ColumnNameExpr)
	if !ok || s.derived && name.Name.Table.O == "" {
		return nil, false
	}
	for i := range s.tables {
		bare, some := bareColumn(n, s.tables[i].alias)
		if !some {
			continue
		}
		if at := s.tables[i].Table.Schema.ColumnNamed(bare); at >= 0 {
			if c != nil {
				return nil, false
			}
			c = &s.tables[i].Table.Schema.Columns[at]
		}
	}
	return c, true
}

func (f *slotFinder) isValue(n ast.ExprNode) bool {
	_, param := n.(*ast.Param)
	return isValue(n) && param == f.prepared
}

// holdsValue reports whether a value stands anywhere in a part of a query.
func (f *slotFinder) holdsValue(n ast.Node) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		x, ok := n.(ast.ExprNode)
		found = found || ok && f.isValue(x)
		return !found
	})
	return found
}
