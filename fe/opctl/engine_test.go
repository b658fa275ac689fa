package opctl

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stele/fe/cluster"
	"stele/fe/fakecluster"
	"stele/fe/ops"
	"stele/fe/sched"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is an engine over a fake cluster of three BEs with one tablet, and a clock that the test moves.
type stage struct {
	*testing.T
	c      *fakecluster.Cluster
	e      *Engine
	clock  time.Time
	auto   bool
	empty  bool // recover_with_empty_tablet
	lost   map[types.BEID]bool
	plan   sched.LeaderPlan
	moves  int // leaders that MoveLeaders was asked for
	refuse int // of each batch
	busy   int // rounds for which Balance has something to move
	on     bool
	kicked []types.TabletID
	beats  map[types.BEID]time.Time     // last heartbeats
	stale  map[types.BEID]time.Duration // how much older than the process its report is
	mute   bool                         // nobody answers probes
}

func newStage(t *testing.T) *stage {
	s := &stage{T: t, c: fakecluster.New(t, 3, 1, types.QuorumMajority), clock: time.UnixMilli(1_700_000_000_000), lost: map[types.BEID]bool{},
		beats: map[types.BEID]time.Time{}, stale: map[types.BEID]time.Duration{}}
	s.engine()
	return s
}

// engine starts another engine over the same catalog, as a change of the leading FE does.
func (s *stage) engine() {
	s.e = New(Options{Log: s.c.Log, Cluster: s, Control: s, Clients: s.c.Clients, Logger: s.c.Logger,
		Settings: func() Settings { return Settings{AutoFailover: s.auto, RecoverEmpty: s.empty, Timeout: time.Hour} }})
	s.e.now = func() time.Time { return s.clock }
}

// Get says that a BE is well unless the fake cluster says otherwise.
func (s *stage) Get(id types.BEID) (cluster.BE, bool) {
	return cluster.BE{ID: id, Alive: s.c.Alive(id), LastStart: s.start(id), ReportedStart: s.start(id).Add(-s.stale[id]), LastReport: s.clock, LastHeartbeat: s.beats[id], FirstMiss: time.Time{}}, true
}

// Replica reports what the catalog says, all versions.
func (s *stage) Replica(be types.BEID, id types.TabletID) (cluster.Replica, bool) {
	tab, ok := s.c.Log.Current().Tablet(id)
	if !ok || tab.Replica(be) == nil || s.lost[be] {
		return cluster.Replica{}, false
	}
	return cluster.Replica{ID: tab.Replica(be).ID, Version: tab.Version, OldestRetained: 1}, true
}

func (s *stage) Lost(be types.BEID, _ types.TabletID) bool { return s.lost[be] }

func (s *stage) start(types.BEID) time.Time { return time.UnixMilli(1_600_000_000_000) }

// Probe answers with a heartbeat unless the BE is dead.
func (s *stage) Probe(be types.BEID) {
	if s.c.Alive(be) && !s.mute {
		s.beats[be] = s.e.now().Add(time.Millisecond)
	}
}

func (s *stage) Kick(ids ...types.TabletID)                     { s.kicked = append(s.kicked, ids...) }
func (s *stage) PlanLeaders(sched.LeaderScope) sched.LeaderPlan { return s.plan }

func (s *stage) MoveLeaders(_ context.Context, moves []sched.LeaderMove) (moved, refused int, err error) {
	s.moves += len(moves)
	moved = len(moves) - s.refuse
	s.plan.Moves = s.plan.Moves[moved:]
	return moved, s.refuse, nil
}

func (s *stage) Balance(on bool) bool {
	s.on = on
	s.busy--
	return on && s.busy >= 0
}

func (s *stage) tab() *catalog.Tablet { return s.c.Tablet(s, s.c.Tablets[0]) }

// order puts an op about the tablet into the catalog.
func (s *stage) order(op catalog.Op) uint64 {
	s.Helper()
	if !ops.IsJob(&op) {
		op.Tablet, op.Target = s.c.Tablets[0], "t"
	}
	id := s.c.Log.Current().NextID()
	s.c.Log.Must(s, &command.AddOps{Ops: []catalog.Op{op}, TimeMs: s.clock.UnixMilli()})
	return id
}

