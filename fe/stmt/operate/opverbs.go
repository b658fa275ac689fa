package operate

import (
	"context"
	"strings"

	"stele/conf"
	"stele/fe/ops"
	"stele/fe/stmt"
	"stele/fe/stmt/admin"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "confset",
	Syntax: "CONFSET <key:ident> <value:value>",
	Doc: "Switch automatic failover, repair and balance on or off for the whole cluster, restarts included. Switched on again, every replica that " +
		"was set aside is in use again and gets what it lacks.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		value := strings.ToLower(a.String("value"))
		if a.String("key") != conf.AutoFailover.Key || value != "true" && value != "false" {
			return stmt.Result{}, opError(errno.OpBadParameter, "invalid parameter: confset %s true|false", conf.AutoFailover.Key)
		}
		if err := admin.PersistConfig(ctx, e, conf.AutoFailover.Key, value); err != nil {
			return stmt.Result{}, err
		}
		if _, err := e.Conf.Set(conf.AutoFailover.Key, value); err != nil {
			return stmt.Result{}, admin.ConfigError(conf.AutoFailover.Key, err)
		}
		e.Kick()
		return stmt.Result{Info: "set auto_failover ok"}, nil
	},
	Examples: []string{"confset auto_failover false", "confset auto_failover true"},
})

var _ = stmt.Register(stmt.Statement{
	Name:   "offlineendpoint",
	Syntax: "{OFFLINEENDPOINT <ep:hostport> [<concurrency:int>] | ADMIN OFFLINE ENDPOINT <ep:hostport> [CONCURRENCY <concurrency:int>]}",
	Doc: "Take every replica on a BE out of use, dead or not: where it led another replica leads, where it followed it gets no more writes. " +
		"For auto_failover = false. Undo: recoverendpoint.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		o, be, err := endpointOrder(e, a)
		if err != nil {
			return stmt.Result{}, err
		}
		eachOn(e, be, func(t *catalog.Table, pid int, tab *catalog.Tablet, r *catalog.Replica) { o.offline(t, pid, tab, r) })
		return o.send(ctx, "offline endpoint ok")
	},
	Examples: []string{"offlineendpoint 10.0.0.1:9060", "ADMIN OFFLINE ENDPOINT '10.0.0.1:9060' CONCURRENCY 4"},
})

// endpointOrder reads the arguments of verbs about a whole BE.
func endpointOrder(e *stmt.Env, a syntax.Args) (*order, *catalog.BE, error) {
	if err := manual(e); err != nil {
		return nil, nil, err
	}
	be, err := opEndpoint(e, a, "ep", errno.OpNoEndpoint)
	if err != nil {
		return nil, nil, err
	}
	lanes, err := concurrency(e, a)
	if err != nil {
		return nil, nil, err
	}
	o := newOrder(e, lanes)
	o.whole = true
	return o, be, nil
}

// eachOn calls f for every replica on a BE, by table and pid.
func eachOn(e *stmt.Env, be *catalog.BE, f func(t *catalog.Table, pid int, tab *catalog.Tablet, r *catalog.Replica)) {
	for t := range e.Catalog.AllTables() {
		for pid, tab := range pids(e, t) {
			if r := tab.Replica(be.ID); r != nil {
				f(t, pid, tab, r)
			}
		}
	}
}

func (o *order) offline(t *catalog.Table, pid int, tab *catalog.Tablet, r *catalog.Replica) {
	leader := tab.Replica(tab.Leader)
	leads := leader != nil && usable(o.e, tab, leader)
	switch {
	case r.OfflineMs != 0 && (leads || len(tab.Replicas) == 1):
		o.skip("the replica is offline already")
	case len(tab.Replicas) == 1:
		op := ops.New(ops.UpdatePartitionStatus)
		op.BE = r.BE
		o.add(op, t, pid, tab)
	case tab.Leader == r.BE || !leads:
		op := ops.New(ops.ChangeLeader)
		op.BE = r.BE
		o.add(op, t, pid, tab)
	default:
		op := ops.New(ops.OfflineReplica)
		op.BE = r.BE
		o.add(op, t, pid, tab)
	}
}

