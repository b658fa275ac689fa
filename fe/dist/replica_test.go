package dist_test

import (
	"errors"
	"slices"
	"testing"

	"stele/fe/dist"
	"stele/fe/fakecluster"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/physical"
)

// meant reports whether a call names the replica that the catalog has on a BE.
func (w *world) meant(b *fakecluster.BE, tablet, replica uint64) bool {
	tab, ok := w.Log.Current().Tablet(types.TabletID(tablet))
	return ok && uint64(tab.Replica(b.ID).ID) == replica
}

// TestReadsNameTheReplica: BEs that refuse to read any other one, two of which have others than the catalog means, so that the third serves all.
func TestReadsNameTheReplica(t *testing.T) {
	for name, f := range map[string]physical.Fragment{
		"each tablet for itself": {}, "all of a be together": {Agg: &physical.Agg{}}, "few rows": {Limit: 100},
	} {
		w := newWorld(t, 3, 4)
		for i, b := range w.BEs {
			refuses := func(req *bepb.ScanRequest) bool {
				return i < 2 || slices.ContainsFunc(req.Tablets, func(rt *bepb.ScanRequest_Tablet) bool { return !w.meant(b, rt.TabletId, rt.ReplicaId) })
			}
			b.Set(func(b *fakecluster.BE) {
				b.OnScan = func(req *bepb.ScanRequest, stream bepb.Backend_ScanServer) error {
					if refuses(req) {
						return fakecluster.Behind
					}
					return serve(req, stream)
				}
				b.OnFetch = func(req *bepb.ScanRequest) (*bepb.GetResponse, error) {
					if refuses(req) {
						return nil, fakecluster.Behind
					}
					return fetched(req)
				}
			})
		}
		f.Schema, f.Columns = fakecluster.Schema(w.Table), []types.ColumnID{1}
		s, err := w.scanner.Scan(t.Context(), &dist.Query{Snapshot: w.Log.Current()}, &physical.Scan{TableID: w.Table, Tablets: w.Tablets, Fragment: f})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read(s); err != nil || !slices.Equal(got, w.want()) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// TestRowNamesTheReplica: the BE that is asked by chance serves it, or, where it has another replica, nobody: the caller scans then.
func TestRowNamesTheReplica(t *testing.T) {
	w := newWorld(t, 3, 1)
	other := false
	for _, b := range w.BEs {
		b.Set(func(b *fakecluster.BE) {
			b.OnGet = func(req *bepb.GetRequest) (*bepb.GetResponse, error) {
				if other || !w.meant(b, req.TabletId, req.ReplicaId) {
					return nil, fakecluster.Behind
				}
				return &bepb.GetResponse{Batches: [][]byte{row(7).Batch}}, nil
			}
		})
	}
	for range 20 {
		if got, err := w.scanner.Row(t.Context(), w.Log.Current(), w.Tablets[0], nil, []byte{1}); err != nil || got.Cols[0].I64[0] != 7 {
			t.Fatalf("%v, %v", got, err)
		}
	}
	other = true
	if got, err := w.scanner.Row(t.Context(), w.Log.Current(), w.Tablets[0], nil, []byte{1}); err == nil || errors.Is(err, dist.ErrNoRowAnswer) {
		t.Fatalf("%v, %v", got, err)
	}
}
