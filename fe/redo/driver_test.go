package redo_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stele/fe/fakecluster"
	"stele/fe/redo"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/bepb"
)

// members is a fake cluster in which nobody is away unless it is said.
type members struct {
	*fakecluster.Cluster
	gone atomic.Uint64
}

func (m *members) Away(be types.BEID, _ time.Duration) bool { return uint64(be) == m.gone.Load() }

// world is a fake cluster whose BEs have versions on their disks.
type world struct {
	*fakecluster.Cluster
	t      *testing.T
	driver *redo.Driver
	live   members

	mu      sync.Mutex
	disk    map[uint64]map[uint64]uint64 // by replica: of BE, of tablet
	refuses bool                         // BEs take nothing
	asked   map[types.BEID]int
	given   []*bepb.RedoRequest
}

func newWorld(t *testing.T, bes, tablets int) *world {
	w := &world{Cluster: fakecluster.New(t, bes, tablets, types.QuorumMajority), t: t, disk: map[uint64]map[uint64]uint64{}, asked: map[types.BEID]int{}}
	w.live.Cluster = w.Cluster
	for _, be := range w.BEs {
		w.disk[uint64(be.ID)] = map[uint64]uint64{}
		be.Set(func(b *fakecluster.BE) {
			b.OnHarden = func(req *bepb.HardenRequest) (*bepb.HardenResponse, error) { return w.harden(b.ID, req), nil }
			b.OnRedo = func(req *bepb.RedoRequest) (*bepb.RedoResponse, error) { return w.take(b.ID, req), nil }
		})
	}
	w.driver = redo.New(redo.Options{Log: w.Log, Members: &w.live, Clients: w.Clients, Logger: w.Logger})
	return w
}

// run has the driver work until the test ends.
func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.driver.Run(ctx) }()
	w.t.Cleanup(func() { cancel(); <-done })
}

func (w *world) harden(be types.BEID, req *bepb.HardenRequest) *bepb.HardenResponse {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked[be]++
	resp := &bepb.HardenResponse{}
	for _, it := range req.Items {
		resp.Versions = append(resp.Versions, w.disk[uint64(be)][it.TabletId])
	}
	return resp
}

func (w *world) take(be types.BEID, req *bepb.RedoRequest) *bepb.RedoResponse {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.given = append(w.given, req)
	resp := &bepb.RedoResponse{}
	for _, tab := range req.Tablets {
		for _, v := range tab.Versions {
			if !w.refuses && v.Version == w.disk[uint64(be)][tab.TabletId]+1 {
				w.disk[uint64(be)][tab.TabletId]++
			}
		}
		resp.Versions = append(resp.Versions, w.disk[uint64(be)][tab.TabletId])
	}
	return resp
}

// has says which version of a tablet BEs have on disk; none = all.
func (w *world) has(at int, v types.Version, bes ...int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, be := range w.BEs {
		if len(bes) == 0 || slices.Contains(bes, i) {
			w.disk[uint64(be.ID)][uint64(w.Tablets[at])] = uint64(v)
		}
	}
}

// commit steps a tablet on all replicas, with its rows or without.
func (w *world) commit(at int, rows ...[]byte) types.Version {
	w.t.Helper()
	id := w.Log.Must(w.t, &command.AllocIDs{Counter: command.CounterTxns, N: 1, TimeMs: 1}).(catalog.AllocResult).First
	tab := w.Tablet(w.t, w.Tablets[at])
	part := command.TxnTablet{Tablet: tab.ID, Epoch: tab.Epoch, Redo: rows}
	for _, r := range tab.Replicas {
		part.OK = append(part.OK, r.ID)
	}
	w.Log.Must(w.t, &command.CommitTxn{Txn: types.TxnID(id), Tablets: []command.TxnTablet{part}})
	return tab.Version + 1
}

func (w *world) trimmed() bool { return w.Log.Current().RedoBytes() == 0 }

// TestForgetsWhatIsOnDisk, and asks nobody when there is nothing to forget.
func TestForgetsWhatIsOnDisk(t *testing.T) {
	w := newWorld(t, 3, 2)
	w.run()
	for range 3 {
		w.commit(1)
	}
	v := w.commit(0, []byte("rows"))
	w.has(0, v-1)
	fakecluster.Eventually(w.t, "a question to each BE", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.asked) == 3
	})
	if w.trimmed() {
		t.Fatal("forgotten although nobody has it on disk")
	}
	w.has(0, v)
	fakecluster.Eventually(w.t, "the end of the rows", w.trimmed)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.given) > 0 {
		for _, req := range w.given {
			for _, tab := range req.Tablets {
				if tab.TabletId != uint64(w.Tablets[0]) {
					t.Errorf("given %v", req)
				}
			}
		}
	}
}

