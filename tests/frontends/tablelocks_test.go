package frontends

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"sync"
	"testing"
	"time"

	"stele/tests/cluster"
)

// session is a connection that may lock tables.
type session struct {
	locker
	db   *sql.DB
	name string
}

func newSession(t *testing.T, dbs []*sql.DB, fe int) session {
	t.Helper()
	s := session{newLocker(t, dbs[fe]), dbs[fe], fmt.Sprintf("fe%d", fe+1)}
	s.does("SET lock_wait_timeout = 60")
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// do runs a statement and returns its error.
func (s session) do(statement string) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	_, err := s.ExecContext(ctx, statement)
	return err
}

func (s session) does(statements ...string) {
	s.t.Helper()
	for _, st := range statements {
		if err := s.do(st); err != nil {
			s.t.Fatalf("%s: %s: %v", s.name, st, err)
		}
	}
}

// fails has a statement fail with a number.
func (s session) fails(code uint16, statements ...string) {
	s.t.Helper()
	for _, st := range statements {
		if err := s.do(st); number(err) != code {
			s.t.Fatalf("%s: %s: %v, want error %d", s.name, st, err, code)
		}
	}
}

// waits has the session wait in vain for locks of others.
func (s session) waits(statement string) {
	s.t.Helper()
	s.does("SET lock_wait_timeout = 1")
	s.fails(1205, statement)
	s.does("SET lock_wait_timeout = 60")
}

// allWait has other sessions of the frontend wait in vain, each for what one statement needs.
func (s session) allWait(statements ...string) {
	s.t.Helper()
	var all sync.WaitGroup
	for _, st := range statements {
		all.Go(func() {
			other, err := s.db.Conn(s.t.Context())
			if err != nil {
				s.t.Error(err)
				return
			}
			defer other.Close()
			if _, err = other.ExecContext(s.t.Context(), "SET lock_wait_timeout = 1"); err == nil {
				_, err = other.ExecContext(s.t.Context(), st)
			}
			if number(err) != 1205 {
				s.t.Errorf("%s: %s: %v, want that it waits", s.name, st, err)
			}
		})
	}
	all.Wait()
}

// starts runs a statement beside others; its error comes on the channel.
func (s session) starts(statement string) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.do(statement) }()
	return done
}

// TestTableLocks: LOCK TABLES and FLUSH TABLES WITH READ LOCK keep the sessions of all frontends from tables, whatever becomes of the frontends.
func TestTableLocks(t *testing.T) {
	c := startWith(t, 3, steady, nil)
	dbs := pools(t, c, 3)
	exec(t, dbs[0], "CREATE TABLE t (id INT PRIMARY KEY, v INT, UNIQUE KEY (v))", "CREATE TABLE u (id INT PRIMARY KEY, v INT)", "CREATE VIEW w AS SELECT * FROM t",
		"INSERT INTO t VALUES (1, 1)", "INSERT INTO u VALUES (1, 1)", "CREATE TABLE p (id INT PRIMARY KEY)", "CREATE TABLE k (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES p (id) ON DELETE CASCADE)")
	for name, check := range map[string]func(*testing.T, []*sql.DB){
		"READ": lockedForReading, "WRITE": lockedForWriting, "transactions": lockWaitsForTransactions, "all": lockedAll, "order": locksInOrder,
		"definitions": lockWaitsForDefinitions, "ends": locksEnd, "relatives": lockedRelatives,
	} {
		t.Run(name, func(t *testing.T) { check(t, dbs) })
	}
	t.Run("seen", func(t *testing.T) { locksAreSeen(t, c, dbs) })
	t.Run("crash", func(t *testing.T) { locksOfDead(t, c, dbs) })
	t.Run("hangs", func(t *testing.T) { locksOfHung(t, c, dbs) })
}

