package dist_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"stele/fe/dist"
	"stele/fe/fakecluster"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/errno"
	"stele/sql/exec"
	"stele/sql/physical"
	"stele/sql/spool"
	"stele/sql/vec"
)

type world struct {
	*fakecluster.Cluster
	t       *testing.T
	scanner *dist.Scanner
	set     dist.Settings

	mu    sync.Mutex
	bad   map[types.TabletID]types.BEID
	onBad func()
}

func newWorld(t *testing.T, bes, tablets int) *world {
	w := &world{Cluster: fakecluster.New(t, bes, tablets, types.QuorumMajority), t: t, bad: map[types.TabletID]types.BEID{},
		set: dist.Settings{Patience: time.Minute, MemLimit: 1 << 20, SpillDir: t.TempDir()}}
	w.scanner = dist.New(w.Clients, w, w.Log.Current, func() dist.Settings { return w.set }, func(id types.TabletID, be types.BEID, _ error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.bad[id] = be
		if w.onBad != nil {
			w.onBad()
		}
	}, w.Logger)
	for _, b := range w.BEs {
		b.Set(func(b *fakecluster.BE) { b.OnScan = serve })
	}
	return w
}

// serve sends two rows of every tablet, in two batches: id*10 and id*10+1.
func serve(req *bepb.ScanRequest, stream bepb.Backend_ScanServer) error {
	for k := range int64(2) {
		for _, t := range req.Tablets {
			if err := stream.Send(row(int64(t.TabletId)*10 + k)); err != nil {
				return err
			}
		}
	}
	return nil
}

func row(n int64) *bepb.ScanResponse {
	v := vec.New(types.ColumnType{Kind: types.KindBigInt}, 1)
	v.I64[0] = n
	return &bepb.ScanResponse{Batch: vec.Encode(nil, &vec.Batch{Cols: []*vec.Vector{v}, N: 1})}
}

func (w *world) want() []int64 {
	var out []int64
	for _, id := range w.Tablets {
		out = append(out, int64(id)*10, int64(id)*10+1)
	}
	return out
}

