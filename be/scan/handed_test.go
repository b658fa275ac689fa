package scan_test

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stele/be/scan"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/expr"
	"stele/sql/physical"
)

// besideOf is a fragment that lies beside a request, which counts how often it is encoded.
type besideOf struct {
	f       *physical.Fragment
	encoded atomic.Int32
}

func (b *besideOf) Encoded() []byte {
	b.encoded.Add(1)
	out, err := physical.EncodeFragment(b.f)
	if err != nil {
		panic(err)
	}
	return out
}

func (b *besideOf) Decoded() *physical.Fragment { return b.f }

// fetcher serves Fetch alone.
type fetcher struct {
	bepb.UnimplementedBackendServer
	s *scan.Scanner
}

func (f *fetcher) Fetch(ctx context.Context, req *bepb.ScanRequest) (*bepb.GetResponse, error) {
	return f.s.Fetch(ctx, req)
}

// fetchHanded serves a scanner in this process and returns what asks it: in the process, and by gRPC.
func fetchHanded(t *testing.T, s *scan.Scanner) (inside, outside func(*bepb.ScanFragment) (*bepb.GetResponse, error)) {
	l, err := rpc.Listen("127.0.0.1:0", true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	cfg := rpc.ServerConfig{Cluster: rpc.NewCluster("c1"), Log: slog.New(slog.DiscardHandler)}
	g, p := rpc.NewServer(cfg), rpc.NewPipeServer(cfg)
	const fetch = bepb.Backend_Fetch_FullMethodName
	p.Brief(fetch)
	bepb.RegisterBackendServer(p, &fetcher{s: s})
	bepb.RegisterBackendServer(g, &fetcher{s: s})
	served := make(chan error, 1)
	others := p.Listen(l)
	go func() { served <- g.Serve(others) }()
	dial := rpc.DialConfig{Cluster: rpc.NewCluster("c1"), Timeout: time.Minute}
	piped, err := rpc.DialPiped(l.Addr().String(), dial, fetch)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := rpc.DialPiped(l.Addr().String(), dial) // no method goes by a pipe
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = piped.Close(), plain.Close()
		rpc.Stop(g, time.Second)
		p.Stop(time.Second)
		<-served
	})
	by := func(c *rpc.Conn) func(*bepb.ScanFragment) (*bepb.GetResponse, error) {
		return func(req *bepb.ScanFragment) (*bepb.GetResponse, error) {
			resp := &bepb.GetResponse{}
			return resp, c.Invoke(t.Context(), fetch, req, resp)
		}
	}
	return by(piped), by(plain)
}

// TestFetchHanded: a fragment that is handed over within the process, to several calls at once, yields what it does when it is encoded, and
// nobody has changed it then; who is asked over the wire gets it encoded.
func TestFetchHanded(t *testing.T) {
	s, _, req := newScanner(t)
	inside, outside := fetchHanded(t, s)
	id, n := expr.Col(0, big), expr.Col(1, big)
	text := types.ColumnType{Kind: types.KindText}
	filter := expr.MustCall("or", expr.MustCall("in", id, expr.ConstInt(1003), expr.ConstInt(1001), expr.ConstInt(1002)), between(1000, 1099))
	some := expr.MustCall("and", between(1000, 1099), filter)
	for name, f := range map[string]*physical.Fragment{
		"rows":      {Filter: between(1000, 1099)},
		"projected": {Filter: some, Project: []*expr.Node{expr.MustCall("+", id, expr.MustCall("+", expr.ConstInt(1), expr.ConstInt(2))), n}},
		"the first": {Filter: some, TopN: &physical.Sort{Keys: []expr.SortKey{{Expr: n, Desc: true}, {Expr: id}}, Limit: 5, Offset: 2}},
		"totals": {Filter: between(1000, 1099), Agg: &physical.Agg{Group: []*expr.Node{expr.MustCall("%", id, expr.ConstInt(7))},
			Partial: true, Aggs: []expr.AggFunc{{Name: "count", Type: big}, {Name: "min", Arg: n, Type: big},
				{Name: "group_concat", Arg: expr.Cast(id, text), Type: text, Sep: ",", Order: []expr.SortKey{{Expr: n, Desc: true}}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			f.Schema, f.Columns = fetchSchema(), []types.ColumnID{1, 2}
			beside := &besideOf{f: f}
			before := beside.Encoded()
			kept, err := physical.DecodeFragment(before)
			if err != nil {
				t.Fatal(err)
			}
			ask := func() *bepb.ScanFragment {
				return &bepb.ScanFragment{ScanRequest: &bepb.ScanRequest{Tablets: req.Tablets, MemLimitBytes: req.MemLimitBytes}, Beside: beside}
			}
			want, err := outside(ask())
			if err != nil || len(want.Batches) == 0 || beside.encoded.Load() != 2 {
				t.Fatalf("%d batches over the wire, encoded %d times: %v", len(want.GetBatches()), beside.encoded.Load(), err)
			}
			if _, err := inside(ask()); err != nil { // connects, and may have had to look how large it is
				t.Fatal(err)
			}
			encoded := beside.encoded.Load()
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					for range 20 {
						got, err := inside(ask())
						if err != nil || !slices.EqualFunc(got.Batches, want.Batches, slices.Equal) {
							t.Errorf("%d batches, %v; want those %d", len(got.GetBatches()), err, len(want.Batches))
						}
					}
				})
			}
			all.Wait()
			if more := beside.encoded.Load() - encoded; more != 0 {
				t.Errorf("encoded %d times within the process", more)
			}
			if after, err := physical.DecodeFragment(beside.Encoded()); err != nil || !reflect.DeepEqual(after, kept) {
				t.Errorf("the fragment was changed to %+v (%v)", after, err)
			}
		})
	}
}
