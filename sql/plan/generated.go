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

// generatedDef is the expression of a generated column as a statement declares it.
type generatedDef struct {
	column string
	expr   ast.ExprNode
	// declared is what the column has until its expression is read: clauses of an ALTER TABLE may give it another name, or drop it.
	declared *types.Generated
}

// generatedOption is the expression in the definition of a column.
func generatedOption(def *ast.ColumnDef) (generatedDef, bool) {
	for _, o := range def.Options {
		if o.Tp == ast.ColumnOptionGenerated {
			return generatedDef{column: def.Name.Name.O, expr: o.Expr}, true
		}
	}
	return generatedDef{}, false
}

// onlyGenerated refuses a generated column that would get its values from elsewhere, too.
func onlyGenerated(col *types.Column, hasDefault bool) error {
	other := ""
	switch {
	case hasDefault:
		other = "DEFAULT"
	case col.AutoIncrement:
		other = "AUTO_INCREMENT"
	case col.OnUpdateNow:
		other = "ON UPDATE"
	default:
		return nil
	}
	return errorf(errno.WrongUsage, "Incorrect usage of %s and generated column", other)
}

// generate settles the expression of a generated column of a table whose columns are known.
func (b *binder) generate(t *catalog.Table, d generatedDef) error {
	pos := t.Schema.ColumnNamed(d.column)
	r := &rowReader{table: t, of: generatedExpr{d.column, pos}}
	ast.Inspect(d.expr, r.visit)
	if r.err != nil {
		return r.err
	}
	clause, _, err := clauseOf(d.expr)
	if err != nil {
		return err
	}
	c := &t.Schema.Columns[pos]
	c.Generated = &types.Generated{Clause: clause, Reads: r.columns, Virtual: c.Generated.Virtual}
	if _, err := b.generation(t, pos, b.tableColumns(t)); err != nil {
		return err
	}
	return readsAgain(clause, "a generated column")
}

// generatedExpr says what the expression of a generated column may have.
type generatedExpr struct {
	column string
	pos    int
}

func (generatedExpr) unknown(n *ast.ColumnName, _ bool) error {
	return errorf(errno.UnknownColumn, "Unknown column '%s' in 'generated column function'", n.String())
}

func (g generatedExpr) disallowed(what, name string) error {
	text := what
	if name != "" {
		text = name
	}
	return errorf(errno.GeneratedFunction, "Expression of generated column '%s' contains a disallowed function: %s.", g.column, text)
}

// reads refuses a column whose value is not known when the expression is worked out.
func (g generatedExpr) reads(c *types.Column, pos int) error {
	switch {
	case c.AutoIncrement:
		return errorf(errno.GeneratedAuto, "Generated column '%s' cannot refer to auto-increment column.", g.column)
	case c.Generated != nil && pos >= g.pos:
		return errorf(errno.GeneratedOrder, "Generated column can refer only to generated columns defined prior to it.")
	}
	return nil
}

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
		err = generatedExpr{column: c.Name}.disallowed(c.Generated.Clause, "")
	}
	return g, err
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
	strict := strictMode(ctx.SQLMode) && !ignore
	return work(list, t, rows, newBinder(ctx).evalContext(), leniency{strict, !strict, ctx.zeroDates(), &ctx.Warnings}, firstRow)
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
	if strictMode(p.filler.b.ctx.SQLMode) {
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

// generatedText writes the expression of a generated column.
func generatedText(c *types.Column) string {
	kind := ") STORED"
	if c.Generated.Virtual {
		kind = ") VIRTUAL"
	}
	return " GENERATED ALWAYS AS (" + c.Generated.Clause + kind
}

// generated settles the generated columns of a table whose columns are altered. One that stays as it is keeps what it is worked out of.
// Rows that are there have no value of one that is new or worked out otherwise: they are written anew.
func (a *tableAlterer) generated() error {
	from, columns := &a.change.From.Schema, a.to.Schema.Columns
	if err := a.defaultExprs(); err != nil {
		return err
	}
	for _, d := range a.columnAlterer.generated {
		at := slices.IndexFunc(columns, func(c types.Column) bool { return c.Generated == d.declared })
		if at < 0 {
			continue // another clause has dropped or defined it
		}
		d.column = columns[at].Name
		if err := a.b.generate(a.to, d); err != nil {
			return err
		}
	}
	for i := range columns {
		c := &columns[i]
		if err := a.keepsDefault(c, i); err != nil {
			return err
		}
		if c.Generated == nil {
			continue
		}
		var old *types.Column
		if was := from.ColumnIndex(c.ID); was >= 0 {
			old = &from.Columns[was]
		}
		if old != nil && old.Generated == c.Generated {
			if err := a.keepsBase(c, i); err != nil {
				return err
			}
		}
		if old == nil || !sameValues(old, c) || !sameReads(from, &a.to.Schema, old, c) {
			a.rewrite = "generated columns are worked out"
		}
	}
	return nil
}

// keepsBase refuses to take columns, or their names, from the generated column at a position, and to move it before one that it reads.
func (a *tableAlterer) keepsBase(c *types.Column, pos int) error {
	from, to := &a.change.From.Schema, &a.to.Schema
	for _, id := range c.Generated.Reads {
		was, is := &from.Columns[from.ColumnIndex(id)], to.ColumnIndex(id)
		if is < 0 || to.Columns[is].Name != was.Name {
			return errorf(errno.GeneratedDependency, "Column '%s' has a generated column dependency.", was.Name)
		}
		if err := (generatedExpr{c.Name, pos}).reads(&to.Columns[is], is); err != nil {
			return err
		}
	}
	_, err := a.b.generation(a.to, pos, a.b.tableColumns(a.to))
	return err
}

// sameValues reports whether the values of a column are those of another definition of it, which is a generated column.
func sameValues(old, c *types.Column) bool {
	from, to := old.Type, c.Type
	from.NotNull, to.NotNull = false, false
	from.Collation, to.Collation = types.CollationBinary, types.CollationBinary
	return old.Generated != nil && old.Generated.Clause == c.Generated.Clause && from == to && slices.Equal(old.Elems, c.Elems) && old.Bits == c.Bits
}

// sameReads reports whether two definitions of a generated column are worked out of the same columns, which compare as before: a name may
// be that of another column by now.
func sameReads(from, to *types.Schema, old, c *types.Column) bool {
	return slices.Equal(old.Generated.Reads, c.Generated.Reads) && !slices.ContainsFunc(c.Generated.Reads, func(id types.ColumnID) bool {
		was, is := &from.Columns[from.ColumnIndex(id)], &to.Columns[to.ColumnIndex(id)]
		return was.Type.Collation != is.Type.Collation || was.Bits != is.Bits
	})
}
