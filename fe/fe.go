// Package fe is a frontend: it wires the metadata log, the MySQL server, sessions, transactions and the control loop,
// and runs them until it is told to stop.
package fe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"stele/conf"
	"stele/fe/beclient"
	"stele/fe/cluster"
	"stele/fe/consistency"
	"stele/fe/ddl"
	"stele/fe/dist"
	"stele/fe/group"
	"stele/fe/opctl"
	"stele/fe/quorum"
	"stele/fe/redo"
	"stele/fe/rpc"
	"stele/fe/server"
	"stele/fe/session"
	"stele/fe/stmt/all"
	"stele/fe/tabletctl"
	"stele/fe/txn"
	"stele/fe/userlock"
	"stele/fe/web"
	"stele/meta/command"
	"stele/meta/logfile"
	"stele/meta/process"
	"stele/meta/raftlog"
	metarpc "stele/meta/rpc"
	"stele/meta/stranger"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/proto/fepb"
	"stele/sql/exec"
	"stele/sql/parse"
)

// heapBallast is memory that nobody touches and that is never resident. It counts as living, so that the collector does not run
// several times a second only because little lives: an FE that commits small statements allocates a hundred megabytes in each.
const heapBallast = 24 << 20

// Run runs a frontend with the configuration file until ctx ends, and returns when everything is closed.
func Run(ctx context.Context, confPath, version string, stdout io.Writer) error {
	v, err := conf.FE.Load(confPath)
	if err != nil {
		return err
	}
	process.GCPercent(conf.FEGCPercent.Get(v))
	memory := process.LimitMemory(math.MaxInt64)
	ballast := make([]byte, heapBallast)
	defer runtime.KeepAlive(ballast)
	logger, level, logs, err := logfile.Open(conf.FELogDir.Get(v), "fe.log", conf.FELogLevel.Get(v))
	if err != nil {
		return err
	}
	defer logs.Close()
	n := &node{file: v, live: conf.NewLive(v), version: version, memory: memory, log: logger, started: time.Now(), stdout: stdout, met: stranger.New(logger)}
	n.live.OnChange(func(_, now *conf.Values) {
		if err := level.UnmarshalText([]byte(conf.FELogLevel.Get(now))); err != nil {
			logger.Error("log level", "err", err)
		}
	})
	if err := n.open(ctx); err != nil {
		logger.Error("start", "err", err)
		return errors.Join(err, n.close())
	}
	err = n.serve(ctx)
	if err != nil {
		logger.Error("serve", "err", err)
	}
	return errors.Join(err, n.close())
}

// queryShare is the part of the memory of this process that all its queries together may hold.
const queryShare = 4

// node is one running frontend.
type node struct {
	file    *conf.Values // as the process started
	live    *conf.Live
	version string
	memory  int64 // limit of this process
	log     *slog.Logger
	started time.Time
	stdout  io.Writer
	name    string // in the catalog and in Raft
	id      *metarpc.Cluster
	secure  *metarpc.Security // nil = clear text between nodes
	met     *stranger.Book

	listener  *metarpc.Listener // for calls of other nodes
	meta      *raftlog.Log
	quorum    *quorum.Log
	group     *group.Group
	suspects  *suspects
	clients   *beclient.Clients
	cluster   *cluster.Cluster
	ledger    *cluster.Ledger
	redo      *redo.Driver
	txns      *txn.Coordinator
	control   *tabletctl.Controller
	checker   *consistency.Checker
	ops       *opctl.Engine
	shared    *session.Shared
	lockTable *userlock.Table
	userLocks *userlock.Keeper
	mysql     atomic.Pointer[server.Server] // nil until this FE has the metadata
	serves    atomic.Bool                   // MySQL clients may come
}

