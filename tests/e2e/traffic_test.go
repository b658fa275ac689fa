package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"stele/tests/cluster"
)

// traffic writes one row after the other with a few clients until it is stopped, and remembers what was acknowledged and
// when.
type traffic struct {
	db      *sql.DB
	table   string
	writers sync.WaitGroup
	end     context.CancelFunc

	mu     sync.Mutex
	acked  map[int]bool
	times  []time.Time     // of acknowledgements
	took   []time.Duration // from the statement to its acknowledgement
	failed []error
}

const trafficStride = 1_000_000

func startTraffic(ctx context.Context, db *sql.DB, table string, writers, first int) *traffic {
	ctx, cancel := context.WithCancel(ctx)
	f := &traffic{db: db, table: table, end: cancel, acked: map[int]bool{}}
	for n := range writers {
		f.writers.Go(func() {
			for id := first + n*trafficStride; ctx.Err() == nil; id++ {
				f.insert(ctx, id)
			}
		})
	}
	return f
}

func (f *traffic) insert(ctx context.Context, id int) {
	begun := time.Now()
	_, err := f.db.ExecContext(ctx, fmt.Sprintf("INSERT INTO %s VALUES (%d, 'x')", f.table, id))
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err == nil:
		f.acked[id] = true
		f.times, f.took = append(f.times, time.Now()), append(f.took, time.Since(begun))
	case ctx.Err() == nil:
		f.failed = append(f.failed, fmt.Errorf("row %d: %w", id, err))
	}
}

func (f *traffic) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.acked)
}

// stop ends the writers and returns how many statements failed.
func (f *traffic) stop() int {
	f.end()
	f.writers.Wait()
	return len(f.failed)
}

// rate is how many rows a second are acknowledged from now on, for d: the median of quarter seconds, of which what else a
// machine does spoils some.
func (f *traffic) rate(ctx context.Context, d time.Duration) float64 {
	const window = 250 * time.Millisecond
	var rates []float64
	for range max(d/window, 1) {
		from := f.count()
		at := time.Now()
		cluster.Sleep(ctx, window)
		rates = append(rates, float64(f.count()-from)/time.Since(at).Seconds())
	}
	slices.Sort(rates)
	return rates[len(rates)/2]
}

// gap is the longest time without an acknowledgement between two moments.
func (f *traffic) gap(from, to time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	longest, last := time.Duration(0), from
	for _, at := range f.times {
		if at.After(from) && at.Before(to) {
			longest, last = max(longest, at.Sub(last)), at
		}
	}
	return max(longest, to.Sub(last))
}

// slowest is the longest that a statement took which ran between two moments: what a client sees of a pause, whichever tablet
// it was of.
func (f *traffic) slowest(from, to time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	longest := time.Duration(0)
	for i, at := range f.times {
		if at.After(from) && at.Add(-f.took[i]).Before(to) {
			longest = max(longest, f.took[i])
		}
	}
	return longest
}

// lost counts the acknowledged rows that a query does not see.
func (f *traffic) lost(ctx context.Context, t *testing.T) int {
	t.Helper()
	there := map[int]bool{}
	rows, err := f.db.QueryContext(ctx, "SELECT id FROM "+f.table)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var id int
		must(t, rows.Scan(&id))
		there[id] = true
	}
	must(t, rows.Err())
	missing := 0
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.acked {
		if !there[id] {
			missing++
		}
	}
	return missing
}
