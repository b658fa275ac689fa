package tablet

import (
	"context"
	"errors"
	"time"

	"stele/be/tablet/kv"
	"stele/be/tablet/space"
)

const (
	maintainEvery = time.Second
	// reclaimEvery is the least time between two reclaim cycles, tightEvery on a disk below its reserve.
	reclaimEvery = 2 * time.Minute
	tightEvery   = 10 * time.Second
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
	poke(s.wasted)
}

// maintainLoop is the worker that has writers go on: they wait for its flushes. So what takes long on a large disk is another worker's.
func (s *Store) maintainLoop(ctx context.Context) {
	s.work(ctx, s.wake, func() {
		s.retune()
		if err := s.tend(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("maintenance", "err", err)
		}
	})
}

// giveBackLoop is the worker that gives room back.
func (s *Store) giveBackLoop(ctx context.Context) {
	var last givenBack
	s.work(ctx, s.wasted, func() {
		if err := s.clear(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("delete garbage", "err", err)
		}
		s.giveBack(ctx, &last)
	})
}

// work does a round when it is woken, and once a second.
func (s *Store) work(ctx context.Context, wake <-chan struct{}, round func()) {
	defer s.workers.Done()
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-tick.C:
		}
		round()
	}
}

// givenBack is when room was given back last; never, for a process that is started again and again is to do so, too.
type givenBack struct {
	reclaim, sweep time.Time
	lull           lull
}

// giveBack reclaims what is worth it, and sweeps while little is written.
func (s *Store) giveBack(ctx context.Context, last *givenBack) {
	now, every := s.opt.Now(), reclaimEvery
	if s.tight() {
		every = tightEvery
	}
	if s.reclaimDue() && now.Sub(last.reclaim) >= every {
		last.reclaim = now
		if err := s.Reclaim(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("reclaim", "err", err)
		}
	}
	if last.lull.look(now, s.counters.payload.Load()) && now.Sub(last.sweep) >= reclaimEvery {
		last.sweep = now
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("sweep", "err", err)
		}
	}
}

// lull tells when little is written.
type lull struct {
	at    time.Time
	bytes int64
}

// lullBytes a second are little.
const lullBytes = 64 << 10

// look is told how much has been written so far, and reports whether it was little since it was told the last time, a second ago or more.
func (l *lull) look(now time.Time, bytes int64) bool {
	since := now.Sub(l.at)
	if since < time.Second {
		return false
	}
	quiet := !l.at.IsZero() && float64(bytes-l.bytes) <= lullBytes*since.Seconds()
	l.at, l.bytes = now, bytes
	return quiet
}

// Maintain does one round of what the background workers do: flush what has grown, merge rowsets, drop what retention no
// longer asks for, delete garbage.
func (s *Store) Maintain(ctx context.Context) error {
	return errors.Join(s.tend(ctx), s.clear(ctx))
}

// tend does what tablets need.
func (s *Store) tend(ctx context.Context) error {
	errs := []error{s.maintainActive(ctx)}
	if ctx.Err() == nil && s.mem.over(0.5) {
		errs = append(errs, s.flushLargest(ctx))
	}
	return errors.Join(errs...)
}

// clear deletes what nobody needs.
func (s *Store) clear(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(s.expirePartial(), s.collect(ctx))
}

func (t *Tablet) maintain(ctx context.Context) error {
	var full error // keeps nothing from what may give room
	if t.needsFlush() {
		if full = t.Flush(); full != nil && !errors.Is(full, ErrDiskFull) {
			return full
		}
	} else if t.maint.TryLock() {
		t.trimChanges()
		t.maint.Unlock()
	}
	for {
		if did, err := t.Compact(ctx); err != nil {
			return errors.Join(full, err)
		} else if !did {
			return errors.Join(full, t.settleDigest(ctx))
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
	var dead deadKeys
	for from := 0; from < len(todo); {
		to, err := from, ctx.Err()
		for err == nil && to < len(todo) && dead.len() < deleteBatch {
			err = s.addKeys(todo[to], &dead)
			to++
		}
		if err == nil {
			err = errors.Join(deleteKeys(s.data, dead.data), deleteKeys(s.meta, dead.meta))
		}
		if err != nil {
			s.mu.Lock()
			s.garbage = append(s.garbage, todo[from:]...)
			s.mu.Unlock()
			return err
		}
		from, dead = to, deadKeys{}
	}
	return nil
}

// deadKeys are keys of garbage, by instance. Those of many small tablets go together: each request waits for the disk.
type deadKeys struct{ data, meta [][]byte }

func (d *deadKeys) len() int { return len(d.data) + len(d.meta) }

// addKeys adds the keys of a piece of garbage.
func (s *Store) addKeys(g garbage, dead *deadKeys) error {
	if g.rowset != 0 {
		dead.data = append(dead.data, key2(kIndex, g.uid, g.rowset))
		for i := range g.groups {
			dead.data = append(dead.data, key3(kGroup, g.uid, g.rowset, uint32(i)))
		}
		dead.meta = append(dead.meta, key2(kDeletes, g.uid, g.rowset))
		return nil
	}
	var err error
	for _, kind := range []byte{kGroup, kIndex, kLargePart} {
		if dead.data, err = appendKeys(dead.data, s.data, key1(kind, g.uid)); err != nil {
			return err
		}
	}
	for _, kind := range []byte{kVersion, kPart, kDeletes, kManifest} {
		if dead.meta, err = appendKeys(dead.meta, s.meta, key1(kind, g.uid)); err != nil {
			return err
		}
	}
	return nil
}

// appendKeys appends the keys with a prefix.
func appendKeys(keys [][]byte, db *kv.DB, prefix []byte) ([][]byte, error) {
	err := db.ScanKeys(prefix, func(key []byte) error {
		keys = append(keys, append([]byte(nil), key...))
		return nil
	})
	return keys, err
}

func deletePrefix(db *kv.DB, prefix []byte) error {
	keys, err := appendKeys(nil, db, prefix)
	if err != nil {
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
	return dead > size/20 && errors.Is(s.allows(space.ForClone, 0), ErrDiskFull)
}

// Reclaim gives the disk space of deleted data back (kv/DESIGN.md, "Collector"). It may take a while and write as much as is alive in
// the files that it rewrites.
func (s *Store) Reclaim(ctx context.Context) error {
	if err := s.collect(ctx); err != nil {
		return err
	}
	before := s.meta.Size() + s.data.Size()
	err := s.data.Reclaim(ctx, s.pace)
	if err == nil || errors.Is(err, ErrDiskFull) { // what is dead as a whole needs no room
		err = errors.Join(err, s.meta.Reclaim(ctx, s.pace)) // delete vectors, and parts of transactions that are neither small nor large
	}
	if err == nil {
		s.counters.reclaims.Add(1)
		s.counters.reclaimedBytes.Add(max(before-s.meta.Size()-s.data.Size(), 0))
	}
	return err
}

// pace has what gives room back wait until it may write so many bytes more, if there is room for them.
func (s *Store) pace(ctx context.Context, bytes int64) error {
	if err := s.allows(space.ForMove, bytes); err != nil {
		return err
	}
	return s.spend(ctx, s.budget, bytes)
}

// Sweep gives the disk space of small values that were deleted back, where more is dead than alive.
func (s *Store) Sweep(ctx context.Context) error {
	return errors.Join(s.data.Sweep(ctx, s.pace), s.meta.Sweep(ctx, s.pace))
}
