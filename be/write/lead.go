package write

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"stele/be/tablet"
	"stele/be/tablet/wire"
	"stele/meta/rpc"
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
	written *tablet.Written        // what payload was made of; nil = not kept
	light   bool                   // the commit carries the payload: memory is enough
	encode  func() ([]byte, error) // makes the payload of a large part, once all parts are resolved
	resp    *bepb.WriteResponse_Part

	// Room for what belongs to it, so that a part of a small write is one piece of memory.
	answer bepb.WriteResponse_Part
	of     tablet.Written
	old    [1]tablet.Found
	ok     [3]uint64
	alone  [1]*part
}

func newPart(req *bepb.WriteRequest_Part, r *replica) *part {
	p := &part{req: req, r: r}
	p.resp = &p.answer
	p.resp.TabletId, p.resp.OkReplicas = req.TabletId, p.ok[:0]
	p.alone[0] = p
	return p
}

// has takes in up to which version a replica that has the part is. What the FE has known before is no news.
func (p *part) has(replica, version uint64) {
	if version > max(p.req.MinVersion, p.resp.Newest) {
		p.resp.Newest, p.resp.NewestReplica = version, replica
	}
}

// Write leads the parts of a transaction, and waits until it is over.
func (w *Writer) Write(ctx context.Context, req *bepb.WriteRequest) *bepb.WriteResponse {
	ended := make(chan *bepb.WriteResponse, 1)
	w.Lead(ctx, req, func(resp *bepb.WriteResponse) { ended <- resp })
	select {
	case resp := <-ended:
		return resp
	case <-ctx.Done():
		return refused(0, ctx.Err())
	}
}

// Lead leads the parts of a transaction: epoch, locks, key checks, then durable, or light, on this replica and the others at
// the same time. A refusal leaves locks and pending rows behind, which the FE's Abort clears, or the answer to the
// question for the outcome when the FE is gone. done is called once, perhaps before Lead returns, and must not block. Of a
// brief call, what may block in Lead says so before.
func (w *Writer) Lead(ctx context.Context, req *bepb.WriteRequest, done func(*bepb.WriteResponse)) {
	txn := types.TxnID(req.TxnId)
	parts, refusal := w.leadAll(ctx, txn, req)
	if refusal != nil {
		done(refusal)
		return
	}
	w.replicate(ctx, txn, stored(parts), func(err error) {
		if err != nil {
			done(refused(0, err))
			return
		}
		w.led(txn, parts, done)
	})
}

// briefRows is up to what size, encoded, the rows of a part are resolved in no time.
const briefRows = 16 << 10

// leadAll resolves all parts.
func (w *Writer) leadAll(ctx context.Context, txn types.TxnID, req *bepb.WriteRequest) ([]*part, *bepb.WriteResponse) {
	order := req.Parts
	if len(order) != 1 || len(order[0].Rows) > briefRows {
		rpc.Waits(ctx)
		// In order of tablets, as within one: statements over the same tablets queue up instead of deadlocking. Rows that are shared come
		// last: they may be among those that are written.
		order = slices.Clone(order)
		slices.SortStableFunc(order, func(a, b *bepb.WriteRequest_Part) int {
			if shares(a) == shares(b) {
				return cmp.Compare(a.TabletId, b.TabletId)
			}
			if shares(a) {
				return 1
			}
			return -1
		})
	}
	var parts []*part
	least, beside := leastLarge(order), besideOf(ctx)
	for _, p := range order {
		led, err := w.lead(ctx, txn, p, beside, least, req)
		if err != nil {
			return nil, refused(types.TabletID(p.TabletId), err)
		}
		if len(order) == 1 {
			parts = led.alone[:]
		} else {
			parts = append(parts, led)
		}
	}
	if err := encodeLarge(parts); err != nil {
		return nil, refused(0, err)
	}
	return parts, nil
}

// besideOf returns the rows of the only part of a write whose caller, in this process, has not encoded them; nil = they are in the parts.
func besideOf(ctx context.Context) *vec.Batch {
	if given, ok := rpc.Given(ctx).(*bepb.WriteRows); ok {
		rows, _ := given.Beside.(*vec.Batch)
		return rows
	}
	return nil
}

// led answers for parts that are durable, or light.
func (w *Writer) led(txn types.TxnID, parts []*part, done func(*bepb.WriteResponse)) {
	answer := &struct {
		bepb.WriteResponse
		one [1]*bepb.WriteResponse_Part
	}{}
	resp := &answer.WriteResponse
	resp.Parts = answer.one[:0]
	for _, p := range parts {
		if w.locks.isEnded(txn, p.r.t.ID()) { // the Abort came while the rows were being stored
			id := p.r.t.ID()
			if !w.aside(func() { done(refused(id, errors.Join(ErrEnded, p.r.abort(txn)))) }) {
				done(refused(id, ErrEnded))
			}
			return
		}
		p.has(p.req.ReplicaId, p.r.newest())
		if p.light {
			p.resp.Redo = p.payload
		}
		resp.Parts = append(resp.Parts, p.resp)
	}
	done(resp)
}

