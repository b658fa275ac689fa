package plan

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"stele/meta/types"
	ast "stele/sql/parse"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// InsertTarget is the plan of the INSERTs of literals that differ in nothing but the literals: where they go, and into which
// columns. It is only a shorter way than InsertValues: whatever is an error or a warning there is left to that.
type InsertTarget struct {
	plan    InsertPlan // without rows
	db      string     // as the statement names it
	table   string
	names   []string // likewise; nil = no list
	current string   // the default database
	ctx     Context  // what values depend on: sql_mode and the time zone, and the time of the statement
	usable  bool

	filler filler
	quick  []quickColumn // of the columns that are given
	timed  []int         // columns that are not given and have the time of the statement
}

// NewInsertTarget plans INSERTs like in. One that is wrong is not usable: InsertValues knows what to say.
func NewInsertTarget(ctx *Context, in *ast.InsertValues) *InsertTarget {
	t := &InsertTarget{db: in.Table.DB, table: in.Table.Table, current: ctx.CurrentDB}
	t.ctx = Context{SQLMode: ctx.SQLMode, TimeZone: ctx.TimeZone}
	if in.Columns != nil {
		t.names = slices.Clone(in.Columns)
	}
	before := ctx.Warnings.Count
	mode := insertMode(in)
	p, err := newInsert(newBinder(ctx), in.Table.DB, in.Table.Table, mode, in.Columns, in.Columns != nil)
	if err != nil {
		t.plan.Mode = mode
		return t
	}
	t.plan = *p
	t.plan.filler = nil // it belongs to one statement
	t.usable = p.Via == nil && !p.Checked() && p.generated == nil && p.filler.computed == nil && ctx.Warnings.Count == before
	if t.usable {
		t.fillBy(p.filler)
	}
	return t
}

// fillBy takes over the filler of a statement.
func (t *InsertTarget) fillBy(f *filler) {
	b := newBinder(&t.ctx)
	b.writes(t.plan.Mode == ModeIgnore)
	t.filler = *f
	t.filler.b, t.filler.warnings = b, &t.ctx.Warnings
	t.quick = make([]quickColumn, len(t.plan.columns))
	for j, pos := range t.plan.columns {
		t.quick[j] = t.filler.literals(pos)
	}
	for i := range t.plan.Table.Schema.Columns {
		if c := &t.plan.Table.Schema.Columns[i]; c.DefaultNow && !f.given[i] {
			t.timed = append(t.timed, i)
		}
	}
}

func insertMode(in *ast.InsertValues) InsertMode {
	switch {
	case in.Replace:
		return ModeReplace
	case in.Ignore:
		return ModeIgnore
	}
	return ModeInsert
}

// Fits reports whether a statement is one of the target's, and the target's table is that of the snapshot.
func (t *InsertTarget) Fits(snapshot Snapshot, currentDB, modes string, zone *time.Location, in *ast.InsertValues) bool {
	if t.table != in.Table.Table || t.db != in.Table.DB || t.current != currentDB || t.ctx.SQLMode != modes || t.ctx.TimeZone != zone ||
		t.plan.Mode != insertMode(in) || (t.names == nil) != (in.Columns == nil) || !slices.Equal(t.names, in.Columns) {
		return false
	}
	if t.plan.Table == nil {
		return false // it may be made
	}
	table, ok := snapshot.Table(t.plan.Database, t.table)
	return ok && table == t.plan.Table
}

// Insert plans one statement of a time. It is not ok when a value is to be complained of.
func (t *InsertTarget) Insert(in *ast.InsertValues, nowMicros int64) (*InsertPlan, bool) {
	if !t.usable || in.Width != len(t.plan.columns) {
		return nil, false
	}
	t.ctx.NowMicros, t.ctx.Warnings = nowMicros, Warnings{}
	for _, i := range t.timed {
		d, err := t.filler.defaultOf(i)
		if err != nil {
			return nil, false
		}
		t.filler.defaults[i] = d.Value
	}
	p := t.plan
	var ok bool
	if p.Rows, ok = t.rows(in); !ok || t.ctx.Warnings.Count > 0 {
		return nil, false
	}
	return &p, true
}

func (t *InsertTarget) rows(in *ast.InsertValues) (*vec.Batch, bool) {
	cols := t.plan.Table.Schema.Columns
	n := in.Rows()
	out, vectors := batchOf(n, len(cols))
	for j, pos := range t.plan.columns {
		v := &vectors[pos]
		v.Type, v.N = cols[pos].Type, n
		if !literals(v, &cols[pos], in, j) && !t.converted(v, in, j) {
			return nil, false
		}
		out.Cols[pos] = v
	}
	for pos, v := range out.Cols {
		if v == nil {
			cb := vec.NewColumnBuilder(cols[pos].Type, n)
			for range n {
				cb.AppendValue(t.filler.defaults[pos])
			}
			vectors[pos] = *cb.Finish()
			out.Cols[pos] = &vectors[pos]
		}
	}
	return out, true
}

