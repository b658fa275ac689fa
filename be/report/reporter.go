// Package report tells the leading FE what this BE has: all replicas at an interval, changed ones at once; and asks
// it for the outcome of transactions that stay pending.
//
// A report is built from the stores alone, so it is true after any crash; it carries the ids of the disks that it
// speaks for, because an empty report proves nothing about a disk that is not in it.
package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"stele/be/host"
	"stele/be/tablet"
	"stele/be/write"
	"stele/meta/types"
	"stele/proto/fepb"
)

// FE is what the reporter calls.
type FE interface {
	Report(ctx context.Context, address string, req *fepb.ReportRequest) (*fepb.ReportResponse, error)
	Resolve(ctx context.Context, address string, req *fepb.ResolveRequest) (*fepb.ResolveResponse, error)
}

// Options are what a Reporter needs.
type Options struct {
	Host    *host.Host
	Writer  *write.Writer
	FE      FE
	Full    time.Duration // between full reports
	Step    time.Duration // between looks at changed replicas and pending transactions
	Started time.Time
	Log     *slog.Logger
}

// Reporter runs the two loops. It is safe for concurrent use.
type Reporter struct {
	Options

	mu        sync.Mutex
	addresses []string      // of the FEs, the leader first
	term      uint64        // of that leader
	moved     chan struct{} // closed and replaced when another FE leads
	changed   map[types.TabletID]bool
	sequence  uint64
	pending   map[pendingKey]bool // seen in the previous step; used by StepOnce alone
	nextFull  time.Time
	wake      chan struct{} // something has changed
	asked     chan struct{} // somebody waits for an outcome
}

type pendingKey struct {
	tablet types.TabletID
	txn    types.TxnID
}

// New returns a reporter; Run starts it.
func New(o Options) *Reporter {
	return &Reporter{Options: o, moved: make(chan struct{}), changed: map[types.TabletID]bool{}, pending: map[pendingKey]bool{},
		wake: make(chan struct{}, 1), asked: make(chan struct{}, 1)}
}

// Addresses says where the FEs are, the leader of a Raft term first; a new leader gets a full report at once, and calls
// that wait for the old one end. A leader that was replaced and does not know it yet is not listened to.
func (r *Reporter) Addresses(term uint64, addresses []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if term < r.term || len(addresses) == 0 {
		return
	}
	if len(r.addresses) == 0 || term > r.term || addresses[0] != r.addresses[0] {
		r.allLocked() // at once: no row is taken before the first one is answered
		close(r.moved)
		r.moved = make(chan struct{})
	}
	r.term, r.addresses = term, addresses
}

// gather is how long a report of a change waits for others.
const gather = 20 * time.Millisecond

// Changed asks for a report of one replica at once.
func (r *Reporter) Changed(id types.TabletID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed[id] = true
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Ask has the outcome of everything that is pending asked for soon: somebody waits for a version.
func (r *Reporter) Ask() {
	select {
	case r.asked <- struct{}{}:
	default:
	}
}

// askPause is the least time between two such questions.
const askPause = 20 * time.Millisecond

// resolveNow asks about all that is unsettled, however young. What comes meanwhile is in the next question.
func (r *Reporter) resolveNow(ctx context.Context) {
	timer := time.NewTimer(askPause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return
	case <-timer.C:
	}
	r.mu.Lock()
	ready := len(r.addresses) > 0
	r.mu.Unlock()
	if !ready {
		return
	}
	if err := r.resolve(ctx, true); err != nil && ctx.Err() == nil {
		r.Log.Debug("resolve pending transactions", "err", err)
	}
}

// Run steps until ctx ends.
func (r *Reporter) Run(ctx context.Context) {
	tick := time.NewTicker(r.Step)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			r.StepOnce(ctx, now)
		case <-r.wake:
			r.reportSoon(ctx)
		case <-r.asked:
			r.resolveNow(ctx)
		}
	}
}

// reportSoon reports what has changed, together with what changes in the next moment.
func (r *Reporter) reportSoon(ctx context.Context) {
	timer := time.NewTimer(gather)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return
	case now := <-timer.C:
		r.tell(ctx, now)
	}
}

