package sched

import (
	"strings"

	"stele/meta/types"
)

// Kind is why a task is there.
type Kind uint8

// Kinds of tasks.
const (
	Repair Kind = iota
	Balance
)

func (k Kind) String() string { return [...]string{"REPAIR", "BALANCE"}[k] }

// State of a task.
type State uint8

// States of a task.
const (
	Pending State = iota
	Running
	Finished
	Cancelled
	Timeout
)

func (s State) String() string {
	return [...]string{"PENDING", "RUNNING", "FINISHED", "CANCELLED", "TIMEOUT"}[s]
}

// Task is what is being done, or waits to be done, about one tablet. It is also the row that the system tables show:
// times are in milliseconds since 1970 and 0 when there is none, BEs and disks are 0 until assigned.
type Task struct {
	Tablet           types.TabletID
	Kind             Kind // Type
	Medium           types.Medium
	Status           Status
	State            State
	OrigPrio         Priority
	DynmPrio         Priority
	SrcBE            types.BEID
	SrcDisk          types.DiskID // SrcPath
	DestBE           types.BEID
	DestDisk         types.DiskID // DestPath
	TimeoutMs        int64
	CreatedMs        int64
	LastSchedMs      int64
	LastVisitMs      int64
	FinishedMs       int64
	Bytes            int64 // copied by the last clone; Rate = Bytes / ElapsedMs
	ElapsedMs        int64
	FailedSched      int
	FailedRunning    int
	LastAdjPrioMs    int64
	VisibleVersion   types.Version
	CommittedVersion types.Version
	Err              string    // why it waits, or the last failure
	Wait             Wait      // what a pending task waits for
	WaitSinceMs      int64     // since when it waits for that
	Attempts         []Attempt // the last ones, oldest first

	ID       types.TaskID // of the running clone, 0 = none
	Replica  types.ReplicaID
	NextMs   int64      // not before
	Size     int64      // of the tablet when it came
	Copies   int        // that could be read when it was last looked at
	Hopeless bool       // nothing can be done for now
	Full     bool       // the last clone copied everything
	Local    bool       // a move between two disks of one BE
	at       int        // position of the tablet in the View
	source   diskKey    // that it is to be copied from
	sourceAt int32      // its position in the plan of sources, from 1; 0 = not planned, noSource = there is none
	avoid    types.BEID // source that let the last clone down
	balance  bool       // the running clone holds balance slots
	last     types.TaskID
	lastBE   types.BEID
}

// Wait is what a pending task waits for.
type Wait uint8

// Reasons to wait.
const (
	WaitNone        Wait = iota // its turn
	WaitSlot                    // a free slot
	WaitSource                  // a complete replica on a live BE
	WaitDestination             // a BE or disk that can take a replica
	WaitBackend                 // an answer of the BE that has the replica
	WaitDelay                   // the end of a pause between full clones
	WaitRetry                   // the end of the pause after a failure
	WaitIDs                     // ids for its clone
)

func (w Wait) String() string {
	return [...]string{"NONE", "SLOT", "SOURCE", "DESTINATION", "BACKEND", "DELAY", "RETRY", "IDS"}[w]
}

// Failure is the kind of reason for which a clone failed.
type Failure uint8

// Kinds of failures.
const (
	FailOther       Failure = iota
	FailSource              // the source is dead, damaged or does not have the versions
	FailDestination         // the destination is dead, has restarted or refuses
	FailSpace               // no room at the destination
	FailStalled             // no progress
	FailTimeout             // not done in time
	FailStale               // it ended below the version that is needed
)

func (f Failure) String() string {
	return [...]string{"OTHER", "SOURCE", "DESTINATION", "SPACE", "STALLED", "TIMEOUT", "STALE"}[f]
}

// Attempt is a clone that was tried and failed.
type Attempt struct {
	AtMs   int64 // when it ended
	Src    types.BEID
	Dest   types.BEID
	Kind   Failure
	Reason string
}

// attemptsMax bounds the attempts that a task remembers.
const attemptsMax = 5

