package stmt

import (
	"cmp"
	"context"
	"slices"

	"stele/fe/sched"
	"stele/fe/tabletctl"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/syntax"
)

// vgroupMembers is how many replicas SHOW VGROUPS has columns for.
const vgroupMembers = 4

var vgroupColumns = concat(cols(`
	vgroup_id int   The tablet: a vgroup is a tablet.
	db_name   text  Database.
	tables    int   Always 1: a tablet belongs to one table.
`), memberColumns(), cols(`
	is_ready           text  Whether it has a leader that answers and a quorum of complete replicas.
	cacheload          int   Always 0: there is no last-row cache.
	cacheelements      int   Always 0.
	tsma               int   Always 0.
	mount_vgroup_id    int   Always 0.
	keep_version       int   Oldest version that a change scan can start from, 0 until reported.
	keep_version_time  text  N/A.
	compact_start_time text  N/A.
`))

// memberColumns are the groups of columns for the replicas.
func memberColumns() []Column {
	text := ""
	for _, n := range []string{"1", "2", "3", "4"} {
		text += "v" + n + "_dnode int BE of a replica, NULL when there are fewer.\n" +
			"v" + n + "_status text leader, follower, learner or offline.\n" +
			"v" + n + "_applied/committed text Version that it has, and that of the tablet.\n"
	}
	return cols(text)
}

var _ = register(Statement{
	Name: "show_vgroups", Table: "vgroups",
	Syntax: "SHOW [<db:ident>.] VGROUPS [WHERE <where:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc: "One row per tablet of a database (the session's, or all when it has none): who leads, who follows and how far they are. " +
		"The first 4 replicas are shown; SHOW TABLETS has all.",
	Columns: vgroupColumns,
	Rows: func(_ context.Context, e *Env, a syntax.Args) ([]Row, error) {
		name := a.String("db")
		if name == "" {
			name = e.DB
		}
		var rows []Row
		if db, ok := e.Catalog.Database(name); ok {
			return vgroupRows(e, db, rows), nil
		}
		if a.Has("db") {
			_, err := e.database(name)
			return nil, err
		}
		for db := range e.Catalog.Databases() {
			rows = vgroupRows(e, db, rows)
		}
		return rows, nil
	},
	Examples: []string{"SHOW VGROUPS", "SHOW db1.VGROUPS"},
})

// vgroupRows adds the tablets of a database.
func vgroupRows(e *Env, db *catalog.Database, rows []Row) []Row {
	for t := range e.Catalog.Tables(db.ID) {
		for tab := range e.Catalog.TabletsOfTable(t) {
			rows = append(rows, vgroupRow(e, db, t, tab))
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Compare(a[0].(types.TabletID), b[0].(types.TabletID)) })
	return rows
}

func vgroupRow(e *Env, db *catalog.Database, t *catalog.Table, tab *catalog.Tablet) Row {
	row := Row{tab.ID, db.Name, 1}
	var keep types.Version
	for i := range vgroupMembers {
		if i >= len(tab.Replicas) {
			row = append(row, nil, nil, nil)
			continue
		}
		r := &tab.Replicas[i]
		have := r.Version
		if seen, ok := e.reported(r.BE, tab.ID); ok {
			have = seen.Version
			if r.BE == tab.Leader {
				keep = seen.OldestRetained
			}
		}
		row = append(row, r.BE, memberStatus(e, tab, r), have.String()+"/"+tab.Version.String())
	}
	return append(row, ready(e, t, tab), 0, 0, 0, 0, keep, "N/A", "N/A")
}

// memberStatus is what a replica is in its tablet at present.
func memberStatus(e *Env, tab *catalog.Tablet, r *catalog.Replica) string {
	switch {
	case !e.alive(r.BE) || e.lost(r.BE, tab.ID):
		return "offline"
	case tab.Leader == r.BE:
		return "leader"
	case r.Role == types.RoleLearner:
		return "learner"
	}
	return "follower"
}

// ready reports whether a tablet takes writes now.
func ready(e *Env, t *catalog.Table, tab *catalog.Tablet) bool {
	complete, followers := 0, 0
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		if r.Role == types.RoleFollower {
			followers++
		}
		if r.Complete() && e.alive(r.BE) && !e.lost(r.BE, tab.ID) {
			complete++
		}
	}
	return tab.Leader != 0 && e.alive(tab.Leader) && complete >= t.Quorum.Need(followers)
}

