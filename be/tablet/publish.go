package tablet

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stele/be/tablet/kv"
	"stele/be/tablet/memtable"
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
	parts, staged, unused := t.stagedPending(txn)
	if len(staged) > 0 {
		return t.publishBulk(txn, version, parts, staged)
	}
	var room struct { // of one row
		known  [1]*decodedWrite
		writes [1]write
		places [1]place
	}
	parts, payloads, known, err := t.pendingParts(room.known[:0], txn)
	if err != nil {
		return err
	}
	writes, err := t.decodeParts(room.writes[:0], payloads, known)
	if err != nil {
		return err
	}
	refs, err := t.locateWrites(room.places[:0], writes)
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
	t.queueing.Store(uint64(version))
	var fresh *versionRun
	if t.goesInline(&rec, payloads) {
		fresh = t.joinRun(version, &rec, payloads, light)
	} else if light {
		t.unwritten[rec.Txn] = payloads
	}
	apply()
	t.settle(version, rec, at)
	t.mu.Unlock()
	t.queue(version, &rec, payloads, fresh, light)
	t.queueing.Store(0)
	return true
}

// queue queues the record of a version that is in no run, or its run if that is a new one. Who tells of a version must not wait for a
// disk that hangs: its parts were taken while the disk did not.
func (t *Tablet) queue(version types.Version, rec *versionRecord, payloads [][]byte, fresh *versionRun, light bool) {
	if light {
		for _, payload := range payloads {
			t.chargePart(payload)
		}
	}
	switch {
	case fresh != nil:
		t.s.meta.CommitGrowing(fresh.take, fresh.written)
	case rec.run != 0:
	case light:
		t.writeLight(version, rec, payloads)
	default:
		t.s.meta.CommitLazyBeyond([]kv.Entry{t.versionEntry(version, rec)}, t.s.logFailure("version record"))
	}
}

// versionEntry returns what stores the record of a version that is in no run.
func (t *Tablet) versionEntry(version types.Version, rec *versionRecord) kv.Entry {
	return sealed(key2(kVersion, t.uid, uint64(version)), rec)
}

