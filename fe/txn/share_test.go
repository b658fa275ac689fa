package txn_test

import (
	"context"
	"errors"
	"testing"

	"stele/fe/fakecluster"
	"stele/fe/txn"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

// shareOf is a part that locks one row of a tablet shared.
func shareOf(id types.TabletID, key int64) txn.TabletWrite {
	k := vec.New(types.ColumnType{Kind: types.KindBigInt, NotNull: true}, 1)
	k.I64[0] = key
	return txn.ShareRows(id, &vec.Batch{Cols: []*vec.Vector{k}, N: 1})
}

// lacking has a BE miss the row of those parts that share rows for which which says so, by their number among such parts.
func lacking(be *fakecluster.BE, which func(nth int) bool) {
	be.Set(func(b *fakecluster.BE) {
		b.OnWrite = func(_ context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
			resp, nth := fakecluster.Wrote(req), 0
			for i, p := range req.Parts {
				if len(p.Ops) != 1 || types.RowOp(p.Ops[0]) != types.OpShare {
					continue
				}
				resp.Parts[i] = &bepb.WriteResponse_Part{TabletId: p.TabletId}
				if which(nth) {
					resp.Parts[i].Skipped = []uint64{0}
				}
				nth++
			}
			return resp, nil
		}
	})
}

// TestMissedRowOfFailedWrite: a row that one BE misses is forgotten with the write, if another BE is what it fails for.
func TestMissedRowOfFailedWrite(t *testing.T) {
	w := newWorld(t, 2, 4, types.QuorumOne)
	first, second, writes := w.twoLeaders()
	lacking(second, func(int) bool { return true })
	x := w.begin(true)
	if _, err := x.Write(context.Background(), writes[:1], lockWait); err != nil {
		t.Fatal(err)
	}
	mark := x.Mark()
	first.Set(func(b *fakecluster.BE) {
		b.OnWrite = func(_ context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
			return &bepb.WriteResponse{Refusal: bepb.WriteResponse_DUPLICATE_KEY, RefusedTablet: req.Parts[0].TabletId}, nil
		}
	})
	_, err := x.Write(context.Background(), append(put(writes[0].Tablet, 7), shareOf(writes[1].Tablet, 1)), lockWait)
	var refusal *txn.Refusal
	if !errors.As(err, &refusal) || refusal.Code != bepb.WriteResponse_DUPLICATE_KEY {
		t.Fatalf("got %v", err)
	}
	first.Set(func(b *fakecluster.BE) { b.OnWrite = nil })
	if err := x.RollbackTo(context.Background(), mark); err != nil {
		t.Fatalf("back to before the statement that failed: %v", err)
	}
	if err := x.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// TestMissedRowIsOfItsWrite: two parts may share rows of one tablet, as those of two foreign keys to one table do.
func TestMissedRowIsOfItsWrite(t *testing.T) {
	w := newWorld(t, 1, 1, types.QuorumOne)
	for missed := range 2 {
		lacking(w.BEs[0], func(nth int) bool { return nth == missed })
		x := w.begin(true)
		writes := append(put(w.Tablets[0], 1), shareOf(w.Tablets[0], 2), shareOf(w.Tablets[0], 3))
		_, err := x.Write(context.Background(), writes, lockWait)
		var missing *txn.MissingError
		if !errors.As(err, &missing) || missing.Write != 1+missed || missing.Row != 0 {
			t.Errorf("the row of part %d is missed: %v", 1+missed, err)
		}
		if err := x.Rollback(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}
