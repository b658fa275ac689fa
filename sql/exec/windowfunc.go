package exec

import (
	"bytes"
	"cmp"
	"math"
	"sort"
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// windowRun computes one window function over one partition, the rows [lo, hi) of a block.
type windowRun struct {
	f      *windowFunc
	args   []*vec.Vector
	peers  [][2]int
	bounds rangeBounds
	out    *vec.ColumnBuilder
	lo, hi int
}

func (r *windowRun) run() error {
	switch r.f.Name {
	case "row_number":
		for i := r.lo; i < r.hi; i++ {
			r.out.AppendInt(int64(i - r.lo + 1))
		}
	case "rank":
		for i := r.lo; i < r.hi; i++ {
			r.out.AppendInt(int64(r.peers[i][0] - r.lo + 1))
		}
	case "dense_rank":
		n := int64(0)
		for i := r.lo; i < r.hi; i++ {
			if r.peers[i][0] == i {
				n++
			}
			r.out.AppendInt(n)
		}
	case "percent_rank":
		for i := r.lo; i < r.hi; i++ {
			r.out.AppendFloat(float64(r.peers[i][0]-r.lo) / float64(max(r.hi-r.lo-1, 1)))
		}
	case "cume_dist":
		for i := r.lo; i < r.hi; i++ {
			r.out.AppendFloat(float64(r.peers[i][1]-r.lo) / float64(r.hi-r.lo))
		}
	case "ntile":
		return r.ntile()
	case "lag", "lead":
		return r.shift()
	case "first_value", "last_value":
		r.edge()
	case "nth_value":
		return r.nth()
	default:
		return r.aggregate()
	}
	return nil
}

// ntile deals the rows to n buckets; the first ones get one more when it does not come out even.
func (r *windowRun) ntile() error {
	if r.args[0].IsNull(r.lo) || r.args[0].I64[r.lo] <= 0 {
		return errArguments("ntile")
	}
	n, rows := r.args[0].I64[r.lo], int64(r.hi-r.lo)
	size, more := rows/n, rows%n
	for i := range rows {
		if big := more * (size + 1); i < big {
			r.out.AppendInt(i/(size+1) + 1)
		} else {
			r.out.AppendInt(more + (i-big)/size + 1)
		}
	}
	return nil
}

// shift is LAG and LEAD.
func (r *windowRun) shift() error {
	for i := r.lo; i < r.hi; i++ {
		d := int64(1)
		if len(r.args) > 1 {
			if r.args[1].IsNull(i) || r.args[1].I64[i] < 0 {
				return errArguments(r.f.Name)
			}
			d = min(r.args[1].I64[i], math.MaxInt32) // beyond any partition, and safe to add
		}
		at := i + int(d)
		if r.f.Name == "lag" {
			at = i - int(d)
		}
		switch {
		case at >= r.lo && at < r.hi:
			r.out.AppendFrom(r.args[0], at)
		case len(r.args) > 2:
			r.out.AppendFrom(r.args[2], i)
		default:
			r.out.AppendNull()
		}
	}
	return nil
}

// edge is FIRST_VALUE and LAST_VALUE.
func (r *windowRun) edge() {
	for i := r.lo; i < r.hi; i++ {
		from, to := r.frame(i)
		switch {
		case from >= to:
			r.out.AppendNull()
		case r.f.Name == "first_value":
			r.out.AppendFrom(r.args[0], from)
		default:
			r.out.AppendFrom(r.args[0], to-1)
		}
	}
}

// nth is NTH_VALUE: NULL while the frame is shorter.
func (r *windowRun) nth() error {
	for i := r.lo; i < r.hi; i++ {
		if r.args[1].IsNull(i) || r.args[1].I64[i] <= 0 {
			return errArguments("nth_value")
		}
		from, to := r.frame(i)
		if n := r.args[1].I64[i]; n <= int64(to-from) {
			r.out.AppendFrom(r.args[0], from+int(n)-1)
		} else {
			r.out.AppendNull()
		}
	}
	return nil
}

// frame returns the rows [from, to) that row i sees.
func (r *windowRun) frame(i int) (from, to int) {
	f := r.f
	from, to = r.lo, r.hi
	if !f.FromUnbounded {
		from = r.first(i)
	}
	if !f.ToUnbounded {
		to = r.end(i)
	}
	return from, to
}

// first is where the frame of row i begins when that is bounded.
func (r *windowRun) first(i int) int {
	switch {
	case r.f.Rows:
		return r.clamp(i, r.f.From)
	case !r.f.ordered:
		return r.lo
	case r.bounds.from != nil:
		return r.lo + sort.Search(r.hi-r.lo, func(k int) bool { return bytes.Compare(r.bounds.keys.at(r.lo+k), r.bounds.from.at(i)) >= 0 })
	}
	return r.peers[i][0]
}

// end is where it ends.
func (r *windowRun) end(i int) int {
	switch {
	case r.f.Rows:
		return r.clamp(i+1, r.f.To)
	case !r.f.ordered:
		return r.hi
	case r.bounds.to != nil:
		return r.lo + sort.Search(r.hi-r.lo, func(k int) bool { return bytes.Compare(r.bounds.keys.at(r.lo+k), r.bounds.to.at(i)) > 0 })
	}
	return r.peers[i][1]
}

// clamp returns i+d within the partition, also for offsets that overflow.
func (r *windowRun) clamp(i int, d int64) int {
	d = min(max(d, -math.MaxInt32), math.MaxInt32)
	return min(max(i+int(d), r.lo), r.hi)
}

// aggregate computes aggregates. Frames that begin with the partition only grow; the others are
// answered from a tree of partial results, so that no frame costs more than the logarithm of the partition.
func (r *windowRun) aggregate() error {
	f := r.f
	var run frameState
	var tree *frameTree
	if growing := f.FromUnbounded || !f.Rows && !f.ordered; !growing {
		var err error
		if tree, err = newFrameTree(r); err != nil {
			return err
		}
	}
	done := r.lo
	for i := r.lo; i < r.hi; i++ {
		from, to := r.frame(i)
		var s frameState
		var err error
		if tree != nil {
			s, err = tree.query(from-r.lo, to-r.lo)
		} else {
			for ; done < to && err == nil; done++ {
				run, err = r.combine(run, r.leaf(done))
			}
			s = run
		}
		if err != nil {
			return err
		}
		if err := r.emit(s); err != nil {
			return err
		}
	}
	return nil
}

// frameState is an aggregate over some neighbouring rows.
type frameState struct {
	n    int64 // values that are not NULL
	dec  vec.Int128
	f    float64 // sum, or mean
	m2   float64 // sum of squared differences from the mean
	bits uint64
	best int // row of the extreme, if n > 0
}

// frameBytes is what the accounting reckons for a row of a window function: peers and two tree nodes.
const frameBytes = 16 + 2*64

func (r *windowRun) leaf(i int) frameState {
	if len(r.args) == 0 {
		return frameState{n: 1}
	}
	v := r.args[0]
	if v.IsNull(i) {
		return frameState{}
	}
	s := frameState{n: 1, best: i}
	switch r.f.Name {
	case "sum", "avg":
		if v.Type.Phys() == types.PhysFloat64 {
			s.f = v.F64[i]
		} else {
			s.dec = int128At(v, i)
		}
	case "stddev_pop", "stddev_samp", "var_pop", "var_samp":
		s.f = v.F64[i]
	case "bit_and", "bit_or", "bit_xor":
		s.bits = uint64(v.I64[i])
	}
	return s
}

func (r *windowRun) combine(a, b frameState) (frameState, error) {
	switch {
	case a.n == 0:
		return b, nil
	case b.n == 0:
		return a, nil
	}
	out := frameState{n: a.n + b.n, f: a.f + b.f, best: a.best}
	switch r.f.Name {
	case "stddev_pop", "stddev_samp", "var_pop", "var_samp":
		d, share := b.f-a.f, float64(b.n)/float64(out.n)
		out.f, out.m2 = a.f+d*share, a.m2+b.m2+d*d*float64(a.n)*share
	case "bit_and":
		out.bits = a.bits & b.bits
	case "bit_or":
		out.bits = a.bits | b.bits
	case "bit_xor":
		out.bits = a.bits ^ b.bits
	case "sum", "avg":
		var ok bool
		if out.dec, ok = a.dec.Add(b.dec); !ok {
			return out, errOutOfRange(r.f.Name)
		}
	case "min", "max":
		c := compareRows(r.args[0], b.best, a.best)
		if r.f.Name == "min" && c < 0 || r.f.Name == "max" && c > 0 {
			out.best = b.best
		}
	}
	return out, nil
}

func (r *windowRun) emit(s frameState) error {
	switch {
	case r.f.Name == "count":
		r.out.AppendInt(s.n)
		return nil
	case r.f.Name == "bit_and" && s.n == 0:
		r.out.AppendInt(-1)
		return nil
	case strings.HasPrefix(r.f.Name, "bit_"):
		r.out.AppendInt(int64(s.bits))
		return nil
	case s.n == 0:
		r.out.AppendNull()
		return nil
	case r.f.Name == "min" || r.f.Name == "max":
		r.out.AppendFrom(r.args[0], s.best)
		return nil
	}
	if strings.HasPrefix(r.f.Name, "stddev_") || strings.HasPrefix(r.f.Name, "var_") {
		appendVariance(r.out, r.f.Name, s.n, s.m2)
		return nil
	}
	n := int64(1)
	if r.f.Name == "avg" {
		n = s.n
	}
	v := r.args[0]
	if v.Type.Phys() != types.PhysFloat64 {
		return appendQuotient(r.out, r.f.Type, s.dec, decimalScale(v.Type), n, r.f.Name)
	}
	x := s.f / float64(n)
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return errDoubleRange(r.f.Name)
	}
	r.out.AppendFloat(x)
	return nil
}

