package e2e

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// isolated is a table of ten rows (id, 0) and two sessions.
type isolated struct {
	t    *testing.T
	a, b *sql.Conn
}

func isolate(t *testing.T, name string) *isolated {
	t.Helper()
	c := sharedCluster(t)
	root := c.DB()
	mustExec(t, root, "CREATE DATABASE "+name)
	t.Cleanup(func() { mustExec(t, root, "DROP DATABASE "+name) })
	mustExec(t, root, "CREATE TABLE "+name+".t (id INT PRIMARY KEY, v INT) DISTRIBUTED BY HASH(id) BUCKETS 3")
	mustExec(t, root, "INSERT INTO "+name+".t VALUES (0,0),(1,0),(2,0),(3,0),(4,0),(5,0),(6,0),(7,0),(8,0),(9,0)")
	w := &isolated{t: t}
	for _, conn := range []**sql.Conn{&w.a, &w.b} {
		var err error
		*conn, err = root.Conn(t.Context())
		must(t, err)
		// Not back into the pool: it may have another mode, or a transaction.
		t.Cleanup(func() { _ = (*conn).Raw(func(any) error { return driver.ErrBadConn }) })
		w.do(*conn, "USE "+name)
	}
	return w
}

func (w *isolated) do(conn *sql.Conn, statements ...string) {
	w.t.Helper()
	for _, s := range statements {
		if _, err := conn.ExecContext(w.t.Context(), s); err != nil {
			w.t.Fatalf("%s: %v", s, err)
		}
	}
}

func (w *isolated) fails(conn *sql.Conn, code uint16, statement string) {
	w.t.Helper()
	_, err := conn.ExecContext(w.t.Context(), statement)
	var my *mysql.MySQLError
	if !errors.As(err, &my) || my.Number != code {
		w.t.Fatalf("%s: %v, want error %d", statement, err, code)
	}
}

// sees asks for v of a row; -1 = there is none.
func (w *isolated) sees(conn *sql.Conn, id, want int) {
	w.t.Helper()
	got := -1
	err := conn.QueryRowContext(w.t.Context(), fmt.Sprintf("SELECT v FROM t WHERE id = %d", id)).Scan(&got)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		w.t.Fatal(err)
	}
	if got != want {
		w.t.Fatalf("row %d: %d, want %d", id, got, want)
	}
}

// TestFirstReadDecides: a transaction sees the state of its first statement that reads, as in MySQL. Until then it changes the newest rows, and
// loses against nobody; after that it loses against who has changed a row since.
func TestFirstReadDecides(t *testing.T) {
	for _, begin := range []string{"BEGIN", "SET autocommit = 0"} {
		t.Run(begin, func(t *testing.T) {
			w := isolate(t, "firstread")
			w.do(w.a, begin, "UPDATE t SET v = v + 1 WHERE id = 1")
			w.do(w.b, "UPDATE t SET v = 20 WHERE id = 2", "UPDATE t SET v = 30 WHERE id = 3", "DELETE FROM t WHERE id = 4")
			w.do(w.a, "UPDATE t SET v = v + 1 WHERE id = 2", "INSERT INTO t VALUES (4, 44)", "UPDATE t SET v = v + 1 WHERE id = 2")
			w.do(w.b, "UPDATE t SET v = 31 WHERE id = 3")
			w.sees(w.a, 2, 22)
			w.sees(w.a, 3, 31)
			w.sees(w.b, 2, 20)
			w.do(w.b, "UPDATE t SET v = 32 WHERE id = 3", "UPDATE t SET v = 50 WHERE id = 5")
			w.sees(w.a, 3, 31)
			w.fails(w.a, 1213, "UPDATE t SET v = v + 1 WHERE id = 3")
			w.sees(w.b, 1, 0)
			w.do(w.a, "COMMIT", "UPDATE t SET v = 51 WHERE id = 5", "COMMIT")
			w.sees(w.b, 5, 51)
		})
	}
}

