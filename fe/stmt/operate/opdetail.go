package operate

import (
	"context"
	"fmt"

	"stele/fe/ops"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "show_transaction",
	Syntax: "SHOW TRANSACTION <id:int>",
	Doc:    "One row per task of an operation and of the others that its statement ordered, in the order in which they run: which are done, which runs, and what for.",
	Columns: stmt.Cols(`
		id       int  The operation.
		oper     name What it does.
		task     int  Number of the task, from 1.
		name     name The task.
		state    name done, doing, waiting, or not done when the operation ended before.
		endpoint text BE that it is about.
		detail   text What it waits for, or what came of it.
	`),
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		id := uint64(max(a.Int("id"), 0))
		if op, ok := e.Catalog.Op(id); !ok || op.Type == 0 {
			return nil, opError(errno.OpMissing, "op does not exist: %d", a.Int("id"))
		}
		first, _ := e.Catalog.Op(id)
		var rows []stmt.Row
		for op := range e.Catalog.Ops() {
			if op.Type != 0 && op.Group == first.Group {
				rows = append(rows, taskRows(e, op)...)
			}
		}
		return rows, nil
	},
	Examples: []string{"SHOW TRANSACTION 10057"},
})

// taskRows are the tasks of one op.
func taskRows(e *stmt.Env, op *catalog.Op) []stmt.Row {
	var at any
	if op.BE != 0 {
		at = endpoint(e, op.BE)
	}
	var rows []stmt.Row
	for i := range op.Tasks {
		state, detail := "waiting", ""
		switch {
		case i < op.Task:
			state = "done"
		case op.Ended():
			state, detail = "not done", op.LastError
		case op.State == catalog.OpRunning && i == op.Task:
			state, detail = "doing", op.Waiting
		}
		if i == len(op.Tasks)-1 && op.State == catalog.OpDone {
			state, detail = "done", op.Message
		}
		rows = append(rows, stmt.Row{op.ID, ops.TypeName(op.Type), i + 1, ops.TaskName(op, i), state, at, detail})
	}
	return rows
}

var _ = stmt.Register(stmt.Statement{
	Name:   "getfollower",
	Syntax: "{GETFOLLOWER <tid:int> <pid:int> | ADMIN SHOW FOLLOWERS <tid:int> <pid:int>}",
	Doc:    "One row per follower and learner of a tablet with how far it is behind the leader.",
	Columns: stmt.Cols(`
		#             int  Number of the row.
		tid           int  The table.
		pid           int  Place of the tablet in it.
		leader_offset int  Version of the tablet.
		follower      text BE of the replica.
		offset        int  Version that it has.
	`),
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		t, ok := e.Catalog.TableByID(types.TableID(max(a.Int("tid"), 0)))
		if !ok {
			return nil, opError(errno.OpNoTable, "table does not exist: %d", a.Int("tid"))
		}
		all := pids(e, t)
		if pid := a.Int("pid"); pid < 0 || pid >= int64(len(all)) {
			return nil, opError(errno.OpNoPartition, "pid does not exist: %d", pid)
		}
		tab := all[a.Int("pid")]
		var rows []stmt.Row
		for i := range tab.Replicas {
			if r := &tab.Replicas[i]; r.BE != tab.Leader {
				rows = append(rows, stmt.Row{len(rows) + 1, t.ID, a.Int("pid"), tab.Version, endpoint(e, r.BE), applied(e, tab, r)})
			}
		}
		return rows, nil
	},
	Examples: []string{"getfollower 10007 1"},
})

var _ = stmt.Register(stmt.Statement{
	Name: "show_components", Table: "components",
	Syntax: "SHOW COMPONENTS",
	Doc:    "One row per BE and FE, in the words of the system that the verbs come from: a BE is a tablet, an FE a nameserver.",
	Columns: stmt.Cols(`
		Endpoint     text host:port.
		Role         name tablet or nameserver.
		Connect_time int  When its process started, in milliseconds since 1970.
		Status       name online or offline.
		Ns_role      text master or standby for a nameserver, NULL for a tablet.
	`),
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		var rows []stmt.Row
		for be := range e.Catalog.BEs() {
			m := e.Member(be.ID)
			rows = append(rows, stmt.Row{stmt.HostList([]*catalog.BE{be}), "tablet", connectMs(m.LastStart.UnixMilli()), onlineText(m.Alive), nil})
		}
		states := map[string]stmt.Frontend{}
		if e.Frontends != nil {
			for _, f := range e.Frontends() {
				states[f.Name] = f
			}
		}
		for f := range e.Catalog.FEs() {
			role := "standby"
			if states[f.Name].Role == "LEADER" {
				role = "master"
			}
			s := states[f.Name]
			rows = append(rows, stmt.Row{fmt.Sprintf("%s:%d", f.Host, f.QueryPort), "nameserver", connectMs(s.Started.UnixMilli()), onlineText(s.Alive), role})
		}
		return rows, nil
	},
	Examples: []string{"SHOW COMPONENTS"},
})

// connectMs is 0 for a node that was never heard of.
func connectMs(ms int64) int64 { return max(ms, 0) }

func onlineText(alive bool) string {
	if alive {
		return "online"
	}
	return "offline"
}
