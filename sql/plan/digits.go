package plan

import (
	"slices"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/fn"
	ast "stele/sql/parse"
)

// A quotient of exact numbers is shown with four more digits than its dividend, but enters other computations with all
// that MySQL keeps of it: 2/3*100 is 66.6667, not 66.6700. The binder remembers for each such expression the one before
// rounding; whoever computes on takes that, whoever shows, compares or groups takes the rounded one.

// maxUnrounded is the largest scale of an unrounded form when its precision is not enough for all values that its type
// allows: it leaves 20 digits before the point.
const maxUnrounded = types.MaxDecimalPrecision - 20

// computes tells the groups of functions that take their arguments unrounded.
var computes = map[string]bool{"arithmetic": true, "math": true, "control": true}

// exact is an expression before rounding, or itself.
func (b *binder) exact(n *expr.Node) *expr.Node {
	if x := b.unrounded[n]; x != nil {
		return x
	}
	return n
}

// rounded gives an expression its visible type and remembers the expression itself.
func (b *binder) rounded(exact *expr.Node, visible types.ColumnType) (*expr.Node, error) {
	if exact.Type.Kind != types.KindDecimal || visible.Kind != types.KindDecimal || exact.Type.Scale <= visible.Scale {
		return exact, nil
	}
	n, err := b.fold(expr.Cast(exact, visible))
	if err != nil {
		return nil, err
	}
	b.remember(n, exact)
	return n, nil
}

func (b *binder) remember(visible, exact *expr.Node) {
	if b.unrounded == nil {
		b.unrounded = map[*expr.Node]*expr.Node{}
	}
	b.unrounded[visible] = exact
}

// digits is what a call of visible arguments makes of unrounded ones: the call to show.
func (b *binder) digits(name string, args []*expr.Node, call *expr.Node) (*expr.Node, error) {
	d := fn.Lookup(call.Func)
	if d == nil || !computes[d.Group] && d.Name != "greatest" && d.Name != "least" && d.Name != "format" {
		return b.foldCall(call)
	}
	in, some := make([]*expr.Node, len(args)), false
	for i, a := range args {
		in[i] = b.exact(a)
		some = some || in[i] != a
	}
	quotient := d.Name == "/" && call.Type.Kind == types.KindDecimal
	if call.Type.IsString() && d.Name != "format" || !some && !quotient {
		return b.foldCall(call)
	}
	exact, err := unroundedCall(name, args, in, quotient)
	if err != nil || exact == nil {
		return b.foldCall(call) // the visible arguments will do
	}
	if exact, err = b.foldCall(exact); err != nil {
		return nil, err
	}
	switch {
	case quotient && !some: // nothing to round twice
		n, err := b.foldCall(call)
		b.remember(n, exact)
		return n, err
	case d.Name == "round" || d.Name == "truncate":
		return exact, nil // they say themselves how many digits there are
	}
	return b.rounded(exact, call.Type)
}

// unroundedCall calls a function with as many digits of its arguments as its result has room for; nil when it has none.
func unroundedCall(name string, visible, unrounded []*expr.Node, quotient bool) (*expr.Node, error) {
	if quotient {
		n, err := expr.Call(name, unrounded...)
		if err != nil {
			return nil, err
		}
		x, y := n.Args[0].Type, n.Args[1].Type
		room := types.MaxDecimalPrecision - min(x.Length-x.Scale+y.Scale, types.MaxDecimalPrecision-maxUnrounded)
		return expr.Call(fn.CutQuotient(name, min(fn.QuotientScale(x.Scale, y.Scale), room)), unrounded...)
	}
	for most := int32(types.MaxDecimalPrecision); ; {
		in, next := slices.Clone(unrounded), int32(-1)
		for i, a := range unrounded {
			if a == visible[i] {
				continue
			}
			t := a.Type
			if t.Scale > most {
				t.Length, t.Scale = t.Length-(t.Scale-most), most
				in[i] = expr.Cast(a, t)
			}
			if t.Scale > visible[i].Type.Scale {
				next = max(next, t.Scale-1)
			}
		}
		n, err := expr.Call(name, in...)
		if err != nil || n.Type.Kind != types.KindDecimal || n.Type.Length < types.MaxDecimalPrecision || n.Type.Scale <= maxUnrounded {
			return n, err
		}
		if next < 0 {
			return nil, nil
		}
		most = next
	}
}

// precise has an aggregate keep the digits that a computation with its result needs: a sum of unrounded quotients, and a
// mean that is not shown itself. It returns the type to show.
func (b *binder) precise(f *expr.AggFunc, arg *expr.Node, nested bool) types.ColumnType {
	visible := f.Type
	if visible.Kind != types.KindDecimal || f.Name != "sum" && f.Name != "avg" {
		return visible
	}
	if x := b.exact(arg); x != arg && x.Type.Kind == types.KindDecimal {
		f.Arg = x
	}
	scale := f.Arg.Type.Scale
	if f.Arg.Type.Kind != types.KindDecimal {
		scale = 0
	}
	if f.Name == "avg" {
		if !nested {
			return visible
		}
		scale = fn.QuotientScale(scale, 0)
	}
	if scale <= visible.Scale || scale > maxUnrounded {
		return visible
	}
	f.Type.Length, f.Type.Scale = min(visible.Length-visible.Scale+scale, types.MaxDecimalPrecision), scale
	return visible
}

// nestedAggregates finds the aggregates of an expression with which something is computed.
func nestedAggregates(n ast.Node, into map[*ast.AggregateFuncExpr]bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SubqueryExpr:
			return false
		case *ast.BinaryOperationExpr:
			if name := binaryNames[n.Op]; fn.Lookup(name) == nil || !computes[fn.Lookup(name).Group] {
				return true
			}
		case *ast.FuncCallExpr, *ast.FuncCastExpr, *ast.CaseExpr, *ast.UnaryOperationExpr:
		default:
			return true
		}
		ast.Inspect(n, func(n ast.Node) bool {
			if a, ok := n.(*ast.AggregateFuncExpr); ok {
				into[a] = true
			}
			_, sub := n.(*ast.SubqueryExpr)
			return !sub
		})
		return false
	})
}
