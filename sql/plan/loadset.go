package plan

import (
	"strings"

	"stele/meta/types"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/vec"
)

// loadVar is a user variable of LOAD DATA: it takes a field of each line, for the assignments to read.
var loadVar = types.ColumnType{Kind: types.KindText, Length: 1<<31 - 1}

// loadFields plans what becomes of the fields of a line: columns and variables, and the columns that SET computes of them. It
// returns the names of all columns that get a value.
func (p *LoadPlan) loadFields(stmt *ast.LoadDataStmt) (names []string) {
	for _, c := range stmt.ColumnsAndUserVars {
		if c.ColumnName != nil {
			p.fields = append(p.fields, len(names))
			names = append(names, c.ColumnName.Name.O)
			continue
		}
		p.fields = append(p.fields, -1-len(p.vars))
		p.vars = append(p.vars, strings.ToLower(c.UserVar.Name))
	}
	return names
}

// assign binds SET.
func (p *LoadPlan) assign(b *binder, list []*ast.Assignment) error {
	layout := p.tableColumns(b)
	e := &env{b: b, clause: "field list", noAgg: true, vars: map[string]int{}}
	e.cols = p.scope(layout)
	for _, name := range p.vars {
		id := b.newColumn(column{name: "@" + name, typ: loadVar})
		e.vars[name] = id // of several fields for one variable the last one counts
		layout = append(layout, id)
	}
	for _, a := range list {
		if hasSubquery(a.Expr) {
			return refuse("LOAD DATA ... SET with a subquery")
		}
		pos, err := p.target.named(a.Column.Name.O)
		if err != nil {
			return err
		}
		x, err := assigned(e, b, &p.Table.Schema.Columns[pos], a.Expr)
		if err == nil {
			x, err = b.shown(x)
		}
		if err != nil {
			return err
		}
		p.sets = append(p.sets, Assign{Column: pos, Expr: at(x, layout)})
	}
	return nil
}

// compute evaluates SET over rows; each assignment sees what those before it have set.
func (p *LoadPlan) compute(rows *vec.Batch, vars []*vec.ColumnBuilder, firstRow int) error {
	ctx := p.filler.b.ctx
	in := &vec.Batch{Cols: append([]*vec.Vector(nil), rows.Cols...), N: rows.N}
	for _, v := range vars {
		in.Cols = append(in.Cols, v.Finish())
	}
	for _, a := range p.sets {
		prog, err := expr.Compile(a.Expr, expr.Context{Loc: ctx.location(), NowMicros: ctx.NowMicros})
		if err != nil {
			return err
		}
		v, err := prog.Eval(in)
		if err != nil {
			return err
		}
		cb := vec.NewColumnBuilder(rows.Cols[a.Column].Type, rows.N)
		for i := range rows.N {
			if err := p.filler.put(cb, a.Column, v.Value(i), v.Type, firstRow+i); err != nil {
				return err
			}
		}
		in.Cols[a.Column] = cb.Finish()
		rows.Cols[a.Column] = in.Cols[a.Column]
	}
	return nil
}

// charset checks CHARACTER SET and reports whether the file has to be transcoded.
func loadCharset(name *string) (latin1 bool, err error) {
	if name == nil {
		return false, nil
	}
	switch strings.ToLower(*name) {
	case "utf8", "utf8mb3", "utf8mb4", "ascii", "binary":
		return false, nil
	case "latin1":
		return true, nil
	}
	return false, errorf(1115, "Unknown character set: '%s'", *name)
}

// highLatin1 are the characters 0x80 to 0x9F of MySQL's latin1, which is Windows' code page 1252.
var highLatin1 = [32]rune{0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d, 0x17d, 0x8f,
	0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d, 0x17e, 0x178}

// fromLatin1 returns text as UTF-8.
func fromLatin1(text []byte) []byte {
	var out strings.Builder
	out.Grow(len(text) + len(text)/8)
	for _, b := range text {
		switch {
		case b >= 0x80 && b < 0xA0:
			out.WriteRune(highLatin1[b-0x80])
		default:
			out.WriteRune(rune(b))
		}
	}
	return []byte(out.String())
}
