package write

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"stele/be/tablet"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/exec"
	"stele/sql/expr"
	"stele/sql/physical"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// errGeneral says that a row cannot be modified here, and that the general way is to say what comes of the statement.
var errGeneral = errors.New("for reads and writes")

// Modify leads an UPDATE or DELETE of one row, and waits until it is over.
func (w *Writer) Modify(ctx context.Context, req *bepb.ModifyRequest) *bepb.ModifyResponse {
	ended := make(chan *bepb.ModifyResponse, 1)
	w.LeadModify(ctx, req, func(resp *bepb.ModifyResponse) { ended <- resp })
	select {
	case resp := <-ended:
		return resp
	case <-ctx.Done():
		return &bepb.ModifyResponse{Write: refused(types.TabletID(req.Part.TabletId), ctx.Err())}
	}
}

// LeadModify leads an UPDATE or DELETE of one row: it locks the row, reads it, works out what becomes of it, and goes on as Lead
// does. What leaves the row as it is leaves nothing behind, not even the lock. done is as that of Lead.
func (w *Writer) LeadModify(ctx context.Context, req *bepb.ModifyRequest, done func(*bepb.ModifyResponse)) {
	m := &modify{w: w, req: req, txn: types.TxnID(req.TxnId), key: [1][]byte{req.Key}, done: done}
	led, err := m.lead(ctx)
	switch {
	case errors.Is(err, errGeneral):
		done(&bepb.ModifyResponse{General: true, Write: &bepb.WriteResponse{}})
		return
	case err != nil:
		done(&bepb.ModifyResponse{Write: refused(types.TabletID(req.Part.TabletId), err)})
		return
	case led == nil:
		done(&bepb.ModifyResponse{Matched: m.out.Matched, Write: &bepb.WriteResponse{}})
		return
	}
	parts := led.alone[:]
	w.replicate(ctx, m.txn, parts, func(err error) {
		if err != nil {
			done(&bepb.ModifyResponse{Write: refused(0, err)})
			return
		}
		w.led(m.txn, parts, m.answer)
	})
}

// answer answers for a row that was written, or refused in the end.
func (m *modify) answer(written *bepb.WriteResponse) {
	resp := &m.resp
	resp.Matched, resp.Write = m.out.Matched, written
	if m.req.ExplicitTxn && written.Refusal == bepb.WriteResponse_REFUSAL_UNSPECIFIED {
		resp.Row, resp.Version = vec.Encode(nil, m.out.Row), uint64(m.version)
	}
	m.done(resp)
}

// modify is one call of Modify.
type modify struct {
	w   *Writer
	req *bepb.ModifyRequest
	txn types.TxnID

	r    *replica
	lock *rowLock
	out  exec.Outcome
	done func(*bepb.ModifyResponse)

	version types.Version // of the tablet when the row was read
	old     tablet.Found  // where it was read

	key  [1][]byte           // of the row
	resp bepb.ModifyResponse // room for the answer
}

// lead locks the row and resolves the call to a part of one put or delete; nil when nothing is to be written.
func (m *modify) lead(ctx context.Context) (*part, error) {
	c, err := m.w.changes.get(m.req.Change)
	if err != nil {
		return nil, err
	}
	if m.r, err = m.w.leads(ctx, m.req.Part); err != nil {
		return nil, err
	}
	t := m.r.t
	schema, err := schemaOf(ctx, t, m.req.Part)
	if err != nil {
		return nil, err
	}
	if schema.HasRowID() || !sameColumns(schema, c.def.Columns) || len(m.req.Key) == 0 {
		return nil, errGeneral
	}
	if err := m.w.caughtUp(ctx, m.r, m.req.Part, true); err != nil {
		return nil, err
	}
	locks, err := m.w.locks.acquire(ctx, m.txn, t.ID(), m.key[:], time.Duration(m.req.LockWaitMs)*time.Millisecond)
	if err != nil {
		return nil, lockRefusal(t.ID(), err)
	}
	m.lock = locks[0]
	var existed bool
	err = m.w.reads.watch(ctx, func() (err error) {
		existed, err = m.resolve(c)
		return err
	})
	if err == nil && m.out.Row != nil {
		return m.part(schema, c.def, existed)
	}
	if m.lock.wrote == wroteNothing {
		m.w.locks.giveBack(m.txn, t.ID(), m.lock)
	}
	return nil, err
}

// sameColumns reports whether a table still has the columns by which a change was planned.
func sameColumns(s *types.Schema, ids []types.ColumnID) bool {
	return slices.EqualFunc(s.Columns, ids, func(c types.Column, id types.ColumnID) bool { return c.ID == id })
}

