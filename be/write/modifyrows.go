package write

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"

	"stele/be/tablet"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/exec"
	"stele/sql/physical"
	"stele/sql/vec"
)

// Finder finds rows that are to be changed.
type Finder interface {
	// Search prepares the search for the rows of a fragment, which yields columns as they are stored.
	Search(f *physical.Fragment, nowMicros int64) (Search, error)
}

// Search finds rows in one tablet after the other.
type Search interface {
	// Rows returns those of a tablet at a version, with what the transaction has written to it laid over; nil = there are none. What it
	// returns is the caller's. old says where they lie, if nothing is laid over. Where there are many, or much is to be looked at, it is an error.
	Rows(ctx context.Context, t *tablet.Tablet, v types.Version, own *Overlay) (rows *vec.Batch, old []tablet.Found, err error)
}

// FindBy has rows found for ModifyRows, which otherwise leaves all to the general way. It is called before the first write.
func (w *Writer) FindBy(f Finder) { w.finder = f }

// ModifyRows leads an UPDATE or DELETE of rows that are to be found, and waits until it is over.
func (w *Writer) ModifyRows(ctx context.Context, req *bepb.ModifyRowsRequest) *bepb.ModifyRowsResponse {
	ended := make(chan *bepb.ModifyRowsResponse, 1)
	w.LeadModifyRows(ctx, req, func(resp *bepb.ModifyRowsResponse) { ended <- resp })
	select {
	case resp := <-ended:
		return resp
	case <-ctx.Done():
		return &bepb.ModifyRowsResponse{Write: refused(0, ctx.Err())}
	}
}

// LeadModifyRows leads an UPDATE or DELETE of rows that are to be found: it finds them in the states that the parts name, works out what becomes of
// them, and goes on with those that change as Lead does. done is as that of Lead.
func (w *Writer) LeadModifyRows(ctx context.Context, req *bepb.ModifyRowsRequest, done func(*bepb.ModifyRowsResponse)) {
	rpc.Waits(ctx) // it may be many rows
	m := &modifyRows{w: w, req: req.Write, txn: types.TxnID(req.Write.TxnId)}
	err := m.find(ctx, req)
	if err == nil {
		err = m.lead(ctx)
	}
	switch {
	case errors.Is(err, errGeneral):
		done(&bepb.ModifyRowsResponse{General: true, Write: &bepb.WriteResponse{}})
		return
	case err != nil:
		done(&bepb.ModifyRowsResponse{Write: refused(m.at, err)})
		return
	case len(m.parts) == 0:
		done(&bepb.ModifyRowsResponse{Matched: m.matched, Write: &bepb.WriteResponse{}})
		return
	}
	w.replicate(ctx, m.txn, m.parts, func(err error) {
		if err != nil {
			done(&bepb.ModifyRowsResponse{Write: refused(0, err)})
			return
		}
		w.led(m.txn, m.parts, func(resp *bepb.WriteResponse) { done(m.answer(resp)) })
	})
}

// modifyRows is one call of ModifyRows.
type modifyRows struct {
	w   *Writer
	req *bepb.WriteRequest
	txn types.TxnID

	found   []foundRows
	matched int64
	parts   []*part
	at      types.TabletID // that is being worked at
}

// foundRows are the rows of a tablet that change.
type foundRows struct {
	led    *part
	schema *types.Schema
	rows   *vec.Batch // as they will be; of a delete as they are
	op     types.RowOp
	old    []tablet.Found // where they were found; nil = it is not known
}

// find finds the rows of all tablets that change. It leaves nothing behind.
func (m *modifyRows) find(ctx context.Context, req *bepb.ModifyRowsRequest) error {
	find, def, err := wantedOf(ctx, req)
	if err != nil {
		return err
	}
	if m.w.finder == nil {
		return errGeneral
	}
	c, err := newChange(def)
	if err != nil {
		return err
	}
	prog, err := c.compiled(req.NowUs)
	if err != nil {
		return errGeneral
	}
	search, err := m.w.finder.Search(find, req.NowUs)
	if err != nil {
		return errGeneral
	}
	order := slices.SortedFunc(slices.Values(m.req.Parts), func(a, b *bepb.WriteRequest_Part) int { return cmp.Compare(a.TabletId, b.TabletId) })
	for _, p := range order {
		m.at = types.TabletID(p.TabletId)
		if err := m.findIn(ctx, p, def, prog, search); err != nil {
			return err
		}
	}
	return nil
}

