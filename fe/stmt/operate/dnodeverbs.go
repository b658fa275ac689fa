package operate

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"stele/conf"
	"stele/fe/stmt"
	"stele/fe/stmt/admin"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "create_dnode",
	Syntax: "CREATE DNODE {<hosts:hostports>|<texts:strings>} [PORT <port:int>]",
	Doc:    "Take a BE into the cluster, as ALTER SYSTEM ADD BACKEND does: 'host:port', or 'host' PORT port. Its status is creating until it is first heard of.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		hosts, err := dnodeAddresses(a)
		if err != nil {
			return stmt.Result{}, err
		}
		return admin.AddBackends(ctx, e, "create_dnode", hosts)
	},
	Examples: []string{`CREATE DNODE '10.0.0.1:9060'`, `CREATE DNODE '10.0.0.1' PORT 9050`},
})

// dnodeAddresses reads the hosts of CREATE DNODE.
func dnodeAddresses(a syntax.Args) ([]syntax.HostPort, error) {
	if !a.Has("port") {
		return stmt.Addresses(a)
	}
	names := a.Names("texts")
	if len(names) != 1 || a.Has("hosts") {
		return nil, stmt.Refusal("PORT goes with one host without a port of its own")
	}
	hp, err := stmt.ParseAddress(net.JoinHostPort(names[0], strconv.FormatInt(a.Int("port"), 10)))
	return []syntax.HostPort{hp}, err
}

var _ = stmt.Register(stmt.Statement{
	Name:   "drop_dnode",
	Syntax: "DROP DNODE {<id:int>|<hosts:hostports>|<texts:strings>} [FORCE] [UNSAFE]",
	Doc: "Take a dnode out of the cluster for good. One that answers is emptied first: its mnode leaves, its replicas move to others, then it is dropped " +
		"(SHOW DNODES: dropping; CANCEL DECOMMISSION BACKEND keeps it). FORCE is for one that is offline: it is forgotten at once, and its replicas are made " +
		"anew from the others; tablets of which it has the only complete replica are named and need UNSAFE, which gives them up.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		be, err := dnodeNamed(e, a)
		if err != nil {
			return stmt.Result{}, err
		}
		bes := []*catalog.BE{be}
		force := a.Has("FORCE") || a.Has("UNSAFE")
		switch alive := e.Alive(be.ID); {
		case force && alive:
			return stmt.Result{}, stmt.Refusal("dnode %d (%s) is online: DROP DNODE %d without FORCE moves what it has to others first", be.ID, endpoint(e, be.ID), be.ID)
		case !force && !alive:
			return stmt.Result{}, stmt.Refusal("dnode %d (%s) is offline: start it, or say DROP DNODE %d FORCE to have its replicas made anew from the others", be.ID, endpoint(e, be.ID), be.ID)
		case !force && be.Decommission:
			return stmt.Nothing("this dnode is being dropped already"), nil
		}
		for _, fe := range mnodesOf(e, be) {
			if e.Catalog.Leader().RaftID == fe.Name {
				return stmt.Result{}, stmt.Refusal("mnode %d of dnode %d leads: ALTER SYSTEM TRANSFER LEADER first", fe.ID, be.ID)
			}
		}
		if !force {
			err = admin.CheckRoom(e, bes)
		} else if !a.Has("UNSAFE") {
			err = admin.InTheWay(fmt.Sprintf("dnode %d has the last complete replica of tablets; UNSAFE gives them up (RECOVER DATA tells what others have). In the way", be.ID),
				admin.LastCopies(e, func(_ *catalog.Tablet, r *catalog.Replica) bool { return r.BE == be.ID }))
		}
		if err != nil {
			return stmt.Result{}, err
		}
		for _, fe := range mnodesOf(e, be) {
			if err := dropFrontend(ctx, e, fe); err != nil {
				return stmt.Result{}, err
			}
		}
		if force {
			return stmt.Result{Affected: 1}, stmt.Act(ctx, e, "drop_dnode", stmt.HostList(bes), &command.DropBE{BE: be.ID, Force: true})
		}
		return stmt.Result{Affected: 1}, stmt.Act(ctx, e, "drop_dnode", stmt.HostList(bes), admin.SetDecommission(bes, true)...)
	},
	Examples: []string{"DROP DNODE 10002", "DROP DNODE '10.0.0.1:9060'", "DROP DNODE 10002 FORCE", "DROP DNODE 10002 FORCE UNSAFE"},
})

