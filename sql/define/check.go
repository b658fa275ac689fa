package define

import (
	"slices"
	"strconv"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	ast "stele/sql/parse"
	"stele/sql/plan"
	"stele/sql/syntax"
)

// checkDef is a CHECK constraint as a statement declares it.
type checkDef struct {
	name     string // "" = the table names it
	expr     ast.ExprNode
	enforced bool
	column   string // whose definition it stands in, "" = none's
}

// columnChecks are the CHECK constraints in the definition of a column.
func columnChecks(def *ast.ColumnDef) []checkDef {
	var out []checkDef
	for _, o := range def.Options {
		if o.Tp == ast.ColumnOptionCheck {
			out = append(out, checkDef{o.ConstraintName, o.Expr, o.Enforced, def.Name.Name.O})
		}
	}
	return out
}

// tableCheck is a CHECK constraint of a table.
func tableCheck(c *ast.Constraint) checkDef {
	return checkDef{name: c.Name, expr: c.Expr, enforced: c.Enforced}
}

// addCheck adds a CHECK constraint to a table whose columns are known.
func (d *definer) addCheck(t *catalog.Table, def checkDef) error {
	if def.name == "" {
		def.name = nextCheckName(t)
	}
	if len([]rune(def.name)) > maxConstraintName {
		return errorf(errno.NameTooLong, "Identifier name '%s' is too long", def.name)
	}
	if checkNamed(t, def.name) >= 0 {
		return errorf(errno.CheckNameTwice, "Duplicate check constraint name '%s'.", def.name)
	}
	clause, reads, err := rowClause(t, def.expr, def)
	if err != nil {
		return err
	}
	c := catalog.Check{Name: def.name, Clause: clause, Columns: reads, NotEnforced: !def.enforced}
	if err := d.checkCondition(t, &c, ast.Unparen(def.expr)); err != nil {
		return err
	}
	t.Checks = append(t.Checks, c)
	return nil
}

// checkCondition refuses a condition that is none, or that would not be read again as what it was.
func (d *definer) checkCondition(t *catalog.Table, c *catalog.Check, n ast.ExprNode) error {
	cond, err := plan.RowType(d.ctx.Context, t, n)
	if err != nil {
		return err
	}
	if cond.Kind != types.KindBool && cond.Kind != types.KindNull {
		return errorf(errno.CheckNotBoolean, "An expression of non-boolean type specified to a check constraint '%s'.", c.Name)
	}
	if _, err := plan.BindConstraint(d.ctx.Context, t, c); err != nil {
		return err
	}
	return readsAgain(c.Clause, "a CHECK constraint")
}

func (d checkDef) unknown(n *ast.ColumnName, elsewhere bool) error {
	if elsewhere {
		return errorf(errno.UnknownColumn, "Unknown column '%s' in 'check constraint %s expression'", n.String(), d.name)
	}
	return errorf(errno.CheckColumn, "Check constraint '%s' refers to non-existing column '%s'.", d.name, n.Name.O)
}

func (d checkDef) disallowed(what, function string) error {
	switch what {
	case aVariable:
		return errorf(errno.CheckVariable, "An expression of a check constraint '%s' cannot refer to a user or system variable.", d.name)
	case aQuery:
		return errorf(errno.CheckSubquery, "An expression of a check constraint '%s' contains disallowed function.", d.name)
	}
	return errorf(errno.CheckFunction, "An expression of a check constraint '%s' contains disallowed function: %s.", d.name, function)
}

func (d checkDef) reads(c *types.Column, _ int) error {
	switch {
	case c.AutoIncrement:
		return errorf(errno.CheckAuto, "Check constraint '%s' cannot refer to an auto-increment column.", d.name)
	case d.column != "" && !strings.EqualFold(d.column, c.Name):
		return errorf(errno.CheckOtherColumn, "Column check constraint '%s' references other column.", d.name)
	}
	return nil
}

// checkNamed returns the position of a CHECK constraint, or -1.
func checkNamed(t *catalog.Table, name string) int {
	return slices.IndexFunc(t.Checks, func(c catalog.Check) bool { return strings.EqualFold(c.Name, name) })
}

// nextCheckName is the name of a CHECK constraint that is declared without one.
func nextCheckName(t *catalog.Table) string {
	return nextConstraint(t.Name+"_chk_", len(t.Checks), func(i int) string { return t.Checks[i].Name })
}

// maxConstraintName is the longest name of a constraint.
const maxConstraintName = 64

// nextConstraint is what MySQL calls a constraint that is declared without a name: a prefix, and the number behind the highest that one of
// the constraints of its kind has.
func nextConstraint(prefix string, n int, name func(i int) string) string {
	last := 0
	for i := range n {
		if number, ok := strings.CutPrefix(strings.ToLower(name(i)), strings.ToLower(prefix)); ok {
			if k, err := strconv.Atoi(number); err == nil {
				last = max(last, k)
			}
		}
	}
	return prefix + strconv.Itoa(last+1)
}

// checkText writes a CHECK constraint.
func checkText(c *catalog.Check) string {
	s := "CONSTRAINT " + syntax.QuoteName(c.Name) + " CHECK ((" + c.Clause + "))"
	if c.NotEnforced {
		s += " /*!80016 NOT ENFORCED */"
	}
	return s
}
