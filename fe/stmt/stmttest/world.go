// Package stmttest is a hand-made cluster for the tests of statements, and runs them in it as a session would.
package stmttest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"stele/conf"
	"stele/fe/cluster"
	"stele/fe/sched"
	"stele/fe/stmt"
	"stele/fe/tabletctl"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/define"
)

// The real ones fit.
var (
	_ stmt.Control = (*tabletctl.Controller)(nil)
	_ stmt.Members = (*cluster.Cluster)(nil)
)

// Noon is when everything in the tests happens.
var Noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// World is a hand-made cluster: a real catalog behind a log in memory, and members as they are set.
type World struct {
	Cat      *catalog.Catalog
	BEs      map[types.BEID]*cluster.BE
	replicas map[types.BEID]map[types.TabletID]cluster.Replica
	gone     map[types.TabletID]types.BEID
	Kicks    int
	Conf     *conf.Live
	control  *control
}

func (w *World) Current() *catalog.Catalog { return w.Cat }

func (w *World) Propose(_ context.Context, cmds ...command.Command) ([]catalog.Result, error) {
	out := make([]catalog.Result, len(cmds))
	for i, cmd := range cmds {
		next, v, err := catalog.Apply(w.Cat, cmd)
		out[i] = catalog.Result{Value: v, Err: err}
		if err == nil {
			w.Cat = next
		}
	}
	return out, nil
}

func (w *World) Get(be types.BEID) (cluster.BE, bool) {
	if m := w.BEs[be]; m != nil {
		return *m, true
	}
	return cluster.BE{}, false
}
func (w *World) Alive(be types.BEID) bool     { return w.BEs[be] != nil && w.BEs[be].Alive }
func (w *World) Address(be types.BEID) string { return w.BEs[be].Address }
func (w *World) Clone(id types.TaskID) *bepb.CloneStatus {
	return &bepb.CloneStatus{TaskId: uint64(id), Full: true, Reason: "no replica there", BytesDone: 25, BytesTotal: 100, ElapsedMs: 1000}
}
func (w *World) Lost(be types.BEID, tablet types.TabletID) bool {
	return w.gone[tablet] == be && be != 0
}
func (w *World) Replica(be types.BEID, tablet types.TabletID) (cluster.Replica, bool) {
	r, ok := w.replicas[be][tablet]
	return r, ok
}

// control answers fixed tasks.
type control struct {
	w *World
}

var aTask = sched.Task{Tablet: 10031, Kind: sched.Repair, Status: sched.ReplicaMissing, State: sched.Pending, OrigPrio: sched.PriorityHigh,
	DynmPrio: sched.PriorityLow, CreatedMs: Noon.Add(-time.Hour).UnixMilli(), LastAdjPrioMs: Noon.Add(-time.Hour + 23*time.Second).UnixMilli(),
	FailedSched: 2, VisibleVersion: 1, CommittedVersion: 2, Err: "no backend has room"}

