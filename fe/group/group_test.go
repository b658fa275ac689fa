package group_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stele/fe/quorum"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/raftlog"
	metarpc "stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/fepb"
)

// What waits for a future of the Raft library may wait for ever: it leaves some open when it shuts down.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/hashicorp/raft.(*deferError).Error"))
}

// TestJoin: a blank FE is told what to do, is let in when it was added, catches up as a learner and then votes. Its
// name is not given away a second time.
func TestJoin(t *testing.T) {
	t.Parallel()
	leader, f := first(t), blank(t)
	if resp := f.knock(leader); resp.Name != "" || !strings.Contains(resp.Wait, "ALTER SYSTEM ADD FOLLOWER '127.0.0.1:") {
		t.Fatalf("an FE that was not added is told %+v", resp)
	}
	if w := leader.group.Waiting(); len(w) != 1 || w[0].RaftPort != port(f.raft) {
		t.Errorf("waiting: %+v", w)
	}
	plan(t, leader, f, "fe2", false)
	for range 2 { // it may crash between the answer and its first start
		if resp := f.knock(leader); resp.Name != "fe2" || resp.ClusterId != string(clusterID) {
			t.Fatalf("an FE that was added is told %+v", resp)
		}
	}
	if w := leader.group.Waiting(); len(w) != 0 {
		t.Errorf("still waiting: %+v", w)
	}
	f.open("fe2", false)
	wait(t, "fe2 votes", func() bool { return voters(t, leader) == 2 })
	fe, _ := leader.log.Current().FEByName("fe2")
	if fe.Pending || fe.QueryPort != 9 || fe.Server != 2 {
		t.Errorf("the record of an FE that has joined: %+v", fe)
	}
	st := leader.group.Statuses()["fe2"]
	if !st.Alive || st.Version != "v" || !st.Started.Equal(time.UnixMilli(1000)) {
		t.Errorf("status: %+v", st)
	}
	other := blank(t)
	other.raft.Close()
	other.raft = f.raft // the same address with an empty meta_dir
	if resp := other.knock(leader); resp.Name != "" || !strings.Contains(resp.Wait, "meta_dir is empty") {
		t.Errorf("an FE that has lost its metadata is told %+v", resp)
	}
}

// TestObserver: an observer has the metadata and no vote.
func TestObserver(t *testing.T) {
	t.Parallel()
	leader, f := first(t), blank(t)
	plan(t, leader, f, "fe2", true)
	f.open(f.knock(leader).Name, false)
	wait(t, "the observer has joined", func() bool {
		fe, ok := f.log.Current().FEByName("fe2")
		return ok && !fe.Pending
	})
	if _, err := f.quorum.ProposeOne(ctx(t), &command.CreateDatabase{Name: "d"}); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.log.Current().Database("d"); !ok {
		t.Error("an observer does not see its own change")
	}
	servers, err := leader.log.Servers()
	if err != nil || len(servers) != 2 || voters(t, leader) != 1 {
		t.Errorf("servers %+v, %v", servers, err)
	}
}

// TestForward: what followers propose and read is as if they led.
func TestForward(t *testing.T) {
	t.Parallel()
	all := world(t, 3)
	var wg sync.WaitGroup
	for i, f := range all {
		wg.Go(func() {
			for k := range 30 {
				name := fmt.Sprintf("d_%d_%d", i, k)
				if _, err := f.quorum.ProposeOne(ctx(t), &command.CreateDatabase{Name: name}); err != nil {
					t.Errorf("fe%d: %v", i+1, err)
					return
				}
				if _, ok := f.quorum.Current().Database(name); !ok {
					t.Errorf("fe%d does not see its own change", i+1)
				}
				other := all[(i+1)%3]
				if _, err := other.quorum.ReadIndex(ctx(t)); err != nil {
					t.Errorf("read index: %v", err)
				}
				if _, ok := other.quorum.Current().Database(name); !ok {
					t.Errorf("another FE misses %s after its read index", name)
				}
			}
		})
	}
	wg.Wait()
	_, err := all[1].quorum.ProposeOne(ctx(t), &command.CreateDatabase{Name: "d_0_0"})
	var exists *catalog.ErrExists
	if !errors.As(err, &exists) || exists.Name != "d_0_0" {
		t.Errorf("a refusal comes back as %v", err)
	}
	if leader := all[0].quorum; !leader.Leads() || leader.LeaderAddress() != "" || all[1].quorum.LeaderAddress() == "" {
		t.Error("who leads is not known")
	}
}

