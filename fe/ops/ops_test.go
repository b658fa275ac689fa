package ops

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
)

// log lists the ops as "type state".
func (w *world) log() []string {
	var out []string
	for op := range w.cat.Ops() {
		out = append(out, TypeName(op.Type)+" "+StateName(op.State))
	}
	return out
}

func (w *world) wantLog(t *testing.T, want ...string) {
	t.Helper()
	if got := w.log(); !slices.Equal(got, want) {
		t.Fatalf("ops %q, want %q", got, want)
	}
}

// TestOfflineAndRecover is the life of an endpoint in manual mode, and how each state of its disk comes back.
func TestOfflineAndRecover(t *testing.T) {
	for _, tc := range []struct {
		name    string
		between func(w *world, be types.BEID)
		child   string
	}{
		{"kept running", func(*world, types.BEID) {}, "kReAddReplicaSimplifyOP"},
		{"restarted", func(w *world, be types.BEID) { w.start[be] = w.nowMs + 1 }, "kReAddReplicaNoSendOP"},
		{"wiped", func(w *world, be types.BEID) { delete(w.has, be) }, "kReAddReplicaOP"},
		{"damaged", func(w *world, be types.BEID) {
			w.cat, _, _ = catalog.Apply(w.cat, &command.SetReplicaBad{Tablet: w.tablet, BE: be, Bad: true})
		}, "kReAddReplicaWithDropOP"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, 3, 3)
			lost := w.bes[0]
			w.order(t, op(ChangeLeader, lost))
			w.settle(t)
			if r := w.tab().Replica(lost); w.tab().Leader == lost || r.OfflineMs == 0 || !r.Deposed {
				t.Fatalf("offline: leader %d, %+v", w.tab().Leader, r)
			}
			if !w.write(1) {
				t.Fatal("no write with two of three")
			}
			tc.between(w, lost)
			w.order(t, op(RecoverTable, lost))
			w.settle(t)
			w.wantLog(t, "kChangeLeaderOP kDone", "kRecoverTableOP kDone", tc.child+" kDone")
			if r := w.tab().Replica(lost); !r.Complete() || r.Deposed || w.has[lost].version != 2 {
				t.Fatalf("back: %+v, has %+v", r, w.has[lost])
			}
		})
	}
}

// TestRefusalsOfRecovery lists what an op cannot do, and that it says why.
func TestRefusalsOfRecovery(t *testing.T) {
	for _, tc := range []struct {
		name   string
		setup  func(t *testing.T, w *world)
		op     func(w *world) model.Op
		want   string
		status model.OpState
	}{
		{"dead endpoint", func(_ *testing.T, w *world) { w.dead[w.bes[0]] = 1; w.nowMs += 100_000 }, func(w *world) model.Op { return op(RecoverTable, w.bes[0]) },
			"303: b1:9050 is offline", catalog.OpFailed},
		{"no such replica", func(*testing.T, *world) {}, func(w *world) model.Op { return op(RecoverTable, w.bes[3]) }, "308: partition 0 has no replica on b4:9050", catalog.OpFailed},
		{"alive", func(*testing.T, *world) {}, func(w *world) model.Op { return op(RecoverTable, w.bes[1]) }, "the replica on b2:9050 is alive already", catalog.OpDone},
		{"no follower", func(_ *testing.T, w *world) { w.dead[w.bes[1]], w.dead[w.bes[2]] = 1, 1 }, func(w *world) model.Op { return op(ChangeLeader, w.bes[0]) },
			"310: no alive follower has every committed version", catalog.OpFailed},
		{"candidate aside", func(t *testing.T, w *world) {
			w.must(t, &command.SetReplicaAlive{Items: []command.ReplicaAlive{{Tablet: w.tablet, BE: w.bes[1]}}, TimeMs: 5})
		}, func(w *world) model.Op { o := op(ChangeLeader, w.bes[0]); o.Dest = w.bes[1]; return o }, "310: the replica on b2:9050 is not alive", catalog.OpFailed},
		{"last copy", func(_ *testing.T, w *world) { w.dead[w.bes[1]], w.dead[w.bes[2]] = 1, 1 }, func(w *world) model.Op { return op(DelReplica, w.bes[0]) },
			"102: no other complete replica is on a backend that answers", catalog.OpFailed},
		{"nothing is lost", func(*testing.T, *world) {}, func(w *world) model.Op { return op(AcceptLoss, w.bes[0]) }, "nothing is lost: b1:9050 has every version", catalog.OpFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, 3, 4)
			tc.setup(t, w)
			id := w.order(t, tc.op(w))
			w.settle(t)
			got, _ := w.cat.Op(id)
			if got.State != tc.status || got.Message != tc.want {
				t.Fatalf("%s: %q, want %q", StateName(got.State), got.Message, tc.want)
			}
		})
	}
}

