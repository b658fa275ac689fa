package clone_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stele/be/clone"
	"stele/be/host"
	"stele/be/tablet"
	"stele/be/write"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

// How long sources may hang or be away: those that come back, on a machine that may stand still, and those that do not.
const (
	patience = time.Minute
	soon     = 300 * time.Millisecond
)

const (
	testTablet  = types.TabletID(7)
	testCluster = types.ClusterID("clone-test")
	nodes       = 3
)

func testSchema() types.Schema {
	return types.Schema{TableID: 1, Version: 1, Key: []types.ColumnID{1}, Columns: []types.Column{
		{ID: 1, Name: "id", Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}},
		{ID: 2, Name: "val", Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}},
	}}
}

// node is one BE without its network.
type node struct {
	be       types.BEID
	dir      string
	burning  atomic.Pointer[string] // the root whose disk takes no writes, nil = none
	host     *host.Host
	writer   *write.Writer
	clones   *clone.Manager
	outgoing *clone.Outgoing
	slots    *clone.Slots
	ended    chan types.TabletID
	mover    func()                      // called in the middle of a move
	inbox    []*bepb.PublishRequest_Item // publishes on their way
	letters  []*bepb.ReplicateRequest    // replications on their way: nobody waits for them any more
}

// replica is what the fake catalog knows of a copy.
type replica struct {
	id         types.ReplicaID
	learner    bool
	lastFailed types.Version
}

func (r *replica) complete() bool { return !r.learner && r.lastFailed == 0 }

// effect is what a transaction does to a key; nil deletes it.
type effect map[int64]*int64

// txn is a transaction as the fake FE sees it.
type txn struct {
	id    types.TxnID
	epoch types.Epoch
	ok    []types.ReplicaID
	seq   uint64
	does  effect
}

// fate is what becomes of the next replication to a node.
type fate int

const (
	arrives fate = iota
	arrivesTwice
	lost
	late // the leader hears of no answer, and it arrives when the inbox is read
)

// cluster is three BEs, and a fake FE with its catalog and a dumb model of the rows.
type cluster struct {
	t     *testing.T
	rng   *rand.Rand
	nodes [nodes]*node

	epoch     types.Epoch
	leader    int
	replicas  [nodes]*replica
	committed []types.TxnID // index 0 is version 2
	outcome   map[types.TxnID]types.Version
	rows      map[int64]int64
	open      []*txn
	nextTxn   types.TxnID
	nextID    types.ReplicaID
	nextTask  types.TaskID
	during    func()        // called in the middle of a full clone
	cut       func() bool   // whether the stream of a full clone breaks here, and is refused twice
	breaks    int           // streams of full clones that will break
	onBreak   func()        // called when the last of the refused calls is
	refused   int           // calls that will find nobody
	gone      bool          // a source whose stream breaks stays away
	hung      bool          // no source sends anything
	patience  time.Duration // with a source
	resumed   int

	mu    sync.Mutex
	fates map[string]fate

	writes, duplicates, fulls, increments, moves int
}

func address(i int) string { return fmt.Sprintf("be%d", i+1) }

func newCluster(t *testing.T, seed uint64) *cluster {
	c := &cluster{t: t, rng: rand.New(rand.NewPCG(seed, 1)), epoch: 1, outcome: map[types.TxnID]types.Version{}, rows: map[int64]int64{},
		nextTxn: 100, nextID: 11, nextTask: 1, patience: patience, fates: map[string]fate{}}
	for i := range c.nodes {
		c.nodes[i] = &node{be: types.BEID(i + 1), dir: t.TempDir()}
		c.start(i)
		if err := c.nodes[i].host.Join(testCluster, c.nodes[i].be); err != nil {
			t.Fatal(err)
		}
		c.replicas[i] = &replica{id: c.nextID}
		c.nextID++
		if _, err := c.nodes[i].host.Disks()[0].Store.Create(c.meta(i)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for i := range c.nodes {
			c.stop(i)
		}
	})
	return c
}

func (c *cluster) meta(i int) tablet.Meta {
	return tablet.Meta{Tablet: testTablet, Table: 1, Partition: 1, Replica: c.replicas[i].id, Schema: testSchema(), Epoch: c.epoch}
}

func (c *cluster) version() types.Version {
	return types.InitialVersion + types.Version(len(c.committed))
}