// refusalOf is why something was not done for a tablet.
func refusalOf(id types.TabletID, err error) *refusal {
	var r *refusal
	if !errors.As(err, &r) {
		r = &refusal{code: bepb.WriteResponse_FAILED, tablet: id, err: err}
		switch {
		case errors.Is(err, tablet.ErrDiskFull), errors.Is(err, tablet.ErrReadOnly):
			r.code = bepb.WriteResponse_DISK_FULL
		case errors.Is(err, tablet.ErrCorrupt), errors.Is(err, tablet.ErrBad):
			r.code = bepb.WriteResponse_BAD_REPLICA
		case errors.Is(err, ErrEnded): // by a change of the leading FE, say: all of it is undone, and it may be run again
			r.code = bepb.WriteResponse_CONFLICT
		case errors.Is(err, tablet.ErrDropped): // since the statement began: another replica leads by now
			r.code = bepb.WriteResponse_NO_TABLET
		case cutOff(err): // the call, or this BE; nothing is wrong with the statement
			r.code, r.err = bepb.WriteResponse_BEHIND, fmt.Errorf("the call was cut off: %w", err)
		}
	}
	return r
}

// cutOff reports whether a call was ended before it was done: by its caller or by its time, or because the connection on which it came is gone (where the
// caller hung, it may read the answer all the same when it goes on), or because the BE or the disk is closed.
func cutOff(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errStopping) || errors.Is(err, tablet.ErrClosed)
}

func refused(id types.TabletID, err error) *bepb.WriteResponse {
	r := refusalOf(id, err)
	return &bepb.WriteResponse{Refusal: r.code, Message: r.err.Error(), RefusedTablet: uint64(r.tablet), RefusedRow: uint32(r.row)}
}

// leads returns the replica that is to lead a part, if it may.
func (w *Writer) leads(ctx context.Context, p *bepb.WriteRequest_Part) (*replica, error) {
	id := types.TabletID(p.TabletId)
	t, ok := w.tablets.Tablet(id)
	if !ok || uint64(t.Replica()) != p.ReplicaId {
		return nil, refuse(bepb.WriteResponse_NO_TABLET, id, "no replica %d of tablet %d here", p.ReplicaId, id)
	}
	if p.LeaderStartMs != 0 && w.opt.StartMs != 0 && p.LeaderStartMs != w.opt.StartMs {
		return nil, refuse(bepb.WriteResponse_STALE_EPOCH, id, "tablet %d: this be has been restarted since epoch %d", id, p.Epoch)
	}
	if err := w.restart.refuses(t); err != nil {
		return nil, refuse(bepb.WriteResponse_BEHIND, id, "%w", err)
	}
	r := w.replica(t)
	recovering, err := r.admit(ctx, types.Epoch(p.Epoch))
	if err != nil {
		return nil, refuse(bepb.WriteResponse_STALE_EPOCH, id, "tablet %d: %w", id, err)
	}
	if recovering {
		return nil, refuse(bepb.WriteResponse_BEHIND, id, "tablet %d awaits the outcome of transactions from before its restart", id)
	}
	return r, nil
}

// lead resolves one part, whose rows may lie beside it, and which is large from least rows on: what is left of it afterwards is puts and deletes that hold on every
// replica.
func (w *Writer) lead(ctx context.Context, txn types.TxnID, p *bepb.WriteRequest_Part, beside *vec.Batch, least int, req *bepb.WriteRequest) (*part, error) {
	if shares(p) {
		return w.leadShare(ctx, txn, p, req)
	}
	r, err := w.leads(ctx, p)
	if err != nil {
		return nil, err
	}
	t, id, explicit := r.t, r.t.ID(), req.ExplicitTxn
	schema, err := schemaOf(ctx, t, p)
	if err != nil {
		return nil, err
	}
	in, err := openRows(t, schema, p, beside, least)
	if err != nil {
		return nil, fmt.Errorf("rows for tablet %d: %w", id, err)
	}
	led := newPart(p, r)
	fresh := freshRows(schema, in.ops)
	if err := w.caughtUp(ctx, r, p, !req.Settled && (fresh || !schema.HasRowID())); err != nil {
		return nil, err
	}
	if req.Settled {
		r.settled(ctx)
	}
	if !explicit {
		if done, err := w.leadLarge(txn, t, schema, &in, led); err != nil || done {
			return led, err
		}
	}
	rows, ops, err := in.each()
	if err != nil {
		return nil, fmt.Errorf("rows for tablet %d: %w", id, err)
	}
	if !fresh {
		return led, w.leadRows(ctx, txn, led, schema, rows, ops, nil, req)
	}
	for i := range ops {
		ops[i] = types.OpPut
	}
	led.resp.Inserted = int64(len(ops))
	if explicit { // else nobody reads them, and their keys cannot meet
		w.own.add(holder{txn, id}, schema.Version, vec.EncodeKeys(rows, schema.KeyIndexes()), ops, rows)
	}
	return led, led.encodeRows(schema, ops, rows, nil)
}