func (c *control) Pending() []sched.Task { return []sched.Task{aTask} }
func (c *control) Running() []tabletctl.RunningTask {
	t := aTask
	t.State, t.SrcBE, t.DestBE, t.SrcDisk, t.DestDisk, t.ID, t.TimeoutMs, t.Err = sched.Running, 10002, 10003, 21, 31, 77, 180000, ""
	return []tabletctl.RunningTask{{Task: t, BytesDone: 25, BytesTotal: 100, CloneMs: 1000, CloneFull: true, Reason: "no replica there"}}
}
func (c *control) History() []sched.Task {
	t := aTask
	t.State, t.Bytes, t.ElapsedMs, t.FinishedMs = sched.Finished, 30e6, 2000, Noon.UnixMilli()
	return []sched.Task{t}
}
func (c *control) Slots() []sched.SlotUse {
	return []sched.SlotUse{{BE: 10002, Disk: 21, RepairUsed: 1, RepairTotal: 2, BalanceTotal: 2, Rate: 15e6}}
}
func (c *control) Load() []sched.Load {
	return []sched.Load{{BE: 10003, Available: true, Capacity: 1000, Used: 250, Replicas: 4, UsedPercent: 0.25, CapCoeff: 0.5, ReplCoeff: 0.5, Score: 1.5, Class: sched.ClassHigh},
		{BE: 10002, Available: true, Capacity: 1000, Used: 100, Replicas: 2, UsedPercent: 0.1, CapCoeff: 0.5, ReplCoeff: 0.5, Score: 0.5, Class: sched.ClassLow}}
}
func (c *control) Stats() sched.Stats { return sched.Stats{Scans: 3, Clones: 2} }
func (c *control) Clock() sched.Clock {
	return sched.Clock{NowMs: Noon.UnixMilli(), ToleranceMs: 900_000}
}
func (c *control) Task(id types.TabletID) (sched.Task, bool) { return aTask, id == aTask.Tablet }
func (c *control) Limits() sched.Limits                      { return sched.DefaultLimits() }
func (c *control) CleanQueue() int                           { return 1 }
func (c *control) Kick(...types.TabletID)                    { c.w.Kicks++ }

// View is the catalog and the members as the scheduler sees them.
func (c *control) View() *sched.View {
	var bes []sched.BE
	for be := range c.w.Cat.BEs() {
		b := sched.BE{ID: be.ID, Host: be.Host, Alive: c.w.Alive(be.ID), Decommissioned: be.Decommission}
		if !b.Alive {
			b.DeadSinceMs = Noon.Add(-time.Minute).UnixMilli()
		}
		bes = append(bes, b)
	}
	var tablets []sched.Tablet
	for tab := range c.w.Cat.Tablets() {
		t, i, _ := c.w.Cat.TableOfPartition(tab.Partition)
		s := sched.Tablet{ID: tab.ID, Table: tab.Table, Partition: tab.Partition, Want: t.Parts[i].Replicas, Version: tab.Version, Epoch: tab.Epoch, Leader: tab.Leader}
		for _, r := range tab.Replicas {
			s.Replicas = append(s.Replicas, sched.Replica{ID: r.ID, BE: r.BE, Disk: r.Disk, Role: r.Role, Bad: r.Bad, Version: r.Version, LastFailed: r.LastFailed})
		}
		tablets = append(tablets, s)
	}
	return sched.NewView(bes, tablets)
}

// Must applies commands that cannot fail.
func (w *World) Must(t testing.TB, cmds ...command.Command) {
	t.Helper()
	out, _ := w.Propose(context.Background(), cmds...)
	if err := catalog.BatchResult(out).Err(); err != nil {
		t.Fatal(err)
	}
}

// NewWorld makes a cluster of n BEs (10002, …) with the database shop.
func NewWorld(t testing.TB, n int) *World {
	w := &World{Cat: catalog.New(), BEs: map[types.BEID]*cluster.BE{}, replicas: map[types.BEID]map[types.TabletID]cluster.Replica{},
		gone: map[types.TabletID]types.BEID{}, Conf: conf.NewLive(conf.FE.Defaults("/srv/fe"))}
	w.control = &control{w: w}
	w.Must(t, &command.InitCluster{ClusterID: "c1", TimeMs: Noon.Add(-24 * time.Hour).UnixMilli(), FE: catalog.FE{Name: "10.0.0.1_9010_1", Host: "10.0.0.1",
		RaftPort: 9010, QueryPort: 9030, HTTPPort: 8030, RPCPort: 9020}})
	for i := range n {
		host := fmt.Sprintf("10.0.1.%d", i+1)
		w.Must(t, &command.AddBE{BE: catalog.BE{Host: host, Port: 9050}, TimeMs: 1})
		id := types.BEID(10002 + i)
		w.BEs[id] = &cluster.BE{ID: id, Address: host + ":9050", Alive: true, LastHeartbeat: Noon, LastStart: Noon.Add(-time.Hour), ReportedStart: Noon.Add(-time.Hour), LastReport: Noon.Add(-time.Second),
			Version: "0.1", CPUCores: 8, MemLimit: 1 << 30, MemUsed: 1 << 28, HTTPPort: 8040, RunningScans: 1,
			Disks: []cluster.Disk{{ID: types.DiskID(21 + 10*i), Path: "/disk1", Total: 1000 << 30, Available: 400 << 30, DataUsed: 500 << 30, Tablets: 3}}}
	}
	w.Must(t, &command.CreateDatabase{ID: 0, Name: "shop"})
	return w
}

