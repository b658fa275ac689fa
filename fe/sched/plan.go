package sched

import (
	"fmt"

	"stele/meta/types"
)

// plan tries to do something for one pending task; false when it is no longer pending.
func (s *Scheduler) plan(task *Task) bool {
	task.LastVisitMs = s.in.NowMs
	t := s.tablet(task)
	if t == nil {
		s.end(task, Cancelled, "tablet is gone")
		return false
	}
	v := Health(t, s.in.View, s.clock())
	s.recount(task, v.Copies)
	task.VisibleVersion, task.CommittedVersion = t.Version, t.Version
	if v.Status == Healthy {
		s.end(task, Finished, "healthy again before anything was done")
		return false
	}
	if s.delayed(t, v) {
		s.end(task, Cancelled, "a dead backend may come back: it is too early")
		return false
	}
	if !mayRepair(t, v, s.in.Limits.AutoFailover) {
		s.end(task, Cancelled, "auto_failover is off, and nobody has ordered it")
		return false
	}
	s.reprioritise(task, v)
	task.Err = ""
	if t.Ordered {
		return s.planOrdered(task, t)
	}
	switch v.Status {
	case Redundant, ColocateRedundant:
		if v.Status == ColocateRedundant && v.Assigned.damaged > 0 {
			return s.planDropDamaged(task, t, v)
		}
		return s.planDrop(task, t)
	case ForceRedundant:
		return s.planDropDamaged(task, t, v)
	case VersionIncomplete:
		return s.planInPlace(task, t, v)
	case NeedFurtherRepair:
		return s.planExtra(task, t)
	case DiskMigration:
		return s.planDiskMove(task, t, v)
	default:
		return s.planCopy(task, t, v)
	}
}

// planCopy makes a missing or relocating tablet one replica richer: a damaged one goes first, so that its place and
// its vote are free; then what is half there is completed; then a new one is begun.
func (s *Scheduler) planCopy(task *Task, t *Tablet, v Verdict) bool {
	if v.Damaged > 0 && v.Copies > 0 {
		return s.planDropDamaged(task, t, v)
	}
	if v.Copies == 0 {
		s.stuck(task, WaitSource, "no complete replica on a live backend")
		return true
	}
	if s.lagging(t) != nil {
		return s.planInPlace(task, t, v)
	}
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if r.Role != types.RoleLearner || s.reserved(t, r) {
			continue
		}
		switch be := s.in.View.BE(r.BE); {
		case s.mayGoOn(r) && s.in.View.refuses(r):
			return s.planOffFull(task, t, v, r)
		case s.mayGoOn(r):
			return s.planClone(task, t, r)
		case be == nil || !be.Unknown:
			return s.planRemove(task, t, r, "its backend cannot go on with it", false)
		}
	}
	moves := v.Status == ReplicaRelocating || v.Status == LocationMismatch
	return s.planNew(task, t, wants{place: v.Status == LocationMismatch, medium: moves && s.in.Limits.StrictMedium})
}

// mayGoOn reports whether what a learner has can be completed where it is, now or once its disk takes writes again.
func (s *Scheduler) mayGoOn(r *Replica) bool {
	be := s.in.View.BE(r.BE)
	return be != nil && be.Available() && !r.damaged()
}

// planDiskMove takes a replica off its disk: to another disk of the same BE, or, where there is none, by a new replica on
// another BE, after which it is redundant.
func (s *Scheduler) planDiskMove(task *Task, t *Tablet, v Verdict) bool {
	if v.Learners > 0 || v.Damaged > 0 {
		return s.planCopy(task, t, v)
	}
	view, busy := s.in.View, false
	for i := range t.Replicas {
		r := &t.Replicas[i]
		be := view.BE(r.BE)
		if be == nil || !be.Available() || !view.isCopy(r) || view.diskStays(t, r, be) {
			continue
		}
		if view.disk(r).Leave {
			return s.planOffFailed(task, t, r)
		}
		disk, wait := s.roomBeside(be, t, r)
		if disk == 0 {
			busy = busy || wait
			continue
		}
		return s.planLocal(task, t, r, disk)
	}
	if busy {
		s.waitForMove(task)
		return true
	}
	return s.planNew(task, t, wants{medium: true})
}

