package ops

import (
	"fmt"

	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
)

// Facts are what is true now about one op: its tablet and the BEs that have to do with it.
type Facts struct {
	NowMs   int64
	Tablet  *model.Tablet // nil = it was dropped
	Want    int           // replicas that its partition is to have
	Nodes   map[types.BEID]Node
	Seen    map[types.BEID]Seen // replicas as their BEs report them
	Leaders map[types.BEID]int  // tablets that each BE leads
	Timeout int64               // how long an op may take, in milliseconds
}

// Node is a BE.
type Node struct {
	Endpoint    string
	Alive       bool
	Fresh       bool // Alive is no older than the op: it has answered since the op was taken up
	DeadSinceMs int64
	StartMs     int64 // of its process
}

// Seen is what a BE has reported of a replica.
type Seen struct {
	Heard          bool // the process that answers now has sent a full report
	Reported       bool // it has the replica that the catalog puts there
	Lost           bool // it has said twice that it has not
	Version        types.Version
	OldestRetained types.Version
}

// Drop is a replica that a BE is to delete.
type Drop struct {
	BE      types.BEID
	Tablet  types.TabletID
	Replica types.ReplicaID
}

// Call is something that a BE is to do for an op.
type Call struct {
	BE      types.BEID
	Tablet  types.TabletID
	Replica types.ReplicaID
	// Fill passes over the versions up to it; 0 = write what is in memory out (a snapshot).
	Fill types.Version
	// Create makes the replica, with nothing in it, unless it is there.
	Create bool
}

// Decision is what Step says: first the Effects, and then, if none was refused, Op as the new record with its Children.
// Drops and Calls are for BEs.
type Decision struct {
	Op       model.Op
	Children []model.Op
	Effects  []command.Command
	Drops    []Drop
	Calls    []Call
}

// name is how messages call a BE.
func (f *Facts) name(be types.BEID) string {
	if n, ok := f.Nodes[be]; ok && n.Endpoint != "" {
		return n.Endpoint
	}
	return fmt.Sprintf("backend %d", be)
}

// usable reports whether a replica can lead or be copied from now.
func (f *Facts) usable(r *model.Replica) bool {
	return r != nil && r.Complete() && f.Nodes[r.BE].Alive && !f.Seen[r.BE].Lost
}

// source returns a copy that another replica than the one on be can be made from.
func (f *Facts) source(be types.BEID) *model.Replica {
	var best *model.Replica
	for i := range f.Tablet.Replicas {
		r := &f.Tablet.Replicas[i]
		if r.BE != be && f.usable(r) && (best == nil || r.BE == f.Tablet.Leader) {
			best = r
		}
	}
	return best
}

// followers counts the followers of the tablet, set aside or not.
func (f *Facts) followers() int {
	n := 0
	for i := range f.Tablet.Replicas {
		if f.Tablet.Replicas[i].Role == types.RoleFollower {
			n++
		}
	}
	return n
}
