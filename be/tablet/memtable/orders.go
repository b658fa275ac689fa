package memtable

import (
	"sync"
	"sync/atomic"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// orders are orders of the first rows of a memtable, by columns of keys, and its keys in order: who wants a few rows would look at each
// of them. They are made by who looks for some, and what they take counts in the gauge of the disk until the memtable is flushed.
type orders struct {
	mu    sync.Mutex
	by    map[orderName]*rowset.Order
	keys  *Keys
	bytes atomic.Int64
	ended atomic.Bool
}

// Gauge counts what the orders of all memtables of a disk take.
type Gauge struct {
	used  atomic.Int64
	limit int64
}

// NewGauge returns one that lets orders take so many bytes.
func NewGauge(limit int64) *Gauge { return &Gauge{limit: limit} }

// Usage returns what the orders take, and may.
func (g *Gauge) Usage() (used, limit int64) { return g.used.Load(), g.limit }

// orderName names one: the place of the column, and how its texts compare.
type orderName struct {
	at int
	by types.Collation
}

const (
	// LookedAt is how many rows that are in no order are looked at, if they are less than a sixteenth of the others.
	LookedAt = 512
	// mostOrdered is up to how many rows are put in order: flushes come sooner where rows come one by one.
	mostOrdered = 1 << 20
)

// Order returns the rows in an order, by the column at a place, but for the last ones; nil = it is not worth it, or would take too much.
func (w *View) Order(g *Gauge, at int, by rowset.OrderBy) *rowset.Order {
	m, name, t := &w.m.orders, orderName{at, by.By}, by.Type
	m.mu.Lock()
	defer m.mu.Unlock()
	o, n, had := m.by[name], 0, int64(0)
	if o != nil && o.Suits(t) {
		n, had = o.Len(), o.Bytes()
	} else {
		o = nil
	}
	if !m.mayGrow(g, w.Rows(), n) {
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
		m.by = map[orderName]*rowset.Order{}
	}
	m.by[name] = next
	m.add(g, next.Bytes()-had)
	return next
}

// mayGrow reports whether to put rows in an order that has the first n of them.
func (m *orders) mayGrow(g *Gauge, rows, n int) bool {
	return rows-n > max(LookedAt, n/16) && rows <= mostOrdered && !m.ended.Load() && g.used.Load()+16*int64(rows) <= g.limit
}

// add counts what an order takes more than the one before it.
func (m *orders) add(g *Gauge, bytes int64) {
	m.bytes.Add(bytes)
	g.used.Add(bytes)
	if m.ended.Load() {
		m.end(g)
	}
}

// end takes what the orders have from the gauge; no more are made.
func (m *orders) end(g *Gauge) {
	m.ended.Store(true)
	g.used.Add(-m.bytes.Swap(0))
}

// Parts returns the rows of a column from one on, as vectors of type t.
func (w *View) Parts(at, from int, t types.ColumnType) (out []*vec.Vector) {
	for ; from < w.Rows(); from += vec.MaxRows {
		v := w.Column(at, from, min(from+vec.MaxRows, w.Rows()))
		v.Type = t
		out = append(out, v)
	}
	return out
}

// keyParts returns what the rows of a column from one on are in order of.
func (w *View) keyParts(at, from int, by rowset.OrderBy) []*vec.Vector {
	out := w.Parts(at, from, by.Type)
	for i := range out {
		out[i] = rowset.CollationKeys(by.By, out[i])
	}
	return out
}
