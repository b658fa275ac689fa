package kv

import (
	"testing"
	"time"
)

// TestGroupsWaitForCompany: when several writers were told together, the next group waits until two thirds of all are there, or its time is
// over; few writers do not wait, nor does what is queued when the time is over for what nobody waits for, or the queue is closed.
func TestGroupsWaitForCompany(t *testing.T) {
	q := newQueue(true)
	q.patience = time.Hour // the test says when time is over
	var flushed []*request
	come := func(writers int) {
		t.Helper()
		for range writers {
			if !q.add(&request{}) {
				t.Fatal("the queue is closed")
			}
		}
	}
	taken := func(want int) {
		t.Helper()
		group, _ := q.take(1000, 1<<20)
		if len(group) != want {
			t.Fatalf("%d requests were taken, want %d", len(group), want)
		}
		flushed = group
	}
	told := func(want int) {
		t.Helper()
		taken(want)
		q.tell(flushed)
	}
	waits := func(want bool) {
		t.Helper()
		if q.parked != want {
			t.Fatalf("a group waits: %v, want %v", q.parked, want)
		}
	}

	come(3)
	told(3)
	come(1)
	waits(false) // for two
	told(1)
	come(6)
	told(6)
	come(3)
	waits(false) // the committer has not looked
	taken(0)
	waits(true)
	<-q.poke // of those before
	come(1)
	<-q.poke
	taken(4)
	waits(false)
	come(2)
	told(2) // who is not told yet does not come

	come(6)
	told(6)
	taken(0)
	waits(false) // nobody is there
	come(1)
	waits(true)
	taken(0)
	q.alone()
	told(1)

	come(6)
	told(6)
	come(1)
	taken(0)
	q.close()
	taken(1)
}
