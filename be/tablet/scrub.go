package tablet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stele/be/tablet/kv"
	"stele/meta/types"
	"stele/sql/rowset"
)

// Scrub reads and verifies every row group of the replica, and then its rows. The first damage makes the replica bad and is
// returned. pace is called with how many bytes were read and may wait; it may end the scrub with an error.
func (t *Tablet) Scrub(ctx context.Context, pace func(ctx context.Context, bytes int64) error) error {
	s, err := t.Current()
	if err != nil {
		return err
	}
	defer s.Release()
	for _, w := range s.rowsets {
		for g := range w.r.groups {
			if err := t.s.viewGroup(w.r.group(g), (*rowset.Group).VerifyAll); err != nil {
				return fmt.Errorf("scrub tablet %d: %w", t.id, t.checkBad(err))
			}
			if err := pace(ctx, w.r.groups[g].Bytes); err != nil {
				return err
			}
		}
	}
	return t.checkDigest(ctx, s, pace)
}

// checkDigest scans the rows and compares their digest with the one that was kept up from write to write. What is stored is
// the truth about this replica, so the scanned one is kept: whether other replicas hold the same is the FE's to compare.
func (t *Tablet) checkDigest(ctx context.Context, s *Snapshot, pace func(ctx context.Context, bytes int64) error) error {
	t.mu.RLock()
	known := t.digest.known
	t.mu.RUnlock()
	var kept uint64
	var rows int64
	var err error
	if known {
		if kept, rows, err = s.Digest(ctx); err != nil {
			return err
		}
	}
	scanned, n, err := s.scanDigest(ctx, pace)
	if err != nil || !known || kept == scanned && rows == n {
		return err
	}
	t.s.log.Error("the content digest of a replica was wrong and is corrected", "tablet_id", t.id, "version", s.version, "rows", n, "rows_kept", rows)
	t.s.counters.digestsCorrected.Add(1)
	t.mu.Lock()
	t.digest = digestState{}
	t.mu.Unlock()
	t.learnDigest(DigestPoint{Version: s.version, Digest: scanned, Rows: n, Schema: s.schema.Version})
	return nil
}

// scrubLoop goes over all replicas, a round every Tuning.ScrubEvery, slowly; what a clone has brought comes first.
func (s *Store) scrubLoop(ctx context.Context) {
	defer s.workers.Done()
	every := s.tuning().ScrubEvery
	begun := s.opt.Now().Add(min(scrubAfterOpen, every) - every) // the first round is not at once: a BE that starts has to catch up
	for {
		for wait := true; wait; wait = s.opt.Now().Sub(begun) < s.tuning().ScrubEvery {
			timer := time.NewTimer(min(s.tuning().ScrubEvery, scrubLook))
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-s.cloned:
				timer.Stop()
				s.scrubCloned(ctx)
			case <-timer.C:
			}
		}
		begun = s.opt.Now()
		s.scrubRound(ctx)
	}
}

// scrubSoon has a replica scrubbed before its turn.
func (s *Store) scrubSoon(id types.TabletID) {
	s.mu.Lock()
	s.unscrubbed = append(s.unscrubbed, id)
	s.mu.Unlock()
	poke(s.cloned)
}

// scrubCloned scrubs the replicas that clones have brought, as fast as background work may.
func (s *Store) scrubCloned(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		if len(s.unscrubbed) == 0 {
			s.mu.Unlock()
			return
		}
		t := s.tablets[s.unscrubbed[0]]
		s.unscrubbed = s.unscrubbed[1:]
		s.mu.Unlock()
		if t != nil {
			s.scrubOne(ctx, t, func(ctx context.Context, bytes int64) error {
				s.counters.scrubbed.Add(bytes)
				return s.spend(ctx, s.budget, bytes)
			})
		}
	}
}

// scrubPasses is how often a scrub reads a replica: its bytes, and its rows.
const scrubPasses = 2

const (
	// scrubLook is how soon a shorter ScrubEvery is noticed.
	scrubLook = 10 * time.Second
	// scrubAfterOpen is when the first round begins.
	scrubAfterOpen = time.Minute
)

// scrubRound scrubs every replica once.
func (s *Store) scrubRound(ctx context.Context) {
	c := &s.counters
	tablets := s.Tablets()
	total := int64(0)
	for _, t := range tablets {
		if st := t.Stats(); !st.Bad {
			total += scrubPasses * st.Bytes
		}
	}
	c.scrubTotal.Store(total)
	c.scrubRoundBytes.Store(0)
	c.scrubRoundTablets.Store(0)
	pace := func(ctx context.Context, bytes int64) error {
		c.scrubbed.Add(bytes)
		c.scrubRoundBytes.Add(bytes)
		if err := s.spend(ctx, s.scrubBudget, bytes); err != nil {
			return err
		}
		return s.spend(ctx, s.budget, bytes)
	}
	s.scrubInstances(ctx, pace)
	for _, t := range tablets {
		s.scrubCloned(ctx)
		s.scrubOne(ctx, t, pace)
		if ctx.Err() != nil {
			return
		}
		c.scrubRoundTablets.Add(1)
	}
	c.scrubRounds.Add(1)
}

// scrubInstances verifies the tables of the key-value stores. Damage there may be anybody's, manifests and tombstones included, and
// Badger would build new tables of it: the disk takes no more writes, and says why. Replicas whose records are sound are served.
func (s *Store) scrubInstances(ctx context.Context, pace func(ctx context.Context, bytes int64) error) {
	for _, db := range []*kv.DB{s.meta, s.data} {
		err := db.VerifyTables(ctx, pace)
		if errors.Is(err, kv.ErrDamaged) {
			s.counters.scrubBad.Add(1)
			s.setFailed(fmt.Errorf("scrub: %w", err))
		} else if err != nil && ctx.Err() == nil {
			s.log.Warn("scrub tables", "err", err)
		}
	}
}

func (s *Store) scrubOne(ctx context.Context, t *Tablet, pace func(ctx context.Context, bytes int64) error) {
	err := t.Scrub(ctx, pace)
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, ErrCorrupt):
		s.counters.scrubBad.Add(1)
		s.log.Error("scrub found damage", "tablet_id", t.id, "err", err)
	case err != nil && !errors.Is(err, ErrDropped) && !errors.Is(err, ErrBad):
		s.log.Warn("scrub", "tablet_id", t.id, "err", err)
	}
}
