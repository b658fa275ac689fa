package kv

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

func noPace(context.Context) error { return nil }

func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestTrapNewestFileHasTheMostDeadBytes: Badger's GC looks at the file with the most dead bytes only, and rewrites nothing
// when that is the one it writes to, however dead the others are.
func TestTrapNewestFileHasTheMostDeadBytes(t *testing.T) {
	db := open(t, t.TempDir())
	const piece = 256 << 10
	commit := func(i int, del bool) {
		t.Helper()
		e := Entry{Key: fmt.Appendf(nil, "k%03d", i), Delete: del}
		if !del {
			e.Value = noise(uint64(i), piece)
		}
		if err := db.Commit(e); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for ; ; n++ { // two full files and most of a third
		commit(n, false)
		if _, newest, err := db.valueLogs(); err != nil {
			t.Fatal(err)
		} else if newest == 3 {
			break
		}
	}
	first := n + 1
	for end := n + 14; n < end; {
		n++
		commit(n, false)
	}
	live := 0
	for i := range n + 1 {
		if dead := i%2 == 0 || i >= first && i < n; dead { // half of the older files, nearly all of the newest
			commit(i, true)
		} else {
			live++
		}
	}
	if err := db.reclaimOnce(t.Context(), []byte("Z"), noPace); err != nil {
		t.Fatal(err)
	}
	if stuck, err := db.newestKeepsOthers(); err != nil || !stuck {
		t.Fatalf("the trap is not set up: stuck %v, %v", stuck, err)
	}
	if err := db.Reclaim(t.Context(), []byte("Z"), noPace); err != nil {
		t.Fatal(err)
	}
	// What stays beside the live values: the tables, and the dead tail of the file that is written.
	if size, most := db.Size(), int64(live*piece)*115/100+(1<<20); size > most {
		t.Fatalf("%d bytes on disk of %d live bytes", size, live*piece)
	}
	for i := range n + 1 {
		_, found := get(t, db, fmt.Sprintf("k%03d", i))
		if want := i%2 == 1 && (i < first || i >= n); found != want {
			t.Fatalf("value %d is there: %v", i, found)
		}
	}
}

// TestSteadyStateSpace rewrites values over and over, a cycle now and then, as compaction does: the files stay near what lives.
func TestSteadyStateSpace(t *testing.T) {
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
		if err := db.Reclaim(t.Context(), []byte("Z"), noPace); err != nil {
			t.Fatal(err)
		}
		if size := db.Size(); round > 0 && size > piece*keys*3/2 {
			t.Fatalf("round %d: %d bytes on disk of %d live bytes", round, size, piece*keys)
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

// TestTrapLostDiscardStatistics: Badger keeps what it knows of dead bytes in a file that it does not sync. When a power cut takes that,
// the value logs are suspected: each is looked at, what is dead goes and what lives stays.
func TestTrapLostDiscardStatistics(t *testing.T) {
	for name, suspect := range map[string]bool{"empty": false, "suspected": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			db, err := Open(dir, smallOptions())
			if err != nil {
				t.Fatal(err)
			}
			const values = 128
			for i := range values {
				if err := db.Commit(Entry{Key: fmt.Appendf(nil, "k%03d", i), Value: noise(uint64(i), 256<<10)}); err != nil {
					t.Fatal(err)
				}
			}
			for i := range values * 3 / 4 {
				if err := db.Commit(Entry{Key: fmt.Appendf(nil, "k%03d", i), Delete: true}); err != nil {
					t.Fatal(err)
				}
			}
			marker := []byte("Z")
			if err := db.between(func() error {
				db.bdb.SetDiscardTs(db.ts)
				return errors.Join(db.bdb.DropPrefix(marker), db.bdb.Flatten(1)) // what is dead is counted now, and no tombstone is left
			}); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(dir, "DISCARD")); err != nil {
				t.Fatal(err)
			}
			if suspect {
				if err := SuspectDead(dir); err != nil {
					t.Fatal(err)
				}
			}
			db = open(t, dir)
			before := db.Size()
			if err := db.Reclaim(t.Context(), marker, noPace); err != nil {
				t.Fatal(err)
			}
			after := db.Size()
			t.Logf("%d bytes became %d", before, after)
			if suspect && after > before*2/3 {
				t.Errorf("%d bytes became %d", before, after)
			}
			for i := values * 3 / 4; i < values; i++ {
				if err := db.View(fmt.Appendf(nil, "k%03d", i), func(val []byte) error {
					if string(val) != string(noise(uint64(i), 256<<10)) {
						t.Errorf("value %d is another", i)
					}
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