// TestGivesWhatIsLacking: to a BE that has been restarted, all that the log has, at once and in order; what comes after a version whose
// rows the log does not have follows when the BE has that one.
func TestGivesWhatIsLacking(t *testing.T) {
	w := newWorld(t, 3, 1)
	base := w.Tablet(t, w.Tablets[0]).Version
	big := make([]byte, 3<<20)
	for range 3 {
		w.commit(0, big)
	}
	w.commit(0) // durable: the BE has it, and publishes it when it is its turn
	last := w.commit(0, []byte("a"), []byte("b"))
	w.has(0, last)
	w.has(0, base, 2)
	w.BEs[2].Set(func(b *fakecluster.BE) {
		b.OnHarden = func(req *bepb.HardenRequest) (*bepb.HardenResponse, error) {
			w.mu.Lock()
			disk := w.disk[uint64(b.ID)]
			if disk[uint64(w.Tablets[0])] == uint64(base+3) {
				disk[uint64(w.Tablets[0])]++
			}
			w.mu.Unlock()
			return w.harden(b.ID, req), nil
		}
	})
	w.run()
	w.driver.Restarted(w.BEs[2].ID)
	fakecluster.Eventually(w.t, "the end of the rows", w.trimmed)
	w.mu.Lock()
	defer w.mu.Unlock()
	next := base
	for _, req := range w.given {
		size := 0
		for _, v := range req.Tablets[0].Versions {
			if next++; next == base+4 {
				next++
			}
			if v.Version != uint64(next) || v.TxnId == 0 {
				t.Errorf("version %d is given, want %d", v.Version, next)
			}
			for _, p := range v.Parts {
				size += len(p)
			}
		}
		if size > 6<<20 {
			t.Errorf("a message of %d bytes", size)
		}
	}
	if next != last {
		t.Errorf("given up to %d of %d", next, last)
	}
	if parts := w.given[len(w.given)-1].Tablets[0].Versions[0].Parts; len(parts) != 2 || string(parts[1]) != "b" {
		t.Errorf("parts %q", parts)
	}
}

// TestAwayIsMissed: who is dead for long holds nothing up, and is counted on no more.
func TestAwayIsMissed(t *testing.T) {
	w := newWorld(t, 3, 1)
	v := w.commit(0, []byte("rows"))
	w.has(0, v)
	w.SetAlive(w.BEs[2].ID, false)
	w.live.gone.Store(uint64(w.BEs[2].ID))
	w.run()
	fakecluster.Eventually(w.t, "the end of the rows", w.trimmed)
	tab := w.Tablet(t, w.Tablets[0])
	for _, be := range w.BEs {
		if got := tab.Replica(be.ID).LastFailed; (got != 0) != (be == w.BEs[2]) {
			t.Errorf("be %d: last failed %d", be.ID, got)
		}
	}
}

// TestOldBackend: one that does not know the question has everything on disk.
func TestOldBackend(t *testing.T) {
	w := newWorld(t, 3, 1)
	v := w.commit(0, []byte("rows"))
	w.has(0, v, 0, 1)
	w.BEs[2].Set(func(b *fakecluster.BE) { b.OnHarden, b.OnRedo = nil, nil })
	w.run()
	fakecluster.Eventually(w.t, "the end of the rows", w.trimmed)
}

// TestRefusal: a BE that takes nothing is given it less and less often, and at once when it begins anew.
func TestRefusal(t *testing.T) {
	w := newWorld(t, 3, 1)
	base := w.Tablet(t, w.Tablets[0]).Version
	v := w.commit(0, []byte("rows"))
	w.has(0, v, 0, 1)
	w.has(0, base, 2)
	w.refuses = true
	given := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.given)
	}
	w.run()
	for n := range 3 {
		w.driver.Poke(w.BEs[2].ID)
		fakecluster.Eventually(w.t, "another try", func() bool { return given() > n })
	}
	w.mu.Lock()
	w.refuses = false
	w.mu.Unlock()
	w.driver.Restarted(w.BEs[2].ID)
	fakecluster.Eventually(w.t, "the end of the rows", w.trimmed)
	if n := given(); n > 5 {
		t.Errorf("given %d times", n)
	}
}
