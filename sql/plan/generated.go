package plan

import (
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/vec"
)

// generation is a generated column by its position, and its value over the columns of the table, in schema order.
type generation struct {
	pos   int
	value *expr.Node
}

// generatedColumns lists the generated columns of a table by their positions: each is worked out of those before it.
func generatedColumns(t *catalog.Table) []int {
	var out []int
	for i := range t.Schema.Columns {
		if t.Schema.Columns[i].Generated != nil {
			out = append(out, i)
		}
	}
	return out
}

// following lists the generated columns that are worked out of columns that are assigned, directly or by another one.
func following(t *catalog.Table, assigned []Assign) []int {
	var changed []types.ColumnID
	for _, a := range assigned {
		changed = append(changed, t.Schema.Columns[a.Column].ID)
	}
	var out []int
	for i := range t.Schema.Columns {
		c := &t.Schema.Columns[i]
		if c.Generated != nil && slices.ContainsFunc(c.Generated.Reads, func(id types.ColumnID) bool { return slices.Contains(changed, id) }) {
			out, changed = append(out, i), append(changed, c.ID)
		}
	}
	return out
}

// generates reports whether a column is generated, or others are out of it.
func generates(t *catalog.Table, pos int) bool {
	return t.Schema.Columns[pos].Generated != nil || len(following(t, []Assign{{Column: pos}})) > 0
}

