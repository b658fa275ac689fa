package ops

import (
	"cmp"
	"slices"

	"stele/meta/model"
	"stele/meta/types"
)

type beID = types.BEID

// Bounds of how many ops of one statement run at a time.
const (
	DefaultConcurrency = 2
	MaxConcurrency     = 8
)

// Lane is the lane of a tablet among so many.
func Lane(pid, concurrency int) int { return pid % max(concurrency, 1) }

type laneKey struct {
	group uint64
	lane  int
}

// Pauses reports whether an op is tried again later only. A time that is further away than the longest pause was noted by a clock that was ahead.
func Pauses(op *model.Op, nowMs int64) bool {
	return op.NextMs > nowMs && op.NextMs <= nowMs+retryMaxMs
}

// Runnable picks the ops that may run: the first of each lane of each statement, and of those about one tablet the oldest.
// Lanes belong to a statement, so that one that is stuck holds up nothing but itself.
func Runnable(all []*model.Op) []*model.Op {
	open := make([]*model.Op, 0, len(all))
	for _, op := range all {
		if op.Type != 0 && !op.Ended() {
			open = append(open, op)
		}
	}
	slices.SortFunc(open, func(a, b *model.Op) int { return cmp.Or(cmp.Compare(a.Root, b.Root), cmp.Compare(a.ID, b.ID)) })
	lanes, tablets := map[laneKey]bool{}, map[types.TabletID]uint64{}
	for _, op := range open {
		if first, ok := tablets[op.Tablet]; !ok || op.Root < first {
			tablets[op.Tablet] = op.Root
		}
	}
	var out []*model.Op
	for _, op := range open {
		k := laneKey{op.Group, op.Lane}
		if lanes[k] {
			continue
		}
		lanes[k] = true
		if op.Tablet == 0 || tablets[op.Tablet] == op.Root {
			out = append(out, op)
		}
	}
	return out
}

// Ordered lists the tablets that ops have in hand: the scheduler fills what they wait for and does nothing else to them. A child that
// has not begun goes on with what its parent had in hand, and what one that has ended has left is its own until it is taken back.
func Ordered(all func(func(*model.Op) bool)) map[types.TabletID]bool {
	out := map[types.TabletID]bool{}
	for op := range all {
		child := op.State == model.OpInited && op.Root != op.ID
		if op.Type != 0 && op.Tablet != 0 && (op.State == model.OpRunning || child || op.Undo) {
			out[op.Tablet] = true
		}
	}
	return out
}

// kindOfWork is what types of ops come to: those that bring a replica back are one kind, whichever way they take.
func kindOfWork(t model.OpType) model.OpType {
	switch t {
	case ReAddReplica, ReAddReplicaNoSend, ReAddReplicaWithDrop, ReAddReplicaSimplify:
		return RecoverTable
	}
	return t
}

// SameWork reports whether two ops are to do the same.
func SameWork(a, b *model.Op) bool {
	return kindOfWork(a.Type) == kindOfWork(b.Type) && a.Tablet == b.Tablet && a.BE == b.BE && a.Dest == b.Dest && a.Alive == b.Alive
}
