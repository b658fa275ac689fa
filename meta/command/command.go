// Package command defines the entries of the metadata Raft log: one Go struct a command, and the codec that turns it
// into bytes and back.
//
// A command carries everything that applying it needs, the time included, because every FE applies it on its own
// and must come to the same catalog. An encoded command begins with a header that names it; one of an unknown type or
// of a newer version than this binary knows is refused by name (UnknownError) and never misread, so that an FE that
// was not upgraded stops instead of drifting away from the others.
//
// The package does no I/O and knows no rules: what a command does is written in package catalog.
package command

import (
	"stele/meta/model"
	"stele/meta/types"
)

// Command is one change of the catalog.
type Command interface {
	// Type is the number of the command in the log format.
	Type() Type
}

// Type is the number of a command in the log format.
type Type uint16

// Command types. The numbers are in Raft logs: append, never renumber, never reuse (34 and 35 were declared and never written).
const (
	TypeBatch            Type = 1
	TypeInitCluster      Type = 2
	TypeNoteLeader       Type = 3
	TypeAddFE            Type = 4
	TypeDropFE           Type = 5
	TypeAddBE            Type = 6
	TypeDropBE           Type = 7
	TypeSetBEState       Type = 8
	TypeSetBEAddress     Type = 9
	TypeCreateDatabase   Type = 10
	TypeDropDatabase     Type = 11
	TypeCreateTable      Type = 12
	TypeDropTable        Type = 13
	TypeTruncateTable    Type = 14
	TypeAddPartition     Type = 15
	TypeDropPartition    Type = 16
	TypeAlterTable       Type = 17
	TypeCommitTxn        Type = 18
	TypeAbortTxns        Type = 19
	TypeExpireTxns       Type = 20
	TypeAddReplica       Type = 21
	TypePromoteReplica   Type = 22
	TypeDropReplica      Type = 23
	TypeSetLeaders       Type = 24
	TypeReportReplicas   Type = 25
	TypeSetReplicaBad    Type = 26
	TypeSetConfig        Type = 27
	TypeSetRepairHint    Type = 28
	TypeCancelRepairHint Type = 29
	TypeExpireHints      Type = 30
	TypeAllocIDs         Type = 31
	TypeAddOp            Type = 32
	TypeFinishOp         Type = 33
	TypeAddOps           Type = 40
	TypeUpdateOp         Type = 41
	TypeCancelOp         Type = 42
	TypeDeleteOps        Type = 43
	TypeSetReplicaAlive  Type = 44
	TypeSetBELeading     Type = 45
	TypeAdjustReplicas   Type = 46
	TypeAcceptLoss       Type = 47
	TypePlanFE           Type = 55
	TypeSetFE            Type = 56
	TypeSetDiskState     Type = 65
	TypeNoteTasks        Type = 66
	TypeSetBELocation    Type = 67
	TypeChangeAccounts   Type = 75
	TypeChangeGrants     Type = 76
	TypeRenameTables     Type = 78
	TypeAlterColumns     Type = 77
	TypeChangeViews      Type = 79
	TypeAddIndex         Type = 80
	TypeRenewIndex       Type = 81
	TypePublishIndex     Type = 82
	TypeDropIndex        Type = 83
	TypeRestoreMetadata  Type = 85
	TypeAdoptReplicas    Type = 86
	TypeEndRestore       Type = 87
	TypeSetQueryRole     Type = 88
	TypeSetFEDNode       Type = 89
	TypeStartBE          Type = 93
	TypeTrimRedo         Type = 94
	TypeBeginChange      Type = 95
	TypeHoldChange       Type = 96
	TypeChangeTable      Type = 97
	TypeRestoreInPlace   Type = 99
	TypeAlterDatabase    Type = 100
	TypeLockTables       Type = 101
	TypeHoldLocks        Type = 102
	TypeUnlockTables     Type = 103

	TypeSetDatabaseReplicas Type = 104
)

