package tablet

import (
	"bytes"
	"slices"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// Best is the first values of the rows that have passed, in the order of a First, as many as that wants.
type Best struct {
	scans int // that it is of
	n     int
	desc  bool
	has   []firstValue // no more than n
	// marked is what there was when that was last asked for.
	marked []firstValue
	// values has all that have been among the best, keys what they are compared by.
	values *vec.Vector
	keys   []byte
}

// firstValue is the value of a row.
type firstValue struct {
	key []byte
	at  int // in values
}

// NewBest returns what so many scans are to have together.
func NewBest(scans int) *Best { return &Best{scans: scans} }

// of returns what a scan for the first rows goes by: b if it has values of that type, else one of its own.
func (b *Best) of(f *First, t types.ColumnType) *Best {
	if b == nil {
		b = NewBest(1)
	}
	if b.values == nil {
		b.n, b.desc, b.values = f.N, f.Desc, rowset.NewVector(t, 0)
	}
	if b.n != f.N || b.desc != f.Desc || b.values.Type != t {
		return (*Best)(nil).of(f, t)
	}
	return b
}

// last returns the last of the best, nil as long as there are not enough.
func (b *Best) last() *firstValue {
	if !b.full() {
		return nil
	}
	return &b.has[0]
}

// note takes in the values of the rows of a batch; v has what they are compared by.
func (b *Best) note(v *vec.Vector, rows *vec.Batch) {
	more := min(rows.Rows(), b.n-len(b.has))
	b.has, b.keys = slices.Grow(b.has, more), slices.Grow(b.keys, more*vec.KeyIntSize)
	for i := range rows.Rows() {
		row := i
		if rows.Sel != nil {
			row = int(rows.Sel[i])
		}
		start := len(b.keys)
		b.keys = vec.AppendKey(b.keys, v, row)
		key := b.keys[start:len(b.keys):len(b.keys)]
		if b.full() && !b.before(key, b.has[0].key) {
			b.keys = b.keys[:start]
			continue
		}
		rowset.AppendRow(b.values, v, row)
		b.put(firstValue{key: key, at: b.values.N - 1})
	}
}

// put takes in one that comes before the last, or finds room.
func (b *Best) put(v firstValue) {
	if b.full() {
		b.has[0] = v
		b.sink(0)
		return
	}
	b.has = append(b.has, v)
	if b.full() {
		for i := len(b.has)/2 - 1; i >= 0; i-- {
			b.sink(i)
		}
	}
}

// full reports whether there are as many as are wanted. Then they are a heap: each comes behind its two children, and so the first behind all.
func (b *Best) full() bool { return len(b.has) == b.n }

// sink puts what is at a place of the heap where it belongs.
func (b *Best) sink(at int) {
	v := b.has[at]
	for {
		kid := 2*at + 1
		if kid >= len(b.has) {
			break
		}
		if next := kid + 1; next < len(b.has) && b.before(b.has[kid].key, b.has[next].key) {
			kid = next
		}
		if !b.before(v.key, b.has[kid].key) {
			break
		}
		b.has[at] = b.has[kid]
		at = kid
	}
	b.has[at] = v
}

// before reports whether a value with one key comes before one with another.
func (b *Best) before(x, y []byte) bool {
	if b.desc {
		x, y = y, x
	}
	return bytes.Compare(x, y) < 0
}

// mark remembers what there is.
func (b *Best) mark() { b.marked = append(b.marked[:0], b.has...) }

// goBack forgets what has come since mark.
func (b *Best) goBack() { b.has = append(b.has[:0], b.marked...) }
