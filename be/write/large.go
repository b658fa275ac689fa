package write

import (
	"bytes"
	"fmt"
	"slices"

	"stele/be/tablet"
	"stele/be/tablet/wire"
	"stele/meta/contain"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

const (
	// largeRows and largeBytes (of the rows as the FE sends them) are what makes a part large in any case: it becomes a rowset,
	// which is encoded here, once for all replicas.
	largeRows  = 512
	largeBytes = 2 << 20
	// manyRows make a part large whose write is too large for the commit to carry: it is flushed in any case.
	manyRows = 100
)

// leastLarge returns how many rows make a part of a write large.
func leastLarge(parts []*bepb.WriteRequest_Part) int {
	size, carried := 0, 0
	for _, p := range parts {
		size += len(p.Rows)
		carried = max(carried, int(p.RedoBytes))
	}
	if size > 2*carried { // rows take about twice the bytes of their payload
		return manyRows
	}
	return largeRows
}

// largeLead is the way of a large part through its leader, by sorted keys in the place of a lock a row. Where two rows may
// have to do with one another it gives up, having changed nothing, and the part goes the way of all others.
type largeLead struct {
	w    *Writer
	txn  types.TxnID
	t    *tablet.Tablet
	rows *vec.Batch // nil when they came as row groups
	op   types.RowOp
	keys [][]byte
	read types.Version // of the snapshot that the rows were computed from, 0 = none
}

// leadLarge resolves a large part, which then has its payload, or what encodes it; done is false when it has to go row by row.
func (w *Writer) leadLarge(txn types.TxnID, t *tablet.Tablet, schema *types.Schema, in *incoming, led *part) (done bool, err error) {
	if len(in.ops) != 1 || in.ops[0] == types.OpDelete || in.large == nil && in.small() {
		return false, nil
	}
	l := &largeLead{w: w, txn: txn, t: t, rows: in.rows, op: in.ops[0], read: types.Version(led.req.ReadVersion)}
	fresh := freshRows(schema, in.ops)
	n := 0
	switch {
	case in.large != nil:
		if n = in.large.Rows(); !fresh { // who encoded them has seen to their order
			l.keys, err = in.large.Keys()
		}
		led.payload = in.sent
	default:
		n = in.rows.N
		l.keys = vec.EncodeKeys(in.rows, schema.KeyIndexes())
		if !l.sort() {
			return false, nil
		}
		led.encode = func() ([]byte, error) { return wire.EncodeGrouped(schema, l.rows, l.keys) }
	}
	if err == nil && fresh {
		led.resp.Inserted, done = int64(n), true
	} else if err == nil {
		done, err = l.lock(led.resp)
	}
	if !done {
		led.payload, led.encode = nil, nil
	}
	return done, err
}

// small reports whether rows that came as rows are to be resolved one by one.
func (in *incoming) small() bool {
	return in.rows.N < in.least && len(in.sent) < largeBytes || in.rows.Sel != nil
}

// encodeLarge encodes the large parts of a write beside one another.
func encodeLarge(parts []*part) error {
	if !slices.ContainsFunc(parts, func(p *part) bool { return p.encode != nil }) {
		return nil
	}
	var encoders contain.Group
	for _, p := range parts {
		if p.encode != nil {
			encoders.Go(func() (err error) {
				if p.payload, err = p.encode(); err != nil {
					return fmt.Errorf("encode rows for tablet %d: %w", p.r.t.ID(), err)
				}
				p.encode = nil // it keeps the rows alive
				return nil
			})
		}
	}
	return encoders.Wait()
}

// sort brings the rows into the order of their keys; false when two have the same.
func (l *largeLead) sort() bool {
	if !slices.IsSortedFunc(l.keys, bytes.Compare) {
		order := make([]int32, len(l.keys))
		for i := range order {
			order[i] = int32(i)
		}
		slices.SortFunc(order, func(a, b int32) int { return bytes.Compare(l.keys[a], l.keys[b]) })
		keys := make([][]byte, len(order))
		for i, at := range order {
			keys[i] = l.keys[at]
		}
		l.keys, l.rows = keys, gatherRows(l.rows, order)
	}
	for i := 1; i < len(l.keys); i++ {
		if bytes.Equal(l.keys[i-1], l.keys[i]) {
			return false
		}
	}
	return true
}

// lock locks the keys as a whole and looks for rows that they have. Rows that are in the way of an INSERT are not its matter. A conflict
// with the snapshot is a refusal as it is row by row: the Abort that follows takes the lock back.
func (l *largeLead) lock(resp *bepb.WriteResponse_Part) (bool, error) {
	id := l.t.ID()
	if l.w.own.get(holder{l.txn, id}) != nil {
		return false, nil
	}
	lock, err := l.w.locks.acquireLarge(l.txn, id, l.keys)
	if err != nil {
		return false, lockRefusal(id, err)
	}
	if lock == nil {
		return false, nil
	}
	if err := checkConflict(l.t, l.keys, l.read); err != nil {
		return false, err
	}
	alive := 0
	if l.t.MayHold(l.keys[0], l.keys[len(l.keys)-1]) {
		exists, err := l.t.Exists(l.keys)
		if err != nil {
			return false, err
		}
		for _, there := range exists {
			if there {
				alive++
			}
		}
	}
	if alive > 0 && l.op != types.OpPut {
		l.w.locks.giveUpLarge(lock)
		return false, nil
	}
	l.w.locks.wroteLarge(lock)
	resp.Replaced, resp.Inserted = int64(alive), int64(len(l.keys)-alive)
	return true, nil
}
