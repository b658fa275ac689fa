// Package be is a backend: it wires the packages that hold tablets, write, scan, clone and report, and runs them
// until it is told to stop.
package be

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"stele/be/clone"
	"stele/be/host"
	"stele/be/peer"
	"stele/be/query"
	"stele/be/report"
	"stele/be/scan"
	"stele/be/server"
	"stele/be/tablet"
	"stele/be/write"
	"stele/conf"
	"stele/meta/logfile"
	"stele/meta/process"
	"stele/meta/rpc"
	"stele/meta/stranger"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/exec"
)

// LimitMemory sets the memory limit of a backend before it runs, for a frontend in the same process that derives limits of its own from it. What is
// wrong with the file, Run says.
func LimitMemory(confPath string) {
	if v, err := conf.BE.Load(confPath); err == nil {
		process.LimitMemory(conf.BEMemLimit.Get(v))
	}
}

// Run runs a backend with the configuration file until ctx ends, and returns when everything is closed.
func Run(ctx context.Context, confPath, version string, stdout io.Writer) error {
	v, err := conf.BE.Load(confPath)
	if err != nil {
		return err
	}
	log, _, logs, err := logfile.Open(conf.BELogDir.Get(v), "be.log", conf.BELogLevel.Get(v))
	if err != nil {
		return err
	}
	defer logs.Close()
	process.GCPercent(conf.BEGCPercent.Get(v))
	memory := process.LimitMemory(conf.BEMemLimit.Get(v))
	if asked := conf.BEMemLimit.Get(v); memory < asked {
		log.Warn("the memory limit is lower than be_mem_limit_bytes: the machine or its container has no more", "limit", memory, "be_mem_limit_bytes", asked)
	}
	secure, err := rpc.LoadSecurity(conf.BETLSCert.Get(v), conf.BETLSKey.Get(v), conf.BETLSCA.Get(v))
	if err != nil {
		return err
	}
	if dir := conf.BETmpDir.Get(v); dir != "" {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("tmp_dir: %w", err)
		}
	}
	n := newNode(v, version, memory, log, secure)
	if err := n.openKnown(); err != nil {
		return errors.Join(err, n.close())
	}
	if err := n.serve(ctx, stdout); err != nil {
		log.Error("serve", "err", err)
		return errors.Join(err, n.close())
	}
	return n.close()
}

// node is one running backend.
type node struct {
	conf     *conf.Values // as the process started; settings are what is in force now
	settings *settings
	log      *slog.Logger
	cluster  *rpc.Cluster // none until this BE has joined one
	outbox   *rpc.Outbox
	host     *host.Host
	peers    *peer.Peers
	writer   *write.Writer
	scanner  *scan.Scanner
	queries  *query.Runner
	slots    *clone.Slots
	clones   *clone.Manager
	outgoing *clone.Outgoing
	reporter *report.Reporter
	service  *server.Server
	listener *rpc.Listener // for calls
	stopping atomic.Bool
	reads    oldestRead
	met      *stranger.Book
	secure   *rpc.Security // nil = clear text
}

