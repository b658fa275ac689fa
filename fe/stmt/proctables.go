package stmt

import (
	"context"

	"stele/fe/sched"
	"stele/meta/catalog"
	"stele/meta/types"
)

// procTables are the nodes of SHOW PROC that are system tables as they are: one row each.
var procTables = []struct {
	name, path string
	columns    []Column
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
		registerTable(Table{Database: steleDB, Name: t.name, Doc: "SHOW PROC '" + t.path + "'.", Columns: t.columns,
			Rows: func(_ context.Context, e *Env) ([]Row, error) {
				res, err := showProc(e, t.path)
				return res.Rows, err
			}})
	}
}

// ofDBColumns and ofTableColumns name the database that the rows of a node are about, or the database and the table.
var (
	ofDBColumns = cols(`
		DbName name Database.
	`)
	ofTableColumns = cols(`
		DbName    name Database.
		TableName name Table.
	`)
)

// ofDatabases makes the rows of a table that has those of a node for each database.
func ofDatabases(rows func(e *Env, db *catalog.Database) []Row) func(context.Context, *Env) ([]Row, error) {
	return func(_ context.Context, e *Env) ([]Row, error) {
		var out []Row
		for db := range e.Catalog.Databases() {
			for _, row := range rows(e, db) {
				out = append(out, append(Row{db.Name}, row...))
			}
		}
		return out, nil
	}
}

// ofTables makes the rows of a table that has those of a node or a statement for each table of the users.
func ofTables(rows func(e *Env, t *catalog.Table) []Row) func(context.Context, *Env) ([]Row, error) {
	return ofDatabases(func(e *Env, db *catalog.Database) []Row {
		var out []Row
		for t := range e.Catalog.Tables(db.ID) {
			for _, row := range rows(e, t) {
				out = append(out, append(Row{t.Name}, row...))
			}
		}
		return out
	})
}

// procRows are the rows of a path below a database, or below a table.
func procRows(path func(c procCall) (Result, error), rest ...string) func(*Env) []Row {
	return func(e *Env) []Row {
		res, err := path(procCall{Env: e, rest: rest})
		if err != nil {
			return nil // it was dropped: nothing is there
		}
		return res.Rows
	}
}

var _ = registerTable(Table{Database: steleDB, Name: "proc_tables", Doc: "SHOW PROC '/dbs/<db>' of all databases.", Columns: concat(ofDBColumns, procTableColumns),
	Rows: ofDatabases(procTableRows)})

var _ = registerTable(Table{Database: steleDB, Name: "partitions", Doc: "SHOW PARTITIONS of all tables.", Columns: concat(ofTableColumns, partitionColumns),
	Rows: ofTables(partitionRows)})

var _ = registerTable(Table{Database: steleDB, Name: "index_schema", Doc: "SHOW PROC '/dbs/<db>/<table>/index_schema' of all tables.",
	Columns: concat(ofTableColumns, procSchemaColumns),
	Rows: ofTables(func(e *Env, t *catalog.Table) []Row {
		return procRows(func(c procCall) (Result, error) { return procSchema(c, t) })(e)
	})})

var _ = registerTable(Table{Database: steleDB, Name: "transactions", Doc: "SHOW PROC '/transactions/<db>/finished' of all databases.",
	Columns: concat(ofDBColumns, txnColumns),
	Rows: ofDatabases(func(e *Env, db *catalog.Database) []Row {
		return procRows(func(c procCall) (Result, error) { return procTransactions(c, db) }, "finished")(e)
	})})

var _ = registerTable(Table{Database: steleDB, Name: "running_transactions", Doc: "SHOW PROC '/transactions/<db>/running': those of all FEs that answer.", Columns: txnColumns,
	Rows: func(_ context.Context, e *Env) ([]Row, error) {
		var rows []Row
		for _, t := range e.running() {
			rows = append(rows, txnRow(t.ID, coordinator(e, t), "PREPARE", e.stamp(t.Since), "N/A"))
		}
		return rows, nil
	}})

var _ = registerTable(Table{Database: steleDB, Name: "jobs", Doc: "SHOW PROC '/jobs/<db>' of all databases.", Columns: concat(ofDBColumns, jobCountColumns),
	Rows: ofDatabases(func(e *Env, db *catalog.Database) []Row {
		return procRows(func(c procCall) (Result, error) { return procJobs(c, db) })(e)
	})})

