package cluster_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"stele/fe/cluster"
	"stele/fe/fakecluster"
	"stele/meta/types"
	"stele/proto/bepb"
)

// TestReadmit: a BE that says which one of the cluster it is, when it was added under another id, is told of; one that says nothing,
// or is the one that was meant, is not.
func TestReadmit(t *testing.T) {
	w := newWorld(t, 1)
	be := w.BEs[0]
	type told struct{ added, known types.BEID }
	heard := make(chan told, 1000)
	w.c = cluster.New(cluster.Options{Clients: w.Clients, Current: w.Log.Current, Log: w.Logger, FEAddresses: func() []string { return nil },
		Settings: func() cluster.Settings {
			return cluster.Settings{Interval: interval, Timeout: timeout, Retries: retries}
		},
		Events:  func(e cluster.Event) { w.events <- e },
		Readmit: func(_ context.Context, added, known types.BEID) { heard <- told{added, known} }})
	var who atomic.Uint64
	beats := make(chan uint64, 1000)
	be.Set(func(b *fakecluster.BE) {
		b.OnHeartbeat = func(context.Context, *bepb.HeartbeatRequest) (*bepb.HeartbeatResponse, error) {
			id := who.Load()
			beats <- id
			return nil, fakecluster.OtherBE(types.BEID(id))
		}
	})
	until := func(id uint64) {
		t.Helper()
		who.Store(id)
		for n := 0; n < 2; { // the second one is answered after what the first one said was taken in
			select {
			case got := <-beats:
				if got == id {
					n++
				}
			case <-time.After(time.Minute):
				t.Fatal("no heartbeat")
			}
		}
	}
	w.run()
	until(0)
	until(uint64(be.ID))
	if len(heard) != 0 {
		t.Fatalf("told of %+v", <-heard)
	}
	until(uint64(be.ID) + 7)
	if got := <-heard; got != (told{be.ID, be.ID + 7}) {
		t.Errorf("told of %+v", got)
	}
}
