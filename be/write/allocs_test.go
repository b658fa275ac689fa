package write

import (
	"context"
	"testing"

	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

// TestAllocations bounds what an INSERT of one row and an UPDATE of one by its key allocate on a BE, until they are visible. It was 52 and
// 60 before parts, locks and pending rows were one piece of memory each; what counts is that nobody adds to each statement.
func TestAllocations(t *testing.T) {
	const runs = 2000
	o := newOneTablet(t)
	insert := make([]*bepb.WriteRequest, 0, runs+1)
	update := make([]*bepb.ModifyRequest, 0, runs+1)
	for i := range cap(insert) {
		row := &vec.Batch{N: 1, Cols: []*vec.Vector{{Type: bigint, N: 1, I64: []int64{int64(i)}}, {Type: narrow, N: 1, I64: []int64{0}}}}
		part := &bepb.WriteRequest_Part{TabletId: 5, Epoch: 1, MinVersion: 1, ReplicaId: 50, LeaderStartMs: 1, RedoBytes: 1 << 20}
		insert = append(insert, &bepb.WriteRequest{TxnId: uint64(o.begin()), LockWaitMs: 5000, Parts: []*bepb.WriteRequest_Part{part}})
		part.Ops, part.Rows = []byte{byte(types.OpInsert)}, vec.Encode(nil, row)
	}
	for i := range cap(update) {
		change := plus(1, 100)
		change.Lasting = true // as those of statements whose plan is kept
		req := request(o.begin(), change, int64(i))
		req.Part.LeaderStartMs, req.Part.RedoBytes = 1, 1<<20
		update = append(update, req)
	}
	items := []*bepb.PublishRequest_Item{{TabletId: 5, Parts: 1}}
	publish := func(txn uint64) {
		items[0].TxnId, items[0].Version = txn, uint64(o.t.Version())+1
		o.w.Publish(context.Background(), items)
	}
	at, failed := 0, ""
	inserted := testing.AllocsPerRun(runs, func() {
		o.w.Lead(context.Background(), insert[at], func(resp *bepb.WriteResponse) {
			if len(resp.Parts) != 1 || len(resp.Parts[0].Redo) == 0 {
				failed = resp.String()
			}
		})
		publish(insert[at].TxnId)
		at++
	})
	at = 0
	updated := testing.AllocsPerRun(runs, func() {
		o.w.LeadModify(context.Background(), update[at], func(resp *bepb.ModifyResponse) {
			if !resp.Matched || len(resp.Write.Parts) != 1 {
				failed = resp.String()
			}
		})
		publish(update[at].TxnId)
		at++
	})
	if n, ok := o.value(t, runs); failed != "" || !ok || n != 1 {
		t.Fatalf("the last row is %d, %v; %s", n, ok, failed)
	}
	t.Logf("%.0f allocations an INSERT, %.0f an UPDATE", inserted, updated)
	if inserted > 33 || updated > 47 {
		t.Errorf("%.0f allocations an INSERT, %.0f an UPDATE", inserted, updated)
	}
}