// TestLeaderDies: calls on the other FEs go on, the second time through a new leader.
func TestLeaderDies(t *testing.T) {
	t.Parallel()
	all := world(t, 3)
	if _, err := all[1].quorum.ReadIndex(ctx(t)); err != nil {
		t.Fatal(err)
	}
	all[0].close()
	for _, f := range all[1:] {
		if _, err := f.quorum.ProposeOne(ctx(t), &command.AllocIDs{Counter: command.CounterTxns, N: 5}); err != nil {
			t.Errorf("%s proposes: %v", f.name, err)
		}
		if _, err := f.quorum.ReadIndex(ctx(t)); err != nil {
			t.Errorf("%s reads: %v", f.name, err)
		}
	}
}

// TestNoLeader: without a majority calls end with an error that says so, in time.
func TestNoLeader(t *testing.T) {
	t.Parallel()
	all := world(t, 3)
	all[0].close()
	all[1].close()
	all[2].waits.Store(int64(leaderWait))
	wait(t, "the last FE knows of no leader", func() bool { return all[2].quorum.LeaderAddress() == "" && !all[2].quorum.Leads() })
	for name, call := range map[string]func() error{
		"read": func() error { _, err := all[2].quorum.ReadIndex(ctx(t)); return err },
		"propose": func() error {
			_, err := all[2].quorum.ProposeOne(ctx(t), &command.CreateDatabase{Name: "d"})
			return err
		},
	} {
		begun := time.Now()
		err := call()
		var none *quorum.NoLeaderError
		if took := time.Since(begun); !errors.As(err, &none) || took < leaderWait/2 {
			t.Errorf("%s without a leader: %v after %v", name, err, took)
		}
	}
}