// Batch holds commands that travel in one log entry. Each is applied on its own, in order: one that fails changes
// nothing and does not stop the others. A batch holds no batch.
type Batch struct {
	Commands []Command
}

// InitCluster is the first command of a cluster. It gives the cluster its id and its first FE.
type InitCluster struct {
	ClusterID types.ClusterID `cbor:"1,keyasint"`
	FE        model.FE        `cbor:"2,keyasint"`
	TimeMs    int64           `cbor:"3,keyasint"`
}

// NoteLeader says that an FE has become leader at a Raft term. A new leader proposes it before anything else: when
// it is applied, everything that earlier leaders committed is applied too.
type NoteLeader struct {
	RaftID string `cbor:"1,keyasint"`
	Term   uint64 `cbor:"2,keyasint"`
	TimeMs int64  `cbor:"3,keyasint"`
}

// AddFE adds an FE, or replaces the record of the one with the same name. FE.ID 0 draws an id.
type AddFE struct {
	FE     model.FE `cbor:"1,keyasint"`
	TimeMs int64    `cbor:"2,keyasint"`
}

// DropFE forgets an FE.
type DropFE struct {
	FE types.FEID `cbor:"1,keyasint"`
}

// AddBE adds a BE at a host and port that no other BE has. BE.ID 0 draws an id.
type AddBE struct {
	BE     model.BE `cbor:"1,keyasint"`
	TimeMs int64    `cbor:"2,keyasint"`
}

// DropBE forgets a BE. It is refused while the BE has replicas, unless Force is set: then the replicas stay in the
// catalog without a BE, for the scheduler to replace and drop one by one.
type DropBE struct {
	BE    types.BEID `cbor:"1,keyasint"`
	Force bool       `cbor:"2,keyasint,omitempty"`
}

// SetBEState starts or cancels the decommission of a BE.
type SetBEState struct {
	BE           types.BEID `cbor:"1,keyasint"`
	Decommission bool       `cbor:"2,keyasint,omitempty"`
}

// SetBEAddress changes where a BE is reached.
type SetBEAddress struct {
	BE       types.BEID `cbor:"1,keyasint"`
	Host     string     `cbor:"2,keyasint"`
	Port     int        `cbor:"3,keyasint"`
	HTTPPort int        `cbor:"4,keyasint,omitempty"`
}

// SetDiskState sets what an operator wants of disks of a BE; ONLINE takes it back.
type SetDiskState struct {
	BE    types.BEID     `cbor:"1,keyasint"`
	Disks []model.BEDisk `cbor:"2,keyasint"`
}

// CreateDatabase creates a database. ID 0 draws an id.
type CreateDatabase struct {
	ID   types.DatabaseID `cbor:"1,keyasint,omitempty"`
	Name string           `cbor:"2,keyasint"`
	// Collation is that of new tables whose declaration names none.
	Collation types.Collation `cbor:"101,keyasint,omitempty"`
}

// AlterDatabase gives a database another collation, which tables that are there do not notice.
type AlterDatabase struct {
	ID        types.DatabaseID `cbor:"1,keyasint"`
	Collation types.Collation  `cbor:"2,keyasint,omitempty"`
}

// SetDatabaseReplicas says how many replicas tables of a database get that are made later and do not say; 0 = as everywhere. The database is
// named: it may be made by the command before in a Batch.
type SetDatabaseReplicas struct {
	Name     string `cbor:"1,keyasint"`
	Replicas int    `cbor:"2,keyasint,omitempty"`
}

// DropDatabase drops a database with all its tables.
type DropDatabase struct {
	ID types.DatabaseID `cbor:"1,keyasint"`
	// Unreferenced refuses it while foreign keys of tables elsewhere refer to its tables.
	Unreferenced bool `cbor:"94,keyasint,omitempty"`
}

