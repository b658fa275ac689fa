package operate

import (
	"context"

	"stele/fe/ops"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/syntax"
)

// pidGroup reads 3, 1,3,5 or 1-5.
func pidGroup(e *stmt.Env, a syntax.Args, t *catalog.Table, code uint16) ([]int, error) {
	list := a.Ints("pids")
	if a.Has("to") {
		if len(list) != 1 || a.Int("to") < list[0] {
			return nil, opError(errno.OpBadParameter, "invalid parameter: a group of pids is 3, 1,3,5 or 1-5")
		}
		for n := list[0] + 1; n <= a.Int("to") && n <= int64(len(pids(e, t))); n++ {
			list = append(list, n)
		}
	}
	out, n := make([]int, 0, len(list)), int64(len(pids(e, t)))
	for _, pid := range list {
		if pid < 0 || pid >= n {
			return nil, opError(code, "pid does not exist: %d, table %s has 0 to %d", pid, t.Name, n-1)
		}
		out = append(out, int(pid))
	}
	return out, nil
}

var _ = stmt.Register(stmt.Statement{
	Name: "addreplica",
	Syntax: "{ADDREPLICA <table:table> <pids:ints> [- <to:int>] <ep:hostport> | " +
		"ADMIN ADD REPLICA <table:table> PARTITION <pids:ints> [- <to:int>] ON <ep:hostport>}",
	Doc: "Make one more replica of tablets on a BE: a learner first, which gets writes and is copied to, then a follower. Writes are not held up. " +
		"pids are 3, 1,3,5 or 1-5.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		t, be, list, err := moveArgs(e, a, "ep", errno.OpEndpointUnhealthy)
		if err != nil {
			return stmt.Result{}, err
		}
		o, all := newOrder(e, ops.DefaultConcurrency), pids(e, t)
		for _, pid := range list {
			tab := all[pid]
			if tab.Replica(be.ID) != nil {
				return stmt.Result{}, opError(errno.OpPartitionThere, "pid already exists: partition %d of %s has a replica on %s", pid, t.Name, stmt.HostList([]*catalog.BE{be}))
			}
			if r := tab.Replica(tab.Leader); r == nil || !usable(e, tab, r) {
				return stmt.Result{}, opError(errno.OpNoLiveFollower, "partition %d of %s has no alive leader", pid, t.Name)
			}
			op := ops.New(ops.AddReplica)
			op.BE = be.ID
			o.add(op, t, pid, tab)
		}
		return o.send(ctx, "AddReplica ok")
	},
	Examples: []string{"addreplica t1 0 10.0.0.4:9060", "addreplica t1 1,3,5 10.0.0.4:9060", "ADMIN ADD REPLICA db1.t1 PARTITION 1-5 ON '10.0.0.4:9060'"},
})

// moveArgs reads table, pids and a BE that answers.
func moveArgs(e *stmt.Env, a syntax.Args, ep string, code uint16) (*catalog.Table, *catalog.BE, []int, error) {
	t, err := opTable(e, a)
	if err != nil {
		return nil, nil, nil, err
	}
	be, err := opEndpoint(e, a, ep, code)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := healthyBE(e, be, code); err != nil {
		return nil, nil, nil, err
	}
	list, err := pidGroup(e, a, t, errno.OpBadParameter)
	return t, be, list, err
}

var _ = stmt.Register(stmt.Statement{
	Name: "delreplica",
	Syntax: "{DELREPLICA <table:table> <pids:ints> [- <to:int>] <ep:hostport> | " +
		"ADMIN DROP REPLICA <table:table> PARTITION <pids:ints> [- <to:int>] ON <ep:hostport>}",
	Doc: "Drop replicas of tablets from a BE. The tablet has one less from then on; ALTER TABLE … replication_num sets all tablets to one number again. " +
		"A leader is not dropped, nor the last complete replica.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		t, err := opTable(e, a)
		if err != nil {
			return stmt.Result{}, err
		}
		be, err := opEndpoint(e, a, "ep", errno.OpNoEndpoint)
		if err != nil {
			return stmt.Result{}, err
		}
		list, err := pidGroup(e, a, t, errno.OpNoPartition)
		if err != nil {
			return stmt.Result{}, err
		}
		o, all := newOrder(e, ops.DefaultConcurrency), pids(e, t)
		for _, pid := range list {
			tab := all[pid]
			switch {
			case tab.Replica(be.ID) == nil:
				return stmt.Result{}, opError(errno.OpNoPartition, "pid does not exist: partition %d of %s has no replica on %s", pid, t.Name, stmt.HostList([]*catalog.BE{be}))
			case tab.Leader == be.ID:
				return stmt.Result{}, opError(errno.OpIsLeader, "table is leader: partition %d of %s on %s", pid, t.Name, stmt.HostList([]*catalog.BE{be}))
			}
			op := ops.New(ops.DelReplica)
			op.BE = be.ID
			o.add(op, t, pid, tab)
		}
		return o.send(ctx, "DelReplica ok")
	},
	Examples: []string{"delreplica t1 0 10.0.0.4:9060", "ADMIN DROP REPLICA db1.t1 PARTITION 1-5 ON '10.0.0.4:9060'"},
})

