package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"stele/meta/contain"
	"stele/tests/cluster"
)

// TestQueueWorkers has 16 clients take jobs off a table as queues are worked off everywhere. Each is done once: of a row that one has, no other
// hears, and what was given back, by a worker that fails with it, is done by another one.
func TestQueueWorkers(t *testing.T) {
	db := uniqueDatabase(t, "queue")
	mustExec(t, db, "CREATE TABLE jobs (id INT PRIMARY KEY, state VARCHAR(10) NOT NULL) DISTRIBUTED BY HASH(id) BUCKETS 3")
	mustExec(t, db, "CREATE TABLE done (job INT PRIMARY KEY, worker INT NOT NULL)")
	const jobs, workers = 96, 16
	for id := range jobs {
		mustExec(t, db, fmt.Sprintf("INSERT INTO jobs VALUES (%d, 'new')", id))
	}
	var left sync.Map
	for id := range jobs {
		left.Store(id, true)
	}
	var all contain.Group
	for worker := range workers {
		all.Go(func() error { return work(t.Context(), db, worker, &left) })
	}
	must(t, all.Wait())
	var n, open int
	must(t, db.QueryRow("SELECT COUNT(*) FROM done").Scan(&n))
	must(t, db.QueryRow("SELECT COUNT(*) FROM jobs WHERE state <> 'done'").Scan(&open))
	if n != jobs || open != 0 {
		t.Errorf("%d jobs of %d were done, %d are open", n, jobs, open)
	}
}

// work does jobs until none is left. Every third is given back once.
func work(ctx context.Context, db *sql.DB, worker int, left *sync.Map) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for failed := map[int]bool{}; ; {
		if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
			return err
		}
		var id int
		err := conn.QueryRowContext(ctx, "SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED").Scan(&id)
		end := "COMMIT"
		switch {
		case errors.Is(err, sql.ErrNoRows):
			if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
				return err
			}
			open := false
			left.Range(func(any, any) bool { open = true; return false })
			if !open {
				return nil
			}
			continue
		case err != nil:
			return err
		case id%3 == 0 && !failed[id]:
			failed[id], end = true, "ROLLBACK"
		}
		for _, q := range []string{fmt.Sprintf("INSERT INTO done VALUES (%d, %d)", id, worker), fmt.Sprintf("UPDATE jobs SET state = 'done' WHERE id = %d", id), end} {
			if _, err := conn.ExecContext(ctx, q); err != nil {
				return fmt.Errorf("worker %d, job %d: %s: %w", worker, id, q, err)
			}
		}
		if end == "COMMIT" {
			if _, mine := left.LoadAndDelete(id); !mine {
				return fmt.Errorf("job %d was done twice", id)
			}
		}
	}
}

// TestLockedNoMore: a row that a transaction had locked is free for others, and for its own client, as soon as that has ended.
func TestLockedNoMore(t *testing.T) {
	w := isolate(t, "lockednomore")
	for n := range 20 {
		w.do(w.a, "BEGIN", fmt.Sprintf("UPDATE t SET v = %d WHERE id = 1", n+1), "COMMIT")
		for _, query := range []string{"SELECT v FROM t WHERE id = 1 FOR UPDATE SKIP LOCKED", "SELECT v FROM t WHERE id = 1 FOR UPDATE NOWAIT"} {
			var v int
			if err := w.b.QueryRowContext(t.Context(), query).Scan(&v); err != nil || v != n+1 {
				t.Fatalf("%s after commit %d: %d, %v", query, n, v, err)
			}
		}
	}
}

