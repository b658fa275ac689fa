package tablet

import (
	"fmt"
	"slices"

	"stele/be/tablet/kv"
	"stele/meta/types"
)

const (
	// madeAtOnce is how many tablets are made with one request: each has its schema in it.
	madeAtOnce = 32
	// droppedAtOnce is how many are dropped with one.
	droppedAtOnce = 512
)

// TabletCount returns how many replicas there are on this disk.
func (s *Store) TabletCount() int {
	s.listing.RLock()
	defer s.listing.RUnlock()
	return len(s.tablets)
}

// Tablet returns the replica of tablet id on this disk.
func (s *Store) Tablet(id types.TabletID) (*Tablet, bool) {
	s.listing.RLock()
	defer s.listing.RUnlock()
	t, ok := s.tablets[id]
	return t, ok
}

// relist changes tablets or imports. Called with mu held.
func (s *Store) relist(change func()) {
	s.listing.Lock()
	defer s.listing.Unlock()
	change()
}

// Tablets returns the replicas on this disk, by tablet id.
func (s *Store) Tablets() []*Tablet {
	s.listing.RLock()
	defer s.listing.RUnlock()
	out := make([]*Tablet, 0, len(s.tablets))
	for _, t := range s.tablets {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *Tablet) int { return int(int64(a.id) - int64(b.id)) })
	return out
}

// Create makes an empty tablet at InitialVersion. It is idempotent for the same replica that is empty still; another replica of the
// tablet on this disk is ErrExists, and so is one that has been written, which an older catalog would take for a new one. The schema is
// not compared: SetSchema changes it.
func (s *Store) Create(m Meta) (*Tablet, error) {
	made, err := s.CreateAll([]Meta{m})
	if err != nil {
		return nil, err
	}
	return made[0], nil
}

// CreateAll is Create of many, each another one, which share syncs. After an error it returns the first of them, which are there.
func (s *Store) CreateAll(metas []Meta) (made []*Tablet, err error) {
	for some := range slices.Chunk(metas, madeAtOnce) {
		list, err := s.createSome(some)
		if err != nil {
			return made, err
		}
		made = append(made, list...)
	}
	return made, nil
}

// createSome makes tablets with one request.
func (s *Store) createSome(metas []Meta) ([]*Tablet, error) {
	ids := make([]types.TabletID, len(metas))
	for i := range metas {
		if err := checkMeta(&metas[i]); err != nil {
			return nil, err
		}
		if ids[i] = metas[i].Tablet; slices.Contains(ids[:i], ids[i]) {
			return nil, fmt.Errorf("create tablet %d twice: %w", ids[i], ErrExists)
		}
	}
	s.lockTablets(ids...)
	defer s.mu.Unlock()
	out := make([]*Tablet, len(metas))
	var fresh []*Tablet
	for i := range metas {
		t, err := s.emptyLocked(&metas[i])
		if err != nil {
			return nil, err
		}
		if t == nil {
			t = newTablet(s, s.nextUIDLocked(), metas[i].clone())
			fresh = append(fresh, t)
		}
		out[i] = t
	}
	if err := s.makeLocked(fresh); err != nil {
		return nil, fmt.Errorf("create %d tablets from %d on: %w", len(metas), ids[0], err)
	}
	return out, nil
}

// emptyLocked returns the replica that m describes if it is there, and empty. Called with mu held.
func (s *Store) emptyLocked(m *Meta) (*Tablet, error) {
	t := s.tablets[m.Tablet]
	if t == nil {
		return nil, nil
	}
	if have := t.Meta(); have.Replica != m.Replica || have.Table != m.Table || t.Version() != types.InitialVersion || len(t.Pending()) > 0 {
		return nil, fmt.Errorf("create replica %d of tablet %d: replica %d at version %d: %w", m.Replica, m.Tablet, have.Replica, t.Version(), ErrExists)
	}
	return t, nil
}

// makeLocked commits the first records of tablets and lists them, with mu held but while it waits for the disk: others go on, and many
// creations share a sync. They are queued with mu held, as the super record of a later one must not be overtaken.
func (s *Store) makeLocked(fresh []*Tablet) error {
	if len(fresh) == 0 {
		return nil
	}
	if err := s.takes(); err != nil {
		return err
	}
	entries := []kv.Entry{s.superEntry()}
	ended := make(chan struct{})
	for _, t := range fresh {
		s.making[t.id] = ended
		entries = append(entries, t.recordEntry(), t.manifestEntry())
	}
	written := make(chan error, 1)
	s.meta.CommitAsync(entries, func(err error) { written <- err })
	s.mu.Unlock()
	err := <-written
	s.mu.Lock()
	for _, t := range fresh {
		delete(s.making, t.id)
		if err == nil {
			s.relist(func() { s.tablets[t.id] = t })
			s.active.add(t)
		}
	}
	close(ended)
	return err
}

