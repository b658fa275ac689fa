package tablet

import (
	"slices"
	"sync"
	"sync/atomic"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// memOrders are orders of the first rows of a memtable, by columns of keys: who wants a few rows would look at each of them. They are
// made by who looks for some, and what they take counts in the gauge of the disk until the memtable is flushed.
type memOrders struct {
	mu    sync.Mutex
	by    map[memOrder]*rowset.Order
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
	if w.rows()-n <= max(lookedAt, n/16) {
		return o
	}
	if w.rows() > mostOrdered || m.ended.Load() || s.memOrdered.Load()+16*int64(w.rows()) > s.opt.memOrders() {
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
	m.bytes.Add(next.Bytes() - had)
	s.memOrdered.Add(next.Bytes() - had)
	if m.ended.Load() {
		m.end(s)
	}
	return next
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
	p, o := it.memOrder(w)
	if p == nil {
		return nil, false
	}
	tail := 0
	if o != nil {
		for _, row := range p.rows(nil, o) {
			if int(row) < w.rows() && w.visible(int(row), it.s.version) {
				rows = append(rows, int32(row))
			}
		}
		tail = min(o.Len(), w.rows())
	}
	return it.lookAt(rows, w, p, tail), true
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

// memOrder chooses the predicate that leaves the fewest rows of a memtable, and the order that finds them; nil = none leaves few. Without
// an order there are few rows in all.
func (it *Iter) memOrder(w *memView) (best *prune, order *rowset.Order) {
	least := w.rows()/pickPart + lookedAt
	for i := range it.prune {
		p := &it.prune[i]
		at := w.schema.ColumnIndex(p.Column)
		if at < 0 || !p.keyed && (it.narrow == nil || p.Column != it.s.t.key[0] || p.By != types.CollationBinary) {
			continue
		}
		o, n := w.order(it.s.t.s, at, p.OrderBy), 0
		if o != nil {
			n = p.count(o)
		} else if w.rows() > lookedAt {
			continue
		}
		if n < least {
			best, order, least = p, o, n
		}
	}
	return best, order
}

// fillPickedMemory makes batches of rows of a memtable.
func (it *Iter) fillPickedMemory(w *memView, rows []int32) {
	for part := range slices.Chunk(rows, vec.MaxRows) {
		column := func(at int) *vec.Vector { return w.picked(at, 0, part) }
		it.ready = append(it.ready, it.s.memoryColumns(w, it.cols, len(part), column))
	}
}
