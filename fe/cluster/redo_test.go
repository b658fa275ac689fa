package cluster_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stele/fe/cluster"
	"stele/fe/fakecluster"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/proto/fepb"
)

// pokes notes what the driver of redo is told.
type pokes struct {
	mu    sync.Mutex
	lacks []types.BEID
	fresh []types.BEID
}

func (p *pokes) Poke(be types.BEID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lacks = append(p.lacks, be)
}

func (p *pokes) Restarted(be types.BEID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fresh = append(p.fresh, be)
}

// counts returns how often each was called since the last look.
func (p *pokes) counts() (lacks, fresh int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lacks, fresh = len(p.lacks), len(p.fresh)
	p.lacks, p.fresh = nil, nil
	return lacks, fresh
}

func (w *world) epoch() types.Epoch { return w.Tablet(w.t, w.Tablets[0]).Epoch }

func (w *world) startMs() int64 {
	be, _ := w.Log.Current().BE(w.BEs[0].ID)
	return be.StartMs
}

// TestStartIsNotedFirst: when an event says that a BE is there, the catalog has its process, and writes by what was there before are
// refused. It is noted once for each process, also when a proposal fails.
func TestStartIsNotedFirst(t *testing.T) {
	w := newWorld(t, 1)
	var started atomic.Int64
	var beats atomic.Int64
	started.Store(100)
	w.BEs[0].Set(func(b *fakecluster.BE) {
		b.OnHeartbeat = func(context.Context, *bepb.HeartbeatRequest) (*bepb.HeartbeatResponse, error) {
			beats.Add(1)
			return &bepb.HeartbeatResponse{StartTimeMs: started.Load()}, nil
		}
	})
	epoch := w.epoch()
	w.run()
	w.await(cluster.BEUp, w.BEs[0].ID)
	if w.startMs() != 100 || w.epoch() != epoch+1 {
		t.Fatalf("it is up, but the catalog has start %d and epoch %d", w.startMs(), w.epoch())
	}
	var refused atomic.Bool
	w.Log.Before = func(cmds []command.Command) error {
		if _, ok := cmds[0].(*command.StartBE); ok && refused.CompareAndSwap(false, true) {
			return errors.New("busy")
		}
		return nil
	}
	started.Store(50) // its clock went back
	w.await(cluster.BERestarted, w.BEs[0].ID)
	seen := beats.Load()
	fakecluster.Eventually(w.t, "the second try", func() bool { return w.startMs() == 50 })
	fakecluster.Eventually(w.t, "more heartbeats", func() bool { return beats.Load() > seen+3 })
	if w.epoch() != epoch+2 {
		t.Errorf("epoch %d after two starts, was %d", w.epoch(), epoch)
	}
}

// TestReportNotesStart: a report may be the first that is heard of a process. One of a process that ended, which comes late, is none.
func TestReportNotesStart(t *testing.T) {
	w := newWorld(t, 1)
	epoch := w.epoch()
	disk := []uint64{1}
	w.report(100, 1, disk, w.replica(0), w.replica(1))
	w.report(100, 2, disk, w.replica(0), w.replica(1))
	if w.startMs() != 100 || w.epoch() != epoch+1 {
		t.Errorf("start %d, epoch %d, was %d", w.startMs(), w.epoch(), epoch)
	}
	w.report(90, 3, disk, w.replica(0), w.replica(1))
	if w.startMs() != 100 {
		t.Errorf("start %d by a report from before", w.startMs())
	}
	w.Log.Before = func([]command.Command) error { return errors.New("no majority") }
	_, err := w.ledger.Report(t.Context(), &fepb.ReportRequest{BeId: uint64(w.BEs[0].ID), StartTimeMs: 110, Sequence: 1, Full: true})
	if err == nil {
		t.Error("a report was used whose process could not be noted")
	}
}

