// Package raftlog keeps the catalog in a Raft group of FEs: it proposes commands, applies what is committed, and
// publishes each new catalog as one immutable value.
//
// It owns the metadata directory of an FE (identity, log, snapshots) and the connections between FEs; it knows nothing
// of what commands mean. Only it imports the Raft library.
//
// A new leader is leader to its callers only when it has applied everything that its predecessors committed: it
// proposes command.NoteLeader first and waits for that.
//
// Crash at any point: an entry is in the log of a majority before Propose answers; the catalog is rebuilt from the
// newest snapshot and the log behind it. An entry or snapshot that cannot be read, or an entry that cannot be stored, stops this FE with the reason and
// the remedy (Failed, Open); the others go on.
package raftlog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"

	"stele/meta/catalog"
	"stele/meta/command"
)

// Bounds of the transport and the log.
const (
	connectionPool    = 3
	transportTimeout  = 10 * time.Second
	snapshotsRetained = 2
)

// Log is the replicated catalog of one FE.
type Log struct {
	cfg       Config
	fsm       *fsm
	raft      *raft.Raft
	stream    *stream
	transport *raft.NetworkTransport
	wal       *logStore
	lock      *os.File

	proposals chan *proposal
	flights   flights
	traces    traces
	company   company
	launching sync.Mutex // held while an entry is handed to Raft
	closing   chan struct{}
	once      sync.Once
	closeErr  error
	wg        sync.WaitGroup

	ready   atomic.Uint64 // the term that this FE leads and has established, 0 = none
	notify  chan bool     // from the Raft library
	reads   readRounds
	witness witness
	members membership
	subMu   sync.Mutex
	subs    []chan bool // of LeaderCh
	closed  bool        // subs are closed
	moves   moves
	logs    raft.LogStore
	learns  learns
	growth  *growth
	lost    chan string // ids of peers of whom a connection has ended
	room    room
}

// Open opens or creates the log of an FE and starts taking part in the group.
func Open(cfg Config) (*Log, error) {
	asIs := cfg.decode == nil
	if err := cfg.check(); err != nil {
		return nil, err
	}
	l := &Log{
		cfg: cfg, flights: newFlights(), company: newCompany(), notify: make(chan bool, 16), closing: make(chan struct{}),
		proposals: make(chan *proposal, maxQueued), learns: newLearns(),
		lost: make(chan string, 16), growth: newGrowth(cfg.SnapshotBytes), traces: traces{open: map[[16]byte]*Trace{}},
	}
	l.room = room{dir: cfg.Dir, need: int64(cfg.SegmentBytes), free: cfg.free}
	l.moves.init()
	own := l.flights.command
	if !asIs { // it reads entries in a way of its own
		own = func([]byte) command.Command { return nil }
	}
	l.fsm = newFSM(cfg.decode, own)
	l.fsm.taken, l.fsm.landed, l.fsm.skipped = l.flights.free, l.landed, l.traces.skipped
	if err := l.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open metadata log in %s: %w", cfg.Dir, err), l.release())
	}
	l.wg.Add(9)
	go l.watchCrashes()
	go l.learnAll()
	go l.watchLeader()
	go l.watchLeadership()
	go l.propose()
	go l.reap()
	go l.watchFailure()
	go l.compact()
	go l.watchRoom()
	return l, nil
}

