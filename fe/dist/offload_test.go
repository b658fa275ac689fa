package dist_test

import (
	"errors"
	"slices"
	"testing"

	"stele/fe/dist"
	"stele/fe/fakecluster"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/physical"
)

// upper is a plan with a sort above a scan of all tablets.
func (w *world) upper() *physical.Node {
	scan := &physical.Scan{TableID: w.Table, Tablets: w.Tablets,
		Fragment: physical.Fragment{Schema: fakecluster.Schema(w.Table), Columns: []types.ColumnID{1}}}
	return &physical.Node{Sort: &physical.Sort{}, Children: []*physical.Node{{Scan: scan}}}
}

// offload returns what query nodes answer; gone is true when the FE has to run the plan.
func (w *world) offload(plan *physical.Node, txn types.TxnID) (rows []int64, gone bool, err error) {
	s, err := w.scanner.Offload(w.t.Context(), &dist.Query{Snapshot: w.Log.Current(), Txn: txn}, &dist.Upper{Plan: plan, MemLimit: 1 << 20})
	if err != nil || s == nil {
		return nil, s == nil, err
	}
	rows, err = read(s)
	return rows, false, err
}

func answer(rows ...int64) func(*bepb.QueryRequest, bepb.Backend_QueryServer) error {
	return func(_ *bepb.QueryRequest, stream bepb.Backend_QueryServer) error {
		for _, n := range rows {
			if err := stream.Send(&bepb.QueryResponse{Batch: row(n).Batch}); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestOffloadAsksQueryNodes(t *testing.T) {
	w := newWorld(t, 3, 4)
	var got *bepb.QueryRequest
	for _, b := range w.BEs {
		b.Set(func(b *fakecluster.BE) {
			b.OnQuery = func(req *bepb.QueryRequest, stream bepb.Backend_QueryServer) error {
				got = req
				return answer(1, 2, 3)(req, stream)
			}
		})
	}
	if _, gone, err := w.offload(w.upper(), 0); !gone || err != nil {
		t.Fatalf("without query nodes: gone %v, %v", gone, err)
	}
	w.scanner.OnQueryNodes(func() []types.BEID { return []types.BEID{w.BEs[0].ID} })
	rows, _, err := w.offload(w.upper(), 0)
	if err != nil || !slices.Equal(rows, []int64{1, 2, 3}) {
		t.Fatalf("rows %v, %v", rows, err)
	}
	if len(got.Tablets) != len(w.Tablets) || len(got.Addresses) != 3 {
		t.Fatalf("the request names %d tablets and %d addresses", len(got.Tablets), len(got.Addresses))
	}
	for _, place := range got.Tablets {
		if len(place.At) != 3 || place.Version != uint64(w.Tablet(t, types.TabletID(place.TabletId)).Version) {
			t.Errorf("tablet %d at version %d is at %v", place.TabletId, place.Version, place.At)
		}
		for _, b := range w.BEs {
			at := slices.Index(place.At, uint32(slices.Index(got.Addresses, b.Addr)))
			if at >= len(place.Replicas) || !w.meant(b, place.TabletId, place.Replicas[at]) {
				t.Errorf("tablet %d is asked of be %d at %d of %v", place.TabletId, b.ID, at, place.Replicas)
			}
		}
	}
	light := w.upper().Children[0]
	system := &physical.Node{Sort: &physical.Sort{}, Children: []*physical.Node{{System: &physical.System{}}, light}}
	for name, run := range map[string]func() (rows []int64, gone bool, err error){
		"a plain scan":                func() ([]int64, bool, error) { return w.offload(light, 0) },
		"a system table":              func() ([]int64, bool, error) { return w.offload(system, 0) },
		"a transaction that has rows": func() ([]int64, bool, error) { return w.offload(w.upper(), 7) },
	} {
		if _, gone, err := run(); !gone || err != nil {
			t.Errorf("%s went to a query node: %v", name, err)
		}
	}
}

// TestOffloadLosesQueryNodes: what a query node cannot end goes to another one, or back to the FE, and half an answer is none.
func TestOffloadLosesQueryNodes(t *testing.T) {
	w := newWorld(t, 3, 2)
	a, b := w.BEs[0], w.BEs[1]
	w.scanner.OnQueryNodes(func() []types.BEID { return []types.BEID{a.ID, b.ID} })
	dies := func(req *bepb.QueryRequest, stream bepb.Backend_QueryServer) error {
		return errors.Join(answer(1)(req, stream), fakecluster.Unavailable)
	}
	a.Set(func(be *fakecluster.BE) { be.OnQuery = dies })
	b.Set(func(be *fakecluster.BE) { be.OnQuery = answer(5, 6) })
	for range 4 {
		if rows, _, err := w.offload(w.upper(), 0); err != nil || !slices.Equal(rows, []int64{5, 6}) {
			t.Fatalf("with one dying query node: %v, %v", rows, err)
		}
	}
	b.Stop()
	if rows, gone, err := w.offload(w.upper(), 0); !gone || err != nil {
		t.Errorf("with none left: %v, %v", rows, err)
	}
	if w.Probes(b.ID) == 0 {
		t.Error("nobody looks whether the query node that does not answer is alive")
	}
	a.Set(func(be *fakecluster.BE) {
		be.OnQuery = func(*bepb.QueryRequest, bepb.Backend_QueryServer) error {
			return &rpc.Error{Code: 1242, State: "21000", Msg: "Subquery returns more than 1 row"}
		}
	})
	var numbered *rpc.Error
	if _, _, err := w.offload(w.upper(), 0); !errors.As(err, &numbered) || numbered.Code != 1242 {
		t.Errorf("an error of the query itself: %v", err)
	}
	for _, be := range w.BEs {
		w.SetAlive(be.ID, false)
	}
	if _, gone, err := w.offload(w.upper(), 0); !gone || err != nil {
		t.Errorf("tablets that are nowhere: gone %v, %v", gone, err)
	}
}
