// Package model holds the plain records of the catalog: databases, tables, partitions, tablets, replicas, nodes,
// hints, operations, users. It is apart from package catalog only so that commands can carry the records and the
// catalog can apply the commands; callers use the names that package catalog gives them.
//
// Records are values of an immutable catalog: whoever holds a pointer to one reads it and never writes it. The CBOR
// keys are the format of snapshots and of the Raft log: append, never renumber, never change a type.
package model

import (
	"bytes"
	"cmp"
	"slices"

	"stele/meta/types"
)

// Database is a database.
type Database struct {
	ID   types.DatabaseID `cbor:"1,keyasint"`
	Name string           `cbor:"2,keyasint"`
	// Collation is that of new tables whose declaration names none.
	Collation types.Collation `cbor:"101,keyasint,omitempty"`
	// Replicas is how many replicas new tables get whose declaration does not say; 0 = as default_replication_num says.
	Replicas int `cbor:"102,keyasint,omitempty"`
}

// Table is a table with its partitions. It is replaced as a whole when it changes.
type Table struct {
	ID         types.TableID     `cbor:"1,keyasint"`
	DatabaseID types.DatabaseID  `cbor:"2,keyasint"`
	Name       string            `cbor:"3,keyasint"`
	Schema     types.Schema      `cbor:"4,keyasint"`
	Unique     []UniqueKey       `cbor:"5,keyasint,omitempty"` // secondary keys, see UniqueKey
	Partition  *Partitioning     `cbor:"6,keyasint,omitempty"` // nil = one partition named like the table
	HashBy     []types.ColumnID  `cbor:"7,keyasint"`           // distribution columns; buckets = len(Partition.Tablets)
	Buckets    int               `cbor:"8,keyasint"`           // for new partitions
	Parts      []Partition       `cbor:"9,keyasint"`           // in range order; of lists in that of their making
	Replicas   int               `cbor:"10,keyasint"`          // replication_num
	Quorum     types.WriteQuorum `cbor:"11,keyasint"`
	Comment    string            `cbor:"12,keyasint,omitempty"`
	StarRocks  bool              `cbor:"13,keyasint,omitempty"` // created with StarRocks clauses: SHOW CREATE TABLE prints them
	KeyModel   string            `cbor:"14,keyasint,omitempty"` // "PRIMARY", "DUPLICATE" ("" = plain MySQL)
	DupKey     []types.ColumnID  `cbor:"15,keyasint,omitempty"` // the columns of DUPLICATE KEY(...)
	Medium     types.Medium      `cbor:"16,keyasint,omitempty"`
	CreatedMs  int64             `cbor:"17,keyasint,omitempty"`
	// IndexOf makes this the hidden table that enforces a unique key of another one: it has no name that users know, and
	// comes, goes and is replicated with its owner.
	IndexOf types.TableID `cbor:"30,keyasint,omitempty"`
	// Colocate is the group of tables, within the database, whose buckets lie on the same BEs; "" = none.
	Colocate string `cbor:"75,keyasint,omitempty"`
	// ColocatedMs is when the table came into its group, 0 = with its creation.
	ColocatedMs int64 `cbor:"68,keyasint,omitempty"`
	// Checks are the CHECK constraints, in order of declaration.
	Checks []Check `cbor:"95,keyasint,omitempty"`
	// AlterUntilMs is set while a change of the table is prepared by looking at its rows: nobody else writes to it. It is when
	// whoever prepares the change is taken for dead unless he has renewed his promise; then anybody may take the change back.
	AlterUntilMs int64 `cbor:"96,keyasint,omitempty"`
	// Owner is the session that alone knows the table; it has no name for others. nil = it is everybody's.
	Owner *TableOwner `cbor:"97,keyasint,omitempty"`
	// LastColumn is the highest id that a column has ever had, 0 = that of those there are. Ids are not used again.
	LastColumn types.ColumnID `cbor:"77,keyasint,omitempty"`
	// Collation is that of text columns whose declaration names none.
	Collation types.Collation `cbor:"78,keyasint,omitempty"`
	// ReferencedBy are the tables with foreign keys that refer to this one, itself perhaps among them, by id. The catalog keeps it.
	ReferencedBy []types.TableID `cbor:"93,keyasint,omitempty"`
	// ForeignKeys are in order of declaration.
	ForeignKeys []ForeignKey `cbor:"94,keyasint,omitempty"`
	// HashParts is set where PARTITION BY HASH or KEY gave the distribution: SHOW CREATE TABLE says it again.
	HashParts bool `cbor:"98,keyasint,omitempty"`
}

