package plan

import (
	"errors"
	"slices"
	"strings"
	"unsafe"

	ast "stele/sql/parse"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// LoadPlan is a checked LOAD DATA: rows come as text, line by line.
type LoadPlan struct {
	InsertPlan
	Format LoadFormat
	// Skip is how many lines are passed over first.
	Skip uint64

	fields []int    // of a line: an index of columns, or -1 minus one of vars
	vars   []string // user variables that take fields
	sets   []Assign // over the columns of the table, then vars
	latin1 bool     // the file is not in UTF-8
}

// Load plans LOAD DATA LOCAL INFILE. As in MySQL a file of the client is loaded as INSERT IGNORE inserts, or as REPLACE does:
// it cannot be told to stop sending.
func Load(ctx *Context, stmt *ast.LoadDataStmt) (*LoadPlan, error) {
	format, err := loadFormat(stmt)
	if err != nil {
		return nil, err
	}
	mode := ModeIgnore
	if stmt.OnDuplicate == ast.OnDuplicateKeyHandlingReplace {
		mode = ModeReplace
	}
	out := &LoadPlan{Format: format}
	if out.latin1, err = loadCharset(stmt.Charset); err != nil {
		return nil, err
	}
	names := out.loadFields(stmt)
	listed := len(stmt.ColumnsAndUserVars) > 0
	fromFile := len(names)
	if listed {
		for _, a := range stmt.ColumnAssignments {
			if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, a.Column.Name.O) }) {
				names = append(names, a.Column.Name.O)
			}
		}
	}
	b := newBinder(ctx)
	p, err := newInsert(b, stmt.Table.Schema.O, stmt.Table.Name.O, mode, names, listed)
	if err != nil {
		return nil, err
	}
	if err := p.within(stmt.Table.PartitionNames); err != nil {
		return nil, err
	}
	out.InsertPlan = *p
	if listed {
		out.columns = out.columns[:fromFile] // the others are computed
	} else {
		for i := range out.columns {
			out.fields = append(out.fields, i)
		}
	}
	if err := out.givesNone(); err != nil {
		return nil, err
	}
	if stmt.IgnoreLines != nil {
		out.Skip = *stmt.IgnoreLines
	}
	return out, out.assign(b, stmt.ColumnAssignments)
}

// LoadFormat is how the lines of a file are cut into values.
type LoadFormat struct {
	Field, Line, Start string
	Quote, Escape      byte // 0 = none
	OptionalQuote      bool
}

func loadFormat(stmt *ast.LoadDataStmt) (LoadFormat, error) {
	f := LoadFormat{Field: "\t", Line: "\n", Escape: '\\'}
	if i := stmt.FieldsInfo; i != nil {
		if i.Terminated != nil {
			f.Field = *i.Terminated
		}
		if i.Enclosed != nil && *i.Enclosed != "" {
			f.Quote, f.OptionalQuote = (*i.Enclosed)[0], i.OptEnclosed
		}
		if i.Escaped != nil {
			if f.Escape = 0; *i.Escaped != "" {
				f.Escape = (*i.Escaped)[0]
			}
		}
		if i.DefinedNullBy != nil {
			return f, refuse("DEFINED NULL BY")
		}
	}
	if i := stmt.LinesInfo; i != nil {
		if i.Terminated != nil {
			f.Line = *i.Terminated
		}
		if i.Starting != nil {
			f.Start = *i.Starting
		}
	}
	if f.Field == "" || f.Line == "" {
		return f, refuse("LOAD DATA of lines or fields without a terminator")
	}
	if stmt.Format != nil || len(stmt.Options) > 0 {
		return f, refuse("LOAD DATA ... FORMAT or WITH")
	}
	return f, nil
}

// LoadRows converts lines into rows of the table; nobody changes text before it returns, and firstRow numbers its first row from
// 1. Where old is given, rows that came of LoadRows and that nobody reads any more, they lie in its buffers. It may be called by
// several goroutines at once. The warnings are of values that were bent, and of lines with too few or too many of them.
func (p *LoadPlan) LoadRows(text []byte, firstRow int, old *vec.Batch) (*vec.Batch, *Warnings, error) {
	own, filler := *p, *p.filler
	own.filler, filler.warnings, filler.asked = &filler, &Warnings{}, nil
	rows, err := own.loadRows(text, firstRow, old, own.quick())
	return rows, filler.warnings, err
}

