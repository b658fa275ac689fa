package e2e

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"stele/tests/cluster"
)

// TestTablesOfEndedSessions: what only a session knew is dropped when the session ends, and when its FE is killed, whatever the session was
// doing: also a table that was being filled as it was made.
func TestTablesOfEndedSessions(t *testing.T) {
	ctx := t.Context()
	c, err := cluster.Launch(cluster.Options{Backends: 2})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	root := c.DB()
	tablets := func(what string, holds func(int) bool) {
		t.Helper()
		c.Wait(t, what, time.Minute, func() (bool, string) {
			backends, err := cluster.ReadTable(ctx, root, "SHOW BACKENDS")
			n := 0
			for _, s := range backends.Column("TabletNum") {
				var one int
				_, _ = fmt.Sscan(s, &one)
				n += one
			}
			alive := backends.Column("Alive")
			return err == nil && slices.Equal(alive, []string{"true", "true"}) && holds(n), fmt.Sprint(n, " tablets ", alive, err)
		})
	}
	session := func() *sql.Conn {
		t.Helper()
		conn, err := root.Conn(ctx)
		must(t, err)
		return conn
	}
	do := func(conn *sql.Conn, statements ...string) {
		t.Helper()
		for _, s := range statements {
			if _, err := conn.ExecContext(ctx, s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	end := func(conn *sql.Conn) { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }

	a, b := session(), session()
	do(a, "CREATE DATABASE tmp", "USE tmp", "CREATE TEMPORARY TABLE x (id INT PRIMARY KEY, v INT, UNIQUE KEY (v)) DISTRIBUTED BY HASH(id) BUCKETS 3",
		"INSERT INTO x VALUES (1, 1)")
	do(b, "USE tmp", "CREATE TEMPORARY TABLE x (id INT PRIMARY KEY) DISTRIBUTED BY HASH(id) BUCKETS 2", "INSERT INTO x VALUES (1), (2)")
	var text, name string
	must(t, b.QueryRowContext(ctx, "SHOW CREATE TABLE x").Scan(&name, &text))
	if !strings.HasPrefix(text, "CREATE TEMPORARY TABLE `x`") {
		t.Errorf("SHOW CREATE TABLE: %s", text)
	}
	tablets("both sessions' tables", func(n int) bool { return n == 3+3+2 })
	end(a)
	tablets("the other session's table", func(n int) bool { return n == 2 })
	var rows int
	must(t, b.QueryRowContext(ctx, "SELECT COUNT(*) FROM x").Scan(&rows))
	if rows != 2 {
		t.Errorf("%d rows in the table of the session that is left", rows)
	}

	do(b, "CREATE TABLE numbers (n INT PRIMARY KEY) DISTRIBUTED BY HASH(n) BUCKETS 1 PROPERTIES ('replication_num' = '1')", "SET cte_max_recursion_depth = 5000",
		"INSERT INTO numbers WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 4000) SELECT n FROM r")
	filling := make(chan error, 1)
	f := session()
	do(f, "USE tmp")
	go func() {
		_, err := f.ExecContext(ctx, "CREATE TABLE half DISTRIBUTED BY HASH(n) BUCKETS 4 PROPERTIES ('replication_num' = '1') "+
			"SELECT COUNT(*) AS n FROM numbers a, numbers b, numbers c, numbers d WHERE a.n + b.n + c.n + d.n < 0")
		filling <- err
	}()
	tablets("the table that is filled", func(n int) bool { return n == 2+1+4 })
	if _, err := b.ExecContext(ctx, "SELECT * FROM half"); err == nil {
		t.Error("a table is there before it is filled")
	}
	must(t, c.Kill("fe1"))
	if err := <-filling; err == nil {
		t.Error("a table was filled by an FE that is dead")
	}
	must(t, c.StartNode("fe1"))
	tablets("the tables of the dead process to go", func(n int) bool { return n == 1 })
	d := session()
	do(d, "USE tmp", "CREATE TABLE half (n INT PRIMARY KEY)", "CREATE TEMPORARY TABLE x (y INT)")
	end(d)
	end(f)
	end(b)
}

// TestTemporaryRights: who may make temporary tables may do everything with them and nothing more than before with others; views know
// nothing of them.
func TestTemporaryRights(t *testing.T) {
	ctx := t.Context()
	c := sharedCluster(t)
	root := c.DB()
	for _, q := range []string{"CREATE DATABASE tmprights", "CREATE TABLE tmprights.t (id INT PRIMARY KEY, v INT)", "INSERT INTO tmprights.t VALUES (1, 7)",
		"CREATE SQL SECURITY INVOKER VIEW tmprights.w AS SELECT * FROM tmprights.t", "CREATE USER tmp_ann IDENTIFIED BY 'Pa55-of-ann'",
		"GRANT SELECT ON tmprights.* TO tmp_ann"} {
		if _, err := root.ExecContext(ctx, q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	t.Cleanup(func() {
		for _, q := range []string{"DROP DATABASE tmprights", "DROP USER tmp_ann"} {
			if _, err := root.Exec(q); err != nil {
				t.Errorf("%s: %v", q, err)
			}
		}
	})
	ann := c.OpenAs(1, "tmp_ann", "Pa55-of-ann", "tmprights")
	defer ann.Close()
	conn, err := ann.Conn(ctx)
	must(t, err)
	defer conn.Close()
	expect := func(code uint16, statement string) {
		t.Helper()
		_, err := conn.ExecContext(ctx, statement)
		var e *mysql.MySQLError
		if code == 0 && err != nil || code != 0 && (!errors.As(err, &e) || e.Number != code) {
			t.Errorf("%s: %v, want error %d", statement, err, code)
		}
	}
	expect(1044, "CREATE TEMPORARY TABLE t (id INT PRIMARY KEY, v INT)")
	_, err = root.ExecContext(ctx, "GRANT CREATE TEMPORARY TABLES ON tmprights.* TO tmp_ann")
	must(t, err)
	expect(1142, "CREATE TABLE u (id INT)")
	expect(1142, "INSERT INTO t VALUES (2, 2)")
	for _, q := range []string{"CREATE TEMPORARY TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (2, 2), (3, 3)", "UPDATE t SET v = 5 WHERE id = 2",
		"DELETE FROM t WHERE id = 3", "ALTER TABLE t ADD COLUMN x INT", "CREATE INDEX i ON t (v)", "REPLACE INTO t VALUES (2, 6, 7)",
		"SELECT * FROM t WHERE id = 2 FOR UPDATE", "CREATE TEMPORARY TABLE s SELECT * FROM t", "TRUNCATE TABLE s"} {
		expect(0, q)
	}
	var v int
	must(t, conn.QueryRowContext(ctx, "SELECT v FROM w").Scan(&v))
	if v != 7 {
		t.Errorf("the view shows %d of the session's table", v)
	}
	must(t, conn.QueryRowContext(ctx, "SELECT v FROM t WHERE id = 2").Scan(&v))
	if v != 6 {
		t.Errorf("the session's table has %d", v)
	}
	expect(1142, "CREATE TABLE s (id INT)") // its name is the session's, the table would be everybody's
	expect(1142, "CREATE TABLE s SELECT 1 AS id")
	expect(0, "CREATE TEMPORARY TABLE w (id INT)")
	for _, q := range []string{"CREATE VIEW t AS SELECT 1", "CREATE OR REPLACE VIEW w AS SELECT 1", "DROP VIEW w", "RENAME TABLE t TO w"} {
		expect(1142, q)
	}
	expect(0, "DROP TABLE w")
	expect(0, "DROP TABLE t")
	expect(1142, "INSERT INTO t VALUES (2, 2)")
	expect(1142, "DROP TABLE t")
	expect(0, "DROP TEMPORARY TABLE s")
}