// roomBeside picks the disk of its own BE that a replica can move to now; 0 = none, and busy says that one has room but a slot is missing.
func (s *Scheduler) roomBeside(be *BE, t *Tablet, r *Replica) (disk types.DiskID, busy bool) {
	var tally refusals
	disk, ok := s.otherDisk(be, t, r, false, &tally)
	if ok && s.slots.free(be.ID, r.Disk, false) {
		return disk, false
	}
	return 0, ok || tally.busy > 0
}

// planLocal starts a move to another disk of the same BE.
func (s *Scheduler) planLocal(task *Task, t *Tablet, r *Replica, disk types.DiskID) bool {
	if s.taskNext >= s.taskEnd {
		s.wait(task, 0, WaitIDs, "no task ids yet")
		return true
	}
	s.moveLocally(task, t, r, disk, false)
	return false
}

func (s *Scheduler) waitForMove(task *Task) {
	s.wait(task, slotMs, WaitSlot, "path busy, wait for next round: no free slot on the disks of the move")
}

// otherDisk picks the disk of a BE that a replica may move to.
func (s *Scheduler) otherDisk(be *BE, t *Tablet, r *Replica, balance bool, tally *refusals) (types.DiskID, bool) {
	elsewhere := *be
	elsewhere.Disks = make([]Disk, 0, len(be.Disks))
	for _, d := range be.Disks {
		if d.ID != r.Disk {
			elsewhere.Disks = append(elsewhere.Disks, d)
		}
	}
	if disk, ok := s.disk(&elsewhere, t, true, balance, tally); ok {
		return disk, true
	}
	if d := be.disk(r.Disk); d == nil || d.State == types.DiskOnline || be.has(t.Medium) {
		return 0, false // it may stay where it is until there is room on the right medium
	}
	return s.disk(&elsewhere, t, false, balance, tally)
}

// moveLocally starts a clone from one disk of a BE to another; the replica stays what it is.
func (s *Scheduler) moveLocally(task *Task, t *Tablet, r *Replica, disk types.DiskID, balance bool) {
	spec := s.spec(t, r, disk, balance)
	task.ID, task.DestBE, task.Replica, task.Local = s.drawTask(), r.BE, r.ID, true
	s.start(task, spec)
	s.act(Action{Kind: ActClone, Tablet: t.ID, Replica: r.ID, BE: r.BE, Disk: disk, Task: task.ID, Epoch: t.Epoch, Clone: spec,
		Why: task.Status.String()})
}

// lagging returns the replica to be repaired in place, where writes are taken: the one that lacks least, for it is a copy soonest.
func (s *Scheduler) lagging(t *Tablet) *Replica {
	var best *Replica
	for i := range t.Replicas {
		r := &t.Replicas[i]
		be := s.in.View.BE(r.BE)
		if r.Role == types.RoleLearner || r.damaged() || r.Offline || r.LastFailed == 0 || be == nil || !be.Alive || s.in.View.refuses(r) {
			continue
		}
		if best == nil || r.Version > best.Version || r.Version == best.Version && r.LastFailed < best.LastFailed {
			best = r
		}
	}
	return best
}

func (s *Scheduler) planInPlace(task *Task, t *Tablet, v Verdict) bool {
	r := s.lagging(t)
	if r == nil {
		if r := s.lagsOnFull(t); r != nil {
			return s.planOffFull(task, t, v, r)
		}
		s.stuck(task, WaitBackend, "the replica that lags is on a backend that does not answer")
		return true
	}
	return s.planClone(task, t, r)
}

