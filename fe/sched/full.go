package sched

import (
	"cmp"
	"fmt"
	"slices"

	"stele/meta/types"
)

// A disk below its reserve, or one that has failed, refuses writes. Who leads on it refuses them for the whole tablet, although the other
// replicas could take them: so leaders leave it at once, and replicas that miss versions there are made elsewhere if there is an elsewhere.
// Complete ones leave a full disk by the balance of loads, in which it is as full as can be, and one that has failed as a disk that is being emptied.

// FullDisks are the disks that have refused writes and have not had room since, and since when. The zero value has none.
type FullDisks map[diskKey]int64

// MarkFull marks the disks that are full and returns them; was is what the call before has returned. A disk is full from the moment at which it
// refuses writes until it takes them and is below the soft limit, up to which it may be given replicas: a little room that comes and goes, as
// merges and drops make it, would have its leaders move to and fro. Whoever has forgotten what was full takes a disk in between for one with room.
func MarkFull(bes []BE, was FullDisks, l Limits, nowMs int64) FullDisks {
	var now FullDisks
	for i := range bes {
		for j := range bes[i].Disks {
			d, k := &bes[i].Disks[j], diskKey{bes[i].ID, bes[i].Disks[j].ID}
			since, before := was[k]
			d.Leave = false
			switch {
			case !d.Refuses && (!before || l.below(d, 0)):
				d.FullSinceMs = 0
				continue
			case !before:
				since = nowMs
			}
			d.FullSinceMs = since
			d.Leave = d.Failed && l.AutoFailover && nowMs-since >= l.delayMs(PriorityNormal)
			if now == nil {
				now = FullDisks{}
			}
			now[k] = since
		}
	}
	return now
}

// full reports whether the disk has refused writes and has not had room since.
func (d *Disk) full() bool { return d.FullSinceMs != 0 }

// below reports whether a disk stays below its soft limit with so many bytes more: it is passed only when both the
// share used and the bytes left say so.
func (l *Limits) below(d *Disk, bytes int64) bool {
	left := d.Available - bytes
	if left < 0 {
		return false
	}
	if d.Total <= 0 {
		return true
	}
	used := d.Total - left
	return left >= l.SoftLimitReserve || used*100 <= d.Total*int64(l.SoftLimitPercent)
}

// disk returns the disk of a replica, or nil.
func (v *View) disk(r *Replica) *Disk {
	if be := v.BE(r.BE); be != nil {
		return be.disk(r.Disk)
	}
	return nil
}

// refuses reports whether a replica is on a disk that takes no writes now.
func (v *View) refuses(r *Replica) bool {
	d := v.disk(r)
	return d != nil && d.Refuses
}

// onFull reports whether a replica is on a full disk.
func (v *View) onFull(r *Replica) bool {
	d := v.disk(r)
	return d != nil && d.full()
}

// leadsNothing reports whether all disks of a BE are full, so that it has no leaders.
func (b *BE) leadsNothing() bool {
	return len(b.Disks) > 0 && !slices.ContainsFunc(b.Disks, func(d Disk) bool { return !d.full() })
}

// leadRank orders replicas by how well they could lead, the best first: on a disk that takes writes, where an operator wants leaders, with the
// fewest followers out of reach, on a disk that is not full.
type leadRank [4]int

func (v *View) leadRank(t *Tablet, r *Replica) leadRank {
	be := v.BE(r.BE)
	return leadRank{count01(v.refuses(r)), count01(be == nil || !be.mayLead()), v.unreached(t, r.BE), count01(v.onFull(r))}
}

