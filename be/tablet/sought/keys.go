package sought

import (
	"bytes"
	"slices"
	"sort"
	"sync"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// keyVectors are those of keys, of which nobody keeps anything.
var keyVectors = sync.Pool{New: func() any { return new(vec.Vector) }}

// Keys is what predicates say of the primary key: one value of each of its first columns, then a range of the next one, or some values
// of it. Integers only.
type Keys struct {
	cols []bound
	span keyRange
}

// bound is the values that a key column may have: [lo, hi], in the order of the column.
type bound struct {
	id     types.ColumnID
	lo, hi uint64 // by ordered
	flip   uint64
	in     []valueRange // ascending and apart: of [lo, hi] only these; nil = all
}

// valueRange is the values [lo, hi], by ordered.
type valueRange struct{ lo, hi uint64 }

// mostIn is of how many ranges of a key column each is looked for; of more, what lies around them.
const mostIn = 256

// RowRange is the rows [from, to) of a vector.
type RowRange struct{ From, To int }

// ordered maps a value so that the order of the column is that of unsigned numbers.
func (b *bound) ordered(x int64) uint64 { return uint64(x) ^ b.flip }

// KeysOf finds what predicates say of the primary key, which has these columns; nil = nothing.
func KeysOf(schema *types.Schema, key []types.ColumnID, predicates []Predicate) *Keys {
	var k Keys
	for _, id := range key {
		b, some := boundOf(id, typeOf(schema, id), predicates)
		if !some {
			break
		}
		k.cols = append(k.cols, b)
		if b.lo != b.hi {
			break
		}
	}
	if len(k.cols) == 0 {
		return nil
	}
	k.span = k.keys(schema)
	return &k
}

// boundOf returns which values of a key column of a type the predicates leave; false = all.
func boundOf(id types.ColumnID, t types.ColumnType, predicates []Predicate) (bound, bool) {
	b := bound{id: id, hi: ^uint64(0)}
	some := false
	if t.Phys() != types.PhysInt64 {
		return b, false
	}
	if !t.Unsigned {
		b.flip = 1 << 63
	}
	for _, p := range predicates {
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
func (b *bound) within(ranges []Range) {
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

// ranges calls f with each of the ranges of values that are sought.
func (b *bound) ranges(f func(lo, hi uint64)) {
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
func (b *bound) holds(x uint64) bool {
	i := sort.Search(len(b.in), func(i int) bool { return b.in[i].hi >= x })
	return i < len(b.in) && b.in[i].lo <= x
}

// keys returns the range of keys with such values.
func (k *Keys) keys(schema *types.Schema) (r keyRange) {
	var equal []byte
	for i := range k.cols {
		b := &k.cols[i]
		if b.lo > b.hi {
			return keyRange{hi: []byte{}} // no row at all
		}
		v := rowset.NewVector(typeOf(schema, b.id), 2)
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

// overlaps reports whether keys in [lo, hi] may be those of sought rows.
func (r keyRange) overlaps(lo, hi []byte) bool {
	return (r.hi == nil || bytes.Compare(lo, r.hi) < 0) && (r.lo == nil || bytes.Compare(hi, r.lo) >= 0)
}

// Column is the first column of the key.
func (k *Keys) Column() types.ColumnID { return k.cols[0].id }

// Flip turns a value of that column over, so that the order of the column is that of unsigned numbers.
func (k *Keys) Flip() uint64 { return k.cols[0].flip }

// Ranges calls f with each of the ranges of its values that are sought, turned over.
func (k *Keys) Ranges(f func(lo, hi uint64)) { k.cols[0].ranges(f) }

// Rows returns where in vector i of a row group the sought rows are: ranges that ascend, lie apart and hold rows.
func (k *Keys) Rows(group *rowset.Group, i int) ([]RowRange, error) {
	out := []RowRange{{0, group.VectorRows(i)}}
	v := keyVectors.Get().(*vec.Vector)
	defer keyVectors.Put(v)
	for at := range k.cols {
		b := &k.cols[at]
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

// find returns which of the ascending values of some rows are sought.
func (b *bound) find(values []int64, in RowRange) (out []RowRange) {
	at := in.From
	b.ranges(func(lo, hi uint64) {
		part := values[at:in.To]
		from := at + sort.Search(len(part), func(i int) bool { return b.ordered(part[i]) >= lo })
		part = values[from:in.To]
		at = from + sort.Search(len(part), func(i int) bool { return b.ordered(part[i]) > hi })
		switch {
		case from == at:
		case len(out) > 0 && out[len(out)-1].To == from:
			out[len(out)-1].To = at
		default:
			out = append(out, RowRange{from, at})
		}
	})
	return out
}

// Estimate is about how many of so many rows with keys from first to last are sought, as if they were spread evenly; 0 = none is.
func (k *Keys) Estimate(first, last []byte, rows uint32) int64 {
	if !k.span.overlaps(first, last) {
		return 0
	}
	for i := range k.cols {
		b := &k.cols[i]
		least, ok := vec.KeyInt(first, i, b.flip == 0)
		most, fine := vec.KeyInt(last, i, b.flip == 0)
		if !ok || !fine {
			break
		}
		if lo, hi := b.ordered(least), b.ordered(most); lo != hi {
			return min(b.estimate(lo, hi, float64(rows)), int64(rows))
		}
	}
	return int64(rows)
}

// estimate is about how many of so many rows, whose values are from lo to hi, are sought.
func (b *bound) estimate(lo, hi uint64, of float64) (rows int64) {
	b.ranges(func(from, to uint64) {
		if from, to = max(lo, from), min(hi, to); from <= to {
			rows += int64(of*(float64(to-from)+1)/(float64(hi-lo)+1)) + 1
		}
	})
	return rows
}

// Among appends the places of those values of the first column of the key that are sought.
func (k *Keys) Among(places []int32, values []int64) []int32 {
	b := &k.cols[0]
	if b.lo > b.hi {
		return places
	}
	lo, width, flip := b.lo, b.hi-b.lo, b.flip // each row in memory is looked at: one comparison
	for i, x := range values {
		if o := uint64(x) ^ flip; o-lo <= width && (b.in == nil || b.holds(o)) {
			places = append(places, int32(i))
		}
	}
	return places
}
