// Package fe is a frontend: it wires the metadata log, the MySQL server, sessions, transactions and the control loop,
// and runs them until it is told to stop.
package fe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"stele/conf"
	"stele/fe/beclient"
	"stele/fe/cluster"
	"stele/fe/ddl"
	"stele/fe/dist"
	"stele/fe/opctl"
	"stele/fe/rpc"
	"stele/fe/server"
	"stele/fe/session"
	"stele/fe/stmt"
	"stele/fe/tabletctl"
	"stele/fe/txn"
	"stele/meta/logfile"
	"stele/meta/raftlog"
	metarpc "stele/meta/rpc"
	"stele/proto/fepb"
	"stele/sql/parse"
)

// Run runs a frontend with the configuration file until ctx ends, and returns when everything is closed.
func Run(ctx context.Context, confPath, version string, stdout io.Writer) error {
	v, err := conf.FE.Load(confPath)
	if err != nil {
		return err
	}
	logger, level, logs, err := logfile.Open(conf.FELogDir.Get(v), "fe.log", conf.FELogLevel.Get(v))
	if err != nil {
		return err
	}
	defer logs.Close()
	n := &node{live: conf.NewLive(v), version: version, log: logger, started: time.Now()}
	n.live.OnChange(func(_, now *conf.Values) {
		if err := level.UnmarshalText([]byte(conf.FELogLevel.Get(now))); err != nil {
			logger.Error("log level", "err", err)
		}
	})
	if err := n.open(ctx); err != nil {
		logger.Error("start", "err", err)
		return errors.Join(err, n.close())
	}
	err = n.serve(ctx, stdout)
	if err != nil {
		logger.Error("serve", "err", err)
	}
	return errors.Join(err, n.close())
}

// node is one running frontend.
type node struct {
	live    *conf.Live
	version string
	log     *slog.Logger
	started time.Time
	name    string // in the catalog and in Raft
	id      *metarpc.Cluster

	meta    *raftlog.Log
	clients *beclient.Clients
	cluster *cluster.Cluster
	ledger  *cluster.Ledger
	txns    *txn.Coordinator
	control *tabletctl.Controller
	ops     *opctl.Engine
	shared  *session.Shared
	mysql   *server.Server
}

// open builds the parts in the order in which they need one another.
func (n *node) open(ctx context.Context) error {
	if err := n.openMeta(ctx); err != nil {
		return err
	}
	current := n.meta.Current
	n.clients = beclient.New(n.id)
	n.cluster = cluster.New(cluster.Options{Clients: n.clients, Current: current, Settings: n.heartbeats, Log: n.log,
		FEAddresses: func() []string { return []string{n.rpcAddress()} },
		Events:      func(e cluster.Event) { n.control.Notify(e) }})
	n.txns = txn.New(n.meta, n.clients, n.cluster, n.writes, n.log)
	n.ledger = cluster.NewLedger(n.cluster, n.meta, n.txns.Active, func() time.Duration { return conf.ReportDropTabletDelay.Get(n.live.Load()) })
	n.control = tabletctl.New(tabletctl.Options{Log: n.meta, Cluster: n.cluster, Clients: n.clients, Settings: n.limits,
		AutoFailover: func() bool { return conf.AutoFailover.Get(n.live.Load()) }, Logger: n.log})
	n.ops = opctl.New(opctl.Options{Log: n.meta, Cluster: n.cluster, Control: n.control, Clients: n.clients, Settings: n.operations, Logger: n.log})
	scanner := dist.New(n.clients, n.cluster, current, n.scans, n.reportBad, n.log)
	router, err := stmt.NewRouter()
	if err != nil {
		return err
	}
	n.shared = session.New(session.Parts{Log: n.meta, Parser: parse.New(router), Scanner: scanner, Txns: n.txns,
		Tables: ddl.New(n.meta, n.clients, n.cluster), Members: n.cluster, Control: n.control, Conf: n.live, Frontends: n.frontends,
		Settings: n.sessions, Version: serverVersion(n.version), Kill: n.kill, Started: n.started, Logger: n.log})
	return n.openServer()
}

// openServer makes the MySQL endpoint.
func (n *node) openServer() error {
	v := n.live.Load()
	tlsConfig, key, err := n.certificate()
	if err != nil {
		return err
	}
	n.mysql, err = server.New(server.Config{Version: serverVersion(n.version), NodeID: 1, TLS: tlsConfig, Key: key,
		MaxConnections: conf.MaxConnections.Get(v), MaxPacket: int(conf.MaxAllowedPacket.Get(v)),
		HandshakeTimeout: conf.ConnectTimeout.Get(v), IdleTimeout: conf.WaitTimeout.Get(v), Log: n.log}, &engine{n.shared, n})
	if err != nil {
		return err
	}
	n.live.OnChange(func(_, now *conf.Values) { n.mysql.SetMaxConnections(conf.MaxConnections.Get(now)) })
	return nil
}

// serve answers until ctx ends.
func (n *node) serve(ctx context.Context, stdout io.Writer) error {
	v := n.live.Load()
	rpcListener, err := net.Listen("tcp", n.rpcAddress())
	if err != nil {
		return fmt.Errorf("listen for rpc: %w", err)
	}
	query := net.JoinHostPort(conf.FEHost.Get(v), strconv.Itoa(conf.QueryPort.Get(v)))
	mysqlListener, err := net.Listen("tcp", query)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for MySQL clients: %w", err), rpcListener.Close())
	}
	grpcServer := metarpc.NewServer(metarpc.ServerConfig{Cluster: n.id, Log: n.log})
	fepb.RegisterFrontendServer(grpcServer, rpc.New(n.ledger))
	loops, stopLoops := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stopLoops()
	wg.Go(func() { n.lead(loops) })
	failed := make(chan error, 4)
	wg.Go(func() { failed <- grpcServer.Serve(rpcListener) })
	wg.Go(func() { failed <- n.mysql.Serve(mysqlListener) })
	wg.Go(func() { failed <- n.serveHTTP(loops) })
	wg.Go(func() { failed <- n.runGossip(loops) })
	n.log.Info("fe serves", "mysql", query, "version", n.version)
	fmt.Fprintf(stdout, "fe serves MySQL on %s\n", query)
	select {
	case <-ctx.Done():
		err = nil
	case <-n.meta.Failed():
		err = n.meta.Failure()
	case err = <-failed:
	}
	cctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	if cerr := n.mysql.Close(cctx); cerr != nil {
		n.log.Debug("close client connections", "err", cerr)
	}
	metarpc.Stop(grpcServer, stopGrace)
	return err
}

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
	wg.Go(func() { n.control.Run(ctx) })
	wg.Go(func() { n.ops.Run(ctx) })
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
