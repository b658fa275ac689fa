package admin

import (
	"context"

	"stele/fe/sched"
	"stele/fe/stmt"
	"stele/meta/types"
)

var progressColumns = stmt.Cols(`
	be_id            int   The BE, NULL for a hint.
	cause            name  LOST, DECOMMISSION or HINT.
	db_name          name  Database of a hint.
	table_name       name  Table of a hint.
	partition_name   name  Partition of a hint.
	since            time  When it began, NULL when it has not been written down yet.
	tablets_left     int   Tablets that still have a replica there, or that still need repair.
	bytes_left       int   Bytes of them; of what is being copied only the rest.
	bytes_per_second int   Of all repair of late.
	eta_ms           int   Milliseconds left at that rate, NULL when nothing was copied of late.
`)

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "repair_progress",
	Doc: "What is left to do for each BE that is lost or being decommissioned, and for each repair hint, and how long it takes at the rate of late. " +
		"stele.operations keeps what was done.",
	Columns: progressColumns,
	Rows:    func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) { return repairProgress(e), nil }})

func repairProgress(e *stmt.Env) []stmt.Row {
	if e.Control == nil {
		return nil
	}
	var copying int64
	copied := map[types.TabletID]int64{}
	running := e.Control.Running()
	for i := range running {
		if running[i].Kind == sched.Repair {
			copying += running[i].BytesPerSecond()
			copied[running[i].Tablet] = running[i].BytesDone
		}
	}
	view, clock := e.Control.View(), e.Control.Clock()
	rate := sched.RepairRate(e.Control.History(), clock.NowMs, copying)
	var rows []stmt.Row
	for _, l := range sched.LeftToDo(view, clock, rate) {
		var eta any
		if l.EtaMs >= 0 {
			eta = l.EtaMs
		}
		rows = append(rows, stmt.Row{l.BE, l.Cause.String(), nil, nil, nil, episodeBegan(e, l), l.Tablets, l.Bytes, rate, eta})
	}
	return append(rows, hintProgress(e, view, clock, rate, copied)...)
}

// episodeBegan is when the operation log has it that the emptying of a BE began.
func episodeBegan(e *stmt.Env, l sched.Left) any {
	want := "backend " + l.BE.String()
	var at int64
	for op := range e.Catalog.Ops() {
		if op.Target == want && op.Owner == "system" && !op.Ended() {
			at = op.StartedMs
		}
	}
	return e.When(at)
}

// hintProgress counts, for each hint that holds, the tablets that are not healthy, and what their replicas lack.
func hintProgress(e *stmt.Env, view *sched.View, clock sched.Clock, rate int64, copied map[types.TabletID]int64) []stmt.Row {
	type left struct {
		tablets int
		bytes   int64
	}
	by := map[types.PartitionID]*left{}
	for h := range e.Catalog.Hints() {
		if h.ExpiresMs > e.Now.UnixMilli() {
			by[h.Partition] = &left{}
		}
	}
	if len(by) == 0 {
		return nil
	}
	for i := range view.Tablets {
		t := &view.Tablets[i]
		l := by[t.Partition]
		if l == nil {
			continue
		}
		v := sched.Health(t, view, clock)
		if v.Status == sched.Healthy && v.Damaged == 0 {
			continue
		}
		l.tablets++
		l.bytes += max(0, int64(max(1, v.Want-v.Complete))*t.Bytes()-copied[t.ID])
	}
	var rows []stmt.Row
	for h := range e.Catalog.Hints() {
		l := by[h.Partition]
		t, i, ok := e.Catalog.TableOfPartition(h.Partition)
		if l == nil || !ok {
			continue
		}
		db, _ := e.Catalog.DatabaseByID(t.DatabaseID)
		var eta any
		if rate > 0 || l.bytes == 0 {
			eta = l.bytes * 1000 / max(rate, 1)
		}
		rows = append(rows, stmt.Row{nil, "HINT", db.Name, t.Name, t.Parts[i].Name, e.When(h.AddedMs), l.tablets, l.bytes, rate, eta})
	}
	return rows
}
