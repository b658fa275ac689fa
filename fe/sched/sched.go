// Package sched decides how tablets are repaired, balanced and led. It is a pure core: a View of the cluster and what
// happened since the last call go in, Actions come out. It has no clock, no goroutine, no lock, no logger, no I/O and
// never walks a map, so the same inputs give the same decisions: the FE's driver (fe/tabletctl) and a simulator in
// virtual time run the same code.
//
//	examine ──► pending queue ──► plan (slots, source, destination) ──► running ──► outcome ──► history
//	   ▲            │ danger first: copies left, hints and priority, age            │
//	   └────────────┴──────────────── the next View shows what became of it ◄────────┘
//
// State of a task:
//
//	PENDING ──plan──► RUNNING ──outcome DONE──► FINISHED
//	   ▲                 │ failed, source died: back to PENDING with a pause
//	   │                 ├─ deadline ──► TIMEOUT, and a new PENDING task when the tablet still needs it
//	   └─────────────────┘ tablet or replica gone, repaired meanwhile ──► CANCELLED
//
// Rules that hold whatever comes in (tests prove them in a virtual world):
//
//	S1  No Action drops a replica unless a complete replica on a live BE is left without it.
//	S2  A clone takes one slot of its kind on the source disk and one on the destination disk, and never more than
//	    there are. Waiting for a slot is not a failure.
//	S3  One thing at a time happens to a tablet; a tablet that cannot be helped never holds up another.
//	S4  In a healthy and even cluster there is nothing to do: no Actions.
//
// Everything in a Scheduler can be lost: a new one finds out from the View and from reported clones what is going on.
// What has ended, and how often a task has failed, is told to the caller and taken back by Restore; all that is forgotten is how
// long a task waited and which move a redundant replica came from.
package sched

import (
	"cmp"
	"slices"

	"stele/meta/types"
)

// Input is what has become known since the last Step.
type Input struct {
	NowMs int64
	View  *View
	// Dirty are tablets that something has happened to; Scan has every tablet looked at.
	Dirty []types.TabletID
	Scan  bool
	// Outcomes are clones that have ended, Restarted BEs that lost their tasks, Found clones of an earlier leader.
	Outcomes  []Outcome
	Restarted []types.BEID
	Found     []FoundClone
	// Clones is the progress of running clones, by task; nil = nothing is known of it.
	Clones []CloneProgress
	Limits Limits
}

// Output is what is to be done now. The driver carries the Actions out in order and calls Step again with the tablets
// of the Actions as dirty: a Step trusts that its View shows what earlier Actions did, or that they failed.
type Output struct {
	Actions []Action
	// WakeMs is when Step wants to be called even if nothing happens.
	WakeMs int64
	Trace  []Note
	// Ended are the tasks that have come to an end in this Step, Tried those that have failed and are tried again: what the next
	// leader is to know (Restore).
	Ended, Tried []Task
}

// Note says why something was decided, for one tablet (0 = the cluster).
type Note struct {
	Tablet types.TabletID
	Text   string
}

// traceMax bounds the notes of one Step.
const traceMax = 1000

// Scheduler is the decision core. It is not safe for concurrent use.
type Scheduler struct {
	tasks   map[types.TabletID]*Task // pending and running
	pending []*Task
	running []*Task
	history ring

	taskNext, taskEnd types.TaskID
	moved             map[types.TabletID]types.ReplicaID // where a balanced tablet came from
	beClass           []classedBE                        // of the last Step, by id
	loads             *loadTable
	loadsMs           int64
	unsorted          bool      // the queue
	sources           []diskKey // of the last plan
	sourceFree        []bool    // of these, those that may begin to send
	quietSinceMs      int64     // since when there is nothing to repair; 0 = there is
	leadersMs         int64     // last attempt to even out leaders
	leadersHot        bool      // the last attempts found something to move: go on without waiting for a scan
	balanceHot        bool
	movable           *balanceIndex
	disksMs           int64 // when disks of BEs were evened out last
	fulls             map[types.TabletID]fullMark
	rested            map[types.TabletID]int64 // tablets whose move failed, and until when they stay where they are
	recalled          map[types.TabletID]Task  // tasks of an earlier leader that had failed
	cuts              []cutPair                // of the last Step
	full              []fullDisk               // likewise
	hopeless          map[types.TabletID]int64 // tablets that could not be helped and had no room, and until when that is remembered
	stats             Stats

	// Of the Step that runs.
	in        Input
	out       Output
	touched   map[types.TabletID]bool
	slots     slotTable
	open      []types.BEID // BEs with a free repair slot, by load; nil = not listed yet
	idle      []types.BEID // of these, those with a disk that receives nothing
	overflow  bool         // a scan found more than the queue holds
	scannedMs int64        // the last scan
	plannedMs int64        // when sources were planned last
	freed     bool         // a slot has come free: tasks that wait for one may go on
	moves     []LeaderMove // of tablets whose leaders are dead
	reach     []LeaderMove // of those whose leaders do not reach their followers
	writes    []LeaderMove // of those whose leaders are on disks that refuse writes
}

