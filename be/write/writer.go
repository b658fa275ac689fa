// Package write is the write path of a BE: it leads writes on tablets whose leader this BE is, follows other leaders,
// and publishes what the leading FE has committed.
//
// It owns the row locks, the fencing epoch and the order of publishing of each tablet, all in memory. Rows become
// durable as pending in the tablet store before any answer (I1), and visible only when the FE says that they are
// committed and at which version (I2). What a crash may leave:
//
//   - pending rows without outcome: after the start the BE asks the FE (Unresolved), and leads no write on the tablet
//     until it knows, because the row locks are gone;
//   - a committed version that this BE never prepared: versions stay below it until a clone brings it.
package write

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"stele/be/tablet"
	"stele/meta/types"
	"stele/proto/bepb"
)

// Tablets finds the replica of a tablet on this BE.
type Tablets interface {
	Tablet(id types.TabletID) (*tablet.Tablet, bool)
}

// Peers reaches other BEs.
type Peers interface {
	Replicate(ctx context.Context, address string, req *bepb.ReplicateRequest) (*bepb.ReplicateResponse, error)
}

// Options are the bounds of the write path.
type Options struct {
	// ReplicateTimeout is how long a leader waits for another replica.
	ReplicateTimeout time.Duration
	// VersionWait is how long a leader waits for committed versions that it has not applied yet.
	VersionWait time.Duration
}

// Writer is the write path of one BE. It is safe for concurrent use.
type Writer struct {
	tablets Tablets
	peers   Peers
	opt     Options
	log     *slog.Logger
	locks   *lockTable
	own     *overlays

	mu       sync.Mutex
	replicas map[*tablet.Tablet]*replica // by incarnation: a re-created replica starts anew

	background sync.WaitGroup // replications that answer after their write did
}

// New returns a writer over the tablets.
func New(tablets Tablets, peers Peers, opt Options, log *slog.Logger) *Writer {
	return &Writer{tablets: tablets, peers: peers, opt: opt, log: log, locks: newLockTable(), own: newOverlays(),
		replicas: map[*tablet.Tablet]*replica{}}
}

// Close waits for replications under way.
func (w *Writer) Close() { w.background.Wait() }

// replica returns the state of a tablet; its first use notes what was pending at that moment.
func (w *Writer) replica(t *tablet.Tablet) *replica {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.replicas[t]
	if r == nil {
		r = newReplica(t.Pending())
		w.replicas[t] = r
	}
	return r
}

// Adopt notes the transactions that are pending on t since before the start; the BE calls it for every tablet
// before it answers its first request.
func (w *Writer) Adopt(t *tablet.Tablet) { w.replica(t) }

// Forget drops the state of a replica that is no more.
func (w *Writer) Forget(t *tablet.Tablet) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.replicas, t)
}

// Replicate stores the resolved rows of a leader as pending. One error a part, "" when it is durable.
func (w *Writer) Replicate(ctx context.Context, req *bepb.ReplicateRequest) *bepb.ReplicateResponse {
	resp := &bepb.ReplicateResponse{Errors: make([]string, len(req.Parts))}
	var wg sync.WaitGroup
	for i, p := range req.Parts {
		wg.Go(func() {
			if err := w.follow(ctx, types.TxnID(req.TxnId), p); err != nil {
				resp.Errors[i] = err.Error()
			}
		})
	}
	wg.Wait()
	return resp
}

func (w *Writer) follow(ctx context.Context, txn types.TxnID, p *bepb.ReplicateRequest_Part) error {
	t, ok := w.tablets.Tablet(types.TabletID(p.TabletId))
	if !ok || uint64(t.Meta().Replica) != p.ReplicaId {
		return fmt.Errorf("no replica %d of tablet %d here", p.ReplicaId, p.TabletId)
	}
	r := w.replica(t)
	if err := r.fence(types.Epoch(p.Epoch)); err != nil {
		return err
	}
	if err := t.PreparePart(ctx, txn, int(p.Seq), p.Payload); err != nil {
		return err
	}
	// The outcome may have come before the rows did.
	return w.advance(t, r)
}

// advance publishes what has become publishable and lets go of the transactions that are over.
func (w *Writer) advance(t *tablet.Tablet, r *replica) error {
	over, err := r.advance(t)
	for _, txn := range over {
		w.locks.release(txn, t.ID())
		w.own.drop(txn, t.ID())
	}
	return err
}

// Advance is called when a clone has raised the version of t.
func (w *Writer) Advance(t *tablet.Tablet) error { return w.advance(t, w.replica(t)) }

// Publish makes committed versions visible, in the order of versions whatever the order of arrival. The answer holds
// the version that each tablet has afterwards, 0 where there is no such tablet.
func (w *Writer) Publish(items []*bepb.PublishRequest_Item) []uint64 {
	versions := make([]uint64, len(items))
	for i, it := range items {
		t, ok := w.tablets.Tablet(types.TabletID(it.TabletId))
		if !ok {
			continue
		}
		r := w.replica(t)
		r.decide(types.Version(it.Version), types.TxnID(it.TxnId))
		if err := w.advance(t, r); err != nil {
			w.log.Error("publish", "tablet_id", it.TabletId, "version", it.Version, "err", err)
		}
		versions[i] = uint64(t.Version())
	}
	return versions
}

// Abort drops the pending rows and the locks of a transaction on the tablets.
func (w *Writer) Abort(txn types.TxnID, tablets []types.TabletID) error {
	var errs []error
	for _, id := range tablets {
		if t, ok := w.tablets.Tablet(id); ok {
			errs = append(errs, t.Abort(txn))
			w.replica(t).forget(txn)
		}
		w.locks.release(txn, id)
		w.own.drop(txn, id)
	}
	return errors.Join(errs...)
}

// WaitVersion waits until t has version v, at most for wait.
func (w *Writer) WaitVersion(ctx context.Context, t *tablet.Tablet, v types.Version, wait time.Duration) bool {
	if t.Version() >= v {
		return true
	}
	return w.replica(t).waitVersion(ctx, t, v, wait)
}

// Missing returns the version that t lacks although later or equal ones are committed, 0 when it lacks none that this
// BE knows of.
func (w *Writer) Missing(t *tablet.Tablet) types.Version { return w.replica(t).missing(t) }

// Resolved takes in the outcome of a pending transaction: the committed version, or 0 for aborted.
func (w *Writer) Resolved(t *tablet.Tablet, txn types.TxnID, version types.Version) error {
	if version == 0 {
		return w.Abort(txn, []types.TabletID{t.ID()})
	}
	r := w.replica(t)
	r.decide(version, txn)
	return w.advance(t, r)
}
