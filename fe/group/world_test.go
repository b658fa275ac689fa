package group_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"stele/fe/beclient"
	"stele/fe/group"
	"stele/fe/quorum"
	"stele/fe/rpc"
	"stele/fe/session"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/raftlog"
	metarpc "stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/fepb"
)

const clusterID = types.ClusterID("c1")

// How long the FEs of the tests wait for a leader: for one that comes, on a machine that may stand still, and for none.
const (
	patience   = time.Minute
	leaderWait = 2 * time.Second
)

// frontend is an FE without BEs and clients: its log, its part in the group and the service that others call.
type frontend struct {
	t       *testing.T
	dir     string
	name    string
	raft    net.Listener
	rpc     net.Listener
	log     *raftlog.Log
	clients *beclient.Clients
	group   *group.Group
	quorum  *quorum.Log
	waits   atomic.Int64  // for a leader
	active  atomic.Uint64 // the transaction that it works on
	starts  atomic.Bool   // it takes no MySQL clients
	reads   atomic.Int64  // for how many nanoseconds it has read what it reads
	stop    func()
	closed  bool
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// blank is an FE with an empty meta_dir: it has only addresses.
func blank(t *testing.T) *frontend {
	f := &frontend{t: t, dir: t.TempDir(), raft: listen(t), rpc: listen(t)} // the folder outlives the log
	t.Cleanup(f.close)
	return f
}

func (f *frontend) record(name string) catalog.FE {
	return catalog.FE{Name: name, Host: "127.0.0.1", RaftPort: port(f.raft), RPCPort: port(f.rpc)}
}

// open starts an FE under a name that it was given.
func (f *frontend) open(name string, boot bool) {
	f.t.Helper()
	f.name = name
	f.waits.Store(int64(patience))
	cfg := raftlog.Config{Dir: f.dir, ClusterID: clusterID, ID: name, Listener: f.raft, Timings: raftlog.TestTimings(),
		SegmentBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)}
	if boot {
		cfg.Bootstrap = &command.InitCluster{ClusterID: clusterID, FE: f.record(name), TimeMs: 1}
	}
	var err error
	if f.log, err = raftlog.Open(cfg); err != nil {
		f.t.Fatal(err)
	}
	id := metarpc.NewCluster(clusterID)
	f.clients = beclient.New(id)
	f.quorum = quorum.New(f.log, f.clients, func() time.Duration { return time.Duration(f.waits.Load()) })
	f.group = group.New(group.Options{Log: f.log, Clients: f.clients, Logger: slog.New(slog.DiscardHandler),
		View:   func() (uint64, []byte, error) { return 7, []byte("view of " + name), nil },
		Mirror: func([]byte) error { return nil }, Serves: func() bool { return !f.starts.Load() }, Version: "v", Started: time.UnixMilli(1000),
		OldestRead: func() time.Duration { return time.Duration(f.reads.Load()) }})
	f.serve(id)
}

func (f *frontend) serve(id *metarpc.Cluster) {
	server := metarpc.NewServer(metarpc.ServerConfig{Cluster: id, Log: slog.New(slog.DiscardHandler), AllowFresh: rpc.AllowFresh})
	fepb.RegisterFrontendServer(server, rpc.New(rpc.Parts{Log: f.log, CatchUp: f.quorum.ReadIndex, Group: f.group,
		Answer:   func(context.Context, session.Question) (stmt.Result, error) { return stmt.Result{Info: f.name}, nil },
		Active:   func(id types.TxnID) bool { return uint64(id) == f.active.Load() },
		Sessions: func() []stmt.Process { return nil }, Kill: func(uint64, bool) bool { return false },
		Suspect: func([]types.BEID, []types.TabletID) {}, Knock: f.group.Knock}))
	served, led := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { defer close(served); _ = server.Serve(f.rpc) }()
	go func() { defer close(led); f.lead(ctx) }()
	f.stop = func() {
		cancel()
		<-led
		server.Stop()
		<-served
	}
}

// lead does the leading FE's part whenever this one leads.
func (f *frontend) lead(ctx context.Context) {
	changes := f.log.LeaderCh()
	stop := func() {}
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return
		case leads, ok := <-changes:
			stop()
			stop = func() {}
			if !ok {
				return
			}
			if leads {
				lctx, cancel := context.WithCancel(ctx)
				done := make(chan struct{})
				go func() { defer close(done); f.group.Run(lctx) }()
				stop = func() { cancel(); <-done }
			}
		}
	}
}

// close ends the FE as a crash would: nothing is handed over.
func (f *frontend) close() {
	if f.closed {
		return
	}
	f.closed = true
	if f.log == nil {
		f.raft.Close()
		f.rpc.Close()
		return
	}
	f.stop()
	if err := f.log.Close(); err != nil {
		f.t.Errorf("close %s: %v", f.name, err)
	}
	if err := f.clients.Close(); err != nil {
		f.t.Errorf("close connections of %s: %v", f.name, err)
	}
}

// first starts the first FE of a cluster.
func first(t *testing.T) *frontend {
	f := blank(t)
	f.open("fe1", true)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := f.log.WaitLeader(ctx); err != nil {
		t.Fatal(err)
	}
	return f
}

// plan adds an FE to the catalog, as ALTER SYSTEM ADD FOLLOWER does.
func plan(t *testing.T, on *frontend, f *frontend, name string, observer bool) {
	t.Helper()
	fe := catalog.FE{Name: name, Host: "127.0.0.1", RaftPort: port(f.raft), Observer: observer}
	if _, err := on.quorum.ProposeOne(ctx(t), &command.PlanFE{FE: fe, TimeMs: 2}); err != nil {
		t.Fatal(err)
	}
}

// knock asks to be let in.
func (f *frontend) knock(leader *frontend) *fepb.JoinResponse {
	f.t.Helper()
	resp, err := leader.group.Knock(ctx(f.t), &fepb.JoinRequest{Host: "127.0.0.1", RaftPort: uint32(port(f.raft)), RpcPort: uint32(port(f.rpc)), QueryPort: 9})
	if err != nil {
		f.t.Fatal(err)
	}
	return resp
}

// world starts n FEs that all vote; the first one leads.
func world(t *testing.T, n int) []*frontend {
	t.Helper()
	all := []*frontend{first(t)}
	for i := 2; i <= n; i++ {
		f := blank(t)
		plan(t, all[0], f, fmt.Sprintf("fe%d", i), false)
		f.open(f.knock(all[0]).Name, false)
		all = append(all, f)
	}
	wait(t, "all FEs vote", func() bool { return voters(t, all[0]) == n })
	return all
}

func voters(t *testing.T, f *frontend) int {
	t.Helper()
	servers, err := f.log.Servers()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range servers {
		if s.Voter {
			n++
		}
	}
	return n
}

func ctx(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return c
}

// wait looks again and again until something holds.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
