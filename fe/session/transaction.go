package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"stele/fe/dist"
	"stele/fe/session/vars"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/proto/bepb"
	"stele/sql/errno"
	"stele/sql/parse"
)

// transaction runs BEGIN, COMMIT and ROLLBACK.
func (s *Session) transaction(ctx context.Context, st *parse.Statement, out *output) error {
	switch n := st.Node.(type) {
	case *parse.BeginStmt:
		if err := s.commit(ctx); err != nil { // as MySQL: BEGIN ends what is open
			return err
		}
		if s.locked != nil && !s.locked.all { // as MySQL, too
			s.unlockTables(ctx)
		}
		if err := s.begin(ctx, n.ReadOnly, strings.Contains(strings.ToUpper(st.Text), "CONSISTENT")); err != nil {
			return err
		}
		return out.ok()
	case *parse.CommitStmt:
		readOnly, committed := s.txReadOnly, s.committed
		if err := s.commit(ctx); err != nil {
			return err
		}
		if n.CompletionType == parse.CompletionTypeChain {
			s.inTx, s.txReadOnly, s.committed = true, readOnly, committed
		}
		return out.ok()
	case *parse.RollbackStmt:
		if n.SavepointName != "" {
			return s.rollbackTo(ctx, n.SavepointName, out)
		}
		readOnly, committed := s.txReadOnly, s.committed
		if err := s.rollback(ctx); err != nil {
			return err
		}
		if n.CompletionType == parse.CompletionTypeChain {
			s.inTx, s.txReadOnly, s.committed = true, readOnly, committed
		}
		return out.ok()
	}
	return sqlErr(errno.UnknownError, "BUG: not a transaction statement")
}

// begin opens a transaction. Its snapshot is taken now when it is to be consistent, else by its first statement.
func (s *Session) begin(ctx context.Context, readOnly, consistent bool) error {
	s.open(readOnly || s.nextReadOnly)
	if !consistent || s.committed { // as in MySQL the level goes before the clause
		return nil
	}
	if _, err := s.read(ctx); err != nil {
		s.end()
		return err
	}
	return nil
}

// open begins a transaction.
func (s *Session) open(readOnly bool) {
	level := s.nextLevel
	if level == "" {
		level = s.vars.Now().Isolation
	}
	s.spend()
	s.inTx, s.txReadOnly, s.committed = true, readOnly, level != vars.RepeatableRead
}

// spend forgets what SET TRANSACTION has said of the next transaction, which was this.
func (s *Session) spend() { s.nextReadOnly, s.nextLevel = false, "" }

// movesOn reports whether the open transaction is bound to no state yet, or never is.
func (s *Session) movesOn() bool { return s.unread || s.committed }

// readOnly reports whether a write is refused: by the open transaction or, without one, by the session. A statement
// outside a transaction is the next transaction that SET TRANSACTION READ ONLY spoke of.
func (s *Session) readOnly() bool {
	next := s.nextReadOnly
	if !s.inTx {
		s.spend()
	}
	return s.txReadOnly || next || s.vars.Now().ReadOnly
}

// commit ends the open transaction, if any.
func (s *Session) commit(ctx context.Context) error {
	t := s.end()
	if t == nil {
		return nil
	}
	err := s.commitUnlocked(ctx, t)
	if mayRetry(err) {
		return s.lostTransaction(err)
	}
	return err
}

// rollback drops the open transaction, if any.
func (s *Session) rollback(ctx context.Context) error {
	t := s.end()
	if t == nil {
		return nil
	}
	return t.Rollback(ctx)
}

// end takes the session out of its transaction and returns what that has written.
func (s *Session) end() *txn.Txn {
	t := s.tx
	s.tx, s.snapshot, s.unread, s.inTx, s.txReadOnly, s.committed, s.marks = nil, nil, false, false, false, false, nil
	s.txSince = time.Time{}
	return t
}

// implicit opens a transaction for a statement when autocommit is off.
func (s *Session) implicit() {
	if !s.vars.Now().Autocommit && !s.inTx {
		s.open(s.nextReadOnly)
	}
}

// attempt is one try of a writing statement: against a snapshot, in a transaction.
type attempt func(ctx context.Context, cat *catalog.Catalog, t *txn.Txn) error

// retryPause grows between tries of a statement that found no leader or lost a race.
const (
	retryPause    = 20 * time.Millisecond
	retryPauseMax = 500 * time.Millisecond
)

// fullPatience is how long a statement is tried again that met a full disk: the leader of the tablet moves as soon as the leading FE has heard of
// the disk, unless that FE is of an older version or an operation has the tablet in hand.
const fullPatience = 3 * time.Second

// retrier paces the tries of one statement.
type retrier struct {
	s        *Session
	unlocked time.Time // until when locks of whole tables are waited for, zero = none were met
	deadline time.Time
	full     time.Time // from when on a full disk is waited for no more, zero = none was met
	pause    time.Duration
	patience time.Duration
	works    int // times that the patience began anew
}

