package tabletctl

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"stele/fe/sched"
	"stele/meta/command"
	"stele/meta/model"
)

// TestHistorySurvivesTheLeader: another FE that leads knows what was done, and how often a tablet has failed, from the catalog;
// the pause after a failure goes on.
func TestHistorySurvivesTheLeader(t *testing.T) {
	s := newStage(t, 5, 3)
	s.settle()
	s.must(&command.SetReplicaBad{Tablet: 10_200, BE: s.tablet(10_200).Replicas[0].BE, Bad: true})
	s.pass(2 * time.Second)
	s.settle()
	s.refuse = true
	failing := s.tablet(10_204)
	s.must(&command.SetReplicaBad{Tablet: failing.ID, BE: failing.Replicas[0].BE, Bad: true})
	for range 12 {
		s.pass(2 * time.Second)
		s.settle()
	}
	done, before := s.ctl.History(), s.ctl.Pending()
	if len(done) == 0 || len(before) != 1 || len(before[0].Attempts) == 0 {
		t.Fatalf("history %+v, pending %+v", done, before)
	}

	s.ctl.reset()
	s.step()
	if got := s.ctl.History(); !reflect.DeepEqual(told(got), told(done)) {
		t.Fatalf("history\n%+v\nwas\n%+v", told(got), told(done))
	}
	after := s.ctl.Pending()
	if len(after) != 1 || !reflect.DeepEqual(after[0].Attempts, before[0].Attempts) || after[0].FailedRunning != before[0].FailedRunning ||
		after[0].CreatedMs != before[0].CreatedMs || after[0].NextMs != before[0].NextMs || after[0].Wait != sched.WaitRetry {
		t.Fatalf("pending\n%+v\nwas\n%+v", after, before)
	}
	s.refuse = false
	for range 10 {
		s.pass(time.Minute)
		s.settle()
	}
	s.checkHealthy()
	for n := range s.Current().Tried() {
		t.Fatalf("%+v is still noted as failing", n)
	}
}

// told are tasks as anybody sees them: what is only for the scheduler is not kept.
func told(tasks []sched.Task) []sched.Task {
	var out []sched.Task
	for i := range tasks {
		note := taskNote(&tasks[i])
		t, _ := taskOf(&note)
		out = append(out, t)
	}
	return out
}

// TestNotesThatCannotBeWritten: what could not be proposed is proposed later, in its order, and no more than is kept.
func TestNotesThatCannotBeWritten(t *testing.T) {
	var n notes
	for i := range 3 {
		n.add(&sched.Output{Ended: []sched.Task{{FinishedMs: int64(i)}}}, 1000)
	}
	if n.due(1000+notesPauseMs-1, false) || !n.due(1000, true) || !n.due(1000+notesPauseMs, false) {
		t.Fatalf("due at the wrong time: %+v", n)
	}
	cmd := n.taken()
	n.add(&sched.Output{Ended: make([]sched.Task, notesMax-1)}, 2000)
	n.back(cmd, 3000)
	if got := n.taken().Ended; len(got) != notesMax || got[0].FinishedMs != 2 || !n.empty() {
		t.Fatalf("%d notes, first %+v", len(got), got[0])
	}

	s := newStage(t, 5, 1)
	s.settle()
	s.must(&command.SetReplicaBad{Tablet: 10_200, BE: s.tablet(10_200).Replicas[0].BE, Bad: true})
	s.pass(2 * time.Second)
	s.settle()
	s.ctl.notes.add(&sched.Output{Ended: []sched.Task{{Tablet: 77}}}, s.now().UnixMilli())
	s.broken = errors.New("not the leader")
	s.pass(2 * time.Second)
	_, err := s.ctl.Step(t.Context())
	s.broken = nil
	if err == nil || s.ctl.notes.empty() {
		t.Fatalf("err %v, notes %+v", err, s.ctl.notes)
	}
	s.pass(2 * time.Second)
	s.step()
	last := uint64(0)
	for n := range s.Current().Tasks() {
		last = uint64(n.Tablet)
	}
	if last != 77 {
		t.Fatalf("the last note is of tablet %d", last)
	}
}

// TestNotesOfANewerBinary: a note with numbers that this binary does not know is passed over.
func TestNotesOfANewerBinary(t *testing.T) {
	for _, n := range []model.Task{{Status: 200}, {State: 200}, {Kind: 200}, {OrigPrio: 200}, {DynmPrio: 200}, {Attempts: []model.Attempt{{Kind: 200}}}} {
		if _, ok := taskOf(&n); ok {
			t.Errorf("%+v was taken", n)
		}
	}
	if _, ok := taskOf(&model.Task{}); !ok {
		t.Error("a plain note was refused")
	}
}
