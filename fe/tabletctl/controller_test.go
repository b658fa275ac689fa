package tabletctl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"stele/fe/cluster"
	"stele/fe/sched"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/bepb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a catalog, BEs and their clones in one process, with a clock that the test moves.
type stage struct {
	t   *testing.T
	ctl *Controller

	mu        sync.Mutex
	cat       *catalog.Catalog
	clock     time.Time
	bes       map[types.BEID]*cluster.BE
	reported  map[types.BEID]map[types.TabletID]cluster.Replica
	lost      map[lostReplica]bool
	submitted []*bepb.SubmitCloneRequest
	on        map[uint64]types.BEID // clone task: its destination
	cancelled []uint64
	dropped   []*bepb.DropReplicasRequest_Item
	running   []*bepb.CloneStatus
	proposals int
	broken    error
	refuse    bool // BEs refuse clones
}

const port = 9050

func newStage(t *testing.T, bes, tablets int) *stage {
	s := &stage{t: t, cat: catalog.New(), clock: time.UnixMilli(1_700_000_000_000), bes: map[types.BEID]*cluster.BE{},
		reported: map[types.BEID]map[types.TabletID]cluster.Replica{}, lost: map[lostReplica]bool{}, on: map[uint64]types.BEID{}}
	s.must(&command.InitCluster{ClusterID: "c", FE: catalog.FE{Name: "fe"}})
	s.must(&command.CreateDatabase{Name: "d"})
	s.must(&command.AllocIDs{Counter: command.CounterIDs, N: 10_000})
	var ids []types.BEID
	for i := range bes {
		res := s.must(&command.AddBE{BE: catalog.BE{Host: fmt.Sprintf("h%d", i), Port: port}})
		id := types.BEID(res.(catalog.IDResult).ID)
		ids = append(ids, id)
		s.bes[id] = &cluster.BE{ID: id, Alive: true, Seen: true, LastHeartbeat: s.clock, LastStart: s.clock,
			Disks: []cluster.Disk{{ID: types.DiskID(id) * 10, Total: 1 << 40, Available: 1 << 39}}}
	}
	s.table(ids, tablets)
	s.ctl = New(Options{Log: s, Cluster: s, Clients: s, Settings: sched.DefaultLimits, AutoFailover: func() bool { return true },
		Logger: slog.New(slog.DiscardHandler)})
	s.ctl.now = s.now
	s.ctl.reset()
	return s
}

func (s *stage) table(bes []types.BEID, n int) {
	s.tableOn(10_100, "t", 10_200, n, func(i, j int) types.BEID { return bes[(i+j)%len(bes)] })
}

// tableOn makes a table whose tablets and replicas are numbered from first, and whose replicas lie on the BE that on gives for a bucket.
func (s *stage) tableOn(table uint64, name string, first uint64, buckets int, on func(bucket, replica int) types.BEID) *catalog.Table {
	db, _ := s.cat.Database("d")
	made := catalog.Table{ID: types.TableID(table), DatabaseID: db.ID, Name: name, Replicas: 3, Buckets: buckets, HashBy: []types.ColumnID{1},
		Schema: types.Schema{TableID: types.TableID(table), Version: 1, Columns: []types.Column{{ID: 1, Name: "k"}}, Key: []types.ColumnID{1}}}
	part := catalog.Partition{ID: types.PartitionID(table + 1), Name: name, Replicas: 3}
	cmd := &command.CreateTable{}
	id := first
	for i := range buckets {
		tab := catalog.Tablet{ID: types.TabletID(id), Table: made.ID, Partition: part.ID, Bucket: int32(i), Version: types.InitialVersion, Epoch: 1}
		id++
		for j := range 3 {
			be := on(i, j)
			tab.Replicas = append(tab.Replicas, catalog.Replica{ID: types.ReplicaID(id), BE: be, Disk: types.DiskID(be) * 10, Version: types.InitialVersion})
			id++
		}
		tab.Leader = tab.Replicas[0].BE
		part.Tablets = append(part.Tablets, tab.ID)
		cmd.Tablets = append(cmd.Tablets, tab)
	}
	made.Parts = []catalog.Partition{part}
	cmd.Table = made
	s.must(cmd)
	t, _ := s.cat.TableByID(made.ID)
	return t
}

