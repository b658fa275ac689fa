package expr

import (
	"math/bits"

	"stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// Ints is a column of exact numbers whose values fit 64 bits, whatever its type may hold.
type Ints struct {
	V     []int64  // unscaled values, one a row; zero where the row is NULL
	Valid []uint64 // as in vec.Vector
	Max   uint64   // no value is larger, either way
}

// maxExact bounds what Exact keeps: below 2^62 the sum of two values cannot overflow.
const maxExact = 1 << 62

// Exact evaluates expressions of integers and decimals in 64-bit arithmetic, as long as the values at hand leave room for that:
// DECIMAL(15,2) * DECIMAL(16,2) needs 128 bits by its type, and 40 by its values. The largest value of each column decides, once a
// batch; an expression that might need more is left to Program. What expressions have in common is computed once. It keeps buffers:
// what it returns is valid until the next Begin, and it belongs to one goroutine.
type Exact struct {
	roots []*exactNode // nil: not such an expression
	nodes map[exactKey]*exactNode
	cols  []*vec.Vector
	n     int
	batch uint64
}

type exactOp uint8

const (
	exactColumn exactOp = iota
	exactConst
	exactSum     // a*fa + b*fb
	exactProduct // a * b
	exactScale   // a*fa, of at most limit
)

// exactKey is what makes two nodes the same.
type exactKey struct {
	op     exactOp
	col    int
	typ    types.ColumnType // of a column
	a, b   *exactNode
	fa, fb int64 // the value of a constant is fa
	limit  uint64
}

type exactNode struct {
	exactKey
	static  uint64 // by the types no value is larger; 0 = they leave it open
	measure bool   // the types do not do: look at the values
	batch   uint64 // when it was evaluated
	ok      bool
	out     Ints
	buf     []int64
	valid   []uint64
}

// NewExact prepares the programs; Ints(i) answers for the i-th.
func NewExact(progs []*Program) *Exact {
	e := &Exact{nodes: map[exactKey]*exactNode{}}
	for _, p := range progs {
		root := e.node(p.root)
		if root != nil && root.static == 0 {
			root.look()
		}
		e.roots = append(e.roots, root)
	}
	return e
}

// Takes reports whether expression i is one that can be evaluated this way at all.
func (e *Exact) Takes(i int) bool { return e.roots[i] != nil }

// Begin sets the n rows over which expressions are evaluated until the next call.
func (e *Exact) Begin(cols []*vec.Vector, n int) {
	e.cols, e.n = cols, n
	e.batch++
}

// Ints evaluates expression i; false leaves it to its Program, which finds the answer or the error.
func (e *Exact) Ints(i int) (*Ints, bool) {
	root := e.roots[i]
	if root == nil || !e.eval(root) {
		return nil, false
	}
	return &root.out, true
}

// node returns the node of compiled code, or nil when it is more than exact sums and products.
func (e *Exact) node(c *code) *exactNode {
	k, ok := e.key(c)
	if !ok {
		return nil
	}
	if n := e.nodes[k]; n != nil {
		return n
	}
	n := &exactNode{exactKey: k}
	n.static = n.staticMax()
	e.nodes[k] = n
	return n
}

func (e *Exact) key(c *code) (k exactKey, ok bool) {
	switch {
	case !isExact(c.typ):
		return k, false
	case c.kind == NodeColumn:
		return exactKey{op: exactColumn, col: c.col, typ: c.typ}, true
	case c.kind == NodeConst:
		x, fits := exactValue(c.konst)
		return exactKey{op: exactConst, fa: x}, fits
	}
	args := make([]*exactNode, len(c.args))
	for i, a := range c.args {
		if args[i] = e.node(a); args[i] == nil {
			return k, false
		}
	}
	return callKey(c, args)
}

// callKey is key for a call of a function with exact arguments.
func callKey(c *code, args []*exactNode) (k exactKey, ok bool) {
	up := func(i int) (int64, bool) {
		more := c.typ.Scale - c.args[i].typ.Scale
		if !c.typ.Unsigned && more >= 0 && more <= types.MaxDecimal64Precision {
			return sqltypes.Pow10Int64(more), true
		}
		return 0, false
	}
	switch name := c.call.Def.Name; {
	case name == "+" || name == "-":
		fa, ok1 := up(0)
		fb, ok2 := up(1)
		if name == "-" {
			fb = -fb
		}
		return exactKey{op: exactSum, a: args[0], b: args[1], fa: fa, fb: fb}, ok1 && ok2
	case name == "*" && c.typ.Scale == c.args[0].typ.Scale+c.args[1].typ.Scale && !c.typ.Unsigned:
		return exactKey{op: exactProduct, a: args[0], b: args[1]}, true
	case name == "neg":
		fa, ok := up(0)
		return exactKey{op: exactScale, a: args[0], fa: -fa, limit: maxExact}, ok
	case name == "cast" && c.typ.Kind == types.KindDecimal && c.typ.Length > 0:
		fa, ok := up(0)
		limit := uint64(maxExact)
		if c.typ.Length <= types.MaxDecimal64Precision {
			limit = uint64(sqltypes.Pow10Int64(c.typ.Length)) - 1
		}
		return exactKey{op: exactScale, a: args[0], fa: fa, limit: limit}, ok
	}
	return k, false
}

// isExact reports whether values of t are whole numbers once they are unscaled.
func isExact(t types.ColumnType) bool { return t.Kind == types.KindDecimal || t.IsInteger() }

// exactValue returns a constant that fits.
func exactValue(v *vec.Vector) (int64, bool) {
	x := v.Value(0)
	switch {
	case x.Null || v.Type.Unsigned && x.I < 0:
		return 0, false
	case v.Type.Phys() == types.PhysDec128:
		i, fits := v.Dec[0].Int64()
		return i, fits && absolute(i) < maxExact
	}
	return x.I, absolute(x.I) < maxExact
}

func absolute(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}

// staticMax is the largest value that the types allow, or 0 when that may be too large.
func (n *exactNode) staticMax() uint64 {
	switch n.op {
	case exactColumn:
		return typeMax(n.typ)
	case exactConst:
		return max(absolute(n.fa), 1)
	}
	b := uint64(0)
	if n.b != nil {
		if b = n.b.static; b == 0 {
			return 0
		}
	}
	if n.a.static == 0 {
		return 0
	}
	m, ok := n.largest(n.a.static, b)
	if !ok {
		return 0
	}
	return m
}

// typeMax is the largest value that a column type allows, or 0.
func typeMax(t types.ColumnType) uint64 {
	switch t.Kind {
	case types.KindTinyInt, types.KindBool:
		return 1 << 8
	case types.KindSmallInt, types.KindYear:
		return 1 << 16
	case types.KindMediumInt:
		return 1 << 24
	case types.KindInt:
		return 1 << 32
	case types.KindDecimal:
		if t.Length > 0 && t.Length <= types.MaxDecimal64Precision {
			return uint64(sqltypes.Pow10Int64(t.Length)) - 1
		}
	}
	return 0
}

// largest is the largest result for arguments that are no larger than a and b.
func (n *exactNode) largest(a, b uint64) (uint64, bool) {
	hi, x := bits.Mul64(a, absolute(n.fa))
	switch n.op {
	case exactProduct:
		hi, x = bits.Mul64(a, b)
	case exactSum:
		hi2, y := bits.Mul64(b, absolute(n.fb))
		hi |= hi2
		if x >= maxExact || y >= maxExact {
			return 0, false
		}
		x += y
	case exactScale:
		if x > n.limit {
			return 0, false
		}
	}
	return max(x, 1), hi == 0 && x < maxExact
}

// look makes the columns below n tell how large their values are.
func (n *exactNode) look() {
	if n.op == exactColumn {
		n.measure = true
	}
	for _, k := range []*exactNode{n.a, n.b} {
		if k != nil {
			k.look()
		}
	}
}

// eval evaluates n, unless that was done for this batch.
func (e *Exact) eval(n *exactNode) bool {
	if n.batch == e.batch {
		return n.ok
	}
	n.batch, n.ok = e.batch, false
	switch n.op {
	case exactColumn:
		n.ok = n.column(e)
		return n.ok
	case exactConst:
		n.constant(e.n)
		n.ok = true
		return true
	}
	if !e.eval(n.a) || n.b != nil && !e.eval(n.b) {
		return false
	}
	b := &n.a.out
	if n.b != nil {
		b = &n.b.out
	}
	if n.out.Max, n.ok = n.largest(n.a.out.Max, b.Max); n.ok {
		n.compute(n.a.out.V, b.V, e.n)
		n.mergeNulls(n.a.out.Valid, b.Valid)
	}
	return n.ok
}

// column takes the values of a column as they are, if they fit.
func (n *exactNode) column(e *Exact) bool {
	if n.col >= len(e.cols) || e.cols[n.col] == nil || e.cols[n.col].Type.Phys() != n.typ.Phys() {
		return false
	}
	v := e.cols[n.col]
	n.out.Valid, n.out.Max = v.Valid, n.static
	if v.Type.Phys() == types.PhysDec128 {
		return n.wideColumn(v.Dec[:e.n])
	}
	n.out.V = v.I64[:e.n]
	if !n.measure && n.static != 0 {
		return true
	}
	seen := bitsOf(n.out.V)
	if seen < 0 && !n.typ.Unsigned { // unsigned values that look negative are too large
		seen = 0
		for _, x := range n.out.V {
			seen |= x ^ x>>63
		}
	}
	return n.measured(seen)
}

// bitsOf returns the bits that are set in any of the values.
func bitsOf(vals []int64) int64 {
	var a, b, c, d int64
	for len(vals) >= 4 {
		a |= vals[0]
		b |= vals[1]
		c |= vals[2]
		d |= vals[3]
		vals = vals[4:]
	}
	for _, x := range vals {
		a |= x
	}
	return a | b | c | d
}

// measured sets the largest value, given the bits that values or, when they are negative, their complements have.
func (n *exactNode) measured(seen int64) bool {
	if uint64(seen) >= maxExact/2 {
		return false
	}
	n.out.Max = uint64(1) << bits.Len64(uint64(seen))
	return true
}

// wideColumn narrows decimals of 128 bits.
func (n *exactNode) wideColumn(vals []vec.Int128) bool {
	n.buf = sized(n.buf, len(vals))
	out := n.buf[:len(vals)]
	seen, over := int64(0), int64(0)
	for i, x := range vals {
		lo := int64(x.Lo)
		out[i] = lo
		over |= x.Hi ^ lo>>63
		seen |= lo ^ lo>>63
	}
	n.out.V = out
	return over == 0 && n.measured(seen)
}

// constant repeats a constant, so that loops need no second form.
func (n *exactNode) constant(rows int) {
	if len(n.buf) < rows {
		n.buf = make([]int64, max(rows, vec.MaxRows))
		for i := range n.buf {
			n.buf[i] = n.fa
		}
	}
	n.out = Ints{V: n.buf[:rows], Max: n.static}
}

// compute runs the loop of a node; no value overflows.
func (n *exactNode) compute(a, b []int64, rows int) {
	n.buf = sized(n.buf, rows)
	out := n.buf[:rows]
	n.out.V = out
	a, b = a[:len(out)], b[:len(out)]
	fa, fb := n.fa, n.fb
	switch {
	case n.op == exactProduct:
		for i := range out {
			out[i] = a[i] * b[i]
		}
	case n.op == exactScale:
		for i := range out {
			out[i] = a[i] * fa
		}
	case fa == 1 && fb == 1:
		for i := range out {
			out[i] = a[i] + b[i]
		}
	case fa == 1 && fb == -1:
		for i := range out {
			out[i] = a[i] - b[i]
		}
	default:
		for i := range out {
			out[i] = a[i]*fa + b[i]*fb
		}
	}
}

// mergeNulls makes a row NULL that is NULL in either argument.
func (n *exactNode) mergeNulls(a, b []uint64) {
	if a == nil {
		a = b
	}
	if n.out.Valid = a; a == nil {
		return
	}
	if b != nil {
		words := vec.ValidWords(len(n.out.V))
		n.valid = sized(n.valid, words)
		for i := range n.valid[:words] {
			n.valid[i] = a[i] & b[i]
		}
		n.out.Valid = n.valid[:words]
	}
	for i := range n.out.V {
		n.out.V[i] &= -int64(n.out.Valid[i>>6] >> (uint(i) & 63) & 1)
	}
}

// sized returns a buffer of at least n values that are about to be overwritten.
func sized[T any](s []T, n int) []T {
	if cap(s) >= n {
		return s[:cap(s)]
	}
	return make([]T, max(n, vec.MaxRows))
}
