package host

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"stele/be/tablet"
	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/vec"
)

// TestHarden: what is said to be on disk is there after the process has lost everything else; a disk that fails, or hangs, says
// nothing, and holds up no other.
func TestHarden(t *testing.T) {
	roots := []string{t.TempDir(), t.TempDir()}
	var broken [2]atomic.Bool
	var hung atomic.Pointer[chan struct{}]
	options := func(r Root, c types.ClusterID) tablet.Options {
		disk := slices.Index(roots, r.Path)
		return tablet.Options{ClusterID: c, Small: true, NoBackground: true, FloodBytes: 1, FloodPercent: 1, Faults: tablet.Faults{Write: func(string, bool) error {
			if wait := hung.Load(); wait != nil && disk == 1 {
				<-*wait
			}
			if broken[disk].Load() {
				return errors.New("power is off")
			}
			return nil
		}}}
	}
	open := func() *Host {
		h := New([]Root{{Path: roots[0]}, {Path: roots[1]}}, slog.New(slog.DiscardHandler), options)
		if err := h.Join("one", 1); err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := open()
	defer func() { _ = h.Close() }()
	bigint := types.ColumnType{Kind: types.KindBigInt, NotNull: true}
	schema := types.Schema{TableID: 1, Version: 1, Key: []types.ColumnID{1}, Columns: []types.Column{{ID: 1, Name: "id", Type: bigint}}}
	var all []ReplicaOf
	for i := range types.TabletID(2) {
		if _, err := h.Disks()[i].Store.Create(tablet.Meta{Tablet: i, Table: 1, Partition: 1, Replica: 50, Epoch: 1, Schema: schema}); err != nil {
			t.Fatal(err)
		}
		all = append(all, ReplicaOf{i, 50})
	}
	all = append(all, ReplicaOf{0, 51}, ReplicaOf{9, 50})
	publish := func() {
		for i := range types.TabletID(2) {
			tb, _ := h.Tablet(i)
			v := tb.Version() + 1
			payload, err := wire.Encode(&schema, []types.RowOp{types.OpPut}, &vec.Batch{N: 1, Cols: []*vec.Vector{{Type: bigint, N: 1, I64: []int64{int64(v)}}}})
			if err != nil {
				t.Fatal(err)
			}
			if taken, err := tb.PrepareLight(types.TxnID(v), 0, payload); !taken || err != nil {
				t.Fatal(taken, err)
			}
			if err := tb.Publish(types.TxnID(v), v); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := func(what string, versions ...types.Version) {
		t.Helper()
		ctx := context.Background()
		if hung.Load() != nil {
			h.Harden(ctx, all[:1]) // the other disk may take its time
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
		}
		if got := h.Harden(ctx, all); !slices.Equal(got, versions) {
			t.Fatalf("%s: %v, want %v", what, got, versions)
		}
	}
	restart := func() {
		for i := range broken {
			broken[i].Store(true)
		}
		_ = h.Close() // it fails, as it should
		for i := range broken {
			broken[i].Store(false)
		}
		h = open()
	}
	publish()
	want("two disks, another replica, no such tablet", 2, 2, 0, 0)
	restart()
	want("after a restart", 2, 2, 0, 0)

	publish()
	restart()
	want("a version was not written", 2, 2, 0, 0)

	publish()
	wait := make(chan struct{})
	hung.Store(&wait)
	want("a disk hangs", 3, 0, 0, 0)
	hung.Store(nil)
	close(wait)
	want("it goes on", 3, 3, 0, 0)

	publish()
	broken[1].Store(true)
	want("a disk fails", 4, 0, 0, 0)
	tb, _ := h.Tablet(0)
	tb.SetBad("it is")
	want("a bad replica", 0, 0, 0, 0)
}
