package define

import (
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	ast "stele/sql/parse"
)

// rowFunctions are those that neither a CHECK constraint nor a generated column can call: what they say depends on more than the row.
var rowFunctions = func() map[string]bool {
	out := map[string]bool{}
	for name := range strings.FieldsSeq(`now current_timestamp localtime localtimestamp sysdate curdate current_date curtime current_time
		utc_date utc_time utc_timestamp rand uuid uuid_short random_bytes user session_user system_user current_user current_role database
		schema version connection_id found_rows row_count last_insert_id sleep benchmark get_lock release_lock release_all_locks
		is_free_lock is_used_lock load_file values default`) {
		out[name] = true
	}
	return out
}()

// rowExpr is what the table keeps an expression over its rows for (a CHECK constraint, a generated column, a default): what it may have.
type rowExpr interface {
	// unknown is the error of a name that is no column of the table; elsewhere says that it names another one.
	unknown(n *ast.ColumnName, elsewhere bool) error
	// disallowed is the error of what depends on more than the row: a function by its name, a variable or a query.
	disallowed(what, function string) error
	// reads refuses a column that there is, at a position.
	reads(c *types.Column, pos int) error
}

// rowClause is how the table keeps an expression over its rows: as text, without parentheses around all of it, and the columns that it reads.
func rowClause(t *catalog.Table, n ast.ExprNode, of rowExpr) (clause string, reads []types.ColumnID, err error) {
	r := &rowReader{table: t, of: of}
	ast.Inspect(n, r.visit)
	if r.err != nil {
		return "", nil, r.err
	}
	clause, err = ast.RestoreQuery(ast.Unparen(n))
	return clause, r.columns, err
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
		if rowFunctions[n.FnName.L] || n.FnName.L == "unix_timestamp" && len(n.Args) == 0 {
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
