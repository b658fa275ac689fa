package txn

import (
	"errors"
	"fmt"
	"time"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/proto/bepb"
)

// Locking is how a write to tablets of several BEs takes its row locks. A BE finds deadlocks among its own locks only;
// two statements that lock the same rows on two BEs in different order would wait for each other until a timeout.
type Locking uint8

// Ways of locking.
const (
	// LockTogether calls all leaders at once and waits for locks.
	LockTogether Locking = iota
	// LockTry calls all leaders at once and waits for no lock: a write to several BEs that finds one taken fails with a
	// *ContendedError, and its transaction is to be tried again with LockInOrder. Who waits for nothing is in no cycle.
	LockTry
	// LockInOrder calls one leader after the other, in an order that is the same for all transactions.
	LockInOrder
	// LockNow calls all leaders at once for who waits for no lock: a row of a transaction that was committed before is none.
	LockNow
)

// SetLocking says how later writes take their locks.
func (t *Txn) SetLocking(l Locking) { t.locking = l }

// ContendedError says that a write with LockTry found a row locked.
type ContendedError struct{ Err error }

func (e *ContendedError) Error() string { return e.Err.Error() }
func (e *ContendedError) Unwrap() error { return e.Err }

// patience returns how long the calls may wait for locks.
func (t *Txn) patience(groups map[types.BEID]*bepb.WriteRequest, lockWait time.Duration) time.Duration {
	if t.locking != LockTry || len(groups) < 2 {
		return lockWait
	}
	for _, req := range groups {
		req.LockWaitMs = 0
	}
	return 0
}

// contended marks the failure of a write that did not wait.
func (t *Txn) contended(groups map[types.BEID]*bepb.WriteRequest, err error) error {
	var refusal *Refusal
	if t.locking == LockTry && len(groups) > 1 && errors.As(err, &refusal) && refusal.Code == bepb.WriteResponse_LOCK_TIMEOUT {
		return &ContendedError{err}
	}
	return err
}

// planned refuses a write that was planned by another schema than the one under which it would be committed: AddIndex and
// AlterColumns raise epochs and schema version in one command, so what is written at the epoch of cat knows the keys of cat.
func planned(cat *catalog.Catalog, tab *catalog.Tablet, w *TabletWrite) error {
	if w.Index {
		return nil
	}
	table, ok := cat.TableByID(tab.Table)
	if !ok || w.Schema == table.Schema.Version || w.Schema == 0 && !table.HasUniqueKeys() && table.Schema.Version <= 1 {
		return nil
	}
	return &RetryError{Err: fmt.Errorf("table %s has schema version %d, the write was planned by %d", table.Name, table.Schema.Version, w.Schema),
		Tablet: tab.ID, Epoch: tab.Epoch, Gone: true}
}
