package tablet

import (
	"errors"
	"fmt"
	"time"

	"stele/be/tablet/kv"
	"stele/meta/types"
	"stele/sql/rowset"
)

// Publish makes pending transaction txn visible as version, which must be the one after Version; otherwise ErrGap. It is
// visible at once; the record that txn became version is queued and not waited for. After a crash before that, txn is
// pending again and the FE, which knows the outcome, publishes it again with the same result; if its parts are light, they are
// queued with the record, and a crash loses all of it. A version that is there already is no error.
func (t *Tablet) Publish(txn types.TxnID, version types.Version) error {
	if err := t.stagePending(txn); err != nil {
		return fmt.Errorf("publish txn %d as version %d of tablet %d: %w", txn, version, t.id, t.checkBad(err))
	}
	t.write.Lock()
	defer t.write.Unlock()
	if err := t.publish(txn, version); err != nil {
		return fmt.Errorf("publish txn %d as version %d of tablet %d: %w", txn, version, t.id, t.checkBad(err))
	}
	return nil
}

func (t *Tablet) publish(txn types.TxnID, version types.Version) error {
	done, err := t.nextVersion(version)
	if done {
		t.dropLeftover(txn)
	}
	if err != nil || done {
		return err
	}
	if parts, staged := t.stagedPending(txn); len(staged) > 0 {
		return t.publishBulk(txn, version, parts, staged)
	}
	unused := t.pendingStaged(txn)
	parts, payloads, known, err := t.pendingParts(txn)
	if err != nil {
		return err
	}
	writes, err := t.decodeParts(payloads, known)
	if err != nil {
		return err
	}
	refs, err := t.locateWrites(writes)
	if err != nil {
		return err
	}
	at := t.s.opt.Now()
	rec := versionRecord{Txn: txn, Parts: parts, AtMs: at.UnixMilli()}
	if !t.show(version, rec, at, payloads, func() { t.apply(version, writes, refs) }) {
		return ErrUnknownTxn
	}
	t.dropStaged(unused...)
	t.pokeIfFull()
	return nil
}

// show makes a version visible and queues its record, with the parts if they are light; false = a part has come meanwhile that
// makes the others durable, and the record must not be queued before them.
func (t *Tablet) show(version types.Version, rec versionRecord, at time.Time, payloads [][]byte, apply func()) bool {
	t.mu.Lock()
	p := t.pending[rec.Txn]
	if !p.durable() {
		t.mu.Unlock()
		return false
	}
	light := p.light()
	if light {
		t.unwritten[rec.Txn] = payloads
	}
	t.queueing.Store(uint64(version))
	apply()
	t.settle(version, rec, at)
	t.mu.Unlock()
	// Who tells of a version must not wait for a disk that hangs: its parts were taken while the disk did not.
	entry := sealed(key2(kVersion, t.uid, uint64(version)), &rec)
	if light {
		t.writeLight(rec.Txn, payloads, entry)
	} else {
		t.s.meta.CommitLazyBeyond([]kv.Entry{entry}, t.s.logFailure("version record"))
	}
	t.queueing.Store(0)
	return true
}

// dropLeftover forgets a pending transaction whose version is there already: a repetition of its parts came late.
func (t *Tablet) dropLeftover(txn types.TxnID) {
	t.mu.Lock()
	p := t.pending[txn]
	delete(t.pending, txn)
	t.mu.Unlock()
	t.forget(txn, p)
}

// nextVersion says whether version is there already, or can come next.
func (t *Tablet) nextVersion(version types.Version) (done bool, err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if err := t.usable(); err != nil {
		return false, err
	}
	if version <= t.version {
		return true, nil
	}
	if version != t.version+1 {
		return false, fmt.Errorf("replica is at version %d: %w", t.version, ErrGap)
	}
	return false, nil
}

