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
// NOWAIT takes them to see that nobody else has them, and SKIP LOCKED to know which rows to leave out. The latter leaves a transaction open
// that ends with the query (alone).
func (s *Session) lock(ctx context.Context, n *parse.SelectStmt, params []plan.Param) (alone bool, err error) {
	if s.inTx {
		return false, s.lockRows(ctx, n, params)
	}
	if !plan.NoWait(n) && !plan.SkipLocked(n) {
		return false, nil
	}
	if err := s.begin(ctx, false, false); err != nil {
		return false, err
	}
	if err = s.lockRows(ctx, n, params); err == nil && plan.SkipLocked(n) {
		return true, nil
	}
	if rerr := s.rollback(ctx); err == nil {
		err = rerr
	}
	return false, err
}

// lockRows takes the row locks of SELECT ... FOR UPDATE (and FOR SHARE, which locks as strictly) inside a transaction: it
// writes the rows that the query reads as they are. So they are locked at their leaders until the end of the transaction,
// also when a leader changes, and a row that another transaction has changed since the snapshot is error 1213 here and not
// at COMMIT. Keys that do not exist are not locked.
func (s *Session) lockRows(ctx context.Context, n *parse.SelectStmt, params []plan.Param) error {
	wait, locking := s.lockWait(), txn.LockInOrder
	switch n.LockInfo.LockType {
	case parse.SelectLockForUpdateNoWait, parse.SelectLockForShareNoWait:
		wait, locking = 0, txn.LockNow
	case parse.SelectLockForUpdateWaitN:
		wait = time.Duration(n.LockInfo.WaitSec) * time.Second
	case parse.SelectLockForUpdateSkipLocked, parse.SelectLockForShareSkipLocked:
		return s.lockFree(ctx, n, params)
	}
	err := s.write(ctx, func(ctx context.Context, cat *catalog.Catalog, t *txn.Txn) error {
		now := time.Now()
		pctx := s.planContext(cat, now, params)
		plans, err := plan.Locked(pctx, n)
		if err != nil {
			return err
		}
		t.SetLocking(locking)
		for _, p := range plans {
			if err := s.touch(ctx, cat, t, pctx, p, now, wait); err != nil {
				return err
			}
		}
		return nil
	})
	var refusal *txn.Refusal
	if wait == 0 && errors.As(err, &refusal) && refusal.Code == bepb.WriteResponse_LOCK_TIMEOUT {
		return sqlErr(3572, "HY000", "Statement aborted because lock(s) could not be acquired immediately and NOWAIT is set.")
	}
	return err
}

// touch writes rows as they are.
func (s *Session) touch(ctx context.Context, cat *catalog.Catalog, t *txn.Txn, pctx *plan.Context, p *plan.ModifyPlan, now time.Time, wait time.Duration) error {
	if err := s.mayLock(p); err != nil {
		return err
	}
	m, err := s.modifier(ctx, cat, t, pctx, p, now)
	if err != nil {
		return err
	}
	defer m.source.Close()
	m.touch, m.wait = true, &wait
	return m.run(ctx)
}
