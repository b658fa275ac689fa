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
	// ErrEnded says that the transaction has been aborted.
	ErrEnded = errors.New("transaction has been aborted")
	// ErrTooManyLocks says that this BE holds as many row locks as it may.
	ErrTooManyLocks = errors.New("too many row locks")
)

const (
	// maxRowLocks bounds the memory of the lock table (some 200 bytes a lock).
	maxRowLocks = 8 << 20
	// maxEnded is how many aborted transactions are remembered, so that a write that comes after its own Abort takes
	// no locks. What it must outlive is a call under way.
	maxEnded = 64 << 10
)

// lockKey names one row of one tablet.
type lockKey struct {
	tablet types.TabletID
	key    string
}

// holder is one transaction on one tablet.
type holder struct {
	txn    types.TxnID
	tablet types.TabletID
}

// rowLock is held by owner; waiters get it in order of arrival.
type rowLock struct {
	owner types.TxnID
	queue []*lockWaiter
}

// lockWaiter is one transaction that waits for one row; done is closed when it owns the row, or has been ended.
type lockWaiter struct {
	txn   types.TxnID
	key   lockKey
	done  chan struct{}
	ended bool // set before done is closed
}

// lockTable holds the row locks of the tablets that this BE leads. They live in memory only: a commit at an epoch
// that is no longer current is refused (I2), so locks may die with the leader.
type lockTable struct {
	mu      sync.Mutex
	rows    map[lockKey]*rowLock
	held    map[holder][]string
	waiting map[types.TxnID]*lockWaiter // a transaction waits for one row at a time
	ended   map[holder]struct{}
	order   []holder // of ended, a ring
	next    int      // where the ring is written next
	limit   int
}

func newLockTable() *lockTable {
	return &lockTable{
		rows: map[lockKey]*rowLock{}, held: map[holder][]string{}, waiting: map[types.TxnID]*lockWaiter{},
		ended: map[holder]struct{}{}, limit: maxRowLocks,
	}
}

// acquire locks all keys for txn, in key order so that statements over the same rows queue up instead of
// deadlocking. What it got before an error stays held until release or end.
func (l *lockTable) acquire(ctx context.Context, txn types.TxnID, tablet types.TabletID, keys [][]byte, wait time.Duration) error {
	sorted := slices.Clone(keys)
	slices.SortFunc(sorted, bytes.Compare)
	deadline := time.Now().Add(wait)
	for _, k := range sorted {
		waiter, err := l.tryLock(txn, lockKey{tablet, string(k)})
		if err == nil && waiter != nil {
			err = l.await(ctx, waiter, deadline)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *lockTable) await(ctx context.Context, w *lockWaiter, deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	var err error
	select {
	case <-w.done:
	case <-timer.C:
		err = ErrLockTimeout
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil && l.giveUp(w) {
		return err
	}
	if w.ended {
		return ErrEnded
	}
	return nil
}

// tryLock takes the row, or queues for it and returns the waiter.
func (l *lockTable) tryLock(txn types.TxnID, k lockKey) (*lockWaiter, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, over := l.ended[holder{txn, k.tablet}]; over {
		return nil, ErrEnded
	}
	row := l.rows[k]
	if row == nil {
		if len(l.rows) >= l.limit {
			return nil, ErrTooManyLocks
		}
		l.rows[k] = &rowLock{owner: txn}
		l.held[holder{txn, k.tablet}] = append(l.held[holder{txn, k.tablet}], k.key)
		return nil, nil
	}
	if row.owner == txn {
		return nil, nil
	}
	if l.closesCycleLocked(txn, row.owner) {
		return nil, ErrDeadlock
	}
	w := &lockWaiter{txn: txn, key: k, done: make(chan struct{})}
	row.queue = append(row.queue, w)
	l.waiting[txn] = w
	return w, nil
}

// closesCycleLocked follows who waits for whom from owner. Each transaction waits for one row at most, so it is a walk.
// Who stands in a queue also waits for those before it, but these become owners in turn, and own nothing new before
// they ask for it here.
func (l *lockTable) closesCycleLocked(txn, owner types.TxnID) bool {
	for range len(l.waiting) + 1 {
		if owner == txn {
			return true
		}
		w := l.waiting[owner]
		if w == nil {
			return false
		}
		owner = l.rows[w.key].owner
	}
	return false
}

// giveUp leaves the queue; false says that the waiter was served in the meantime.
func (l *lockTable) giveUp(w *lockWaiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-w.done:
		return false
	default:
	}
	l.leaveLocked(w)
	return true
}

func (l *lockTable) leaveLocked(w *lockWaiter) {
	row := l.rows[w.key]
	row.queue = slices.DeleteFunc(row.queue, func(x *lockWaiter) bool { return x == w })
	delete(l.waiting, w.txn)
}

// release gives up every row of the tablet that txn holds, and hands each to its next waiter.
func (l *lockTable) release(txn types.TxnID, tablet types.TabletID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.releaseLocked(holder{txn, tablet})
}

func (l *lockTable) releaseLocked(h holder) {
	for _, key := range l.held[h] {
		k := lockKey{h.tablet, key}
		row := l.rows[k]
		if len(row.queue) == 0 {
			delete(l.rows, k)
			continue
		}
		next := row.queue[0]
		row.queue = row.queue[1:]
		row.owner = next.txn
		to := holder{next.txn, h.tablet}
		l.held[to] = append(l.held[to], key)
		delete(l.waiting, next.txn)
		close(next.done)
	}
	delete(l.held, h)
}

// end releases what txn holds on the tablet, wakes it if it waits there, and lets it lock nothing there any more.
func (l *lockTable) end(txn types.TxnID, tablet types.TabletID) {
	h := holder{txn, tablet}
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.waiting[txn]; w != nil && w.key.tablet == tablet {
		l.leaveLocked(w)
		w.ended = true
		close(w.done)
	}
	l.releaseLocked(h)
	if _, known := l.ended[h]; known {
		return
	}
	l.ended[h] = struct{}{}
	if len(l.order) < maxEnded {
		l.order = append(l.order, h)
		return
	}
	delete(l.ended, l.order[l.next])
	l.order[l.next] = h
	l.next = (l.next + 1) % maxEnded
}

// isEnded reports whether the transaction is known to have been aborted.
func (l *lockTable) isEnded(txn types.TxnID, tablet types.TabletID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, over := l.ended[holder{txn, tablet}]
	return over
}

// holders returns who holds locks.
func (l *lockTable) holders() []holder {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]holder, 0, len(l.held))
	for h := range l.held {
		out = append(out, h)
	}
	return out
}

// dropTablet releases every lock on a tablet that is no more; who waited finds that out by itself.
func (l *lockTable) dropTablet(tablet types.TabletID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var gone []holder
	for h := range l.held {
		if h.tablet == tablet {
			gone = append(gone, h)
		}
	}
	for _, h := range gone {
		l.releaseLocked(h)
	}
}
