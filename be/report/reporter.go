// Package report tells the leading FE what this BE has: all replicas at an interval, changed ones at once; and asks
// it for the outcome of transactions that stay pending.
//
// A report is built from the stores alone, so it is true after any crash; it carries the ids of the disks that it
// speaks for, because an empty report proves nothing about a disk that is not in it.
package report

import (
	"context"
	"errors"
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
	addresses []string // of the FEs, the leader first
	changed   map[types.TabletID]bool
	sequence  uint64
	pending   map[pendingKey]bool // seen in the previous step
	nextFull  time.Time
}

type pendingKey struct {
	tablet types.TabletID
	txn    types.TxnID
}

// New returns a reporter; Run starts it.
func New(o Options) *Reporter {
	return &Reporter{Options: o, changed: map[types.TabletID]bool{}, pending: map[pendingKey]bool{}}
}

// Addresses says where the FEs are, the leader first; a new leader gets a full report at once.
func (r *Reporter) Addresses(addresses []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.addresses) == 0 || len(addresses) > 0 && addresses[0] != r.addresses[0] {
		r.nextFull = time.Time{}
	}
	r.addresses = addresses
}

// Changed asks for a report of one replica in the next step.
func (r *Reporter) Changed(id types.TabletID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed[id] = true
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
		}
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
	if err := r.resolve(ctx); err != nil && ctx.Err() == nil {
		r.Log.Debug("resolve pending transactions", "err", err)
	}
	if err := r.report(ctx, now); err != nil && ctx.Err() == nil {
		r.Log.Debug("report", "err", err)
	}
}

// call tries the FEs in order until one answers.
func call[T any](ctx context.Context, r *Reporter, f func(ctx context.Context, address string) (T, error)) (T, error) {
	r.mu.Lock()
	addresses := r.addresses
	r.mu.Unlock()
	var zero T
	var errs []error
	for _, a := range addresses {
		cctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		out, err := f(cctx, a)
		cancel()
		if err == nil {
			return out, nil
		}
		errs = append(errs, err)
	}
	return zero, errors.Join(errs...)
}

func (r *Reporter) report(ctx context.Context, now time.Time) error {
	req := r.next(now)
	if req == nil {
		return nil
	}
	resp, err := call(ctx, r, func(ctx context.Context, a string) (*fepb.ReportResponse, error) { return r.FE.Report(ctx, a, req) })
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.nextFull = now.Add(r.Step) // what it said is lost: say everything again
		return err
	}
	for _, d := range resp.Drops {
		r.drop(types.TabletID(d.TabletId), types.ReplicaID(d.ReplicaId))
	}
	return nil
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
	if err := store.Drop(id, replica); err != nil {
		r.Log.Error("drop replica", "tablet_id", id, "replica_id", replica, "err", err)
		return
	}
	r.Writer.Forget(t)
	r.Log.Info("dropped a replica that the cluster no longer knows", "tablet_id", id, "replica_id", replica)
}

// next builds the report that is due, or nil.
func (r *Reporter) next(now time.Time) *fepb.ReportRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	full := !now.Before(r.nextFull)
	if !full && len(r.changed) == 0 {
		return nil
	}
	r.sequence++
	req := &fepb.ReportRequest{BeId: uint64(r.Host.Identity().BE), Sequence: r.sequence, StartTimeMs: r.Started.UnixMilli(), Full: full}
	for _, d := range r.Host.Disks() {
		if d.Store == nil {
			continue
		}
		req.DiskIds = append(req.DiskIds, uint64(d.Store.ID()))
		for _, t := range d.Store.Tablets() {
			if full || r.changed[t.ID()] {
				req.Replicas = append(req.Replicas, r.describe(t, d.Store.ID()))
			}
		}
	}
	clear(r.changed)
	if full {
		r.nextFull = now.Add(r.Full)
	}
	return req
}

func (r *Reporter) describe(t *tablet.Tablet, disk types.DiskID) *fepb.Replica {
	s := t.Stats()
	return &fepb.Replica{TabletId: uint64(t.ID()), ReplicaId: uint64(t.Meta().Replica), DiskId: uint64(disk), Version: uint64(t.Version()),
		Rows: s.Rows, Bytes: s.Bytes, VersionCount: uint32(s.Versions), Rowsets: uint32(s.Rowsets), Bad: s.Bad, Reason: s.BadReason,
		OldestRetained: uint64(s.OldestRetained), MissingVersion: uint64(r.Writer.Missing(t)), Pending: uint32(s.Pending)}
}

// resolve asks for the outcome of transactions that were pending in the previous step already.
func (r *Reporter) resolve(ctx context.Context) error {
	req := &fepb.ResolveRequest{BeId: uint64(r.Host.Identity().BE)}
	seen := map[pendingKey]bool{}
	for _, d := range r.Host.Disks() {
		if d.Store == nil {
			continue
		}
		for _, t := range d.Store.Tablets() {
			for _, txn := range t.Pending() {
				k := pendingKey{t.ID(), txn}
				seen[k] = true
				if r.pending[k] {
					req.Items = append(req.Items, &fepb.ResolveRequest_Item{TxnId: uint64(txn), TabletId: uint64(t.ID())})
				}
			}
		}
	}
	r.pending = seen
	if len(req.Items) == 0 {
		return nil
	}
	resp, err := call(ctx, r, func(ctx context.Context, a string) (*fepb.ResolveResponse, error) { return r.FE.Resolve(ctx, a, req) })
	if err != nil {
		return err
	}
	var errs []error
	for i, it := range resp.Items {
		t, ok := r.Host.Tablet(types.TabletID(req.Items[i].TabletId))
		if !ok || it.Outcome != fepb.ResolveResponse_COMMITTED && it.Outcome != fepb.ResolveResponse_ABORTED {
			continue
		}
		version := types.Version(0)
		if it.Outcome == fepb.ResolveResponse_COMMITTED {
			version = types.Version(it.Version)
		}
		errs = append(errs, r.Writer.Resolved(t, types.TxnID(req.Items[i].TxnId), version))
	}
	return errors.Join(errs...)
}
