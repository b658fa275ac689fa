package txn

import (
	"context"
	"slices"
	"testing"
	"time"

	"stele/fe/fakecluster"
	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

// holder is a coordinator with one BE that holds versions until something else takes them.
type holder struct {
	*fakecluster.Cluster
	t  *testing.T
	c  *Coordinator
	be *fakecluster.BE
}

func newHolder(t *testing.T, most time.Duration) *holder {
	w := fakecluster.New(t, 1, 1, types.QuorumOne)
	set := Settings{WriteTimeout: 3 * time.Second, PublishBacklog: 100, PublishWait: 3 * time.Second}
	h := &holder{Cluster: w, t: t, be: w.BEs[0], c: New(w.Log, w.Clients, w, func() Settings { return set }, w.Logger)}
	t.Cleanup(h.c.Close)
	h.c.pub.hold.most = most
	return h
}

// write begins a transaction and writes a row.
func (h *holder) write(key int64) *Txn {
	h.t.Helper()
	x, err := h.c.Begin(h.t.Context(), false)
	if err != nil {
		h.t.Fatal(err)
	}
	big := types.ColumnType{Kind: types.KindBigInt}
	k, v := vec.New(big, 1), vec.New(big, 1)
	k.I64[0] = key
	rows := []TabletWrite{{Tablet: h.Tablets[0], Ops: []byte{byte(types.OpInsert)}, Rows: &vec.Batch{Cols: []*vec.Vector{k, v}, N: 1}}}
	if _, err := x.Write(h.t.Context(), rows, time.Second); err != nil {
		h.t.Fatal(err)
	}
	return x
}

func (h *holder) commit(x *Txn) {
	h.t.Helper()
	if err := x.Commit(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// insert runs n statements, and waits for the call after each, if there is one.
func (h *holder) insert(n int) {
	h.t.Helper()
	for i := range n {
		h.commit(h.write(int64(i)))
		h.quiet()
	}
}

// quiet waits until no call is under way.
func (h *holder) quiet() {
	h.c.pub.mu.Lock()
	defer h.c.pub.mu.Unlock()
	for h.c.pub.busyLocked() {
		h.c.pub.idle.Wait()
	}
}

// heard returns the versions that the BE has heard of, and how many came with writes.
func (h *holder) heard() (all []uint64, rode int) {
	h.be.Seen(func() {
		for _, it := range h.be.Published {
			all = append(all, it.Version-uint64(types.InitialVersion))
		}
		for _, w := range h.be.Writes {
			rode += len(w.Published)
		}
	})
	return all, rode
}

func (h *holder) expect(rode int, all ...uint64) {
	h.t.Helper()
	if got, r := h.heard(); !slices.Equal(got, all) || r != rode {
		h.t.Errorf("the be heard of %v, %d of them with writes, want %v and %d", got, r, all, rode)
	}
}

// TestVersionsRideWithWrites: one write after the other takes the version before along, once it has shown that one follows; what no
// write takes goes with the next read, or with the end.
func TestVersionsRideWithWrites(t *testing.T) {
	h := newHolder(t, time.Minute)
	h.insert(5)
	h.expect(3, 1, 2, 3, 4)
	if _, err := h.Clients.Get(t.Context(), h.be.Addr, &bepb.GetRequest{}, func([]byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	h.quiet()
	h.expect(3, 1, 2, 3, 4, 5)
	h.insert(1)
	h.expect(3, 1, 2, 3, 4, 5)
	h.c.Close()
	h.expect(3, 1, 2, 3, 4, 5, 6)
}

// TestHeldIsSentInTime: without a write or a read a version goes when its time is over, and the next one is not held.
func TestHeldIsSentInTime(t *testing.T) {
	h := newHolder(t, time.Minute)
	told := make(chan uint64, 10)
	h.be.Set(func(b *fakecluster.BE) {
		b.OnPublish = func(_ context.Context, req *bepb.PublishRequest) (*bepb.PublishResponse, error) {
			for _, it := range req.Items {
				told <- it.Version - uint64(types.InitialVersion)
			}
			return &bepb.PublishResponse{Versions: make([]uint64, len(req.Items))}, nil
		}
	})
	h.insert(1)
	if v := <-told; v != 1 {
		t.Fatalf("version %d was told first", v)
	}
	x := h.write(2)
	h.c.pub.hold.most = time.Millisecond // what follows is held, but not for long
	h.commit(x)
	if v := <-told; v != 2 {
		t.Fatalf("version %d was told", v)
	}
	h.quiet()
	h.c.pub.mu.Lock()
	q := h.c.pub.queues[h.be.ID]
	pays, held := q.rides.pays, q.rides.held
	h.c.pub.mu.Unlock()
	if pays || held {
		t.Errorf("pays %v, held %v", pays, held)
	}
}

// TestEachIsSentInTime: the versions of a BE do not wait for the time of another one's.
func TestEachIsSentInTime(t *testing.T) {
	h := newHolder(t, time.Hour)
	p := h.c.pub
	const due, others = types.BEID(1000), 50
	late := time.AfterFunc(10*time.Second, func() {
		t.Error("a version still waits")
		p.mu.Lock()
		defer p.mu.Unlock()
		p.unholdLocked(p.queues[due])
		p.idle.Broadcast()
	})
	defer late.Stop()
	p.mu.Lock()
	for i := range others {
		q := p.queueLocked(due + types.BEID(i))
		q.rides.held, q.rides.last = true, time.Now()
		p.hold.queues.Add(1)
	}
	p.queues[due].rides.last = time.Now().Add(20*time.Millisecond - p.hold.most)
	p.mu.Unlock()
	p.holdEnds()
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.queues[due].rides.held {
		p.idle.Wait()
	}
}

// TestNotHeldFromOthers: a version is sent at once while another write to the BE is under way, and where there is another FE.
func TestNotHeldFromOthers(t *testing.T) {
	t.Run("write under way", func(t *testing.T) {
		h := newHolder(t, time.Minute)
		h.insert(2)
		h.expect(0, 1)
		x, begun, release := h.write(3), make(chan struct{}), make(chan struct{})
		h.be.Set(func(b *fakecluster.BE) {
			b.OnWrite = func(_ context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
				close(begun)
				<-release
				return fakecluster.Wrote(req), nil
			}
		})
		over := make(chan *Txn)
		go func() { over <- h.write(4) }()
		<-begun
		h.commit(x)
		h.quiet()
		h.expect(1, 1, 2, 3)
		close(release)
		h.commit(<-over)
	})
	t.Run("two frontends", func(t *testing.T) {
		h := newHolder(t, time.Minute)
		for i, name := range []string{"a", "b"} {
			h.Log.Must(t, &command.AddFE{FE: model.FE{Name: name, Host: "h", RaftPort: 1 + i}})
		}
		h.insert(3)
		h.expect(0, 1, 2, 3)
	})
}

// TestRideThatIsNotConfirmed: what a BE does not confirm goes on its own, and one that knows nothing of riding is sent nothing with
// writes.
func TestRideThatIsNotConfirmed(t *testing.T) {
	h := newHolder(t, time.Minute)
	h.insert(2)
	h.expect(0, 1)
	h.be.Set(func(b *fakecluster.BE) { // it is of an older version now
		b.OnWrite = func(_ context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
			resp := fakecluster.Wrote(req)
			resp.Published = 0
			return resp, nil
		}
	})
	x := h.write(3)
	h.quiet()
	h.expect(1, 1, 2, 2) // the fake notes what comes with a write, too
	h.commit(x)
	h.quiet()
	h.insert(2)
	h.expect(1, 1, 2, 2, 3, 4, 5)
}