func (l *Log) open() error {
	logger := newHclog(l.cfg.Log, "raft")
	var err error
	if l.lock, err = lockDir(l.cfg.Dir); err != nil {
		return err
	}
	if err := claimDir(&l.cfg); err != nil {
		return err
	}
	if l.wal, err = openLogStore(filepath.Join(l.cfg.Dir, "log"), l.cfg.SegmentBytes, l.cfg.Log); err != nil {
		return fmt.Errorf("%w (remedy: %s)", err, Remedy)
	}
	snaps, err := openSnapshots(l.cfg.Dir, logger)
	if err != nil {
		return err
	}
	if err := l.checkFiles(snaps); err != nil {
		return err
	}
	l.wal.onStored(l.flights.entryStored)
	logs := newRecent(l.wal, l.growth.add)
	l.logs = logs
	l.stream = newStream(&l.cfg, l.lostPeer)
	l.transport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: l.stream, MaxPool: connectionPool, Timeout: transportTimeout, Logger: logger,
	})
	conf := l.raftConfig(logger)
	if err := l.bootstrap(conf, logs, snaps); err != nil {
		return err
	}
	if l.raft, err = raft.NewRaft(conf, l.fsm, logs, l.wal, snaps, transport{l.transport, &l.witness}); err != nil {
		if bad := errors.Join(snaps.failure(), l.fsm.restoreFailure()); bad != nil {
			return fmt.Errorf("%w: %w (remedy: %s)", ErrSnapshotUnusable, bad, Remedy)
		}
		return err
	}
	return nil
}

// checkFiles proves that the newest snapshot is whole and this cluster's, and every log entry behind it is there and whole, before
// Raft begins to believe them.
func (l *Log) checkFiles(snaps *snapshots) error {
	all, err := snaps.List()
	if err != nil {
		return fmt.Errorf("%w: %w (remedy: %s)", ErrSnapshotUnusable, err, Remedy)
	}
	newest := uint64(0)
	if len(all) > 0 {
		newest = all[0].Index
	}
	if err := l.wal.check(newest); err != nil {
		return fmt.Errorf("%w: %w (remedy: %s)", ErrLogUnusable, err, Remedy)
	}
	l.wal.onBad(func(err error) {
		switch {
		case errors.Is(err, wal.ErrClosed): // by Close
		case errors.Is(err, ErrNotStored):
			_ = l.fsm.fail(err)
		default:
			_ = l.fsm.fail(fmt.Errorf("%w: %w (remedy: %s)", ErrLogUnusable, err, Remedy)) // it is what Failure returns
		}
	})
	return markUsed(l.cfg.Dir)
}

// Remedy says what to do about a metadata directory that is damaged; errors of this package end with it.
const Remedy = "move this directory away, start this frontend again with fe_helpers naming the others and RESTORE MNODE on one of them, so that " +
	"it gets the metadata from them; if it is the only frontend, put back a copy of the directory, or `stele fe tool restore` a backup"

func (l *Log) raftConfig(logger hclog.Logger) *raft.Config {
	conf := raft.DefaultConfig()
	conf.LocalID = raft.ServerID(l.cfg.ID)
	conf.HeartbeatTimeout = l.cfg.Timings.Heartbeat
	conf.ElectionTimeout = l.cfg.Timings.Election
	conf.LeaderLeaseTimeout = l.cfg.Timings.LeaderLease
	conf.CommitTimeout = l.cfg.Timings.Commit
	conf.SnapshotInterval = l.cfg.SnapshotInterval
	conf.SnapshotThreshold = l.cfg.SnapshotThreshold
	conf.TrailingLogs = l.cfg.TrailingLogs
	conf.MaxAppendEntries = 64 // the library makes room for so many at each entry
	conf.NotifyCh = l.notify
	conf.Logger = logger
	conf.NoLegacyTelemetry = true
	return conf
}

// bootstrap makes this FE the first voter of a new cluster, once.
func (l *Log) bootstrap(conf *raft.Config, logs raft.LogStore, snaps raft.SnapshotStore) error {
	if l.cfg.Bootstrap == nil {
		return nil
	}
	used, err := raft.HasExistingState(logs, l.wal, snaps)
	if err != nil || used {
		return err
	}
	self := raft.Server{Suffrage: raft.Voter, ID: conf.LocalID, Address: l.transport.LocalAddr()}
	return raft.BootstrapCluster(conf, logs, l.wal, snaps, l.transport, raft.Configuration{Servers: []raft.Server{self}})
}