func (w *world) scan(q *dist.Query, agg bool) exec.Stream {
	w.t.Helper()
	f := physical.Fragment{Schema: fakecluster.Schema(w.Table), Columns: []types.ColumnID{1}}
	if agg {
		f.Agg = &physical.Agg{}
	}
	if q == nil {
		q = &dist.Query{Snapshot: w.Log.Current()}
	}
	s, err := w.scanner.Scan(context.Background(), q, &physical.Scan{TableID: w.Table, Tablets: w.Tablets, Fragment: f})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// read reads a scan to its end; the rows ascend.
func read(s exec.Stream) ([]int64, error) {
	defer s.Close()
	var out []int64
	for {
		b, err := s.Next(context.Background())
		if err != nil || b == nil {
			slices.Sort(out)
			return out, err
		}
		for i := range b.Rows() {
			out = append(out, b.Cols[0].I64[b.Row(i)])
		}
	}
}

// TestNoRowTwiceNoneMissing lets replicas fail in every way that another replica can make good.
func TestNoRowTwiceNoneMissing(t *testing.T) {
	dies := func(err error) func(*bepb.ScanRequest, bepb.Backend_ScanServer) error {
		return func(req *bepb.ScanRequest, stream bepb.Backend_ScanServer) error {
			if serr := stream.Send(row(int64(req.Tablets[0].TabletId) * 10)); serr != nil {
				return serr
			}
			return err
		}
	}
	for name, fails := range map[string]func(*bepb.ScanRequest, bepb.Backend_ScanServer) error{
		"dies": dies(fakecluster.Unavailable), "behind": dies(fakecluster.Behind), "gone": dies(fakecluster.Gone),
		"corrupt": dies(fakecluster.Corrupt), "no replica": dies(fakecluster.NoReplica),
	} {
		for _, agg := range []bool{false, true} {
			w := newWorld(t, 3, 4)
			for _, b := range w.BEs[:2] {
				b.Set(func(b *fakecluster.BE) { b.OnScan = fails })
			}
			got, err := read(w.scan(nil, agg))
			if err != nil || !slices.Equal(got, w.want()) {
				t.Errorf("%s, agg %v: got %v, %v, want %v", name, agg, got, err, w.want())
			}
		}
	}
}

func TestKilledInTheMiddle(t *testing.T) {
	w := newWorld(t, 2, 3)
	first := w.BEs[0]
	first.Set(func(b *fakecluster.BE) {
		b.OnScan = func(req *bepb.ScanRequest, stream bepb.Backend_ScanServer) error {
			if err := stream.Send(row(1)); err != nil {
				return err
			}
			go first.Stop()
			<-stream.Context().Done()
			return stream.Context().Err()
		}
	})
	got, err := read(w.scan(nil, true))
	if err != nil || !slices.Equal(got, w.want()) {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestVersionOfOneCatalog: every call asks for the version of the snapshot, also when it is tried elsewhere later.
func TestVersionOfOneCatalog(t *testing.T) {
	w := newWorld(t, 3, 2)
	q := &dist.Query{Snapshot: w.Log.Current()}
	id := w.Log.Must(t, &command.AllocIDs{Counter: command.CounterTxns, N: 1, TimeMs: 1}).(catalog.AllocResult).First
	var all []types.ReplicaID
	for _, r := range w.Tablet(t, w.Tablets[0]).Replicas {
		all = append(all, r.ID)
	}
	w.Log.Must(t, &command.CommitTxn{Txn: types.TxnID(id), Tablets: []command.TxnTablet{{Tablet: w.Tablets[0], Epoch: 1, OK: all}}})
	for _, b := range w.BEs {
		b.Set(func(b *fakecluster.BE) {
			b.OnScan = func(req *bepb.ScanRequest, stream bepb.Backend_ScanServer) error {
				for _, rt := range req.Tablets {
					if tab, _ := q.Snapshot.Tablet(types.TabletID(rt.TabletId)); uint64(tab.Version) != rt.Version {
						t.Errorf("tablet %d was asked for version %d", rt.TabletId, rt.Version)
					}
				}
				return serve(req, stream)
			}
		})
	}
	if _, err := read(w.scan(q, false)); err != nil {
		t.Fatal(err)
	}
}

func TestPatienceEnds(t *testing.T) {
	w := newWorld(t, 3, 2)
	w.set.Patience = 300 * time.Millisecond
	for _, b := range w.BEs {
		b.Set(func(b *fakecluster.BE) {
			b.OnScan = func(*bepb.ScanRequest, bepb.Backend_ScanServer) error {
				return fakecluster.Behind
			}
		})
	}
	start := time.Now()
	if _, err := read(w.scan(nil, false)); err == nil {
		t.Fatal("a scan that nobody can serve has ended well")
	}
	if took := time.Since(start); took < w.set.Patience {
		t.Errorf("gave up after %s", took)
	}
}

func TestComesBackWithinPatience(t *testing.T) {
	w := newWorld(t, 1, 1)
	calls := 0
	w.BEs[0].Set(func(b *fakecluster.BE) {
		b.OnScan = func(req *bepb.ScanRequest, stream bepb.Backend_ScanServer) error {
			if calls++; calls < 4 {
				return fakecluster.Behind
			}
			return serve(req, stream)
		}
	})
	got, err := read(w.scan(nil, false))
	if err != nil || !slices.Equal(got, w.want()) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestDroppedAndForgottenEndAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		code error
		drop bool
	}{"dropped": {fakecluster.NoReplica, true}, "version gone": {fakecluster.Gone, false}} {
		w := newWorld(t, 2, 1)
		w.set.Patience = time.Hour
		q := &dist.Query{Snapshot: w.Log.Current()}
		if c.drop {
			w.Log.Must(t, &command.DropTable{ID: w.Table})
		}
		for _, b := range w.BEs {
			b.Set(func(b *fakecluster.BE) {
				b.OnScan = func(*bepb.ScanRequest, bepb.Backend_ScanServer) error { return c.code }
			})
		}
		_, err := read(w.scan(q, false))
		var changed *dist.ChangedError
		if !errors.As(err, &changed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestCorruptNamesTheTablet(t *testing.T) {
	w := newWorld(t, 2, 4)
	damaged := w.Tablets[2]
	for _, b := range w.BEs[:1] {
		b.Set(func(b *fakecluster.BE) {
			b.OnScan = func(req *bepb.ScanRequest, stream bepb.Backend_ScanServer) error {
				if slices.ContainsFunc(req.Tablets, func(t *bepb.ScanRequest_Tablet) bool { return t.TabletId == uint64(damaged) }) {
					return fakecluster.Corrupt
				}
				return serve(req, stream)
			}
		})
	}
	w.SetAlive(w.BEs[1].ID, false) // until the damage is known, all goes to the damaged BE
	w.onBad = func() { w.SetAlive(w.BEs[1].ID, true) }
	got, err := read(w.scan(nil, true))
	if err != nil || !slices.Equal(got, w.want()) {
		t.Errorf("got %v, %v", got, err)
	}
	if len(w.bad) != 1 || w.bad[damaged] != w.BEs[0].ID {
		t.Errorf("bad: %v, want tablet %d alone", w.bad, damaged)
	}
}

func TestQueryErrorEndsTheScan(t *testing.T) {
	w := newWorld(t, 2, 20)
	for _, b := range w.BEs {
		b.Set(func(b *fakecluster.BE) {
			b.OnScan = func(req *bepb.ScanRequest, stream bepb.Backend_ScanServer) error {
				if req.Tablets[0].TabletId == uint64(w.Tablets[19]) {
					return fakecluster.BadQuery
				}
				return serve(req, stream)
			}
		})
	}
	if _, err := read(w.scan(nil, false)); !fakecluster.IsBadQuery(err) {
		t.Errorf("got %v", err)
	}
}

func TestOwnRowsAreReadAtTheirLeader(t *testing.T) {
	w := newWorld(t, 3, 2)
	own := w.Tablets[0]
	q := &dist.Query{Snapshot: w.Log.Current(), Txn: 7, Leads: func(id types.TabletID) (types.BEID, types.Epoch, bool) {
		return w.BEs[0].ID, 1, id == own
	}}
	for i, b := range w.BEs {
		b.Set(func(b *fakecluster.BE) {
			b.OnScan = func(req *bepb.ScanRequest, stream bepb.Backend_ScanServer) error {
				mine := req.Tablets[0].TabletId == uint64(own)
				if mine && (i != 0 || req.TxnId != 7 || len(req.Tablets) != 1) || !mine && req.TxnId != 0 {
					t.Errorf("be %d, txn %d: %v", i, req.TxnId, req.Tablets)
				}
				return serve(req, stream)
			}
		})
	}
	if got, err := read(w.scan(q, true)); err != nil || !slices.Equal(got, w.want()) {
		t.Errorf("got %v, %v", got, err)
	}
	w.Lead(t, own, w.BEs[1].ID)
	_, err := read(w.scan(q, true))
	var lost *dist.LostRowsError
	if !errors.As(err, &lost) || lost.Tablet != own {
		t.Errorf("after a change of leader: %v, want the loss of the own rows", err)
	}
}

// TestLeaderLacksOwnRows: a leader that was started anew, of which the catalog has not heard, does not have the rows of the transaction.
func TestLeaderLacksOwnRows(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.BEs[0].Set(func(b *fakecluster.BE) {
		b.OnScan = func(*bepb.ScanRequest, bepb.Backend_ScanServer) error {
			return &rpc.Error{Code: errno.Deadlock, State: errno.State(errno.Deadlock), Msg: "no such rows"}
		}
	})
	q := &dist.Query{Snapshot: w.Log.Current(), Txn: 7, Leads: func(types.TabletID) (types.BEID, types.Epoch, bool) { return w.BEs[0].ID, 1, true }}
	var lost *dist.LostRowsError
	_, err := read(w.scan(q, true))
	if !errors.As(err, &lost) || lost.Tablet != w.Tablets[0] {
		t.Errorf("%v, want the loss of the own rows", err)
	}
	if errors.As(err, new(*rpc.Error)) {
		t.Errorf("%v has the number of the be, which does not know whether the rows are written again", err)
	}
}

func TestCloseBeforeTheEnd(t *testing.T) {
	w := newWorld(t, 2, 30)
	entered := make(chan struct{}, 100)
	for _, b := range w.BEs {
		b.Set(func(b *fakecluster.BE) {
			b.OnScan = func(req *bepb.ScanRequest, stream bepb.Backend_ScanServer) error {
				entered <- struct{}{}
				<-stream.Context().Done()
				return stream.Context().Err()
			}
		})
	}
	s := w.scan(nil, false)
	<-entered
	s.Close() // must return: every call ends with it
}

func TestHoldKeepsEverything(t *testing.T) {
	w := newWorld(t, 2, 5)
	s, err := spool.Hold(context.Background(), w.scan(nil, false), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range w.BEs {
		b.Stop()
	}
	if got, err := read(s); err != nil || !slices.Equal(got, w.want()) {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestEachLacksAnother: what a BE cannot serve of one tablet says nothing of the others that it was asked for in the same call.
func TestEachLacksAnother(t *testing.T) {
	for name, why := range map[string]error{"behind": fakecluster.Behind, "gone": fakecluster.Gone, "corrupt": fakecluster.Corrupt, "no replica": fakecluster.NoReplica} {
		for _, f := range []physical.Fragment{{Limit: 100}, {Agg: &physical.Agg{}}, {Limit: 100, Agg: &physical.Agg{}}} {
			w := newWorld(t, 2, 2)
			for i, b := range w.BEs {
				lacks := func(req *bepb.ScanRequest) bool {
					return slices.ContainsFunc(req.Tablets, func(rt *bepb.ScanRequest_Tablet) bool { return types.TabletID(rt.TabletId) == w.Tablets[i] })
				}
				b.Set(func(b *fakecluster.BE) {
					b.OnFetch = func(req *bepb.ScanRequest) (*bepb.GetResponse, error) {
						if lacks(req) {
							return nil, why
						}
						return fetched(req)
					}
					b.OnScan = func(req *bepb.ScanRequest, stream bepb.Backend_ScanServer) error {
						if lacks(req) {
							return why
						}
						return serve(req, stream)
					}
				})
			}
			f.Schema, f.Columns = fakecluster.Schema(w.Table), []types.ColumnID{1}
			s, err := w.scanner.Scan(context.Background(), &dist.Query{Snapshot: w.Log.Current()}, &physical.Scan{TableID: w.Table, Tablets: w.Tablets, Fragment: f})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := read(s); err != nil || !slices.Equal(got, w.want()) {
				t.Errorf("%s, limit %d, agg %v: got %v, %v, want %v", name, f.Limit, f.Agg != nil, got, err, w.want())
			}
		}
	}
}