// TestMoveAndCancel moves a follower, and cancels a move that waits for a dead BE: the placement is as before.
func TestMoveAndCancel(t *testing.T) {
	w := newWorld(t, 3, 5)
	move := op(Migrate, w.bes[1])
	move.Dest = w.bes[3]
	w.order(t, move)
	w.settle(t)
	if tab := w.tab(); tab.Replica(w.bes[1]) != nil || !tab.Replica(w.bes[3]).Complete() || len(tab.Replicas) != 3 || w.has[w.bes[1]].replica != 0 {
		t.Fatalf("moved: %+v", tab)
	}
	before := *w.tab()
	stuck := op(Migrate, w.bes[3])
	stuck.Dest = w.bes[4]
	id := w.order(t, stuck)
	w.slow = true
	for w.tab().Replica(w.bes[4]) == nil {
		w.round()
	}
	w.round()
	w.dead[w.bes[4]] = w.nowMs
	w.round()
	w.must(t, &command.CancelOp{ID: id, TimeMs: w.nowMs})
	w.settle(t)
	after := w.tab()
	if o := mustOp(t, w, id); o.State != catalog.OpCancelled || after.Replica(w.bes[4]) != nil || len(after.Replicas) != len(before.Replicas) {
		t.Fatalf("%s: %+v", StateName(o.State), after)
	}
	for i := range after.Replicas {
		if !after.Replicas[i].Complete() {
			t.Errorf("%+v", after.Replicas[i])
		}
	}
}

func mustOp(t *testing.T, w *world, id uint64) model.Op {
	t.Helper()
	o, ok := w.cat.Op(id)
	if !ok {
		t.Fatalf("no op %d", id)
	}
	return *o
}

// TestAddAndDrop has a tablet get one replica more than its partition wants, and one less.
func TestAddAndDrop(t *testing.T) {
	w := newWorld(t, 3, 4)
	w.order(t, op(AddReplica, w.bes[3]))
	w.settle(t)
	if tab := w.tab(); len(tab.Replicas) != 4 || tab.Wanted(3) != 4 || !tab.Replica(w.bes[3]).Complete() {
		t.Fatalf("added: %+v", tab)
	}
	w.order(t, op(DelReplica, w.bes[2]), op(DelReplica, w.bes[1]))
	w.settle(t)
	if tab := w.tab(); len(tab.Replicas) != 2 || tab.Wanted(3) != 2 {
		t.Fatalf("dropped: %+v", tab)
	}
}

// TestAcceptedLoss goes on with what is left when the only complete replica is gone.
func TestAcceptedLoss(t *testing.T) {
	w := newWorld(t, 3, 3)
	w.dead[w.bes[2]] = 1
	if !w.write(1) || !w.write(2) {
		t.Fatal("two of three take no write")
	}
	w.dead = map[types.BEID]int64{w.bes[0]: 1, w.bes[1]: 1}
	id := w.order(t, op(AcceptLoss, w.bes[2]))
	w.settle(t)
	tab := w.tab()
	if o := mustOp(t, w, id); o.State != catalog.OpDone || len(tab.Replicas) != 1 || tab.Leader != w.bes[2] || w.has[w.bes[2]].version != 3 {
		t.Fatalf("%s %s: %+v", StateName(o.State), o.LastError, tab)
	}
	if !w.write(3) {
		t.Error("no write after the loss was accepted")
	}
	w.dead = map[types.BEID]int64{}
	for be := range w.has { // what comes back is of the tablet no more
		if r := tab.Replica(be); be != w.bes[2] && r != nil {
			t.Errorf("backend %d is back with %+v", be, r)
		}
	}
}

func TestDeadline(t *testing.T) {
	w := newWorld(t, 2, 3)
	w.dead[w.bes[0]], w.dead[w.bes[1]] = 1, 1
	id := w.order(t, op(AddReplica, w.bes[2]))
	w.round()
	if o := mustOp(t, w, id); o.State != catalog.OpRunning || o.Waiting == "" {
		t.Fatalf("%+v", o)
	}
	w.nowMs += 600_000
	w.settle(t)
	if o := mustOp(t, w, id); o.State != catalog.OpFailed || !strings.HasPrefix(o.LastError, "its time is over: a complete replica") {
		t.Fatalf("%s: %s", StateName(o.State), o.LastError)
	}
}