// open builds the parts in the order in which they need one another.
func (n *node) open(ctx context.Context) error {
	v := n.live.Load()
	var err error
	if n.secure, err = metarpc.LoadSecurity(conf.FETLSCert.Get(v), conf.FETLSKey.Get(v), conf.FETLSCA.Get(v)); err != nil {
		return err
	}
	if err := n.openMeta(ctx); err != nil {
		return err
	}
	n.clients = beclient.NewSecure(n.id, n.secure.ClientTLS())
	n.clients.OnStranger(n.metAt)
	n.quorum = quorum.New(n.meta, n.clients, derived(n.live, func(v *conf.Values) time.Duration { return conf.LeaderWaitTimeout.Get(v) }))
	n.suspects = newSuspects(n)
	n.cluster = cluster.New(cluster.Options{Clients: n.clients, Current: n.meta.Current, Settings: n.heartbeats, Log: n.log,
		FEAddresses: n.feAddresses, Term: n.meta.Term, Events: n.event, Suspect: n.suspectBE, Readmit: n.readmit, Started: n.startBE,
		OldestRead: n.oldestRead})
	n.group = group.New(group.Options{Log: n.meta, Clients: n.clients, View: n.cluster.View, Mirror: n.cluster.Mirror,
		Version: n.version, Started: n.started, Logger: n.log, Strangers: n.met.List, Serves: n.serves.Load,
		OldestRead: func() time.Duration { return n.shared.OldestRead() }}) // asked when there are sessions
	n.txns = txn.New(n.quorum, n.clients, n.cluster, derived(n.live, writeSettings), n.log)
	n.redo = redo.New(redo.Options{Log: n.meta, Members: n.cluster, Clients: n.clients, Logger: n.log})
	n.ledger = cluster.NewLedger(n.cluster, n.meta, n.activeTxns, n.redo, func() time.Duration { return conf.ReportDropTabletDelay.Get(n.live.Load()) })
	n.control = tabletctl.New(tabletctl.Options{Log: n.meta, Cluster: n.cluster, Clients: n.clients, Settings: n.limits,
		AutoFailover: func() bool { return conf.AutoFailover.Get(n.live.Load()) }, Logger: n.log})
	n.checker = consistency.New(consistency.Options{Log: n.meta, Members: n.cluster, Digest: n.digest, Kick: n.control.Kick, Logger: n.log,
		Manual:  func() bool { return !conf.AutoFailover.Get(n.live.Load()) },
		Timeout: func() time.Duration { return conf.CheckConsistencyTimeout.Get(n.live.Load()) }})
	n.ops = opctl.New(opctl.Options{Log: n.meta, Cluster: n.cluster, Control: n.control, Clients: n.clients, Settings: n.operations, Logger: n.log})
	return n.openSessions()
}

func (n *node) openSessions() error {
	if dir := conf.FETmpDir.Get(n.live.Load()); dir != "" {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("tmp_dir: %w", err)
		}
	}
	scanner := dist.New(n.clients, n.cluster, n.meta.Current, derived(n.live, scanSettings), n.reportBad, n.log)
	scanner.OnQueryNodes(n.queryNodes)
	router, err := all.NewRouter()
	if err != nil {
		return err
	}
	n.openUserLocks()
	n.shared = session.New(session.Parts{Name: n.name, UserLocks: n.userLocks, Log: n.quorum, Parser: parse.New(router), Scanner: scanner, Txns: n.txns,
		Tables: ddl.New(n.quorum, n.clients, n.cluster), Members: n.cluster, Control: n.control, Checker: n.checker,
		Backend: func(id types.BEID) (bepb.BackendClient, error) { return n.clients.BE(n.cluster.Address(id)) }, Conf: n.live, Frontends: n.frontends, Strangers: n.strangers,
		Leader: asker{n}, Group: n.group, Image: n.meta.Image, Others: n.otherSessions, OtherTxns: n.otherTransactions, OthersUse: n.othersUse,
		Settings: derived(n.live, sessionSettings), QueryMem: exec.NewMemory(n.memory / queryShare), Version: serverVersion(n.version), Kill: n.kill,
		Silent: n.group.Silent, End: func(conn uint64) { n.killHere(conn, false) }, Traffic: n.served, Started: n.started, Logger: n.log})
	return nil
}

// queryNodes lists the BEs with the query role that answer and are of this version: a plan is only read by its like.
func (n *node) queryNodes() []types.BEID {
	var out []types.BEID
	for be := range n.meta.Current().BEs() {
		if be.QueryMs == 0 {
			continue
		}
		if known, ok := n.cluster.Get(be.ID); ok && known.Alive && known.Version == n.version {
			out = append(out, be.ID)
		}
	}
	return out
}

// event passes on what the heartbeats have found.
func (n *node) event(e cluster.Event) {
	n.control.Notify(e)
	switch e.Kind {
	case cluster.BEUp, cluster.BEDown, cluster.BERestarted:
		n.group.Wake()
	}
}

