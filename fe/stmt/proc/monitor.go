package proc

import (
	"cmp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"stele/fe/stmt"
)

var (
	monitorColumns = stmt.Cols(`
		Name text jvm: the name by which scripts know it.
		Info text What is below.
	`)
	runtimeColumns = stmt.Cols(`
		Name  text What is measured in the process of this FE.
		Value text Its value.
	`)
	queryColumns = stmt.Cols(`
		StartTime     text When the statement began.
		feIp          text FE that runs it.
		QueryId       text Id of its connection: statements have none.
		ConnectionId  int  For KILL.
		Database      text The session's.
		User          text Who.
		ScanBytes     text NULL: not counted.
		ScanRows      text NULL: not counted.
		MemoryUsage   text NULL: not counted.
		DiskSpillSize text NULL: not counted.
		CPUTime       text NULL: not counted.
		ExecTime      text Seconds so far.
		ExecProgress  text NULL: not known.
		Warehouse     text default_warehouse.
		CustomQueryId text Empty.
		ResourceGroup text Empty.
	`)
	catalogColumns = stmt.Cols(`
		Catalog text default_catalog: the tables of this cluster.
		Type    text Internal.
		Comment text What it holds.
	`)
)

// procMonitor answers /monitor and /monitor/jvm.
func procMonitor(c procCall) (stmt.Result, error) {
	if len(c.rest) == 0 {
		return c.table(monitorColumns, []stmt.Row{{"jvm", "The process of this FE: memory, collector, goroutines."}})
	}
	part, c := c.next()
	if part != "jvm" {
		return c.missing()
	}
	return c.table(runtimeColumns, runtimeRows(c.Env))
}

// runtimeRows measure the process of this FE.
func runtimeRows(e *stmt.Env) []stmt.Row {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	started := time.Duration(0)
	if !e.Started.IsZero() {
		started = e.Now.Sub(e.Started)
	}
	return []stmt.Row{
		{"version", runtime.Version()}, {"processors", strconv.Itoa(runtime.GOMAXPROCS(0))}, {"goroutines", strconv.Itoa(runtime.NumGoroutine())},
		{"uptime seconds", strconv.Itoa(int(started.Seconds()))}, {"heap used", stmt.Capacity(int64(mem.HeapAlloc))},
		{"heap from the system", stmt.Capacity(int64(mem.HeapSys))}, {"memory limit", stmt.Capacity(debug.SetMemoryLimit(-1))},
		{"collections", strconv.Itoa(int(mem.NumGC))}, {"collection pause total ms", strconv.FormatUint(mem.PauseTotalNs/1e6, 10)},
	}
}

// procQueries lists the statements that run on this FE.
func procQueries(c procCall) (stmt.Result, error) {
	if c.Processes == nil {
		return c.table(queryColumns, nil)
	}
	all := c.Processes()
	slices.SortFunc(all, func(a, b stmt.Process) int { return cmp.Compare(a.ID, b.ID) })
	var rows []stmt.Row
	for _, p := range all {
		if p.Text == "" {
			continue
		}
		id := strconv.FormatUint(p.ID, 10)
		rows = append(rows, stmt.Row{c.Stamp(p.Since), ownName(c.Env), id, p.ID, p.DB, p.User, nil, nil, nil, nil, nil,
			strconv.FormatFloat(c.Now.Sub(p.Since).Seconds(), 'f', 3, 64), nil, "default_warehouse", "", ""})
	}
	return c.table(queryColumns, rows)
}

// procCatalogs lists the one catalog of tables.
func procCatalogs(c procCall) (stmt.Result, error) {
	return c.table(catalogColumns, []stmt.Row{{"default_catalog", "Internal", "The tables of this cluster"}})
}