func (s *stage) op(id uint64) *catalog.Op {
	s.Helper()
	op, ok := s.c.Log.Current().Op(id)
	if !ok {
		s.Fatalf("op %d is gone", id)
	}
	return op
}

func (s *stage) rounds(n int) {
	s.Helper()
	for range n {
		s.clock = s.clock.Add(tick)
		if err := s.e.Round(s.Context()); err != nil {
			s.Fatal(err)
		}
	}
	s.e.calls.Wait()
}

func (s *stage) want(id uint64, state catalog.OpState) {
	s.Helper()
	if op := s.op(id); op.State != state {
		s.Fatalf("op %d is %s, want %s: %+v", id, ops.StateName(op.State), ops.StateName(state), op)
	}
}

func of(t catalog.OpType, be types.BEID) catalog.Op {
	op := ops.New(t)
	op.BE = be
	return op
}

func TestChangeLeader(t *testing.T) {
	s := newStage(t)
	was, to := s.c.BEs[0].ID, s.c.BEs[1].ID
	op := of(ops.ChangeLeader, was)
	op.Dest = to
	id := s.order(op)
	s.rounds(3)
	s.want(id, catalog.OpDone)
	tab := s.tab()
	if tab.Leader != to || tab.Replica(was).OfflineMs == 0 {
		t.Errorf("leader %d, the old one is set aside since %d", tab.Leader, tab.Replica(was).OfflineMs)
	}
	if len(s.kicked) == 0 {
		t.Error("the scheduler was not told")
	}
}

// TestAutoFailoverReleases takes what was set aside into use when auto_failover is switched on, and not before.
func TestAutoFailoverReleases(t *testing.T) {
	s := newStage(t)
	be := s.c.BEs[2].ID
	id := s.order(of(ops.OfflineReplica, be))
	s.rounds(3)
	s.want(id, catalog.OpDone)
	s.rounds(3)
	if s.tab().Replica(be).OfflineMs == 0 {
		t.Fatal("in use again without an order")
	}
	s.auto = true
	s.rounds(1)
	if s.tab().Replica(be).OfflineMs != 0 {
		t.Error("not in use although auto_failover is on")
	}
}

// TestRefusedProposals tries again with pauses while the log refuses, and goes on when it does not.
func TestRefusedProposals(t *testing.T) {
	s := newStage(t)
	id := s.order(of(ops.OfflineReplica, s.c.BEs[2].ID))
	broken := errors.New("no quorum")
	s.c.Log.Before = func(cmds []command.Command) error {
		if cmds[0].Type() == command.TypeSetReplicaAlive {
			return broken
		}
		return nil
	}
	s.rounds(10)
	s.want(id, catalog.OpRunning)
	if op := s.op(id); op.Attempts == 0 || op.Attempts > 4 || op.LastError != broken.Error() || op.NextMs <= s.clock.UnixMilli()-tick.Milliseconds() {
		t.Errorf("%d attempts, last error %q", op.Attempts, op.LastError)
	}
	s.c.Log.Before = nil
	s.clock = s.clock.Add(10 * time.Second)
	s.rounds(3)
	s.want(id, catalog.OpDone)
}

// TestLostAnswer: the effect was applied and the answer was lost with the leading FE: the next engine finds it done.
func TestLostAnswer(t *testing.T) {
	s := newStage(t)
	id := s.order(of(ops.OfflineReplica, s.c.BEs[2].ID))
	s.c.Log.After = func([]command.Command) error { return errors.New("the leader is gone") }
	_ = s.e.Round(t.Context())
	_ = s.e.Round(t.Context())
	s.c.Log.After = nil
	s.engine()
	s.clock = s.clock.Add(10 * time.Second)
	s.rounds(5)
	s.want(id, catalog.OpDone)
	if s.tab().Replica(s.c.BEs[2].ID).OfflineMs == 0 {
		t.Error("the replica is in use")
	}
}