// startBE has the catalog note which process a BE is.
func (n *node) startBE(ctx context.Context, be types.BEID, startMs int64) error {
	out, err := n.meta.Propose(ctx, &command.StartBE{BE: be, StartMs: startMs})
	if err == nil {
		err = out[0].Err
	}
	return err
}

// oldestRead is what backends are told of how old the oldest state is that anybody reads.
func (n *node) oldestRead() (age time.Duration, known bool) {
	age, known = n.group.OldestRead()
	return min(age, conf.SnapshotKeepMax.Get(n.live.Load())), known
}

// activeTxns tells which transactions this FE or another one still works on.
func (n *node) activeTxns(ctx context.Context, ids []types.TxnID) map[types.TxnID]bool {
	active := n.group.Active(ctx, ids)
	for _, id := range ids {
		if n.txns.Active(id) {
			active[id] = true
		}
	}
	return active
}

// feAddresses is where BEs find the FEs: this one, which leads, first.
func (n *node) feAddresses() []string {
	out := []string{n.rpcAddress()}
	for fe := range n.meta.Current().FEs() {
		if fe.Name != n.name && fe.RPCPort != 0 && !fe.Pending {
			out = append(out, beclient.Address(fe.Host, fe.RPCPort))
		}
	}
	return out
}

// openServer makes the MySQL endpoint, once the catalog says which FE this is.
func (n *node) openServer() error {
	v := n.live.Load()
	tlsConfig, key, err := n.certificate()
	if err != nil {
		return err
	}
	self, _ := n.meta.Current().FEByName(n.name)
	mysql, err := server.New(server.Config{Version: serverVersion(n.version), NodeID: serverID(self), TLS: tlsConfig, Key: key,
		MaxConnections: conf.MaxConnections.Get(v), MaxPacket: int(conf.MaxAllowedPacket.Get(v)),
		HandshakeTimeout: conf.ConnectTimeout.Get(v), IdleTimeout: conf.WaitTimeout.Get(v), Log: n.log}, &engine{n.shared, n})
	if err != nil {
		return err
	}
	n.mysql.Store(mysql)
	n.live.OnChange(func(_, now *conf.Values) { mysql.SetMaxConnections(conf.MaxConnections.Get(now)) })
	return nil
}

// serve answers until ctx ends. Other nodes are answered at once, clients when this FE has the metadata.
func (n *node) serve(ctx context.Context) error {
	listener, err := metarpc.Listen(n.rpcAddress(), conf.FELocalSockets.Get(n.file), n.log)
	if err != nil {
		return fmt.Errorf("listen for rpc: %w", err)
	}
	n.listener = listener
	cfg := metarpc.ServerConfig{Cluster: n.id, Log: n.log, AllowFresh: rpc.AllowFresh, TLS: n.secure.ServerTLS(), Refused: n.refused}
	grpcServer, pipes := metarpc.NewServer(cfg), metarpc.NewPipeServer(cfg)
	service := rpc.New(rpc.Parts{Ledger: n.ledger, Log: n.meta, CatchUp: n.quorum.ReadIndex, Group: n.group, Answer: n.shared.Answer,
		Active: n.txns.Active, Sessions: n.shared.Processes, Transactions: n.shared.Transactions, Uses: n.uses, Kill: n.killHere, Suspect: n.suspected, Knock: n.letIn,
		UserLock: n.lockTable.Do})
	fepb.RegisterFrontendServer(grpcServer, service)
	fepb.RegisterFrontendServer(pipes, service)
	loops, stopLoops := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stopLoops()
	wg.Go(func() { n.lead(loops) })
	wg.Go(func() { n.suspects.run(loops) })
	wg.Go(func() { n.askMembership(loops) })
	failed := make(chan error, 5)
	rpcListener := pipes.Listen(listener)
	wg.Go(func() { failed <- grpcServer.Serve(rpcListener) })
	wg.Go(func() { failed <- n.runGossip(loops) })
	if err = n.awaitMeta(ctx); err == nil {
		wg.Go(func() { n.followConfig(loops) })
		wg.Go(func() { n.userLocks.Run(loops) })
		err = n.serveClients(ctx, loops, &wg, failed)
	}
	n.handOver()
	if mysql := n.mysql.Load(); mysql != nil {
		cctx, cancel := context.WithTimeout(context.Background(), stopGrace)
		defer cancel()
		if cerr := mysql.Close(cctx); cerr != nil {
			n.log.Debug("close client connections", "err", cerr)
		}
	}
	stopLoops()
	metarpc.Stop(grpcServer, stopGrace)
	pipes.Stop(stopGrace)
	if ctx.Err() != nil && n.mysql.Load() == nil {
		return nil // told to stop while it waited
	}
	return err
}

