package session

import (
	"context"
	"errors"
	"time"

	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/proto/bepb"
	"stele/sql/parse"
)

// transaction runs BEGIN, COMMIT and ROLLBACK.
func (s *Session) transaction(ctx context.Context, n parse.StmtNode, out *output) error {
	switch n := n.(type) {
	case *parse.BeginStmt:
		if err := s.commit(ctx); err != nil { // as MySQL: BEGIN ends what is open
			return err
		}
		s.inTx = true
		return out.ok()
	case *parse.CommitStmt:
		if err := s.commit(ctx); err != nil {
			return err
		}
		return out.ok()
	case *parse.RollbackStmt:
		if n.SavepointName != "" {
			return sqlErr(1235, "42000", "This version of Stele doesn't yet support 'SAVEPOINT'")
		}
		if err := s.rollback(ctx); err != nil {
			return err
		}
		return out.ok()
	}
	return sqlErr(1105, "HY000", "BUG: not a transaction statement")
}

// commit ends the open transaction, if any.
func (s *Session) commit(ctx context.Context) error {
	t := s.tx
	s.tx, s.snapshot, s.inTx = nil, nil, false
	if t == nil {
		return nil
	}
	return t.Commit(ctx)
}

// rollback drops the open transaction, if any.
func (s *Session) rollback(ctx context.Context) error {
	t := s.tx
	s.tx, s.snapshot, s.inTx = nil, nil, false
	if t == nil {
		return nil
	}
	return t.Rollback(ctx)
}

// implicit opens a transaction for a statement when autocommit is off.
func (s *Session) implicit() {
	if !s.vars.bool("autocommit") {
		s.inTx = true
	}
}

// attempt is one try of a writing statement: against a snapshot, in a transaction.
type attempt func(ctx context.Context, cat *catalog.Catalog, t *txn.Txn) error

// retryPause grows between tries of a statement that found no leader or lost a race.
const (
	retryPause    = 20 * time.Millisecond
	retryPauseMax = 500 * time.Millisecond
)

// write runs a writing statement. Outside an explicit transaction it commits, and a statement that failed only for
// want of a leader, a replica or a current snapshot is tried again from the start: nothing of it was visible. Inside
// one the statement joins it; a failure that may have left a part behind rolls the whole transaction back.
func (s *Session) write(ctx context.Context, try attempt) error {
	s.implicit()
	if s.inTx {
		return s.writeInTransaction(ctx, try)
	}
	deadline := time.Now().Add(s.sh.Settings().WriteTimeout)
	pause := retryPause
	for {
		err := s.writeOnce(ctx, try)
		if err == nil || !transient(err) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		pause = min(2*pause, retryPauseMax)
	}
}

// transient reports whether the same statement may succeed when it is run again.
func transient(err error) bool {
	var retry *txn.RetryError
	if errors.As(err, &retry) {
		return true
	}
	var refusal *txn.Refusal
	return errors.As(err, &refusal) && (refusal.Code == bepb.WriteResponse_CONFLICT || refusal.Code == bepb.WriteResponse_DEADLOCK)
}

func (s *Session) writeOnce(ctx context.Context, try attempt) error {
	if _, err := s.sh.Log.ReadIndex(ctx); err != nil {
		return err
	}
	t, err := s.sh.Txns.Begin(ctx, false)
	if err != nil {
		return err
	}
	if err := try(ctx, s.sh.Log.Current(), t); err != nil {
		return errors.Join(err, t.Rollback(ctx))
	}
	return t.Commit(ctx)
}

func (s *Session) writeInTransaction(ctx context.Context, try attempt) error {
	cat, err := s.read(ctx)
	if err != nil {
		return err
	}
	if s.tx == nil {
		if s.tx, err = s.sh.Txns.Begin(ctx, true); err != nil {
			return err
		}
	}
	if err = try(ctx, cat, s.tx); err == nil {
		return nil
	}
	var refusal *txn.Refusal
	if !errors.As(err, &refusal) && !transient(err) && !s.tx.Failed() {
		return err // the statement was at fault before it wrote anything: the transaction goes on
	}
	return errors.Join(err, s.rollback(ctx))
}