// compareRows compares two values of v that are not NULL.
func compareRows(v *vec.Vector, a, b int) int {
	switch v.Type.Phys() {
	case types.PhysFloat64:
		return cmp.Compare(v.F64[a], v.F64[b])
	case types.PhysDec128:
		return v.Dec[a].Cmp(v.Dec[b])
	case types.PhysBytes:
		return bytes.Compare(v.Bytes(a), v.Bytes(b))
	}
	if v.Type.Unsigned {
		return cmp.Compare(uint64(v.I64[a]), uint64(v.I64[b]))
	}
	return cmp.Compare(v.I64[a], v.I64[b])
}

// frameTree is a segment tree over a partition: node i covers nodes 2i and 2i+1, the leaves are the last n.
type frameTree struct {
	r     *windowRun
	n     int
	nodes []frameState
}

func newFrameTree(r *windowRun) (*frameTree, error) {
	n := 1
	for n < r.hi-r.lo { // a power of two keeps the rows of every node in order
		n *= 2
	}
	t := &frameTree{r: r, n: n, nodes: make([]frameState, 2*n)}
	for i := r.lo; i < r.hi; i++ {
		t.nodes[n+i-r.lo] = r.leaf(i)
	}
	for i := n - 1; i > 0; i-- {
		var err error
		if t.nodes[i], err = r.combine(t.nodes[2*i], t.nodes[2*i+1]); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *frameTree) query(from, to int) (frameState, error) {
	var left, right frameState
	var err error
	for l, r := from+t.n, to+t.n; l < r && err == nil; l, r = l/2, r/2 {
		if l&1 == 1 {
			left, err = t.r.combine(left, t.nodes[l])
			l++
		}
		if r&1 == 1 && err == nil {
			r--
			right, err = t.r.combine(t.nodes[r], right)
		}
	}
	if err != nil {
		return left, err
	}
	return t.r.combine(left, right)
}

// errArguments is MySQL's ER_WRONG_ARGUMENTS.
func errArguments(what string) error {
	return sqltypes.Errorf(errno.WrongArguments, "Incorrect arguments to %s", what)
}