var _ = register(Statement{
	Name:   "balance_vgroup_leader",
	Syntax: "BALANCE VGROUP LEADER [ON <id:int>] [DATABASE <db:name>] [DRY RUN]",
	Doc: "Spread the leaders of tablets evenly over the BEs, so that no BE leads more than one tablet more than another where the replicas allow it. " +
		"ON limits it to one tablet and DATABASE to one database; DRY RUN only tells what would move. Each move is a short pause of writes to its tablet.",
	Columns: cols(`
		vgroup_id     int   The tablet; NULL in the one row that says there was nothing to move.
		db_name       text  Database.
		table_name    text  Table.
		from_be       int   BE that led, NULL when none did.
		to_be         int   BE that leads now.
		state         text  moved, planned, or balanced.
		refused       int   Moves that were not made, because the tablet changed meanwhile: run it again.
		spread_before int   Most leaders on a BE less fewest, before.
		spread_after  int   The same, after.
	`),
	Rows:     balanceLeaders,
	Examples: []string{"BALANCE VGROUP LEADER", "BALANCE VGROUP LEADER ON 10003", "BALANCE VGROUP LEADER DATABASE db1 DRY RUN"},
})

func balanceLeaders(ctx context.Context, e *Env, a syntax.Args) ([]Row, error) {
	scope, err := leaderScope(e, a)
	if err != nil {
		return nil, err
	}
	if e.Control == nil {
		return nil, refusal("This FE does not lead: send BALANCE VGROUP LEADER to the leading FE (SHOW FRONTENDS)")
	}
	if a.Has("DRY") {
		plan := sched.PlanLeaderBalance(e.Control.View(), plannedScope(e, scope))
		return leaderRows(e, "planned", plan.Moves, 0, plan.Before, plan.After), nil
	}
	before := e.Log.Current()
	done, err := e.Control.BalanceLeaders(ctx, scope)
	if err != nil {
		return nil, err
	}
	return leaderRows(e, "moved", leaderChanges(before, e.Log.Current(), scope), done.Refused, done.Before, done.After), nil
}

// leaderChanges are the leaders that differ between two catalogs, within a scope.
func leaderChanges(before, after *catalog.Catalog, scope tabletctl.Scope) []sched.LeaderMove {
	var out []sched.LeaderMove
	for tab := range after.Tablets() {
		old, ok := before.Tablet(tab.ID)
		if !ok || old.Leader == tab.Leader || scope.Tablet != 0 && tab.ID != scope.Tablet {
			continue
		}
		if t, ok := after.TableByID(tab.Table); scope.Database == 0 || ok && t.DatabaseID == scope.Database {
			out = append(out, sched.LeaderMove{Tablet: tab.ID, From: old.Leader, To: tab.Leader, Epoch: tab.Epoch})
		}
	}
	return out
}

func leaderRows(e *Env, state string, moves []sched.LeaderMove, refused int, before, after sched.LeaderSpread) []Row {
	spreadBefore, spreadAfter := before.Max-before.Min, after.Max-after.Min
	rows := make([]Row, 0, max(len(moves), 1))
	for _, m := range moves {
		var db, table, from any
		if tab, ok := e.Catalog.Tablet(m.Tablet); ok {
			if p, ok := placeOf(e.Catalog, tab); ok {
				db, table = p.db.Name, p.table.Name
			}
		}
		if m.From != 0 {
			from = m.From
		}
		rows = append(rows, Row{m.Tablet, db, table, from, m.To, state, refused, spreadBefore, spreadAfter})
	}
	if len(rows) == 0 {
		rows = append(rows, Row{nil, nil, nil, nil, nil, "balanced", refused, spreadBefore, spreadAfter})
	}
	return rows
}

// leaderScope reads which leaders a statement is about.
func leaderScope(e *Env, a syntax.Args) (tabletctl.Scope, error) {
	var scope tabletctl.Scope
	if a.Has("id") {
		scope.Tablet = types.TabletID(max(a.Int("id"), 0))
		if _, ok := e.Catalog.Tablet(scope.Tablet); !ok {
			return scope, refusal("Vgroup does not exist: %d", a.Int("id"))
		}
	}
	if a.Has("db") {
		db, err := e.database(a.String("db"))
		if err != nil {
			return scope, err
		}
		scope.Database = db.ID
	}
	return scope, nil
}

// plannedScope is a scope as the planner takes it.
func plannedScope(e *Env, scope tabletctl.Scope) sched.LeaderScope {
	out := sched.LeaderScope{Tablet: scope.Tablet}
	if scope.Tablet == 0 && scope.Database != 0 {
		out.Tables = []types.TableID{}
		for t := range e.Catalog.Tables(scope.Database) {
			out.Tables = append(out.Tables, t.ID)
		}
		slices.Sort(out.Tables)
	}
	return out
}
