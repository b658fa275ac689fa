package write

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"stele/be/tablet"
	"stele/meta/contain"
	"stele/meta/rpc"
	"stele/meta/types"
)

// errStopping refuses what comes when the BE stops.
var errStopping = errors.New("this be is stopping")

// aside runs f, which may wait, in a goroutine that Close waits for: the caller must not. False = it has not.
func (w *Writer) aside(f func()) bool {
	w.asideMu.Lock()
	defer w.asideMu.Unlock()
	if w.ctx.Err() != nil {
		return false
	}
	w.asides.Go(f)
	return true
}

// storedPart is one part of a transaction that is to be kept as pending.
type storedPart struct {
	txn     types.TxnID
	number  int
	payload []byte
	written *tablet.Written // what payload was made of, if that was here
	light   bool            // memory is enough
}

// store makes a part durable as pending where the replica lies when it is its turn, or keeps it in memory if that is enough (light).
// done is called once, with the state of that, by whatever goroutine learns it, so it must not block.
func (w *Writer) store(ctx context.Context, r *replica, p storedPart, done func(*replica, error)) {
	if p.light && r.storeLight(ctx, p, done) {
		return
	}
	if !w.storeLater(ctx, r, p.txn, p.number, p.payload, done) && !w.aside(func() { done(w.storeNow(ctx, r, p.txn, p.number, p.payload)) }) {
		done(r, errStopping)
	}
}

// storeNow is store by a goroutine that may wait, until the writer is closed.
func (w *Writer) storeNow(ctx context.Context, r *replica, txn types.TxnID, part int, payload []byte) (to *replica, err error) {
	to = r
	defer contain.Into(&err) // whoever waits for done must hear of it
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.ctx, cancel)()
	for {
		err := r.store(ctx, txn, part, payload)
		if !errors.Is(err, errMoved) {
			return r, err
		}
		r = r.next
	}
}

// storeLater is store of a small part, without a goroutine that waits for it; false = it cannot be.
func (w *Writer) storeLater(ctx context.Context, r *replica, txn types.TxnID, part int, payload []byte, done func(*replica, error)) bool {
	if !r.gate.TryRLock() {
		return false
	}
	var users atomic.Int32 // of the gate
	users.Store(2)
	leave := func() {
		if users.Add(-1) == 0 {
			r.gate.RUnlock()
		}
	}
	if r.next != nil {
		r.gate.RUnlock()
		return false
	}
	if err := r.takes(ctx, int64(len(payload))); err != nil {
		r.gate.RUnlock()
		done(r, err)
		return true
	}
	if !r.t.PrepareLater(txn, part, payload, func(err error) {
		leave()
		done(r, err)
	}) {
		r.gate.RUnlock()
		return false
	}
	r.note(ctx, txn, int64(len(payload)))
	leave()
	return true
}

// storeLight is store of what may be in memory alone; false = it becomes durable after all.
func (r *replica) storeLight(ctx context.Context, p storedPart, done func(*replica, error)) bool {
	if !r.gate.TryRLock() {
		return false
	}
	if r.next != nil {
		r.gate.RUnlock()
		return false
	}
	err, kept := r.takes(ctx, int64(len(p.payload))), true
	if err == nil {
		kept, err = r.t.PrepareWritten(p.txn, p.number, p.payload, p.written)
	}
	if kept && err == nil {
		r.note(ctx, p.txn, int64(len(p.payload)))
	}
	r.gate.RUnlock()
	if kept {
		done(r, err)
	}
	return kept
}

// takes says why a replica stores nothing at the moment. It is called with the gate held.
func (r *replica) takes(ctx context.Context, bytes int64) error {
	if r.replacing {
		return fmt.Errorf("tablet %d: %w", r.t.ID(), errReplacing)
	}
	if err := r.room(ctx, bytes); err != nil {
		return fmt.Errorf("tablet %d: %w", r.t.ID(), err)
	}
	return nil
}

// note remembers a part that is being stored, or could not be: it may become durable all the same, and must then be asked about.
func (r *replica) note(ctx context.Context, txn types.TxnID, bytes int64) {
	r.lock(ctx)
	defer r.mu.Unlock()
	r.open[txn] += bytes
	r.openBytes += bytes
}

// lock locks mu, which is held for long while a large transaction is published or the replica moves to another disk.
func (r *replica) lock(ctx context.Context) {
	if !r.mu.TryLock() {
		rpc.Waits(ctx)
		r.mu.Lock()
	}
}

const (
	// slowRead is what a look at the keys of a write takes when it waits for the disk. It may also take so long because the
	// processor was given to somebody else, and on a machine whose processors are all in use one of some hundred looks does.
	slowRead = time.Millisecond
	// slowShare: one part of the time in so many may go by in slow looks before they count as waiting for the disk,
	slowShare = 5
	// slowBurst: after a quiet time, so much may.
	slowBurst = 50 * time.Millisecond
	// slowFor is how long they count so at most after the last one.
	slowFor = time.Second
)

// reads tells whether the keys of writes are found in memory. While they are not, no call may look for them in the goroutine
// that reads other calls. A slow look now and then is no reason: each call would get a goroutine, and what it sends a system call
// of its own.
type reads struct {
	mu   sync.Mutex   // of who changes paid
	paid atomic.Int64 // when the slow looks have been made up for, each by slowShare times what it took, Unix nanoseconds
}

func (s *reads) watch(ctx context.Context, look func() error) error {
	begun := time.Now()
	if s.slow(begun) {
		rpc.Waits(ctx)
	}
	err := look()
	if took := time.Since(begun); took > slowRead {
		s.note(begun.Add(took), took)
	}
	return err
}

// slow reports whether too much time has gone by in slow looks lately.
func (s *reads) slow(now time.Time) bool {
	return s.paid.Load()-now.UnixNano() > int64(slowShare*slowBurst)
}

// note takes a slow look into account.
func (s *reads) note(now time.Time, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	paid := max(s.paid.Load(), now.UnixNano()) + int64(slowShare*min(took, slowFor))
	s.paid.Store(min(paid, now.Add(slowShare*slowBurst+slowFor).UnixNano()))
}
