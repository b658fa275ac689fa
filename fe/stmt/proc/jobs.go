package proc

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/types"
)

// shownTransactions bounds the lists below /transactions.
const shownTransactions = 2000

var (
	procNameOfDBColumns = stmt.Cols(`
		DbId   int  Id of the database.
		DbName text Its name.
	`)
	jobCountColumns = stmt.Cols(`
		JobType   text load, rollup, schema_change or export.
		Pending   int  Always 0: nothing is queued, statements begin at once.
		Running   int  ALTER TABLE statements that run.
		Finished  int  Loads that are remembered: /transactions has the same.
		Cancelled int  Always 0: a statement that fails says so to its client.
		Total     int  The sum.
	`)
	txnCountColumns = stmt.Cols(`
		State  text running or finished.
		Number int  How many. Running ones belong to no database before they are committed: they are counted in each.
	`)
	txnColumns = stmt.Cols(`
		TransactionId      int  The transaction.
		Label              text insert_<id>: there are no labels.
		Coordinator        text FE that runs it, N/A when it is over.
		TransactionStatus  text PREPARE, VISIBLE or ABORTED.
		LoadJobSourceType  text INSERT_STREAMING.
		PrepareTime        text When it began; N/A when it is over.
		CommitTime         text When it was decided.
		PublishTime        text The same.
		FinishTime         text The same.
		Reason             text Empty.
		ErrorReplicasCount int  Always 0: ADMIN SHOW REPLICA STATUS shows replicas that missed versions.
		ListenerId         int  Always -1.
		TimeoutMs          int  0: a session decides.
		ErrMsg             text Empty.
	`)
	txnTableColumns = stmt.Cols(`
		TableId               int  Table that it wrote to.
		CommittedPartitionIds text Partitions of it.
	`)
	txnPartitionColumns = stmt.Cols(`
		PartitionId      int Partition that it wrote to.
		CommittedVersion int Highest version that it gave a tablet of the partition.
	`)
)

// jobKinds are the children of /jobs/<db>, with their columns.
var jobKinds = []struct {
	name    string
	columns []stmt.Column
}{
	{"load", stmt.Cols(`
		JobId text The transaction: every INSERT, UPDATE, DELETE and LOAD DATA is one.
		Label text insert_<id>: there are no labels.
		State text -
		Progress text -
		Type text -
		Priority text -
		ScanRows text -
		FilteredRows text -
		UnselectedRows text -
		SinkRows text -
		EtlInfo text -
		TaskInfo text -
		ErrorMsg text -
		CreateTime text -
		EtlStartTime text -
		EtlFinishTime text -
		LoadStartTime text -
		LoadFinishTime text -
		TrackingSQL text -
		JobDetails text -
		Warehouse text -
	`)},
	{"rollup", stmt.Cols(`
		JobId text None: there are no rollups.
		TableName text -
		CreateTime text -
		FinishedTime text -
		BaseIndexName text -
		RollupIndexName text -
		RollupId text -
		TransactionId text -
		State text -
		Msg text -
		Progress text -
		Timeout text -
	`)},
	{"schema_change", stmt.Cols(`
		JobId text The session of an ALTER TABLE that runs; it answers when it is done, and nothing is kept of it.
		TableName text -
		CreateTime text -
		FinishTime text -
		IndexName text -
		IndexId text -
		OriginIndexId text -
		SchemaVersion text -
		TransactionId text -
		State text -
		Msg text -
		Progress text -
		Timeout text -
	`)},
	{"export", stmt.Cols(`
		JobId text None: there is no EXPORT.
		QueryId text -
		State text -
		Progress text -
		TaskInfo text -
		Path text -
		CreateTime text -
		StartTime text -
		FinishTime text -
		Timeout text -
		ErrorMsg text -
	`)},
	{"optimize", stmt.Cols(`
		JobId text None: rows are spread anew by repairs and the balancer, not by jobs.
		TableName text -
		CreateTime text -
		FinishTime text -
		Operation text -
		TransactionId text -
		State text -
		Msg text -
		Progress text -
		Timeout text -
		Warehouse text -
	`)},
	{"delete", stmt.Cols(`
		TableName text None: DELETE answers when it is done.
		PartitionName text -
		CreateTime text -
		DeleteCondition text -
		State text -
	`)},
}

