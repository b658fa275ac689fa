// Package types holds the plain values that every part of Stele shares: ids, states, column types, schemas.
//
// It owns no behaviour beyond String methods and small pure functions; it does no I/O, reads no clock, starts
// no goroutine and knows nothing of protobuf. Everything in it is copied by value and safe to share.
package types

import "strconv"

// Ids are drawn from one counter in the catalog and are never reused.
type (
	// ClusterID names one cluster for life; every FE, disk and RPC carries it.
	ClusterID string
	// DatabaseID names a database.
	DatabaseID uint64
	// TableID names a table.
	TableID uint64
	// PartitionID names a partition of a table.
	PartitionID uint64
	// TabletID names the rows of one bucket of one partition, for life.
	TabletID uint64
	// ReplicaID names one copy of a tablet on one disk.
	ReplicaID uint64
	// BEID names a backend process.
	BEID uint64
	// FEID names a frontend process.
	FEID uint64
	// DiskID names one storage root path; it is drawn when the path is first used and stored on it. SHOW prints
	// it as PathHash.
	DiskID uint64
	// TxnID names a write transaction.
	TxnID uint64
	// Version counts the committed transactions that touched a tablet. An empty tablet is at InitialVersion.
	Version uint64
	// Epoch grows with each change of a tablet's leader or membership and fences the past.
	Epoch uint64
	// TaskID names a clone task.
	TaskID uint64
	// ColumnID names a column within its table for life; positions change, ids do not.
	ColumnID uint32
)

// InitialVersion is the version of a tablet that no transaction has touched.
const InitialVersion Version = 1

func (id TabletID) String() string  { return strconv.FormatUint(uint64(id), 10) }
func (id ReplicaID) String() string { return strconv.FormatUint(uint64(id), 10) }
func (id BEID) String() string      { return strconv.FormatUint(uint64(id), 10) }
func (id TxnID) String() string     { return strconv.FormatUint(uint64(id), 10) }
func (v Version) String() string    { return strconv.FormatUint(uint64(v), 10) }
