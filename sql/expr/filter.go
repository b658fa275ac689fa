package expr

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"stele/meta/types"
	"stele/sql/fn"
	"stele/sql/vec"
)

// predicate is one conjunct of a filter: a comparison of a column with a constant, which narrows a selection in a
// typed loop, or any other code.
type predicate struct {
	code *code
	fast bool
	col  int
	op   fn.Op // unless between
	bias int64 // the sign bit for unsigned integers: x ^ bias compares as signed
	i    int64
	f    float64
	b    []byte
	phys types.Phys
	null bool // compared with NULL: no row passes

	between bool // what several comparisons of a column of integers leave: i and the values up to i+span
	span    uint64
	ranges  []limit // what alternatives leave that are comparisons of one column of integers; nil = there are none
	among   bool    // the code is a call that has a set of integers for the column, which sorts out most rows
}

// setRows is from how many rows on a set is asked: it has to be made first.
const setRows = 256

func predicates(root *code) []predicate {
	if root.kind == NodeCall && root.call.Def.Lazy == fn.LazyAnd {
		var out []predicate
		for _, a := range root.args {
			for _, p := range predicates(a) {
				out = addPredicate(out, p)
			}
		}
		return out
	}
	return []predicate{newPredicate(root)}
}

// addPredicate joins p to one of the same column, if both leave a range of integers, which then takes one pass.
func addPredicate(ps []predicate, p predicate) []predicate {
	lo, hi, ok := p.limits()
	for i := range ps {
		q := &ps[i]
		if qlo, qhi, is := q.limits(); ok && is && q.col == p.col && q.bias == p.bias && q.phys == p.phys {
			lo, hi = max(lo, qlo), min(hi, qhi)
			q.between, q.i, q.span = true, lo, uint64(hi)-uint64(lo)
			q.null = lo > hi
			return ps
		}
	}
	return append(ps, p)
}

// limits returns the range of integers that pass, with the bias.
func (p *predicate) limits() (lo, hi int64, ok bool) {
	lo, hi = math.MinInt64, math.MaxInt64
	if !p.fast || p.null || p.phys != types.PhysInt64 || p.ranges != nil {
		return 0, 0, false
	}
	if p.between {
		return p.i, p.i + int64(p.span), true
	}
	switch p.op {
	case fn.OpEQ:
		return p.i, p.i, true
	case fn.OpLT:
		return lo, p.i - 1, p.i != lo
	case fn.OpLE:
		return lo, p.i, true
	case fn.OpGT:
		return p.i + 1, hi, p.i != hi
	case fn.OpGE:
		return p.i, hi, true
	}
	return 0, 0, false
}

// byCost puts those first that are asked at the least cost, as each is asked only about what those before it have left. None that can fail
// comes before one that it has stood behind, which may be there to guard it.
func byCost(ps []predicate) []predicate {
	slices.SortStableFunc(ps, func(a, b predicate) int { return cmp.Compare(a.cost(), b.cost()) })
	return ps
}

func (p *predicate) cost() int {
	switch {
	case p.fast && p.phys != types.PhysBytes:
		return 0
	case p.among:
		return 1
	case p.fast:
		return 3
	case p.code.canFail || p.code.varies || p.code.readsBytes():
		return 4
	}
	return 2
}

// readsBytes reports whether code looks at a column that is no number.
func (c *code) readsBytes() bool {
	return c.kind == NodeColumn && c.typ.Phys() == types.PhysBytes || slices.ContainsFunc(c.args, (*code).readsBytes)
}

// Conjunct is one of the conditions of a filter that must all hold.
type Conjunct struct {
	Columns []int // that it looks at
	pred    *predicate
}

// Conjuncts returns the conditions of a filter in the order in which EvalFilter asks them.
func (p *Program) Conjuncts() []Conjunct {
	preds := p.conjuncts()
	out := make([]Conjunct, len(preds))
	for i := range preds {
		out[i] = Conjunct{Columns: preds[i].code.columns(nil), pred: &preds[i]}
	}
	return out
}

func (p *Program) conjuncts() []predicate {
	if p.preds != nil {
		return p.preds
	}
	return byCost(predicates(p.root))
}

// columns appends the columns that code looks at, each of them once.
func (c *code) columns(to []int) []int {
	if c.kind == NodeColumn && !slices.Contains(to, c.col) {
		to = append(to, c.col)
	}
	for _, a := range c.args {
		to = a.columns(to)
	}
	return to
}

// EvalFilterInto is that of a Program for one condition.
func (c *Conjunct) EvalFilterInto(b *vec.Batch, buf []int32) ([]int32, error) {
	return c.pred.narrow(b, b.Sel, false, buf)
}

