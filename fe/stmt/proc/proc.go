// Package proc is the tree of SHOW PROC: a path leads through nodes by name or id to a table, which is often what a statement of fe/stmt/admin shows.
// Nodes that need no argument are tables of stele as well. It changes nothing.
package proc

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"stele/fe/stmt"
	"stele/fe/stmt/admin"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "show_proc",
	Syntax: "SHOW PROC <path:string>",
	Doc: "The tree of the cluster's state. SHOW PROC '/' lists what is below the root, from backends to transactions. " +
		"Databases, tables and partitions are named by id or name. The columns depend on the path.",
	Do: func(_ context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		return showProc(e, a.String("path"))
	},
	Shows:    true,
	Examples: []string{"SHOW PROC '/backends'", "SHOW PROC '/dbs/db1/t1/partitions'", "SHOW PROC '/cluster_balance/pending_tablets'"},
})

// procCall is one look at a path.
type procCall struct {
	*stmt.Env
	path string
	rest []string // the parts below the node that is asked
}

// procError is the answer to a path that leads nowhere.
func procError(path, format string, args ...any) error {
	msg := stmt.Refusal(format, args...)
	return stmt.Refusal("Unknown proc node path: %s. msg: %s", path, msg.Error())
}

func (c procCall) fail(format string, args ...any) (stmt.Result, error) {
	return stmt.Result{}, procError(c.path, format, args...)
}

// missing says that nothing is at the path.
func (c procCall) missing() (stmt.Result, error) { return c.fail("Cannot find path: %s", c.path) }

// next takes the first part off the rest.
func (c procCall) next() (string, procCall) {
	part := c.rest[0]
	c.rest = c.rest[1:]
	return part, c
}

// table answers the node itself.
func (c procCall) table(columns []stmt.Column, rows []stmt.Row) (stmt.Result, error) {
	if len(c.rest) > 0 {
		return c.missing()
	}
	return stmt.Result{Columns: columns, Rows: rows}, nil
}

// procRoot is what is below the root.
var procRoot = map[string]func(procCall) (stmt.Result, error){
	"backends":        procBackends,
	"brokers":         empty(brokerColumns),
	"catalog":         procCatalogs,
	"cluster_balance": procBalance,
	"cluster_conflicts": func(c procCall) (stmt.Result, error) {
		return c.table(admin.ConflictColumns, admin.ConflictRows(c.Env))
	},
	"colocation_group":          procColocation,
	"compactions":               empty(compactionColumns),
	"compute_nodes":             empty(admin.ComputeNodeColumns),
	"current_backend_instances": empty(instanceColumns),
	"current_queries":           procQueries,
	"dbs":                       procDBs,
	"frontends": func(c procCall) (stmt.Result, error) {
		return c.table(admin.FrontendColumns, admin.FrontendRows(c.Env))
	},
	"global_current_queries": procQueries,
	"jobs":                   procDBList(procJobs),
	"load_error_hub":         empty(errorHubColumns),
	"memory":                 procMemory,
	"monitor":                procMonitor,
	"replications":           empty(replicationColumns),
	"resources":              empty(resourceColumns),
	"routine_loads":          empty(routineLoadColumns),
	"statistic":              procStatistic,
	"stream_loads":           empty(streamLoadColumns),
	"tasks":                  procTasks,
	"transactions":           procDBList(procTransactions),
	"historical_nodes":       empty(historicalColumns),
	"meta_recovery":          empty(recoveryColumns),
	"warehouses":             procWarehouses,
}

// procWarehouses answers the one warehouse that there is: all BEs.
func procWarehouses(c procCall) (stmt.Result, error) {
	n := 0
	for be := range c.Catalog.BEs() {
		if c.Alive(be.ID) {
			n++
		}
	}
	return c.table(warehouseColumns, []stmt.Row{{0, "default_warehouse", "AVAILABLE", n}})
}

var procNameColumns = stmt.Cols(`
	name text A node below.
`)

