package tablet

import (
	"errors"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"stele/be/tablet/deletes"
	"stele/be/tablet/kv"
	"stele/meta/types"
)

// recover brings every tablet to the version that its records prove, and finds what can be deleted. A tablet with damaged
// records becomes a bad replica: it never keeps the disk from opening.
func (s *Store) recover() error {
	if err := s.loadTablets(); err != nil {
		return err
	}
	known := make(map[uint64]*Tablet, len(s.tablets))
	for _, t := range s.tablets {
		known[t.uid] = t
		t.reopened = true
		if t.bad {
			t.sizeUp()
			continue
		}
		if err := t.recover(); err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, kv.ErrDamaged) {
				return fmt.Errorf("tablet %d: %w", t.id, err)
			}
			t.SetBad(err.Error())
		}
	}
	if err := s.loadPartial(); err != nil {
		return err
	}
	if err := s.findOrphans(known); err != nil {
		s.log.Error("orphans are not looked for", "err", err) // they only cost space
	}
	return s.nameManifests()
}

func (s *Store) loadTablets() error {
	return s.meta.ScanEach([]byte{kTablet}, func(key, val []byte, err error) error {
		var rec tabletRecord
		if err = openScanned(key, val, err, &rec); err != nil {
			// Without its record not even the schema is known. If its manifest is there it becomes a bad replica (lost.go), else the FE misses it
			// in the report.
			s.log.Error("record of a tablet is damaged", "tablet_id", keyUint(key, 0), "err", err)
			return nil
		}
		t := newTablet(s, rec.UID, rec.Meta)
		t.bad, t.badReason = rec.Bad, rec.BadReason
		s.tablets[t.id] = t
		s.super.NextUID = max(s.super.NextUID, rec.UID+1)
		return nil
	})
}

// recover loads the manifest and its rowsets, then makes the versions after it again from their parts.
func (t *Tablet) recover() error {
	var m manifest
	if err := loadRecord(t.s.meta, key1(kManifest, t.uid), &m); err != nil {
		return err
	}
	if m.Of == nil {
		m.Of = t.owner()
		t.s.older = append(t.s.older, sealed(key1(kManifest, t.uid), &m))
	}
	t.version, t.manifestVersion, t.nextRowset, t.rows, t.readFrom = m.Version, m.Version, m.NextRowset, m.LiveRows, m.ReadFrom
	t.unloaded = m.bytes()
	for _, e := range m.Rowsets {
		r, err := t.loadRowset(e)
		if err != nil {
			return fmt.Errorf("rowset %d: %w", e.ID, err)
		}
		t.rowsets = append(t.rowsets, r)
		t.unloaded -= e.Bytes
	}
	versions, err := t.loadVersions()
	if err != nil {
		return err
	}
	parts, err := t.loadPartKeys()
	if err != nil {
		return err
	}
	t.restartAt(t.version)
	if err := t.replay(versions, parts); err != nil {
		return err
	}
	t.times.record(t.version, t.s.opt.Now())
	t.restoreDigest(m.Digest)
	return t.restorePending(parts)
}

// sizeUp finds out what a bad replica takes of the disk, of which nothing is loaded. Where its manifest is damaged, too, nobody can say.
func (t *Tablet) sizeUp() {
	var m manifest
	if err := loadRecord(t.s.meta, key1(kManifest, t.uid), &m); err != nil {
		t.s.log.Warn("the size of a bad replica is not known", "tablet_id", t.id, "err", err)
		return
	}
	t.rows, t.unloaded = m.LiveRows, m.bytes()
}

