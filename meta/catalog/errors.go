package catalog

import (
	"fmt"

	"stele/meta/types"
)

// ErrNotFound says that something named by a command or lookup is not there.
type ErrNotFound struct {
	Kind string `cbor:"1,keyasint"` // "database", "table", "partition", "tablet", "replica", "be", "fe", "op", "user"
	Name string `cbor:"2,keyasint"` // name or id
}

func (e *ErrNotFound) Error() string { return fmt.Sprintf("%s %s does not exist", e.Kind, e.Name) }

// ErrExists says that something is there already.
type ErrExists struct {
	Kind string `cbor:"1,keyasint"`
	Name string `cbor:"2,keyasint"`
}

func (e *ErrExists) Error() string { return fmt.Sprintf("%s %s already exists", e.Kind, e.Name) }

// ErrStaleEpoch says that a command was prepared at an epoch of a tablet that is over.
type ErrStaleEpoch struct {
	Tablet  types.TabletID `cbor:"1,keyasint"`
	Given   types.Epoch    `cbor:"2,keyasint"`
	Current types.Epoch    `cbor:"3,keyasint"`
}

func (e *ErrStaleEpoch) Error() string {
	return fmt.Sprintf("tablet %d: epoch %d is over, current is %d", e.Tablet, e.Given, e.Current)
}

// ErrOlder refuses a commit because a replica has a version that this catalog has not given: it is an older one.
type ErrOlder struct {
	Tablet  types.TabletID `cbor:"1,keyasint"`
	Version types.Version  `cbor:"2,keyasint"` // of the catalog
	Newest  types.Version  `cbor:"3,keyasint"` // that a replica has
}

func (e *ErrOlder) Error() string {
	return fmt.Sprintf("tablet %d: version %d was committed, and the metadata knows of %d: it is an older copy", e.Tablet, e.Newest, e.Version)
}

// ErrQuorum says that too few complete replicas of a tablet hold a transaction's rowset.
type ErrQuorum struct {
	Tablet types.TabletID `cbor:"1,keyasint"`
	Have   int            `cbor:"2,keyasint"`
	Need   int            `cbor:"3,keyasint"`
}

func (e *ErrQuorum) Error() string {
	return fmt.Sprintf("tablet %d: quorum: %d<%d", e.Tablet, e.Have, e.Need)
}

// ErrTxnAborted says that a transaction was aborted before it could commit.
type ErrTxnAborted struct {
	Txn     types.TxnID `cbor:"1,keyasint"`
	Expired bool        `cbor:"2,keyasint,omitempty"` // its time was over (ExpireTxns), or its outcome is forgotten
}

func (e *ErrTxnAborted) Error() string {
	if e.Expired {
		return fmt.Sprintf("transaction %d has expired", e.Txn)
	}
	return fmt.Sprintf("transaction %d is aborted", e.Txn)
}

// ErrLastCopy refuses to drop the last complete replica of a tablet.
type ErrLastCopy struct {
	Tablet  types.TabletID  `cbor:"1,keyasint"`
	Replica types.ReplicaID `cbor:"2,keyasint"`
}

func (e *ErrLastCopy) Error() string {
	return fmt.Sprintf("tablet %d: no complete replica but %d: it cannot be dropped without force", e.Tablet, e.Replica)
}

// ErrNotReady says that a replica lacks what it needs to lead or to be promoted.
type ErrNotReady struct {
	Tablet  types.TabletID  `cbor:"1,keyasint"`
	Replica types.ReplicaID `cbor:"2,keyasint"`
	Why     string          `cbor:"3,keyasint"`
}

func (e *ErrNotReady) Error() string {
	return fmt.Sprintf("tablet %d replica %d: %s", e.Tablet, e.Replica, e.Why)
}

// ErrSchemaChanged says that a table is no longer at the schema version that an ALTER was prepared for.
type ErrSchemaChanged struct {
	Table   types.TableID `cbor:"1,keyasint"`
	Given   uint32        `cbor:"2,keyasint"`
	Current uint32        `cbor:"3,keyasint"`
}

func (e *ErrSchemaChanged) Error() string {
	return fmt.Sprintf("table %d: schema version %d was expected, current is %d", e.Table, e.Given, e.Current)
}

// ErrLocked says that a table is locked by LOCK TABLES of another session.
type ErrLocked struct {
	Locks uint64 `cbor:"1,keyasint"` // the locks that are in the way
}

func (e *ErrLocked) Error() string {
	return fmt.Sprintf("another session has locked the table (locks %d)", e.Locks)
}

// ErrUnlocked says that the locks by which a transaction was written, or which were to be held, are no more.
type ErrUnlocked struct {
	Locks uint64 `cbor:"1,keyasint"`
}

func (e *ErrUnlocked) Error() string { return fmt.Sprintf("the table locks %d are no more", e.Locks) }

// ErrRefused says that a command breaks a rule of the catalog; Why is a sentence for the user or the log.
type ErrRefused struct {
	Why string `cbor:"1,keyasint"`
}

func (e *ErrRefused) Error() string { return e.Why }

func refused(format string, args ...any) error { return &ErrRefused{Why: fmt.Sprintf(format, args...)} }

func notFound[T any](kind string, id T) error {
	return &ErrNotFound{Kind: kind, Name: fmt.Sprint(id)}
}

func exists[T any](kind string, id T) error {
	return &ErrExists{Kind: kind, Name: fmt.Sprint(id)}
}