// CreateTable creates a table with all its tablets. The proposer has drawn every id (AllocIDs), placed the replicas
// and chosen the leaders; the tablets start at types.InitialVersion.
type CreateTable struct {
	Table   model.Table    `cbor:"1,keyasint"`
	Tablets []model.Tablet `cbor:"2,keyasint"`
	TimeMs  int64          `cbor:"3,keyasint"`
	// Indexes are the hidden tables of the unique keys, in the order of Table.Unique.
	Indexes []IndexTable `cbor:"4,keyasint,omitempty"`
	// Fit has the table refused where it does not fit the other tables of its colocate group: one may have been made since its proposer has
	// looked.
	Fit bool `cbor:"5,keyasint,omitempty"`
}

// DropTable drops a table with all its tablets.
type DropTable struct {
	ID types.TableID `cbor:"1,keyasint"`
	// Owner, if it is given, has the table dropped only while it is that session's: one that was published meanwhile stays.
	Owner *model.TableOwner `cbor:"2,keyasint,omitempty"`
	// Unreferenced refuses the table while foreign keys of others refer to it; else they await another table of its name.
	Unreferenced bool `cbor:"94,keyasint,omitempty"`
	// With are tables that the same statement drops: what of theirs refers to the table is no hindrance.
	With []types.TableID `cbor:"95,keyasint,omitempty"`
}

// TruncateTable puts new, empty tablets in the place of all the tablets of some partitions and starts the
// auto-increment counter anew if these are all the partitions of the table.
type TruncateTable struct {
	ID      types.TableID       `cbor:"1,keyasint"`
	Parts   []TruncatePartition `cbor:"2,keyasint"`
	Tablets []model.Tablet      `cbor:"3,keyasint"`
	TimeMs  int64               `cbor:"4,keyasint"`
	// Indexes does the same to the hidden tables of the table's unique keys.
	Indexes []TruncateIndex `cbor:"5,keyasint,omitempty"`
	// Unreferenced refuses it while foreign keys of other tables refer to the table.
	Unreferenced bool `cbor:"94,keyasint,omitempty"`
}

// TruncatePartition names a partition and its new tablets, by bucket.
type TruncatePartition struct {
	Partition types.PartitionID `cbor:"1,keyasint"`
	Tablets   []types.TabletID  `cbor:"2,keyasint"`
}

// AddPartition adds a partition with its tablets. Its range must not overlap another.
type AddPartition struct {
	Table     types.TableID   `cbor:"1,keyasint"`
	Partition model.Partition `cbor:"2,keyasint"`
	Tablets   []model.Tablet  `cbor:"3,keyasint"`
	TimeMs    int64           `cbor:"4,keyasint"`
	// Indexes are the partitions of the hidden tables of the table's unique keys.
	Indexes []IndexPartition `cbor:"5,keyasint,omitempty"`
}

// DropPartition drops a partition with its tablets.
type DropPartition struct {
	Table     types.TableID     `cbor:"1,keyasint"`
	Partition types.PartitionID `cbor:"2,keyasint"`
}

// AlterTable changes properties of a table (Set), and of its partitions those that are named. Whatever it does not name stays as it is
// by then, whoever has changed it meanwhile.
//
// Without Set, as older logs have it, it replaces what the table says of itself (name, database, schema, properties) except its
// secondary keys and its partitions, and holds only while the table is at schema version ExpectVersion.
type AlterTable struct {
	// Table says with Set no more than the id.
	Table         model.Table `cbor:"1,keyasint"`
	ExpectVersion uint32      `cbor:"2,keyasint"`
	// PartReplicas sets replication_num partition by partition.
	PartReplicas []PartitionReplicas `cbor:"3,keyasint,omitempty"`
	// PartNames renames partitions.
	PartNames []PartitionName `cbor:"4,keyasint,omitempty"`
	// PartMedia sets storage_medium partition by partition.
	PartMedia []PartitionMedium `cbor:"21,keyasint,omitempty"`
	Set       *TableSet         `cbor:"22,keyasint,omitempty"`
}

