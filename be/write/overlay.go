package write

import (
	"maps"
	"slices"
	"sync"

	"stele/meta/types"
	"stele/sql/vec"
)

// Overlay is what one open transaction has done to one tablet so far: the reads of an explicit one see it above the
// snapshot. It is immutable.
type Overlay struct {
	// layers are disjoint in time, the newest last, and shrink by half at least: a transaction of n statements copies
	// each key log n times instead of n times.
	layers []map[string]*OverlayRow
	// Schema is the version of the schema by which the rows are laid out: all are by one, as a table that is altered lets no
	// transaction go on that has written to it.
	Schema uint32
}

// OverlayRow points at a row of a batch; the transaction has deleted the key where it is nil.
type OverlayRow struct {
	Batch *vec.Batch
	Row   int
}

// Get returns what the transaction has done to key, and whether it has done anything to it.
func (o *Overlay) Get(key string) (row *OverlayRow, written bool) {
	if o == nil {
		return nil, false
	}
	for _, layer := range slices.Backward(o.layers) {
		if row, written = layer[key]; written {
			return row, true
		}
	}
	return nil, false
}

// Rows returns the rows that the transaction has put and not deleted since, by key.
func (o *Overlay) Rows() map[string]*OverlayRow {
	out := map[string]*OverlayRow{}
	for _, layer := range o.layers {
		maps.Copy(out, layer)
	}
	maps.DeleteFunc(out, func(_ string, r *OverlayRow) bool { return r == nil })
	return out
}

// Len returns how many keys the transaction has written to, at most.
func (o *Overlay) Len() (n int) {
	for _, layer := range o.layers {
		n += len(layer)
	}
	return n
}

// with returns the overlay with one more layer.
func (o *Overlay) with(schema uint32, layer map[string]*OverlayRow) *Overlay {
	var layers []map[string]*OverlayRow
	if o != nil {
		layers = slices.Clone(o.layers)
	}
	for len(layers) > 0 && len(layers[len(layers)-1]) <= 2*len(layer) {
		older := layers[len(layers)-1]
		merged := make(map[string]*OverlayRow, len(older)+len(layer))
		maps.Copy(merged, older)
		maps.Copy(merged, layer)
		layers, layer = layers[:len(layers)-1], merged
	}
	return &Overlay{layers: append(layers, layer), Schema: schema}
}

// overlays keeps the overlays of open transactions on tablets that this BE leads.
type overlays struct {
	mu sync.RWMutex
	m  map[holder]*Overlay
}

func newOverlays() *overlays { return &overlays{m: map[holder]*Overlay{}} }

// add records a resolved batch.
func (o *overlays) add(h holder, schema uint32, keys [][]byte, ops []types.RowOp, rows *vec.Batch) {
	layer := make(map[string]*OverlayRow, len(keys))
	for i, key := range keys {
		switch {
		case ops[i] == types.OpDelete:
			layer[string(key)] = nil
		default:
			layer[string(key)] = &OverlayRow{Batch: rows, Row: rows.Row(i)}
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.m[h] = o.m[h].with(schema, layer)
}

// get returns the overlay, or nil.
func (o *overlays) get(h holder) *Overlay {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.m[h]
}

func (o *overlays) drop(h holder) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.m, h)
}

func (o *overlays) dropTablet(tablet types.TabletID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	maps.DeleteFunc(o.m, func(h holder, _ *Overlay) bool { return h.tablet == tablet })
}

func (o *overlays) holders() []holder {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return slices.Collect(maps.Keys(o.m))
}

// Overlay returns what an explicit transaction has written to a tablet that this BE leads, nil when nothing.
func (w *Writer) Overlay(txn types.TxnID, tablet types.TabletID) *Overlay {
	return w.own.get(holder{txn, tablet})
}
