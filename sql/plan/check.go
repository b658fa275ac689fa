package plan

import (
	"slices"
	"strconv"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	ast "stele/sql/parse"
)

// Numbers of errors of CHECK constraints.
const (
	codeCheckNotBool  = 3812
	codeCheckOther    = 3813
	codeCheckFunction = 3814
	codeCheckQuery    = 3815
	codeCheckVariable = 3816
	codeCheckAuto     = 3818
	codeCheckColumn   = 3820
	codeCheckUnknown  = 3821
	codeCheckTwice    = 3822
	codeCheckDepends  = 3959
)

// maxConstraintName is the longest name of a constraint.
const maxConstraintName = 64

// checkFunctions are those that a CHECK constraint cannot call: what they say depends on more than the row.
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
func (b *binder) addCheck(t *catalog.Table, d checkDef) error {
	if d.name == "" {
		d.name = nextCheckName(t)
	}
	if len([]rune(d.name)) > maxConstraintName {
		return errorf(1059, "Identifier name '%s' is too long", d.name)
	}
	if checkNamed(t, d.name) >= 0 {
		return errorf(codeCheckTwice, "Duplicate check constraint name '%s'.", d.name)
	}
	r := &checkReader{b: b, table: t, def: d}
	inspect(d.expr, r.visit)
	if r.err != nil {
		return r.err
	}
	n := d.expr
	for {
		p, ok := n.(*ast.ParenthesesExpr)
		if !ok {
			break
		}
		n = p.Expr
	}
	clause, err := ast.RestoreQuery(n)
	if err != nil {
		return err
	}
	c := catalog.Check{Name: d.name, Clause: clause, Columns: r.columns, NotEnforced: !d.enforced}
	if err := b.checkCondition(t, &c, n); err != nil {
		return err
	}
	t.Checks = append(t.Checks, c)
	return nil
}

// checkCondition refuses a condition that is none, or that would not be read again as what it was.
func (b *binder) checkCondition(t *catalog.Table, c *catalog.Check, n ast.ExprNode) error {
	ids := b.tableColumns(t)
	cond, err := b.tableEnv(t, ids).bind(n)
	if err != nil {
		return err
	}
	if cond.Type.Kind != types.KindBool && cond.Type.Kind != types.KindNull {
		return errorf(codeCheckNotBool, "An expression of non-boolean type specified to a check constraint '%s'.", c.Name)
	}
	if _, err := b.constraint(t, c, ids); err != nil {
		return err
	}
	again, err := ast.ParseExpr(c.Clause)
	if err != nil {
		return err
	}
	if text, err := ast.RestoreQuery(again); err != nil || text != c.Clause {
		return refuse("a CHECK constraint that is not written as it is read: " + c.Clause)
	}
	return nil
}

// checkReader looks through the condition of a CHECK constraint: its columns, and what it cannot have.
type checkReader struct {
	b       *binder
	table   *catalog.Table
	def     checkDef
	columns []types.ColumnID
	err     error
}

func (r *checkReader) visit(n ast.Node) bool {
	if r.err != nil {
		return false
	}
	name := r.def.name
	switch n := n.(type) {
	case *ast.ColumnName:
		r.err = r.column(n)
	case *ast.VariableExpr, *ast.Param:
		r.err = errorf(codeCheckVariable, "An expression of a check constraint '%s' cannot refer to a user or system variable.", name)
	case *ast.SubqueryExpr, *ast.ExistsSubqueryExpr, *ast.CompareSubqueryExpr:
		r.err = errorf(codeCheckQuery, "An expression of a check constraint '%s' contains disallowed function.", name)
	case *ast.FuncCallExpr:
		if checkFunctions[n.FnName.L] || n.FnName.L == "unix_timestamp" && len(n.Args) == 0 {
			r.err = disallowed(name, n.FnName.L)
		}
	case *ast.DefaultExpr:
		r.err = disallowed(name, "default")
	case *ast.ValuesExpr:
		r.err = disallowed(name, "values")
	}
	return r.err == nil
}

func disallowed(check, function string) *Error {
	return errorf(codeCheckFunction, "An expression of a check constraint '%s' contains disallowed function: %s.", check, function)
}

// column takes the name of a column, and leaves it bare: the table may get another name.
func (r *checkReader) column(n *ast.ColumnName) error {
	at := columnNamed(r.table, n.Name.O)
	switch {
	case n.Table.O != "" && !strings.EqualFold(n.Table.O, r.table.Name):
		return errorf(CodeUnknownColumn, "Unknown column '%s' in 'check constraint %s expression'", n.String(), r.def.name)
	case at < 0:
		return errorf(codeCheckColumn, "Check constraint '%s' refers to non-existing column '%s'.", r.def.name, n.Name.O)
	}
	c := &r.table.Schema.Columns[at]
	switch {
	case c.AutoIncrement:
		return errorf(codeCheckAuto, "Check constraint '%s' cannot refer to an auto-increment column.", r.def.name)
	case r.def.column != "" && !strings.EqualFold(r.def.column, c.Name):
		return errorf(codeCheckOther, "Column check constraint '%s' references other column.", r.def.name)
	}
	n.Schema, n.Table, n.Name = ast.CIStr{}, ast.CIStr{}, ast.NewCIStr(c.Name)
	if !slices.Contains(r.columns, c.ID) {
		r.columns = append(r.columns, c.ID)
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
	s := "CONSTRAINT " + quoteName(c.Name) + " CHECK ((" + c.Clause + "))"
	if c.NotEnforced {
		s += " /*!80016 NOT ENFORCED */"
	}
	return s
}
