package catalog

import (
	"bytes"
	"reflect"
	"testing"

	"stele/meta/command"
	"stele/meta/types"
)

// locks asks for locks.
func (b *bench) locks(all bool, tables ...TableLock) uint64 {
	b.t.Helper()
	return b.must(&command.LockTables{Owner: TableOwner{FE: "fe1", Claim: 1}, Tables: tables, All: all}).(IDResult).ID
}

// TestTableLocks: who came first has it first, others cannot commit while it is held, and locks that are no more hold nothing.
func TestTableLocks(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	hidden := table("u", 10420, types.QuorumMajority, 10600)
	hidden.Table.Unique = []UniqueKey{{Name: "u", Columns: []types.ColumnID{1}, Unique: true, Index: 10440}}
	index := table("hidden", 10440, types.QuorumMajority, 10700)
	index.Table.IndexOf = 10420
	hidden.Indexes = []command.IndexTable{{Table: index.Table, Tablets: index.Tablets}}
	b.must(hidden)
	fails[*ErrNotFound](b, &command.LockTables{Tables: []TableLock{{Table: 10440}}})
	fails[*ErrRefused](b, &command.LockTables{Tables: []TableLock{{Table: 10420}, {Table: 10400}}})

	reads := b.locks(false, TableLock{Table: 10400})
	writes := b.locks(false, TableLock{Table: 10400, Write: true}, TableLock{Table: 10420})
	also := b.locks(false, TableLock{Table: 10400})
	b.must(b.under(1, 0, tabletA)) // what is only asked for bars nobody
	fails[*ErrUnlocked](b, b.under(2, reads, tabletA))
	b.must(&command.HoldLocks{ID: reads})
	for _, waits := range [][2]uint64{{writes, reads}, {also, writes}} { // the last one could be held, and who came before would never be
		if err := fails[*ErrLocked](b, &command.HoldLocks{ID: waits[0]}); err.Locks != waits[1] {
			t.Errorf("%d waits for %d, want %d", waits[0], err.Locks, waits[1])
		}
	}
	fails[*ErrLocked](b, b.under(2, 0, tabletA))
	b.must(b.under(2, reads, tabletA))
	fails[*ErrUnlocked](b, b.under(3, 77, tabletA))
	b.must(b.under(3, 0, 10700))
	b.must(&command.UnlockTables{ID: reads})
	fails[*ErrUnlocked](b, b.under(4, reads, tabletA))
	b.must(&command.HoldLocks{ID: writes})
	if err := fails[*ErrLocked](b, b.under(4, 0, 10700)); err.Locks != writes { // an entry of a unique key of its table
		t.Errorf("%d is in the way", err.Locks)
	}

	var image bytes.Buffer
	if err := b.c.WriteSnapshot(&image); err != nil {
		t.Fatal(err)
	}
	back, err := ReadSnapshot(&image)
	if err != nil || !reflect.DeepEqual(back.Locks(), b.c.Locks()) {
		t.Errorf("%v came back as %v (%v)", b.c.Locks(), back.Locks(), err)
	}
	b.must(&command.UnlockTables{ID: writes})
	b.must(&command.UnlockTables{ID: writes})
	b.must(&command.HoldLocks{ID: also})
	fails[*ErrUnlocked](b, &command.HoldLocks{ID: writes})

	all := b.locks(true)
	b.must(&command.HoldLocks{ID: all}) // beside one for reading
	fails[*ErrLocked](b, b.under(4, also, 10600))
	fails[*ErrLocked](b, &command.HoldLocks{ID: b.locks(false, TableLock{Table: 10420, Write: true})})
	fails[*ErrLocked](b, &command.HoldLocks{ID: b.locks(true)})
}

// under is a commit to a tablet under locks.
func (b *bench) under(txn types.TxnID, locks uint64, tablet types.TabletID) *command.CommitTxn {
	return &command.CommitTxn{Txn: txn, TimeMs: 2000, Locks: locks, Tablets: []command.TxnTablet{
		{Tablet: tablet, Epoch: 1, OK: []types.ReplicaID{types.ReplicaID(tablet + 1), types.ReplicaID(tablet + 2)}, Rows: 1}}}
}