func newPredicate(c *code) predicate {
	if c.kind == NodeCall && c.call.Def.Lazy == fn.LazyOr {
		return newAlternatives(c)
	}
	p := predicate{code: c}
	if c.kind == NodeCall && c.call.HasKeySet() && c.args[0].kind == NodeColumn {
		p.among, p.col, p.phys = true, c.args[0].col, types.PhysInt64
		return p
	}
	if c.kind != NodeCall || len(c.args) != 2 {
		return p
	}
	op, ok := fn.CompareOp(c.call.Def.Name)
	col, konst := c.args[0], c.args[1]
	if ok && col.kind == NodeConst {
		col, konst, op = konst, col, op.Swap()
	}
	if !ok || col.kind != NodeColumn || konst.kind != NodeConst {
		return p
	}
	p.phys = col.typ.Phys()
	if p.phys != konst.typ.Phys() || p.phys == types.PhysDec128 || col.typ.Unsigned != konst.typ.Unsigned && konst.konst.Value(0).I < 0 ||
		col.typ.Kind == types.KindDecimal && col.typ.Scale != konst.typ.Scale {
		return p
	}
	v := konst.konst.Value(0)
	p.fast, p.col, p.op, p.null = true, col.col, op, v.Null
	p.i, p.f, p.b = v.I, v.F, v.B
	if col.typ.Unsigned {
		p.bias = math.MinInt64
		p.i ^= p.bias
	}
	return p
}

// EvalFilter returns the physical positions of the rows of b that count and for which the predicate is true. The
// result is never nil and belongs to the caller.
func (p *Program) EvalFilter(b *vec.Batch) ([]int32, error) { return p.EvalFilterInto(b, nil) }

// EvalFilterInto is EvalFilter that puts the result into buf if it has the room.
func (p *Program) EvalFilterInto(b *vec.Batch, buf []int32) ([]int32, error) {
	sel := b.Sel
	owned := false // whether sel may be overwritten
	preds := p.conjuncts()
	for i := range preds {
		var err error
		if sel, err = preds[i].narrow(b, sel, owned, buf); err != nil {
			return nil, err
		}
		owned = true
		if len(sel) == 0 {
			break
		}
	}
	if sel == nil {
		return make([]int32, 0), nil
	}
	return sel, nil
}

// narrow keeps the rows of sel (nil = all) that pass. When owned it works in place.
func (p *predicate) narrow(b *vec.Batch, sel []int32, owned bool, buf []int32) ([]int32, error) {
	if p.null {
		return make([]int32, 0), nil
	}
	if p.among && b.Rows() >= setRows && p.col < len(b.Cols) && b.Cols[p.col].Type.Phys() == p.phys {
		return p.narrowAmong(b, sel, owned, buf)
	}
	if !p.fast || p.col >= len(b.Cols) || b.Cols[p.col].Type.Phys() != p.phys {
		return p.narrowCode(b, sel)
	}
	v, out := b.Cols[p.col], roomFor(b, sel, owned, buf)
	var k int
	switch p.phys {
	case types.PhysFloat64:
		k = narrowLoop(p.op, v.F64[:v.N], p.f, sel, out)
	case types.PhysBytes:
		k = p.narrowBytes(v, sel, out)
	default:
		if p.ranges != nil {
			k = narrowRanges(v.I64[:v.N], p.bias, p.ranges, sel, out)
		} else if p.between {
			k = narrowRange(v.I64[:v.N], p.bias, p.i, p.span, sel, out)
		} else if p.bias != 0 {
			k = p.narrowUnsigned(v.I64, sel, out)
		} else {
			k = narrowLoop(p.op, v.I64[:v.N], p.i, sel, out)
		}
	}
	return dropNulls(v, out[:k]), nil
}

// roomFor returns where the positions that pass go: over sel when it is owned, else to buf if it has the room.
func roomFor(b *vec.Batch, sel []int32, owned bool, buf []int32) []int32 {
	if owned {
		return sel
	}
	n := b.N
	if sel != nil {
		n = len(sel)
	}
	if cap(buf) < n {
		return make([]int32, n)
	}
	return buf[:n]
}

// narrowAmong asks the set, and then, unless that decides, the call about the rows that are left.
func (p *predicate) narrowAmong(b *vec.Batch, sel []int32, owned bool, buf []int32) ([]int32, error) {
	v, out := b.Cols[p.col], roomFor(b, sel, owned, buf)
	kept := dropNulls(v, out[:p.code.call.KeySet().Narrow(v.I64[:v.N], sel, out)])
	if len(kept) == 0 || p.code.call.DecidedByKeySet() {
		return kept, nil
	}
	return p.narrowCode(b, kept)
}

