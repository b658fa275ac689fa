package sched

import "stele/meta/types"

// Hazard is a tablet that would suffer if a BE stopped now.
type Hazard struct {
	Tablet types.TabletID
	Copies int  // complete replicas on live BEs that would be left
	Need   int  // of them for a write
	Last   bool // nothing could be read any more
}

// writers counts the complete replicas on live BEs, but one, whose disks take writes.
func (v *View) writers(t *Tablet, but *Replica) int {
	n := 0
	for i := range t.Replicas {
		if r := &t.Replicas[i]; r != but && v.isCopy(r) && !v.refuses(r) {
			n++
		}
	}
	return n
}

// SafeToStop lists the tablets that could no longer be written, or not even read, if a BE stopped now. need is how many
// of a tablet's followers must answer a write. Tablets that suffer already are listed as well if the BE has a copy: to
// stop it makes their repair harder.
func SafeToStop(v *View, be types.BEID, need func(t *Tablet, followers int) int) []Hazard {
	var out []Hazard
	for i := range v.Tablets {
		t := &v.Tablets[i]
		r := t.On(be)
		if r == nil || r.Role == types.RoleLearner {
			continue
		}
		followers, copies := 0, v.copies(t)
		for j := range t.Replicas {
			if t.Replicas[j].Role == types.RoleFollower {
				followers++
			}
		}
		if !v.isCopy(r) {
			continue // it counts for nothing now
		}
		copies--
		if n := need(t, followers); v.writers(t, r) < n || copies == 0 {
			out = append(out, Hazard{Tablet: t.ID, Copies: copies, Need: n, Last: copies == 0})
		}
	}
	return out
}