func TestRunnable(t *testing.T) {
	mk := func(id, group, root uint64, lane int, tablet types.TabletID, state model.OpState) *model.Op {
		return &model.Op{ID: id, Group: group, Root: root, Lane: lane, Tablet: tablet, State: state, Type: RecoverTable}
	}
	all := []*model.Op{
		mk(1, 1, 1, 0, 10, catalog.OpDone), mk(2, 1, 2, 0, 11, catalog.OpInited), mk(3, 1, 3, 1, 12, catalog.OpRunning),
		mk(4, 1, 1, 0, 10, catalog.OpInited), // child of 1: before 2
		mk(5, 5, 5, 0, 12, catalog.OpInited), // another statement, about a tablet that is busy
		mk(6, 6, 6, 0, 13, catalog.OpInited),
	}
	var got []uint64
	for _, o := range Runnable(all) {
		got = append(got, o.ID)
	}
	if want := []uint64{4, 3, 6}; !slices.Equal(got, want) {
		t.Errorf("%v may run, want %v", got, want)
	}
}

// TestLeaderWaits: a follower that lacks the last version for a moment is waited for, and then leads; one that does not catch
// up ends the op.
func TestLeaderWaits(t *testing.T) {
	for _, catchesUp := range []bool{true, false} {
		w := newWorld(t, 2, 2)
		tab := w.tab()
		o := op(ChangeLeader, w.bes[0])
		o.Tablet, o.State, o.StartedMs, o.DeadlineMs = w.tablet, model.OpRunning, w.nowMs, w.nowMs+1e9
		f := w.facts()
		lagging := *f.Tablet
		lagging.Replicas = slices.Clone(lagging.Replicas)
		lagging.Replicas[1].LastFailed = 1
		f.Tablet = &lagging
		if d := Step(o, f); d.Op.State != model.OpRunning || d.Op.Waiting != "a follower to catch up" {
			t.Fatalf("it does not wait: %s %q", StateName(d.Op.State), d.Op.Message)
		}
		if catchesUp {
			f.Tablet = tab
		} else {
			f.NowMs += deadGraceMs
		}
		d := Step(o, f)
		if (len(d.Effects) == 1) != catchesUp || (d.Op.State == model.OpFailed) == catchesUp {
			t.Errorf("catches up %v: %s %q, %d effects", catchesUp, StateName(d.Op.State), d.Op.Message, len(d.Effects))
		}
	}
}

// TestMakeEmpty goes on with an empty tablet when nothing is left of it, and only then.
func TestMakeEmpty(t *testing.T) {
	w := newWorld(t, 2, 3)
	w.write(1)
	w.must(t, &command.AllocIDs{N: 2})
	order := func() uint64 {
		o := op(MakeEmpty, w.bes[2])
		o.Replica = types.ReplicaID(w.cat.NextID() - 1)
		return w.order(t, o)
	}
	refused := order()
	w.settle(t)
	if o, _ := w.cat.Op(refused); o.State != catalog.OpFailed || len(w.tab().Replicas) != 2 {
		t.Fatalf("rows were given up that are there: %s %s, %+v", StateName(o.State), o.Message, w.tab())
	}
	delete(w.has, w.bes[0])
	delete(w.has, w.bes[1])
	w.must(t, &command.AllocIDs{N: 2})
	id := order()
	w.settle(t)
	o, _ := w.cat.Op(id)
	tab := w.tab()
	if o.State != catalog.OpDone || len(tab.Replicas) != 1 || tab.Leader != w.bes[2] || tab.Replicas[0].ID != o.Replica || !tab.Replicas[0].Complete() {
		t.Fatalf("%s: %s, %+v", StateName(o.State), o.Message, tab)
	}
	if !w.write(2) {
		t.Error("the empty tablet takes no writes")
	}
}

