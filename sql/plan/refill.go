package plan

import (
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// The copy of a table whose rows an ALTER TABLE writes anew is filled from the table by an INSERT of its own kind.

// refill is how rows of a table become those of its copy.
type refill struct {
	pieces []piece
	// rowIDs says that the rows keep the ids by which they are found.
	rowIDs bool
	// unfilled is the error of any row, nil = there may be rows.
	unfilled error
}

// piece is where a column of the copy comes from.
type piece struct {
	in    int  // the column of the source, -1 = it is the same for all rows
	as    bool // its values are those of the source as they are stored
	value expr.Value
	texts bool // it was text and is
}

// Refill is the INSERT that fills the copy of a table from that, as it is since the change has begun. initial is what all rows have in columns
// that they get; unfilled is the error of any row, nil = there may be rows.
func Refill(ctx *Context, database string, from, to *catalog.Table, initial map[types.ColumnID]expr.Value, unfilled error) (*InsertPlan, error) {
	b := newBinder(ctx)
	b.writes(false)
	p := &InsertPlan{Database: database, Mode: ModeInsert, AutoIncrement: -1, Table: to, target: tableTarget(to), NumbersOf: from, refill: &refill{unfilled: unfilled}}
	if err := p.settle(b); err != nil {
		return nil, err
	}
	given := map[int]bool{}
	for i := range to.Schema.Columns {
		c := &to.Schema.Columns[i]
		given[i] = c.DefaultExpr == nil || from.Schema.ColumnIndex(c.ID) >= 0
	}
	var err error
	if p.filler, err = newFiller(b, to, false, given); err != nil {
		return nil, err
	}
	p.filler.several(2)
	src := b.baseTable(from, database, from.Name)
	var out queryOut
	var items []item
	for i := range to.Schema.Columns {
		col := &to.Schema.Columns[i]
		at := from.Schema.ColumnIndex(col.ID)
		if at < 0 || col.Generated != nil {
			p.refill.pieces = append(p.refill.pieces, piece{in: -1, value: newValue(initial, col)})
			continue
		}
		old := &from.Schema.Columns[at]
		x, err := b.source(src.cols[at].id, old, col)
		if err != nil {
			return nil, err
		}
		id := src.cols[at].id
		if x.Kind != expr.NodeColumn {
			id = b.newColumn(column{name: col.Name, typ: x.Type})
		}
		p.refill.pieces = append(p.refill.pieces, piece{in: len(items), as: sameStored(old, col), texts: shortText(old) && shortText(col)})
		p.filler.zeroID = p.filler.zeroID || col.AutoIncrement && old.AutoIncrement
		items, out.fields = append(items, item{id, x}), append(out.fields, field{col.Name, id})
		p.refill.rowIDs = p.refill.rowIDs || col.Hidden
	}
	p.NeedsRowID = p.NeedsRowID && !p.refill.rowIDs
	if len(items) == 0 { // all columns are new: the rows only have to be as many
		id := b.newColumn(column{name: "row", typ: bigintType})
		items, out.fields = append(items, item{id, constInt(0)}), append(out.fields, field{"row", id})
	}
	out.rel = project(src.rel, items)
	p.Source, err = b.finish(out)
	return p, err
}

// newValue is what all rows have in a column that they get.
func newValue(initial map[types.ColumnID]expr.Value, col *types.Column) expr.Value {
	if v, ok := initial[col.ID]; ok && col.Generated == nil {
		return v
	}
	return expr.Value{Null: true}
}

// source is the value of a column as its new definition takes it: members by their text, and by their number where numbers are wanted.
func (b *binder) source(id int, old, col *types.Column) (*expr.Node, error) {
	x := b.col(id)
	if old.Special() && (sameStored(old, col) || old.Bits > 0 && col.Bits > 0 || col.Type.IsNumeric() && !col.Special()) {
		return x, nil
	}
	return b.shown(x)
}

// sameStored reports whether the values of a column are those of another definition as they are stored.
func sameStored(old, col *types.Column) bool {
	return !col.AutoIncrement && col.Widens(old)
}

// shortText reports whether a column is of CHAR or VARCHAR.
func shortText(c *types.Column) bool {
	return c.Type.Kind == types.KindChar || c.Type.Kind == types.KindVarChar
}

// refilled makes rows of the copy out of those of its table. What does not fit is refused or bent, by sql_mode.
func (p *InsertPlan) refilled(in *vec.Batch, firstRow int) (*vec.Batch, error) {
	in = in.Compact()
	if p.refill.unfilled != nil && in.N > 0 {
		return nil, p.refill.unfilled
	}
	out := &vec.Batch{N: in.N, Cols: make([]*vec.Vector, len(p.refill.pieces))}
	var failed error
	upTo := in.N // the first row that is wrong is named, and columns come one after the other
	for pos := range p.refill.pieces {
		v, row, err := p.refilledColumn(pos, in, upTo, firstRow)
		if err != nil {
			failed, upTo = err, row
		}
		out.Cols[pos] = v
	}
	if failed != nil {
		return nil, failed
	}
	if err := p.filler.generate(p.generated, out, firstRow); err != nil {
		return nil, err
	}
	return p.Meeting(out, p.filler.warnings)
}

// refilledColumn makes one column of n rows; of an error it tells at which of them.
func (p *InsertPlan) refilledColumn(pos int, in *vec.Batch, n, firstRow int) (out *vec.Vector, row int, err error) {
	from, c := &p.refill.pieces[pos], &p.Table.Schema.Columns[pos]
	if from.in >= 0 && from.as && !(c.Type.NotNull && in.Cols[from.in].HasNulls()) {
		v := *in.Cols[from.in]
		v.Type = c.Type
		return &v, 0, nil
	}
	cb := vec.NewColumnBuilder(c.Type, n)
	for i := range n {
		switch {
		case from.in < 0 && from.value.Null:
			cb.AppendNull()
		case from.in < 0:
			cb.AppendValue(from.value)
		default:
			v := in.Cols[from.in]
			if err := p.filler.put(cb, pos, v.Value(i), v.Type, firstRow+i); err != nil {
				return nil, i, alterError(err, from.texts, c, firstRow+i)
			}
		}
	}
	return cb.Finish(), 0, nil
}

// alterError is the error of a value that a column does not take when it gets another definition, where that is not the one of an INSERT.
func alterError(err error, texts bool, c *types.Column, row int) error {
	e, ok := sqltypes.AsError(err)
	switch {
	case ok && e.Code == errno.BadNull:
		return errorf(errno.InvalidNull, "Invalid use of NULL value")
	case ok && e.Code == errno.DataTooLong && texts:
		return errorf(errno.DataTruncated, "Data truncated for column '%s' at row %d", c.Name, row)
	}
	return err
}
