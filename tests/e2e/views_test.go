package e2e

import (
	"context"
	"database/sql"
	"errors"
	"os/exec"
	"testing"

	"github.com/go-sql-driver/mysql"

	"stele/sql/syntax"
)

// TestViewRights has views read and written by accounts that have rights on the views alone: below a view those of its definer count,
// below one with SQL SECURITY INVOKER those of whoever came to it.
func TestViewRights(t *testing.T) {
	c := sharedCluster(t)
	root := c.DB()
	do := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			if _, err := root.ExecContext(context.Background(), s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	do("CREATE DATABASE vr", "CREATE TABLE vr.t (id INT PRIMARY KEY, v INT)", "INSERT INTO vr.t VALUES (1, 1), (2, 2)",
		"CREATE USER vr_def, vr_ann", "GRANT SELECT, UPDATE ON vr.t TO vr_def", "GRANT CREATE VIEW, SHOW VIEW, DROP ON vr.* TO vr_def")
	t.Cleanup(func() { do("DROP DATABASE vr", "DROP USER vr_def, vr_ann") })
	session := func(user string) *sql.Conn {
		db := c.OpenAs(1, user, "", "")
		t.Cleanup(func() { db.Close() })
		conn, err := db.Conn(t.Context())
		must(t, err)
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	definer, ann := session("vr_def"), session("vr_ann")
	expect := func(conn *sql.Conn, code uint16, statement string, args ...any) {
		t.Helper()
		_, err := conn.ExecContext(t.Context(), statement, args...)
		var e *mysql.MySQLError
		if code == 0 && err != nil || code != 0 && (!errors.As(err, &e) || e.Number != code) {
			t.Errorf("%s: %v, want error %d", statement, err, code)
		}
	}
	expect(ann, 1142, "CREATE VIEW vr.x AS SELECT 1 AS a")
	expect(definer, 0, "CREATE VIEW vr.d AS SELECT * FROM vr.t")
	expect(definer, 0, "CREATE SQL SECURITY INVOKER VIEW vr.i AS SELECT * FROM vr.t")
	expect(definer, 1142, "CREATE VIEW vr.x AS SELECT * FROM vr.d")                    // may not read it yet
	expect(definer, 1227, "CREATE DEFINER = root@'%' VIEW vr.x AS SELECT * FROM vr.t") // another's rights are SUPER's to lend
	expect(ann, 1142, "SELECT * FROM vr.d")
	do("GRANT SELECT ON vr.d TO vr_ann", "GRANT SELECT ON vr.i TO vr_ann")
	expect(ann, 0, "SELECT * FROM vr.d WHERE id = 1")
	expect(ann, 0, "SELECT * FROM vr.d WHERE id = ?", 1)
	expect(ann, 1142, "SELECT * FROM vr.t")
	expect(ann, 1356, "SELECT * FROM vr.i")
	expect(ann, 1345, "EXPLAIN SELECT * FROM vr.d")
	expect(ann, 1142, "SHOW CREATE VIEW vr.d")
	expect(ann, 1142, "UPDATE vr.d SET v = 5 WHERE id = 1")
	expect(ann, 1142, "DROP VIEW vr.d")
	expect(ann, 1142, "CREATE OR REPLACE VIEW vr.d AS SELECT 1 AS a")
	do("GRANT UPDATE, INSERT, SHOW VIEW ON vr.d TO vr_ann", "GRANT SELECT ON vr.d TO vr_def")
	expect(ann, 0, "UPDATE vr.d SET v = 5 WHERE id = 1")
	expect(ann, 0, "UPDATE vr.d SET v = ? WHERE id = ?", 6, 1)
	expect(ann, 1356, "INSERT INTO vr.d VALUES (3, 3)") // the definer may not
	expect(ann, 1356, "INSERT INTO vr.d VALUES (?, ?)", 3, 3)
	expect(ann, 1142, "DELETE FROM vr.d WHERE id = 1")
	expect(ann, 0, "EXPLAIN SELECT * FROM vr.d")
	expect(ann, 0, "SHOW CREATE VIEW vr.d")
	expect(definer, 0, "CREATE VIEW vr.over AS SELECT v FROM vr.d")
	do("GRANT SELECT ON vr.over TO vr_ann", "REVOKE SELECT ON vr.t FROM vr_def")
	expect(ann, 1356, "SELECT * FROM vr.over") // what is taken from a definer counts at once, and below views over views
	do("GRANT SELECT ON vr.t TO vr_ann")
	expect(ann, 0, "SELECT * FROM vr.i")
	expect(ann, 1356, "SELECT * FROM vr.d")
	do("GRANT ALL ON vr.* TO vr_def")
	expect(ann, 0, "SELECT * FROM vr.over")
	do("RENAME USER vr_def TO vr_gone")
	expect(ann, 1449, "SELECT * FROM vr.d")
	do("RENAME USER vr_gone TO vr_def")
}

// TestViewDump loads what mysqldump writes of a database with views, over views too, into another one.
func TestViewDump(t *testing.T) {
	tool, err := exec.LookPath("mysqldump")
	if err != nil {
		t.Skip("mysqldump is not installed")
	}
	root := sharedCluster(t).DB()
	conn, err := root.Conn(t.Context())
	must(t, err)
	defer conn.Close()
	do := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			if _, err := conn.ExecContext(context.Background(), s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	t.Cleanup(func() {
		_, err := root.ExecContext(context.Background(), "DROP DATABASE IF EXISTS dumped")
		must(t, err)
		_, err = root.ExecContext(context.Background(), "DROP DATABASE IF EXISTS loaded")
		must(t, err)
	})
	do("CREATE DATABASE dumped", "CREATE DATABASE loaded", "USE dumped", "CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(9))",
		"INSERT INTO t VALUES (1, 'a'), (2, 'it''s')", "CREATE VIEW z AS SELECT id, s FROM t WHERE s <> '' WITH CHECK OPTION",
		"CREATE VIEW a (n, m) AS SELECT s, COUNT(*) FROM z GROUP BY s")
	var host, port string
	must(t, conn.QueryRowContext(t.Context(), "SELECT @@hostname, @@port").Scan(&host, &port))
	dump, err := exec.CommandContext(t.Context(), tool, "--no-defaults", "--protocol=tcp", "-h", host, "-P", port, "-u", "root", "--skip-ssl", "dumped").Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		t.Fatalf("mysqldump: %v: %s", err, failed.Stderr)
	}
	must(t, err)
	for _, piece := range syntax.Split(string(dump), 0) {
		if piece.Offset == 0 {
			do("USE loaded")
		}
		if _, err := conn.ExecContext(t.Context(), piece.Text); err != nil {
			t.Fatalf("%s: %v", piece.Text, err)
		}
	}
	do("USE loaded", "DROP DATABASE dumped")
	var n string
	must(t, conn.QueryRowContext(t.Context(), "SELECT GROUP_CONCAT(n ORDER BY n) FROM a WHERE m = 1").Scan(&n))
	if n != "a,it's" {
		t.Errorf("the loaded views show %q", n)
	}
	var e *mysql.MySQLError
	if _, err := conn.ExecContext(t.Context(), "INSERT INTO z VALUES (3, '')"); !errors.As(err, &e) || e.Number != 1369 {
		t.Errorf("the loaded view lost its CHECK OPTION: %v", err)
	}
}
