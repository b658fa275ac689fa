package write

import (
	"slices"

	"stele/be/tablet"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

// resolver turns the ops of one part into puts and deletes, against the newest published rows, what the transaction
// itself has written before, and the earlier rows of the part. The rows are locked, so the answer cannot change.
type resolver struct {
	w     *Writer
	txn   types.TxnID
	t     *tablet.Tablet
	keys  [][]byte
	locks []*rowLock // of the keys
	ops   []types.RowOp
	resp  *bepb.WriteResponse_Part
	found []tablet.Found // they are all there, and nothing of them is this transaction's; nil = not known
	old   []tablet.Found // where the rows lie that are replaced or deleted; nil = not known

	keep []int32  // rows that survive, ascending
	room struct { // of one row
		dropped [1]bool
		keep    [1]int32
	}
}

// resolve decides every row. readVersion > 0 asks that no key has changed after it (write conflict, SI).
func (r *resolver) resolve(readVersion types.Version) error {
	if err := checkConflict(r.t, r.keys, readVersion); err != nil {
		return err
	}
	exists, err := r.alive()
	if err != nil {
		return err
	}
	for _, l := range r.locks {
		l.at = -1
	}
	return r.decideAll(exists)
}

// alive says which of the rows are there, as the transaction has left them.
func (r *resolver) alive() ([]bool, error) {
	if r.found != nil { // in the state that was read, since when nobody has changed them
		r.old = r.found
		return slices.Repeat([]bool{true}, len(r.keys)), nil
	}
	exists, old, err := r.t.Locate(r.keys)
	if err != nil {
		return nil, err
	}
	r.old = old
	o := r.w.own.get(holder{r.txn, r.t.ID()})
	for i, l := range r.locks {
		switch {
		case l == nil: // somebody else's
		case l.wrote != wroteNothing:
			exists[i] = l.wrote == wrotePut
		case o != nil: // rows under fresh ids are written without a lock
			if row, written := o.Get(string(r.keys[i])); written {
				exists[i] = row != nil
			}
		}
	}
	return exists, nil
}

// decideAll decides row by row; of several rows with one key the last one counts.
func (r *resolver) decideAll(exists []bool) error {
	dropped := slices.Grow(r.room.dropped[:0], len(r.keys))[:len(r.keys)]
	for i, l := range r.locks {
		alive := exists[i]
		prev := l.at // the row that decides the key so far
		if prev >= 0 {
			alive = r.ops[prev] == types.OpPut
		}
		op := r.decide(i, alive)
		if op == dropRow {
			dropped[i] = true
			continue
		}
		if op == duplicateRow {
			return &refusal{code: bepb.WriteResponse_DUPLICATE_KEY, tablet: r.t.ID(), row: i, err: errDuplicate}
		}
		r.ops[i] = types.RowOp(op)
		if prev >= 0 {
			dropped[prev] = true
		}
		l.at = int32(i)
	}
	r.keep = slices.Grow(r.room.keep[:0], len(dropped)) // never nil: a batch without a selection has all its rows
	for i := range dropped {
		if dropped[i] {
			continue
		}
		r.keep = append(r.keep, int32(i))
		r.locks[i].wrote = wrotePut
		if r.ops[i] == types.OpDelete {
			r.locks[i].wrote = wroteDelete
		}
	}
	return nil
}

// Verdicts of decide beside a row op.
const (
	dropRow      = -1
	duplicateRow = -2
)

// decide says what becomes of row i, whose key exists or not, and counts it.
func (r *resolver) decide(i int, alive bool) int {
	switch r.ops[i] {
	case types.OpInsert, types.OpInsertIgnore:
		if alive {
			if r.ops[i] == types.OpInsert {
				return duplicateRow
			}
			r.resp.Ignored++
			return dropRow
		}
		r.resp.Inserted++
		return int(types.OpPut)
	case types.OpDelete:
		if !alive {
			return dropRow
		}
		r.resp.Deleted++
		return int(types.OpDelete)
	default:
		if alive {
			r.resp.Replaced++
		} else {
			r.resp.Inserted++
		}
		return int(types.OpPut)
	}
}

// checkConflict refuses a write whose rows, which are locked, were changed after the snapshot that it was computed from.
func checkConflict(t *tablet.Tablet, keys [][]byte, readVersion types.Version) error {
	if readVersion == 0 || readVersion >= t.Version() {
		return nil
	}
	for _, k := range keys {
		changed, known := t.LastChange(k)
		if known && changed > readVersion || !known && t.ChangesKnownFrom() > readVersion {
			return refuse(bepb.WriteResponse_CONFLICT, t.ID(), "tablet %d: a row changed at version %d, after the snapshot at %d",
				t.ID(), changed, readVersion)
		}
	}
	return nil
}

// lockFree locks the rows that no other transaction has locked or, since the snapshot, changed, and leaves the others out.
func (r *resolver) lockFree(rows *vec.Batch, readVersion types.Version) (*vec.Batch, error) {
	locks, err := r.w.locks.acquireFree(r.txn, r.t.ID(), r.keys)
	if err != nil {
		return nil, err
	}
	free := make([]int32, 0, len(locks)) // never nil: a batch without a selection has all its rows
	for i, l := range locks {
		if l != nil && l.wrote == wroteNothing && readVersion < r.t.Version() && r.changed(r.keys[i], readVersion) {
			r.w.locks.giveBack(r.txn, r.t.ID(), l)
			l = nil
		}
		if l == nil {
			r.resp.Skipped = append(r.resp.Skipped, uint64(i))
			continue
		}
		r.locks, free = append(r.locks, l), append(free, int32(i))
	}
	if len(free) == len(locks) {
		return rows, nil
	}
	r.only(free)
	return gatherRows(rows, free), nil
}

// changed reports whether a row is known to have changed after a version.
func (r *resolver) changed(key []byte, after types.Version) bool {
	v, known := r.t.LastChange(key)
	return known && v > after
}

// only leaves some of the keys, with their ops and where their rows lie.
func (r *resolver) only(rows []int32) {
	ops := make([]types.RowOp, len(rows))
	keys := make([][]byte, len(rows))
	for i, at := range rows {
		ops[i], keys[i] = r.ops[at], r.keys[at]
	}
	r.ops, r.keys = ops, keys
	if r.old != nil {
		r.old = these(r.old, rows)
	}
}

// these are some of them.
func these(of []tablet.Found, rows []int32) []tablet.Found {
	out := make([]tablet.Found, len(rows))
	for i, at := range rows {
		out[i] = of[at]
	}
	return out
}

// take returns the surviving rows with their ops, and shortens the keys alike.
func (r *resolver) take(rows *vec.Batch) (*vec.Batch, []types.RowOp) {
	if len(r.keep) == len(r.keys) {
		return rows, r.ops
	}
	r.only(r.keep)
	return gatherRows(rows, r.keep), r.ops
}

// gatherRows makes a batch of the rows that keep names.
func gatherRows(b *vec.Batch, keep []int32) *vec.Batch {
	return (&vec.Batch{Cols: b.Cols, N: b.N, Sel: keep}).Compact()
}
