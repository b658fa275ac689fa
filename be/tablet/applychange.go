package tablet

import (
	"errors"
	"fmt"
	"slices"

	"stele/be/tablet/kv"
	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/rowset/groups"
)

// ApplyChange brings a lagging replica one version further with a change set of another replica, durably: version must be
// the one after Version, a version that is there already is no error. A pending transaction that the change set is of is
// settled by it.
func (t *Tablet) ApplyChange(version types.Version, payload []byte) error {
	if err := t.applyChange(version, payload); err != nil {
		return fmt.Errorf("apply version %d to tablet %d: %w", version, t.id, t.checkBad(err))
	}
	return nil
}

func (t *Tablet) applyChange(version types.Version, payload []byte) error {
	done, err := t.nextVersion(version)
	if err != nil || done {
		return err
	}
	txn, parts, err := wire.DecodeChange(payload)
	if err != nil {
		return err
	}
	if err := t.s.takes(parts...); err != nil {
		return err
	}
	staged, err := t.stageChange(parts)
	if err != nil {
		return err
	}
	t.write.Lock()
	defer t.write.Unlock()
	if done, err := t.nextVersion(version); err != nil || done {
		t.dropStaged(staged...)
		return err
	}
	t.awaitParts(txn)
	defer t.awaitParts(0)
	apply, err := t.planChange(version, parts, staged)
	if err != nil {
		t.dropStaged(staged...)
		return err
	}
	at := t.s.opt.Now()
	rec := versionRecord{Txn: txn, AtMs: at.UnixMilli(), Bulk: bulkEntries(version, staged)}
	unused := t.pendingStaged(txn)
	if err := t.storeChange(version, &rec, parts, staged); err != nil {
		return err // what is staged may be named by a record now
	}
	t.mu.Lock()
	for _, e := range rec.Parts {
		if e.Rowset != 0 {
			t.partRowsets[e.Rowset] = &partRowset{}
		}
	}
	apply()
	t.settle(version, rec, at)
	t.mu.Unlock()
	t.dropStaged(unused...)
	t.pokeIfFull()
	return nil
}

// errApplying refuses a part of a transaction that a clone is just bringing.
var errApplying = errors.New("a change set of the transaction is being stored")

// awaitParts keeps new parts of a transaction away and waits for those under way: they lie under the keys of its change set.
func (t *Tablet) awaitParts(txn types.TxnID) {
	t.mu.Lock()
	t.applying = txn
	var parts []*pendingPart
	if p := t.pending[txn]; p != nil {
		parts = slices.Clone(p.parts)
	}
	t.mu.Unlock()
	for _, p := range parts {
		<-p.done
	}
}

// planChange returns what makes the version, to be called with mu held.
func (t *Tablet) planChange(version types.Version, parts [][]byte, staged []*stagedPart) (func(), error) {
	if len(staged) > 0 {
		plan, err := t.planBulk(version, staged)
		if err != nil {
			return nil, err
		}
		return plan.apply, nil
	}
	writes, err := t.decodeParts(nil, parts, nil)
	if err != nil {
		return nil, err
	}
	refs, err := t.locateWrites(nil, writes)
	if err != nil {
		return nil, err
	}
	return func() { t.apply(version, writes, refs) }, nil
}

const (
	// requestBytes bounds the small parts of one request: Badger's transactions of meta hold 4.8 MB, and 50,000 entries.
	requestBytes = 2 << 20
	entryBytes   = 64
)

// storeChange makes the parts and the version record durable. Parts of the pending transaction that the change set does
// not have are deleted with it. What is too much for one request goes before the record, the last part first: after a crash
// in between, the first part is either missing, and the transaction with it, or all of them are there. A grouped part is in its
// staged rowset, and stored as a record that names it.
func (t *Tablet) storeChange(version types.Version, rec *versionRecord, parts [][]byte, staged []*stagedPart) error {
	var small []kv.Entry
	bytes := 0
	flush := func() error {
		entries := small
		small, bytes = nil, 0
		if len(entries) == 0 {
			return nil
		}
		return t.s.meta.Commit(entries...)
	}
	noteParts(rec, parts)
	for i, p := range slices.Backward(parts) {
		e, err := t.changeEntry(rec, i, p, staged)
		if err != nil {
			return err
		}
		t.chargePart(e.Value)
		if !rec.Parts[i].Large {
			if bytes > 0 && bytes+len(p)+entryBytes > requestBytes {
				if err := flush(); err != nil {
					return err
				}
			}
			small = append(small, e)
			bytes += len(p) + entryBytes
			continue
		}
		if i == 0 {
			if err := flush(); err != nil {
				return err
			}
		}
		if err := t.s.data.Commit(e); err != nil {
			return err
		}
	}
	pending := t.pendingEntries(rec.Txn)
	for i, old := range pending {
		if i < len(parts) && old.Large == rec.Parts[i].Large {
			continue
		}
		del := kv.Entry{Key: partKey(t.uid, rec.Txn, i, old.Large), Delete: true}
		if !old.Large {
			small = append(small, del)
		} else if err := t.s.data.Commit(del); err != nil {
			return err
		}
	}
	if err := t.s.meta.Commit(append(small, sealed(key2(kVersion, t.uid, uint64(version)), rec))...); err != nil {
		return err
	}
	for _, old := range pending {
		t.partGone(old) // its record is deleted, or was overwritten by the part itself
	}
	return nil
}

// changeEntry returns what part i of a change set is stored as, and notes where its rows are.
func (t *Tablet) changeEntry(rec *versionRecord, i int, p []byte, staged []*stagedPart) (kv.Entry, error) {
	if i >= len(staged) || staged[i].rowset == nil || !wire.IsGrouped(p) {
		return t.partStoreEntry(rec.Txn, i, p), nil
	}
	g, err := groups.Open(p)
	if err != nil {
		return kv.Entry{}, err
	}
	rec.Parts[i].Rowset = staged[i].rowset.entry.ID
	key := partKey(t.uid, rec.Txn, i, true)
	return kv.Entry{Key: key, Value: encodePartRecord(key, partRecord{Rowset: rec.Parts[i].Rowset, Bytes: int64(len(p)), Schema: g.Schema})}, nil
}

func noteParts(rec *versionRecord, parts [][]byte) {
	for _, p := range parts {
		rec.Parts = append(rec.Parts, partEntry{Bytes: int64(len(p)), Large: storedLarge(p)})
	}
}

func (t *Tablet) chargePart(p []byte) {
	t.s.space.Charge(int64(len(p)))
	t.s.counters.payload.Add(int64(len(p)))
}

func (t *Tablet) pendingEntries(txn types.TxnID) []partEntry {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if p := t.pending[txn]; p != nil {
		return entriesOf(p)
	}
	return nil
}