var _ = stmt.Register(stmt.Statement{
	Name: "recoverendpoint",
	Syntax: "{RECOVERENDPOINT <ep:hostport> [{restore: TRUE|FALSE}] [<concurrency:int>] | " +
		"ADMIN RECOVER ENDPOINT <ep:hostport> [RESTORE LEADERS] [CONCURRENCY <concurrency:int>]}",
	Doc: "Bring every replica on a BE that answers again back into use: with what it missed if the changes are still there, else anew. " +
		"need_restore (RESTORE LEADERS) has it lead again what it led. For auto_failover = false, after offlineendpoint.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		o, be, err := endpointOrder(e, a)
		if err != nil {
			return stmt.Result{}, err
		}
		if err := healthyBE(e, be, errno.OpEndpointUnhealthy); err != nil {
			return stmt.Result{}, err
		}
		restore, leaving := a.Has("LEADERS") || a.Choice("restore") == "TRUE", settingAside(e, be.ID)
		eachOn(e, be, func(t *catalog.Table, pid int, tab *catalog.Tablet, r *catalog.Replica) {
			if usable(e, tab, r) && !leaving[tab.ID] {
				o.skip("replicas on it are alive (offlineendpoint comes first)")
				return
			}
			o.recover(t, pid, tab, r, restore && r.Deposed)
		})
		return o.send(ctx, "recover endpoint ok")
	},
	Examples: []string{"recoverendpoint 10.0.0.1:9060", "recoverendpoint 10.0.0.1:9060 true 4", "ADMIN RECOVER ENDPOINT '10.0.0.1:9060' RESTORE LEADERS"},
})

// settingAside lists the tablets whose replica on a BE an op that has not ended is to set aside: what is ordered after it finds it so,
// for the ops of a tablet run in order.
func settingAside(e *stmt.Env, be types.BEID) map[types.TabletID]bool {
	out := map[types.TabletID]bool{}
	for op := range e.Catalog.Ops() {
		if op.BE != be || op.Ended() || op.Alive {
			continue
		}
		switch op.Type {
		case ops.OfflineReplica, ops.ChangeLeader, ops.UpdateTableAlive, ops.UpdatePartitionStatus:
			out[op.Tablet] = true
		}
	}
	return out
}

// recover orders the return of a replica; restore has it lead again, and the leader it relieves recovered behind it.
func (o *order) recover(t *catalog.Table, pid int, tab *catalog.Tablet, r *catalog.Replica, restore bool) {
	back := ops.New(ops.RecoverTable)
	back.BE = r.BE
	o.add(back, t, pid, tab)
	if !restore || tab.Leader == 0 || tab.Leader == r.BE {
		return
	}
	change := ops.New(ops.ChangeLeader)
	change.BE, change.Dest, change.Restore = tab.Leader, r.BE, true
	o.add(change, t, pid, tab)
	relieved := ops.New(ops.RecoverTable)
	relieved.BE = tab.Leader
	o.add(relieved, t, pid, tab)
}

// opPartition reads the table and pid of a verb.
func opPartition(e *stmt.Env, a syntax.Args) (*catalog.Table, int, *catalog.Tablet, error) {
	t, err := opTable(e, a)
	if err != nil {
		return nil, 0, nil, err
	}
	pid, all := a.Int("pid"), pids(e, t)
	if pid < 0 || pid >= int64(len(all)) {
		return nil, 0, nil, opError(errno.OpNoPartition, "pid does not exist: %d, table %s has 0 to %d", pid, t.Name, len(all)-1)
	}
	return t, int(pid), all[pid], nil
}

