package plan

import (
	"slices"

	"stele/sql/errno"
	ast "stele/sql/parse"
)

// checkSafe refuses an UPDATE or DELETE that sql_safe_updates takes for a slip: one without LIMIT whose condition compares no
// column of a key of the table.
func (m *modifier) checkSafe(where ast.ExprNode, limit *ast.Limit) error {
	if !m.b.ctx.SafeUpdates || limit != nil || where != nil && m.comparesKey(where) {
		return nil
	}
	return errorf(errno.SafeUpdate, "You are using safe update mode and you tried to update a table without a WHERE that uses a KEY column.")
}

// comparesKey reports whether a condition names a column of the primary key or of another key.
func (m *modifier) comparesKey(where ast.ExprNode) bool {
	f := keyFinder{m: m}
	where.Accept(&f)
	return f.found
}

// keyFinder looks for columns that begin a key.
type keyFinder struct {
	m     *modifier
	found bool
}

// Enter looks at one node; what a subquery names is of other tables.
func (f *keyFinder) Enter(n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.SubqueryExpr:
		return n, true
	case *ast.ColumnNameExpr:
		c, err := f.m.env.local(n.Name)
		if err != nil || c == nil || !slices.Contains(f.m.ids, c.Col) {
			return n, false
		}
		t := f.m.plan.Table
		id := t.Schema.Columns[f.m.b.cols[c.Col].pos].ID
		f.found = f.found || slices.Contains(t.Schema.Key, id)
		for _, k := range t.Unique {
			f.found = f.found || k.Columns[0] == id
		}
	}
	return n, f.found
}

// Leave goes on.
func (f *keyFinder) Leave(n ast.Node) (ast.Node, bool) { return n, true }
