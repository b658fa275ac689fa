package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"stele/tests/cluster"
)

// redoTables are what the tests of rows in commits write to: one that has copies, and one that has none.
var redoTables = map[string]int{"copies": 3, "single": 1}

// redoRun is a cluster whose small writes are in the memory of BEs and in the metadata log when they are acknowledged.
type redoRun struct {
	c      *cluster.Cluster
	db     *sql.DB
	tables map[string]int // by name: of how many replicas
	next   int            // id of the next traffic
}

// newRedoRun makes the tables.
func newRedoRun(ctx context.Context, t *testing.T, c *cluster.Cluster, tables map[string]int) *redoRun {
	r := &redoRun{c: c, db: databaseOf(ctx, t, c, "redo"), tables: tables, next: 1}
	for table, n := range tables {
		_, err := r.db.ExecContext(ctx, fmt.Sprintf("CREATE TABLE %s (id INT PRIMARY KEY, v VARCHAR(9)) DISTRIBUTED BY HASH(id) BUCKETS 3 PROPERTIES('replication_num'='%d')", table, n))
		must(t, err)
	}
	return r
}

// TestRowsInCommits ends BEs, one and all, with the FE and without, right after they have acknowledged rows that are on no disk of
// theirs yet, and starts them again at once. Nothing acknowledged is lost, nothing is there twice, replicas agree.
func TestRowsInCommits(t *testing.T) {
	skipShort(t, "kills every BE, again and again")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := cluster.Start(t, prompt)
	r := newRedoRun(ctx, t, c, redoTables)
	be := func(n int) []string { return []string{"be1", "be2", "be3"}[:n] }
	t.Run("one BE is killed", func(t *testing.T) { r.crash(ctx, t, be(1), r.restart) })
	t.Run("two BEs are killed", func(t *testing.T) { r.crash(ctx, t, be(2), r.restart) })
	t.Run("all BEs are killed", func(t *testing.T) { r.crash(ctx, t, be(3), r.restart) })
	t.Run("the whole cluster is killed", func(t *testing.T) {
		r.crash(ctx, t, nil, func(t *testing.T, _ []string) { must(t, c.KillAll()) })
	})
	t.Run("transactions across a restart of their leaders", func(t *testing.T) { r.transactions(ctx, t) })
	t.Run("the log forgets", func(t *testing.T) { r.awaitTrimmed(ctx, t) })
	t.Run("without", func(t *testing.T) { r.without(ctx, t) })
}

// restart kills BEs and starts them again.
func (r *redoRun) restart(t *testing.T, nodes []string) {
	t.Helper()
	for _, node := range nodes {
		must(t, r.c.Kill(node))
	}
	for _, node := range nodes {
		must(t, r.c.StartNode(node))
	}
}

// crash plays a crash under writes and compares what is there afterwards with what was acknowledged.
func (r *redoRun) crash(ctx context.Context, t *testing.T, nodes []string, crash func(*testing.T, []string)) {
	loads := r.write(ctx, t)
	crash(t, nodes)
	for _, l := range loads {
		l.stop()
	}
	r.verify(ctx, t, loads)
}

// write starts writers on all tables and returns when rows have been acknowledged on each, some of which the log has.
func (r *redoRun) write(ctx context.Context, t *testing.T) map[string]*traffic {
	loads := map[string]*traffic{}
	for table := range r.tables {
		loads[table] = startTraffic(ctx, r.db, table, 4, r.next)
	}
	r.next += 10 * trafficStride
	r.c.Wait(t, "rows", healTimeout, func() (bool, string) {
		least := math.MaxInt
		for _, l := range loads {
			least = min(least, l.count())
		}
		return least > 60, fmt.Sprint(least)
	})
	return loads
}

// verify finds every acknowledged row once, in every replica, and every key taken.
func (r *redoRun) verify(ctx context.Context, t *testing.T, loads map[string]*traffic) {
	t.Helper()
	for table, load := range loads {
		r.c.WaitHealthy(t, "redo."+table, healTimeout)
		if lost := load.lost(ctx, t); lost != 0 {
			t.Errorf("%s: %d of %d acknowledged rows are lost", table, lost, load.count())
		}
		// A statement whose answer went with the crash may be committed a moment later.
		r.c.Wait(t, "replicas of "+table+" that hold what a query sees, once", healTimeout, func() (bool, string) {
			var rows, keys int64
			must(t, r.db.QueryRowContext(ctx, "SELECT COUNT(*), COUNT(DISTINCT id) FROM "+table).Scan(&rows, &keys))
			n := r.c.CheckReplicas(t, "redo."+table, r.tables[table])
			return rows == keys && n == rows, fmt.Sprintf("%d rows with %d keys, replicas hold %d", rows, keys, n)
		})
		tried := 0
		for id := range load.acked {
			if tried++; tried > 10 {
				break
			}
			if code := errorCode(execute(ctx, r.db, fmt.Sprintf("INSERT INTO %s VALUES (%d, 'again')", table, id))); code != 1062 {
				t.Errorf("%s: row %d is written again: error %d, want 1062", table, id, code)
			}
		}
	}
}

