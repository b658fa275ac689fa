package txn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"stele/fe/beclient"
	"stele/meta/catalog"
	"stele/meta/contain"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

// Refusal is a write that a tablet leader turned down for a reason that the user must hear.
type Refusal struct {
	Code   bepb.WriteResponse_Refusal
	Tablet types.TabletID
	Row    int // of the TabletWrite, for DUPLICATE_KEY
	Msg    string
}

func (r *Refusal) Error() string { return r.Msg }

// RetryError says that the transaction failed for want of a leader, a replica or a current epoch: nothing of it is
// visible, and the same statement may succeed in a new transaction.
type RetryError struct {
	Err error
	// Tablet and Epoch name what was in the way, 0 = unknown; see Coordinator.Await.
	Tablet types.TabletID
	Epoch  types.Epoch
	// Gone: the tablet is dropped, so only a new plan over a new snapshot can help.
	Gone bool
}

func (e *RetryError) Error() string { return e.Err.Error() }
func (e *RetryError) Unwrap() error { return e.Err }

// UnknownError says that a transaction may be committed or not: its commit was on its way when the metadata log could
// no longer be asked. Nothing of it may be tried again.
type UnknownError struct {
	Txn types.TxnID
	Err error
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("the outcome of transaction %d is unknown: %v", e.Txn, e.Err)
}
func (e *UnknownError) Unwrap() error { return e.Err }

// TabletWrite is what a statement does to one tablet.
type TabletWrite struct {
	Tablet types.TabletID
	Ops    []byte // one types.RowOp a row, or one for all
	Rows   *vec.Batch
	// Grouped is the rows as row groups (sql/rowset/groups), in the place of Rows. A transaction that is remembered has none.
	Grouped []byte
	// Lasting: nobody changes Rows any more, so a leader in this process may have them as they are.
	Lasting bool
	// ReadVersion is the tablet's version in the snapshot from which the rows were computed; 0 = computed from none.
	ReadVersion types.Version
	// Schema is the version of the table's schema by which the write was planned. It must be given for a table that has
	// unique keys or was altered: a write that does not know all of it is refused.
	Schema uint32
	// Index marks rows of a hidden table that enforces a unique key: they do not count.
	Index bool
}

// Counts is what a statement did, as the leaders counted.
type Counts struct {
	Inserted, Replaced, Deleted, Ignored int64
}

// Txn is one write transaction. It is used by one session at a time.
type Txn struct {
	c        *Coordinator
	id       types.TxnID
	explicit bool
	locking  Locking
	skipped  map[types.TabletID][]uint64 // during WriteFree
	missing  []missed                    // of the last write
	shares   shares
	passed   uint64 // of the catalog when it began: what it was numbered with is drawn since then
	carried  int    // bytes that the commit carries, see offer
	locks    uint64 // of LOCK TABLES, of its session; 0 = it has none
	renewing bool   // it is being written again
	failed   bool   // a write went wrong half done: only Rollback and RollbackTo are possible
	done     history

	// Of the coordinator, under its lock:
	since         time.Time
	tables        []types.TableID // it has come to, hidden ones too
	roomForTables [2]types.TableID
}

// ID returns the id of the transaction; RollbackTo changes it.
func (t *Txn) ID() types.TxnID { return t.id }

// Wrote reports whether the transaction has written to a tablet.
func (t *Txn) Wrote(id types.TabletID) bool { return t.parts(id) > 0 }

// Leads returns the leader and the epoch under which the transaction has written to a tablet: its own rows are to be
// read there and only there.
func (t *Txn) Leads(id types.TabletID) (types.BEID, types.Epoch, bool) {
	sh := t.shares.get(id)
	if sh == nil || sh.seq == 0 {
		return 0, 0, false
	}
	return sh.leader, sh.epoch, true
}

// Progressed reports whether a Write of rows has succeeded, whatever has become of the transaction since.
func (t *Txn) Progressed() bool { return t.done.bytes > 0 }

// Empty reports whether the transaction has written and locked nothing.
func (t *Txn) Empty() bool { return t.shares.len() == 0 }

