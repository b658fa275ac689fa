package proc

import (
	"context"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/types"
)

// procTables are the nodes of SHOW PROC that are system tables as they are: one row each.
var procTables = []struct {
	name, path string
	columns    []stmt.Column
}{
	{"all_tablets", "/cluster_balance/all_tablets", tabletIDColumns},
	{"balance_stat", "/cluster_balance/balance_stat", balanceStatColumns},
	{"brokers", "/brokers", brokerColumns},
	{"catalogs", "/catalog", catalogColumns},
	{"cluster_balance", "/cluster_balance", balanceColumns},
	{"compactions", "/compactions", compactionColumns},
	{"current_backend_instances", "/current_backend_instances", instanceColumns},
	{"current_queries", "/current_queries", queryColumns},
	{"historical_nodes", "/historical_nodes", historicalColumns},
	{"history_tablets", "/cluster_balance/history_tablets", procTaskColumns},
	{"load_error_hub", "/load_error_hub", errorHubColumns},
	{"meta_recovery", "/meta_recovery", recoveryColumns},
	{"memory", "/memory", memoryColumns},
	{"monitor", "/monitor/jvm", runtimeColumns},
	{"pending_tablets", "/cluster_balance/pending_tablets", procTaskColumns},
	{"priority_repair", "/cluster_balance/priority_repair", hintColumns},
	{"proc_databases", "/dbs", procDBColumns},
	{"replications", "/replications", replicationColumns},
	{"resources", "/resources", resourceColumns},
	{"routine_loads", "/routine_loads", routineLoadColumns},
	{"running_tablets", "/cluster_balance/running_tablets", procTaskColumns},
	{"sched_stat", "/cluster_balance/sched_stat", statColumns},
	{"stream_loads", "/stream_loads", streamLoadColumns},
	{"tasks", "/tasks", taskColumns},
	{"tasks_of_backends", "/tasks/CLONE", taskBEColumns},
	{"warehouses", "/warehouses", warehouseColumns},
	{"working_slots", "/cluster_balance/working_slots", slotColumns},
}

func init() {
	for _, t := range procTables {
		stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: t.name, Doc: "SHOW PROC '" + t.path + "'.", Columns: t.columns,
			Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
				res, err := showProc(e, t.path)
				return res.Rows, err
			}})
	}
}

// procRows are the rows of a path below a database, or below a table.
func procRows(path func(c procCall) (stmt.Result, error), rest ...string) func(*stmt.Env) []stmt.Row {
	return func(e *stmt.Env) []stmt.Row {
		res, err := path(procCall{Env: e, rest: rest})
		if err != nil {
			return nil // it was dropped: nothing is there
		}
		return res.Rows
	}
}

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "proc_tables", Doc: "SHOW PROC '/dbs/<db>' of all databases.", Columns: stmt.Concat(stmt.OfDBColumns, procTableColumns),
	Rows: stmt.OfDatabases(procTableRows)})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "index_schema", Doc: "SHOW PROC '/dbs/<db>/<table>/index_schema' of all tables.",
	Columns: stmt.Concat(stmt.OfTableColumns, procSchemaColumns),
	Rows: stmt.OfTables(func(e *stmt.Env, t *catalog.Table) []stmt.Row {
		return procRows(func(c procCall) (stmt.Result, error) { return procSchema(c, t) })(e)
	})})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "transactions", Doc: "SHOW PROC '/transactions/<db>/finished' of all databases.",
	Columns: stmt.Concat(stmt.OfDBColumns, txnColumns),
	Rows: stmt.OfDatabases(func(e *stmt.Env, db *catalog.Database) []stmt.Row {
		return procRows(func(c procCall) (stmt.Result, error) { return procTransactions(c, db) }, "finished")(e)
	})})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "running_transactions", Doc: "SHOW PROC '/transactions/<db>/running': those of all FEs that answer.", Columns: txnColumns,
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		var rows []stmt.Row
		for _, t := range runningTransactions(e) {
			rows = append(rows, txnRow(t.ID, coordinator(e, t), "PREPARE", e.Stamp(t.Since), "N/A"))
		}
		return rows, nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "jobs", Doc: "SHOW PROC '/jobs/<db>' of all databases.", Columns: stmt.Concat(stmt.OfDBColumns, jobCountColumns),
	Rows: stmt.OfDatabases(func(e *stmt.Env, db *catalog.Database) []stmt.Row {
		return procRows(func(c procCall) (stmt.Result, error) { return procJobs(c, db) })(e)
	})})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "cluster_load_stat", Doc: "SHOW PROC '/cluster_balance/cluster_load_stat/<medium>' of all media.",
	Columns: stmt.Concat(mediumColumns, loadColumns),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		var out []stmt.Row
		for _, m := range []types.Medium{types.MediumHDD, types.MediumSSD} {
			for _, row := range procRows(procLoads, m.String())(e) {
				out = append(out, append(stmt.Row{m.String()}, row...))
			}
		}
		return out, nil
	}})
