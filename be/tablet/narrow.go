package tablet

import (
	"bytes"
	"slices"
	"sort"
	"sync"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// fewRows is up to how many rows a scan looks for those it wants within vectors.
const fewRows = 8192

// narrowVectors are those of keys, of which nobody keeps anything.
var narrowVectors = sync.Pool{New: func() any { return new(vec.Vector) }}

// narrowing is what predicates say of the primary key: one value of each of its first columns, then a range of the next one, or some values
// of it. Integers only.
type narrowing struct {
	cols []keyBound
	span keyRange
}

// keyBound is the values that a key column may have: [lo, hi], in the order of the column.
type keyBound struct {
	id     types.ColumnID
	lo, hi uint64 // by ordered
	flip   uint64
	in     []valueRange // ascending and apart: of [lo, hi] only these; nil = all
}

// valueRange is the values [lo, hi], by ordered.
type valueRange struct{ lo, hi uint64 }

// mostIn is of how many ranges of a key column each is looked for; of more, what lies around them.
const mostIn = 256

// rowRange is the rows [from, to) of a vector.
type rowRange struct{ from, to int }

// ordered maps a value so that the order of the column is that of unsigned numbers.
func (b *keyBound) ordered(x int64) uint64 { return uint64(x) ^ b.flip }

// narrow finds what the predicates say of the key; nil = nothing.
func (s *Snapshot) narrow(prune []Predicate) *narrowing {
	var n narrowing
	for _, id := range s.t.key {
		b, some := s.boundOf(id, prune)
		if !some {
			break
		}
		n.cols = append(n.cols, b)
		if b.lo != b.hi {
			break
		}
	}
	if len(n.cols) == 0 {
		return nil
	}
	n.span = n.keys(s)
	return &n
}

// boundOf returns which values of a key column the predicates leave; false = all.
func (s *Snapshot) boundOf(id types.ColumnID, prune []Predicate) (keyBound, bool) {
	b := keyBound{id: id, hi: ^uint64(0)}
	t, some := s.columnType(id), false
	if t.Phys() != types.PhysInt64 {
		return b, false
	}
	if !t.Unsigned {
		b.flip = 1 << 63
	}
	for _, p := range prune {
		if p.Column != id || p.Null || p.Op != OpIn && p.Value.Null {
			continue
		}
		x := b.ordered(p.Value.I)
		switch p.Op {
		case OpIn:
			b.within(p.Ranges)
		case OpEQ:
			b.lo, b.hi = max(b.lo, x), min(b.hi, x)
		case OpGE, OpGT: // one value more hurts nobody
			b.lo = max(b.lo, x)
		case OpLE, OpLT:
			b.hi = min(b.hi, x)
		}
		some = true
	}
	return b, some
}

// within narrows the bound to ranges.
func (b *keyBound) within(ranges []Range) {
	if len(ranges) == 0 {
		b.lo, b.hi = 1, 0
		return
	}
	var in []valueRange
	for _, r := range ranges {
		v := valueRange{hi: ^uint64(0)}
		if !r.Lo.Null {
			v.lo = b.ordered(r.Lo.I)
		}
		if !r.Hi.Null {
			v.hi = b.ordered(r.Hi.I)
		}
		in = append(in, v)
	}
	b.lo, b.hi = max(b.lo, in[0].lo), min(b.hi, in[len(in)-1].hi)
	if len(in) > 1 && len(in) <= mostIn {
		b.in = in
	}
}

// ranges calls f with each of the ranges of values that are wanted.
func (b *keyBound) ranges(f func(lo, hi uint64)) {
	if b.in == nil {
		f(b.lo, b.hi)
	}
	for _, r := range b.in {
		if lo, hi := max(r.lo, b.lo), min(r.hi, b.hi); lo <= hi {
			f(lo, hi)
		}
	}
}

// holds reports whether a value in [lo, hi] is in one of the ranges.
func (b *keyBound) holds(x uint64) bool {
	i := sort.Search(len(b.in), func(i int) bool { return b.in[i].hi >= x })
	return i < len(b.in) && b.in[i].lo <= x
}

// keys returns the range of keys with such values.
func (n *narrowing) keys(s *Snapshot) (r keyRange) {
	var equal []byte
	for i := range n.cols {
		b := &n.cols[i]
		if b.lo > b.hi {
			return keyRange{hi: []byte{}} // no row at all
		}
		v := rowset.NewVector(s.columnType(b.id), 2)
		v.I64 = append(v.I64, int64(b.lo^b.flip), int64(b.hi^b.flip))
		v.N = 2
		lo := vec.AppendKey(slices.Clone(equal), v, 0)
		r.lo, r.hi = lo, vec.KeySuccessor(vec.AppendKey(slices.Clone(equal), v, 1))
		equal = lo
	}
	return r
}

// keyRange is the memcomparable primary keys in [lo, hi); nil is unbounded.
type keyRange struct{ lo, hi []byte }

// overlaps reports whether keys in [lo, hi] may be those of wanted rows.
func (r keyRange) overlaps(lo, hi []byte) bool {
	return (r.hi == nil || bytes.Compare(lo, r.hi) < 0) && (r.lo == nil || bytes.Compare(hi, r.lo) >= 0)
}

// rows returns where in vector i of a row group the wanted rows are: ranges that ascend, lie apart and hold rows.
func (n *narrowing) rows(group *rowset.Group, i int) ([]rowRange, error) {
	out := []rowRange{{0, group.VectorRows(i)}}
	v := narrowVectors.Get().(*vec.Vector)
	defer narrowVectors.Put(v)
	for k := range n.cols {
		b := &n.cols[k]
		c := group.Column(b.id)
		if c < 0 || group.ColumnType(c).Phys() != types.PhysInt64 {
			return out, nil
		}
		values, err := group.Ints(v, c, i)
		if err != nil {
			return nil, err
		}
		if values == nil {
			return out, nil
		}
		// Only the last column has ranges: before it there is one part, or none.
		if out = b.find(values, out[0]); len(out) == 0 {
			return nil, nil
		}
	}
	return out, nil
}

// find returns which of the ascending values of some rows are wanted.
func (b *keyBound) find(values []int64, in rowRange) (out []rowRange) {
	at := in.from
	b.ranges(func(lo, hi uint64) {
		part := values[at:in.to]
		from := at + sort.Search(len(part), func(i int) bool { return b.ordered(part[i]) >= lo })
		part = values[from:in.to]
		at = from + sort.Search(len(part), func(i int) bool { return b.ordered(part[i]) > hi })
		switch {
		case from == at:
		case len(out) > 0 && out[len(out)-1].to == from:
			out[len(out)-1].to = at
		default:
			out = append(out, rowRange{from, at})
		}
	})
	return out
}

// estimate is about how many of the rows of a row group are wanted, as if they were spread evenly.
func (n *narrowing) estimate(g *groupEntry) int64 {
	for i := range n.cols {
		b := &n.cols[i]
		first, ok := vec.KeyInt(g.MinKey, i, b.flip == 0)
		last, fine := vec.KeyInt(g.MaxKey, i, b.flip == 0)
		if !ok || !fine {
			break
		}
		lo, hi := b.ordered(first), b.ordered(last)
		if lo != hi {
			rows := int64(0)
			b.ranges(func(from, to uint64) {
				if from, to = max(lo, from), min(hi, to); from <= to {
					rows += int64(float64(g.Rows)*(float64(to-from)+1)/(float64(hi-lo)+1)) + 1
				}
			})
			return min(rows, int64(g.Rows))
		}
	}
	return int64(g.Rows)
}

// visible appends the rows [from, to) of a memtable that are wanted and that version v sees, counted from from.
func (n *narrowing) visible(sel []int32, w *memView, from, to int, v types.Version) []int32 {
	b := &n.cols[0]
	at := w.schema.ColumnIndex(b.id)
	if at < 0 {
		panic("BUG: a memtable without a key column")
	}
	if b.lo > b.hi {
		return sel
	}
	lo, width, flip := b.lo, b.hi-b.lo, b.flip // each row in memory is looked at: one comparison
	for i, x := range w.column(at, from, to).I64 {
		if o := uint64(x) ^ flip; o-lo <= width && (b.in == nil || b.holds(o)) && w.visible(from+i, v) {
			sel = append(sel, int32(i))
		}
	}
	return sel
}