var _ = registerTable(Table{Database: steleDB, Name: "cluster_load_stat", Doc: "SHOW PROC '/cluster_balance/cluster_load_stat/<medium>' of all media.",
	Columns: concat(mediumColumns, loadColumns),
	Rows: func(_ context.Context, e *Env) ([]Row, error) {
		var out []Row
		for _, m := range []types.Medium{types.MediumHDD, types.MediumSSD} {
			for _, row := range procRows(procLoads, m.String())(e) {
				out = append(out, append(Row{m.String()}, row...))
			}
		}
		return out, nil
	}})

var _ = registerTable(Table{Database: steleDB, Name: "replica_status", Doc: "ADMIN SHOW REPLICA STATUS of all tables: a row for each replica that is missing as well.",
	Columns: concat(ofTableColumns, replicaStatusColumns),
	Rows: ofTables(func(e *Env, t *catalog.Table) []Row {
		var rows []Row
		for _, p := range e.withKeys(t, allParts(t)) {
			for tab := range e.Catalog.TabletsOf(p) {
				rows = append(rows, tabletStatusRows(e, p, tab)...)
			}
		}
		return rows
	})})

var _ = registerTable(Table{Database: steleDB, Name: "replica_distribution", Doc: "ADMIN SHOW REPLICA DISTRIBUTION of all tables.",
	Columns: concat(ofTableColumns, distributionColumns),
	Rows: ofTables(func(e *Env, t *catalog.Table) []Row {
		return distributionRows(e, e.withKeys(t, allParts(t)))
	})})

var _ = registerTable(Table{Database: steleDB, Name: "table_sizes", Doc: "SHOW DATA of all databases, with bytes as numbers.",
	Columns: concat(ofTableColumns, cols(`
		Bytes        int Bytes of all replicas, as reported last.
		ReplicaCount int Replicas.
		RowCount     int Rows.
	`)),
	Rows: ofTables(func(e *Env, t *catalog.Table) []Row {
		s := wholeSize(e, t)
		return []Row{{s.bytes, s.replicas, s.rows}}
	})})

var _ = registerTable(Table{Database: steleDB, Name: "create_tables", Doc: "SHOW CREATE TABLE of all tables.",
	Columns: concat(ofTableColumns, cols(`
		CreateTable long The statement that makes the table.
	`)),
	Rows: ofTables(func(e *Env, t *catalog.Table) []Row {
		if e.CreateTable == nil {
			return nil
		}
		return []Row{{e.CreateTable(e.Catalog, t)}}
	})})

var _ = registerTable(Table{Database: steleDB, Name: "unhealthy_tablets",
	Doc: "The tablets that are not HEALTHY, with the rule that decided: what the control loop sees now. A dead BE counts as alive within its tolerance; UNAVAILABLE are tablets of which fewer than a majority answer meanwhile.",
	Columns: concat(ofTableColumns, cols(`
		TabletId int  The tablet.
		Status   name REPLICA_MISSING and so on, or UNAVAILABLE.
		Priority name VERY_HIGH, HIGH, NORMAL or LOW.
		Detail   text The counts that the rules look at. ADMIN EXPLAIN TABLET tells more.
	`)),
	Rows: func(_ context.Context, e *Env) ([]Row, error) {
		if e.Control == nil {
			return nil, nil
		}
		var rows []Row
		view, clock := e.Control.View(), e.Control.Clock()
		for i := range view.Tablets {
			t := &view.Tablets[i]
			if v := sched.Health(t, view, clock); !v.Well() {
				db, table := e.tabletNames(t.ID)
				rows = append(rows, Row{db, table, t.ID, v.Shown(), v.Priority.String(), v.Detail()})
			}
		}
		return rows, nil
	}})

var _ = registerTable(Table{Database: steleDB, Name: "safe_to_stop",
	Doc: "ADMIN SHOW SAFE TO STOP BACKEND of every BE. A BE without a row may be stopped.",
	Columns: concat(cols(`
		BackendId int The BE.
	`), hazardColumns),
	Rows: func(_ context.Context, e *Env) ([]Row, error) {
		if e.Control == nil {
			return nil, nil
		}
		var rows []Row
		view := e.Control.View()
		for be := range e.Catalog.BEs() {
			for _, row := range hazardRows(e, view, be.ID) {
				rows = append(rows, append(Row{be.ID}, row...))
			}
		}
		return rows, nil
	}})
