package write

import (
	"context"
	"testing"

	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

// shareOne shares a row in a transaction, as it is at a snapshot if it passes over what is not free.
func (o *oneTablet) shareOne(t *testing.T, txn types.TxnID, id int64, skipAt types.Version) *bepb.WriteResponse {
	t.Helper()
	keys := &vec.Batch{N: 1, Cols: []*vec.Vector{{Type: bigint, N: 1, I64: []int64{id}}}}
	part := &bepb.WriteRequest_Part{TabletId: 5, Epoch: 1, MinVersion: 1, ReplicaId: 50, ReadVersion: uint64(skipAt), Ops: []byte{byte(types.OpShare)},
		Rows: vec.Encode(nil, keys)}
	resp := o.w.Write(context.Background(), &bepb.WriteRequest{TxnId: uint64(txn), Parts: []*bepb.WriteRequest_Part{part}, LockWaitMs: 1, ExplicitTxn: true,
		SkipLocked: skipAt != 0})
	if resp.Refusal != 0 {
		t.Fatalf("share row %d: %v", id, resp)
	}
	return resp
}

// others reports whether another transaction gets a row, which it then gives back.
func (o *oneTablet) others(t *testing.T, id int64) bool {
	t.Helper()
	txn := o.begin()
	locks, err := o.w.locks.acquireFree(txn, 5, [][]byte{keyOf(id)})
	if err != nil {
		t.Fatal(err)
	}
	o.w.locks.release(txn, 5)
	return locks[0] != nil
}

// TestSharedRowStaysShared: what a later statement of the transaction finds that it need not lock, or may not, was shared before and stays so.
func TestSharedRowStaysShared(t *testing.T) {
	o := newOneTablet(t)
	ctx := context.Background()
	unchanged := func(txn types.TxnID) { // an UPDATE whose condition does not hold
		req := request(txn, plus(1, -100), 1)
		req.ExplicitTxn = true
		if resp := o.w.Modify(ctx, req); resp.General || resp.Matched {
			t.Fatalf("update: %v", resp)
		}
	}
	ignored := func(txn types.TxnID) { // the row is there: it is locked and left as it is
		row := &vec.Batch{N: 1, Cols: []*vec.Vector{{Type: bigint, N: 1, I64: []int64{1}}, {Type: narrow, N: 1, I64: []int64{3}}}}
		part := &bepb.WriteRequest_Part{TabletId: 5, Epoch: 1, MinVersion: 1, ReplicaId: 50, Ops: []byte{byte(types.OpInsertIgnore)}, Rows: vec.Encode(nil, row)}
		resp := o.w.Write(ctx, &bepb.WriteRequest{TxnId: uint64(txn), Parts: []*bepb.WriteRequest_Part{part}, LockWaitMs: 1, ExplicitTxn: true})
		if resp.Refusal != 0 || resp.Parts[0].Ignored != 1 {
			t.Fatalf("insert: %v", resp)
		}
	}
	o.put(t, 1, 7)
	old := o.t.Version()
	o.put(t, 1, 8)
	for name, run := range map[string]func(types.TxnID){
		"shared, not updated":              func(x types.TxnID) { o.shareOne(t, x, 1, 0); unchanged(x) },
		"ignored, shared, not updated":     func(x types.TxnID) { ignored(x); o.shareOne(t, x, 1, 0); unchanged(x) },
		"shared, ignored, not updated":     func(x types.TxnID) { o.shareOne(t, x, 1, 0); ignored(x); unchanged(x) },
		"shared, too new for SKIP LOCKED":  func(x types.TxnID) { o.shareOne(t, x, 1, 0); o.shareOne(t, x, 1, old) },
		"ignored, shared, too new, let be": func(x types.TxnID) { ignored(x); o.shareOne(t, x, 1, 0); o.shareOne(t, x, 1, old); unchanged(x) },
	} {
		x := o.begin()
		run(x)
		if o.others(t, 1) {
			t.Errorf("%s: another transaction may write the row", name)
		}
		if err := o.w.Abort(x, 0, 5); err != nil {
			t.Fatal(err)
		}
		if !o.others(t, 1) || o.w.locks.count != 0 {
			t.Errorf("%s: %d locks stay", name, o.w.locks.count)
		}
	}
	x := o.begin()
	if resp := o.shareOne(t, x, 1, old); len(resp.Parts[0].Skipped) != 1 || o.w.locks.count != 0 {
		t.Errorf("a row that is newer than the snapshot: %v, %d locks", resp, o.w.locks.count)
	}
	if resp := o.shareOne(t, x, 2, 0); len(resp.Parts[0].Skipped) != 1 || o.w.locks.count != 0 {
		t.Errorf("a row that is not there: %v, %d locks", resp, o.w.locks.count)
	}
}
