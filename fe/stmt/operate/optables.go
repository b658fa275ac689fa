package operate

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"stele/conf"
	"stele/fe/ops"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/syntax"
)

// opStamp is the layout of times in SHOW OPSTATUS.
const opStamp = "20060102150405"

var showtableColumns = stmt.Cols(`
	name          name The table.
	tid           int  Its id.
	pid           int  Place of the tablet in the table, from 0.
	endpoint      text BE of the replica, host:port.
	role          text leader or follower; the replica that led when it was lost stays leader, with is_alive no.
	ttl           text Always 0min: rows do not expire.
	is_alive      text yes if the replica is in use, has every committed version and its BE answers, else no.
	compress_type text Always kNoCompress: what is stored is compressed by itself.
	offset        text Version that the replica has, - when it is not known.
	record_cnt    text Rows as reported last.
	memused       text Bytes in the memory of the BE: - because they are counted by BE, not by replica.
	diskused      text Bytes on disk as reported last.
`)

var _ = stmt.Register(stmt.Statement{
	Name: "showtable", Table: "showtable",
	Syntax: "{SHOWTABLE [<table:table>] | ADMIN SHOW TABLE PARTITIONS [FROM <table:table>]}",
	Doc: "One row per replica of a table, of all tables of the session's database, or of all databases: who leads, who is alive, how far each is. " +
		"ADMIN SHOW TABLE PARTITIONS is the same.",
	Columns: showtableColumns,
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		tables, err := opTables(e, a)
		if err != nil {
			return nil, err
		}
		var rows []stmt.Row
		for _, t := range tables {
			for pid, tab := range pids(e, t) {
				for i := range tab.Replicas {
					rows = append(rows, partitionRow(e, t, pid, tab, &tab.Replicas[i]))
				}
			}
		}
		return rows, nil
	},
	Examples: []string{"showtable", "showtable db1.t1"},
})

// opTables are the tables that a verb with an optional table is about.
func opTables(e *stmt.Env, a syntax.Args) ([]*catalog.Table, error) {
	if a.Has("table") {
		t, err := opTable(e, a)
		return []*catalog.Table{t}, err
	}
	var out []*catalog.Table
	for db := range e.Catalog.Databases() {
		if e.DB == "" || db.Name == e.DB || stmt.IsSystemDatabase(e.DB) {
			for t := range e.Catalog.Tables(db.ID) {
				out = append(out, t)
			}
		}
	}
	return out, nil
}

// pids are the tablets of a table; the index is what the verbs call pid.
func pids(e *stmt.Env, t *catalog.Table) []*catalog.Tablet {
	return slices.Collect(e.Catalog.TabletsOfTable(t))
}

// endpoint is host:port of a BE.
func endpoint(e *stmt.Env, id types.BEID) string {
	if be, ok := e.Catalog.BE(id); ok {
		return stmt.HostList([]*catalog.BE{be})
	}
	return fmt.Sprintf("backend %d", id)
}

// usable reports whether a replica is alive in the sense of showtable.
func usable(e *stmt.Env, tab *catalog.Tablet, r *catalog.Replica) bool {
	return r.Complete() && e.Alive(r.BE) && !e.Lost(r.BE, tab.ID)
}

func partitionRow(e *stmt.Env, t *catalog.Table, pid int, tab *catalog.Tablet, r *catalog.Replica) stmt.Row {
	alive := usable(e, tab, r)
	role := "follower"
	if tab.Leader == r.BE || r.Deposed && !alive {
		role = "leader"
	}
	offset, rows, bytes := "-", "-", "-"
	if r.Version > 0 {
		offset = r.Version.String()
	}
	if seen, ok := e.Reported(r.BE, tab.ID); ok && seen.ID == r.ID {
		rows, bytes = strconv.FormatInt(seen.Rows, 10), stmt.Lettered(seen.Bytes)
	}
	return stmt.Row{t.Name, t.ID, pid, endpoint(e, r.BE), role, "0min", yesNo(alive), "kNoCompress", offset, rows, "-", bytes}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

var _ = stmt.Register(stmt.Statement{
	Name: "showtablet", Table: "showtablet",
	Syntax: "{SHOWTABLET | ADMIN SHOW ENDPOINTS}",
	Doc:    "One row per BE: whether it answers, and for how long it has been so.",
	Columns: stmt.Cols(`
		endpoint      text host:port.
		state         text kTabletHealthy or kTabletOffline.
		age           text Time since it came or went: 20s, 7m, 3h, 1d.
		real_endpoint text Always -: BEs are known by their addresses.
	`),
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		var rows []stmt.Row
		for be := range e.Catalog.BEs() {
			m := e.Member(be.ID)
			state, since := "kTabletHealthy", m.LastStart
			if !m.Alive {
				state, since = "kTabletOffline", m.FirstMiss
				if since.IsZero() {
					since = m.LastHeartbeat
				}
			}
			rows = append(rows, stmt.Row{stmt.HostList([]*catalog.BE{be}), state, age(e.Now, since), "-"})
		}
		return rows, nil
	},
	Examples: []string{"showtablet"},
})

