package tablet

import (
	"cmp"
	"slices"
	"sort"

	"stele/meta/types"
	"stele/sql/vec"
)

// memKeys has the keys of a memtable in the order of the first column of the primary key, each with its newest row: where rows change
// often, the versions of a row are many and one of them is wanted. Older snapshots go on from it to the rows before. Nobody changes it.
type memKeys struct {
	values []uint64 // ascending, by keyBound.ordered
	rows   []int32
	flip   uint64  // of ordered
	upTo   int     // the rows of the memtable that are in it
	prev   []int32 // of these rows: the row that held the same key before, or noRow
}

// memKey is a row on its way into memKeys.
type memKey struct {
	value uint64
	row   int32
}

// with returns the keys of k and those of the rows of a memtable behind them, whose column at is the first of the key.
func (k *memKeys) with(w *memView, at int) *memKeys {
	ended := make([]uint64, (w.rows()+63)>>6) // a bit for each row that is not the newest of its key
	for _, row := range w.prev[k.upTo:] {
		if row != noRow {
			ended[row>>6] |= 1 << (row & 63)
		}
	}
	newest := func(row int32) bool { return ended[row>>6]>>(row&63)&1 == 0 }
	var fresh []memKey
	for from := k.upTo; from < w.rows(); from += vec.MaxRows {
		for i, x := range w.column(at, from, min(from+vec.MaxRows, w.rows())).I64 {
			if row := int32(from + i); newest(row) {
				fresh = append(fresh, memKey{uint64(x) ^ k.flip, row})
			}
		}
	}
	slices.SortFunc(fresh, func(a, b memKey) int { return cmp.Compare(a.value, b.value) })
	n := len(k.rows) + len(fresh)
	out := &memKeys{values: make([]uint64, 0, n), rows: make([]int32, 0, n), flip: k.flip, upTo: w.rows(), prev: w.prev}
	for i, value := range k.values {
		for len(fresh) > 0 && fresh[0].value < value {
			out.push(fresh[0])
			fresh = fresh[1:]
		}
		if newest(k.rows[i]) {
			out.push(memKey{value, k.rows[i]})
		}
	}
	for _, f := range fresh {
		out.push(f)
	}
	return out
}

func (k *memKeys) push(m memKey) {
	k.values, k.rows = append(k.values, m.value), append(k.rows, m.row)
}

// bytes is what it takes in memory; prev is the memtable's.
func (k *memKeys) bytes() int64 { return int64(8*cap(k.values) + 4*cap(k.rows)) }

// span returns where the keys with values in [lo, hi] are.
func (k *memKeys) span(lo, hi uint64) (from, to int) {
	from = sort.Search(len(k.values), func(i int) bool { return k.values[i] >= lo })
	rest := k.values[from:]
	return from, from + sort.Search(len(rest), func(i int) bool { return rest[i] > hi })
}

// count returns how many keys a bound leaves.
func (k *memKeys) count(b *keyBound) (n int) {
	b.ranges(func(lo, hi uint64) {
		from, to := k.span(lo, hi)
		n += to - from
	})
	return n
}

// visible returns the rows of a memtable whose keys a bound leaves and that a snapshot of version v sees, of the rows that are in k.
func (k *memKeys) visible(b *keyBound, w *memView, n int, v types.Version) []int32 {
	out := make([]int32, 0, n)
	b.ranges(func(lo, hi uint64) {
		from, to := k.span(lo, hi)
		for _, row := range k.rows[from:to] {
			// The view may be of before the row. What comes before a row that the version knows of has ended by it.
			for row != noRow && (int(row) >= w.rows() || w.created[row] > v) {
				row = k.prev[row]
			}
			if row != noRow && w.visible(int(row), v) {
				out = append(out, row)
			}
		}
	})
	return out
}

// keys returns the keys of a memtable but for its last rows; nil = they are not worth an order, or would take too much.
func (w *memView) keys(s *Store, at int, flip uint64) *memKeys {
	m := &w.m.orders
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keys == nil {
		m.keys = &memKeys{}
	}
	k := m.keys
	if k.flip != flip { // as long as there are none, or by another type of the column
		k = &memKeys{flip: flip}
	}
	if m.mayGrow(s, w.rows(), k.upTo) {
		k = k.with(w, at)
		m.add(s, k.bytes()-m.keys.bytes())
		m.keys = k
	}
	if k.upTo == 0 {
		return nil
	}
	return k
}