// lockedForReading: others read and do not write, change or lock for writing.
func lockedForReading(t *testing.T, dbs []*sql.DB) {
	a, b := newSession(t, dbs, 0), newSession(t, dbs, 1)
	a.does("LOCK TABLES t READ")
	b.want("v FROM t WHERE id = 1", "1")
	b.want("COUNT(*) FROM t", "1")
	b.allWait("INSERT INTO t VALUES (2, 2)", "UPDATE t SET v = 9 WHERE id = 1", "DELETE FROM t", "UPDATE t JOIN u USING (id) SET t.v = 5", "TRUNCATE TABLE t",
		"ALTER TABLE t ADD c INT", "DROP TABLE t", "RENAME TABLE t TO x", "LOCK TABLES t WRITE", "CREATE INDEX i ON t (v)", "ALTER TABLE t SET ('replication_num' = '1')")
	b.does("BEGIN", "INSERT INTO u VALUES (5, 5)")
	b.waits("INSERT INTO t VALUES (2, 2)")
	b.does("SELECT * FROM t WHERE id = 1 FOR SHARE")
	b.waits("SELECT * FROM t WHERE id = 1 FOR UPDATE")
	b.does("COMMIT", "DELETE FROM u WHERE id = 5")
	b.does("LOCK TABLES t READ", "UNLOCK TABLES")
	done := b.starts("UPDATE t SET v = v * 10")
	a.want("v FROM t", "1")
	a.does("UNLOCK TABLES")
	must(t, <-done)
	a.want("v FROM t", "10")
	a.does("UPDATE t SET v = 1")
}

// lockedForWriting: others do not even read.
func lockedForWriting(t *testing.T, dbs []*sql.DB) {
	a, b := newSession(t, dbs, 0), newSession(t, dbs, 1)
	kept, err := b.PrepareContext(t.Context(), "SELECT v FROM t WHERE id = ?")
	must(t, err)
	for range 2 { // plans are kept
		_, err := kept.ExecContext(t.Context(), 1)
		must(t, err)
		b.want("v FROM t WHERE id = 1", "1")
		b.want("SUM(v) FROM t", "1")
	}
	a.does("LOCK TABLES t WRITE, u AS x READ")
	b.allWait("SELECT v FROM t WHERE id = 1", "SELECT SUM(v) FROM t", "SELECT * FROM w", "INSERT INTO u SELECT id + 10, v FROM t", "SELECT * FROM u WHERE id IN (SELECT id FROM t)",
		"LOCK TABLES w READ", "FLUSH TABLES WITH READ LOCK", "UPDATE t SET v = 2 WHERE id = 1")
	b.does("SET lock_wait_timeout = 1")
	if _, err := kept.ExecContext(t.Context(), 1); number(err) != 1205 {
		t.Errorf("a prepared query: %v", err)
	}
	b.does("SET lock_wait_timeout = 60", "SELECT * FROM u")
	reads := b.starts("UPDATE u JOIN t USING (id) SET u.v = t.v * 10")
	a.does("UPDATE t SET v = v + 1", "INSERT INTO t VALUES (2, 7)", "DELETE FROM t WHERE id = 2", "UNLOCK TABLES")
	must(t, <-reads)
	b.want("v FROM u", "20")
	b.does("UPDATE u SET v = 1", "UPDATE t SET v = 1")
}

