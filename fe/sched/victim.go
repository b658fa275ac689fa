package sched

import "stele/meta/types"

// victim picks the replica that a tablet can best do without, and why. It never picks a copy when fewer than the wanted
// number would be left.
func (s *Scheduler) victim(t *Tablet) (*Replica, string) {
	v := s.in.View
	copies := v.copies(t)
	rules := []struct {
		why string
		fit func(*Replica, *BE) bool
	}{
		{"backend dropped", func(_ *Replica, be *BE) bool { return be == nil }},
		{"replica is bad", func(r *Replica, _ *BE) bool { return r.damaged() }},
		{"backend unavailable", func(_ *Replica, be *BE) bool { return be.dead() }},
		{"not on the backends of its group", func(r *Replica, _ *BE) bool { return len(t.Assigned) > 0 && !assignedTo(t, r.BE) }},
		{"version incomplete", func(r *Replica, _ *BE) bool { return r.LastFailed != 0 }},
		{"backend decommissioned", func(_ *Replica, be *BE) bool { return be.Decommissioned }},
		{"on a disk that it is to leave", func(r *Replica, be *BE) bool { return !v.diskStays(t, r, be) }},
		{"on a disk that refuses writes", func(r *Replica, _ *BE) bool { return v.refuses(r) }},
		{"src replica of rebalance", func(r *Replica, _ *BE) bool { return s.moved[t.ID] == r.ID }},
	}
	mayGo := func(r *Replica) bool {
		if r.Role == types.RoleLearner || s.reserved(t, r) {
			return false
		}
		if v.isCopy(r) {
			return copies-1 >= max(t.Want, 1)
		}
		return copies >= 1
	}
	for _, rule := range rules {
		for i := range t.Replicas {
			if r := &t.Replicas[i]; mayGo(r) && rule.fit(r, v.BE(r.BE)) {
				return r, rule.why
			}
		}
	}
	return s.mostLoaded(t, mayGo)
}

// mostLoaded picks the replica on the BE with the highest load, among those that share a location if some do.
func (s *Scheduler) mostLoaded(t *Tablet, mayGo func(*Replica) bool) (*Replica, string) {
	v := s.in.View
	var best *Replica
	var bestShared bool
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if !mayGo(r) {
			continue
		}
		be := v.BE(r.BE)
		shared := be != nil && v.sharesPlace(t, be, r)
		if best == nil || shared && !bestShared || shared == bestShared && s.table().score(r.BE) > s.table().score(best.BE) {
			best, bestShared = r, shared
		}
	}
	if best == nil {
		return nil, "no replica can be spared"
	}
	return best, "high load"
}
