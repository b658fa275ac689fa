package ops

import (
	"fmt"

	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
)

// steps are what the tasks do. What is copied is pinned by the copy itself, so that nothing is left to recover after it; and the
// catalog names a replica before it is filled.
var steps = map[model.TaskType]func(*model.Op, *Facts) outcome{
	taskPauseSnapshot:   pauseSnapshot,
	taskRecoverSnapshot: nothing, taskAddTableInfo: nothing,
	taskSendSnapshot: sendSnapshot, taskLoadTable: loadTable, taskAddReplica: takeIn, taskCheckSync: checkSync,
	taskUpdatePartitionStatus: updateStatus, taskUpdateTableAlive: updateStatus,
	taskDelReplica:   func(op *model.Op, f *Facts) outcome { return setAside(op, op.BE, f) },
	taskDelTableInfo: forget, taskUpdateTableInfo: forget, taskDropTable: dropTable,
	taskSelectLeader: selectLeader, taskChangeLeader: changeLeader, taskUpdateLeaderInfo: updateLeaderInfo,
	taskRecoverTable: recoverTable, taskMakeSnapshot: makeSnapshot, taskAcceptLoss: acceptLoss, taskMakeEmpty: makeEmpty,
	taskFillVersions: fillVersions,
}

// run looks at the present task of an op.
func run(op *model.Op, f *Facts) outcome {
	step := steps[op.Tasks[op.Task]]
	if step == nil {
		return outcome{fail: fmt.Sprintf("task %d is unknown to this version", op.Tasks[op.Task])}
	}
	return step(op, f)
}

func nothing(*model.Op, *Facts) outcome { return outcome{} }

func pauseSnapshot(op *model.Op, f *Facts) outcome {
	if f.source(target(op)) == nil {
		return outcome{wait: "a complete replica on a backend that answers, to copy from"}
	}
	return outcome{}
}

// updateLeaderInfo sets the leader so far aside.
func updateLeaderInfo(op *model.Op, f *Facts) outcome {
	if op.BE == op.Chosen {
		return outcome{}
	}
	return setAside(op, op.BE, f)
}

// answers reports whether a BE answers, or how to go on without it.
func (f *Facts) answers(be types.BEID) (outcome, bool) {
	n, ok := f.Nodes[be]
	switch {
	case !ok:
		return outcome{fail: fmt.Sprintf("302: %s is not in the cluster", f.name(be))}, false
	case n.Alive && !n.Fresh: // it may have died, and come back with less, unnoticed so far
		return outcome{wait: f.name(be) + " to answer a heartbeat"}, false
	case n.Alive:
		return outcome{}, true
	case f.NowMs-n.DeadSinceMs >= deadGraceMs:
		return outcome{fail: fmt.Sprintf("303: %s is offline", f.name(be))}, false
	}
	return outcome{wait: f.name(be) + " does not answer"}, false
}

// sendSnapshot puts a learner on the target; one that is of no use goes first.
func sendSnapshot(op *model.Op, f *Facts) outcome {
	be := target(op)
	r := f.Tablet.Replica(be)
	switch {
	case f.usable(r):
		return outcome{}
	case r != nil && r.Role == types.RoleLearner && r.OfflineMs != 0: // left by an op that was cancelled
		return outcome{effects: []command.Command{setAlive(op, be, true, f)}}
	case r != nil && r.Role == types.RoleLearner:
		op.Replica = r.ID
		return outcome{}
	}
	if o, ok := f.answers(be); !ok {
		return o
	}
	if f.source(be) == nil {
		return outcome{wait: "a complete replica on a backend that answers, to copy from"}
	}
	if r != nil {
		return outcome{effects: []command.Command{&command.DropReplica{Tablet: op.Tablet, Replica: r.ID, ExpectEpoch: f.Tablet.Epoch}},
			drops: []Drop{{BE: be, Tablet: op.Tablet, Replica: r.ID}}}
	}
	return outcome{effects: []command.Command{&command.AddReplica{Tablet: op.Tablet, Replica: model.Replica{BE: be}, TimeMs: f.NowMs}}}
}

// loadTable waits until the target has a replica with something in it.
func loadTable(op *model.Op, f *Facts) outcome {
	be := target(op)
	r := f.Tablet.Replica(be)
	if r == nil {
		return outcome{fail: "the replica on " + f.name(be) + " is gone"}
	}
	if o, ok := f.answers(be); !ok {
		return o
	}
	switch {
	case r.Role == types.RoleLearner && r.Version == 0 && r.LastFailed != 0:
		return outcome{wait: "the copy to " + f.name(be)}
	case r.Role == types.RoleFollower && !f.Seen[be].Reported:
		return outcome{wait: f.name(be) + " to report the replica"}
	}
	return outcome{}
}