// lockWaitsForTransactions: who locks tables waits for transactions that have written to them, and these go on.
func lockWaitsForTransactions(t *testing.T, dbs []*sql.DB) {
	a, b, d := newSession(t, dbs, 0), newSession(t, dbs, 1), newSession(t, dbs, 2)
	b.does("BEGIN", "UPDATE t SET v = 2 WHERE id = 1")
	a.allWait("LOCK TABLES t READ", "LOCK TABLES t WRITE")
	locks := a.starts("LOCK TABLES t WRITE")
	b.does("UPDATE t SET v = v + 1 WHERE id = 1", "UPDATE u SET v = 3", "COMMIT") // whether that has come first or not
	must(t, <-locks)
	a.want("v FROM t", "3")
	a.does("UPDATE t SET v = 1", "UNLOCK TABLES")
	d.want("v FROM u", "3")

	a.does("LOCK TABLES u WRITE") // a transaction that waits for one lock, and another session that waits for the transaction
	b.does("BEGIN", "UPDATE t SET v = 4 WHERE id = 1")
	waits := b.starts("UPDATE u SET v = v + 10")
	locks = d.starts("LOCK TABLES t WRITE, u WRITE")
	a.does("UPDATE u SET v = 1", "UNLOCK TABLES")
	err := <-waits
	outcome(t, "a transaction that two wait for", err, 1213)
	b.does("COMMIT")
	must(t, <-locks)
	d.does("UPDATE t SET v = 1", "UPDATE u SET v = 1", "UNLOCK TABLES")

	b.does("BEGIN", "SELECT * FROM t WHERE id = 1 FOR UPDATE")
	a.waits("LOCK TABLES t READ")
	b.does("ROLLBACK")
	a.does("LOCK TABLES t READ", "UNLOCK TABLES")
}

// lockedAll: nobody writes, commits what was written before, or changes what there is; whoever said so reads one state.
func lockedAll(t *testing.T, dbs []*sql.DB) {
	a, b := newSession(t, dbs, 0), newSession(t, dbs, 1)
	b.does("BEGIN", "UPDATE u SET v = 5")
	a.does("FLUSH TABLES WITH READ LOCK")
	commits := b.starts("COMMIT")
	a.fails(1223, "INSERT INTO t VALUES (3, 3)", "DROP TABLE t", "CREATE TABLE n (a INT)")
	a.does("START TRANSACTION WITH CONSISTENT SNAPSHOT")
	a.want("v FROM u", "1")
	d := newSession(t, dbs, 2)
	d.allWait("INSERT INTO t VALUES (3, 3)", "CREATE TABLE n (a INT)", "CREATE DATABASE n", "DROP VIEW w", "LOCK TABLES t WRITE")
	d.does("LOCK TABLES t READ", "UNLOCK TABLES", "CREATE TEMPORARY TABLE own (a INT)", "INSERT INTO own VALUES (1)")
	a.does("UNLOCK TABLES")
	must(t, <-commits)
	a.want("v FROM u", "1")
	a.does("COMMIT")
	a.want("v FROM u", "5")
	a.does("UPDATE u SET v = 1", "FLUSH TABLES t, u WITH READ LOCK")
	d.waits("UPDATE t SET v = 5")
	a.does("UNLOCK TABLES")

	a.does("FLUSH TABLES WITH READ LOCK")
	b.does("BEGIN")
	b.waits("UPDATE u SET v = 6")
	b.does("ROLLBACK")
	a.does("UNLOCK TABLES")
	a.want("v FROM u", "1")
}

// locksInOrder: who comes first has it first, also of several tables, and nobody waits for ever.
func locksInOrder(t *testing.T, dbs []*sql.DB) {
	a, b, d := newSession(t, dbs, 0), newSession(t, dbs, 1), newSession(t, dbs, 2)
	for range 10 {
		var all []<-chan error
		for i, s := range []session{a, b, d} {
			names := []string{"t WRITE, u WRITE", "u WRITE, t READ", "t READ, u READ, w READ"}[i]
			done := make(chan error, 1)
			go func() {
				err := s.do("LOCK TABLES " + names)
				if err == nil && i == 0 {
					err = s.do("UPDATE t SET v = v + 1")
				}
				if err == nil {
					err = s.do("UNLOCK TABLES")
				}
				done <- err
			}()
			all = append(all, done)
		}
		for _, done := range all {
			must(t, <-done)
		}
	}
	a.want("v FROM t", "11")
	a.does("UPDATE t SET v = 1")
}