// TableOwner is a session of an FE process. A temporary table has one for good, a table that is filled as it is made until it is full.
// When the session has ended its tables are dropped, by whoever notices.
type TableOwner struct {
	FE      string `cbor:"1,keyasint"` // its name
	StartMs int64  `cbor:"2,keyasint"` // when the process began
	Claim   uint64 `cbor:"3,keyasint"` // a number that the process has given to this table alone
}

// HighestColumn returns the highest id that a column of the table has ever had.
func (t *Table) HighestColumn() types.ColumnID {
	last := t.LastColumn
	for i := range t.Schema.Columns {
		last = max(last, t.Schema.Columns[i].ID)
	}
	return last
}

// LeadsGroup reports whether the table came into their colocate group before another: where the tablets of the first one lie,
// those of the others belong.
func (t *Table) LeadsGroup(other *Table) bool {
	a, b := max(t.CreatedMs, t.ColocatedMs), max(other.CreatedMs, other.ColocatedMs)
	return a < b || a == b && t.ID < other.ID
}

// Partitioning says by which columns a table is partitioned, and how: by ranges unless it says otherwise.
type Partitioning struct {
	Columns []types.ColumnID `cbor:"1,keyasint"`
	// List has rows belong where their values are listed.
	List bool `cbor:"2,keyasint,omitempty"`
	// Func is the function of the only column that the bounds were given for, as YEAR; "" = they were given for columns. It grows with the
	// column, so Lower and Upper are values of the column, and the texts beside them those of the function.
	Func string `cbor:"3,keyasint,omitempty"`
}

// Partition is one partition: the half-open range [Lower, Upper) of memcomparable keys over the partition columns, or a list of them.
type Partition struct {
	ID        types.PartitionID `cbor:"1,keyasint"`
	Name      string            `cbor:"2,keyasint"`
	Lower     []byte            `cbor:"3,keyasint,omitempty"` // nil = from the beginning
	Upper     []byte            `cbor:"4,keyasint,omitempty"` // nil = MAXVALUE
	LowerText []string          `cbor:"5,keyasint,omitempty"` // literals, one a column, for SHOW
	UpperText []string          `cbor:"6,keyasint,omitempty"`
	Tablets   []types.TabletID  `cbor:"7,keyasint"` // by bucket
	Replicas  int               `cbor:"8,keyasint"`
	CreatedMs int64             `cbor:"9,keyasint,omitempty"`
	// Medium counts only if OwnMedium is set, else the table's does: see Table.MediumOf.
	Medium    types.Medium `cbor:"21,keyasint,omitempty"`
	OwnMedium bool         `cbor:"22,keyasint,omitempty"`
	// Listed are the keys that a partition of a list takes, ascending.
	Listed []Listed `cbor:"23,keyasint,omitempty"`
}

// Listed is one value, or one row of values, of a partition of a list.
type Listed struct {
	Key  []byte    `cbor:"1,keyasint"`
	Text []*string `cbor:"2,keyasint"` // literals, one a column, for SHOW; nil = NULL
}

// Lists reports whether a partition of a list takes a key.
func (p *Partition) Lists(key []byte) bool {
	_, found := slices.BinarySearchFunc(p.Listed, key, func(l Listed, key []byte) int { return bytes.Compare(l.Key, key) })
	return found
}