// TestBehind: a full report is answered with the replicas that lack what they, or the process before, have acknowledged.
func TestBehind(t *testing.T) {
	w := newWorld(t, 3)
	old := w.replica(0)
	v := w.commit([]byte("rows"))
	resp := w.report(1, 1, []uint64{old.DiskId}, old, w.replica(1))
	if len(resp.Behind) != 1 || resp.Behind[0].TabletId != old.TabletId || resp.Behind[0].ReplicaId != old.ReplicaId || resp.Behind[0].Version != uint64(v) {
		t.Fatalf("behind: %v", resp.Behind)
	}
	if lacks, fresh := w.pokes.counts(); lacks != 0 || fresh != 1 {
		t.Errorf("poked %d and %d times", lacks, fresh)
	}
	resp = w.report(1, 1, []uint64{old.DiskId}, old, w.replica(1))
	if len(resp.Behind) != 1 {
		t.Error("the answer to a report that came twice says that nothing is missing")
	}
	if resp = w.report(1, 2, []uint64{old.DiskId}, w.replica(0), w.replica(1)); len(resp.Behind) != 0 {
		t.Errorf("behind with everything: %v", resp.Behind)
	}
	if lacks, fresh := w.pokes.counts(); lacks+fresh != 0 {
		t.Errorf("poked %d and %d times for nothing", lacks, fresh)
	}
}

// TestBehindOnALateDisk: a disk that opens late is as one that begins anew with its BE: what it refused before, it may take now.
func TestBehindOnALateDisk(t *testing.T) {
	w := newWorld(t, 3)
	old := w.replica(0)
	w.commit([]byte("rows"))
	w.report(1, 1, []uint64{old.DiskId + 1})
	w.pokes.counts()
	if resp := w.report(1, 2, []uint64{old.DiskId, old.DiskId + 1}, old); len(resp.Behind) != 1 {
		t.Errorf("behind: %v", resp.Behind)
	}
	if lacks, fresh := w.pokes.counts(); lacks != 0 || fresh != 1 {
		t.Errorf("poked %d and %d times", lacks, fresh)
	}
	w.report(1, 3, []uint64{old.DiskId, old.DiskId + 1}, old)
	if lacks, fresh := w.pokes.counts(); lacks != 1 || fresh != 0 {
		t.Errorf("poked %d and %d times by the next report", lacks, fresh)
	}
}