var _ = stmt.Register(stmt.Statement{
	Name: "changeleader",
	Syntax: "{CHANGELEADER <table:table> <pid:int> [{<ep:hostport>|AUTO}] | " +
		"ADMIN CHANGE LEADER <table:table> <pid:int> [{TO <ep:hostport>|AUTO}]}",
	Doc: "Have another replica lead a tablet: without more only when its leader is not alive, with auto also when it is, with an endpoint that " +
		"one. The leader so far is set aside until recovertable. Only a replica with every committed version can lead, so nothing " +
		"acknowledged is lost, and writes under way are tried again. For auto_failover = false.",
	Do: manually(func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		t, pid, tab, err := opPartition(e, a)
		if err != nil {
			return stmt.Result{}, err
		}
		if len(tab.Replicas) == 1 {
			return stmt.Result{}, opError(errno.OpNoFollower, "no follower: partition %d of %s has only one replica", pid, t.Name)
		}
		o := newOrder(e, 1)
		if err := o.changeLeader(a, t, pid, tab); err != nil {
			return stmt.Result{}, err
		}
		return o.send(ctx, "change leader ok")
	}),
	Examples: []string{"changeleader t1 0", "changeleader t1 0 auto", "ADMIN CHANGE LEADER db1.t1 0 TO '10.0.0.2:9060'"},
})

func (o *order) changeLeader(a syntax.Args, t *catalog.Table, pid int, tab *catalog.Tablet) error {
	op := ops.New(ops.ChangeLeader)
	op.BE = tab.Leader
	leader := tab.Replica(tab.Leader)
	leads := leader != nil && usable(o.e, tab, leader)
	if !a.Has("ep") && !a.Has("AUTO") && leads {
		return opError(errno.OpLeaderAlive, "leader is alive")
	}
	if a.Has("ep") {
		be, err := opEndpoint(o.e, a, "ep", errno.OpNoEndpoint)
		if err != nil {
			return err
		}
		if leads && be.ID == tab.Leader {
			o.skip("%s leads already", stmt.HostList([]*catalog.BE{be}))
			return nil
		}
		if r := tab.Replica(be.ID); r == nil || !usable(o.e, tab, r) {
			return opError(errno.OpNoLiveFollower, "no alive follower: %s", stmt.HostList([]*catalog.BE{be}))
		}
		op.Dest = be.ID
	}
	alive := 0
	for i := range tab.Replicas {
		if r := &tab.Replicas[i]; r.BE != tab.Leader && usable(o.e, tab, r) {
			alive++
		}
	}
	if alive == 0 {
		return opError(errno.OpNoLiveFollower, "no alive follower")
	}
	o.add(op, t, pid, tab)
	return nil
}

var _ = stmt.Register(stmt.Statement{
	Name:   "recovertable",
	Syntax: "{RECOVERTABLE <table:table> <pid:int> <ep:hostport> | ADMIN RECOVER TABLE <table:table> PARTITION <pid:int> ON <ep:hostport>}",
	Doc:    "Bring one replica back into use: recoverendpoint for one tablet. For auto_failover = false.",
	Do: manually(func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		t, pid, tab, err := opPartition(e, a)
		if err != nil {
			return stmt.Result{}, err
		}
		be, err := opEndpoint(e, a, "ep", errno.OpNoEndpoint)
		if err != nil {
			return stmt.Result{}, err
		}
		if err := healthyBE(e, be, errno.OpEndpointUnhealthy); err != nil {
			return stmt.Result{}, err
		}
		r := tab.Replica(be.ID)
		if r == nil {
			return stmt.Result{}, opError(errno.OpNoPartition, "pid does not exist: partition %d of %s has no replica on %s", pid, t.Name, stmt.HostList([]*catalog.BE{be}))
		}
		if usable(e, tab, r) && !settingAside(e, be.ID)[tab.ID] {
			return stmt.Result{}, opError(errno.OpPartitionAlive, "partition is alive")
		}
		o := newOrder(e, 1)
		o.recover(t, pid, tab, r, false)
		return o.send(ctx, "recover table ok")
	}),
	Examples: []string{"recovertable t1 0 10.0.0.1:9060", "ADMIN RECOVER TABLE db1.t1 PARTITION 0 ON '10.0.0.1:9060'"},
})

