package write

import (
	"context"
	"slices"
	"testing"

	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

// TestLeastLarge: few rows are large only in a write that is flushed in any case.
func TestLeastLarge(t *testing.T) {
	part := func(bytes int, carried uint32) *bepb.WriteRequest_Part {
		return &bepb.WriteRequest_Part{Rows: make([]byte, bytes), RedoBytes: carried}
	}
	for name, c := range map[string]struct {
		parts []*bepb.WriteRequest_Part
		want  int
	}{
		"one that the commit carries":       {[]*bepb.WriteRequest_Part{part(20<<10, 16<<10)}, largeRows},
		"one that it does not":              {[]*bepb.WriteRequest_Part{part(40<<10, 16<<10)}, manyRows},
		"several that are too much of it":   {[]*bepb.WriteRequest_Part{part(20<<10, 16<<10), part(20<<10, 16<<10)}, manyRows},
		"several that it carries":           {[]*bepb.WriteRequest_Part{part(10<<10, 16<<10), part(10<<10, 16<<10)}, largeRows},
		"nothing is carried":                {[]*bepb.WriteRequest_Part{part(100, 0)}, manyRows},
		"a part of a tablet that is stored": {[]*bepb.WriteRequest_Part{part(10<<10, 0), part(10<<10, 16<<10)}, largeRows},
	} {
		if got := leastLarge(c.parts); got != c.want {
			t.Errorf("%s: %d rows, want %d", name, got, c.want)
		}
	}
}

// TestWriteOfAnEndedTransaction: a transaction that was ended while its statement goes on has lost, as against another one: the statement may be
// run again, which a failure of any other kind would forbid.
func TestWriteOfAnEndedTransaction(t *testing.T) {
	o := newOneTablet(t)
	txn := o.begin()
	if err := o.w.Abort(txn, 0, 5); err != nil {
		t.Fatal(err)
	}
	row := &vec.Batch{N: 1, Cols: []*vec.Vector{{Type: bigint, N: 1, I64: []int64{1}}, {Type: narrow, N: 1, I64: []int64{2}}}}
	resp := o.w.Write(context.Background(), &bepb.WriteRequest{TxnId: uint64(txn), LockWaitMs: 5000, Parts: []*bepb.WriteRequest_Part{
		{TabletId: 5, Epoch: 1, MinVersion: 1, ReplicaId: 50, Rows: vec.Encode(nil, row), Ops: []byte{byte(types.OpInsert)}}}})
	if resp.Refusal != bepb.WriteResponse_CONFLICT {
		t.Fatal(resp)
	}
}

// TestLargePartOfASnapshot: the rows of an UPDATE go the large way, and lose against what has changed since they were read.
func TestLargePartOfASnapshot(t *testing.T) {
	o := newOneTablet(t)
	const n = largeRows
	put := func(txn types.TxnID, read types.Version, value int64) *bepb.WriteResponse {
		rows := &vec.Batch{N: n, Cols: []*vec.Vector{{Type: bigint, N: n}, {Type: narrow, N: n}}}
		for i := range int64(n) {
			rows.Cols[0].I64 = append(rows.Cols[0].I64, n-i)
			rows.Cols[1].I64 = append(rows.Cols[1].I64, value)
		}
		return o.w.Write(context.Background(), &bepb.WriteRequest{TxnId: uint64(txn), LockWaitMs: 5000, Parts: []*bepb.WriteRequest_Part{
			{TabletId: 5, Epoch: 1, MinVersion: 1, ReplicaId: 50, ReadVersion: uint64(read), Rows: vec.Encode(nil, rows),
				Ops: slices.Repeat([]byte{byte(types.OpPut)}, n)}}})
	}
	o.put(t, n+1, 1) // apart
	o.put(t, 7, 1)
	read := o.t.Version()
	first := o.begin()
	resp := put(first, read, 2)
	if resp.Refusal != 0 || resp.Parts[0].Replaced != 1 || resp.Parts[0].Inserted != n-1 || len(o.w.locks.large[5]) != 1 {
		t.Fatalf("%v, %d large locks", resp, len(o.w.locks.large[5]))
	}
	o.commit(t, first)

	second := o.begin()
	if resp := put(second, read, 3); resp.Refusal != bepb.WriteResponse_CONFLICT {
		t.Fatalf("rows that have changed since they were read: %v", resp)
	}
	if err := o.w.Abort(second, 0, 5); err != nil {
		t.Fatal(err)
	}
	o.put(t, n+1, 4)
	third := o.begin()
	if resp := put(third, o.t.Version()-1, 5); resp.Refusal != 0 || resp.Parts[0].Replaced != n {
		t.Fatalf("rows beside one that has changed: %v", resp)
	}
	o.commit(t, third)
	for _, id := range []int64{1, 7, n} {
		if got, ok := o.value(t, id); !ok || got != 5 {
			t.Fatalf("row %d is %d, %v", id, got, ok)
		}
	}
}
