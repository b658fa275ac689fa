package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"stele/be/tablet/kv/segment"
)

func noPace(context.Context, int64) error { return nil }

// withSegments has a test keep large values in segments.
func withSegments(t *testing.T) {
	segmented = true
	t.Cleanup(func() { segmented = false })
}

func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestSteadyStateSpace rewrites values over and over, a cycle now and then, as compaction does: the files stay near what lives.
func TestSteadyStateSpace(t *testing.T) {
	withSegments(t)
	db := open(t, t.TempDir())
	const piece, keys = 128 << 10, 128
	for round := range 8 {
		for i := range keys {
			if round > 0 && i%3 != round%3 {
				continue
			}
			if err := db.Commit(Entry{Key: fmt.Appendf(nil, "k%03d", i), Value: noise(uint64(round*keys+i), piece)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Reclaim(t.Context(), noPace); err != nil {
			t.Fatal(err)
		}
		if size := db.Size(); round > 0 && size > piece*keys*3/2 {
			t.Fatalf("round %d: %d bytes on disk of %d live bytes", round, size, piece*keys)
		}
	}
}

func TestReclaimFreesSpaceWhileWriting(t *testing.T) {
	withSegments(t)
	db := open(t, t.TempDir())
	val := make([]byte, 256<<10)
	for i := range 64 {
		for j := range val {
			val[j] = byte(i * j)
		}
		if err := db.Commit(Entry{Key: fmt.Appendf(nil, "k%02d", i), Value: append([]byte(nil), val...)}); err != nil {
			t.Fatal(err)
		}
	}
	before := db.Size()
	for i := range 60 {
		if err := db.Commit(Entry{Key: fmt.Appendf(nil, "k%02d", i), Delete: true}); err != nil {
			t.Fatal(err)
		}
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := db.Commit(set("beside", fmt.Sprint(i))); err != nil {
				t.Errorf("write during reclaim: %v", err)
				return
			}
		}
	}()
	err := db.Reclaim(t.Context(), noPace)
	close(stop)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if after := db.Size(); after > before/2 {
		t.Fatalf("%d bytes became %d", before, after)
	}
	for i := 60; i < 64; i++ {
		if got, ok := get(t, db, fmt.Sprintf("k%02d", i)); !ok || len(got) != len(val) {
			t.Fatalf("live value %d is gone", i)
		}
	}
}

// TestTrapEmptyLogFile: killed between creating a log file and giving it a length, or between cutting and removing it, Badger
// leaves one without a byte and refuses to open.
func TestTrapEmptyLogFile(t *testing.T) {
	for _, name := range []string{"00000.mem", "00009.mem", "000001.vlog", "000009.vlog"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			db := open(t, dir)
			if err := db.Commit(set("k", "v")); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err == nil && info.Size() > 20 { // more than a header
				t.Skip("this file has values")
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if got, ok := get(t, open(t, dir), "k"); !ok || got != "v" {
				t.Fatalf("%q, %v", got, ok)
			}
		})
	}
}

// TestOldValuesMove: an instance of an older release has its large values in value logs. They are read there, new ones go to
// segments, and a cycle moves the old ones and gives the logs back, whether or not Badger still knows what of them is dead.
func TestOldValuesMove(t *testing.T) {
	t.Run("alone", testOldValuesMove)
	t.Run("front", func(t *testing.T) {
		fronted = true
		defer func() { fronted = false }()
		testOldValuesMove(t)
	})
}

func testOldValuesMove(t *testing.T) {
	for name, lose := range map[string]bool{"closed": false, "statistics lost": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			db, err := Open(dir, smallOptions())
			if err != nil {
				t.Fatal(err)
			}
			const values, gone = 128, 96
			commit := func(i int, e Entry) {
				t.Helper()
				e.Key = fmt.Appendf(nil, "k%03d", i)
				if err := db.Commit(e); err != nil {
					t.Fatal(err)
				}
			}
			for i := range values {
				commit(i, Entry{Value: noise(uint64(i), 256<<10)})
			}
			for i := range gone {
				commit(i, Entry{Delete: true})
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if lose {
				if err := os.Remove(filepath.Join(dir, "DISCARD")); err != nil {
					t.Fatal(err)
				}
			}
			withSegments(t)
			db = open(t, dir)
			right := func(step string) {
				t.Helper()
				for i := range values {
					err := db.View(fmt.Appendf(nil, "k%03d", i), func(val []byte) error {
						if string(val) != string(noise(uint64(i), 256<<10)) {
							return errBadValue
						}
						return nil
					})
					if want := i >= gone; want != (err == nil) || !want && !errors.Is(err, ErrNotFound) {
						t.Fatalf("%s: value %d: %v", step, i, err)
					}
				}
			}
			right("opened")
			if dead := db.Dead(); dead < gone*256<<10*8/10 || dead > gone*256<<10*12/10 {
				t.Errorf("%d bytes are dead, %d were deleted", dead, gone*256<<10)
			}
			if len(segmentsOf(t, dir)) > 0 {
				t.Fatal("there are segments")
			}
			commit(gone, Entry{Value: noise(gone, 256<<10)})                            // the same again
			if err := db.ScanKeys(nil, func([]byte) error { return nil }); err != nil { // Badger has it
				t.Fatal(err)
			}
			if len(segmentsOf(t, dir)) != 1 {
				t.Fatal("the new value is in no segment")
			}
			if err := db.Reclaim(t.Context(), noPace); err != nil {
				t.Fatal(err)
			}
			right("moved")
			if logs, err := oldLogs(dir); err != nil || len(logs) > 0 {
				t.Errorf("value logs are left: %v, %v", logs, err)
			}
			if size, live := db.Size(), int64(values-gone)*256<<10; size > live*115/100+1<<20 {
				t.Errorf("%d bytes on disk of %d live bytes", size, live)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = open(t, dir)
			right("opened again")
		})
	}
}

func segmentsOf(t *testing.T, dir string) map[uint32]string {
	t.Helper()
	files, err := segment.Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestPlaceAfterReclaim reads values by where they lay before a reclaim has moved them, while it does, and after they were deleted.
func TestPlaceAfterReclaim(t *testing.T) {
	withSegments(t)
	db := open(t, t.TempDir())
	const keys = 64
	key := func(i int) []byte { return fmt.Appendf(nil, "k%02d", i) }
	for i := range keys {
		if err := db.Commit(Entry{Key: key(i), Value: noise(uint64(i), 256<<10)}); err != nil {
			t.Fatal(err)
		}
	}
	places := make([]Place, keys)
	read := func() error {
		for i := 1; i < keys; i += 2 {
			want := noise(uint64(i), 256<<10)
			if err := db.ViewPlaced(key(i), &places[i], func(val []byte) error {
				if !bytes.Equal(val, want) {
					return fmt.Errorf("key %d has another value", i)
				}
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	before := *places[1].pointer.Load()
	for i := 0; i < keys; i += 2 {
		if err := db.Commit(Entry{Key: key(i), Delete: true}); err != nil {
			t.Fatal(err)
		}
	}
	reclaimed := make(chan error, 1)
	go func() { reclaimed <- db.Reclaim(t.Context(), noPace) }()
	if err := errors.Join(read(), <-reclaimed, read()); err != nil {
		t.Fatal(err)
	}
	if *places[1].pointer.Load() == before {
		t.Fatal("nothing was moved")
	}
	if err := db.Commit(Entry{Key: key(3), Delete: true}); err != nil {
		t.Fatal(err)
	}
	var gone Place
	if err := db.ViewPlaced(key(3), &gone, func([]byte) error { return nil }); !errors.Is(err, ErrNotFound) {
		t.Fatalf("a value that was deleted: %v", err)
	}
}
