// Package cluster runs real Stele clusters for tests: processes that `stele local` starts, on free ports, in a folder of
// their own. Tests kill, stop, wipe and add nodes through it, wait for a state with a deadline, and get a report of the
// whole cluster when the wait is in vain.
//
// It knows a cluster as an operator does: through its commands, configuration files, signals and the MySQL protocol. The
// one thing it asks a BE directly is the digest of a replica. It never looks into a node's data; Wipe deletes it blindly.
//
// Invariants: whatever way a test ends, no process of its cluster stays. Close ends the supervisor, which ends every
// node; a test process that dies takes the supervisor with it (Linux). Several test processes may run clusters at once:
// each holds the lock of its block of ports.
//
// A crash of the test process leaves the folder behind, nothing else.
package cluster

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"stele/fe/local"
)

// Options say what cluster to run. The zero value is one FE and three BEs of one disk each.
type Options struct {
	Dir string // default: a new folder, which Close removes
	// Nodes are processes that are an FE and a BE. A cluster of them begins with no others; those that are added are numbered behind them.
	Nodes     int
	Frontends int
	Backends  int
	Disks     int
	Guard     bool // as `stele local --guard`: a process that dies is started again
	// FE and BE are configuration items that differ from what `stele local` lays out.
	FE, BE map[string]string
	// Network gives every node a network namespace, so that links between nodes can be cut. It needs Main, and one cluster
	// of a test process at a time may have it.
	Network bool
}

func (o Options) withDefaults() Options {
	if o.Nodes > 0 {
		o.Disks = max(o.Disks, 1)
		return o
	}
	for _, field := range []struct {
		n        *int
		fallback int
	}{{&o.Frontends, 1}, {&o.Backends, 3}, {&o.Disks, 1}} {
		if *field.n == 0 {
			*field.n = field.fallback
		}
	}
	return o
}

// readyTimeout is how long a cluster may take to print its ready line.
const readyTimeout = 90 * time.Second

// Cluster is a running cluster. Its methods may be called by several goroutines, but not Restart and AddBackend
// together with others.
type Cluster struct {
	Dir       string
	MySQLPort int
	HTTPPort  int

	opts    Options
	binary  string
	ownsDir bool
	ports   *os.File // holds the lock of the block of ports

	mu  sync.Mutex
	dbs map[int]*sql.DB // by frontend

	net        *network // nil without Options.Network
	supervisor *supervisor
	foreign    []string // nodes that the supervisor does not know because they came after its start
}

// Start runs a cluster until the test ends.
func Start(tb testing.TB, opts Options) *Cluster {
	tb.Helper()
	c, err := Launch(opts)
	if err != nil {
		tb.Fatalf("start a cluster: %v", err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Log(c.Report())
		}
		if err := c.Close(); err != nil {
			tb.Errorf("stop the cluster: %v", err)
		}
	})
	return c
}

