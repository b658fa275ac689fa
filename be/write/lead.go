package write

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"stele/be/tablet"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

// refusal is a write that the leader turns down as a whole.
type refusal struct {
	code   bepb.WriteResponse_Refusal
	tablet types.TabletID
	row    int
	err    error
}

func (r *refusal) Error() string { return r.err.Error() }

func refuse(code bepb.WriteResponse_Refusal, id types.TabletID, format string, args ...any) *refusal {
	return &refusal{code: code, tablet: id, err: fmt.Errorf(format, args...)}
}

// part is one tablet's share of a write while it is being led.
type part struct {
	req     *bepb.WriteRequest_Part
	r       *replica
	payload []byte
	encode  func() ([]byte, error) // makes the payload of a large part, once all parts are resolved
	resp    *bepb.WriteResponse_Part
}

// Write leads the parts of a transaction: epoch, locks, key checks, then durable on this replica and the others at
// the same time. A refusal leaves locks and pending rows behind, which the FE's Abort clears, or the answer to the
// question for the outcome when the FE is gone.
func (w *Writer) Write(ctx context.Context, req *bepb.WriteRequest) *bepb.WriteResponse {
	txn := types.TxnID(req.TxnId)
	// In order of tablets, as within one: statements over the same tablets queue up instead of deadlocking.
	order := slices.Clone(req.Parts)
	slices.SortStableFunc(order, func(a, b *bepb.WriteRequest_Part) int { return cmp.Compare(a.TabletId, b.TabletId) })
	parts := make([]*part, 0, len(order))
	for _, p := range order {
		led, err := w.lead(ctx, txn, p, time.Duration(req.LockWaitMs)*time.Millisecond, req.ExplicitTxn)
		if err != nil {
			return refused(types.TabletID(p.TabletId), err)
		}
		parts = append(parts, led)
	}
	if err := encodeLarge(parts); err != nil {
		return refused(0, err)
	}
	return w.prepare(ctx, txn, parts)
}

// prepare stores what was resolved, here and on the other replicas.
func (w *Writer) prepare(ctx context.Context, txn types.TxnID, parts []*part) *bepb.WriteResponse {
	if err := w.replicate(ctx, txn, parts); err != nil {
		return refused(0, err)
	}
	resp := &bepb.WriteResponse{}
	for _, p := range parts {
		if w.locks.isEnded(txn, p.r.t.ID()) { // the Abort came while the rows were being stored
			return refused(p.r.t.ID(), errors.Join(ErrEnded, p.r.abort(txn)))
		}
		resp.Parts = append(resp.Parts, p.resp)
	}
	return resp
}

func refused(id types.TabletID, err error) *bepb.WriteResponse {
	var r *refusal
	if !errors.As(err, &r) {
		r = &refusal{code: bepb.WriteResponse_FAILED, tablet: id, err: err}
		switch {
		case errors.Is(err, tablet.ErrDiskFull), errors.Is(err, tablet.ErrReadOnly):
			r.code = bepb.WriteResponse_DISK_FULL
		case errors.Is(err, tablet.ErrCorrupt), errors.Is(err, tablet.ErrBad):
			r.code = bepb.WriteResponse_BAD_REPLICA
		case errors.Is(err, tablet.ErrDropped): // since the statement began: another replica leads by now
			r.code = bepb.WriteResponse_NO_TABLET
		}
	}
	return &bepb.WriteResponse{Refusal: r.code, Message: r.err.Error(), RefusedTablet: uint64(r.tablet), RefusedRow: uint32(r.row)}
}

// leads returns the replica that is to lead a part, if it may.
func (w *Writer) leads(p *bepb.WriteRequest_Part) (*replica, error) {
	id := types.TabletID(p.TabletId)
	t, ok := w.tablets.Tablet(id)
	if !ok || uint64(t.Meta().Replica) != p.ReplicaId {
		return nil, refuse(bepb.WriteResponse_NO_TABLET, id, "no replica %d of tablet %d here", p.ReplicaId, id)
	}
	r := w.replica(t)
	if err := r.fence(types.Epoch(p.Epoch)); err != nil {
		return nil, refuse(bepb.WriteResponse_STALE_EPOCH, id, "tablet %d: %w", id, err)
	}
	if r.recovering() {
		return nil, refuse(bepb.WriteResponse_BEHIND, id, "tablet %d awaits the outcome of transactions from before its restart", id)
	}
	return r, nil
}