// age prints a time span in its largest unit.
func age(now, since time.Time) string {
	if since.IsZero() {
		return "-"
	}
	d := max(now.Sub(since), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

var _ = stmt.Register(stmt.Statement{
	Name:   "showns",
	Syntax: "{SHOWNS | ADMIN SHOW NAMESERVERS}",
	Doc:    "One row per FE and which of them leads.",
	Columns: stmt.Cols(`
		endpoint      text host:port of statements.
		real_endpoint text Always -.
		role          text leader or standby.
	`),
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		leads := map[string]bool{}
		if e.Frontends != nil {
			for _, f := range e.Frontends() {
				leads[f.Name] = f.Role == "LEADER"
			}
		}
		var rows []stmt.Row
		for f := range e.Catalog.FEs() {
			role := "standby"
			if leads[f.Name] {
				role = "leader"
			}
			rows = append(rows, stmt.Row{fmt.Sprintf("%s:%d", f.Host, f.QueryPort), "-", role})
		}
		return rows, nil
	},
	Examples: []string{"showns"},
})

var _ = stmt.Register(stmt.Statement{
	Name:   "showcatalogversion",
	Syntax: "{SHOWCATALOGVERSION | ADMIN SHOW CATALOG VERSION}",
	Doc:    "The metadata version that each FE has applied; one that lags shows a lower one.",
	Columns: stmt.Cols(`
		#        int  Number of the row.
		endpoint text host:port of the FE.
		version  int  Index of the metadata log.
	`),
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		journal := map[string]uint64{}
		if e.Frontends != nil {
			for _, f := range e.Frontends() {
				journal[f.Name] = f.Journal
			}
		}
		var rows []stmt.Row
		for f := range e.Catalog.FEs() {
			rows = append(rows, stmt.Row{len(rows) + 1, fmt.Sprintf("%s:%d", f.Host, f.QueryPort), journal[f.Name]})
		}
		return rows, nil
	},
	Examples: []string{"showcatalogversion"},
})

var _ = stmt.Register(stmt.Statement{
	Name: "showopstatus", Table: "opstatus",
	Syntax: "{SHOWOPSTATUS [<table:table> [<pid:int>]] | SHOW OPSTATUS [FROM <table:table> [<pid:int>]]}",
	Doc: "The operations that were ordered, the oldest first: how far each is, what it waits for and what went wrong. They are kept in the " +
		"metadata and go on after a restart or a change of the leading FE. deleteop forgets those that are over.",
	Columns: stmt.Cols(`
		op_id        int  Number; cancelop and deleteop take it.
		op_type      name What it does.
		name         name Table, - for one about the cluster.
		pid          int  Place of the tablet in the table.
		status       name kInited, kDoing, kDone, kFailed or kCanceled.
		start_time   name YYYYMMDDhhmmss, - before it begins.
		execute_time name Seconds so far, or in all.
		end_time     name YYYYMMDDhhmmss, - before it is over.
		cur_task     name Task that it is at, - when it is at none.
		for_replica_cluster name Always no.
		endpoint     text BE that it is about.
		attempts     int  Failed attempts at the present task.
		deadline     name When it fails by itself, YYYYMMDDhhmmss.
		waiting_for  text What it waits for.
		last_error   text Last error.
		message      text What was decided, and what came of it.
	`),
	Rows:     opRows,
	Examples: []string{"showopstatus", "showopstatus t1", "SHOW OPSTATUS FROM db1.t1 0"},
})

func opRows(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
	var only *catalog.Table
	if a.Has("table") {
		t, err := opTable(e, a)
		if err != nil {
			return nil, err
		}
		only = t
	}
	var rows []stmt.Row
	for op := range e.Catalog.Ops() {
		switch {
		case op.Type == 0:
		case only != nil && (op.Table != only.ID || a.Has("pid") && int64(op.Pid) != a.Int("pid")):
		default:
			rows = append(rows, opRow(e, op))
		}
	}
	return rows, nil
}

