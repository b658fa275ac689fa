package write

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"stele/meta/rpc"
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

// holder is one transaction on one tablet.
type holder struct {
	txn    types.TxnID
	tablet types.TabletID
}

// rowLock is held by owner alone, or shared; waiters get it in order of arrival.
type rowLock struct {
	owner   types.TxnID   // 0 = sharers have it
	sharers []types.TxnID // none has written the row
	key     string
	queue   []*lockWaiter
	shared  bool // the owner shares it, too: that is what it does again when it gives the row back
	// wrote is what the owner has made of the row so far, and at the place of its key in the part being resolved. Only the
	// owner's calls look at them, one after the other; the next owner gets a lock of its own.
	wrote wroteRow
	at    int32
}

// alone reports whether a transaction is the only sharer.
func (r *rowLock) alone(txn types.TxnID) bool {
	return r.owner == 0 && len(r.sharers) == 1 && r.sharers[0] == txn
}

// sharedBy reports whether a transaction is a sharer.
func (r *rowLock) sharedBy(txn types.TxnID) bool {
	return r.owner == 0 && slices.Contains(r.sharers, txn)
}

// holders are those who have the row.
func (r *rowLock) holders() []types.TxnID {
	if r.owner == 0 {
		return r.sharers
	}
	return []types.TxnID{r.owner}
}

// unshared makes the last sharer the owner.
func (r *rowLock) unshared() {
	r.owner, r.sharers, r.shared = r.sharers[0], nil, true
}

// wroteRow is what a transaction has made of a row.
type wroteRow uint8

const (
	wroteNothing wroteRow = iota
	wrotePut
	wroteDelete
)

// lockWaiter is one transaction that waits for one row; done is closed when it has the row, or is not to wait any more.
type lockWaiter struct {
	id    uint64 // of this wait, see waits.go
	txn   types.TxnID
	share bool
	row   *rowLock
	on    types.TabletID
	done  chan struct{}
	err   error // why it does not have the row; set before done is closed
}

// lockTable holds the row locks of the tablets that this BE leads. They live in memory only: a commit at an epoch
// that is no longer current is refused (I2), so locks may die with the leader.
type lockTable struct {
	mu      sync.Mutex
	rows    map[types.TabletID]map[string]*rowLock
	count   int // of rows, each once for every transaction that has it
	held    map[holder][]*rowLock
	waiting map[types.TxnID]*lockWaiter // a transaction waits for one row at a time
	waits   uint64                      // the id of the latest wait
	ended   map[holder]struct{}
	order   []holder      // of ended, a ring
	last    atomic.Uint64 // the highest transaction that ever was in ended
	next    int           // where the ring is written next
	limit   int

	large     map[types.TabletID][]*largeLock
	largeKeys int
}

func newLockTable() *lockTable {
	return &lockTable{
		rows: map[types.TabletID]map[string]*rowLock{}, held: map[holder][]*rowLock{}, waiting: map[types.TxnID]*lockWaiter{},
		ended: map[holder]struct{}{}, limit: maxRowLocks, large: map[types.TabletID][]*largeLock{},
		waits: uint64(time.Now().UnixNano()), // beyond those of the process before
	}
}

// acquire locks all keys for txn, in key order so that statements over the same rows queue up instead of
// deadlocking. What it got before an error stays held until release or end. The locks are in the order of keys.
func (l *lockTable) acquire(ctx context.Context, txn types.TxnID, tablet types.TabletID, keys [][]byte, wait time.Duration) ([]*rowLock, error) {
	return l.acquireBatch(ctx, newLockBatch(txn, tablet, keys), wait)
}

// newShareBatch is newLockBatch for rows that are to be shared.
func newShareBatch(txn types.TxnID, tablet types.TabletID, keys [][]byte) *lockBatch {
	b := newLockBatch(txn, tablet, keys)
	b.share, b.had = true, make([]bool, len(keys))
	return b
}

// acquireBatch is acquire for a batch that nobody has begun with.
func (l *lockTable) acquireBatch(ctx context.Context, b *lockBatch, wait time.Duration) ([]*rowLock, error) {
	b.sort()
	var deadline time.Time // from the first wait on
	for {
		waiter, err := l.tryLock(b)
		if err == nil && waiter == nil {
			return b.out, nil
		}
		if err == nil {
			rpc.Waits(ctx)
			rpc.Heeds(ctx)
			if deadline.IsZero() {
				deadline = time.Now().Add(wait)
			}
			err = l.await(ctx, waiter, deadline)
		}
		if err != nil {
			return nil, err
		}
	}
}

