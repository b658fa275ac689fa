package tablet

import (
	"cmp"
	"slices"
	"sort"

	"stele/meta/types"
	"stele/sql/vec"
)

// memOrder has the first rows of a memtable in the order of the first column of the key, one of integers: who wants a small range would
// look at thousands of rows for it. Nobody changes it any more.
type memOrder struct {
	flip uint64    // of the bounds by which it is made
	rows []memSlot // the first len(rows) rows, by value
}

// memSlot is a row and its value in the first column of the key.
type memSlot struct {
	value uint64 // by keyBound.ordered
	row   int32
}

const (
	// lookedAt is how many rows that are in no order are looked at, if they are less than a quarter of the others.
	lookedAt = 512
	// mostOrdered is up to how many rows are put in order: flushes come sooner where rows come one by one.
	mostOrdered = 64 << 10
)

// order returns the rows in order, but for the last ones; nil = it is not worth it. at is the place of the column of b.
func (w *memView) order(at int, b *keyBound) *memOrder {
	o, n := w.m.order.Load(), 0
	if o != nil {
		n = len(o.rows)
	}
	if w.rows()-n <= max(lookedAt, n/4) {
		return o
	}
	if w.rows() > mostOrdered || o != nil && o.flip != b.flip {
		return nil
	}
	fresh := make([]memSlot, 0, w.rows()-n)
	for from := n; from < w.rows(); from += vec.MaxRows {
		for i, x := range w.column(at, from, min(from+vec.MaxRows, w.rows())).I64 {
			fresh = append(fresh, memSlot{value: b.ordered(x), row: int32(from + i)})
		}
	}
	slices.SortFunc(fresh, func(x, y memSlot) int { return cmp.Compare(x.value, y.value) })
	if n > 0 {
		fresh = mergeSlots(o.rows, fresh)
	}
	o = &memOrder{flip: b.flip, rows: fresh}
	w.m.order.Store(o)
	return o
}

// mergeSlots merges rows that are in order.
func mergeSlots(a, b []memSlot) []memSlot {
	out := make([]memSlot, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].value <= b[0].value {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// inMemory returns the rows of a memtable that are wanted and that version v sees, in no order; not ok when they have to be looked for among
// all of them.
func (n *narrowing) inMemory(w *memView, v types.Version) (rows []int32, ok bool) {
	b := &n.cols[0]
	at := w.schema.ColumnIndex(b.id)
	if at < 0 {
		panic("BUG: a memtable without a key column")
	}
	o := w.order(at, b)
	if o == nil || o.flip != b.flip {
		return nil, false
	}
	from := sort.Search(len(o.rows), func(i int) bool { return o.rows[i].value >= b.lo })
	for _, s := range o.rows[from:] {
		if s.value > b.hi {
			break
		}
		if int(s.row) < w.rows() && w.visible(int(s.row), v) {
			rows = append(rows, s.row)
		}
		if len(rows) > vec.MaxRows {
			return nil, false
		}
	}
	for from := len(o.rows); from < w.rows(); from += vec.MaxRows {
		k := len(rows)
		rows = n.visible(rows, w, from, min(from+vec.MaxRows, w.rows()), v)
		for ; k < len(rows); k++ {
			rows[k] += int32(from)
		}
	}
	return rows, len(rows) <= vec.MaxRows
}
