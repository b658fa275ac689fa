package txn_test

import (
	"context"
	"errors"
	"testing"

	"stele/fe/fakecluster"
	"stele/fe/txn"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/physical"
	"stele/sql/vec"
)

// findsRows has a leader answer calls of ModifyRows.
func (w *world) findsRows(be int, answer func(*bepb.ModifyRowsRequest) *bepb.ModifyRowsResponse) {
	w.BEs[be].Set(func(b *fakecluster.BE) {
		b.OnRows = func(_ context.Context, req *bepb.ModifyRowsRequest) (*bepb.ModifyRowsResponse, error) {
			return answer(req), nil
		}
	})
}

// rowsOf is a change of rows in some tablets.
func (w *world) rowsOf(tablets ...types.TabletID) txn.RowsChange {
	c := txn.RowsChange{Find: &physical.Fragment{}, Change: &physical.Change{}}
	for _, id := range tablets {
		c.Tablets = append(c.Tablets, txn.TabletWrite{Tablet: id, ReadVersion: 1})
	}
	return c
}

// wroteIn is the answer of a leader that has found three rows and changed two, in one of the tablets.
func wroteIn(req *bepb.ModifyRowsRequest, tablet types.TabletID) *bepb.ModifyRowsResponse {
	resp := &bepb.ModifyRowsResponse{Matched: 3}
	only := &bepb.WriteRequest{}
	for _, p := range req.Write.Parts {
		if p.TabletId == uint64(tablet) {
			only.Parts = append(only.Parts, p)
		}
	}
	resp.Write = fakecluster.Wrote(only)
	resp.Write.Parts[0].Inserted, resp.Write.Parts[0].Replaced = 0, 2
	if req.Write.ExplicitTxn {
		rows := vec.ConcatBatches(put(1, 7)[0].Rows, put(1, 8)[0].Rows)
		resp.Rows = [][]byte{vec.Encode(nil, rows)}
	}
	return resp
}

// TestRowsThatAreNotWritten leave a transaction as it was, whether there were none, the leader left them to the general way, or is too old to know the
// call, or tablets have several leaders.
func TestRowsThatAreNotWritten(t *testing.T) {
	for _, c := range []struct {
		name   string
		bes    int
		answer func(*bepb.ModifyRowsRequest) *bepb.ModifyRowsResponse
		want   error
		out    txn.RowsOutcome
	}{
		{"found and left as they are", 1, func(*bepb.ModifyRowsRequest) *bepb.ModifyRowsResponse {
			return &bepb.ModifyRowsResponse{Matched: 2, Write: &bepb.WriteResponse{}}
		}, nil, txn.RowsOutcome{Matched: 2}},
		{"general", 1, func(*bepb.ModifyRowsRequest) *bepb.ModifyRowsResponse {
			return &bepb.ModifyRowsResponse{General: true, Write: &bepb.WriteResponse{}}
		}, txn.ErrGeneral, txn.RowsOutcome{}},
		{"an old be", 1, nil, txn.ErrGeneral, txn.RowsOutcome{}},
		{"two leaders", 2, nil, txn.ErrGeneral, txn.RowsOutcome{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.bes, 2, types.QuorumOne)
			if c.bes > 1 {
				w.Lead(t, w.Tablets[0], w.BEs[0].ID)
				w.Lead(t, w.Tablets[1], w.BEs[1].ID)
			}
			if c.answer != nil {
				w.findsRows(0, c.answer)
			}
			x := w.begin(false)
			out, err := x.ModifyRows(t.Context(), w.rowsOf(w.Tablets...), lockWait)
			if !errors.Is(err, c.want) || out != c.out || !x.Empty() {
				t.Fatalf("%+v, %v, empty %v", out, err, x.Empty())
			}
			w.write(x, w.Tablets[0], 1) // the general way, in the same transaction
			if err := x.Commit(t.Context()); err != nil {
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

// TestRowsOfSomeTablets: only tablets of which rows were written are part of the transaction.
func TestRowsOfSomeTablets(t *testing.T) {
	w := newWorld(t, 1, 3, types.QuorumOne)
	w.findsRows(0, func(req *bepb.ModifyRowsRequest) *bepb.ModifyRowsResponse { return wroteIn(req, w.Tablets[1]) })
	x := w.begin(false)
	out, err := x.ModifyRows(t.Context(), w.rowsOf(w.Tablets...), lockWait)
	if want := (txn.RowsOutcome{Matched: 3, Counts: txn.Counts{Replaced: 2}}); err != nil || out != want {
		t.Fatalf("%+v, %v", out, err)
	}
	for i, id := range w.Tablets {
		if x.Wrote(id) != (i == 1) {
			t.Errorf("tablet %d of the three is written: %v", i, x.Wrote(id))
		}
	}
	before := w.versions()
	if err := x.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, v := range w.versions() {
		if want := before[i] + types.Version(i%2); v != want {
			t.Errorf("tablet %d has version %d, not %d", i, v, want)
		}
	}
}

func (w *world) versions() (out []types.Version) {
	for _, id := range w.Tablets {
		tab, _ := w.Log.Current().Tablet(id)
		out = append(out, tab.Version)
	}
	return out
}

// TestRowsAreWrittenAgain: under a new leader a transaction writes the rows that the old one had made, compared with the state in which they were found.
func TestRowsAreWrittenAgain(t *testing.T) {
	w := newWorld(t, 3, 1, types.QuorumMajority)
	w.findsRows(0, func(req *bepb.ModifyRowsRequest) *bepb.ModifyRowsResponse { return wroteIn(req, w.Tablets[0]) })
	w.BEs[1].Set(func(b *fakecluster.BE) {
		b.OnWrite = func(_ context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
			resp := fakecluster.Wrote(req)
			resp.Parts[0].Inserted, resp.Parts[0].Replaced = 0, 2
			return resp, nil
		}
	})
	x := w.begin(true)
	if _, err := x.ModifyRows(t.Context(), w.rowsOf(w.Tablets[0]), lockWait); err != nil {
		t.Fatal(err)
	}
	w.Lead(t, w.Tablets[0], w.BEs[1].ID)
	if err := x.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.BEs[1].Seen(func() {
		if len(w.BEs[1].Writes) != 1 {
			t.Fatalf("the new leader got %d writes", len(w.BEs[1].Writes))
		}
		p := w.BEs[1].Writes[0].Parts[0]
		rows, err := vec.Decode(p.Rows)
		if err != nil || rows.N != 2 || rows.Cols[0].I64[1] != 8 || string(p.Ops) != string([]byte{byte(types.OpPut)}) || p.ReadVersion != 1 {
			t.Errorf("%v, %v", p, err)
		}
	})
}

// TestRowsThatAreRefused fail the transaction, as a refused write does.
func TestRowsThatAreRefused(t *testing.T) {
	w := newWorld(t, 1, 2, types.QuorumOne)
	w.findsRows(0, func(req *bepb.ModifyRowsRequest) *bepb.ModifyRowsResponse {
		return &bepb.ModifyRowsResponse{Write: &bepb.WriteResponse{Refusal: bepb.WriteResponse_CONFLICT, RefusedTablet: req.Write.Parts[1].TabletId}}
	})
	x := w.begin(false)
	_, err := x.ModifyRows(t.Context(), w.rowsOf(w.Tablets...), lockWait)
	var refusal *txn.Refusal
	if !errors.As(err, &refusal) || refusal.Code != bepb.WriteResponse_CONFLICT || refusal.Tablet != w.Tablets[1] {
		t.Fatal(err)
	}
	if err := x.Commit(t.Context()); err == nil {
		t.Fatal("what was refused was committed")
	}
}