// procDBList is a node whose children are the databases.
func procDBList(each func(procCall, *catalog.Database) (stmt.Result, error)) func(procCall) (stmt.Result, error) {
	return func(c procCall) (stmt.Result, error) {
		if len(c.rest) == 0 {
			var rows []stmt.Row
			for db := range c.Catalog.Databases() {
				rows = append(rows, stmt.Row{db.ID, db.Name})
			}
			return c.table(procNameOfDBColumns, rows)
		}
		part, c := c.next()
		db := c.dbNamed(part)
		if db == nil {
			return c.fail("Invalid db id: %s", part)
		}
		return each(c, db)
	}
}

// procJobs answers /jobs/<db> and below.
func procJobs(c procCall, db *catalog.Database) (stmt.Result, error) {
	rows := map[string][]stmt.Row{"load": loadJobs(c.Env, db), "schema_change": alterJobs(c.Env, db)}
	if len(c.rest) == 0 {
		var counts []stmt.Row
		for _, k := range jobKinds[:4] {
			n, running, finished := len(rows[k.name]), 0, 0
			if k.name == "schema_change" {
				running = n
			} else {
				finished = n
			}
			counts = append(counts, stmt.Row{k.name, 0, running, finished, 0, n})
		}
		return c.table(jobCountColumns, counts)
	}
	part, c := c.next()
	for _, k := range jobKinds {
		if k.name == part {
			list := rows[part]
			return c.table(k.columns, list[:min(len(list), shownTransactions)])
		}
	}
	return c.fail("Invalid job type: %s", part)
}

// loadJobs are the committed transactions of a database that are remembered still, as StarRocks shows an INSERT.
func loadJobs(e *stmt.Env, db *catalog.Database) []stmt.Row {
	var rows []stmt.Row
	for _, t := range finishedIn(e, db) {
		at := e.StampMs(t.TimeMs)
		rows = append(rows, stmt.Row{t.ID.String(), "insert_" + t.ID.String(), "FINISHED", "ETL:100%; LOAD:100%", "INSERT", "NORMAL", nil, nil, nil, nil, "N/A", "N/A",
			"", "N/A", "N/A", "N/A", "N/A", at, "", "", "default_warehouse"})
	}
	return rows
}

// alterJobs are the ALTER TABLE statements that sessions of a database run now.
func alterJobs(e *stmt.Env, db *catalog.Database) []stmt.Row {
	if e.Processes == nil {
		return nil
	}
	var rows []stmt.Row
	for _, p := range e.Processes() {
		words := strings.Fields(p.Text)
		if !strings.EqualFold(p.DB, db.Name) || p.Command == "Sleep" || len(words) < 3 || !strings.EqualFold(words[0], "ALTER") || !strings.EqualFold(words[1], "TABLE") {
			continue
		}
		rows = append(rows, stmt.Row{strconv.FormatUint(p.ID, 10), strings.Trim(words[2], "`"), e.Stamp(p.Since), "N/A", nil, nil, nil, nil, -1, "RUNNING", p.Text, "N/A", nil})
	}
	return rows
}

// procTransactions answers /transactions/<db> and below.
func procTransactions(c procCall, db *catalog.Database) (stmt.Result, error) {
	finished := finishedIn(c.Env, db)
	if len(c.rest) == 0 {
		return c.table(txnCountColumns, []stmt.Row{{"running", len(runningTransactions(c.Env))}, {"finished", len(finished)}})
	}
	part, c := c.next()
	if part != "running" && part != "finished" {
		return c.fail("State is invalid")
	}
	if len(c.rest) > 0 {
		return procTransaction(c, db)
	}
	var rows []stmt.Row
	if part == "running" {
		for _, t := range runningTransactions(c.Env) {
			rows = append(rows, txnRow(t.ID, coordinator(c.Env, t), "PREPARE", c.Stamp(t.Since), "N/A"))
		}
	} else {
		for _, t := range finished {
			rows = append(rows, txnRow(t.ID, "N/A", "VISIBLE", "N/A", c.StampMs(t.TimeMs)))
		}
	}
	return c.table(txnColumns, rows[:min(len(rows), shownTransactions)])
}