// lockWaitsForDefinitions: locks are of tables as they are, and those that come and go meanwhile have one order with them.
func lockWaitsForDefinitions(t *testing.T, dbs []*sql.DB) {
	a, b := newSession(t, dbs, 0), newSession(t, dbs, 1)
	for i := range 5 {
		a.does("CREATE TABLE x (id INT PRIMARY KEY)")
		does := []string{"DROP TABLE x", "ALTER TABLE x ADD b INT UNIQUE", "RENAME TABLE x TO y", "ALTER TABLE x MODIFY id VARCHAR(10)", "TRUNCATE TABLE x"}[i]
		changes := b.starts(does)
		err := a.do("LOCK TABLES x WRITE")
		if outcome(t, "LOCK TABLES of what goes", err, 1146); err == nil {
			a.does("INSERT INTO x (id) VALUES (7)")
			a.want("COUNT(*) FROM x WHERE id = 7", "1")
			a.does("UNLOCK TABLES")
		}
		must(t, <-changes)
		a.does("DROP TABLE IF EXISTS x", "DROP TABLE IF EXISTS y")
	}
}

// locksEnd: with the connection, the session's reset, START TRANSACTION, and KILL of who waits.
func locksEnd(t *testing.T, dbs []*sql.DB) {
	b := newSession(t, dbs, 1)
	a := newSession(t, dbs, 0)
	a.does("LOCK TABLES t WRITE")
	_ = a.Raw(func(any) error { return driver.ErrBadConn }) // ends it
	b.does("LOCK TABLES t WRITE", "UPDATE t SET v = 1")
	d := newSession(t, dbs, 2)
	id, err := d.ask("CONNECTION_ID()")
	must(t, err)
	for _, st := range []string{"SELECT * FROM t", "UPDATE t SET v = 2", "LOCK TABLES t READ", "DROP TABLE t", "FLUSH TABLES WITH READ LOCK"} {
		waits := d.starts(st)
		for done := false; !done; { // it may not have come to wait yet, or even not to run
			b2 := newSession(t, dbs, 0)
			b2.does("KILL QUERY " + id)
			must(t, b2.Close())
			select {
			case err := <-waits:
				if done = true; number(err) != 1317 {
					t.Errorf("%s: %v", st, err)
				}
			default:
			}
		}
	}
	b.does("START TRANSACTION")
	d.does("LOCK TABLES t READ", "LOCK TABLES u WRITE")
	b.waits("UPDATE u SET v = 2")
	b.does("ROLLBACK")
	d.does("UNLOCK TABLES")
}

// lockedRelatives: parents and children of a table are locked with it as far as writes come to them.
func lockedRelatives(t *testing.T, dbs []*sql.DB) {
	a, b := newSession(t, dbs, 0), newSession(t, dbs, 1)
	a.does("INSERT INTO p VALUES (1), (2)", "INSERT INTO k VALUES (1)", "LOCK TABLES k WRITE")
	b.does("SELECT * FROM p")
	b.waits("DELETE FROM p WHERE id = 2")
	a.does("INSERT INTO k VALUES (2)", "UNLOCK TABLES", "LOCK TABLES p WRITE")
	b.allWait("SELECT * FROM k", "INSERT INTO k VALUES (3)")
	a.does("DELETE FROM p", "UNLOCK TABLES")
	b.want("COUNT(*) FROM k", "0")
}

// locksOfDead: what the sessions of the leading frontend had locked is free when it is killed, and what others have stays.
func locksOfDead(t *testing.T, c *cluster.Cluster, dbs []*sql.DB) {
	lead := leader(t, c)
	other := otherThan(lead)
	ends, keeps, asks := newSession(t, dbs, index(lead)), newSession(t, dbs, index(other)), newSession(t, dbs, index(third(lead, other)))
	ends.does("LOCK TABLES t WRITE")
	keeps.does("LOCK TABLES u WRITE")
	must(t, c.Crash(lead))
	asks.does("UPDATE t SET v = 1", "LOCK TABLES t WRITE", "UNLOCK TABLES")
	asks.waits("UPDATE u SET v = 5")
	keeps.does("UPDATE u SET v = 2", "UPDATE u SET v = 1", "UNLOCK TABLES")
	asks.does("UPDATE u SET v = 1")
	must(t, c.Kill(lead))
	must(t, c.StartNode(lead))
}

