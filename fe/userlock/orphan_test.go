package userlock

import (
	"testing"
	"time"

	"stele/proto/fepb"
)

// pair is a leader and an FE that has announced itself to it.
func pair(t *testing.T) (w *world, fe *simFE) {
	w = newWorld(1, 1)
	fe = w.fes[0]
	w.announce(fe)
	if w.fes[0].table.fes[fe.name] == nil {
		t.Fatal("the FE is not known to the leader")
	}
	return w, fe
}

// announce has an FE hear of the term and say what it holds.
func (w *world) announce(fe *simFE) {
	for range 2 {
		w.finish(w.send(fe, fepb.UserLockRequest_RENEW, nil))
	}
}

// answer has the leader handle a request of which the FE does not hear.
func (w *world) answer(m *message) *fepb.UserLockResponse {
	resp, _ := w.fes[w.leader].table.step(m.req, Lead{Term: w.term, Members: w.members()}, w.now)
	return resp
}

func lockOf(connection uint64) *fepb.HeldLock {
	return &fepb.HeldLock{Name: "x", Connection: connection}
}

// TestLostGrantIsNotKeptForAnother: a lock whose grant nobody heard of is freed although another connection of that FE waits for it.
func TestLostGrantIsNotKeptForAnother(t *testing.T) {
	w, fe := pair(t)
	lost := w.send(fe, fepb.UserLockRequest_GET, lockOf(1))
	waits := w.send(fe, fepb.UserLockRequest_GET, lockOf(2))
	if !w.answer(lost).Done || w.answer(waits).Done {
		t.Fatal("the first does not get it alone")
	}
	w.lose(lost)
	w.finish(w.send(fe, fepb.UserLockRequest_RENEW, nil))
	if !w.answer(waits).Done {
		t.Error("connection 2 waits for one that has not got the lock")
	}
}

// TestOvertakenRenewFrees: a RENEW that comes after later requests frees what its FE did not hold.
func TestOvertakenRenewFrees(t *testing.T) {
	w, fe := pair(t)
	lost := w.send(fe, fepb.UserLockRequest_GET, lockOf(1))
	w.answer(lost)
	w.lose(lost)
	renew := w.send(fe, fepb.UserLockRequest_RENEW, nil)
	w.answer(w.send(fe, fepb.UserLockRequest_HOLDER, lockOf(0)))
	w.finish(renew)
	if fe.keeper.due() {
		t.Fatal("another RENEW is wanted")
	}
	if by := w.answer(w.send(fe, fepb.UserLockRequest_HOLDER, lockOf(0))).Holder; by != 0 {
		t.Errorf("connection %d holds a lock that it has not got", by)
	}
}

// TestLateGetTakesNothing: a GET for whose answer nobody waits any more takes no lock when it comes after the RENEW that said so.
func TestLateGetTakesNothing(t *testing.T) {
	w, fe := pair(t)
	late := w.send(fe, fepb.UserLockRequest_GET, lockOf(1))
	w.lose(late)
	w.finish(w.send(fe, fepb.UserLockRequest_RENEW, nil))
	if w.answer(late).Done || len(fe.table.locks) > 0 {
		t.Error("a lock was given to nobody")
	}
}

// TestEndOfAnEarlierProcess: that a process of an FE ended before the term says nothing of what the next one holds.
func TestEndOfAnEarlierProcess(t *testing.T) {
	w := newWorld(1, 2)
	fe, other := w.fes[0], w.fes[1]
	other.ended = w.now // and it has begun anew
	w.now = w.now.Add(time.Second)
	w.announce(fe)
	if resp := w.answer(w.send(fe, fepb.UserLockRequest_GET, lockOf(1))); resp.Done || !resp.Gathering {
		t.Errorf("got %v before %s has said what it holds", resp, other.name)
	}
	other.ended = w.now.Add(time.Millisecond)
	if !w.answer(w.send(fe, fepb.UserLockRequest_GET, lockOf(2))).Done {
		t.Error("waits for an FE that has ended in this term")
	}
}

// TestLostLocksAreRefused: a connection that has lost its locks gets no statement through before it is ended.
func TestLostLocksAreRefused(t *testing.T) {
	w, fe := pair(t)
	w.finish(w.send(fe, fepb.UserLockRequest_GET, lockOf(1)))
	w.now = w.now.Add(giveUp)
	if gone := fe.keeper.lapsed(); len(gone) != 1 || fe.keeper.Check(1) == nil {
		t.Errorf("ends %v, Check says %v", gone, fe.keeper.Check(1))
	}
	if fe.keeper.Ended(1); fe.keeper.Check(1) != nil || fe.keeper.lease.Lost(1) {
		t.Error("what has ended is remembered")
	}
}