func dropNulls(v *vec.Vector, sel []int32) []int32 {
	if v.Valid == nil {
		return sel
	}
	k := 0
	for _, i := range sel {
		sel[k] = i
		k += int(v.Valid[i>>6] >> (uint(i) & 63) & 1)
	}
	return sel[:k]
}

func (p *predicate) narrowCode(b *vec.Batch, sel []int32) ([]int32, error) {
	f := newFrame(&vec.Batch{Cols: b.Cols, N: b.N, Sel: sel})
	a, err := f.eval(p.code)
	if err != nil {
		return nil, err
	}
	if a.Type.Phys() == types.PhysBytes || a.Type.Phys() == types.PhysDec128 || a.Type.Phys() == types.PhysFloat64 {
		panic("BUG: filter is not a predicate: " + p.code.call.Def.Name)
	}
	hit, _ := split(a, f.n)
	return through(sel, hit), nil
}

func (p *predicate) narrowBytes(v *vec.Vector, sel, out []int32) int {
	k := 0
	if sel == nil {
		for i := range v.N {
			if p.passes(v.Bytes(i)) {
				out[k] = int32(i)
				k++
			}
		}
		return k
	}
	for _, i := range sel {
		if p.passes(v.Bytes(int(i))) {
			out[k] = i
			k++
		}
	}
	return k
}

func (p *predicate) passes(s []byte) bool {
	switch p.op {
	case fn.OpEQ:
		return bytes.Equal(s, p.b)
	case fn.OpNE:
		return !bytes.Equal(s, p.b)
	}
	return p.op.Holds(bytes.Compare(s, p.b))
}

// narrowRange keeps the values from lo to lo+span as narrowLoop does.
func narrowRange(vals []int64, bias, lo int64, span uint64, sel, out []int32) int {
	k := 0
	if sel == nil {
		for i, x := range vals {
			out[k] = int32(i)
			k += b2i(uint64(x^bias)-uint64(lo) <= span)
		}
		return k
	}
	for _, i := range sel {
		out[k] = i
		k += b2i(uint64(vals[i]^bias)-uint64(lo) <= span)
	}
	return k
}

func (p *predicate) narrowUnsigned(vals []int64, sel, out []int32) int {
	k := 0
	keep := func(i int32) {
		x := vals[i] ^ p.bias
		c := b2i(x > p.i) - b2i(x < p.i)
		if p.op.Holds(c) {
			out[k] = i
			k++
		}
	}
	if sel == nil {
		for i := range vals {
			keep(int32(i))
		}
		return k
	}
	for _, i := range sel {
		keep(i)
	}
	return k
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// narrowLoop writes the positions that pass without branches: it always writes, and advances only on a hit. At most as
// many rows have passed as were seen, so the write never leaves out, and may be in place.
func narrowLoop[N int64 | float64](op fn.Op, vals []N, c N, sel, out []int32) int {
	if sel != nil {
		return narrowSelected(op, vals, c, sel, out)
	}
	k := 0
	switch op {
	case fn.OpEQ:
		for i, x := range vals {
			out[k] = int32(i)
			k += b2i(x == c)
		}
	case fn.OpNE:
		for i, x := range vals {
			out[k] = int32(i)
			k += b2i(x != c)
		}
	case fn.OpLT:
		for i, x := range vals {
			out[k] = int32(i)
			k += b2i(x < c)
		}
	case fn.OpLE:
		for i, x := range vals {
			out[k] = int32(i)
			k += b2i(x <= c)
		}
	case fn.OpGT:
		for i, x := range vals {
			out[k] = int32(i)
			k += b2i(x > c)
		}
	case fn.OpGE:
		for i, x := range vals {
			out[k] = int32(i)
			k += b2i(x >= c)
		}
	}
	return k
}

func narrowSelected[N int64 | float64](op fn.Op, vals []N, c N, sel, out []int32) int {
	k := 0
	switch op {
	case fn.OpEQ:
		for _, i := range sel {
			out[k] = i
			k += b2i(vals[i] == c)
		}
	case fn.OpNE:
		for _, i := range sel {
			out[k] = i
			k += b2i(vals[i] != c)
		}
	case fn.OpLT:
		for _, i := range sel {
			out[k] = i
			k += b2i(vals[i] < c)
		}
	case fn.OpLE:
		for _, i := range sel {
			out[k] = i
			k += b2i(vals[i] <= c)
		}
	case fn.OpGT:
		for _, i := range sel {
			out[k] = i
			k += b2i(vals[i] > c)
		}
	case fn.OpGE:
		for _, i := range sel {
			out[k] = i
			k += b2i(vals[i] >= c)
		}
	}
	return k
}
