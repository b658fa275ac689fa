package define

import (
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	ast "stele/sql/parse"
	"stele/sql/plan"
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
func (d *definer) generate(t *catalog.Table, def generatedDef) error {
	pos := t.Schema.ColumnNamed(def.column)
	clause, reads, err := rowClause(t, def.expr, generatedExpr{def.column, pos})
	if err != nil {
		return err
	}
	c := &t.Schema.Columns[pos]
	c.Generated = &types.Generated{Clause: clause, Reads: reads, Virtual: c.Generated.Virtual}
	if err := plan.BindGenerated(d.ctx.Context, t, pos); err != nil {
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
	if name != "" {
		what = name
	}
	return plan.DisallowedInGenerated(g.column, what)
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
		if err := a.generate(a.to, d); err != nil {
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
	return plan.BindGenerated(a.ctx.Context, a.to, pos)
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
