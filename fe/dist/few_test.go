package dist_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"stele/fe/dist"
	"stele/fe/fakecluster"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/physical"
)

// fetched is what serve sends, in one answer.
func fetched(req *bepb.ScanRequest) (*bepb.GetResponse, error) {
	resp := &bepb.GetResponse{}
	for k := range int64(2) {
		for _, t := range req.Tablets {
			resp.Batches = append(resp.Batches, row(int64(t.TabletId)*10+k).Batch)
		}
	}
	return resp, nil
}

// TestFewRows: a scan of few rows is one call, and whatever comes between has each row come once all the same.
func TestFewRows(t *testing.T) {
	fails := func(err error) func(*bepb.ScanRequest) (*bepb.GetResponse, error) {
		return func(*bepb.ScanRequest) (*bepb.GetResponse, error) { return nil, err }
	}
	large := func(*bepb.ScanRequest) (*bepb.GetResponse, error) { return &bepb.GetResponse{Large: true}, nil }
	for _, c := range []struct {
		name  string
		first func(*bepb.ScanRequest) (*bepb.GetResponse, error) // of two of the three BEs
		last  func(*bepb.ScanRequest) (*bepb.GetResponse, error)
		once  bool // no other call is made
	}{
		{"served", fetched, fetched, true},
		{"of a release before", nil, nil, false},
		{"some of a release before", nil, fetched, false},
		{"large", large, large, false},
		{"large here", large, fetched, false},
		{"dead", fails(fakecluster.Unavailable), fetched, false},
		{"behind", fails(fakecluster.Behind), fetched, false},
		{"gone", fails(fakecluster.Gone), fetched, false},
		{"corrupt", fails(fakecluster.Corrupt), fetched, false},
		{"no replica", fails(fakecluster.NoReplica), nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 3, 4)
			var calls atomic.Int64
			counted := func(f func(*bepb.ScanRequest) (*bepb.GetResponse, error)) func(*bepb.ScanRequest) (*bepb.GetResponse, error) {
				if f == nil {
					return nil
				}
				return func(req *bepb.ScanRequest) (*bepb.GetResponse, error) {
					calls.Add(1)
					return f(req)
				}
			}
			for i, b := range w.BEs {
				f := counted(c.first)
				if i == 2 {
					f = counted(c.last)
				}
				b.Set(func(b *fakecluster.BE) {
					b.OnFetch = f
					b.OnScan = func(req *bepb.ScanRequest, stream bepb.Backend_ScanServer) error {
						calls.Add(1)
						return serve(req, stream)
					}
				})
			}
			scan := &physical.Scan{TableID: w.Table, Tablets: w.Tablets,
				Fragment: physical.Fragment{Schema: fakecluster.Schema(w.Table), Columns: []types.ColumnID{1}, Limit: 100}}
			s, err := w.scanner.Scan(context.Background(), &dist.Query{Snapshot: w.Log.Current()}, scan)
			if err != nil {
				t.Fatal(err)
			}
			got, err := read(s)
			if err != nil || !slices.Equal(got, w.want()) {
				t.Errorf("got %v, %v, want %v", got, err, w.want())
			}
			if n := calls.Load(); c.once && n != 1 {
				t.Errorf("%d calls", n)
			}
		})
	}
}

// TestFewOwnRows: the rows that a transaction has written come from their leader, which alone is told of the transaction.
func TestFewOwnRows(t *testing.T) {
	w := newWorld(t, 3, 4)
	own := w.Tablets[:2]
	q := &dist.Query{Snapshot: w.Log.Current(), Txn: 77, Leads: func(id types.TabletID) (types.BEID, types.Epoch, bool) {
		return w.BEs[0].ID, 1, slices.Contains(own, id)
	}}
	for _, b := range w.BEs {
		b.Set(func(b *fakecluster.BE) {
			b.OnFetch = func(req *bepb.ScanRequest) (*bepb.GetResponse, error) {
				for _, rt := range req.Tablets {
					mine := slices.Contains(own, types.TabletID(rt.TabletId))
					if mine != (req.TxnId == 77) || mine && b != w.BEs[0] {
						t.Errorf("be %d was asked for tablet %d of txn %d", b.ID, rt.TabletId, req.TxnId)
					}
				}
				return fetched(req)
			}
			b.OnScan = func(*bepb.ScanRequest, bepb.Backend_ScanServer) error {
				t.Error("scanned")
				return nil
			}
		})
	}
	scan := &physical.Scan{TableID: w.Table, Tablets: w.Tablets,
		Fragment: physical.Fragment{Schema: fakecluster.Schema(w.Table), Columns: []types.ColumnID{1}, Limit: 100}}
	s, err := w.scanner.Scan(context.Background(), q, scan)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := read(s); err != nil || !slices.Equal(got, w.want()) {
		t.Errorf("got %v, %v, want %v", got, err, w.want())
	}
	w.Lead(t, own[0], w.BEs[1].ID)
	s, err = w.scanner.Scan(context.Background(), &dist.Query{Snapshot: w.Log.Current(), Txn: 77, Leads: q.Leads}, scan)
	if err != nil {
		t.Fatal(err)
	}
	var lost *dist.LostRowsError
	if _, err := read(s); !errors.As(err, &lost) || lost.Tablet != own[0] {
		t.Errorf("after a change of leader: %v, want the loss of the own rows", err)
	}
}
