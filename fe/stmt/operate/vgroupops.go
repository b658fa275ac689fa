package operate

import (
	"context"
	"slices"

	"stele/fe/opctl"
	"stele/fe/ops"
	"stele/fe/sched"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name: "balance_vgroup_leader", Acts: true,
	Syntax: "BALANCE VGROUP LEADER [ON <id:int>] [DATABASE <db:name>] [DRY RUN]",
	Doc: "Spread the leaders of tablets evenly over the BEs, with the fewest transfers: leaders per BE, and per table, differ by no more than one where " +
		"the replicas allow it. Answers at once with the job and one row per transfer; the job makes them in batches, each a pause of " +
		"writes to its tablet of some milliseconds. SHOW OPSTATUS follows it. ON limits it to one tablet and DATABASE to one database; DRY " +
		"RUN only tells what would move.",
	Columns: stmt.Cols(`
		vgroup_id     int   The tablet; NULL in the row that says there was nothing to move, and in those of BEs that are left out.
		db_name       text  Database.
		table_name    text  Table.
		from_be       int   BE that leads, NULL when none does.
		to_be         int   BE that is to lead, or that is left out.
		state         text  moving, planned (DRY RUN), balanced, or left out: the disk of to_be refuses writes or has had no room since.
		job_id        int   The operation that moves them, NULL when there is none.
		spread_before int   Most leaders on a BE less fewest, before.
		spread_after  int   The same, after.
	`),
	Rows:     balanceLeaders,
	Examples: []string{"BALANCE VGROUP LEADER", "BALANCE VGROUP LEADER ON 10003", "BALANCE VGROUP LEADER DATABASE db1 DRY RUN"},
})

func balanceLeaders(ctx context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
	var tablet types.TabletID
	var db types.DatabaseID
	if a.Has("id") {
		tablet = types.TabletID(max(a.Int("id"), 0))
		if _, ok := e.Catalog.Tablet(tablet); !ok {
			return nil, stmt.Refusal("Vgroup does not exist: %d", a.Int("id"))
		}
	}
	if a.Has("db") {
		d, err := e.Database(a.String("db"))
		if err != nil {
			return nil, err
		}
		db = d.ID
	}
	if e.Control == nil {
		return nil, stmt.Refusal("This FE does not lead: send BALANCE VGROUP LEADER to the leading FE (SHOW FRONTENDS)")
	}
	plan := sched.PlanLeaderBalance(e.Control.View(), opctl.LeaderScope(e.Catalog, db, tablet))
	if a.Has("DRY") || len(plan.Moves) == 0 {
		return leaderRows(e, "planned", plan, nil), nil
	}
	job, err := leaderJob(ctx, e, db, tablet, plan)
	if err != nil {
		return nil, err
	}
	return leaderRows(e, "moving", plan, job), nil
}

// leaderJob orders a balance of leaders.
func leaderJob(ctx context.Context, e *stmt.Env, db types.DatabaseID, tablet types.TabletID, plan sched.LeaderPlan) (uint64, error) {
	op := ops.New(ops.BalanceLeader)
	op.Database, op.Tablet, op.Owner = db, tablet, e.User
	op.Total, op.Before, op.After = int64(len(plan.Moves)), plan.Before.Max-plan.Before.Min, plan.After.Max-plan.After.Min
	return newOrder(e, 1).job(ctx, op)
}

// job orders something about the cluster.
func (o *order) job(ctx context.Context, op catalog.Op) (uint64, error) {
	o.list = append(o.list, op)
	return o.propose(ctx)
}

