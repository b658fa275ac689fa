package cluster_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"stele/fe/cluster"
	"stele/fe/fakecluster"
	"stele/meta/types"
	"stele/proto/bepb"
)

// TestReach: a BE that another one gets no sign of is told to be out of its reach while it answers this FE, and no longer. Who hangs for
// all is no matter of links.
func TestReach(t *testing.T) {
	w := newWorld(t, 3)
	w.silent = timeout
	var silent, hung, moved atomic.Bool
	answer := func(do func(context.Context, *bepb.HeartbeatResponse)) func(*fakecluster.BE) {
		return func(b *fakecluster.BE) {
			b.OnHeartbeat = func(ctx context.Context, _ *bepb.HeartbeatRequest) (*bepb.HeartbeatResponse, error) {
				resp := &bepb.HeartbeatResponse{StartTimeMs: 1}
				do(ctx, resp)
				return resp, ctx.Err()
			}
		}
	}
	one, two, gone := w.BEs[0], w.BEs[1], types.BEID(99)
	one.Set(answer(func(_ context.Context, resp *bepb.HeartbeatResponse) {
		at := w.c.Address(two.ID)
		if moved.Load() {
			at = "127.0.0.9:1" // where two was
		}
		if silent.Load() {
			resp.SilentPeers = []*bepb.SilentPeer{{BeId: uint64(gone), SilentMs: 9000}, {BeId: uint64(two.ID), SilentMs: 3000, Address: at}}
		}
	}))
	two.Set(answer(func(ctx context.Context, _ *bepb.HeartbeatResponse) {
		if hung.Load() {
			<-ctx.Done()
		}
	}))
	unreached := func() []types.BEID { s, _ := w.c.Get(one.ID); return s.Unreached }
	w.run()
	w.awaitUp()
	silent.Store(true)
	w.await(cluster.ReachChanged, one.ID)
	for hung.Store(true); len(unreached()) > 0; { // each miss of a busy machine takes it away for a moment, too
		w.await(cluster.ReachChanged, one.ID)
	}
	for hung.Store(false); !slices.Equal(unreached(), []types.BEID{two.ID}); {
		w.await(cluster.ReachChanged, one.ID)
	}
	for moved.Store(true); len(unreached()) > 0; {
		w.await(cluster.ReachChanged, one.ID)
	}
	for moved.Store(false); !slices.Equal(unreached(), []types.BEID{two.ID}); {
		w.await(cluster.ReachChanged, one.ID)
	}
	for silent.Store(false); len(unreached()) > 0; {
		w.await(cluster.ReachChanged, one.ID)
	}
}
