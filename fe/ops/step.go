package ops

import (
	"fmt"
	"slices"

	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
)

const (
	maxAttempts = 20
	retryMs     = 200
	retryMaxMs  = 5000
	// deadGraceMs is how long an op waits for a BE that does not answer.
	deadGraceMs = 60_000
	loopMax     = 64 // tasks looked at in one Step; no op has so many
)

// outcome is what one task came to. The zero value is: done.
type outcome struct {
	effects  []command.Command
	drops    []Drop
	calls    []Call
	children []model.Op
	wait     string // for what
	fail     string // why
	back     int    // tasks to go back
	message  string // of a task that is done
}

// Step says what to do next about an op that may run and whose time has come.
func Step(op model.Op, f *Facts) Decision {
	if op.State == model.OpInited {
		op.State, op.StartedMs = model.OpRunning, f.NowMs
		op.DeadlineMs = f.NowMs + f.Timeout
	}
	if f.Tablet == nil {
		return failed(op, f, "100: the table does not exist any more")
	}
	d := Decision{Op: op}
	for range loopMax {
		if d.Op.Task >= len(d.Op.Tasks) {
			return d.end(f, model.OpDone)
		}
		o := run(&d.Op, f)
		d.Children = append(d.Children, o.children...)
		d.Drops, d.Calls = append(d.Drops, o.drops...), append(d.Calls, o.calls...)
		if o.message != "" {
			d.Op.Message = o.message
		}
		switch {
		case o.fail != "":
			return failed(d.Op, f, o.fail)
		case len(o.effects) > 0:
			d.Effects = o.effects
			d.Op.Waiting = ""
			return d.late(f)
		case o.wait != "":
			d.Op.Waiting = o.wait
			return d.late(f)
		case o.back > 0:
			d.Op.Task -= o.back
			d.Op.Waiting = "another leader is selected"
			return d.late(f)
		}
		d.Op.Task++
		d.Op.Done, d.Op.Attempts, d.Op.Waiting, d.Op.NextMs = int64(d.Op.Task), 0, "", 0
	}
	panic(fmt.Sprintf("BUG: op %d has more than %d tasks", op.ID, loopMax))
}

// late fails an op whose deadline has passed.
func (d Decision) late(f *Facts) Decision {
	if f.NowMs < d.Op.DeadlineMs {
		return d
	}
	why := d.Op.Waiting
	if why == "" {
		why = d.Op.LastError
	}
	return failed(d.Op, f, "its time is over: "+why)
}

func (d Decision) end(f *Facts, s model.OpState) Decision {
	d.Op.State, d.Op.EndedMs, d.Op.Waiting = s, f.NowMs, ""
	return d
}

func failed(op model.Op, f *Facts, why string) Decision {
	op.LastError, op.Message, op.Undo = why, why, true
	return Decision{Op: op}.end(f, model.OpFailed)
}

// Refused notes that an effect of an op was not accepted: the catalog has moved on, and the next Step sees how.
func Refused(op model.Op, f *Facts, why string) Decision {
	op.Attempts++
	op.LastError = why
	op.NextMs = f.NowMs + min(int64(retryMs)<<min(op.Attempts-1, 10), retryMaxMs)
	if op.Attempts >= maxAttempts {
		return failed(op, f, fmt.Sprintf("%d attempts: %s", op.Attempts, why))
	}
	return Decision{Op: op}
}

// Undo takes back what an op has left half done.
func Undo(op model.Op, f *Facts) Decision {
	d := Decision{Op: op}
	if f.Tablet != nil {
		made := f.Tablet.Replica(target(&op))
		if made != nil && madeBy(&op, made) && tooMany(&op, made, f) {
			d.Effects = append(d.Effects, &command.DropReplica{Tablet: op.Tablet, Replica: made.ID})
			d.Drops = append(d.Drops, Drop{BE: made.BE, Tablet: op.Tablet, Replica: made.ID})
			return d
		}
		if made != nil && made.Role == types.RoleLearner && made.OfflineMs == 0 && kindOfWork(op.Type) == RecoverTable && begunCopy(&op) {
			d.Effects = append(d.Effects, setAlive(&op, made.BE, false, f)) // it was not alive before, and nothing fills it now
			return d
		}
		src := f.Tablet.Replica(op.BE)
		if setsAside(op.Type) && src != nil && src.OfflineMs != 0 {
			d.Effects = append(d.Effects, setAlive(&op, op.BE, true, f))
			return d
		}
	}
	d.Op.Undo = false
	return d
}

// madeBy reports whether an op has made a replica. One that was cancelled right after it could not note the replica; what has
// come to its target since it was ordered (ids are drawn in order) is its own then, because nobody else touches the tablet
// while the op has it in hand.
func madeBy(op *model.Op, made *model.Replica) bool {
	if op.Replica != 0 {
		return op.Replica == made.ID
	}
	send := slices.Index(op.Tasks, taskSendSnapshot)
	return op.StartedMs != 0 && op.Task <= send && uint64(made.ID) > op.ID
}

// begunCopy reports whether an op that brings a replica back had begun, so that a learner may be in its place.
func begunCopy(op *model.Op) bool { return op.Type != RecoverTable && op.StartedMs != 0 }

// setsAside reports whether a type of op sets its replica aside on the way to something that a cancel takes back.
func setsAside(t model.OpType) bool { return t == Migrate || t == DelReplica || t == OfflineReplica }

// tooMany reports whether the replica that an op has made is not to stay: it is not complete, or the one that it was to
// take the place of, or beside, is there.
func tooMany(op *model.Op, made *model.Replica, f *Facts) bool {
	switch {
	case kindOfWork(op.Type) == RecoverTable: // there was one before: it stays in its place, not alive, to be recovered again
		return false
	case made.Role == types.RoleLearner:
		return true
	case op.Type == Migrate:
		return f.Tablet.Replica(op.BE) != nil && f.source(made.BE) != nil
	case op.Type == AddReplica:
		return f.followers() > f.Tablet.Wanted(f.Want) && f.source(made.BE) != nil
	}
	return false
}

func setAlive(op *model.Op, be types.BEID, alive bool, f *Facts) command.Command {
	return &command.SetReplicaAlive{Items: []command.ReplicaAlive{{Tablet: op.Tablet, BE: be, Alive: alive}}, TimeMs: f.NowMs}
}
