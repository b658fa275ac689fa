package admin

import (
	"slices"

	"stele/fe/consistency"
	"stele/fe/sched"
	"stele/fe/stmt"
	"stele/meta/catalog"
)

// Judge tells of a tablet whether it lacks something.
type Judge func(tab *catalog.Tablet, want int) bool

// JudgeOf returns the judge of a statement. A dead BE counts as dead at once: the patience that the control loop has
// before it copies data would hide a crash from whoever looks. Without a control loop, a tablet lacks something that has
// too few complete replicas on BEs that answer.
func JudgeOf(e *stmt.Env) Judge {
	if e.Control == nil {
		return func(tab *catalog.Tablet, want int) bool {
			return len(slices.DeleteFunc(slices.Clone(tab.Replicas), func(r catalog.Replica) bool {
				return !r.Complete() || !e.Alive(r.BE) || e.Lost(r.BE, tab.ID)
			})) < want
		}
	}
	view, clock := e.Control.View(), e.Control.Clock()
	clock.ToleranceMs = 0
	return func(tab *catalog.Tablet, _ int) bool {
		t := view.Tablet(tab.ID)
		return t != nil && sched.Health(t, view, clock).Status.Unhealthy()
	}
}

// damaged reports whether a replica of a tablet is known to hold wrong bytes.
func damaged(tab *catalog.Tablet) bool {
	for i := range tab.Replicas {
		if tab.Replicas[i].Bad {
			return true
		}
	}
	return false
}

// Inconsistent reports whether replicas of a tablet are known to differ, or one to be damaged.
func Inconsistent(e *stmt.Env, tab *catalog.Tablet) bool {
	if damaged(tab) {
		return true
	}
	if e.Checker == nil {
		return false
	}
	r, ok := e.Checker.Last(tab.ID)
	if !ok {
		return false
	}
	for _, rep := range r.Replicas { // one that has been replaced since counts no more
		if rep.Verdict != consistency.Agrees && rep.Verdict != consistency.Skipped && tab.ReplicaByID(rep.ID) != nil {
			return true
		}
	}
	return false
}
