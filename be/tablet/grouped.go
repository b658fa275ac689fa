package tablet

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"stele/be/tablet/kv"
	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/rowset/groups"
)

// A part that came as a grouped payload (sql/rowset/groups) is stored once: its record (a partRecord) names the rowset that its row
// groups become, and the payload is made again from that.
const recordFormat = 4

// partRecord is what a part is stored as whose rows are in a rowset.
type partRecord struct {
	Rowset uint64 `cbor:"1,keyasint"`
	Bytes  int64  `cbor:"2,keyasint"` // of the payload
	Schema uint64 `cbor:"3,keyasint"`
}

// entriesOfGroups returns what the index of a rowset of the row groups says.
func entriesOfGroups(g *wire.Grouped) (out []groupEntry) {
	for i := range g.Groups {
		e := &g.Groups[i]
		out = append(out, groupEntry{Rows: uint32(e.Rows), Bytes: int64(len(e.Val)), MinKey: e.MinKey, MaxKey: e.MaxKey})
	}
	return out
}

// rowsetOf returns the rowset that the row groups are under an id, and what is to be stored of it.
func rowsetOf(g *wire.Grouped, uid, id uint64) (*rowsetState, []kv.Entry) {
	list := entriesOfGroups(g)
	entries := make([]kv.Entry, 0, len(g.Groups)+2)
	size := int64(0)
	for i := range g.Groups {
		at := rowset.GroupID{UID: uid, Rowset: id, Group: uint32(i)}
		own := bytes.Clone(g.Groups[i].Val)
		rowset.Stamp(at, own)
		entries = append(entries, kv.Entry{Key: groupKey(at), Value: own})
		size += int64(len(own))
	}
	index := sealed(key2(kIndex, uid, id), &rowsetIndex{Groups: list})
	size += int64(len(index.Value))
	return newRowsetState(uid, rowsetEntry{ID: id, Rows: uint32(g.Rows()), Bytes: size}, slices.Clone(list)), append(entries, index)
}

// stageGrouped stores the rows of a grouped payload as a rowset.
func (t *Tablet) stageGrouped(id uint64, schema *types.Schema, payload []byte) (*stagedPart, error) {
	g, err := wire.Check(schema, payload)
	if err != nil {
		return nil, err
	}
	r, entries := rowsetOf(g, t.uid, id)
	if err = t.commitLarge(entries, nil); err != nil {
		t.s.addGarbage(garbage{uid: t.uid, rowset: id, groups: len(g.Groups)})
		return nil, err
	}
	t.s.counters.flushed.Add(r.entry.Bytes)
	return &stagedPart{rowset: r}, nil
}