// tell sends the report that is due, if an FE is known.
func (r *Reporter) tell(ctx context.Context, now time.Time) {
	r.mu.Lock()
	ready := len(r.addresses) > 0
	r.mu.Unlock()
	if !ready {
		return
	}
	if err := r.report(ctx, now); err != nil && ctx.Err() == nil {
		r.Log.Debug("report", "err", err)
	}
}

// StepOnce does one step of both loops.
func (r *Reporter) StepOnce(ctx context.Context, now time.Time) {
	r.mu.Lock()
	ready := len(r.addresses) > 0
	r.mu.Unlock()
	if !ready {
		return
	}
	if err := r.resolve(ctx, false); err != nil && ctx.Err() == nil {
		r.Log.Debug("resolve pending transactions", "err", err)
	}
	if err := r.report(ctx, now); err != nil && ctx.Err() == nil {
		r.Log.Debug("report", "err", err)
	}
}

// call tries the FEs in order until one answers, or another one leads.
func call[T any](ctx context.Context, r *Reporter, f func(ctx context.Context, address string) (T, error)) (T, error) {
	r.mu.Lock()
	addresses, moved := r.addresses, r.moved
	r.mu.Unlock()
	var zero T
	var errs []error
	for _, a := range addresses {
		cctx, cancel := context.WithTimeout(ctx, callTimeout)
		done := make(chan struct{})
		go func() { // ends with the call
			select {
			case <-moved:
				cancel()
			case <-done:
			}
		}()
		out, err := f(cctx, a)
		close(done)
		cancel()
		if err == nil {
			return out, nil
		}
		errs = append(errs, err)
	}
	return zero, errors.Join(errs...)
}

// callTimeout bounds one call of an FE.
const callTimeout = 5 * time.Second

func (r *Reporter) report(ctx context.Context, now time.Time) error {
	req, disks := r.next(now)
	if req == nil {
		return nil
	}
	resp, err := call(ctx, r, func(ctx context.Context, a string) (*fepb.ReportResponse, error) { return r.FE.Report(ctx, a, req) })
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.nextFull = now.Add(r.Step) // what it said is lost: say everything again
		return err
	}
	if req.Full {
		r.behind(disks, resp.Behind)
	}
	if resp.Again {
		r.All()
	}
	for _, d := range resp.Drops {
		r.drop(types.TabletID(d.TabletId), types.ReplicaID(d.ReplicaId))
	}
	return nil
}

// behind hands on which replicas of the disks of a full report lack committed versions.
func (r *Reporter) behind(disks []*tablet.Store, replicas []*fepb.ReportResponse_Behind) {
	out := make([]write.Behind, len(replicas))
	for i, b := range replicas {
		out[i] = write.Behind{Tablet: types.TabletID(b.TabletId), Replica: types.ReplicaID(b.ReplicaId), Version: types.Version(b.Version)}
	}
	r.Writer.Reported(disks, out)
}

// All has a full report follow at once.
func (r *Reporter) All() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.allLocked()
}

