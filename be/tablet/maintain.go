package tablet

import (
	"context"
	"errors"
	"time"

	"stele/be/tablet/kv"
)

const (
	maintainEvery = time.Second
	// reclaimEvery is the least time between two reclaim cycles.
	reclaimEvery = 2 * time.Minute
	// deleteBatch is how many keys one transaction deletes.
	deleteBatch = 1000
)

// garbage is data that no manifest names: a rowset, or everything of an incarnation (rowset 0).
type garbage struct {
	uid, rowset uint64
	groups      int
}

func (s *Store) addGarbage(g garbage) {
	s.mu.Lock()
	s.garbage = append(s.garbage, g)
	s.mu.Unlock()
	s.poke()
}

func (s *Store) maintainLoop(ctx context.Context) {
	defer s.workers.Done()
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	var lastReclaim time.Time // a process that is started again and again is to reclaim, too
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-tick.C:
		}
		s.retune()
		if err := s.Maintain(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("maintenance", "err", err)
		}
		if now := s.opt.Now(); s.reclaimDue() && now.Sub(lastReclaim) >= reclaimEvery {
			lastReclaim = now
			if err := s.Reclaim(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("reclaim", "err", err)
			}
		}
	}
}

// Maintain does one round of what the background worker does: flush what has grown, merge rowsets, drop what retention no
// longer asks for, delete garbage.
func (s *Store) Maintain(ctx context.Context) error {
	errs := []error{s.maintainActive(ctx)}
	if ctx.Err() == nil && s.mem.over(0.5) {
		errs = append(errs, s.flushLargest(ctx))
	}
	if ctx.Err() == nil {
		errs = append(errs, s.expirePartial(), s.collect(ctx))
	}
	return errors.Join(errs...)
}

func (t *Tablet) maintain(ctx context.Context) error {
	if t.needsFlush() {
		if err := t.Flush(); err != nil {
			return err
		}
	} else if t.maint.TryLock() {
		t.trimChanges()
		t.maint.Unlock()
	}
	for {
		if did, err := t.Compact(ctx); err != nil {
			return err
		} else if !did {
			return t.settleDigest(ctx)
		}
	}
}

// flushLargest flushes tablets, the largest deltas first, until half of the memory is free.
func (s *Store) flushLargest(ctx context.Context) error {
	for s.mem.over(0.5) && ctx.Err() == nil {
		var largest *Tablet
		most := int64(0)
		for _, t := range s.active.all() { // what has deltas is active
			t.mu.RLock()
			n := t.memBytes()
			if t.usable() == nil && n > most && t.version > t.manifestVersion {
				largest, most = t, n
			}
			t.mu.RUnlock()
		}
		if largest == nil {
			return nil
		}
		if err := largest.Flush(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// collect deletes garbage. When it returns, what was garbage before is deleted: a reclaim must not begin while another
// collector is still at it, as it would free nothing of that.
func (s *Store) collect(ctx context.Context) error {
	s.collecting.Lock()
	defer s.collecting.Unlock()
	s.mu.Lock()
	todo := s.garbage
	s.garbage = nil
	s.mu.Unlock()
	for i, g := range todo {
		err := ctx.Err()
		if err == nil {
			err = s.deleteGarbage(g)
		}
		if err != nil {
			s.mu.Lock()
			s.garbage = append(s.garbage, todo[i:]...)
			s.mu.Unlock()
			return err
		}
	}
	return nil
}

func (s *Store) deleteGarbage(g garbage) error {
	if g.rowset != 0 {
		keys := [][]byte{key2(kIndex, g.uid, g.rowset)}
		for i := range g.groups {
			keys = append(keys, key3(kGroup, g.uid, g.rowset, uint32(i)))
		}
		return errors.Join(deleteKeys(s.data, keys), deleteKeys(s.meta, [][]byte{key2(kDeletes, g.uid, g.rowset)}))
	}
	for _, kind := range []byte{kGroup, kIndex, kLargePart} {
		if err := deletePrefix(s.data, key1(kind, g.uid)); err != nil {
			return err
		}
	}
	for _, kind := range []byte{kVersion, kPart, kDeletes, kManifest} {
		if err := deletePrefix(s.meta, key1(kind, g.uid)); err != nil {
			return err
		}
	}
	return nil
}

func deletePrefix(db *kv.DB, prefix []byte) error {
	var keys [][]byte
	if err := db.ScanKeys(prefix, func(key []byte) error {
		keys = append(keys, append([]byte(nil), key...))
		return nil
	}); err != nil {
		return err
	}
	return deleteKeys(db, keys)
}

func deleteKeys(db *kv.DB, keys [][]byte) error {
	for len(keys) > 0 {
		n := min(deleteBatch, len(keys))
		entries := make([]kv.Entry, n)
		for i := range entries {
			entries[i] = kv.Entry{Key: keys[i], Delete: true}
		}
		if err := db.Commit(entries...); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// reclaimDue reports whether enough is dead; where clones are refused for want of room, a twentieth is.
func (s *Store) reclaimDue() bool {
	dead, size := s.meta.Dead()+s.data.Dead(), s.meta.Size()+s.data.Size()
	if dead > s.opt.ReclaimBytes && dead > size*15/100 {
		return true
	}
	return dead > size/20 && errors.Is(s.roomFor(0), ErrDiskFull)
}

// Reclaim gives the disk space of deleted data back (reference §9). It may take a while and write as much as is alive in
// the files that it rewrites.
func (s *Store) Reclaim(ctx context.Context) error {
	if err := s.collect(ctx); err != nil {
		return err
	}
	before := s.meta.Size() + s.data.Size()
	pace := func(ctx context.Context, bytes int64) error { return s.spend(ctx, s.budget, bytes) }
	err := s.data.Reclaim(ctx, pace)
	if err == nil {
		err = s.meta.Reclaim(ctx, pace) // delete vectors, and parts of transactions that are neither small nor large
	}
	if err == nil {
		s.counters.reclaims.Add(1)
		s.counters.reclaimedBytes.Add(max(before-s.meta.Size()-s.data.Size(), 0))
	}
	return err
}
