package txn

import (
	"context"
	"fmt"
	"slices"
	"time"

	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

// A transaction may lock rows together with others that do, so that nobody changes them before it ends (be/write, share.go). Of a tablet
// on which it writes nothing the commit says at which epoch that was: the locks are gone with the leader.

// ShareRows is a TabletWrite that locks rows shared. keys are the key columns of the tablet's table, in the order of the key.
func ShareRows(tablet types.TabletID, keys *vec.Batch) TabletWrite {
	return TabletWrite{Tablet: tablet, Ops: []byte{byte(types.OpShare)}, Rows: keys}
}

func (w *TabletWrite) shares() bool { return len(w.Ops) == 1 && types.RowOp(w.Ops[0]) == types.OpShare }

// MissingError says that a row that was to be shared is not there.
type MissingError struct {
	Write int // which of the writes
	Row   int // of its rows
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("row %d of write %d is not there", e.Row, e.Write)
}

// Share locks rows shared, and returns which of each tablet are not there, ascending: those are not locked. After an error the
// transaction can only be rolled back, or back to a mark.
func (t *Txn) Share(ctx context.Context, writes []TabletWrite, lockWait time.Duration) (missing map[types.TabletID][]uint64, err error) {
	counts, err := t.write(ctx, writes, lockWait)
	missing, t.missing = t.missing, nil
	if err != nil {
		t.failed = true
		return nil, err
	}
	if kept := without(writes, missing); len(kept) > 0 {
		t.done.add(kept, counts, lockWait)
	}
	return missing, nil
}

// lacks notes rows of a tablet that were to be shared and are not there.
func (t *Txn) lacks(tablet types.TabletID, rows []uint64) {
	switch {
	case len(rows) == 0:
	case t.skipped != nil:
		t.skipped[tablet] = rows
	case t.missing == nil:
		t.missing = map[types.TabletID][]uint64{tablet: rows}
	default:
		t.missing[tablet] = rows
	}
}

// firstMissing names the first row that was missed.
func (t *Txn) firstMissing(writes []TabletWrite) error {
	missing := t.missing
	t.missing = nil
	for i := range writes {
		if rows := missing[writes[i].Tablet]; writes[i].shares() && len(rows) > 0 {
			return &MissingError{Write: i, Row: int(rows[0])}
		}
	}
	return fmt.Errorf("BUG: rows of %d tablets are missing of which none was to be shared", len(missing))
}

// wroteNothing reports whether the transaction has only locked rows.
func (t *Txn) wroteNothing() bool {
	for sh := range t.shares.all() {
		if sh.seq > 0 {
			return false
		}
	}
	return true
}

// guards are the tablets on which the transaction has only locked rows.
func (t *Txn) guards() []command.TxnGuard {
	var out []command.TxnGuard
	for sh := range t.shares.all() {
		if sh.seq == 0 {
			out = append(out, command.TxnGuard{Tablet: sh.tablet, Epoch: sh.epoch})
		}
	}
	slices.SortFunc(out, func(a, b command.TxnGuard) int { return int(int64(a.Tablet) - int64(b.Tablet)) })
	return out
}

// unshare tells the leaders of those tablets that the transaction is over. One that does not hear of it asks.
func (c *Coordinator) unshare(t *Txn, alone bool) {
	for sh := range t.shares.all() {
		if sh.seq == 0 {
			c.pub.add(sh.leader, publishItem{msg: &bepb.PublishRequest_Item{TabletId: uint64(sh.tablet), TxnId: uint64(t.id)}, mayWait: alone})
		}
	}
}
