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

// maxConstraintName is the longest name of a constraint.
const maxConstraintName = 64

// checkFunctions are those that neither a CHECK constraint nor a generated column can call: what they say depends on more than the row.
var checkFunctions = func() map[string]bool {
	out := map[string]bool{}
	for name := range strings.FieldsSeq(`now current_timestamp localtime localtimestamp sysdate curdate current_date curtime current_time
		utc_date utc_time utc_timestamp rand uuid uuid_short random_bytes user session_user system_user current_user current_role database
		schema version connection_id found_rows row_count last_insert_id sleep benchmark get_lock release_lock release_all_locks
		is_free_lock is_used_lock load_file values default`) {
		out[name] = true
	}
	return out
}()

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
	r := &rowReader{table: t, of: def}
	ast.Inspect(def.expr, r.visit)
	if r.err != nil {
		return r.err
	}
	clause, n, err := clauseOf(def.expr)
	if err != nil {
		return err
	}
	c := catalog.Check{Name: def.name, Clause: clause, Columns: r.columns, NotEnforced: !def.enforced}
	if err := d.checkCondition(t, &c, n); err != nil {
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

// clauseOf is how an expression over a row is kept: as text, without parentheses around all of it.
func clauseOf(n ast.ExprNode) (string, ast.ExprNode, error) {
	for {
		p, ok := n.(*ast.ParenthesesExpr)
		if !ok {
			break
		}
		n = p.Expr
	}
	clause, err := ast.RestoreQuery(n)
	return clause, n, err
}

// readsAgain refuses a clause that would not be read again as what it was.
func readsAgain(clause, of string) error {
	again, err := ast.ParseExpr(clause)
	if err != nil {
		return err
	}
	if text, err := ast.RestoreQuery(again); err != nil || text != clause {
		return refuse(of + " that is not written as it is read: " + clause)
	}
	return nil
}

// rowExpr is what the table keeps an expression over its rows for, a CHECK constraint or a generated column: what it may have.
type rowExpr interface {
	// unknown is the error of a name that is no column of the table; elsewhere says that it names another one.
	unknown(n *ast.ColumnName, elsewhere bool) error
	// disallowed is the error of what depends on more than the row: a function by its name, a variable or a query.
	disallowed(what, function string) error
	// reads refuses a column that there is, at a position.
	reads(c *types.Column, pos int) error
}

// rowReader looks through an expression over rows of a table: its columns, and what it cannot have.
type rowReader struct {
	table   *catalog.Table
	of      rowExpr
	columns []types.ColumnID
	err     error
}

// What an expression over a row cannot have beside functions.
const (
	aVariable = "a variable"
	aQuery    = "a subquery"
)

func (r *rowReader) visit(n ast.Node) bool {
	if r.err != nil {
		return false
	}
	switch n := n.(type) {
	case *ast.ColumnName:
		r.err = r.column(n)
	case *ast.VariableExpr, *ast.Param:
		r.err = r.of.disallowed(aVariable, "")
	case *ast.SubqueryExpr, *ast.ExistsSubqueryExpr, *ast.CompareSubqueryExpr:
		r.err = r.of.disallowed(aQuery, "")
	case *ast.FuncCallExpr:
		if checkFunctions[n.FnName.L] || n.FnName.L == "unix_timestamp" && len(n.Args) == 0 {
			r.err = r.of.disallowed("", n.FnName.L)
		}
	case *ast.DefaultExpr:
		r.err = r.of.disallowed("", "default")
	case *ast.ValuesExpr:
		r.err = r.of.disallowed("", "values")
	}
	return r.err == nil
}

// column takes the name of a column, and leaves it bare: the table may get another name.
func (r *rowReader) column(n *ast.ColumnName) error {
	pos := r.table.Schema.ColumnNamed(n.Name.O)
	elsewhere := n.Table.O != "" && !strings.EqualFold(n.Table.O, r.table.Name)
	if elsewhere || pos < 0 {
		return r.of.unknown(n, elsewhere)
	}
	c := &r.table.Schema.Columns[pos]
	if err := r.of.reads(c, pos); err != nil {
		return err
	}
	n.Schema, n.Table, n.Name = ast.CIStr{}, ast.CIStr{}, ast.NewCIStr(c.Name)
	if !slices.Contains(r.columns, c.ID) {
		r.columns = append(r.columns, c.ID)
	}
	return nil
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

// nextCheckName is the name of a constraint that is declared without one.
func nextCheckName(t *catalog.Table) string {
	prefix := t.Name + "_chk_"
	last := 0
	for i := range t.Checks {
		if n, ok := strings.CutPrefix(strings.ToLower(t.Checks[i].Name), strings.ToLower(prefix)); ok {
			if k, err := strconv.Atoi(n); err == nil {
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
