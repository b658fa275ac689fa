// Package local runs a whole Stele cluster on one machine: it lays out one folder for each node, starts each node as a
// process of its own, makes the backends known to the cluster and stops everything again. It is what `stele local` is,
// for trying Stele out and for tests that really kill a node.
//
// It knows nodes only from outside, as an operator does: configuration files, processes, signals, the MySQL protocol.
// It never looks into a node's data and never repairs anything; a node that dies stays down unless a guard is asked for.
//
// DIR/fe1, DIR/be1 … hold one node each: fe.conf or be.conf, meta/ or storage1/ …, log/ and stele.pid; DIR/node1 … hold what is
// both in one process, with the files of both. Configuration
// files are written once and are the truth afterwards, so they may be edited. Ports that no flag names follow from the
// MySQL port; see ports.
//
// Invariants:
//
//  1. At most one process runs in a node's folder. The process inherits an exclusive lock on its stele.pid, so the
//     lock ends with the process however it ends, and no number in a file has to be believed.
//  2. stele.pid holds a process number only while that process runs, or after a crash of all of its supervisors.
//  3. A supervisor that returns has stopped every node of its folder, also those started by `stele local start`.
//     A supervisor that is killed takes its own children with it (Linux; elsewhere they go on and the next supervisor
//     adopts them). Nodes started by `stele local start` have no supervisor and outlive whoever started them.
//
// A crash between any two steps leaves folders and configuration files that the next start completes: a file is written
// beside its place and renamed, and a node without its file is laid out again.
package local

import (
	"context"
	"fmt"
	"io"
	"time"

	"stele/conf/cmdline"
)

// DefaultDir is the folder of a cluster for which no --dir is given.
const DefaultDir = "./data"

// Options say what cluster to run. Zero values take what the folder already holds, or else the default.
type Options struct {
	Dir       string
	Nodes     int // of a frontend and a backend in one process, default 0
	Frontends int // default 1, beside nodes 0
	Backends  int // default 3, beside nodes 0
	Disks     int // of each backend, default 1
	MySQLPort int // of fe1, default 9030
	HTTPPort  int // of fe1, default 8030
	// Guard restarts a node that dies. A node that ends with status 0 was stopped on purpose and stays down.
	Guard bool
	// ReadyTimeout is how long the cluster may take to come up, default two minutes.
	ReadyTimeout time.Duration
	// ListenTimeout is how long Start waits for a node to listen before it leaves the node to itself; negative = it does not
	// wait, default 15 seconds.
	ListenTimeout time.Duration

	Stdout io.Writer // gets the ready line and nothing else
	Stderr io.Writer // gets what happens to nodes

	// Command returns the program and arguments that run one node in the foreground; nil runs this program.
	// A node of both roles has the files of its frontend and its backend.
	Command func(kind string, confPaths []string) []string

	dial         func(ctx context.Context, addr string) (session, error)
	firstBackoff time.Duration
	stopTimeout  time.Duration
	pollInterval time.Duration
}

func (o Options) withDefaults() Options {
	if o.Dir == "" {
		o.Dir = DefaultDir
	}
	if o.Command == nil {
		o.Command = thisProgram
	}
	if o.dial == nil {
		o.dial = dialMySQL
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.ReadyTimeout, 2 * time.Minute},
		{&o.ListenTimeout, 15 * time.Second},
		{&o.firstBackoff, time.Second},
		{&o.stopTimeout, 30 * time.Second},
		{&o.pollInterval, 100 * time.Millisecond},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return o
}

const usage = `usage: stele local [--dir DIR] [--nodes N] [--frontends N] [--backends N] [--disks N]
                   [--mysql-port P] [--http-port P] [--guard]      run a cluster until Ctrl-C
       stele local start|stop|kill NODE [--dir DIR]                act on one node (node1, fe1, be2, …) of it
`

// verbs are the actions on one node.
var verbs = map[string]func(context.Context, Options, string) error{"start": Start, "stop": Stop, "kill": Kill}

// Command runs `stele local` with the arguments after that word and returns the exit code.
func Command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts := Options{Stdout: stdout, Stderr: stderr}
	name, nodes := "stele local", 0
	var act func(context.Context, Options, string) error
	if len(args) > 0 && verbs[args[0]] != nil {
		act, nodes = verbs[args[0]], 1
		name += " " + args[0]
	}
	flags := cmdline.New(name, usage, stdout, stderr)
	flags.StringVar(&opts.Dir, "dir", DefaultDir, "`folder` of the cluster")
	if act == nil {
		clusterFlags(flags, &opts)
	}
	wait := true
	if name == "stele local start" {
		flags.BoolVar(&wait, "wait", true, "return when the node listens, or after 15 s")
	}
	rest, code, ok := flags.Parse(args[nodes:], nodes, nodes)
	if !ok {
		return code
	}
	if !wait {
		opts.ListenTimeout = -1
	}
	var err error
	if act == nil {
		err = Run(ctx, opts)
	} else {
		err = act(ctx, opts, rest[0])
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return cmdline.ExitFailed
	}
	return cmdline.ExitOK
}

// clusterFlags are those that say what cluster to run.
func clusterFlags(flags *cmdline.Set, opts *Options) {
	flags.IntVar(&opts.Nodes, "nodes", 0, "`number` of nodes that are a frontend and a backend in one process; with it there are no others unless they are asked for")
	flags.IntVar(&opts.Frontends, "frontends", 0, "`number` of frontends (default 1, or what the folder holds)")
	flags.IntVar(&opts.Frontends, "fe", 0, "the same as --frontends")
	flags.IntVar(&opts.Backends, "backends", 0, "`number` of backends (default 3, or what the folder holds)")
	flags.IntVar(&opts.Backends, "be", 0, "the same as --backends")
	flags.IntVar(&opts.Disks, "disks", 0, "`number` of disks of each backend (default 1, or what the folder holds)")
	flags.IntVar(&opts.MySQLPort, "mysql-port", 0, "MySQL `port` of fe1; fe2 takes the next one (default 9030); the 700 ports from it on are for the cluster")
	flags.IntVar(&opts.HTTPPort, "http-port", 0, "HTTP `port` of fe1; fe2 takes the next one (default 8030)")
	flags.BoolVar(&opts.Guard, "guard", false, "restart a node that dies")
	flags.DurationVar(&opts.ReadyTimeout, "ready-timeout", 2*time.Minute, "how `long` the cluster may take to come up")
}
