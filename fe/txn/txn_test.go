package txn_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stele/fe/fakecluster"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/raftlog"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

const lockWait = time.Second

type world struct {
	*fakecluster.Cluster
	t    *testing.T
	txns *txn.Coordinator
	set  txn.Settings
}

func newWorld(t *testing.T, bes, tablets int, quorum types.WriteQuorum) *world {
	w := &world{Cluster: fakecluster.New(t, bes, tablets, quorum), t: t, set: txn.Settings{WriteTimeout: 3 * time.Second, PublishBacklog: 100, PublishWait: 3 * time.Second}}
	w.txns = txn.New(w.Log, w.Clients, w, func() txn.Settings { return w.set }, w.Logger)
	t.Cleanup(w.txns.Close)
	return w
}

func (w *world) begin(explicit bool) *txn.Txn {
	w.t.Helper()
	t, err := w.txns.Begin(context.Background(), explicit)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// put is a write of one row to a tablet.
func put(id types.TabletID, key int64) []txn.TabletWrite {
	big := types.ColumnType{Kind: types.KindBigInt}
	k, v := vec.New(big, 1), vec.New(big, 1)
	k.I64[0], v.I64[0] = key, key
	return []txn.TabletWrite{{Tablet: id, Ops: []byte{byte(types.OpInsert)}, Rows: &vec.Batch{Cols: []*vec.Vector{k, v}, N: 1}}}
}

func (w *world) write(t *txn.Txn, id types.TabletID, key int64) {
	w.t.Helper()
	if _, err := t.Write(context.Background(), put(id, key), lockWait); err != nil {
		w.t.Fatal(err)
	}
}

func mustRetry(t *testing.T, err error) *txn.RetryError {
	t.Helper()
	var retry *txn.RetryError
	if !errors.As(err, &retry) {
		t.Fatalf("got %v, want a RetryError", err)
	}
	return retry
}

// TestBacklogIsWaitedFor: when BEs do not keep up, OK comes only when a quorum can serve the versions.
func TestBacklogIsWaitedFor(t *testing.T) {
	w := newWorld(t, 3, 2, types.QuorumMajority)
	w.set.PublishBacklog = 0
	x := w.begin(false)
	w.write(x, w.Tablets[0], 1)
	w.write(x, w.Tablets[1], 2)
	if err := x.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, id := range w.Tablets {
		if v := w.Tablet(t, id).Version; v != types.InitialVersion+1 {
			t.Errorf("tablet %d is at %d", id, v)
		}
		told := 0
		for _, b := range w.BEs {
			b.Seen(func() {
				for _, it := range b.Published {
					if it.TabletId == uint64(id) {
						told++
						break
					}
				}
			})
		}
		if told < 2 {
			t.Errorf("OK came before a quorum of tablet %d was told", id)
		}
	}
	if w.txns.Active(x.ID()) {
		t.Error("a committed transaction is still active")
	}
}

// TestPublishFollowsOK: OK comes while no BE answers a publish, later versions queue up behind the call, and each BE hears
// of every version in the end, also when the coordinator is closed right away.
func TestPublishFollowsOK(t *testing.T) {
	w := newWorld(t, 3, 2, types.QuorumMajority)
	release := make(chan struct{})
	var calls atomic.Int32
	for _, b := range w.BEs {
		b.Set(func(b *fakecluster.BE) {
			b.OnPublish = func(ctx context.Context, req *bepb.PublishRequest) (*bepb.PublishResponse, error) {
				calls.Add(1)
				select {
				case <-release:
				case <-ctx.Done():
				}
				return &bepb.PublishResponse{Versions: make([]uint64, len(req.Items))}, nil
			}
		})
	}
	const n = 20
	for i := range n {
		x := w.begin(false)
		w.write(x, w.Tablets[i%2], int64(i))
		if err := x.Commit(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	w.txns.Close()
	for _, b := range w.BEs {
		b.Seen(func() {
			if len(b.Published) != n {
				t.Errorf("be %d heard of %d versions of %d", b.ID, len(b.Published), n)
			}
			seen := map[uint64]uint64{}
			for _, it := range b.Published {
				if it.Version != seen[it.TabletId]+1 && seen[it.TabletId] != 0 {
					t.Errorf("be %d heard of version %d of tablet %d after %d", b.ID, it.Version, it.TabletId, seen[it.TabletId])
				}
				seen[it.TabletId] = it.Version
			}
		})
	}
	if c := calls.Load(); c >= 3*n {
		t.Errorf("%d calls: versions that waited did not share one", c)
	}
}

func TestQuorumShortfallAborts(t *testing.T) {
	for _, c := range []struct {
		quorum types.WriteQuorum
		ok     bool
	}{{types.QuorumOne, true}, {types.QuorumMajority, false}, {types.QuorumAll, false}} {
		w := newWorld(t, 3, 1, c.quorum)
		w.BEs[0].Set(func(b *fakecluster.BE) {
			b.OnWrite = func(_ context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
				resp := fakecluster.Wrote(req)
				resp.Parts[0].OkReplicas = resp.Parts[0].OkReplicas[:1]
				return resp, nil
			}
		})
		x := w.begin(false)
		w.write(x, w.Tablets[0], 1)
		err := x.Commit(context.Background())
		if c.ok {
			if err != nil {
				t.Errorf("%s: %v", c.quorum, err)
			}
			if r := w.Tablet(t, w.Tablets[0]).Replicas[1]; r.LastFailed == 0 {
				t.Error("the replica that missed the write is not marked")
			}
			continue
		}
		if r := mustRetry(t, err); r.Tablet != w.Tablets[0] {
			t.Errorf("%s: the error names tablet %d", c.quorum, r.Tablet)
		}
		for _, b := range w.BEs {
			b.Seen(func() {
				if len(b.Aborted) != 1 || b.Aborted[0] != uint64(x.ID()) {
					t.Errorf("%s: be %d heard of aborts %v", c.quorum, b.ID, b.Aborted)
				}
			})
		}
		if w.Tablet(t, w.Tablets[0]).Version != types.InitialVersion {
			t.Errorf("%s: the version grew", c.quorum)
		}
	}
}

func TestStaleEpochAbortsAutocommit(t *testing.T) {
	w := newWorld(t, 3, 1, types.QuorumMajority)
	x := w.begin(false)
	w.write(x, w.Tablets[0], 1)
	w.Lead(t, w.Tablets[0], w.BEs[1].ID)
	mustRetry(t, x.Commit(context.Background()))
	if w.Tablet(t, w.Tablets[0]).Version != types.InitialVersion {
		t.Error("a commit at an old epoch was accepted")
	}
}

func TestExplicitTransactionFollowsLeader(t *testing.T) {
	w := newWorld(t, 3, 1, types.QuorumMajority)
	x := w.begin(true)
	w.write(x, w.Tablets[0], 1)
	w.write(x, w.Tablets[0], 2)
	old := x.ID()
	w.Lead(t, w.Tablets[0], w.BEs[1].ID)
	if err := x.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	if x.ID() == old {
		t.Error("the writes went out again under the id that was aborted")
	}
	w.BEs[1].Seen(func() {
		if len(w.BEs[1].Writes) != 2 {
			t.Errorf("the new leader got %d writes, want 2", len(w.BEs[1].Writes))
		}
	})
	if v := w.Tablet(t, w.Tablets[0]).Version; v != types.InitialVersion+1 {
		t.Errorf("version %d", v)
	}
}

// TestUnknownOutcome loses the answer of a commit that was applied: the commit must be found committed, once.
func TestUnknownOutcome(t *testing.T) {
	for _, applied := range []bool{true, false} {
		w := newWorld(t, 3, 1, types.QuorumMajority)
		var left atomic.Int32
		left.Store(2)
		lose := func(cmds []command.Command) error {
			if _, ok := cmds[0].(*command.CommitTxn); ok && left.Add(-1) >= 0 {
				return raftlog.ErrOutcomeUnknown
			}
			return nil
		}
		if applied {
			w.Log.After = lose
		} else {
			w.Log.Before = lose
		}
		x := w.begin(false)
		w.write(x, w.Tablets[0], 1)
		if err := x.Commit(context.Background()); err != nil {
			t.Fatalf("applied %v: %v", applied, err)
		}
		if v := w.Tablet(t, w.Tablets[0]).Version; v != types.InitialVersion+1 {
			t.Errorf("applied %v: version %d: the commit took effect %d times", applied, v, v-types.InitialVersion)
		}
	}
}

// TestLateCommitIsRefused: a commit that was on its way when the leader changed comes after the transaction was found to
// be refused and was given up: it must not take effect any more.
func TestLateCommitIsRefused(t *testing.T) {
	w := newWorld(t, 3, 1, types.QuorumMajority)
	var late *command.CommitTxn
	var moved atomic.Bool
	lost := make(chan struct{})
	w.Log.Before = func(cmds []command.Command) error {
		cmd, ok := cmds[0].(*command.CommitTxn)
		if ok && late == nil {
			late = cmd
			close(lost)
		}
		if ok && !moved.Load() {
			return raftlog.ErrOutcomeUnknown
		}
		return nil
	}
	x := w.begin(false)
	w.write(x, w.Tablets[0], 1)
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		<-lost
		tab := w.Tablet(t, w.Tablets[0])
		w.Log.Must(t, &command.SetLeaders{Items: []command.SetLeader{{Tablet: tab.ID, BE: tab.Leader}}}) // a new epoch
		moved.Store(true)
	}()
	mustRetry(t, x.Commit(context.Background()))
	<-changed
	tab := w.Tablet(t, w.Tablets[0])
	late.Tablets[0].Epoch = tab.Epoch // as if nothing else were in its way
	out, err := w.Log.Propose(context.Background(), late)
	var aborted *catalog.ErrTxnAborted
	if err != nil || !errors.As(out[0].Err, &aborted) {
		t.Errorf("the late commit came to %+v, %v", out, err)
	}
}

// TestNoRoomAborts: a commit that the log has no room for is not tried again, and leaves nothing pending.
func TestNoRoomAborts(t *testing.T) {
	w := newWorld(t, 3, 1, types.QuorumMajority)
	commits := 0
	w.Log.Before = func(cmds []command.Command) error {
		if _, ok := cmds[0].(*command.CommitTxn); ok {
			commits++
			return raftlog.ErrNoRoom
		}
		return nil
	}
	x := w.begin(false)
	w.write(x, w.Tablets[0], 1)
	err := x.Commit(context.Background())
	var retry *txn.RetryError
	if !errors.Is(err, raftlog.ErrNoRoom) || errors.As(err, &retry) || commits != 1 {
		t.Fatalf("%d commits, the last came to %v", commits, err)
	}
	if len(w.BEs[0].Aborted) == 0 {
		t.Error("the rows stay pending")
	}
}

// TestNoRoomBehindLostAnswer: where a try may have been the commit, a log without room still tells whether it was.
func TestNoRoomBehindLostAnswer(t *testing.T) {
	for _, applied := range []bool{false, true} {
		w := newWorld(t, 3, 1, types.QuorumMajority)
		lost := func(cmds []command.Command) error {
			if _, ok := cmds[0].(*command.CommitTxn); !ok {
				return nil
			}
			w.Log.Before = func(cmds []command.Command) error {
				if _, ok := cmds[0].(*command.CommitTxn); ok {
					return raftlog.ErrNoRoom
				}
				return nil
			}
			return raftlog.ErrOutcomeUnknown
		}
		if w.Log.Before = lost; applied {
			w.Log.Before, w.Log.After = nil, lost
		}
		x := w.begin(false)
		w.write(x, w.Tablets[0], 1)
		err := x.Commit(context.Background())
		var unknown *txn.UnknownError
		if applied != (err == nil) || !applied && !errors.Is(err, raftlog.ErrNoRoom) || errors.As(err, &unknown) {
			t.Errorf("applied %v: %v", applied, err)
		}
		outcome, _ := w.Log.Current().Outcome(x.ID(), w.Tablets[0])
		if (outcome == catalog.OutcomeCommitted) != applied || !applied && outcome != catalog.OutcomeAborted {
			t.Errorf("applied %v: the log says %v", applied, outcome)
		}
	}
}

// TestForgottenOutcome: a commit whose answer was lost, and which the log has applied and forgotten since, is in doubt. It is not to be run again.
func TestForgottenOutcome(t *testing.T) {
	w := newWorld(t, 3, 1, types.QuorumMajority)
	commit := make(chan command.Command, 1)
	var forgotten atomic.Bool
	w.Log.Before = func(cmds []command.Command) error {
		if _, ok := cmds[0].(*command.CommitTxn); !ok || forgotten.Load() || len(cmds) > 2 {
			return nil
		}
		select {
		case commit <- cmds[0]:
		default:
		}
		return raftlog.ErrOutcomeUnknown
	}
	go func() {
		cmds := []command.Command{<-commit, &command.ReportReplicas{}, &command.ExpireTxns{NowMs: time.Now().Add(2 * time.Hour).UnixMilli()}}
		for _, be := range w.BEs {
			report := cmds[1].(*command.ReportReplicas)
			report.Items = append(report.Items, command.ReplicaReport{Tablet: w.Tablets[0], BE: be.ID, Version: types.InitialVersion + 1})
		}
		if _, err := w.Log.Propose(context.Background(), cmds...); err != nil {
			t.Error(err)
		}
		forgotten.Store(true)
	}()
	x := w.begin(false)
	w.write(x, w.Tablets[0], 1)
	err := x.Commit(context.Background())
	var unknown *txn.UnknownError
	var retry *txn.RetryError
	if !errors.As(err, &unknown) || errors.As(err, &retry) {
		t.Fatalf("got %v, although the transaction is committed", err)
	}
	if v := w.Tablet(t, w.Tablets[0]).Version; v != types.InitialVersion+1 {
		t.Errorf("version %d", v)
	}
}

func TestUnknownOutcomeStaysUnknown(t *testing.T) {
	w := newWorld(t, 3, 1, types.QuorumMajority)
	w.set.WriteTimeout = 300 * time.Millisecond
	w.Log.Before = func(cmds []command.Command) error {
		if _, ok := cmds[0].(*command.CommitTxn); ok {
			return raftlog.ErrOutcomeUnknown
		}
		return nil
	}
	x := w.begin(false)
	w.write(x, w.Tablets[0], 1)
	err := x.Commit(context.Background())
	var unknown *txn.UnknownError
	var retry *txn.RetryError
	if !errors.As(err, &unknown) || errors.As(err, &retry) {
		t.Fatalf("got %v: a commit without outcome must not look like one that may be repeated", err)
	}
	if len(w.BEs[0].Aborted) != 0 {
		t.Error("a transaction whose outcome is unknown was aborted on the BEs")
	}
}

func TestNotLeaderIsKnownNotToBeCommitted(t *testing.T) {
	w := newWorld(t, 1, 1, types.QuorumOne)
	w.Log.Before = func(cmds []command.Command) error {
		if _, ok := cmds[0].(*command.CommitTxn); ok {
			return &raftlog.ErrNotLeader{}
		}
		return nil
	}
	x := w.begin(false)
	w.write(x, w.Tablets[0], 1)
	mustRetry(t, x.Commit(context.Background()))
}

func TestCommitOutlivesItsClient(t *testing.T) {
	w := newWorld(t, 1, 1, types.QuorumOne)
	x := w.begin(false)
	w.write(x, w.Tablets[0], 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := x.Commit(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestFailedStatementIsUndoneAlone(t *testing.T) {
	w := newWorld(t, 3, 2, types.QuorumMajority)
	x := w.begin(true)
	w.write(x, w.Tablets[0], 1)
	mark, first := x.Mark(), x.ID()
	var refuse atomic.Bool
	refuse.Store(true)
	w.BEs[0].Set(func(b *fakecluster.BE) {
		b.OnWrite = func(_ context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
			if refuse.Swap(false) {
				return &bepb.WriteResponse{Refusal: bepb.WriteResponse_DUPLICATE_KEY, RefusedTablet: req.Parts[0].TabletId}, nil
			}
			return fakecluster.Wrote(req), nil
		}
	})
	_, err := x.Write(context.Background(), put(w.Tablets[1], 2), lockWait)
	var refusal *txn.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if err := x.RollbackTo(context.Background(), mark); err != nil {
		t.Fatal(err)
	}
	if x.Wrote(w.Tablets[1]) || !x.Wrote(w.Tablets[0]) {
		t.Error("the wrong statement was undone")
	}
	if err := x.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	if out, _ := w.Log.Current().Outcome(first, w.Tablets[0]); out == catalog.OutcomeCommitted {
		t.Error("the aborted id was committed")
	}
	if a, b := w.Tablet(t, w.Tablets[0]).Version, w.Tablet(t, w.Tablets[1]).Version; a != types.InitialVersion+1 || b != types.InitialVersion {
		t.Errorf("versions %d and %d", a, b)
	}
}

// TestUndoFindsChange: what a transaction has written comes out otherwise when it is written again.
func TestUndoFindsChange(t *testing.T) {
	w := newWorld(t, 1, 1, types.QuorumOne)
	x := w.begin(true)
	w.write(x, w.Tablets[0], 1)
	mark := x.Mark()
	w.write(x, w.Tablets[0], 2)
	w.BEs[0].Set(func(b *fakecluster.BE) {
		b.OnWrite = func(_ context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
			resp := fakecluster.Wrote(req)
			resp.Parts[0].Inserted, resp.Parts[0].Ignored = 0, 1
			return resp, nil
		}
	})
	if err := x.RollbackTo(context.Background(), mark); err == nil {
		t.Fatal("a transaction went on although its rows are no longer what it was told")
	}
}

func TestPublishWaitIgnoresLearners(t *testing.T) {
	w := newWorld(t, 3, 1, types.QuorumMajority)
	w.set.PublishWait, w.set.PublishBacklog = 200*time.Millisecond, 0
	// The followers but the leader are dead for publishing; a learner answers.
	tab := w.Tablet(t, w.Tablets[0])
	w.Log.Must(t, &command.DropReplica{Tablet: tab.ID, Replica: tab.Replicas[2].ID, Force: true})
	w.Log.Must(t, &command.AddReplica{Tablet: tab.ID, Replica: catalog.Replica{BE: w.BEs[2].ID}})
	release := make(chan struct{})
	w.BEs[1].Set(func(b *fakecluster.BE) {
		b.OnPublish = func(ctx context.Context, req *bepb.PublishRequest) (*bepb.PublishResponse, error) {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return &bepb.PublishResponse{Versions: make([]uint64, len(req.Items))}, nil
		}
	})
	x := w.begin(false)
	w.write(x, w.Tablets[0], 1)
	start := time.Now()
	if err := x.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < w.set.PublishWait {
		t.Errorf("OK after %s: the leader and a learner are no quorum that can serve", took)
	}
	close(release)
}

func TestLeaderGoneIsProbed(t *testing.T) {
	w := newWorld(t, 3, 1, types.QuorumMajority)
	w.BEs[0].Stop()
	x := w.begin(false)
	_, err := x.Write(context.Background(), put(w.Tablets[0], 1), lockWait)
	retry := mustRetry(t, err)
	if w.Probes(w.BEs[0].ID) == 0 {
		t.Error("nobody looks after the leader that did not answer")
	}
	if err := x.Rollback(context.Background()); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { w.Lead(t, w.Tablets[0], w.BEs[1].ID) })
	start := time.Now()
	w.txns.Await(context.Background(), retry, time.Minute)
	wg.Wait()
	if time.Since(start) > 30*time.Second {
		t.Error("the wait for a new leader did not see it come")
	}
	y := w.begin(false)
	w.write(y, w.Tablets[0], 1)
	if err := y.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestTruncatedTabletIsGone(t *testing.T) {
	w := newWorld(t, 1, 1, types.QuorumOne)
	x := w.begin(false)
	w.write(x, w.Tablets[0], 1)
	w.Log.Must(t, &command.DropTable{ID: w.Table})
	if r := mustRetry(t, x.Commit(context.Background())); !r.Gone {
		t.Error("a dropped tablet may not be waited for")
	}
}

func TestConcurrentCommits(t *testing.T) {
	w := newWorld(t, 3, 2, types.QuorumMajority)
	const n = 24
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			x, err := w.txns.Begin(context.Background(), i%2 == 0)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := x.Write(context.Background(), put(w.Tablets[i%2], int64(i)), lockWait); err != nil {
				t.Error(err)
				return
			}
			if err := x.Commit(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if a, b := w.Tablet(t, w.Tablets[0]).Version, w.Tablet(t, w.Tablets[1]).Version; a+b != 2*types.InitialVersion+n {
		t.Errorf("versions %d and %d after %d commits", a, b, n)
	}
}