// TableSet is the properties that an AlterTable changes; nil, or no number of replicas, leaves one as it is.
type TableSet struct {
	Quorum   *types.WriteQuorum `cbor:"1,keyasint,omitempty"`
	Medium   *types.Medium      `cbor:"2,keyasint,omitempty"`
	Replicas int                `cbor:"3,keyasint,omitempty"`
	// Colocate is the group that the table joins at ColocatedMs, "" = it leaves the one that it is in.
	Colocate    *string `cbor:"4,keyasint,omitempty"`
	ColocatedMs int64   `cbor:"5,keyasint,omitempty"`
	// Alone has the numbers of replicas hold only for a table that is in no group: all tables of a group have the same.
	Alone bool `cbor:"6,keyasint,omitempty"`
	// Publish gives a table that belonged to a session to everybody, under its name.
	Publish bool `cbor:"7,keyasint,omitempty"`
}

// PartitionMedium is the medium that the replicas of one partition are to lie on.
type PartitionMedium struct {
	Partition types.PartitionID `cbor:"1,keyasint"`
	Medium    types.Medium      `cbor:"2,keyasint"`
}

// PartitionReplicas is a wanted number of replicas for one partition.
type PartitionReplicas struct {
	Partition types.PartitionID `cbor:"1,keyasint"`
	Replicas  int               `cbor:"2,keyasint"`
}

// PartitionName is a new name for one partition.
type PartitionName struct {
	Partition types.PartitionID `cbor:"1,keyasint"`
	Name      string            `cbor:"2,keyasint"`
}

// CommitTxn commits a transaction: all its tablets or none. A second CommitTxn of the same transaction answers what
// the first did.
type CommitTxn struct {
	Txn     types.TxnID `cbor:"1,keyasint"`
	TimeMs  int64       `cbor:"2,keyasint"`
	Tablets []TxnTablet `cbor:"3,keyasint"`
	// Guards are tablets of which it has looked at rows, which are locked shared, and written none.
	Guards []TxnGuard `cbor:"4,keyasint,omitempty"`
	// Locks are those of LOCK TABLES under which it was written: they must be held still. 0 = it has none.
	Locks uint64 `cbor:"5,keyasint,omitempty"`
}

// TxnGuard is a tablet that must still be at an epoch: the locks of a transaction are gone with it.
type TxnGuard struct {
	Tablet types.TabletID `cbor:"1,keyasint"`
	Epoch  types.Epoch    `cbor:"2,keyasint"`
}

// TxnTablet is a transaction's part in one tablet: the epoch it was written at, the replicas that hold its rowset, and by
// how many rows the tablet grows. Redo is empty when those replicas have it on disk, else all the payloads by seq: until enough
// replicas do, the log has them.
type TxnTablet struct {
	Tablet types.TabletID    `cbor:"1,keyasint"`
	Epoch  types.Epoch       `cbor:"2,keyasint"`
	OK     []types.ReplicaID `cbor:"3,keyasint"`
	Rows   int64             `cbor:"4,keyasint,omitempty"`
	Redo   [][]byte          `cbor:"5,keyasint,omitempty"`
	// Newest is the highest version that one of those replicas has, 0 = none that the FE had not heard of. Whoever has one was told of it
	// when the log had it, so a catalog that has not given it is an older one, and would give it a second time.
	Newest types.Version `cbor:"6,keyasint,omitempty"`
	// Need is in how many replicas it has to be where that is more than the quorum of those that there are: some are still to be made.
	Need int `cbor:"7,keyasint,omitempty"`
}

// TrimRedo forgets payloads of commits: the replicas of these tablets have the versions, up to the given ones, on disk.
type TrimRedo struct {
	Tablets []TabletUpTo `cbor:"1,keyasint"`
	TimeMs  int64        `cbor:"2,keyasint,omitempty"`
}