// TestLockedRowsAreThoseSeen: a locking read with READ COMMITTED that waits for a row holds every row that it returns: one that came while it
// waited is either locked or not seen.
func TestLockedRowsAreThoseSeen(t *testing.T) {
	w := isolate(t, "lockedseen")
	c := sharedCluster(t).OpenDB("lockedseen")
	defer c.Close()
	for n, query := range []string{"SELECT id, v FROM t FOR UPDATE", "SELECT id, v FROM t WHERE v < 100 FOR SHARE"} {
		w.do(w.b, "BEGIN", "SELECT v FROM t WHERE id = 1 FOR UPDATE")
		w.do(w.a, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN")
		var seen cluster.Table
		var wait contain.Group
		wait.Go(func() (err error) {
			seen, err = cluster.ReadTable(t.Context(), w.a, query)
			return err
		})
		for running := 0; running == 0; { // if it does not wait yet it locks what comes
			must(t, c.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE info = ?", query).Scan(&running))
		}
		mustExec(t, c, fmt.Sprintf("INSERT INTO t VALUES (%d, 1)", 70+n))
		w.do(w.b, "ROLLBACK")
		must(t, wait.Wait())
		_, err := c.Exec(fmt.Sprintf("SELECT v FROM t WHERE id = %d FOR UPDATE NOWAIT", 70+n))
		if saw := slices.Contains(seen.Column("id"), fmt.Sprint(70+n)); saw != (number(err) == 3572) {
			t.Errorf("%s: sees the new row: %v; whoever wants to lock it hears %v", query, saw, err)
		}
		w.do(w.a, "COMMIT")
	}
}

// TestLockedSource: INSERT … SELECT … FOR UPDATE and FOR SHARE hold the rows that they read, which may be those that they write.
func TestLockedSource(t *testing.T) {
	w := isolate(t, "lockedsource")
	w.do(w.a, "CREATE TABLE u (id INT PRIMARY KEY, v INT UNIQUE)")
	for _, insert := range []string{"INSERT INTO u SELECT id, v FROM t WHERE id = 1 FOR UPDATE", "REPLACE INTO u SELECT id, v FROM t WHERE id < 2 FOR SHARE",
		"INSERT INTO u SELECT id, 5 FROM t WHERE id = 1 FOR UPDATE ON DUPLICATE KEY UPDATE v = 7"} {
		w.do(w.a, "BEGIN", insert)
		w.fails(w.b, 3572, "SELECT v FROM t WHERE id = 1 FOR UPDATE NOWAIT")
		w.do(w.b, "SELECT v FROM t WHERE id = 2 FOR UPDATE NOWAIT")
		w.do(w.a, "ROLLBACK")
		w.do(w.b, "SELECT v FROM t WHERE id = 1 FOR UPDATE NOWAIT")
	}
	w.do(w.a, "REPLACE INTO t SELECT id, v + 3 FROM t WHERE id < 4 FOR UPDATE", "INSERT INTO t SELECT id + 100, v FROM t WHERE id < 4 FOR UPDATE",
		"INSERT INTO t SELECT id, 1 FROM t WHERE id < 2 FOR SHARE ON DUPLICATE KEY UPDATE t.v = t.v + 10")
	for id, v := range map[int]int{0: 13, 1: 13, 3: 3, 4: 0, 103: 3} {
		w.sees(w.b, id, v)
	}
}

// TestDeadlocksOverBackends: transactions whose rows lie on several BEs, of which each sees one half of a circle, and that wait for one another:
// one of them hears 1213, the others go on.
func TestDeadlocksOverBackends(t *testing.T) {
	w := isolate(t, "deadlocks")
	one, two := tablesOfBackends(t, w)
	update := func(table string) string { return "UPDATE " + table + " SET v = v + 1 WHERE id = 1" }
	lock := func(table string) string { return "SELECT v FROM " + table + " WHERE id = 1 FOR UPDATE" }
	share := func(table string) string { return "SELECT v FROM " + table + " WHERE id = 1 FOR SHARE" }
	insert := func(table string) string { return "INSERT INTO " + table + " VALUES (2, 0)" }
	both := fmt.Sprintf("UPDATE %s, %s SET %[1]s.v = 1, %[2]s.v = 1 WHERE %[1]s.id = %[2]s.id", one, two)
	w.do(w.a, "CREATE TABLE u (id INT PRIMARY KEY, k INT UNIQUE) DISTRIBUTED BY HASH(id) BUCKETS 3")
	for name, c := range map[string]struct {
		first        [2]string // what each transaction does first
		waits, close string    // what a does then, which waits for b, and b, which closes the circle
	}{
		"by key":        {[2]string{update(one), update(two)}, update(two), update(one)},
		"locking reads": {[2]string{lock(one), lock(two)}, lock(two), lock(one)},
		"many rows":     {[2]string{update(one), update(two)}, both, update(one)},
		"new rows":      {[2]string{insert(one), insert(two)}, insert(two), insert(one)},
		"upgrades":      {[2]string{share(one), share(one)}, update(one), update(one)},
		"shared rows":   {[2]string{share(one), share(two)}, update(two), update(one)},
		"unique keys":   {[2]string{"INSERT INTO u VALUES (1, 1)", "INSERT INTO u VALUES (2, 2)"}, "INSERT INTO u VALUES (3, 2)", "INSERT INTO u VALUES (4, 1)"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &isolated{t: t, a: w.a, b: w.b}
			w.do(w.a, "BEGIN", c.first[0])
			w.do(w.b, "BEGIN", c.first[1])
			waited := w.begins(w.a, c.waits, w.b)
			_, second := w.b.ExecContext(t.Context(), c.close)
			if second == nil { // a was to give way, which has let b go on
				w.do(w.b, "ROLLBACK")
			}
			first := <-waited
			if got := []uint16{number(first), number(second)}; !slices.Contains(got, 1213) || !slices.Contains(got, 0) {
				t.Errorf("%v and %v, want one deadlock", first, second)
			}
			w.do(w.a, "ROLLBACK")
			w.do(w.b, "ROLLBACK")
		})
	}
}

// begins runs a statement in a goroutine and returns when it is under way.
func (w *isolated) begins(conn *sql.Conn, statement string, watch *sql.Conn) chan error {
	w.t.Helper()
	waited := make(chan error, 1)
	go func() {
		_, err := conn.ExecContext(context.WithoutCancel(w.t.Context()), statement)
		waited <- err
	}()
	for n := 0; n == 0; { // if it does not wait yet it will
		const running = "SELECT COUNT(*) FROM information_schema.processlist WHERE info = ?"
		must(w.t, watch.QueryRowContext(w.t.Context(), running, statement).Scan(&n))
	}
	return waited
}

// number is the MySQL number of an error, 0 = none.
func number(err error) uint16 {
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		return my.Number
	}
	if err != nil {
		return 1
	}
	return 0
}

// tablesOfBackends makes two tables of a row (1, 0) that two BEs lead.
func tablesOfBackends(t *testing.T, w *isolated) (one, two string) {
	t.Helper()
	leads := map[string]string{}
	for n := range 20 {
		table := fmt.Sprintf("p%d", n)
		w.do(w.a, "CREATE TABLE "+table+" (id INT PRIMARY KEY, v INT) DISTRIBUTED BY HASH(id) BUCKETS 1", "INSERT INTO "+table+" VALUES (1, 0)")
		var be string
		must(t, w.a.QueryRowContext(t.Context(), "SELECT BackendId FROM stele.tablets WHERE TableName = ? AND IsLeader = 'true'", table).Scan(&be))
		leads[be] = table
		if len(leads) == 2 {
			names := slices.Sorted(maps.Values(leads))
			return names[0], names[1]
		}
	}
	t.Fatal("one BE leads all tablets")
	return "", ""
}