// planExtra finishes a learner that the tablet could do without: it is nearly done, or was begun for balance.
func (s *Scheduler) planExtra(task *Task, t *Tablet) bool {
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if r.Role != types.RoleLearner || s.reserved(t, r) || !s.mayGoOn(r) {
			continue
		}
		if task.FailedRunning >= failuresToMove || s.in.Limits.DisableBalance || s.in.View.refuses(r) {
			return s.planRemove(task, t, r, "it is not needed", false)
		}
		return s.planClone(task, t, r)
	}
	s.stuck(task, WaitBackend, "the replica in the making is on a backend that does not answer")
	return true
}

// planClone starts a clone to a replica that is there.
func (s *Scheduler) planClone(task *Task, t *Tablet, dest *Replica) bool {
	if dest.Offline { // whatever else asks for it: a clone would be given up at once
		s.stuck(task, WaitBackend, "the replica was set aside: recovertable brings it back")
		return true
	}
	if m := s.fulls[t.ID]; m.be == dest.BE && m.count >= 2 && s.in.NowMs < m.ms+s.in.Limits.FullCloneDelayMs {
		s.wait(task, m.ms+s.in.Limits.FullCloneDelayMs-s.in.NowMs, WaitDelay, "consecutive full clone needs to delay")
		return true
	}
	if !s.slots.free(dest.BE, dest.Disk, false) {
		s.wait(task, slotMs, WaitSlot, fmt.Sprintf("path busy, wait for next round: no slot on be %d disk %d", dest.BE, dest.Disk))
		return true
	}
	src := s.ready(task, t, dest.BE)
	if src == nil {
		return true
	}
	if task.last != 0 && task.lastBE == dest.BE { // an outcome of it may have been lost: never two at a time
		s.out.Actions = append(s.out.Actions, Action{Kind: ActCancel, Tablet: t.ID, Task: task.last, BE: dest.BE, Why: "tried again"})
	}
	spec := s.spec(t, src, dest.Disk, false)
	task.ID, task.DestBE, task.Replica, task.Local = s.drawTask(), dest.BE, dest.ID, false
	s.start(task, spec)
	s.act(Action{Kind: ActClone, Tablet: t.ID, Replica: dest.ID, BE: dest.BE, Task: task.ID, Epoch: t.Epoch, Clone: spec, Why: task.Status.String()})
	return false
}

// wants says what a new replica is made for: then nothing less will do.
type wants struct {
	medium bool // a disk of the tablet's medium
	place  bool // a location without a replica
	reach  bool // a BE that reaches all replicas
}

// planNew begins a new replica on another BE.
func (s *Scheduler) planNew(task *Task, t *Tablet, w wants) bool {
	src := s.ready(task, t, 0)
	if src == nil {
		return true
	}
	be, disk, why := s.destination(t, w)
	if be == 0 {
		s.noDestination(task, why)
		return true
	}
	if s.in.View.cut(src.BE, be) {
		if src, _ = s.source(task, t, be, false); src == nil {
			s.wait(task, slotMs, WaitSlot, "path busy, wait for next round: no source disk that the destination reaches has a free slot")
			return true
		}
	}
	s.addAndClone(task, t, src, be, disk, false)
	return false
}

// addAndClone adds a learner and starts the clone to it.
func (s *Scheduler) addAndClone(task *Task, t *Tablet, src *Replica, be types.BEID, disk types.DiskID, balance bool) {
	spec := s.spec(t, src, disk, balance)
	task.ID, task.DestBE, task.Replica, task.Local = s.drawTask(), be, 0, false
	s.start(task, spec)
	s.table().bump(be, t.Medium, t.Bytes(), 1)
	s.act(Action{Kind: ActAdd, Tablet: t.ID, BE: be, Disk: disk, Task: task.ID, Epoch: t.Epoch, Clone: spec, Why: task.Status.String()})
}

func (s *Scheduler) spec(t *Tablet, src *Replica, disk types.DiskID, balance bool) CloneSpec {
	return CloneSpec{SourceBE: src.BE, SourceDisk: src.Disk, DestDisk: disk, Version: t.Version, Medium: t.Medium,
		StallMs: s.in.Limits.StallMs, TimeoutMs: s.in.Limits.timeoutMs(t.Bytes()), Balance: balance}
}

