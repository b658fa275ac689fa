package sched

import (
	"math"
	"slices"

	"stele/meta/types"
)

// Pauses of the queue, in milliseconds.
const (
	retryMs       = 1_000   // after a first failure; doubles
	retryMaxMs    = 300_000 // the longest pause
	hopelessMs    = 10_000  // until a tablet that cannot be helped is looked at again
	slotMs        = 1_000   // until a tablet that waits for a slot is looked at again, unless one comes free
	adjustMs      = 300_000 // between two changes of priority
	queueSlack    = 1024    // tasks beyond twice the bound before a scan trims the queue
	failuresToLow = 5       // more failed attempts than this lower the priority
)

// admit puts a tablet into the queue.
func (s *Scheduler) admit(t *Tablet, v Verdict) {
	task := &Task{Tablet: t.ID, Medium: t.Medium, Status: v.Status, OrigPrio: v.Priority, DynmPrio: v.Priority, Copies: v.Copies,
		Size: t.Bytes(), CreatedMs: s.in.NowMs, VisibleVersion: t.Version, CommittedVersion: t.Version}
	s.recall(task)
	if s.known(t.ID, v) {
		task.Hopeless = true
	}
	s.tasks[t.ID] = task
	s.pending, s.unsorted = append(s.pending, task), true
	if len(s.pending) >= 2*s.in.Limits.MaxScheduling+queueSlack {
		s.trimQueue() // a scan may find far more than fits
	}
	s.stats.Added++
	s.stats.ByStatus[v.Status]++
}

// Tablets that could not be helped and had no room in the queue: how many are remembered, and for how long.
const (
	hopelessMax     = 100_000
	hopelessKnownMs = 300_000
)

// known reports whether a tablet that comes into the queue cannot be helped as far as is known: it must not take the place of
// one that can, however urgent it looks.
func (s *Scheduler) known(id types.TabletID, v Verdict) bool {
	return v.Copies == 0 && !v.Status.drops() || s.hopeless[id] > s.in.NowMs
}

// forget takes a task out of the queue that has no room. A later scan finds its tablet again.
func (s *Scheduler) forget(t *Task) {
	delete(s.tasks, t.Tablet)
	if t.Hopeless && s.hopeless[t.Tablet] <= s.in.NowMs {
		if len(s.hopeless) >= hopelessMax {
			clear(s.hopeless)
		}
		s.hopeless[t.Tablet] = s.in.NowMs + hopelessKnownMs
	}
}

// trimQueue sorts the queue and keeps it within its bound: those that cannot be helped go first, then the least
// urgent. A later scan finds them again.
func (s *Scheduler) trimQueue() {
	if s.unsorted {
		slices.SortFunc(s.pending, order)
		s.unsorted = false
	}
	over := len(s.pending) - s.in.Limits.MaxScheduling
	if over <= 0 {
		return
	}
	hopeless := 0
	for _, t := range s.pending {
		if t.Hopeless {
			hopeless++
		}
	}
	keepHopeless := max(0, hopeless-over)
	over = max(0, over-hopeless)
	s.overflow = s.overflow || over > 0
	keep, sound := s.pending[:0], len(s.pending)-hopeless-over
	for _, t := range s.pending {
		room := &sound
		if t.Hopeless {
			room = &keepHopeless
		}
		if *room <= 0 {
			s.forget(t)
			continue
		}
		*room--
		keep = append(keep, t)
	}
	clear(s.pending[len(keep):])
	s.pending = keep
}

// reprioritise takes over a new verdict on a tablet that is in the queue already.
func (s *Scheduler) reprioritise(task *Task, v Verdict) {
	s.recount(task, v.Copies)
	if task.State != Pending || v.Status == Healthy {
		return
	}
	if v.Priority > task.OrigPrio || v.Status != task.Status {
		task.OrigPrio, task.DynmPrio, s.unsorted = v.Priority, v.Priority, true
		task.FailedSched, task.LastAdjPrioMs, task.NextMs = 0, 0, 0
	}
	task.Status = v.Status
	if task.Err == "" || task.Hopeless {
		task.NextMs = 0 // something has changed: look at once
	}
}

// recount notes how many copies a tablet has.
func (s *Scheduler) recount(task *Task, copies int) {
	s.unsorted = s.unsorted || task.Copies != copies
	task.Copies = copies
}

// adjust moves the priority of a task that has waited for long one step up, of one that keeps failing one step down.
func (s *Scheduler) adjust(t *Task) {
	now := s.in.NowMs
	if t.LastAdjPrioMs == 0 {
		t.LastAdjPrioMs = now
		return
	}
	if t.FailedSched > failuresToLow && now-t.LastAdjPrioMs >= adjustMs && t.DynmPrio > PriorityLow {
		if t.OrigPrio != PriorityVeryHigh || t.DynmPrio > PriorityNormal {
			t.DynmPrio, s.unsorted = t.DynmPrio-1, true
			s.stats.Downgraded++
		}
		t.FailedSched, t.LastAdjPrioMs = 0, now
		return
	}
	if since := max(t.LastSchedMs, t.LastAdjPrioMs, t.CreatedMs); now-since >= s.in.Limits.MaxNotScheduledMs && t.DynmPrio < PriorityVeryHigh {
		if t.OrigPrio != PriorityLow || t.DynmPrio < PriorityHigh {
			t.DynmPrio, s.unsorted = t.DynmPrio+1, true
			s.stats.Upgraded++
		}
		t.LastAdjPrioMs = now
	}
}

