package admin

import (
	"context"

	"stele/fe/stmt"
	"stele/sql/syntax"
)

// ConflictColumns are those of what was refused as being of another cluster.
var ConflictColumns = stmt.Cols(`
	node       name Node that met it: the name of an FE, or be and its id.
	via        name rpc (it called), call (it was called), raft, gossip, or disk (a storage_root_path).
	address    text Where it is: host, host:port or path.
	cluster_id text Id of its cluster, empty when it has not said.
	detail     text What it wanted, and what can be done.
	count      int  How many times it was refused since first_seen.
	first_seen text When it was met first.
	last_seen  text When it was met last; it is forgotten 10 minutes later.
`)

var _ = stmt.Register(stmt.Statement{
	Name: "show_cluster_conflicts", Table: "cluster_conflicts", Like: "address",
	Syntax: "SHOW CLUSTER CONFLICTS [LIKE <like:string>] [WHERE <where:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc: "One row per node or disk of another cluster that a node of this one has met and refused: an FE that was started anew on a blank disk, a disk " +
		"that was mounted on the wrong machine, a BE that two clusters claim. Nothing on a foreign disk is touched. LIKE looks at the address.",
	Columns: ConflictColumns,
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		return ConflictRows(e), nil
	},
	Examples: []string{"SHOW CLUSTER CONFLICTS", "SHOW CLUSTER CONFLICTS WHERE via = 'disk'"},
})

// ConflictRows are the rows of SHOW CLUSTER CONFLICTS and /cluster_conflicts.
func ConflictRows(e *stmt.Env) []stmt.Row {
	if e.Strangers == nil {
		return nil
	}
	var rows []stmt.Row
	for _, s := range e.Strangers() {
		rows = append(rows, stmt.Row{s.Node, s.Via, s.Address, string(s.Cluster), s.Detail, s.Count, e.Stamp(s.First), e.Stamp(s.Last)})
	}
	return rows
}
