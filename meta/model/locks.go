package model

import (
	"cmp"
	"slices"

	"stele/meta/types"
)

// TableLocks are the tables that one session keeps others from, by LOCK TABLES or FLUSH TABLES WITH READ LOCK: what it asks for, and holds when
// everybody who was before it has ended. They last until the session gives them back or its FE is taken for dead.
type TableLocks struct {
	ID     uint64      `cbor:"1,keyasint"`
	Owner  TableOwner  `cbor:"2,keyasint"`
	Tables []TableLock `cbor:"3,keyasint,omitempty"` // by id
	// All keeps everybody from writing to any table and from changing what there is.
	All bool `cbor:"4,keyasint,omitempty"`
	// Held says that nobody else has what is locked; before, it is asked for.
	Held bool `cbor:"5,keyasint,omitempty"`
}

// TableLock is a table that others may not write to, or, locked for writing, may not even read.
type TableLock struct {
	Table types.TableID `cbor:"1,keyasint"`
	Write bool          `cbor:"2,keyasint,omitempty"`
}

// Bars reports whether others may not write to a table, or not read it.
func (l *TableLocks) Bars(t types.TableID, write bool) bool {
	if l.All {
		return write
	}
	i, ok := slices.BinarySearchFunc(l.Tables, t, func(l TableLock, t types.TableID) int { return cmp.Compare(l.Table, t) })
	return ok && (write || l.Tables[i].Write)
}

// Conflicts reports whether two sessions cannot have their locks at the same time.
func (l *TableLocks) Conflicts(with *TableLocks) bool {
	if l.All {
		return slices.ContainsFunc(with.Tables, func(t TableLock) bool { return t.Write })
	}
	return slices.ContainsFunc(l.Tables, func(t TableLock) bool { return with.Bars(t.Table, t.Write) })
}
