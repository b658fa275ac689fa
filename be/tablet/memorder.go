package tablet

import (
	"slices"
	"sync"
	"sync/atomic"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// memOrders are orders of the first rows of a memtable, by columns of keys, and its keys in order: who wants a few rows would look at each
// of them. They are made by who looks for some, and what they take counts in the gauge of the disk until the memtable is flushed.
type memOrders struct {
	mu    sync.Mutex
	by    map[memOrder]*rowset.Order
	keys  *memKeys
	bytes atomic.Int64
	ended atomic.Bool
}

// memOrder names one: the place of the column, and how its texts compare.
type memOrder struct {
	at int
	by types.Collation
}

const (
	// lookedAt is how many rows that are in no order are looked at, if they are less than a sixteenth of the others.
	lookedAt = 512
	// mostOrdered is up to how many rows are put in order: flushes come sooner where rows come one by one.
	mostOrdered = 1 << 20
)

// order returns the rows in an order, by the column at a place, but for the last ones; nil = it is not worth it, or would take too much.
func (w *memView) order(s *Store, at int, by rowset.OrderBy) *rowset.Order {
	m, name, t := &w.m.orders, memOrder{at, by.By}, by.Type
	m.mu.Lock()
	defer m.mu.Unlock()
	o, n, had := m.by[name], 0, int64(0)
	if o != nil && o.Suits(t) {
		n, had = o.Len(), o.Bytes()
	} else {
		o = nil
	}
	if !m.mayGrow(s, w.rows(), n) {
		return o
	}
	var next *rowset.Order
	if o != nil {
		next = o.With(w.keyParts(at, n, by))
	}
	if next == nil {
		next = rowset.NewOrder(t, w.keyParts(at, 0, by), 0)
	}
	if m.by == nil {
		m.by = map[memOrder]*rowset.Order{}
	}
	m.by[name] = next
	m.add(s, next.Bytes()-had)
	return next
}

// mayGrow reports whether to put rows in an order that has the first n of them.
func (m *memOrders) mayGrow(s *Store, rows, n int) bool {
	return rows-n > max(lookedAt, n/16) && rows <= mostOrdered && !m.ended.Load() && s.memOrdered.Load()+16*int64(rows) <= s.opt.memOrders()
}

// add counts what an order takes more than the one before it.
func (m *memOrders) add(s *Store, bytes int64) {
	m.bytes.Add(bytes)
	s.memOrdered.Add(bytes)
	if m.ended.Load() {
		m.end(s)
	}
}

// end takes what the orders have from the gauge; no more are made.
func (m *memOrders) end(s *Store) {
	m.ended.Store(true)
	s.memOrdered.Add(-m.bytes.Swap(0))
}

// columnParts returns the rows of a column from one on, as vectors of type t.
func (w *memView) columnParts(at, from int, t types.ColumnType) (out []*vec.Vector) {
	for ; from < w.rows(); from += vec.MaxRows {
		v := w.column(at, from, min(from+vec.MaxRows, w.rows()))
		v.Type = t
		out = append(out, v)
	}
	return out
}

// keyParts returns what the rows of a column from one on are in order of.
func (w *memView) keyParts(at, from int, by rowset.OrderBy) []*vec.Vector {
	out := w.columnParts(at, from, by.Type)
	for i := range out {
		out[i] = rowset.CollationKeys(by.By, out[i])
	}
	return out
}

// inMemory returns the rows of a memtable that are wanted, by the order of one of its columns, and that the snapshot sees; not ok when
// they have to be looked for among all of them.
func (it *Iter) inMemory(w *memView) (rows []int32, ok bool) {
	by := it.memWay(w)
	switch {
	case by.keys != nil:
		rows = by.keys.visible(&it.narrow.cols[0], w, by.n, it.s.version)
		return it.lookAtKeys(rows, w, min(by.keys.upTo, w.rows())), true
	case by.p == nil:
		return nil, false
	case by.order == nil:
		return it.lookAt(nil, w, by.p, 0), true
	}
	for _, row := range by.p.rows(nil, by.order) {
		if int(row) < w.rows() && w.visible(int(row), it.s.version) {
			rows = append(rows, int32(row))
		}
	}
	return it.lookAt(rows, w, by.p, min(by.order.Len(), w.rows())), true
}

// lookAtKeys appends the rows of a memtable from one on that are wanted by their keys, and that the snapshot sees.
func (it *Iter) lookAtKeys(rows []int32, w *memView, from int) []int32 {
	for ; from < w.rows(); from += vec.MaxRows {
		n := len(rows)
		rows = it.narrow.visible(rows, w, from, min(from+vec.MaxRows, w.rows()), it.s.version)
		for i := range rows[n:] {
			rows[n+i] += int32(from)
		}
	}
	return rows
}

// lookAt appends the rows of a memtable from one on that p may want, and that the snapshot sees.
func (it *Iter) lookAt(rows []int32, w *memView, p *prune, from int) []int32 {
	for _, v := range w.columnParts(w.schema.ColumnIndex(p.Column), from, p.Type) {
		for i := range v.N {
			if p.mayHold(v, i) && w.visible(from+i, it.s.version) {
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
	keys  *memKeys
	p     *prune
	order *rowset.Order
	n     int
}

// memWay chooses the way that leaves the fewest rows.
func (it *Iter) memWay(w *memView) memWay {
	best := memWay{n: w.rows()/pickPart + lookedAt}
	for i := range it.prune {
		p := &it.prune[i]
		at := w.schema.ColumnIndex(p.Column)
		if at < 0 || !p.keyed {
			continue
		}
		o, n := w.order(it.s.t.s, at, p.OrderBy), 0
		if o != nil {
			n = p.count(o)
		} else if w.rows() > lookedAt {
			continue
		}
		if n < best.n {
			best = memWay{p: p, order: o, n: n}
		}
	}
	if it.narrow == nil || w.rows() <= lookedAt {
		return best
	}
	b := &it.narrow.cols[0]
	if k := w.keys(it.s.t.s, w.schema.ColumnIndex(b.id), b.flip); k != nil {
		if n := k.count(b); n < best.n {
			best = memWay{keys: k, n: n}
		}
	}
	return best
}

// fillPickedMemory makes batches of rows of a memtable.
func (it *Iter) fillPickedMemory(w *memView, rows []int32) {
	for part := range slices.Chunk(rows, vec.MaxRows) {
		column := func(at int) *vec.Vector { return w.picked(at, 0, part) }
		it.ready = append(it.ready, it.s.memoryColumns(w, it.cols, len(part), column))
	}
}
