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

// modifies has the leader answer calls of Modify: what it writes is row 7.
func (w *world) modifies(answer func(*bepb.ModifyRequest) *bepb.ModifyResponse) {
	w.BEs[0].Set(func(b *fakecluster.BE) {
		b.OnModify = func(_ context.Context, req *bepb.ModifyRequest) (*bepb.ModifyResponse, error) {
			return answer(req), nil
		}
	})
}

func wroteRow(req *bepb.ModifyRequest) *bepb.ModifyResponse {
	resp := &bepb.ModifyResponse{Matched: true, Write: fakecluster.Wrote(&bepb.WriteRequest{Parts: []*bepb.WriteRequest_Part{req.Part}})}
	resp.Write.Parts[0].Inserted, resp.Write.Parts[0].Replaced = 0, 1
	if req.ExplicitTxn {
		resp.Row = vec.Encode(nil, put(1, 7)[0].Rows)
	}
	return resp
}

// TestModifyThatWritesNothing leaves a transaction as it was, whether there was nothing to change, the leader left it to the general
// way, or is too old to know the call.
func TestModifyThatWritesNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(*bepb.ModifyRequest) *bepb.ModifyResponse
		want   error
	}{
		{"no such row", func(*bepb.ModifyRequest) *bepb.ModifyResponse {
			return &bepb.ModifyResponse{Write: &bepb.WriteResponse{}}
		}, nil},
		{"general", func(*bepb.ModifyRequest) *bepb.ModifyResponse {
			return &bepb.ModifyResponse{General: true, Write: &bepb.WriteResponse{}}
		}, txn.ErrGeneral},
		{"an old be", nil, txn.ErrGeneral},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, 1, types.QuorumOne)
			if c.answer != nil {
				w.modifies(c.answer)
			}
			x := w.begin(false)
			out, err := x.Modify(context.Background(), txn.RowChange{Tablet: w.Tablets[0], Key: []byte("k")}, lockWait)
			if !errors.Is(err, c.want) || out != (txn.RowOutcome{}) || !x.Empty() {
				t.Fatalf("%+v, %v, empty %v", out, err, x.Empty())
			}
			w.write(x, w.Tablets[0], 1) // the general way, in the same transaction
			if err := x.Commit(context.Background()); err != nil {
				t.Fatal(err)
			}
			w.BEs[0].Seen(func() {
				if len(w.BEs[0].Writes) != 1 || w.BEs[0].Writes[0].Parts[0].Seq != 0 {
					t.Errorf("the part that follows is not the first: %v", w.BEs[0].Writes)
				}
			})
		})
	}
}

// TestModifyIsWrittenAgain: under a new leader a transaction writes the row that the old one had made of it.
func TestModifyIsWrittenAgain(t *testing.T) {
	w := newWorld(t, 3, 1, types.QuorumMajority)
	w.modifies(wroteRow)
	w.BEs[1].Set(func(b *fakecluster.BE) {
		b.OnWrite = func(_ context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
			resp := fakecluster.Wrote(req)
			resp.Parts[0].Inserted, resp.Parts[0].Replaced = 0, 1
			return resp, nil
		}
	})
	x := w.begin(true)
	out, err := x.Modify(context.Background(), txn.RowChange{Tablet: w.Tablets[0], Key: []byte("k"), ReadVersion: 1}, lockWait)
	if err != nil || out != (txn.RowOutcome{Matched: true, Counts: txn.Counts{Replaced: 1}}) {
		t.Fatalf("%+v, %v", out, err)
	}
	w.Lead(t, w.Tablets[0], w.BEs[1].ID)
	if err := x.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.BEs[1].Seen(func() {
		if len(w.BEs[1].Writes) != 1 {
			t.Fatalf("the new leader got %d writes", len(w.BEs[1].Writes))
		}
		p := w.BEs[1].Writes[0].Parts[0]
		row, err := vec.Decode(p.Rows)
		if err != nil || row.Cols[0].I64[0] != 7 || string(p.Ops) != string([]byte{byte(types.OpPut)}) || p.ReadVersion != 1 {
			t.Errorf("%v, %v", p, err)
		}
	})
}

// TestModifyIsComparedWithWhatWasRead: when a row is written again it is compared with the version at which the leader read it, whether this
// FE was behind then or has seen more since.
func TestModifyIsComparedWithWhatWasRead(t *testing.T) {
	for _, read := range []uint64{1, 9} {
		w := newWorld(t, 1, 1, types.QuorumOne)
		first := w.begin(false)
		w.write(first, w.Tablets[0], 1)
		if err := first.Commit(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.modifies(func(req *bepb.ModifyRequest) *bepb.ModifyResponse {
			resp := wroteRow(req)
			resp.Version = read
			return resp
		})
		var again []uint64
		w.BEs[0].Set(func(b *fakecluster.BE) {
			b.OnWrite = func(_ context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
				again = append(again, req.Parts[0].ReadVersion)
				resp := fakecluster.Wrote(req)
				resp.Parts[0].Inserted, resp.Parts[0].Replaced = 0, 1
				return resp, nil
			}
		})
		x := w.begin(true)
		change := txn.RowChange{Tablet: w.Tablets[0], Key: []byte("k"), ReadVersion: 1, Newest: true}
		if _, err := x.Modify(context.Background(), change, lockWait); err != nil {
			t.Fatal(err)
		}
		mark := x.Mark()
		if _, err := x.Modify(context.Background(), change, lockWait); err != nil {
			t.Fatal(err)
		}
		if err := x.RollbackTo(context.Background(), mark); err != nil {
			t.Fatal(err)
		}
		if len(again) != 1 || again[0] != read {
			t.Errorf("read at version %d, written again with what was read at %v", read, again)
		}
	}
}

// TestModifyThatIsRefused fails the transaction, as a refused write does.
func TestModifyThatIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1, types.QuorumOne)
	w.modifies(func(req *bepb.ModifyRequest) *bepb.ModifyResponse {
		return &bepb.ModifyResponse{Write: &bepb.WriteResponse{Refusal: bepb.WriteResponse_LOCK_TIMEOUT, RefusedTablet: req.Part.TabletId}}
	})
	x := w.begin(false)
	_, err := x.Modify(context.Background(), txn.RowChange{Tablet: w.Tablets[0], Key: []byte("k")}, lockWait)
	var refusal *txn.Refusal
	if !errors.As(err, &refusal) || refusal.Code != bepb.WriteResponse_LOCK_TIMEOUT {
		t.Fatal(err)
	}
	if err := x.Commit(context.Background()); err == nil {
		t.Fatal("what was refused was committed")
	}
}
