package admin

import (
	"context"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/sql/syntax"
)

// FrontendColumns are those of SHOW FRONTENDS and /frontends.
var FrontendColumns = stmt.Cols(`
	Id                int   Id of the FE.
	Name              text  host_port_milliseconds of when it joined.
	IP                text  Host.
	EditLogPort       int   Port of Raft.
	HttpPort          int   Port of the page that shows the cluster, system tables as JSON, metrics and profiles.
	QueryPort         int   Port of MySQL clients.
	RpcPort           int   Port of BEs and other FEs.
	Role              text  LEADER, FOLLOWER or OBSERVER.
	ClusterId         text  Id of the cluster.
	Join              text  Whether it is in the Raft group as its role says: a follower votes.
	Alive             text  Whether it answers MySQL clients.
	ReplayedJournalId int   Index of the last Raft entry that it has applied.
	LastHeartbeat     text  When it last answered.
	IsHelper          text  Whether a new FE may join through it.
	ErrMsg            text  Why it does not answer, or what else is wrong with it.
	StartTime         text  When the process started.
	Version           text  Version of the process.
`)

var _ = stmt.Register(stmt.Statement{
	Name: "show_frontends", Table: "frontends", Like: "Name", Alone: true,
	Syntax: "SHOW FRONTENDS [LIKE <like:string>] [WHERE <where:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc: "One row per FE: addresses, role in Raft and how far its copy of the catalog is. LIKE looks at the name. " +
		"While no FE leads, the FE that is asked answers from what it knows: only itself is alive.",
	Columns: FrontendColumns,
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		return FrontendRows(e), nil
	},
	Examples: []string{"SHOW FRONTENDS", "SHOW FRONTENDS WHERE Role = 'LEADER'"},
})

// FrontendRows are the rows of SHOW FRONTENDS and /frontends.
func FrontendRows(e *stmt.Env) []stmt.Row {
	live := e.LiveFrontends()
	var rows []stmt.Row
	for fe := range e.Catalog.FEs() {
		rows = append(rows, frontendRow(e, fe, live[fe.Name]))
	}
	return rows
}

func frontendRow(e *stmt.Env, fe *catalog.FE, f stmt.Frontend) stmt.Row {
	role := f.Role
	if role == "" {
		role = "FOLLOWER"
	}
	return stmt.Row{fe.ID, fe.Name, fe.Host, fe.RaftPort, fe.HTTPPort, fe.QueryPort, fe.RPCPort, role, string(e.Catalog.ClusterID()),
		f.Join, f.Alive, f.Journal, e.Stamp(f.Heartbeat), role != "OBSERVER", f.Err, e.Stamp(f.Started), f.Version}
}

var _ = stmt.Register(stmt.Statement{
	Name: "show_cluster", Table: "cluster",
	Syntax: "SHOW CLUSTER",
	Doc:    "One row: the cluster that this FE belongs to.",
	Columns: stmt.Cols(`
		id          text  Id of the cluster, drawn at its first start; nodes of another cluster are refused by it.
		name        text  The same: clusters are told apart by id.
		uptime      int   Seconds since this FE started.
		create_time text  When the cluster was made.
		version     text  Version of this FE.
		expire_time text  unlimited: there is no licence to expire.
	`),
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		var uptime any
		if !e.Started.IsZero() {
			uptime = int64(e.Now.Sub(e.Started).Seconds())
		}
		id := string(e.Catalog.ClusterID())
		return []stmt.Row{{id, id, uptime, e.StampMs(e.Catalog.CreatedMs()), e.Version, "unlimited"}}, nil
	},
	Examples: []string{"SHOW CLUSTER"},
})
