package sched

import (
	"cmp"
	"fmt"
	"slices"

	"stele/meta/types"
)

// takeFound adopts clones that an earlier leader started, so that they are neither started twice nor lost.
func (s *Scheduler) takeFound() {
	for _, f := range s.in.Found {
		t := s.in.View.Tablet(f.Tablet)
		if t == nil || s.tasks[f.Tablet] != nil {
			continue
		}
		r := t.On(f.BE)
		if r == nil {
			continue
		}
		s.adopt(t, r, &f)
		s.note(t.ID, fmt.Sprintf("clone %d to be %d goes on", f.Task, f.BE))
	}
}

// adopt makes a task of a clone that runs: it holds the slots that it took, on both ends, and its time runs on.
func (s *Scheduler) adopt(t *Tablet, r *Replica, f *FoundClone) {
	v := Health(t, s.in.View, s.clock())
	begun := s.in.NowMs - f.RunsMs
	task := &Task{Tablet: t.ID, Medium: t.Medium, Status: v.Status, OrigPrio: v.Priority, DynmPrio: v.Priority, Copies: v.Copies,
		State: Running, CreatedMs: begun, LastSchedMs: begun, TimeoutMs: s.in.Limits.timeoutMs(t.Bytes()),
		VisibleVersion: t.Version, CommittedVersion: t.Version, SrcBE: f.SourceBE, SrcDisk: f.SourceDisk, DestBE: f.BE, DestDisk: f.Disk,
		Replica: r.ID, ID: f.Task, Local: f.SourceBE == f.BE, balance: f.Balance, last: f.Task, lastBE: f.BE}
	if f.Balance {
		task.Kind, task.OrigPrio, task.DynmPrio = Balance, PriorityLow, PriorityLow
	}
	s.recall(task)
	s.tasks[t.ID] = task
	s.running = append(s.running, task)
	s.slots.take(task)
}

// takeOutcomes takes in clones that have ended.
func (s *Scheduler) takeOutcomes() {
	for i := range s.in.Outcomes {
		o := &s.in.Outcomes[i]
		if o.Done {
			s.record(o)
		}
		task := s.tasks[o.Tablet]
		if task == nil || task.State != Running || task.ID != o.Task {
			continue // of an earlier leader, or given up before
		}
		s.unlist(task)
		task.Bytes, task.ElapsedMs, task.Full = o.Bytes, o.ElapsedMs, o.Full
		dest := task.DestDisk
		if o.Disk != 0 {
			task.DestDisk = o.Disk
		}
		switch {
		case o.Done && task.Local && o.Disk != dest:
			s.failed(task, "destination moved nothing: the replica is where it was")
		case o.Done:
			s.succeeded(task, o)
		default:
			s.failed(task, o.Reason)
		}
	}
}

// record tells the catalog what a clone has reached, and asks for the learner's promotion; the catalog refuses it
// when the version is no longer the current one (I6).
func (s *Scheduler) record(o *Outcome) {
	t := s.in.View.Tablet(o.Tablet)
	if t == nil {
		return
	}
	r := t.On(o.BE)
	if r == nil {
		return
	}
	s.act(Action{Kind: ActReport, Tablet: t.ID, Replica: r.ID, BE: o.BE, Disk: o.Disk, Version: o.Version, Why: "clone ended"})
	if r.Role == types.RoleLearner && !r.Offline {
		s.act(Action{Kind: ActPromote, Tablet: t.ID, Replica: r.ID, BE: o.BE, Version: o.Version, Why: "clone ended"})
		s.stats.Promoted++
	}
}

// fullMark counts full clones in a row to one replica that did not make it complete.
type fullMark struct {
	be    types.BEID
	count int
	ms    int64 // of the last one
}

// succeeded ends a task. If the replica lacks something again, the next View shows it.
func (s *Scheduler) succeeded(task *Task, o *Outcome) {
	s.stats.ClonesDone++
	mark := s.fulls[o.Tablet]
	if !o.Full || mark.be != o.BE {
		mark = fullMark{be: o.BE}
	}
	if o.Full {
		mark.count, mark.ms = mark.count+1, s.in.NowMs
	}
	s.fulls[o.Tablet] = mark
	if task.Local && task.Kind == Balance {
		s.rest(task.Tablet) // even if the next View does not show the move
	}
	s.end(task, Finished, "")
}

// failed puts a task back into the queue; a move for balance is not worth a second attempt.
func (s *Scheduler) failed(task *Task, why string) {
	s.stats.ClonesFailed++
	if task.Kind == Balance {
		s.endMove(task, why)
		return
	}
	if (task.FailedRunning+1)%failuresToMove == 0 {
		s.dropLearner(task, why)
	}
	s.backOff(task, why, true)
}

// endMove gives up a move for balance. Its tablet is not tried again for a while: what failed once may fail always.
func (s *Scheduler) endMove(task *Task, why string) {
	task.tried(s.in.NowMs, classify(why), why)
	s.end(task, Cancelled, why)
	s.dropLearner(task, why)
	delete(s.moved, task.Tablet)
	s.rest(task.Tablet)
}

