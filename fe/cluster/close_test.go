package cluster_test

import (
	"context"
	"testing"
	"time"

	"stele/fe/cluster"
	"stele/fe/fakecluster"
	"stele/meta/command"
	"stele/proto/bepb"
)

// publishing starts a call to the last BE that only the end of its connection ends. Its answer asks the Cluster, as that of the
// publisher does; the channel is closed after it.
func (w *world) publishing(asks *cluster.Cluster) <-chan struct{} {
	w.t.Helper()
	be := w.BEs[len(w.BEs)-1]
	reached, answered := make(chan struct{}), make(chan struct{})
	be.Set(func(b *fakecluster.BE) {
		b.OnPublish = func(ctx context.Context, _ *bepb.PublishRequest) (*bepb.PublishResponse, error) {
			close(reached)
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	w.Clients.Publish(be.Addr, &bepb.PublishRequest{}, time.Minute, false, func(_ *bepb.PublishResponse, err error) {
		if err == nil {
			w.t.Error("a call whose connection was closed has succeeded")
		}
		asks.Probe(be.ID)
		asks.Alive(be.ID)
		asks.Address(be.ID)
		close(answered)
	})
	<-reached
	return answered
}

// inTime fails when a channel is not closed: whoever should do it stands still.
func inTime(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("%s stands still", what)
	}
}

// TestCallsMayAskWhileTheyAreEnded: connections are closed in three places, each of which answers the calls under way. The answers
// ask the same Cluster, so that none of the three may hold its lock. An FE stood still for ever when one did.
func TestCallsMayAskWhileTheyAreEnded(t *testing.T) {
	t.Run("a BE that the leading FE has seen die", func(t *testing.T) {
		w := newWorld(t, 2)
		w.run()
		w.awaitUp()
		other := cluster.New(cluster.Options{Clients: w.Clients, Current: w.Log.Current, Log: w.Logger, Events: func(cluster.Event) {},
			Settings: func() cluster.Settings { return cluster.Settings{} }, FEAddresses: func() []string { return nil }})
		mirror := func() error {
			_, view, err := w.c.View()
			if err == nil {
				err = other.Mirror(view)
			}
			return err
		}
		if err := mirror(); err != nil {
			t.Fatal(err)
		}
		w.BEs[1].Set(func(b *fakecluster.BE) {
			b.OnHeartbeat = func(context.Context, *bepb.HeartbeatRequest) (*bepb.HeartbeatResponse, error) {
				return &bepb.HeartbeatResponse{StartTimeMs: 1, Stopping: true}, nil // dead, with its connections as they are
			}
		})
		w.await(cluster.BEDown, w.BEs[1].ID)
		answered, mirrored := w.publishing(other), make(chan struct{})
		go func() {
			defer close(mirrored)
			if err := mirror(); err != nil {
				t.Error(err)
			}
		}()
		inTime(t, "Mirror", mirrored)
		inTime(t, "the call", answered)
	})
	t.Run("a BE that hangs", func(t *testing.T) {
		w := newWorld(t, 1)
		w.silent = timeout
		w.run()
		w.awaitUp()
		answered := w.publishing(w.c)
		w.BEs[0].Set(func(b *fakecluster.BE) {
			b.OnHeartbeat = func(ctx context.Context, _ *bepb.HeartbeatRequest) (*bepb.HeartbeatResponse, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		})
		inTime(t, "the call", answered)
		w.await(cluster.BEDown, w.BEs[0].ID)
	})
	t.Run("a BE that was dropped", func(t *testing.T) {
		w := newWorld(t, 2)
		stop := w.run()
		w.awaitUp()
		answered := w.publishing(w.c)
		w.Log.Must(t, &command.DropBE{BE: w.BEs[1].ID, Force: true})
		inTime(t, "the call", answered)
		stopped := make(chan struct{})
		go func() { stop(); close(stopped) }()
		inTime(t, "Run", stopped)
	})
}
