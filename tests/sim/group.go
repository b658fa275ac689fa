package sim

import (
	"slices"

	"stele/fe/sched"
	"stele/meta/types"
)

// The first Colocate tables are a group: the tablets of its first table lead, those of the same bucket in the others follow.

// lead returns the tablet that the i-th one follows, nil when it follows none.
func (w *World) lead(i int) *sched.Tablet {
	if n := i % w.shape.Tables; w.shape.Colocate > 1 && n > 0 && n < w.shape.Colocate {
		return &w.tablets[i-n]
	}
	return nil
}

// group tells the scheduler what belongs together, as fe/tabletctl does.
func (w *World) group() {
	if w.shape.Colocate < 2 {
		return
	}
	for i := range w.tablets {
		t := &w.tablets[i]
		if lead := w.lead(i); lead != nil {
			t.Assigned = w.homes(lead)
			continue
		}
		t.Trail, t.TrailBytes = 0, 0
		for n := 1; i%w.shape.Tables == 0 && n < w.shape.Colocate && i+n < len(w.tablets); n++ {
			t.Trail++
			t.TrailBytes += w.tablets[i+n].Bytes()
		}
	}
}

// homes are the BEs that what follows a tablet belongs on.
func (w *World) homes(lead *sched.Tablet) []types.BEID {
	var out []types.BEID
	for _, role := range [...]types.Role{types.RoleFollower, types.RoleLearner} {
		for i := range lead.Replicas {
			if r := &lead.Replicas[i]; r.Role == role && !r.Bad && len(out) < lead.Want && !w.be(r.BE).Decommissioned {
				out = append(out, r.BE)
			}
		}
	}
	return out
}

// apart counts the tablets that are not where the one they follow is.
func (w *World) apart() int {
	n := 0
	on := func(t *sched.Tablet) []types.BEID {
		var out []types.BEID
		for i := range t.Replicas {
			out = append(out, t.Replicas[i].BE)
		}
		slices.Sort(out)
		return out
	}
	for i := range w.tablets {
		if lead := w.lead(i); lead != nil && !slices.Equal(on(lead), on(&w.tablets[i])) {
			n++
		}
	}
	return n
}
