package define

import (
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/plan"
)

// What an ALTER TABLE cannot do with the rows as they are stored it does to a copy of the table, which is filled from it: another type of a
// column, another primary key, generated columns, numbers of AUTO_INCREMENT.

// Rewrites reports whether the rows have to be written anew, into a table of which To says all but the ids.
func (c *Change) Rewrites() bool { return c.rewrites != "" }

// converts settles whether the values of a column can stay as they are stored when it gets another definition.
func (a *columnAlterer) converts(old, col *types.Column) error {
	from, to := old.Type, col.Type
	recollated := to.Collation != from.Collation
	switch {
	case col.AutoIncrement && !old.AutoIncrement:
		a.rewrite = "rows get numbers"
	case !col.Widens(old):
		if err := a.unrelated(old); err != nil {
			return err
		}
		a.rewrite = "Cannot change column type INPLACE"
	case recollated && (a.uniqueHas(col.ID) || a.checked(col.ID)):
		a.rewrite = "a key or a constraint compares the column '" + col.Name + "'"
	case (recollated || old.Bits != col.Bits) && a.generates(col.ID):
		a.rewrite = "a generated column is worked out of the column '" + col.Name + "'"
	case to != from && a.layout(col.ID):
		a.rewrite = "rows are found by the column '" + col.Name + "'"
	}
	from.NotNull, to.NotNull = false, false
	if p := a.table.Partition; from != to && p != nil && slices.Contains(p.Columns, col.ID) {
		return refuse("MODIFY COLUMN " + old.Name + " from " + typeText(old) + " to " + typeText(col) + ": rows are partitioned by it; " + rewriteRemedy)
	}
	if (a.layout(col.ID) || a.uniqueHas(col.ID)) && indexable(old) == nil {
		return indexable(col)
	}
	return nil
}

// rewritten settles what else a table is whose rows are written anew: every unique key is made anew, and no row is older than a column.
func (a *tableAlterer) rewritten(specs []*ast.AlterTableSpec) error {
	c := a.change
	if a.rewrite == "" {
		return nil
	}
	if err := a.autoKeyed(); err != nil {
		return err
	}
	if err := inPlace(specs, a.rewrite); err != nil {
		return err
	}
	c.rewrites = a.rewrite
	c.initial = map[types.ColumnID]expr.Value{}
	for i := range a.to.Schema.Columns {
		col := &a.to.Schema.Columns[i]
		if c.From.Schema.ColumnIndex(col.ID) < 0 {
			c.initial[col.ID] = expr.Value{Null: true}
			if col.Initial != nil {
				c.initial[col.ID] = InitialValue(col)
			}
		}
		col.Initial = nil
	}
	for i := range a.to.Unique {
		a.to.Unique[i].Index = 0
	}
	a.to.Schema.Indexed = catalog.IndexedColumns(a.to.Unique)
	return nil
}

// inPlace refuses to write rows anew where the statement says that it must not, or that others may write meanwhile.
func inPlace(specs []*ast.AlterTableSpec, why string) error {
	for _, spec := range specs {
		switch {
		case spec.Tp == ast.AlterTableAlgorithm && (spec.Algorithm == ast.AlgorithmTypeInplace || spec.Algorithm == ast.AlgorithmTypeInstant):
			return errorf(errno.AlterNotSupported, "ALGORITHM=%s is not supported. Reason: %s. Try ALGORITHM=COPY.", strings.ToUpper(spec.Algorithm.String()), why)
		case spec.Tp == ast.AlterTableLock && spec.LockType == ast.LockTypeNone:
			return errorf(errno.AlterNotSupported, "LOCK=NONE is not supported. Reason: %s. Try LOCK=SHARED.", why)
		}
	}
	return nil
}

// Filling is the INSERT that fills the copy of a table from that, as it is since the change has begun.
func (c *Change) Filling(ctx *plan.Context, database string, from, to *catalog.Table) (*plan.InsertPlan, error) {
	return plan.Refill(ctx, database, from, to, c.initial, c.unfilled)
}