// pendingParts returns the parts of a pending transaction, their payloads, and those as rows where they are known.
func (t *Tablet) pendingParts(txn types.TxnID) (entries []partEntry, payloads [][]byte, known []*decodedWrite, err error) {
	t.mu.RLock()
	p := t.pending[txn]
	if p == nil || !p.durable() {
		t.mu.RUnlock()
		return nil, nil, nil, ErrUnknownTxn
	}
	entries = entriesOf(p)
	payloads, known = make([][]byte, len(p.parts)), make([]*decodedWrite, len(p.parts))
	for i, part := range p.parts {
		payloads[i], known[i] = part.payload, part.decoded
	}
	t.mu.RUnlock()
	for i := range payloads {
		if payloads[i] != nil {
			continue
		}
		if payloads[i], err = t.loadPart(txn, i, entries[i]); err != nil {
			return nil, nil, nil, err
		}
	}
	return entries, payloads, known, nil
}

// locateWrites finds the living rowset row of each key that is in no memtable. Called with write held, so that the answer
// stays true until apply.
func (t *Tablet) locateWrites(writes []write) ([]rowRef, error) {
	t.mu.RLock()
	view := t.rowsetViews()
	var keys [][]byte
	var slots []int
	n := 0
	for _, w := range writes {
		for _, key := range w.keys {
			if _, _, ok := t.inMemory(key); !ok && len(view) > 0 {
				keys = append(keys, key)
				slots = append(slots, n)
			}
			n++
		}
	}
	t.mu.RUnlock()
	refs := make([]rowRef, n)
	if len(keys) == 0 {
		return refs, nil
	}
	found, err := t.locate(view, keys, maxVersion)
	if err != nil {
		return nil, err
	}
	for i, slot := range slots {
		refs[slot] = found[i]
	}
	return refs, nil
}

// inMemory looks a key up in the memtables, newest first. Called with mu held.
func (t *Tablet) inMemory(key []byte) (*memtable, int32, bool) {
	for i := len(t.mems) - 1; i >= 0; i-- {
		if row, ok := t.mems[i].index[string(key)]; ok {
			_, sunk := t.mems[i].sunk[string(key)]
			return t.mems[i], row, !sunk
		}
	}
	return nil, 0, false
}

// bulkRows is from how many rows on a version makes room in the memtable for all of them first.
const bulkRows = 1000

// apply makes the writes version; refs are in the order of their rows. It cannot fail: either all of a version is there
// or nothing. Called with write and mu held.
func (t *Tablet) apply(version types.Version, writes []write, refs []rowRef) {
	active := t.mems[len(t.mems)-1]
	before := active.bytes
	if t.version == t.manifestVersion {
		t.unflushed = t.s.opt.Now()
	}
	t.recent.begin(version, len(refs))
	if len(refs) >= bulkRows {
		active.grow(len(refs))
	}
	n, wanted := 0, t.recent.wants(version)
	for _, w := range writes {
		active.appendPuts(w)
		for i, key := range w.keys {
			put := w.ops[i] == types.OpPut
			ended := t.endRow(active, key, refs[n], version, put)
			if ended {
				t.rows--
			}
			if put {
				active.link(string(key), version)
				t.rows++
			}
			if (ended || put) && wanted {
				t.recent.record(rowset.KeyHash(key), version)
			}
			n++
		}
	}
	t.version = version
	t.s.active.add(t)
	t.s.mem.add(active.bytes - before)
}

// endRow ends the living row of key, wherever it is, and reports whether there was one. put says that a new row follows.
func (t *Tablet) endRow(active *memtable, key []byte, ref rowRef, version types.Version, put bool) bool {
	if m, row, ok := t.inMemory(key); ok {
		return row != noRow && m.end(row, version)
	}
	if ref.rowset == nil {
		return false
	}
	ref.rowset.deletes.add(version, ref.pos)
	if !put {
		active.bury(string(key))
	}
	return true
}

// checkBad marks the replica bad when an operation found damage.
func (t *Tablet) checkBad(err error) error {
	if errors.Is(err, ErrCorrupt) {
		t.SetBad(err.Error())
	}
	return err
}
