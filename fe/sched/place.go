package sched

import (
	"cmp"
	"fmt"
	"slices"

	"stele/meta/types"
)

// noSlot is the reason of a choice that found only busy disks.
const noSlot = "no free slot"

func (s *Scheduler) busier(a, b *Replica) bool {
	return cmp.Or(cmp.Compare(s.slots.out(a.BE, a.Disk), s.slots.out(b.BE, b.Disk)),
		cmp.Compare(s.slots.busy(a.BE, a.Disk), s.slots.busy(b.BE, b.Disk)), cmp.Compare(a.BE, b.BE)) > 0
}

// destination picks where a new replica goes. Where BEs are cut from those that have the tablet, one that reaches them all is better than one
// that does not, and waiting for a slot of it as well; but a location of its own comes first, as it would be given one later.
func (s *Scheduler) destination(t *Tablet, w wants) (be types.BEID, disk types.DiskID, why string) {
	if !s.in.View.nearCut(t) {
		return s.placeFor(t, w)
	}
	for _, try := range [...]wants{{place: true, reach: true}, {place: true}, {reach: true}, {}} {
		if w.place && !try.place {
			break
		}
		try.medium = w.medium
		if be, disk, why = s.placeFor(t, try); be != 0 || why == noSlot {
			break
		}
	}
	return be, disk, why
}

// placeFor is destination with no more and no less than is wanted: the available BE without one that has the lowest load, in another location
// and on another host than the other replicas if there is one, on its disk of the right medium with the most room. A disk
// of another medium is better than no replica, unless the replica is made for the medium's sake (strict). Only BEs with
// a free slot are gone through (openBEs), so that a long queue costs little.
func (s *Scheduler) placeFor(t *Tablet, w wants) (types.BEID, types.DiskID, string) {
	candidates := s.openBEs()
	if len(t.Assigned) > 0 {
		candidates = t.Assigned
	}
	var tally refusals
	for _, strict := range [...]bool{true, false} {
		if !strict && w.medium {
			break
		}
		tally = refusals{busy: tally.busy}
		if idle := s.idle; len(t.Assigned) == 0 && len(idle) > 0 {
			if be, disk := s.bestDestination(t, idle, strict, wants{place: true, reach: w.reach}, &tally); be != 0 {
				return be, disk, ""
			}
		}
		if be, disk := s.bestDestination(t, candidates, strict, w, &tally); be != 0 {
			return be, disk, ""
		}
	}
	if tally.busy > 0 {
		return 0, 0, noSlot
	}
	return s.whyNowhere(t, w)
}

// bestDestination goes through candidates by load. The first in a location of its own wins at once.
func (s *Scheduler) bestDestination(t *Tablet, candidates []types.BEID, strict bool, w wants, tally *refusals) (types.BEID, types.DiskID) {
	var best [2]types.BEID
	var disks [2]types.DiskID
	for _, id := range candidates {
		be := s.in.View.BE(id)
		if be == nil || !s.mayHold(t, be, w, tally) {
			continue
		}
		disk, ok := s.disk(be, t, strict, false, tally)
		if !ok {
			continue
		}
		rank := 0
		switch {
		case w.place && s.in.View.sharesPlace(t, be, nil):
			tally.holds++
			continue
		case !s.in.View.sharesPlace(t, be, nil):
			return id, disk
		case s.in.View.sharesHost(t, be, nil):
			rank = 1
		}
		if best[rank] == 0 {
			best[rank], disks[rank] = id, disk
		}
	}
	if best[0] != 0 {
		return best[0], disks[0]
	}
	return best[1], disks[1]
}

// whyNowhere tells a tablet that waits for a slot from one that no BE can take: it goes through all BEs.
func (s *Scheduler) whyNowhere(t *Tablet, w wants) (types.BEID, types.DiskID, string) {
	var tally refusals
	for _, strict := range [...]bool{true, false} {
		if !strict && w.medium {
			break
		}
		tally = refusals{busy: tally.busy}
		for i := range s.in.View.BEs {
			be := &s.in.View.BEs[i]
			if len(t.Assigned) > 0 && !assignedTo(t, be.ID) || !s.mayHold(t, be, w, &tally) {
				continue
			}
			if w.place && s.in.View.sharesPlace(t, be, nil) {
				tally.holds++
				continue
			}
			s.disk(be, t, strict, false, &tally)
			if tally.busy > 0 {
				return 0, 0, noSlot
			}
		}
	}
	return 0, 0, tally.String()
}