// TestUnlockedRowsBind: a statement that found nothing to change, and one that failed, have seen rows that they do not hold.
func TestUnlockedRowsBind(t *testing.T) {
	w := isolate(t, "unlockedrows")
	w.do(w.a, "BEGIN", "UPDATE t SET v = 1 WHERE id = 77")
	w.do(w.b, "INSERT INTO t VALUES (77, 7)")
	w.sees(w.a, 77, -1)
	w.do(w.a, "ROLLBACK", "BEGIN", "UPDATE t SET v = 0 WHERE id = 1") // as it is
	w.do(w.b, "UPDATE t SET v = 9 WHERE id = 1")
	w.sees(w.a, 1, 0)
	w.do(w.a, "ROLLBACK", "BEGIN")
	w.fails(w.a, 1062, "INSERT INTO t VALUES (2, 0)")
	w.do(w.b, "DELETE FROM t WHERE id = 2")
	w.sees(w.a, 2, 0)
	w.do(w.a, "ROLLBACK")
}

// TestReplaceLosesNothing: a REPLACE that writes what it has worked out from rows passes over nobody who has changed them since.
func TestReplaceLosesNothing(t *testing.T) {
	w := isolate(t, "replaces")
	for _, level := range []string{"REPEATABLE READ", "READ COMMITTED"} {
		w.do(w.a, "SET SESSION TRANSACTION ISOLATION LEVEL "+level, "REPLACE INTO t VALUES (1, 0)")
		for n, begin := range []string{"DO 0", "BEGIN"} {
			w.do(w.b, "BEGIN", "UPDATE t SET v = v + 1 WHERE id = 1")
			w.do(w.a, begin)
			must(t, w.waits(w.a, "REPLACE INTO t SELECT id, v + 10 FROM t WHERE id = 1", "COMMIT"))
			w.do(w.a, "COMMIT")
			w.sees(w.b, 1, 11*(n+1))
		}
	}
	w.do(w.a, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "BEGIN", "REPLACE INTO t VALUES (2, 5)")
	w.sees(w.a, 1, 22)
	w.do(w.b, "UPDATE t SET v = 100 WHERE id = 1")
	w.fails(w.a, 1213, "REPLACE INTO t VALUES (1, 23)")
	w.sees(w.b, 1, 100)
	w.sees(w.b, 2, 0)
}

// TestStatementsUndone: going back to a savepoint, or behind a statement that failed, writes again what came before, which had waited for others.
func TestStatementsUndone(t *testing.T) {
	w := isolate(t, "undonestatements")
	w.do(w.b, "BEGIN", "UPDATE t SET v = v + 1 WHERE id = 1")
	waited := make(chan error, 1)
	w.do(w.a, "BEGIN", "UPDATE t SET v = 5 WHERE id = 9")
	go func() {
		_, err := w.a.ExecContext(context.WithoutCancel(t.Context()), "UPDATE t SET v = v + 1 WHERE id = 1")
		waited <- err
	}()
	w.do(w.b, "UPDATE t SET v = v + 10 WHERE id = 1", "COMMIT")
	must(t, <-waited)
	w.do(w.a, "SAVEPOINT s", "UPDATE t SET v = 6 WHERE id = 9", "ROLLBACK TO s")
	w.fails(w.a, 1062, "INSERT INTO t VALUES (3, 0)")
	w.do(w.a, "COMMIT")
	w.sees(w.b, 1, 12)
	w.sees(w.b, 9, 5)
}

// TestUndoneKeepsItsLocks: a transaction of which a statement failed, or which goes back to a savepoint, has the rows that it has written before all
// the time: who waits for one gets it when the transaction has ended.
func TestUndoneKeepsItsLocks(t *testing.T) {
	for _, level := range []string{"REPEATABLE READ", "READ COMMITTED"} {
		t.Run(level, func(t *testing.T) {
			w := isolate(t, "undonekeeps")
			w.do(w.a, "SET SESSION TRANSACTION ISOLATION LEVEL "+level, "BEGIN", "UPDATE t SET v = v + 1 WHERE id = 1", "SELECT v FROM t WHERE id = 2 FOR SHARE")
			waited := w.begin(w.b, "UPDATE t SET v = v + 10 WHERE id IN (1, 2)")
			w.fails(w.a, 1062, "INSERT INTO t VALUES (70, 0), (3, 0)")
			w.do(w.a, "UPDATE t SET v = v + 1 WHERE id = 1", "SAVEPOINT s", "UPDATE t SET v = 6 WHERE id = 9", "DELETE FROM t WHERE id = 4", "ROLLBACK TO s",
				"UPDATE t SET v = v + 1 WHERE id = 1", "COMMIT")
			must(t, <-waited)
			w.sees(w.b, 1, 13)
			w.sees(w.b, 2, 10)
			w.sees(w.b, 9, 0)
			w.sees(w.b, 70, -1)
			w.do(w.b, "UPDATE t SET v = 5 WHERE id IN (4, 9)", "INSERT INTO t VALUES (70, 7)") // nobody has them any more
			w.sees(w.a, 4, 5)
		})
	}
}