// loadRows is LoadRows with given quick ways, one a column or none at all.
func (p *LoadPlan) loadRows(text []byte, firstRow int, old *vec.Batch, quick []quickColumn) (*vec.Batch, error) {
	if p.latin1 {
		text = sqltypes.FromLatin1(text)
	}
	s := unsafe.String(unsafe.SliceData(text), len(text)) // nobody writes to it
	r := loadReader{f: p.Format, s: s}
	var cols []*vec.ColumnBuilder
	if old != nil {
		cols = vec.ReuseBuilders(old)
	} else {
		cols = p.filler.builder(len(text)/(8*len(p.fields)+8) + 1)
	}
	vars := make([]*vec.ColumnBuilder, len(p.vars))
	for i := range vars {
		vars[i] = vec.NewColumnBuilder(loadVar, 0)
	}
	n := 0
	for r.line() {
		if err := p.loadLine(&r, cols, vars, quick, firstRow+n); err != nil {
			return nil, err
		}
		n++
	}
	rows := p.filler.finish(cols, n)
	if err := p.compute(rows, vars, firstRow); err != nil {
		return nil, err
	}
	return rows, p.filler.generate(p.generated, rows, firstRow)
}

// loadLine takes one line in.
func (p *LoadPlan) loadLine(r *loadReader, cols, vars []*vec.ColumnBuilder, quick []quickColumn, row int) error {
	width := 0
	for more := true; more; width++ {
		at := -1
		if width < len(p.fields) {
			at = p.fields[width]
		}
		if at >= 0 && quick != nil && quick[at].take != nil {
			if end, ok := quick[at].take(&quick[at], cols[p.columns[at]], r.s); ok {
				more = r.past(end)
				continue
			}
		}
		var cell ast.Cell
		cell, more = r.field()
		switch {
		case width >= len(p.fields):
		case at < 0:
			takeVar(vars[-1-at], cell)
		default:
			if err := p.loadCell(cols, at, cell, row); err != nil {
				return err
			}
		}
	}
	switch {
	case width < len(p.fields):
		p.filler.warnings.add(fewFields, "", row)
	case width > len(p.fields):
		p.filler.warnings.add(manyFields, "", row)
	}
	for ; width < len(p.fields); width++ {
		if at := p.fields[width]; at < 0 {
			takeVar(vars[-1-at], ast.Cell{Kind: ast.CellNull})
		} else if err := p.missing(cols, at, row); err != nil {
			return err
		}
	}
	return nil
}

func takeVar(v *vec.ColumnBuilder, c ast.Cell) {
	if c.Kind == ast.CellNull {
		v.AppendNull()
	} else {
		v.AppendBytes(c.AppendBytes(nil))
	}
}

func (p *LoadPlan) loadCell(cols []*vec.ColumnBuilder, at int, c ast.Cell, row int) error {
	pos := p.columns[at]
	if col := &p.Table.Schema.Columns[pos]; c.Kind == ast.CellString && !col.Special() { // to those digits are a name first, or bytes
		t := col.Type
		switch {
		case t.IsInteger() && plainInt(c.Text):
			c.Kind = ast.CellInt
			if c.Text[0] == '-' {
				c.Text, c.Neg = c.Text[1:], true
			}
		case t.Phys() == decimalPhys && plainDecimal(c.Text):
			c.Kind = ast.CellDecimal
			if c.Text[0] == '-' {
				c.Text, c.Neg = c.Text[1:], true
			}
		}
	}
	return p.filler.cell(cols[pos], pos, c, row)
}

// missing appends the value of a column that a line has no field for: its default, else the zero of its type.
func (p *LoadPlan) missing(cols []*vec.ColumnBuilder, at, row int) error {
	pos := p.columns[at]
	before := *p.filler.warnings // that the field is missing is said of the line
	err := p.filler.cell(cols[pos], pos, ast.Cell{Kind: ast.CellDefault}, row)
	var known *Error
	if errors.As(err, &known) {
		err = p.filler.cell(cols[pos], pos, ast.Cell{Kind: ast.CellNull}, row)
	}
	*p.filler.warnings = before
	return err
}

// plainInt recognises an optional minus and up to 18 digits.
func plainInt(s string) bool {
	if s != "" && s[0] == '-' {
		s = s[1:]
	}
	return len(s) > 0 && len(s) <= 18 && digits(s) == len(s)
}

// plainDecimal recognises digits with a point among them.
func plainDecimal(s string) bool {
	if s != "" && s[0] == '-' {
		s = s[1:]
	}
	n := digits(s)
	if n == 0 || n == len(s) || s[n] != '.' {
		return false
	}
	rest := s[n+1:]
	return len(rest) > 0 && len(s) <= 60 && digits(rest) == len(rest)
}

// digits counts the digits at the beginning.
func digits(s string) int {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return i
		}
	}
	return len(s)
}
