package kv

import (
	"sync"
	"testing"
)

// TestBeyondTheQueue: while the disk hangs the queue becomes full and says so; who does not wait for room may still add what was
// on its way, and all of it is written when the disk goes on, told together.
func TestBeyondTheQueue(t *testing.T) {
	opt := smallOptions()
	hangs, goes := make(chan struct{}), make(chan struct{})
	var once sync.Once
	opt.Faults.Before = func() error {
		once.Do(func() {
			close(hangs)
			<-goes
		})
		return nil
	}
	together := 0
	opt.Together = func(tell func()) {
		together++
		tell()
	}
	db, err := Open(t.TempDir(), opt)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, maxQueued+10)
	done := func(err error) { ended <- err }
	db.CommitBeyond([]Entry{set("first", "1")}, done)
	<-hangs
	for range maxQueued {
		if db.Crowded() {
			t.Fatal("the queue is full too early")
		}
		db.CommitAsync([]Entry{set("many", "1")}, done)
	}
	if !db.Crowded() {
		t.Fatal("the queue is not full")
	}
	db.CommitBeyond([]Entry{set("last", "1")}, done) // does not block
	close(goes)
	for range maxQueued + 2 {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := get(t, db, "last"); !ok {
		t.Error("what came last is not there")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if together < 2 || together > maxQueued/10 {
		t.Errorf("%d requests were told in %d groups", maxQueued+2, together)
	}
	db.CommitBeyond(nil, done)
	if err := <-ended; err == nil {
		t.Error("a closed instance has taken a request")
	}
}