func (t *Tablet) loadRowset(e rowsetEntry) (*rowsetState, error) {
	var index rowsetIndex
	key := key2(kIndex, t.uid, e.ID)
	err := t.s.viewData(key, func(val []byte) error { return openRecord(key, val, &index) })
	if err := missingIsCorrupt(key, err); err != nil {
		return nil, err
	}
	r := newRowsetState(t.uid, e, index.Groups)
	rows := uint32(0)
	for _, g := range index.Groups {
		rows += g.Rows
	}
	if rows != e.Rows {
		return nil, fmt.Errorf("index has %d rows, not %d: %w", rows, e.Rows, ErrCorrupt)
	}
	r.stored = t.manifestVersion
	if e.Created != 0 {
		r.created(e.Created)
		r.stored = max(t.manifestVersion, e.Created-1)
	}
	if e.Deletes == 0 {
		return r, nil
	}
	var rec deletesRecord
	key = key2(kDeletes, t.uid, e.ID)
	err = t.s.meta.View(key, func(val []byte) error {
		if err := openRecord(key, val, &rec); err != nil || sumOf(val) == e.Deletes {
			return err
		}
		return fmt.Errorf("delete vector is not the one of the manifest: %w", ErrCorrupt)
	})
	if err := missingIsCorrupt(key, err); err != nil {
		return nil, err
	}
	if len(rec.Rows) != len(rec.Versions) {
		return nil, fmt.Errorf("delete vector: %w", ErrCorrupt)
	}
	base := roaring.New()
	if len(rec.Base) > 0 {
		if err := base.UnmarshalBinary(rec.Base); err != nil {
			return nil, fmt.Errorf("delete vector: %w: %w", ErrCorrupt, err)
		}
	}
	log := make([]deletes.Entry, len(rec.Rows))
	for i := range log {
		log[i] = deletes.Entry{Version: types.Version(rec.Versions[i]), Pos: rec.Rows[i]}
	}
	r.deletes = deletes.New(base, log)
	return r, nil
}

// loadVersions reads the version records: an unreadable one ends what can be proved, it is not damage of its own.
func (t *Tablet) loadVersions() (map[types.Version]versionRecord, error) {
	out := make(map[types.Version]versionRecord)
	err := t.s.meta.Scan(key1(kVersion, t.uid), func(key, val []byte) error {
		run, err := openVersions(key, val)
		if err != nil {
			t.s.log.Warn("version record is damaged", "tablet_id", t.id, "version", keyUint(key, 1), "err", err)
			return nil
		}
		for i := range run {
			out[types.Version(keyUint(key, 1))+types.Version(i)] = run[i].rec
		}
		return nil
	})
	return out, err
}

// storedParts is the parts that are on disk, by transaction; a part that is missing in between is nil.
type storedParts map[types.TxnID][]*partEntry

// complete reports whether all parts of a version are there: retention may have been interrupted between them.
func (p storedParts) complete(rec *versionRecord) bool {
	if rec.run != 0 {
		return true
	}
	have := p[rec.Txn]
	for i, e := range rec.Parts {
		if i >= len(have) || have[i] == nil || *have[i] != e {
			return false
		}
	}
	return true
}

