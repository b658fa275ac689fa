package kv

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sample is how many of something a test takes: few, or all of them when the store is to be proved.
func sample(few, all int) int {
	if os.Getenv("STELE_PROVE") != "" {
		return all
	}
	return few
}

// draws has a property draw few cases, or all of them when the store is to be proved, unless somebody says how many (make hunt).
func draws(t *testing.T, few, all int) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	if checks.Value.String() != checks.DefValue || os.Getenv("RAPID_CHECKS") != "" {
		return
	}
	if err := checks.Value.Set(strconv.Itoa(sample(few, all))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = checks.Value.Set(checks.DefValue) })
}

// fronted and segmented have the tests of this package run with a front, and with segments.
var fronted, segmented bool

func smallOptions() Options {
	return Options{Front: fronted, Segments: segmented, SegmentBytes: 4 << 20, MemTableBytes: 4 << 20, BlockCacheBytes: 1 << 20, IndexCacheBytes: 1 << 20, ValueThreshold: 1 << 10, ValueLogFileSize: 4 << 20}
}

func open(t *testing.T, dir string) *DB {
	t.Helper()
	db, err := Open(dir, smallOptions())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func get(t *testing.T, db *DB, key string) (string, bool) {
	t.Helper()
	var out string
	err := db.View([]byte(key), func(val []byte) error { out = string(val); return nil })
	if err != nil && !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	return out, err == nil
}

func set(key, val string) Entry { return Entry{Key: []byte(key), Value: []byte(val)} }

// TestConcurrentCommitsSurviveACopy is a crash test: a copy of the open directory holds all that was acknowledged.
func TestConcurrentCommitsSurviveACopy(t *testing.T) {
	root := t.TempDir()
	db := open(t, filepath.Join(root, "a"))
	big := string(make([]byte, 5000))
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 50 {
				if err := db.Commit(set(fmt.Sprintf("k%d-%d", w, i), fmt.Sprint(i)), set(fmt.Sprintf("big%d-%d", w, i), big)); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	wg.Wait()
	copyTo(t, filepath.Join(root, "a"), filepath.Join(root, "b"))
	b := open(t, filepath.Join(root, "b"))
	for w := range 8 {
		for i := range 50 {
			if got, ok := get(t, b, fmt.Sprintf("k%d-%d", w, i)); !ok || got != fmt.Sprint(i) {
				t.Fatalf("writer %d entry %d: %q %v", w, i, got, ok)
			}
			if got, ok := get(t, b, fmt.Sprintf("big%d-%d", w, i)); !ok || got != big {
				t.Fatalf("writer %d value %d of %d bytes", w, i, len(got))
			}
		}
	}
}

func TestRequestsKeepTheirOrder(t *testing.T) {
	db := open(t, t.TempDir())
	var order []int
	var wg sync.WaitGroup
	for i := range 3000 {
		wg.Add(1)
		db.CommitAsync([]Entry{set("k", fmt.Sprint(i))}, func(err error) {
			if err != nil {
				t.Error(err)
			}
			order = append(order, i)
			wg.Done()
		})
	}
	wg.Wait()
	for i, got := range order {
		if got != i {
			t.Fatalf("request %d was number %d", got, i)
		}
	}
	if got, _ := get(t, db, "k"); got != "2999" {
		t.Fatalf("last value %q", got)
	}
}

func TestDeleteAndScan(t *testing.T) {
	db := open(t, t.TempDir())
	if err := db.Commit(set("a1", "x"), set("a2", "y"), set("b1", "z")); err != nil {
		t.Fatal(err)
	}
	if err := db.Commit(Entry{Key: []byte("a1"), Delete: true}); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := db.Scan([]byte("a"), func(k, v []byte) error { got = append(got, string(k)+"="+string(v)); return nil }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != "[a2=y]" {
		t.Fatalf("scan %v", got)
	}
}

func TestViewTriesAgain(t *testing.T) {
	db := open(t, t.TempDir())
	if err := db.Commit(set("k", "v")); err != nil {
		t.Fatal(err)
	}
	tries := 0
	if err := db.View([]byte("k"), func([]byte) error {
		if tries++; tries < viewTries {
			return errors.New("moved")
		}
		return nil
	}); err != nil || tries != viewTries {
		t.Fatalf("%d tries, %v", tries, err)
	}
}

func TestAnErrorLineEndsWriting(t *testing.T) {
	var told error
	opt := smallOptions()
	opt.OnFailure = func(err error) { told = err }
	db, err := Open(t.TempDir(), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	logger{db}.Errorf("sync of value log: %v", os.ErrInvalid)
	if err := db.Commit(set("k", "v")); !errors.Is(err, ErrReadOnly) || told == nil {
		t.Fatalf("commit after a failed sync: %v, told %v", err, told)
	}
	if _, ok := get(t, db, "k"); ok {
		t.Fatal("refused write is there")
	}
}

func TestClosedRefuses(t *testing.T) {
	db := open(t, t.TempDir())
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Commit(set("k", "v")); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

// TestCloseOfALostDisk: an instance whose tables cannot be written does not keep its process from ending, and loses nothing by that. Renaming
// the folder keeps new files from being made and lets the open ones be written, as root.
func TestCloseOfALostDisk(t *testing.T) {
	for _, front := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "a")
		opt := smallOptions()
		opt.Front = front
		db, err := Open(dir, opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Commit(set("k", "v")); err != nil {
			t.Fatal(err)
		}
		away := dir + "-away"
		if err := os.Rename(dir, away); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err == nil || !strings.Contains(err.Error(), tableNotWritten) {
			t.Fatalf("closed with %v", err)
		}
		kept := filepath.Join(t.TempDir(), "kept")
		if err := os.CopyFS(kept, os.DirFS(away)); err != nil {
			t.Fatal(err)
		}
		again, err := Open(kept, opt)
		if err != nil {
			t.Fatal(err)
		}
		if v, _ := get(t, again, "k"); v != "v" {
			t.Errorf("front %v: %q is left", front, v)
		}
		if err := errors.Join(again.Close(), os.Rename(away, dir), db.bdb.Close()); err != nil { // it waits for the first call
			t.Fatal(err)
		}
	}
}

// TestOpenBesideForks: an instance that was closed can be opened again while other processes are started, which have its files, and so
// its locks, for a moment.
func TestOpenBesideForks(t *testing.T) {
	var starters sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		starters.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := exec.Command("true").Run(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	defer starters.Wait()
	defer close(stop)
	dir := t.TempDir()
	for i := range 25 {
		db, err := Open(dir, smallOptions())
		if err != nil {
			t.Fatalf("opened %d times: %v", i, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
