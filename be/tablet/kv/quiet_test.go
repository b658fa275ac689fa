package kv

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
)

// TestQuietLogFindsTheSwitch fails when a new Badger looks different: writes are still safe then, and twice as slow.
func TestQuietLogFindsTheSwitch(t *testing.T) {
	db := open(t, t.TempDir())
	if db.quiet.sync == nil || !*db.quiet.sync {
		t.Fatal("the switch of Badger's value log was not found, or is off")
	}
	for name, c := range map[string]struct {
		small, collecting, want bool
	}{
		"small":                    {true, false, false},
		"large":                    {false, false, true},
		"small beside a collector": {true, true, true},
		"large beside a collector": {false, true, true},
	} {
		seen := false
		commit := func() error {
			return db.quiet.commit(c.small, func() error { seen = *db.quiet.sync; return nil })
		}
		var err error
		if c.collecting {
			err = db.quiet.collect(commit)
		} else {
			err = commit()
		}
		if err != nil || seen != c.want || !*db.quiet.sync {
			t.Errorf("%s: the switch was %v (want %v), and %v afterwards: %v", name, seen, c.want, *db.quiet.sync, err)
		}
	}
}

// TestQuietLogBesideCollection mixes values on both sides of the threshold with value log GC, for the race detector and so
// that the switch is on whenever a value goes to the value log.
func TestQuietLogBesideCollection(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "a"))
	threshold := int(db.threshold)
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 300 {
				size := []int{10, threshold - 1, threshold, 20 * threshold}[i%4]
				if err := db.Commit(set(fmt.Sprintf("k%d-%d", w, i%40), string(make([]byte, size)))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 3 {
		if err := db.collectLogs(t.Context(), noPace); err != nil {
			t.Error(err)
		}
	}
	writers.Wait()
	for w := range 4 {
		for i := range 40 {
			if v, ok := get(t, db, fmt.Sprintf("k%d-%d", w, i)); !ok || len(v) != []int{10, threshold - 1, threshold, 20 * threshold}[i%4] {
				t.Fatalf("writer %d key %d: %v, %d bytes", w, i, ok, len(v))
			}
		}
	}
	if !*db.quiet.sync {
		t.Fatal("the switch was left off")
	}
}
