package sched

import (
	"fmt"

	"stele/meta/types"
)

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
	DiskStays int // of the stable ones, on disks that stay and are of the right medium, or have no better one
	Spread    int // locations (zones, else hosts) that the followers are on
	SpreadMax int // locations that they could be on
	Free      int // BEs that could take a replica
	Assigned  assigned
}

// assigned counts the replicas of a colocated tablet on the BEs of its group.
type assigned struct {
	want, here, damaged, incomplete int
}

// unavailable is shown of a tablet that no rule fits, and that cannot be written now.
const unavailable = "UNAVAILABLE"

// Shown is the status as an operator sees it. While backends are dead within the tolerance nothing is to be done, so that the status is HEALTHY;
// a tablet of which fewer than a majority answer is nevertheless not well.
func (d Verdict) Shown() string {
	if d.Status == Healthy && d.Copies < d.Want/2+1 {
		return unavailable
	}
	return d.Status.String()
}

// Well reports whether there is nothing that an operator should see.
func (d Verdict) Well() bool { return d.Shown() == Healthy.String() }

// Detail says in words what the verdict rests on.
func (d Verdict) Detail() string {
	return fmt.Sprintf("%s: %d wanted, %d alive, %d complete, %d stay, %d readable now, %d in the making, %d damaged, %d backends free, %d on disks that stay, in %d of %d locations",
		d.Shown(), d.Want, d.Alive, d.Complete, d.Stable, d.Copies, d.Learners, d.Damaged, d.Free, d.DiskStays, d.Spread, d.SpreadMax)
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
	d := Verdict{Want: t.Want, Free: v.available, SpreadMax: min(t.Want, v.places)}
	d.Assigned.want = len(t.Assigned)
	var places [8]int32
	for i := range t.Replicas {
		r := &t.Replicas[i]
		be := v.BE(r.BE)
		if be != nil && be.Available() {
			d.Free--
		}
		if d.Assigned.want > 0 && assignedTo(t, r.BE) {
			d.Assigned.note(r)
		}
		if r.Role == types.RoleLearner && !r.Offline { // one that was set aside keeps its place, as a follower does
			d.countLearner(r, be)
			continue
		}
		d.Followers++
		if be != nil && d.Spread < len(places) && !hasPlace(places[:d.Spread], be.place) {
			places[d.Spread] = be.place
			d.Spread++
		}
		switch {
		case be == nil || r.damaged():
			d.Damaged++
			continue
		case be.dead() && (t.Hinted || c.NowMs-be.DeadSinceMs >= c.ToleranceMs): // a hint asks for repair, not for patience
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
			if v.diskStays(t, r, be) {
				d.DiskStays++
			}
		}
	}
	return d
}

func (d *Verdict) countLearner(r *Replica, be *BE) {
	switch {
	case be == nil || be.dead() || be.Decommissioned || r.damaged():
		d.Stray++
	case be.Alive:
		d.Learners++
	}
}

func hasPlace(places []int32, p int32) bool {
	for _, q := range places {
		if p == q {
			return true
		}
	}
	return false
}

func assignedTo(t *Tablet, be types.BEID) bool {
	for _, id := range t.Assigned {
		if id == be {
			return true
		}
	}
	return false
}

func (a *assigned) note(r *Replica) {
	if r.Role == types.RoleLearner {
		return // it is being made: the BE still lacks a replica
	}
	a.here++
	switch {
	case r.damaged():
		a.damaged++
	case r.LastFailed != 0:
		a.incomplete++
	}
}

// decide goes through the rules; the first that fits decides.
func decide(d *Verdict) (Status, Priority) {
	if d.Assigned.want > 0 {
		return decideColocated(d)
	}
	majority := d.Want/2 + 1
	urgent := func(n int) Priority {
		if n < majority {
			return PriorityHigh
		}
		return PriorityNormal
	}
	nowhere := d.Damaged > 0 && d.Free == 0 && d.Learners == 0 && d.Copies > 0
	switch {
	case d.Alive < d.Want && nowhere:
		return ForceRedundant, PriorityVeryHigh
	case d.Alive < d.Want && (d.Free > 0 || d.Learners > 0):
		return ReplicaMissing, urgent(d.Alive)
	case d.Complete < d.Want && d.Complete < d.Alive:
		return VersionIncomplete, urgent(d.Complete)
	case d.Alive < d.Want: // nowhere to put it: it waits, but what can be repaired in place went first
		return ReplicaMissing, urgent(d.Alive)
	case d.Complete > d.Want:
		return Redundant, PriorityVeryHigh
	case d.Stable < d.Want && nowhere: // a damaged replica is in the way of the one that relocates
		return ForceRedundant, urgent(d.Stable) - 1
	case d.Stable < majority:
		return ReplicaRelocating, PriorityNormal
	case d.Stable < d.Want:
		return ReplicaRelocating, PriorityLow
	case d.DiskStays < d.Want:
		return DiskMigration, PriorityNormal
	case d.Followers > d.Want:
		return Redundant, PriorityVeryHigh
	case d.Stray > 0:
		return Redundant, PriorityLow
	case d.Spread < d.SpreadMax:
		return LocationMismatch, PriorityNormal
	case d.Learners > 0:
		return NeedFurtherRepair, PriorityHigh
	}
	return Healthy, PriorityNormal
}

// decideColocated judges a tablet whose BEs are those of its group.
func decideColocated(d *Verdict) (Status, Priority) {
	a := &d.Assigned
	switch {
	case a.here < a.want:
		return ColocateMismatch, PriorityHigh
	case a.damaged > 0:
		return ColocateRedundant, PriorityVeryHigh
	case a.incomplete > 0:
		return VersionIncomplete, PriorityHigh
	case d.Alive < d.Want && a.want < d.Want+1 && d.Followers <= a.want: // until the group has moved
		return ReplicaMissing, PriorityHigh
	case d.Followers > a.want || d.Stray > 0:
		return ColocateRedundant, PriorityHigh
	case d.Stable == d.Want && d.DiskStays < d.Want:
		return DiskMigration, PriorityNormal
	case d.Learners > 0:
		return NeedFurtherRepair, PriorityHigh
	}
	return Healthy, PriorityNormal
}
