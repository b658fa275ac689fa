package txn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"stele/meta/catalog"
	"stele/meta/command"
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
type RetryError struct{ Err error }

func (e *RetryError) Error() string { return e.Err.Error() }
func (e *RetryError) Unwrap() error { return e.Err }

// TabletWrite is what a statement does to one tablet.
type TabletWrite struct {
	Tablet types.TabletID
	Ops    []byte // one types.RowOp a row, or one for all
	Rows   *vec.Batch
	// ReadVersion is the tablet's version in the snapshot from which the rows were computed; 0 = computed from none.
	ReadVersion types.Version
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
	tablets  map[types.TabletID]*share
	failed   bool // a write was refused half done: only Rollback is possible
}

// share is the transaction's part in one tablet.
type share struct {
	epoch types.Epoch
	bes   []types.BEID // everyone who may hold pending rows
	ok    []types.ReplicaID
	seq   uint64
	rows  int64
}

// ID returns the id of the transaction.
func (t *Txn) ID() types.TxnID { return t.id }

// Wrote reports whether the transaction has written to a tablet.
func (t *Txn) Wrote(id types.TabletID) bool { return t.tablets[id] != nil }

// Empty reports whether the transaction has written nothing.
func (t *Txn) Empty() bool { return len(t.tablets) == 0 }

// Write prepares the rows on their tablets. After an error that is not a *Refusal of the first write, the
// transaction can only be rolled back.
func (t *Txn) Write(ctx context.Context, writes []TabletWrite, lockWait time.Duration) (Counts, error) {
	cat := t.c.log.Current()
	groups := map[types.BEID]*bepb.WriteRequest{}
	index := map[types.BEID][]int{}
	for i, w := range writes {
		leader, part, err := t.part(cat, w)
		if err != nil {
			t.failed = true
			return Counts{}, err
		}
		if groups[leader] == nil {
			groups[leader] = &bepb.WriteRequest{TxnId: uint64(t.id), LockWaitMs: lockWait.Milliseconds(), ExplicitTxn: t.explicit}
		}
		groups[leader].Parts = append(groups[leader].Parts, part)
		index[leader] = append(index[leader], i)
	}
	counts, err := t.send(ctx, groups)
	if err != nil {
		t.failed = true
	}
	return counts, err
}

// part builds the request for one tablet and notes who may come to hold pending rows.
func (t *Txn) part(cat *catalog.Catalog, w TabletWrite) (types.BEID, *bepb.WriteRequest_Part, error) {
	tab, ok := cat.Tablet(w.Tablet)
	if !ok {
		return 0, nil, &RetryError{fmt.Errorf("tablet %d is no more", w.Tablet)}
	}
	sh := t.tablets[w.Tablet]
	if sh == nil {
		sh = &share{epoch: tab.Epoch}
		t.tablets[w.Tablet] = sh
	}
	if sh.epoch != tab.Epoch {
		return 0, nil, &RetryError{fmt.Errorf("tablet %d changed its leader during the transaction", w.Tablet)}
	}
	leader := tab.Replica(tab.Leader)
	if leader == nil || !t.c.live.Alive(tab.Leader) {
		t.c.live.Probe(tab.Leader)
		return 0, nil, &RetryError{fmt.Errorf("tablet %d has no live leader", w.Tablet)}
	}
	p := &bepb.WriteRequest_Part{TabletId: uint64(w.Tablet), Epoch: uint64(tab.Epoch), MinVersion: uint64(tab.Version),
		ReadVersion: uint64(w.ReadVersion), ReplicaId: uint64(leader.ID), Ops: w.Ops, Rows: vec.Encode(nil, w.Rows), Seq: sh.seq}
	sh.seq++
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		if !slices.Contains(sh.bes, r.BE) {
			sh.bes = append(sh.bes, r.BE)
		}
		if r.BE != tab.Leader && !r.Bad && t.c.live.Alive(r.BE) {
			p.Others = append(p.Others, &bepb.ReplicaAddress{ReplicaId: uint64(r.ID), BeId: uint64(r.BE), Address: t.c.live.Address(r.BE)})
		}
	}
	return tab.Leader, p, nil
}

