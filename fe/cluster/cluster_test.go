package cluster_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stele/fe/beclient"
	"stele/fe/cluster"
	"stele/fe/fakecluster"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/proto/fepb"
)

type world struct {
	*fakecluster.Cluster
	t      *testing.T
	c      *cluster.Cluster
	ledger *cluster.Ledger
	events chan cluster.Event
	active map[types.TxnID]bool
	age    time.Duration
	pokes  pokes
	silent time.Duration // how long a heartbeat may take; longer than await waits, but where a BE is to hang: a machine may stand still
	said   said
}

// said is what was logged.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// count tells how often something was logged.
func (s *said) count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.text.String(), what)
}

const (
	interval = 30 * time.Millisecond
	timeout  = 150 * time.Millisecond
	retries  = 3
)

func newWorld(t *testing.T, bes int) *world {
	w := &world{Cluster: fakecluster.New(t, bes, 2, types.QuorumMajority), t: t, events: make(chan cluster.Event, 1000), active: map[types.TxnID]bool{}, silent: time.Hour}
	w.c = cluster.New(cluster.Options{Clients: w.Clients, Current: w.Log.Current, Log: slog.New(slog.NewTextHandler(&w.said, nil)),
		FEAddresses: func() []string { return []string{"fe"} },
		Settings: func() cluster.Settings {
			return cluster.Settings{Interval: interval, Timeout: w.silent, Retries: retries}
		},
		Events: func(e cluster.Event) { w.events <- e },
		Started: func(ctx context.Context, be types.BEID, ms int64) error {
			out, err := w.Log.Propose(ctx, &command.StartBE{BE: be, StartMs: ms})
			if err == nil {
				err = out[0].Err
			}
			return err
		}})
	w.ledger = cluster.NewLedger(w.c, w.Log, func(context.Context, []types.TxnID) map[types.TxnID]bool { return w.active }, &w.pokes, func() time.Duration { return w.age })
	return w
}

// run starts the heartbeats; the returned func ends them and waits.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.c.Run(ctx) }()
	stop = func() { cancel(); <-done }
	w.t.Cleanup(stop)
	return stop
}

// await waits for an event.
func (w *world) await(kind cluster.EventKind, be types.BEID) time.Time {
	w.t.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case e := <-w.events:
			if e.Kind == kind && e.BE == be {
				return time.Now()
			}
		case <-limit:
			w.t.Fatalf("no event %d of be %d", kind, be)
		}
	}
}

// awaitUp waits until every BE is alive, in whatever order.
func (w *world) awaitUp() {
	w.t.Helper()
	up := map[types.BEID]bool{}
	limit := time.After(time.Minute)
	for len(up) < len(w.BEs) {
		select {
		case e := <-w.events:
			if e.Kind == cluster.BEUp {
				up[e.BE] = true
			}
		case <-limit:
			w.t.Fatalf("only %v of %d BEs came up", up, len(w.BEs))
		}
	}
}

func TestRefusedIsDeadAtOnce(t *testing.T) {
	w := newWorld(t, 1)
	w.run()
	be := w.BEs[0]
	w.await(cluster.BEUp, be.ID)
	be.Stop()
	w.await(cluster.BEDown, be.ID)
	if w.c.Alive(be.ID) {
		t.Error("alive after its death was told")
	}
}

func TestHungCostsTimeoutTimesRetries(t *testing.T) {
	w := newWorld(t, 1)
	w.silent = timeout
	be := w.BEs[0]
	var hung atomic.Bool
	var beats atomic.Int64 // while it hung
	be.Set(func(b *fakecluster.BE) {
		b.OnHeartbeat = func(ctx context.Context, req *bepb.HeartbeatRequest) (*bepb.HeartbeatResponse, error) {
			if hung.Load() {
				beats.Add(1)
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return &bepb.HeartbeatResponse{StartTimeMs: 1}, nil
		}
	})
	w.run()
	// Heartbeats before may have got no answer on a busy machine, and more may be sent before the death is seen: then it dies again.
	for end := time.Now().Add(time.Minute); ; {
		w.await(cluster.BEUp, be.ID)
		start := time.Now()
		beats.Store(0)
		hung.Store(true)
		took := w.await(cluster.BEDown, be.ID).Sub(start)
		n := beats.Load()
		hung.Store(false)
		if took >= timeout*(retries-1) && n >= retries-1 && n <= retries+1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("dead after %d heartbeats and %s, want %d and about %s", n, took, retries, timeout*retries)
		}
	}
	w.await(cluster.BEUp, be.ID)
}

