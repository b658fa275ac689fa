package plan

import (
	"strconv"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// filler makes rows of a table out of values for some of its columns.
type filler struct {
	b       *binder
	table   *catalog.Table
	strict  bool
	lenient bool // NULL is bent to fit, too
	zeros   bool // zero dates are dates like others
	zeroID  bool // 0 is a value of an AUTO_INCREMENT column (NO_AUTO_VALUE_ON_ZERO)
	given   map[int]bool
	// defaults are the values of the columns that are not given.
	defaults []expr.Value
	warnings *Warnings
	// computed are the defaults that are expressions.
	computed []generation
	// asked are the given columns of rows that say DEFAULT where that is an expression.
	asked map[askedCell]bool
}

// askedCell is a column of a row of the statement.
type askedCell struct{ column, row int }

// newFiller works out the defaults of the columns that are not given: without one it is error 1364.
func newFiller(b *binder, t *catalog.Table, ignore bool, given map[int]bool) (*filler, error) {
	f := &filler{b: b, table: t, strict: b.strictWrite, lenient: ignore, zeros: b.ctx.ZeroDates(), given: given,
		zeroID: hasMode(b.ctx.SQLMode, "NO_AUTO_VALUE_ON_ZERO"), defaults: make([]expr.Value, len(t.Schema.Columns)), warnings: &b.ctx.Warnings}
	for i := range t.Schema.Columns {
		if given[i] {
			continue
		}
		if t.Schema.Columns[i].Generated != nil {
			f.defaults[i] = expr.Value{Null: true} // until it is worked out
			continue
		}
		if t.Schema.Columns[i].DefaultExpr != nil {
			f.defaults[i] = expr.Value{Null: true} // likewise
			continue
		}
		d, err := f.defaultOf(i)
		if err != nil {
			return nil, err
		}
		f.defaults[i] = d.Value
	}
	var err error
	f.computed, err = b.computedDefaults(t)
	return f, err
}

// defaultOf is the default of a column; without strict mode a missing one is the type's zero.
func (f *filler) defaultOf(i int) (*expr.Node, error) {
	c := &f.table.Schema.Columns[i]
	if c.Hidden || c.Generated != nil {
		return constNull(c.Type), nil
	}
	d, err := f.b.defaultValue(c)
	if err != nil && !f.strict {
		if e, ok := sqltypes.AsError(err); ok {
			f.warnings.add(e, "", 0)
		}
		return &expr.Node{Kind: expr.NodeConst, Type: c.Type, Value: sqltypes.ZeroValue(c.Type)}, nil
	}
	return d, err
}

// several says how many rows the statement writes: without strict mode NULL is an error only in an INSERT of a single one.
func (f *filler) several(rows int) { f.lenient = f.lenient || !f.strict && rows > 1 }

// builder starts the columns of the table.
func (f *filler) builder(rows int) []*vec.ColumnBuilder {
	out := make([]*vec.ColumnBuilder, len(f.table.Schema.Columns))
	for i := range out {
		out[i] = vec.NewColumnBuilder(f.table.Schema.Columns[i].Type, rows)
	}
	return out
}

// finish fills in the defaults and makes the batch.
func (f *filler) finish(cols []*vec.ColumnBuilder, rows int) *vec.Batch {
	out := &vec.Batch{N: rows}
	for i, c := range cols {
		for c.Len() < rows {
			if f.defaults[i].Null {
				c.AppendNull()
			} else {
				c.AppendValue(f.defaults[i])
			}
		}
		out.Cols = append(out.Cols, c.Finish())
	}
	return out
}

// put converts one value for a column and appends it. What asks for a number of AUTO_INCREMENT becomes NULL.
func (f *filler) put(cb *vec.ColumnBuilder, col int, v expr.Value, t types.ColumnType, row int) error {
	c := &f.table.Schema.Columns[col]
	if v.Null && c.AutoIncrement || c.Generated != nil || f.asked[askedCell{col, row}] {
		cb.AppendNull()
		return nil
	}
	out, err := convertValue(v, t, c, leniency{f.strict, f.lenient, f.zeros, f.warnings}, f.b.evalContext(), row)
	if err != nil {
		return err
	}
	if c.AutoIncrement && out.I == 0 && !f.zeroID {
		cb.AppendNull()
		return nil
	}
	if out.Null {
		cb.AppendNull()
	} else {
		cb.AppendValue(out)
	}
	return nil
}

// leniency is what becomes of values that do not fit.
type leniency struct {
	strict   bool // they are errors
	nulls    bool // NULL becomes the zero of a type that has none
	zeros    bool // the zero date is a date like another
	warnings *Warnings
}

// convertValue stores a value in a column's type; an error or a warning names column and row as MySQL does.
func convertValue(v expr.Value, t types.ColumnType, c *types.Column, l leniency, ectx expr.Context, row int) (expr.Value, error) {
	out, bent, err := sqltypes.ConvertColumn(v, t, c, l.strict, sqltypes.Env{Loc: ectx.Loc, NowMicros: ectx.NowMicros, ZeroDates: l.zeros})
	if bent != nil {
		l.warnings.add(bent, c.Name, row)
	}
	if err == nil {
		return out, nil
	}
	if e, ok := sqltypes.AsError(err); ok && l.nulls && e.Code == errno.BadNull {
		l.warnings.add(e, c.Name, row)
		return sqltypes.ZeroValue(c.Type), nil
	}
	return out, sqltypes.WithColumn(err, c.Name, row)
}

// ConvertColumn converts a vector of assigned values to a column's type, for UPDATE and ON DUPLICATE KEY UPDATE; firstRow
// numbers its first row from 1. Ignore bends what does not fit.
func ConvertColumn(ctx *Context, v *vec.Vector, c *types.Column, ignore bool, firstRow int) (*vec.Vector, error) {
	strict := ctx.Strict() && !ignore
	return convertVector(v, c, leniency{strict, !strict, ctx.ZeroDates(), &ctx.Warnings}, newBinder(ctx).evalContext(), firstRow)
}

func convertVector(v *vec.Vector, c *types.Column, l leniency, ectx expr.Context, firstRow int) (*vec.Vector, error) {
	cb := vec.NewColumnBuilder(c.Type, v.N)
	for i := range v.N {
		x, err := convertValue(v.Value(i), v.Type, c, l, ectx, firstRow+i)
		if err != nil {
			return nil, err
		}
		if x.Null {
			cb.AppendNull()
		} else {
			cb.AppendValue(x)
		}
	}
	return cb.Finish(), nil
}

// manyLiterals is from how many rows on an INSERT looks for the quick way of each column.
const manyLiterals = 8

// InsertValues plans an INSERT of literals straight from the fast path of the parser: the literals are converted to the
// columns' vectors without a syntax tree.
func InsertValues(ctx *Context, in *ast.InsertValues) (*InsertPlan, error) {
	p, err := newInsert(newBinder(ctx), in.Table.DB, in.Table.Table, insertMode(in), in.Columns, in.Columns != nil)
	if err != nil {
		return nil, err
	}
	if in.Width != len(p.columns) {
		return nil, errorf(errno.ColumnCount, "Column count doesn't match value count at row 1")
	}
	rows := in.Rows()
	p.filler.several(rows)
	out := p.filler.builder(rows)
	var failed error
	upTo := rows // the first row that is wrong is named, and columns come one after the other
	for j, pos := range p.columns {
		if p.Table.Schema.Columns[pos].Generated != nil {
			if err := p.onlyDefaults(in, j, pos); err != nil {
				return nil, err
			}
			continue
		}
		var quick quickColumn
		if rows >= manyLiterals {
			quick = p.filler.literals(pos)
		}
		kind := p.Table.Schema.Columns[pos].Type.Kind
		for i := range upTo {
			if quick.take != nil && quick.literal(out[pos], kind, in.Cells[i*in.Width+j]) {
				continue
			}
			if err = p.filler.cell(out[pos], pos, in.Cells[i*in.Width+j], i+1); err != nil {
				failed, upTo = err, i
				break
			}
		}
	}
	if failed != nil {
		return nil, failed
	}
	p.Rows, err = p.filled(out, rows, 1)
	return p, err
}

// cell converts one literal. The two commonest, a small integer for an integer column and a string without escapes for a
// character column, take the shortest way.
func (f *filler) cell(cb *vec.ColumnBuilder, col int, c ast.Cell, row int) error {
	t := &f.table.Schema.Columns[col]
	if c.Kind == ast.CellDefault && t.DefaultExpr != nil {
		f.ask(col, row)
		cb.AppendNull()
		return nil
	}
	if c.Kind == ast.CellDefault {
		d, err := f.defaultOf(col)
		if err != nil {
			return err
		}
		return f.put(cb, col, d.Value, d.Type, row)
	}
	if quickCell(cb, t, c) {
		return nil
	}
	v, from := cellValue(c, t.Type)
	if c.Kind == ast.CellNow {
		from = types.ColumnType{Kind: types.KindDateTime, NotNull: true}
		if c.Text != "" {
			from.Scale = int32(c.Text[0] - '0')
		}
		v = moment(sqltypes.UTCToLocal(f.b.ctx.NowMicros, f.b.ctx.Location()), from)
	}
	return f.put(cb, col, v, from, row)
}

// quickCell appends a literal that surely is a value of the column as it stands.
func quickCell(cb *vec.ColumnBuilder, t *types.Column, c ast.Cell) bool {
	switch {
	case storesInts(t):
		lo, hi := sqltypes.IntRange(t.Type)
		n, ok := intLiteral(c, lo, hi)
		if ok {
			cb.AppendInt(n)
		}
		return ok
	case storesTexts(t) && textLiteral(c, t):
		cb.AppendString(c.Text)
		return true
	}
	return false
}

// cellValue reads a literal as the value that MySQL gives it where a column of type to is meant.
func cellValue(c ast.Cell, to types.ColumnType) (expr.Value, types.ColumnType) {
	text := types.ColumnType{Kind: types.KindVarChar}
	signed := c.Text
	if c.Neg {
		signed = "-" + signed
	}
	switch c.Kind {
	case ast.CellNull:
		return expr.Value{Null: true}, types.ColumnType{Kind: types.KindNull}
	case ast.CellTrue:
		return expr.Value{I: 1}, boolType
	case ast.CellFalse:
		return expr.Value{}, boolType
	case ast.CellInt:
		if n, err := strconv.ParseInt(signed, 10, 64); err == nil {
			return expr.Value{I: n}, bigintType
		}
		if n, err := strconv.ParseUint(signed, 10, 64); err == nil {
			return expr.Value{I: int64(n)}, types.ColumnType{Kind: types.KindBigInt, Unsigned: true}
		}
		return exactCell(signed)
	case ast.CellDecimal:
		return exactCell(signed)
	case ast.CellFloat:
		if n, err := strconv.ParseFloat(signed, 64); err == nil {
			return expr.Value{F: n}, types.ColumnType{Kind: types.KindDouble}
		}
	case ast.CellHex, ast.CellBit:
		return bytesCell(c.AppendBytes(nil), to)
	case ast.CellString:
		if c.Plain() {
			return expr.Value{B: []byte(c.Text)}, text
		}
		return expr.Value{B: c.AppendBytes(nil)}, text
	}
	return expr.Value{B: []byte(signed)}, text
}

// exactCell reads a decimal; one with more digits than a decimal has goes on as text, and the column judges it.
func exactCell(s string) (expr.Value, types.ColumnType) {
	if strings.HasPrefix(s, ".") {
		s = "0" + s
	}
	if n, err := expr.ConstDecimal(s); err == nil {
		return n.Value, n.Type
	}
	return expr.Value{B: []byte(s)}, types.ColumnType{Kind: types.KindVarChar}
}

// bytesCell reads hex and bit literals: bytes, or a number where the column is one.
func bytesCell(raw []byte, to types.ColumnType) (expr.Value, types.ColumnType) {
	if !to.IsNumeric() || len(raw) > 8 {
		return expr.Value{B: raw}, types.ColumnType{Kind: types.KindVarBinary}
	}
	var n uint64
	for _, c := range raw {
		n = n<<8 | uint64(c)
	}
	return expr.Value{I: int64(n)}, types.ColumnType{Kind: types.KindBigInt, Unsigned: true}
}