func (s *Session) retrier() retrier {
	patience := s.sh.Settings().WriteTimeout
	return retrier{s: s, deadline: time.Now().Add(patience), pause: retryPause, patience: patience}
}

// worksMax bounds how often the patience of a statement begins anew.
const worksMax = 3

// worked begins the patience anew, a few times, after a try that has written: what a large statement takes was no waiting in vain, and without
// that it would fail for good at the first change of a leader in its midst, however soon there is another.
func (r *retrier) worked() {
	if r.works < worksMax {
		r.works++
		r.extend(r.patience)
	}
}

// extend has tries go on until d from now: what was done so far was no waiting in vain.
func (r *retrier) extend(d time.Duration) { r.deadline = time.Now().Add(d) }

// again waits for the next try after err; false when there is none.
func (r *retrier) again(ctx context.Context, txns *txn.Coordinator, err error) bool {
	now := time.Now()
	if by, ok := txn.IsLocked(err); ok {
		return r.awaitUnlock(ctx, by, now)
	}
	if ctx.Err() != nil || now.After(r.deadline) {
		return false
	}
	if txn.IsFull(err) {
		if r.full.IsZero() {
			r.full = now.Add(fullPatience)
		}
		if now.After(r.full) {
			return false
		}
	}
	txns.Await(ctx, err, r.pause)
	r.pause = min(2*r.pause, retryPauseMax)
	return ctx.Err() == nil
}

// awaitUnlock waits until another session has given back locks of whole tables, for lock_wait_timeout at most.
func (r *retrier) awaitUnlock(ctx context.Context, locks uint64, now time.Time) bool {
	if r.unlocked.IsZero() {
		r.unlocked = now.Add(r.s.tableLockWait())
	}
	r.s.noteLocks(locks)
	defer r.s.noteLocks(0)
	if !r.s.sh.awaitUnlock(ctx, locks, r.unlocked) {
		return false
	}
	r.extend(r.patience)
	return true
}

// write runs a writing statement. Outside an explicit transaction it commits, and a statement that failed only for
// want of a leader, a replica or a current snapshot is tried again from the start: nothing of it was visible. Inside
// one the statement joins it.
func (s *Session) write(ctx context.Context, try attempt) error {
	r := s.retrier()
	return s.writeWith(ctx, &r, try)
}

// writeLatest is write for a statement that sees no rows but those that it locks.
func (s *Session) writeLatest(ctx context.Context, try attempt) error {
	r := s.retrier()
	return s.writeFrom(ctx, (*Session).readLatest, &r, try)
}

func (s *Session) writeWith(ctx context.Context, r *retrier, try attempt) error {
	return s.writeFrom(ctx, (*Session).read, r, try)
}

// reader is read or readLatest.
type reader func(*Session, context.Context) (*catalog.Catalog, error)

func (s *Session) writeFrom(ctx context.Context, read reader, r *retrier, try attempt) error {
	s.implicit()
	if s.readOnly() {
		return sqlErr(errno.ReadOnlyTransaction, "Cannot execute statement in a READ ONLY transaction.")
	}
	if s.inTx {
		return s.writeInTransaction(ctx, read, r, try)
	}
	return s.writeAlone(ctx, r, try)
}

// writeAlone runs a writing statement in a transaction of its own, again as long as nothing of it was visible.
func (s *Session) writeAlone(ctx context.Context, r *retrier, try attempt) error {
	s.contended = false
	for {
		err := s.writeOnce(ctx, r, try)
		if err == nil {
			return nil
		}
		if isContended(err) && !s.contended { // now wait for locks, in an order that ends
			s.contended = true
			continue
		}
		if !mayRetry(err) && !conflicts(err) && !outdated(err) || !r.again(ctx, s.sh.Txns, err) {
			return err
		}
	}
}

func isContended(err error) bool {
	var contended *txn.ContendedError
	return errors.As(err, &contended)
}

// mayRetry reports whether a statement failed only for want of a leader or a replica. A commit whose outcome is
// unknown never is such a failure: the statement would take effect twice.
func mayRetry(err error) bool {
	var retry *txn.RetryError
	var lost *dist.LostRowsError
	var unknown *txn.UnknownError
	var unlocked *catalog.ErrUnlocked
	if errors.As(err, &unlocked) {
		return false
	}
	return (errors.As(err, &retry) || errors.As(err, &lost)) && !errors.As(err, &unknown)
}

// conflicts reports whether a statement lost against another transaction: it may succeed over a newer snapshot.
func conflicts(err error) bool {
	var refusal *txn.Refusal
	return errors.As(err, &refusal) && (refusal.Code == bepb.WriteResponse_CONFLICT || refusal.Code == bepb.WriteResponse_DEADLOCK)
}

// deadlocked reports whether a statement was chosen to give way to those that wait for it.
func deadlocked(err error) bool {
	var refusal *txn.Refusal
	return errors.As(err, &refusal) && refusal.Code == bepb.WriteResponse_DEADLOCK
}

