package tabletctl

import (
	"stele/fe/sched"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/model"
)

const (
	notesPauseMs = 1000             // what has ended is written down after so long at the latest
	notesMax     = catalog.MaxTasks // more of it is not kept anyway
)

// notes are tasks that have ended or failed since the last time that it was written down. They travel with commands that
// are proposed anyway.
type notes struct {
	cmd     command.NoteTasks
	sinceMs int64
}

// add takes in what a step has ended.
func (n *notes) add(out *sched.Output, nowMs int64) {
	for i := range out.Ended {
		n.cmd.Ended = append(n.cmd.Ended, taskNote(&out.Ended[i]))
	}
	for i := range out.Tried {
		n.cmd.Tried = append(n.cmd.Tried, taskNote(&out.Tried[i]))
	}
	n.cmd.Ended = newest(n.cmd.Ended)
	n.cmd.Tried = newest(n.cmd.Tried)
	if n.sinceMs == 0 && !n.empty() {
		n.sinceMs = nowMs
	}
}

func newest(tasks []model.Task) []model.Task {
	return append([]model.Task(nil), tasks[max(0, len(tasks)-notesMax):]...)
}

func (n *notes) empty() bool { return len(n.cmd.Ended)+len(n.cmd.Tried) == 0 }

// due reports whether to write down now; others says that something else is proposed.
func (n *notes) due(nowMs int64, others bool) bool {
	return !n.empty() && (others || nowMs-n.sinceMs >= notesPauseMs)
}

// taken empties the notes and returns the command that writes them down.
func (n *notes) taken() *command.NoteTasks {
	cmd := n.cmd
	*n = notes{}
	return &cmd
}

// back keeps what could not be proposed for the next time, before what has come since.
func (n *notes) back(cmd *command.NoteTasks, nowMs int64) {
	n.cmd.Ended = newest(append(cmd.Ended, n.cmd.Ended...))
	n.cmd.Tried = newest(append(cmd.Tried, n.cmd.Tried...))
	n.sinceMs = nowMs
}

func taskNote(t *sched.Task) model.Task {
	n := model.Task{Tablet: t.Tablet, Kind: uint8(t.Kind), Medium: t.Medium, Status: uint8(t.Status), State: uint8(t.State), OrigPrio: uint8(t.OrigPrio),
		DynmPrio: uint8(t.DynmPrio), SrcBE: t.SrcBE, SrcDisk: t.SrcDisk, DestBE: t.DestBE, DestDisk: t.DestDisk, TimeoutMs: t.TimeoutMs,
		CreatedMs: t.CreatedMs, LastSchedMs: t.LastSchedMs, LastVisitMs: t.LastVisitMs, FinishedMs: t.FinishedMs, Bytes: t.Bytes, ElapsedMs: t.ElapsedMs,
		FailedSched: t.FailedSched, FailedRunning: t.FailedRunning, LastAdjPrioMs: t.LastAdjPrioMs, Version: t.VisibleVersion, Err: t.Err, Full: t.Full,
		Local: t.Local}
	for _, a := range t.Attempts {
		n.Attempts = append(n.Attempts, model.Attempt{AtMs: a.AtMs, Src: a.Src, Dest: a.Dest, Kind: uint8(a.Kind), Reason: a.Reason})
	}
	return n
}

// taskOf reads a note. One of a newer binary may hold numbers that this one does not know.
func taskOf(n *model.Task) (sched.Task, bool) {
	t := sched.Task{Tablet: n.Tablet, Kind: sched.Kind(n.Kind), Medium: n.Medium, Status: sched.Status(n.Status), State: sched.State(n.State),
		OrigPrio: sched.Priority(n.OrigPrio), DynmPrio: sched.Priority(n.DynmPrio), SrcBE: n.SrcBE, SrcDisk: n.SrcDisk, DestBE: n.DestBE,
		DestDisk: n.DestDisk, TimeoutMs: n.TimeoutMs, CreatedMs: n.CreatedMs, LastSchedMs: n.LastSchedMs, LastVisitMs: n.LastVisitMs,
		FinishedMs: n.FinishedMs, Bytes: n.Bytes, ElapsedMs: n.ElapsedMs, FailedSched: n.FailedSched, FailedRunning: n.FailedRunning,
		LastAdjPrioMs: n.LastAdjPrioMs, VisibleVersion: n.Version, CommittedVersion: n.Version, Err: n.Err, Full: n.Full, Local: n.Local}
	for _, a := range n.Attempts {
		t.Attempts = append(t.Attempts, sched.Attempt{AtMs: a.AtMs, Src: a.Src, Dest: a.Dest, Kind: sched.Failure(a.Kind), Reason: a.Reason})
	}
	return t, t.Known()
}

// restored are the tasks that a catalog keeps: ended ones, oldest first, and those that were to be tried again.
func restored(cat *catalog.Catalog) (ended, tried []sched.Task) {
	for n := range cat.Tasks() {
		if t, ok := taskOf(n); ok {
			ended = append(ended, t)
		}
	}
	for n := range cat.Tried() {
		if t, ok := taskOf(n); ok {
			tried = append(tried, t)
		}
	}
	return ended, tried
}
