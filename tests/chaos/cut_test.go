//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"stele/tests/cluster"
)

// cutWriter writes one row after the other and keeps how long each took.
type cutWriter struct {
	mu     sync.Mutex
	ended  []time.Time
	took   []time.Duration
	failed []error
}

func (w *cutWriter) note(begun time.Time, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended, w.took = append(w.ended, time.Now()), append(w.took, time.Since(begun))
	if err != nil {
		w.failed = append(w.failed, err)
	}
}

// since returns how many writes ended after a moment, and the longest of them.
func (w *cutWriter) since(from time.Time) (n int, longest time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, at := range w.ended {
		if at.After(from) {
			n++
			longest = max(longest, w.took[i])
		}
	}
	return n, longest
}

// TestBackendCut cuts links of a BE under writes, all of them or one. Writes go on within 3 s, and do not wait for the replica that cannot
// be reached. Where both ends of a link are well for the FE, leaders go where they reach all replicas: the table is whole while
// the link is cut, under writes.
func TestBackendCut(t *testing.T) {
	if !cluster.Networked() {
		t.Skip("no network namespaces here")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := cluster.Start(t, cluster.Options{Network: true})
	if _, err := c.DB().ExecContext(ctx, "CREATE DATABASE d"); err != nil {
		t.Fatal(err)
	}
	db := c.OpenDB("d")
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9)) DISTRIBUTED BY HASH(id) BUCKETS 9"); err != nil {
		t.Fatal(err)
	}
	w := &cutWriter{}
	wctx, stop := context.WithCancel(ctx)
	var writers sync.WaitGroup
	defer writers.Wait()
	defer stop()
	for n := range 4 {
		writers.Go(func() {
			for id := n * 1_000_000; wctx.Err() == nil; id++ {
				begun := time.Now()
				if _, err := db.ExecContext(wctx, fmt.Sprintf("INSERT INTO t VALUES (%d,'x')", id)); wctx.Err() == nil {
					w.note(begun, err)
				}
			}
		})
	}
	load := func(d time.Duration) float64 {
		from := time.Now()
		time.Sleep(d) // load, not synchronisation
		n, _ := w.since(from)
		return float64(n) / time.Since(from).Seconds()
	}
	for _, cut := range []struct {
		name  string
		do    func() error
		whole bool
	}{
		{"be1 cut from all", func() error { return c.Isolate("be1", "fe1", "be2", "be3") }, true},
		{"be1 cut from be2", func() error { return c.Cut("be1", "be2") }, false},
		{"be1 cannot send to be2", func() error { return c.CutOneWay("be1", "be2") }, false},
	} {
		usual := load(2 * time.Second)
		at := time.Now()
		if err := cut.do(); err != nil {
			t.Fatal(err)
		}
		load(4 * time.Second)
		rate := load(2 * time.Second)
		_, longest := w.since(at)
		t.Logf("%s: longest write %v (the goal is 3 s), %.0f writes a second before and %.0f after", cut.name, longest, usual, rate)
		if longest > 6*time.Second {
			t.Errorf("%s: a write took %v", cut.name, longest)
		}
		if rate < usual/5 {
			t.Errorf("%s: %.0f writes a second were %.0f", cut.name, rate, usual)
		}
		if !cut.whole {
			c.WaitHealthy(t, "d.t", time.Minute)
		}
		if err := c.Mend(); err != nil {
			t.Fatal(err)
		}
		c.WaitHealthy(t, "d.t", time.Minute)
	}
	stop()
	writers.Wait()
	if len(w.failed) > 0 {
		t.Errorf("%d writes failed: %v", len(w.failed), w.failed[0])
	}
}