func (c *cluster) start(i int) {
	n := c.nodes[i]
	log := slog.New(slog.DiscardHandler)
	n.host = host.New([]host.Root{{Path: n.dir + "/a"}, {Path: n.dir + "/b"}}, log, func(r host.Root, cluster types.ClusterID) tablet.Options {
		write := func(string, bool) error {
			if path := n.burning.Load(); path != nil && *path == r.Path {
				return errors.New("disk on fire")
			}
			return nil
		}
		return tablet.Options{Faults: tablet.Faults{Write: write}, Logger: log, ClusterID: cluster, Small: true, FloodBytes: 1, FloodPercent: 1, NoBackground: true,
			Retention: tablet.Retention{Versions: 4, Age: 1, Bytes: 1 << 20}}
	})
	n.writer = write.New(n.host, c, write.Options{ReplicateTimeout: time.Second, VersionWait: time.Millisecond}, log)
	n.ended = make(chan types.TabletID, 1)
	n.slots = clone.NewSlots(1, 1)
	n.outgoing = clone.NewOutgoing(n.host, n.writer, n.slots, clone.NewThrottle(func() int64 { return 0 }, nil), time.Millisecond)
	n.clones = clone.NewManager(clone.Options{Host: n.host, Writer: n.writer, Source: c, Slots: n.slots, Log: log,
		Throttle: clone.NewThrottle(func() int64 {
			if f := n.mover; f != nil {
				n.mover = nil
				f()
			}
			return 0
		}, nil),
		Done: func(id types.TabletID) { n.ended <- id }})
	if err := n.host.OpenKnown(); err != nil {
		c.fatalf("%v", err)
	}
	if t, ok := n.host.Tablet(testTablet); ok {
		n.writer.Adopt(t)
	}
}

func (c *cluster) stop(i int) {
	n := c.nodes[i]
	n.clones.Close()
	n.writer.Close()
	if err := n.host.Close(); err != nil {
		c.t.Error(err)
	}
}

func (c *cluster) restart(i int) {
	c.stop(i)
	c.start(i)
}

