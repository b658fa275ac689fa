package operate

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"stele/fe/stmt"
	"stele/fe/tabletctl"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/syntax"
)

// vgroupMembers is how many replicas SHOW VGROUPS has columns for.
const vgroupMembers = 4

var vgroupColumns = stmt.Concat(stmt.Cols(`
	vgroup_id int   The tablet: a vgroup is a tablet.
	db_name   text  Database.
	tables    int   Always 1: a tablet belongs to one table.
`), memberColumns(), stmt.Cols(`
	is_ready           text  Whether it has a leader that answers and a quorum of complete replicas.
	cacheload          int   Always 0: there is no last-row cache.
	cacheelements      int   Always 0.
	tsma               int   Always 0.
	mount_vgroup_id    int   Always 0.
	keep_version       int   Oldest version that a change scan can start from, 0 until reported.
	keep_version_time  text  N/A.
	compact_start_time text  N/A.
	learners           text  For each learner: its BE, how far the copy is, how many versions it lags, and the time left; empty when there is none.
	copy_percent       float Progress of the copy that runs for the tablet, NULL when none does.
	copy_bytes         int   Bytes that it has moved.
	copy_total_bytes   int   Bytes that it is to move.
`))

// memberColumns are the groups of columns for the replicas.
func memberColumns() []stmt.Column {
	text := ""
	for _, n := range []string{"1", "2", "3", "4"} {
		text += "v" + n + "_dnode int BE of a replica, NULL when there are fewer.\n" +
			"v" + n + "_status text leader, follower, learner or offline.\n" +
			"v" + n + "_applied/committed text Version that it has, and that of the tablet.\n"
	}
	return stmt.Cols(text)
}

var _ = stmt.Register(stmt.Statement{
	Name: "show_vgroups", Table: "vgroups",
	Syntax: "SHOW [<db:ident>.] VGROUPS [WHERE <where:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc: "One row per tablet of a database (the session's, or all when it has none), unique keys included: who leads, who follows and how far they are. " +
		"The first 4 replicas are shown; SHOW TABLETS has all.",
	Columns: vgroupColumns,
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		name := a.String("db")
		if name == "" {
			name = e.DB
		}
		var rows []stmt.Row
		copies := runningCopies(e)
		if db, ok := e.Catalog.Database(name); ok {
			return vgroupRows(e, db, copies, rows), nil
		}
		if a.Has("db") {
			_, err := e.Database(name)
			return nil, err
		}
		for db := range e.Catalog.Databases() {
			rows = vgroupRows(e, db, copies, rows)
		}
		return rows, nil
	},
	Examples: []string{"SHOW VGROUPS", "SHOW db1.VGROUPS"},
})

// runningCopies are the clones that run, by tablet.
func runningCopies(e *stmt.Env) map[types.TabletID]tabletctl.RunningTask {
	out := map[types.TabletID]tabletctl.RunningTask{}
	if e.Control != nil {
		for _, t := range e.Control.Running() {
			out[t.Tablet] = t
		}
	}
	return out
}

// vgroupRows adds the tablets of a database.
func vgroupRows(e *stmt.Env, db *catalog.Database, copies map[types.TabletID]tabletctl.RunningTask, rows []stmt.Row) []stmt.Row {
	for t := range e.Catalog.Tables(db.ID) {
		for tab := range e.Catalog.TabletsOfTable(t) {
			rows = append(rows, vgroupRow(e, db, t, tab, copies))
		}
		for index := range e.Catalog.KeyTables(t) {
			for tab := range e.Catalog.TabletsOfTable(index) {
				rows = append(rows, vgroupRow(e, db, index, tab, copies))
			}
		}
	}
	slices.SortFunc(rows, func(a, b stmt.Row) int { return cmp.Compare(a[0].(types.TabletID), b[0].(types.TabletID)) })
	return rows
}

