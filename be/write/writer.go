// Package write is the write path of a BE: it leads writes on tablets whose leader this BE is, follows other leaders,
// and publishes what the leading FE has committed.
//
// It owns the row locks, the fencing epoch and the order of publishing of each tablet, all in memory. Rows become
// durable as pending in the tablet store before any answer, unless the commit carries them (I1), and visible only when the FE says
// that they are committed and at which version (I2). What a crash may leave:
//
//   - pending rows without outcome: after the start the BE asks the FE (Unresolved), and leads no write on the tablet
//     until it knows, because the row locks are gone;
//   - a committed version that this BE never prepared, or had in memory alone: versions stay below it until the FE brings the rows
//     out of its log (Redo), or a clone does.
package write

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"stele/be/tablet"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
)

// Tablets finds the replica of a tablet on this BE.
type Tablets interface {
	Tablet(id types.TabletID) (*tablet.Tablet, bool)
}

// Peers reaches other BEs.
type Peers interface {
	// Forward sends the rows of a write to another replica. It does not wait: done is called once with the answer, at most
	// timeout later, and does not block.
	Forward(address string, req *bepb.ReplicateRequest, timeout time.Duration, done func(*bepb.ReplicateResponse, error))
}

// Options are the bounds of the write path.
type Options struct {
	// ReplicateTimeout is how long a leader waits for another replica.
	ReplicateTimeout time.Duration
	// VersionWait is how long a leader waits for committed versions that it has not applied yet.
	VersionWait time.Duration
	// Caught is called with a tablet that has applied versions which it had missed at first; the FE should hear of it.
	Caught func(types.TabletID)
	// Late is called when somebody waits for a version longer than publishing takes: it may be pending here without anybody
	// who would tell its outcome unasked.
	Late func()
	Now  func() time.Time
	// StartMs is when this process began, as FEs know it; 0 = nobody asks, and no write waits for the answer to a report.
	StartMs int64
}

// Writer is the write path of one BE. It is safe for concurrent use.
type Writer struct {
	tablets Tablets
	peers   Peers
	opt     Options
	log     *slog.Logger
	locks   *lockTable
	own     *overlays
	changes changes
	finder  Finder // nil = nobody finds rows

	mu       sync.Mutex
	replicas map[types.TabletID]*replica // of the incarnation that is listed

	ctx        context.Context // ends with Close
	stop       context.CancelFunc
	stragglers stragglers
	late       atomic.Int64 // bytes of the replications that go on
	owed       atomic.Int64 // those of them to whom the write has ended without an answer
	rounds     rounds
	reads      reads
	restart    restart
	asideMu    sync.Mutex // guards that nothing is added to asides once ctx has ended
	asides     sync.WaitGroup
}

