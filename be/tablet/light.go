package tablet

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"stele/be/tablet/kv"
	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/vec"
)

// A light part is in memory alone: who has sent it keeps it elsewhere until its version is durable here. Publish queues the
// parts of its transaction and the version record as one request, so a version never survives without its parts. A crash before
// that loses it, and with it every later version: who keeps the parts brings them again (PreparePart, Publish).

// lightBytes bounds what a transaction has in light parts on a tablet: one request has to hold it.
const lightBytes = 256 << 10

// lightNow stands for the done of a light part.
var lightNow = committedPart.done

// numberedPart is a part and which one of its transaction it is.
type numberedPart struct {
	number int
	part   *pendingPart
}

// PrepareLight keeps a small payload in memory as part number part, from 0, of pending transaction txn; nothing is queued for the
// disk. It is idempotent; a part that is durable already is as good. False says that this part has to become durable, by
// PrepareLater or PreparePart: it is large, or other parts of the transaction are durable, or memory is short.
func (t *Tablet) PrepareLight(txn types.TxnID, part int, payload []byte) (bool, error) {
	return t.PrepareWritten(txn, part, payload, nil)
}

// Written is what wire.Encode has made a payload of; what that leaves out of rows that are deleted it may have. Nobody changes it any more.
type Written struct {
	Schema *types.Schema
	Ops    []types.RowOp
	Rows   *vec.Batch
	Keys   [][]byte // of the rows, by the schema; nil = they are not known
	Old    []Found  // for each row, where the one was found that it replaces or deletes; nil = not known
}

// PrepareWritten is PrepareLight for who has made the payload: the rows need not be read out of it. written may be nil.
func (t *Tablet) PrepareWritten(txn types.TxnID, part int, payload []byte, written *Written) (bool, error) {
	if !t.takesNow(payload) {
		return false, nil
	}
	decoded, known := t.writtenNow(written)
	var err error
	if known {
		err = t.s.takes(payload)
	} else {
		var read *decodedWrite
		if read, err = t.decodeNow(payload); read != nil {
			decoded = *read
		}
	}
	taken := false
	if err == nil {
		taken, err = t.keepLight(txn, part, payload, &decoded)
	}
	if err != nil {
		return true, fmt.Errorf("prepare txn %d part %d on tablet %d: %w", txn, part, t.id, err)
	}
	return taken, nil
}

// writtenNow is decodeNow by what the payload was made of; false = the payload has to be read.
func (t *Tablet) writtenNow(w *Written) (decodedWrite, bool) {
	if w == nil {
		return decodedWrite{}, false
	}
	rows, keys := w.by(t.Schema())
	if rows == nil {
		return decodedWrite{}, false
	}
	return decodedWrite{schema: w.Schema.Version, ops: w.Ops, rows: rows, keys: keys, old: w.Old}, true
}

// by returns the rows as they would be read out of the payload by a schema, and their keys where these are known; nil = by another one
// than they were written by, or not as the store has them.
func (w *Written) by(schema *types.Schema) (*vec.Batch, [][]byte) {
	if w.Schema.Version != schema.Version || w.Rows.Sel != nil || len(w.Rows.Cols) != len(schema.Columns) {
		return nil, nil
	}
	same := true
	for i, v := range w.Rows.Cols {
		t := schema.Columns[i].Type
		if v.N != w.Rows.N || v.Type.Phys() != t.Phys() || !zeroUnderNulls(v) {
			return nil, nil
		}
		same = same && v.Type == t
	}
	if same {
		return w.Rows, w.Keys
	}
	cols := slices.Clone(w.Rows.Cols)
	for i, v := range cols {
		own := *v
		own.Type, cols[i] = schema.Columns[i].Type, &own
	}
	return &vec.Batch{N: w.Rows.N, Cols: cols}, nil
}

// zeroUnderNulls reports whether NULLs have the value that vec.Vector promises: those of a payload have it, whatever was written, and
// rows of a block are what readers get.
func zeroUnderNulls(v *vec.Vector) bool {
	if v.Valid == nil {
		return true
	}
	zero := func(int) bool { return true }
	switch v.Type.Phys() {
	case types.PhysInt64:
		zero = func(i int) bool { return v.I64[i] == 0 }
	case types.PhysFloat64:
		zero = func(i int) bool { return math.Float64bits(v.F64[i]) == 0 }
	case types.PhysDec128:
		zero = func(i int) bool { return v.Dec[i] == vec.Int128{} }
	}
	for i := range v.N {
		if v.IsNull(i) && !zero(i) {
			return false
		}
	}
	return true
}

func (t *Tablet) keepLight(txn types.TxnID, part int, payload []byte, decoded *decodedWrite) (taken bool, err error) {
	own := sealable(payload)
	t.mu.Lock()
	defer t.mu.Unlock()
	pt, err := t.openTxn(txn, part)
	if err != nil {
		return false, err
	}
	switch {
	case pt == nil:
		return true, nil
	case part < len(pt.parts):
		return pt.parts[part].there(), nil
	case !pt.takesLight(len(payload)):
		return false, nil
	}
	p := &pt.first
	if len(pt.parts) > 0 {
		p = &pendingPart{}
	}
	*p = pendingPart{entry: partEntry{Bytes: int64(len(payload))}, light: true, payload: own, done: lightNow}
	if decoded.rows != nil && decoded.small() {
		p.rows = *decoded
		p.decoded = &p.rows
	}
	pt.parts = append(pt.parts, p)
	t.pending[txn] = pt
	return true, nil
}