// commitLarge commits entries of data in order, in requests of bounded size. The last one is not waited for when done is
// given: it hears of that one, or of an earlier one that failed.
func (t *Tablet) commitLarge(entries []kv.Entry, done func(error)) error {
	for len(entries) > 0 {
		n, size := 0, int64(0)
		for n < len(entries) && (n == 0 || size+int64(len(entries[n].Value)) <= flushBytes) {
			size += int64(len(entries[n].Value))
			n++
		}
		t.s.space.Charge(size)
		if n == len(entries) && done != nil {
			t.s.data.CommitAsync(entries, done)
			return nil
		}
		if err := t.s.data.Commit(entries[:n]...); err != nil {
			if done != nil {
				done(err)
			}
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// encodePartRecord returns the value of a part whose rows are in a rowset.
func encodePartRecord(key []byte, rec partRecord) []byte {
	body, err := cbor.Marshal(&rec)
	if err != nil {
		panic("BUG: encode a part record: " + err.Error())
	}
	return seal(key, append([]byte{groups.Magic, recordFormat}, body...))
}

// openPartRecord reads the value of a part; ok is false when the rows are in it, or nobody can tell.
func openPartRecord(key, val []byte) (rec partRecord, ok bool) {
	if len(val) < 2 || val[0] != groups.Magic || val[1] != recordFormat {
		return rec, false
	}
	body, err := unseal(key, val)
	if err != nil || len(body) < 2 || cbor.Unmarshal(body[2:], &rec) != nil {
		return rec, false
	}
	return rec, true
}

// restoreStaged returns the rowset of a pending part after a restart, nil when it is not what its payload says.
func (t *Tablet) restoreStaged(id uint64, payload []byte) *stagedPart {
	g, err := wire.OpenGrouped(payload)
	if err != nil {
		return nil
	}
	size := int64(0)
	list := entriesOfGroups(g)
	for i := range list {
		size += list[i].Bytes
	}
	return &stagedPart{rowset: newRowsetState(t.uid, rowsetEntry{ID: id, Rows: uint32(g.Rows()), Bytes: size}, list)}
}

// loadGrouped makes the payload of a part again from its rowset.
func (t *Tablet) loadGrouped(key []byte) ([]byte, error) {
	var rec partRecord
	err := t.s.viewData(key, func(val []byte) (err error) {
		if _, err = unseal(key, val); err != nil {
			return err
		}
		ok := false
		if rec, ok = openPartRecord(key, val); !ok {
			err = fmt.Errorf("part is stored in another form: %w", ErrCorrupt)
		}
		return err
	})
	if err = missingIsCorrupt(key, err); err != nil {
		return nil, err
	}
	var index rowsetIndex
	ikey := key2(kIndex, t.uid, rec.Rowset)
	err = t.s.viewData(ikey, func(val []byte) error { return openRecord(ikey, val, &index) })
	if err = missingIsCorrupt(ikey, err); err != nil {
		return nil, err
	}
	g := &groups.Payload{Schema: rec.Schema}
	for i := range index.Groups {
		e := &index.Groups[i]
		id := rowset.GroupID{UID: t.uid, Rowset: rec.Rowset, Group: uint32(i)}
		err := t.s.viewGroupValue(id, func(val []byte) error {
			own := bytes.Clone(val)
			if err := rowset.Restamp(rowset.GroupID{Group: uint32(i)}, own); err != nil {
				return err
			}
			g.Groups = append(g.Groups, groups.Group{Rows: int(e.Rows), MinKey: e.MinKey, MaxKey: e.MaxKey, Val: own})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return g.Encode()
}

// viewGroupValue is viewGroup for those who want the bytes.
func (s *Store) viewGroupValue(id rowset.GroupID, fn func(val []byte) error) error {
	key := groupKey(id)
	err := s.viewData(key, func(val []byte) error {
		if _, err := rowset.OpenGroup(id, val); err != nil {
			return err
		}
		return fn(val)
	})
	return missingIsCorrupt(key, err)
}

// partRowset is a rowset that holds the rows of a part which is stored: pending, or retained as change set. When it is
// garbage in every other respect, it goes with the part.
type partRowset struct {
	garbage *garbage
}

// dropRowset deletes a rowset that no manifest names any more, now or with the part that it holds the rows of.
func (t *Tablet) dropRowset(g garbage) {
	t.s.orders.DropOrders(g.uid, g.rowset)
	t.mu.Lock()
	held := t.partRowsets[g.rowset]
	if held != nil {
		held.garbage = &g
	}
	t.mu.Unlock()
	if held == nil {
		t.s.addGarbage(g)
	}
}

// partGone lets go of the rowset of a part whose deletion is on its way to the disk.
func (t *Tablet) partGone(e partEntry) {
	if e.Rowset == 0 {
		return
	}
	t.mu.Lock()
	held := t.partRowsets[e.Rowset]
	delete(t.partRowsets, e.Rowset)
	t.mu.Unlock()
	if held != nil && held.garbage != nil {
		t.s.addGarbage(*held.garbage)
	}
}

// groupPart gives a grouped part the rowset that it becomes and has both stored; false when the rowsets of the tablet are not
// laid out yet, which is while it is imported.
func (t *Tablet) groupPart(txn types.TxnID, number int, p *pendingPart, g *wire.Grouped) bool {
	t.record.Lock()
	unlisted := t.unlisted
	t.record.Unlock()
	if unlisted {
		return false
	}
	t.mu.Lock()
	id := t.nextRowset
	t.nextRowset++
	t.mu.Unlock()
	r, entries := rowsetOf(g, t.uid, id)
	t.mu.Lock()
	pt := t.pending[txn]
	there := pt != nil && number < len(pt.parts) && pt.parts[number] == p
	if there {
		p.entry.Rowset, p.staged = id, &stagedPart{rowset: r}
		t.partRowsets[id] = &partRowset{}
	}
	t.mu.Unlock()
	if !there { // the transaction was dropped meanwhile
		p.settle(ErrUnknownTxn)
		return true
	}
	t.storeGrouped(txn, number, p, entries, g.Schema)
	return true
}

// storeGrouped makes a grouped part durable, as the rowset that it is to become and a record that names it.
func (t *Tablet) storeGrouped(txn types.TxnID, number int, p *pendingPart, entries []kv.Entry, schema uint64) {
	key := partKey(t.uid, txn, number, true)
	rec := partRecord{Rowset: p.entry.Rowset, Bytes: p.entry.Bytes, Schema: schema}
	t.s.counters.payload.Add(p.entry.Bytes)
	// A failure has been told by the callback.
	_ = t.commitLarge(append(entries, kv.Entry{Key: key, Value: encodePartRecord(key, rec)}), p.settle)
}

// dropStray deletes what a part has left on disk whose transaction was dropped, or which was refused, while it was stored.
func (t *Tablet) dropStray(txn types.TxnID, number int, p *pendingPart) {
	t.mu.RLock()
	if p.entry.Rowset == 0 {
		t.mu.RUnlock()
		return
	}
	pt := t.pending[txn]
	stray := !t.changes.txns.has(txn) && (pt == nil || number >= len(pt.parts) || pt.parts[number] != p)
	t.mu.RUnlock()
	if stray {
		t.deletePart(txn, number, p.entry)
		t.s.addGarbage(p.staged.rowset.garbage())
	}
}

func (r *rowsetState) garbage() garbage {
	return garbage{uid: r.uid, rowset: r.entry.ID, groups: len(r.groups)}
}