// TestBehindBeyondGap: a replica that has missed a version acknowledges what comes after it, and may lose that, too.
func TestBehindBeyondGap(t *testing.T) {
	w := newWorld(t, 3)
	tab := w.Tablet(t, w.Tablets[0])
	gap := tab.Version + 1
	w.commitWithout(w.BEs[1].ID)
	behind := func() int {
		r := w.Tablet(t, w.Tablets[0]).Replica(w.BEs[1].ID)
		req := &fepb.ReportRequest{BeId: uint64(w.BEs[1].ID), StartTimeMs: 5, Sequence: 1, Full: true, DiskIds: []uint64{uint64(r.Disk)},
			Replicas: []*fepb.Replica{{TabletId: uint64(tab.ID), ReplicaId: uint64(r.ID), DiskId: uint64(r.Disk), Version: uint64(gap - 1)}}}
		resp, err := w.ledger.Report(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		return len(resp.Behind)
	}
	if n := behind(); n != 0 {
		t.Fatalf("%d replicas wait for what they have never acknowledged", n)
	}
	w.commit([]byte("rows"))
	if n := behind(); n != 1 {
		t.Errorf("%d replicas wait for what they have acknowledged", n)
	}
}

// commitWithout steps the first tablet on all replicas but that of a BE.
func (w *world) commitWithout(be types.BEID) {
	w.t.Helper()
	id := w.Log.Must(w.t, &command.AllocIDs{Counter: command.CounterTxns, N: 1, TimeMs: 1}).(catalog.AllocResult).First
	tab := w.Tablet(w.t, w.Tablets[0])
	part := command.TxnTablet{Tablet: tab.ID, Epoch: tab.Epoch}
	for _, r := range tab.Replicas {
		if r.BE != be {
			part.OK = append(part.OK, r.ID)
		}
	}
	w.Log.Must(w.t, &command.CommitTxn{Txn: types.TxnID(id), Tablets: []command.TxnTablet{part}})
}

// TestNothingIsLostThatTheLogHas: as long as the rows of the next version are in the log, a replica that lacks it is given them and
// is not cloned. When they are gone, it is lost as ever.
func TestNothingIsLostThatTheLogHas(t *testing.T) {
	w := newWorld(t, 3)
	old := w.replica(0)
	v := w.commit([]byte("rows"))
	lost := func(seq uint64) bool {
		old.MissingVersion = uint64(v)
		w.report(1, seq, []uint64{old.DiskId}, old, w.replica(1))
		return w.Tablet(t, w.Tablets[0]).Replica(w.BEs[0].ID).LastFailed != 0
	}
	for seq := range uint64(3) {
		w.pokes.counts()
		if lost(seq + 1) {
			t.Fatal("lost although the log has the rows")
		}
		if lacks, fresh := w.pokes.counts(); lacks+fresh != 1 {
			t.Errorf("report %d: poked %d times", seq, lacks+fresh)
		}
	}
	w.Log.Must(t, &command.TrimRedo{Tablets: []command.TabletUpTo{{Tablet: w.Tablets[0], Version: v}}})
	if !lost(4) {
		t.Error("nobody has the rows for it, but it does not count as lost")
	}
}

// TestResolvePokes: a BE that asks about a version may wait for one before it.
func TestResolvePokes(t *testing.T) {
	w := newWorld(t, 3)
	ask := func(txn uint64) int {
		t.Helper()
		req := &fepb.ResolveRequest{BeId: uint64(w.BEs[0].ID), Items: []*fepb.ResolveRequest_Item{{TxnId: txn, TabletId: uint64(w.Tablets[0])}}}
		if _, err := w.ledger.Resolve(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		lacks, _ := w.pokes.counts()
		return lacks
	}
	w.commit([]byte("rows"))
	first := w.lastTxn()
	w.commit()
	if n := ask(first); n != 0 {
		t.Errorf("%d pokes for the oldest version with rows", n)
	}
	if n := ask(w.lastTxn()); n != 1 {
		t.Errorf("%d pokes for a version after one with rows", n)
	}
}

// TestResolveKeepsWhatCounts: a replica that has missed a version drops what it holds of it, and keeps what it has acknowledged before.
func TestResolveKeepsWhatCounts(t *testing.T) {
	w := newWorld(t, 3)
	w.commit()
	kept := w.lastTxn()
	w.commitWithout(w.BEs[1].ID)
	missed := w.lastTxn()
	req := &fepb.ResolveRequest{BeId: uint64(w.BEs[1].ID), Items: []*fepb.ResolveRequest_Item{
		{TxnId: kept, TabletId: uint64(w.Tablets[0])}, {TxnId: missed, TabletId: uint64(w.Tablets[0])}}}
	resp, err := w.ledger.Resolve(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := resp.Items[0].Outcome, resp.Items[1].Outcome; a != fepb.ResolveResponse_COMMITTED || b != fepb.ResolveResponse_ABORTED {
		t.Errorf("what it has is %s, what it has missed %s", a, b)
	}
}

// lastTxn returns the transaction that was committed last.
func (w *world) lastTxn() (last uint64) {
	for c := range w.Log.Current().Committed() {
		last = uint64(c.ID)
	}
	return last
}

// TestAway: a BE is away when it is dead for so long and says nothing, not when nobody has tried to reach it.
func TestAway(t *testing.T) {
	w := newWorld(t, 2)
	if w.c.Away(w.BEs[1].ID, 0) {
		t.Error("away before anybody has tried")
	}
	w.run()
	w.awaitUp()
	if w.c.Away(w.BEs[1].ID, 0) {
		t.Error("away although it answers")
	}
	w.BEs[1].Stop()
	w.await(cluster.BEDown, w.BEs[1].ID)
	if !w.c.Away(w.BEs[1].ID, 0) || w.c.Away(w.BEs[1].ID, time.Hour) {
		t.Error("dead for a moment is away for that long and not longer")
	}
	if _, err := w.ledger.Report(t.Context(), &fepb.ReportRequest{BeId: uint64(w.BEs[1].ID), StartTimeMs: 7, Sequence: 1}); err != nil {
		t.Fatal(err)
	}
	if w.c.Away(w.BEs[1].ID, 0) {
		t.Error("away although it has reported since")
	}
}
