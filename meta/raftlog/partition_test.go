package raftlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"stele/meta/command"
)

// network stands between FEs: each is dialed through it, and every pair of them can be cut off from each other.
type network struct {
	t  *testing.T
	wg sync.WaitGroup

	mu    sync.Mutex
	cut   map[string]bool // server ids that nobody reaches and that reach nobody
	conns map[net.Conn][2]string
}

func newNetwork(t *testing.T) *network {
	n := &network{t: t, cut: map[string]bool{}, conns: map[net.Conn][2]string{}}
	t.Cleanup(n.wg.Wait)
	return n
}

// address returns where the FE that listens on lis is dialed.
func (n *network) address(id string, lis net.Listener) string {
	door := listen(n.t)
	n.t.Cleanup(func() { door.Close() })
	n.wg.Go(func() {
		for {
			c, err := door.Accept()
			if err != nil {
				return
			}
			n.wg.Go(func() { n.carry(c, id, lis.Addr().String()) })
		}
	})
	return door.Addr().String()
}

// carry reads who dials, and passes the bytes on for as long as the two may talk.
func (n *network) carry(c net.Conn, to, addr string) {
	defer c.Close()
	hello, from, err := readHello(c)
	if err != nil || !n.add(c, from, to) {
		return
	}
	defer n.drop(c)
	d, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer d.Close()
	if _, err := d.Write(hello); err != nil {
		return
	}
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.Copy(c, d); c.Close() }()
	_, _ = io.Copy(d, c)
	d.Close()
	<-done
}

func readHello(c net.Conn) (hello []byte, from string, err error) {
	head := make([]byte, len(streamMagic)+2)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil, "", err
	}
	rest := make([]byte, int(head[len(head)-1])+1)
	if _, err := io.ReadFull(c, rest); err != nil {
		return nil, "", err
	}
	id := make([]byte, rest[len(rest)-1])
	_, err = io.ReadFull(c, id)
	return append(append(head, rest...), id...), string(id), err
}

func (n *network) add(c net.Conn, from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut[from] || n.cut[to] {
		return false
	}
	n.conns[c] = [2]string{from, to}
	return true
}

func (n *network) drop(c net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c)
}

// isolate cuts an FE off from the others, or connects it again.
func (n *network) isolate(id string, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[id] = cut
	for c, ends := range n.conns {
		if cut && (ends[0] == id || ends[1] == id) {
			c.Close()
		}
	}
}

// apart opens three voters that can be cut off from each other; the first leads.
func apart(t *testing.T) (*network, []*Log) {
	t.Helper()
	n := newNetwork(t)
	var all []*Log
	for i := 1; i <= 3; i++ {
		cfg := config(t, fmt.Sprintf("fe%d", i), t.TempDir())
		cfg.Timings.Heartbeat, cfg.Timings.Election, cfg.Timings.LeaderLease = time.Second, time.Second, 500*time.Millisecond
		if i == 1 {
			cfg.Bootstrap = bootstrapped(t, cfg.Dir).Bootstrap
		}
		cfg.Advertise = n.address(cfg.ID, cfg.Listener)
		all = append(all, open(t, cfg))
	}
	first, ctx := all[0], testContext(t)
	if err := first.WaitLeader(ctx); err != nil {
		t.Fatal(err)
	}
	for _, l := range all[1:] {
		if err := first.AddLearner(ctx, l.ID(), l.cfg.Advertise); err != nil {
			t.Fatal(err)
		}
		if err := first.Promote(ctx, l.ID()); err != nil {
			t.Fatal(err)
		}
	}
	return n, all
}

// nextLeader waits for one of the logs to know that it leads.
func nextLeader(t *testing.T, ctx context.Context, logs []*Log) *Log {
	t.Helper()
	for ctx.Err() == nil {
		for _, l := range logs {
			if l.IsLeader() {
				return l
			}
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatal("no new leader")
	return nil
}

// TestPartition: a leader that is cut off stops leading, answers no reads and commits nothing; the others have a new
// leader; when it is back it follows and has what they committed, and nothing of its own.
func TestPartition(t *testing.T) {
	n, all := apart(t)
	old, ctx := all[0], testContext(t)
	create(t, ctx, old, "before")
	n.isolate("fe1", true)
	fresh := nextLeader(t, ctx, all[1:])
	if _, err := old.ReadIndex(ctx); err == nil {
		t.Error("a leader that is cut off answers reads")
	}
	lost, cancel := context.WithTimeout(ctx, time.Second) // which it may wait for in vain
	if _, err := old.ProposeOne(lost, &command.CreateDatabase{Name: "lost"}); err == nil {
		t.Error("a leader that is cut off commits")
	}
	cancel()
	create(t, ctx, fresh, "after")
	term := fresh.Term()
	n.isolate("fe1", false)
	if _, err := old.WaitApplied(ctx, fresh.AppliedIndex()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"before": true, "after": true, "lost": false} {
		if _, got := old.Current().Database(name); got != want {
			t.Errorf("%s is there: %v, want %v", name, got, want)
		}
	}
	if old.IsLeader() || fresh.Term() != term {
		t.Errorf("the return of an FE disturbed the others: term %d became %d", term, fresh.Term())
	}
}

func create(t *testing.T, ctx context.Context, l *Log, name string) {
	t.Helper()
	if _, err := l.ProposeOne(ctx, &command.CreateDatabase{Name: name}); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// TestLearn: a follower takes over how far the log is committed from a mark, and believes none that its own log or its
// term contradicts.
func TestLearn(t *testing.T) {
	cfg := bootstrapped(t, t.TempDir())
	cfg.Timings = TestTimings()
	cfg.Timings.Commit = time.Hour // followers hear of commits by marks, or by the next entry
	leader := open(t, cfg)
	ctx := testContext(t)
	if err := leader.WaitLeader(ctx); err != nil {
		t.Fatal(err)
	}
	fcfg := config(t, "fe2", t.TempDir())
	follower := open(t, fcfg)
	if err := leader.AddLearner(ctx, "fe2", fcfg.Listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		create(t, ctx, leader, fmt.Sprint("d", i))
		m, ok := leader.Mark()
		if !ok || m.Index < leader.AppliedIndex() {
			t.Fatalf("mark %+v, %v", m, ok)
		}
		follower.Learn(Mark{Leader: m.Leader, Address: m.Address, Term: m.Term, Index: m.Index + 100, LogTerm: m.LogTerm})
		follower.Learn(Mark{Leader: "fe9", Address: "nowhere", Term: m.Term - 1, Index: m.Index, LogTerm: m.LogTerm})
		for follower.AppliedIndex() < m.Index { // the entry itself may be on its way
			follower.Learn(m)
			select {
			case <-follower.Changed():
			case <-time.After(2 * time.Millisecond):
			case <-ctx.Done():
				t.Fatal("the follower does not learn")
			}
		}
		if got := follower.raft.CommitIndex(); got > leader.raft.CommitIndex() {
			t.Fatalf("the follower believes %d to be committed, the leader %d", got, leader.raft.CommitIndex())
		}
	}
	if _, ok := follower.Mark(); ok {
		t.Error("a follower makes marks")
	}
	if id, _ := follower.Leader(); id != "fe1" || errors.Is(follower.Failure(), raft.ErrRaftShutdown) {
		t.Errorf("the follower believes that %q leads", id)
	}
}
