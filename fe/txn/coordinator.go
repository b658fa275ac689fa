// Package txn coordinates write transactions: it sends rows to tablet leaders, commits in one catalog command, and
// publishes the committed versions.
//
// The Raft entry is the truth. Before it, everything is pending and Abort (or, should the FE die, the BEs' question
// for the outcome) clears it; after it, the transaction is committed even if nobody hears of it at first: a BE that
// missed the publish learns the outcome from its own question. The client hears OK when the entry is committed: the rows
// are on disk on a quorum then, or in the entry, and publishing goes on behind it. Every later query carries the version, and a replica that
// has not heard of it yet waits for it, asks for it, or sends the query to another one (I4).
package txn

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"stele/fe/beclient"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// Log is the metadata log.
type Log interface {
	Current() *catalog.Catalog
	Propose(ctx context.Context, cmds ...command.Command) ([]catalog.Result, error)
}

// CommitLog is a Log that hears of commits before they are proposed, so that they may share an entry.
type CommitLog interface {
	Log
	// Expect says that n more statements, or fewer, are about to propose.
	Expect(n int)
}

// Liveness tells which BEs answer, and takes hints that one may not.
type Liveness interface {
	Alive(types.BEID) bool
	Address(types.BEID) string
	// Writes reports whether a disk of a BE takes writes, as far as is known.
	Writes(types.BEID, types.DiskID) bool
	Probe(types.BEID)
}

// Settings are read at each use.
type Settings struct {
	WriteTimeout time.Duration
	// PublishBacklog is how many versions may wait to be told to a BE before commits wait for it, for PublishWait at most.
	PublishBacklog int
	PublishWait    time.Duration
	// RedoBytes is how many bytes of rows a transaction may carry in its commit; 0 = its rows are on disk before.
	RedoBytes int
	// Failover: leaders are moved away from where nothing can be written.
	Failover bool
}

// Coordinator runs the transactions of one FE. It is safe for concurrent use.
type Coordinator struct {
	log      CommitLog
	clients  *beclient.Clients
	live     Liveness
	settings func() Settings
	logger   *slog.Logger
	ids      *Sequence
	pub      *publisher
	schemas  schemas
	calls    underWay
	stop     func() // ends the search for deadlocks

	mu     sync.Mutex
	active map[types.TxnID]*Txn // those that are undecided, and their since and tables
}

// New returns a coordinator; Close ends its publishing and its search for deadlocks.
func New(log CommitLog, clients *beclient.Clients, live Liveness, settings func() Settings, logger *slog.Logger) *Coordinator {
	c := &Coordinator{log: log, clients: clients, live: live, settings: settings, logger: logger,
		ids: NewSequence(log, command.CounterTxns, 0, txnRange, txnRangeAge), pub: newPublisher(clients, live, logger),
		active: map[types.TxnID]*Txn{}}
	clients.BeforeReads(c.pub.release)
	ctx, cancel := context.WithCancel(context.Background())
	var search sync.WaitGroup
	search.Go(func() { c.breakDeadlocks(ctx) })
	c.stop = func() {
		cancel()
		search.Wait()
	}
	return c
}

// Transaction ids are drawn in ranges that go stale: an undecided transaction is expired by the age of its id.
const (
	txnRange    = 512
	txnRangeAge = 10 * time.Second
)

// Close waits a moment for what is still to be published.
func (c *Coordinator) Close() {
	c.stop()
	c.pub.close()
}

// Active reports whether a transaction of this FE is still undecided here.
func (c *Coordinator) Active(id types.TxnID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.active[id]
	return ok
}

// Begin starts a transaction. An explicit one may read its own writes.
func (c *Coordinator) Begin(ctx context.Context, explicit bool) (*Txn, error) {
	passed := c.log.Current().PassedOver()
	t := &Txn{c: c, explicit: explicit, passed: passed}
	if err := c.draw(ctx, t); err != nil {
		return nil, err
	}
	t.done.lost = !explicit // an autocommitted statement is run again from the start instead
	return t, nil
}

func (c *Coordinator) over(id types.TxnID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.active, id)
}

// Running returns the transactions of this FE that are undecided, and since when.
func (c *Coordinator) Running() map[types.TxnID]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[types.TxnID]time.Time, len(c.active))
	for id, t := range c.active {
		out[id] = t.since
	}
	return out
}