func (s *stage) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock
}

func (s *stage) must(cmd command.Command) any {
	s.t.Helper()
	next, res, err := catalog.Apply(s.cat, cmd)
	if err != nil {
		s.t.Fatalf("%T: %v", cmd, err)
	}
	s.cat = next
	return res
}

func (s *stage) Current() *catalog.Catalog {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cat
}

func (s *stage) Propose(_ context.Context, cmds ...command.Command) ([]catalog.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return nil, s.broken
	}
	s.proposals++
	out := make([]catalog.Result, len(cmds))
	for i, cmd := range cmds {
		s.cat, out[i].Value, out[i].Err = catalog.Apply(s.cat, cmd)
	}
	return out, nil
}

func (s *stage) Get(id types.BEID) (cluster.BE, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.bes[id]; b != nil {
		return *b, true
	}
	return cluster.BE{}, false
}

func (s *stage) Replica(be types.BEID, tablet types.TabletID) (cluster.Replica, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.reported[be][tablet]
	return r, ok
}

func (s *stage) Lost(be types.BEID, tablet types.TabletID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost[lostReplica{be, tablet}]
}

func (s *stage) Clone(id types.TaskID) *bepb.CloneStatus {
	for _, c := range s.Clones() {
		if c.TaskId == uint64(id) {
			return c
		}
	}
	return nil
}

func (s *stage) Clones() []*bepb.CloneStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

func (s *stage) BE(address string) (bepb.BackendClient, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for b := range s.cat.BEs() {
		if fmt.Sprintf("%s:%d", b.Host, b.Port) == address {
			return &stageBE{s: s, id: b.ID}, nil
		}
	}
	return nil, errors.New("no such be")
}

type stageBE struct {
	bepb.BackendClient
	s  *stage
	id types.BEID
}

func (b *stageBE) SubmitClone(_ context.Context, req *bepb.SubmitCloneRequest, _ ...grpc.CallOption) (*bepb.SubmitCloneResponse, error) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	if b.s.refuse {
		return nil, errors.New("no room")
	}
	b.s.submitted = append(b.s.submitted, req)
	b.s.on[req.TaskId] = b.id
	return &bepb.SubmitCloneResponse{}, nil
}

func (b *stageBE) CancelClone(_ context.Context, req *bepb.CancelCloneRequest, _ ...grpc.CallOption) (*bepb.CancelCloneResponse, error) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.s.cancelled = append(b.s.cancelled, req.TaskId)
	return &bepb.CancelCloneResponse{}, nil
}

func (b *stageBE) DropReplicas(_ context.Context, req *bepb.DropReplicasRequest, _ ...grpc.CallOption) (*bepb.DropReplicasResponse, error) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.s.dropped = append(b.s.dropped, req.Items...)
	return &bepb.DropReplicasResponse{}, nil
}

// settle steps, and lets every submitted clone succeed, until nothing moves.
func (s *stage) settle() {
	s.t.Helper()
	for range 1000 {
		before := s.proposals
		s.step()
		if s.finishClones() == 0 && s.proposals == before && !s.hasInbox() {
			return
		}
	}
	s.t.Fatal("the controller does not come to rest")
}

func (s *stage) hasInbox() bool {
	s.ctl.inboxMu.Lock()
	defer s.ctl.inboxMu.Unlock()
	return len(s.ctl.inbox.dirty) > 0 || len(s.ctl.inbox.outcomes) > 0
}