func (t *Tablet) loadPartKeys() (storedParts, error) {
	out := make(storedParts)
	add := func(key, val []byte, large bool) {
		txn, n := types.TxnID(keyUint(key, 1)), int(partNumber(key))
		for len(out[txn]) <= n {
			out[txn] = append(out[txn], nil)
		}
		out[txn][n] = &partEntry{Bytes: int64(len(val) - 8), Large: large}
		if rec, ok := openPartRecord(key, val); ok {
			*out[txn][n] = partEntry{Bytes: rec.Bytes, Large: large, Rowset: rec.Rowset}
			t.partRowsets[rec.Rowset] = &partRowset{}
			t.nextRowset = max(t.nextRowset, rec.Rowset+1)
		}
	}
	for _, large := range []bool{false, true} {
		kind := byte(kPart)
		if large {
			kind = kLargePart
		}
		if err := t.s.partDB(large).Scan(key1(kind, t.uid), func(key, val []byte) error {
			if partNumber(key) < maxParts {
				add(key, val, large)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// maxParts bounds the parts of one transaction on one tablet.
const maxParts = 1 << 16

func partNumber(key []byte) uint32 {
	if len(key) != 21 {
		return maxParts
	}
	return uint32(key[17])<<24 | uint32(key[18])<<16 | uint32(key[19])<<8 | uint32(key[20])
}

// replay takes the retained change sets into the log and makes those after the manifest's version again. Version records
// behind a gap prove nothing: their transactions are pending.
func (t *Tablet) replay(versions map[types.Version]versionRecord, parts storedParts) error {
	first := t.manifestVersion
	for {
		if rec, ok := versions[first]; !ok || !parts.complete(&rec) {
			break
		}
		first--
	}
	t.changes = newChangeLog(first + 1)
	var run storedRun
	for v := first + 1; ; v++ {
		rec, ok := versions[v]
		if !ok {
			break
		}
		if v > t.manifestVersion {
			if err := t.replayVersion(v, rec, &run); err != nil {
				return fmt.Errorf("version %d: %w", v, err)
			}
		}
		t.changes.append(v, rec)
		delete(parts, rec.Txn)
		delete(versions, v)
	}
	return t.dropUnproved(versions, parts)
}

func (t *Tablet) replayVersion(v types.Version, rec versionRecord, before *storedRun) error {
	payloads, err := t.loadParts(v, &rec, len(rec.Bulk) > 0, before) // of a part in a rowset that is all there is
	if err != nil {
		return err
	}
	writes, err := t.decodeParts(nil, payloads, nil)
	if err != nil {
		return err
	}
	if len(rec.Bulk) > 0 {
		return t.replayBulk(v, rec, writes)
	}
	refs, err := t.locateWrites(nil, writes)
	if err != nil {
		return err
	}
	t.apply(v, writes, refs)
	return nil
}

// dropUnproved deletes version records that are not part of the chain: below it, the rest of a dropped change set, whose
// parts go too; above it, behind a gap, where parts that are in a record become pending again.
func (t *Tablet) dropUnproved(versions map[types.Version]versionRecord, parts storedParts) error {
	var runs []kv.Entry // deleted when all of their parts are stored elsewhere: a crash before that has them stored once more
	var run storedRun
	for v, rec := range versions {
		var entries []kv.Entry
		key := key2(kVersion, t.uid, uint64(v))
		switch {
		case rec.run == 0:
			entries = append(entries, kv.Entry{Key: key, Delete: true})
		case rec.run == v:
			runs = append(runs, kv.Entry{Key: key, Delete: true})
		}
		if v <= t.version {
			for i, e := range rec.Parts {
				if !e.Large {
					entries = append(entries, kv.Entry{Key: partKey(t.uid, rec.Txn, i, false), Delete: true})
				} else if !t.s.opt.offline {
					t.deletePart(rec.Txn, i, e)
				}
			}
			delete(parts, rec.Txn)
		}
		if t.s.opt.offline {
			continue
		}
		if v > t.version && rec.run != 0 {
			again, err := t.pendAgain(v, &rec, parts, &run)
			if err != nil {
				return err
			}
			entries = append(entries, again...)
		}
		if err := t.s.meta.Commit(entries...); err != nil {
			return err
		}
	}
	if len(runs) == 0 || t.s.opt.offline {
		return nil
	}
	return t.s.meta.Commit(runs...)
}

// pendAgain returns what stores the parts in a record that proves nothing as those of a pending transaction.
func (t *Tablet) pendAgain(v types.Version, rec *versionRecord, parts storedParts, before *storedRun) ([]kv.Entry, error) {
	payloads, err := t.loadParts(v, rec, false, before)
	if err != nil {
		return nil, err
	}
	entries := make([]kv.Entry, len(payloads))
	parts[rec.Txn] = make([]*partEntry, len(payloads))
	for i, payload := range payloads {
		entries[i] = t.partStoreEntry(rec.Txn, i, payload)
		parts[rec.Txn][i] = &rec.Parts[i]
	}
	return entries, nil
}

// restorePending makes the transactions without a version record pending again. One of which a part is missing was never
// acknowledged as a whole: the parts before the gap stay, as the sender may go on.
func (t *Tablet) restorePending(parts storedParts) error {
	for txn, entries := range parts {
		all := entries
		if gap := slices.Index(entries, nil); gap >= 0 {
			entries = entries[:gap]
		}
		p := &pendingTxn{}
		for i, e := range entries {
			payload, err := t.loadPart(txn, i, *e)
			if errors.Is(err, ErrCorrupt) {
				// If the transaction was committed, the FE finds this replica lagging and it catches up.
				t.s.log.Error("part of a pending transaction is damaged", "tablet_id", t.id, "txn_id", txn, "part", i, "err", err)
				break
			}
			if err != nil {
				return err
			}
			part := &pendingPart{entry: *e, bulk: t.s.largeWrite(payload), done: make(chan struct{})}
			close(part.done)
			if e.Rowset != 0 {
				part.staged = t.restoreStaged(e.Rowset, payload)
			}
			if !e.Large {
				part.payload = payload
			}
			p.parts = append(p.parts, part)
		}
		if len(p.parts) > 0 {
			t.pending[txn] = p
		}
		t.dropBehindGap(txn, all, len(p.parts))
	}
	return nil
}

// dropBehindGap deletes the parts that are of no use, as one before them is missing or damaged: they come again, under keys that
// have nothing then.
func (t *Tablet) dropBehindGap(txn types.TxnID, all []*partEntry, from int) {
	for i := from; i < len(all) && !t.s.opt.offline; i++ {
		if all[i] != nil {
			t.deletePart(txn, i, *all[i])
		}
	}
}

// findOrphans lists what no record names: incarnations that were replaced or dropped, rowsets that were not finished. Those of which the
// record is lost it lists as bad replicas.
func (s *Store) findOrphans(known map[uint64]*Tablet) error {
	uids := make(map[uint64]bool)
	groups := make(map[[2]uint64]int)
	partial := make(map[uint64]map[uint64]bool) // rowsets of interrupted imports, by uid
	for _, p := range s.partial {
		partial[p.rec.UID] = make(map[uint64]bool)
		for _, r := range p.rec.Rowsets {
			partial[p.rec.UID][r.Local] = true
		}
	}
	visit := func(key []byte) error {
		uid := keyUint(key, 0)
		switch key[0] {
		case kManifest, kDeletes, kVersion, kPart, kGroup, kIndex, kLargePart:
		default:
			return nil
		}
		s.super.NextUID = max(s.super.NextUID, uid+1)
		t := known[uid]
		if rowsets := partial[uid]; rowsets != nil {
			if id := keyUint(key, 1); key[0] == kGroup && !rowsets[id] {
				groups[[2]uint64{uid, id}] = max(groups[[2]uint64{uid, id}], int(keyGroup(key))+1)
			}
		} else if t == nil {
			uids[uid] = true
		} else if id := keyUint(key, 1); !t.bad && (key[0] == kGroup || key[0] == kIndex || key[0] == kDeletes) && !t.names(id) {
			at := [2]uint64{uid, id}
			t.nextRowset = max(t.nextRowset, id+1) // else a new rowset of that name would go with the orphan
			groups[at] = max(groups[at], int(keyGroup(key))+1)
		}
		return nil
	}
	if err := errors.Join(s.meta.ScanKeys(nil, visit), s.data.ScanKeys(nil, visit)); err != nil {
		return err
	}
	if err := s.sortUnnamed(uids); err != nil {
		return err
	}
	for at, n := range groups {
		g := garbage{uid: at[0], rowset: at[1], groups: n}
		if t := known[at[0]]; t != nil && t.partRowsets[at[1]] != nil {
			t.partRowsets[at[1]].garbage = &g
			continue
		}
		s.garbage = append(s.garbage, g)
	}
	return nil
}

// names reports whether a rowset is one of the tablet's, or may become one.
func (t *Tablet) names(rowset uint64) bool {
	is := func(r *rowsetState) bool { return r.entry.ID == rowset }
	for _, p := range t.pending {
		for _, st := range p.staged() {
			if st != nil && st.rowset != nil && is(st.rowset) {
				return true
			}
		}
	}
	return slices.ContainsFunc(t.rowsets, is)
}

func keyGroup(key []byte) uint32 {
	if key[0] != kGroup {
		return 0
	}
	return partNumber(key)
}
