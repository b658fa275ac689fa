package txn

import (
	"errors"
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
)

// Locks of LOCK TABLES are in the catalog (meta/catalog, apply_locks.go): a commit that writes to a table which another session holds is refused. So that
// seldom comes to it, a transaction looks when it comes to a tablet, and whoever asks for locks waits for the transactions that came before.

// Under has the transaction be that of a session which has locked tables.
func (t *Txn) Under(locks uint64) { t.locks = locks }

// locked is the failure of what has to wait for the locks of another session.
func locked(by uint64) error { return &RetryError{Err: &catalog.ErrLocked{Locks: by}} }

// IsLocked reports whether something failed because another session has locked a table, and by which locks.
func IsLocked(err error) (by uint64, ok bool) {
	var in *catalog.ErrLocked
	if !errors.As(err, &in) {
		return 0, false
	}
	return in.Locks, true
}

// comes notes that the transaction is about to use a tablet for the first time, unless another session has locked its table. The note is
// before the look: who has asked for locks since then finds it.
func (t *Txn) comes(tab *catalog.Tablet, write bool) error {
	noted := t.c.note(t, tab.Table)
	cat := t.c.log.Current()
	if _, ok := cat.LocksByID(t.locks); !ok && t.locks != 0 {
		return &RetryError{Err: &catalog.ErrUnlocked{Locks: t.locks}, Gone: true}
	}
	if len(cat.Locks()) == 0 {
		return nil
	}
	table, ok := cat.Lockable(tab.ID)
	if !ok {
		return nil
	}
	for _, l := range cat.Locks() {
		if l.ID != t.locks && l.Bars(table, write) && (l.Held || t.yields()) {
			if noted {
				t.c.unnote(t)
			}
			return locked(l.ID)
		}
	}
	return nil
}

// yields reports whether the transaction waits for locks that are only asked for. One that has something which others wait for does not: who asks
// waits for its end.
func (t *Txn) yields() bool { return t.locks == 0 && t.shares.len() == 0 && !t.renewing }

// note adds a table to those that a transaction uses, and reports whether it was none of them.
func (c *Coordinator) note(t *Txn, table types.TableID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(t.tables, table) {
		return false
	}
	if t.tables == nil {
		t.tables = t.roomForTables[:0]
	}
	t.tables = append(t.tables, table)
	return true
}

// unnote takes back the last note.
func (c *Coordinator) unnote(t *Txn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.tables = t.tables[:len(t.tables)-1]
}

// Uses reports whether a transaction of this FE that is not over has come to one of some tables.
func (c *Coordinator) Uses(tables []types.TableID) bool {
	cat := c.log.Current()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.active {
		for _, id := range t.tables {
			if table, ok := cat.TableByID(id); ok && table.IndexOf != 0 {
				id = table.IndexOf
			}
			if slices.Contains(tables, id) {
				return true
			}
		}
	}
	return false
}