// TakesAlike reports whether two partitions take the same rows.
func (p *Partition) TakesAlike(q *Partition) bool {
	return bytes.Equal(p.Lower, q.Lower) && bytes.Equal(p.Upper, q.Upper) && (p.Upper == nil) == (q.Upper == nil) &&
		slices.EqualFunc(p.Listed, q.Listed, func(a, b Listed) bool { return bytes.Equal(a.Key, b.Key) })
}

// CommitNeed is how many replicas of a tablet of the table a commit has to be in: the quorum of those that there are, and of those that are
// wanted as far as there are so many. While some of them are still to be made a write is in no fewer than when all are there.
func (t *Table) CommitNeed(tab *Tablet) int {
	voters := tab.Voters()
	need := t.Quorum.Need(voters)
	if p := t.partition(tab.Partition); p != nil {
		need = max(need, min(t.Quorum.Need(tab.Wanted(p.Replicas)), voters))
	}
	return need
}

// partition finds a partition by its id; those that were added one after the other are in the order of their ids.
func (t *Table) partition(id types.PartitionID) *Partition {
	at, found := slices.BinarySearchFunc(t.Parts, id, func(p Partition, id types.PartitionID) int { return cmp.Compare(p.ID, id) })
	if !found {
		at = slices.IndexFunc(t.Parts, func(p Partition) bool { return p.ID == id })
	}
	if at < 0 {
		return nil
	}
	return &t.Parts[at]
}

// MediumOf returns the medium that the replicas of a partition of the table are to lie on.
func (t *Table) MediumOf(p *Partition) types.Medium {
	if p.OwnMedium {
		return p.Medium
	}
	return t.Medium
}

// Replica is one copy of a tablet, as the catalog knows it.
type Replica struct {
	ID    types.ReplicaID    `cbor:"1,keyasint"`
	BE    types.BEID         `cbor:"2,keyasint"`
	Disk  types.DiskID       `cbor:"3,keyasint"` // 0 until the BE has reported it
	Role  types.Role         `cbor:"4,keyasint,omitempty"`
	State types.ReplicaState `cbor:"5,keyasint,omitempty"`
	Bad   bool               `cbor:"6,keyasint,omitempty"`
	// Deposed says that the replica led its tablet when it was lost, and has not been complete since. It stands beside the other
	// small fields because there are millions of replicas.
	Deposed bool          `cbor:"42,keyasint,omitempty"`
	Version types.Version `cbor:"7,keyasint"` // highest contiguous version it is known to hold
	// LastFailed is the last committed version that the replica missed, 0 when it has missed none that it still lacks.
	LastFailed   types.Version `cbor:"8,keyasint,omitempty"`
	LastFailedMs int64         `cbor:"9,keyasint,omitempty"`
	// LastSuccess is the last version that the replica is known to have stored, gaps below it or not.
	LastSuccess types.Version `cbor:"10,keyasint,omitempty"`
	// Settled is the version that the BE has reported as published and durable, so that it can never again ask for
	// the outcome of a transaction at or below it. Version runs ahead of it: a commit raises Version, a report Settled.
	Settled types.Version `cbor:"11,keyasint,omitempty"`
	// OfflineMs is since when an operator has set the replica aside, 0 = it is in use: it gets no writes, serves no reads,
	// counts for no quorum and is repaired by nobody but the operator.
	OfflineMs int64 `cbor:"41,keyasint,omitempty"`
}

// Complete reports whether the replica has every committed version of its tablet, as far as the catalog knows, and
// may therefore count toward a quorum, lead, and be copied from.
func (r *Replica) Complete() bool {
	return r.Votes() && !r.Bad && r.LastFailed == 0
}

// Votes reports whether the replica is one of those of which a write needs a quorum.
func (r *Replica) Votes() bool { return r.Role == types.RoleFollower && r.OfflineMs == 0 }