func (s *stage) step() {
	s.t.Helper()
	if _, err := s.ctl.Step(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	s.ctl.rpcs.Wait()
}

func (s *stage) finishClones() int {
	s.mu.Lock()
	reqs := s.submitted
	s.submitted = nil
	cat := s.cat
	s.mu.Unlock()
	for _, req := range reqs {
		t, _ := cat.Tablet(types.TabletID(req.TabletId))
		be := s.on[req.TaskId]
		if source := t.Replica(types.BEID(req.SourceBe)); source != nil && uint64(source.ID) != req.SourceReplica {
			s.t.Errorf("be %d is to clone replica %d of be %d, which has %d", be, req.SourceReplica, req.SourceBe, source.ID)
		}
		s.ctl.Notify(cluster.Event{Kind: cluster.CloneEnded, BE: be, Tablet: t.ID, Clone: &bepb.CloneStatus{TaskId: req.TaskId,
			TabletId: req.TabletId, State: bepb.CloneStatus_DONE, Version: uint64(t.Version), DiskId: uint64(s.bes[be].Disks[0].ID), BytesDone: 1 << 20, ElapsedMs: 100}})
	}
	return len(reqs)
}

func (s *stage) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = s.clock.Add(d)
}

func (s *stage) kill(id types.BEID) {
	s.mu.Lock()
	s.bes[id].Alive, s.bes[id].FirstMiss = false, s.clock
	s.mu.Unlock()
	s.ctl.Notify(cluster.Event{Kind: cluster.BEDown, BE: id})
}

func (s *stage) someBE() types.BEID {
	for b := range s.cat.BEs() {
		return b.ID
	}
	s.t.Fatal("no be")
	return 0
}

func (s *stage) checkHealthy() {
	s.t.Helper()
	v := s.ctl.View()
	for i := range v.Tablets {
		if d := sched.Health(&v.Tablets[i], v, s.ctl.Clock()); d.Status != sched.Healthy {
			s.t.Fatalf("tablet %d: %s; pending %+v", v.Tablets[i].ID, d.Detail(), s.ctl.Pending())
		}
	}
}

func TestDeathMovesLeadersAtOnceAndReplicasLater(t *testing.T) {
	s := newStage(t, 4, 12)
	s.settle()
	dead := s.someBE()
	s.kill(dead)
	s.step()
	for tab := range s.Current().Tablets() {
		if tab.Leader == dead || tab.Leader == 0 {
			t.Fatalf("tablet %d is led by %d after the death of %d", tab.ID, tab.Leader, dead)
		}
	}
	s.settle()
	if n := len(s.ctl.History()); n != 0 {
		t.Fatalf("%d tasks before the tolerance was over", n)
	}
	s.pass(16 * time.Minute)
	s.settle()
	for tab := range s.Current().TabletsOn(dead) {
		t.Fatalf("tablet %d is still on the dead be: %+v", tab.ID, tab.Replicas)
	}
	s.checkHealthy()
	for _, task := range s.ctl.History() {
		if task.State != sched.Finished {
			t.Fatalf("task %+v", task)
		}
	}
}

func TestLostReplicaIsRebuiltOnTheSameBE(t *testing.T) {
	s := newStage(t, 3, 3)
	s.settle()
	be := s.someBE()
	var tab *catalog.Tablet
	for tab = range s.Current().TabletsOn(be) {
		break
	}
	old := tab.Replica(be).ID
	s.mu.Lock()
	s.lost[lostReplica{be, tab.ID}] = true
	s.mu.Unlock()
	s.ctl.Notify(cluster.Event{Kind: cluster.ReplicaChanged, BE: be, Tablet: tab.ID})
	s.settle()
	now, _ := s.Current().Tablet(tab.ID)
	if r := now.Replica(be); r == nil || r.ID == old || !r.Complete() {
		t.Fatalf("replicas %+v", now.Replicas)
	}
	if len(s.dropped) == 0 || s.dropped[0].ReplicaId != uint64(old) {
		t.Fatalf("dropped on bes: %v", s.dropped)
	}
	s.pass(time.Minute) // the report about the old replica is still the last one: the new one is not lost
	s.settle()
	if again, _ := s.Current().Tablet(tab.ID); again.Replica(be) == nil || again.Replica(be).ID != now.Replica(be).ID {
		t.Fatalf("the new replica was taken for lost: %+v", again.Replicas)
	}
}

