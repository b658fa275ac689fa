package session

import (
	"context"
	"errors"
	"time"

	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/proto/bepb"
	"stele/sql/parse"
	"stele/sql/plan"
)

// lock takes the row locks that a query asks for. Outside a transaction they would go with the statement, so it waits for none;
// NOWAIT takes them to see that nobody else has them.
func (s *Session) lock(ctx context.Context, n *parse.SelectStmt, params []plan.Param) error {
	if s.inTx {
		return s.lockRows(ctx, n, params)
	}
	if !plan.NoWait(n) {
		return nil
	}
	if err := s.begin(ctx, false, false); err != nil {
		return err
	}
	err := s.lockRows(ctx, n, params)
	if rerr := s.rollback(ctx); err == nil {
		err = rerr
	}
	return err
}

// lockRows takes the row locks of SELECT ... FOR UPDATE (and FOR SHARE, which locks as strictly) inside a transaction: it
// writes the rows that the query reads as they are. So they are locked at their leaders until the end of the transaction,
// also when a leader changes, and a row that another transaction has changed since the snapshot is error 1213 here and not
// at COMMIT. Keys that do not exist are not locked.
func (s *Session) lockRows(ctx context.Context, n *parse.SelectStmt, params []plan.Param) error {
	wait := s.lockWait()
	switch n.LockInfo.LockType {
	case parse.SelectLockForUpdateNoWait, parse.SelectLockForShareNoWait:
		wait = 0
	case parse.SelectLockForUpdateWaitN:
		wait = time.Duration(n.LockInfo.WaitSec) * time.Second
	case parse.SelectLockForUpdateSkipLocked, parse.SelectLockForShareSkipLocked:
		return unsupported("SKIP LOCKED")
	}
	err := s.write(ctx, func(ctx context.Context, cat *catalog.Catalog, t *txn.Txn) error {
		now := time.Now()
		pctx := s.planContext(cat, now, params)
		p, err := plan.Locked(pctx, n)
		if err != nil || p == nil {
			return err
		}
		if err := s.mayLock(p); err != nil {
			return err
		}
		m, err := s.modifier(ctx, cat, t, pctx, p, now)
		if err != nil {
			return err
		}
		defer m.source.Close()
		t.SetLocking(txn.LockInOrder)
		m.touch, m.wait = true, &wait
		return m.run(ctx)
	})
	var refusal *txn.Refusal
	if wait == 0 && errors.As(err, &refusal) && refusal.Code == bepb.WriteResponse_LOCK_TIMEOUT {
		return sqlErr(3572, "HY000", "Statement aborted because lock(s) could not be acquired immediately and NOWAIT is set.")
	}
	return err
}
