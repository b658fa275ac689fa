package plan

import (
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
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
	layout := b.tableColumns(p.Table)
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
		if p.Table.Schema.Columns[pos].Generated != nil {
			if err := p.given(pos, 0); err != nil {
				return err
			}
			continue
		}
		x, err := assigned(e, b, &p.Table.Schema.Columns[pos], a.Expr)
		if err == nil {
			x, err = b.given(x, &p.Table.Schema.Columns[pos])
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
		prog, err := expr.Compile(a.Expr, expr.Context{Loc: ctx.Location(), NowMicros: ctx.NowMicros})
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
	return false, errorf(errno.UnknownCharset, "Unknown character set: '%s'", *name)
}