// lead resolves one part: what is left of it afterwards is puts and deletes that hold on every replica.
func (w *Writer) lead(ctx context.Context, txn types.TxnID, p *bepb.WriteRequest_Part, lockWait time.Duration, explicit bool) (*part, error) {
	r, err := w.leads(p)
	if err != nil {
		return nil, err
	}
	t, id := r.t, r.t.ID()
	rows, err := vec.Decode(p.Rows)
	if err != nil {
		return nil, fmt.Errorf("rows for tablet %d: %w", id, err)
	}
	ops, err := decodeOps(p.Ops, rows.Rows())
	if err != nil {
		return nil, fmt.Errorf("rows for tablet %d: %w", id, err)
	}
	led := &part{req: p, r: r, resp: &bepb.WriteResponse_Part{TabletId: p.TabletId}}
	schema := t.Schema()
	fresh := freshRows(schema, ops)
	if err := w.caughtUp(ctx, r, p, fresh || !schema.HasRowID()); err != nil {
		return nil, err
	}
	if !explicit {
		if led.encode, err = w.leadLarge(txn, t, schema, p, ops, rows, led.resp); err != nil || led.encode != nil {
			return led, err
		}
	}
	if fresh {
		for i := range ops {
			ops[i] = types.OpPut
		}
		led.resp.Inserted = int64(len(ops))
		if explicit { // else nobody reads them, and their keys cannot meet
			w.own.add(holder{txn, id}, vec.EncodeKeys(rows, schema.KeyIndexes()), ops, rows)
		}
	} else {
		res := &resolver{w: w, txn: txn, t: t, keys: vec.EncodeKeys(rows, schema.KeyIndexes()), ops: ops, resp: led.resp}
		if res.locks, err = w.locks.acquire(ctx, txn, id, res.keys, lockWait); err != nil {
			return nil, lockRefusal(id, err)
		}
		if err := res.resolve(types.Version(p.ReadVersion)); err != nil {
			return nil, err
		}
		rows, ops = res.take(rows)
		if explicit {
			w.own.add(holder{txn, id}, res.keys, ops, rows)
		}
	}
	led.payload, err = tablet.EncodeWrite(schema, ops, rows)
	if err != nil {
		return nil, fmt.Errorf("encode rows for tablet %d: %w", id, err)
	}
	return led, nil
}

// caughtUp waits until this leader has the versions that the write must see. Once it has had those of the epoch's first
// write it need not wait for later ones if all rows are locked or new (safe): what was committed at this epoch since then
// was led here, and its rows stay locked until their version is visible. Rows under hidden ids are written without a lock,
// so who changes them waits for what he may have read elsewhere.
func (w *Writer) caughtUp(ctx context.Context, r *replica, p *bepb.WriteRequest_Part, safe bool) error {
	if safe && r.leads(types.Epoch(p.Epoch)) {
		return nil
	}
	if !w.WaitVersion(ctx, r.t, types.Version(p.MinVersion), w.opt.VersionWait) {
		return refuse(bepb.WriteResponse_BEHIND, r.t.ID(), "tablet %d has version %d, %d is committed", r.t.ID(), r.t.Version(), p.MinVersion)
	}
	r.lead(types.Epoch(p.Epoch))
	return nil
}

func lockRefusal(id types.TabletID, err error) error {
	switch {
	case errors.Is(err, ErrLockTimeout):
		return refuse(bepb.WriteResponse_LOCK_TIMEOUT, id, "tablet %d: %w", id, err)
	case errors.Is(err, ErrDeadlock):
		return refuse(bepb.WriteResponse_DEADLOCK, id, "tablet %d: %w", id, err)
	}
	return err
}

// decodeOps expands the ops of a part; a single byte holds for all rows.
func decodeOps(b []byte, rows int) ([]types.RowOp, error) {
	if len(b) != rows && len(b) != 1 {
		return nil, fmt.Errorf("%d ops for %d rows", len(b), rows)
	}
	ops := make([]types.RowOp, rows)
	for i := range ops {
		op := b[min(i, len(b)-1)]
		if op > byte(types.OpInsertIgnore) {
			return nil, fmt.Errorf("unknown row op %d", op)
		}
		ops[i] = types.RowOp(op)
	}
	return ops, nil
}

// freshRows reports whether no row can meet an existing key: inserts under hidden row ids, which are never drawn twice.
func freshRows(s *types.Schema, ops []types.RowOp) bool {
	if !s.HasRowID() {
		return false
	}
	for _, op := range ops {
		if op != types.OpInsert {
			return false
		}
	}
	return true
}

// replicate makes the parts durable here and forwards them, and notes for each part which replicas have it. It
// answers when every replica has or has failed, or shortly after enough of them have: a straggler that stores the
// rows later still gets the publish, and its report clears the mark.
func (w *Writer) replicate(ctx context.Context, txn types.TxnID, parts []*part) error {
	requests := fanOut(txn, parts)
	answers := make(chan peerAnswer, len(requests))
	if err := w.forward(requests, answers); err != nil {
		return err
	}
	if err := w.prepareLocal(ctx, txn, parts); err != nil {
		return err
	}
	for _, p := range parts {
		p.resp.OkReplicas = append(p.resp.OkReplicas, p.req.ReplicaId)
	}
	w.collect(parts, requests, answers)
	return nil
}

