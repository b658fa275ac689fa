package write

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"stele/meta/types"
)

// errDuplicate is the refusal of an insert whose key exists; the FE names the row.
var errDuplicate = errors.New("duplicate key")

// Lock outcomes.
var (
	// ErrLockTimeout says that a row lock was not free within the wait.
	ErrLockTimeout = errors.New("lock wait timeout")
	// ErrDeadlock says that waiting would close a cycle of transactions.
	ErrDeadlock = errors.New("deadlock")
)

// lockKey names one row of one tablet.
type lockKey struct {
	tablet types.TabletID
	key    string
}

// rowLock is held by owner; waiters get it in order of arrival.
type rowLock struct {
	owner types.TxnID
	queue []*lockWaiter
}

// lockWaiter is one transaction that waits for one row; granted is closed when it owns the row.
type lockWaiter struct {
	txn     types.TxnID
	granted chan struct{}
}

// lockTable holds the row locks of the tablets that this BE leads. They live in memory only: a commit at an epoch
// that is no longer current is refused (I2), so locks may die with the leader.
type lockTable struct {
	mu      sync.Mutex
	rows    map[lockKey]*rowLock
	held    map[types.TxnID][]lockKey
	waiting map[types.TxnID]lockKey // what each blocked transaction waits for
}

func newLockTable() *lockTable {
	return &lockTable{
		rows:    map[lockKey]*rowLock{},
		held:    map[types.TxnID][]lockKey{},
		waiting: map[types.TxnID]lockKey{},
	}
}

// acquire locks all keys for txn, in key order so that statements over the same rows queue up instead of
// deadlocking. What it got before an error stays held until release.
func (l *lockTable) acquire(ctx context.Context, txn types.TxnID, tablet types.TabletID, keys [][]byte, wait time.Duration) error {
	sorted := slices.Clone(keys)
	slices.SortFunc(sorted, bytes.Compare)
	var timeout <-chan time.Time
	for _, k := range sorted {
		waiter, err := l.tryLock(txn, lockKey{tablet, string(k)})
		if err != nil {
			return err
		}
		if waiter == nil {
			continue
		}
		if timeout == nil {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-waiter.granted:
		case <-timeout:
			if l.giveUp(waiter, lockKey{tablet, string(k)}) {
				return ErrLockTimeout
			}
		case <-ctx.Done():
			if l.giveUp(waiter, lockKey{tablet, string(k)}) {
				return ctx.Err()
			}
		}
	}
	return nil
}

// tryLock takes the row, or queues for it and returns the waiter.
func (l *lockTable) tryLock(txn types.TxnID, k lockKey) (*lockWaiter, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	row := l.rows[k]
	if row == nil {
		l.rows[k] = &rowLock{owner: txn}
		l.held[txn] = append(l.held[txn], k)
		return nil, nil
	}
	if row.owner == txn {
		return nil, nil
	}
	if l.closesCycleLocked(txn, row.owner) {
		return nil, ErrDeadlock
	}
	w := &lockWaiter{txn: txn, granted: make(chan struct{})}
	row.queue = append(row.queue, w)
	l.waiting[txn] = k
	return w, nil
}

// closesCycleLocked follows who waits for whom from owner; each transaction waits for one row at most, so it is a walk.
func (l *lockTable) closesCycleLocked(txn, owner types.TxnID) bool {
	for range len(l.waiting) + 1 {
		if owner == txn {
			return true
		}
		k, blocked := l.waiting[owner]
		if !blocked {
			return false
		}
		owner = l.rows[k].owner
	}
	return false
}

// giveUp leaves the queue; false says that the row was granted in the meantime.
func (l *lockTable) giveUp(w *lockWaiter, k lockKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	row := l.rows[k]
	if row == nil || row.owner == w.txn {
		return false
	}
	row.queue = slices.DeleteFunc(row.queue, func(x *lockWaiter) bool { return x == w })
	delete(l.waiting, w.txn)
	return true
}

// release gives up every row of the tablet that txn holds, and hands each to its next waiter.
func (l *lockTable) release(txn types.TxnID, tablet types.TabletID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := l.held[txn][:0]
	for _, k := range l.held[txn] {
		if k.tablet != tablet {
			kept = append(kept, k)
			continue
		}
		row := l.rows[k]
		if len(row.queue) == 0 {
			delete(l.rows, k)
			continue
		}
		next := row.queue[0]
		row.queue = row.queue[1:]
		row.owner = next.txn
		l.held[next.txn] = append(l.held[next.txn], k)
		delete(l.waiting, next.txn)
		close(next.granted)
	}
	if len(kept) == 0 {
		delete(l.held, txn)
	} else {
		l.held[txn] = kept
	}
}