// resolve works out what becomes of the row, which is locked.
func (m *modify) resolve(c *change) (existed bool, err error) {
	row, err := m.row(c.def.Columns)
	if err != nil {
		return false, err
	}
	var values *vec.Batch
	if len(m.req.Values) > 0 {
		if values, err = vec.Decode(m.req.Values); err != nil {
			return false, fmt.Errorf("values for tablet %d: %w", m.r.t.ID(), err)
		}
		if values.Rows() != 1 {
			return false, fmt.Errorf("values for tablet %d: %d rows", m.r.t.ID(), values.Rows())
		}
	}
	prog, err := c.compiled(m.req.NowUs)
	if err == nil {
		m.out, err = prog.Apply(row, values)
	}
	if err == nil && m.out.Row != nil && m.out.Row.Size() > rpc.MaxRows {
		err = errGeneral
	}
	if err != nil { // it may be that of a row which the statement, run again, does not see
		m.out = exec.Outcome{}
		return false, errGeneral
	}
	return row != nil, nil
}

// row reads the row as the transaction sees it: its own, or the newest one. Nobody else can change it; it may have changed after
// the snapshot that an explicit transaction reads.
func (m *modify) row(cols []types.ColumnID) (*vec.Batch, error) {
	t := m.r.t
	m.version = t.Version()
	if m.lock.wrote == wroteDelete {
		return nil, nil
	}
	if m.lock.wrote == wrotePut {
		own, written := m.w.own.get(holder{m.txn, t.ID()}).Get(string(m.req.Key))
		if !written || own == nil { // of a transaction that is not remembered
			return nil, errGeneral
		}
		return gatherRows(own.Batch, []int32{int32(own.Row)}), nil
	}
	if checkConflict(t, m.key[:], types.Version(m.req.Part.ReadVersion)) != nil {
		return nil, errGeneral // it depends on what the snapshot has
	}
	b, found, _, err := t.GetAt(t.Version(), m.req.Key, cols, &m.old)
	for tries := 0; errors.Is(err, tablet.ErrGone) && tries < maxGone; tries++ { // other versions came meanwhile
		b, found, _, err = t.GetAt(t.Version(), m.req.Key, cols, &m.old)
	}
	if err != nil || !found {
		return nil, err
	}
	return b, nil
}

// maxGone is how often a version may become too old to be read while it is being read.
const maxGone = 8

// part makes what Write makes of a part of one row.
func (m *modify) part(schema *types.Schema, def *physical.Change, existed bool) (*part, error) {
	id := m.r.t.ID()
	led := newPart(m.req.Part, m.r)
	ops := []types.RowOp{types.OpPut}
	m.lock.wrote = wrotePut
	switch {
	case def.Delete:
		ops[0], m.lock.wrote, led.resp.Deleted = types.OpDelete, wroteDelete, 1
	case existed:
		led.resp.Replaced = 1
	default:
		led.resp.Inserted = 1
	}
	if m.req.ExplicitTxn {
		m.w.own.add(holder{m.txn, id}, schema.Version, m.key[:], ops, m.out.Row)
	}
	if err := led.encodeRows(schema, ops, m.out.Row, nil); err != nil {
		return nil, err
	}
	led.old[0] = m.old
	led.of.Old = led.old[:]
	return led, nil
}

// maxChanges bounds how many decoded changes are kept.
const maxChanges = 1024

// changes keeps the decoded form of lasting changes.
type changes struct {
	mu sync.RWMutex
	m  map[string]*change
}

// change is a decoded change; a lasting one is compiled once.
type change struct {
	def  *physical.Change
	ectx expr.Context
	prog *exec.RowChange // nil = it is to be compiled for each call
}

// get decodes a change, or finds it decoded.
func (c *changes) get(encoded []byte) (*change, error) {
	c.mu.RLock()
	known := c.m[string(encoded)]
	c.mu.RUnlock()
	if known != nil {
		return known, nil
	}
	def, err := physical.DecodeChange(slices.Clone(encoded))
	if err != nil {
		return nil, err
	}
	out, err := newChange(def)
	if err != nil || !def.Lasting {
		return out, err
	}
	if out.prog, err = exec.CompileChange(def, out.ectx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= maxChanges {
		c.m = map[string]*change{}
	}
	c.m[string(encoded)] = out
	return out, nil
}

func newChange(def *physical.Change) (*change, error) {
	loc, err := time.UTC, error(nil)
	if def.TimeZone != "" {
		loc, err = sqltypes.LoadLocation(def.TimeZone, time.UTC)
	}
	return &change{def: def, ectx: expr.Context{Loc: loc}}, err
}

// compiled returns the program for a statement of some time.
func (c *change) compiled(nowMicros int64) (*exec.RowChange, error) {
	if c.prog != nil {
		return c.prog, nil
	}
	ectx := c.ectx
	ectx.NowMicros = nowMicros
	return exec.CompileChange(c.def, ectx)
}
