package scan_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"stele/be/host"
	"stele/be/peer"
	"stele/be/scan"
	"stele/be/tablet"
	"stele/be/tablet/wire"
	"stele/be/write"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

var big = types.ColumnType{Kind: types.KindBigInt, NotNull: true}

func fetchSchema() types.Schema {
	return types.Schema{TableID: 1, Version: 1, Key: []types.ColumnID{1}, Columns: []types.Column{
		{ID: 1, Name: "id", Type: big}, {ID: 2, Name: "n", Type: big}}}
}

// perTablet is how many rows each of the tablets 1, 2 and 3 has; row i of tablet t has key 3i+t.
const perTablet = 5000

// newScanner returns a scanner over three tablets, the rows of the first of which are in memory, their host, and the request for all of them.
func newScanner(t *testing.T) (*scan.Scanner, *host.Host, *bepb.ScanRequest) {
	log := slog.New(slog.DiscardHandler)
	h := host.New([]host.Root{{Path: t.TempDir()}}, log, func(_ host.Root, c types.ClusterID) tablet.Options {
		return tablet.Options{ClusterID: c, Small: true, NoBackground: true, FloodBytes: 1, FloodPercent: 1}
	})
	if err := h.Join("one", 1); err != nil {
		t.Fatal(err)
	}
	peers := peer.New(rpc.NewCluster("one"))
	w := write.New(h, peers, write.Options{ReplicateTimeout: time.Second, VersionWait: time.Second}, log)
	t.Cleanup(func() {
		w.Close()
		_ = peers.Close()
		_ = h.Close()
	})
	req := &bepb.ScanRequest{MemLimitBytes: 1 << 20}
	for id := types.TabletID(1); id <= 3; id++ {
		tb, err := h.Disks()[0].Store.Create(tablet.Meta{Tablet: id, Table: 1, Partition: 1, Replica: types.ReplicaID(id), Schema: fetchSchema(), Epoch: 1})
		if err != nil {
			t.Fatal(err)
		}
		b := &vec.Batch{N: perTablet, Cols: []*vec.Vector{vec.New(big, perTablet), vec.New(big, perTablet)}}
		for i := range perTablet {
			b.Cols[0].I64[i], b.Cols[1].I64[i] = int64(3*i)+int64(id), int64(i)
		}
		schema := fetchSchema()
		payload, err := wire.Encode(&schema, make([]types.RowOp, perTablet), b)
		if err == nil {
			err = tb.PreparePart(context.Background(), 9, 0, payload)
		}
		if err == nil {
			err = tb.Publish(9, tb.Version()+1)
		}
		if err == nil && id > 1 {
			err = tb.Flush()
		}
		if err != nil {
			t.Fatal(err)
		}
		req.Tablets = append(req.Tablets, &bepb.ScanRequest_Tablet{TabletId: uint64(id), Version: uint64(tb.Version())})
	}
	return scan.New(h, w), h, req
}

func between(lo, hi int64) *expr.Node {
	bound := func(op string, x int64) *expr.Node {
		return &expr.Node{Kind: expr.NodeCall, Func: op, Type: types.ColumnType{Kind: types.KindBool}, Args: []*expr.Node{
			{Kind: expr.NodeColumn, Type: big}, {Kind: expr.NodeConst, Type: big, Value: expr.Value{I: x}}}}
	}
	return &expr.Node{Kind: expr.NodeCall, Func: "and", Type: types.ColumnType{Kind: types.KindBool}, Args: []*expr.Node{bound(">=", lo), bound("<=", hi)}}
}