// TestDrop: the leader stays, a majority stays, and an FE that is gone has no say.
func TestDrop(t *testing.T) {
	t.Parallel()
	all := world(t, 3)
	leader := all[0]
	record := func(name string) *catalog.FE { fe, _ := leader.log.Current().FEByName(name); return fe }
	if err := leader.group.Drop(ctx(t), record("fe1")); err == nil || !strings.Contains(err.Error(), "can not drop current master node") {
		t.Errorf("drop the leader: %v", err)
	}
	wait(t, "beats", func() bool {
		s := leader.group.Statuses()
		return s["fe2"].Alive && s["fe3"].Alive
	})
	if err := leader.group.Drop(ctx(t), record("fe3")); err != nil {
		t.Fatal(err)
	}
	if voters(t, leader) != 2 {
		t.Error("the dropped FE still votes")
	}
	client, err := all[2].clients.FE(leader.rpc.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.ReadIndex(ctx(t), &fepb.ReadIndexRequest{Fe: "fe3"}); metarpc.Reason(err) != "not_a_member" {
		t.Errorf("a dropped FE is answered: %v", err)
	}
	if err := leader.group.Drop(ctx(t), record("fe2")); err != nil {
		t.Errorf("the other one of two: %v", err)
	}
}

// TestDropBelowMajority: with one of three dead, dropping a live one would leave one of two.
// TestReplace: an FE that has lost its metadata is taken out and planned anew by one log entry.
func TestReplace(t *testing.T) {
	t.Parallel()
	all := world(t, 3)
	leader := all[0]
	wait(t, "beats", func() bool {
		s := leader.group.Statuses()
		return s["fe2"].Alive && s["fe3"].Alive
	})
	old, _ := leader.log.Current().FEByName("fe3")
	plan := &command.PlanFE{FE: catalog.FE{Name: "fe3b", Host: old.Host, RaftPort: old.RaftPort}}
	if err := leader.group.Replace(ctx(t), old, plan); err != nil {
		t.Fatal(err)
	}
	now, ok := leader.log.Current().FEByName("fe3b")
	if _, there := leader.log.Current().FEByName("fe3"); there || !ok || !now.Pending {
		t.Errorf("the catalog has %+v, the old one is there: %v", now, there)
	}
	servers, err := leader.log.Servers()
	if err != nil || len(servers) != 2 {
		t.Errorf("servers %+v, %v", servers, err)
	}
}

func TestDropBelowMajority(t *testing.T) {
	t.Parallel()
	all := world(t, 3)
	all[2].close()
	wait(t, "fe3 is seen to be gone", func() bool { return !all[0].group.Statuses()["fe3"].Alive })
	fe2, _ := all[0].log.Current().FEByName("fe2")
	if err := all[0].group.Drop(ctx(t), fe2); err == nil || !strings.Contains(err.Error(), "no majority") {
		t.Errorf("drop a live FE: %v", err)
	}
	fe3, _ := all[0].log.Current().FEByName("fe3")
	if err := all[0].group.Drop(ctx(t), fe3); err != nil {
		t.Errorf("drop the dead FE: %v", err)
	}
}

// TestTransfer: leadership goes where it is sent, and the new leader does the leader's part.
func TestTransfer(t *testing.T) {
	t.Parallel()
	all := world(t, 3)
	if err := all[0].group.Transfer(ctx(t), "fe3"); err != nil {
		t.Fatal(err)
	}
	wait(t, "fe3 leads and knows the others", func() bool {
		s := all[2].group.Statuses()
		return all[2].quorum.Leads() && s["fe1"].Alive && s["fe2"].Alive
	})
	wait(t, "the FE that has handed over watches nobody", func() bool { return len(all[0].group.Statuses()) == 0 })
	if _, err := all[0].group.Heard(&fepb.BeatRequest{Leader: "fe9", Term: 1}); metarpc.Reason(err) != "stale_term" {
		t.Errorf("a beat of a term that is over: %v", err)
	}
}

// TestActive: a transaction is waited for as long as its FE lives, and not longer.
func TestActive(t *testing.T) {
	t.Parallel()
	all := world(t, 3)
	all[1].active.Store(5)
	ask := func() map[types.TxnID]bool { return all[0].group.Active(ctx(t), []types.TxnID{5, 6}) }
	wait(t, "the leader is sure", func() bool { return !ask()[6] })
	if !ask()[5] {
		t.Error("a transaction of a live FE is not active")
	}
	if a := all[2].group.Active(ctx(t), []types.TxnID{6}); !a[6] {
		t.Error("an FE that does not lead is sure of something")
	}
	all[1].close()
	wait(t, "the transaction of an FE that has ended is given up", func() bool { return !ask()[5] })
}

// TestOldestRead: the leading FE knows how old the oldest state is that any FE reads, as soon as it has heard of all of them, and forgets what an FE
// reads whose process has ended.
func TestOldestRead(t *testing.T) {
	t.Parallel()
	all := world(t, 3)
	all[0].reads.Store(int64(time.Minute))
	all[2].reads.Store(int64(time.Hour))
	oldest := func(f *frontend) time.Duration {
		age, known := f.group.OldestRead()
		if !known {
			return -1
		}
		return age.Truncate(time.Minute)
	}
	wait(t, "the leader knows what another FE reads", func() bool { return oldest(all[0]) == time.Hour })
	if age := oldest(all[1]); age != -1 {
		t.Errorf("an FE that does not lead says %v", age)
	}
	all[2].close()
	wait(t, "what an FE has read that has ended is forgotten", func() bool { return oldest(all[0]) == time.Minute })
	all[0].reads.Store(0)
	if age := oldest(all[0]); age != 0 {
		t.Errorf("nobody reads, and the oldest read is %v old", age)
	}
}

// doubtful is an FE that takes commands and never says what came of them.
type doubtful struct {
	fepb.UnimplementedFrontendServer
	calls atomic.Int64
}

func (d *doubtful) Propose(context.Context, *fepb.ProposeRequest) (*fepb.ProposeResponse, error) {
	if d.calls.Add(1) == 1 {
		return nil, &metarpc.Error{Msg: "lost", Reason: quorum.ReasonUnknown}
	}
	return nil, &metarpc.Error{Msg: "not any more", Reason: quorum.ReasonNotLeader}
}

// TestDoubtStays: a command that may have reached the log is never said to have been refused, whatever later tries
// meet. What must not happen twice is not tried again. (An FE that knows no tags cannot have the doubt settled.)
func TestDoubtStays(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		cmd   command.Command
		again bool
	}{{&command.AllocIDs{N: 1}, true}, {&command.CommitTxn{Txn: 1}, false}, {&command.CreateDatabase{Name: "d"}, false}} {
		all := world(t, 2)
		d := &doubtful{}
		inPlaceOf(t, all[0], d, all[1:])
		all[1].waits.Store(int64(leaderWait))
		_, err := all[1].quorum.ProposeOne(ctx(t), tc.cmd)
		if !errors.Is(err, raftlog.ErrOutcomeUnknown) {
			t.Errorf("%s: %v", tc.cmd.Type(), err)
		}
		if n := d.calls.Load(); tc.again != (n > 1) {
			t.Errorf("%s was tried %d times", tc.cmd.Type(), n)
		}
	}
}