// TabletUpTo names the versions of a tablet up to one. Missed are replicas that count as complete and have not said that they have
// these versions on disk: until they do, they count as lacking them.
type TabletUpTo struct {
	Tablet  types.TabletID    `cbor:"1,keyasint"`
	Version types.Version     `cbor:"2,keyasint"`
	Missed  []types.ReplicaID `cbor:"3,keyasint,omitempty"`
}

// StartBE notes that a BE runs as the process that began at StartMs. Row locks and rows in memory went with the one before, so
// every tablet that the BE leads gets the next epoch: what was written at the last one cannot be committed any more (I2).
type StartBE struct {
	BE      types.BEID `cbor:"1,keyasint"`
	StartMs int64      `cbor:"2,keyasint"`
}

// AbortTxns decides that transactions are aborted, unless they are committed already: a later CommitTxn fails.
type AbortTxns struct {
	Txns   []types.TxnID `cbor:"1,keyasint"`
	TimeMs int64         `cbor:"2,keyasint"`
}

// ExpireTxns aborts every undecided transaction whose id was drawn TimeoutMs before NowMs or earlier, and forgets
// outcomes that nobody can ask for again and that are older than KeepMs.
type ExpireTxns struct {
	NowMs     int64 `cbor:"1,keyasint"`
	TimeoutMs int64 `cbor:"2,keyasint"`
	KeepMs    int64 `cbor:"3,keyasint"`
	// Notes says that all ids that have been drawn so far were drawn by NowMs at the latest, whatever the clocks of those say that drew
	// them. Leading FEs of before did not say so.
	Notes bool `cbor:"4,keyasint,omitempty"`
}

// AddReplica adds a learner to a tablet. It counts for nothing until PromoteReplica.
type AddReplica struct {
	Tablet  types.TabletID `cbor:"1,keyasint"`
	Replica model.Replica  `cbor:"2,keyasint"` // ID (0 draws one), BE, Disk
	TimeMs  int64          `cbor:"3,keyasint"`
}

// PromoteReplica makes a learner a follower. Version is what the replica has been seen to hold; it must be the version
// that is current where the command is applied.
type PromoteReplica struct {
	Tablet  types.TabletID  `cbor:"1,keyasint"`
	Replica types.ReplicaID `cbor:"2,keyasint"`
	Version types.Version   `cbor:"3,keyasint"`
}

// DropReplica removes a replica. The last complete copy stays unless Force is set. When the replica led its tablet,
// NewLeader (if it may lead) takes over, otherwise the tablet is without a leader until SetLeaders.
type DropReplica struct {
	Tablet      types.TabletID  `cbor:"1,keyasint"`
	Replica     types.ReplicaID `cbor:"2,keyasint"`
	ExpectEpoch types.Epoch     `cbor:"3,keyasint"` // 0 = any
	Force       bool            `cbor:"4,keyasint,omitempty"`
	NewLeader   types.BEID      `cbor:"5,keyasint,omitempty"`
}

// SetLeaders gives tablets leaders and raises their epochs. Each item holds or fails alone.
type SetLeaders struct {
	Items []SetLeader `cbor:"1,keyasint"`
}

// SetLeader is one item of SetLeaders. Naming the present leader again just raises the epoch.
type SetLeader struct {
	Tablet      types.TabletID `cbor:"1,keyasint"`
	BE          types.BEID     `cbor:"2,keyasint"`
	ExpectEpoch types.Epoch    `cbor:"3,keyasint"` // 0 = any
	// Failover says that the leader so far is lost, and not only relieved.
	Failover bool `cbor:"4,keyasint,omitempty"`
}

// ReportReplicas records what BEs say of their replicas: from full reports and from finished clones.
type ReportReplicas struct {
	Items  []ReplicaReport `cbor:"1,keyasint"`
	TimeMs int64           `cbor:"2,keyasint"`
}