func opRow(e *stmt.Env, op *catalog.Op) stmt.Row {
	start, took, end, due := "-", "-", "-", "-"
	if op.StartedMs != 0 {
		start = e.Local(time.UnixMilli(op.StartedMs)).Format(opStamp)
		last := e.Now.UnixMilli()
		if op.Ended() {
			last = op.EndedMs
			end = e.Local(time.UnixMilli(last)).Format(opStamp)
		}
		took = fmt.Sprintf("%ds", max(last-op.StartedMs, 0)/1000)
	}
	if op.DeadlineMs != 0 {
		due = e.Local(time.UnixMilli(op.DeadlineMs)).Format(opStamp)
	}
	var ep any
	if op.BE != 0 {
		ep = endpoint(e, op.BE)
	}
	name := op.Target
	if name == "" {
		name = "-"
	}
	return stmt.Row{op.ID, ops.TypeName(op.Type), name, op.Pid, ops.StateName(op.State), start, took, end, ops.CurrentTask(op), "no", ep, op.Attempts, due,
		op.Waiting, op.LastError, op.Message}
}

var _ = stmt.Register(stmt.Statement{
	Name:   "confget",
	Syntax: "CONFGET [<key:ident>]",
	Doc:    "The mode of failover: auto_failover. With false nothing moves or is repaired unless it is ordered.",
	Columns: stmt.Cols(`
		key   name Name.
		value text Value.
	`),
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		if a.Has("key") && a.String("key") != conf.AutoFailover.Key {
			return nil, opError(errno.OpBadParameter, "invalid parameter: the only key is %s (ADMIN SHOW FRONTEND CONFIG has the others)", conf.AutoFailover.Key)
		}
		return []stmt.Row{{conf.AutoFailover.Key, strconv.FormatBool(e.AutoFailover())}}, nil
	},
	Examples: []string{"confget", "confget auto_failover"},
})

var tabletStatusColumns = stmt.Cols(`
	tid             int  The table.
	pid             int  Place of the tablet in it.
	offset          int  Version that the replica has.
	mode            name kTableLeader or kTableFollower.
	state           name kTableNormal, kTableLoading while it is copied or catches up, kTableUndefined when its BE does not report it.
	enable_expire   name Always false.
	ttl             name Always 0min.
	ttl_offset      name Always 0s.
	memused         name Bytes on disk.
	compress_type   name Always kNoCompress.
	skiplist_height int  Always 0.
	endpoint        text BE of the replica.
`)

var _ = stmt.Register(stmt.Statement{
	Name:    "gettablestatus",
	Syntax:  "{GETTABLESTATUS [<tid:int> <pid:int>] | ADMIN SHOW TABLET STATUS [<tid:int> <pid:int>]}",
	Doc:     "One row per replica with what its BE says of it: loaded, or still loading.",
	Columns: tabletStatusColumns,
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		var rows []stmt.Row
		for t := range e.Catalog.AllTables() {
			if a.Has("tid") && t.ID != types.TableID(max(a.Int("tid"), 0)) {
				continue
			}
			for pid, tab := range pids(e, t) {
				for i := range tab.Replicas {
					if !a.Has("pid") || int64(pid) == a.Int("pid") {
						rows = append(rows, tabletStatusRow(e, t, pid, tab, &tab.Replicas[i]))
					}
				}
			}
		}
		if a.Has("tid") && len(rows) == 0 {
			return nil, opError(errno.OpNoTable, "table %d has no partition %d", a.Int("tid"), a.Int("pid"))
		}
		return rows, nil
	},
	Examples: []string{"gettablestatus", "gettablestatus 10007 1"},
})

func tabletStatusRow(e *stmt.Env, t *catalog.Table, pid int, tab *catalog.Tablet, r *catalog.Replica) stmt.Row {
	mode, state := "kTableFollower", "kTableUndefined"
	if tab.Leader == r.BE {
		mode = "kTableLeader"
	}
	seen, ok := e.Reported(r.BE, tab.ID)
	switch {
	case !e.Alive(r.BE) || e.Lost(r.BE, tab.ID):
	case r.Role == types.RoleLearner || r.LastFailed != 0:
		state = "kTableLoading"
	case ok:
		state = "kTableNormal"
	}
	return stmt.Row{t.ID, pid, r.Version, mode, state, "false", "0min", "0s", stmt.Lettered(seen.Bytes), "kNoCompress", 0, endpoint(e, r.BE)}
}

var _ = stmt.Register(stmt.Statement{
	Name:   "showdb",
	Syntax: "SHOWDB",
	Doc:    "The databases, as SHOW DATABASES lists them but for those of the system.",
	Columns: stmt.Cols(`
		Databases name Name.
	`),
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		var rows []stmt.Row
		for db := range e.Catalog.Databases() {
			rows = append(rows, stmt.Row{db.Name})
		}
		return rows, nil
	},
	Examples: []string{"showdb"},
})