// errorCode returns the number of a MySQL error, 0 = none.
func errorCode(err error) int {
	var e *mysql.MySQLError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return int(e.Number)
	}
	return -1
}

// transactions are open while every BE is restarted. Each commits as a whole, or not at all, and says so.
func (r *redoRun) transactions(ctx context.Context, t *testing.T) {
	const size = 6
	type open struct {
		tx    *sql.Tx
		table string
		first int
	}
	var txs []open
	for n := range 6 {
		o := open{table: []string{"copies", "single"}[n%2], first: r.next}
		r.next += trafficStride
		var err error
		o.tx, err = r.db.BeginTx(ctx, nil)
		must(t, err)
		for i := range size / 2 {
			_, err := o.tx.ExecContext(ctx, fmt.Sprintf("INSERT INTO %s VALUES (%d, 'a')", o.table, o.first+i))
			must(t, err)
		}
		txs = append(txs, o)
	}
	r.restart(t, []string{"be1", "be2", "be3"})
	for n, o := range txs {
		err := r.goOn(ctx, o.tx, o.table, o.first, size)
		var rows int
		r.c.Wait(t, "an answer from "+o.table, healTimeout, func() (bool, string) {
			err := r.db.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*) FROM %s WHERE id BETWEEN %d AND %d", o.table, o.first, o.first+size-1)).Scan(&rows)
			return err == nil, fmt.Sprint(err)
		})
		t.Logf("transaction %d on %s: %d rows, %v", n, o.table, rows, err)
		switch code := errorCode(err); {
		case code == 0 && rows == size, code == 1180 && (rows == 0 || rows == size):
		case slices.Contains([]int{1205, 1213}, code) && rows == 0:
		default:
			t.Errorf("transaction %d on %s has %d rows of %d and ended with %v", n, o.table, rows, size, err)
		}
	}
}

// goOn writes the second half of a transaction and commits it.
func (r *redoRun) goOn(ctx context.Context, tx *sql.Tx, table string, first, size int) error {
	for i := size / 2; i < size; i++ {
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("INSERT INTO %s VALUES (%d, 'b')", table, first+i)); err != nil {
			return errors.Join(err, ignoreDone(tx.Rollback()))
		}
	}
	return tx.Commit()
}

// ignoreDone passes over that a transaction has ended already.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) || errors.Is(err, mysql.ErrInvalidConn) {
		return nil
	}
	return err
}

// redoBytes returns how many bytes of rows the log has.
func (r *redoRun) redoBytes(ctx context.Context, t *testing.T) int {
	t.Helper()
	table, err := cluster.ReadTable(ctx, r.db, "SHOW PROC '/memory'")
	must(t, err)
	n, err := strconv.Atoi(table.Column("UsedBytes")[slices.Index(table.Column("Name"), "redo")])
	must(t, err)
	return n
}

// awaitTrimmed writes until the log is seen to have rows, and waits until it has none.
func (r *redoRun) awaitTrimmed(ctx context.Context, t *testing.T) {
	loads := r.write(ctx, t)
	r.c.Wait(t, "rows in the log", healTimeout, func() (bool, string) { n := r.redoBytes(ctx, t); return n > 0, fmt.Sprint(n) })
	for _, l := range loads {
		l.stop()
	}
	r.c.Wait(t, "an empty log", healTimeout, func() (bool, string) { n := r.redoBytes(ctx, t); return n == 0, fmt.Sprint(n) })
	r.verify(ctx, t, loads)
}

// without redo the rows are on disk before the commit: a crash loses nothing, and the log never has any.
func (r *redoRun) without(ctx context.Context, t *testing.T) {
	must(t, execute(ctx, r.db, `ADMIN SET FRONTEND CONFIG ("redo_max_bytes" = "0")`))
	loads := r.write(ctx, t)
	if n := r.redoBytes(ctx, t); n != 0 {
		t.Errorf("the log has %d bytes", n)
	}
	r.restart(t, []string{"be1", "be2", "be3"})
	for _, l := range loads {
		l.stop()
	}
	r.verify(ctx, t, loads)
}