func (s *Scheduler) rest(t types.TabletID) {
	if len(s.rested) >= restedMax {
		clear(s.rested)
	}
	s.rested[t] = s.in.NowMs + restMs
}

// Pause of a tablet whose move failed, and how many such tablets are remembered.
const (
	restMs    = 300_000
	restedMax = 10_000
)

// stalled says that a clone gets nothing any more, "" when it does: its source hangs, although it seems alive.
func (s *Scheduler) stalled(task *Task) string {
	limit := s.in.Limits.StallMs
	if limit <= 0 {
		return ""
	}
	p := s.progress(task)
	if p == nil {
		return ""
	}
	switch {
	case p.Unknown && s.in.NowMs-task.LastSchedMs >= 2*limit:
		return fmt.Sprintf("destination be %d does not know the clone", task.DestBE)
	case p.IdleMs >= limit:
		return fmt.Sprintf("no progress for %d ms: source be %d sends nothing", p.IdleMs, task.SrcBE)
	}
	return ""
}

// progress returns how far a clone is, nil when nothing is known of it.
func (s *Scheduler) progress(task *Task) *CloneProgress {
	i, ok := slices.BinarySearchFunc(s.in.Clones, task.ID, func(c CloneProgress, id types.TaskID) int { return cmp.Compare(c.Task, id) })
	if !ok {
		return nil
	}
	return &s.in.Clones[i]
}

// failuresToMove is after how many failed clones a learner is tried elsewhere.
const failuresToMove = 3

// dropLearner gives up the learner that a task was filling.
func (s *Scheduler) dropLearner(task *Task, why string) {
	t := s.tablet(task)
	if t == nil || s.touched[t.ID] {
		return
	}
	if r := t.On(task.DestBE); r != nil && r.Role == types.RoleLearner && !s.reserved(t, r) {
		s.act(Action{Kind: ActDrop, Tablet: t.ID, Replica: r.ID, BE: r.BE, Epoch: t.Epoch, Why: "clone to it failed: " + why})
		s.stats.Dropped++
	}
}

// unlist takes a task out of the running ones and frees its slots.
func (s *Scheduler) unlist(task *Task) {
	if i := slices.Index(s.running, task); i >= 0 {
		s.running = slices.Delete(s.running, i, i+1)
	}
	s.slots.add(task, -1)
	s.open, s.idle = nil, nil
	s.freed = true
}

// checkRunning gives up clones that cannot end well or are no longer needed.
func (s *Scheduler) checkRunning() {
	for _, task := range slices.Clone(s.running) {
		if s.touched[task.Tablet] {
			continue
		}
		why, state := s.verdictOn(task)
		if why == "" {
			continue
		}
		s.unlist(task)
		s.out.Actions = append(s.out.Actions, Action{Kind: ActCancel, Tablet: task.Tablet, Task: task.ID, BE: task.DestBE, Why: why})
		switch {
		case state == Cancelled || state == Finished:
			if p := s.progress(task); p != nil {
				task.Bytes, task.ElapsedMs, task.Full = p.Bytes, p.ElapsedMs, p.Full
			}
			s.end(task, state, why)
		case state == Timeout:
			s.stats.ClonesTimed++
			s.end(task, Timeout, why)
			s.dropLearner(task, why)
		case task.Kind == Balance:
			s.stats.ClonesFailed++
			s.endMove(task, why)
		default:
			s.stats.ClonesFailed++
			s.backOff(task, why, why == replicaGone || classify(why) == FailStalled)
		}
	}
}

const replicaGone = "the replica being cloned is gone"

// verdictOn says why a running clone must end, and how: Pending means that the task tries again.
func (s *Scheduler) verdictOn(task *Task) (string, State) {
	v := s.in.View
	t := s.tablet(task)
	if t == nil {
		return "tablet is gone", Cancelled
	}
	r := t.On(task.DestBE)
	switch {
	case r == nil || task.Replica != 0 && r.ID != task.Replica:
		return replicaGone, Pending
	case r.Offline:
		return "the replica was set aside", Cancelled
	case task.Local && r.Disk == task.DestDisk:
		return "the replica has moved", Finished
	case !task.Local && r.Role == types.RoleFollower && r.LastFailed == 0 && !r.damaged():
		return "the replica has caught up", Finished
	}
	task.Replica = r.ID
	if be := v.BE(task.DestBE); be == nil || be.dead() {
		return fmt.Sprintf("destination be %d is dead", task.DestBE), Pending
	}
	if slices.Contains(s.in.Restarted, task.DestBE) {
		return fmt.Sprintf("destination be %d has restarted", task.DestBE), Pending
	}
	if be := v.BE(task.SrcBE); task.SrcBE != 0 && (be == nil || be.dead()) {
		return fmt.Sprintf("source be %d is dead", task.SrcBE), Pending
	}
	if why := s.stalled(task); why != "" {
		return why, Pending
	}
	if s.in.NowMs >= task.LastSchedMs+task.TimeoutMs {
		return fmt.Sprintf("clone took longer than %d ms", task.TimeoutMs), Timeout
	}
	return "", Running
}