// TestOpsUnderFaults orders at random while BEs come and go, disks are wiped and writes go on: every op ends, a committed
// version is never lost while a replica that has it is there, and nothing half done stays.
func TestOpsUnderFaults(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, 3, 4)
		n := func(what string, hi int) int { return rapid.IntRange(0, hi).Draw(rt, what) }
		var txn types.TxnID
		for range rapid.IntRange(5, 40).Draw(rt, "steps") {
			be := w.bes[n("be", 3)]
			w.between = nil
			if n("cancelled in between", 5) == 0 {
				w.between = func(op *model.Op) { _ = w.apply(&command.CancelOp{ID: op.ID, TimeMs: w.nowMs}) }
			}
			clear(w.stale)
			w.stale[w.bes[n("stale", 3)]] = n("is stale", 2) == 0
			switch n("what", 9) {
			case 0:
				txn++
				w.write(txn)
			case 1:
				w.dead[be] = w.nowMs
			case 2, 3:
				delete(w.dead, be)
				w.start[be] = w.nowMs
			case 9: // its disk is lost, if others have everything
				if at := w.tab(); at.Replica(be) != nil && w.has[be].version < at.Version {
					delete(w.has, be)
				}
			case 4:
				ids := slices.Collect(w.cat.Ops())
				if len(ids) > 0 {
					_ = w.apply(&command.CancelOp{ID: ids[n("op", len(ids)-1)].ID, TimeMs: w.nowMs})
				}
			default:
				typ := []model.OpType{AddReplica, DelReplica, ChangeLeader, OfflineReplica, Migrate, RecoverTable, UpdateTableAlive}[n("type", 6)]
				o := op(typ, be)
				o.Alive = n("alive", 1) == 1
				if typ == Migrate || typ == ChangeLeader && n("to", 1) == 1 {
					o.Dest = w.bes[n("dest", 3)]
				}
				w.order(t, o)
			}
			w.round()
			checkCopy(rt, w)
		}
		w.dead, w.between = map[types.BEID]int64{}, nil
		clear(w.stale)
		w.settle(t)
		checkCopy(rt, w)
		for i := range w.tab().Replicas {
			if r := &w.tab().Replicas[i]; r.Role == types.RoleLearner {
				rt.Fatalf("a learner is left: %+v; %q", r, w.log())
			}
		}
	})
}

// checkCopy: some replica of the catalog has every committed version, on the disk of its BE.
func checkCopy(rt *rapid.T, w *world) {
	tab := w.tab()
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		if h := w.has[r.BE]; h.replica == r.ID && h.version == tab.Version {
			return
		}
	}
	rt.Fatalf("version %d is on no disk: %+v, disks %+v; %q", tab.Version, tab.Replicas, w.has, w.log())
}

// TestStaleFacts: nothing is decided by what a BE was before the op: whether it answers, and what it holds.
func TestStaleFacts(t *testing.T) {
	for _, tc := range []struct {
		name  string
		typ   model.OpType
		be    int // of the op; its tablet is led by the first
		stale func(f *Facts, be types.BEID)
		waits string
	}{
		{"recover, not heard since", RecoverTable, 1, func(f *Facts, be types.BEID) { n := f.Nodes[be]; n.Fresh = false; f.Nodes[be] = n },
			"b2:9050 to answer a heartbeat"},
		{"recover, an earlier process reported", RecoverTable, 1, func(f *Facts, be types.BEID) { s := f.Seen[be]; s.Heard = false; f.Seen[be] = s },
			"b2:9050 to report what it has"},
		{"recover, an earlier process had lost it", RecoverTable, 1, func(f *Facts, be types.BEID) { f.Seen[be] = Seen{Lost: true} },
			"b2:9050 to report what it has"},
		{"lead, not heard since", ChangeLeader, 0, func(f *Facts, _ types.BEID) {
			for be, n := range f.Nodes {
				n.Fresh = false
				f.Nodes[be] = n
			}
		}, "b2:9050 to answer a heartbeat"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, 2, 2)
			o := op(tc.typ, w.bes[tc.be])
			o.Tablet, o.State, o.StartedMs, o.DeadlineMs = w.tablet, model.OpRunning, w.nowMs, w.nowMs+1e9
			f := w.facts()
			tc.stale(f, w.bes[tc.be])
			if d := Step(o, f); d.Op.State != model.OpRunning || d.Op.Waiting != tc.waits || len(d.Effects)+len(d.Children) > 0 {
				t.Fatalf("%s, waits for %q: %+v", StateName(d.Op.State), d.Op.Waiting, d)
			}
			if d := Step(o, w.facts()); d.Op.Waiting != "" {
				t.Fatalf("with fresh facts it waits for %q", d.Op.Waiting)
			}
		})
	}
}

