package plan

import (
	"cmp"
	"reflect"
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
)

// Kept is the plan of a SELECT that differs from one execution to the next in nothing but constants with which its conditions compare columns:
// Bind puts them in. When that may be is said in fe/session/DESIGN.md.
type Kept struct {
	// Tables are those that it reads, in the order of the text.
	Tables []Named

	binder *binder // has what the columns of the conditions are; read only
	root   *physical.Node
	scans  []scanned
	slots  []*types.Column // for each value the column that it is compared with
	types  []types.ColumnType
}

// Named is a table as a statement names it, with the default database filled in.
type Named struct {
	Database, Name string
	Table          *catalog.Table

	alias string
}

// named looks a table up; false = there is none that is stored.
func (c *Context) named(src *ast.TableSource, name *ast.TableName) (Named, bool) {
	t, err := c.table(name.Schema.O, name.Name.O)
	if err != nil || c.madeUp(cmp.Or(name.Schema.O, c.CurrentDB)) {
		return Named{}, false
	}
	return Named{Database: cmp.Or(name.Schema.O, c.CurrentDB), Name: name.Name.O, Table: t, alias: cmp.Or(src.AsName.O, name.Name.O)}, true
}

// scanned is a scan of a kept plan: what of it depends on constants is made again from the conditions.
type scanned struct {
	scan  *physical.Scan
	table *catalog.Table
	preds []*expr.Node // over column ids
	read  []int        // the ids that the scan reads
}

// maxSlots bounds the values of a kept plan, maxNamed its tables.
const (
	maxSlots = 1024
	maxNamed = 8
)

// slots says which literals and parameters of a statement are to be found again in its plan.
type slots struct {
	at    map[ast.ExprNode]int // by the position of their values
	scans []scanned
}

// KeepSelect plans a query so that it can be kept. Values are as for PointSelect. What is not recognised, also what is wrong, is for
// Select; so is a plan in which some value is not found as it was given, or that other values of the same types would have changed.
func KeepSelect(ctx *Context, stmt ast.StmtNode, values []Param, prepared bool) (*Kept, bool) {
	s, ok := stmt.(*ast.SelectStmt)
	if !ok || s.Kind != ast.SelectStmtKindSelect || s.From == nil || s.Where == nil || s.LockInfo != nil || s.With != nil || s.SelectIntoOpt != nil ||
		len(s.TableHints) > 0 || s.SelectStmtOpts != nil && s.CalcFoundRows {
		return nil, false
	}
	f := slotFinder{prepared: prepared, found: slots{at: map[ast.ExprNode]int{}}}
	if !f.name(ctx, s.From.TableRefs) || len(f.tables) > maxNamed || !f.joins(s.From.TableRefs) || !f.condition(s.Where) {
		return nil, false
	}
	if len(f.columns) != len(values) || len(values) == 0 || len(values) > maxSlots || !lasting(s) {
		return nil, false
	}
	k := &Kept{Tables: f.tables, slots: f.columns}
	for _, v := range values {
		k.types = append(k.types, v.Type)
	}
	if !k.Fits(values) || !k.plan(ctx, stmt, values, &f.found) {
		return nil, false
	}
	return k, true
}

// plan makes the plan with other values than those that are there, and holds what comes of it with those against what they are planned to.
func (k *Kept) plan(ctx *Context, stmt ast.StmtNode, values []Param, found *slots) bool {
	other := *ctx
	other.Params, other.slots = others(values), found
	b := newBinder(&other)
	var err error
	if k.root, err = b.selected(stmt); err != nil || len(found.scans) != len(k.Tables) || other.Warnings.Count > 0 || other.ZeroDivisions > 0 {
		return false
	}
	k.scans, k.binder = found.scans, b
	seen := make([]int, len(values))
	for i := range k.scans {
		for _, p := range k.scans[i].preds {
			countSlots(p, seen)
		}
	}
	if slices.Contains(seen, 0) {
		return false // the planner has done something with the value
	}
	b.ctx = nil // it is of this session
	plain := *ctx
	if plain.Params == nil {
		plain.Params = values
	}
	want, err := Select(&plain, stmt)
	if err != nil {
		return false
	}
	return reflect.DeepEqual(k.Bind(ctx, values), want)
}

// others are values of the same types, none of which is another's or its own.
func others(values []Param) []Param {
	out := make([]Param, len(values))
	for i, v := range values {
		out[i] = v
		n := int64(i + 1)
		if v.Type.Kind == types.KindVarChar {
			out[i].Value.B = append(slices.Clone(v.Value.B), '~', byte(n))
			out[i].Type.Length += 2
			continue
		}
		if n == v.Value.I {
			n += int64(len(values))
		}
		out[i].Value.I = n
	}
	return out
}

