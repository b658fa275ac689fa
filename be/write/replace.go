package write

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"stele/be/tablet"
	"stele/meta/types"
)

// ErrCaughtUp says that the old replica has reached the version of the clone by itself: it stays.
var ErrCaughtUp = errors.New("the replica has caught up by itself")

// Replacement is a full clone taking the place of a replica that acknowledges writes. The FE counts on every row that a
// replica has acknowledged above its last failed version, so none may go with the old incarnation: while it is being
// replaced the old one refuses new rows, and what it had acknowledged before is carried over as pending.
type Replacement struct {
	w   *Writer
	r   *replica
	end sync.Once
}

// BeginReplace makes old refuse rows until End; when it returns, every row that was acknowledged is durable in old, or light.
func (w *Writer) BeginReplace(old *tablet.Tablet) *Replacement {
	p := &Replacement{w: w, r: w.replica(old)}
	p.set(true)
	return p
}

func (p *Replacement) set(replacing bool) {
	p.r.gate.Lock()
	defer p.r.gate.Unlock()
	p.r.replacing = replacing
}

// End lets old take rows again, unless it has been replaced.
func (p *Replacement) End() { p.end.Do(func() { p.set(false) }) }

// Commit puts a verified import at version at in the place of the old replica, with the rows that were pending there
// and the outcomes known of them. Those that were light are durable there.
func (p *Replacement) Commit(ctx context.Context, im *tablet.Import, at types.Version) (*tablet.Tablet, error) {
	t, decided, epoch, err := p.flip(ctx, im, at)
	if err != nil {
		return nil, err
	}
	next := p.w.replica(t)
	next.inherit(epoch, decided)
	p.w.Forget(p.r.t)
	return t, p.w.advance(next)
}

// flip holds the replica's lock: the old incarnation must not move on between the look at its version and its end.
func (p *Replacement) flip(ctx context.Context, im *tablet.Import, at types.Version) (*tablet.Tablet, map[types.Version]decision, types.Epoch, error) {
	r := p.r
	r.mu.Lock()
	defer r.mu.Unlock()
	bad := r.t.Stats().Bad
	if !bad && r.t.Version() >= at {
		return nil, nil, 0, fmt.Errorf("tablet %d at version %d: %w", r.t.ID(), r.t.Version(), ErrCaughtUp)
	}
	// What a bad replica cannot read any more is lost with it; the catalog counts on a bad one for nothing.
	if err := im.Carry(ctx, r.t); err != nil && !bad {
		return nil, nil, 0, fmt.Errorf("carry pending rows of tablet %d over: %w", r.t.ID(), err)
	}
	t, err := im.Flip()
	if err != nil {
		return nil, nil, 0, err
	}
	r.wakeLocked()
	return t, maps.Clone(r.decided), r.epoch, nil
}

// Forget drops the state of an incarnation that has been replaced.
func (w *Writer) Forget(t *tablet.Tablet) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.replicas[t.ID()]; r != nil && r.t == t {
		delete(w.replicas, t.ID())
	}
}

// Dropped drops the state of a replica that is no more, with the row locks on it.
func (w *Writer) Dropped(t *tablet.Tablet) {
	w.Forget(t)
	if cur, ok := w.tablets.Tablet(t.ID()); ok && cur != t {
		return
	}
	w.locks.dropTablet(t.ID())
	w.own.dropTablet(t.ID())
}

// Unsettled calls each with every transaction that holds rows or locks here and whose outcome is not known.
func (w *Writer) Unsettled(each func(types.TxnID, types.TabletID)) {
	seen := map[holder]bool{}
	for _, r := range w.all() {
		for _, txn := range r.unsettled() {
			seen[holder{txn, r.t.ID()}] = true
		}
	}
	// A write that was refused, or whose FE died, may hold locks without rows.
	for _, h := range append(w.locks.holders(), w.own.holders()...) {
		if r := w.known(h.tablet); r == nil || !r.isDecided(h.txn) {
			seen[h] = true
		}
	}
	for h := range seen {
		each(h.txn, h.tablet)
	}
}

func (r *replica) isDecided(txn types.TxnID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.decided {
		if d.txn == txn {
			return true
		}
	}
	return false
}

func (w *Writer) all() []*replica {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]*replica, 0, len(w.replicas))
	for _, r := range w.replicas {
		out = append(out, r)
	}
	return out
}

func (w *Writer) known(id types.TabletID) *replica {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.replicas[id]
}

func (w *Writer) now() time.Time { return w.opt.Now() }
