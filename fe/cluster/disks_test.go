package cluster_test

import (
	"context"
	"sync/atomic"
	"testing"

	"stele/fe/cluster"
	"stele/fe/fakecluster"
	"stele/meta/types"
	"stele/proto/bepb"
)

// TestDiskThatOpensLate: the control loop hears of it at once.
func TestDiskThatOpensLate(t *testing.T) {
	w := newWorld(t, 1)
	be := w.BEs[0]
	var open atomic.Bool
	be.Set(func(b *fakecluster.BE) {
		b.OnHeartbeat = func(context.Context, *bepb.HeartbeatRequest) (*bepb.HeartbeatResponse, error) {
			late := &bepb.Disk{State: uint32(types.DiskOffline), Error: "not a directory"}
			if open.Load() {
				late = &bepb.Disk{DiskId: 8, Failed: true}
			}
			return &bepb.HeartbeatResponse{StartTimeMs: 1, Disks: []*bepb.Disk{{DiskId: 7}, late}}, nil
		}
	})
	w.run()
	w.awaitUp()
	open.Store(true)
	w.await(cluster.DisksChanged, be.ID)
	if known, _ := w.c.Get(be.ID); len(known.Disks) != 2 || known.Disks[1].ID != 8 || !known.Disks[1].Failed || known.Disks[0].Failed {
		t.Errorf("known of the disks: %+v", known.Disks)
	}
}

// TestDisksThatRefuseWrites: a disk that refuses writes is told of once, and known to the FEs that do not lead; so is one that takes them
// again, as every disk does whose BE says nothing.
func TestDisksThatRefuseWrites(t *testing.T) {
	w := newWorld(t, 2)
	be := w.BEs[0]
	const disk = types.DiskID(7)
	var refuses atomic.Bool
	be.Set(func(b *fakecluster.BE) {
		b.OnHeartbeat = func(context.Context, *bepb.HeartbeatRequest) (*bepb.HeartbeatResponse, error) {
			return &bepb.HeartbeatResponse{StartTimeMs: 1, Disks: []*bepb.Disk{{DiskId: uint64(disk), RefusesWrites: refuses.Load()}, {DiskId: uint64(disk + 1)}}}, nil
		}
	})
	follower := cluster.New(cluster.Options{Clients: w.Clients, Current: w.Log.Current, Log: w.Logger, Events: func(cluster.Event) {},
		Settings: func() cluster.Settings {
			return cluster.Settings{Interval: interval, Timeout: timeout, Retries: retries}
		},
		FEAddresses: func() []string { return nil }})
	check := func(writes bool) {
		t.Helper()
		_, view, err := w.c.View()
		if err == nil {
			err = follower.Mirror(view)
		}
		if err != nil {
			t.Fatal(err)
		}
		for who, c := range map[string]*cluster.Cluster{"the leading FE": w.c, "another FE": follower} {
			if c.Writes(be.ID, disk) != writes || !c.Writes(be.ID, disk+1) || !c.Writes(w.BEs[1].ID, disk) {
				t.Errorf("to %s the disk takes writes: %v", who, !writes)
			}
		}
	}
	w.run()
	w.awaitUp()
	check(true)
	refuses.Store(true)
	w.await(cluster.DisksChanged, be.ID)
	check(false)
	refuses.Store(false)
	w.await(cluster.DisksChanged, be.ID)
	check(true)
	for {
		select {
		case e := <-w.events:
			if e.Kind == cluster.DisksChanged {
				t.Errorf("told once more: %+v", e)
			}
			continue
		default:
		}
		break
	}
}
