package write

import (
	"sync"

	"stele/meta/types"
	"stele/sql/vec"
)

// Overlay is what one open transaction has done to one tablet so far: its reads see it above the snapshot.
type Overlay struct {
	// Rows maps the memcomparable key to the row that the transaction put, nil when it deleted the key.
	Rows map[string]*OverlayRow
}

// OverlayRow points at a row of a batch.
type OverlayRow struct {
	Batch *vec.Batch
	Row   int
}

type overlayKey struct {
	txn    types.TxnID
	tablet types.TabletID
}

// overlays keeps the overlays of explicit transactions whose tablets this BE leads.
type overlays struct {
	mu sync.RWMutex
	m  map[overlayKey]*Overlay
}

func newOverlays() *overlays { return &overlays{m: map[overlayKey]*Overlay{}} }

// add records a resolved batch.
func (o *overlays) add(txn types.TxnID, tablet types.TabletID, keys [][]byte, ops []types.RowOp, rows *vec.Batch) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := overlayKey{txn, tablet}
	next := &Overlay{Rows: map[string]*OverlayRow{}}
	if old := o.m[k]; old != nil { // copy on write: a scan may hold the old one
		for key, row := range old.Rows {
			next.Rows[key] = row
		}
	}
	for i, key := range keys {
		if ops[i] == types.OpDelete {
			next.Rows[string(key)] = nil
		} else {
			next.Rows[string(key)] = &OverlayRow{Batch: rows, Row: i}
		}
	}
	o.m[k] = next
}

// get returns the overlay, or nil.
func (o *overlays) get(txn types.TxnID, tablet types.TabletID) *Overlay {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.m[overlayKey{txn, tablet}]
}

func (o *overlays) drop(txn types.TxnID, tablet types.TabletID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.m, overlayKey{txn, tablet})
}

// Overlay returns what txn has written to a tablet that this BE leads, nil when nothing.
func (w *Writer) Overlay(txn types.TxnID, tablet types.TabletID) *Overlay {
	return w.own.get(txn, tablet)
}