// A process that hangs keeps its connections. Calls under way must not wait for it longer than until it counts as dead.
func TestDeathEndsCallsUnderWay(t *testing.T) {
	w := newWorld(t, 1)
	w.silent = timeout
	be := w.BEs[0]
	var hung atomic.Bool
	reached := make(chan struct{})
	be.Set(func(b *fakecluster.BE) {
		b.OnHeartbeat = func(ctx context.Context, req *bepb.HeartbeatRequest) (*bepb.HeartbeatResponse, error) {
			if hung.Load() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return &bepb.HeartbeatResponse{StartTimeMs: 1}, nil
		}
		b.OnWrite = func(ctx context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
			close(reached)
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	w.run()
	w.await(cluster.BEUp, be.ID)
	client, err := w.Clients.BE(be.Addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { _, err := client.Write(ctx, &bepb.WriteRequest{}); ended <- err }()
	<-reached
	hung.Store(true)
	w.await(cluster.BEDown, be.ID)
	if err := <-ended; !beclient.Unreachable(err) || ctx.Err() != nil {
		t.Errorf("the call ended with %v, %v", err, ctx.Err())
	}
	hung.Store(false)
	w.await(cluster.BEUp, be.ID)
}

func TestRestartAndStoppingAreEvents(t *testing.T) {
	w := newWorld(t, 1)
	be := w.BEs[0]
	var started atomic.Int64
	var stopping atomic.Bool
	started.Store(1)
	be.Set(func(b *fakecluster.BE) {
		b.OnHeartbeat = func(context.Context, *bepb.HeartbeatRequest) (*bepb.HeartbeatResponse, error) {
			return &bepb.HeartbeatResponse{StartTimeMs: started.Load(), Stopping: stopping.Load()}, nil
		}
	})
	w.run()
	w.await(cluster.BEUp, be.ID)
	started.Store(2)
	w.await(cluster.BERestarted, be.ID)
	stopping.Store(true)
	w.await(cluster.BEDown, be.ID)
	if s, _ := w.c.Get(be.ID); s.FirstMiss.IsZero() {
		t.Error("nobody knows since when the stopping BE is away")
	}
}

// TestLeadAgain: an FE that leads no more keeps what it knew as a view, and when it leads again it starts from there and
// finds out who has died meanwhile.
func TestLeadAgain(t *testing.T) {
	w := newWorld(t, 2)
	stop := w.run()
	w.awaitUp()
	stop()
	for len(w.events) > 0 {
		<-w.events
	}
	if !w.c.Alive(w.BEs[0].ID) || !w.c.Alive(w.BEs[1].ID) {
		t.Error("the view of an FE that has just stopped leading is empty")
	}
	w.BEs[1].Stop()
	w.run()
	w.await(cluster.BEDown, w.BEs[1].ID)
	if !w.c.Alive(w.BEs[0].ID) {
		t.Error("a BE that answers does not count as alive")
	}
	w.BEs[0].Stop()
	w.await(cluster.BEDown, w.BEs[0].ID)
}

// TestView: what the leading FE knows reaches another one, which routes by it and starts from it when it leads.
func TestView(t *testing.T) {
	w := newWorld(t, 2)
	w.run()
	w.awaitUp()
	other := cluster.New(cluster.Options{Clients: w.Clients, Current: w.Log.Current, Log: w.Logger, Events: func(cluster.Event) {},
		Settings: func() cluster.Settings {
			return cluster.Settings{Interval: interval, Timeout: timeout, Retries: retries}
		}, FEAddresses: func() []string { return nil }})
	if other.Alive(w.BEs[0].ID) || other.Address(w.BEs[0].ID) == "" {
		t.Error("before the first view a BE is known by its address alone")
	}
	before, view, err := w.c.View()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Mirror(view); err != nil {
		t.Fatal(err)
	}
	if !other.Alive(w.BEs[0].ID) || !other.Alive(w.BEs[1].ID) {
		t.Error("what the leader sees alive is not alive in the view")
	}
	if again, _, _ := w.c.View(); again != before {
		t.Error("a view that has not changed has another number")
	}
	w.BEs[1].Stop()
	w.await(cluster.BEDown, w.BEs[1].ID)
	after, view, err := w.c.View()
	if err != nil || after == before {
		t.Fatalf("the view of a death: %v, number %d, before %d", err, after, before)
	}
	if err := other.Mirror(view); err != nil {
		t.Fatal(err)
	}
	if other.Alive(w.BEs[1].ID) {
		t.Error("a dead BE is alive in the view")
	}
	if err := other.Mirror([]byte{0xff}); err == nil {
		t.Error("a view that cannot be read is taken")
	}
}

func TestCloneOutcomeIsToldOnce(t *testing.T) {
	w := newWorld(t, 1)
	be := w.BEs[0]
	acked := make(chan struct{}, 100)
	var forgotten atomic.Bool
	be.Set(func(b *fakecluster.BE) {
		b.OnHeartbeat = func(_ context.Context, req *bepb.HeartbeatRequest) (*bepb.HeartbeatResponse, error) {
			resp := &bepb.HeartbeatResponse{StartTimeMs: 1}
			if len(req.FinishedTasksSeen) > 0 {
				forgotten.Store(true)
			}
			if forgotten.Load() {
				acked <- struct{}{}
			} else {
				resp.Clones = []*bepb.CloneStatus{{TaskId: 5, TabletId: 9, State: bepb.CloneStatus_DONE}}
			}
			return resp, nil
		}
	})
	w.run()
	w.await(cluster.CloneEnded, be.ID)
	for range 3 {
		<-acked
	}
	for len(w.events) > 0 {
		if e := <-w.events; e.Kind == cluster.CloneEnded {
			t.Error("the end of a clone was told twice")
		}
	}
	if w.c.Clone(5) != nil {
		t.Error("the task is remembered after its BE has forgotten it")
	}
}

// replica describes the replica of a tablet on the first BE as healthy.
func (w *world) replica(at int) *fepb.Replica {
	tab := w.Tablet(w.t, w.Tablets[at])
	r := tab.Replica(w.BEs[0].ID)
	return &fepb.Replica{TabletId: uint64(tab.ID), ReplicaId: uint64(r.ID), DiskId: uint64(r.Disk), Version: uint64(tab.Version)}
}

func (w *world) report(start int64, seq uint64, disks []uint64, replicas ...*fepb.Replica) *fepb.ReportResponse {
	w.t.Helper()
	resp, err := w.ledger.Report(context.Background(), &fepb.ReportRequest{BeId: uint64(w.BEs[0].ID), StartTimeMs: start, Sequence: seq, Full: true,
		DiskIds: disks, Replicas: replicas})
	if err != nil {
		w.t.Fatal(err)
	}
	return resp
}

// TestOlderCatalogIsTold: a BE that has versions which were never given has them from a catalog that was put away for an older one. They
// are believed, and nothing is committed before all BEs have told what they hold.
func TestOlderCatalogIsTold(t *testing.T) {
	const older = "the metadata is older than what a backend holds"
	w := newWorld(t, 1)
	w.run()
	w.await(cluster.BEUp, w.BEs[0].ID)
	disk := []uint64{uint64(w.BEs[0].ID) + 1000}
	w.report(1, 1, disk, w.replica(0), w.replica(1))
	if n := w.said.count(older); n != 0 || w.Log.Current().Restoring() != nil {
		t.Fatalf("it was told %d times of replicas at the catalog's version", n)
	}
	ahead := w.replica(0)
	ahead.Version++
	part := &fepb.ReportRequest{BeId: uint64(w.BEs[0].ID), StartTimeMs: 1, Sequence: 2, Replicas: []*fepb.Replica{ahead}}
	resp, err := w.ledger.Report(context.Background(), part)
	if err != nil || !resp.Again || w.said.count(older) != 1 {
		t.Fatalf("asked for all that it has %v, told %d times: %v", resp.GetAgain(), w.said.count(older), err)
	}
	if r := w.Log.Current().Restoring(); r == nil || !slices.Equal(r.Waiting, []types.BEID{w.BEs[0].ID}) {
		t.Fatalf("restoring: %+v", r)
	}
	w.report(1, 3, disk, ahead, w.replica(1))
	tab := w.Tablet(t, w.Tablets[0])
	if w.Log.Current().Restoring() != nil || uint64(tab.Version) != ahead.Version || !tab.Replicas[0].Complete() {
		t.Errorf("the tablet is at version %d, the backend at %d: %+v", tab.Version, ahead.Version, tab.Replicas)
	}
}

func (w *world) lost(at int) bool { return w.c.Lost(w.BEs[0].ID, w.Tablets[at]) }

func TestLostAtSecondFullReport(t *testing.T) {
	w := newWorld(t, 1)
	w.run()
	w.await(cluster.BEUp, w.BEs[0].ID)
	disk := []uint64{uint64(w.BEs[0].ID) + 1000}
	if resp := w.report(1, 7, disk, w.replica(0)); w.lost(1) || !resp.Again {
		t.Fatalf("after the first report: lost %v, asked for another one %v", w.lost(1), resp.Again)
	}
	w.report(1, 7, disk, w.replica(0)) // the same one, sent twice
	w.report(1, 6, disk, w.replica(0)) // and an older one that comes late
	if w.lost(1) {
		t.Fatal("lost at one report that came several times")
	}
	w.report(2, 1, disk, w.replica(0)) // a new process begins anew
	if w.lost(1) {
		t.Fatal("what the process before said counts")
	}
	if resp := w.report(2, 2, disk, w.replica(0)); !w.lost(1) || w.lost(0) || resp.Again {
		t.Fatalf("lost: %v and %v", w.lost(0), w.lost(1))
	}
	w.report(2, 3, disk, w.replica(0), w.replica(1))
	if w.lost(1) {
		t.Fatal("still lost although it was reported")
	}
}

func TestClosedDiskProvesNothing(t *testing.T) {
	w := newWorld(t, 1)
	var offline atomic.Bool
	offline.Store(true)
	id := uint64(w.BEs[0].ID) + 1000
	w.BEs[0].Set(func(b *fakecluster.BE) {
		b.OnHeartbeat = func(context.Context, *bepb.HeartbeatRequest) (*bepb.HeartbeatResponse, error) {
			resp := &bepb.HeartbeatResponse{StartTimeMs: 1, Disks: []*bepb.Disk{{DiskId: id + 1}}}
			if offline.Load() {
				resp.Disks = append(resp.Disks, &bepb.Disk{State: uint32(types.DiskOffline)})
			}
			return resp, nil
		}
	})
	w.run()
	w.await(cluster.BEUp, w.BEs[0].ID)
	for seq := range uint64(4) {
		w.report(1, seq+1, []uint64{id + 1})
	}
	if w.lost(0) {
		t.Fatal("a disk that is not open has lost its replicas")
	}
	offline.Store(false) // the disk is wiped: another one is in its place
	for deadline := time.Now().Add(time.Minute); ; {
		if s, _ := w.c.Get(w.BEs[0].ID); len(s.Disks) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the heartbeat was not taken in")
		}
		w.c.Probe(w.BEs[0].ID)
	}
	w.report(1, 10, []uint64{id + 1})
	w.report(1, 11, []uint64{id + 1})
	if !w.lost(0) {
		t.Fatal("all disks are open and none has the replica, but it is not lost")
	}
}

func TestForeignIsDroppedAfterDelay(t *testing.T) {
	w := newWorld(t, 1)
	other := w.replica(0)
	other.ReplicaId += 5000
	if resp := w.report(1, 1, nil, other); len(resp.Drops) != 0 {
		t.Error("dropped at the first sight")
	}
	w.age = time.Hour
	if resp := w.report(1, 2, nil, other); len(resp.Drops) != 0 {
		t.Error("dropped before its time")
	}
	w.age = 0
	resp := w.report(1, 3, nil, other, w.replica(1))
	if len(resp.Drops) != 1 || resp.Drops[0].ReplicaId != other.ReplicaId {
		t.Errorf("drops: %v", resp.Drops)
	}
}

func TestReportToWrongFEChangesNothing(t *testing.T) {
	w := newWorld(t, 1)
	other := w.replica(0)
	other.ReplicaId += 5000
	w.Log.NotLeading = errors.New("not leading")
	for seq := range uint64(3) {
		_, err := w.ledger.Report(context.Background(), &fepb.ReportRequest{BeId: uint64(w.BEs[0].ID), Sequence: seq + 1, Full: true, Replicas: []*fepb.Replica{other}})
		if err == nil {
			t.Fatal("an FE that does not lead judged a report")
		}
	}
	w.Log.NotLeading = nil
	if _, err := w.ledger.Report(context.Background(), &fepb.ReportRequest{BeId: 99, Full: true, Replicas: []*fepb.Replica{other}}); err == nil {
		t.Fatal("a BE that is no member was told what to drop")
	}
}

// commit steps the first tablet on all replicas; its rows may travel in the commit.
func (w *world) commit(redo ...[]byte) types.Version {
	w.t.Helper()
	id := w.Log.Must(w.t, &command.AllocIDs{Counter: command.CounterTxns, N: 1, TimeMs: 1}).(catalog.AllocResult).First
	tab := w.Tablet(w.t, w.Tablets[0])
	var all []types.ReplicaID
	for _, r := range tab.Replicas {
		all = append(all, r.ID)
	}
	w.Log.Must(w.t, &command.CommitTxn{Txn: types.TxnID(id), Tablets: []command.TxnTablet{{Tablet: tab.ID, Epoch: tab.Epoch, OK: all, Redo: redo}}})
	return tab.Version + 1
}

func TestSuspicion(t *testing.T) {
	for name, c := range map[string]struct {
		reports []func(*fepb.Replica)
		lost    bool
	}{
		"publish under way":      {[]func(*fepb.Replica){func(r *fepb.Replica) { r.Pending = 1 }, func(r *fepb.Replica) { r.Pending = 1 }}, false},
		"waits for an earlier":   {[]func(*fepb.Replica){func(r *fepb.Replica) { r.Pending, r.MissingVersion = 1, 2 }}, false},
		"knows of the gap":       {[]func(*fepb.Replica){func(r *fepb.Replica) { r.MissingVersion = 2 }}, true},
		"stands still":           {[]func(*fepb.Replica){func(*fepb.Replica) {}, func(*fepb.Replica) {}}, true},
		"stands still with more": {[]func(*fepb.Replica){func(r *fepb.Replica) { r.Pending, r.MissingVersion = 1, 2 }, func(r *fepb.Replica) { r.Pending, r.MissingVersion = 2, 2 }}, true},
		"once is nothing":        {[]func(*fepb.Replica){func(*fepb.Replica) {}}, false},
		"caught up":              {[]func(*fepb.Replica){func(*fepb.Replica) {}, func(r *fepb.Replica) { r.Version++ }}, false},
	} {
		w := newWorld(t, 3)
		was := w.replica(0).Version
		w.commit()
		for i, change := range c.reports {
			r := w.replica(0)
			r.Version = was
			change(r)
			w.report(1, uint64(i+1), []uint64{r.DiskId}, r, w.replica(1))
		}
		if got := w.Tablet(t, w.Tablets[0]).Replica(w.BEs[0].ID).LastFailed != 0; got != c.lost {
			t.Errorf("%s: lost %v, want %v", name, got, c.lost)
		}
	}
}

func TestFullReportSettles(t *testing.T) {
	w := newWorld(t, 3)
	v := w.commit()
	w.report(1, 1, []uint64{w.replica(0).DiskId}, w.replica(0), w.replica(1))
	if r := w.Tablet(t, w.Tablets[0]).Replica(w.BEs[0].ID); r.Settled != v {
		t.Errorf("settled %d, want %d", r.Settled, v)
	}
}

func TestResolve(t *testing.T) {
	w := newWorld(t, 3)
	v := w.commit() // transaction n
	first := w.Log.Must(t, &command.AllocIDs{Counter: command.CounterTxns, N: 3, TimeMs: 1}).(catalog.AllocResult).First
	w.active[types.TxnID(first)] = true
	item := func(id uint64) *fepb.ResolveRequest_Item {
		return &fepb.ResolveRequest_Item{TxnId: id, TabletId: uint64(w.Tablets[0])}
	}
	resp, err := w.ledger.Resolve(context.Background(), &fepb.ResolveRequest{Items: []*fepb.ResolveRequest_Item{item(first - 1), item(first), item(first + 1), item(first + 1)}})
	if err != nil {
		t.Fatal(err)
	}
	want := []fepb.ResolveResponse_Outcome{fepb.ResolveResponse_COMMITTED, fepb.ResolveResponse_UNDECIDED, fepb.ResolveResponse_ABORTED, fepb.ResolveResponse_ABORTED}
	for i, it := range resp.Items {
		if it.Outcome != want[i] {
			t.Errorf("item %d: %s, want %s", i, it.Outcome, want[i])
		}
	}
	if resp.Items[0].Version != uint64(v) {
		t.Errorf("committed at %d, want %d", resp.Items[0].Version, v)
	}
}

// TestComing: a BE that was never heard of is coming for some heartbeats; once it has answered, or was looked for in vain, it is not.
func TestComing(t *testing.T) {
	w := newWorld(t, 2)
	here, gone := w.BEs[0].ID, w.BEs[1]
	if !w.c.Coming(here) || !w.c.Coming(gone.ID) {
		t.Error("not coming before anybody has looked")
	}
	gone.Stop()
	w.run()
	w.await(cluster.BEUp, here)
	if w.c.Coming(here) {
		t.Error("still coming after it has answered")
	}
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(time.Minute); w.c.Coming(gone.ID); <-look.C {
		if time.Now().After(end) {
			t.Fatal("a BE that refuses is coming for ever")
		}
	}
	w.BEs[0].Stop()
	w.await(cluster.BEDown, here)
	if w.c.Coming(here) {
		t.Error("coming although it is known and dead")
	}
}

// TestReturning: a BE that was there and has just gone may be restarting, for some heartbeats, as every FE sees; one that is there or never was
// may not.
func TestReturning(t *testing.T) {
	w := newWorld(t, 2)
	here, never := w.BEs[0].ID, w.BEs[1]
	never.Stop()
	w.run()
	w.await(cluster.BEUp, here)
	if w.c.Returning(here) || w.c.Returning(never.ID) {
		t.Error("taken to be restarting while it is there, or although it never was")
	}
	w.BEs[0].Stop()
	w.await(cluster.BEDown, here)
	_, view, err := w.c.View()
	if err != nil {
		t.Fatal(err)
	}
	for pause, returning := range map[time.Duration]bool{time.Hour: true, 0: false} {
		follower := cluster.New(cluster.Options{Clients: w.Clients, Current: w.Log.Current,
			Settings: func() cluster.Settings { return cluster.Settings{Interval: pause} }})
		if err := follower.Mirror(view); err != nil {
			t.Fatal(err)
		}
		if follower.Returning(here) != returning || follower.Returning(never.ID) {
			t.Errorf("heartbeats every %s: one that has just gone is returning: %v", pause, follower.Returning(here))
		}
	}
}
