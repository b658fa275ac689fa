package sched

// Status is the verdict on a tablet.
type Status uint8

// Statuses, in the order of StarRocks.
const (
	Healthy           Status = iota
	ReplicaMissing           // too few replicas that are alive
	VersionIncomplete        // enough, but some lack versions
	ReplicaRelocating        // enough, but some are on BEs that are being decommissioned
	Redundant                // too many
	ForceRedundant           // a damaged one must go first, for there is no other BE to repair on
	ColocateMismatch         // a BE that the tablet's group is assigned to has no replica of it
	ColocateRedundant        // a replica off the BEs of its group, or a damaged one on them
	NeedFurtherRepair        // an extra replica is being made and is not complete yet
	DiskMigration            // a replica is on a disk that is being decommissioned, or on one of another medium
	LocationMismatch         // replicas share a location or host although there are others
	statusCount
)

var statusNames = [statusCount]string{"HEALTHY", "REPLICA_MISSING", "VERSION_INCOMPLETE", "REPLICA_RELOCATING", "REDUNDANT",
	"FORCE_REDUNDANT", "COLOCATE_MISMATCH", "COLOCATE_REDUNDANT", "NEED_FURTHER_REPAIR", "DISK_MIGRATION", "LOCATION_MISMATCH"}

func (s Status) String() string { return statusNames[s] }

// Unhealthy reports whether SHOW PROC '/statistic' counts the status as unhealthy: data is missing somewhere, or is
// about to be.
func (s Status) Unhealthy() bool {
	return s != Healthy && s != Redundant && s != ColocateRedundant && s != NeedFurtherRepair
}

// drops reports whether the remedy is to drop a replica, so that nothing is copied.
func (s Status) drops() bool {
	return s == Redundant || s == ForceRedundant || s == ColocateRedundant
}

// Priority of a task.
type Priority uint8

// Priorities.
const (
	PriorityLow Priority = iota
	PriorityNormal
	PriorityHigh
	PriorityVeryHigh
)

func (p Priority) String() string { return [...]string{"LOW", "NORMAL", "HIGH", "VERY_HIGH"}[p] }

// AbsentReplicas is how many replicas a tablet has too few.
func AbsentReplicas(t *Tablet) int { return max(0, t.Want-len(t.Replicas)) }