// dnodeNamed finds the BE that a statement names by id or by address.
func dnodeNamed(e *stmt.Env, a syntax.Args) (*catalog.BE, error) {
	if a.Has("id") {
		return dnode(e, a)
	}
	bes, err := stmt.BackendsAt(e, a, "dnode does not exist")
	if err != nil {
		return nil, err
	}
	if len(bes) != 1 {
		return nil, stmt.Refusal("one dnode at a time: %d are named", len(bes))
	}
	return bes[0], nil
}

var _ = stmt.Register(stmt.Statement{
	Name:   "alter_dnodes",
	Syntax: "ALTER {ALL DNODES|DNODE <id:int>} <key:string> [<value:string>]",
	Doc: "Change an item of be.conf while BEs run, as ADMIN SET BACKEND CONFIG does. The configuration of BEs is that of the cluster: ALTER DNODE with one " +
		"id is refused unless there is only that one.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		if a.Has("id") {
			if _, err := dnode(e, a); err != nil {
				return stmt.Result{}, err
			}
			if e.Catalog.BECount() > 1 {
				return stmt.Result{}, stmt.Refusal("backends have one configuration: ALTER ALL DNODES sets it, be.conf what is one machine's own")
			}
		}
		return admin.SetBackendConfig(ctx, e, a.String("key"), a.String("value"))
	},
	Examples: []string{"ALTER ALL DNODES 'clone_bandwidth_limit_mb_per_disk' '50'", "ALTER DNODE 10002 'scrub_bytes_per_second' '20971520'"},
})

var _ = stmt.Register(stmt.Statement{
	Name: "show_cluster_variables", Table: "cluster_variables", Like: "name",
	Syntax: "SHOW CLUSTER VARIABLES [LIKE <like:string>] [WHERE <where:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc:    "The configuration that FEs share, and what it is now. ADMIN SHOW FRONTEND CONFIG tells more of it.",
	Columns: stmt.Cols(`
		name  text Name of the item.
		value text Its value.
		scope name cluster, or node for what is each process's own.
	`),
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		var rows []stmt.Row
		for _, s := range conf.FE.All() {
			if e.Conf == nil {
				break
			}
			rows = append(rows, stmt.Row{s.Key, e.Conf.Load().Shown(s), s.Scope.String()})
		}
		return rows, nil
	},
	Examples: []string{"SHOW CLUSTER VARIABLES", "SHOW CLUSTER VARIABLES LIKE 'tablet_sched%'"},
})

var _ = stmt.Register(stmt.Statement{
	Name: "show_cluster_machines", Table: "cluster_machines",
	Syntax: "SHOW CLUSTER MACHINES",
	Doc:    "One row per host with how many BEs it has.",
	Columns: stmt.Cols(`
		id        text The host.
		dnode_num int  BEs on it.
		version   text Version of the first of them, empty while it has not been heard of.
	`),
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		var rows []stmt.Row
		at := map[string]int{}
		for be := range e.Catalog.BEs() {
			i, known := at[be.Host]
			if !known {
				i, at[be.Host] = len(rows), len(rows)
				rows = append(rows, stmt.Row{be.Host, 0, e.Member(be.ID).Version})
			}
			n, _ := rows[i][1].(int)
			rows[i][1] = n + 1
		}
		return rows, nil
	},
	Examples: []string{"SHOW CLUSTER MACHINES"},
})
