package memtable

import (
	"cmp"
	"slices"
	"sort"

	"stele/meta/types"
	"stele/sql/vec"
)

// Keys has the keys of a memtable in the order of the first column of the primary key, each with its newest row: where rows change
// often, the versions of a row are many and one of them is wanted. Older snapshots go on from it to the rows before. Nobody changes it.
type Keys struct {
	values []uint64 // ascending, each with the sign bit changed if flip says so
	rows   []int32
	flip   uint64  // what a value is combined with by XOR to have the order of the column
	upTo   int     // the rows of the memtable that are in it
	prev   []int32 // of these rows: the row that held the same key before, or NoRow
}

// keyRow is a row on its way into Keys.
type keyRow struct {
	value uint64
	row   int32
}

// with returns the keys of k and those of the rows of a memtable behind them, whose column at is the first of the key.
func (k *Keys) with(w *View, at int) *Keys {
	ended := make([]uint64, (w.Rows()+63)>>6) // a bit for each row that is not the newest of its key
	for _, row := range w.prev[k.upTo:] {
		if row != NoRow {
			ended[row>>6] |= 1 << (row & 63)
		}
	}
	newest := func(row int32) bool { return ended[row>>6]>>(row&63)&1 == 0 }
	var fresh []keyRow
	for from := k.upTo; from < w.Rows(); from += vec.MaxRows {
		for i, x := range w.Column(at, from, min(from+vec.MaxRows, w.Rows())).I64 {
			if row := int32(from + i); newest(row) {
				fresh = append(fresh, keyRow{uint64(x) ^ k.flip, row})
			}
		}
	}
	slices.SortFunc(fresh, func(a, b keyRow) int { return cmp.Compare(a.value, b.value) })
	n := len(k.rows) + len(fresh)
	out := &Keys{values: make([]uint64, 0, n), rows: make([]int32, 0, n), flip: k.flip, upTo: w.Rows(), prev: w.prev}
	for i, value := range k.values {
		for len(fresh) > 0 && fresh[0].value < value {
			out.push(fresh[0])
			fresh = fresh[1:]
		}
		if newest(k.rows[i]) {
			out.push(keyRow{value, k.rows[i]})
		}
	}
	for _, f := range fresh {
		out.push(f)
	}
	return out
}

func (k *Keys) push(m keyRow) {
	k.values, k.rows = append(k.values, m.value), append(k.rows, m.row)
}

// bytes is what it takes in memory; prev is the memtable's.
func (k *Keys) bytes() int64 { return int64(8*cap(k.values) + 4*cap(k.rows)) }

// span returns where the keys with values in [lo, hi] are.
func (k *Keys) span(lo, hi uint64) (from, to int) {
	from = sort.Search(len(k.values), func(i int) bool { return k.values[i] >= lo })
	rest := k.values[from:]
	return from, from + sort.Search(len(rest), func(i int) bool { return rest[i] > hi })
}

// Len returns how many of the first rows of the memtable it knows.
func (k *Keys) Len() int { return k.upTo }

// Count returns how many keys have values in ranges [lo, hi].
func (k *Keys) Count(ranges func(each func(lo, hi uint64))) (n int) {
	ranges(func(lo, hi uint64) {
		from, to := k.span(lo, hi)
		n += to - from
	})
	return n
}

// Visible returns the rows of a memtable whose keys have values in ranges, about n of them, and that version v sees, of those that k knows.
func (k *Keys) Visible(ranges func(each func(lo, hi uint64)), w *View, n int, v types.Version) []int32 {
	out := make([]int32, 0, n)
	ranges(func(lo, hi uint64) {
		from, to := k.span(lo, hi)
		for _, row := range k.rows[from:to] {
			// The view may be of before the row. What comes before a row that the version knows of has ended by it.
			for row != NoRow && (int(row) >= w.Rows() || w.created[row] > v) {
				row = k.prev[row]
			}
			if row != NoRow && w.Visible(int(row), v) {
				out = append(out, row)
			}
		}
	})
	return out
}

// Keys returns the keys of a memtable but for its last rows; nil = they are not worth an order, or would take too much.
func (w *View) Keys(g *Gauge, at int, flip uint64) *Keys {
	m := &w.m.orders
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keys == nil {
		m.keys = &Keys{}
	}
	k := m.keys
	if k.flip != flip { // as long as there are none, or by another type of the column
		k = &Keys{flip: flip}
	}
	if m.mayGrow(g, w.Rows(), k.upTo) {
		k = k.with(w, at)
		m.add(g, k.bytes()-m.keys.bytes())
		m.keys = k
	}
	if k.upTo == 0 {
		return nil
	}
	return k
}