// classedBE is what matters of a BE's state: when it changes, every tablet is looked at.
type classedBE struct {
	id    types.BEID
	class int
}

// New returns a scheduler that knows nothing yet.
func New() *Scheduler {
	return &Scheduler{tasks: map[types.TabletID]*Task{}, moved: map[types.TabletID]types.ReplicaID{}, fulls: map[types.TabletID]fullMark{},
		rested: map[types.TabletID]int64{}, recalled: map[types.TabletID]Task{}, hopeless: map[types.TabletID]int64{}}
}

// GrantTasks gives the scheduler n task ids to use.
func (s *Scheduler) GrantTasks(first types.TaskID, n uint64) {
	s.taskNext, s.taskEnd = first, first+types.TaskID(n)
}

// taskIDsLow is when more task ids are asked for.
const taskIDsLow = 1024

// TasksLow asks for more task ids.
func (s *Scheduler) TasksLow() bool { return s.taskEnd-s.taskNext < taskIDsLow }

// Step decides what to do now.
func (s *Scheduler) Step(in Input) Output {
	s.begin(in)
	s.takeFound()
	s.takeOutcomes()
	s.checkRunning()
	scan := s.noteBEs() || in.Scan || s.hungry()
	scan = s.noteCuts() || scan
	scan = s.noteFull() || scan
	if scan {
		s.scannedMs, s.overflow = in.NowMs, false
		s.loads = nil // count anew
	}
	s.examineAll(scan)
	s.planPending()
	s.assignLeaders()
	s.evenOut(scan)
	s.dropEmptyBEs(scan)
	s.out.WakeMs = s.wake()
	out := s.out
	s.in, s.out = Input{}, Output{} // what belongs to the caller is not kept
	return out
}

// hungry reports whether the queue did not hold all that a scan found and has room again: the next scan is due at once.
func (s *Scheduler) hungry() bool {
	if !s.overflow || s.in.NowMs-s.scannedMs < s.refreshMs()/10 {
		return false
	}
	n := 0
	for _, t := range s.pending {
		if !t.Hopeless {
			n++
		}
	}
	return n < s.in.Limits.MaxScheduling/2
}

func (s *Scheduler) begin(in Input) {
	s.in, s.out = in, Output{}
	s.in.Limits = in.Limits.withFloor()
	s.touched = map[types.TabletID]bool{}
	s.open, s.idle = nil, nil
	s.moves, s.reach, s.writes, s.freed = nil, nil, nil, false
	s.slots = newSlotTable(s.in.Limits)
	for _, t := range s.running {
		s.slots.take(t)
	}
	s.stats.Steps++
}

// act adds an Action and closes its tablet for the rest of the Step (S3).
func (s *Scheduler) act(a Action) {
	s.out.Actions = append(s.out.Actions, a)
	if a.Tablet != 0 {
		s.touched[a.Tablet] = true
	}
}

func (s *Scheduler) note(tablet types.TabletID, text string) {
	if len(s.out.Trace) < traceMax {
		s.out.Trace = append(s.out.Trace, Note{Tablet: tablet, Text: text})
	}
}

// noteBEs finds out whether a BE has come, gone or changed its state, the passing of a patience limit included.
func (s *Scheduler) noteBEs() bool {
	now := make([]classedBE, len(s.in.View.BEs))
	for i := range s.in.View.BEs {
		now[i] = classedBE{s.in.View.BEs[i].ID, s.class(&s.in.View.BEs[i])}
	}
	changed := !slices.Equal(now, s.beClass)
	if changed {
		s.movable = nil
		clear(s.hopeless)
	}
	was := s.beClass
	s.beClass = now
	if changed || len(s.in.Restarted) > 0 {
		s.endPauses(was)
	}
	return changed
}

// endPauses has tasks whose clone failed with a BE go on at once when that BE has come back: the pause is for what fails again.
func (s *Scheduler) endPauses(was []classedBE) {
	back := func(id types.BEID) bool {
		be := s.in.View.BE(id)
		return be != nil && be.Alive && (slices.Contains(s.in.Restarted, id) || !slices.Contains(was, classedBE{id, s.class(be)}))
	}
	for _, t := range s.pending {
		if n := len(t.Attempts); n > 0 && t.Wait == WaitRetry && t.NextMs > s.in.NowMs {
			if last := &t.Attempts[n-1]; back(last.Dest) || back(last.Src) {
				t.NextMs = 0
			}
		}
	}
}

// class of a BE: which of the patience limits its death has passed.
func (s *Scheduler) class(be *BE) int {
	c := 0
	if be.Decommissioned {
		c = 100
	}
	switch {
	case be.Unknown:
		return c + 1
	case be.Alive:
		return c + 2
	}
	for _, at := range s.patience(be) {
		if s.in.NowMs >= at {
			c += 10
		}
	}
	return c
}