// lockTablets locks mu when no creation of these tablets is under way.
func (s *Store) lockTablets(ids ...types.TabletID) {
	s.mu.Lock()
	for ended := s.makingOf(ids); ended != nil; ended = s.makingOf(ids) {
		s.mu.Unlock()
		<-ended
		s.mu.Lock()
	}
}

// makingOf returns what ends when a creation of one of these tablets does. Called with mu held.
func (s *Store) makingOf(ids []types.TabletID) chan struct{} {
	for _, id := range ids {
		if ended := s.making[id]; ended != nil {
			return ended
		}
	}
	return nil
}

// Dropping is a replica that is to go.
type Dropping struct {
	Tablet  types.TabletID
	Replica types.ReplicaID
}

// Drop removes a replica; its bytes are deleted later. Dropping what is not there, or another replica, does nothing.
func (s *Store) Drop(id types.TabletID, replica types.ReplicaID) error {
	_, err := s.DropAll([]Dropping{{id, replica}})
	return err
}

// DropAll is Drop of many, which share syncs. It returns those that are gone, after an error too.
func (s *Store) DropAll(list []Dropping) (gone []*Tablet, err error) {
	for some := range slices.Chunk(list, droppedAtOnce) {
		dropped, err := s.dropSome(some)
		if err != nil {
			return gone, err
		}
		gone = append(gone, dropped...)
	}
	return gone, nil
}

// Discard is DropAll for who does not need it to last: a disk that has failed only lists the replicas no longer, and has them again when it is
// opened anew. By then they are older than what the cluster has made in their place.
func (s *Store) Discard(list []Dropping) (gone []*Tablet, err error) {
	gone, err = s.DropAll(list)
	if err == nil || s.sound() == nil {
		return gone, err
	}
	for _, d := range list {
		s.lockTablets(d.Tablet)
		if t := s.tablets[d.Tablet]; t != nil && t.Replica() == d.Replica {
			s.log.Warn("a replica on a failed disk is not listed any more", "tablet_id", t.id, "replica_id", d.Replica)
			s.relist(func() { delete(s.tablets, t.id) })
			t.retire() // its data stays
			gone = append(gone, t)
		}
		s.mu.Unlock()
	}
	return gone, nil
}

// dropSome drops replicas with one request.
func (s *Store) dropSome(list []Dropping) (gone []*Tablet, err error) {
	ids := make([]types.TabletID, len(list))
	for i := range list {
		ids[i] = list[i].Tablet
	}
	s.lockTablets(ids...)
	defer s.mu.Unlock()
	var entries []kv.Entry
	for _, d := range list {
		t := s.tablets[d.Tablet]
		if t == nil || t.Meta().Replica != d.Replica || slices.Contains(gone, t) {
			continue
		}
		t.record.Lock()
		defer t.record.Unlock()
		entries = append(entries, kv.Entry{Key: key1(kTablet, uint64(t.id)), Delete: true}, t.noManifest())
		gone = append(gone, t)
	}
	if len(gone) == 0 {
		return nil, nil
	}
	if err := s.meta.Commit(entries...); err != nil {
		return nil, fmt.Errorf("drop %d tablets from %d on: %w", len(gone), gone[0].id, err)
	}
	for _, t := range gone {
		s.relist(func() { delete(s.tablets, t.id) })
		s.retireLocked(t)
	}
	return gone, nil
}

// retireLocked ends a tablet that no record names any more; its data goes when the last snapshot is released. Called with
// the tablet's record held, if it ever was listed.
func (s *Store) retireLocked(t *Tablet) {
	if t.retire() {
		s.garbage = append(s.garbage, garbage{uid: t.uid})
		poke(s.wasted)
	}
}

// nextUIDLocked draws an incarnation; superEntry is to be stored before anything of it, or with it.
func (s *Store) nextUIDLocked() uint64 {
	uid := s.super.NextUID
	s.super.NextUID++
	return uid
}

func (s *Store) superEntry() kv.Entry { return sealed([]byte{kSuper}, &s.super) }

func checkMeta(m *Meta) error {
	if len(m.Schema.Key) == 0 {
		return fmt.Errorf("tablet %d: schema has no key", m.Tablet)
	}
	for _, id := range m.Schema.Key {
		if m.Schema.ColumnIndex(id) < 0 {
			return fmt.Errorf("tablet %d: key column %d is not in the schema", m.Tablet, id)
		}
	}
	return nil
}
