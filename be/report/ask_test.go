package report

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stele/be/host"
	"stele/be/tablet"
	"stele/be/write"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/proto/fepb"
	"stele/sql/vec"
)

// oracle is an FE that knows that every transaction is committed, as version 2.
type oracle struct {
	asked chan *fepb.ResolveRequest
}

func (oracle) Report(context.Context, string, *fepb.ReportRequest) (*fepb.ReportResponse, error) {
	return &fepb.ReportResponse{}, nil
}

func (o oracle) Resolve(_ context.Context, _ string, req *fepb.ResolveRequest) (*fepb.ResolveResponse, error) {
	o.asked <- req
	resp := &fepb.ResolveResponse{}
	for range req.Items {
		resp.Items = append(resp.Items, &fepb.ResolveResponse_Item{Outcome: fepb.ResolveResponse_COMMITTED, Version: 2})
	}
	return resp, nil
}

type nobody struct{}

func (nobody) Forward(string, *bepb.ReplicateRequest, time.Duration, func(*bepb.ReplicateResponse, error)) {
}

// TestAsk: whoever waits for a version has the FE asked about what is pending, however young, long before the next step; the
// answer is what was waited for.
func TestAsk(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	h := host.New([]host.Root{{Path: t.TempDir()}}, log, func(_ host.Root, c types.ClusterID) tablet.Options {
		return tablet.Options{ClusterID: c, Small: true, NoBackground: true, FloodBytes: 1, FloodPercent: 1}
	})
	if err := h.Join("one", 1); err != nil {
		t.Fatal(err)
	}
	bigint := types.ColumnType{Kind: types.KindBigInt, NotNull: true}
	tb, err := h.Disks()[0].Store.Create(tablet.Meta{Tablet: 5, Table: 1, Partition: 1, Replica: 50, Epoch: 1,
		Schema: types.Schema{TableID: 1, Version: 1, Key: []types.ColumnID{1}, Columns: []types.Column{{ID: 1, Name: "id", Type: bigint}}}})
	if err != nil {
		t.Fatal(err)
	}
	var r *Reporter
	w := write.New(h, nobody{}, write.Options{ReplicateTimeout: time.Second, VersionWait: time.Second, Late: func() { r.Ask() }}, log)
	fe := oracle{make(chan *fepb.ResolveRequest, 10)}
	r = New(Options{Host: h, Writer: w, FE: fe, Full: time.Hour, Step: time.Hour, Started: time.Now(), Log: log})
	r.Addresses(1, []string{"fe"})
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { r.Run(ctx) })
	t.Cleanup(func() {
		stop()
		wg.Wait()
		w.Close()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	rows := &vec.Batch{N: 1, Cols: []*vec.Vector{{Type: bigint, N: 1, I64: []int64{1}}}}
	resp := w.Write(ctx, &bepb.WriteRequest{TxnId: 9, Parts: []*bepb.WriteRequest_Part{{TabletId: 5, Epoch: 1, MinVersion: 1, ReplicaId: 50,
		Ops: []byte{byte(types.OpInsert)}, Rows: vec.Encode(nil, rows)}}})
	if resp.Refusal != 0 {
		t.Fatal(resp)
	}
	begun := time.Now()
	if !w.WaitVersion(ctx, tb, 2, time.Minute) {
		t.Fatal("the version has not come")
	}
	t.Logf("after %v", time.Since(begun))
	if req := <-fe.asked; len(req.Items) != 1 || req.Items[0].TxnId != 9 || req.Items[0].TabletId != 5 {
		t.Errorf("asked about %v", req.Items)
	}
}

// TestFirstAnswerOpens: a replica from before the start takes rows when the FE has answered the first full report of its disk, and has said that it
// lacks nothing; so does one on a disk that is open later, or anew after it has failed, and no other waits for that.
func TestFirstAnswerOpens(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	roots := []host.Root{{Path: filepath.Join(t.TempDir(), "a")}, {Path: filepath.Join(t.TempDir(), "b")}}
	var burns atomic.Bool
	open := func() *host.Host {
		h := host.New(roots, log, func(_ host.Root, c types.ClusterID) tablet.Options {
			opt := tablet.Options{ClusterID: c, Small: true, NoBackground: true, FloodBytes: 1, FloodPercent: 1}
			opt.Faults.Write = func(string, bool) error {
				if burns.Load() {
					return errors.New("disk on fire")
				}
				return nil
			}
			return opt
		})
		if err := h.Join("one", 1); err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := open()
	bigint := types.ColumnType{Kind: types.KindBigInt, NotNull: true}
	for i, d := range h.Disks() {
		id := types.TabletID(5 + i)
		if _, err := d.Store.Create(tablet.Meta{Tablet: id, Table: 1, Partition: 1, Replica: types.ReplicaID(10 * id), Epoch: 1,
			Schema: types.Schema{TableID: 1, Version: 1, Key: []types.ColumnID{1}, Columns: []types.Column{{ID: 1, Name: "id", Type: bigint}}}}); err != nil {
			t.Fatal(err)
		}
	}
	aside := roots[1].Path + " aside"
	if err := errors.Join(h.Close(), os.Rename(roots[1].Path, aside), os.WriteFile(roots[1].Path, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	h = open()
	w := write.New(h, nobody{}, write.Options{ReplicateTimeout: time.Second, VersionWait: time.Second, StartMs: 7}, log)
	t.Cleanup(func() {
		w.Close()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	r := New(Options{Host: h, Writer: w, FE: oracle{asked: make(chan *fepb.ResolveRequest, 10)}, Full: time.Hour, Step: time.Hour, Started: time.Now(), Log: log})
	h.OnJoin(func(s *tablet.Store, _ []*tablet.Tablet) {
		for _, tb := range s.Tablets() {
			w.Adopt(tb)
		}
	})
	txn, key := uint64(9), int64(1)
	check := func(when string, id uint64, want bepb.WriteResponse_Refusal) {
		t.Helper()
		rows := &vec.Batch{N: 1, Cols: []*vec.Vector{{Type: bigint, N: 1, I64: []int64{key}}}}
		txn, key = txn+1, key+1
		got := w.Write(context.Background(), &bepb.WriteRequest{TxnId: txn, Parts: []*bepb.WriteRequest_Part{{TabletId: id, Epoch: 1, MinVersion: 1,
			ReplicaId: 10 * id, Ops: []byte{byte(types.OpPut)}, Rows: vec.Encode(nil, rows)}}}).Refusal
		if got != want {
			t.Fatalf("tablet %d %s: %v", id, when, got)
		}
	}
	check("before any report", 5, bepb.WriteResponse_BEHIND)
	r.Addresses(1, []string{"fe"})
	r.StepOnce(context.Background(), time.Now())
	check("after the answer", 5, 0)

	if err := errors.Join(os.Remove(roots[1].Path), os.Rename(aside, roots[1].Path)); err != nil {
		t.Fatal(err)
	}
	if _, opened, err := h.Open(roots[1].Path); !opened || err != nil {
		t.Fatal(opened, err)
	}
	check("on a disk of which no report has told", 6, bepb.WriteResponse_BEHIND)
	check("beside it", 5, 0)
	r.All()
	r.StepOnce(context.Background(), time.Now())
	check("on a disk of which a report has told", 6, 0)

	burns.Store(true)
	check("on a disk that fails", 6, bepb.WriteResponse_FAILED)
	burns.Store(false)
	check("on a disk that has failed", 6, bepb.WriteResponse_DISK_FULL)
	if _, opened, err := h.Open(roots[1].Path); !opened || err != nil {
		t.Fatal(opened, err)
	}
	check("on a disk that was opened anew", 6, bepb.WriteResponse_BEHIND)
	check("beside it", 5, 0)
	r.All()
	r.StepOnce(context.Background(), time.Now())
	tb, _ := h.Tablet(6)
	pending := tb.Pending()
	if len(pending) != 1 {
		t.Fatalf("%v are pending, one was acknowledged", pending)
	}
	check("of which a transaction has no outcome", 6, bepb.WriteResponse_BEHIND)
	if err := w.Resolved(6, pending[0], 0); err != nil {
		t.Fatal(err)
	}
	check("on a disk of which a report has told anew", 6, 0)
}
