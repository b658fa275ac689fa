package catalog

import (
	"testing"

	"stele/meta/command"
	"stele/meta/types"
)

// applyAll applies commands that must hold.
func applyAll(t *testing.T, c *Catalog, cmds ...command.Command) (*Catalog, any) {
	t.Helper()
	var res any
	for _, cmd := range cmds {
		next, r, err := Apply(c, cmd)
		if err != nil {
			t.Fatalf("%s: %v", cmd.Type(), err)
		}
		c, res = next, r
	}
	return c, res
}

// opCluster is a cluster with one tablet on three BEs, led by the first.
func opCluster(t *testing.T) (*Catalog, types.TabletID, []types.BEID) {
	t.Helper()
	c, _ := applyAll(t, New(), &command.InitCluster{ClusterID: "c", FE: FE{Name: "f"}},
		&command.AddBE{BE: BE{Host: "a", Port: 1}}, &command.AddBE{BE: BE{Host: "b", Port: 1}}, &command.AddBE{BE: BE{Host: "c", Port: 1}},
		&command.CreateDatabase{Name: "d"}, &command.AllocIDs{N: 10})
	db, _ := c.Database("d")
	next := c.NextID() - 10
	var bes []types.BEID
	tab := Tablet{ID: types.TabletID(next + 2), Table: types.TableID(next), Partition: types.PartitionID(next + 1), Version: 1, Epoch: 1}
	for be := range c.BEs() {
		bes = append(bes, be.ID)
		tab.Replicas = append(tab.Replicas, Replica{ID: types.ReplicaID(next + 3 + uint64(len(bes))), BE: be.ID, Version: 1, LastSuccess: 1, Settled: 1})
	}
	tab.Leader = bes[0]
	table := Table{ID: tab.Table, DatabaseID: db.ID, Name: "t", Buckets: 1, Replicas: 3, Schema: types.Schema{TableID: tab.Table, Version: 1,
		Key: []types.ColumnID{1}, Columns: []types.Column{{ID: 1, Name: "id", Type: types.ColumnType{Kind: types.KindInt, NotNull: true}}}},
		HashBy: []types.ColumnID{1}, Parts: []Partition{{ID: tab.Partition, Name: "t", Replicas: 3, Tablets: []types.TabletID{tab.ID}}}}
	c, _ = applyAll(t, c, &command.CreateTable{Table: table, Tablets: []Tablet{tab}, TimeMs: 1}, &command.AllocIDs{Counter: command.CounterTxns, N: 100, TimeMs: 1})
	return c, tab.ID, bes
}

// TestOfflineReplica follows a leader that is set aside: it leads no more, votes no more, misses what is written, and is
// complete again only when it has that.
func TestOfflineReplica(t *testing.T) {
	c, id, bes := opCluster(t)
	tab, _ := c.Tablet(id)
	stale := &command.CommitTxn{Txn: 1, TimeMs: 5, Tablets: []command.TxnTablet{{Tablet: id, Epoch: tab.Epoch, OK: []types.ReplicaID{tab.Replicas[0].ID, tab.Replicas[1].ID}}}}
	c, res := applyAll(t, c, &command.SetReplicaAlive{Items: []command.ReplicaAlive{{Tablet: id, BE: bes[0]}, {Tablet: 1, BE: bes[0]}}, TimeMs: 9})
	if res != (CountResult{N: 1}) {
		t.Errorf("set aside %v", res)
	}
	if _, _, err := Apply(c, stale); err == nil {
		t.Error("a write of the old epoch is committed")
	}
	tab, _ = c.Tablet(id)
	if r := tab.Replica(bes[0]); tab.Leader != 0 || r.Complete() || r.Votes() || !r.Deposed || r.OfflineMs != 9 {
		t.Fatalf("leader %d, %+v", tab.Leader, r)
	}
	// Two of two are the majority that is left.
	two := []types.ReplicaID{tab.Replicas[1].ID, tab.Replicas[2].ID}
	c, _ = applyAll(t, c, &command.SetLeaders{Items: []command.SetLeader{{Tablet: id, BE: bes[1]}}})
	tab, _ = c.Tablet(id)
	if _, _, err := Apply(c, &command.CommitTxn{Txn: 2, TimeMs: 5, Tablets: []command.TxnTablet{{Tablet: id, Epoch: tab.Epoch, OK: two[:1]}}}); err == nil {
		t.Error("one of two voters is no majority")
	}
	c, _ = applyAll(t, c, &command.CommitTxn{Txn: 3, TimeMs: 5, Tablets: []command.TxnTablet{{Tablet: id, Epoch: tab.Epoch, OK: two}}})
	ahead, _ := applyAll(t, c, &command.ReportReplicas{Items: []command.ReplicaReport{{Tablet: id, BE: bes[0], Version: 2}}, TimeMs: 9})
	tab, _ = ahead.Tablet(id)
	if r := tab.Replica(bes[0]); r.LastFailed != 0 || !r.Deposed {
		t.Fatalf("it has caught up before it is taken into use, and is to lead again then: %+v", r)
	}
	c, _ = applyAll(t, c,
		&command.SetReplicaAlive{Items: []command.ReplicaAlive{{Tablet: id, BE: bes[0], Alive: true}}, TimeMs: 10})
	tab, _ = c.Tablet(id)
	if r := tab.Replica(bes[0]); r.Complete() || r.LastFailed != 2 || !r.Deposed {
		t.Fatalf("back without what it missed: %+v", r)
	}
	c, _ = applyAll(t, c, &command.ReportReplicas{Items: []command.ReplicaReport{{Tablet: id, BE: bes[0], Version: 2}}, TimeMs: 11})
	tab, _ = c.Tablet(id)
	if r := tab.Replica(bes[0]); !r.Complete() || r.Deposed {
		t.Fatalf("caught up: %+v", r)
	}
}