// patience lists when the death of a BE begins to mean something new.
func (s *Scheduler) patience(be *BE) [3]int64 {
	l := &s.in.Limits
	return [3]int64{be.DeadSinceMs + l.ToleranceMs, be.DeadSinceMs + l.delayMs(PriorityNormal), be.DeadSinceMs + l.delayMs(PriorityLow)}
}

func (s *Scheduler) examineAll(scan bool) {
	if scan {
		s.stats.Scans++
		for i := range s.in.View.Tablets {
			s.examine(&s.in.View.Tablets[i])
		}
	} else {
		for _, id := range s.in.Dirty {
			if t := s.in.View.Tablet(id); t != nil {
				s.examine(t)
			}
		}
	}
	s.trimQueue()
}

// examine looks at one tablet: has it a live leader, has a learner caught up, is it healthy.
func (s *Scheduler) examine(t *Tablet) {
	s.stats.Checked++
	s.checkLeader(t)
	if s.touched[t.ID] || s.promote(t) {
		return
	}
	v := Health(t, s.in.View, s.clock())
	if v.Status == Healthy {
		delete(s.moved, t.ID)
		delete(s.fulls, t.ID)
	}
	if task := s.tasks[t.ID]; task != nil {
		s.reprioritise(task, v)
		return
	}
	if v.Status == Healthy || !mayRepair(t, v, s.in.Limits.AutoFailover) {
		return
	}
	s.stats.Unhealthy++
	if s.delayed(t, v) {
		return
	}
	s.admit(t, v)
}

func (s *Scheduler) clock() Clock {
	return Clock{NowMs: s.in.NowMs, ToleranceMs: s.in.Limits.ToleranceMs}
}

// promote makes a follower of a learner that has everything.
func (s *Scheduler) promote(t *Tablet) bool {
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if r.Role != types.RoleLearner || r.damaged() || r.Offline || r.LastFailed != 0 {
			continue
		}
		if be := s.in.View.BE(r.BE); be == nil || !be.Alive {
			continue
		}
		s.act(Action{Kind: ActPromote, Tablet: t.ID, Replica: r.ID, BE: r.BE, Version: t.Version, Why: "learner has every version"})
		return true
	}
	return false
}

// delayed holds back the repair after a BE's death that leaves a majority: the BE may come back with what it had. All
// else is repaired at once, for nothing is won by waiting.
func (s *Scheduler) delayed(t *Tablet, v Verdict) bool {
	if v.Status != ReplicaMissing || v.Damaged > 0 || v.Followers < t.Want || v.Priority >= PriorityHigh {
		return false
	}
	delay := s.in.Limits.delayMs(v.Priority)
	for i := range t.Replicas {
		be := s.in.View.BE(t.Replicas[i].BE)
		if be != nil && be.dead() && s.in.NowMs-be.DeadSinceMs < delay {
			return true
		}
	}
	return false
}

// wake is the earliest moment at which something may be due without a new event.
func (s *Scheduler) wake() int64 {
	now := s.in.NowMs
	at := now + s.in.Limits.ScanMs
	sooner := func(ms int64) {
		if ms > now {
			at = min(at, ms)
		}
	}
	for _, t := range s.pending {
		sooner(t.NextMs)
	}
	for _, t := range s.running {
		sooner(t.LastSchedMs + t.TimeoutMs)
	}
	for i := range s.in.View.BEs {
		be := &s.in.View.BEs[i]
		if be.dead() {
			for _, ms := range s.patience(be) {
				sooner(ms)
			}
		}
	}
	if s.quietSinceMs != 0 && s.leadersHot {
		sooner(s.quietSinceMs + leaderQuietMs)
	}
	if s.leadersHot {
		sooner(s.leadersMs + leaderPauseMs)
	}
	if s.balanceHot {
		sooner(now + loadRefreshMs)
	}
	return at
}

// dropEmptyBEs drops decommissioned BEs that hold nothing any more.
func (s *Scheduler) dropEmptyBEs(scan bool) {
	if !scan || !s.in.Limits.DropDecommissioned {
		return
	}
	for i := range s.in.View.BEs {
		be := &s.in.View.BEs[i]
		if be.Decommissioned && s.table().replicas(be.ID) == 0 {
			s.act(Action{Kind: ActDropBE, BE: be.ID, Why: "decommissioned and empty"})
		}
	}
}

// order sorts tasks for planning: danger first (copies left), then priority (hints are very high), then age, then size: what takes long
// must not be begun last. Moves for balance come at the end.
func order(a, b *Task) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Copies, b.Copies), cmp.Compare(b.DynmPrio, a.DynmPrio),
		cmp.Compare(a.CreatedMs, b.CreatedMs), cmp.Compare(b.Size, a.Size), cmp.Compare(a.Tablet, b.Tablet))
}