// New returns a writer over the tablets.
func New(tablets Tablets, peers Peers, opt Options, log *slog.Logger) *Writer {
	if opt.Caught == nil {
		opt.Caught = func(types.TabletID) {}
	}
	if opt.Late == nil {
		opt.Late = func() {}
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &Writer{tablets: tablets, peers: peers, opt: opt, log: log, locks: newLockTable(), own: newOverlays(),
		replicas: map[types.TabletID]*replica{}, ctx: ctx, stop: stop}
	w.restart.unasked, w.restart.behind = opt.StartMs == 0, map[types.TabletID]Behind{}
	return w
}

// Close has writes under way end without the replicas that have not answered. Writes that come later are refused.
func (w *Writer) Close() {
	w.asideMu.Lock()
	w.stop()
	w.asideMu.Unlock()
	w.rounds.step()
	w.asides.Wait()
}

// replica returns the state of a tablet; its first use notes what was pending at that moment. An incarnation that is
// no longer listed gets a state that nobody keeps.
func (w *Writer) replica(t *tablet.Tablet) *replica {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.replicas[t.ID()]
	if r != nil && r.t == t {
		return r
	}
	r = newReplica(t)
	if listed, ok := w.tablets.Tablet(t.ID()); ok && listed == t {
		w.replicas[t.ID()] = r
	}
	return r
}

// Adopt notes the transactions that are pending on t since before its disk was opened. A tablet without any needs no state, but where the disk
// was open before in this process: the locks of then hold, and what was known of epochs and outcomes is true.
func (w *Writer) Adopt(t *tablet.Tablet) {
	before := w.known(t.ID())
	if before == nil && len(t.Pending()) == 0 {
		return
	}
	if r := w.replica(t); before != nil && before != r {
		before.mu.Lock()
		epoch, decided := before.epoch, maps.Clone(before.decided)
		before.wakeLocked()
		before.mu.Unlock()
		r.inherit(epoch, decided)
	}
}

// Replicate stores the resolved rows of a leader as pending, and waits for that.
func (w *Writer) Replicate(ctx context.Context, req *bepb.ReplicateRequest) *bepb.ReplicateResponse {
	ended := make(chan *bepb.ReplicateResponse, 1)
	w.Follow(ctx, req, func(resp *bepb.ReplicateResponse) { ended <- resp })
	select {
	case resp := <-ended:
		return resp
	case <-ctx.Done():
		resp := &bepb.ReplicateResponse{Errors: make([]string, len(req.Parts))}
		for i := range resp.Errors {
			resp.Errors[i] = ctx.Err().Error()
		}
		return resp
	}
}

// maxBriefParts is how many parts are stored in no time.
const maxBriefParts = 4

// Follow stores the resolved rows of a leader as pending. One error a part, "" when it is durable, or light if it may be. done is called once, perhaps
// before Follow returns, and must not block. Of a brief call, what may block in Follow says so before.
func (w *Writer) Follow(ctx context.Context, req *bepb.ReplicateRequest, done func(*bepb.ReplicateResponse)) {
	answer := &struct { // in one piece of memory
		bepb.ReplicateResponse
		one    [1]string
		newest [1]uint64
		left   atomic.Int32
	}{}
	resp, left := &answer.ReplicateResponse, &answer.left
	if resp.Errors, resp.Newest = answer.one[:], answer.newest[:]; len(req.Parts) != 1 {
		resp.Errors, resp.Newest = make([]string, len(req.Parts)), make([]uint64, len(req.Parts))
	}
	if len(req.Parts) == 0 {
		done(resp)
		return
	}
	if len(req.Parts) > maxBriefParts {
		rpc.Waits(ctx)
	}
	left.Store(int32(len(req.Parts)))
	for i, p := range req.Parts {
		w.follow(ctx, types.TxnID(req.TxnId), p, func(r *replica, err error) {
			if err != nil {
				resp.Errors[i] = err.Error()
			} else {
				resp.Newest[i] = r.newest()
			}
			if left.Add(-1) == 0 {
				done(resp)
			}
		})
	}
}

func (w *Writer) follow(ctx context.Context, txn types.TxnID, p *bepb.ReplicateRequest_Part, done func(*replica, error)) {
	t, ok := w.tablets.Tablet(types.TabletID(p.TabletId))
	if !ok || uint64(t.Replica()) != p.ReplicaId {
		done(nil, fmt.Errorf("no replica %d of tablet %d here", p.ReplicaId, p.TabletId))
		return
	}
	if err := w.restart.refuses(t); err != nil {
		done(nil, err)
		return
	}
	r := w.replica(t)
	if err := r.fence(ctx, types.Epoch(p.Epoch)); err != nil {
		done(nil, err)
		return
	}
	if err := learnSchema(ctx, t, p.SchemaVersion, p.Schema); err != nil {
		done(nil, err)
		return
	}
	if w.locks.isEnded(txn, t.ID()) {
		done(nil, fmt.Errorf("txn %d on tablet %d: %w", txn, t.ID(), ErrEnded))
		return
	}
	w.store(ctx, r, storedPart{txn, int(p.Seq), p.Payload, nil, p.Redo}, func(r *replica, err error) {
		if err != nil || !w.locks.isEnded(txn, r.t.ID()) && !r.ahead.Load() {
			done(r, err)
			return
		}
		if !w.aside(func() { done(r, w.followed(r, txn)) }) {
			done(nil, errStopping)
		}
	})
}

// followed ends a transaction whose Abort came while its rows were being stored, and publishes it if its version did.
func (w *Writer) followed(r *replica, txn types.TxnID) error {
	t := r.t
	if w.locks.isEnded(txn, t.ID()) {
		return errors.Join(fmt.Errorf("txn %d on tablet %d: %w", txn, t.ID(), ErrEnded), r.abort(txn))
	}
	// They are stored whatever becomes of publishing them.
	before := t.Version()
	if err := w.advance(r); err != nil {
		w.log.Error("publish", "tablet_id", t.ID(), "err", err)
	}
	if t.Version() > before {
		w.opt.Caught(t.ID())
	}
	return nil
}

// advance publishes what has become publishable and lets go of the transactions that are over.
func (w *Writer) advance(r *replica) error {
	r.letting.RLock()
	defer r.letting.RUnlock()
	over, err := r.advance(w.opt.Now)
	w.letGo(r.t.ID(), over)
	return err
}

func (w *Writer) letGo(id types.TabletID, over []types.TxnID) {
	for _, txn := range over {
		w.locks.release(txn, id)
		w.own.drop(holder{txn, id})
	}
}

// Advance is called when a clone has raised the version of t.
func (w *Writer) Advance(t *tablet.Tablet) error { return w.advance(w.replica(t)) }

// PassOver has a replica go on at version v although versions are lost: nothing will ever come under those that it lacks.
// What it has pending is no loss. It is refused until every outcome is known, and what is committed is applied.
func (w *Writer) PassOver(ctx context.Context, t *tablet.Tablet, v types.Version) error {
	r := w.replica(t)
	if waits := r.unsettled(); len(waits) > 0 {
		return fmt.Errorf("pass over versions of tablet %d: %w of %d transactions", t.ID(), ErrOutcomeAwaited, len(waits))
	}
	for {
		if err := w.advance(r); err != nil {
			return err
		}
		next := t.Version() + 1
		if next > v {
			return nil
		}
		if err := t.SkipTo(ctx, next); err != nil {
			return err
		}
	}
}

// ErrOutcomeAwaited says that a replica holds rows that may or may not be committed.
var ErrOutcomeAwaited = errors.New("the replica awaits the outcome")

// Publish makes committed versions visible, in the order of versions whatever the order of arrival; version 0 is the end of a transaction that
// has only shared rows of a tablet. The answer holds the version that each tablet has afterwards, 0 where there is no such tablet.
func (w *Writer) Publish(ctx context.Context, items []*bepb.PublishRequest_Item) []uint64 {
	versions := make([]uint64, len(items))
	for i, it := range items {
		t, ok := w.tablets.Tablet(types.TabletID(it.TabletId))
		if !ok {
			continue
		}
		if it.Version == 0 { // it has only shared rows here
			w.letGo(t.ID(), []types.TxnID{types.TxnID(it.TxnId)})
			versions[i] = uint64(t.Version())
			continue
		}
		if !w.replica(t).brief(types.TxnID(it.TxnId)) {
			rpc.Waits(ctx)
		}
		if err := w.publish(t, decision{types.TxnID(it.TxnId), int(it.Parts)}, types.Version(it.Version)); err != nil {
			w.log.Error("publish", "tablet_id", it.TabletId, "version", it.Version, "err", err)
		}
		if now, ok := w.tablets.Tablet(t.ID()); ok {
			t = now // it may have moved to another disk meanwhile
		}
		versions[i] = uint64(t.Version())
	}
	return versions
}

// briefBytes is up to what size a transaction is published in no time.
const briefBytes = 64 << 10

func (w *Writer) publish(t *tablet.Tablet, d decision, v types.Version) error {
	r := w.replica(t)
	err := w.publishAt(r, d, v)
	for errors.Is(err, errMoved) {
		r = r.next
		err = w.publishAt(r, d, v)
	}
	return err
}

func (w *Writer) publishAt(r *replica, d decision, v types.Version) error {
	r.letting.RLock()
	defer r.letting.RUnlock()
	var room [1]types.TxnID
	over, err := r.publish(room[:0], v, d, w.opt.Now)
	w.letGo(r.t.ID(), over)
	return err
}

// Abort drops the pending rows and the locks of a transaction on a tablet. A write of it that is under way, or comes
// later, gets neither. Its heir, if there is one, is the transaction as it is written again, and has the locks from now on.
func (w *Writer) Abort(txn, heir types.TxnID, id types.TabletID) error {
	t, ok := w.tablets.Tablet(id)
	if ok && w.replica(t).isDecided(txn) {
		return fmt.Errorf("abort txn %d on tablet %d: it is committed", txn, id)
	}
	if !ok || w.replica(t).isDecided(heir) { // this comes too late for it
		heir = 0
	}
	w.locks.end(txn, heir, id)
	w.own.drop(holder{txn, id})
	if !ok {
		return nil
	}
	r := w.replica(t)
	err := r.abort(txn)
	for errors.Is(err, errMoved) {
		r = r.next
		err = r.abort(txn)
	}
	return err
}

// WaitVersion waits until t has version v, at most for wait.
func (w *Writer) WaitVersion(ctx context.Context, t *tablet.Tablet, v types.Version, wait time.Duration) bool {
	if t.Version() >= v {
		return true
	}
	rpc.Waits(ctx)
	rpc.Heeds(ctx)
	return w.replica(t).waitVersion(ctx, v, wait, w.opt.Late)
}

// Missing returns the version that t lacks although later or equal ones are committed and only a clone can bring it, 0
// when it lacks none that this BE knows of.
func (w *Writer) Missing(t *tablet.Tablet) types.Version {
	if r := w.known(t.ID()); r != nil && r.t == t {
		return r.missing(w.now())
	}
	return 0
}

// Resolved takes in the outcome of a transaction: the committed version, or 0 for aborted.
func (w *Writer) Resolved(id types.TabletID, txn types.TxnID, version types.Version) error {
	if version == 0 {
		return w.Abort(txn, 0, id)
	}
	t, ok := w.tablets.Tablet(id)
	if !ok { // the replica is gone: nothing is left of the transaction here but locks
		w.letGo(id, []types.TxnID{txn})
		return nil
	}
	before := t.Version()
	err := w.publish(t, decision{txn: txn}, version)
	if t.Version() > before {
		w.opt.Caught(id)
	}
	return err
}