func (s *Scheduler) drawTask() types.TaskID {
	id := s.taskNext
	s.taskNext++
	return id
}

// ready returns the source of a clone that could begin now; nil = the task waits, and says for what.
func (s *Scheduler) ready(task *Task, t *Tablet, dest types.BEID) *Replica {
	src, why := s.source(task, t, dest, false)
	if src == nil {
		s.noSource(task, why)
		return nil
	}
	if s.taskNext >= s.taskEnd {
		s.wait(task, 0, WaitIDs, "no task ids yet")
		return nil
	}
	return src
}

// noSource tells a tablet that waits for a slot from one that cannot be helped.
func (s *Scheduler) noSource(task *Task, why string) {
	if why == noSlot {
		s.wait(task, slotMs, WaitSlot, "path busy, wait for next round: no source disk has a free slot")
		return
	}
	s.stuck(task, WaitSource, "unable to find source replica: "+why)
}

// noDestination tells a tablet that waits for a slot from one that no disk can take.
func (s *Scheduler) noDestination(task *Task, why string) {
	if why == noSlot {
		s.wait(task, slotMs, WaitSlot, "path busy, wait for next round: no destination disk has a free slot")
		return
	}
	s.stuck(task, WaitDestination, "unable to find dest path for new replica: "+why)
}

// planDrop removes the replica that a tablet can best do without.
func (s *Scheduler) planDrop(task *Task, t *Tablet) bool {
	for i := range t.Replicas {
		r := &t.Replicas[i]
		be := s.in.View.BE(r.BE)
		if r.Role == types.RoleLearner && !s.reserved(t, r) && (be == nil || be.dead() || be.Decommissioned || r.damaged()) {
			return s.planRemove(task, t, r, "its backend cannot go on with it", true)
		}
	}
	r, why := s.victim(t)
	if r == nil {
		s.stuck(task, WaitSource, "unable to delete any redundant replicas: "+why)
		return true
	}
	return s.planRemove(task, t, r, why, true)
}

// planDropDamaged removes a replica whose data is damaged or gone.
func (s *Scheduler) planDropDamaged(task *Task, t *Tablet, v Verdict) bool {
	if v.Copies == 0 {
		s.stuck(task, WaitSource, "a replica is damaged, and no other complete one is on a live backend")
		return true
	}
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if be := s.in.View.BE(r.BE); (r.Role != types.RoleLearner || r.Offline) && (r.damaged() || be == nil) { // as Health counts them
			why := "replica is bad"
			if be == nil {
				why = "backend dropped"
			} else if r.Lost {
				why = "backend has lost it"
			}
			return s.planRemove(task, t, r, why, false)
		}
	}
	panic(fmt.Sprintf("BUG: tablet %d counts a damaged replica and has none", t.ID))
}

// planRemove drops a replica. ends says that this is all the task is for; else it goes on in the next Step.
func (s *Scheduler) planRemove(task *Task, t *Tablet, r *Replica, why string, ends bool) bool {
	s.drop(t, r, why)
	if ends {
		s.end(task, Finished, "redundant replica is deleted: "+why)
		return false
	}
	task.NextMs, task.Wait, task.WaitSinceMs = 0, WaitNone, 0
	return true
}

// drop removes a replica. Every drop but that of a learner passes the check of S1 here.
func (s *Scheduler) drop(t *Tablet, r *Replica, why string) {
	left := s.in.View.copies(t)
	if s.in.View.isCopy(r) {
		left--
	}
	if r.Role != types.RoleLearner && left < 1 {
		panic(fmt.Sprintf("BUG: tablet %d: dropping replica %d leaves no copy", t.ID, r.ID))
	}
	a := Action{Kind: ActDrop, Tablet: t.ID, Replica: r.ID, BE: r.BE, Epoch: t.Epoch, Why: why}
	if t.Leader == r.BE {
		a.NewLeader = s.leaderFor(t, r.BE)
	}
	delete(s.moved, t.ID)
	s.table().bump(r.BE, t.Medium, -weight(t, r), -1)
	s.act(a)
	s.stats.Dropped++
}