// generations binds some generated columns of a table.
func (b *binder) generations(t *catalog.Table, which []int) ([]generation, error) {
	if len(which) == 0 {
		return nil, nil
	}
	ids := b.tableColumns(t)
	var out []generation
	for _, pos := range which {
		g, err := b.generation(t, pos, ids)
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, nil
}

// generation binds one generated column over ids of the columns of its table.
func (b *binder) generation(t *catalog.Table, pos int, ids []int) (generation, error) {
	c := &t.Schema.Columns[pos]
	g, err := b.rowValue(t, pos, ids, c.Generated.Clause, "generated column function")
	if err == nil && expr.IsVolatile(g.value) {
		err = DisallowedInGenerated(c.Name, c.Generated.Clause)
	}
	return g, err
}

// DisallowedInGenerated is the error of a generated column that depends on more than its row: on a function, a variable or a query.
func DisallowedInGenerated(column, what string) *Error {
	return errorf(errno.GeneratedFunction, "Expression of generated column '%s' contains a disallowed function: %s.", column, what)
}

// rowValue binds an expression over a row, the value of a column of it; part says for errors where it stands.
func (b *binder) rowValue(t *catalog.Table, pos int, ids []int, clause, part string) (generation, error) {
	c := &t.Schema.Columns[pos]
	n, err := ast.ParseExpr(clause)
	if err != nil {
		return generation{}, err
	}
	e := b.tableEnv(t, ids)
	e.clause = part
	x, err := e.bind(n)
	if err != nil {
		return generation{}, err
	}
	x, err = b.shown(b.storedText(x, c.Type))
	if err != nil {
		return generation{}, err
	}
	return generation{pos, at(x, ids)}, nil
}

// work works out generated columns of rows that are given by the columns of the table, one after the other: the next one may read it.
func work(list []generation, t *catalog.Table, rows *vec.Batch, ectx expr.Context, l leniency, firstRow int) error {
	for _, g := range list {
		prog, err := expr.Compile(g.value, ectx)
		if err != nil {
			return err
		}
		v, err := prog.Eval(rows)
		if err != nil {
			return err
		}
		if rows.Cols[g.pos], err = convertVector(v, &t.Schema.Columns[g.pos], l, ectx, firstRow); err != nil {
			return err
		}
	}
	return nil
}

// generate works out the defaults that are expressions and the generated columns of new rows.
func (f *filler) generate(list []generation, rows *vec.Batch, firstRow int) error {
	if err := f.computeDefaults(rows, firstRow); err != nil || len(list) == 0 {
		return err
	}
	return work(list, f.table, rows, f.b.evalContext(), leniency{f.strict, f.lenient, f.zeros, f.warnings}, firstRow)
}

// Follow works out the generated columns of rows with new values that depend on those; firstRow numbers the first one from 1.
func (p *ModifyPlan) Follow(ctx *Context, rows *vec.Batch, firstRow int) error {
	return follow(p.follows, ctx, p.Table, rows, p.Ignore, firstRow)
}

// Follow is ModifyPlan's Follow, of rows that ON DUPLICATE KEY UPDATE makes.
func (p *InsertPlan) Follow(ctx *Context, rows *vec.Batch, firstRow int) error {
	return follow(p.follows, ctx, p.Table, rows, false, firstRow)
}

func follow(list []generation, ctx *Context, t *catalog.Table, rows *vec.Batch, ignore bool, firstRow int) error {
	if len(list) == 0 {
		return nil
	}
	strict := ctx.Strict() && !ignore
	return work(list, t, rows, newBinder(ctx).evalContext(), leniency{strict, !strict, ctx.ZeroDates(), &ctx.Warnings}, firstRow)
}

// Written lists the columns that an UPDATE gives other values, by their positions.
func (p *ModifyPlan) Written() []int { return changedColumns(p.Assign, p.follows) }

// Updated lists the columns that ON DUPLICATE KEY UPDATE gives other values, by their positions.
func (p *InsertPlan) Updated() []int { return changedColumns(p.OnDuplicate, p.follows) }

func changedColumns(assigned []Assign, follows []generation) []int {
	var out []int
	for _, a := range assigned {
		out = append(out, a.Column)
	}
	for _, g := range follows {
		out = append(out, g.pos)
	}
	return out
}

// isDefault recognises DEFAULT, all that can be said of the value of a generated column.
func isDefault(n ast.ExprNode) bool {
	d, ok := ast.Unparen(n).(*ast.DefaultExpr)
	return ok && d.Name == nil
}

// givenGenerated is the error of a value for a generated column.
func givenGenerated(t *catalog.Table, pos int) error {
	return errorf(errno.GeneratedValue, "The value specified for generated column '%s' in table '%s' is not allowed.", t.Schema.Columns[pos].Name, t.Name)
}

// keptGenerated is the value of an assignment to a generated column, which can only be DEFAULT: its own.
func (b *binder) keptGenerated(t *catalog.Table, pos, id int, n ast.ExprNode) (*expr.Node, error) {
	if !isDefault(n) {
		return nil, givenGenerated(t, pos)
	}
	return b.shown(b.col(id))
}

// given is what becomes of a value for a generated column in a new row: it is an error or, without strict mode, left out with a warning,
// as in MariaDB, whose mysqldump writes the values of all columns and a mode that is not strict.
func (p *InsertPlan) given(pos, row int) error {
	if p.filler.b.ctx.Strict() {
		return givenGenerated(p.Table, pos)
	}
	p.filler.warnings.add(errorf(errno.GeneratedValueIgnored, "The value specified for generated column '%s' in table '%s' has been ignored",
		p.Table.Schema.Columns[pos].Name, p.Table.Name), "", row)
	return nil
}

// givesNone looks for generated columns among those of an INSERT of a query, or a LOAD DATA.
func (p *InsertPlan) givesNone() error {
	for _, pos := range p.columns {
		if p.Table.Schema.Columns[pos].Generated == nil {
			continue
		}
		if err := p.given(pos, 0); err != nil {
			return err
		}
	}
	return nil
}

// onlyDefaults looks at the literals for a generated column, the j-th of each row.
func (p *InsertPlan) onlyDefaults(in *ast.InsertValues, j, pos int) error {
	for i := range in.Rows() {
		if in.Cells[i*in.Width+j].Kind == ast.CellDefault {
			continue
		}
		if err := p.given(pos, i+1); err != nil {
			return err
		}
	}
	return nil
}