// TestAcceptLoss goes on with a replica that lacks a version when the others are lost.
func TestAcceptLoss(t *testing.T) {
	c, id, bes := opCluster(t)
	tab, _ := c.Tablet(id)
	two := []types.ReplicaID{tab.Replicas[0].ID, tab.Replicas[1].ID}
	c, _ = applyAll(t, c, &command.CommitTxn{Txn: 1, TimeMs: 5, Tablets: []command.TxnTablet{{Tablet: id, Epoch: tab.Epoch, OK: two}}})
	tab, _ = c.Tablet(id)
	last := tab.Replica(bes[2])
	if _, _, err := Apply(c, &command.AcceptLoss{Tablet: id, Replica: last.ID, Version: 1, Epoch: tab.Epoch}); err == nil {
		t.Error("accepted for a version that is over")
	}
	c, _ = applyAll(t, c, &command.AcceptLoss{Tablet: id, Replica: last.ID, Version: 2, Epoch: tab.Epoch})
	tab, _ = c.Tablet(id)
	if len(tab.Replicas) != 1 || tab.Leader != bes[2] || !tab.Replicas[0].Complete() || tab.Version != 2 {
		t.Fatalf("%+v", tab)
	}
	for range c.TabletsOn(bes[0]) {
		t.Error("a replica that was given up is still indexed")
	}
}

// TestOpLog checks what may happen to an op, and when.
func TestOpLog(t *testing.T) {
	c, _ := applyAll(t, New(), &command.InitCluster{ClusterID: "c", FE: FE{Name: "f"}})
	c, res := applyAll(t, c, &command.AddOps{Ops: []Op{{Type: 14, Lane: 1}, {Type: 14}}, TimeMs: 5})
	first := res.(AllocResult).First
	op, _ := c.Op(first)
	run := *op
	run.State = OpRunning
	child := Op{Type: 6, Pid: 7}
	stale := run
	c, _ = applyAll(t, c, &command.UpdateOp{Op: run, Children: []Op{child}, TimeMs: 6})
	made, _ := c.Op(c.NextID() - 1)
	if made.Group != first || made.Root != first || made.Lane != 1 || made.State != OpInited || made.Pid != 7 {
		t.Fatalf("child %+v", made)
	}
	if _, _, err := Apply(c, &command.UpdateOp{Op: stale}); err == nil {
		t.Error("an old record replaces a new one")
	}
	if _, _, err := Apply(c, &command.DeleteOps{ID: first}); err == nil {
		t.Error("a running op is forgotten")
	}
	c, res = applyAll(t, c, &command.CancelOp{ID: first, Group: true, TimeMs: 7})
	if res != (CountResult{N: 3}) {
		t.Errorf("cancelled %v", res)
	}
	op, _ = c.Op(first)
	if op.State != OpCancelled || !op.Undo || op.EndedMs != 7 {
		t.Fatalf("cancelled: %+v", op)
	}
	if other, _ := c.Op(first + 1); other.Undo {
		t.Error("an op that has not begun has nothing to take back")
	}
	if _, _, err := Apply(c, &command.CancelOp{ID: first}); err == nil {
		t.Error("cancelled twice")
	}
	back := *op
	back.Undo = false
	c, _ = applyAll(t, c, &command.UpdateOp{Op: back})
	op, _ = c.Op(first)
	again := *op
	again.State = OpRunning
	if _, _, err := Apply(c, &command.UpdateOp{Op: again}); err == nil {
		t.Error("an op that has ended goes on")
	}
	if _, res = applyAll(t, c, &command.DeleteOps{State: OpCancelled}); res != (CountResult{N: 3}) {
		t.Errorf("forgotten %v", res)
	}
}

// TestOpLogIsBounded fills the log: what has ended makes room, what runs does not.
func TestOpLogIsBounded(t *testing.T) {
	c, _ := applyAll(t, New(), &command.InitCluster{ClusterID: "c", FE: FE{Name: "f"}})
	ended, running := make([]Op, 10), make([]Op, MaxOps-10)
	for range ended {
		c, _ = applyAll(t, c, &command.AddOp{Op: Op{Kind: "k", State: OpDone}})
	}
	for i := range running {
		running[i].Type = 3
	}
	c, _ = applyAll(t, c, &command.AddOps{Ops: running})
	c, _ = applyAll(t, c, &command.AddOps{Ops: running[:10]})
	if _, _, err := Apply(c, &command.AddOps{Ops: running[:1]}); err == nil {
		t.Error("more operations run than the log takes")
	}
}