// TestNoLostUpdates: sessions that only write meet at few rows. They lose against nobody, also when they go back; what was committed counts once.
func TestNoLostUpdates(t *testing.T) {
	const byKey, byScan = "UPDATE t SET v = v + 1 WHERE id = %d", "UPDATE t SET v = v + 1 WHERE id = %d AND v >= 0"
	for level, add := range map[string]string{"REPEATABLE READ": byKey, "READ COMMITTED": byScan} {
		t.Run(level, func(t *testing.T) { noLostUpdates(t, level, add) })
	}
}

func noLostUpdates(t *testing.T, level, add string) {
	w := isolate(t, "lostupdates")
	const sessions, times = 6, 20
	var wg sync.WaitGroup
	errs := make(chan error, sessions)
	for s := range sessions {
		wg.Go(func() { errs <- counting(t.Context(), sharedCluster(t).OpenDB("lostupdates"), level, add, s, times) })
	}
	wg.Wait()
	for range sessions {
		must(t, <-errs)
	}
	w.sees(w.b, 0, sessions*times)
	w.sees(w.b, 1, sessions*times)
	w.sees(w.b, 2, sessions*times/2)
}

// counting adds one to rows 0 and 1 in each transaction, and to row 2 in every other one, which takes it back first.
func counting(ctx context.Context, db *sql.DB, level, add string, session, times int) error {
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL "+level); err != nil {
		return err
	}
	for k := range times {
		steps := []string{"BEGIN", fmt.Sprintf(add, 0), fmt.Sprintf(add, 1)}
		if k%2 == 0 {
			steps = append(steps, "SAVEPOINT s", fmt.Sprintf(add, 2), "ROLLBACK TO s", fmt.Sprintf(add, 2))
		}
		steps = append(steps, fmt.Sprintf("INSERT INTO t VALUES (%d, 1)", 1000+session*times+k), "COMMIT")
		for {
			err := all(ctx, conn, steps)
			var my *mysql.MySQLError
			if level == "READ COMMITTED" && errors.As(err, &my) && my.Number == 1213 {
				continue
			}
			if err != nil {
				return fmt.Errorf("session %d, transaction %d: %w", session, k, err)
			}
			break
		}
	}
	return nil
}

