package tablet

import (
	"errors"
	"fmt"

	"stele/be/tablet/kv"
	"stele/be/tablet/space"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/rowset/groups"
)

// Errors that callers branch on.
var (
	// ErrGap says that a version is not the one after the replica's.
	ErrGap = errors.New("version is not the next one")
	// ErrUnknownTxn says that the transaction is not pending on this replica, or not completely.
	ErrUnknownTxn = errors.New("transaction is not pending here")
	// ErrPartGap says that an earlier part of the transaction has not arrived.
	ErrPartGap = errors.New("an earlier part of the transaction is missing")
	// ErrGone says that a version is older than what the replica can still read, or whose changes it has dropped.
	ErrGone = errors.New("version is no longer retained")
	// ErrCorrupt says that stored data is damaged. The replica is bad from then on.
	ErrCorrupt = rowset.ErrCorrupt
	// ErrBad says that the replica has been marked bad and serves nothing.
	ErrBad = errors.New("replica is bad")
	// ErrDiskFull says that the disk is below its reserve and takes no writes.
	ErrDiskFull = space.ErrFull
	// ErrReadOnly says that the disk takes no writes after a failed one.
	ErrReadOnly = errors.New("disk is read-only")
	// ErrMany says that a scan has looked at more rows than it may (ScanOptions.Most).
	ErrMany = errors.New("too many rows to look at")
	// ErrDropped says that the tablet is no longer on the disk.
	ErrDropped = errors.New("replica has been dropped")
	// ErrExists says that the disk holds another replica of the tablet.
	ErrExists = errors.New("disk holds another replica of the tablet")
	// ErrForeignDisk says that the disk belongs to another cluster.
	ErrForeignDisk = errors.New("disk belongs to another cluster")
	// ErrFormat says that another release wrote the disk, in a form that this one does not read.
	ErrFormat = errors.New("disk format is not known")
	// ErrNoDisk says that a folder is not a disk.
	ErrNoDisk = errors.New("folder is not a disk of Stele")
	// ErrInUse says that another process has the disk open.
	ErrInUse = kv.ErrInUse
	// ErrClosed says that the disk was closed meanwhile.
	ErrClosed = kv.ErrClosed
	// ErrUnclean says that a disk must be opened by a BE, or recovered, before it can be looked at offline.
	ErrUnclean = kv.ErrUnclean
	// ErrPayload says that the bytes of a write are malformed.
	ErrPayload = groups.ErrPayload
	// ErrTooLarge says that a write has more rows or bytes than one payload may hold.
	ErrTooLarge = groups.ErrTooLarge
	// ErrDigest says that a clone does not hold the rows that its source had.
	ErrDigest = errors.New("content digest differs")
	// ErrColumn says that a read wants a column that has been dropped.
	ErrColumn = errors.New("the table definition has changed, please retry transaction")
	// ErrImport says that a clone stream is malformed or incomplete.
	ErrImport = errors.New("malformed clone stream")
)

// ErrBehind is what a *BehindError is.
var ErrBehind = errors.New("replica is behind")

// BehindError says that the replica does not have the version yet.
type BehindError struct {
	Tablet     types.TabletID
	Have, Want types.Version
}

func (e *BehindError) Error() string {
	return fmt.Sprintf("tablet %d is at version %d, behind %d", e.Tablet, e.Have, e.Want)
}

// Is makes errors.Is(err, ErrBehind) true.
func (e *BehindError) Is(target error) bool { return target == ErrBehind }

// OtherError says that another replica of the tablet is here than the one that is meant. It may have versions that were given up, under numbers that mean
// other rows by now.
type OtherError struct {
	Tablet     types.TabletID
	Have, Want types.ReplicaID
}

func (e *OtherError) Error() string {
	return fmt.Sprintf("tablet %d has replica %d here, not %d", e.Tablet, e.Have, e.Want)
}
