package tablet

import (
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"stele/meta/types"
)

// TestManyTablets creates tens of thousands of empty tablets: none has a goroutine or a file of its own, each takes a few KiB,
// a write to one of them costs what it costs on an empty disk, and the disk opens again in seconds.
func TestManyTablets(t *testing.T) {
	many := upTo(20_000, 2_000)
	dir := t.TempDir()
	opt := testOptions()
	opt.Small = false
	s := openStore(t, dir, opt)
	if _, err := s.Create(testMeta(types.TabletID(many + 1))); err != nil {
		t.Fatal(err)
	}
	before := resourcesNow(t)
	start := time.Now()
	failed := make(chan error, 64)
	for w := range cap(failed) { // side by side: a create is a synced write
		go func() {
			var err error
			for id := w; id < many && err == nil; id += cap(failed) {
				_, err = s.Create(testMeta(types.TabletID(id + 1)))
			}
			failed <- err
		}()
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d tablets created in %v", many, time.Since(start).Round(time.Millisecond))
	after := resourcesNow(t)
	if more := after.goroutines - before.goroutines; more > 50 {
		t.Errorf("%d goroutines more", more)
	}
	if more := after.files - before.files; more > 50 {
		t.Errorf("%d open files more", more)
	}
	each := (after.heap - before.heap) / int64(many)
	t.Logf("%d bytes of heap a tablet", each)
	if each > 12<<10 {
		t.Errorf("%d bytes of heap a tablet", each)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	s = openStore(t, dir, opt)
	opened := time.Since(start)
	t.Logf("opened in %v", opened.Round(time.Millisecond))
	if n := s.TabletCount(); n != many+1 {
		t.Fatalf("%d tablets of %d", n, many+1)
	}
	start = time.Now()
	maintain(t, s)
	t.Logf("a round of maintenance takes %v", time.Since(start).Round(time.Microsecond))
	looked := s.counters.turns.Load()
	tb, _ := s.Tablet(types.TabletID(many / 2))
	commit(t, tb, puts(t, row{1, "a", 1}))
	for range 10 {
		maintain(t, s)
	}
	if turns := s.counters.turns.Load() - looked; turns > int64(10*(many/sweepRounds+2)) {
		t.Errorf("the maintenance worker looked at %d tablets in 10 rounds, of which one had anything to do", turns)
	}
	wantContents(t, tb, 2, map[rowKey]int64{{1, "a"}: 1})
}

type resources struct {
	goroutines, files int
	heap              int64
}

func resourcesNow(t *testing.T) resources {
	t.Helper()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("open files cannot be counted here: %v", err)
	}
	return resources{runtime.NumGoroutine(), len(fds), int64(m.HeapAlloc)}
}

// TestCreateAndDropSideBySide: creations of one tablet give the same one, and a drop comes before or after, never in between.
func TestCreateAndDropSideBySide(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	for round := range 20 {
		const makers = 8
		made := make(chan *Tablet, makers)
		for i := range makers {
			go func() {
				tb, err := s.Create(testMeta(7))
				if err == nil && i == 0 && round%2 == 1 {
					err = s.Drop(7, testMeta(7).Replica)
				}
				if err != nil {
					t.Error(err)
				}
				made <- tb
			}()
		}
		different := make(map[*Tablet]bool)
		for range makers {
			different[<-made] = true
		}
		if most := 1 + round%2; len(different) > most {
			t.Fatalf("%d tablets of one id", len(different))
		}
		if tb, ok := s.Tablet(7); ok {
			commit(t, tb, puts(t, row{1, "a", 1}))
			if err := s.Drop(7, testMeta(7).Replica); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, testOptions())
	if n := s.TabletCount(); n != 0 {
		t.Fatalf("%d tablets", n)
	}
	maintain(t, s)
	wantNoKeys(t, s)
}

// TestDropsShareRequests: what many small tablets leave is deleted by few requests, each of which waits for the disk.
func TestDropsShareRequests(t *testing.T) {
	const many = 300
	var writes atomic.Int64
	opt := testOptions()
	opt.Faults.Write = func(string, bool) error { writes.Add(1); return nil }
	s := openStore(t, t.TempDir(), opt)
	for id := types.TabletID(1); id <= many; id++ {
		tb, err := s.Create(testMeta(id))
		if err != nil {
			t.Fatal(err)
		}
		commit(t, tb, puts(t, row{1, "a", 1}))
		if err := s.Drop(id, testMeta(id).Replica); err != nil {
			t.Fatal(err)
		}
	}
	before := writes.Load()
	maintain(t, s)
	if n := writes.Load() - before; n > many/10 {
		t.Errorf("%d writes delete %d tablets", n, many)
	}
	wantNoKeys(t, s)
}

// TestLookUpsDoNotWaitForTheDisk drops a tablet on a disk that hangs: whoever looks for a tablet asks every disk, for one that may
// be on another.
func TestLookUpsDoNotWaitForTheDisk(t *testing.T) {
	opt := testOptions()
	hangs, hanging, goOn := hangingWrite(&opt)
	s := openStore(t, t.TempDir(), opt)
	for id := types.TabletID(1); id <= 2; id++ {
		if _, err := s.Create(testMeta(id)); err != nil {
			t.Fatal(err)
		}
	}
	hangs.Store(true)
	dropped := make(chan error, 1)
	go func() { dropped <- s.Drop(2, testMeta(2).Replica) }()
	<-hanging
	found := make(chan bool, 1)
	go func() {
		_, ok := s.Tablet(1)
		found <- ok && len(s.Tablets()) == s.TabletCount() && s.Memory().Total() > 0
	}()
	select {
	case ok := <-found:
		if !ok {
			t.Error("the tablet is not found")
		}
	case <-time.After(time.Minute):
		t.Error("a look-up waits for the disk")
	}
	close(goOn)
	if err := <-dropped; err != nil {
		t.Fatal(err)
	}
	if n := s.TabletCount(); n != 1 {
		t.Fatalf("%d tablets", n)
	}
}