// TestCancelledBetween cancels an op after each of its effects, before the op could note it: the placement is as before, or as
// it was to be, and no learner and nothing set aside is left.
func TestCancelledBetween(t *testing.T) {
	for _, typ := range []model.OpType{AddReplica, Migrate, DelReplica, OfflineReplica} {
		for at := 1; at <= 4; at++ {
			w := newWorld(t, 3, 4)
			o := op(typ, w.bes[1])
			switch typ {
			case AddReplica:
				o.BE = w.bes[3]
			case Migrate:
				o.Dest = w.bes[3]
			}
			before := placement(w)
			id := w.order(t, o)
			effects, epoch := 0, w.tab().Epoch
			w.between = func(op *model.Op) {
				if w.tab().Epoch != epoch || op.ID != id {
					epoch = w.tab().Epoch
					effects++
				}
				if effects == at {
					_ = w.apply(&command.CancelOp{ID: id, TimeMs: w.nowMs})
					w.slow = true // nothing is finished any more that is not whole yet
				}
			}
			w.settle(t)
			w.slow = false
			w.settle(t)
			after, done := placement(w), map[model.OpType]int{AddReplica: 4, Migrate: 3, DelReplica: 2, OfflineReplica: 3}[typ]
			ended := mustOp(t, w, id)
			if ended.State == catalog.OpCancelled && !slices.Equal(after, before) && len(after) != done {
				t.Errorf("%s cancelled after effect %d: %v became %v", TypeName(typ), at, before, after)
			}
			for i := range w.tab().Replicas {
				r := &w.tab().Replicas[i]
				if ended.State == catalog.OpCancelled && (r.Role == types.RoleLearner || r.OfflineMs != 0) {
					t.Errorf("%s cancelled after effect %d: %+v is left", TypeName(typ), at, r)
				}
			}
		}
	}
}

// placement lists the BEs of the replicas.
func placement(w *world) (out []types.BEID) {
	for i := range w.tab().Replicas {
		out = append(out, w.tab().Replicas[i].BE)
	}
	slices.Sort(out)
	return out
}

// TestCancelledRecovery: a recovery that is cancelled leaves the replica in its place, not alive, so that it can be ordered again.
func TestCancelledRecovery(t *testing.T) {
	w := newWorld(t, 3, 3)
	be := w.bes[2]
	w.order(t, op(OfflineReplica, be))
	w.settle(t)
	delete(w.has, be)
	w.slow = true
	id := w.order(t, op(RecoverTable, be))
	for range 5 {
		w.round()
	}
	w.must(t, &command.CancelOp{ID: id + 1, TimeMs: w.nowMs}) // the child
	w.settle(t)
	if o := mustOp(t, w, id+1); o.State != catalog.OpCancelled || kindOfWork(o.Type) != RecoverTable {
		t.Fatalf("%s %s", TypeName(o.Type), StateName(o.State))
	}
	w.slow = false
	for range 5 {
		w.round()
	}
	if r := w.tab().Replica(be); r == nil || r.Complete() || r.OfflineMs == 0 {
		t.Fatalf("after the cancel: %+v", w.tab().Replicas)
	}
	w.order(t, op(RecoverTable, be))
	w.settle(t)
	if r := w.tab().Replica(be); r == nil || !r.Complete() || len(w.tab().Replicas) != 3 {
		t.Fatalf("recovered again: %+v", w.tab().Replicas)
	}
}

// TestOrdered: a tablet is in hand from the beginning of an op to the end of its last child, without a gap between the two.
func TestOrdered(t *testing.T) {
	op := func(tablet types.TabletID, id, root uint64, state model.OpState) *model.Op {
		return &model.Op{Type: RecoverTable, ID: id, Root: root, Tablet: tablet, State: state}
	}
	list := []*model.Op{op(1, 10, 10, model.OpInited), op(2, 11, 11, model.OpRunning), op(3, 12, 12, model.OpDone), op(3, 13, 12, model.OpInited),
		op(4, 14, 14, model.OpDone), op(4, 15, 14, model.OpFailed), {Type: BalanceLeader, ID: 16, Root: 16, State: model.OpRunning},
		{Type: Migrate, ID: 17, Root: 17, Tablet: 5, State: model.OpCancelled, Undo: true}}
	got := Ordered(slices.Values(list))
	if want := map[types.TabletID]bool{2: true, 3: true, 5: true}; !maps.Equal(got, want) {
		t.Errorf("in hand: %v, want %v", got, want)
	}
}

// TestPauses: an op that waits for its next try does not wait for a clock that was far ahead when the time was noted.
func TestPauses(t *testing.T) {
	for next, want := range map[int64]bool{0: false, 999: false, 1001: true, 1000 + retryMaxMs: true, 3_600_000: false} {
		if got := Pauses(&model.Op{NextMs: next}, 1000); got != want {
			t.Errorf("at 1000, to be tried at %d: %v", next, got)
		}
	}
}