func newNode(v *conf.Values, version string, memory int64, log *slog.Logger, secure *rpc.Security) *node {
	n := &node{conf: v, log: log, secure: secure, settings: newSettings(v, log), met: stranger.New(log), outbox: &rpc.Outbox{}}
	n.host = host.New(roots(v), log, func(r host.Root, cluster types.ClusterID) tablet.Options {
		opt := storeOptions(n.settings.Live, &n.reads, memory/int64(max(len(conf.StorageRootPath.Get(v)), 1)), r, cluster, log)
		opt.OnBad, opt.Together = n.changed, n.outbox.Batch
		return opt
	})
	n.cluster = rpc.NewCluster("")
	n.peers = peer.NewSecure(n.cluster, secure.ClientTLS(), n.outbox)
	n.peers.OnStranger(n.metAt)
	started := time.Now()
	n.writer = write.New(n.host, n.peers, write.Options{ReplicateTimeout: replicateTimeout, VersionWait: scan.VersionWait,
		Caught: n.changed, Late: n.ask, StartMs: started.UnixMilli()}, log)
	held := exec.NewMemory(memory / queryShare)
	held.Folder = n.spillDir
	n.scanner = scan.New(n.host, n.writer)
	n.scanner.LimitRowCache(memory / 32)
	n.scanner.LimitMemory(held)
	n.writer.FindBy(n.scanner)
	n.queries = query.New(n.peers.Scan, n.spillDir, held, log)
	n.slots = clone.NewSlots(conf.CloneSlotsPerDisk.Get(v), conf.CloneBalanceSlotsPerDisk.Get(v))
	n.host.OnJoin(n.joined)
	n.reporter = report.New(report.Options{Host: n.host, Writer: n.writer, FE: n.peers, Full: conf.ReportTabletInterval.Get(v),
		Step: reportStep, Started: started, Log: log})
	pressure := clone.NewPressure()
	throttle := clone.NewThrottle(func() int64 { return int64(conf.CloneBandwidth.Get(n.settings.Load())) << 20 }, pressure)
	n.clones = clone.NewManager(clone.Options{Host: n.host, Writer: n.writer, Source: n.peers, Slots: n.slots, Throttle: throttle,
		Log: log, Done: n.reporter.Changed})
	n.outgoing = clone.NewOutgoing(n.host, n.writer, n.slots, throttle, scan.VersionWait)
	n.service = server.New(server.Parts{Host: n.host, Cluster: n.cluster, Writer: n.writer, Scanner: n.scanner, Queries: n.queries, Clones: n.clones, Slots: n.slots,
		Outgoing: n.outgoing, Pressure: pressure, SetConfig: n.settings.take, Config: n.settings.items,
		Joined: n.reporter.Addresses, OldestRead: n.reads.note, Stopping: n.stopping.Load, Strangers: n.strangers,
		Version: version, HTTPPort: conf.BEHTTPPort.Get(v), MemLimit: memory, Started: started, Log: log})
	return n
}

// queryShare is the part of the memory that all queries and fragments of FEs may hold together; five eighths are for the stores.
const queryShare = 4

// spillDir makes and names the folder for temporary files of queries: unless configured it is on the first disk of this BE or, without one,
// beside its logs.
func (n *node) spillDir() (string, error) {
	dir := conf.BETmpDir.Get(n.conf)
	if disks := conf.StorageRootPath.Get(n.conf); dir == "" && len(disks) > 0 {
		dir = filepath.Join(disks[0].Path, "spill")
	} else if dir == "" {
		dir = filepath.Join(conf.BELogDir.Get(n.conf), "spill")
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("folder for temporary files: %w", err)
	}
	return dir, nil
}

// changed has the FE told of a replica.
func (n *node) changed(id types.TabletID) { n.reporter.Changed(id) }

func (n *node) ask() { n.reporter.Ask() }

// openKnown opens the disks of a BE that belongs to a cluster already.
func (n *node) openKnown() error {
	if err := n.host.OpenKnown(); err != nil {
		return err
	}
	if id := n.host.Identity(); id.Cluster != "" {
		return n.cluster.Adopt(id.Cluster)
	}
	return nil
}

const (
	// replicateTimeout is how long a leader waits for a follower; a hung one is dead by heartbeat before that.
	replicateTimeout = 5 * time.Second
	// reportStep is how soon the FE hears of a changed replica or a transaction without outcome.
	reportStep = 250 * time.Millisecond
	// stopGrace is how long a stop waits for calls under way.
	stopGrace = 5 * time.Second
)

func roots(v *conf.Values) []host.Root {
	var out []host.Root
	for _, r := range conf.StorageRootPath.Get(v) {
		medium := types.MediumHDD
		if r.Medium == conf.SSD {
			medium = types.MediumSSD
		}
		out = append(out, host.Root{Path: r.Path, Medium: medium, Capacity: r.Capacity})
	}
	return out
}

