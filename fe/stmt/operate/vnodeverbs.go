package operate

import (
	"context"
	"slices"

	"stele/fe/ops"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "flush_database",
	Syntax: "FLUSH DATABASE <db:name>",
	Doc: "Have the BEs write out what they keep in memory of all tablets of a database, hidden ones included: makesnapshot for each. A planned stop " +
		"after it leaves little to be read at the start. Answers at once; SHOW OPSTATUS follows it.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		db, err := e.Database(a.String("db"))
		if err != nil {
			return stmt.Result{}, err
		}
		lanes, err := concurrency(e, a)
		if err != nil {
			return stmt.Result{}, err
		}
		o := newOrder(e, lanes)
		o.whole = true
		for t := range e.Catalog.AllTables() {
			if t.DatabaseID != db.ID {
				continue
			}
			for pid, tab := range pids(e, t) {
				o.add(ops.New(ops.MakeSnapshot), t, pid, tab)
			}
		}
		return o.send(ctx, "ok")
	},
	Examples: []string{"FLUSH DATABASE db1"},
})

var _ = stmt.Register(stmt.Statement{
	Name:   "close_vnode",
	Syntax: "{verb: CLOSE|OPEN} VNODE <id:int> ON DNODE <dnode:int>",
	Doc: "Set one replica of a tablet aside (CLOSE) or take it into use again (OPEN): updatetablealive by the ids of the tablet and the BE. For " +
		"auto_failover = false.",
	Do: manually(func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		tab, ok := e.Catalog.Tablet(types.TabletID(max(a.Int("id"), 0)))
		if !ok {
			return stmt.Result{}, stmt.Refusal("Vgroup does not exist: %d", a.Int("id"))
		}
		be := types.BEID(max(a.Int("dnode"), 0))
		p, placed := stmt.PlaceOf(e.Catalog, tab)
		if !placed || tab.Replica(be) == nil {
			return stmt.Result{}, stmt.Refusal("Vgroup %d has no vnode on dnode %d: SHOW VNODES lists them", tab.ID, a.Int("dnode"))
		}
		op := ops.New(ops.UpdateTableAlive)
		op.BE, op.Alive = be, a.Choice("verb") == "OPEN"
		o := newOrder(e, 1)
		o.add(op, p.Table, slices.Index(pids(e, p.Table), tab), tab)
		return o.send(ctx, "ok")
	}),
	Examples: []string{"CLOSE VNODE 10003 ON DNODE 10001", "OPEN VNODE 10003 ON DNODE 10001"},
})

var _ = stmt.Register(stmt.Statement{
	Name: "show_jobs_from_nameserver", Table: "nameserver_jobs", Like: "job_id",
	Syntax: "SHOW JOBS FROM NAMESERVER [LIKE <like:string>]",
	Doc:    "The operations of SHOW OPSTATUS as jobs, with other columns. LIKE takes the id of one.",
	Columns: stmt.Cols(`
		job_id         int  Number of the operation.
		job_type       name What it does.
		state          name INITED, RUNNING, FINISHED, FAILED or CANCELED.
		start_time     text When it began, N/A before.
		end_time       text When it was over, N/A before.
		parameter      text BE that it is about, NULL = none.
		cluster        text Always empty.
		application_id text Always empty.
		error          text Last error.
		db             name Database.
		name           name Table.
		pid            int  Place of the tablet in the table.
		cur_task       name Task that it is at, - when it is at none.
		component      name Always NAMESERVER.
	`),
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		var rows []stmt.Row
		for op := range e.Catalog.Ops() {
			if op.Type != 0 {
				rows = append(rows, nameserverJob(e, op))
			}
		}
		return rows, nil
	},
	Examples: []string{"SHOW JOBS FROM NAMESERVER", "SHOW JOBS FROM NAMESERVER LIKE '10057'"},
})

// jobStates are the states of ops as jobs have them.
var jobStates = map[catalog.OpState]string{catalog.OpInited: "INITED", catalog.OpRunning: "RUNNING", catalog.OpDone: "FINISHED",
	catalog.OpFailed: "FAILED", catalog.OpCancelled: "CANCELED"}

func nameserverJob(e *stmt.Env, op *catalog.Op) stmt.Row {
	var parameter any
	if op.BE != 0 {
		parameter = endpoint(e, op.BE)
	}
	db := ""
	if d, ok := e.Catalog.DatabaseByID(op.Database); ok {
		db = d.Name
	}
	return stmt.Row{op.ID, ops.TypeName(op.Type), jobStates[op.State], e.StampMs(op.StartedMs), e.StampMs(op.EndedMs), parameter, "", "", op.LastError, db,
		op.Target, op.Pid, ops.CurrentTask(op), "NAMESERVER"}
}
