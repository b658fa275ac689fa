package sched

import (
	"cmp"
	"fmt"

	"stele/meta/types"
)

// noSlot is the reason of a choice that found only busy disks.
const noSlot = "no free slot"

// source picks the copy to clone from: on a live BE other than dest, with a free slot, on the least busy disk.
func (s *Scheduler) source(t *Tablet, dest types.BEID, balance bool) (*Replica, string) {
	var best *Replica
	why := "no complete replica on a live backend"
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if r.BE == dest || !s.in.View.isCopy(r) {
			continue
		}
		if !s.slots.free(r.BE, r.Disk, balance) {
			why = noSlot
			continue
		}
		if best == nil || s.busier(best, r) {
			best = r
		}
	}
	return best, why
}

func (s *Scheduler) busier(a, b *Replica) bool {
	return cmp.Or(cmp.Compare(s.slots.busy(a.BE, a.Disk), s.slots.busy(b.BE, b.Disk)), cmp.Compare(a.BE, b.BE)) > 0
}

// destination picks where a new replica goes: the available BE without one that has the lowest load, on another host
// than the other replicas if there is one, on its disk of the right medium with the most room. A disk of another
// medium is better than no replica.
func (s *Scheduler) destination(t *Tablet) (types.BEID, types.DiskID, string) {
	if s.full {
		return 0, 0, noSlot
	}
	var tally refusals
	for _, strict := range [...]bool{true, false} {
		tally = refusals{busy: tally.busy}
		var second types.BEID
		var secondDisk types.DiskID
		for _, id := range s.table().order {
			be := s.in.View.BE(id)
			if be == nil || !s.mayHold(t, be, &tally) {
				continue
			}
			disk, ok := s.disk(be, t, strict, false, &tally)
			if !ok {
				continue
			}
			if !s.sharesHost(t, be) {
				return id, disk, ""
			}
			if second == 0 {
				second, secondDisk = id, disk
			}
		}
		if second != 0 {
			return second, secondDisk, ""
		}
	}
	if tally.busy > 0 {
		s.full = !s.anySlot()
		return 0, 0, noSlot
	}
	return 0, 0, tally.String()
}

// refusals counts why BEs and disks were passed over.
type refusals struct {
	dead, leaving, holds, nodisk, filled, busy int
}

func (r refusals) String() string {
	return fmt.Sprintf("of the backends %d are not alive, %d are decommissioned, %d hold a replica, %d have no online disk, %d are full",
		r.dead, r.leaving, r.holds, r.nodisk, r.filled)
}

// anySlot reports whether any available BE has a disk with a free repair slot.
func (s *Scheduler) anySlot() bool {
	for i := range s.in.View.BEs {
		be := &s.in.View.BEs[i]
		for j := range be.Disks {
			if be.Available() && be.Disks[j].State == types.DiskOnline && s.slots.free(be.ID, be.Disks[j].ID, false) {
				return true
			}
		}
	}
	return false
}

func (s *Scheduler) mayHold(t *Tablet, be *BE, tally *refusals) bool {
	switch {
	case !be.Alive:
		tally.dead++
	case be.Decommissioned:
		tally.leaving++
	case t.On(be.ID) != nil:
		tally.holds++
	default:
		return true
	}
	return false
}

// sharesHost reports whether a BE is on the host of a replica's BE.
func (s *Scheduler) sharesHost(t *Tablet, be *BE) bool {
	for i := range t.Replicas {
		if other := s.in.View.BE(t.Replicas[i].BE); other != nil && other.Host == be.Host {
			return true
		}
	}
	return false
}

// disk picks the disk with the most room among those that fit and have a slot. strict asks for the right medium.
func (s *Scheduler) disk(be *BE, t *Tablet, strict, balance bool, tally *refusals) (types.DiskID, bool) {
	var best *Disk
	online, fits := false, false
	for i := range be.Disks {
		d := &be.Disks[i]
		if d.State != types.DiskOnline || strict && d.Medium != t.Medium {
			continue
		}
		online = true
		if !s.fits(d, t.Bytes()) {
			continue
		}
		fits = true
		if !s.slots.free(be.ID, d.ID, balance) {
			continue
		}
		if best == nil || d.Available > best.Available {
			best = d
		}
	}
	switch {
	case best != nil:
		return best.ID, true
	case fits:
		tally.busy++
	case online:
		tally.filled++
	default:
		tally.nodisk++
	}
	return 0, false
}

// fits reports whether a disk stays below its soft limit with so many bytes more: it is passed only when both the
// share used and the bytes left say so.
func (s *Scheduler) fits(d *Disk, bytes int64) bool {
	left := d.Available - bytes
	if left < 0 {
		return false
	}
	if d.Total <= 0 {
		return true
	}
	used := d.Total - left
	return left >= s.in.Limits.SoftLimitReserve || used*100 <= d.Total*int64(s.in.Limits.SoftLimitPercent)
}

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
		{"version incomplete", func(r *Replica, _ *BE) bool { return r.LastFailed != 0 }},
		{"backend decommissioned", func(_ *Replica, be *BE) bool { return be.Decommissioned }},
		{"src replica of rebalance", func(r *Replica, _ *BE) bool { return s.moved[t.ID] == r.ID }},
	}
	mayGo := func(r *Replica) bool {
		if r.Role == types.RoleLearner {
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

// mostLoaded picks the replica on the BE with the highest load, among those that share a host if some do.
func (s *Scheduler) mostLoaded(t *Tablet, mayGo func(*Replica) bool) (*Replica, string) {
	var best *Replica
	var bestShared bool
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if !mayGo(r) {
			continue
		}
		shared := s.hostShared(t, r)
		if best == nil || shared && !bestShared || shared == bestShared && s.table().score(r.BE) > s.table().score(best.BE) {
			best, bestShared = r, shared
		}
	}
	if best == nil {
		return nil, "no replica can be spared"
	}
	return best, "high load"
}

// hostShared reports whether another replica is on the same host.
func (s *Scheduler) hostShared(t *Tablet, r *Replica) bool {
	be := s.in.View.BE(r.BE)
	for i := range t.Replicas {
		o := &t.Replicas[i]
		if other := s.in.View.BE(o.BE); o != r && be != nil && other != nil && other.Host == be.Host {
			return true
		}
	}
	return false
}