// settle notes that version is there. Called with mu held.
func (t *Tablet) settle(version types.Version, rec versionRecord, at time.Time) {
	t.times.record(version, at)
	t.published = at
	delete(t.pending, rec.Txn)
	t.changes.append(version, rec)
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

// pendingParts returns the parts of a pending transaction, their payloads, and, appended to rows, those as rows where they are known.
// Called with write held: what it returns may be in the transaction's own room.
func (t *Tablet) pendingParts(rows []*decodedWrite, txn types.TxnID) (entries []partEntry, payloads [][]byte, known []*decodedWrite, err error) {
	t.mu.RLock()
	p := t.pending[txn]
	if p == nil || !p.durable() {
		t.mu.RUnlock()
		return nil, nil, nil, ErrUnknownTxn
	}
	entries = p.appendEntries(p.entry[:0])
	payloads, known = p.payload[:0], rows
	for _, part := range p.parts {
		payloads = append(payloads, part.payload)
		known = append(known, part.decoded)
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

// place is where the newest change of a key lies.
type place struct {
	rowRef                 // the living row, when it is in a rowset
	mem    *memtable.Table // the newest one that knows the key, nil = none does
	row    int32           // its newest row there, or memtable.NoRow
	sunk   bool            // what mem knows is not the newest change: a rowset has that
	found  *Found          // what is known of the row in the rowset; nil = nothing
}

// inMemory reports whether a memtable has the newest change.
func (p *place) inMemory() bool { return p.mem != nil && !p.sunk }

// rowIn returns the newest row of the key in m, or memtable.NoRow.
func (p *place) rowIn(m *memtable.Table) int32 {
	if p.mem == m {
		return p.row
	}
	return memtable.NoRow
}

// locateWrites finds where each key is: in a memtable, or which living row of a rowset has it. Called with write held, so that the
// answer stays true until apply. The places are appended to those given.
func (t *Tablet) locateWrites(places []place, writes []write) ([]place, error) {
	n := 0
	for _, w := range writes {
		n += len(w.keys)
	}
	places = slices.Grow(places, n)
	t.mu.RLock()
	var view []rowsetView
	var keys [][]byte
	var slots []int
	for _, w := range writes {
		var p place
		for i, key := range w.keys {
			p = t.inMemory(key, p)
			at := p
			switch {
			case p.inMemory():
			case w.old != nil && t.lives(w.old[i].rowRef):
				at.rowRef, at.found = w.old[i].rowRef, &w.old[i]
			case t.mayStore(key):
				keys = append(keys, key)
				slots = append(slots, len(places))
			}
			places = append(places, at)
		}
	}
	if len(keys) > 0 {
		view = t.rowsetViews()
	}
	t.mu.RUnlock()
	if len(keys) == 0 {
		return places, nil
	}
	found, err := t.locate(view, keys, maxVersion)
	if err != nil {
		return nil, err
	}
	for i, slot := range slots {
		places[slot].rowRef = found[i]
	}
	return places, nil
}

// lives reports whether a row is still that of its key: it has neither ended nor been merged into another rowset. Called with mu held.
func (t *Tablet) lives(ref rowRef) bool {
	return slices.Contains(t.rowsets, ref.rowset) && !ref.rowset.deletes.Has(ref.pos, maxVersion)
}

// inMemory looks a key up in the memtables, newest first. before is the place of the key before it: what was written together is
// often changed together, and then its row follows there. Called with mu held.
func (t *Tablet) inMemory(key []byte, before place) place {
	if before.mem != nil && before.mem.Holds(before.row+1, key) {
		return place{mem: before.mem, row: before.row + 1}
	}
	for i := len(t.mems) - 1; i >= 0; i-- {
		if row, ok := t.mems[i].Lookup(key); ok {
			return place{mem: t.mems[i], row: row, sunk: t.mems[i].IsSunk(key)}
		}
	}
	return place{}
}

// apply makes the writes version; places are in the order of their rows. It cannot fail: either all of a version is there
// or nothing. Called with write and mu held.
func (t *Tablet) apply(version types.Version, writes []write, places []place) {
	active := t.mems[len(t.mems)-1]
	before := active.Size()
	if t.version == t.manifestVersion {
		t.unflushed = t.s.opt.Now()
	}
	t.recent.Begin(version, len(places))
	n, once := 0, distinct(writes)
	changed := make([]uint64, 0, len(places)) // the hashes of the keys
	var room [16]uint64
	for _, w := range writes {
		active.AppendPuts(w.ops, w.rows, t.s.opt.blockRows)
		names, hashes := w.names, w.hashes
		if hashes == nil {
			names, hashes = putKeys(w), appendHashes(room[:0], w.keys)
		}
		active.Expect(hashes)
		for i, key := range w.keys {
			p, put, hash := places[n], w.ops[i] == types.OpPut, hashes[i]
			if !once {
				p = t.placeNow(key, p, version)
			}
			ended := t.endRow(active, key, hash, p, version, put)
			if ended {
				t.rows--
			}
			if put {
				active.Link(names[:len(key)], hash, p.rowIn(active), version)
				names = names[len(key):]
				t.rows++
			}
			if ended || put {
				changed = append(changed, hash)
			}
			n++
		}
	}
	t.recent.RecordAll(changed, version)
	t.version = version
	t.s.active.add(t)
	t.s.mem.add(active.Size() - before)
}

// placeNow is where a key lies now that rows before it, of the same version or of one of the same run (applySmall), may have changed it since it
// was found at p. Called with mu held.
func (t *Tablet) placeNow(key []byte, p place, version types.Version) place {
	now := t.inMemory(key, place{})
	now.rowRef = p.rowRef
	if now.sunk && p.rowset != nil && p.rowset.deletes.Has(p.pos, version) {
		now.rowRef = rowRef{} // it ended; that is not buried, as the index has older rows of the key
	}
	return now
}

// distinct reports whether it is plain to see that no key is there twice: there is one write, in the order of keys.
func distinct(writes []write) bool {
	return len(writes) == 1 && (writes[0].ordered || ascending(writes[0].keys))
}

func ascending(keys [][]byte) bool {
	for i := 1; i < len(keys); i++ {
		if bytes.Compare(keys[i-1], keys[i]) >= 0 {
			return false
		}
	}
	return true
}

func appendHashes(hashes []uint64, keys [][]byte) []uint64 {
	hashes = slices.Grow(hashes, len(keys))
	for _, key := range keys {
		hashes = append(hashes, rowset.KeyHash(key))
	}
	return hashes
}

// putKeys returns the keys of the rows that are put, one after the other: the memtable keeps them, in one piece of memory.
func putKeys(w write) string {
	size := 0
	for i, key := range w.keys {
		if w.ops[i] == types.OpPut {
			size += len(key)
		}
	}
	var out strings.Builder
	out.Grow(size)
	for i, key := range w.keys {
		if w.ops[i] == types.OpPut {
			out.Write(key)
		}
	}
	return out.String()
}

// endRow ends the living row of key, which lies at p, and reports whether there was one. put says that a new row follows.
func (t *Tablet) endRow(active *memtable.Table, key []byte, hash uint64, p place, version types.Version, put bool) bool {
	if p.inMemory() {
		return p.row != memtable.NoRow && p.mem.End(p.row, version)
	}
	if p.rowset == nil {
		return false
	}
	p.rowset.deletes.Add(version, p.pos)
	t.digest.end(p.found, version)
	if !put {
		active.Bury(string(key), hash)
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
