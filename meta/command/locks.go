package command

import "stele/meta/model"

// LockTables asks for tables to be locked by a session; it is answered with the id of the locks.
type LockTables struct {
	Owner  model.TableOwner  `cbor:"1,keyasint"`
	Tables []model.TableLock `cbor:"2,keyasint,omitempty"` // by id
	All    bool              `cbor:"3,keyasint,omitempty"`
}

// HoldLocks gives a session the locks that it has asked for, unless those of another one that came before are in the way.
type HoldLocks struct {
	ID uint64 `cbor:"1,keyasint"`
}

// UnlockTables ends the locks of a session, held or asked for.
type UnlockTables struct {
	ID uint64 `cbor:"1,keyasint"`
}

// Type returns TypeLockTables.
func (*LockTables) Type() Type { return TypeLockTables }

// Type returns TypeHoldLocks.
func (*HoldLocks) Type() Type { return TypeHoldLocks }

// Type returns TypeUnlockTables.
func (*UnlockTables) Type() Type { return TypeUnlockTables }