// TestFetch: what takes few rows comes in one answer, the same as by Scan, and what takes many is left to that.
func TestFetch(t *testing.T) {
	s, _, req := newScanner(t)
	keys := vec.EncodeKeys(&vec.Batch{N: 2, Cols: []*vec.Vector{{Type: big, N: 2, I64: []int64{7, 8}}}}, []int{0})
	for _, c := range []struct {
		name  string
		f     physical.Fragment
		rows  int
		large bool
	}{
		{"a range", physical.Fragment{Filter: between(1000, 1099)}, 100, false},
		{"a range of one", physical.Fragment{Filter: between(1000, 1000)}, 1, false},
		{"an empty range", physical.Fragment{Filter: between(1000, 999)}, 0, false},
		{"beyond all", physical.Fragment{Filter: between(1<<40, 1<<41)}, 0, false},
		{"keys", physical.Fragment{Keys: keys}, 2, false},
		{"keys with their tablets", physical.Fragment{Keys: keys, Homes: []types.TabletID{1, 2}}, 2, false},
		{"a key is not sought elsewhere", physical.Fragment{Keys: keys, Homes: []types.TabletID{1, 3}}, 1, false},
		{"a limit", physical.Fragment{Limit: 10}, 10, false},
		{"most of it", physical.Fragment{Filter: between(100, 1<<40)}, 3*perTablet - 99, true},
		{"all", physical.Fragment{}, 3 * perTablet, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.f.Schema, c.f.Columns = fetchSchema(), []types.ColumnID{1, 2}
			encoded, err := physical.EncodeFragment(&c.f)
			if err != nil {
				t.Fatal(err)
			}
			req.Fragment = encoded
			var streamed [][]byte
			if err := s.Scan(context.Background(), req, func(b []byte) error { streamed = append(streamed, b); return nil }); err != nil {
				t.Fatal(err)
			}
			resp, err := s.Fetch(context.Background(), req)
			if err != nil || resp.Large != c.large {
				t.Fatalf("large is %v, %v", resp.GetLarge(), err)
			}
			want := rowsOf(t, streamed)
			if len(want) != c.rows {
				t.Errorf("%d rows by Scan, want %d", len(want), c.rows)
			}
			if got := rowsOf(t, resp.Batches); !c.large && !slices.Equal(got, want) {
				t.Errorf("%v by Fetch, %v by Scan", got, want)
			}
		})
	}
}

// TestPagesReadShares: the first rows of several tablets are read as each has them, not all of them in each.
func TestPagesReadShares(t *testing.T) {
	for _, limit := range []int64{900, 3000} {
		pageReadsShares(t, limit, false)
		pageReadsShares(t, limit, true)
	}
}

// pageReadsShares asks two tablets for the first rows, or the last.
func pageReadsShares(t *testing.T, limit int64, desc bool) {
	t.Helper()
	s, h, req := newScanner(t)
	req.Tablets = req.Tablets[1:] // those in rowsets
	f := physical.Fragment{Schema: fetchSchema(), Columns: []types.ColumnID{1, 2},
		TopN: &physical.Sort{Keys: []expr.SortKey{{Expr: &expr.Node{Kind: expr.NodeColumn, Type: big}, Desc: desc}}, Limit: limit}}
	var err error
	if req.Fragment, err = physical.EncodeFragment(&f); err != nil {
		t.Fatal(err)
	}
	before := h.Disks()[0].Store.Counters().RowsPicked
	resp, err := s.Fetch(context.Background(), req)
	if err != nil || resp.Large {
		t.Fatal(resp.GetLarge(), err)
	}
	if picked := h.Disks()[0].Store.Counters().RowsPicked - before; picked < limit || picked > limit*3/2 {
		t.Errorf("%d rows are read for the first %d", picked, limit)
	}
	var all []string
	for i := range perTablet {
		for id := 2; id <= 3; id++ {
			all = append(all, fmt.Sprint(3*i+id, " ", i))
		}
	}
	want := all[:limit]
	if desc {
		want = all[int64(len(all))-limit:]
	}
	slices.Sort(want)
	if got := rowsOf(t, resp.Batches); !slices.Equal(got, want) {
		t.Errorf("desc %v: %d rows, want %d", desc, len(got), len(want))
	}
}

func rowsOf(t *testing.T, batches [][]byte) (rows []string) {
	for _, encoded := range batches {
		b, err := vec.Decode(encoded)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Rows() {
			rows = append(rows, fmt.Sprint(b.Cols[0].I64[b.Row(i)], " ", b.Cols[1].I64[b.Row(i)]))
		}
	}
	slices.Sort(rows)
	return rows
}

// TestOwnRowsAreThereOrRefused: who asks for rows of a transaction that this process does not have, as it led the tablet before it was started anew,
// hears so. To leave them out would be a wrong answer.
func TestOwnRowsAreThereOrRefused(t *testing.T) {
	s, _, req := newScanner(t)
	f, err := physical.EncodeFragment(&physical.Fragment{Schema: fetchSchema(), Columns: []types.ColumnID{1}, Filter: between(4, 10)})
	if err != nil {
		t.Fatal(err)
	}
	req.Fragment, req.Tablets, req.TxnId = f, req.Tablets[:1], 77
	_, err = s.Fetch(t.Context(), req)
	var lost *scan.LostTxnError
	if !errors.As(err, &lost) || lost.Txn != 77 || lost.Tablet != 1 {
		t.Errorf("rows of a transaction that nobody knows: %v", err)
	}
}
