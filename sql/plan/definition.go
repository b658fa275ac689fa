package plan

import (
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/vec"
)

// What package define asks of the planner: what the expressions in the definition of a table mean. It asks when the statement comes;
// what rows are written with is bound anew by every statement that writes.

// Constant binds an expression that no column can be part of; clause names the part of the statement in errors.
func Constant(ctx *Context, n ast.ExprNode, clause string) (*expr.Node, error) {
	return (&env{b: newBinder(ctx), clause: clause, noAgg: true}).bind(n)
}

// RowType is the type of a condition over the rows of a table, as it is declared.
func RowType(ctx *Context, t *catalog.Table, n ast.ExprNode) (types.ColumnType, error) {
	b := newBinder(ctx)
	cond, err := b.tableEnv(t, b.tableColumns(t)).bind(n)
	if err != nil {
		return types.ColumnType{}, err
	}
	return cond.Type, nil
}

// Constraint is a CHECK constraint that rows of its table can be held against.
type Constraint struct {
	check rowCheck
	ectx  expr.Context
}

// BindConstraint binds a CHECK constraint to the columns that its table has.
func BindConstraint(ctx *Context, t *catalog.Table, c *catalog.Check) (*Constraint, error) {
	b := newBinder(ctx)
	check, err := b.constraint(t, c, b.tableColumns(t))
	return &Constraint{check, b.evalContext()}, err
}

// Judge refuses rows, given by the columns of the table, of which one does not meet the constraint.
func (c *Constraint) Judge(rows *vec.Batch) error {
	_, _, err := judge([]rowCheck{c.check}, c.ectx, rows, false)
	return err
}

// BindGenerated refuses a generated column, by its position, whose expression is none over the columns that its table has.
func BindGenerated(ctx *Context, t *catalog.Table, pos int) error {
	b := newBinder(ctx)
	_, err := b.generation(t, pos, b.tableColumns(t))
	return err
}

// BindDefault is BindGenerated, of a column whose default is an expression.
func BindDefault(ctx *Context, t *catalog.Table, pos int) error {
	b := newBinder(ctx)
	_, err := b.defaultExpr(t, pos, b.tableColumns(t))
	return err
}

// DefaultValue is the default of a column as a constant, as of now. A column without one, or with an expression, is an error.
func DefaultValue(ctx *Context, c *types.Column) (expr.Value, error) {
	d, err := newBinder(ctx).defaultValue(c)
	if err != nil {
		return expr.Value{}, err
	}
	return d.Value, nil
}