func leaderRows(e *stmt.Env, state string, plan sched.LeaderPlan, job any) []stmt.Row {
	before, after := plan.Before.Max-plan.Before.Min, plan.After.Max-plan.After.Min
	rows := make([]stmt.Row, 0, max(len(plan.Moves), 1))
	for _, m := range plan.Moves {
		var db, table, from any
		if tab, ok := e.Catalog.Tablet(m.Tablet); ok {
			if p, ok := stmt.PlaceOf(e.Catalog, tab); ok {
				db, table = p.DB.Name, e.Owner(p.Table).Name
			}
		}
		if m.From != 0 {
			from = m.From
		}
		rows = append(rows, stmt.Row{m.Tablet, db, table, from, m.To, state, job, before, after})
	}
	if len(rows) == 0 {
		rows = append(rows, stmt.Row{nil, nil, nil, nil, nil, "balanced", nil, before, after})
	}
	for _, be := range plan.LeftOut {
		rows = append(rows, stmt.Row{nil, nil, nil, nil, be, "left out: its disk refuses writes, or has had no room since", nil, before, after})
	}
	return rows
}

var _ = stmt.Register(stmt.Statement{
	Name: "balance_vgroup", Acts: true,
	Syntax: "BALANCE VGROUP",
	Doc: "Even out replicas over the BEs now, whatever tablet_sched_disable_balance and auto_failover say, until nothing is left to move. Every BE " +
		"has to answer. Returns at once with the job; SHOW OPSTATUS follows it, KILL TRANSACTION ends it.",
	Columns: jobColumns,
	Rows: func(ctx context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		n := 0
		for be := range e.Catalog.BEs() {
			if !e.Alive(be.ID) {
				return nil, stmt.Refusal("There is a backend that does not answer: %s", stmt.HostList([]*catalog.BE{be}))
			}
			n++
		}
		if n < 2 {
			return []stmt.Row{{nil, "balanced", "there are fewer than two backends"}}, nil
		}
		op := ops.New(ops.BalanceReplicas)
		op.Owner = e.User
		id, err := newOrder(e, 1).job(ctx, op)
		return []stmt.Row{{id, "moving", "SHOW OPSTATUS tells how far it is"}}, err
	},
	Examples: []string{"BALANCE VGROUP"},
})

var jobColumns = stmt.Cols(`
	job_id  int   The operation, NULL when there is nothing to do.
	state   text  moving, or balanced or unchanged when there is nothing to do.
	message text  What it does, or why it does nothing.
`)

var _ = stmt.Register(stmt.Statement{
	Name: "redistribute_vgroup", Acts: true,
	Syntax: "REDISTRIBUTE VGROUP <id:int> DNODE <a:int> [DNODE <b:int>] [DNODE <c:int>] [DNODE <d:int>] [DNODE <e:int>]",
	Doc: "Put the replicas of a tablet on exactly these BEs, one after the other: each is copied first and the old one dropped after, and writes go " +
		"on. As many BEs have to be named as there are replicas, and all that are concerned have to answer. KILL TRANSACTION ends it.",
	Columns:  jobColumns,
	Rows:     redistribute,
	Examples: []string{"REDISTRIBUTE VGROUP 10003 DNODE 10002 DNODE 10003 DNODE 10005"},
})

func redistribute(ctx context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
	tab, ok := e.Catalog.Tablet(types.TabletID(max(a.Int("id"), 0)))
	if !ok {
		return nil, stmt.Refusal("Vgroup does not exist: %d", a.Int("id"))
	}
	want, err := dnodes(e, a)
	if err != nil {
		return nil, err
	}
	if len(want) != len(tab.Replicas) {
		return nil, stmt.Refusal("Wrong replica list: vgroup %d has %d replicas, %d dnodes are named", tab.ID, len(tab.Replicas), len(want))
	}
	var leaving []types.BEID
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		if !slices.Contains(want, r.BE) {
			leaving = append(leaving, r.BE)
		}
		if !usable(e, tab, r) {
			return nil, stmt.Refusal("Vgroup %d cannot be moved while its replica on %s is not alive", tab.ID, endpoint(e, r.BE))
		}
	}
	coming := slices.DeleteFunc(slices.Clone(want), func(be types.BEID) bool { return tab.Replica(be) != nil })
	if len(coming) == 0 {
		return []stmt.Row{{nil, "unchanged", "the replicas are there already"}}, nil
	}
	o := newOrder(e, 1)
	if err := o.redistribute(tab, want, leaving, coming); err != nil {
		return nil, err
	}
	id, err := o.propose(ctx)
	return []stmt.Row{{id, "moving", "SHOW OPSTATUS tells how far it is"}}, err
}