// forward starts the calls to the other replicas. The write may be answered before a straggler: its replication goes on
// under its own deadline.
func (w *Writer) forward(requests []*peerRequest, answers chan<- peerAnswer) error {
	if w.ctx.Err() != nil {
		return errors.New("this be is stopping")
	}
	for i, req := range requests {
		w.late.Add(req.bytes)
		w.peers.Forward(req.address, req.req, w.opt.ReplicateTimeout, func(resp *bepb.ReplicateResponse, err error) {
			w.late.Add(-req.bytes)
			answers <- peerAnswer{i, resp, err}
		})
	}
	return nil
}

func (w *Writer) prepareLocal(ctx context.Context, txn types.TxnID, parts []*part) error {
	if len(parts) == 1 { // nearly all writes
		var err error
		p := parts[0]
		p.r, err = w.store(ctx, p.r, txn, int(p.req.Seq), p.payload)
		return err
	}
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, p := range parts {
		wg.Go(func() { p.r, errs[i] = w.store(ctx, p.r, txn, int(p.req.Seq), p.payload) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// peerRequest is what goes to one other BE; index maps its parts to those of the write.
type peerRequest struct {
	address string
	req     *bepb.ReplicateRequest
	index   []int
	bytes   int64
	noted   bool
}

type peerAnswer struct {
	request int
	resp    *bepb.ReplicateResponse
	err     error
}

// maxPeerBytes is when a request to a BE is full: a message has a limit, and many small parts must not add up to it.
const maxPeerBytes = 16 << 20

// fanOut makes one request a BE, or more where the parts are large.
func fanOut(txn types.TxnID, parts []*part) []*peerRequest {
	var out []*peerRequest
	open := map[string]*peerRequest{}
	for i, p := range parts {
		for _, o := range p.req.Others {
			r := open[o.Address]
			if r == nil || r.bytes+int64(len(p.payload)) > maxPeerBytes {
				r = &peerRequest{address: o.Address, req: &bepb.ReplicateRequest{TxnId: uint64(txn)}}
				open[o.Address] = r
				out = append(out, r)
			}
			r.req.Parts = append(r.req.Parts, &bepb.ReplicateRequest_Part{TabletId: p.req.TabletId, ReplicaId: o.ReplicaId,
				Epoch: p.req.Epoch, Seq: p.req.Seq, Payload: p.payload})
			r.index = append(r.index, i)
			r.bytes += int64(len(p.payload))
		}
	}
	return out
}

// maxLateBytes bounds what is kept in memory for hung replicas: beyond it a write waits for them.
const maxLateBytes = 256 << 20

func (w *Writer) collect(parts []*part, requests []*peerRequest, answers <-chan peerAnswer) {
	var grace <-chan time.Time
	for missing := len(requests); missing > 0; {
		if grace == nil && majority(parts) && w.late.Load() < maxLateBytes {
			timer := time.NewTimer(w.stragglers.grace(requests, time.Now()))
			defer timer.Stop()
			grace = timer.C
		}
		select {
		case a := <-answers:
			missing--
			w.stragglers.heard(requests[a.request].address)
			note(parts, requests[a.request], a)
		case <-w.ctx.Done():
			giveUp(parts, requests, errors.New("this be is stopping"))
			return
		case <-grace:
			w.stragglers.late(requests, time.Now())
			giveUp(parts, requests, errors.New("no answer yet"))
			return
		}
	}
}

// giveUp notes the BEs that have not answered.
func giveUp(parts []*part, requests []*peerRequest, err error) {
	for i, r := range requests {
		if !r.noted {
			note(parts, r, peerAnswer{request: i, err: err})
		}
	}
}

// majority reports whether more than half of the replicas of every part have it.
func majority(parts []*part) bool {
	for _, p := range parts {
		if len(p.resp.OkReplicas) < types.QuorumMajority.Need(len(p.req.Others)+1) {
			return false
		}
	}
	return true
}

// note records the answer of one BE.
func note(parts []*part, r *peerRequest, a peerAnswer) {
	r.noted = true
	for i, rp := range r.req.Parts {
		p, text := parts[r.index[i]], ""
		switch {
		case a.err != nil:
			text = a.err.Error()
		case i >= len(a.resp.Errors):
			text = "short answer"
		default:
			text = a.resp.Errors[i]
		}
		if text == "" {
			p.resp.OkReplicas = append(p.resp.OkReplicas, rp.ReplicaId)
		} else {
			p.resp.Failures = append(p.resp.Failures, &bepb.WriteResponse_Failure{ReplicaId: rp.ReplicaId, Error: text})
		}
	}
}