func (s *Session) writeOnce(ctx context.Context, r *retrier, try attempt) error {
	if _, err := s.sh.Log.ReadIndex(ctx); err != nil {
		return err
	}
	t, err := s.sh.Txns.Begin(ctx, false)
	if err != nil {
		return err
	}
	t.Under(s.lockID())
	err = try(ctx, s.sh.Log.Current(), t)
	if err != nil {
		err = errors.Join(err, t.Rollback(ctx))
	} else {
		err = t.Commit(ctx)
		if _, waits := txn.IsLocked(err); waits { // without what it has locked itself
			err = errors.Join(err, t.Rollback(ctx))
		}
	}
	if err != nil && t.Progressed() {
		r.worked()
	}
	return err
}

// writeInTransaction runs a statement of the open transaction. As in MySQL a statement that fails is undone and the
// transaction goes on, but a conflict with another transaction ends it, and so does a failure that cannot be undone.
// The error is then 1213, which every client knows to mean that the transaction is over.
func (s *Session) writeInTransaction(ctx context.Context, read reader, r *retrier, try attempt) error {
	// A transaction that has read and written nothing is bound to no snapshot: it may wait for another one and go on after it.
	fresh := s.snapshot == nil && s.tx == nil
	for {
		err := s.writeInSnapshot(ctx, read, r, try)
		if !conflicts(err) {
			return err
		}
		if !fresh || !r.again(ctx, s.sh.Txns, err) {
			return errors.Join(err, s.rollback(ctx))
		}
		if s.tx != nil {
			if rerr := s.tx.Rollback(ctx); rerr != nil {
				return errors.Join(err, rerr, s.rollback(ctx))
			}
		}
		s.tx, s.snapshot, s.unread = nil, nil, false
	}
}

// writeInSnapshot runs a statement in the transaction's snapshot. After a conflict nothing is undone yet.
func (s *Session) writeInSnapshot(ctx context.Context, read reader, r *retrier, try attempt) error {
	if _, err := read(s, ctx); err != nil {
		return err
	}
	if s.tx == nil {
		var err error
		if s.tx, err = s.sh.Txns.Begin(ctx, true); err != nil {
			return err
		}
		s.tx.Under(s.lockID())
	}
	if err := s.refresh(ctx); err != nil {
		return err
	}
	mark := s.tx.Mark()
	for {
		err := try(ctx, s.snapshot, s.tx)
		if err == nil {
			return nil
		}
		if conflicts(err) && (!s.committed || deadlocked(err) || !r.again(ctx, s.sh.Txns, err)) {
			return err
		}
		if lost := (*dist.LostRowsError)(nil); errors.As(err, &lost) {
			s.tx.Lost()
		}
		if rerr := s.tx.RollbackTo(ctx, mark); rerr != nil {
			return errors.Join(s.lostTransaction(errors.Join(err, rerr)), s.rollback(ctx))
		}
		if conflicts(err) { // nothing binds the transaction to the state over which it lost
			if _, err := s.read(ctx); err != nil {
				return err
			}
			continue
		}
		if !mayRetry(err) || isGone(err) || !r.again(ctx, s.sh.Txns, err) {
			s.bind(ctx) // the error told of rows that are not locked
			return err
		}
	}
}

// refresh gives the open transaction its leaders back, or ends it.
func (s *Session) refresh(ctx context.Context) error {
	if s.tx == nil {
		return nil
	}
	if err := s.tx.Refresh(ctx); err != nil {
		return errors.Join(s.lostTransaction(err), s.rollback(ctx))
	}
	return nil
}

// isGone reports whether a statement needs a tablet that was dropped since its snapshot.
func isGone(err error) bool {
	var retry *txn.RetryError
	return errors.As(err, &retry) && retry.Gone
}

// lostTransaction is the error of a statement whose failure cost the whole transaction.
func (s *Session) lostTransaction(err error) error {
	s.sh.Logger.Warn("a transaction was rolled back", "conn", s.info.ID, "err", err)
	return sqlErr(errno.Deadlock, "The transaction was rolled back: %s; try restarting transaction", whyLost(err))
}

// whyLost says why a statement could not be undone alone: what the transaction had written before had to be written again, and could not be.
func whyLost(err error) string {
	var copies *catalog.ErrQuorum
	switch {
	case errors.As(err, &copies):
		return fmt.Sprintf("the write_quorum of the table asks for %d complete replicas of tablet %d and %d took it (SHOW BACKENDS)", copies.Need, copies.Tablet, copies.Have)
	case txn.IsFull(err):
		return "a backend has no room for its rows (SHOW BACKENDS)"
	case conflicts(err):
		return "the backend that led rows which it had written was replaced, and another transaction changed them before they could be written again"
	case isGone(err), outdated(err):
		return "a table that it had written to was altered, truncated or dropped"
	case mayRetry(err):
		return "the backend that led rows which it had written was replaced, and they could not be written again in time"
	}
	return "a statement of it failed and could not be undone alone"
}