// countSlots counts how often the value of each slot stands in an expression.
func countSlots(e *expr.Node, seen []int) {
	if e.Slot > 0 {
		seen[e.Slot-1]++
	}
	for _, a := range e.Args {
		countSlots(a, seen)
	}
}

// slotted marks the constant of a literal or parameter that is to be found again.
func (b *binder) slotted(n ast.ExprNode, x *expr.Node, err error) (*expr.Node, error) {
	if b.ctx.slots == nil || err != nil {
		return x, err
	}
	if at, ok := b.ctx.slots.at[n]; ok {
		v := b.ctx.Params[at]
		x = expr.Const(v.Value, v.Type)
		x.Slot = at + 1
	}
	return x, nil
}

// Values is how many values the plan has.
func (k *Kept) Values() int { return len(k.slots) }

// Schema is that of the result.
func (k *Kept) Schema() []physical.OutColumn { return k.root.Schema }

// Fits reports whether values are such that the plan does not depend on them: of the types that it was made with, and as they stand
// values of the columns that they are compared with. Texts that end in spaces, or are none, may compare by other rules.
func (k *Kept) Fits(values []Param) bool {
	if len(values) != len(k.types) {
		return false
	}
	for i, v := range values {
		t := v.Type
		if t.Kind != k.types[i].Kind || t.Unsigned != k.types[i].Unsigned || v.Value.Null {
			return false
		}
		if t.Kind == types.KindVarChar {
			b := v.Value.B
			if len(b) == 0 || len(b) > int(k.slots[i].Type.Length) || b[len(b)-1] <= ' ' || !isASCII(b) || int(t.Length) != len(b) || t.Collation != k.types[i].Collation {
				return false
			}
			continue
		}
		if t.Unsigned && v.Value.I < 0 || !holds(k.slots[i].Type, v.Value.I) {
			return false
		}
	}
	return true
}

// Bind returns the plan with other values, which fit. Of the context it reads the catalog, the time and the time zone.
func (k *Kept) Bind(ctx *Context, values []Param) *physical.Node {
	b := *k.binder
	b.ctx = ctx
	consts := make([]expr.Node, len(values))
	for i, v := range values {
		consts[i] = *expr.Const(v.Value, v.Type)
	}
	scans := make([]physical.Scan, len(k.scans))
	for i := range k.scans {
		of := &k.scans[i]
		preds := make([]*expr.Node, len(of.preds))
		for j, p := range of.preds {
			preds[j] = filled(p, consts)
		}
		scans[i] = *of.scan
		b.narrow(&scans[i], of.table, preds, of.read)
	}
	return k.with(k.root, scans)
}

// filled puts constants into their slots.
func filled(e *expr.Node, consts []expr.Node) *expr.Node {
	if e.Slot > 0 {
		return &consts[e.Slot-1]
	}
	var args []*expr.Node
	for i, a := range e.Args {
		n := filled(a, consts)
		if n != a && args == nil {
			args = slices.Clone(e.Args)
		}
		if args != nil {
			args[i] = n
		}
	}
	if args == nil {
		return e
	}
	c := *e
	c.Args = args
	return &c
}

// with is a plan with other scans.
func (k *Kept) with(n *physical.Node, scans []physical.Scan) *physical.Node {
	c := *n
	for i := range scans {
		if n.Scan == k.scans[i].scan {
			c.Scan = &scans[i]
			return &c
		}
	}
	c.Children = make([]*physical.Node, len(n.Children))
	for i, kid := range n.Children {
		c.Children[i] = k.with(kid, scans)
	}
	return &c
}

// slotFinder finds the values of conditions, in the order of the text, and the columns that they are compared with.
type slotFinder struct {
	tables   []Named
	prepared bool // the values are parameters; literals are part of the text
	found    slots
	columns  []*types.Column
}

// name finds the tables of a FROM; false = there is something else.
func (f *slotFinder) name(ctx *Context, n ast.ResultSetNode) bool {
	if j, ok := n.(*ast.Join); ok {
		return f.name(ctx, j.Left) && (j.Right == nil || !j.NaturalJoin && j.Using == nil && f.name(ctx, j.Right))
	}
	src, name, ok := bareSource(n)
	if !ok {
		return false
	}
	of, ok := ctx.named(src, name)
	f.tables = append(f.tables, of)
	return ok
}