// Remember has the leaders keep the rows of the transaction, so that a later write of it meets the keys of an earlier
// one. Explicit transactions are remembered anyway; an autocommitted statement needs it when it writes one key twice
// in two calls of Write. It must come before the first Write.
func (t *Txn) Remember() { t.explicit = true }

// Write prepares the rows on their tablets, and shares others, which must be there (*MissingError). After an error the transaction can only be rolled back, or back to a mark.
func (t *Txn) Write(ctx context.Context, writes []TabletWrite, lockWait time.Duration) (Counts, error) {
	counts, err := t.write(ctx, writes, lockWait)
	if err == nil && t.missing != nil {
		err = t.firstMissing(writes)
	}
	if err != nil {
		t.failed = true
		return counts, err
	}
	t.done.add(writes, counts, lockWait)
	return counts, nil
}

func (t *Txn) write(ctx context.Context, writes []TabletWrite, lockWait time.Duration) (Counts, error) {
	t.missing = nil
	cat := t.c.log.Current()
	if err := t.numbered(cat); err != nil {
		return Counts{}, err
	}
	if len(writes) == 1 { // nearly all statements
		return t.writeOne(ctx, cat, writes[0], lockWait)
	}
	groups := map[types.BEID]*bepb.WriteRequest{}
	for _, w := range writes {
		part := &bepb.WriteRequest_Part{}
		if err := checkSize(&w); err != nil {
			return Counts{}, err
		}
		leader, err := t.part(cat, w, part)
		if err != nil {
			return Counts{}, err
		}
		encodeRows(&w, part)
		if groups[leader] == nil {
			groups[leader] = &bepb.WriteRequest{}
			t.request(groups[leader], lockWait)
		}
		groups[leader].Parts = append(groups[leader].Parts, part)
	}
	for _, req := range groups {
		t.offer(cat, len(groups), req.Parts)
	}
	lockWait = t.patience(groups, lockWait)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	wctx, cancel := t.bounded(ctx, lockWait)
	defer cancel()
	return t.send(wctx, groups, stop)
}

// numbered says why nothing can be written with the numbers of this transaction: those that were drawn before a restore may be in use.
func (t *Txn) numbered(cat *catalog.Catalog) error {
	if r := cat.Restoring(); r != nil {
		return &catalog.ErrRestoring{Waiting: r.Waiting} // it may last: no retry
	}
	if cat.PassedOver() != t.passed {
		return &RetryError{Err: errors.New("the metadata was restored during the transaction"), Gone: true}
	}
	return nil
}

func (t *Txn) writeOne(ctx context.Context, cat *catalog.Catalog, w TabletWrite, lockWait time.Duration) (Counts, error) {
	one := &struct { // piece of memory
		with  bepb.WriteRows
		req   bepb.WriteRequest
		part  bepb.WriteRequest_Part
		parts [1]*bepb.WriteRequest_Part
	}{}
	if err := checkSize(&w); err != nil {
		return Counts{}, err
	}
	leader, err := t.part(cat, w, &one.part)
	if err != nil {
		return Counts{}, err
	}
	req := &one.req
	one.parts[0], one.with.WriteRequest = &one.part, req
	if w.Lasting && w.Grouped == nil && w.Rows.Beside() {
		one.with.Beside = w.Rows
	} else {
		encodeRows(&w, &one.part)
	}
	req.Parts = one.parts[:]
	t.request(req, lockWait)
	t.offer(cat, 1, req.Parts)
	wctx, cancel := t.bounded(ctx, lockWait)
	defer cancel()
	return t.sendOne(wctx, leader, &one.with)
}

func (t *Txn) request(req *bepb.WriteRequest, lockWait time.Duration) {
	req.TxnId, req.LockWaitMs, req.ExplicitTxn = uint64(t.id), lockWait.Milliseconds(), t.explicit
	req.Settled, req.SkipLocked = t.locking == LockNow, t.skipped != nil
}

// bounded limits a call to a leader: the wait for row locks comes on top of the time that the work may take.
func (t *Txn) bounded(ctx context.Context, lockWait time.Duration) (context.Context, context.CancelFunc) {
	return rpc.Within(ctx, t.c.settings().WriteTimeout+lockWait)
}

// encodedHead is about what the heads of an encoded batch and its columns take.
const encodedHead = 64

