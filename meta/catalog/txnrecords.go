package catalog

import (
	"cmp"
	"iter"

	"stele/meta/types"
)

// txnRecord is a decided transaction. Tablets is in the order of the commit; aborted means none.
type txnRecord struct {
	TimeMs  int64           `cbor:"1,keyasint"`
	Aborted bool            `cbor:"2,keyasint,omitempty"`
	Tablets []TabletVersion `cbor:"3,keyasint,omitempty"`
}

// txnRecords are decided transactions by their ids. There are hundreds of thousands behind a burst of small writes, so what is kept of
// one is a few numbers without a pointer: the collector would look at each of them time and again.
type txnRecords struct {
	notes tree[types.TxnID, txnNote]
	wide  tree[types.TxnID, []TabletVersion] // of those that are on several tablets
}

// txnNote is the record of a transaction that is on one tablet or, aborted, on none.
type txnNote struct {
	timeMs  int64
	tablet  types.TabletID
	version types.Version
}

// manyTablets as the tablet of a note says that the tablets are in wide. It is no tablet's id: they are drawn from 1 on.
const manyTablets = ^types.TabletID(0)

func newTxnRecords() txnRecords {
	return txnRecords{notes: newTree[types.TxnID, txnNote](cmp.Compare), wide: newTree[types.TxnID, []TabletVersion](cmp.Compare)}
}

func (r *txnRecords) len() int { return r.notes.len() }

func (r *txnRecords) get(id types.TxnID) (txnRecord, bool) {
	note, ok := r.notes.get(id)
	if !ok {
		return txnRecord{}, false
	}
	return r.record(id, note), true
}

func (r *txnRecords) set(o *owner, id types.TxnID, rec txnRecord) {
	note := txnNote{timeMs: rec.TimeMs}
	switch {
	case rec.Aborted:
	case len(rec.Tablets) == 1:
		note.tablet, note.version = rec.Tablets[0].Tablet, rec.Tablets[0].Version
	default:
		note.tablet = manyTablets
		r.wide = r.wide.set(o, id, rec.Tablets)
	}
	r.notes = r.notes.set(o, id, note)
}

func (r *txnRecords) del(o *owner, id types.TxnID) {
	r.notes, r.wide = r.notes.del(o, id), r.wide.del(o, id)
}

// record returns what a note stands for.
func (r *txnRecords) record(id types.TxnID, note txnNote) txnRecord {
	return txnRecord{TimeMs: note.timeMs, Aborted: note.aborted(), Tablets: r.tablets(nil, id, note)}
}

// tablets returns where a transaction is, appended to room if that is one tablet.
func (r *txnRecords) tablets(room []TabletVersion, id types.TxnID, note txnNote) []TabletVersion {
	switch {
	case note.aborted():
		return nil
	case note.tablet == manyTablets:
		tablets, _ := r.wide.get(id)
		return tablets
	}
	return append(room, TabletVersion{Tablet: note.tablet, Version: note.version})
}

func (n txnNote) aborted() bool { return n.tablet == 0 }

// all yields the records by their ids.
func (r *txnRecords) all() iter.Seq2[types.TxnID, txnRecord] {
	return func(yield func(types.TxnID, txnRecord) bool) {
		for id, note := range r.notes.all() {
			if !yield(id, r.record(id, note)) {
				return
			}
		}
	}
}