func (r *Reporter) allLocked() {
	r.nextFull = time.Time{}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// drop removes a replica that the cluster no longer knows.
func (r *Reporter) drop(id types.TabletID, replica types.ReplicaID) {
	store, ok := r.Host.Store(id)
	if !ok {
		return
	}
	t, ok := store.Tablet(id)
	if !ok || t.Meta().Replica != replica {
		return
	}
	if _, err := store.Discard([]tablet.Dropping{{Tablet: id, Replica: replica}}); err != nil {
		r.Log.Error("drop replica", "tablet_id", id, "replica_id", replica, "err", err)
		return
	}
	r.Writer.Dropped(t)
	r.Log.Info("dropped a replica that the cluster no longer knows", "tablet_id", id, "replica_id", replica)
}

// due says what the next report is about: everything, or the replicas that have changed; neither is nothing.
func (r *Reporter) due(now time.Time) (full bool, changed map[types.TabletID]bool, sequence uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	full = !now.Before(r.nextFull)
	if !full && len(r.changed) == 0 {
		return false, nil, 0
	}
	changed, r.changed = r.changed, map[types.TabletID]bool{}
	if full {
		r.nextFull = now.Add(r.Full)
	}
	r.sequence++
	return full, changed, r.sequence
}

// next builds the report that is due, or nil, and returns the disks that it is of. No lock is held meanwhile: heartbeats and clones do not wait
// for it.
func (r *Reporter) next(now time.Time) (req *fepb.ReportRequest, disks []*tablet.Store) {
	full, changed, sequence := r.due(now)
	if !full && len(changed) == 0 {
		return nil, nil
	}
	req = &fepb.ReportRequest{BeId: uint64(r.Host.Identity().BE), Sequence: sequence, StartTimeMs: r.Started.UnixMilli(), Full: full}
	for _, d := range r.Host.Disks() {
		if d.Store == nil {
			req.Partial = true
			continue
		}
		disks = append(disks, d.Store)
		req.DiskIds = append(req.DiskIds, uint64(d.Store.ID()))
		for _, t := range r.of(d.Store, full, changed) {
			req.Replicas = append(req.Replicas, r.describe(t, d.Store.ID()))
		}
	}
	return req, disks
}

// of returns the replicas on a disk that the report is about.
func (r *Reporter) of(store *tablet.Store, full bool, changed map[types.TabletID]bool) []*tablet.Tablet {
	if full {
		return store.Tablets()
	}
	var out []*tablet.Tablet
	for id := range changed {
		if t, ok := store.Tablet(id); ok {
			out = append(out, t)
		}
	}
	return out
}

func (r *Reporter) describe(t *tablet.Tablet, disk types.DiskID) *fepb.Replica {
	s := t.Stats()
	point, _ := t.ComparePoint()
	return &fepb.Replica{TabletId: uint64(t.ID()), ReplicaId: uint64(t.Meta().Replica), DiskId: uint64(disk), Version: uint64(t.Version()),
		Rows: s.Rows, Bytes: s.Bytes, VersionCount: uint32(s.Versions), Rowsets: uint32(s.Rowsets), Bad: s.Bad, Reason: s.BadReason,
		OldestRetained: uint64(s.OldestRetained), MissingVersion: uint64(r.Writer.Missing(t)), Pending: uint32(s.Pending),
		DigestVersion: uint64(point.Version), Digest: point.Digest, DigestSchema: point.Schema}
}

// maxQuestions bounds one request; the other transactions are asked about in the next step.
const maxQuestions = 10_000

// resolve asks for the outcome of transactions that were unsettled in the previous step already, or of all.
func (r *Reporter) resolve(ctx context.Context, all bool) error {
	req := &fepb.ResolveRequest{BeId: uint64(r.Host.Identity().BE)}
	seen := map[pendingKey]bool{}
	r.Writer.Unsettled(func(txn types.TxnID, id types.TabletID) {
		k := pendingKey{id, txn}
		seen[k] = true
		if (all || r.pending[k]) && len(req.Items) < maxQuestions {
			req.Items = append(req.Items, &fepb.ResolveRequest_Item{TxnId: uint64(txn), TabletId: uint64(id)})
		}
	})
	r.pending = seen
	if len(req.Items) == 0 {
		return nil
	}
	resp, err := call(ctx, r, func(ctx context.Context, a string) (*fepb.ResolveResponse, error) { return r.FE.Resolve(ctx, a, req) })
	if err != nil {
		return err
	}
	if len(resp.Items) != len(req.Items) {
		return fmt.Errorf("%d outcomes for %d transactions", len(resp.Items), len(req.Items))
	}
	var errs []error
	for i, it := range resp.Items {
		id, txn := types.TabletID(req.Items[i].TabletId), types.TxnID(req.Items[i].TxnId)
		switch {
		case it.Outcome == fepb.ResolveResponse_COMMITTED && it.Version > 0:
			errs = append(errs, r.Writer.Resolved(id, txn, types.Version(it.Version)))
		case it.Outcome == fepb.ResolveResponse_ABORTED:
			errs = append(errs, r.Writer.Resolved(id, txn, 0))
		}
	}
	return errors.Join(errs...)
}
