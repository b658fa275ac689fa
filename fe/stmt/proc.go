package stmt

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/syntax"
)

var _ = register(Statement{
	Name:   "show_proc",
	Syntax: "SHOW PROC <path:string>",
	Doc: "The tree of the cluster's state. SHOW PROC '/' lists what is below the root, from backends to transactions. " +
		"Databases, tables and partitions are named by id or name. The columns depend on the path.",
	Do: func(_ context.Context, e *Env, a syntax.Args) (Result, error) {
		return showProc(e, a.String("path"))
	},
	Examples: []string{"SHOW PROC '/backends'", "SHOW PROC '/dbs/db1/t1/partitions'", "SHOW PROC '/cluster_balance/pending_tablets'"},
})

// procCall is one look at a path.
type procCall struct {
	*Env
	path string
	rest []string // the parts below the node that is asked
}

// procError is the answer to a path that leads nowhere.
func procError(path, format string, args ...any) error {
	msg := refusal(format, args...)
	return refusal("Unknown proc node path: %s. msg: %s", path, msg.Error())
}

func (c procCall) fail(format string, args ...any) (Result, error) {
	return Result{}, procError(c.path, format, args...)
}

// missing says that nothing is at the path.
func (c procCall) missing() (Result, error) { return c.fail("Cannot find path: %s", c.path) }

// next takes the first part off the rest.
func (c procCall) next() (string, procCall) {
	part := c.rest[0]
	c.rest = c.rest[1:]
	return part, c
}

// table answers the node itself.
func (c procCall) table(columns []Column, rows []Row) (Result, error) {
	if len(c.rest) > 0 {
		return c.missing()
	}
	return Result{Columns: columns, Rows: rows}, nil
}

// procRoot is what is below the root.
var procRoot = map[string]func(procCall) (Result, error){
	"backends":                  procBackends,
	"brokers":                   empty(brokerColumns),
	"catalog":                   procCatalogs,
	"cluster_balance":           procBalance,
	"cluster_conflicts":         func(c procCall) (Result, error) { return c.table(conflictColumns, conflictRows(c.Env)) },
	"colocation_group":          procColocation,
	"compactions":               empty(compactionColumns),
	"compute_nodes":             empty(computeNodeColumns),
	"current_backend_instances": empty(instanceColumns),
	"current_queries":           procQueries,
	"dbs":                       procDBs,
	"frontends":                 func(c procCall) (Result, error) { return c.table(frontendColumns, frontendRows(c.Env)) },
	"global_current_queries":    procQueries,
	"jobs":                      procDBList(procJobs),
	"load_error_hub":            empty(errorHubColumns),
	"memory":                    procMemory,
	"monitor":                   procMonitor,
	"replications":              empty(replicationColumns),
	"resources":                 empty(resourceColumns),
	"routine_loads":             empty(routineLoadColumns),
	"statistic":                 procStatistic,
	"stream_loads":              empty(streamLoadColumns),
	"tasks":                     procTasks,
	"transactions":              procDBList(procTransactions),
	"historical_nodes":          empty(historicalColumns),
	"meta_recovery":             empty(recoveryColumns),
	"warehouses":                procWarehouses,
}

// procWarehouses answers the one warehouse that there is: all BEs.
func procWarehouses(c procCall) (Result, error) {
	n := 0
	for be := range c.Catalog.BEs() {
		if c.alive(be.ID) {
			n++
		}
	}
	return c.table(warehouseColumns, []Row{{0, "default_warehouse", "AVAILABLE", n}})
}

var procNameColumns = cols(`
	name text A node below.
`)

func showProc(e *Env, path string) (Result, error) {
	path, _, _ = strings.Cut(strings.TrimSpace(path), " ")
	if path == "" {
		return Result{}, refusal("Path is null")
	}
	if !strings.HasPrefix(path, "/") {
		return Result{}, procError(path, "Path(%s) does not start with '/'", path)
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
func names[V any](node map[string]V) []Row {
	var rows []Row
	for name := range node {
		rows = append(rows, Row{name})
	}
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a[0].(string), b[0].(string)) })
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

func procBackends(c procCall) (Result, error) {
	if len(c.rest) == 0 {
		return c.table(backendColumns, backendRows(c.Env))
	}
	part, c := c.next()
	be, err := c.backend(part)
	if err != nil {
		return Result{}, err
	}
	return c.table(diskColumns, diskRows(c.Env, be))
}

var taskColumns = cols(`
	TaskType  text  CLONE, or Total.
	FailedNum int   Tasks that failed before and are tried again.
	TotalNum  int   Tasks that run.
`)

// procTasks counts the tasks that BEs work on. Clones are the only ones that an FE hands out and waits for.
func procTasks(c procCall) (Result, error) {
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
		return c.table(taskColumns, []Row{{"CLONE", failed, total}, {"Total", failed, total}})
	}
	part, c := c.next()
	if part != "CLONE" {
		return c.fail("invalid type name: %s", part)
	}
	return procCloneTasks(c)
}

var (
	taskBEColumns = cols(`
		BackendId text BE that copies, or Total.
		FailedNum int  Tasks that failed before and are tried again.
		TotalNum  int  Tasks that run.
	`)
	taskOneColumns = cols(`
		TaskSignature int The tablet that is copied.
		FailedTimes   int Copies of it that failed before.
	`)
)

// procCloneTasks counts clones by the BE that copies, and lists those of one.
func procCloneTasks(c procCall) (Result, error) {
	tasks := c.tasks(runningTasks)
	if len(c.rest) > 0 {
		part, c := c.next()
		be, err := c.backend(part)
		if err != nil {
			return Result{}, err
		}
		var rows []Row
		for _, t := range tasks {
			if t.DestBE == be.ID {
				rows = append(rows, Row{t.Tablet, t.FailedRunning})
			}
		}
		return c.table(taskOneColumns, rows)
	}
	var rows []Row
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
			rows = append(rows, Row{be.ID.String(), again, n})
		}
		total, failed = total+n, failed+again
	}
	return c.table(taskBEColumns, append(rows, Row{"Total", failed, total}))
}
