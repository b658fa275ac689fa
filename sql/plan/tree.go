package plan

import (
	"bytes"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/fn"
)

// boolType is the type of predicates.
var boolType = types.ColumnType{Kind: types.KindBool}

// bigintType is the type of integer literals and counts.
var bigintType = types.ColumnType{Kind: types.KindBigInt}

// eachColumn visits the columns of an expression.
func eachColumn(e *expr.Node, f func(id int)) {
	if e == nil {
		return
	}
	if e.Kind == expr.NodeColumn {
		f(e.Col)
		return
	}
	for _, a := range e.Args {
		eachColumn(a, f)
	}
}

// substitute replaces columns; f returns nil to keep one. Untouched subtrees are shared.
func substitute(e *expr.Node, f func(c *expr.Node) *expr.Node) *expr.Node {
	if e == nil {
		return nil
	}
	if e.Kind == expr.NodeColumn {
		if n := f(e); n != nil {
			return n
		}
		return e
	}
	var args []*expr.Node
	for i, a := range e.Args {
		n := substitute(a, f)
		if n != a && args == nil {
			args = append([]*expr.Node(nil), e.Args...)
		}
		if args != nil {
			args[i] = n
		}
	}
	if args == nil {
		return e
	}
	c := *e
	c.Args = args
	return &c
}

// sameExpr reports whether two expressions are the same text of the same columns.
func sameExpr(a, b *expr.Node) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || a.Kind != b.Kind || len(a.Args) != len(b.Args) {
		return false
	}
	switch a.Kind {
	case expr.NodeColumn:
		return a.Col == b.Col
	case expr.NodeConst:
		return a.Type.Kind == b.Type.Kind && a.Type.Scale == b.Type.Scale && sameValue(a.Value, b.Value)
	}
	result := b.Type
	result.NotNull = a.Type.NotNull // behind WITH ROLLUP the same columns may be NULL
	if a.Func != b.Func || a.Type != result || !deterministic(a.Func) {
		return false
	}
	for i := range a.Args {
		if !sameExpr(a.Args[i], b.Args[i]) {
			return false
		}
	}
	return true
}

// sameValue compares two scalars of one type bit by bit.
func sameValue(a, b expr.Value) bool {
	return a.Null == b.Null && a.I == b.I && a.F == b.F && a.Hi == b.Hi && bytes.Equal(a.B, b.B)
}

// deterministic reports whether a function gives the same answer for the same arguments.
func deterministic(name string) bool {
	d := fn.Lookup(name)
	return d == nil || !d.Volatile
}

// constBool makes TRUE or FALSE.
func constBool(v bool) *expr.Node {
	n := &expr.Node{Kind: expr.NodeConst, Type: boolType}
	if v {
		n.Value.I = 1
	}
	return n
}

// constInt makes a BIGINT.
func constInt(v int64) *expr.Node {
	return &expr.Node{Kind: expr.NodeConst, Type: bigintType, Value: expr.Value{I: v}}
}

// constNull makes a NULL of a type.
func constNull(t types.ColumnType) *expr.Node {
	t.NotNull = false
	return &expr.Node{Kind: expr.NodeConst, Type: t, Value: expr.Value{Null: true}}
}

// constString makes a string.
func constString(s string) *expr.Node {
	return &expr.Node{Kind: expr.NodeConst, Value: expr.Value{B: []byte(s)},
		Type: types.ColumnType{Kind: types.KindVarChar, Length: int32(len([]rune(s)))}}
}

// isTrue reports whether a predicate is the constant TRUE.
func isTrue(e *expr.Node) bool {
	return e.Kind == expr.NodeConst && !e.Value.Null && truth(e)
}

// isFalse reports whether a predicate is a constant that lets no row pass (FALSE or NULL).
func isFalse(e *expr.Node) bool {
	return e.Kind == expr.NodeConst && (e.Value.Null || !truth(e))
}

// truth tells whether a non-NULL constant counts as true; strings are left to the evaluator.
func truth(e *expr.Node) bool {
	switch e.Type.Phys() {
	case types.PhysFloat64:
		return e.Value.F != 0
	case types.PhysBytes:
		return true
	}
	return e.Value.I != 0 || e.Value.Hi != 0
}

// conjuncts splits a predicate at its ANDs.
func conjuncts(e *expr.Node) []*expr.Node {
	if isCall(e, "and") {
		var out []*expr.Node
		for _, a := range e.Args {
			out = append(out, conjuncts(a)...)
		}
		return out
	}
	return []*expr.Node{e}
}

// disjuncts splits a predicate at its ORs.
func disjuncts(e *expr.Node) []*expr.Node {
	if isCall(e, "or") {
		var out []*expr.Node
		for _, a := range e.Args {
			out = append(out, disjuncts(a)...)
		}
		return out
	}
	return []*expr.Node{e}
}

// isCall reports whether an expression calls the function.
func isCall(e *expr.Node, name string) bool {
	return e != nil && e.Kind == expr.NodeCall && e.Func == name
}

// and joins predicates; none is TRUE.
func and(list ...*expr.Node) *expr.Node { return fold2("and", list, true) }

// or joins predicates; none is FALSE.
func or(list ...*expr.Node) *expr.Node { return fold2("or", list, false) }

func fold2(name string, list []*expr.Node, empty bool) *expr.Node {
	if len(list) == 0 {
		return constBool(empty)
	}
	if len(list) == 1 {
		return list[0]
	}
	return expr.MustCall(name, list...)
}
