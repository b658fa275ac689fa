package txn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"stele/fe/beclient"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/physical"
	"stele/sql/vec"
)

// RowsChange is an UPDATE or DELETE of the rows that the leader of some tablets finds, in one snapshot, and works out.
type RowsChange struct {
	Tablets []TabletWrite      // without rows and ops
	Find    *physical.Fragment // it yields all columns as they are stored; nobody changes it any more
	Change  *physical.Change   // without a filter; the same
	// NowMicros is the time of the statement.
	NowMicros int64
}

// RowsOutcome says how many rows were found, and how those that were to be changed were written.
type RowsOutcome struct {
	Matched int64
	Counts  Counts
}

// ModifyRows prepares the change of rows. ErrGeneral says that nothing has happened; after another error the transaction can only be
// rolled back, or back to a mark.
func (t *Txn) ModifyRows(ctx context.Context, c RowsChange, lockWait time.Duration) (RowsOutcome, error) {
	cat := t.c.log.Current()
	be, ok := soleLeader(cat, c.Tablets)
	if !ok {
		return RowsOutcome{}, ErrGeneral
	}
	m := &rowsChange{t: t, c: c, be: be, lockWait: lockWait}
	out, err := m.run(ctx, cat)
	if err != nil && !errors.Is(err, ErrGeneral) {
		t.failed = true
	}
	return out, err
}

// soleLeader returns the BE that leads all tablets, if one does. Of several one could do its part before another says that the statement is for the
// general way.
func soleLeader(cat *catalog.Catalog, writes []TabletWrite) (be types.BEID, ok bool) {
	for i, w := range writes {
		tab, there := cat.Tablet(w.Tablet)
		if !there || i > 0 && tab.Leader != be {
			return 0, false
		}
		be = tab.Leader
	}
	return be, len(writes) > 0
}

// rowsChange is one call of ModifyRows.
type rowsChange struct {
	t        *Txn
	c        RowsChange
	be       types.BEID
	lockWait time.Duration
	req      bepb.WriteRequest
	known    []bool // whether the transaction had a share in the tablet of each part before
}

func (m *rowsChange) run(ctx context.Context, cat *catalog.Catalog) (RowsOutcome, error) {
	t := m.t
	if err := t.numbered(cat); err != nil {
		return RowsOutcome{}, err
	}
	parts := make([]bepb.WriteRequest_Part, len(m.c.Tablets))
	for i, w := range m.c.Tablets {
		m.known = append(m.known, t.shares.get(w.Tablet) != nil)
		if _, err := t.part(cat, w, &parts[i]); err != nil {
			return RowsOutcome{}, err
		}
		m.req.Parts = append(m.req.Parts, &parts[i])
	}
	t.request(&m.req, m.lockWait)
	t.offer(cat, 1, m.req.Parts)
	resp, err := m.call(ctx)
	switch {
	case beclient.Unknown(err), err == nil && resp.General:
		m.unwrite(nil)
		return RowsOutcome{}, ErrGeneral
	case err != nil:
		return RowsOutcome{}, err
	case resp.Write == nil:
		return RowsOutcome{}, fmt.Errorf("BUG: an answer of be %d that says nothing of the write", m.be)
	}
	return m.take(resp)
}

// call asks the leader.
func (m *rowsChange) call(ctx context.Context) (*bepb.ModifyRowsResponse, error) {
	t, req := m.t, &m.req
	wctx, cancel := t.bounded(ctx, m.lockWait)
	defer cancel()
	req.Published = t.c.pub.board(m.be)
	t.announce(1)
	begun := t.c.calls.begin()
	resp, err := t.c.clients.ModifyRows(wctx, t.c.live.Address(m.be), &bepb.ModifyRowsWanted{
		ModifyRowsRequest: &bepb.ModifyRowsRequest{Write: req, NowUs: m.c.NowMicros}, Beside: &wanted{find: m.c.Find, change: m.c.Change}})
	t.c.calls.end(begun)
	t.announce(-1)
	t.c.pub.arrived(m.be, req.Published, resp.GetWrite().GetPublished())
	if err != nil && !beclient.Unknown(err) {
		err = t.unanswered(wctx, m.be, req.Parts[0], err)
	}
	return resp, err
}

// take takes in the answer of a leader that has done what it was to do.
func (m *rowsChange) take(resp *bepb.ModifyRowsResponse) (RowsOutcome, error) {
	t, out := m.t, RowsOutcome{Matched: resp.Matched}
	if resp.Write.Refusal == bepb.WriteResponse_REFUSAL_UNSPECIFIED {
		m.unwrite(resp.Write.Parts)
	}
	if err := t.take(&bepb.WriteRequest{Parts: m.req.Parts}, resp.Write, &out.Counts); err != nil || len(m.req.Parts) == 0 || !t.explicit {
		return out, err
	}
	writes, err := m.written(resp)
	if err == nil {
		t.done.add(writes, out.Counts, m.lockWait)
	}
	return out, err
}

// unwrite takes back the notes of the parts of which no rows were written, and leaves those of the others.
func (m *rowsChange) unwrite(written []*bepb.WriteResponse_Part) {
	at := 0
	m.req.Parts = slices.DeleteFunc(m.req.Parts, func(p *bepb.WriteRequest_Part) bool {
		known := m.known[at]
		at++
		if slices.ContainsFunc(written, func(w *bepb.WriteResponse_Part) bool { return w.TabletId == p.TabletId }) {
			return false
		}
		m.t.unwrite(types.TabletID(p.TabletId), known)
		return true
	})
}

// written is what was written, for the history: written once more, rows are as they are now, and another transaction that has changed one since the
// snapshot is in the way.
func (m *rowsChange) written(resp *bepb.ModifyRowsResponse) ([]TabletWrite, error) {
	op := types.OpPut
	if m.c.Change.Delete {
		op = types.OpDelete
	}
	if len(resp.Rows) != len(resp.Write.Parts) {
		return nil, fmt.Errorf("BUG: the rows of %d parts, where %d were written", len(resp.Rows), len(resp.Write.Parts))
	}
	var out []TabletWrite
	for i, p := range resp.Write.Parts {
		at := slices.IndexFunc(m.c.Tablets, func(w TabletWrite) bool { return uint64(w.Tablet) == p.TabletId })
		w := m.c.Tablets[at]
		rows, err := vec.Decode(resp.Rows[i])
		if err != nil {
			return nil, fmt.Errorf("the rows that were written to tablet %d: %w", w.Tablet, err)
		}
		w.Rows, w.Ops = rows, []byte{byte(op)}
		out = append(out, w)
	}
	return out, nil
}

// wanted is what a leader is to find and to do. A BE in this process takes it as it is; it is encoded when another one is asked.
type wanted struct {
	find   *physical.Fragment
	change *physical.Change

	once                       sync.Once
	encodedFind, encodedChange []byte
}

// Decoded returns what is wanted itself.
func (w *wanted) Decoded() (*physical.Fragment, *physical.Change) { return w.find, w.change }

// Encoded returns the form in which it travels.
func (w *wanted) Encoded() (find, change []byte) {
	w.once.Do(func() {
		var err error
		if w.encodedFind, err = physical.EncodeFragment(w.find); err == nil {
			w.encodedChange, err = physical.EncodeChange(w.change)
		}
		if err != nil {
			panic("BUG: " + err.Error())
		}
	})
	return w.encodedFind, w.encodedChange
}
