package ops

import (
	"fmt"

	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
)

// recoverTable decides how a replica comes back and queues the op that does it:
//
//	has its data   the rest is retained   op
//	yes            yes                    kReAddReplicaSimplifyOP  what it missed
//	yes, restarted yes                    kReAddReplicaNoSendOP    its own disk, and what it missed
//	yes            no, or damaged         kReAddReplicaWithDropOP  everything anew
//	no             -                      kReAddReplicaOP          everything
func recoverTable(op *model.Op, f *Facts) outcome {
	r := f.Tablet.Replica(op.BE)
	if r == nil {
		return outcome{fail: fmt.Sprintf("308: partition %d has no replica on %s", op.Pid, f.name(op.BE))}
	}
	if o, ok := f.answers(op.BE); !ok {
		return o
	}
	seen := f.Seen[op.BE]
	if r.Role == types.RoleFollower && (!seen.Heard || !seen.Reported && !seen.Lost) {
		return outcome{wait: f.name(op.BE) + " to report what it has"}
	}
	if f.usable(r) {
		return outcome{message: "the replica on " + f.name(op.BE) + " is alive already"}
	}
	if len(f.Tablet.Replicas) == 1 {
		return recoverSingle(op, r, seen)
	}
	t, why := recoverBy(op, r, f)
	if t == 0 {
		return outcome{fail: why}
	}
	child := childOf(op, t)
	child.Message = why
	return outcome{children: []model.Op{child}, message: why}
}

// recoverSingle brings back the only replica of a tablet.
func recoverSingle(op *model.Op, r *model.Replica, seen Seen) outcome {
	if seen.Lost || r.Bad || r.LastFailed != 0 {
		return outcome{fail: "it is the only replica, and it is lost or damaged: see RECOVER DATA"}
	}
	child := childOf(op, UpdatePartitionStatus)
	child.Alive = true
	return outcome{children: []model.Op{child}, message: "the only replica has its data"}
}

// recoverBy chooses the type of op, and says why.
func recoverBy(op *model.Op, r *model.Replica, f *Facts) (model.OpType, string) {
	src, seen := f.source(op.BE), f.Seen[op.BE]
	switch {
	case src == nil:
		return 0, "310: no other replica is alive to recover from: changeleader first, or RECOVER DATA"
	case seen.Lost || r.Role == types.RoleLearner:
		return ReAddReplica, "recovery_method = full: " + f.name(op.BE) + " does not have the replica"
	case r.Bad:
		return ReAddReplicaWithDrop, "recovery_method = full: the replica is damaged"
	}
	if oldest := f.Seen[src.BE].OldestRetained; r.LastFailed != 0 && oldest > seen.Version+1 {
		return ReAddReplicaWithDrop, fmt.Sprintf("recovery_method = full: it has version %d, and %s keeps changes from %d on", seen.Version, f.name(src.BE), oldest)
	}
	why := fmt.Sprintf("recovery_method = incremental: from version %d to %d", seen.Version, f.Tablet.Version)
	if r.OfflineMs != 0 && f.Nodes[op.BE].StartMs > r.OfflineMs {
		return ReAddReplicaNoSend, why
	}
	return ReAddReplicaSimplify, why
}

func childOf(op *model.Op, t model.OpType) model.Op {
	c := New(t)
	c.Database, c.Table, c.Tablet, c.Pid, c.Target, c.Owner, c.BE = op.Database, op.Table, op.Tablet, op.Pid, op.Target, op.Owner, op.BE
	return c
}

// acceptLoss makes a replica that lacks versions all that is left of its tablet.
func acceptLoss(op *model.Op, f *Facts) outcome {
	r := f.Tablet.Replica(op.BE)
	switch {
	case r == nil:
		return outcome{fail: "the replica on " + f.name(op.BE) + " is gone"}
	case len(f.Tablet.Replicas) == 1 && r.Complete():
		return outcome{}
	}
	for i := range f.Tablet.Replicas {
		if f.usable(&f.Tablet.Replicas[i]) {
			return outcome{fail: "nothing is lost: " + f.name(f.Tablet.Replicas[i].BE) + " has every version"}
		}
	}
	if o, ok := f.answers(op.BE); !ok {
		return o
	}
	return outcome{effects: []command.Command{&command.AcceptLoss{Tablet: op.Tablet, Replica: r.ID, Version: f.Tablet.Version, Epoch: f.Tablet.Epoch,
		TimeMs: f.NowMs}}}
}

// makeEmpty has a tablet of which nothing is left go on with an empty replica, whose id was drawn with the order.
func makeEmpty(op *model.Op, f *Facts) outcome {
	if o, ok := f.answers(op.BE); !ok {
		return o
	}
	accept := &command.AcceptLoss{Tablet: op.Tablet, Replica: op.Replica, Version: f.Tablet.Version, Epoch: f.Tablet.Epoch, TimeMs: f.NowMs}
	made := f.Tablet.ReplicaByID(op.Replica)
	switch {
	case made != nil && !made.Complete(): // it was reported before it was filled
		return outcome{effects: []command.Command{accept}}
	case made != nil && f.Seen[made.BE].Reported:
		return outcome{}
	case made != nil:
		return outcome{calls: []Call{{BE: made.BE, Tablet: op.Tablet, Replica: made.ID, Create: true}}, wait: "an empty replica to be made"}
	}
	var drops []Drop
	for i := range f.Tablet.Replicas {
		r := &f.Tablet.Replicas[i]
		n, seen := f.Nodes[r.BE], f.Seen[r.BE]
		switch {
		case r.Role == types.RoleFollower && !r.Bad && n.Alive && !seen.Lost:
			return outcome{fail: fmt.Sprintf("%s has the tablet up to version %d: RECOVER DATA anew", f.name(r.BE), r.Version)}
		case r.BE == op.BE:
			drops = append(drops, Drop{BE: r.BE, Tablet: op.Tablet, Replica: r.ID})
		}
	}
	accept.Empty = op.BE
	return outcome{effects: []command.Command{accept}, drops: drops}
}

// fillVersions has the BE of that replica pass over the versions that are lost.
func fillVersions(op *model.Op, f *Facts) outcome {
	r := f.Tablet.Replica(op.BE)
	if r == nil {
		return outcome{fail: "the replica on " + f.name(op.BE) + " is gone"}
	}
	if o, ok := f.answers(op.BE); !ok {
		return o
	}
	if r.LastFailed != 0 { // it has reported what it lacks before it was told
		return outcome{back: 1}
	}
	if seen := f.Seen[op.BE]; seen.Reported && seen.Version >= f.Tablet.Version {
		return outcome{}
	}
	return outcome{calls: []Call{{BE: op.BE, Tablet: op.Tablet, Replica: r.ID, Fill: f.Tablet.Version}}, wait: "the versions that are lost to be passed over"}
}