func dnodes(e *stmt.Env, a syntax.Args) ([]types.BEID, error) {
	var out []types.BEID
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		if !a.Has(name) {
			continue
		}
		be, ok := e.Catalog.BE(types.BEID(max(a.Int(name), 0)))
		switch {
		case !ok:
			return nil, stmt.Refusal("Dnode does not exist: %d", a.Int(name))
		case !e.Alive(be.ID):
			return nil, stmt.Refusal("There is a backend that does not answer: %s", stmt.HostList([]*catalog.BE{be}))
		case slices.Contains(out, be.ID):
			return nil, stmt.Refusal("Wrong replica list: dnode %d is named twice", be.ID)
		}
		out = append(out, be.ID)
	}
	return out, nil
}

// redistribute orders the moves of one tablet. A leader that leaves hands over to one that stays, or to the first that comes.
func (o *order) redistribute(tab *catalog.Tablet, want, leaving, coming []types.BEID) error {
	p, ok := stmt.PlaceOf(o.e.Catalog, tab)
	if !ok {
		return stmt.Refusal("Vgroup does not exist: %d", tab.ID)
	}
	pid := slices.Index(pids(o.e, p.Table), tab)
	slices.SortStableFunc(leaving, func(a, b types.BEID) int { // the leader last, when others are there to hand over to
		switch {
		case a == tab.Leader:
			return 1
		case b == tab.Leader:
			return -1
		}
		return 0
	})
	heir := want[slices.IndexFunc(want, func(be types.BEID) bool { return tab.Replica(be) != nil || be == coming[0] })]
	for i, src := range leaving {
		if src == tab.Leader && tab.Replica(heir) == nil && len(leaving) == 1 {
			return o.swapLeader(p.Table, pid, tab, src, coming[i])
		}
		if src == tab.Leader {
			hand := ops.New(ops.ChangeLeader)
			hand.Dest = heir
			o.add(hand, p.Table, pid, tab)
		}
		op := ops.New(ops.Migrate)
		op.BE, op.Dest = src, coming[i]
		o.add(op, p.Table, pid, tab)
	}
	return nil
}

// swapLeader moves the only replica of a tablet: one more, which then leads, and the old one goes.
func (o *order) swapLeader(t *catalog.Table, pid int, tab *catalog.Tablet, src, des types.BEID) error {
	add := ops.New(ops.AddReplica)
	add.BE = des
	hand := ops.New(ops.ChangeLeader)
	hand.Dest = des
	drop := ops.New(ops.DelReplica)
	drop.BE = src
	for _, op := range []catalog.Op{add, hand, drop} {
		o.add(op, t, pid, tab)
	}
	return nil
}

var _ = stmt.Register(stmt.Statement{
	Name: "admin_drain_backend", Acts: true,
	Syntax: "ADMIN {verb: DRAIN|UNDRAIN} BACKEND <ep:hostport>",
	Doc: "DRAIN moves all leaders off a BE and keeps them away, restarts and changes of the leading FE included: for an upgrade, or a BE that is slow. " +
		"Its replicas stay and follow. UNDRAIN lets it lead again and gives it its share of leaders, in batches. Tablets of which it has the only " +
		"complete replica it goes on to lead.",
	Columns: jobColumns,
	Rows: func(ctx context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		be, err := opEndpoint(e, a, "ep", errno.OpNoEndpoint)
		if err != nil {
			return nil, err
		}
		drain := a.Choice("verb") == "DRAIN"
		if be.Drained == drain {
			return []stmt.Row{{nil, "unchanged", stmt.HostList([]*catalog.BE{be}) + " is so already"}}, nil
		}
		if _, err := e.Propose(ctx, &command.SetBELeading{BE: be.ID, Drained: drain, Weight: be.LeaderWeight}); err != nil {
			return nil, err
		}
		return followLeaders(ctx, e)
	},
	Examples: []string{"ADMIN DRAIN BACKEND '10.0.0.1:9060'", "ADMIN UNDRAIN BACKEND '10.0.0.1:9060'"},
})