// tried notes a failed clone.
func (t *Task) tried(nowMs int64, kind Failure, reason string) {
	if len(t.Attempts) >= attemptsMax {
		t.Attempts = append([]Attempt(nil), t.Attempts[len(t.Attempts)-attemptsMax+1:]...)
	}
	t.Attempts = append(t.Attempts[:len(t.Attempts):len(t.Attempts)], Attempt{AtMs: nowMs, Src: t.SrcBE, Dest: t.DestBE, Kind: kind, Reason: reason})
	t.avoid = 0
	if kind == FailSource || kind == FailStalled {
		t.avoid = t.SrcBE
	}
}

// failureWords name the kind of a failure in what BEs say, the first that fits.
var failureWords = []struct {
	kind  Failure
	words []string
}{
	{FailSpace, []string{"no space", "disk is full", "no room", "reserve"}},
	{FailStalled, []string{"no progress", "stall"}},
	{FailTimeout, []string{"took longer", "deadline exceeded", "timed out", "timeout"}},
	{FailStale, []string{"stale", "below the version"}},
	{FailSource, []string{"source", "corrupt", "checksum", "peer"}},
	{FailDestination, []string{"destination", "restarted", "submit"}},
}

// classify finds the kind of a failure in its text: what BEs of older versions say has no code.
func classify(reason string) Failure {
	reason = strings.ToLower(reason)
	for _, f := range failureWords {
		for _, w := range f.words {
			if strings.Contains(reason, w) {
				return f.kind
			}
		}
	}
	return FailOther
}

// Known reports whether all that is numbered in the task has a name: it may come from a newer binary.
func (t *Task) Known() bool {
	known := t.Kind <= Balance && t.Status < statusCount && t.State <= Timeout && t.OrigPrio <= PriorityVeryHigh && t.DynmPrio <= PriorityVeryHigh
	for _, a := range t.Attempts {
		known = known && a.Kind <= FailStale
	}
	return known
}

// Rate is the rate of the last clone in bytes per second, 0 when there is none.
func (t *Task) Rate() int64 {
	if t.ElapsedMs <= 0 {
		return 0
	}
	return t.Bytes * 1000 / t.ElapsedMs
}

// historyMax bounds the tasks kept after their end.
const historyMax = 1000

// ring keeps the newest historyMax tasks.
type ring struct {
	rows []Task
	next int
}

func (r *ring) add(t Task) {
	if len(r.rows) < historyMax {
		r.rows = append(r.rows, t)
		return
	}
	r.rows[r.next] = t
	r.next = (r.next + 1) % historyMax
}

// newest returns the tasks, newest first.
func (r *ring) newest() []Task {
	out := make([]Task, 0, len(r.rows))
	for i := range r.rows {
		out = append(out, r.rows[(r.next+len(r.rows)-1-i)%len(r.rows)])
	}
	return out
}

// Stats counts since the Scheduler was made.
type Stats struct {
	Steps, Scans, Checked, Unhealthy, Added       int64
	Scheduled, Succeeded, Failed, Discarded       int64
	Upgraded, Downgraded                          int64
	Clones, ClonesDone, ClonesFailed, ClonesTimed int64
	ByStatus                                      [statusCount]int64 // tasks added, by Status
	Balanced                                      int64              // moves begun
	Dropped, Promoted, LeadersMoved               int64
}

// Pending returns the tasks that wait, in the order in which they are planned.
func (s *Scheduler) Pending() []Task { return copyTasks(s.pending) }

// Running returns the tasks with a running clone.
func (s *Scheduler) Running() []Task { return copyTasks(s.running) }

// History returns ended tasks, newest first.
func (s *Scheduler) History() []Task { return s.history.newest() }

// Stats returns the counters.
func (s *Scheduler) Stats() Stats { return s.stats }

// Task returns the task of a tablet that is pending or running.
func (s *Scheduler) Task(id types.TabletID) (Task, bool) {
	if t := s.tasks[id]; t != nil {
		return *t, true
	}
	return Task{}, false
}

func copyTasks(in []*Task) []Task {
	out := make([]Task, len(in))
	for i, t := range in {
		out[i] = *t
	}
	return out
}