// encodeRows puts the rows of a write into its part.
func encodeRows(w *TabletWrite, p *bepb.WriteRequest_Part) {
	if w.Rows != nil && !p.Grouped {
		p.Rows = vec.Encode(make([]byte, 0, w.Rows.Size()+encodedHead), w.Rows)
	}
}

// part makes p the request for one tablet, but for its rows, and notes who may come to hold pending rows.
func (t *Txn) part(cat *catalog.Catalog, w TabletWrite, p *bepb.WriteRequest_Part) (types.BEID, error) {
	tab, ok := cat.Tablet(w.Tablet)
	if !ok {
		return 0, &RetryError{Err: fmt.Errorf("tablet %d is no more", w.Tablet), Tablet: w.Tablet, Gone: true}
	}
	share := w.shares()
	if !share {
		if err := planned(cat, tab, &w); err != nil {
			return 0, err
		}
	}
	sh := t.shares.get(w.Tablet)
	if sh == nil || !share && sh.seq == 0 {
		if err := t.comes(tab, !share); err != nil {
			return 0, err
		}
	}
	if sh == nil {
		sh = t.shares.add(w.Tablet)
		sh.epoch, sh.leader = tab.Epoch, tab.Leader
	}
	if !share && sh.seq == 0 {
		sh.index = w.Index
	}
	if sh.epoch != tab.Epoch {
		return 0, &RetryError{Err: fmt.Errorf("tablet %d changed its leader or members during the transaction", w.Tablet),
			Tablet: w.Tablet, Epoch: sh.epoch}
	}
	leader := tab.Replica(tab.Leader)
	if leader == nil || !t.c.live.Alive(tab.Leader) {
		t.c.live.Probe(tab.Leader)
		return 0, &RetryError{Err: fmt.Errorf("tablet %d has no live leader", w.Tablet), Tablet: w.Tablet, Epoch: tab.Epoch}
	}
	p.TabletId, p.Epoch, p.MinVersion = uint64(w.Tablet), uint64(tab.Epoch), uint64(tab.Version)
	p.ReadVersion, p.ReplicaId, p.Seq = uint64(w.ReadVersion), uint64(leader.ID), sh.seq
	p.Ops, p.Rows, p.Grouped = w.Ops, w.Grouped, w.Grouped != nil
	if be, ok := cat.BE(tab.Leader); ok {
		p.LeaderStartMs = be.StartMs
	}
	if share { // on its leader alone, and no part of what is written
		if !slices.Contains(sh.bes, tab.Leader) {
			sh.bes = append(sh.bes, tab.Leader)
		}
		return tab.Leader, nil
	}
	table, ok := cat.TableByID(tab.Table)
	if ok {
		need := table.CommitNeed(tab)
		if p.Need, sh.need = uint32(need), 0; need > table.Quorum.Need(tab.Voters()) {
			sh.need = need
		}
	}
	if ok && !w.Index {
		var err error
		if p.Schema, err = t.c.schemas.of(table); err != nil {
			return 0, err
		}
		p.SchemaVersion = w.Schema
	}
	sh.seq++
	p.Others = t.c.others(tab)
	sh.reaches(tab)
	return tab.Leader, nil
}

// others returns where the leader of a tablet, which has a replica, sends what it writes.
func (c *Coordinator) others(tab *catalog.Tablet) []*bepb.ReplicaAddress {
	if len(tab.Replicas) == 1 {
		return nil
	}
	all := make([]bepb.ReplicaAddress, len(tab.Replicas)-1)
	out := make([]*bepb.ReplicaAddress, 0, len(all))
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		if r.BE == tab.Leader || r.Bad || r.OfflineMs != 0 || !c.live.Alive(r.BE) {
			continue
		}
		to := &all[len(out)]
		to.ReplicaId, to.BeId, to.Address, to.Learner = uint64(r.ID), uint64(r.BE), c.live.Address(r.BE), r.Role == types.RoleLearner
		to.DiskId, to.Lags = uint64(r.Disk), r.LastFailed != 0
		out = append(out, to)
	}
	return out
}

