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

// missed are the rows that a part was to share and that are not there; it is the nth of those that share rows of the tablet.
type missed struct {
	tablet types.TabletID
	nth    int
	rows   []uint64
}

// Share locks rows shared, and returns which of each tablet are not there, ascending: those are not locked. No tablet is named twice. After
// an error the transaction can only be rolled back, or back to a mark.
func (t *Txn) Share(ctx context.Context, writes []TabletWrite, lockWait time.Duration) (map[types.TabletID][]uint64, error) {
	counts, err := t.write(ctx, writes, lockWait)
	if err != nil {
		t.failed = true
		return nil, err
	}
	missing := make(map[types.TabletID][]uint64, len(t.missing))
	for _, m := range t.missing {
		missing[m.tablet] = m.rows
	}
	if kept := without(writes, missing); len(kept) > 0 {
		t.done.add(kept, counts, lockWait)
	}
	return missing, nil
}

// lacks notes what the part at i of an answer says of rows that were to be shared and are not there.
func (t *Txn) lacks(parts []*bepb.WriteResponse_Part, i int) {
	tablet := types.TabletID(parts[i].TabletId)
	switch {
	case len(parts[i].Skipped) == 0:
	case t.skipped != nil:
		t.skipped[tablet] = parts[i].Skipped
	default:
		m := missed{tablet: tablet, rows: parts[i].Skipped}
		for _, p := range parts[:i] { // a leader answers for the parts of a tablet that share in their order
			if p.TabletId == parts[i].TabletId && onlyShared(p) {
				m.nth++
			}
		}
		t.missing = append(t.missing, m)
	}
}

// onlyShared reports whether an answer is that for a part that shares rows: it is stored nowhere.
func onlyShared(p *bepb.WriteResponse_Part) bool { return len(p.OkReplicas) == 0 }

// firstMissing names the first row that was missed.
func (t *Txn) firstMissing(writes []TabletWrite) error {
	before := map[types.TabletID]int{}
	for i := range writes {
		if !writes[i].shares() {
			continue
		}
		tablet := writes[i].Tablet
		at := slices.IndexFunc(t.missing, func(m missed) bool { return m.tablet == tablet && m.nth == before[tablet] })
		if at >= 0 {
			return &MissingError{Write: i, Row: int(t.missing[at].rows[0])}
		}
		before[tablet]++
	}
	return fmt.Errorf("BUG: rows of %d parts are missing of which none was to be shared", len(t.missing))
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
