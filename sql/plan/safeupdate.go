package plan

import (
	"slices"

	ast "stele/sql/parse"
)

// checkSafe refuses an UPDATE or DELETE that sql_safe_updates takes for a slip: one without LIMIT whose condition compares no
// column of a key of the table.
func (m *modifier) checkSafe(where ast.ExprNode, limit *ast.Limit) error {
	p := m.plan
	if !m.b.ctx.SafeUpdates || limit != nil || where != nil && p.comparesKey(where) {
		return nil
	}
	return errorf(CodeSafeUpdate, "You are using safe update mode and you tried to update a table without a WHERE that uses a KEY column.")
}

// comparesKey reports whether a condition names a column of the primary key or of another key.
func (p *ModifyPlan) comparesKey(where ast.ExprNode) bool {
	f := keyFinder{plan: p}
	where.Accept(&f)
	return f.found
}

// keyFinder looks for columns that begin a key.
type keyFinder struct {
	plan  *ModifyPlan
	found bool
}

// Enter looks at one node; what a subquery names is of other tables.
func (f *keyFinder) Enter(n ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.SubqueryExpr:
		return n, true
	case *ast.ColumnNameExpr:
		i := columnNamed(f.plan.Table, n.Name.Name.O)
		if i < 0 {
			return n, false
		}
		id := f.plan.Table.Schema.Columns[i].ID
		f.found = f.found || slices.Contains(f.plan.Table.Schema.Key, id)
		for _, k := range f.plan.Table.Unique {
			f.found = f.found || k.Columns[0] == id
		}
	}
	return n, f.found
}

// Leave goes on.
func (f *keyFinder) Leave(n ast.Node) (ast.Node, bool) { return n, true }