// wantedOf returns what is to be found and what becomes of it, as the caller, in this process, has not encoded it, or as it is in the request.
func wantedOf(ctx context.Context, req *bepb.ModifyRowsRequest) (*physical.Fragment, *physical.Change, error) {
	if given, ok := rpc.Given(ctx).(*bepb.ModifyRowsWanted); ok && given.Beside != nil {
		if wanted, ok := given.Beside.(interface {
			Decoded() (*physical.Fragment, *physical.Change)
		}); ok {
			find, change := wanted.Decoded()
			return find, change, nil
		}
	}
	find, err := physical.DecodeFragment(bytes.Clone(req.Find))
	if err != nil {
		return nil, nil, err
	}
	change, err := physical.DecodeChange(bytes.Clone(req.Change))
	return find, change, err
}

// findIn finds the rows of one tablet.
func (m *modifyRows) findIn(ctx context.Context, p *bepb.WriteRequest_Part, def *physical.Change, prog *exec.RowChange, search Search) error {
	r, err := m.w.leads(ctx, p)
	if err != nil {
		return err
	}
	schema, err := schemaOf(ctx, r.t, p)
	if err != nil {
		return err
	}
	if !sameColumns(schema, def.Columns) {
		return errGeneral
	}
	if err := m.w.caughtUp(ctx, r, p, false); err != nil { // rows that nobody has locked are looked for
		return err
	}
	own := m.w.own.get(holder{m.txn, r.t.ID()})
	if p.Seq > 0 && own == nil || own != nil && own.Schema != schema.Version { // the general way finds out what has become of them
		return errGeneral
	}
	rows, old, err := search.Rows(ctx, r.t, types.Version(p.ReadVersion), own)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return errGeneral
	case rows == nil:
		return nil
	}
	m.matched += int64(rows.N)
	f := foundRows{newPart(p, r), schema, rows, types.OpDelete, old}
	if !def.Delete {
		if err := f.change(prog); err != nil || f.rows == nil {
			return err
		}
	}
	m.found = append(m.found, f)
	return nil
}

// change puts what becomes of the rows that change in the place of all of them; nil = none does.
func (f *foundRows) change(prog *exec.RowChange) error {
	next, changed, err := prog.ApplyAll(f.rows)
	if err != nil || next.Size() > rpc.MaxRows {
		return errGeneral
	}
	switch {
	case len(changed) == 0:
		next = nil
	case len(changed) < next.N:
		next = gatherRows(next, changed)
		if f.old != nil {
			f.old = these(f.old, changed)
		}
	}
	f.rows, f.op = next, types.OpPut
	return nil
}

// lead locks and resolves what was found.
func (m *modifyRows) lead(ctx context.Context) error {
	for _, f := range m.found {
		m.at = f.led.r.t.ID()
		if err := m.w.leadRows(ctx, m.txn, f.led, f.schema, f.rows, slices.Repeat([]types.RowOp{f.op}, f.rows.N), f.old, m.req); err != nil {
			return err
		}
		m.parts = append(m.parts, f.led)
	}
	return nil
}

// answer answers for rows that were written, or refused in the end.
func (m *modifyRows) answer(written *bepb.WriteResponse) *bepb.ModifyRowsResponse {
	resp := &bepb.ModifyRowsResponse{Matched: m.matched, Write: written}
	if m.req.ExplicitTxn && written.Refusal == bepb.WriteResponse_REFUSAL_UNSPECIFIED {
		for _, f := range m.found {
			resp.Rows = append(resp.Rows, vec.Encode(nil, f.rows))
		}
	}
	return resp
}
