package write

import (
	"context"
	"fmt"
	"time"

	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

// A part with OpShare writes nothing: it locks rows shared, of which it has the key columns in the order of the key, and its answer names
// those that are not there, which it does not lock. It has no number among the parts of its transaction, no payload and no version. So what
// it has looked at holds only as long as the epoch does: the commit of the transaction names tablet and epoch (command.CommitTxn), and
// its end is told like a version, as version 0.

// shares reports whether a part only locks rows.
func shares(p *bepb.WriteRequest_Part) bool {
	return len(p.Ops) == 1 && types.RowOp(p.Ops[0]) == types.OpShare
}

// stored are the parts of a write that have rows.
func stored(parts []*part) []*part {
	for i, p := range parts {
		if !shares(p.req) {
			continue
		}
		out := append([]*part(nil), parts[:i]...)
		for _, p := range parts[i:] {
			if !shares(p.req) {
				out = append(out, p)
			}
		}
		return out
	}
	return parts
}

// leadShare locks the rows of a part that shares.
func (w *Writer) leadShare(ctx context.Context, txn types.TxnID, p *bepb.WriteRequest_Part, req *bepb.WriteRequest) (*part, error) {
	r, err := w.leads(ctx, p)
	if err != nil {
		return nil, err
	}
	id := r.t.ID()
	schema, err := schemaOf(ctx, r.t, p)
	if err != nil {
		return nil, err
	}
	rows, err := vec.Decode(p.Rows)
	if err == nil && len(rows.Cols) != len(schema.Key) {
		err = fmt.Errorf("%d columns for a key of %d", len(rows.Cols), len(schema.Key))
	}
	if err != nil {
		return nil, fmt.Errorf("keys for tablet %d: %w", id, err)
	}
	if err := w.caughtUp(ctx, r, p, !req.Settled && !schema.HasRowID()); err != nil {
		return nil, err
	}
	if req.Settled {
		r.settled(ctx)
	}
	columns := make([]int, len(rows.Cols))
	for i := range columns {
		columns[i] = i
	}
	led := newPart(p, r)
	res := &resolver{w: w, txn: txn, t: r.t, keys: vec.EncodeKeys(rows, columns), resp: led.resp}
	b := newShareBatch(txn, id, res.keys)
	if req.SkipLocked {
		res.locks, err = w.locks.acquireFreeBatch(b)
	} else {
		res.locks, err = w.locks.acquireBatch(ctx, b, time.Duration(req.LockWaitMs)*time.Millisecond)
	}
	if err != nil {
		return nil, lockRefusal(id, err)
	}
	return led, w.reads.watch(ctx, func() error { return res.share(b.had, types.Version(p.ReadVersion), req.SkipLocked) })
}

// share looks which of the rows are there, and lets go of the others, but of those that the transaction had before. With skip those are
// passed over that have changed after the snapshot; else that is a conflict.
func (r *resolver) share(had []bool, readVersion types.Version, skip bool) error {
	if !skip {
		if err := checkConflict(r.t, r.keys, readVersion); err != nil {
			return err
		}
	}
	exists, err := r.alive()
	if err != nil {
		return err
	}
	for i, l := range r.locks {
		if l != nil && skip && exists[i] && l.wrote == wroteNothing && readVersion != 0 && readVersion < r.t.Version() {
			exists[i] = !r.changed(r.keys[i], readVersion)
		}
		if l != nil && exists[i] {
			continue
		}
		r.resp.Skipped = append(r.resp.Skipped, uint64(i))
		if l != nil && !had[i] {
			r.w.locks.giveBack(r.txn, r.t.ID(), l)
		}
	}
	return nil
}
