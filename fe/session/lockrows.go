package session

import (
	"context"
	"errors"
	"time"

	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/errno"
	"stele/sql/parse"
	"stele/sql/plan"
	"stele/sql/vec"
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

// lockRows takes the row locks of SELECT ... FOR UPDATE and FOR SHARE inside a transaction. FOR SHARE locks the rows that the query reads
// together with others that do; FOR UPDATE writes them as they are. So they are locked at their leaders until the end of the transaction,
// also when a leader changes, and a row that another transaction has changed since the snapshot is error 1213 here and not
// at COMMIT. Keys that do not exist are not locked.
func (s *Session) lockRows(ctx context.Context, n *parse.SelectStmt, params []plan.Param) error {
	wait, locking, share := s.lockWait(), txn.LockInOrder, shares(n)
	switch n.LockInfo.LockType {
	case parse.SelectLockForUpdateNoWait, parse.SelectLockForShareNoWait:
		wait, locking = 0, txn.LockNow
	case parse.SelectLockForUpdateWaitN:
		wait = time.Duration(n.LockInfo.WaitSec) * time.Second
	case parse.SelectLockForUpdateSkipLocked, parse.SelectLockForShareSkipLocked:
		return s.lockFree(ctx, n, params)
	}
	err := s.write(ctx, func(ctx context.Context, cat *catalog.Catalog, t *txn.Txn) error {
		t.SetLocking(locking)
		return s.lockIn(ctx, cat, t, n, params, wait, share)
	})
	var refusal *txn.Refusal
	if wait == 0 && errors.As(err, &refusal) && refusal.Code == bepb.WriteResponse_LOCK_TIMEOUT {
		return sqlErr(errno.LockNowait, "Statement aborted because lock(s) could not be acquired immediately and NOWAIT is set.")
	}
	return err
}

// lockIn takes the row locks of a query in a transaction.
func (s *Session) lockIn(ctx context.Context, cat *catalog.Catalog, t *txn.Txn, n *parse.SelectStmt, params []plan.Param, wait time.Duration, share bool) error {
	now := s.clock()
	pctx := s.planContext(cat, now, params)
	plans, err := plan.Locked(pctx, n)
	if err != nil {
		return err
	}
	for _, p := range plans {
		if err := s.touch(ctx, cat, t, pctx, p, now, wait, share); err != nil {
			return err
		}
	}
	return nil
}

// lockedSource is a try of INSERT … SELECT … FOR UPDATE or FOR SHARE: the rows are locked in the state in which they are read, and then the try goes on. Other
// queries are their own.
func (s *Session) lockedSource(n *parse.InsertStmt, params []plan.Param, try attempt) attempt {
	of, ok := n.Select.(*parse.SelectStmt)
	if !ok {
		return try
	}
	update, share := plan.Locking(of)
	if !update && !share || plan.NoWait(of) || plan.SkipLocked(of) { // which are refused
		return try
	}
	return func(ctx context.Context, cat *catalog.Catalog, t *txn.Txn) error {
		if !s.inTx { // a row may be locked and written
			t.Keep()
		}
		t.SetLocking(txn.LockInOrder)
		if err := s.lockIn(ctx, cat, t, of, params, s.lockWait(), share); err != nil {
			return err
		}
		return try(ctx, cat, t)
	}
}

// shares reports whether a query locks rows together with others that only read them.
func shares(n *parse.SelectStmt) bool {
	switch n.LockInfo.LockType {
	case parse.SelectLockForShare, parse.SelectLockForShareNoWait, parse.SelectLockForShareSkipLocked:
		return true
	}
	return false
}

// touch writes rows as they are, or locks them shared.
func (s *Session) touch(ctx context.Context, cat *catalog.Catalog, t *txn.Txn, pctx *plan.Context, p *plan.ModifyPlan, now time.Time, wait time.Duration, share bool) error {
	if err := s.mayLock(p); err != nil {
		return err
	}
	m, err := s.modifier(ctx, cat, t, pctx, p, now)
	if err != nil {
		return err
	}
	defer m.source.Close()
	m.touch, m.share, m.wait = true, share, &wait
	err = m.run(ctx)
	var missing *txn.MissingError
	if errors.As(err, &missing) { // it is gone since the snapshot
		return &txn.Refusal{Code: bepb.WriteResponse_CONFLICT, Msg: "a row was deleted meanwhile: " + err.Error()}
	}
	return err
}

// shared makes locks of writes that leave rows as they are.
func (m *modifier) shared(writes []txn.TabletWrite) []txn.TabletWrite {
	for i, w := range writes {
		writes[i] = sharedRows(m.plan.Table, w.Tablet, w.Rows)
		writes[i].ReadVersion = w.ReadVersion
	}
	return writes
}

// sharedRows locks rows of a table shared.
func sharedRows(t *catalog.Table, tablet types.TabletID, rows *vec.Batch) txn.TabletWrite {
	keys := &vec.Batch{N: rows.N}
	for _, at := range t.Schema.KeyIndexes() {
		keys.Cols = append(keys.Cols, rows.Cols[at])
	}
	return txn.ShareRows(tablet, keys)
}