// leadRows locks the rows of a part, of which some may be there, and resolves them. found says where they were found in the state that the part has
// read; nil = not known.
func (w *Writer) leadRows(ctx context.Context, txn types.TxnID, led *part, schema *types.Schema, rows *vec.Batch, ops []types.RowOp, found []tablet.Found,
	req *bepb.WriteRequest) error {
	t, read := led.r.t, types.Version(led.req.ReadVersion)
	res := &resolver{w: w, txn: txn, t: t, keys: vec.EncodeKeys(rows, schema.KeyIndexes()), ops: ops, resp: led.resp, found: found}
	var err error
	if req.SkipLocked {
		rows, err = res.lockFree(rows, read)
	} else {
		res.locks, err = w.locks.acquire(ctx, txn, t.ID(), res.keys, time.Duration(req.LockWaitMs)*time.Millisecond)
	}
	if err != nil {
		return lockRefusal(t.ID(), err)
	}
	if err := w.reads.watch(ctx, func() error { return res.resolve(read) }); err != nil {
		return err
	}
	rows, ops = res.take(rows)
	if req.ExplicitTxn {
		w.own.add(holder{txn, t.ID()}, schema.Version, res.keys, ops, rows)
	}
	if err := led.encodeRows(schema, ops, rows, res.keys); err != nil {
		return err
	}
	led.of.Old = res.old
	return nil
}

// encodeRows makes the payload of a part that is not large. keys are those of the rows, nil = they are not known.
func (p *part) encodeRows(schema *types.Schema, ops []types.RowOp, rows *vec.Batch, keys [][]byte) (err error) {
	p.of = tablet.Written{Schema: schema, Ops: ops, Rows: rows, Keys: keys}
	p.written = &p.of
	if p.payload, err = wire.Encode(schema, ops, rows); err != nil {
		return fmt.Errorf("encode rows for tablet %d: %w", p.req.TabletId, err)
	}
	return nil
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
	r.lead(ctx, types.Epoch(p.Epoch))
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

// incoming is the rows of a part as they came: row groups, or rows.
type incoming struct {
	large *wire.Large // nil when rows are there
	sent  []byte      // what large was opened on
	rows  *vec.Batch
	ops   []types.RowOp // one for all rows, or one a row
	least int           // so many rows make it large
}

func openRows(t *tablet.Tablet, schema *types.Schema, p *bepb.WriteRequest_Part, beside *vec.Batch, least int) (in incoming, err error) {
	in = incoming{sent: p.Rows, least: least}
	n := 0
	switch {
	case beside != nil:
		in.rows, n = beside, beside.Rows()
	case p.Grouped:
		if in.large, err = wire.OpenLarge(schema, p.Rows); err != nil {
			return in, fmt.Errorf("rows for tablet %d: %w", t.ID(), err)
		}
		n = in.large.Rows()
	default:
		if in.rows, err = vec.Decode(p.Rows); err != nil {
			return in, err
		}
		n = in.rows.Rows()
	}
	if len(p.Ops) != n && len(p.Ops) != 1 {
		return in, fmt.Errorf("%d ops for %d rows", len(p.Ops), n)
	}
	in.ops = make([]types.RowOp, len(p.Ops))
	for i, op := range p.Ops {
		if op > byte(types.OpInsertIgnore) {
			return in, fmt.Errorf("unknown row op %d", op)
		}
		in.ops[i] = types.RowOp(op)
	}
	if n > 1 && len(in.ops) == n && !slices.ContainsFunc(in.ops, func(op types.RowOp) bool { return op != in.ops[0] }) {
		in.ops = in.ops[:1]
	}
	return in, nil
}

// each returns the rows with an op for each.
func (in *incoming) each() (*vec.Batch, []types.RowOp, error) {
	if in.large != nil {
		var err error
		if in.rows, err = in.large.Decode(); err != nil {
			return nil, nil, err
		}
	}
	if n := in.rows.Rows(); len(in.ops) != n {
		in.ops = slices.Repeat(in.ops, n)
	}
	return in.rows, in.ops, nil
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