// TestCallsAndDrops: snapshots are asked of every BE, and a replica that is deleted is dropped on its BE.
func TestCallsAndDrops(t *testing.T) {
	s := newStage(t)
	snap := s.order(of(ops.MakeSnapshot, 0))
	s.rounds(3)
	s.want(snap, catalog.OpDone)
	for _, b := range s.c.BEs {
		b.Seen(func() {
			if len(b.Settled) != 1 || b.Settled[0].Version != 0 {
				t.Errorf("be %d: %v", b.ID, b.Settled)
			}
		})
	}
	gone := s.c.BEs[2]
	replica := s.tab().Replica(gone.ID).ID
	id := s.order(of(ops.DelReplica, gone.ID))
	s.rounds(5)
	s.want(id, catalog.OpDone)
	if s.tab().Replica(gone.ID) != nil {
		t.Error("the replica is in the catalog")
	}
	gone.Seen(func() {
		if len(gone.Dropped) != 1 || gone.Dropped[0].ReplicaId != uint64(replica) {
			t.Errorf("dropped: %v", gone.Dropped)
		}
	})
}

// TestMakeEmpty creates the replica on its BE with the table's schema.
func TestMakeEmpty(t *testing.T) {
	s := newStage(t)
	for _, b := range s.c.BEs {
		s.lost[b.ID] = true
	}
	to := s.c.BEs[1]
	op := of(ops.MakeEmpty, to.ID)
	op.Replica = types.ReplicaID(s.c.Log.Must(t, &command.AllocIDs{N: 1}).(catalog.AllocResult).First)
	id := s.order(op)
	s.rounds(4)
	s.want(id, catalog.OpRunning)
	to.Seen(func() {
		if len(to.Created) == 0 || to.Created[0].Items[0].ReplicaId != uint64(op.Replica) || len(to.Created[0].Schema) == 0 {
			t.Fatalf("created: %v", to.Created)
		}
	})
	delete(s.lost, to.ID) // it reports the replica
	s.rounds(4)
	s.want(id, catalog.OpDone)
	if tab := s.tab(); len(tab.Replicas) != 1 || tab.Leader != to.ID {
		t.Errorf("%+v", tab)
	}
}

// TestCancelledIsTakenBack cancels a copy that goes on for ever: its learner goes from the catalog and from the BE.
func TestCancelledIsTakenBack(t *testing.T) {
	s := newStage(t)
	gone := s.c.BEs[2]
	s.rounds(1)
	s.want(s.dropped(gone.ID), catalog.OpDone)
	id := s.order(of(ops.AddReplica, gone.ID))
	s.rounds(5)
	s.want(id, catalog.OpRunning)
	if r := s.tab().Replica(gone.ID); r == nil || r.Role != types.RoleLearner {
		t.Fatalf("no learner: %+v", s.tab())
	}
	s.c.Log.Must(t, &command.CancelOp{ID: id, TimeMs: s.clock.UnixMilli()})
	s.rounds(3)
	s.want(id, catalog.OpCancelled)
	if s.tab().Replica(gone.ID) != nil || s.op(id).Undo {
		t.Errorf("the learner is there: %+v", s.tab())
	}
	gone.Seen(func() {
		if len(gone.Dropped) != 2 {
			t.Errorf("dropped: %v", gone.Dropped)
		}
	})
}

// dropped deletes the replica of a BE.
func (s *stage) dropped(be types.BEID) uint64 {
	id := s.order(of(ops.DelReplica, be))
	s.rounds(5)
	return id
}

func moves(n int) []sched.LeaderMove { return make([]sched.LeaderMove, n) }

// TestLeaderJob moves leaders in batches with pauses, and gives up on tablets that change faster than it.
func TestLeaderJob(t *testing.T) {
	s := newStage(t)
	s.plan.Moves = moves(leaderBatch + 20)
	id := s.order(of(ops.BalanceLeader, 0))
	s.rounds(2)
	if s.moves != leaderBatch {
		t.Errorf("%d leaders in the first batch", s.moves)
	}
	s.rounds(20)
	s.want(id, catalog.OpDone)
	if op := s.op(id); op.Done != leaderBatch+20 || op.EndedMs == 0 {
		t.Errorf("%+v", op)
	}
	s.plan.Moves, s.refuse = moves(30), 30
	id = s.order(of(ops.BalanceLeader, 0))
	s.rounds(60)
	s.want(id, catalog.OpFailed)
}