// coordinator is the FE that runs a transaction. Of one that is over nobody remembers it.
func coordinator(e *stmt.Env, t stmt.Transaction) string {
	if t.Frontend != "" {
		return "FE: " + t.Frontend
	}
	return "FE: " + ownName(e)
}

func txnRow(id types.TxnID, coordinator, status, begun, ended string) stmt.Row {
	return stmt.Row{uint64(id), "insert_" + id.String(), coordinator, status, "INSERT_STREAMING", begun, ended, ended, ended, "", 0, -1, 0, ""}
}

// ownName is the name of this FE.
func ownName(e *stmt.Env) string {
	if e.Frontends == nil {
		return ""
	}
	for _, f := range e.Frontends() {
		if f.Self {
			return f.Name
		}
	}
	return ""
}

// runningTransactions are the transactions of all FEs, newest first.
func runningTransactions(e *stmt.Env) []stmt.Transaction {
	if e.Transactions == nil {
		return nil
	}
	out := e.Transactions()
	slices.SortFunc(out, func(a, b stmt.Transaction) int { return cmp.Compare(b.ID, a.ID) })
	return out
}

// finishedIn are the committed transactions that wrote to a database and are remembered still, newest first.
func finishedIn(e *stmt.Env, db *catalog.Database) []catalog.CommittedTxn {
	var out []catalog.CommittedTxn
	for t := range e.Catalog.Committed() {
		if len(writtenTables(e, db, t.Tablets)) > 0 {
			out = append(out, t)
		}
	}
	slices.Reverse(out)
	return out
}

// writtenTables are the tables of a database that have some of the tablets, with these.
func writtenTables(e *stmt.Env, db *catalog.Database, tablets []catalog.TabletVersion) map[types.TableID][]catalog.TabletVersion {
	out := map[types.TableID][]catalog.TabletVersion{}
	for _, tv := range tablets {
		tab, ok := e.Catalog.Tablet(tv.Tablet)
		if !ok {
			continue
		}
		if t, ok := e.Catalog.TableByID(tab.Table); ok && t.DatabaseID == db.ID {
			out[t.ID] = append(out[t.ID], tv)
		}
	}
	return out
}

// procTransaction answers a transaction: the tables it wrote to, and below them the partitions.
func procTransaction(c procCall, db *catalog.Database) (stmt.Result, error) {
	part, c := c.next()
	id, err := strconv.ParseUint(part, 10, 64)
	if err != nil {
		return c.fail("Invalid transaction id: %s", part)
	}
	tablets, _ := c.Catalog.TxnTablets(types.TxnID(id))
	written := writtenTables(c.Env, db, tablets)
	if len(c.rest) > 0 {
		return procTransactionTable(c, written)
	}
	var rows []stmt.Row
	for table, tvs := range written {
		ids := []types.TabletID{}
		for p := range versionsByPartition(c.Env, tvs) {
			ids = append(ids, types.TabletID(p))
		}
		slices.Sort(ids)
		rows = append(rows, stmt.Row{table, idList(ids)})
	}
	slices.SortFunc(rows, func(a, b stmt.Row) int { return cmp.Compare(a[0].(types.TableID), b[0].(types.TableID)) })
	return c.table(txnTableColumns, rows)
}

func procTransactionTable(c procCall, written map[types.TableID][]catalog.TabletVersion) (stmt.Result, error) {
	part, c := c.next()
	id, err := strconv.ParseUint(part, 10, 64)
	if err != nil {
		return c.fail("Invalid table id: %s", part)
	}
	var rows []stmt.Row
	for p, v := range versionsByPartition(c.Env, written[types.TableID(id)]) {
		rows = append(rows, stmt.Row{p, v})
	}
	slices.SortFunc(rows, func(a, b stmt.Row) int { return cmp.Compare(a[0].(types.PartitionID), b[0].(types.PartitionID)) })
	return c.table(txnPartitionColumns, rows)
}

func versionsByPartition(e *stmt.Env, tvs []catalog.TabletVersion) map[types.PartitionID]types.Version {
	out := map[types.PartitionID]types.Version{}
	for _, tv := range tvs {
		if tab, ok := e.Catalog.Tablet(tv.Tablet); ok {
			out[tab.Partition] = max(out[tab.Partition], tv.Version)
		}
	}
	return out
}