// takeIn has the leader send writes to the replica again. Learners get them from the beginning.
func takeIn(op *model.Op, f *Facts) outcome {
	be := target(op)
	if r := f.Tablet.Replica(be); r != nil && r.OfflineMs != 0 {
		return outcome{effects: []command.Command{setAlive(op, be, true, f)}}
	}
	return outcome{}
}

// checkSync waits until the target has every committed version and is a follower.
func checkSync(op *model.Op, f *Facts) outcome {
	be := target(op)
	r := f.Tablet.Replica(be)
	switch {
	case r == nil:
		return outcome{fail: "the replica on " + f.name(be) + " is gone"}
	case f.usable(r):
		return outcome{}
	case f.Seen[be].Lost || r.Bad:
		return outcome{fail: "the replica on " + f.name(be) + " is lost or damaged: recover it again"}
	}
	if o, ok := f.answers(be); !ok {
		return o
	}
	return outcome{wait: fmt.Sprintf("%s to catch up", f.name(be))}
}

// updateStatus sets whether the replica is in use, as the op says, and ends what brought one back.
func updateStatus(op *model.Op, f *Facts) outcome {
	be := target(op)
	r := f.Tablet.Replica(be)
	if r == nil {
		return outcome{fail: fmt.Sprintf("308: partition %d has no replica on %s", op.Pid, f.name(be))}
	}
	switch op.Type {
	case OfflineReplica:
		return setAside(op, be, f)
	case UpdateTableAlive, UpdatePartitionStatus, ReLoadTable:
		return setStatus(op, r, f)
	case AddReplica:
		if extra := f.followers() - f.Want; extra > int(f.Tablet.Extra) {
			return outcome{effects: []command.Command{&command.AdjustReplicas{Tablet: op.Tablet, Extra: extra}}}
		}
	}
	return takeIn(op, f)
}

// setStatus sets a replica aside or takes it into use. One that has everything leads a tablet that nobody leads.
func setStatus(op *model.Op, r *model.Replica, f *Facts) outcome {
	alive := op.Alive || op.Type == ReLoadTable
	switch {
	case (r.OfflineMs == 0) != alive:
		return outcome{effects: []command.Command{setAlive(op, r.BE, alive, f)}}
	case alive && f.Tablet.Leader == 0 && f.usable(r):
		return outcome{effects: []command.Command{lead(op, r.BE, false, f)}}
	case alive && !r.Complete():
		return outcome{message: fmt.Sprintf("%s lacks versions after %d of %d: recovertable brings them", f.name(r.BE), r.Version, f.Tablet.Version)}
	}
	return outcome{}
}

// setAside has a replica get no more writes and count no more.
func setAside(op *model.Op, be types.BEID, f *Facts) outcome {
	if r := f.Tablet.Replica(be); r != nil && r.OfflineMs == 0 {
		return outcome{effects: []command.Command{setAlive(op, be, false, f)}}
	}
	return outcome{}
}

// forget takes the replica out of the catalog.
func forget(op *model.Op, f *Facts) outcome {
	r := f.Tablet.Replica(op.BE)
	if r == nil {
		return outcome{}
	}
	if f.source(op.BE) == nil {
		return outcome{fail: "102: no other complete replica is on a backend that answers"}
	}
	var effects []command.Command
	if left := f.followers() - 1; op.Type == DelReplica && r.Role == types.RoleFollower && left < f.Tablet.Wanted(f.Want) {
		effects = append(effects, &command.AdjustReplicas{Tablet: op.Tablet, Extra: left - f.Want})
	}
	effects = append(effects, &command.DropReplica{Tablet: op.Tablet, Replica: r.ID, ExpectEpoch: f.Tablet.Epoch})
	return outcome{effects: effects, drops: []Drop{{BE: r.BE, Tablet: op.Tablet, Replica: r.ID}}}
}

// dropTable removes a replica that is of no use any more from its BE. After forget the BE was told already.
func dropTable(op *model.Op, f *Facts) outcome {
	r := f.Tablet.Replica(op.BE)
	if op.Type != ReAddReplicaWithDrop || r == nil || r.Role == types.RoleLearner || f.usable(r) {
		return outcome{}
	}
	return outcome{effects: []command.Command{&command.DropReplica{Tablet: op.Tablet, Replica: r.ID, ExpectEpoch: f.Tablet.Epoch}},
		drops: []Drop{{BE: r.BE, Tablet: op.Tablet, Replica: r.ID}}}
}

// makeSnapshot has every BE write out what it keeps in memory of the tablet.
func makeSnapshot(op *model.Op, f *Facts) outcome {
	var calls []Call
	for i := range f.Tablet.Replicas {
		if r := &f.Tablet.Replicas[i]; f.Nodes[r.BE].Alive {
			calls = append(calls, Call{BE: r.BE, Tablet: op.Tablet, Replica: r.ID})
		}
	}
	if len(calls) == 0 {
		return outcome{fail: "no backend with a replica answers"}
	}
	return outcome{calls: calls}
}