// serve answers calls and runs the loops until ctx ends, then lets calls under way finish.
func (n *node) serve(ctx context.Context, stdout io.Writer) error {
	address := net.JoinHostPort(conf.BEHost.Get(n.conf), strconv.Itoa(conf.BERPCPort.Get(n.conf)))
	listener, err := rpc.Listen(address, conf.BELocalSockets.Get(n.conf), n.log)
	if err != nil {
		return fmt.Errorf("listen for rpc: %w", err)
	}
	n.listener = listener
	cfg := rpc.ServerConfig{Cluster: n.cluster, Log: n.log, TLS: n.secure.ServerTLS(), Refused: n.refused,
		Outbox:     n.outbox,
		AllowFresh: func(method string) bool { return method == bepb.Backend_Heartbeat_FullMethodName }}
	grpcServer, pipes := rpc.NewServer(cfg), rpc.NewPipeServer(cfg)
	bepb.RegisterBackendServer(grpcServer, n.service)
	pipes.Brief(bepb.Backend_Write_FullMethodName, bepb.Backend_Replicate_FullMethodName, bepb.Backend_Publish_FullMethodName,
		bepb.Backend_Get_FullMethodName, bepb.Backend_Fetch_FullMethodName, bepb.Backend_Modify_FullMethodName, bepb.Backend_ModifyRows_FullMethodName)
	bepb.RegisterBackendServer(pipes, n.service)
	web, err := net.Listen("tcp", net.JoinHostPort(conf.BEHost.Get(n.conf), strconv.Itoa(conf.BEHTTPPort.Get(n.conf))))
	if err != nil {
		return errors.Join(fmt.Errorf("listen for http: %w", err), listener.Close())
	}

	loops, stopLoops := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stopLoops()
	wg.Go(func() { n.afterOpen(loops) })
	wg.Go(func() { n.runGossip(loops) })
	failed := make(chan error, 2)
	wg.Go(func() {
		if err := n.serveHTTP(loops, web); err != nil {
			failed <- err
		}
	})
	lis := pipes.Listen(listener)
	wg.Go(func() { failed <- grpcServer.Serve(lis) })
	n.log.Info("be serves", "address", address, "version", n.service.Version)
	fmt.Fprintf(stdout, "be serves on %s\n", address)
	select {
	case <-ctx.Done():
		n.stopping.Store(true)
		rpc.Stop(grpcServer, stopGrace)
		pipes.Stop(stopGrace)
		return nil
	case err := <-failed:
		n.stopping.Store(true)
		rpc.Stop(grpcServer, stopGrace)
		pipes.Stop(stopGrace)
		return err
	}
}

// afterOpen waits until this BE belongs to a cluster, then notes what was pending on each tablet and reports.
func (n *node) afterOpen(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-n.host.Ready():
	}
	for _, d := range n.host.Disks() {
		if d.Store != nil {
			n.adopt(d.Store)
		}
	}
	var disks sync.WaitGroup
	defer disks.Wait()
	disks.Go(func() { n.host.KeepOpen(ctx) })
	n.reporter.Run(ctx)
}

func (n *node) adopt(disk *tablet.Store) {
	for _, t := range disk.Tablets() {
		n.writer.Adopt(t)
	}
}

// joined takes the replicas of a disk in that is open at last, and has the FE told of them.
func (n *node) joined(disk *tablet.Store, dropped []*tablet.Tablet) {
	for _, t := range dropped {
		n.writer.Dropped(t)
	}
	n.adopt(disk)
	n.reporter.All()
}

// close ends what may still use the stores, then the stores.
func (n *node) close() error {
	n.clones.Close()
	n.writer.Close()
	return errors.Join(n.peers.Close(), n.host.Close())
}