// Forward is the network between the writers.
func (c *cluster) Forward(to string, req *bepb.ReplicateRequest, timeout time.Duration, done func(*bepb.ReplicateResponse, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	done(c.replicate(ctx, to, req))
}

func (c *cluster) replicate(ctx context.Context, to string, req *bepb.ReplicateRequest) (*bepb.ReplicateResponse, error) {
	c.mu.Lock()
	f := c.fates[to]
	n := c.at(to)
	if f == late {
		n.letters = append(n.letters, req)
	}
	c.mu.Unlock()
	switch f {
	case lost, late:
		return nil, errors.New("the network is down")
	case arrivesTwice:
		n.writer.Replicate(ctx, req)
	}
	return n.writer.Replicate(ctx, req), nil
}

func (c *cluster) at(to string) *node {
	for i := range c.nodes {
		if address(i) == to {
			return c.nodes[i]
		}
	}
	c.fatalf("no node %s", to)
	return nil
}

// FetchChanges is the network between a destination and the source side of an incremental clone.
func (c *cluster) FetchChanges(ctx context.Context, from string, req *bepb.FetchChangesRequest, each func(*bepb.FetchChangesResponse) error) error {
	if err := c.hangs(ctx); err != nil {
		return err
	}
	return mapped(c.at(from).outgoing.Changes(ctx, req, func(m *bepb.FetchChangesResponse) error {
		if len(m.Changes) == 0 || c.rng.IntN(2) == 0 {
			return each(m)
		}
		for i, change := range m.Changes { // as the pieces of large ones come
			for piece := range slices.Chunk(change.Payload, 40) {
				if err := each(&bepb.FetchChangesResponse{Version: change.Version, Payload: piece, TotalBytes: m.TotalBytes * int64(1-min(i, 1))}); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

// mapped is what the RPC makes of the errors of a source.
func mapped(err error) error {
	if errors.Is(err, tablet.ErrGone) {
		return clone.ErrGone
	}
	return err
}

// hangs plays a source that keeps its connection and sends nothing.
func (c *cluster) hangs(ctx context.Context) error {
	if !c.hung {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// FetchSnapshot is the network between a destination and the source side of a full clone: now and then the stream breaks,
// and life goes on in the middle of it.
func (c *cluster) FetchSnapshot(ctx context.Context, from string, req *bepb.FetchSnapshotRequest, each func(*bepb.FetchSnapshotResponse) error) error {
	if err := c.hangs(ctx); err != nil {
		return err
	}
	if c.refused > 0 {
		if c.refused--; c.refused == 0 && c.onBreak != nil {
			c.onBreak()
		}
		return clone.ErrUnreachable
	}
	left := -1
	if c.breaks > 0 {
		c.breaks--
		left = c.rng.IntN(4)
	}
	return mapped(c.at(from).outgoing.Snapshot(ctx, req, func(m *bepb.FetchSnapshotResponse) error {
		if m.KeptBytes > 0 {
			c.resumed++
		}
		if m.Last && c.during != nil {
			c.during()
		}
		if left == 0 {
			return clone.ErrUnreachable
		}
		left--
		if c.cut != nil && c.cut() {
			c.refused = 2
			if c.gone {
				c.refused = 1 << 30
			}
			return clone.ErrUnreachable
		}
		return each(m)
	}))
}

// view is what a transaction sees: committed rows under its own.
func (c *cluster) view(tx *txn, key int64) bool {
	if v, own := tx.does[key]; own {
		return v != nil
	}
	_, ok := c.rows[key]
	return ok
}

// predict says what a statement should do: the effect, or the row that is refused as a duplicate.
func (c *cluster) predict(tx *txn, ops []types.RowOp, ids, vals []int64) (does effect, duplicate int) {
	next := &txn{does: maps.Clone(tx.does)}
	for i, id := range ids {
		alive := c.view(next, id)
		switch {
		case ops[i] == types.OpDelete:
			next.does[id] = nil
		case ops[i] == types.OpInsert && alive:
			return nil, i
		case ops[i] == types.OpInsertIgnore && alive:
		default:
			next.does[id] = &vals[i]
		}
	}
	return next.does, -1
}

// write sends one statement to the leader. The transaction is aborted when it is refused.
func (c *cluster) write(tx *txn) {
	if tx.epoch != c.epoch { // an FE sees that by itself
		c.abort(tx)
		return
	}
	if tx.seq == 3 {
		c.commit(tx)
		return
	}
	n := 1 + c.rng.IntN(5)
	ops, ids, vals := make([]types.RowOp, n), make([]int64, n), make([]int64, n)
	raw := make([]byte, n)
	for i := range n {
		ops[i] = types.RowOp(c.rng.IntN(4))
		ids[i], vals[i], raw[i] = c.rng.Int64N(12), c.rng.Int64N(1000), byte(ops[i])
	}
	does, duplicate := c.predict(tx, ops, ids, vals)
	schema := testSchema()
	batch := &vec.Batch{N: n, Cols: []*vec.Vector{{Type: schema.Columns[0].Type, N: n, I64: ids}, {Type: schema.Columns[1].Type, N: n, I64: vals}}}
	part := &bepb.WriteRequest_Part{TabletId: uint64(testTablet), Epoch: uint64(c.epoch), MinVersion: uint64(c.version()),
		ReplicaId: uint64(c.replicas[c.leader].id), Ops: raw, Rows: vec.Encode(nil, batch), Seq: tx.seq}
	c.mu.Lock()
	for i := range c.nodes {
		if i != c.leader {
			c.fates[address(i)] = []fate{arrives, arrives, arrives, arrivesTwice, lost, late}[c.rng.IntN(6)]
			part.Others = append(part.Others, &bepb.ReplicaAddress{ReplicaId: uint64(c.replicas[i].id), Address: address(i)})
		}
	}
	c.mu.Unlock()
	tx.seq++
	resp := c.nodes[c.leader].writer.Write(context.Background(), &bepb.WriteRequest{TxnId: uint64(tx.id), Parts: []*bepb.WriteRequest_Part{part},
		ExplicitTxn: c.rng.IntN(2) == 0})
	switch resp.Refusal {
	case bepb.WriteResponse_REFUSAL_UNSPECIFIED:
		if duplicate >= 0 {
			c.fatalf("txn %d: row %d of %v %v is a duplicate and was taken", tx.id, duplicate, ops, ids)
		}
		c.writes++
		c.take(tx, does, resp.Parts[0])
		return
	case bepb.WriteResponse_DUPLICATE_KEY:
		if int(resp.RefusedRow) != duplicate {
			c.fatalf("txn %d: row %d of %v %v was refused as a duplicate, not %d", tx.id, resp.RefusedRow, ops, ids, duplicate)
		}
		c.duplicates++
	case bepb.WriteResponse_LOCK_TIMEOUT, bepb.WriteResponse_DEADLOCK: // of another one that is open, or whose end the leader has not heard of
	case bepb.WriteResponse_BEHIND:
	default:
		c.fatalf("txn %d: %v: %s", tx.id, resp.Refusal, resp.Message)
	}
	c.abort(tx)
}

func (c *cluster) take(tx *txn, does effect, p *bepb.WriteResponse_Part) {
	tx.does = does
	if tx.seq == 1 {
		for _, id := range p.OkReplicas {
			tx.ok = append(tx.ok, types.ReplicaID(id))
		}
		return
	}
	tx.ok = slices.DeleteFunc(tx.ok, func(r types.ReplicaID) bool { return !slices.Contains(p.OkReplicas, uint64(r)) })
}

func (c *cluster) over(tx *txn) {
	c.open = slices.DeleteFunc(c.open, func(x *txn) bool { return x == tx })
}

func (c *cluster) abort(tx *txn) {
	c.over(tx)
	c.outcome[tx.id] = 0
	for _, n := range c.nodes {
		if c.rng.IntN(4) > 0 { // else the message is lost
			if err := n.writer.Abort(tx.id, 0, testTablet); err != nil {
				c.fatalf("%v", err)
			}
		}
	}
}

// commit is the catalog's CommitTxn with a majority for quorum.
func (c *cluster) commit(tx *txn) {
	have, need := 0, 0
	for _, r := range c.replicas {
		if !r.learner {
			need++
		}
		if r.complete() && slices.Contains(tx.ok, r.id) {
			have++
		}
	}
	if tx.epoch != c.epoch || have < need/2+1 || !slices.Contains(tx.ok, c.replicas[c.leader].id) {
		c.abort(tx)
		return
	}
	c.over(tx)
	c.committed = append(c.committed, tx.id)
	v := c.version()
	c.outcome[tx.id] = v
	for k, val := range tx.does {
		if delete(c.rows, k); val != nil {
			c.rows[k] = *val
		}
	}
	for i, n := range c.nodes {
		if !slices.Contains(tx.ok, c.replicas[i].id) {
			c.replicas[i].lastFailed = v
		}
		if c.rng.IntN(5) > 0 { // else the message is lost
			at := c.rng.IntN(len(n.inbox) + 1)
			n.inbox = slices.Insert(n.inbox, at, &bepb.PublishRequest_Item{TabletId: uint64(testTablet), TxnId: uint64(tx.id), Version: uint64(v), Parts: uint32(tx.seq)})
		}
	}
}

// deliver brings a node some of what is on its way.
func (c *cluster) deliver(n *node) {
	c.mu.Lock()
	letters := n.letters
	n.letters = nil
	c.mu.Unlock()
	for _, req := range letters {
		n.writer.Replicate(context.Background(), req)
	}
	some := c.rng.IntN(len(n.inbox) + 1)
	n.writer.Publish(context.Background(), n.inbox[:some])
	n.inbox = n.inbox[some:]
}

// resolve answers what the node asks about.
func (c *cluster) resolve(n *node) {
	type question struct {
		txn types.TxnID
		id  types.TabletID
	}
	var asked []question
	n.writer.Unsettled(func(txn types.TxnID, id types.TabletID) { asked = append(asked, question{txn, id}) })
	for _, q := range asked {
		if v, decided := c.outcome[q.txn]; decided {
			if i := slices.Index(c.nodes[:], n); v != 0 && c.replicas[i].lastFailed >= v {
				v = 0 // as the FE: it has missed the version, what it holds may be a part only
			}
			if err := n.writer.Resolved(q.id, q.txn, v); err != nil {
				c.fatalf("%v", err)
			}
		}
	}
}

// report is the catalog's ReportReplicas.
func (c *cluster) report(i int) {
	t, ok := c.nodes[i].host.Tablet(testTablet)
	if r := c.replicas[i]; ok && t.Meta().Replica == r.id && t.Version() >= r.lastFailed {
		r.lastFailed = 0
	}
}

func (c *cluster) complete() (out []int) {
	for i, r := range c.replicas {
		if r.complete() {
			out = append(out, i)
		}
	}
	return out
}

// clone brings a node up to date from the leader, and promotes it when it was a learner.
func (c *cluster) clone(i int) {
	if i == c.leader {
		return
	}
	c.caughtUp(c.leader)
	c.nextTask++
	n := c.nodes[i]
	n.clones.Submit(clone.Task{ID: c.nextTask, Stall: c.patience, Tablet: testTablet, Table: 1, Partition: 1, Replica: c.replicas[i].id, Epoch: c.epoch,
		Schema: testSchema(), Source: address(c.leader), SourceReplica: c.replicas[c.leader].id, MinVersion: c.version(), Timeout: time.Minute})
	<-n.ended
	for _, s := range n.clones.Statuses(nil) {
		if s.TaskId != uint64(c.nextTask) {
			continue
		}
		if s.State != bepb.CloneStatus_DONE {
			c.fatalf("clone to node %d: %v: %s", i, s.State, s.Reason)
		}
		if s.Full {
			c.fulls++
		} else {
			c.increments++
		}
	}
	n.clones.Statuses([]uint64{uint64(c.nextTask)})
	c.report(i)
	if r := c.replicas[i]; r.learner && r.lastFailed == 0 {
		r.learner = false
		c.epoch++
	}
}

// move moves a replica to the other disk of its node, with life going on meanwhile; then, at times, the process dies.
func (c *cluster) move(i int) {
	n := c.nodes[i]
	t, ok := n.host.Tablet(testTablet)
	if !ok || t.Meta().Replica != c.replicas[i].id || t.Stats().Bad {
		return
	}
	from, _ := n.host.Store(testTablet)
	to := n.host.Disks()[0].Store
	if to == from {
		to = n.host.Disks()[1].Store
	}
	if c.during != nil && c.rng.IntN(2) == 0 {
		n.mover = c.during
	}
	c.nextTask++
	n.clones.Submit(clone.Task{ID: c.nextTask, Stall: c.patience, Tablet: testTablet, Table: 1, Partition: 1, Replica: c.replicas[i].id, Epoch: c.epoch,
		Schema: testSchema(), Source: address(i), SourceBE: n.be, Disk: to.ID(), MinVersion: c.version(), Timeout: time.Minute})
	<-n.ended
	n.mover = nil
	for _, s := range n.clones.Statuses([]uint64{uint64(c.nextTask)}) {
		c.fatalf("move on node %d is not forgotten: %v", i, s)
	}
	if store, ok := n.host.Store(testTablet); !ok || store != to {
		c.fatalf("replica on node %d has not moved", i)
	}
	if _, still := from.Tablet(testTablet); still {
		c.fatalf("replica on node %d is on both disks", i)
	}
	c.moves++
}

// caughtUp lets a complete replica hear of everything that is decided.
func (c *cluster) caughtUp(i int) {
	c.resolve(c.nodes[i])
	if t, _ := c.nodes[i].host.Tablet(testTablet); t.Version() != c.version() {
		c.fatalf("complete node %d is at version %d of %d after it was told everything", i, t.Version(), c.version())
	}
}

// replace drops a replica and adds a learner on the same node.
func (c *cluster) replace(i int) {
	if i == c.leader || len(c.complete()) < 3 {
		return
	}
	n, old := c.nodes[i], c.replicas[i]
	t, _ := n.host.Tablet(testTablet)
	if c.rng.IntN(2) == 0 { // else the old one is still there when the clone comes
		store, _ := n.host.Store(testTablet)
		if err := store.Drop(testTablet, old.id); err != nil {
			c.fatalf("%v", err)
		}
		n.writer.Dropped(t)
	}
	c.replicas[i] = &replica{id: c.nextID, learner: true, lastFailed: c.version()}
	c.nextID++
	c.epoch++
}

// step does something at random.
func (c *cluster) step() {
	i := c.rng.IntN(nodes)
	switch c.rng.IntN(20) {
	case 0, 1, 2, 3, 4, 5, 6:
		if len(c.open) < 2 {
			c.nextTxn++
			c.open = append(c.open, &txn{id: c.nextTxn, epoch: c.epoch, does: effect{}})
		}
		c.write(c.open[c.rng.IntN(len(c.open))])
	case 7, 8, 9:
		if len(c.open) > 0 {
			if tx := c.open[c.rng.IntN(len(c.open))]; tx.seq > 0 {
				c.commit(tx)
			}
		}
	case 10, 11, 12:
		c.deliver(c.nodes[i])
	case 13:
		c.resolve(c.nodes[i])
	case 14:
		c.report(i)
	case 15, 16:
		c.breaks = c.rng.IntN(3)
		c.clone(i)
		c.breaks = 0
	case 17:
		if done := c.complete(); slices.Contains(done, i) {
			c.leader = i
			c.epoch++
		}
	case 18:
		if c.during == nil {
			return
		}
		if t, ok := c.nodes[i].host.Tablet(testTablet); ok && c.rng.IntN(2) == 0 {
			_ = t.Flush() // forgets old change sets, so that clones are full
		}
		c.maintain(i)
	case 19:
		if c.rng.IntN(2) == 0 {
			c.move(i)
		} else if c.rng.IntN(3) > 0 {
			c.replace(i)
		}
	}
}

func (c *cluster) maintain(i int) {
	for _, d := range c.nodes[i].host.Disks() {
		if err := d.Store.Maintain(context.Background()); err != nil {
			c.fatalf("%v", err)
		}
	}
}

// checkCounted proves I1 where the catalog relies on it: a replica that it counts as complete has every committed
// version, applied or pending.
func (c *cluster) checkCounted() {
	for _, i := range c.complete() {
		t, ok := c.nodes[i].host.Tablet(testTablet)
		if !ok || t.Meta().Replica != c.replicas[i].id {
			c.fatalf("node %d counts and has no replica %d", i, c.replicas[i].id)
		}
		pending := t.Pending()
		for v := t.Version() + 1; v <= c.version(); v++ {
			if txn := c.committed[v-types.InitialVersion-1]; !slices.Contains(pending, txn) {
				c.fatalf("node %d counts, is at version %d, and lost version %d (txn %d)", i, t.Version(), v, txn)
			}
		}
	}
}

// checkEqual lets everybody catch up and compares the replicas with one another and with the model.
func (c *cluster) checkEqual() {
	for len(c.open) > 0 {
		c.abort(c.open[0])
	}
	c.during = nil
	for i, n := range c.nodes {
		n.inbox = nil
		c.deliver(n)
		c.resolve(n)
		c.clone(i)
	}
	want := uint64(0)
	for i, n := range c.nodes {
		c.resolve(n)
		t, _ := n.host.Tablet(testTablet)
		digest, rows, err := t.Digest(c.version())
		if err != nil || rows != int64(len(c.rows)) {
			c.fatalf("node %d: %d rows of %d, %v", i, rows, len(c.rows), err)
		}
		if i == 0 {
			want = digest
		}
		if digest != want {
			c.fatalf("node %d: digest %x, not %x", i, digest, want)
		}
		if left := t.Pending(); len(left) > 0 {
			c.fatalf("node %d: transactions %v are pending after all is over", i, left)
		}
		n.writer.Unsettled(func(txn types.TxnID, _ types.TabletID) { c.t.Errorf("node %d: txn %d still holds something", i, txn) })
	}
	c.checkRows()
}

func (c *cluster) checkRows() {
	t, _ := c.nodes[c.leader].host.Tablet(testTablet)
	snap, err := t.Current()
	if err != nil {
		c.fatalf("%v", err)
	}
	defer snap.Release()
	it := snap.Scan([]types.ColumnID{1, 2}, tablet.ScanOptions{})
	got := map[int64]int64{}
	for {
		b, err := it.Next(context.Background())
		if err != nil {
			c.fatalf("%v", err)
		}
		if b == nil {
			break
		}
		for k := range b.Rows() {
			got[b.Cols[0].I64[b.Row(k)]] = b.Cols[1].I64[b.Row(k)]
		}
	}
	if !maps.Equal(got, c.rows) {
		c.fatalf("rows %v, want %v", got, c.rows)
	}
}

// TestReplicasAgree drives the cluster at random: lost, late and repeated messages, restarts, clones with writes in the
// middle, changes of leader and of replicas.
func TestReplicasAgree(t *testing.T) {
	total := [6]int{}
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := newCluster(t, seed)
			c.during = func() {
				during := c.during
				c.during = nil // clones do not nest
				for range c.rng.IntN(8) {
					if k := c.rng.IntN(20); k < 13 {
						c.stepUnder(k)
					}
				}
				c.during = during
			}
			for n := range 200 {
				c.step()
				c.checkCounted()
				if n%67 == 66 {
					c.restart(c.rng.IntN(nodes))
					c.checkCounted()
				}
			}
			c.checkEqual()
			for i, n := range []int{c.writes, c.duplicates, c.fulls, c.increments, c.moves, c.resumed} {
				total[i] += n
			}
		})
	}
	t.Logf("%d writes, %d duplicates, %d full clones, %d incremental ones, %d moves, %d streams taken up again", total[0], total[1], total[2], total[3], total[4], total[5])
	for _, n := range total {
		if n == 0 {
			t.Fatal("a kind of step never happened")
		}
	}
}

// stepUnder is a step in the middle of a clone: writes, commits and messages.
func (c *cluster) stepUnder(kind int) {
	switch {
	case kind < 7:
		if len(c.open) == 0 {
			c.nextTxn++
			c.open = append(c.open, &txn{id: c.nextTxn, epoch: c.epoch, does: effect{}})
		}
		c.write(c.open[c.rng.IntN(len(c.open))])
	case kind < 10:
		if len(c.open) > 0 && c.open[0].seq > 0 {
			c.commit(c.open[0])
		}
	default:
		c.deliver(c.nodes[c.rng.IntN(nodes)])
	}
	c.checkCounted()
}

// fatalf ends the test, also from the goroutine of a clone that the test waits for.
func (c *cluster) fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// filled is a cluster whose leader has a few rowsets, and whose last node has a new, empty replica.
func filled(t *testing.T) *cluster {
	c := newCluster(t, 1)
	for range 40 {
		c.nextTxn++
		tx := &txn{id: c.nextTxn, epoch: c.epoch, does: effect{}}
		c.open = append(c.open, tx)
		c.write(tx)
		if len(c.open) > 0 {
			c.commit(tx)
		}
		c.caughtUp(0)
		if l, _ := c.nodes[0].host.Tablet(testTablet); c.nextTxn%8 == 0 {
			if err := l.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.checkEqual()
	c.replicas[2] = &replica{id: c.nextID, learner: true, lastFailed: c.version()}
	c.nextID++
	store, _ := c.nodes[2].host.Store(testTablet)
	old, _ := store.Tablet(testTablet)
	if err := store.Drop(testTablet, old.Meta().Replica); err != nil {
		t.Fatal(err)
	}
	c.nodes[2].writer.Dropped(old)
	return c
}

// try runs a clone to a node and returns how it ended.
func (c *cluster) try(i int) *bepb.CloneStatus { return c.tryFrom(i, c.replicas[c.leader].id) }

func (c *cluster) tryFrom(i int, source types.ReplicaID) *bepb.CloneStatus {
	c.nextTask++
	c.nodes[i].clones.Submit(clone.Task{ID: c.nextTask, Stall: c.patience, Tablet: testTablet, Table: 1, Partition: 1, Replica: c.replicas[i].id, Epoch: c.epoch,
		Schema: testSchema(), Source: address(c.leader), SourceBE: c.nodes[c.leader].be, SourceReplica: source, MinVersion: c.version(), Timeout: time.Minute})
	<-c.nodes[i].ended
	for _, s := range c.nodes[i].clones.Statuses(nil) {
		if s.TaskId == uint64(c.nextTask) {
			return s
		}
	}
	c.fatalf("no outcome")
	return nil
}

// TestSourceRestartsInTheMiddle breaks the stream by a restart of the source: what was received is not sent again.
func TestSourceRestartsInTheMiddle(t *testing.T) {
	c := filled(t)
	restarted := false
	messages := 0
	c.cut = func() bool { messages++; return messages == 3 }
	c.onBreak = func() { restarted = true; c.restart(0) }
	s := c.try(2)
	if s.State != bepb.CloneStatus_DONE || !restarted || c.resumed == 0 || s.BytesKept == 0 {
		t.Fatalf("%v, restarted %v, taken up again %d times", s, restarted, c.resumed)
	}
	c.checkEqual()
}

// TestDestinationRestartsInTheMiddle gives a clone up half-way and restarts its BE: the next one takes over what is there.
func TestDestinationRestartsInTheMiddle(t *testing.T) {
	c := filled(t)
	messages := 0
	c.cut = func() bool { messages++; return messages == 3 }
	c.refused = 0
	c.gone, c.patience = true, soon
	if s := c.try(2); s.State != bepb.CloneStatus_FAILED || s.BytesDone == 0 {
		t.Fatalf("%v", s)
	}
	c.gone, c.refused, c.patience = false, 0, patience
	c.restart(2)
	s := c.try(2)
	if s.State != bepb.CloneStatus_DONE || s.BytesKept == 0 || s.BytesDone > s.BytesTotal {
		t.Fatalf("%v", s)
	}
	c.checkEqual()
}

// TestSourceIsAnotherReplica: what the source has is not cloned, all of it or its changes, when it is not the replica that is meant.
func TestSourceIsAnotherReplica(t *testing.T) {
	c := filled(t)
	const other = 999
	for _, how := range []string{"all", "changes"} {
		if s := c.tryFrom(2, other); s.State != bepb.CloneStatus_FAILED || !strings.Contains(s.Reason, "not 999") {
			t.Fatalf("%s: %v", how, s)
		}
		if s := c.try(2); s.State != bepb.CloneStatus_DONE {
			t.Fatalf("%s: %v", how, s)
		}
	}
	c.checkEqual()
}

// TestHungSourceIsGivenUp has the source keep its connection and send nothing.
func TestHungSourceIsGivenUp(t *testing.T) {
	c := filled(t)
	c.hung, c.patience = true, soon
	if s := c.try(2); s.State != bepb.CloneStatus_FAILED || !strings.Contains(s.Reason, "stalled") {
		t.Fatalf("%v", s)
	}
	c.hung, c.patience = false, patience
	if s := c.try(2); s.State != bepb.CloneStatus_DONE {
		t.Fatalf("%v", s)
	}
	c.checkEqual()
}

// TestInterruptedMove leaves a replica on both disks, as a crash in the last step of a move does.
func TestInterruptedMove(t *testing.T) {
	c := filled(t)
	n := c.nodes[0]
	c.copyAside(0)
	c.restart(0)
	held := 0
	for _, d := range n.host.Disks() {
		held += d.Store.TabletCount()
	}
	if held != 1 {
		t.Fatalf("%d replicas on the disks after the restart", held)
	}
	c.clone(2)
	c.checkEqual()
}

// TestMoveOffAFailedDisk: a disk that takes no writes is read, and the replica on it moves to the other one and is written to there. When the disk is
// well again it has the replica as it was: that one goes.
func TestMoveOffAFailedDisk(t *testing.T) {
	c := filled(t)
	n := c.nodes[0]
	from, _ := n.host.Store(testTablet)
	old, _ := from.Tablet(testTablet)
	n.burning.Store(&n.host.Disks()[slices.IndexFunc(n.host.Disks(), func(d *host.Disk) bool { return d.Store == from })].Root.Path)
	if err := from.Drop(testTablet, old.Replica()); err == nil || !from.Failed() {
		t.Fatalf("dropped on a burning disk: %v", err)
	}
	c.move(0)
	c.clone(2)
	for range 5 {
		c.nextTxn++
		tx := &txn{id: c.nextTxn, epoch: c.epoch, does: effect{}}
		c.open = append(c.open, tx)
		c.write(tx)
		if len(c.open) > 0 {
			c.commit(tx)
		}
	}
	c.checkEqual()
	n.burning.Store(nil)
	c.restart(0)
	if _, again := n.host.Disks()[0].Store.Tablet(testTablet); again {
		t.Error("the replica that has moved is back on the disk that had failed")
	}
	c.checkEqual()
}

// copyAside puts a verified copy of a node's replica on its other disk, and leaves both.
func (c *cluster) copyAside(i int) {
	n := c.nodes[i]
	from, _ := n.host.Store(testTablet)
	t, _ := from.Tablet(testTablet)
	to := n.host.Disks()[0].Store
	if to == from {
		to = n.host.Disks()[1].Store
	}
	snap, err := t.Current()
	if err != nil {
		c.fatalf("%v", err)
	}
	defer snap.Release()
	ex := snap.Export()
	im, err := to.BeginImport(t.Meta(), ex.TotalBytes())
	if err != nil {
		c.fatalf("%v", err)
	}
	for {
		chunk, more, err := ex.Next(context.Background())
		if err != nil {
			c.fatalf("%v", err)
		}
		if !more {
			break
		}
		if err := im.Write(chunk); err != nil {
			c.fatalf("%v", err)
		}
	}
	digest, err := ex.Digest(context.Background())
	if err != nil {
		c.fatalf("%v", err)
	}
	if _, err := im.Commit(snap.Version(), digest); err != nil {
		c.fatalf("%v", err)
	}
}
