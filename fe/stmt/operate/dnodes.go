package operate

import (
	"context"
	"iter"
	"net"
	"strconv"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name: "show_dnodes", Table: "dnodes", Like: "endpoint",
	Syntax: "SHOW DNODES [LIKE <like:string>] [WHERE <where:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc:    "One row per BE, as a dnode: what it holds, whether it answers and, if not, why. LIKE looks at the endpoint.",
	Columns: stmt.Cols(`
		id             int  Id of the BE.
		endpoint       text host:port of the BE.
		vnodes         int  Replicas that the catalog places on it.
		support_vnodes int  NULL: their number has no limit of its own, the disks have.
		status         name ready, offline, creating (not heard of yet) or dropping (being emptied).
		create_time    text When it was added.
		reboot_time    text When its process started.
		note           text Why it is offline, or which of its disks cannot be used.
		mnode_id       int  The mnode that belongs to it, NULL = none, or nobody can say (ALTER MNODE).
	`),
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		var rows []stmt.Row
		for be := range e.Catalog.BEs() {
			rows = append(rows, dnodeRow(e, be))
		}
		return rows, nil
	},
	Examples: []string{"SHOW DNODES", "SHOW DNODES WHERE status <> 'ready'"},
})

func dnodeRow(e *stmt.Env, be *catalog.BE) stmt.Row {
	m := e.Member(be.ID)
	vnodes := 0
	for range e.Catalog.TabletsOn(be.ID) {
		vnodes++
	}
	status, why := "ready", m.Err
	switch {
	case be.Decommission && !m.Alive:
		status = "dropping*"
	case be.Decommission:
		status = "dropping"
	case !m.Seen:
		status = "creating"
	case !m.Alive:
		status = "offline"
	}
	switch {
	case why == "" || m.Alive:
	case m.Seen:
		why = "status msg timeout: " + why
	default:
		why = "status not received: " + why
	}
	if why == "" && m.Alive {
		for _, d := range m.Disks {
			if d.Error != "" {
				why = d.Error
			}
		}
	}
	var mnode any
	if fes := mnodesOf(e, be); len(fes) > 0 {
		mnode = fes[0].ID
	}
	return stmt.Row{be.ID, endpoint(e, be.ID), vnodes, nil, status, e.StampMs(be.AddedMs), e.Stamp(m.LastStart), why, mnode}
}

var _ = stmt.Register(stmt.Statement{
	Name: "show_vnodes", Table: "vnodes",
	Syntax: "SHOW VNODES [ON DNODE <id:int>] [WHERE <where:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc:    "One row per replica, as a vnode: where it is, what it is in its tablet, and how far behind.",
	Columns: stmt.Cols(`
		dnode_id            int  BE of the replica.
		vgroup_id           int  The tablet.
		db_name             name Database.
		status              name leader, follower, learner or offline.
		role_time           text N/A: it is not kept.
		start_time          text When the process of its BE started.
		restored            text Whether it has every committed version.
		apply_finish_time   text N/A.
		unapplied           int  Versions that it lacks.
		buffer_segment_used int  NULL: buffers are counted by BE.
		buffer_segment_size int  NULL.
	`),
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		if a.Has("id") {
			if _, err := dnode(e, a); err != nil {
				return nil, err
			}
		}
		var rows []stmt.Row
		for tab := range e.Catalog.Tablets() {
			p, ok := stmt.PlaceOf(e.Catalog, tab)
			if !ok {
				continue
			}
			for i := range tab.Replicas {
				r := &tab.Replicas[i]
				if a.Has("id") && int64(r.BE) != a.Int("id") {
					continue
				}
				rows = append(rows, stmt.Row{r.BE, tab.ID, p.DB.Name, memberStatus(e, tab, r), "N/A", e.Stamp(e.Member(r.BE).LastStart),
					usable(e, tab, r), "N/A", tab.Version - applied(e, tab, r), nil, nil})
			}
		}
		return rows, nil
	},
	Examples: []string{"SHOW VNODES", "SHOW VNODES ON DNODE 10002"},
})

var _ = stmt.Register(stmt.Statement{
	Name: "show_cluster_alive", Table: "cluster_alive",
	Syntax: "SHOW CLUSTER ALIVE",
	Doc:    "One row that says whether every tablet takes reads and writes now.",
	Columns: stmt.Cols(`
		status int 0: no tablet has a leader that answers; 1: all have; 2: some have.
	`),
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		return aliveRow(e, e.Catalog.Tablets()), nil
	},
	Examples: []string{"SHOW CLUSTER ALIVE"},
})

// aliveRow counts the tablets that have a leader that answers.
func aliveRow(e *stmt.Env, tablets iter.Seq[*catalog.Tablet]) []stmt.Row {
	led, all := 0, 0
	for tab := range tablets {
		all++
		if tab.Leader != 0 && e.Alive(tab.Leader) && !e.Lost(tab.Leader, tab.ID) {
			led++
		}
	}
	switch {
	case led == all:
		return []stmt.Row{{1}}
	case led == 0:
		return []stmt.Row{{0}}
	}
	return []stmt.Row{{2}}
}

// mnodeAddress is host:edit_log_port of an FE.
func mnodeAddress(fe *catalog.FE) string { return net.JoinHostPort(fe.Host, strconv.Itoa(fe.RaftPort)) }
