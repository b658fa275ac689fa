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

// narrowing is what predicates say of the primary key: one value of each of its first columns, then a range of the next one. Integers
// only.
type narrowing struct {
	cols []keyBound
	span keyRange
}

// keyBound is the values that a key column may have: [lo, hi], in the order of the column.
type keyBound struct {
	id     types.ColumnID
	lo, hi uint64 // by ordered
	flip   uint64
}

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
			b.hull(p.Ranges)
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

// hull narrows the bound to what lies around ranges.
func (b *keyBound) hull(ranges []Range) {
	if len(ranges) == 0 {
		b.lo, b.hi = 1, 0
		return
	}
	if lo := ranges[0].Lo; !lo.Null {
		b.lo = max(b.lo, b.ordered(lo.I))
	}
	if hi := ranges[len(ranges)-1].Hi; !hi.Null {
		b.hi = min(b.hi, b.ordered(hi.I))
	}
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

// rows returns where in vector i of a row group the wanted rows are: [from, to).
func (n *narrowing) rows(group *rowset.Group, i int) (from, to int, err error) {
	to = group.VectorRows(i)
	v := narrowVectors.Get().(*vec.Vector)
	defer narrowVectors.Put(v)
	for k := range n.cols {
		b := &n.cols[k]
		c := group.Column(b.id)
		if c < 0 || group.ColumnType(c).Phys() != types.PhysInt64 {
			return from, to, nil
		}
		values, err := group.Ints(v, c, i)
		if err != nil {
			return 0, 0, err
		}
		if values == nil {
			return from, to, nil
		}
		from, to = b.within(values, from, to)
	}
	return from, to, nil
}

// within returns which of the ascending values [from, to) are in the bound.
func (b *keyBound) within(values []int64, from, to int) (int, int) {
	part := values[from:to]
	lo := sort.Search(len(part), func(i int) bool { return b.ordered(part[i]) >= b.lo })
	part = part[lo:]
	n := sort.Search(len(part), func(i int) bool { return b.ordered(part[i]) > b.hi })
	return from + lo, from + lo + n
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
			from, to := max(lo, b.lo), min(hi, b.hi)
			if from > to {
				return 0
			}
			return int64(float64(g.Rows)*(float64(to-from)+1)/(float64(hi-lo)+1)) + 1
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
		if (uint64(x)^flip)-lo <= width && w.visible(from+i, v) {
			sel = append(sel, int32(i))
		}
	}
	return sel
}