// Table adds a table whose tablets have replicas on the BEs given, bucket by bucket, and partitions of equal size.
func (w *World) Table(t testing.TB, name string, parts []catalog.Partition, want int, placement [][]types.BEID) *catalog.Table {
	t.Helper()
	db, _ := w.Cat.Database("shop")
	next := w.Cat.NextID()
	draw := func() uint64 { next++; return next - 1 }
	def := "0.00"
	tbl := catalog.Table{ID: types.TableID(draw()), DatabaseID: db.ID, Name: name, Replicas: want, HashBy: []types.ColumnID{1}, Buckets: len(placement) / len(parts),
		Comment: "things", CreatedMs: Noon.Add(-time.Hour).UnixMilli(), Unique: []catalog.UniqueKey{{Name: "by_name", Columns: []types.ColumnID{2}}},
		Schema: types.Schema{Version: 1, Key: []types.ColumnID{1, 4}, Columns: []types.Column{
			{ID: 1, Name: "id", Type: types.ColumnType{Kind: types.KindBigInt, Unsigned: true, NotNull: true}, AutoIncrement: true},
			{ID: 2, Name: "name", Type: types.ColumnType{Kind: types.KindVarChar, Length: 20}, Comment: "label"},
			{ID: 3, Name: "price", Type: types.ColumnType{Kind: types.KindDecimal, Length: 15, Scale: 2}, Default: &def},
			{ID: 4, Name: "day", Type: types.ColumnType{Kind: types.KindDate, NotNull: true}},
			{ID: 5, Name: "at", Type: types.ColumnType{Kind: types.KindDateTime, Scale: 6}, DefaultNow: true, OnUpdateNow: true},
			{ID: 6, Name: "ok", Type: types.ColumnType{Kind: types.KindBool}}}}}
	tbl.Schema.TableID = tbl.ID
	if len(parts) > 1 {
		tbl.Partition = &catalog.Partitioning{Columns: []types.ColumnID{4}}
	}
	var tablets []catalog.Tablet
	for i := range parts {
		p := parts[i]
		p.ID, p.Replicas = types.PartitionID(draw()), want
		for b := range tbl.Buckets {
			bes := placement[i*tbl.Buckets+b]
			tab := catalog.Tablet{ID: types.TabletID(draw()), Table: tbl.ID, Partition: p.ID, Bucket: int32(b), Version: 1, Epoch: 1}
			for _, be := range bes {
				tab.Replicas = append(tab.Replicas, catalog.Replica{ID: types.ReplicaID(draw()), BE: be, Disk: types.DiskID(21 + 10*(int(be)-10002)),
					Version: 1, LastSuccess: 1, Settled: 1})
			}
			if len(bes) > 0 {
				tab.Leader = bes[0]
			}
			p.Tablets = append(p.Tablets, tab.ID)
			tablets = append(tablets, tab)
		}
		tbl.Parts = append(tbl.Parts, p)
	}
	w.Must(t, &command.AllocIDs{Counter: command.CounterIDs, N: next - w.Cat.NextID()}, &command.CreateTable{Table: tbl, Tablets: tablets, TimeMs: Noon.UnixMilli()})
	made, _ := w.Cat.Table(db.ID, name)
	return made
}