// release frees what open has got hold of.
func (l *Log) release() error {
	var errs []error
	if l.raft != nil {
		errs = append(errs, l.raft.Shutdown().Error())
	}
	if l.transport != nil {
		errs = append(errs, l.transport.Close())
		l.transport.CloseStreams()
	}
	if l.stream != nil {
		errs = append(errs, l.stream.Close())
	} else {
		errs = append(errs, l.cfg.Listener.Close())
	}
	if l.wal != nil {
		errs = append(errs, l.wal.Close())
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
	}
	return errors.Join(errs...)
}

// Close stops taking part and waits for everything that the log has started. It does not hand leadership over:
// TransferLeadership first spares the others an election.
func (l *Log) Close() error {
	l.once.Do(func() {
		close(l.closing)
		shutdown := l.raft.Shutdown().Error() // ends what is in flight
		l.wg.Wait()
		l.closeErr = errors.Join(shutdown, l.release())
	})
	return l.closeErr
}

// Current returns the newest catalog that this FE has applied.
func (l *Log) Current() *catalog.Catalog { return l.fsm.current.Load() }

// landed is told what an entry came to, once it is published.
func (l *Log) landed(entry *raft.Log, result any) {
	l.traces.landed(entry, result)
	l.flights.landed(entry.Data, result)
}

// Changed returns a channel that is closed when more has been applied than when it was got.
func (l *Log) Changed() <-chan struct{} { return l.fsm.changes() }

// Failed is closed when this FE has stopped for an entry that it cannot read or store; Failure says which and why.
func (l *Log) Failed() <-chan struct{} { return l.fsm.failed }

// Failure returns why this FE has stopped, or nil.
func (l *Log) Failure() error { return l.fsm.failure() }

// watchFailure takes an FE that has stopped out of the group: it must neither vote nor lead.
func (l *Log) watchFailure() {
	defer l.wg.Done()
	select {
	case <-l.closing:
	case <-l.fsm.failed:
		l.cfg.Log.Error("metadata log stopped", "err", l.fsm.failure())
		if err := l.raft.Shutdown().Error(); err != nil {
			l.cfg.Log.Error("leave raft group", "err", err)
		}
	}
}

// WaitApplied waits until this FE has applied the entry at index and returns the catalog then.
func (l *Log) WaitApplied(ctx context.Context, index uint64) (*catalog.Catalog, error) {
	for {
		changed := l.fsm.changes()
		if l.fsm.applied.Load() >= index {
			return l.Current(), nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-l.fsm.failed:
			return nil, l.fsm.failure()
		case <-l.closing:
			return nil, ErrClosed
		}
	}
}

// await waits for a future of the Raft library or for ctx.
func (l *Log) await(ctx context.Context, f raft.Future) error { return l.awaitThen(ctx, f, func() {}) }

// awaitThen is await with something to do when the future has ended, be it after ctx.
func (l *Log) awaitThen(ctx context.Context, f raft.Future, then func()) error {
	done := make(chan error, 1)
	// Nobody waits for this goroutine in Close: the library may leave a future open when it shuts down.
	go func() {
		err := f.Error()
		then()
		done <- err
	}()
	select {
	case err := <-done:
		return l.translate(err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// translate turns errors of the Raft library into those of this package.
func (l *Log) translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, errTooLate):
		return l.notLeader()
	case errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrAbortedByRestore):
		return ErrOutcomeUnknown
	case errors.Is(err, ErrNotStored):
		return unknown(err)
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return ErrBusy
	case errors.Is(err, raft.ErrRaftShutdown):
		if failure := l.fsm.failure(); failure != nil {
			return failure
		}
		return ErrClosed
	}
	return err
}

func (l *Log) notLeader() error {
	addr, id := l.raft.LeaderWithID()
	return &ErrNotLeader{LeaderID: string(id), LeaderAddr: string(addr)}
}