// lockBatch is the progress of one call of acquire.
type lockBatch struct {
	txn    types.TxnID
	tablet types.TabletID
	keys   [][]byte
	order  []int32 // the keys in their order; nil = as they are
	next   int     // in order
	skip   bool    // pass over the rows of others
	share  bool    // with others that share: no row is written
	had    []bool  // of keys that are to be shared: whether the transaction had the row before
	waited bool    // for the row that is next
	out    []*rowLock
	held   []*rowLock // room for the list of what a transaction holds, when these are its first
	fresh  []rowLock  // room for locks that are new
	text   string     // of all keys, one after the other: one allocation, that ends with the last of the locks
	ends   []int      // where each key ends in text
}

func newLockBatch(txn types.TxnID, tablet types.TabletID, keys [][]byte) *lockBatch {
	if len(keys) == 1 {
		return newSingleLock(txn, tablet, keys)
	}
	b := &lockBatch{txn: txn, tablet: tablet, keys: keys, out: make([]*rowLock, len(keys)), fresh: make([]rowLock, 0, len(keys)),
		ends: make([]int, len(keys))}
	size := 0
	for _, k := range keys {
		size += len(k)
	}
	var all strings.Builder
	all.Grow(size)
	for i, k := range keys {
		all.Write(k)
		b.ends[i] = all.Len()
	}
	b.text = all.String()
	return b
}

// newSingleLock is newLockBatch for one row, in one piece of memory.
func newSingleLock(txn types.TxnID, tablet types.TabletID, keys [][]byte) *lockBatch {
	s := &struct {
		batch lockBatch
		out   [1]*rowLock
		held  [1]*rowLock
		fresh [1]rowLock
		ends  [1]int
	}{ends: [1]int{len(keys[0])}}
	s.batch = lockBatch{txn: txn, tablet: tablet, keys: keys, out: s.out[:], held: s.held[:0], fresh: s.fresh[:0], text: string(keys[0]), ends: s.ends[:]}
	return &s.batch
}

// sort has the rows locked in the order of their keys.
func (b *lockBatch) sort() {
	if slices.IsSortedFunc(b.keys, bytes.Compare) {
		return
	}
	b.order = make([]int32, len(b.keys))
	for i := range b.order {
		b.order[i] = int32(i)
	}
	slices.SortFunc(b.order, func(x, y int32) int { return bytes.Compare(b.keys[x], b.keys[y]) })
}

func (b *lockBatch) key(i int) string {
	from := 0
	if i > 0 {
		from = b.ends[i-1]
	}
	return b.text[from:b.ends[i]]
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
	return w.err
}

// tryLock takes rows until it has all of them, or queues for one and returns the waiter.
func (l *lockTable) tryLock(b *lockBatch) (*lockWaiter, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := holder{b.txn, b.tablet}
	if _, over := l.ended[h]; over {
		return nil, ErrEnded
	}
	if len(b.keys) > 0 {
		l.spreadLocked(b.tablet, b.keys)
	}
	rows := l.rows[b.tablet]
	if rows == nil {
		rows = make(map[string]*rowLock, len(b.keys))
		l.rows[b.tablet] = rows
	}
	held := l.held[h]
	if held == nil {
		held = b.held
	}
	defer func() { l.heldLocked(h, held) }()
	for ; b.next < len(b.keys); b.next++ {
		at := b.next
		if b.order != nil {
			at = int(b.order[b.next])
		}
		key := b.key(at)
		row := rows[key]
		switch {
		case row == nil:
			if l.count >= l.limit {
				return nil, ErrTooManyLocks
			}
			row = b.lock(key)
			rows[row.key] = row
			l.count++
			held = append(held, row)
		case row.owner == b.txn, b.share && row.sharedBy(b.txn):
			if b.share {
				row.shared, b.had[at] = row.owner == b.txn, !b.waited
			}
		case b.share && row.owner == 0 && len(row.queue) == 0: // else who writes would wait for as long as others come to share
			if l.count >= l.limit {
				return nil, ErrTooManyLocks
			}
			row.sharers = append(row.sharers, b.txn)
			l.count++
			held = append(held, row)
		case row.alone(b.txn):
			row.unshared()
		case b.skip:
			row = nil
		case l.closesCycleLocked(b.txn, row):
			return nil, ErrDeadlock
		default:
			b.waited = true
			return l.queueLocked(b, row), nil
		}
		b.out[at], b.waited = row, false
	}
	return nil, nil
}