func count01(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func (a leadRank) compare(b leadRank) int { return slices.Compare(a[:], b[:]) }

// fullDisk is what matters of a full disk: when it changes, every tablet is looked at.
type fullDisk struct {
	diskKey
	refuses, leave bool
}

// noteFull finds out whether disks have become full, or take writes again. What waited after a clone that found no room is tried again then.
func (s *Scheduler) noteFull() bool {
	var now []fullDisk
	for i := range s.in.View.BEs {
		be := &s.in.View.BEs[i]
		for j := range be.Disks {
			if d := &be.Disks[j]; d.full() {
				now = append(now, fullDisk{diskKey{be.ID, d.ID}, d.Refuses, d.Leave})
			}
		}
	}
	if slices.Equal(now, s.full) {
		return false
	}
	s.full = now
	clear(s.hopeless)
	for _, t := range s.pending {
		if n := len(t.Attempts); n > 0 && t.Wait == WaitRetry && t.Attempts[n-1].Kind == FailSpace {
			t.NextMs = 0
		}
	}
	return true
}

// whyWrites is the reason of moves of leaders whose disks refuse writes.
const whyWrites = "the disk of the leader refuses writes"

// checkWrites gives a tablet whose leader's disk refuses writes a leader on a disk that takes them, if there is one, and reports whether it did.
// No other rule moves a leader to a disk that refuses writes while there is one that does not, so there is no way back.
func (s *Scheduler) checkWrites(t *Tablet) bool {
	lead := t.On(t.Leader)
	if lead == nil || !s.in.View.refuses(lead) || !s.in.Limits.AutoFailover || t.Ordered {
		return false
	}
	to := s.leaderFor(t, t.Leader)
	if to == 0 || s.in.View.refuses(t.On(to)) {
		return false
	}
	s.writes = append(s.writes, LeaderMove{Tablet: t.ID, From: t.Leader, To: to, Epoch: t.Epoch})
	s.table().lead(t.Leader, to)
	s.touched[t.ID] = true
	return true
}

// lagsOnFull returns the replica that lags on a disk that refuses writes, where nobody can fill it; nil = there is none.
func (s *Scheduler) lagsOnFull(t *Tablet) *Replica {
	for i := range t.Replicas {
		r := &t.Replicas[i]
		be := s.in.View.BE(r.BE)
		if r.Role != types.RoleLearner && !r.damaged() && !r.Offline && r.LastFailed != 0 && be != nil && be.Alive && s.in.View.refuses(r) {
			return r
		}
	}
	return nil
}

// planOffFull has a replica that lags on a disk that refuses writes, or a learner there, made anew elsewhere, after which the tablet can do
// without it. As after the death of a BE that leaves a majority it waits for a while: with room again the replica takes what it has missed, which
// is less work.
func (s *Scheduler) planOffFull(task *Task, t *Tablet, v Verdict, r *Replica) bool {
	others := slices.DeleteFunc(s.learners(t), func(l *Replica) bool { return l.ID == r.ID })
	wait := s.in.View.disk(r).FullSinceMs + s.in.Limits.delayMs(PriorityNormal) - s.in.NowMs
	if wait > 0 && v.Complete >= v.Want/2+1 && len(others) == 0 {
		s.stuck(task, WaitDestination, fmt.Sprintf("disk %d of be %d refuses writes: the replica is made elsewhere if that lasts", r.Disk, r.BE))
		task.NextMs = s.in.NowMs + min(wait, hopelessMs)
		return true
	}
	for _, l := range others {
		if !s.in.View.refuses(l) {
			return s.planClone(task, t, l)
		}
		r = l // one learner is enough: this one is in the way of the next
	}
	if r.Role != types.RoleLearner {
		return s.planAway(task, t, r)
	}
	if be, why := s.elsewhere(t, r); be == 0 {
		s.noDestination(task, why)
		return true
	}
	return s.planRemove(task, t, r, "its disk refuses writes", false)
}

// planAway has a replica that lags on a disk that refuses writes made anew on another BE. Where none can take it, it moves as it is to another
// disk of its own BE, and gets there what it lacks. A disk that has failed does not let it go, and is not trusted to be read: the replica is given
// up there, as one that is damaged. Of a BE that does not say that its disk has failed, one try of the move is enough to know.
func (s *Scheduler) planAway(task *Task, t *Tablet, r *Replica) bool {
	failed := s.in.View.disk(r).Failed
	if to, _, why := s.destination(t, wants{}); to != 0 || why == noSlot || !failed && task.Local && task.FailedRunning > 0 {
		return s.planNew(task, t, wants{})
	}
	if failed {
		return s.planGiveUp(task, t, r)
	}
	disk, busy := s.roomBeside(s.in.View.BE(r.BE), t, r)
	switch {
	case disk != 0:
		return s.planLocal(task, t, r, disk)
	case busy:
		s.waitForMove(task)
		return true
	}
	return s.planNew(task, t, wants{})
}

// planGiveUp removes a replica that lags on a disk that has failed, where another disk of its BE can take a new one.
func (s *Scheduler) planGiveUp(task *Task, t *Tablet, r *Replica) bool {
	be, why := s.elsewhere(t, r)
	switch {
	case s.in.View.copies(t) == 0:
		s.stuck(task, WaitSource, "no complete replica on a live backend")
		return true
	case be == 0:
		s.noDestination(task, why)
		return true
	}
	return s.planRemove(task, t, r, "its disk has failed", false)
}

// planOffFailed has a complete replica leave a disk that has failed: while the tablet is not written to it does not lag, so nothing else would, and a
// tablet of which it is the only replica could not be written again. It is made on another BE, after which it is redundant here. Where none can take
// it, it moves to another disk of its own BE; if the failed disk does not give it, and a majority is left, it is given up and made anew there.
func (s *Scheduler) planOffFailed(task *Task, t *Tablet, r *Replica) bool {
	to, _, why := s.destination(t, wants{})
	if to != 0 || why == noSlot {
		return s.planNew(task, t, wants{})
	}
	if task.Local && task.FailedRunning > 0 && s.in.View.copies(t) > t.Want/2+1 {
		return s.planGiveUp(task, t, r)
	}
	disk, busy := s.roomBeside(s.in.View.BE(r.BE), t, r)
	switch {
	case disk != 0:
		return s.planLocal(task, t, r, disk)
	case busy:
		s.waitForMove(task)
		return true
	}
	s.noDestination(task, why)
	return true
}

// learners lists the replicas in the making that can be completed where they are, now or once their disks take writes again.
func (s *Scheduler) learners(t *Tablet) []*Replica {
	var out []*Replica
	for i := range t.Replicas {
		if r := &t.Replicas[i]; r.Role == types.RoleLearner && !s.reserved(t, r) && s.mayGoOn(r) {
			out = append(out, r)
		}
	}
	return out
}

// elsewhere returns the BE that could be given a replica in the place of r, which may be the same one on another disk; 0 = none, and why.
func (s *Scheduler) elsewhere(t *Tablet, r *Replica) (types.BEID, string) {
	rest := *t
	rest.Replicas = slices.DeleteFunc(slices.Clone(t.Replicas), func(o Replica) bool { return o.ID == r.ID })
	be, _, why := s.destination(&rest, wants{})
	return be, why
}

// leftOut lists the BEs that have complete replicas of tablets in scope and are given no leaders of them, as the disks refuse writes or have had
// no room since; by id.
func (v *View) leftOut(scope LeaderScope) []types.BEID {
	var out []types.BEID
	for i := range v.Tablets {
		t := &v.Tablets[i]
		if len(out) == len(v.BEs) || !scope.has(t) || scope.Tablet != 0 && scope.Tablet != t.ID {
			continue
		}
		for j := range t.Replicas {
			if r := &t.Replicas[j]; v.onFull(r) && !slices.Contains(out, r.BE) {
				out = append(out, r.BE)
			}
		}
	}
	slices.SortFunc(out, cmp.Compare[types.BEID])
	return out
}