// Launch runs a cluster until Close. It is for clusters that several tests share; others use Start.
func Launch(opts Options) (*Cluster, error) {
	opts = opts.withDefaults()
	binary, err := Binary()
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: opts.Dir, opts: opts, binary: binary, dbs: map[int]*sql.DB{}}
	if c.Dir == "" {
		if c.Dir, err = os.MkdirTemp("", "stele-cluster-"); err != nil {
			return nil, fmt.Errorf("make the folder of a cluster: %w", err)
		}
		c.ownsDir = true
	}
	if c.ports, c.MySQLPort, c.HTTPPort, err = takePorts(opts.Nodes+opts.Frontends, opts.Nodes+opts.Backends); err == nil {
		err = c.layOut()
	}
	if err == nil && opts.Network {
		err = c.layNetwork()
	}
	if err == nil {
		err = c.launch()
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// layOut makes the folders and configuration files as `stele local` does, and edits the items that differ.
func (c *Cluster) layOut() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // a supervisor that has to stop at once lays the folder out and runs at most `sleep` for an instant
	err := local.Run(ctx, local.Options{
		Dir: c.Dir, Nodes: c.opts.Nodes, Frontends: c.opts.Frontends, Backends: c.opts.Backends, Disks: c.opts.Disks,
		MySQLPort: c.MySQLPort, HTTPPort: c.HTTPPort, Stdout: new(bytes.Buffer), Stderr: new(bytes.Buffer),
		Command: func(string, []string) []string { return []string{"sleep", "60"} },
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	for n := 1; n <= c.opts.Nodes+c.opts.Frontends; n++ {
		if err := setItems(c.confPath("fe", n), c.opts.FE); err != nil {
			return err
		}
	}
	for n := 1; n <= c.opts.Nodes+c.opts.Backends; n++ {
		if err := setItems(c.confPath("be", n), c.opts.BE); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) confPath(kind string, n int) string {
	return filepath.Join(c.Dir, c.nodeName(kind, n), kind+".conf")
}

// nodeName names the process of frontend or backend n.
func (c *Cluster) nodeName(kind string, n int) string {
	if n <= c.opts.Nodes {
		kind = "node"
	}
	return kind + strconv.Itoa(n)
}

func (c *Cluster) launch() error {
	if c.net != nil {
		// They are started where they live. The supervisor adopts them and lets them join: most listen only then.
		if err := c.Spawn(c.Nodes()...); err != nil {
			return err
		}
	}
	s, err := startSupervisor(c.binary, c.Dir, c.opts.Guard, readyTimeout)
	if err != nil {
		return err
	}
	c.supervisor = s
	return nil
}

// Kill ends a node ("be2") as a power cut would.
func (c *Cluster) Kill(node string) error { return c.act("kill", node) }

// Stop ends a node in an orderly way.
func (c *Cluster) Stop(node string) error { return c.act("stop", node) }

// StartNode starts a node that is down and returns when it listens.
func (c *Cluster) StartNode(node string) error { return c.act("start", node) }

// Spawn starts nodes that are down, all at once, and does not wait for them to listen: an FE does only when enough others
// run, and one that has to be let in maybe never.
func (c *Cluster) Spawn(nodes ...string) error {
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, node := range nodes {
		wg.Go(func() { errs[i] = c.act("start", node, "--wait=false") })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (c *Cluster) act(verb, node string, flags ...string) error {
	out, err := c.command(verb, node, flags...).CombinedOutput() // each verb has a time limit of its own
	if err != nil {
		return fmt.Errorf("stele local %s %s: %w\n%s", verb, node, err, out)
	}
	return nil
}

// Wipe empties the disks of a BE that is down, as if they had been replaced.
func (c *Cluster) Wipe(node string) error {
	disks, err := filepath.Glob(filepath.Join(c.Dir, node, "storage*"))
	if err != nil || len(disks) == 0 {
		return fmt.Errorf("%s has no disks below %s: %w", node, c.Dir, errors.Join(err, os.ErrNotExist))
	}
	for _, disk := range disks {
		if err := os.RemoveAll(disk); err != nil {
			return fmt.Errorf("wipe %s: %w", node, err)
		}
		if err := os.Mkdir(disk, 0o750); err != nil {
			return fmt.Errorf("wipe %s: %w", node, err)
		}
	}
	return nil
}

// SetItems changes configuration items of a node that is down.
func (c *Cluster) SetItems(node string, items map[string]string) error {
	return setItems(filepath.Join(c.Dir, node, node[:2]+".conf"), items)
}

// KillAll ends every node as a power cut of the whole cluster would, and starts the cluster again.
func (c *Cluster) KillAll() error {
	for _, node := range c.Nodes() {
		if err := c.Kill(node); err != nil {
			return err
		}
	}
	return c.Restart()
}

// Restart stops the whole cluster and starts it again from its folder.
func (c *Cluster) Restart() error {
	if err := c.stopAll(); err != nil {
		return err
	}
	return c.launch()
}

// stopAll ends every node. The next supervisor finds all of them in the folder.
func (c *Cluster) stopAll() error {
	errs := []error{c.supervisor.stop()}
	for _, node := range c.foreign {
		errs = append(errs, c.Kill(node))
	}
	c.foreign = nil
	return errors.Join(errs...)
}

// AddBackend lays out one more BE, starts it and adds it to the cluster. It returns the name of the node.
func (c *Cluster) AddBackend(ctx context.Context) (node string, err error) {
	n := c.opts.Nodes + c.opts.Backends + 1
	if n > maxPerKind {
		return "", fmt.Errorf("add a backend: there are %d already", n-1)
	}
	node = c.nodeName("be", n)
	text, err := os.ReadFile(c.confPath("be", 1))
	if err != nil {
		return "", fmt.Errorf("add a backend: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(c.Dir, node, "log"), 0o750); err != nil {
		return "", fmt.Errorf("add a backend: %w", err)
	}
	for d := 1; d <= c.opts.Disks; d++ {
		if err := os.MkdirAll(filepath.Join(c.Dir, node, "storage"+strconv.Itoa(d)), 0o750); err != nil {
			return "", fmt.Errorf("add a backend: %w", err)
		}
	}
	if err := os.WriteFile(c.confPath("be", n), text, 0o640); err != nil {
		return "", fmt.Errorf("add a backend: %w", err)
	}
	ports := map[string]string{}
	for item, offset := range map[string]int{"rpc_port": rpcOffset, "http_port": beHTTPOffset, "gossip_port": gossipOffset} {
		ports[item] = strconv.Itoa(c.MySQLPort + offset + n - 1)
	}
	if c.net != nil {
		if err := c.net.plug(node); err != nil {
			return "", err
		}
		ports["host"] = networkHost(node)
	}
	if err := c.SetItems(node, ports); err != nil {
		return "", err
	}
	c.opts.Backends++
	c.foreign = append(c.foreign, node)
	if err := c.StartNode(node); err != nil {
		return "", err
	}
	if _, err := c.DB().ExecContext(ctx, `ALTER SYSTEM ADD BACKEND "`+c.BackendAddr(node)+`"`); err != nil {
		return "", fmt.Errorf("add a backend: %w", err)
	}
	return node, nil
}

// BackendAddr is the address under which the cluster knows a BE.
func (c *Cluster) BackendAddr(node string) string {
	return fmt.Sprintf("%s:%d", c.host(node), c.MySQLPort+rpcOffset+c.number(node)-1)
}

// Nodes lists the names of all nodes, frontends first.
func (c *Cluster) Nodes() []string {
	var names []string
	for n := 1; n <= c.opts.Nodes; n++ {
		names = append(names, c.nodeName("node", n))
	}
	for n := 1; n <= c.opts.Frontends; n++ {
		names = append(names, c.nodeName("fe", c.opts.Nodes+n))
	}
	for n := 1; n <= c.opts.Backends; n++ {
		names = append(names, c.nodeName("be", c.opts.Nodes+n))
	}
	return names
}

// DB returns the connection pool of the first frontend.
func (c *Cluster) DB() *sql.DB { return c.FrontendDB(1) }

// FrontendDB returns the connection pool of frontend n.
func (c *Cluster) FrontendDB(n int) *sql.DB {
	c.mu.Lock()
	defer c.mu.Unlock()
	db := c.dbs[n]
	if db == nil {
		db = c.open(n, "")
		c.dbs[n] = db
	}
	return db
}

// OpenDB returns a pool of its own whose sessions start in a database. The caller closes it.
func (c *Cluster) OpenDB(database string) *sql.DB { return c.open(1, database) }

// OpenFrontend returns a pool of its own of frontend n whose sessions start in a database. The caller closes it.
func (c *Cluster) OpenFrontend(n int, database string) *sql.DB { return c.open(n, database) }

// OpenAs returns a pool of its own of frontend n for an account. The caller closes it.
func (c *Cluster) OpenAs(n int, user, password, database string) *sql.DB {
	return sql.OpenDB(c.connectorAs(n, user, password, database))
}

func (c *Cluster) open(n int, database string) *sql.DB { return sql.OpenDB(c.connector(n, database)) }

func (c *Cluster) connector(n int, database string) driver.Connector {
	return c.connectorAs(n, "root", "", database)
}

func (c *Cluster) connectorAs(n int, user, password, database string) driver.Connector {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.DBName = user, password, "tcp", database
	cfg.Addr = fmt.Sprintf("%s:%d", c.host(c.nodeName("fe", n)), c.MySQLPort+n-1)
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = 10*time.Second, 2*time.Minute, time.Minute
	cfg.Logger = noLog{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		panic("BUG: configuration of the driver: " + err.Error())
	}
	return connector
}

// noLog swallows what the driver says about connections that a killed node took with it: tests see the errors.
type noLog struct{}

func (noLog) Print(...any) {}

// Close stops every node and removes the folder, unless it was given.
func (c *Cluster) Close() error {
	var errs []error
	for _, db := range c.dbs {
		if err := db.Close(); !errors.Is(err, driver.ErrBadConn) { // an FE that a test has killed does not hear of it
			errs = append(errs, err)
		}
	}
	if c.supervisor != nil {
		errs = append(errs, c.stopAll())
	}
	if c.net != nil {
		errs = append(errs, c.net.close())
	}
	if c.ports != nil {
		errs = append(errs, c.ports.Close())
	}
	if c.ownsDir && os.Getenv("STELE_KEEP") == "" {
		errs = append(errs, os.RemoveAll(c.Dir))
	}
	return errors.Join(errs...)
}

// signal of an orderly end.
var orderly os.Signal = syscall.SIGTERM
