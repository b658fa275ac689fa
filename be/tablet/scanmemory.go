package tablet

import (
	"slices"

	"stele/be/tablet/memtable"
	"stele/be/tablet/sought"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// inMemory returns the rows of a memtable that are wanted, by the order of one of its columns, and that the snapshot sees; not ok when
// they have to be looked for among all of them.
func (it *Iter) inMemory(w *memtable.View) (rows []int32, ok bool) {
	by := it.memWay(w)
	switch {
	case by.keys != nil:
		rows = by.keys.Visible(it.narrow.Ranges, w, by.n, it.s.version)
		return it.lookAtKeys(rows, w, min(by.keys.Len(), w.Rows())), true
	case by.p == nil:
		return nil, false
	case by.order == nil:
		return it.lookAt(nil, w, by.p, 0), true
	}
	for _, row := range by.p.Rows(nil, by.order) {
		if int(row) < w.Rows() && w.Visible(int(row), it.s.version) {
			rows = append(rows, int32(row))
		}
	}
	return it.lookAt(rows, w, by.p, min(by.order.Len(), w.Rows())), true
}

// lookAtKeys appends the rows of a memtable from one on that are wanted by their keys, and that the snapshot sees.
func (it *Iter) lookAtKeys(rows []int32, w *memtable.View, from int) []int32 {
	for ; from < w.Rows(); from += vec.MaxRows {
		n := len(rows)
		rows = it.visibleAmong(rows, w, from, min(from+vec.MaxRows, w.Rows()))
		for i := range rows[n:] {
			rows[n+i] += int32(from)
		}
	}
	return rows
}

// visibleAmong appends the rows [from, to) of a memtable that are wanted by their keys, and that the snapshot sees, counted from from.
func (it *Iter) visibleAmong(sel []int32, w *memtable.View, from, to int) []int32 {
	at := w.Schema.ColumnIndex(it.narrow.Column())
	if at < 0 {
		panic("BUG: a memtable without a key column")
	}
	n := len(sel)
	sel = it.narrow.Among(sel, w.Column(at, from, to).I64)
	seen := sel[:n]
	for _, i := range sel[n:] {
		if w.Visible(from+int(i), it.s.version) {
			seen = append(seen, i)
		}
	}
	return seen
}

// lookAt appends the rows of a memtable from one on that p may want, and that the snapshot sees.
func (it *Iter) lookAt(rows []int32, w *memtable.View, p *sought.Values, from int) []int32 {
	for _, v := range w.Parts(w.Schema.ColumnIndex(p.Column), from, p.Type) {
		for i := range v.N {
			if p.MayHold(v, i) && w.Visible(from+i, it.s.version) {
				rows = append(rows, int32(from+i))
			}
		}
		from += v.N
	}
	return rows
}

// memWay is what finds the wanted rows of a memtable, about n of them: its keys, or a predicate and the order of its column. Without an
// order there are few rows in all; with nothing at all none of them finds few.
type memWay struct {
	keys  *memtable.Keys
	p     *sought.Values
	order *rowset.Order
	n     int
}

// memWay chooses the way that leaves the fewest rows.
func (it *Iter) memWay(w *memtable.View) memWay {
	best := memWay{n: w.Rows()/pickPart + memtable.LookedAt}
	for i := range it.prune {
		p := &it.prune[i]
		at := w.Schema.ColumnIndex(p.Column)
		if at < 0 || !p.Keyed {
			continue
		}
		o, n := w.Order(it.s.t.s.memOrders, at, p.OrderBy), 0
		if o != nil {
			n = p.Count(o)
		} else if w.Rows() > memtable.LookedAt {
			continue
		}
		if n < best.n {
			best = memWay{p: p, order: o, n: n}
		}
	}
	if it.narrow == nil || w.Rows() <= memtable.LookedAt {
		return best
	}
	if k := w.Keys(it.s.t.s.memOrders, w.Schema.ColumnIndex(it.narrow.Column()), it.narrow.Flip()); k != nil {
		if n := k.Count(it.narrow.Ranges); n < best.n {
			best = memWay{keys: k, n: n}
		}
	}
	return best
}

// fillPickedMemory makes batches of rows of a memtable.
func (it *Iter) fillPickedMemory(w *memtable.View, rows []int32) {
	for part := range slices.Chunk(rows, vec.MaxRows) {
		column := func(at int) *vec.Vector { return w.Picked(at, 0, part) }
		it.ready = append(it.ready, it.s.memoryColumns(w, it.cols, len(part), column))
	}
}