// reaches notes that all replicas of a tablet may come to hold pending rows.
func (sh *share) reaches(tab *catalog.Tablet) {
	if sh.bes == nil {
		sh.bes = sh.room.bes[:0]
	}
	for i := range tab.Replicas {
		if be := tab.Replicas[i].BE; !slices.Contains(sh.bes, be) {
			sh.bes = append(sh.bes, be)
		}
	}
}

// parts returns how many parts the transaction has on a tablet.
func (t *Txn) parts(id types.TabletID) uint32 {
	if sh := t.shares.get(id); sh != nil {
		return uint32(sh.seq)
	}
	return 0
}

// send calls the leaders at the same time and takes in their answers. Where one of them finds a deadlock, stop ends the other calls: they
// may wait for locks, too.
func (t *Txn) send(ctx context.Context, groups map[types.BEID]*bepb.WriteRequest, stop func()) (Counts, error) {
	if len(groups) == 1 {
		for be, req := range groups {
			return t.sendOne(ctx, be, &bepb.WriteRows{WriteRequest: req})
		}
	}
	var (
		mu     sync.Mutex
		counts Counts
		errs   []error
		wg     sync.WaitGroup
	)
	for _, be := range slices.Sorted(maps.Keys(groups)) {
		wg.Go(func() {
			err := contain.Call(func() error {
				resp, err := t.call(ctx, be, &bepb.WriteRows{WriteRequest: groups[be]})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					err = t.take(groups[be], resp, &counts)
				}
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
			}
			if isDeadlock(err) {
				stop()
			}
		})
		if t.locking == LockInOrder {
			if wg.Wait(); len(errs) > 0 {
				break
			}
		}
	}
	wg.Wait()
	return counts, t.contended(groups, worst(errs))
}

// sendOne calls one leader, without a goroutine.
func (t *Txn) sendOne(ctx context.Context, be types.BEID, req *bepb.WriteRows) (counts Counts, err error) {
	resp, err := t.call(ctx, be, req)
	if err == nil {
		err = t.take(req.WriteRequest, resp, &counts)
	}
	return counts, err
}

func isDeadlock(err error) bool {
	var refusal *Refusal
	return errors.As(err, &refusal) && refusal.Code == bepb.WriteResponse_DEADLOCK
}

// worst picks the error to report: what the user did wrong before what the cluster may do better next time. Of several
// refusals it is that of the oldest tablet: the primary key's before that of a unique key. One that is tried again is none.
func worst(errs []error) error {
	var first *Refusal
	for _, err := range errs {
		var refusal *Refusal
		var retry *RetryError
		if errors.As(err, &refusal) && !errors.As(err, &retry) && (first == nil || refusal.Tablet < first.Tablet) {
			first = refusal
		}
	}
	if first != nil {
		return first
	}
	if len(errs) > 0 {
		return errs[0]
	}
	return nil
}

func (t *Txn) call(ctx context.Context, be types.BEID, req *bepb.WriteRows) (*bepb.WriteResponse, error) {
	req.Published = t.c.pub.board(be)
	t.announce(1)
	begun := t.c.calls.begin()
	resp, err := t.c.clients.Write(ctx, t.c.live.Address(be), req)
	t.c.calls.end(begun)
	t.announce(-1)
	t.c.pub.arrived(be, req.Published, resp.GetPublished())
	if err != nil {
		return nil, t.unanswered(ctx, be, req.Parts[0], err)
	}
	return resp, nil
}

// announce tells the log of a call that a commit follows at once: in an explicit transaction none does.
func (t *Txn) announce(n int) {
	if !t.explicit {
		t.c.log.Expect(n)
	}
}

// unanswered is the failure of a call to a leader; part is the first that was to be written.
func (t *Txn) unanswered(ctx context.Context, be types.BEID, part *bepb.WriteRequest_Part, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return context.Cause(ctx)
	case beclient.Unreachable(err):
		t.c.live.Probe(be)
		return &RetryError{Err: fmt.Errorf("write on be %d: %w", be, err), Tablet: types.TabletID(part.TabletId), Epoch: types.Epoch(part.Epoch)}
	}
	return fmt.Errorf("write on be %d: %w", be, err)
}