// ReplicaReport is what a BE says of one replica. An item about a replica that is no longer where the report says is
// ignored.
type ReplicaReport struct {
	Tablet  types.TabletID  `cbor:"1,keyasint"`
	Replica types.ReplicaID `cbor:"2,keyasint"` // 0 = the one on BE
	BE      types.BEID      `cbor:"3,keyasint"`
	Disk    types.DiskID    `cbor:"4,keyasint,omitempty"` // 0 = as it was
	// Version is the highest contiguous version that is published and durable on the BE: it will never ask for the
	// outcome of a transaction at or below it.
	Version types.Version `cbor:"5,keyasint"`
	Bad     bool          `cbor:"6,keyasint,omitempty"` // its data is damaged; never cleared by a report
	// LostFrom is the first version that the BE knows it does not hold although the catalog may believe so (its
	// pending rowset is gone); 0 = none.
	LostFrom types.Version `cbor:"7,keyasint,omitempty"`
}

// SetReplicaBad marks a replica as damaged, or as sound again.
type SetReplicaBad struct {
	Tablet  types.TabletID  `cbor:"1,keyasint"`
	Replica types.ReplicaID `cbor:"2,keyasint,omitempty"` // 0 = the one on BE
	BE      types.BEID      `cbor:"3,keyasint,omitempty"`
	Bad     bool            `cbor:"4,keyasint,omitempty"`
}

// SetConfig sets a configuration item for the whole cluster, or returns it to its default.
type SetConfig struct {
	Key   string `cbor:"1,keyasint"`
	Value string `cbor:"2,keyasint,omitempty"`
	Unset bool   `cbor:"3,keyasint,omitempty"`
}

// SetRepairHint adds or renews hints, one a partition.
type SetRepairHint struct {
	Hints []model.RepairHint `cbor:"1,keyasint"`
}

// CancelRepairHint removes the hints of some partitions of a table; none named = all of them.
type CancelRepairHint struct {
	Table      types.TableID       `cbor:"1,keyasint"`
	Partitions []types.PartitionID `cbor:"2,keyasint,omitempty"`
}

// ExpireHints removes the hints whose time is over.
type ExpireHints struct {
	NowMs int64 `cbor:"1,keyasint"`
}

// Counter says which counter AllocIDs draws from.
type Counter uint8

// Counters.
const (
	CounterIDs     Counter = iota // every id but those below
	CounterTxns                   // transaction ids
	CounterRowIDs                 // hidden row ids of a table
	CounterAutoInc                // AUTO_INCREMENT values of a table
)

// AllocIDs draws N consecutive numbers from a counter. N 0 with AtLeast only raises the counter.
type AllocIDs struct {
	Counter Counter       `cbor:"1,keyasint"`
	N       uint64        `cbor:"2,keyasint"`
	Table   types.TableID `cbor:"3,keyasint,omitempty"` // for the counters of tables
	// AtLeast first raises an auto-increment counter so that what is drawn is no smaller.
	AtLeast uint64 `cbor:"4,keyasint,omitempty"`
	TimeMs  int64  `cbor:"5,keyasint,omitempty"` // for CounterTxns: starts the clock of ExpireTxns
	// Fence says that a row got an auto-increment value that was given, not drawn: no FE hands out that value or a smaller
	// one from a range that it drew earlier.
	Fence uint64 `cbor:"6,keyasint,omitempty"`
}

// AddOp adds an entry to the operation log. Op.ID 0 draws an id. The log is bounded; the oldest finished go first.
type AddOp struct {
	Op model.Op `cbor:"1,keyasint"`
}

// FinishOp changes the state and progress of an entry of the operation log (OpRunning = progress only).
type FinishOp struct {
	ID      uint64        `cbor:"1,keyasint"`
	State   model.OpState `cbor:"2,keyasint"`
	Message string        `cbor:"3,keyasint,omitempty"`
	Done    int64         `cbor:"4,keyasint,omitempty"`
	Total   int64         `cbor:"5,keyasint,omitempty"`
	TimeMs  int64         `cbor:"6,keyasint,omitempty"`
}