var _ = stmt.Register(stmt.Statement{
	Name: "updatetablealive",
	Syntax: "{UPDATETABLEALIVE <table:table> {<pid:int>|*} <ep:hostport> {alive: YES|NO} | " +
		"ADMIN SET REPLICA ALIVE <table:table> PARTITION {<pid:int>|*} ON <ep:hostport> {alive: YES|NO}}",
	Doc: "Set a replica aside (no) or take it into use (yes) and nothing else. One that lacks versions is in use only with recovertable; one that has " +
		"all leads if nobody does. For auto_failover = false.",
	Do: manually(func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		t, err := opTable(e, a)
		if err != nil {
			return stmt.Result{}, err
		}
		be, err := opEndpoint(e, a, "ep", errno.OpNoEndpoint)
		if err != nil {
			return stmt.Result{}, err
		}
		o := newOrder(e, ops.DefaultConcurrency)
		for pid, tab := range pids(e, t) {
			if tab.Replica(be.ID) == nil || a.Has("pid") && a.Int("pid") != int64(pid) {
				continue
			}
			op := ops.New(ops.UpdateTableAlive)
			op.BE, op.Alive = be.ID, a.Choice("alive") == "YES"
			o.add(op, t, pid, tab)
		}
		if len(o.list) == 0 {
			return stmt.Result{}, opError(errno.OpNothingUpdated, "no pid has updated: %s has no such replica on %s", t.Name, stmt.HostList([]*catalog.BE{be}))
		}
		return o.send(ctx, "update ok")
	}),
	Examples: []string{"updatetablealive t1 * 10.0.0.1:9060 no", "updatetablealive t1 0 10.0.0.1:9060 yes"},
})

var _ = stmt.Register(stmt.Statement{
	Name:   "cancelop",
	Syntax: "{CANCELOP <id:int> | ADMIN CANCEL OP <id:int>}",
	Doc:    "End an operation that waits or runs, whatever it is at; what it has begun is taken back. For auto_failover = false; KILL TRANSACTION works always.",
	Do: manually(func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		return cancelOp(ctx, e, a.Int("id"), false, "Cancel op ok")
	}),
	Examples: []string{"cancelop 10057"},
})

func cancelOp(ctx context.Context, e *stmt.Env, id int64, group bool, text string) (stmt.Result, error) {
	op, ok := e.Catalog.Op(uint64(max(id, 0)))
	if !ok || op.Type == 0 {
		return stmt.Result{}, opError(errno.OpMissing, "op does not exist: %d", id)
	}
	if op.Ended() {
		return stmt.Result{}, opError(errno.OpWrongStatus, "op status is not kDoing or kInited: %s", ops.StateName(op.State))
	}
	if _, err := e.Propose(ctx, &command.CancelOp{ID: op.ID, Group: group, TimeMs: e.Now.UnixMilli()}); err != nil {
		return stmt.Result{}, opError(errno.OpWrongStatus, "op status is not kDoing or kInited: %s", err.Error())
	}
	e.Kick()
	return stmt.Result{Affected: 1, Info: text}, nil
}

var _ = stmt.Register(stmt.Statement{
	Name:   "deleteop",
	Syntax: "{DELETEOP {<id:int>|{state: DONE|FAILED|CANCELED}} | ADMIN DELETE OP {<id:int>|{state: DONE|FAILED|CANCELED}}}",
	Doc:    "Forget operations that are over: one, or all that ended so.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		cmd := &command.DeleteOps{State: map[string]catalog.OpState{"DONE": catalog.OpDone, "FAILED": catalog.OpFailed,
			"CANCELED": catalog.OpCancelled}[a.Choice("state")]}
		if a.Has("id") {
			op, ok := e.Catalog.Op(uint64(max(a.Int("id"), 0)))
			switch {
			case !ok:
				return stmt.Result{}, opError(errno.OpMissing, "op does not exist: %d", a.Int("id"))
			case !op.Ended():
				return stmt.Result{}, opError(errno.OpBadParameter, "invalid parameter: op %d is %s", op.ID, ops.StateName(op.State))
			}
			cmd.ID = op.ID
		}
		out, err := e.Propose(ctx, cmd)
		if err != nil {
			return stmt.Result{}, opError(errno.OpBadParameter, "invalid parameter: %s", err.Error())
		}
		n := 0
		if c, ok := out[0].Value.(catalog.CountResult); ok {
			n = c.N
		}
		return stmt.Result{Affected: uint64(n), Info: "ok"}, nil
	},
	Examples: []string{"deleteop 10057", "deleteop done"},
})