// TestReplicaJob has the scheduler balance until nothing was left to move for a while, and ends with its time.
func TestReplicaJob(t *testing.T) {
	s := newStage(t)
	s.busy = 10
	id := s.order(of(ops.BalanceReplicas, 0))
	s.rounds(20)
	s.want(id, catalog.OpRunning)
	if !s.on {
		t.Error("the scheduler does not balance")
	}
	s.rounds(int(balanceQuiet/tick) + 5)
	s.want(id, catalog.OpDone)
	if s.on {
		t.Error("the scheduler goes on to balance")
	}
	s.busy = 1 << 30
	id = s.order(of(ops.BalanceReplicas, 0))
	s.rounds(2)
	s.clock = s.clock.Add(2 * time.Hour)
	s.rounds(2)
	s.want(id, catalog.OpFailed)
	if s.on {
		t.Error("the scheduler goes on to balance after the deadline")
	}
	id = s.order(of(ops.BalanceReplicas, 0))
	s.rounds(2)
	if !s.on {
		t.Error("the scheduler does not balance")
	}
	s.c.Log.Must(t, &command.CancelOp{ID: id, TimeMs: s.clock.UnixMilli()})
	s.rounds(1)
	if s.on {
		t.Error("the scheduler goes on to balance after it was cancelled")
	}
}

// TestRunEnds starts and stops the loop; what it has begun is waited for.
func TestRunEnds(t *testing.T) {
	s := newStage(t)
	s.clock = time.Now()
	s.e.now = time.Now
	id := s.order(of(ops.OfflineReplica, s.c.BEs[2].ID))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.e.Run(ctx); close(ended) }()
	for deadline := time.Now().Add(time.Minute); !s.op(id).Ended(); {
		if time.Now().After(deadline) {
			t.Fatal("the op does not end")
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-ended
	s.want(id, catalog.OpDone)
}

// TestAsksAnew: what an op rests on is asked anew. A BE that the FE takes for alive and that does not answer is neither recovered
// nor made a leader, and the op goes on once it answers, with what the process says that answers then.
func TestAsksAnew(t *testing.T) {
	s := newStage(t)
	be := s.c.BEs[2].ID
	s.rounds(1)
	aside := s.order(of(ops.OfflineReplica, be))
	s.rounds(3)
	s.want(aside, catalog.OpDone)
	s.mute = true
	s.stale[be] = time.Hour // and its last report is of an earlier process
	id := s.order(of(ops.RecoverTable, be))
	s.rounds(10)
	s.want(id, catalog.OpRunning)
	if op := s.op(id); !strings.HasSuffix(op.Waiting, "to answer a heartbeat") {
		t.Errorf("it waits for %q", op.Waiting)
	}
	s.mute = false
	s.Probe(be)
	s.rounds(3)
	if op := s.op(id); op.State != catalog.OpRunning || !strings.HasSuffix(op.Waiting, "to report what it has") {
		t.Errorf("%s, it waits for %q", ops.StateName(op.State), op.Waiting)
	}
	s.stale[be] = 0
	s.rounds(10)
	s.want(id, catalog.OpDone)
}

// TestLanesDoNotWait: an op begins as soon as the one before it in its lane has ended, not a tick later: where leaders are to be
// replaced, each tick is a pause of writes.
func TestLanesDoNotWait(t *testing.T) {
	s := newStage(t)
	s.rounds(1)
	var list []catalog.Op
	for n := range 40 {
		op := of(ops.UpdateTableAlive, s.c.BEs[2].ID)
		op.Tablet, op.Target, op.Alive = s.c.Tablets[0], "t", n%2 == 1
		list = append(list, op)
	}
	first := s.c.Log.Current().NextID()
	s.c.Log.Must(s, &command.AddOps{Ops: list, TimeMs: s.clock.UnixMilli()})
	s.rounds(2)
	for n := range list {
		s.want(first+uint64(n), catalog.OpDone)
	}
}