func showProc(e *stmt.Env, path string) (stmt.Result, error) {
	path, _, _ = strings.Cut(strings.TrimSpace(path), " ")
	if path == "" {
		return stmt.Result{}, stmt.Refusal("Path is null")
	}
	if !strings.HasPrefix(path, "/") {
		return stmt.Result{}, procError(path, "Path(%s) does not start with '/'", path)
	}
	c := procCall{Env: e, path: path}
	for part := range strings.SplitSeq(path, "/") {
		if part != "" {
			c.rest = append(c.rest, part)
		}
	}
	if len(c.rest) == 0 {
		return c.table(procNameColumns, names(procRoot))
	}
	part, c := c.next()
	node, ok := procRoot[part]
	if !ok {
		return c.missing()
	}
	return node(c)
}

// names are rows of the keys of a node.
func names[V any](node map[string]V) []stmt.Row {
	var rows []stmt.Row
	for name := range node {
		rows = append(rows, stmt.Row{name})
	}
	slices.SortFunc(rows, func(a, b stmt.Row) int { return strings.Compare(a[0].(string), b[0].(string)) })
	return rows
}

// backend finds the BE that a part names by id.
func (c procCall) backend(part string) (*catalog.BE, error) {
	if id, err := strconv.ParseUint(part, 10, 64); err == nil {
		if be, ok := c.Catalog.BE(types.BEID(id)); ok {
			return be, nil
		}
	}
	return nil, procError(c.path, "Backend[%s] does not exist.", part)
}

func procBackends(c procCall) (stmt.Result, error) {
	if len(c.rest) == 0 {
		return c.table(admin.BackendColumns, admin.BackendRows(c.Env))
	}
	part, c := c.next()
	be, err := c.backend(part)
	if err != nil {
		return stmt.Result{}, err
	}
	return c.table(admin.DiskColumns, admin.DiskRows(c.Env, be))
}

var taskColumns = stmt.Cols(`
	TaskType  text  CLONE, or Total.
	FailedNum int   Tasks that failed before and are tried again.
	TotalNum  int   Tasks that run.
`)

// procTasks counts the tasks that BEs work on. Clones are the only ones that an FE hands out and waits for.
func procTasks(c procCall) (stmt.Result, error) {
	total, failed := 0, 0
	if c.Control != nil {
		for _, t := range c.Control.Running() {
			total++
			if t.FailedRunning > 0 {
				failed++
			}
		}
	}
	if len(c.rest) == 0 {
		return c.table(taskColumns, []stmt.Row{{"CLONE", failed, total}, {"Total", failed, total}})
	}
	part, c := c.next()
	if part != "CLONE" {
		return c.fail("invalid type name: %s", part)
	}
	return procCloneTasks(c)
}

var (
	taskBEColumns = stmt.Cols(`
		BackendId text BE that copies, or Total.
		FailedNum int  Tasks that failed before and are tried again.
		TotalNum  int  Tasks that run.
	`)
	taskOneColumns = stmt.Cols(`
		TaskSignature int The tablet that is copied.
		FailedTimes   int Copies of it that failed before.
	`)
)

// procCloneTasks counts clones by the BE that copies, and lists those of one.
func procCloneTasks(c procCall) (stmt.Result, error) {
	tasks := tasksOf(c.Env, runningTasks)
	if len(c.rest) > 0 {
		part, c := c.next()
		be, err := c.backend(part)
		if err != nil {
			return stmt.Result{}, err
		}
		var rows []stmt.Row
		for _, t := range tasks {
			if t.DestBE == be.ID {
				rows = append(rows, stmt.Row{t.Tablet, t.FailedRunning})
			}
		}
		return c.table(taskOneColumns, rows)
	}
	var rows []stmt.Row
	total, failed := 0, 0
	for be := range c.Catalog.BEs() {
		n, again := 0, 0
		for _, t := range tasks {
			if t.DestBE != be.ID {
				continue
			}
			if n++; t.FailedRunning > 0 {
				again++
			}
		}
		if n > 0 {
			rows = append(rows, stmt.Row{be.ID.String(), again, n})
		}
		total, failed = total+n, failed+again
	}
	return c.table(taskBEColumns, append(rows, stmt.Row{"Total", failed, total}))
}