// locksOfHung: a frontend that hangs loses its locks, and none of its sessions writes as if it had them.
func locksOfHung(t *testing.T, c *cluster.Cluster, dbs []*sql.DB) {
	lead := leader(t, c)
	victim := otherThan(lead)
	loses, open, asks := newSession(t, dbs, index(victim)), newSession(t, dbs, index(victim)), newSession(t, dbs, index(lead))
	loses.does("SET autocommit = 0", "LOCK TABLES t WRITE", "UPDATE t SET v = 7 WHERE id = 1")
	must(t, c.Pause(victim))
	asks.does("LOCK TABLES t WRITE")
	must(t, c.Resume(victim))
	if err := loses.do("SELECT * FROM t"); err == nil {
		t.Error("a session reads what another one has locked")
	}
	if err := loses.do("COMMIT"); err == nil {
		t.Error("a session commits what it wrote without its locks")
	}
	open.waits("SELECT * FROM t")
	asks.does("UPDATE t SET v = v + 1 WHERE id = 1", "UNLOCK TABLES")
	asks.want("v FROM t", "2")
}

// locksAreSeen: every frontend tells who has locked tables, who asks for them and who waits, wherever they are.
func locksAreSeen(t *testing.T, c *cluster.Cluster, dbs []*sql.DB) {
	a, b, d := newSession(t, dbs, 0), newSession(t, dbs, 1), newSession(t, dbs, 2)
	ids := [3]string{}
	for i, s := range []session{a, b, d} {
		id, err := s.ask("CONNECTION_ID()")
		must(t, err)
		ids[i] = id
	}
	seen := func(what, want string) {
		t.Helper()
		for i, db := range dbs {
			c.Wait(t, fmt.Sprintf("fe%d shows %s", i+1, what), time.Minute, func() (bool, string) {
				got := one(t, db, "SELECT GROUP_CONCAT(CONCAT_WS(' ', OWNER_THREAD_ID, OBJECT_TYPE, OBJECT_NAME, LOCK_TYPE, LOCK_STATUS) ORDER BY LOCK_STATUS SEPARATOR ', ') FROM performance_schema.metadata_locks")
				return got == want, got
			})
		}
	}
	a.does("LOCK TABLES u READ")
	asks := b.starts("LOCK TABLES u WRITE")
	seen("who asks", fmt.Sprintf("%s TABLE u SHARED_READ_ONLY GRANTED, %s TABLE u SHARED_NO_READ_WRITE PENDING", ids[0], ids[1]))
	open, err := cluster.ReadTable(t.Context(), dbs[2], "SHOW OPEN TABLES LIKE 'u'")
	must(t, err)
	if got := open.Column("In_use"); len(got) != 1 || got[0] != "2" {
		t.Errorf("SHOW OPEN TABLES: u is in use by %v", got)
	}
	waits := d.starts("UPDATE u SET v = 2")
	a.does("UNLOCK TABLES")
	must(t, <-asks)
	seen("who waits", fmt.Sprintf("%s TABLE u SHARED_NO_READ_WRITE GRANTED, %s TABLE u SHARED_READ PENDING", ids[1], ids[2]))
	b.does("UNLOCK TABLES")
	must(t, <-waits)
	seen("nothing", "")
	a.does("FLUSH TABLES WITH READ LOCK")
	seen("the lock of all", ids[0]+" GLOBAL SHARED GRANTED")
	a.does("UNLOCK TABLES")
	if open, err := cluster.ReadTable(t.Context(), dbs[2], "SHOW OPEN TABLES"); err != nil || len(open.Column("Table")) != 0 {
		t.Errorf("SHOW OPEN TABLES: %v, %v", open, err)
	}
}