// Report makes the BEs say what they have: 1000 bytes and 10 rows a replica.
func (w *World) Report() {
	for tab := range w.Cat.Tablets() {
		for _, r := range tab.Replicas {
			if w.replicas[r.BE] == nil {
				w.replicas[r.BE] = map[types.TabletID]cluster.Replica{}
			}
			w.replicas[r.BE][tab.ID] = cluster.Replica{ID: r.ID, Disk: r.Disk, Version: r.Version, Rows: 10, Bytes: 1000, VersionCount: 2, Rowsets: 1, OldestRetained: 1}
		}
	}
}

// Env is what a session that has logged in as root gives to statements.
func (w *World) Env() *stmt.Env {
	return &stmt.Env{Catalog: w.Cat, DB: "shop", User: "root@10.9.9.9", Now: Noon, Zone: time.UTC, Version: "8.0.36-stele-0.1", Started: Noon.Add(-time.Minute),
		Log: w, Members: w, Control: w.control, Conf: w.Conf, CreateTable: define.ShowCreateTable,
		Frontends: func() []stmt.Frontend {
			return []stmt.Frontend{{Name: "10.0.0.1_9010_1", Role: "LEADER", Join: true, Alive: true, Journal: 42, Heartbeat: Noon, Self: true, Started: Noon, Version: "0.1"}}
		},
		Processes: func() []stmt.Process {
			return []stmt.Process{{ID: 8, User: "root", Host: "h:1", Command: "Sleep", Since: Noon}, {ID: 7, User: "root", Host: "h:2", DB: "shop", Command: "Query",
				Since: Noon.Add(-3 * time.Second), Text: "SELECT 1"}}
		},
		Image:        func(context.Context) (bool, error) { return w.Cat.Index() == 0, nil },
		Warnings:     []stmt.Warning{{Level: "Warning", Code: 1265, Message: "Data truncated"}, {Level: "Error", Code: 1062, Message: "Duplicate entry"}},
		WarningCount: 2,
		Variables:    []stmt.Variable{{Name: "version", Value: "8.0.36"}, {Name: "autocommit", Value: "ON"}},
		Status:       func() []stmt.Variable { return []stmt.Variable{{Name: "Uptime", Value: "60"}} },
	}
}

// ShopWorld is the cluster of the golden tests: 4 BEs, one of them dead, a table with two partitions and one that is not
// partitioned, a replica behind, one damaged and one missing.
func ShopWorld(t testing.TB) *World {
	w := NewWorld(t, 4)
	parts := []catalog.Partition{{Name: "p1", Upper: []byte{1}, UpperText: []string{"2026-01-01"}},
		{Name: "p2", Lower: []byte{1}, LowerText: []string{"2026-01-01"}}}
	orders := w.Table(t, "orders", parts, 3, [][]types.BEID{{10002, 10003, 10004}, {10003, 10004, 10005}, {10004, 10005, 10002}, {10005, 10002}})
	w.Table(t, "notes", []catalog.Partition{{Name: "notes"}}, 1, [][]types.BEID{{10005}})
	first := orders.Parts[0].Tablets[0]
	tab, _ := w.Cat.Tablet(first)
	w.Must(t, &command.AllocIDs{Counter: command.CounterTxns, N: 1, TimeMs: 1}, &command.CommitTxn{Txn: 1, TimeMs: Noon.UnixMilli(), Tablets: []command.TxnTablet{{Tablet: first, Epoch: 1,
		OK: []types.ReplicaID{tab.Replicas[0].ID, tab.Replicas[1].ID}, Rows: 5}}})
	second := orders.Parts[0].Tablets[1]
	w.Must(t, &command.SetReplicaBad{Tablet: second, BE: 10003, Bad: true})
	w.Report()
	w.BEs[10005].Alive, w.BEs[10005].Err = false, "connection refused"
	return w
}