// followLeaders orders the balance of leaders that a change of where they may be asks for.
func followLeaders(ctx context.Context, e *stmt.Env) ([]stmt.Row, error) {
	op := ops.New(ops.BalanceLeader)
	op.Owner = e.User
	id, err := newOrder(e, 1).job(ctx, op)
	return []stmt.Row{{id, "moving", "SHOW OPSTATUS tells how far it is"}}, err
}

var _ = stmt.Register(stmt.Statement{
	Name: "admin_set_leader_weight", Acts: true,
	Syntax: "ADMIN SET LEADER WEIGHT <weight:int> FOR BACKEND <ep:hostport>",
	Doc: "Set how many leaders a BE gets in percent of what the others get (100 is the default, 50 half as many, 0 sets it back). It is kept, and leaders " +
		"move at once.",
	Columns: jobColumns,
	Rows: func(ctx context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		be, err := opEndpoint(e, a, "ep", errno.OpNoEndpoint)
		if err != nil {
			return nil, err
		}
		if _, err := e.Propose(ctx, &command.SetBELeading{BE: be.ID, Drained: be.Drained, Weight: int(a.Int("weight"))}); err != nil {
			return nil, err
		}
		return followLeaders(ctx, e)
	},
	Examples: []string{"ADMIN SET LEADER WEIGHT 50 FOR BACKEND '10.0.0.1:9060'"},
})

var _ = stmt.Register(stmt.Statement{
	Name:   "kill_transaction",
	Syntax: "KILL TRANSACTION <id:int>",
	Doc: "End an operation with all that its statement ordered, and take back what they have begun: the tablets end up as they were, or as they are " +
		"after the steps that are over. It always ends.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		return cancelOp(ctx, e, a.Int("id"), true, "")
	},
	Examples: []string{"KILL TRANSACTION 10057"},
})

var _ = stmt.Register(stmt.Statement{
	Name: "show_transactions", Table: "op_transactions",
	Syntax: "SHOW TRANSACTIONS",
	Doc:    "The operations that have not ended, as SHOW OPSTATUS has them, with other columns.",
	Columns: stmt.Cols(`
		id               int  Number; KILL TRANSACTION takes it.
		create_time      time When it was ordered.
		stage            name prepare, redoAction or undoAction.
		oper             name What it does.
		db               name Database.
		stable           name Table.
		failed_times     int  Failed attempts at the present task.
		last_exec_time   time When it began.
		last_action_info text What it is at and waits for.
		killable         int  Always 1.
	`),
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		var rows []stmt.Row
		for op := range e.Catalog.Ops() {
			if op.Type == 0 || op.Ended() && !op.Undo {
				continue
			}
			stage := "prepare"
			switch {
			case op.Undo:
				stage = "undoAction"
			case op.State == catalog.OpRunning:
				stage = "redoAction"
			}
			db := ""
			if d, ok := e.Catalog.DatabaseByID(op.Database); ok {
				db = d.Name
			}
			rows = append(rows, stmt.Row{op.ID, e.When(op.CreatedMs), stage, ops.TypeName(op.Type), db, op.Target, op.Attempts, e.When(op.StartedMs),
				ops.CurrentTask(op) + " " + op.Waiting, 1})
		}
		return rows, nil
	},
	Examples: []string{"SHOW TRANSACTIONS"},
})