func all(ctx context.Context, conn *sql.Conn, steps []string) error {
	for _, s := range steps {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// TestPointReadsInTransactions: rows read by their key, which go a way of their own, are those of the transaction's state and its own.
func TestPointReadsInTransactions(t *testing.T) {
	for _, begin := range []string{"BEGIN", "SET autocommit = 0"} {
		t.Run(begin, func(t *testing.T) {
			w := isolate(t, "pointreads")
			w.do(w.a, begin)
			w.sees(w.a, 1, 0)
			w.do(w.b, "UPDATE t SET v = 1", "DELETE FROM t WHERE id = 2", "INSERT INTO t VALUES (20, 1)")
			w.sees(w.a, 1, 0)
			w.sees(w.a, 2, 0)
			w.sees(w.a, 20, -1)
			w.do(w.a, "INSERT INTO t VALUES (30, 3)", "DELETE FROM t WHERE id = 30", "INSERT INTO t VALUES (31, 3)")
			w.sees(w.a, 30, -1)
			w.sees(w.a, 31, 3)
			w.do(w.b, "ALTER TABLE t ADD COLUMN x INT")
			w.sees(w.b, 31, -1)
			w.do(w.a, "ROLLBACK")
			w.sees(w.a, 31, -1)
			w.sees(w.a, 1, 1)
			w.do(w.a, "COMMIT")
		})
	}
}

// TestReadCommitted: each statement sees what is committed when it begins, changes the newest rows, and loses against nobody.
func TestReadCommitted(t *testing.T) {
	w := isolate(t, "readcommitted")
	for _, begin := range [][]string{
		{"SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN"},
		{"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION WITH CONSISTENT SNAPSHOT"},
		{"SET autocommit = 0"},
		{"COMMIT AND CHAIN"},
	} {
		w.do(w.b, "REPLACE INTO t VALUES (1, 0), (2, 0), (3, 0)", "DELETE FROM t WHERE id = 77")
		w.do(w.a, begin...)
		w.sees(w.a, 1, 0)
		w.do(w.b, "UPDATE t SET v = v + 1")
		w.sees(w.a, 1, 1)
		w.do(w.a, "UPDATE t SET v = v + 10 WHERE id = 1", "UPDATE t SET v = 5 WHERE id = 77")
		w.do(w.b, "UPDATE t SET v = v + 1 WHERE id <> 1", "INSERT INTO t VALUES (77, 7)")
		w.sees(w.a, 77, 7)
		w.do(w.a, "UPDATE t SET v = v + 100 WHERE id IN (2, 3) AND v > 1") // by a scan
		w.sees(w.a, 1, 11)
		w.sees(w.a, 2, 102)
		w.sees(w.b, 2, 2)
		w.do(w.a, "COMMIT AND CHAIN")
		w.sees(w.b, 2, 102)
		w.do(w.b, "UPDATE t SET v = 200 WHERE id = 2")
		w.sees(w.a, 2, 200)
		w.do(w.a, "ROLLBACK AND CHAIN")
	}
	w.do(w.a, "SET autocommit = 1", "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "BEGIN")
	w.sees(w.a, 2, 200)
	w.do(w.b, "UPDATE t SET v = 201 WHERE id = 2")
	w.sees(w.a, 2, 200)
}

// TestWaitedThenBinds: a statement that has waited for another transaction, and then found its row gone or its key taken, binds its own to a
// state that has what it met.
func TestWaitedThenBinds(t *testing.T) {
	w := isolate(t, "waitedbinds")
	w.do(w.a, "BEGIN", "UPDATE t SET v = 5 WHERE id = 9")
	w.do(w.b, "BEGIN", "DELETE FROM t WHERE id = 1")
	must(t, w.waits(w.a, "UPDATE t SET v = v + 1 WHERE id = 1", "COMMIT"))
	w.sees(w.a, 1, -1)
	w.do(w.a, "COMMIT")
	w.sees(w.b, 9, 5)

	w.do(w.a, "BEGIN", "UPDATE t SET v = 6 WHERE id = 9")
	w.do(w.b, "BEGIN", "INSERT INTO t VALUES (70, 7)")
	err := w.waits(w.a, "INSERT INTO t VALUES (70, 8)", "COMMIT")
	var my *mysql.MySQLError
	if !errors.As(err, &my) || my.Number != 1062 {
		t.Fatal(err)
	}
	w.sees(w.a, 70, 7)
	w.do(w.a, "COMMIT")
	w.sees(w.b, 9, 6)
}

// waits runs a statement that waits for session b, which then ends its transaction so.
func (w *isolated) waits(conn *sql.Conn, statement, end string) error {
	w.t.Helper()
	waited := w.begin(conn, statement)
	w.do(w.b, end)
	return <-waited
}

// begin runs a statement that waits for others. If it does not wait yet when this returns, or not any more, it finds the same.
func (w *isolated) begin(conn *sql.Conn, statement string) <-chan error {
	w.t.Helper()
	waited := make(chan error, 1)
	go func() {
		_, err := conn.ExecContext(context.WithoutCancel(w.t.Context()), statement)
		waited <- err
	}()
	for n := 0; n == 0 && len(waited) == 0; {
		const running = "SELECT COUNT(*) FROM information_schema.processlist WHERE info = ?"
		must(w.t, sharedCluster(w.t).DB().QueryRowContext(w.t.Context(), running, statement).Scan(&n))
	}
	return waited
}
