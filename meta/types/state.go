package types

import "strings"

// Role is what a replica is within its tablet.
type Role uint8

// Roles. A learner never counts toward a quorum (I6).
const (
	RoleFollower Role = iota
	RoleLearner
)

// ReplicaState is the task state of a replica, as SHOW TABLET prints it.
type ReplicaState uint8

// Replica states.
const (
	ReplicaNormal       ReplicaState = iota
	ReplicaClone                     // a learner being filled by a full clone
	ReplicaDecommission              // chosen for removal
)

func (s ReplicaState) String() string {
	return [...]string{"NORMAL", "CLONE", "DECOMMISSION"}[s]
}

// WriteQuorum is how many replicas must hold a write before it is committed.
type WriteQuorum uint8

// Write quorums.
const (
	QuorumMajority WriteQuorum = iota
	QuorumOne
	QuorumAll
)

func (q WriteQuorum) String() string { return [...]string{"MAJORITY", "ONE", "ALL"}[q] }

// ParseWriteQuorum reads a quorum name, case-insensitively.
func ParseWriteQuorum(s string) (WriteQuorum, bool) {
	switch strings.ToUpper(s) {
	case "MAJORITY":
		return QuorumMajority, true
	case "ONE":
		return QuorumOne, true
	case "ALL":
		return QuorumAll, true
	}
	return 0, false
}

// Need returns how many of n replicas the quorum asks for.
func (q WriteQuorum) Need(n int) int {
	switch q {
	case QuorumOne:
		return 1
	case QuorumAll:
		return n
	default:
		return n/2 + 1
	}
}

// Medium is the kind of a disk.
type Medium uint8

// Media.
const (
	MediumHDD Medium = iota
	MediumSSD
)

func (m Medium) String() string { return [...]string{"HDD", "SSD"}[m] }

// DiskState is whether a disk may be used.
type DiskState uint8

// Disk states. A BE tells ONLINE or OFFLINE; DISABLED and DECOMMISSIONED are what an operator wants of a disk that
// works, and are kept in the catalog.
const (
	DiskOnline         DiskState = iota
	DiskOffline                  // its BE cannot use it
	DiskDisabled                 // its replicas count as lost and are made anew elsewhere
	DiskDecommissioned           // its replicas are used until they have moved to other disks of the same BE
)

func (s DiskState) String() string {
	return [...]string{"ONLINE", "OFFLINE", "DISABLED", "DECOMMISSIONED"}[s]
}

// Usable reports whether the replicas on the disk are read and written. Only an ONLINE disk is given new ones.
func (s DiskState) Usable() bool { return s == DiskOnline || s == DiskDecommissioned }

// RowOp is what a write does with one row.
type RowOp uint8

// Row operations. OpInsert and OpInsertIgnore are resolved by the tablet leader before the batch is forwarded: what
// followers and change sets hold is only OpPut and OpDelete.
const (
	OpPut          RowOp = iota // the row replaces whatever has its key
	OpDelete                    // only the key columns matter
	OpInsert                    // fails with 1062 when the key exists
	OpInsertIgnore              // dropped when the key exists
	OpShare                     // nothing is written: the row, of which the key columns are there alone, is locked shared
)