// take notes which replicas hold each part.
func (t *Txn) take(req *bepb.WriteRequest, resp *bepb.WriteResponse, counts *Counts) error {
	tablet := types.TabletID(resp.RefusedTablet)
	switch resp.Refusal {
	case bepb.WriteResponse_REFUSAL_UNSPECIFIED:
	case bepb.WriteResponse_STALE_EPOCH, bepb.WriteResponse_BEHIND, bepb.WriteResponse_NO_TABLET, bepb.WriteResponse_BAD_REPLICA:
		retry := &RetryError{Err: errors.New(resp.Message), Tablet: tablet}
		if sh := t.shares.get(tablet); sh != nil {
			retry.Epoch = sh.epoch
		}
		return retry
	case bepb.WriteResponse_DISK_FULL:
		return t.full(&Refusal{Code: resp.Refusal, Tablet: tablet, Msg: resp.Message})
	default:
		return &Refusal{Code: resp.Refusal, Tablet: tablet, Row: int(resp.RefusedRow), Msg: resp.Message}
	}
	if len(resp.Parts) != len(req.Parts) {
		return fmt.Errorf("BUG: %d parts were written and %d answered", len(req.Parts), len(resp.Parts))
	}
	for i, p := range resp.Parts {
		sh := t.shares.get(types.TabletID(p.TabletId))
		if sh == nil {
			return fmt.Errorf("BUG: an answer for tablet %d, which was not written", p.TabletId)
		}
		if onlyShared(p) {
			t.lacks(resp.Parts, i)
			continue
		}
		sh.stored(p.OkReplicas)
		if v := types.Version(p.Newest); v > sh.newest.version {
			sh.newest = newest{v, types.ReplicaID(p.NewestReplica)}
		}
		if err := t.carry(sh, p.Redo); err != nil {
			return err
		}
		if t.skipped != nil && len(p.Skipped) > 0 {
			t.skipped[sh.tablet] = p.Skipped
		}
		sh.rows += p.Inserted - p.Deleted
		if sh.index {
			continue
		}
		counts.Inserted += p.Inserted
		counts.Replaced += p.Replaced
		counts.Deleted += p.Deleted
		counts.Ignored += p.Ignored
	}
	return nil
}

// stored takes in which replicas hold one more part: one counts when it holds every part of the transaction.
func (sh *share) stored(replicas []uint64) {
	if sh.ok != nil {
		sh.ok = slices.DeleteFunc(sh.ok, func(r types.ReplicaID) bool { return !slices.Contains(replicas, uint64(r)) })
		return
	}
	sh.ok = sh.room.ok[:0]
	for _, r := range replicas {
		sh.ok = append(sh.ok, types.ReplicaID(r))
	}
}

// Rollback drops what the transaction has prepared. What cannot be reached is cleared when its BE asks for the outcome.
func (t *Txn) Rollback(ctx context.Context) error {
	t.undo(ctx, t.id, nil)
	return nil
}

// undo drops what the transaction has prepared under an id. Where it has kept shares the leader leaves its row locks to the id that it has
// now.
func (t *Txn) undo(ctx context.Context, id types.TxnID, kept []*share) {
	byBE := map[types.BEID]*bepb.AbortRequest{}
	for sh := range t.shares.all() {
		for _, be := range sh.bes {
			if byBE[be] == nil {
				byBE[be] = &bepb.AbortRequest{TxnId: uint64(id)}
			}
			byBE[be].TabletIds = append(byBE[be].TabletIds, uint64(sh.tablet))
		}
	}
	for _, sh := range kept {
		req := byBE[sh.leader]
		req.Heir, req.KeptIds = uint64(t.id), append(req.KeptIds, uint64(sh.tablet))
	}
	// The decision first: a BE that misses the Abort learns it by asking. One that is to keep locks must not ask before it is told.
	if len(kept) == 0 {
		t.c.over(id)
	} else {
		defer t.c.over(id)
	}
	actx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.c.settings().WriteTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for be, req := range byBE {
		if !t.c.live.Alive(be) {
			continue
		}
		wg.Go(func() {
			client, err := t.c.clients.BE(t.c.live.Address(be))
			if err == nil {
				_, err = client.Abort(actx, req)
			}
			if err != nil {
				t.c.logger.Debug("abort", "txn_id", id, "be_id", be, "err", err)
			}
		})
	}
	wg.Wait()
	t.shares.clear()
	t.carried = 0
}