// planPending tries to do something for each task of the queue, the most urgent first.
func (s *Scheduler) planPending() {
	s.planSources()
	keep := s.pending[:0]
	for _, task := range s.pending {
		if s.due(task) && !s.plan(task) {
			continue
		}
		keep = append(keep, task)
	}
	clear(s.pending[len(keep):])
	s.pending = keep
}

// due reports whether a task is to be planned now. A task that waits for a slot on its planned source is not looked at
// while that is busy: a long queue must cost little.
func (s *Scheduler) due(task *Task) bool {
	busy := task.Wait == WaitSlot && s.sourceBusy(task)
	s.adjust(task)
	if s.freed && task.Wait == WaitSlot {
		task.NextMs = 0
	}
	return task.NextMs <= s.in.NowMs && !busy && !s.touched[task.Tablet]
}

// tablet returns the tablet of a task, or nil. Positions in the View seldom change.
func (s *Scheduler) tablet(task *Task) *Tablet {
	all := s.in.View.Tablets
	if task.at < len(all) && all[task.at].ID == task.Tablet {
		return &all[task.at]
	}
	i, ok := s.in.View.position(task.Tablet)
	if !ok {
		return nil
	}
	task.at = i
	return &all[i]
}

// end moves a task to the history. The caller takes it out of its list.
func (s *Scheduler) end(t *Task, state State, why string) {
	delete(s.tasks, t.Tablet)
	t.State, t.FinishedMs = state, s.in.NowMs
	if why != "" {
		t.Err = why
	}
	switch state {
	case Finished:
		s.stats.Succeeded++
	case Cancelled:
		s.stats.Discarded++
	case Timeout:
		s.stats.Failed++
	}
	s.history.add(*t)
	s.out.Ended = append(s.out.Ended, *t)
}

// start makes a task running: its clone holds slots from now on.
func (s *Scheduler) start(t *Task, spec CloneSpec) {
	now := s.in.NowMs
	t.State, t.LastSchedMs, t.TimeoutMs = Running, now, spec.TimeoutMs
	t.SrcBE, t.SrcDisk, t.DestDisk, t.Err, t.Hopeless, t.balance = spec.SourceBE, spec.SourceDisk, spec.DestDisk, "", false, spec.Balance
	t.Wait, t.WaitSinceMs = WaitNone, 0
	t.last, t.lastBE = t.ID, t.DestBE
	s.slots.take(t)
	if t.sourceAt > 0 && int(t.sourceAt) <= len(s.sourceFree) {
		s.sourceFree[t.sourceAt-1] = s.slots.mayTake(t.source.be, t.source.disk, false, math.MaxInt64, false)
	}
	s.closeFull(t.DestBE)
	s.closeFull(t.SrcBE)
	s.running = append(s.running, t)
	s.stats.Scheduled++
	s.stats.Clones++
}

// waitFor notes what a task waits for, and since when.
func (s *Scheduler) waitFor(t *Task, w Wait, why string) {
	if t.Wait != w || t.WaitSinceMs == 0 {
		t.Wait, t.WaitSinceMs = w, s.in.NowMs
	}
	t.Err = why
}

// wait leaves a task in the queue: nothing has failed.
func (s *Scheduler) wait(t *Task, ms int64, w Wait, why string) {
	s.waitFor(t, w, why)
	t.NextMs, t.Hopeless = s.in.NowMs+ms, false
}

// stuck leaves a task in the queue although nothing can be done for it now.
func (s *Scheduler) stuck(t *Task, w Wait, why string) {
	s.waitFor(t, w, why)
	t.NextMs, t.Hopeless = s.in.NowMs+hopelessMs, true
	t.FailedSched++
}

// backOff puts a task whose clone failed back into the queue, with a pause that grows.
func (s *Scheduler) backOff(t *Task, why string, pause bool) {
	t.tried(s.in.NowMs, classify(why), why)
	t.State, t.ID = Pending, 0
	s.waitFor(t, WaitRetry, why)
	t.SrcBE, t.SrcDisk, t.TimeoutMs = 0, 0, 0
	t.source, t.sourceAt = diskKey{}, 0 // the plan has gone on without it
	t.FailedRunning++
	t.NextMs = 0
	if pause {
		t.NextMs = s.in.NowMs + pauseMs(t.FailedRunning)
	}
	s.pending, s.unsorted = append(s.pending, t), true
	s.out.Tried = append(s.out.Tried, *t)
	s.stats.Failed++
}
