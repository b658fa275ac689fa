package parse

// ReadsTables reports whether a statement names a table anywhere. One that does not, like SELECT 1, means the same
// whatever the catalog holds.
func ReadsTables(n Node) bool {
	if sel, ok := n.(*SelectStmt); ok && sel.From != nil && sel.From.TableRefs != nil {
		return true
	}
	v := tableFinder{}
	n.Accept(&v)
	return v.found
}

type tableFinder struct{ found bool }

// Enter looks at one node and stops at a table.
func (v *tableFinder) Enter(n Node) (Node, bool) {
	if _, ok := n.(*TableName); ok {
		v.found = true
	}
	return n, v.found
}

// Leave goes on unless a table was found.
func (v *tableFinder) Leave(n Node) (Node, bool) { return n, !v.found }
