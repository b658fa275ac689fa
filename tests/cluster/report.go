package cluster

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const pollInterval = 200 * time.Millisecond

// Wait polls until a condition holds; the condition says what it sees meanwhile. When the time is over the test ends
// with that and a report of the cluster.
func (c *Cluster) Wait(tb testing.TB, what string, timeout time.Duration, holds func() (bool, string)) {
	tb.Helper()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		ok, seen := holds()
		if ok {
			return
		}
		select {
		case <-deadline.C:
			tb.Fatalf("not %s within %v: %s", what, timeout, seen)
		case <-poll.C:
		}
	}
}

// Said is the end of what `stele local` has said since the cluster was started last.
func (c *Cluster) Said() string { return c.supervisor.stderr.String() }

// Report tells the state of the cluster: what the statements for it show, and the end of each node's output.
func (c *Cluster) Report() string {
	var b strings.Builder
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	for _, query := range []string{"SHOW FRONTENDS", "SHOW BACKENDS", "SHOW PROC '/cluster_balance'",
		"SHOW PROC '/cluster_balance/pending_tablets'", "SHOW PROC '/cluster_balance/running_tablets'",
		"SHOW PROC '/cluster_balance/history_tablets'"} {
		fmt.Fprintf(&b, "=== %s\n%s\n", query, c.show(ctx, query, 20))
	}
	fmt.Fprintf(&b, "=== stele local\n%s\n", c.supervisor.stderr)
	for _, node := range c.Nodes() {
		logs, _ := filepath.Glob(filepath.Join(c.Dir, node, "log", "*"))
		for _, path := range logs {
			fmt.Fprintf(&b, "=== %s/log/%s\n%s\n", node, filepath.Base(path), tail(path, 25))
		}
	}
	return b.String()
}

func (c *Cluster) show(ctx context.Context, query string, limit int) string {
	t, err := ReadTable(ctx, c.DB(), query)
	if err != nil {
		return err.Error()
	}
	lines := []string{strings.Join(t.Columns, " | ")}
	for i, row := range t.Rows {
		if i == limit {
			lines = append(lines, fmt.Sprintf("… %d rows in all", len(t.Rows)))
			break
		}
		lines = append(lines, strings.Join(row, " | "))
	}
	return strings.Join(lines, "\n")
}

// tail returns the last lines of a file that may be large.
func tail(path string, lines int) string {
	const window = 16 << 10
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	size, err := f.Seek(0, 2)
	if err != nil {
		return err.Error()
	}
	text := make([]byte, min(size, window))
	if _, err := f.ReadAt(text, size-int64(len(text))); err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Table is a small result as texts. NULL is the text NULL.
type Table struct {
	Columns []string
	Rows    [][]string
}

// Querier runs queries: a pool, a connection or a transaction.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// ReadTable runs a query and collects its rows.
func ReadTable(ctx context.Context, db Querier, query string, args ...any) (t Table, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return t, err
	}
	defer rows.Close()
	if t.Columns, err = rows.Columns(); err != nil {
		return t, err
	}
	cells := make([]sql.NullString, len(t.Columns))
	targets := make([]any, len(cells))
	for i := range cells {
		targets[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return t, err
		}
		row := make([]string, len(cells))
		for i, cell := range cells {
			if row[i] = cell.String; !cell.Valid {
				row[i] = "NULL"
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t, rows.Err()
}

// Column returns the cells of one column by its name in any case, or nil when there is none.
func (t Table) Column(name string) []string {
	for i, column := range t.Columns {
		if !strings.EqualFold(column, name) {
			continue
		}
		cells := make([]string, len(t.Rows))
		for r, row := range t.Rows {
			cells[r] = row[i]
		}
		return cells
	}
	return nil
}
