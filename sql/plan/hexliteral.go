package plan

import (
	"slices"

	"stele/sql/expr"
	ast "stele/sql/parse"
)

// A hex or bit literal is bytes, and a number (BIGINT UNSIGNED) where one is wanted: in arithmetic, beside a number that it is
// compared with, in a cast to a number, and as a truth value.

// counting are the functions of numbers.
var counting = []string{"+", "-", "*", "/", "div", "%", "neg", "~", "<<", ">>", "&", "|", "^", "istrue", "isfalse"}

// comparing are the functions that make literals numbers beside numbers.
var comparing = []string{"=", "!=", "<", "<=", ">", ">=", "<=>", "between", "in"}

// literalNumber is the number of a hex or bit literal, nil = it is none, or has more than eight bytes.
func literalNumber(n ast.ExprNode) *expr.Node {
	l, ok := ast.Unparen(n).(*ast.Literal)
	if !ok || l.Kind != ast.LiteralHex && l.Kind != ast.LiteralBit || len(l.Str) > 8 || l.Type.GetFlag()&ast.UnderScoreCharsetFlag != 0 {
		return nil
	}
	var v uint64
	for _, b := range []byte(l.Str) {
		v = v<<8 | uint64(b)
	}
	return expr.ConstUint(v)
}

// literalNumbers replaces those of a function's arguments that are literals and mean numbers.
func literalNumbers(name string, nodes []ast.ExprNode, args []*expr.Node) {
	switch {
	case slices.Contains(counting, name):
	case !slices.Contains(comparing, name):
		return
	case !slices.ContainsFunc(args, func(x *expr.Node) bool { return x.Type.IsNumeric() }):
		return
	}
	for i, n := range nodes {
		if v := literalNumber(n); v != nil {
			args[i] = v
		}
	}
}

// literalPair is literalNumbers of two values that are compared.
func literalPair(l, r ast.ExprNode, left, right **expr.Node) {
	pair := []*expr.Node{*left, *right}
	literalNumbers("=", []ast.ExprNode{l, r}, pair)
	*left, *right = pair[0], pair[1]
}
