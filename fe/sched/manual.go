package sched

import (
	"slices"

	"stele/meta/types"
)

// mayRepair says whether a tablet may be repaired without being told. With auto_failover off only what an operator has
// asked for is done: an op, a repair hint, a decommission, another number of replicas. A tablet with a replica that he has set
// aside waits for his verbs, whatever a hint says: only replicas that he wants more of, or can spare, are made and dropped.
func mayRepair(t *Tablet, v Verdict, auto bool) bool {
	switch {
	case t.Ordered:
		return v.Status != Redundant && v.Status != ForceRedundant
	case auto:
		return !t.setAside() // it is about to be in use again, and then it may need nothing
	case t.setAside():
		return v.Damaged == 0 && (v.Followers < v.Want || v.Complete > v.Want || v.Learners > 0 || v.Stray > 0)
	case t.Hinted, v.Status == ReplicaRelocating, v.Status == DiskMigration:
		return true
	case v.Damaged > 0:
		return false
	}
	spare := v.Followers > v.Want && v.Status != ReplicaMissing // who wants fewer has not asked for one in the place of a dead one
	return v.Followers < v.Want || spare || v.Learners > 0 || v.Stray > 0
}

// setAside reports whether an operator has set a replica of the tablet aside.
func (t *Tablet) setAside() bool {
	return slices.ContainsFunc(t.Replicas, func(r Replica) bool { return r.Offline })
}

// reserved reports whether a replica is the operator's alone: with auto_failover off, what he has set aside is neither dropped
// nor filled, and what an op has in hand is not dropped. (With auto_failover on nothing stays aside.)
func (s *Scheduler) reserved(t *Tablet, r *Replica) bool {
	return t.Ordered || r.Offline && !s.in.Limits.AutoFailover
}

// planOrdered fills what an op has put there: it copies to replicas in use that lag and to learners, and never adds or drops
// any.
func (s *Scheduler) planOrdered(task *Task, t *Tablet) bool {
	if r := s.lagging(t); r != nil {
		return s.planClone(task, t, r)
	}
	for i := range t.Replicas {
		r := &t.Replicas[i]
		be := s.in.View.BE(r.BE)
		if r.Role == types.RoleLearner && !r.Offline && !r.damaged() && be != nil && be.Alive && !s.in.View.refuses(r) {
			return s.planClone(task, t, r)
		}
	}
	s.stuck(task, WaitBackend, "the op that has the tablet in hand waits for something else")
	return true
}

// Clean forgets all tasks that wait, and returns how many there were: the next scan finds what still needs repair. Tasks that
// run go on.
func (s *Scheduler) Clean() int {
	n := len(s.pending)
	for _, t := range s.pending {
		delete(s.tasks, t.Tablet)
	}
	clear(s.pending)
	s.pending = s.pending[:0]
	return n
}

// Balancing reports whether replicas are being moved, or have just been, for balance.
func (s *Scheduler) Balancing() bool {
	if s.balanceHot {
		return true
	}
	for _, t := range s.running {
		if t.Kind == Balance {
			return true
		}
	}
	return len(s.moved) > 0
}
