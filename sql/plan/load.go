package plan

import (
	"errors"
	"unsafe"

	ast "stele/sql/parse"
	"stele/sql/vec"
)

// LoadPlan is a checked LOAD DATA: rows come as text, line by line.
type LoadPlan struct {
	InsertPlan
	Format LoadFormat
	// Skip is how many lines are passed over first.
	Skip uint64
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
	if len(stmt.ColumnAssignments) > 0 {
		return nil, refuse("LOAD DATA ... SET")
	}
	if stmt.Table == nil || len(stmt.Table.PartitionNames) > 0 {
		return nil, refuse("PARTITION selection")
	}
	var names []string
	for _, c := range stmt.ColumnsAndUserVars {
		if c.ColumnName == nil {
			return nil, refuse("LOAD DATA into user variables")
		}
		names = append(names, c.ColumnName.Name.O)
	}
	p, err := newInsert(newBinder(ctx), stmt.Table.Schema.O, stmt.Table.Name.O, mode, names, len(names) > 0)
	if err != nil {
		return nil, err
	}
	out := &LoadPlan{InsertPlan: *p, Format: format}
	if stmt.IgnoreLines != nil {
		out.Skip = *stmt.IgnoreLines
	}
	return out, nil
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

// LoadRows converts lines into rows of the table; text is not changed afterwards, and firstRow numbers its first row from 1.
// It may be called by several goroutines at once. Short is how many lines had too few or too many values.
func (p *LoadPlan) LoadRows(text []byte, firstRow int) (rows *vec.Batch, short int, err error) {
	return p.loadRows(text, firstRow, p.quick())
}

// loadRows is LoadRows with given quick ways, one a column or none at all.
func (p *LoadPlan) loadRows(text []byte, firstRow int, quick []quickColumn) (rows *vec.Batch, short int, err error) {
	s := unsafe.String(unsafe.SliceData(text), len(text)) // nobody writes to it
	r := loadReader{f: p.Format, s: s}
	cols := p.filler.builder(len(text)/(8*len(p.columns)+8) + 1)
	n := 0
	for r.line() {
		width, wrong := 0, false
		for more := true; more; width++ {
			if width < len(quick) && quick[width].take != nil {
				if end, ok := quick[width].take(&quick[width], cols[p.columns[width]], r.s); ok {
					more = r.past(end)
					continue
				}
			}
			var cell ast.Cell
			if cell, more = r.field(); width >= len(p.columns) {
				wrong = true
			} else if err := p.loadCell(cols, width, cell, firstRow+n); err != nil {
				return nil, 0, err
			}
		}
		for ; width < len(p.columns); width++ {
			wrong = true
			if err := p.missing(cols, width, firstRow+n); err != nil {
				return nil, 0, err
			}
		}
		if wrong {
			short++
		}
		n++
	}
	return p.filler.finish(cols, n), short, nil
}

func (p *LoadPlan) loadCell(cols []*vec.ColumnBuilder, at int, c ast.Cell, row int) error {
	pos := p.columns[at]
	if c.Kind == ast.CellString {
		t := p.Table.Schema.Columns[pos].Type
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
	err := p.filler.cell(cols[pos], pos, ast.Cell{Kind: ast.CellDefault}, row)
	var known *Error
	if errors.As(err, &known) {
		return p.filler.cell(cols[pos], pos, ast.Cell{Kind: ast.CellNull}, row)
	}
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
