package tablet

import (
	"context"
	"errors"
	"sync"

	"stele/meta/types"
)

// activeSet is the tablets for which there is, or may soon be, something to do in the background: those that were written
// to until all of it has settled. A disk holds tens of thousands of tablets, of which few are written to at any time, and
// the maintenance worker has no business with the others. It is safe for concurrent use.
type activeSet struct {
	mu      sync.Mutex
	tablets map[types.TabletID]*Tablet
	// idle are tablets that are looked at a few at a time all the same, for what no write announces: limits that were
	// changed, or a bug.
	idle []*Tablet
}

// sweepRounds is in how many rounds of the maintenance worker every tablet is looked at once.
const sweepRounds = 256

func (a *activeSet) add(t *Tablet) {
	if t.active.Swap(true) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tablets[t.id] = t
}

func (a *activeSet) remove(t *Tablet) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tablets[t.id] == t {
		delete(a.tablets, t.id)
	}
	t.active.Store(false)
}

// all returns the active tablets.
func (a *activeSet) all() []*Tablet {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]*Tablet, 0, len(a.tablets))
	for _, t := range a.tablets {
		out = append(out, t)
	}
	return out
}

// sweep returns the next few tablets of those that list gives, in turn.
func (a *activeSet) sweep(list func() []*Tablet) []*Tablet {
	a.mu.Lock()
	over := len(a.idle) == 0
	a.mu.Unlock()
	var next []*Tablet
	if over {
		next = list() // it takes the store's lock, which comes before this one
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.idle) == 0 {
		a.idle = next
	}
	n := min(len(a.idle), len(a.idle)/sweepRounds+1)
	out := a.idle[:n:n]
	a.idle = a.idle[n:]
	return out
}

// maintainActive gives each active tablet, and a few others, its turn. A tablet that fails does not keep the others from
// theirs.
func (s *Store) maintainActive(ctx context.Context) error {
	var errs []error
	turn := func(t *Tablet) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.counters.turns.Add(1)
		err := t.maintain(ctx)
		gone := errors.Is(err, ErrDropped) || errors.Is(err, ErrBad)
		if err != nil && !gone {
			errs = append(errs, err)
		}
		if gone || err == nil && t.settled() {
			s.active.remove(t)
			if !gone && !t.settled() { // a write came in between, and found the tablet active
				s.active.add(t)
			}
		}
		return nil
	}
	for _, t := range s.active.all() {
		if err := turn(t); err != nil {
			return err
		}
	}
	for _, t := range s.active.sweep(s.Tablets) {
		if t.active.Load() {
			continue
		}
		s.active.add(t)
		if err := turn(t); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// settled reports whether nothing is left to do for the tablet until it changes: no deltas, nothing that retention or the
// horizon will let go of later, no rowsets that are merged when it has been quiet for a while, and the digest that other replicas
// compare with is known.
func (t *Tablet) settled() bool {
	if t.quietFor() < 2*quietAfter { // by then a turn has come since it was quiet
		return false
	}
	l := t.s.retention()
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.version == t.manifestVersion && t.floating() == 0 && t.readFrom == t.version &&
		(!t.digest.known || t.digest.compare.Version == t.version) &&
		t.changes.len() <= l.Versions && t.changes.bytes <= l.Bytes
}