// openBEs lists the available BEs with a free repair slot, by load, and in idle those with a disk that receives nothing.
// A BE whose last slot is taken leaves the lists.
func (s *Scheduler) openBEs() []types.BEID {
	if s.open == nil {
		s.open = make([]types.BEID, 0, len(s.in.View.BEs))
		s.idle = make([]types.BEID, 0, len(s.in.View.BEs))
		for _, id := range s.table().order {
			be := s.in.View.BE(id)
			if be == nil || !be.Available() || !s.hasSlot(be) {
				continue
			}
			s.open = append(s.open, id)
			if s.receivesNothing(be) {
				s.idle = append(s.idle, id)
			}
		}
	}
	return s.open
}

// closeFull takes a BE off the lists that it no longer belongs on.
func (s *Scheduler) closeFull(id types.BEID) {
	be := s.in.View.BE(id)
	if i := slices.Index(s.open, id); i >= 0 && (be == nil || !s.hasSlot(be)) {
		s.open = slices.Delete(s.open, i, i+1)
	}
	if i := slices.Index(s.idle, id); i >= 0 && (be == nil || !s.receivesNothing(be)) {
		s.idle = slices.Delete(s.idle, i, i+1)
	}
}

// receivesNothing reports whether an online disk of a BE has a free slot and no clone comes in on it.
func (s *Scheduler) receivesNothing(be *BE) bool {
	for j := range be.Disks {
		d := &be.Disks[j]
		if d.State == types.DiskOnline && s.slots.free(be.ID, d.ID, false) && s.slots.in(be.ID, d.ID) == 0 {
			return true
		}
	}
	return false
}

func (s *Scheduler) hasSlot(be *BE) bool {
	for j := range be.Disks {
		if be.Disks[j].State == types.DiskOnline && s.slots.free(be.ID, be.Disks[j].ID, false) {
			return true
		}
	}
	return false
}

// refusals counts why BEs and disks were passed over.
type refusals struct {
	dead, leaving, holds, cut, nodisk, filled, busy int
}

func (r refusals) String() string {
	text := fmt.Sprintf("of the backends %d are not alive, %d are decommissioned, %d hold a replica, %d have no online disk, %d are full",
		r.dead, r.leaving, r.holds, r.nodisk, r.filled)
	if r.cut > 0 {
		text += fmt.Sprintf(", %d do not reach a copy", r.cut)
	}
	return text
}

func (s *Scheduler) mayHold(t *Tablet, be *BE, w wants, tally *refusals) bool {
	switch {
	case !be.Alive:
		tally.dead++
	case be.Decommissioned:
		tally.leaving++
	case t.On(be.ID) != nil:
		tally.holds++
	case w.reach && s.in.View.unreached(t, be.ID) > 0 || !s.in.View.reachesCopy(t, be.ID):
		tally.cut++
	default:
		return true
	}
	return false
}

// disk picks the disk with the most room among those that fit and have a slot. strict asks for the right medium.
func (s *Scheduler) disk(be *BE, t *Tablet, strict, balance bool, tally *refusals) (types.DiskID, bool) {
	var best *Disk
	online, fits, bytes := false, false, t.Bytes()
	for i := range be.Disks {
		d := &be.Disks[i]
		if d.State != types.DiskOnline || strict && d.Medium != t.Medium {
			continue
		}
		online = true
		if !s.fits(d, bytes) {
			continue
		}
		fits = true
		if !s.slots.mayTake(be.ID, d.ID, balance, bytes, true) {
			continue
		}
		if best == nil || s.roomier(be.ID, d, best) {
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

// roomier prefers the disk that receives less now, for a disk sends and receives at once but does two of a kind no
// faster than one; then the one with more room.
func (s *Scheduler) roomier(be types.BEID, a, b *Disk) bool {
	return cmp.Or(cmp.Compare(s.slots.in(be, a.ID), s.slots.in(be, b.ID)), cmp.Compare(b.Available, a.Available)) < 0
}

// fits reports whether a disk has room for so many bytes more.
func (s *Scheduler) fits(d *Disk, bytes int64) bool { return !d.full() && s.in.Limits.below(d, bytes) }