func TestGoneDiskIsRebuilt(t *testing.T) {
	s := newStage(t, 3, 3)
	s.settle()
	be := s.someBE()
	s.mu.Lock()
	s.bes[be].Disks[0].ID++
	s.mu.Unlock()
	s.settle()
	if len(s.dropped) != 0 {
		t.Fatalf("dropped at the first report without the disk: %v", s.dropped)
	}
	s.pass(6 * time.Second)
	s.settle()
	if len(s.dropped) != 3 {
		t.Fatalf("dropped %v", s.dropped)
	}
	s.checkHealthy()
}

func TestEmptyReportLosesNothing(t *testing.T) {
	s := newStage(t, 3, 3)
	s.settle()
	s.mu.Lock()
	s.bes[s.someBE()].Disks = nil
	s.mu.Unlock()
	for range 10 {
		s.pass(10 * time.Second)
		s.settle()
	}
	if len(s.dropped) != 0 {
		t.Fatalf("dropped %v", s.dropped)
	}
}

func TestNewLeaderGoesOnWithItsPredecessorsClones(t *testing.T) {
	s := newStage(t, 4, 4)
	s.settle()
	s.must(&command.SetReplicaBad{Tablet: 10_200, BE: s.tablet(10_200).Replicas[2].BE, Bad: true})
	for range 5 {
		s.pass(time.Second)
		if s.step(); len(s.submitted) > 0 {
			break
		}
	}
	if len(s.submitted) != 1 {
		t.Fatalf("clones: %v", s.submitted)
	}
	req := s.submitted[0]
	s.submitted = nil
	s.running = []*bepb.CloneStatus{{TaskId: req.TaskId, TabletId: req.TabletId, State: bepb.CloneStatus_RUNNING,
		DiskId: uint64(s.on[req.TaskId]) * 10, BytesDone: 10, BytesTotal: 100, ElapsedMs: 1000}}
	s.ctl.reset()
	s.step()
	s.step()
	if len(s.submitted) != 0 {
		t.Fatalf("a second clone was begun: %v", s.submitted)
	}
	rows := s.ctl.Running()
	if len(rows) != 1 || rows[0].ID != types.TaskID(req.TaskId) || rows[0].BytesDone != 10 || rows[0].LeftMs() != 9000 {
		t.Fatalf("running %+v", rows)
	}
	s.submitted = append(s.submitted, req)
	s.settle()
	s.checkHealthy()
}

func (s *stage) tablet(id types.TabletID) *catalog.Tablet {
	t, ok := s.Current().Tablet(id)
	if !ok {
		s.t.Fatalf("no tablet %d", id)
	}
	return t
}

func TestRefusedCloneIsTriedElsewhere(t *testing.T) {
	s := newStage(t, 5, 1)
	s.settle()
	s.refuse = true
	s.must(&command.SetReplicaBad{Tablet: 10_200, BE: s.tablet(10_200).Replicas[0].BE, Bad: true})
	for range 10 {
		s.pass(2 * time.Second)
		s.settle()
	}
	pending := s.ctl.Pending()
	if len(pending) != 1 || pending[0].FailedRunning == 0 || pending[0].Err == "" {
		t.Fatalf("pending %+v", pending)
	}
	s.refuse = false
	for range 10 {
		s.pass(time.Minute)
		s.settle()
	}
	s.checkHealthy()
}

func TestProposalsThatFailAreRepeated(t *testing.T) {
	s := newStage(t, 3, 6)
	s.settle()
	dead := s.someBE()
	s.broken = errors.New("not the leader")
	s.kill(dead)
	if _, err := s.ctl.Step(context.Background()); err == nil {
		t.Fatal("the error is swallowed")
	}
	s.broken = nil
	s.step()
	for tab := range s.Current().Tablets() {
		if tab.Leader == dead {
			t.Fatalf("tablet %d is still led by the dead be", tab.ID)
		}
	}
}

