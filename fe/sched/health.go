package sched

import (
	"fmt"

	"stele/meta/types"
)

// Status is the verdict on a tablet.
type Status uint8

// Statuses.
const (
	Healthy           Status = iota
	ReplicaMissing           // too few replicas that are alive
	VersionIncomplete        // enough, but some lack versions
	ReplicaRelocating        // enough, but some are on BEs that are being decommissioned
	Redundant                // too many
	ForceRedundant           // a damaged one must go first, for there is no other BE to repair on
	NeedFurtherRepair        // an extra replica is being made and is not complete yet
)

var statusNames = [...]string{"HEALTHY", "REPLICA_MISSING", "VERSION_INCOMPLETE", "REPLICA_RELOCATING", "REDUNDANT",
	"FORCE_REDUNDANT", "NEED_FURTHER_REPAIR"}

func (s Status) String() string { return statusNames[s] }

// Unhealthy reports whether SHOW PROC '/statistic' counts the status as unhealthy: data is missing somewhere, or is
// about to be.
func (s Status) Unhealthy() bool {
	return s != Healthy && s != Redundant && s != NeedFurtherRepair
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

// Clock is the time and the patience with which a tablet is judged.
type Clock struct {
	NowMs       int64
	ToleranceMs int64 // how long a dead BE counts as alive
}

// Verdict is the health of a tablet and the counts behind it. Alive ⊇ Complete ⊇ Stable.
type Verdict struct {
	Status    Status
	Priority  Priority
	Want      int
	Followers int // replicas that are not learners
	Alive     int // followers that are sound, on a BE that is alive or not dead for long
	Complete  int // of these, with every version
	Stable    int // of these, on BEs that stay
	Copies    int // complete replicas on BEs that answer now
	Learners  int // replicas in the making, on BEs that may keep them
	Stray     int // replicas in the making that nobody can go on with
	Damaged   int // followers that are bad or lost, or whose BE is no longer in the cluster
	Free      int // BEs that could take a replica
}

// Detail says in words what the verdict rests on.
func (v Verdict) Detail() string {
	return fmt.Sprintf("%s: %d wanted, %d alive, %d complete, %d stay, %d readable now, %d in the making, %d damaged, %d backends free",
		v.Status, v.Want, v.Alive, v.Complete, v.Stable, v.Copies, v.Learners, v.Damaged, v.Free)
}

// Health judges a tablet. The first rule that fits decides.
func Health(t *Tablet, v *View, c Clock) Verdict {
	d := count(t, v, c)
	d.Status, d.Priority = decide(&d)
	if d.Status != Healthy && t.Hinted {
		d.Priority = PriorityVeryHigh
	}
	return d
}

func count(t *Tablet, v *View, c Clock) Verdict {
	d := Verdict{Want: t.Want, Free: v.available}
	for i := range t.Replicas {
		r := &t.Replicas[i]
		be := v.BE(r.BE)
		if be != nil && be.Available() {
			d.Free--
		}
		if r.Role == types.RoleLearner {
			switch {
			case be == nil || be.dead() || be.Decommissioned || r.damaged():
				d.Stray++
			case be.Alive:
				d.Learners++
			}
			continue
		}
		d.Followers++
		switch {
		case be == nil || r.damaged():
			d.Damaged++
			continue
		case be.dead() && c.NowMs-be.DeadSinceMs >= c.ToleranceMs:
			continue
		}
		if r.Offline {
			continue
		}
		d.Alive++
		if r.LastFailed != 0 {
			continue
		}
		d.Complete++
		if be.Alive {
			d.Copies++
		}
		if !be.Decommissioned {
			d.Stable++
		}
	}
	return d
}

func decide(d *Verdict) (Status, Priority) {
	majority := d.Want/2 + 1
	urgent := func(n int) Priority {
		if n < majority {
			return PriorityHigh
		}
		return PriorityNormal
	}
	switch {
	case d.Alive < d.Want && d.Damaged > 0 && d.Free == 0 && d.Learners == 0 && d.Copies > 0:
		return ForceRedundant, PriorityVeryHigh
	case d.Alive < d.Want && (d.Free > 0 || d.Learners > 0):
		return ReplicaMissing, urgent(d.Alive)
	case d.Complete < d.Want && d.Complete < d.Alive:
		return VersionIncomplete, urgent(d.Complete)
	case d.Alive < d.Want: // nowhere to put it: it waits, but what can be repaired in place went first
		return ReplicaMissing, urgent(d.Alive)
	case d.Complete > d.Want:
		return Redundant, PriorityVeryHigh
	case d.Stable < majority:
		return ReplicaRelocating, PriorityNormal
	case d.Stable < d.Want:
		return ReplicaRelocating, PriorityLow
	case d.Followers > d.Want:
		return Redundant, PriorityVeryHigh
	case d.Stray > 0:
		return Redundant, PriorityLow
	case d.Learners > 0:
		return NeedFurtherRepair, PriorityHigh
	}
	return Healthy, PriorityNormal
}

// ReplicaStatus is what ADMIN SHOW REPLICA STATUS says of a replica.
type ReplicaStatus uint8

// Replica statuses.
const (
	ReplicaOK ReplicaStatus = iota
	ReplicaDead
	ReplicaVersionError
	ReplicaSchemaError
	ReplicaAbsent
)

func (s ReplicaStatus) String() string {
	return [...]string{"OK", "DEAD", "VERSION_ERROR", "SCHEMA_ERROR", "MISSING"}[s]
}

// StatusOfReplica judges one replica. schemaOK says whether it has the schema of its table, as far as is known. A
// tablet with fewer than Want replicas has ReplicaAbsent rows for the rest (AbsentReplicas).
func StatusOfReplica(t *Tablet, r *Replica, v *View, schemaOK bool) ReplicaStatus {
	be := v.BE(r.BE)
	switch {
	case be == nil || !be.Available() || r.damaged():
		return ReplicaDead
	case r.LastFailed != 0 || r.Version < t.Version:
		return ReplicaVersionError
	case !schemaOK:
		return ReplicaSchemaError
	}
	return ReplicaOK
}

// AbsentReplicas is how many replicas a tablet has too few.
func AbsentReplicas(t *Tablet) int { return max(0, t.Want-len(t.Replicas)) }
