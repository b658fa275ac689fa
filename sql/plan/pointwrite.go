package plan

import (
	"slices"

	"stele/meta/types"
	ast "stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/vec"
)

// PointWrite is the plan of an UPDATE that sets columns to constants, or of a DELETE, WHERE every column of the primary key
// equals a constant. Only the constants differ from one execution to the next.
type PointWrite struct {
	Point // of all columns of the row
	// Modify is the plan without its source, whose rows Source makes.
	Modify ModifyPlan
	values []types.Column // that are set, in the order of the text: their values come before those of the key
}

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
	t, err := ctx.table(name.Schema.O, name.Name.O)
	if err != nil || t.Schema.HasRowID() || t.HasUniqueKeys() || madeUp(name.Schema.O) || name.Schema.O == "" && madeUp(ctx.CurrentDB) {
		return nil, false
	}
	if slices.ContainsFunc(t.Schema.Columns, func(c types.Column) bool { return c.Special() || c.OnUpdateNow || c.Hidden }) {
		return nil, false
	}
	terms, ok := equalities(where, name.Name.O, nil)
	if !ok || len(terms)+len(list) != values || len(terms) != len(t.Schema.Key) {
		return nil, false
	}
	p := &PointWrite{Point: Point{Database: name.Schema.O, Name: name.Name.O, Table: t}}
	if p.Database == "" {
		p.Database = ctx.CurrentDB
	}
	width := len(t.Schema.Columns)
	p.Modify = ModifyPlan{Database: p.Database, Table: t, TabletColumn: width, Values: width + 1}
	return p, p.bind(terms) && p.assign(list) && p.readAll()
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

// assign takes assignments of constants to columns that do not decide where the row lies.
func (p *PointWrite) assign(list []*ast.Assignment) bool {
	s := &p.Table.Schema
	for _, a := range list {
		if a.Column.Schema.O != "" || a.Column.Table.O != "" && a.Column.Table.O != p.Name || !isValue(a.Expr) {
			return false
		}
		at := columnNamed(p.Table, a.Column.Name.O)
		if at < 0 || !pointKind(s.Columns[at].Type) || slices.ContainsFunc(p.Modify.Assign, func(o Assign) bool { return o.Column == at }) {
			return false
		}
		id := s.Columns[at].ID
		if slices.Contains(s.Key, id) || slices.Contains(p.Table.HashBy, id) || p.Table.Partition != nil && slices.Contains(p.Table.Partition.Columns, id) {
			return false
		}
		p.Modify.Assign = append(p.Modify.Assign, Assign{Column: at})
		p.values = append(p.values, s.Columns[at])
	}
	return true
}

// readAll makes the fragment that reads the row.
func (p *PointWrite) readAll() bool {
	f := physical.Fragment{Schema: p.Table.Schema}
	for i := range p.Table.Schema.Columns {
		f.Columns = append(f.Columns, p.Table.Schema.Columns[i].ID)
	}
	var err error
	p.Fragment, err = physical.EncodeFragment(&f)
	return err == nil
}

// Locate is that of the row; it is not ok for values that have to be converted, in the key or in the columns that are set.
func (p *PointWrite) Locate(values []Param) (tablet types.TabletID, key []byte, ok bool) {
	if len(values) < len(p.values) {
		return 0, nil, false
	}
	for i := range p.values {
		if _, ok := pointVector(values[i], p.values[i].Type); !ok {
			return 0, nil, false
		}
	}
	return p.Point.Locate(values[len(p.values):])
}

// Source is what the source of Modify yields for the row; Locate has taken the values.
func (p *PointWrite) Source(row *vec.Batch, tablet types.TabletID, values []Param) *vec.Batch {
	out := &vec.Batch{N: 1, Cols: slices.Clone(row.Compact().Cols)}
	out.Cols = append(out.Cols, &vec.Vector{Type: types.ColumnType{Kind: types.KindBigInt, Unsigned: true, NotNull: true}, N: 1, I64: []int64{int64(tablet)}})
	for i := range p.values {
		v, _ := pointVector(values[i], p.values[i].Type) // see Locate
		out.Cols = append(out.Cols, v)
	}
	return out
}