// send calls the leaders at the same time and takes in their answers.
func (t *Txn) send(ctx context.Context, groups map[types.BEID]*bepb.WriteRequest) (Counts, error) {
	wctx, cancel := context.WithTimeout(ctx, t.c.settings().WriteTimeout)
	defer cancel()
	var (
		mu     sync.Mutex
		counts Counts
		errs   []error
		wg     sync.WaitGroup
	)
	for be, req := range groups {
		wg.Go(func() {
			resp, err := t.call(wctx, be, req)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				err = t.take(resp, &counts)
			}
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return counts, worst(errs)
}

// worst picks the error to report: what the user did wrong before what the cluster may do better next time.
func worst(errs []error) error {
	for _, err := range errs {
		var refusal *Refusal
		if errors.As(err, &refusal) {
			return err
		}
	}
	if len(errs) > 0 {
		return errs[0]
	}
	return nil
}

func (t *Txn) call(ctx context.Context, be types.BEID, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
	client, err := t.c.clients.BE(t.c.live.Address(be))
	if err != nil {
		return nil, &RetryError{err}
	}
	resp, err := client.Write(ctx, req)
	if err != nil {
		t.c.live.Probe(be)
		if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, ctx.Err()
		}
		return nil, &RetryError{fmt.Errorf("write on be %d: %w", be, err)}
	}
	return resp, nil
}

// take notes which replicas hold each part.
func (t *Txn) take(resp *bepb.WriteResponse, counts *Counts) error {
	switch resp.Refusal {
	case bepb.WriteResponse_REFUSAL_UNSPECIFIED:
	case bepb.WriteResponse_STALE_EPOCH, bepb.WriteResponse_BEHIND, bepb.WriteResponse_NO_TABLET, bepb.WriteResponse_BAD_REPLICA:
		return &RetryError{errors.New(resp.Message)}
	default:
		return &Refusal{Code: resp.Refusal, Tablet: types.TabletID(resp.RefusedTablet), Row: int(resp.RefusedRow), Msg: resp.Message}
	}
	for _, p := range resp.Parts {
		sh := t.tablets[types.TabletID(p.TabletId)]
		ok := make([]types.ReplicaID, len(p.OkReplicas))
		for i, r := range p.OkReplicas {
			ok[i] = types.ReplicaID(r)
		}
		if sh.ok == nil {
			sh.ok = ok
		} else { // a replica counts when it holds every part of the transaction
			sh.ok = slices.DeleteFunc(sh.ok, func(r types.ReplicaID) bool { return !slices.Contains(ok, r) })
		}
		sh.rows += p.Inserted - p.Deleted
		counts.Inserted += p.Inserted
		counts.Replaced += p.Replaced
		counts.Deleted += p.Deleted
		counts.Ignored += p.Ignored
	}
	return nil
}

// Commit makes the transaction durable and visible. An error that is a *RetryError says that it is aborted.
func (t *Txn) Commit(ctx context.Context) error {
	if t.failed {
		return errors.Join(errors.New("a failed transaction cannot be committed"), t.Rollback(ctx))
	}
	if t.Empty() {
		t.c.over(t.id)
		return nil
	}
	cmd := &command.CommitTxn{Txn: t.id, TimeMs: time.Now().UnixMilli()}
	for id, sh := range t.tablets {
		cmd.Tablets = append(cmd.Tablets, command.TxnTablet{Tablet: id, Epoch: sh.epoch, OK: sh.ok, Rows: sh.rows})
	}
	slices.SortFunc(cmd.Tablets, func(a, b command.TxnTablet) int { return int(int64(a.Tablet) - int64(b.Tablet)) })
	out, err := t.c.log.Propose(ctx, cmd)
	if err != nil {
		// Whether it was committed is open: the BEs ask later. The client must not take it for aborted.
		t.c.over(t.id)
		return fmt.Errorf("the outcome of transaction %d is unknown: %w", t.id, err)
	}
	if out[0].Err != nil {
		return errors.Join(&RetryError{out[0].Err}, t.Rollback(ctx))
	}
	t.c.over(t.id)
	result, ok := out[0].Value.(catalog.CommitResult)
	if !ok {
		return fmt.Errorf("BUG: CommitTxn answered %T", out[0].Value)
	}
	t.c.publish(ctx, t.id, result.Tablets)
	return nil
}

// Rollback drops what the transaction has prepared. What cannot be reached is cleared when its BE asks for the outcome.
func (t *Txn) Rollback(ctx context.Context) error {
	byBE := map[types.BEID][]uint64{}
	for id, sh := range t.tablets {
		for _, be := range sh.bes {
			byBE[be] = append(byBE[be], uint64(id))
		}
	}
	// The decision first: a BE that misses the Abort learns it by asking.
	t.c.over(t.id)
	actx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.c.settings().WriteTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for be, ids := range byBE {
		if !t.c.live.Alive(be) {
			continue
		}
		wg.Go(func() {
			client, err := t.c.clients.BE(t.c.live.Address(be))
			if err == nil {
				_, err = client.Abort(actx, &bepb.AbortRequest{TxnId: uint64(t.id), TabletIds: ids})
			}
			if err != nil {
				t.c.logger.Debug("abort", "txn_id", t.id, "be_id", be, "err", err)
			}
		})
	}
	wg.Wait()
	t.tablets = map[types.TabletID]*share{}
	return nil
}

// Failed reports whether a write was refused half done, so that only Rollback is possible.
func (t *Txn) Failed() bool { return t.failed }