// lock makes the lock of a row that nobody has.
func (b *lockBatch) lock(key string) *rowLock {
	b.fresh = append(b.fresh, rowLock{key: key}) // it never grows
	row := &b.fresh[len(b.fresh)-1]
	if b.share {
		row.sharers = []types.TxnID{b.txn}
	} else {
		row.owner = b.txn
	}
	return row
}

// queueLocked has a transaction wait for a row. One that shares it goes first: all others wait for it anyway.
func (l *lockTable) queueLocked(b *lockBatch, row *rowLock) *lockWaiter {
	l.waits++
	w := &lockWaiter{id: l.waits, txn: b.txn, share: b.share, row: row, on: b.tablet, done: make(chan struct{})}
	if row.sharedBy(b.txn) {
		row.queue = slices.Insert(row.queue, 0, w)
	} else {
		row.queue = append(row.queue, w)
	}
	l.waiting[b.txn] = w
	return w
}

// heldLocked notes what a transaction holds, and forgets a tablet without locks.
func (l *lockTable) heldLocked(h holder, held []*rowLock) {
	if len(held) > 0 {
		l.held[h] = held
	}
	if len(l.rows[h.tablet]) == 0 {
		delete(l.rows, h.tablet)
	}
}

// closesCycleLocked follows who waits for whom from those who have a row. Each transaction waits for one row at most, so it is a walk
// until a row is shared. Who stands in a queue also waits for those before it, but these wait for nobody but those who have the row, and
// own nothing new before they ask for it here.
func (l *lockTable) closesCycleLocked(txn types.TxnID, row *rowLock) bool {
	who := txn
	for range len(l.waiting) + 1 {
		if row.owner == 0 {
			return l.closesSharedLocked(txn, who, row, map[types.TxnID]struct{}{})
		}
		if row.owner == txn {
			return true
		}
		w := l.waiting[row.owner]
		if w == nil {
			return false
		}
		who, row = row.owner, w.row
	}
	return false
}

