package define

import (
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	ast "stele/sql/parse"
	"stele/sql/plan"
)

// defaultFunctions are those of rowFunctions that a default may call: what they say need not be the same again.
var defaultFunctions = strings.Fields(`now current_timestamp localtime localtimestamp sysdate curdate current_date curtime current_time
	utc_date utc_time utc_timestamp rand uuid uuid_short random_bytes user session_user system_user current_user database schema version
	connection_id unix_timestamp`)

// defaultDef is a default that is an expression as an ALTER TABLE declares it.
type defaultDef struct {
	expr ast.ExprNode
	// declared is what the column has until the expression is read.
	declared *types.DefaultExpr
}

// defaultOption is the DEFAULT in the definition of a column, or nil.
func defaultOption(def *ast.ColumnDef) ast.ExprNode {
	var last ast.ExprNode
	for _, o := range def.Options {
		if o.Tp == ast.ColumnOptionDefaultValue {
			last = o.Expr
		}
	}
	return last
}

// defaultIsExpr reports whether a DEFAULT that is not the time of a row is more than a literal. What has no literals as defaults in MySQL
// takes those in parentheses there; MariaDB takes them bare, and its dumps have them so.
func defaultIsExpr(col *types.Column, n ast.ExprNode) bool {
	inner := ast.Unparen(n)
	if sign, ok := inner.(*ast.UnaryOperationExpr); ok {
		inner = ast.Unparen(sign.V)
	}
	switch x := inner.(type) {
	case *ast.Literal:
		large := (col.Type.Kind == types.KindText || col.Type.Kind == types.KindBlob) && col.Shown == "" || col.Type.Kind == types.KindJSON
		return large && x.Kind != ast.LiteralNull
	case *ast.FuncCallExpr:
		return !strings.HasSuffix(x.FnName.L, "literal") // DATE '…'
	}
	return true
}

// settleDefault reads the expression that is the default of a column of a table whose columns are known, if it is one.
func (d *definer) settleDefault(t *catalog.Table, name string, n ast.ExprNode) error {
	pos := t.Schema.ColumnNamed(name)
	if pos < 0 || t.Schema.Columns[pos].DefaultExpr == nil {
		return nil
	}
	clause, reads, err := rowClause(t, n, defaultOf{name, pos})
	if err != nil {
		return err
	}
	c := &t.Schema.Columns[pos]
	c.DefaultExpr = &types.DefaultExpr{Clause: clause, Reads: reads}
	if err := plan.BindDefault(d.ctx.Context, t, pos); err != nil {
		return err
	}
	return readsAgain(clause, "a DEFAULT")
}

// defaultOf says what the expression that is the default of a column may have.
type defaultOf struct {
	column string
	pos    int
}

func (defaultOf) unknown(n *ast.ColumnName, _ bool) error {
	return errorf(errno.UnknownColumn, "Unknown column '%s' in 'default value expression'", n.String())
}

func (d defaultOf) disallowed(what, function string) error {
	switch {
	case what == aVariable:
		return errorf(errno.DefaultVariable, "Default value expression of column '%s' cannot refer user or system variables.", d.column)
	case function == "":
		return errorf(errno.DefaultDisallowed, "Default value expression of column '%s' contains a disallowed function.", d.column)
	case slices.Contains(defaultFunctions, function):
		return nil
	}
	return errorf(errno.DefaultFunction, "Default value expression of column '%s' contains a disallowed function: %s.", d.column, function)
}

// reads refuses a column whose value is not known when the default is worked out.
func (d defaultOf) reads(c *types.Column, pos int) error {
	switch {
	case c.AutoIncrement:
		return errorf(errno.DefaultAuto, "Default value expression of column '%s' cannot refer to an auto-increment column.", d.column)
	case c.DefaultExpr != nil && pos >= d.pos, c.Generated != nil && pos > d.pos:
		return errorf(errno.DefaultOrder, "Default value expression of column '%s' cannot refer to a column defined after it if that column is a generated column or has an expression as default value.", d.column)
	case c.Generated != nil:
		return refuse("a DEFAULT that reads the generated column " + c.Name)
	}
	return nil
}

// defaultExprs reads the defaults that clauses of an ALTER TABLE give columns.
func (a *tableAlterer) defaultExprs() error {
	columns := a.to.Schema.Columns
	for _, d := range a.defaults {
		at := slices.IndexFunc(columns, func(c types.Column) bool { return c.DefaultExpr == d.declared })
		if at < 0 {
			continue // another clause has dropped or defined it
		}
		if err := a.settleDefault(a.to, columns[at].Name, d.expr); err != nil {
			return err
		}
	}
	return nil
}

// keepsDefault refuses to take columns, or their names, from the default of the column at a position, and to move it before one that it reads.
func (a *tableAlterer) keepsDefault(c *types.Column, pos int) error {
	if c.DefaultExpr == nil {
		return nil
	}
	from, to := &a.change.From.Schema, &a.to.Schema
	if old := from.ColumnIndex(c.ID); old < 0 || from.Columns[old].DefaultExpr != c.DefaultExpr {
		return nil // it is declared by the statement
	}
	for _, id := range c.DefaultExpr.Reads {
		was, is := from.ColumnIndex(id), to.ColumnIndex(id)
		if is < 0 || to.Columns[is].Name != from.Columns[was].Name {
			return errorf(errno.DefaultDependency, "Column '%s' of table '%s' has a default value expression dependency and cannot be dropped or renamed.", from.Columns[was].Name, a.to.Name)
		}
		if err := (defaultOf{c.Name, pos}).reads(&to.Columns[is], is); err != nil {
			return err
		}
	}
	return nil
}
