package stmt

import (
	"context"

	"stele/meta/catalog"
	"stele/sql/syntax"
)

var frontendColumns = cols(`
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
	ErrMsg            text  Why it does not answer.
	StartTime         text  When the process started.
	Version           text  Version of the process.
`)

var _ = register(Statement{
	Name: "show_frontends", Table: "frontends", Like: "Name", Alone: true,
	Syntax: "SHOW FRONTENDS [LIKE <like:string>] [WHERE <where:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc: "One row per FE: addresses, role in Raft and how far its copy of the catalog is. LIKE looks at the name. " +
		"While no FE leads, the FE that is asked answers from what it knows: only itself is alive.",
	Columns: frontendColumns,
	Rows: func(_ context.Context, e *Env, _ syntax.Args) ([]Row, error) {
		return frontendRows(e), nil
	},
	Examples: []string{"SHOW FRONTENDS", "SHOW FRONTENDS WHERE Role = 'LEADER'"},
})

// frontendRows are the rows of SHOW FRONTENDS and /frontends.
func frontendRows(e *Env) []Row {
	live := e.liveFrontends()
	var rows []Row
	for fe := range e.Catalog.FEs() {
		rows = append(rows, frontendRow(e, fe, live[fe.Name]))
	}
	return rows
}

// liveFrontends is what FEs are known to be now, by name.
func (e *Env) liveFrontends() map[string]Frontend {
	live := map[string]Frontend{}
	if e.Frontends != nil {
		for _, f := range e.Frontends() {
			live[f.Name] = f
		}
	}
	return live
}

func frontendRow(e *Env, fe *catalog.FE, f Frontend) Row {
	role := f.Role
	if role == "" {
		role = "FOLLOWER"
	}
	return Row{fe.ID, fe.Name, fe.Host, fe.RaftPort, fe.HTTPPort, fe.QueryPort, fe.RPCPort, role, string(e.Catalog.ClusterID()),
		f.Join, f.Alive, f.Journal, e.stamp(f.Heartbeat), role != "OBSERVER", f.Err, e.stamp(f.Started), f.Version}
}

var _ = register(Statement{
	Name: "show_cluster", Table: "cluster",
	Syntax: "SHOW CLUSTER",
	Doc:    "One row: the cluster that this FE belongs to.",
	Columns: cols(`
		id          text  Id of the cluster, drawn at its first start; nodes of another cluster are refused by it.
		name        text  The same: clusters are told apart by id.
		uptime      int   Seconds since this FE started.
		create_time text  When the cluster was made.
		version     text  Version of this FE.
		expire_time text  unlimited: there is no licence to expire.
	`),
	Rows: func(_ context.Context, e *Env, _ syntax.Args) ([]Row, error) {
		var uptime any
		if !e.Started.IsZero() {
			uptime = int64(e.Now.Sub(e.Started).Seconds())
		}
		id := string(e.Catalog.ClusterID())
		return []Row{{id, id, uptime, e.stampMs(e.Catalog.CreatedMs()), e.Version, "unlimited"}}, nil
	},
	Examples: []string{"SHOW CLUSTER"},
})