// converted fills a vector with the j-th literal of each row by the ways of InsertValues; false when one is an error.
func (t *InsertTarget) converted(v *vec.Vector, in *ast.InsertValues, j int) bool {
	pos := t.plan.columns[j]
	c := &t.plan.Table.Schema.Columns[pos]
	cb := vec.NewColumnBuilder(c.Type, v.N)
	for i := range v.N {
		cell := in.Cells[i*in.Width+j]
		switch {
		case c.AutoIncrement && (cell.Kind == ast.CellNull || cell.Kind == ast.CellDefault):
			cb.AppendNull()
		case t.quick[j].literal(cb, c.Type.Kind, cell):
		case t.filler.cell(cb, pos, cell, i+1) != nil:
			return false
		}
	}
	*v = *cb.Finish()
	return true
}

// batchOf returns a batch with room for its columns, and those.
func batchOf(rows, cols int) (*vec.Batch, []vec.Vector) {
	if cols > 4 {
		return &vec.Batch{N: rows, Cols: make([]*vec.Vector, cols)}, make([]vec.Vector, cols)
	}
	one := &struct { // piece of memory
		batch   vec.Batch
		cols    [4]*vec.Vector
		vectors [4]vec.Vector
	}{}
	one.batch = vec.Batch{N: rows, Cols: one.cols[:cols]}
	return &one.batch, one.vectors[:cols]
}

// literals fills a vector with the j-th literal of each row; false when one has to be converted.
func literals(v *vec.Vector, c *types.Column, in *ast.InsertValues, j int) bool {
	switch {
	case storesInts(c):
		lo, hi := sqltypes.IntRange(c.Type)
		v.I64 = make([]int64, v.N)
		for i := range v.I64 {
			n, ok := intLiteral(in.Cells[i*in.Width+j], lo, hi)
			if !ok {
				return false
			}
			v.I64[i] = n
		}
		return true
	case storesTexts(c):
		size := 0
		for i := range v.N {
			cell := &in.Cells[i*in.Width+j]
			if !textLiteral(*cell, c) {
				return false
			}
			size += len(cell.Text)
		}
		v.Off, v.Data = make([]uint32, v.N+1), make([]byte, 0, size)
		for i := range v.N {
			v.Data = append(v.Data, in.Cells[i*in.Width+j].Text...)
			v.Off[i+1] = uint32(len(v.Data))
		}
		return true
	}
	return false
}

// BindInsert puts the values of parameters in the place of their question marks, as literals. It is not ok when one has no literal
// that means the same in the place of any value: that is for Insert to say.
func BindInsert(in *ast.InsertValues, params []Param) (*ast.InsertValues, bool) {
	out := *in
	out.Cells = slices.Clone(in.Cells)
	for i := range out.Cells {
		c := &out.Cells[i]
		if c.Kind != ast.CellParam {
			continue
		}
		if len(params) == 0 || !bindCell(c, &params[0]) {
			return nil, false
		}
		params = params[1:]
	}
	return &out, len(params) == 0
}

func bindCell(c *ast.Cell, p *Param) bool {
	kind := p.Type.Kind
	switch {
	case p.Value.Null:
		c.Kind = ast.CellNull
		return true
	case kind >= types.KindTinyInt && kind <= types.KindBigInt && (!p.Type.Unsigned || p.Value.I >= 0):
		c.Kind = ast.CellInt
		if c.Text = strconv.FormatInt(p.Value.I, 10); p.Value.I < 0 {
			c.Text, c.Neg = c.Text[1:], true
		}
		return true
	case kind == types.KindVarChar:
		c.Kind, c.Text = ast.CellString, string(p.Value.B)
		return true
	case kind == types.KindDouble && !math.IsInf(p.Value.F, 0) && !math.IsNaN(p.Value.F):
		c.Kind, c.Text = ast.CellFloat, strconv.FormatFloat(p.Value.F, 'g', -1, 64)
		if c.Text[0] == '-' {
			c.Text, c.Neg = c.Text[1:], true
		}
		return true
	case kind == types.KindDate || kind == types.KindDateTime && p.Type.Scale == 6:
		c.Kind, c.Text = ast.CellString, string(sqltypes.AppendText(nil, p.Type, p.Value, time.UTC))
		return true
	}
	return false
}

// storesInts reports whether integers in the range of the column's type are values of it.
func storesInts(c *types.Column) bool {
	return c.Type.Kind >= types.KindTinyInt && c.Type.Kind <= types.KindBigInt && !c.AutoIncrement && !c.Special()
}

// storesTexts reports whether texts that are not too long are values of the column.
func storesTexts(c *types.Column) bool {
	return c.Type.Kind == types.KindVarChar || c.Type.Kind == types.KindText || c.Type.Kind == types.KindChar
}

// intLiteral reads a literal that is a value of the range as it stands.
func intLiteral(c ast.Cell, lo int64, hi uint64) (int64, bool) {
	if c.Kind != ast.CellInt || len(c.Text) >= 19 {
		return 0, false
	}
	n, _ := readDigits(c.Text, 0, 0)
	if c.Neg {
		n = -n
	}
	return n, n >= lo && (n <= 0 || uint64(n) <= hi)
}

// textLiteral reports whether a literal is a value of the column as it stands.
func textLiteral(c ast.Cell, to *types.Column) bool {
	return c.Kind == ast.CellString && c.Plain() && len(c.Text) <= int(to.Type.Length) && utf8.ValidString(c.Text) &&
		(to.Type.Kind != types.KindChar || !strings.HasSuffix(c.Text, " "))
}