// serveClients opens the ports for clients and returns when something ends it.
func (n *node) serveClients(ctx, loops context.Context, wg *sync.WaitGroup, failed chan error) error {
	if err := n.openServer(); err != nil {
		return err
	}
	v := n.live.Load()
	query := net.JoinHostPort(conf.FEHost.Get(v), strconv.Itoa(conf.QueryPort.Get(v)))
	mysqlListener, err := net.Listen("tcp", query)
	if err != nil {
		return fmt.Errorf("listen for MySQL clients: %w", err)
	}
	n.serves.Store(true)
	wg.Go(func() { failed <- n.mysql.Load().Serve(mysqlListener) })
	pages := web.New(n.log)
	wg.Go(func() { failed <- n.mysql.Load().Serve(pages.Listener()) })
	wg.Go(func() { failed <- n.serveHTTP(loops, pages) })
	wg.Go(func() { n.shared.Sweep(loops) })
	n.log.Info("fe serves", "mysql", query, "version", n.version)
	fmt.Fprintf(n.stdout, "fe serves MySQL on %s\n", query)
	select {
	case <-ctx.Done():
		return nil
	case <-n.meta.Failed():
		return n.meta.Failure()
	case <-n.quorum.Dropped():
		n.log.Warn("this FE was dropped from the cluster and ends")
		fmt.Fprintf(n.stdout, "fe %s was dropped from the cluster and ends. To add it again, move meta_dir away and start it with fe_helpers set\n", n.name)
		return nil
	case err := <-failed:
		return err
	}
}

// handOver gives leadership to another FE before this one stops, so that nobody has to wait for an election.
func (n *node) handOver() {
	if !n.meta.IsLeader() || !n.meta.HasPeers() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), handOverTimeout)
	defer cancel()
	if err := n.meta.TransferLeadership(ctx, ""); err != nil {
		n.log.Warn("hand leadership over before the stop", "err", err)
	}
}

// handOverTimeout bounds the hand-over: without it the others elect a leader by themselves.
const handOverTimeout = 2 * time.Second

// stopGrace is how long a stop waits for calls under way.
const stopGrace = 3 * time.Second

// lead runs the control loop for as long as this FE leads.
func (n *node) lead(ctx context.Context) {
	changes := n.meta.LeaderCh()
	var stop func()
	defer func() {
		if stop != nil {
			stop()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case leads, ok := <-changes:
			switch {
			case !ok:
				return
			case leads && stop == nil:
				stop = n.startLeading(ctx)
			case !leads && stop != nil:
				stop()
				stop = nil
			}
		}
	}
}

// startLeading starts the loops of the leading FE; the returned func ends them.
func (n *node) startLeading(ctx context.Context) func() {
	if err := n.takeConfig(n.meta.Current()); err != nil { // an earlier leader may have set it
		n.log.Warn("take over configuration", "err", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { n.cluster.Run(ctx) })
	wg.Go(func() { n.redo.Run(ctx) })
	wg.Go(func() { n.control.Run(ctx) })
	wg.Go(func() { n.checker.Run(ctx) })
	wg.Go(func() { n.ops.Run(ctx) })
	wg.Go(func() { n.group.Run(ctx) })
	wg.Go(func() { n.housekeeping(ctx) })
	return func() {
		cancel()
		wg.Wait()
	}
}

// close ends the parts in the reverse order.
func (n *node) close() error {
	var errs []error
	if n.txns != nil {
		n.txns.Close()
	}
	if n.clients != nil {
		errs = append(errs, n.clients.Close())
	}
	if n.meta != nil {
		errs = append(errs, n.meta.Close())
	}
	return errors.Join(errs...)
}

func (n *node) rpcAddress() string {
	v := n.live.Load()
	return beclient.Address(conf.FEHost.Get(v), conf.FERPCPort.Get(v))
}

// serverVersion is what clients see: connectors branch on the leading MySQL version.
func serverVersion(version string) string { return "8.0.36-stele-" + version }
