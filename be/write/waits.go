package write

import (
	"stele/meta/types"
	"stele/proto/bepb"
)

// A BE finds the cycles of waiting transactions among its own locks only. An FE that has waited for a moment asks all of them who waits for whom,
// and has one of a cycle over several BEs give up (fe/txn, deadlock.go).

// Waits returns which transactions wait for locks of this BE, and for whom, after it has ended some waits as deadlocks.
func (w *Writer) Waits(end []uint64) []*bepb.LockWait {
	w.locks.deadlocked(end)
	return w.locks.list()
}

// deadlocked ends waits by their ids. One that is over is passed over: its transaction may wait for something else by now.
func (l *lockTable) deadlocked(ids []uint64) {
	if len(ids) == 0 {
		return
	}
	of := make(map[uint64]bool, len(ids))
	for _, id := range ids {
		of[id] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waiting {
		if of[w.id] {
			l.refuseLocked(w, ErrDeadlock)
		}
	}
}

// list returns all waits. Who stands in a queue waits for who stands before it: that one gets the row first, and may wait for others on other BEs
// meanwhile.
func (l *lockTable) list() []*bepb.LockWait {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]*bepb.LockWait, 0, len(l.waiting))
	for _, first := range l.waiting {
		if first.row.queue[0] != first {
			continue // it is listed with its row
		}
		for _, has := range first.row.holders() {
			if has != first.txn { // it may share what it wants alone
				out = append(out, &bepb.LockWait{Id: first.id, TxnId: uint64(first.txn), ForTxnId: uint64(has)})
			}
		}
		ahead := first.txn
		for _, w := range first.row.queue[1:] {
			out = append(out, &bepb.LockWait{Id: w.id, TxnId: uint64(w.txn), ForTxnId: uint64(ahead)})
			ahead = w.txn
		}
	}
	return out
}

// acquireFree locks those of the keys that nobody else has locked, without waiting. The locks are in the order of keys, nil where another
// transaction has the row.
func (l *lockTable) acquireFree(txn types.TxnID, tablet types.TabletID, keys [][]byte) ([]*rowLock, error) {
	return l.acquireFreeBatch(newLockBatch(txn, tablet, keys))
}

// acquireFreeBatch is acquireFree for a batch that nobody has begun with.
func (l *lockTable) acquireFreeBatch(b *lockBatch) ([]*rowLock, error) {
	b.sort()
	b.skip = true
	_, err := l.tryLock(b)
	return b.out, err
}
