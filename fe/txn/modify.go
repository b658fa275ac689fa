package txn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stele/fe/beclient"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

// RowChange is an UPDATE or DELETE of one row that the leader of its tablet works out.
type RowChange struct {
	Tablet types.TabletID
	Key    []byte     // memcomparable
	Change []byte     // encoded physical.Change
	Values *vec.Batch // what the change refers to beside the row; nil = nothing
	// ReadVersion and Schema are those of a TabletWrite. An autocommitted statement has no ReadVersion: it changes the newest row.
	ReadVersion types.Version
	Newest      bool // the row may have changed after ReadVersion
	Schema      uint32
	Delete      bool
	NowMicros   int64
}

// ErrGeneral says that a leader leaves a RowChange to reads and writes: it is of an older version, the statement fails, or it
// depends on an older version of the row. Nothing has happened.
var ErrGeneral = errors.New("the row is to be read and written")

// RowOutcome says whether there was such a row, and how it was written.
type RowOutcome struct {
	Matched bool
	Counts  Counts // zero when nothing was to be changed
}

// Modify prepares the change of a row. After another error than ErrGeneral the transaction can only be rolled back, or back
// to a mark.
func (t *Txn) Modify(ctx context.Context, c RowChange, lockWait time.Duration) (RowOutcome, error) {
	out, err := t.modify(ctx, c, lockWait)
	if err != nil && !errors.Is(err, ErrGeneral) {
		t.failed = true
	}
	return out, err
}

func (t *Txn) modify(ctx context.Context, c RowChange, lockWait time.Duration) (RowOutcome, error) {
	cat := t.c.log.Current()
	if err := t.numbered(cat); err != nil {
		return RowOutcome{}, err
	}
	w := TabletWrite{Tablet: c.Tablet, ReadVersion: c.ReadVersion, Schema: c.Schema}
	known := t.shares.get(c.Tablet) != nil
	one := &struct { // piece of memory
		req  bepb.ModifyRequest
		part bepb.WriteRequest_Part
	}{}
	req, part := &one.req, &one.part
	be, err := t.part(cat, w, part)
	if err != nil {
		return RowOutcome{}, err
	}
	if c.Newest {
		part.ReadVersion = 0
	}
	t.offer(cat, 1, []*bepb.WriteRequest_Part{part})
	req.TxnId, req.Part, req.LockWaitMs, req.ExplicitTxn = uint64(t.id), part, lockWait.Milliseconds(), t.explicit
	req.Change, req.Key, req.NowUs = c.Change, c.Key, c.NowMicros
	if c.Values != nil {
		req.Values = vec.Encode(nil, c.Values)
	}
	mctx, cancel := t.bounded(ctx, lockWait)
	defer cancel()
	req.Published = t.c.pub.board(be)
	t.announce(1)
	begun := t.c.calls.begin()
	resp, err := t.c.clients.Modify(mctx, t.c.live.Address(be), req)
	t.c.calls.end(begun)
	t.announce(-1)
	t.c.pub.arrived(be, req.Published, resp.GetPublished())
	switch {
	case beclient.Unknown(err), err == nil && resp.General:
		t.unwrite(c.Tablet, known)
		return RowOutcome{}, ErrGeneral
	case err != nil:
		return RowOutcome{}, t.unanswered(mctx, be, part, err)
	}
	return t.modified(c, w, resp, known, lockWait)
}

// modified takes in the answer of a leader that has done what it was to do.
func (t *Txn) modified(c RowChange, w TabletWrite, resp *bepb.ModifyResponse, known bool, lockWait time.Duration) (RowOutcome, error) {
	out := RowOutcome{Matched: resp.Matched}
	if resp.Write == nil {
		return out, fmt.Errorf("BUG: an answer for tablet %d that says nothing of the write", c.Tablet)
	}
	if resp.Write.Refusal == bepb.WriteResponse_REFUSAL_UNSPECIFIED && len(resp.Write.Parts) == 0 {
		t.unwrite(c.Tablet, known)
		return out, nil
	}
	sent := &bepb.WriteRequest{Parts: []*bepb.WriteRequest_Part{{TabletId: uint64(c.Tablet)}}}
	if err := t.take(sent, resp.Write, &out.Counts); err != nil || !t.explicit {
		return out, err
	}
	// Written once more it is the row as it is now: another transaction that has changed it since it was read is in the way.
	row, err := vec.Decode(resp.Row)
	if err != nil {
		return out, fmt.Errorf("the row that was written to tablet %d: %w", c.Tablet, err)
	}
	w.Rows, w.Ops = row, []byte{byte(types.OpPut)}
	if c.Newest {
		w.ReadVersion = max(w.ReadVersion, types.Version(resp.Version))
	}
	if c.Delete {
		w.Ops[0] = byte(types.OpDelete)
	}
	t.done.add([]TabletWrite{w}, out.Counts, lockWait)
	return out, nil
}

// Alike reports whether the tables that the transaction has written have the same columns in two catalogs.
func (t *Txn) Alike(a, b *catalog.Catalog) bool {
	for sh := range t.shares.all() {
		if v, ok := schemaOf(a, sh.tablet); !ok {
			return false
		} else if w, ok := schemaOf(b, sh.tablet); !ok || v != w {
			return false
		}
	}
	return true
}

func schemaOf(cat *catalog.Catalog, id types.TabletID) (version uint32, ok bool) {
	tab, ok := cat.Tablet(id)
	if !ok {
		return 0, false
	}
	table, ok := cat.TableByID(tab.Table)
	if !ok {
		return 0, false
	}
	return table.Schema.Version, true
}

// unwrite takes back the note of a part that has left nothing on any replica.
func (t *Txn) unwrite(id types.TabletID, known bool) {
	if t.shares.get(id).seq--; !known {
		t.shares.drop(id)
	}
}
