package plan

import (
	"stele/meta/types"
	"stele/sql/expr"
	ast "stele/sql/parse"
)

// LAST_INSERT_ID(x) is x, and has LAST_INSERT_ID() be x from then on. What rows are worked out by, on backends too, tells a session nothing:
// it may stand where its value is that of a column that a statement assigns, in which the session finds it, and where it is known
// before there are rows.

// tellsID returns the argument of LAST_INSERT_ID(x), if that is what an expression is.
func tellsID(n ast.ExprNode) (ast.ExprNode, bool) {
	call, ok := ast.Unparen(n).(*ast.FuncCallExpr)
	if !ok || call.FnName.L != "last_insert_id" || len(call.Args) != 1 {
		return nil, false
	}
	return call.Args[0], true
}

// assignedID is assigned for a column of integers that may be assigned LAST_INSERT_ID(x); tells says that it is.
func assignedID(e *env, b *binder, c *types.Column, n ast.ExprNode) (x *expr.Node, tells bool, err error) {
	arg, tells := tellsID(n)
	if !tells || !c.Type.IsInteger() {
		x, err = assigned(e, b, c, n)
		return x, false, err
	}
	if x, err = e.bind(arg); err == nil && !x.Type.IsInteger() {
		x, err = b.coerce(x, bigintType)
	}
	return x, true, err
}

// lastInsertID binds LAST_INSERT_ID() and LAST_INSERT_ID(x).
func (e *env) lastInsertID(args []ast.ExprNode) (*expr.Node, error) {
	c := e.b.ctx
	unsigned := types.ColumnType{Kind: types.KindBigInt, Unsigned: true, NotNull: true}
	if len(args) > 0 {
		x, err := e.bind(args[0])
		if err != nil {
			return nil, err
		}
		if x, err = e.b.coerce(x, types.ColumnType{Kind: types.KindBigInt, Unsigned: true}); err != nil {
			return nil, err
		}
		if x.Kind != expr.NodeConst || len(e.cols) > 0 || c.TellID == nil {
			return nil, refuse("LAST_INSERT_ID(expr) here: only an assignment to a column of integers, a query without tables, DO and SET may call it")
		}
		if !c.Describe {
			c.LastInsertID = uint64(x.Value.I)
			c.TellID(c.LastInsertID)
		}
		return x, nil
	}
	return &expr.Node{Kind: expr.NodeConst, Type: unsigned, Value: expr.Value{I: int64(c.LastInsertID)}}, nil
}