// closesSharedLocked is closesCycleLocked from who, which waits for a row that it may share itself; those in seen have been followed.
func (l *lockTable) closesSharedLocked(txn, who types.TxnID, row *rowLock, seen map[types.TxnID]struct{}) bool {
	for _, h := range row.holders() {
		if h == who {
			continue
		}
		if h == txn {
			return true
		}
		if _, again := seen[h]; again {
			continue
		}
		seen[h] = struct{}{}
		if w := l.waiting[h]; w != nil && l.closesSharedLocked(txn, h, w.row, seen) {
			return true
		}
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
	row := w.row
	row.queue = slices.DeleteFunc(row.queue, func(x *lockWaiter) bool { return x == w })
	delete(l.waiting, w.txn)
	l.admitLocked(w.on, row) // it may have been in the way of some who share
}

// refuseLocked has a transaction wait no longer.
func (l *lockTable) refuseLocked(w *lockWaiter, err error) {
	l.leaveLocked(w)
	w.err = err
	close(w.done)
}

// release gives up every row of the tablet that txn holds, and hands each to its next waiter.
func (l *lockTable) release(txn types.TxnID, tablet types.TabletID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.releaseLocked(holder{txn, tablet})
}

func (l *lockTable) releaseLocked(h holder) {
	l.forgetLargeLocked(h.tablet, func(o *largeLock) bool { return o.holder == h })
	held := l.held[h]
	if len(held) == 0 {
		return
	}
	rows := l.rows[h.tablet]
	if len(held) == len(rows) && nobodyElse(held) { // a load: the rows of all others are none
		l.count -= len(held)
		delete(l.rows, h.tablet)
		delete(l.held, h)
		return
	}
	for _, row := range held {
		l.passLocked(rows, h, row)
	}
	if len(rows) == 0 {
		delete(l.rows, h.tablet)
	}
	delete(l.held, h)
}

// passLocked takes a row from one who has it, and hands it to those who are next.
func (l *lockTable) passLocked(rows map[string]*rowLock, h holder, row *rowLock) {
	l.count--
	if row.owner == 0 && len(row.sharers) > 1 {
		row.sharers = slices.DeleteFunc(row.sharers, func(x types.TxnID) bool { return x == h.txn })
		l.admitLocked(h.tablet, row)
		return
	}
	if len(row.queue) == 0 {
		delete(rows, row.key)
		return
	}
	passed := &rowLock{key: row.key, queue: row.queue}
	for _, w := range passed.queue {
		w.row = passed
	}
	rows[row.key] = passed
	l.admitLocked(h.tablet, passed)
}

// admitLocked hands a row to those who wait for it, in their order, as far as those who have it leave it to them.
func (l *lockTable) admitLocked(tablet types.TabletID, row *rowLock) {
	for len(row.queue) > 0 {
		w := row.queue[0]
		switch {
		case row.alone(w.txn):
			row.unshared()
		case row.owner != 0, len(row.sharers) > 0 && !w.share:
			return
		default:
			if w.share {
				row.sharers = append(row.sharers, w.txn)
			} else {
				row.owner = w.txn
			}
			to := holder{w.txn, tablet}
			l.held[to] = append(l.held[to], row)
			l.count++
		}
		row.queue = row.queue[1:]
		delete(l.waiting, w.txn)
		close(w.done)
	}
}

// giveBack releases a row that txn has locked and then left as it was; what it shared before it shares again. It may have lost it meanwhile.
func (l *lockTable) giveBack(txn types.TxnID, tablet types.TabletID, row *rowLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := holder{txn, tablet}
	held := l.held[h]
	i := slices.Index(held, row)
	if i < 0 {
		return
	}
	if row.shared {
		row.owner, row.sharers, row.shared = 0, []types.TxnID{txn}, false
		l.admitLocked(tablet, row)
		return
	}
	if held = slices.Delete(held, i, i+1); len(held) > 0 {
		l.held[h] = held
	} else {
		delete(l.held, h)
	}
	rows := l.rows[tablet]
	if l.passLocked(rows, h, row); len(rows) == 0 {
		delete(l.rows, tablet)
	}
}

// nobodyElse reports whether nobody else has, or waits for, any of the rows that one transaction has.
func nobodyElse(rows []*rowLock) bool {
	for _, row := range rows {
		if len(row.queue) > 0 || len(row.sharers) > 1 {
			return false
		}
	}
	return true
}

// bequeathLocked has another transaction hold what one holds, for whom others go on waiting. What was written under the locks is no more. One
// that is there already, or has been, gets nothing: it did not wait for this.
func (l *lockTable) bequeathLocked(h holder, heir types.TxnID) {
	to := holder{heir, h.tablet}
	if _, over := l.ended[to]; over || l.waiting[heir] != nil || len(l.held[to]) > 0 {
		l.releaseLocked(h)
		return
	}
	for i, o := range l.large[h.tablet] {
		if o.holder == h {
			l.large[h.tablet][i] = &largeLock{holder: to, keys: o.keys}
		}
	}
	held := l.held[h]
	if len(held) == 0 {
		return
	}
	delete(l.held, h)
	made := make([]rowLock, len(held)) // a call of the one may still look at its own
	for i, row := range held {
		if row.owner == 0 {
			row.sharers[slices.Index(row.sharers, h.txn)] = heir
			continue
		}
		made[i] = rowLock{owner: heir, key: row.key, queue: row.queue, shared: row.shared}
		for _, w := range row.queue {
			w.row = &made[i]
		}
		l.rows[h.tablet][row.key], held[i] = &made[i], &made[i]
	}
	l.held[to] = held
}

// end releases what txn holds on the tablet, or leaves it to its heir, wakes it if it waits there, and lets it lock nothing there any more.
func (l *lockTable) end(txn, heir types.TxnID, tablet types.TabletID) {
	h := holder{txn, tablet}
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.waiting[txn]; w != nil && w.on == tablet {
		l.refuseLocked(w, ErrEnded)
	}
	if heir != 0 {
		l.bequeathLocked(h, heir)
	} else {
		l.releaseLocked(h)
	}
	if _, known := l.ended[h]; known {
		return
	}
	l.ended[h] = struct{}{}
	l.last.Store(max(l.last.Load(), uint64(h.txn)))
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
	if uint64(txn) > l.last.Load() { // as most
		return false
	}
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
	for _, locks := range l.large {
		for _, o := range locks {
			if !slices.Contains(out, o.holder) {
				out = append(out, o.holder)
			}
		}
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
	l.forgetLargeLocked(tablet, func(*largeLock) bool { return true })
}
