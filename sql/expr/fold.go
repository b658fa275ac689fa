package expr

import (
	"stele/meta/types"
	"stele/sql/fn"
	"stele/sql/vec"
)

// Fold replaces what is constant by its value: calls of constants (unless volatile), and branches of AND, OR and CASE
// that a constant decides. What fails to evaluate stays as it is, so that it fails only if a row gets there.
func Fold(n *Node, ctx Context) (*Node, error) {
	if err := checkDepth(n, 0); err != nil {
		return nil, err
	}
	return Rewrite(n, func(x *Node) *Node { return foldOne(x, ctx) }), nil
}

func foldOne(n *Node, ctx Context) *Node {
	if n.Kind != NodeCall {
		return n
	}
	d := fn.Lookup(n.Func)
	if d == nil || d.Volatile {
		return n
	}
	switch d.Lazy {
	case fn.LazyAnd, fn.LazyOr:
		return foldJunction(n, d.Lazy == fn.LazyOr)
	case fn.LazyCase:
		n = foldCase(n)
	}
	for _, a := range n.Args {
		if a.Kind != NodeConst {
			return n
		}
	}
	if n.Kind != NodeCall {
		return n
	}
	p, err := CompileAsIs(n, ctx)
	if err != nil {
		return n
	}
	v, err := p.Eval(&vec.Batch{N: 1})
	if err != nil {
		return n
	}
	x := v.Value(0)
	x.B = append([]byte(nil), x.B...)
	if len(x.B) == 0 && !x.Null && n.Type.Phys() == types.PhysBytes {
		x.B = []byte{}
	}
	return Const(x, n.Type)
}

// foldJunction drops the arguments that cannot decide and stops at one that does.
func foldJunction(n *Node, stop bool) *Node {
	var rest []*Node
	for _, a := range n.Args {
		if a.Kind == NodeConst && !a.Value.Null {
			if (a.Value.I != 0) == stop {
				return ConstBool(stop)
			}
			continue
		}
		rest = append(rest, a)
	}
	allNull := len(rest) > 0
	for _, a := range rest {
		allNull = allNull && a.Kind == NodeConst
	}
	switch {
	case len(rest) == 0:
		return ConstBool(!stop)
	case allNull:
		return Const(vec.NullValue(), n.Type)
	case len(rest) == 1 && rest[0].Type.Kind == types.KindBool:
		return rest[0]
	case len(rest) == len(n.Args):
		return n
	}
	c := *n
	if len(rest) == 1 {
		rest = append(rest, ConstBool(!stop))
	}
	c.Args = rest
	return &c
}

// foldCase drops branches whose condition is constant.
func foldCase(n *Node) *Node {
	var args []*Node
	for i := 0; i+1 < len(n.Args); i += 2 {
		cond := n.Args[i]
		if cond.Kind != NodeConst {
			args = append(args, cond, n.Args[i+1])
			continue
		}
		if cond.Value.Null || cond.Value.I == 0 {
			continue
		}
		if len(args) == 0 {
			return retype(n.Args[i+1], n.Type)
		}
		return withArgs(n, append(args, n.Args[i+1]))
	}
	if len(n.Args)%2 == 1 {
		args = append(args, n.Args[len(n.Args)-1])
	}
	switch {
	case len(args) == 0:
		return Const(vec.NullValue(), n.Type)
	case len(args) == 1:
		return retype(args[0], n.Type)
	case len(args) == len(n.Args):
		return n
	}
	return withArgs(n, args)
}

// withArgs keeps a CASE under its general name: "if" takes three arguments only.
func withArgs(n *Node, args []*Node) *Node {
	c := *n
	c.Func, c.Args = "case", args
	return &c
}

// retype keeps the type of the whole where a branch takes its place.
func retype(n *Node, t types.ColumnType) *Node {
	if n.Type == t {
		return n
	}
	if n.Kind != NodeCall && n.Type.Phys() == t.Phys() && fn.SameForm(n.Type, t) {
		c := *n
		c.Type = t
		return &c
	}
	return Cast(n, t)
}
