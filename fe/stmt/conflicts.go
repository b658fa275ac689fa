package stmt

import (
	"context"

	"stele/sql/syntax"
)

var conflictColumns = cols(`
	node       name Node that met it: the name of an FE, or be and its id.
	via        name rpc (it called), call (it was called), raft, gossip, or disk (a storage_root_path).
	address    text Where it is: host, host:port or path.
	cluster_id text Id of its cluster, empty when it has not said.
	detail     text What it wanted, and what can be done.
	count      int  How many times it was refused since first_seen.
	first_seen text When it was met first.
	last_seen  text When it was met last; it is forgotten 10 minutes later.
`)

var _ = register(Statement{
	Name: "show_cluster_conflicts", Table: "cluster_conflicts", Like: "address",
	Syntax: "SHOW CLUSTER CONFLICTS [LIKE <like:string>] [WHERE <where:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc: "One row per node or disk of another cluster that a node of this one has met and refused: an FE that was started anew on a blank disk, a disk " +
		"that was mounted on the wrong machine, a BE that two clusters claim. Nothing on a foreign disk is touched. LIKE looks at the address.",
	Columns: conflictColumns,
	Rows: func(_ context.Context, e *Env, _ syntax.Args) ([]Row, error) {
		return conflictRows(e), nil
	},
	Examples: []string{"SHOW CLUSTER CONFLICTS", "SHOW CLUSTER CONFLICTS WHERE via = 'disk'"},
})

// conflictRows are the rows of SHOW CLUSTER CONFLICTS and /cluster_conflicts.
func conflictRows(e *Env) []Row {
	if e.Strangers == nil {
		return nil
	}
	var rows []Row
	for _, s := range e.Strangers() {
		rows = append(rows, Row{s.Node, s.Via, s.Address, string(s.Cluster), s.Detail, s.Count, e.stamp(s.First), e.stamp(s.Last)})
	}
	return rows
}