// Light returns the payload by which a part can be light: the given one, or, of a part that is light already, its own. nil = it has
// to be durable, because it is large, or others of the transaction are durable.
func (t *Tablet) Light(txn types.TxnID, part int, payload []byte) []byte {
	if len(payload) > laterBytes || wire.IsGrouped(payload) || t.s.largeWrite(payload) {
		return nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	pt := t.pending[txn]
	switch {
	case pt == nil:
		return payload
	case part < len(pt.parts) && pt.light():
		return slices.Clip(pt.parts[part].payload)
	case !pt.takesLight(len(payload)):
		return nil
	}
	return payload
}

// takesLight reports whether a part of so many bytes may be kept beside the others.
func (p *pendingTxn) takesLight(bytes int) bool {
	for _, part := range p.parts {
		if !part.light {
			return false
		}
		bytes += len(part.payload)
	}
	return bytes <= lightBytes
}

// light reports whether the transaction is in memory alone.
func (p *pendingTxn) light() bool {
	return len(p.parts) > 0 && p.parts[0].light
}

// there reports whether a part is durable or light, and not on its way or refused.
func (p *pendingPart) there() bool {
	select {
	case <-p.done:
		return p.err == nil
	default:
		return false
	}
}

// harden gives the light parts the state of parts that are being stored, and returns them: a transaction is light as a whole or
// not at all.
func (p *pendingTxn) harden() []numberedPart {
	var out []numberedPart
	for i, old := range p.parts {
		if old.light {
			p.parts[i] = &pendingPart{entry: old.entry, payload: old.payload, decoded: old.decoded, done: make(chan struct{})}
			out = append(out, numberedPart{i, p.parts[i]})
		}
	}
	return out
}

// hardenEntries returns what stores the parts that become durable with p, in order, with room for one more.
func (t *Tablet) hardenEntries(txn types.TxnID, p *pendingPart) []kv.Entry {
	out := make([]kv.Entry, 0, len(p.hardened)+1)
	for _, h := range p.hardened {
		t.chargePart(h.part.payload)
		out = append(out, t.smallEntry(txn, h.number, h.part.payload))
	}
	return out
}

// hardenBefore makes what was light durable before a part that goes to the other instance.
func (t *Tablet) hardenBefore(txn types.TxnID, p *pendingPart) error {
	if !p.entry.Large || len(p.hardened) == 0 {
		return nil
	}
	err := t.s.meta.Commit(t.hardenEntries(txn, p)...)
	if err == nil {
		for _, h := range p.hardened {
			h.part.settle(nil)
		}
		p.hardened = nil
	}
	return err
}

// writeLight queues the parts of a version that is in no run, and its record. Until they are on disk, who asks for the parts gets them
// from memory; after a failure for ever.
func (t *Tablet) writeLight(version types.Version, rec *versionRecord, payloads [][]byte) {
	entries := make([]kv.Entry, 0, len(payloads)+1)
	for i, payload := range payloads {
		entries = append(entries, t.smallEntry(rec.Txn, i, payload))
	}
	txn := rec.Txn
	t.s.meta.CommitLazyBeyond(append(entries, t.versionEntry(version, rec)), func(err error) {
		if err != nil {
			t.s.logFailure("parts of a version")(err)
			return
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.unwritten, txn)
	})
}

// unwrittenPart returns a part that is in memory alone, or on its way to the disk; nil when it is not.
func (t *Tablet) unwrittenPart(txn types.TxnID, number int) []byte {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if payloads := t.unwritten[txn]; number < len(payloads) {
		return payloads[number]
	}
	if p := t.pending[txn]; p != nil && number < len(p.parts) && p.parts[number].light {
		return p.parts[number].payload
	}
	return nil
}

// Queued returns a version that has been queued for the disk, with all before it: they are durable when a Barrier that follows is
// done.
func (t *Tablet) Queued() (types.Version, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	v := t.version
	if seen := types.Version(t.queueing.Load()); seen != 0 && seen <= v {
		v = seen - 1
	}
	return v, t.usable()
}

// Barrier calls done when everything that was queued for the disk before it is durable, or the disk has failed. done must not block.
func (s *Store) Barrier(done func(error)) {
	if s.crowded() { // as it is when the disk hangs: nothing must gather behind it
		done(errCrowded)
		return
	}
	s.meta.CommitBeyond(nil, done)
}

var errCrowded = errors.New("the disk has more to write than it takes")

// Reopened reports whether the replica was on the disk when it was opened: what it had in memory alone is lost.
func (t *Tablet) Reopened() bool { return t.reopened }

// Store returns the disk as it was opened.
func (t *Tablet) Store() *Store { return t.s }
