package sched

import (
	"cmp"
	"slices"

	"stele/meta/types"
)

// cutPair is two BEs that do not reach one another, although this FE reaches both; the smaller id comes first. Nothing comes of one
// direction alone: what is sent is not acknowledged.
type cutPair [2]types.BEID

// whyReach is the reason of moves of leaders that do not reach their followers.
const whyReach = "the leader does not reach a follower that others reach"

// findCuts lists the pairs of live BEs of which at least one says that it does not reach the other.
func findCuts(bes []BE, index *beIndex) []cutPair {
	var cuts []cutPair
	for i := range bes {
		a := &bes[i]
		for _, id := range a.Unreached {
			if j, ok := index.at(id); ok && a.Alive && bes[j].Alive && id != a.ID {
				cuts = append(cuts, cutPair{min(a.ID, id), max(a.ID, id)})
			}
		}
	}
	slices.SortFunc(cuts, comparePairs)
	return slices.Compact(cuts)
}

func comparePairs(a, b cutPair) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) }

// cut reports whether two BEs are cut from one another.
func (v *View) cut(a, b types.BEID) bool {
	if len(v.cuts) == 0 {
		return false
	}
	_, ok := slices.BinarySearchFunc(v.cuts, cutPair{min(a, b), max(a, b)}, comparePairs)
	return ok
}

// nearCut reports whether there is a BE that is cut from one that has a replica of a tablet.
func (v *View) nearCut(t *Tablet) bool {
	return slices.ContainsFunc(v.cuts, func(c cutPair) bool { return t.On(c[0]) != nil || t.On(c[1]) != nil })
}

// reachesCopy reports whether a BE reaches one of the copies that it could clone, if there are any.
func (v *View) reachesCopy(t *Tablet, be types.BEID) bool {
	if len(v.cuts) == 0 {
		return true
	}
	copies := 0
	for i := range t.Replicas {
		if r := &t.Replicas[i]; v.isCopy(r) {
			if !v.cut(be, r.BE) {
				return true
			}
			copies++
		}
	}
	return copies == 0
}

// unreached counts the followers of a tablet that a BE would not reach if it led.
func (v *View) unreached(t *Tablet, be types.BEID) int {
	n := 0
	if len(v.cuts) > 0 {
		for i := range t.Replicas {
			r := &t.Replicas[i]
			if r.Role == types.RoleFollower && !r.damaged() && !r.Offline && v.cut(be, r.BE) {
				n++
			}
		}
	}
	return n
}

// noteCuts finds out whether BEs reach one another that did not, or no longer.
func (s *Scheduler) noteCuts() bool {
	changed := !slices.Equal(s.cuts, s.in.View.cuts)
	s.cuts = s.in.View.cuts
	return changed
}

// checkReach gives a tablet whose live leader does not reach a follower one that reaches more of them: else that follower misses each
// write, and is repaired for ever. The number of followers that are not reached falls with each move, so there is no way back.
func (s *Scheduler) checkReach(t *Tablet) {
	missed := s.in.View.unreached(t, t.Leader)
	if missed == 0 || !s.in.Limits.AutoFailover || t.Ordered {
		return
	}
	to := s.leaderFor(t, t.Leader)
	if to == 0 || !s.in.View.BE(to).mayLead() || s.in.View.refuses(t.On(to)) || s.in.View.unreached(t, to) >= missed {
		return
	}
	s.reach = append(s.reach, LeaderMove{Tablet: t.ID, From: t.Leader, To: to, Epoch: t.Epoch})
	s.table().lead(t.Leader, to)
	s.touched[t.ID] = true
}
