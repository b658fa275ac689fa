package tablet

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/vec"
)

// A large part, by bytes or rows, makes its transaction one that is published as rowsets (bulk.go). Each of its parts is staged: encoded
// as a rowset of its own, sorted, with one row a key, without any lock of the tablet, most often while its prepare waits for the disk. A
// staged rowset that no version record names is an orphan.

// stagedPart is a part of a transaction as it will be published.
type stagedPart struct {
	rowset  *rowsetState // nil when nothing is put
	deletes [][]byte     // keys whose last operation is a delete, ascending
}

// stage encodes a part. The caller decides whether what it returns is used, else dropStaged.
func (t *Tablet) stage(payload []byte) (*stagedPart, error) {
	t.mu.Lock()
	if err := t.usable(); err != nil {
		t.mu.Unlock()
		return nil, err
	}
	id, schema, keyIdx := t.nextRowset, t.meta.Schema, t.keyIdx
	t.nextRowset++
	t.mu.Unlock()
	if wire.IsGrouped(payload) {
		return t.stageGrouped(id, &schema, payload)
	}
	ops, rows, err := wire.Decode(&schema, payload)
	if err != nil {
		return nil, err
	}
	keys := vec.EncodeKeys(rows, keyIdx)
	w := newRowsetWriter(t, id, &schema)
	st := &stagedPart{}
	for _, i := range lastOfEachKey(keys) {
		if ops[i] != types.OpPut {
			st.deletes = append(st.deletes, keys[i])
		} else if _, err = w.add(keys[i], rows.Cols, i, 0); err != nil {
			break
		}
	}
	if err == nil {
		st.rowset, err = w.finish()
	}
	if err != nil {
		t.s.addGarbage(w.orphan())
		return nil, err
	}
	t.s.counters.flushed.Add(w.written)
	return st, nil
}

// lastOfEachKey returns, by key, the index of the last of equal keys.
func lastOfEachKey(keys [][]byte) []int {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	byKey := func(a, b int) int { return cmp.Or(bytes.Compare(keys[a], keys[b]), cmp.Compare(a, b)) }
	if !slices.IsSortedFunc(order, byKey) {
		slices.SortFunc(order, byKey)
	}
	out := order[:0]
	for n, i := range order {
		if n+1 == len(order) || !bytes.Equal(keys[i], keys[order[n+1]]) {
			out = append(out, i)
		}
	}
	return out
}

// dropStaged deletes rowsets that were not published.
func (t *Tablet) dropStaged(staged ...*stagedPart) {
	for _, st := range staged {
		if st != nil && st.rowset != nil {
			t.dropRowset(st.rowset.garbage())
		}
	}
}

// staged returns what is staged of each part; nil = nothing is of any.
func (p *pendingTxn) staged() []*stagedPart {
	if !slices.ContainsFunc(p.parts, func(part *pendingPart) bool { return part.staged != nil }) {
		return nil
	}
	var out []*stagedPart
	for _, part := range p.parts {
		out = append(out, part.staged)
	}
	return out
}

// manyWriteRows is from how many rows on a part is large although it takes few bytes.
const manyWriteRows = 16 << 10

// largeWrite reports whether a part makes its transaction one that is published as rowsets.
func (s *Store) largeWrite(payload []byte) bool {
	if int64(len(payload)) >= s.opt.bulkBytes || wire.IsGrouped(payload) {
		return true
	}
	return wire.RowsOf(payload) >= manyWriteRows
}

// bulk reports whether the transaction is published as rowsets.
func (p *pendingTxn) bulk() bool {
	return slices.ContainsFunc(p.parts, func(part *pendingPart) bool { return part.bulk })
}

// stagePrepared stages a large part that has just been queued for the disk. A failure is left to the publish.
func (t *Tablet) stagePrepared(txn types.TxnID, number int, p *pendingPart, payload []byte) {
	if !p.bulk {
		return
	}
	t.record.Lock()
	unlisted := t.unlisted // an import has not laid out its rowsets yet
	t.record.Unlock()
	if unlisted {
		return
	}
	st, err := t.stage(payload)
	if err != nil {
		t.s.log.Debug("stage a part", "tablet_id", t.id, "txn_id", txn, "err", err)
		return
	}
	t.attachStaged(txn, number, p, st)
}

// attachStaged keeps a staged part with its transaction, if that is still pending.
func (t *Tablet) attachStaged(txn types.TxnID, number int, p *pendingPart, st *stagedPart) {
	t.mu.Lock()
	pt := t.pending[txn]
	ok := pt != nil && number < len(pt.parts) && pt.parts[number] == p && p.staged == nil && !t.retired
	if ok {
		p.staged = st
	}
	t.mu.Unlock()
	if !ok {
		t.dropStaged(st)
	}
}

// stagePending stages what is missing of a large transaction before it is published: after a restart, and its small parts.
func (t *Tablet) stagePending(txn types.TxnID) error {
	t.mu.RLock()
	p := t.pending[txn]
	if p == nil || !p.durable() || !p.bulk() {
		t.mu.RUnlock()
		return nil
	}
	parts := slices.Clone(p.parts)
	done := make([]bool, len(parts))
	for i := range parts {
		done[i] = parts[i].staged != nil
	}
	t.mu.RUnlock()
	if t.s.writable() != nil {
		return nil // what is committed must be published: it goes through the memtable
	}
	for i, part := range parts {
		if done[i] {
			continue
		}
		payload, err := part.payload, error(nil)
		if payload == nil {
			payload, err = t.loadPart(txn, i, part.entry)
		}
		var st *stagedPart
		if err == nil {
			st, err = t.stage(payload)
		}
		if err != nil {
			if t.stillPending(txn, part) {
				return fmt.Errorf("stage part %d: %w", i, err)
			}
			return nil // settled meanwhile, its parts may be gone
		}
		t.attachStaged(txn, i, part, st)
	}
	return nil
}

func (t *Tablet) stillPending(txn types.TxnID, part *pendingPart) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	p := t.pending[txn]
	return p != nil && slices.Contains(p.parts, part)
}

// stagedPending returns the staged parts of a transaction if all of them are; else they are of no use.
func (t *Tablet) stagedPending(txn types.TxnID) (parts []partEntry, staged, unused []*stagedPart) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	p := t.pending[txn]
	if p == nil {
		return nil, nil, nil
	}
	staged = p.staged()
	if !p.durable() || len(staged) == 0 || slices.Contains(staged, nil) {
		return nil, nil, staged
	}
	return entriesOf(p), staged, nil
}

// pendingStaged returns the parts of a pending transaction that are staged.
func (t *Tablet) pendingStaged(txn types.TxnID) []*stagedPart {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if p := t.pending[txn]; p != nil {
		return p.staged()
	}
	return nil
}

// stageChange stages the parts of a large change set; nil when it is a small one, or the disk takes no more.
func (t *Tablet) stageChange(parts [][]byte) ([]*stagedPart, error) {
	large := slices.ContainsFunc(parts, t.s.largeWrite)
	if !large || t.s.writable() != nil {
		return nil, nil
	}
	var out []*stagedPart
	for _, p := range parts {
		st, err := t.stage(p)
		if err != nil {
			t.dropStaged(out...)
			return nil, err
		}
		out = append(out, st)
	}
	return out, nil
}