// Tablet is the rows of one bucket of one partition, and its replicas.
type Tablet struct {
	ID        types.TabletID    `cbor:"1,keyasint"`
	Table     types.TableID     `cbor:"2,keyasint"`
	Partition types.PartitionID `cbor:"3,keyasint"`
	Bucket    int32             `cbor:"4,keyasint"`
	// Extra is how many replicas an operator has added to this tablet alone, or taken from it (negative). It stands beside the
	// other small field because there are many tablets.
	Extra    int32         `cbor:"41,keyasint,omitempty"`
	Version  types.Version `cbor:"5,keyasint"` // committed
	Epoch    types.Epoch   `cbor:"6,keyasint"`
	Leader   types.BEID    `cbor:"7,keyasint"`
	Replicas []Replica     `cbor:"8,keyasint"`
	Rows     int64         `cbor:"9,keyasint,omitempty"` // sum of the row deltas of commits: an estimate
	// Redo is the newest version whose rows the catalog has, nil = it has none. A snapshot has it in records of its own.
	Redo *Redo `cbor:"-"`
}

// Wanted returns how many replicas the tablet is to have when its partition is to have n.
func (t *Tablet) Wanted(n int) int { return max(n+int(t.Extra), 1) }

// Voters returns of how many replicas a write needs a quorum.
func (t *Tablet) Voters() int {
	n := 0
	for i := range t.Replicas {
		if t.Replicas[i].Votes() {
			n++
		}
	}
	return n
}

// ReplicaByID returns the replica with the id, or nil.
func (t *Tablet) ReplicaByID(id types.ReplicaID) *Replica {
	for i := range t.Replicas {
		if t.Replicas[i].ID == id {
			return &t.Replicas[i]
		}
	}
	return nil
}

// Replica returns the replica on be, or nil.
func (t *Tablet) Replica(be types.BEID) *Replica {
	for i := range t.Replicas {
		if t.Replicas[i].BE == be {
			return &t.Replicas[i]
		}
	}
	return nil
}

// Redo is the rows of one committed version of a tablet, as its commit carried them: some replicas may not have them on disk yet.
type Redo struct {
	Version types.Version
	Txn     types.TxnID
	Parts   [][]byte // payloads, by seq
	// Schema is the version of the table's schema by which the rows were written, 0 = that of a hidden table.
	Schema uint32
	// Prev is the version before it whose rows there are. Between them may be others, whose rows were on disk when they were committed.
	Prev *Redo
}

// redoOverhead is about what the catalog needs beside the bytes of a payload.
const redoOverhead = 64

// Bytes is about what the version takes in the catalog.
func (r *Redo) Bytes() int64 {
	n := int64(redoOverhead)
	for _, p := range r.Parts {
		n += int64(len(p)) + redoOverhead
	}
	return n
}

// RedoAfter returns the versions v+1, v+2, … whose rows there are, up to the first whose rows there are not.
func (t *Tablet) RedoAfter(v types.Version) []*Redo {
	var run []*Redo
	for r := t.Redo; r != nil && r.Version > v; r = r.Prev {
		if len(run) > 0 && run[len(run)-1].Version != r.Version+1 {
			run = run[:0]
		}
		run = append(run, r)
	}
	if len(run) == 0 || run[len(run)-1].Version != v+1 {
		return nil
	}
	slices.Reverse(run)
	return run
}