func TestBalanceLeaders(t *testing.T) {
	s := newStage(t, 3, 9)
	for tab := range s.Current().Tablets() {
		s.must(&command.SetLeaders{Items: []command.SetLeader{{Tablet: tab.ID, BE: tab.Replicas[0].BE}}})
	}
	first := s.someBE()
	for tab := range s.Current().Tablets() {
		s.must(&command.SetLeaders{Items: []command.SetLeader{{Tablet: tab.ID, BE: first}}})
	}
	plan := s.ctl.PlanLeaders(sched.LeaderScope{})
	if len(plan.Moves) != 6 || !plan.Optimal || plan.After.Max != 3 || plan.After.Min != 3 {
		t.Fatalf("%+v", plan)
	}
	s.must(&command.SetLeaders{Items: []command.SetLeader{{Tablet: plan.Moves[0].Tablet, BE: first}}}) // it changes meanwhile
	moved, refused, err := s.ctl.MoveLeaders(context.Background(), plan.Moves)
	if err != nil || moved != 5 || refused != 1 {
		t.Fatalf("%d moved, %d refused, %v", moved, refused, err)
	}
	if moved, _, err = s.ctl.MoveLeaders(context.Background(), s.ctl.PlanLeaders(sched.LeaderScope{}).Moves); err != nil || moved != 1 {
		t.Fatalf("second run: %d moved, %v", moved, err)
	}
	if again := s.ctl.PlanLeaders(sched.LeaderScope{}); len(again.Moves) != 0 {
		t.Fatalf("third run: %+v", again)
	}
}

func TestHintEndsWithThePartitionsHealth(t *testing.T) {
	s := newStage(t, 3, 3)
	s.settle()
	s.must(&command.SetRepairHint{Hints: []catalog.RepairHint{{Partition: 10_101, Table: 10_100, ExpiresMs: s.clock.UnixMilli() + 3600_000}}})
	s.pass(21 * time.Second)
	s.settle()
	if _, ok := s.Current().Hint(10_101); ok {
		t.Fatal("the hint outlives the repair")
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	s := newStage(t, 3, 3)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ctl.Run(ctx)
	}()
	dead := s.someBE()
	s.kill(dead)
	for {
		led := 0
		for tab := range s.Current().TabletsOn(dead) {
			if tab.Leader == dead {
				led++
			}
		}
		if led == 0 {
			break
		}
		select {
		case <-done:
			t.Fatal("Run ended early")
		default:
		}
	}
	cancel()
	<-done
}

// TestFullDiskLosesItsLeaders: a BE whose disk refuses writes leads nothing any more as soon as it has said so, nor before it has room that lasts.
func TestFullDiskLosesItsLeaders(t *testing.T) {
	s := newStage(t, 3, 12)
	s.settle()
	be := s.someBE()
	room := func(refuses bool, available int64) {
		s.mu.Lock()
		s.bes[be].Disks = []cluster.Disk{{ID: types.DiskID(be) * 10, Total: 1 << 40, Available: available, Refuses: refuses}}
		s.mu.Unlock()
		s.ctl.Notify(cluster.Event{Kind: cluster.DisksChanged, BE: be})
		s.step()
	}
	leads := func() (n int) {
		for tab := range s.Current().Tablets() {
			if tab.Leader == be {
				n++
			}
		}
		return n
	}
	room(true, 0)
	if n := leads(); n != 0 {
		t.Fatalf("it leads %d tablets", n)
	}
	if out := s.ctl.PlanLeaders(sched.LeaderScope{}).LeftOut; len(out) != 1 || out[0] != be {
		t.Errorf("a plan leaves out %v", out)
	}
	room(false, 1<<30)
	s.pass(time.Minute)
	s.settle()
	if n := leads(); n != 0 {
		t.Fatalf("with a little room it leads %d tablets", n)
	}
	room(false, 1<<39)
	if out := s.ctl.PlanLeaders(sched.LeaderScope{}).LeftOut; len(out) != 0 {
		t.Errorf("a plan leaves out %v", out)
	}
	s.pass(time.Minute)
	s.settle()
	if leads() == 0 {
		t.Error("it leads nothing although it has room again")
	}
}
