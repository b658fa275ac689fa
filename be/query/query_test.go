package query

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

var bigint = types.ColumnType{Kind: types.KindBigInt}

// bes is a cluster of BEs that each hold every tablet: tablet n has the rows 10n and 10n+1.
type bes struct {
	mu    sync.Mutex
	fail  map[string]error // by address, in the middle of the answer
	asked []string

	replicas []uint64 // that were asked for, each of the first tablet of a call
}

func (b *bes) scan(_ context.Context, address string, req *bepb.ScanRequest, each func([]byte) error) error {
	b.mu.Lock()
	b.asked, b.replicas = append(b.asked, address), append(b.replicas, req.Tablets[0].ReplicaId)
	err := b.fail[address]
	b.mu.Unlock()
	for _, t := range req.Tablets {
		v := vec.New(bigint, 2)
		v.I64[0], v.I64[1] = int64(t.TabletId)*10, int64(t.TabletId)*10+1
		if err := each(vec.Encode(nil, &vec.Batch{Cols: []*vec.Vector{v}, N: 2})); err != nil {
			return err
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func request(t *testing.T, tablets ...types.TabletID) *bepb.QueryRequest {
	t.Helper()
	schema := []physical.OutColumn{{Name: "k", Type: bigint}}
	col := &expr.Node{Kind: expr.NodeColumn, Type: bigint}
	plan, err := physical.EncodePlan(&physical.Node{Schema: schema, Sort: &physical.Sort{Keys: []expr.SortKey{{Expr: col, Desc: true}}},
		Children: []*physical.Node{{Schema: schema, Scan: &physical.Scan{Tablets: tablets}}}})
	if err != nil {
		t.Fatal(err)
	}
	req := &bepb.QueryRequest{Plan: plan, Addresses: []string{"a", "b", "c"}, MemLimitBytes: 1 << 20}
	for _, id := range tablets {
		req.Tablets = append(req.Tablets, &bepb.QueryRequest_Tablet{TabletId: uint64(id), Version: 3, At: []uint32{0, 1, 2}})
	}
	return req
}

func (b *bes) run(t *testing.T, req *bepb.QueryRequest) ([]int64, error) {
	t.Helper()
	dir := t.TempDir()
	r := New(b.scan, func() (string, error) { return dir, nil }, nil, slog.New(slog.DiscardHandler))
	var rows []int64
	err := r.Query(t.Context(), req, func(encoded []byte) error {
		batch, err := vec.Decode(encoded)
		if err != nil {
			return err
		}
		for i := range batch.Rows() {
			rows = append(rows, batch.Cols[0].I64[batch.Row(i)])
		}
		return nil
	})
	if r.Running() != 0 || (err == nil) != (r.Ended() == 1) {
		t.Errorf("%d run, %d have ended", r.Running(), r.Ended())
	}
	return rows, err
}

func TestUpperPartOverManyScans(t *testing.T) {
	b := &bes{fail: map[string]error{}}
	rows, err := b.run(t, request(t, 1, 2, 3))
	if err != nil || !slices.Equal(rows, []int64{31, 30, 21, 20, 11, 10}) {
		t.Fatalf("%v, %v", rows, err)
	}
}

// TestDyingBEs: the half answer of one that dies counts for nothing, and another one is asked.
func TestDyingBEs(t *testing.T) {
	b := &bes{fail: map[string]error{"a": errors.New("gone"), "b": errors.New("gone")}}
	for range 10 {
		rows, err := b.run(t, request(t, 1, 2))
		if err != nil || !slices.Equal(rows, []int64{21, 20, 11, 10}) {
			t.Fatalf("with one of three alive: %v, %v", rows, err)
		}
	}
	b.fail["c"] = errors.New("gone, too")
	if _, err := b.run(t, request(t, 1)); rpc.Reason(err) != "unserved" {
		t.Fatalf("with none alive: %v", err)
	}
}

// TestAsksForTheReplica that the BE has, as far as the FE has said which.
func TestAsksForTheReplica(t *testing.T) {
	for name, replicas := range map[string][]uint64{"named": {71, 72, 73}, "by an FE of a release before": nil} {
		b := &bes{fail: map[string]error{"a": errors.New("gone"), "b": errors.New("gone")}}
		req := request(t, 1, 2)
		for _, tablet := range req.Tablets {
			tablet.Replicas = replicas
		}
		if rows, err := b.run(t, req); err != nil || len(rows) != 4 {
			t.Fatalf("%s: %v, %v", name, rows, err)
		}
		for i, address := range b.asked {
			want := uint64(0)
			if replicas != nil {
				want = replicas[slices.Index(req.Addresses, address)]
			}
			if b.replicas[i] != want {
				t.Errorf("%s: %s was asked for replica %d, not %d", name, address, b.replicas[i], want)
			}
		}
	}
}

func TestErrorOfTheQueryEndsIt(t *testing.T) {
	b := &bes{fail: map[string]error{}}
	for _, address := range []string{"a", "b", "c"} {
		b.fail[address] = &rpc.Error{Code: 1690, Msg: "BIGINT value is out of range"}
	}
	var numbered *rpc.Error
	if _, err := b.run(t, request(t, 1)); !errors.As(err, &numbered) || numbered.Code != 1690 {
		t.Fatal(err)
	}
	if len(b.asked) != 1 {
		t.Errorf("asked %v: an error of the query would come from anybody", b.asked)
	}
}

func TestBadRequests(t *testing.T) {
	b := &bes{}
	for name, spoil := range map[string]func(*bepb.QueryRequest){
		"no plan":        func(r *bepb.QueryRequest) { r.Plan = []byte{0xff, 0x13} },
		"unknown tablet": func(r *bepb.QueryRequest) { r.Tablets = nil },
		"unknown place":  func(r *bepb.QueryRequest) { r.Tablets[0].At = []uint32{9} },
		"unknown zone":   func(r *bepb.QueryRequest) { r.TimeZone = "Nowhere/At_All" },
	} {
		req := request(t, 1)
		spoil(req)
		if rows, err := b.run(t, req); err == nil {
			t.Errorf("%s: %v", name, rows)
		}
	}
}

func TestNoMoreThanSoManyAtOnce(t *testing.T) {
	hold := make(chan struct{})
	var begun sync.WaitGroup
	begun.Add(maxAtOnce)
	dir := t.TempDir()
	r := New(func(ctx context.Context, _ string, _ *bepb.ScanRequest, _ func([]byte) error) error {
		begun.Done()
		<-hold
		return nil
	}, func() (string, error) { return dir, nil }, nil, slog.New(slog.DiscardHandler))
	var all sync.WaitGroup
	errs := make(chan error, maxAtOnce)
	for range maxAtOnce {
		req := request(t, 1)
		all.Go(func() { errs <- r.Query(context.Background(), req, func([]byte) error { return nil }) })
	}
	begun.Wait()
	if err := r.Query(t.Context(), request(t, 1), func([]byte) error { return nil }); err == nil || !strings.Contains(err.Error(), fmt.Sprint(maxAtOnce)) {
		t.Errorf("one too many: %v", err)
	}
	close(hold)
	all.Wait()
	for range maxAtOnce {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
