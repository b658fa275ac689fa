package plan

import (
	"stele/meta/types"
	ast "stele/sql/parse"
	"stele/sql/physical"
)

// CREATE TABLE ... SELECT makes a table with the columns of a query, and fills it.

// QueryColumns returns the columns of a table that is to hold the rows of a query.
func QueryColumns(ctx *Context, q ast.ResultSetNode) ([]types.Column, error) {
	b := newBinder(ctx)
	raw, err := b.query(q, nil, nil)
	if err != nil {
		return nil, err
	}
	out, err := b.showFields(raw)
	if err != nil {
		return nil, err
	}
	p, err := b.finish(out)
	if err != nil {
		return nil, err
	}
	columns := make([]types.Column, len(p.Schema))
	for i := range p.Schema {
		bound := &b.cols[raw.fields[i].id]
		if bound.table != nil && bound.pos >= 0 {
			columns[i] = copiedColumn(&bound.table.Schema.Columns[bound.pos], bound.typ.NotNull)
		} else {
			columns[i].Type = storable(p.Schema[i])
		}
		columns[i].Name = raw.fields[i].name
	}
	return columns, nil
}

// copiedColumn is a stored column as another table gets it: without the numbers it draws, which leave a default behind.
func copiedColumn(of *types.Column, notNull bool) types.Column {
	col := types.Column{Type: of.Type, Elems: of.Elems, Bits: of.Bits, Shown: of.Shown, Comment: of.Comment,
		Default: of.Default, DefaultNow: of.DefaultNow, OnUpdateNow: of.OnUpdateNow}
	col.Type.NotNull = of.Type.NotNull && notNull
	if d := of.DefaultExpr; d != nil && len(d.Reads) == 0 { // else the new table need not have what it reads
		col.DefaultExpr = d
	}
	if of.AutoIncrement {
		zero := "0"
		col.Default = &zero
	}
	return col
}

// MaxVarChar is the most characters of a column that is not a TEXT or BLOB.
const MaxVarChar = 1048576

// storable is the type of a column that takes whatever an expression yields.
func storable(c physical.OutColumn) types.ColumnType {
	t := c.Type
	if t.Collation == mixedCollation {
		t.Collation = types.CollationBinary
	}
	switch {
	case t.Kind == types.KindNull:
		return types.ColumnType{Kind: types.KindVarBinary, Length: 1}
	case t.Kind == types.KindBool:
		t.Kind, t.Length = types.KindInt, 0
	case t.IsInteger():
		t.Length = 0
	case t.Kind == types.KindDecimal && (t.Length == 0 || t.Length > types.MaxDecimalPrecision):
		t.Length = types.MaxDecimalPrecision
	case t.IsString() && (t.Length == 0 || t.Length > MaxVarChar):
		binary := t.Kind == types.KindBinary || t.Kind == types.KindVarBinary || t.Kind == types.KindBlob
		if t.Kind, t.Length = types.KindText, ast.LongText; binary {
			t.Kind = types.KindBlob
		}
	}
	return t
}

// Filling is the INSERT of a CREATE TABLE ... SELECT, behind the creation; name is what the table is called until it is full.
func Filling(ctx *Context, stmt *ast.CreateTableStmt, name string) (*InsertPlan, error) {
	b := newBinder(ctx)
	mode := ModeInsert
	switch stmt.OnDuplicate {
	case ast.OnDuplicateKeyHandlingIgnore:
		mode = ModeIgnore
	case ast.OnDuplicateKeyHandlingReplace:
		mode = ModeReplace
	}
	b.writes(mode == ModeIgnore)
	columns, err := QueryColumns(ctx, stmt.Select)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].Name
	}
	p, err := newInsert(b, stmt.Table.Schema.O, name, mode, names, true)
	if err != nil {
		return nil, err
	}
	return p, p.fromQuery(b, stmt.Select)
}
