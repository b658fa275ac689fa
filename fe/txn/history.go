package txn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"stele/meta/types"
)

// history is what an explicit transaction has written so far, so that it can be written once more: without the
// statement that failed, or under new leaders. Beyond a bound it is given up, and then a failure costs the transaction.
type history struct {
	statements []written
	bytes      int
	lost       bool
}

// written is one successful Write.
type written struct {
	writes   []TabletWrite
	counts   Counts
	lockWait time.Duration
	promises []promise
}

// promise is what held behind a write under its locks, and has to be looked at anew when it is written again: between the two nothing may have been locked.
type promise struct {
	bytes int
	holds func(context.Context) error
}

// historyBytes bounds what is kept of one transaction.
const historyBytes = 16 << 20

func (h *history) add(writes []TabletWrite, counts Counts, lockWait time.Duration) {
	for _, w := range writes {
		h.bytes += len(w.Grouped) + len(w.Ops)
		if w.Rows != nil {
			h.bytes += w.Rows.Size()
		}
	}
	if h.lost || h.bytes > historyBytes {
		h.statements, h.lost = nil, true
		return
	}
	h.statements = append(h.statements, written{writes: writes, counts: counts, lockWait: lockWait})
}

// Promise has what was found behind the latest write looked at again whenever that is written again. What a promise needs to be kept counts bytes.
// One that does not hold says so by a *RetryError that is Gone.
func (t *Txn) Promise(bytes int, holds func(context.Context) error) {
	t.done.promise(promise{bytes, holds})
}

func (h *history) promise(p promise) {
	h.bytes += p.bytes
	switch {
	case h.lost:
	case h.bytes > historyBytes:
		h.statements, h.lost = nil, true
	default:
		last := &h.statements[len(h.statements)-1]
		last.promises = append(last.promises, p)
	}
}

// complete reports whether the transaction can be written once more.
func (h *history) complete() bool { return !h.lost }

// Keep has the transaction of one statement keep what it writes, as an explicit one does, so that it can go back to a mark. It
// must come before the first Write.
func (t *Txn) Keep() {
	t.Remember()
	if t.Empty() {
		t.done.lost = false
	}
}

// Mark is a point in a transaction to which a failed statement goes back.
type Mark struct{ statements, bytes int }

// Mark returns the present point.
func (t *Txn) Mark() Mark { return Mark{len(t.done.statements), t.done.bytes} }

// ErrCannotGoBack says that a transaction is too large to undo one statement of it.
var ErrCannotGoBack = errors.New("the transaction is too large to undo one statement of it")

// RollbackTo undoes what was written after a mark. What was written before it is written again under a new id; what
// another transaction has changed meanwhile is found out as it would be at a first write. After an error the transaction
// can only be rolled back.
func (t *Txn) RollbackTo(ctx context.Context, m Mark) error {
	if !t.failed && t.done.bytes == m.bytes && !t.stale() {
		return nil
	}
	if !t.done.complete() {
		return ErrCannotGoBack
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.c.settings().WriteTimeout)
	defer cancel()
	return t.renew(ctx, t.done.statements[:m.statements])
}

// Lost notes that a leader does not have the rows of the transaction any more, whatever the catalog says of it: they are to be written again.
func (t *Txn) Lost() { t.failed = true }

// Refresh writes the transaction again when it has lost a leader, so that it can go on and reads its own rows.
func (t *Txn) Refresh(ctx context.Context) error { return t.RollbackTo(ctx, t.Mark()) }

// stale reports whether a tablet has left the epoch at which the transaction wrote to it.
func (t *Txn) stale() bool {
	cat := t.c.log.Current()
	for sh := range t.shares.all() {
		if tab, ok := cat.Tablet(sh.tablet); !ok || tab.Epoch != sh.epoch {
			return true
		}
	}
	return false
}

// renew aborts the transaction and writes statements again, until they are written or cannot be.
func (t *Txn) renew(ctx context.Context, statements []written) error {
	for {
		err := t.again(ctx, statements)
		var retry *RetryError
		if err == nil || !errors.As(err, &retry) || retry.Gone || ctx.Err() != nil {
			return err
		}
		t.c.Await(ctx, err, awaitCommit)
	}
}

// again leaves a transaction that cannot be written whole with no history: marks in it would name what is not written.
func (t *Txn) again(ctx context.Context, statements []written) (err error) {
	defer func() {
		if err != nil {
			t.failed, t.done = true, history{lost: true}
		}
	}()
	if err := t.renumber(ctx, statements); err != nil {
		return err
	}
	t.failed, t.done, t.renewing = false, history{}, true
	defer func() { t.renewing = false }()
	for _, st := range statements {
		counts, err := t.Write(ctx, st.writes, st.lockWait)
		if err != nil {
			return err
		}
		if counts != st.counts {
			return fmt.Errorf("rows that the transaction had written were changed meanwhile: %+v became %+v", st.counts, counts)
		}
		for _, p := range st.promises {
			if err := p.holds(ctx); err != nil {
				return err
			}
			t.done.promise(p)
		}
	}
	return nil
}

// renumber undoes all that the transaction has written and gives it a new id, under which statements are to be written again. Where they write the
// row locks stay, also those of statements that are not written again, as with savepoints in InnoDB: nobody gets between.
func (t *Txn) renumber(ctx context.Context, statements []written) error {
	before, kept := t.id, t.keeps(statements)
	if err := t.c.draw(ctx, t); err != nil {
		return err
	}
	t.undo(ctx, before, kept)
	for _, was := range kept { // should it come to no write there, its end is told there all the same
		sh := t.shares.add(was.tablet)
		sh.epoch, sh.leader = was.epoch, was.leader
		sh.bes = append(sh.room.bes[:0], was.leader)
	}
	return nil
}

// keeps lists the shares in tablets to which statements write, and whose leaders are those that have the locks.
func (t *Txn) keeps(statements []written) (out []*share) {
	cat := t.c.log.Current()
	for _, st := range statements {
		for _, w := range st.writes {
			sh := t.shares.get(w.Tablet)
			if sh == nil || slices.Contains(out, sh) {
				continue
			}
			if tab, ok := cat.Tablet(w.Tablet); ok && tab.Epoch == sh.epoch && slices.Contains(sh.bes, sh.leader) {
				out = append(out, sh)
			}
		}
	}
	return out
}

// draw draws the id of a transaction and makes it known as undecided.
func (c *Coordinator) draw(ctx context.Context, t *Txn) error {
	n, err := c.ids.Next(ctx)
	if err != nil {
		return fmt.Errorf("draw a transaction id: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t.id, t.since, t.tables = types.TxnID(n), time.Now(), nil
	c.active[t.id] = t
	return nil
}
