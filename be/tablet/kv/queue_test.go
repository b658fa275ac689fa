package kv

import (
	"errors"
	"slices"
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

// TestGrowingKeepsItsPlace: what grows is asked for its entries when it is taken: before what comes later and keeps the order, after what
// goes ahead of it, when its time is over, or when the queue is closed.
func TestGrowingKeepsItsPlace(t *testing.T) {
	q := newQueue(false)
	q.armed = true // the test says when time is over
	asked := 0
	named := map[*request]string{}
	add := func(name string, r *request) {
		t.Helper()
		named[r] = name
		if !q.add(r) {
			t.Fatal("the queue is closed")
		}
	}
	growing := func(name string) {
		add(name, &request{lazy: true, grows: func() []Entry { asked++; return []Entry{set(name, "1"), set(name, "2")} }})
	}
	taken := func(entries int, want ...string) {
		t.Helper()
		group, _ := q.take(entries, 1<<20)
		var got []string
		for _, r := range group {
			got = append(got, named[r])
			if r.lazy && (len(r.entries) != 2 || r.bytes != int64(2*(len(named[r])+1))) {
				t.Errorf("%s has %d entries, %d bytes", named[r], len(r.entries), r.bytes)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v were taken, want %v", got, want)
		}
	}
	growing("g1")
	taken(100)
	add("a1", &request{ahead: true})
	taken(100, "a1")
	growing("g2")
	add("a2", &request{ahead: true})
	if asked != 0 {
		t.Fatal("what grows was asked before it was taken")
	}
	add("o1", &request{})
	growing("g3")
	add("a3", &request{ahead: true})
	taken(3, "a2", "g1")
	taken(100, "g2", "o1", "a3")
	q.late()
	taken(100, "g3")
	growing("g4")
	q.close()
	taken(100, "g4")
	if asked != 4 {
		t.Errorf("asked %d times", asked)
	}
}

// TestGrowingOnDisk: an instance stores what had come by the time when it was taken.
func TestGrowingOnDisk(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, smallOptions())
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 3)
	done := func(err error) { told <- err }
	db.CommitGrowing(func() []Entry { return []Entry{set("one", "1")} }, done)
	db.CommitAhead([]Entry{set("two", "2")}, false, done)
	if err := db.Commit(); err != nil {
		t.Fatal(err)
	}
	db.CommitGrowing(func() []Entry { return []Entry{set("three", "3")} }, done)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := <-told; err != nil {
			t.Fatal(err)
		}
	}
	if db, err = Open(dir, smallOptions()); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, key := range []string{"one", "two", "three"} {
		if _, ok := get(t, db, key); !ok {
			t.Errorf("%s is not there", key)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db.CommitGrowing(func() []Entry { t.Error("asked after the end"); return nil }, done)
	if err := <-told; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
