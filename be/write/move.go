package write

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"stele/be/tablet"
)

// errMoved says that the replica lies on another disk by now: the caller tries there.
var errMoved = errors.New("replica has moved to another disk")

// Move puts im, a verified copy of old on another disk of this BE, in the place of old. Rows that come meanwhile wait, and
// are stored in the copy: so the replica misses nothing and nobody notices. What was committed since the copy was cut is
// brought by old's change sets, what is pending is carried over. drop removes old from its disk; when it fails it has
// removed the copy instead. A crash in the middle leaves both, with the same rows: one of them goes at the next start.
func (w *Writer) Move(ctx context.Context, old *tablet.Tablet, im *tablet.Import, drop func() error) (*tablet.Tablet, error) {
	if err := w.restart.refuses(old); err != nil {
		return nil, fmt.Errorf("move tablet %d: %w", old.ID(), err) // its copy would not be known to lack anything
	}
	r := w.replica(old)
	r.gate.Lock()
	defer r.gate.Unlock()
	if listed, ok := w.tablets.Tablet(old.ID()); !ok || listed != old || r.replacing {
		return nil, fmt.Errorf("move tablet %d: it has been dropped or replaced meanwhile", old.ID())
	}
	next, err := w.moveLocked(ctx, r, im, drop)
	if err != nil {
		return nil, fmt.Errorf("move tablet %d: %w", old.ID(), err)
	}
	return next.t, w.advance(next)
}

// moveLocked holds the replica's lock: old must not move on while its last versions are copied.
func (w *Writer) moveLocked(ctx context.Context, r *replica, im *tablet.Import, drop func() error) (*replica, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := im.CatchUp(r.t, r.t.Version()); err != nil {
		return nil, err
	}
	if err := im.Carry(ctx, r.t); err != nil {
		return nil, err
	}
	t, err := im.Flip()
	if err != nil {
		return nil, err
	}
	if err := drop(); err != nil {
		return nil, err
	}
	next := newReplica(t)
	next.epoch, next.decided, next.unresolved = r.epoch, maps.Clone(r.decided), maps.Clone(r.unresolved)
	next.open, next.openBytes = maps.Clone(r.open), r.openBytes
	next.ahead.Store(len(next.decided) > 0)
	next.stuckAt, next.stuckSince = r.stuckAt, r.stuckSince
	r.next = next
	w.mu.Lock()
	w.replicas[t.ID()] = next
	w.mu.Unlock()
	r.wakeLocked()
	return next, nil
}
