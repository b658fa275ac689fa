package tablet

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"stele/be/tablet/kv"
	"stele/meta/types"
)

// The record T alone says which incarnation a tablet is. Where damage takes it, or hides it, all rows of the replica would be orphans like
// those of one that was dropped, and may be the only copy. What tells them apart is the manifest: it says whose it is, comes with the record
// in one request and goes with it in one (Drop, Import.flip). So an incarnation that has a manifest and no record has lost the record, and
// becomes a bad replica, which the FE replaces or drops like any other. Nothing is written for that: each start finds the same.

// lostRecord is why a replica is bad of which the manifest is there and the record is not.
const lostRecord = "its record is lost to damage: the rows are kept until the replica is dropped or replaced"

// noManifest returns what deletes the manifest, in the request that takes the record away.
func (t *Tablet) noManifest() kv.Entry { return kv.Entry{Key: key1(kManifest, t.uid), Delete: true} }

// nameManifests has the manifests that an older release wrote say whose they are.
func (s *Store) nameManifests() error {
	older := s.older
	s.older = nil
	if s.opt.offline {
		return nil
	}
	for batch := range slices.Chunk(older, manifestBatch) {
		if err := s.meta.Commit(batch...); err != nil {
			return fmt.Errorf("write manifests of an older release anew: %w", err)
		}
	}
	return nil
}

// manifestBatch is how many manifests one transaction writes.
const manifestBatch = 256

// sortUnnamed tells incarnations that no record names: garbage, the replica of a lost record, or what is kept because nobody can tell.
// The newest comes first: of several that are of one tablet it has replaced the others.
func (s *Store) sortUnnamed(uids map[uint64]bool) error {
	var suspects []uint64
	for _, uid := range slices.Backward(slices.Sorted(maps.Keys(uids))) {
		var m manifest
		key := key1(kManifest, uid)
		err := s.meta.View(key, func(val []byte) error { return openRecord(key, val, &m) })
		switch {
		case errors.Is(err, ErrCorrupt), errors.Is(err, kv.ErrDamaged):
			s.keep(uid, "its manifest is damaged")
		case err != nil && !errors.Is(err, kv.ErrNotFound):
			return fmt.Errorf("manifest of incarnation %d: %w", uid, err)
		case m.Of == nil:
			suspects = append(suspects, uid)
		case s.replaced(m.Of.Tablet, uid):
			s.garbage = append(s.garbage, garbage{uid: uid})
		default:
			s.listLost(uid, &m)
		}
	}
	return s.sortSuspects(suspects)
}

// replaced reports whether incarnation uid of a tablet is not the one that its record named last. A bad tablet whose incarnation is older
// has an older record, which came to light when damage hid the newest one.
func (s *Store) replaced(id types.TabletID, uid uint64) bool {
	t := s.tablets[id]
	return t != nil && (!t.bad || t.uid > uid)
}

// sortSuspects tells incarnations whose manifest does not say whose they are: what was dropped, what was never finished and, where there is a
// damaged record and no manifest of its tablet, what may be all there is of that one.
func (s *Store) sortSuspects(uids []uint64) error {
	nameless, err := s.damagedRecords()
	if err != nil {
		return err
	}
	for _, uid := range uids {
		if len(nameless) > 0 {
			s.keep(uid, fmt.Sprintf("it may be of one of the tablets %v, whose records are damaged", nameless))
		} else {
			s.garbage = append(s.garbage, garbage{uid: uid})
		}
	}
	return nil
}

func (s *Store) keep(uid uint64, why string) {
	s.log.Error("data that no record names is kept: see stele be tool repair", "incarnation", uid, "reason", why)
	s.kept = append(s.kept, garbage{uid: uid})
}

// listLost lists an incarnation whose record is lost as a bad replica. Its schema went with the record.
func (s *Store) listLost(uid uint64, m *manifest) {
	t := newTablet(s, uid, Meta{Tablet: m.Of.Tablet, Table: m.Of.Table, Partition: m.Of.Partition, Replica: m.Of.Replica})
	t.reopened, t.bad, t.badReason = true, true, lostRecord
	t.rows, t.unloaded = m.LiveRows, m.bytes()
	s.log.Error("replica is bad", "tablet_id", t.id, "reason", t.badReason)
	s.tablets[t.id] = t
}
