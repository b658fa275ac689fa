package scan_test

import (
	"context"
	"testing"

	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/physical"
	"stele/sql/vec"
)

// TestRowThatChanges: a row that was asked for before it is changed, deleted and put anew is found as it is at the version of each question.
func TestRowThatChanges(t *testing.T) {
	s, h, req := newScanner(t)
	tb, _ := h.Tablet(2)
	schema := fetchSchema()
	fragment, err := physical.EncodeFragment(&physical.Fragment{Schema: schema, Columns: []types.ColumnID{1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	row := &vec.Batch{N: 1, Cols: []*vec.Vector{{Type: big, N: 1, I64: []int64{8}}, {Type: big, N: 1, I64: []int64{2}}}}
	key := vec.EncodeKeys(row, []int{0})
	first := types.Version(req.Tablets[1].Version)
	want := map[types.Version]int64{first: 2} // 0 = no row
	look := func() {
		t.Helper()
		for v, n := range want {
			for range 2 { // what is found is kept
				resp, err := s.Get(context.Background(), &bepb.GetRequest{TabletId: 2, Version: uint64(v), Fragment: fragment, Keys: key})
				if err != nil {
					t.Fatal(err)
				}
				got := int64(0)
				for _, batch := range resp.Batches {
					b, err := vec.Decode(batch)
					if err != nil {
						t.Fatal(err)
					}
					got = b.Cols[1].I64[0]
				}
				if got != n {
					t.Errorf("at version %d, of %d: %d, not %d", v, tb.Version(), got, n)
				}
			}
		}
	}
	look()
	for i, n := range []int64{20, 0, 30, 0} {
		op := types.OpPut
		if n == 0 {
			op = types.OpDelete
		}
		row.Cols[1].I64[0] = n
		payload, err := wire.Encode(&schema, []types.RowOp{op}, row)
		if err == nil {
			err = tb.PreparePart(context.Background(), types.TxnID(20+i), 0, payload)
		}
		if err == nil {
			err = tb.Publish(types.TxnID(20+i), tb.Version()+1)
		}
		if err != nil {
			t.Fatal(err)
		}
		want[tb.Version()] = n
		look()
		if err := tb.Flush(); err != nil {
			t.Fatal(err)
		}
		look()
	}
}
