package raftlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// What waits for a future of the Raft library may wait for ever: it leaves some open when it shuts down.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/hashicorp/raft.(*deferError).Error"))
}

const cluster = types.ClusterID("cluster-a")

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func config(t *testing.T, id, dir string) Config {
	return Config{
		Dir: dir, ClusterID: cluster, ID: id, Listener: listen(t), Timings: TestTimings(), SegmentBytes: 1 << 20,
		Log: slog.New(slog.DiscardHandler),
	}
}

func bootstrapped(t *testing.T, dir string) Config {
	cfg := config(t, "fe1", dir)
	cfg.Bootstrap = &command.InitCluster{ClusterID: cluster, FE: catalog.FE{Name: "fe1", Host: "h"}, TimeMs: 1}
	return cfg
}

func open(t *testing.T, cfg Config) *Log {
	t.Helper()
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func propose(t *testing.T, l *Log, cmd command.Command) any {
	t.Helper()
	v, err := l.ProposeOne(testContext(t), cmd)
	if err != nil {
		t.Fatalf("%s: %v", cmd.Type(), err)
	}
	return v
}

func lead(t *testing.T, l *Log) {
	t.Helper()
	if err := l.WaitLeader(testContext(t)); err != nil {
		t.Fatal(err)
	}
}

func TestRestartKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	l := open(t, bootstrapped(t, dir))
	lead(t, l)
	if got := l.Current().ClusterID(); got != cluster {
		t.Fatalf("cluster id %q after bootstrap", got)
	}
	for i := range 20 {
		propose(t, l, &command.CreateDatabase{Name: fmt.Sprint("d", i)})
		if i == 9 {
			if err := l.Snapshot(testContext(t)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := l.ProposeOne(testContext(t), &command.CreateDatabase{Name: "d3"}); err == nil {
		t.Error("a database was created twice")
	} else if exists := (*catalog.ErrExists)(nil); !errors.As(err, &exists) {
		t.Errorf("got %v, want ErrExists", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Propose(t.Context(), &command.CreateDatabase{Name: "late"}); !errors.Is(err, ErrClosed) {
		t.Errorf("propose after close: %v", err)
	}

	l = open(t, bootstrapped(t, dir))
	if _, err := Open(bootstrapped(t, dir)); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("a directory was opened twice: %v", err)
	}
	// Bootstrap was ignored: the cluster is there already.
	lead(t, l)
	for i := range 20 {
		if _, ok := l.Current().Database(fmt.Sprint("d", i)); !ok {
			t.Errorf("database d%d is gone", i)
		}
	}
	if id, ok, err := ReadIdentity(dir); err != nil || !ok || id.ClusterID != cluster || id.ID != "fe1" {
		t.Errorf("identity %+v %v %v", id, ok, err)
	}
}

func TestConcurrentProposalsShareEntries(t *testing.T) {
	l := open(t, bootstrapped(t, t.TempDir()))
	lead(t, l)
	before := l.AppliedIndex()
	const callers, each = 64, 20
	var wg sync.WaitGroup
	seen := make([][]uint64, callers)
	for i := range callers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range each {
				v, err := l.ProposeOne(t.Context(), &command.AllocIDs{N: 3})
				if err != nil {
					t.Errorf("alloc: %v", err)
					return
				}
				seen[i] = append(seen[i], v.(catalog.AllocResult).First)
			}
		}()
	}
	wg.Wait()
	firsts := map[uint64]bool{}
	for _, s := range seen {
		for _, f := range s {
			if firsts[f] {
				t.Fatalf("id %d was drawn twice", f)
			}
			firsts[f] = true
		}
	}
	entries := l.AppliedIndex() - before
	t.Logf("%d proposals in %d entries", callers*each, entries)
	if len(firsts) != callers*each || entries >= callers*each/2 {
		t.Errorf("%d results in %d entries, want sharing", len(firsts), entries)
	}
}

// group opens three voters; the first leads. Each may be opened differently.
func group(t *testing.T, differ ...func(*Config)) []*Log {
	t.Helper()
	first := bootstrapped(t, t.TempDir())
	for _, d := range differ {
		d(&first)
	}
	logs := []*Log{open(t, first)}
	lead(t, logs[0])
	ctx := testContext(t)
	for i := 2; i <= 3; i++ {
		cfg := config(t, fmt.Sprint("fe", i), t.TempDir())
		for _, d := range differ {
			d(&cfg)
		}
		addr := cfg.Listener.Addr().String()
		l := open(t, cfg)
		if err := logs[0].AddLearner(ctx, cfg.ID, addr); err != nil {
			t.Fatal(err)
		}
		index, err := logs[0].ReadIndex(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.WaitApplied(ctx, index); err != nil {
			t.Fatal(err)
		}
		if err := logs[0].Promote(ctx, cfg.ID); err != nil {
			t.Fatal(err)
		}
		logs = append(logs, l)
	}
	return logs
}

// leaderOf waits for one of the logs to lead.
func leaderOf(t *testing.T, logs ...*Log) *Log {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	found := make(chan *Log, len(logs))
	var wg sync.WaitGroup
	for _, l := range logs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if l.WaitLeader(ctx) == nil {
				found <- l
			}
		}()
	}
	defer wg.Wait()
	defer cancel()
	select {
	case l := <-found:
		return l
	case <-ctx.Done():
		t.Fatal("nobody leads")
		return nil
	}
}

func TestFailover(t *testing.T) {
	logs := group(t)
	ctx := testContext(t)
	propose(t, logs[0], &command.CreateDatabase{Name: "before"})
	servers, err := logs[0].Servers()
	if err != nil || len(servers) != 3 || !servers[1].Voter || !servers[2].Voter {
		t.Fatalf("servers %+v, %v", servers, err)
	}
	notLeader := (*ErrNotLeader)(nil)
	if _, err := logs[1].Propose(ctx, &command.CreateDatabase{Name: "x"}); !errors.As(err, &notLeader) || notLeader.LeaderID != "fe1" {
		t.Fatalf("propose on a follower: %v", err)
	}
	if _, err := logs[1].ReadIndex(ctx); !errors.As(err, &notLeader) {
		t.Fatalf("read index on a follower: %v", err)
	}
	if err := logs[0].Close(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	next := leaderOf(t, logs[1], logs[2])
	propose(t, next, &command.CreateDatabase{Name: "after"})
	t.Logf("failover took %v", time.Since(start))
	index, err := next.ReadIndex(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range logs[1:] {
		c, err := l.WaitApplied(ctx, index)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"before", "after"} {
			if _, ok := c.Database(name); !ok {
				t.Errorf("%s: database %s is not there", l.cfg.ID, name)
			}
		}
		if c.Leader().RaftID != next.cfg.ID {
			t.Errorf("%s: %+v is noted as leader, %s leads", l.cfg.ID, c.Leader(), next.cfg.ID)
		}
	}
}

func TestTransferAndRemove(t *testing.T) {
	logs := group(t)
	ctx := testContext(t)
	if err := logs[0].TransferLeadership(ctx, "fe3"); err != nil {
		t.Fatal(err)
	}
	lead(t, logs[2])
	propose(t, logs[2], &command.CreateDatabase{Name: "d"})
	if err := logs[2].Remove(ctx, "fe1"); err != nil {
		t.Fatal(err)
	}
	if servers, err := logs[2].Servers(); err != nil || len(servers) != 2 {
		t.Fatalf("servers %+v, %v", servers, err)
	}
	propose(t, logs[2], &command.CreateDatabase{Name: "d2"})
}

func TestLaggingFollowerGetsSnapshot(t *testing.T) {
	cfg := bootstrapped(t, t.TempDir())
	cfg.TrailingLogs = 1
	l := open(t, cfg)
	lead(t, l)
	for i := range 50 {
		propose(t, l, &command.CreateDatabase{Name: fmt.Sprint("d", i)})
	}
	ctx := testContext(t)
	if err := l.Snapshot(ctx); err != nil {
		t.Fatal(err)
	}
	cfg2 := config(t, "fe2", t.TempDir())
	addr := cfg2.Listener.Addr().String()
	late := open(t, cfg2)
	if err := l.AddLearner(ctx, "fe2", addr); err != nil {
		t.Fatal(err)
	}
	index, err := l.ReadIndex(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c, err := late.WaitApplied(ctx, index)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Database("d49"); !ok || c.ClusterID() != cluster {
		t.Error("the snapshot did not arrive whole")
	}
}

func TestWrongClusterIsTurnedAway(t *testing.T) {
	l := open(t, bootstrapped(t, t.TempDir()))
	lead(t, l)
	stranger := config(t, "fe2", t.TempDir())
	stranger.ClusterID = "cluster-b"
	addr := stranger.Listener.Addr().String()
	other := open(t, stranger)
	ctx := testContext(t)
	if err := l.AddLearner(ctx, "fe2", addr); !errors.Is(err, ErrWrongCluster) {
		t.Fatalf("add a learner of another cluster: %v", err)
	}
	if err := other.CheckPeer(ctx, l.cfg.Advertise); !errors.Is(err, ErrWrongCluster) {
		t.Fatalf("dial a leader of another cluster: %v", err)
	}
	if servers, err := l.Servers(); err != nil || len(servers) != 1 {
		t.Fatalf("servers %+v, %v", servers, err)
	}
	// A peer that says nothing does not keep others out.
	silent, err := net.Dial("tcp", l.cfg.Advertise)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if err := l.CheckPeer(ctx, l.cfg.Advertise); err != nil {
		t.Errorf("beside a silent peer: %v", err)
	}
	dir := t.TempDir()
	if err := open(t, bootstrapped(t, dir)).Close(); err != nil {
		t.Fatal(err)
	}
	moved := config(t, "fe1", dir)
	moved.ClusterID = "cluster-b"
	if _, err := Open(moved); !errors.Is(err, ErrWrongCluster) {
		t.Errorf("open the directory of another cluster: %v", err)
	}
	renamed := config(t, "fe9", dir)
	if _, err := Open(renamed); err == nil || !strings.Contains(err.Error(), `"fe1"`) {
		t.Errorf("open the directory of another frontend: %v", err)
	}
}

func TestDamagedSnapshotIsRefused(t *testing.T) {
	for _, damaged := range []string{"state.bin", "meta.json"} {
		t.Run(damaged, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, bootstrapped(t, dir))
			lead(t, l)
			propose(t, l, &command.CreateDatabase{Name: "d"})
			if err := l.Snapshot(testContext(t)); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(filepath.Join(dir, "snapshots", "*", damaged))
			if err != nil || len(files) != 1 {
				t.Fatalf("snapshots %v, %v", files, err)
			}
			b, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 0x15
			if damaged == "meta.json" {
				b = b[:len(b)/2]
			}
			if err := os.WriteFile(files[0], b, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = Open(bootstrapped(t, dir))
			if err == nil || !strings.Contains(err.Error(), "remedy: move this directory away") {
				t.Errorf("got %v, want the remedy", err)
			}
			if !errors.Is(err, ErrSnapshotUnusable) {
				t.Errorf("got %v, want ErrSnapshotUnusable", err)
			}
		})
	}
}

func TestUnknownCommandStopsTheFrontend(t *testing.T) {
	dir := t.TempDir()
	l := open(t, bootstrapped(t, dir))
	lead(t, l)
	propose(t, l, &command.CreateDatabase{Name: "d"})
	newer, err := command.Encode(&command.DropDatabase{ID: 10002})
	if err != nil {
		t.Fatal(err)
	}
	newer[3] = 9 // the version of the body
	if _, err := l.ProposeEncoded(t.Context(), Tag{}, [][]byte{newer}); err == nil {
		t.Fatal("an unknown command was proposed")
	}
	l.raft.ApplyLog(raft.Log{Data: newer}, time.Second) // as a newer leader would
	select {
	case <-l.Failed():
	case <-testContext(t).Done():
		t.Fatal("the unknown command was passed over")
	}
	unknown := (*command.UnknownError)(nil)
	if !errors.As(l.Failure(), &unknown) || unknown.Name != "drop_database" {
		t.Errorf("failure: %v", l.Failure())
	}
	if _, ok := l.Current().Database("d"); !ok {
		t.Error("the catalog changed")
	}
	if _, err := l.Propose(t.Context(), &command.CreateDatabase{Name: "e"}); err == nil {
		t.Error("a stopped frontend took a proposal")
	}
}
