package plan

import (
	"slices"
	"time"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// PointWrite is the plan of an UPDATE or DELETE WHERE every column of the primary key equals a constant. An UPDATE sets columns to
// constants, the time, or sums, differences and products of integers. Only the constants and the time differ from one execution to the next.
type PointWrite struct {
	Point // where the row is; it reads nothing
	// Change is what becomes of the row, encoded; it refers to the values that Bind makes.
	Change []byte
	Delete bool
	slots  []slot // of the assignments, in the order of the text: their values come before those of the key
}

// slot is a constant on the right of an assignment, or the time.
type slot struct {
	typ     types.ColumnType
	operand bool // of an operator: it must be a signed integer
	minus   bool
	column  *types.Column // that is set to it; nil of an operator
	time    slotTime      // it is no constant of the text
}

// slotTime says which time a slot stands for.
type slotTime uint8

const (
	noTime   slotTime = iota
	timeCall          // NOW() without digits
	timeAuto          // that of ON UPDATE CURRENT_TIMESTAMP
)

// PointUpdate recognises such a statement; values are as for PointSelect. What is not recognised, also what is wrong, is for
// Updates and Deletes.
func PointUpdate(ctx *Context, stmt ast.StmtNode, values int) (*PointWrite, bool) {
	refs, where, list, ok := bareWrite(stmt)
	if !ok {
		return nil, false
	}
	src, name, ok := bareTable(refs)
	if !ok || src.AsName.O != "" {
		return nil, false
	}
	of, ok := ctx.named(src, name)
	t := of.Table
	if !ok || t.Schema.HasRowID() || t.HasUniqueKeys() || t.HasChecks() && list != nil {
		return nil, false
	}
	if slices.ContainsFunc(t.Schema.Columns, func(c types.Column) bool { return c.Special() || c.Hidden }) {
		return nil, false
	}
	terms, ok := equalities(where, name.Name.O, nil)
	if !ok || len(terms) != len(t.Schema.Key) {
		return nil, false
	}
	p := &PointWrite{Point: Point{Named: of}, Delete: list == nil}
	if !p.bind(terms) {
		return nil, false
	}
	change := newChange(ctx, t)
	change.Delete, change.Lasting = p.Delete, true
	if !p.assign(list, change) || !p.assignAuto(change) || p.given()+len(terms) != values {
		return nil, false
	}
	for _, s := range p.slots {
		change.Values = append(change.Values, s.typ)
	}
	var err error
	p.Change, err = physical.EncodeChange(change)
	return p, err == nil
}

// bareWrite takes an UPDATE or DELETE apart that has nothing but a table, assignments and conditions.
func bareWrite(stmt ast.StmtNode) (refs *ast.TableRefsClause, where ast.ExprNode, list []*ast.Assignment, ok bool) {
	switch s := stmt.(type) {
	case *ast.UpdateStmt:
		ok = s.Order == nil && s.Limit == nil && !s.IgnoreErr && !s.MultipleTable && len(s.TableHints) == 0 && s.With == nil && s.Where != nil
		return s.TableRefs, s.Where, s.List, ok && len(s.List) > 0
	case *ast.DeleteStmt:
		ok = s.Order == nil && s.Limit == nil && !s.IgnoreErr && !s.IsMultiTable && len(s.TableHints) == 0 && s.With == nil && s.Where != nil
		return s.TableRefs, s.Where, nil, ok && s.Tables == nil
	}
	return nil, nil, nil, false
}

// assign takes assignments to columns that do not decide where the row lies.
func (p *PointWrite) assign(list []*ast.Assignment, change *physical.Change) bool {
	s := &p.Table.Schema
	for _, a := range list {
		if a.Column.Schema.O != "" || a.Column.Table.O != "" && a.Column.Table.O != p.Name {
			return false
		}
		at := p.Table.Schema.ColumnNamed(a.Column.Name.O)
		if at < 0 || s.Columns[at].Type.Kind == types.KindTimestamp || generates(p.Table, at) || assigns(change, at) || slices.Contains(p.Table.Locator(), s.Columns[at].ID) {
			return false
		}
		x, ok := p.assigned(a.Expr, &s.Columns[at], change)
		if !ok {
			return false
		}
		change.Assign = append(change.Assign, assignment(p.Table, at, x, false))
	}
	return true
}

// assignAuto adds what ON UPDATE CURRENT_TIMESTAMP has changed along.
func (p *PointWrite) assignAuto(change *physical.Change) bool {
	if p.Delete {
		return true
	}
	s := &p.Table.Schema
	for at := range s.Columns {
		c := &s.Columns[at]
		if !c.OnUpdateNow || assigns(change, at) {
			continue
		}
		if generates(p.Table, at) || slices.Contains(p.Table.Locator(), c.ID) {
			return false
		}
		change.Assign = append(change.Assign, assignment(p.Table, at, p.slot(slot{typ: c.Type, column: c, time: timeAuto}), true))
	}
	return true
}

// given is how many of the slots are constants of the text.
func (p *PointWrite) given() int {
	n := 0
	for i := range p.slots {
		if p.slots[i].time == noTime {
			n++
		}
	}
	return n
}

// assigned binds the right side of an assignment to a column of a type.
func (p *PointWrite) assigned(n ast.ExprNode, c *types.Column, change *physical.Change) (*expr.Node, bool) {
	if isValue(n) {
		return p.slot(slot{typ: c.Type, column: c}), true
	}
	if f, ok := n.(*ast.FuncCallExpr); ok && (f.FnName.L == "now" || f.FnName.L == "current_timestamp") && f.Schema.L == "" && len(f.Args) == 0 {
		return p.slot(slot{typ: c.Type, column: c, time: timeCall}), true
	}
	if !pointKind(c.Type) {
		return nil, false
	}
	x, ok := p.operation(n, change)
	return x, ok && x != nil
}

func assigns(c *physical.Change, column int) bool {
	return slices.ContainsFunc(c.Assign, func(a physical.Assignment) bool { return a.Column == column })
}

// assignment has a leader set a column.
func assignment(t *catalog.Table, column int, x *expr.Node, auto bool) physical.Assignment {
	c := &t.Schema.Columns[column]
	return physical.Assignment{Column: column, Value: x, Auto: auto, To: types.Column{ID: c.ID, Type: c.Type, Elems: c.Elems, Bits: c.Bits}}
}

// slot adds a constant, and refers to it.
func (p *PointWrite) slot(s slot) *expr.Node {
	s.typ.NotNull = true
	p.slots = append(p.slots, s)
	return expr.Col(len(p.Table.Schema.Columns)+len(p.slots)-1, s.typ)
}

// operation binds sums, differences and products of integer constants and columns that no assignment has changed before.
func (p *PointWrite) operation(n ast.ExprNode, change *physical.Change) (*expr.Node, bool) {
	switch x := ast.Unparen(n).(type) {
	case *ast.UnaryOperationExpr:
		if x.Op == ast.OpMinus && isInt(x.V) {
			return p.slot(slot{typ: types.ColumnType{Kind: types.KindBigInt}, operand: true, minus: true}), true
		}
	case *ast.BinaryOperationExpr:
		l, ok := p.operation(x.L, change)
		if !ok {
			return nil, false
		}
		r, ok := p.operation(x.R, change)
		if !ok || pointOperators[x.Op] == "" {
			return nil, false
		}
		out, err := expr.Call(pointOperators[x.Op], l, r)
		return out, err == nil
	case *ast.ColumnNameExpr:
		name, ok := bareColumn(x, p.Name)
		at := p.Table.Schema.ColumnNamed(name)
		if !ok || at < 0 || assigns(change, at) {
			return nil, false
		}
		t := p.Table.Schema.Columns[at].Type
		return expr.Col(at, t), t.Kind >= types.KindTinyInt && t.Kind <= types.KindBigInt
	case ast.ExprNode:
		if isInt(x) {
			return p.slot(slot{typ: types.ColumnType{Kind: types.KindBigInt}, operand: true}), true
		}
	}
	return nil, false
}

var pointOperators = map[ast.Op]string{ast.OpPlus: "+", ast.OpMinus: "-", ast.OpMul: "*"}

// isInt recognises a parameter, which has yet to prove it, and an integer literal.
func isInt(n ast.ExprNode) bool {
	l, ok := ast.Unparen(n).(*ast.Literal)
	return isValue(ast.Unparen(n)) && (!ok || l.Kind == ast.LiteralInt)
}

// Bind returns where the row is, and the constants that Change refers to, nil when it refers to none; what names no zone is in loc, and now
// is the time of the statement. It is not ok for values that have to be converted, in the key, or that lose something by it, in the columns that are set.
func (p *PointWrite) Bind(values []Param, loc *time.Location, now func() time.Time) (tablet types.TabletID, key []byte, constants *vec.Batch, ok bool) {
	if len(values) < p.given() {
		return 0, nil, nil, false
	}
	if len(p.slots) > 0 {
		constants = &vec.Batch{N: 1, Cols: make([]*vec.Vector, len(p.slots))}
	}
	var at int64 // one time for all
	for i := range p.slots {
		s := &p.slots[i]
		if s.time != noTime {
			if at == 0 {
				at = now().UnixMicro()
			}
			constants.Cols[i], ok = s.converted(s.moment(at, loc), loc)
		} else {
			constants.Cols[i], ok = s.vector(values[0], loc)
			values = values[1:]
		}
		if !ok {
			return 0, nil, nil, false
		}
	}
	tablet, key, ok = p.Locate(values)
	return tablet, key, constants, ok
}

// vector is the constant as a leader gets it.
func (s *slot) vector(v Param, loc *time.Location) (*vec.Vector, bool) {
	if s.operand && v.Type.Unsigned {
		return nil, false
	}
	if s.column != nil && !pointKind(s.typ) {
		return s.converted(v, loc)
	}
	out, ok := pointVector(v, s.typ)
	switch {
	case !ok && s.column != nil:
		return s.converted(v, loc)
	case ok && s.minus:
		out.I64[0] = -out.I64[0]
	}
	return out, ok
}

// moment is the time that a slot stands for, as the planner has it in the place of the call, or of ON UPDATE CURRENT_TIMESTAMP.
func (s *slot) moment(nowMicros int64, loc *time.Location) Param {
	if s.time == timeAuto {
		return Param{Value: expr.Value{I: nowMicros}, Type: types.ColumnType{Kind: types.KindTimestamp, Scale: 6, NotNull: true}}
	}
	t := types.ColumnType{Kind: types.KindDateTime, NotNull: true}
	return Param{Value: moment(sqltypes.UTCToLocal(nowMicros, loc), t), Type: t}
}

// converted is a constant that becomes one of the column and loses nothing by that; of any other the general way says what is wrong.
func (s *slot) converted(v Param, loc *time.Location) (*vec.Vector, bool) {
	if v.Value.Null {
		return nil, false
	}
	x, bent, err := sqltypes.ConvertColumn(v.Value, v.Type, s.column, true, sqltypes.Env{Loc: loc})
	if err != nil || bent != nil || x.Null {
		return nil, false
	}
	b := vec.NewColumnBuilder(s.typ, 1)
	b.AppendValue(x)
	return b.Finish(), true
}