// joins goes through the conditions of joins.
func (f *slotFinder) joins(n ast.ResultSetNode) bool {
	j, ok := n.(*ast.Join)
	return !ok || f.joins(j.Left) && (j.Right == nil || f.joins(j.Right)) && (j.On == nil || f.condition(j.On.Expr))
}

// condition goes through a condition; false = it has a value where none may be.
func (f *slotFinder) condition(n ast.ExprNode) bool {
	switch n := unparen(n).(type) {
	case *ast.BinaryOperationExpr:
		switch n.Op {
		case ast.OpLogicAnd, ast.OpLogicOr:
			return f.condition(n.L) && f.condition(n.R)
		case ast.OpEQ, ast.OpNE, ast.OpLT, ast.OpLE, ast.OpGT, ast.OpGE:
			return f.compared(n.L, n.R) || f.compared(n.R, n.L) || !f.holdsValue(n)
		}
	case *ast.BetweenExpr:
		return f.compared(n.Expr, n.Left) && f.compared(n.Expr, n.Right)
	case *ast.PatternInExpr:
		if n.Sel != nil {
			return false
		}
		for _, v := range n.List {
			if !f.compared(n.Expr, v) {
				return false
			}
		}
		return true
	}
	return !f.holdsValue(n)
}

// compared takes a value that is compared with a column of a table.
func (f *slotFinder) compared(column, value ast.ExprNode) bool {
	if !f.isValue(value) {
		return false
	}
	c, ok := f.column(unparen(column))
	if !ok || c.Special() || !pointKind(c.Type) && c.Type.Kind != types.KindChar || c.Type.Collation != types.CollationBinary {
		return false
	}
	f.found.at[value] = len(f.columns)
	f.columns = append(f.columns, c)
	return true
}

// column finds the column that a name stands for, of one table.
func (f *slotFinder) column(n ast.ExprNode) (c *types.Column, ok bool) {
	for i := range f.tables {
		name, some := bareColumn(n, f.tables[i].alias)
		if !some {
			continue
		}
		if at := columnNamed(f.tables[i].Table, name); at >= 0 {
			if ok {
				return c, false
			}
			c, ok = &f.tables[i].Table.Schema.Columns[at], true
		}
	}
	return c, ok
}

func (f *slotFinder) isValue(n ast.ExprNode) bool {
	_, param := n.(*ast.Param)
	return isValue(n) && param == f.prepared
}

// holdsValue reports whether a value stands anywhere in an expression.
func (f *slotFinder) holdsValue(n ast.ExprNode) bool {
	v := valueVisitor{is: f.isValue}
	n.Accept(&v)
	return v.found
}

type valueVisitor struct {
	is    func(ast.ExprNode) bool
	found bool
}

// Enter looks at a node.
func (v *valueVisitor) Enter(n ast.Node) (ast.Node, bool) {
	if x, ok := n.(ast.ExprNode); ok && v.is(x) {
		v.found = true
	}
	return n, v.found
}

// Leave goes on.
func (v *valueVisitor) Leave(n ast.Node) (ast.Node, bool) { return n, true }

// lasting reports whether a query asks for nothing but what its tables hold: no function, of which some know the session or the clock,
// no variable, no query within it.
func lasting(s *ast.SelectStmt) bool {
	v := lastingVisitor{is: true}
	s.Accept(&v)
	return v.is
}

type lastingVisitor struct{ is bool }

// Enter looks at a node.
func (v *lastingVisitor) Enter(n ast.Node) (ast.Node, bool) {
	switch n.(type) {
	case *ast.SelectStmt, *ast.FieldList, *ast.SelectField, *ast.WildCardField, *ast.TableRefsClause, *ast.Join, *ast.OnCondition, *ast.TableSource, *ast.TableName,
		*ast.ColumnNameExpr, *ast.ColumnName, *ast.BinaryOperationExpr, *ast.UnaryOperationExpr, *ast.ParenthesesExpr, *ast.BetweenExpr,
		*ast.PatternInExpr, *ast.IsNullExpr, *ast.AggregateFuncExpr, *ast.ByItem, *ast.GroupByClause, *ast.OrderByClause, *ast.HavingClause,
		*ast.PositionExpr, *ast.Limit, *ast.Literal, *ast.Param:
	default:
		v.is = false
	}
	return n, !v.is
}

// Leave goes on.
func (v *lastingVisitor) Leave(n ast.Node) (ast.Node, bool) { return n, true }