func vgroupRow(e *stmt.Env, db *catalog.Database, t *catalog.Table, tab *catalog.Tablet, copies map[types.TabletID]tabletctl.RunningTask) stmt.Row {
	row := stmt.Row{tab.ID, db.Name, 1}
	var keep types.Version
	for i := range vgroupMembers {
		if i >= len(tab.Replicas) {
			row = append(row, nil, nil, nil)
			continue
		}
		r := &tab.Replicas[i]
		if seen, ok := e.Reported(r.BE, tab.ID); ok && r.BE == tab.Leader {
			keep = seen.OldestRetained
		}
		row = append(row, r.BE, memberStatus(e, tab, r), applied(e, tab, r).String()+"/"+tab.Version.String())
	}
	row = append(row, ready(e, t, tab), 0, 0, 0, 0, keep, "N/A", "N/A")
	c, running := copies[tab.ID]
	if !running || c.BytesTotal <= 0 {
		return append(row, learnersOf(e, tab, nil), nil, nil, nil)
	}
	return append(row, learnersOf(e, tab, &c), percentOf(c.BytesDone, c.BytesTotal), c.BytesDone, c.BytesTotal)
}

// applied is the version that a replica has, as far as it is known: the catalog learns of a commit before the next report says
// so, and a report of what a copy has brought before the catalog does.
func applied(e *stmt.Env, tab *catalog.Tablet, r *catalog.Replica) types.Version {
	have := r.Version
	if seen, ok := e.Reported(r.BE, tab.ID); ok && seen.ID == r.ID {
		have = max(have, seen.Version)
	}
	return min(have, tab.Version)
}

func percentOf(part, whole int64) float64 {
	return math.Round(min(1, float64(part)/float64(whole))*1000) / 10
}

// learnersOf says of each learner of a tablet how far it is: 10004 37.5%, 12 versions behind, 8s left.
func learnersOf(e *stmt.Env, tab *catalog.Tablet, c *tabletctl.RunningTask) string {
	var out []string
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		if r.Role != types.RoleLearner {
			continue
		}
		copied, left := "waits for its copy", ""
		if c != nil && c.DestBE == r.BE {
			copied = fmt.Sprintf("%.1f%%", percentOf(c.BytesDone, c.BytesTotal))
			if ms := c.LeftMs(); ms >= 0 {
				left = fmt.Sprintf(", %ds left", (ms+999)/1000)
			}
		}
		behind := tab.Version - applied(e, tab, r)
		out = append(out, fmt.Sprintf("%d %s, %d versions behind%s", r.BE, copied, behind, left))
	}
	return strings.Join(out, "; ")
}

// memberStatus is what a replica is in its tablet at present.
func memberStatus(e *stmt.Env, tab *catalog.Tablet, r *catalog.Replica) string {
	switch {
	case !e.Alive(r.BE) || e.Lost(r.BE, tab.ID):
		return "offline"
	case tab.Leader == r.BE:
		return "leader"
	case r.Role == types.RoleLearner:
		return "learner"
	}
	return "follower"
}

// ready reports whether a tablet takes writes now.
func ready(e *stmt.Env, t *catalog.Table, tab *catalog.Tablet) bool {
	complete := 0
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		if r.Complete() && e.Alive(r.BE) && !e.Lost(r.BE, tab.ID) {
			complete++
		}
	}
	return tab.Leader != 0 && e.Alive(tab.Leader) && complete >= t.CommitNeed(tab)
}

var _ = stmt.Register(stmt.Statement{
	Name:   "show_db_alive",
	Syntax: "SHOW <db:ident> . ALIVE",
	Doc:    "One row that says whether every tablet of a database takes reads and writes now: SHOW CLUSTER ALIVE for one database.",
	Columns: stmt.Cols(`
		status int 0: no tablet has a leader that answers; 1: all have; 2: some have.
	`),
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		db, err := e.Database(a.String("db"))
		if err != nil {
			return nil, err
		}
		return aliveRow(e, func(yield func(*catalog.Tablet) bool) {
			for t := range e.Catalog.Tables(db.ID) {
				for tab := range e.Catalog.TabletsOfTable(t) {
					if !yield(tab) {
						return
					}
				}
			}
		}), nil
	},
	Examples: []string{"SHOW db1.ALIVE"},
})