// forgetful is an FE that never says what came of commands. It passes some of them on to the log.
type forgetful struct {
	fepb.UnimplementedFrontendServer
	log   *raftlog.Log // nil = they are lost
	calls atomic.Int64
	asked chan struct{} // of capacity 1
}

func (f *forgetful) ProposeTagged(ctx context.Context, req *fepb.ProposeRequest) (*fepb.ProposeResponse, error) {
	f.calls.Add(1)
	if f.log != nil {
		if _, err := f.log.ProposeEncoded(ctx, raftlog.Tag{ID: [16]byte(req.Tag), Until: req.Until}, req.Commands); err != nil {
			return nil, err
		}
	}
	f.asked <- struct{}{}
	return nil, &metarpc.Error{Msg: "lost", Reason: quorum.ReasonUnknown}
}

// inPlaceOf makes FEs believe that the service of an FE is to be found elsewhere.
func inPlaceOf(t *testing.T, of *frontend, service fepb.FrontendServer, all []*frontend) {
	t.Helper()
	server := metarpc.NewServer(metarpc.ServerConfig{Cluster: metarpc.NewCluster(clusterID)})
	fepb.RegisterFrontendServer(server, service)
	lis := listen(t)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(lis) }()
	t.Cleanup(func() { server.Stop(); <-done })
	if _, err := of.quorum.ProposeOne(ctx(t), &command.SetFE{Name: of.name, RPCPort: port(lis)}); err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		wait(t, f.name+" believes it", func() bool { return f.quorum.LeaderAddress() == lis.Addr().String() })
	}
}