// BE is a backend that belongs to the cluster.
type BE struct {
	ID           types.BEID `cbor:"1,keyasint"`
	Host         string     `cbor:"2,keyasint"`
	Port         int        `cbor:"3,keyasint"` // gRPC: heartbeats, data, clones
	HTTPPort     int        `cbor:"4,keyasint,omitempty"`
	Decommission bool       `cbor:"5,keyasint,omitempty"`
	AddedMs      int64      `cbor:"6,keyasint,omitempty"`
	// Drained says that no leaders are to be here; LeaderWeight is the BE's share of leaders in percent of that of a
	// BE that nothing is said about (0 = 100).
	Drained      bool `cbor:"41,keyasint,omitempty"`
	LeaderWeight int  `cbor:"42,keyasint,omitempty"`
	// Disks are those that an operator wants something of, by id.
	Disks []BEDisk `cbor:"21,keyasint,omitempty"`
	// QueryMs says since when the BE has the query role, 0 = it has not: it runs the upper parts of queries for the FEs.
	QueryMs int64 `cbor:"51,keyasint,omitempty"`
	// Location is where the BE stands, "key:value"; "" = nobody has said.
	Location string `cbor:"66,keyasint,omitempty"`
	// StartMs is since when the process runs that the cluster counts on, 0 = nobody has noted it. One that was started later has none
	// of the row locks, nor of the rows in memory, that were this one's.
	StartMs int64 `cbor:"78,keyasint,omitempty"`
}

// BEDisk is what an operator wants of a disk. It is known by its own id: a new disk under the same path is another one.
type BEDisk struct {
	ID    types.DiskID    `cbor:"1,keyasint"`
	Path  string          `cbor:"2,keyasint,omitempty"` // where it was when the operator spoke of it
	State types.DiskState `cbor:"3,keyasint"`           // DISABLED or DECOMMISSIONED
}

// DiskState returns the state of a disk that its BE reports as reported: what the operator wants of it, as long as the BE
// can use it.
func (b *BE) DiskState(id types.DiskID, reported types.DiskState) types.DiskState {
	if reported != types.DiskOnline {
		return reported
	}
	for i := range b.Disks {
		if b.Disks[i].ID == id {
			return b.Disks[i].State
		}
	}
	return reported
}

// FE is a frontend that belongs to the cluster.
type FE struct {
	ID         types.FEID `cbor:"1,keyasint"`
	Name       string     `cbor:"2,keyasint"` // host_port_timestampMs
	Host       string     `cbor:"3,keyasint"`
	RaftPort   int        `cbor:"4,keyasint"`
	QueryPort  int        `cbor:"5,keyasint"`
	HTTPPort   int        `cbor:"6,keyasint"`
	RPCPort    int        `cbor:"7,keyasint"`
	GossipPort int        `cbor:"8,keyasint,omitempty"`
	AddedMs    int64      `cbor:"9,keyasint,omitempty"`
	// Observer: it is to stay a learner of the metadata log; else it votes.
	Observer bool `cbor:"10,keyasint,omitempty"`
	// Pending: it was added, but has not got the metadata yet. Until then a blank FE at its address is let in as it.
	Pending bool `cbor:"11,keyasint,omitempty"`
	// Server is a small number that no other FE of the cluster has; client connection ids carry it. 0 means 1: an FE
	// that was alone before there were several.
	Server uint32 `cbor:"12,keyasint,omitempty"`
	// DNode is the BE that makes a dnode together with this FE, as an operator has said; 0 = nobody has: it is the BE of the
	// same host, if that has only one.
	DNode types.BEID `cbor:"20,keyasint,omitempty"`
}

// RepairHint is an operator's wish that a partition be repaired first.
type RepairHint struct {
	Partition types.PartitionID `cbor:"1,keyasint"`
	Table     types.TableID     `cbor:"2,keyasint"`
	Owner     string            `cbor:"3,keyasint"`
	AddedMs   int64             `cbor:"4,keyasint"`
	ExpiresMs int64             `cbor:"5,keyasint"`
}

// OpState is how far an operation is.
type OpState uint8

// Operation states.
const (
	OpRunning OpState = iota
	OpDone
	OpFailed
	OpCancelled
	OpInited // waits for its turn
)

func (s OpState) String() string {
	return [...]string{"RUNNING", "DONE", "FAILED", "CANCELLED", "INITED"}[s]
}