var _ = stmt.Register(stmt.Statement{
	Name: "migrate",
	Syntax: "{MIGRATE <src:hostport> <table:table> <pids:ints> [- <to:int>] <des:hostport> | " +
		"ADMIN MIGRATE REPLICA <table:table> PARTITION <pids:ints> [- <to:int>] FROM <src:hostport> TO <des:hostport>}",
	Doc: "Move followers from one BE to another: copied first, dropped after. For auto_failover = false.",
	Do: manually(func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		src, err := opEndpoint(e, a, "src", errno.OpSourceUnhealthy)
		if err != nil {
			return stmt.Result{}, err
		}
		if err := healthyBE(e, src, errno.OpSourceUnhealthy); err != nil {
			return stmt.Result{}, err
		}
		t, des, list, err := moveArgs(e, a, "des", errno.OpTargetUnhealthy)
		if err != nil {
			return stmt.Result{}, err
		}
		o, all := newOrder(e, ops.DefaultConcurrency), pids(e, t)
		for _, pid := range list {
			if err := o.migrate(t, pid, all[pid], src, des); err != nil {
				return stmt.Result{}, err
			}
		}
		return o.send(ctx, "partition migrate ok")
	}),
	Examples: []string{"migrate 10.0.0.1:9060 t1 0 10.0.0.4:9060", "ADMIN MIGRATE REPLICA db1.t1 PARTITION 1-5 FROM '10.0.0.1:9060' TO '10.0.0.4:9060'"},
})

func (o *order) migrate(t *catalog.Table, pid int, tab *catalog.Tablet, src, des *catalog.BE) error {
	leader := tab.Replica(tab.Leader)
	why := ""
	switch {
	case leader == nil:
		why = "leader endpoint is empty"
	case tab.Leader == src.ID:
		why = "the replica is leader"
	case !usable(o.e, tab, leader):
		why = "leader is offline"
	case tab.Replica(src.ID) == nil:
		why = "the source has no such partition"
	case tab.Replica(des.ID) != nil:
		why = "the target has the partition already"
	}
	if why != "" {
		return opError(errno.OpMigrateFailed, "migrate failed: partition %d of %s: %s", pid, t.Name, why)
	}
	op := ops.New(ops.Migrate)
	op.BE, op.Dest = src.ID, des.ID
	o.add(op, t, pid, tab)
	return nil
}

var _ = stmt.Register(stmt.Statement{
	Name:   "makesnapshot",
	Syntax: "{MAKESNAPSHOT <table:table> <pid:int> | ADMIN MAKE SNAPSHOT <table:table> <pid:int>}",
	Doc:    "Have the BEs of a tablet write out what they keep of it in memory now. They do so by themselves; a restart has less to read after it.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		t, pid, tab, err := opPartition(e, a)
		if err != nil {
			return stmt.Result{}, err
		}
		o := newOrder(e, 1)
		o.add(ops.New(ops.MakeSnapshot), t, pid, tab)
		return o.send(ctx, "ok")
	},
	Examples: []string{"makesnapshot t1 0"},
})

var _ = stmt.Register(stmt.Statement{
	Name: "loadtable",
	Syntax: "{LOADTABLE <name:ident> <tid:int> <pid:int> <ttl:int> <segs:int> [{leader: TRUE|FALSE}] [<mode:ident>] | " +
		"ADMIN LOAD TABLE <tid:int> <pid:int>}",
	Doc: "Replicas load themselves when their BE starts: this only says where the tablet is loaded, and refuses when it is nowhere. " +
		"ttl, seg_cnt and what follows are taken and have no meaning here.",
	Do: func(_ context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		t, ok := e.Catalog.TableByID(types.TableID(max(a.Int("tid"), 0)))
		if !ok || a.Has("name") && t.Name != a.String("name") {
			return stmt.Result{}, opError(errno.OpNoTable, "table does not exist: %s %d", a.String("name"), a.Int("tid"))
		}
		all := pids(e, t)
		if pid := a.Int("pid"); pid < 0 || pid >= int64(len(all)) {
			return stmt.Result{}, opError(errno.OpNoPartition, "pid does not exist: %d", pid)
		}
		tab := all[a.Int("pid")]
		var at []*catalog.BE
		for i := range tab.Replicas {
			r := &tab.Replicas[i]
			seen, reported := e.Reported(r.BE, tab.ID)
			if be, ok := e.Catalog.BE(r.BE); ok && reported && seen.ID == r.ID && e.Alive(r.BE) {
				at = append(at, be)
			}
		}
		if len(at) == 0 {
			return stmt.Result{}, opError(errno.OpMissing, "partition %d of %s is loaded nowhere: no backend that answers has a replica", a.Int("pid"), t.Name)
		}
		return stmt.Result{Info: "LoadTable ok; loaded already on " + stmt.HostList(at)}, nil
	},
	Examples: []string{"loadtable t1 10007 0 144000 8", "ADMIN LOAD TABLE 10007 0"},
})
