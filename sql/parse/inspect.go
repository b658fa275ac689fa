package parse

// inspector calls a function for each node.
type inspector struct{ f func(Node) bool }

// Enter calls the function; false skips the children.
func (v inspector) Enter(n Node) (Node, bool) { return n, !v.f(n) }

// Leave goes on.
func (v inspector) Leave(n Node) (Node, bool) { return n, true }

// Inspect visits a syntax tree, parents first; f returns false to skip the children.
func Inspect(n Node, f func(Node) bool) { n.Accept(inspector{f}) }

// Unparen strips parentheses.
func Unparen(n ExprNode) ExprNode {
	for {
		p, ok := n.(*ParenthesesExpr)
		if !ok {
			return n
		}
		n = p.Expr
	}
}