// TestDoubtSettled: a definition whose answer is lost is told from the log that its own FE applies: made, with what it came to, or never
// made under that leader, and then it is made under the next one. It is made once.
func TestDoubtSettled(t *testing.T) {
	t.Parallel()
	for _, kept := range []bool{true, false} {
		all := world(t, 3)
		f := &forgetful{asked: make(chan struct{}, 1)}
		if kept {
			f.log = all[0].log
		}
		inPlaceOf(t, all[0], f, all[1:2])
		told := make(chan error, 1)
		go func() {
			_, err := all[1].quorum.ProposeOne(ctx(t), &command.CreateDatabase{Name: "d"})
			told <- err
		}()
		<-f.asked
		if !kept {
			if err := all[0].log.TransferLeadership(ctx(t), "fe3"); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-told; err != nil {
			t.Errorf("in the log %v: %v", kept, err)
		}
		if _, ok := all[1].quorum.Current().Database("d"); !ok {
			t.Errorf("in the log %v: the FE that has made it does not see it", kept)
		}
		if n := f.calls.Load(); n != 1 {
			t.Errorf("in the log %v: tried %d times", kept, n)
		}
	}
}

// hasty is an FE that answers proposals well before others hear of their entries.
type hasty struct {
	fepb.UnimplementedFrontendServer
	log   *raftlog.Log
	index chan uint64 // of capacity 1
}

func (h *hasty) ProposeTagged(ctx context.Context, req *fepb.ProposeRequest) (*fepb.ProposeResponse, error) {
	out, err := h.log.ProposeEncoded(ctx, raftlog.Tag{ID: [16]byte(req.Tag), Until: req.Until}, req.Commands)
	if err != nil {
		return nil, err
	}
	results, err := catalog.EncodeResults(out)
	index := h.log.Current().Index() + 50
	h.index <- index
	return &fepb.ProposeResponse{Results: results, Index: index}, err
}

// TestLeaderEndsAfterItsAnswer: who was told that its commands are done waits for the next leader to tell its own log of them.
func TestLeaderEndsAfterItsAnswer(t *testing.T) {
	t.Parallel()
	all := world(t, 3)
	h := &hasty{log: all[0].log, index: make(chan uint64, 1)}
	inPlaceOf(t, all[0], h, all[1:2])
	told := make(chan uint64, 1)
	go func() {
		if _, err := all[1].quorum.ProposeOne(ctx(t), &command.CreateDatabase{Name: "d"}); err != nil {
			t.Error(err)
		}
		told <- all[1].log.AppliedIndex()
	}()
	index := <-h.index
	if err := all[0].log.TransferLeadership(ctx(t), "fe3"); err != nil {
		t.Fatal(err)
	}
	for k := 0; all[2].log.AppliedIndex() < index; k++ {
		if _, err := all[2].quorum.ProposeOne(ctx(t), &command.CreateDatabase{Name: fmt.Sprint("d", k)}); err != nil {
			t.Fatal(err)
		}
	}
	if applied := <-told; applied < index {
		t.Errorf("it was told when its log was at %d of %d", applied, index)
	}
}

// wrongClock is an FE whose clock is off.
type wrongClock struct {
	fepb.UnimplementedFrontendServer
	name string
	off  time.Duration
}

func (w *wrongClock) Beat(context.Context, *fepb.BeatRequest) (*fepb.BeatResponse, error) {
	return &fepb.BeatResponse{Name: w.name, NowMs: time.Now().Add(w.off).UnixMilli()}, nil
}

// TestClockApart: the leading FE tells whose clock is not like its own.
func TestClockApart(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{5 * time.Minute, -5 * time.Minute} {
		all := world(t, 2)
		if off := all[0].group.Statuses()["fe2"].Clock; off != 0 {
			t.Errorf("the same clock is %v ahead", off)
		}
		inPlaceOf(t, all[1], &wrongClock{name: "fe2", off: off}, nil)
		wait(t, "the leading FE notices the clock", func() bool { return all[0].group.Statuses()["fe2"].Clock.Round(time.Minute) == off })
	}
}

// TestStarting: an FE that answers other nodes is alive before it takes clients, and the leading FE knows the difference.
func TestStarting(t *testing.T) {
	all := world(t, 2)
	for _, starts := range []bool{true, false} {
		all[1].starts.Store(starts)
		wait(t, "the leading FE hears of it", func() bool {
			s := all[0].group.Statuses()["fe2"]
			return s.Alive && s.Starting == starts
		})
	}
}

// TestCutOff: a call that ends because the leader moves is one whose outcome is unknown, not one that somebody has given up: what may be done twice is
// asked of the new leader.
func TestCutOff(t *testing.T) {
	t.Parallel()
	all := world(t, 3)
	called, done := make(chan struct{}), make(chan error, 1)
	var first sync.Once
	go func() {
		done <- all[1].quorum.AtLeader(ctx(t), true, func(context.Context) error { return nil }, func(cctx context.Context, _ fepb.FrontendClient) (err error) {
			first.Do(func() {
				close(called)
				<-cctx.Done()
				err = context.Cause(cctx)
			})
			return err
		})
	}()
	<-called
	if err := all[0].group.Transfer(ctx(t), "fe3"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("asked again it says %v", err)
	}
}
