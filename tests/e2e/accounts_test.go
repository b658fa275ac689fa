package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// TestAccounts lets accounts in and keeps them out of what they were not granted, on every way that a statement can take: the
// short ways of reading and writing by key, prepared statements, transactions, and the rest.
func TestAccounts(t *testing.T) {
	c := sharedCluster(t)
	root := c.DB()
	const password = "Pa55-of-ann"
	do := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			if _, err := root.ExecContext(context.Background(), s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	do("CREATE DATABASE acc", "CREATE TABLE acc.t (id INT PRIMARY KEY, v INT)", "CREATE TABLE acc.u (id INT PRIMARY KEY, v INT)",
		"INSERT INTO acc.t VALUES (1, 1), (2, 2)", "INSERT INTO acc.u VALUES (1, 1)",
		"CREATE USER acc_ann IDENTIFIED BY '"+password+"', acc_sha IDENTIFIED WITH caching_sha2_password BY '"+password+"'",
		"GRANT SELECT ON acc.t TO acc_ann, acc_sha")
	t.Cleanup(func() { do("DROP DATABASE acc", "DROP USER IF EXISTS acc_ann, acc_sha, acc_bob") })
	ann := c.OpenAs(1, "acc_ann", password, "acc")
	defer ann.Close()
	conn, err := ann.Conn(t.Context())
	must(t, err)
	defer conn.Close()

	expect := func(code uint16, statement string, args ...any) {
		t.Helper()
		_, err := conn.ExecContext(t.Context(), statement, args...)
		var e *mysql.MySQLError
		switch {
		case code == 0 && err != nil, code != 0 && (!errors.As(err, &e) || e.Number != code):
			t.Errorf("%s: %v, want error %d", statement, err, code)
		}
	}
	reads := func(code uint16) {
		t.Helper()
		expect(code, "SELECT v FROM t WHERE id = 1")    // by key
		expect(code, "SELECT v FROM t WHERE id = ?", 1) // by key, prepared
		expect(code, "SELECT SUM(v) FROM t")
		expect(code, "SELECT * FROM acc.t a JOIN acc.t b ON a.id = b.id")
	}
	writes := func(code uint16) {
		t.Helper()
		expect(code, "UPDATE t SET v = 7 WHERE id = 1")
		expect(code, "UPDATE t SET v = ? WHERE id = ?", 8, 1)
		expect(code, "UPDATE t SET v = v + 1")
		expect(code, "INSERT INTO t VALUES (3, 3)")
		expect(code, "INSERT INTO t VALUES (?, ?), (6, 6)", 5, 5) // prepared, whose plan may be kept
		expect(code, "INSERT INTO t (id, v) VALUES (?, ?) ON DUPLICATE KEY UPDATE v = v + VALUES(v)", 5, 5)
		expect(code, "INSERT INTO t (id, v) VALUES (5, 5) ON DUPLICATE KEY UPDATE v = v + VALUES(v)")
		expect(code, "DELETE FROM t WHERE id = ?", 5)
		expect(code, "DELETE FROM t WHERE id = 6")
		expect(code, "INSERT INTO t SELECT 4, 4")
		expect(code, "REPLACE INTO t VALUES (3, 4)")
		expect(code, "INSERT INTO t VALUES (3, 3) ON DUPLICATE KEY UPDATE v = 5")
		expect(code, "DELETE FROM t WHERE id = 3")
		expect(code, "DELETE FROM t WHERE v = 4")
	}
	reads(0)
	writes(1142)
	expect(0, "BEGIN")
	expect(1142, "SELECT v FROM t WHERE id = 1 FOR UPDATE")
	expect(0, "ROLLBACK")
	expect(1142, "SELECT * FROM u")
	expect(1142, "SELECT v FROM u WHERE id = 1")
	expect(1044, "CREATE DATABASE acc2")
	expect(1142, "CREATE TABLE n (id INT PRIMARY KEY)")
	expect(1227, "SHOW BACKENDS")
	expect(1227, `ALTER SYSTEM ADD BACKEND "127.0.0.1:1"`)
	expect(1227, "CREATE USER acc_bob")
	expect(1227, "SET GLOBAL sql_mode = DEFAULT")
	expect(1095, "KILL QUERY "+text(t, root, "SELECT CONNECTION_ID()"))

	// What is granted and taken counts at once, in sessions that are open, on the plans that are kept.
	do("GRANT INSERT, UPDATE, DELETE ON acc.* TO acc_ann")
	writes(0)
	writes(0)
	expect(1142, "UPDATE u SET v = 2 WHERE id = 1") // it reads u
	do("REVOKE INSERT, UPDATE, DELETE ON acc.* FROM acc_ann")
	writes(1142)
	reads(0)
	do("REVOKE SELECT ON acc.t FROM acc_ann")
	reads(1142)
	expect(0, "SET PASSWORD = 'other'")
	do("DROP USER acc_ann")
	reads(1142)

	for who, code := range map[string]uint16{"acc_ann": 1045, "acc_sha": 0} {
		db := c.OpenAs(1, who, password, "acc")
		_, err := db.ExecContext(t.Context(), "SELECT 1")
		if e := (*mysql.MySQLError)(nil); code == 0 && err != nil || code != 0 && (!errors.As(err, &e) || e.Number != code) {
			t.Errorf("login of %s: %v, want %d", who, err, code)
		}
		must(t, db.Close())
	}
	c.Wait(t, "the refused login in the log", time.Minute, func() (bool, string) { // it is written after the answer
		b, err := os.ReadFile(filepath.Join(c.Dir, "fe1", "log", "fe.log"))
		return bytes.Contains(b, []byte("login refused")), fmt.Sprint(err)
	})
	untold(t, c.Dir, password)
}

func text(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	var s string
	must(t, db.QueryRowContext(context.Background(), query).Scan(&s))
	return s
}

// untold fails if a password stands in a log file of the nodes.
func untold(t *testing.T, dir, password string) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "*", "log", "*"))
	must(t, err)
	if len(logs) == 0 {
		t.Error("there are no log files")
	}
	for _, path := range logs {
		b, err := os.ReadFile(path)
		must(t, err)
		if bytes.Contains(b, []byte(password)) {
			t.Errorf("%s tells the password", path)
		}
	}
}
