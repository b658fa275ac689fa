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
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// lock takes the row locks that a query asks for, itself (own, nil = it does not) and by queries within it. Outside a transaction they would
// go with the statement, so it waits for none;
// NOWAIT takes them to see that nobody else has them, and SKIP LOCKED to know which rows to leave out. The latter leaves a transaction open
// that ends with the query (alone).
func (s *Session) lock(ctx context.Context, own *parse.SelectStmt, within []*parse.SelectStmt, params []plan.Param) (alone bool, err error) {
	if s.inTx {
		return false, s.lockRows(ctx, own, within, params)
	}
	if own == nil || !plan.NoWait(own) && !plan.SkipLocked(own) {
		return false, nil
	}
	if err := s.begin(ctx, false, false); err != nil {
		return false, err
	}
	if err = s.lockRows(ctx, own, within, params); err == nil && plan.SkipLocked(own) {
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
// at COMMIT. Keys that do not exist are not locked. All is locked in one state, which the statement then reads.
func (s *Session) lockRows(ctx context.Context, own *parse.SelectStmt, within []*parse.SelectStmt, params []plan.Param) error {
	if own != nil && plan.SkipLocked(own) {
		if len(within) > 0 {
			return sqltypes.NotSupported("SKIP LOCKED of a query with another one in it that locks rows")
		}
		return s.lockFree(ctx, own, params)
	}
	err := s.write(ctx, func(ctx context.Context, cat *catalog.Catalog, t *txn.Txn) error {
		if own != nil {
			if err := s.lockIn(ctx, cat, t, own, params, plan.Locked); err != nil {
				return err
			}
		}
		return s.lockWithin(ctx, cat, t, within, params)
	})
	var refusal *txn.Refusal
	if own != nil && plan.NoWait(own) && errors.As(err, &refusal) && refusal.Code == bepb.WriteResponse_LOCK_TIMEOUT {
		return sqlErr(errno.LockNowait, "Statement aborted because lock(s) could not be acquired immediately and NOWAIT is set.")
	}
	return err
}

// lockWithin takes the row locks that queries within a statement ask for.
func (s *Session) lockWithin(ctx context.Context, cat *catalog.Catalog, t *txn.Txn, within []*parse.SelectStmt, params []plan.Param) error {
	for _, n := range within {
		if err := s.lockIn(ctx, cat, t, n, params, plan.LockedWithin); err != nil {
			return err
		}
	}
	return nil
}

// lockIn takes the row locks of a query in a transaction.
func (s *Session) lockIn(ctx context.Context, cat *catalog.Catalog, t *txn.Txn, n *parse.SelectStmt, params []plan.Param,
	locked func(*plan.Context, *parse.SelectStmt) ([]*plan.ModifyPlan, error)) error {
	wait, locking := s.lockWait(), txn.LockInOrder
	switch n.LockInfo.LockType {
	case parse.SelectLockForUpdateNoWait, parse.SelectLockForShareNoWait:
		wait, locking = 0, txn.LockNow
	case parse.SelectLockForUpdateWaitN:
		wait = time.Duration(n.LockInfo.WaitSec) * time.Second
	}
	t.SetLocking(locking)
	now := s.clock()
	pctx := s.planContext(cat, now, params)
	plans, err := locked(pctx, n)
	if err != nil {
		return err
	}
	for _, p := range plans {
		if err := s.touch(ctx, cat, t, pctx, p, now, wait, shares(n)); err != nil {
			return err
		}
	}
	return nil
}

// lockingFirst is a try of a statement that writes: what its queries are to lock is locked in the state in which they are read, and then
// the try goes on.
func (s *Session) lockingFirst(n parse.Node, params []plan.Param, try attempt) attempt {
	within := plan.LocksWithin(n)
	if len(within) == 0 {
		return try
	}
	return func(ctx context.Context, cat *catalog.Catalog, t *txn.Txn) error {
		if !s.inTx { // a row may be locked and written
			t.Keep()
		}
		if err := s.lockWithin(ctx, cat, t, within, params); err != nil {
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
	if !share {
		if err := s.mayWriteLocked(p.Table); err != nil {
			return err
		}
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