// OpType is what an operation of the op engine does. 0 marks an entry that only records what was done.
type OpType uint16

// TaskType is one step of an operation.
type TaskType uint8

// Op is one operator action in the operation log. One with a Type is carried out by the op engine (package fe/ops), which
// keeps all that it needs to go on after a change of leader in this record.
type Op struct {
	ID        uint64  `cbor:"1,keyasint"`
	Kind      string  `cbor:"2,keyasint"` // the statement's name, such as "alter_system_drop_backend"
	Target    string  `cbor:"3,keyasint,omitempty"`
	Owner     string  `cbor:"4,keyasint,omitempty"`
	Statement string  `cbor:"5,keyasint,omitempty"`
	State     OpState `cbor:"6,keyasint,omitempty"`
	StartedMs int64   `cbor:"7,keyasint"`
	EndedMs   int64   `cbor:"8,keyasint,omitempty"`
	Message   string  `cbor:"9,keyasint,omitempty"`
	Done      int64   `cbor:"10,keyasint,omitempty"` // tasks finished
	Total     int64   `cbor:"11,keyasint,omitempty"` // tasks in all, 0 = unknown

	Type       OpType           `cbor:"12,keyasint,omitempty"`
	Tasks      []TaskType       `cbor:"13,keyasint,omitempty"`
	Task       int              `cbor:"14,keyasint,omitempty"` // index of the present one
	Rev        uint64           `cbor:"15,keyasint,omitempty"` // counts the changes, so that no change is made on an old record
	Group      uint64           `cbor:"16,keyasint,omitempty"` // first op of the statement; each has lanes of its own
	Root       uint64           `cbor:"17,keyasint,omitempty"` // the op that it descends from: a child runs right behind its parent
	Lane       int              `cbor:"18,keyasint,omitempty"` // ops of a lane run one after the other
	Database   types.DatabaseID `cbor:"19,keyasint,omitempty"`
	Table      types.TableID    `cbor:"20,keyasint,omitempty"`
	Tablet     types.TabletID   `cbor:"21,keyasint,omitempty"`
	Pid        int              `cbor:"22,keyasint,omitempty"` // place of the tablet in its table
	BE         types.BEID       `cbor:"23,keyasint,omitempty"` // the endpoint that it is about
	Dest       types.BEID       `cbor:"24,keyasint,omitempty"` // where it leads: candidate, or target of a move
	Chosen     types.BEID       `cbor:"25,keyasint,omitempty"` // the leader that was selected
	Replica    types.ReplicaID  `cbor:"26,keyasint,omitempty"` // the learner that it made, to be taken back when it is cancelled
	Alive      bool             `cbor:"27,keyasint,omitempty"` // what a change of status sets
	Restore    bool             `cbor:"28,keyasint,omitempty"` // the endpoint led before and is to lead again
	CreatedMs  int64            `cbor:"29,keyasint,omitempty"`
	DeadlineMs int64            `cbor:"30,keyasint,omitempty"`
	NextMs     int64            `cbor:"31,keyasint,omitempty"` // not before
	Attempts   int              `cbor:"32,keyasint,omitempty"` // of the present task
	LastError  string           `cbor:"33,keyasint,omitempty"`
	Waiting    string           `cbor:"34,keyasint,omitempty"` // for what
	Undo       bool             `cbor:"35,keyasint,omitempty"` // it was cancelled or has failed and is to be taken back
	Before     int              `cbor:"36,keyasint,omitempty"` // spread of leaders before and after
	After      int              `cbor:"37,keyasint,omitempty"`
}

// Ended reports whether nothing more will be done for the op but taking it back.
func (o *Op) Ended() bool { return o.State == OpDone || o.State == OpFailed || o.State == OpCancelled }

// TabletVersion says at which version a transaction landed in a tablet.
type TabletVersion struct {
	Tablet  types.TabletID `cbor:"1,keyasint"`
	Version types.Version  `cbor:"2,keyasint"`
}
