package expr

import (
	"fmt"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/fn"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// Context is what a statement gives to its expressions.
type Context = fn.Context

// MaxDepth is the deepest tree that Compile takes: a statement may not exhaust the stack of a node.
const MaxDepth = 1000

// Program is a compiled expression. It is immutable and safe for concurrent use.
type Program struct {
	root  *code
	preds []predicate // the conjuncts, for EvalFilter; nil = nothing that looks like a condition
	typ   types.ColumnType
}

// code is one compiled node.
type code struct {
	kind    NodeKind
	typ     types.ColumnType
	col     int
	konst   *vec.Vector // one row
	call    *fn.Call
	args    []*code
	canFail bool // evaluation may return an error
	varies  bool // two evaluations may differ
}

// Compile prepares an expression for evaluation. Constant parts are evaluated here, once.
func Compile(n *Node, ctx Context) (*Program, error) {
	if err := checkDepth(n, 0); err != nil {
		return nil, err
	}
	if n.Kind == NodeColumn { // most of what is compiled
		return CompileAsIs(n, ctx)
	}
	p, err := CompileAsIs(Rewrite(n, func(x *Node) *Node { return foldOne(x, ctx) }), ctx)
	if err == nil {
		p.typ = n.Type
	}
	return p, err
}

// CompileAsIs is Compile that leaves what constants decide to each evaluation.
func CompileAsIs(n *Node, ctx Context) (*Program, error) {
	root, err := compile(n, &ctx)
	if err != nil {
		return nil, err
	}
	p := &Program{root: root, typ: n.Type}
	if n.Type.Kind == types.KindBool {
		p.preds = byCost(predicates(root))
	}
	return p, nil
}

// checkDepth refuses trees that are too deep or have holes; what it accepts may be walked recursively.
func checkDepth(n *Node, depth int) error {
	if n == nil {
		return fmt.Errorf("compile expression: missing node")
	}
	if depth > MaxDepth {
		return sqltypes.Errorf(errno.NestedTooDeep, "Expression is nested more than %d levels deep", MaxDepth)
	}
	for _, a := range n.Args {
		if err := checkDepth(a, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// Type returns the type of the result.
func (p *Program) Type() types.ColumnType { return p.typ }

// Pure reports whether evaluating more rows than asked for does no harm.
func (p *Program) Pure() bool { return !p.root.canFail && !p.root.varies }

func compile(n *Node, ctx *Context) (*code, error) {
	c := &code{kind: n.Kind, typ: n.Type, col: n.Col}
	switch n.Kind {
	case NodeColumn:
		if n.Col < 0 {
			return nil, fmt.Errorf("compile expression: column %d", n.Col)
		}
	case NodeConst:
		c.konst = vec.NewConst(n.Type, n.Value, 1)
	case NodeCall:
		if err := c.compileCall(n, ctx); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("compile expression: node kind %d", n.Kind)
	}
	return c, nil
}

func (c *code) compileCall(n *Node, ctx *Context) error {
	ts := make([]types.ColumnType, len(n.Args))
	consts := make([]*vec.Value, len(n.Args))
	for i, a := range n.Args {
		k, err := compile(a, ctx)
		if err != nil {
			return err
		}
		c.args = append(c.args, k)
		c.canFail = c.canFail || k.canFail
		c.varies = c.varies || k.varies
		ts[i] = a.Type
		if a.Kind == NodeConst {
			consts[i] = &a.Value
		}
	}
	call, err := fn.Bind(n.Func, ts, n.Type, consts, ctx)
	if err != nil {
		return err
	}
	c.call = call
	c.canFail = c.canFail || call.CanFail()
	c.varies = c.varies || call.Def.Volatile
	return nil
}

// Eval computes the expression for the rows of b that count. Row k of the result belongs to the k-th such row: the
// result is aligned with the batch's physical rows when Sel is nil and compacted otherwise. It may share buffers with
// the batch.
func (p *Program) Eval(b *vec.Batch) (*vec.Vector, error) {
	if p.root.kind == NodeColumn && b.Sel == nil {
		return p.root.of(b.Cols)
	}
	f := newFrame(b)
	a, err := f.eval(p.root)
	if err != nil {
		return nil, err
	}
	v := a.Vector
	if a.IsConst() && f.n != 1 {
		v = vec.NewConst(p.typ, v.Value(0), f.n)
	}
	return v.WithType(p.typ), nil
}

// of returns the column that c is.
func (c *code) of(cols []*vec.Vector) (*vec.Vector, error) {
	if c.col >= len(cols) {
		return nil, fmt.Errorf("evaluate expression: column %d of a batch of %d columns", c.col, len(cols))
	}
	if v := cols[c.col]; v.Type.Phys() == c.typ.Phys() {
		return v.WithType(c.typ), nil
	}
	return nil, fmt.Errorf("evaluate expression: column %d is %v where %v was planned", c.col, cols[c.col].Type, c.typ)
}

// frame is a set of rows on which code is evaluated: a batch, or some rows of another frame. Columns are gathered
// when they are first asked for.
type frame struct {
	n      int
	cols   []*vec.Vector // of a batch without Sel; else the gathered ones
	parent *frame
	source []*vec.Vector // of a batch with Sel
	sel    []int32
}

func newFrame(b *vec.Batch) *frame {
	if b.Sel == nil {
		return &frame{n: b.N, cols: b.Cols}
	}
	return &frame{n: len(b.Sel), cols: make([]*vec.Vector, len(b.Cols)), source: b.Cols, sel: b.Sel}
}

// subset makes a frame of some rows of f.
func (f *frame) subset(sel []int32) *frame {
	return &frame{n: len(sel), cols: make([]*vec.Vector, len(f.cols)), parent: f, sel: sel}
}

func (f *frame) column(i int) (*vec.Vector, error) {
	if i >= len(f.cols) {
		return nil, fmt.Errorf("evaluate expression: column %d of a batch of %d columns", i, len(f.cols))
	}
	if f.cols[i] != nil {
		return f.cols[i], nil
	}
	var src *vec.Vector
	if f.parent != nil {
		var err error
		if src, err = f.parent.column(i); err != nil {
			return nil, err
		}
	} else {
		src = f.source[i]
	}
	f.cols[i] = src.Gather(f.sel)
	return f.cols[i], nil
}

func (f *frame) eval(c *code) (fn.Arg, error) {
	switch c.kind {
	case NodeConst:
		return fn.ConstArg(c.konst), nil
	case NodeColumn:
		if _, err := f.column(c.col); err != nil {
			return fn.Arg{}, err
		}
		v, err := c.of(f.cols)
		return fn.VectorArg(v), err
	}
	switch c.call.Def.Lazy {
	case fn.LazyAnd:
		return f.junction(c, 0)
	case fn.LazyOr:
		return f.junction(c, 1)
	case fn.LazyCase:
		return f.caseWhen(c)
	case fn.LazyCoalesce:
		return f.coalesce(c)
	}
	return f.evalCall(c)
}

func (f *frame) evalCall(c *code) (fn.Arg, error) {
	args := make([]fn.Arg, len(c.args))
	allConst := !c.call.Def.Volatile
	for i, k := range c.args {
		a, err := f.eval(k)
		if err != nil {
			return fn.Arg{}, err
		}
		args[i] = a
		allConst = allConst && a.IsConst()
	}
	n := f.n
	if allConst && n > 0 {
		n = 1
	}
	v, err := c.call.Eval(args, n)
	if err != nil {
		return fn.Arg{}, err
	}
	if allConst && n == 1 {
		return fn.ConstArg(v), nil
	}
	return fn.VectorArg(v), nil
}
