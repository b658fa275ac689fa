package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stele/tests/cluster"
)

// prompt has a cluster notice and repair within seconds, as a test needs it, and use a machine's disk that others fill.
var prompt = cluster.Options{
	FE: map[string]string{"tablet_sched_checker_interval_seconds": "2", "tablet_sched_repair_delay_factor_second": "1",
		"tablet_sched_consecutive_full_clone_delay_sec": "1"},
	BE: map[string]string{"report_tablet_interval_ms": "2000"},
}

const (
	healTimeout = 90 * time.Second
	loadWriters = 4
	loadBatch   = 500
)

// loader inserts declarations and keeps the ledger of those that were acknowledged.
type loader struct {
	db    *sql.DB
	work  chan []declaration
	done  atomic.Int64 // acknowledged rows
	group sync.WaitGroup

	mu     sync.Mutex
	ledger []declaration
	errs   []error
}

func startLoad(ctx context.Context, db *sql.DB, list []declaration) *loader {
	l := &loader{db: db, work: make(chan []declaration)}
	for range loadWriters {
		l.group.Go(func() {
			for batch := range l.work {
				l.insert(ctx, batch)
			}
		})
	}
	l.group.Go(func() {
		defer close(l.work)
		for len(list) > 0 {
			n := min(loadBatch, len(list))
			l.work <- list[:n]
			list = list[n:]
		}
	})
	return l
}

func (l *loader) insert(ctx context.Context, batch []declaration) {
	var b strings.Builder
	b.WriteString("INSERT INTO api VALUES ")
	for i, d := range batch {
		if i > 0 {
			b.WriteByte(',')
		}
		d.tuple(&b)
	}
	_, err := l.db.ExecContext(ctx, b.String())
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("insert of %s line %d and on: %w", batch[0].file, batch[0].line, err))
		return
	}
	l.ledger = append(l.ledger, batch...)
	l.done.Add(int64(len(batch)))
}

// await returns when so many rows have been acknowledged.
func (l *loader) await(t *testing.T, c *cluster.Cluster, rows int) {
	t.Helper()
	c.Wait(t, fmt.Sprintf("%d rows loaded", rows), 2*time.Minute, func() (bool, string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		// A load that fails never gets there; what it lacks is told at its end.
		return int(l.done.Load()) >= rows || len(l.errs) > 0, fmt.Sprintf("%d rows", l.done.Load())
	})
}

// wait returns the acknowledged rows at the end of the load. No statement may have failed.
func (l *loader) wait(t *testing.T) []declaration {
	t.Helper()
	l.group.Wait()
	for i, err := range l.errs {
		if t.Errorf("%v", err); i == 4 {
			t.Errorf("… %d failed statements in all", len(l.errs))
			break
		}
	}
	return l.ledger
}

// TestRealTableHeals is the life of one table of real rows while a BE is lost: killed in the middle of the load, its disks
// wiped, started again. No statement fails, no acknowledged row is missing, and in the end all replicas are the same.
func TestRealTableHeals(t *testing.T) {
	skipShort(t, "loads 150,000 rows while a BE is killed and wiped")
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	list := declarations(t)
	c := cluster.Start(t, prompt)
	db := databaseOf(ctx, t, c, "godoc", declarationTable)
	started := time.Now()
	load := startLoad(ctx, db, list)
	load.await(t, c, len(list)/4)
	must(t, c.Kill("be2"))
	load.await(t, c, len(list)/2)
	must(t, c.Wipe("be2"))
	must(t, c.StartNode("be2"))
	ledger := load.wait(t)
	t.Logf("%d rows loaded in %v", len(ledger), time.Since(started).Round(time.Millisecond))
	c.WaitHealthy(t, "godoc.api", healTimeout)
	if full, _ := clones(t, c); full == 0 {
		t.Error("disks were wiped, but no clone was a full one")
	}
	t.Logf("healthy after %v", time.Since(started).Round(time.Millisecond))

	want := sorted(ledger)
	if n := c.CheckReplicas(t, "godoc.api", 3); n != int64(len(want)) {
		t.Errorf("the replicas hold %d rows, %d were acknowledged", n, len(want))
	}
	compareRows(ctx, t, db, want)
	for _, node := range []string{"be1", "be2", "be3"} {
		must(t, c.Kill(node))
		compareRows(ctx, t, db, want)
		must(t, c.StartNode(node))
		c.WaitAlive(t, node, true, 30*time.Second)
		c.WaitHealthy(t, "godoc.api", healTimeout)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// databaseOf makes a database with tables and returns a pool of sessions that use it.
func databaseOf(ctx context.Context, t *testing.T, c *cluster.Cluster, name string, tables ...string) *sql.DB {
	t.Helper()
	if _, err := c.DB().ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	db := c.OpenDB(name)
	t.Cleanup(func() { db.Close() })
	for _, table := range tables {
		if _, err := db.ExecContext(ctx, table); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
	}
	return db
}

// compareRows reads the whole table and compares it with the ledger row by row.
func compareRows(ctx context.Context, t *testing.T, db *sql.DB, want []string) {
	t.Helper()
	rows, err := db.QueryContext(ctx, "SELECT file, line, pkg, platform, kind, decl, issue FROM api ORDER BY file, line")
	if err != nil {
		t.Errorf("read the table: %v", err)
		return
	}
	defer rows.Close()
	n := 0
	cells, targets := make([]sql.NullString, 7), make([]any, 7)
	for i := range cells {
		targets[i] = &cells[i]
	}
	for ; rows.Next(); n++ {
		must(t, rows.Scan(targets...))
		texts := make([]string, len(cells))
		for i, cell := range cells {
			if texts[i] = cell.String; !cell.Valid {
				texts[i] = "NULL"
			}
		}
		if got := strings.Join(texts, "|"); n >= len(want) || got != want[n] {
			t.Errorf("row %d is %q, want %q", n, got, want[min(n, len(want)-1)])
			return
		}
	}
	if err := rows.Err(); err != nil {
		t.Errorf("read the table: %v", err)
	}
	if n != len(want) {
		t.Errorf("read %d rows, %d were acknowledged", n, len(want))
	}
}
