package frontends

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"stele/tests/cluster"
)

func one(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out sql.NullString
	if err := db.QueryRowContext(ctx, query).Scan(&out); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out.String
}

func number(err error) uint16 {
	var known *mysql.MySQLError
	errors.As(err, &known)
	if known == nil {
		return 0
	}
	return known.Number
}

// TestEveryFrontendAnswersAlike: what one FE does the others see at once, and what only the leading FE knows every FE
// tells.
func TestEveryFrontendAnswersAlike(t *testing.T) {
	c := startWith(t, 3, steady, nil)
	dbs := pools(t, c, 3)
	for i, db := range dbs {
		next := dbs[(i+1)%3]
		exec(t, db, fmt.Sprintf("CREATE TABLE t%d (id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT)", i), fmt.Sprintf("INSERT INTO t%d (v) VALUES (1), (2)", i))
		for k := range 20 {
			exec(t, next, fmt.Sprintf("INSERT INTO t%d (v) VALUES (%d)", i, k))
			if got, want := one(t, db, fmt.Sprintf("SELECT COUNT(*) FROM t%d", i)), fmt.Sprint(k+3); got != want {
				t.Fatalf("%s rows after %s were acknowledged on another FE", got, want)
			}
		}
	}
	for _, query := range []string{
		"SELECT GROUP_CONCAT(CONCAT(BackendId, Alive) ORDER BY BackendId) FROM stele.backends",
		"SELECT GROUP_CONCAT(CONCAT(Name, Role, Alive) ORDER BY Name) FROM stele.frontends",
		"SELECT COUNT(*) FROM stele.disks WHERE total_bytes > 0",
	} {
		a, b, d := one(t, dbs[0], query), one(t, dbs[1], query), one(t, dbs[2], query)
		if a != b || a != d || a == "" || a == "0" {
			t.Errorf("%s answers %q, %q and %q", query, a, b, d)
		}
	}
	givenIDs(t, dbs)
	names(t, dbs)
	sessions(t, dbs)
	accounts(t, c, dbs)
	roles(t, c, dbs)
	configuration(t, c, dbs)
	refusals(t, c, dbs)
	hints(t, c, dbs)
	notes(t, dbs)
}

// notes: what the leading FE has to say beside an answer is heard on every FE.
func notes(t *testing.T, dbs []*sql.DB) {
	t.Helper()
	exec(t, dbs[0], "CREATE DATABASE noted", "ALTER DATABASE noted REPLICA 1")
	for i, db := range dbs {
		conn, err := db.Conn(t.Context())
		must(t, err)
		_, err = conn.ExecContext(t.Context(), "ALTER DATABASE noted REPLICA 1")
		must(t, err)
		var level, code, text string
		if err := conn.QueryRowContext(t.Context(), "SHOW WARNINGS").Scan(&level, &code, &text); err != nil || !strings.HasPrefix(text, "Database options are unchanged") {
			t.Errorf("fe%d warns of %q, %v", i+1, text, err)
		}
		must(t, conn.Close())
	}
}

// givenIDs: a row that gets its id from a client on one FE keeps the others from drawing it.
func givenIDs(t *testing.T, dbs []*sql.DB) {
	t.Helper()
	exec(t, dbs[0], "CREATE TABLE given (id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT)")
	for _, db := range dbs { // each FE holds a range
		exec(t, db, "INSERT INTO given (v) VALUES (0)")
	}
	for k := range 12 {
		from, to := dbs[k%3], dbs[(k+1)%3]
		var next int64
		result, err := from.ExecContext(t.Context(), "INSERT INTO given (v) VALUES (1)")
		must(t, err)
		next, err = result.LastInsertId()
		must(t, err)
		exec(t, to, fmt.Sprintf("INSERT INTO given VALUES (%d, 2)", next+1))
		exec(t, from, "INSERT INTO given (v) VALUES (3)")
	}
}

// names: tables that exchange their names on one FE have done so for the others, whatever plans those keep; and locks that
// would hold on one FE only are not given.
func names(t *testing.T, dbs []*sql.DB) {
	t.Helper()
	exec(t, dbs[0], "CREATE TABLE odd (id INT PRIMARY KEY, v INT)", "CREATE TABLE even (id INT PRIMARY KEY, v INT)",
		"INSERT INTO odd VALUES (1, 0)", "INSERT INTO even VALUES (1, 0)")
	for k := range 12 {
		from, to := dbs[k%3], dbs[(k+1)%3]
		exec(t, from, "RENAME TABLE odd TO was, even TO odd, was TO even")
		exec(t, to, fmt.Sprintf("UPDATE odd SET v = %d WHERE id = 1", k+1), fmt.Sprintf("INSERT INTO odd VALUES (%d, 0)", 10+k))
		if got := one(t, to, "SELECT v FROM odd WHERE id = 1"); got != fmt.Sprint(k+1) {
			t.Fatalf("after rename %d: %s", k, got)
		}
		if got := one(t, from, "SELECT v FROM even WHERE id = 1"); got != fmt.Sprint(k) {
			t.Fatalf("rename %d: a write went to the other table: %s", k, got)
		}
		if got := one(t, from, "SELECT COUNT(*) FROM odd"); got != fmt.Sprint(2+k/2) {
			t.Fatalf("rename %d: %s rows", k, got)
		}
	}
}

// sessions of all FEs are listed on each, and can be ended from each.
func sessions(t *testing.T, dbs []*sql.DB) {
	t.Helper()
	conn, err := dbs[2].Conn(t.Context())
	must(t, err)
	defer conn.Close()
	var id string
	must(t, conn.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&id))
	list, err := cluster.ReadTable(t.Context(), dbs[0], "SHOW PROCESSLIST")
	must(t, err)
	if !slices.Contains(list.Column("Id"), id) {
		t.Errorf("SHOW PROCESSLIST of fe1 lacks connection %s of fe3: %v", id, list.Column("Id"))
	}
	exec(t, dbs[0], "KILL "+id)
	if _, err := conn.ExecContext(t.Context(), "SELECT 1"); err == nil {
		t.Error("a connection that was killed from another FE goes on")
	}
	if _, err := dbs[0].ExecContext(t.Context(), "KILL 1"); number(err) != 1094 {
		t.Errorf("KILL of nobody: %v", err)
	}
}

// accounts that one FE has made, changed or dropped are so on the others at once.
func accounts(t *testing.T, c *cluster.Cluster, dbs []*sql.DB) {
	t.Helper()
	exec(t, dbs[0], "CREATE DATABASE acc", "CREATE TABLE acc.t (id INT PRIMARY KEY, v INT)", "CREATE TABLE acc.u (id INT PRIMARY KEY)")
	for k := range 6 {
		from, to := k%3, (k+1)%3
		exec(t, dbs[from], "CREATE USER ann IDENTIFIED BY 'a'", "GRANT SELECT ON acc.t TO ann")
		ann := c.OpenAs(to+1, "ann", "a", "acc")
		exec(t, ann, "SELECT v FROM t WHERE id = 1", "SELECT COUNT(*) FROM t")
		// The leading FE leaves out what the account may not see, too.
		if n := one(t, ann, "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'acc'"); n != "1" {
			t.Errorf("fe%d shows %s tables, 1 was granted", to+1, n)
		}
		exec(t, dbs[from], "REVOKE SELECT ON acc.t FROM ann")
		for _, query := range []string{"SELECT v FROM t WHERE id = 1", "SELECT COUNT(*) FROM t"} {
			if _, err := ann.ExecContext(t.Context(), query); number(err) != 1142 {
				t.Errorf("fe%d after REVOKE on fe%d: %s: %v", to+1, from+1, query, err)
			}
		}
		exec(t, dbs[from], "ALTER USER ann IDENTIFIED BY 'b'")
		for password, want := range map[string]uint16{"a": 1045, "b": 0} {
			again := c.OpenAs(to+1, "ann", password, "")
			if _, err := again.ExecContext(t.Context(), "SELECT 1"); number(err) != want {
				t.Errorf("login with %q at fe%d: %v", password, to+1, err)
			}
			must(t, again.Close())
		}
		must(t, ann.Close())
		exec(t, dbs[from], "DROP USER ann")
	}
	exec(t, dbs[0], "DROP DATABASE acc")
}

// configuration that is set to stay reaches every FE.
func configuration(t *testing.T, c *cluster.Cluster, dbs []*sql.DB) {
	t.Helper()
	before := one(t, dbs[0], "SELECT Value FROM stele.frontend_config WHERE `Key` = 'tablet_sched_slot_num_per_path'")
	exec(t, dbs[1], `ADMIN SET FRONTEND CONFIG ("tablet_sched_slot_num_per_path" = "7") WITH PERSISTENT`)
	const value = "SELECT Value FROM stele.frontend_config WHERE `Key` = 'tablet_sched_slot_num_per_path'"
	everywhere := func(want string) {
		for i, db := range dbs {
			c.Wait(t, fmt.Sprintf("fe%d takes the value %s", i+1, want), 30*time.Second, func() (bool, string) {
				got := one(t, db, value)
				return got == want, got
			})
		}
	}
	everywhere("7")
	exec(t, dbs[2], `ADMIN SET FRONTEND CONFIG ("tablet_sched_slot_num_per_path" = "DEFAULT") WITH PERSISTENT`)
	everywhere(before)
	exec(t, dbs[0], "SET GLOBAL foreign_key_checks = 0, GLOBAL wait_timeout = 7000")
	for i, db := range dbs {
		c.Wait(t, fmt.Sprintf("new sessions of fe%d begin with the global values", i+1), 30*time.Second, func() (bool, string) {
			db.SetMaxIdleConns(0)
			db.SetMaxIdleConns(2)
			got := one(t, db, "SELECT CONCAT_WS(' ', @@foreign_key_checks, @@global.foreign_key_checks, @@wait_timeout)")
			return got == "0 0 7000", got
		})
	}
	exec(t, dbs[2], "SET GLOBAL foreign_key_checks = DEFAULT, GLOBAL wait_timeout = DEFAULT")
}

// refusals are the same wherever they are met.
func refusals(t *testing.T, c *cluster.Cluster, dbs []*sql.DB) {
	t.Helper()
	lead := leader(t, c)
	for _, db := range dbs {
		for statement, text := range map[string]string{
			`ALTER SYSTEM ADD FOLLOWER "` + c.FrontendAddr(lead) + `"`:             "already exists",
			`ALTER SYSTEM DROP FOLLOWER "` + c.FrontendAddr(lead) + `"`:            "can not drop current master node",
			`ALTER SYSTEM DROP FOLLOWER "127.0.0.1:1"`:                             "frontend does not exist[127.0.0.1:1]",
			`ALTER SYSTEM DROP OBSERVER "` + c.FrontendAddr(otherThan(lead)) + `"`: "OBSERVER does not exist",
			`ALTER SYSTEM TRANSFER LEADER TO "` + c.FrontendAddr(lead) + `"`:       "leads already",
			"CREATE MNODE ON DNODE 1":                                              "does not exist",
		} {
			if _, err := db.ExecContext(t.Context(), statement); err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v, want %q", statement, err, text)
			}
		}
	}
}

// TestWithoutMajority: with two of three FEs gone, statements end with an error that says so, and go on when one is back.
func TestWithoutMajority(t *testing.T) {
	c := start(t, 3)
	lead := leader(t, c)
	for _, db := range pools(t, c, 3) {
		exec(t, db, fmt.Sprintf(`ADMIN SET FRONTEND CONFIG ("leader_wait_timeout_ms" = "%d")`, leaderWait.Milliseconds()))
	}
	left := otherThan(lead)
	db := c.FrontendDB(int(left[2] - '0'))
	exec(t, db, "SELECT 1")
	for _, node := range []string{"fe1", "fe2", "fe3"} {
		if node != left {
			must(t, c.Kill(node))
		}
	}
	c.Wait(t, "statements are refused", 20*time.Second, func() (bool, string) {
		begun := time.Now()
		_, err := db.ExecContext(t.Context(), "CREATE DATABASE later")
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("a statement without a leader took %v", took)
		}
		return number(err) == 1205, fmt.Sprint(err)
	})
	leaderless(t, c, db)
	if _, err := db.ExecContext(t.Context(), "SELECT COUNT(*) FROM ha.reg"); number(err) != 1205 {
		t.Errorf("a query without a leader: %v", err)
	}
	rows, err := cluster.ReadTable(t.Context(), db, "SHOW FRONTENDS")
	must(t, err)
	for i, alive := range rows.Column("Alive") {
		port := fmt.Sprint(c.MySQLPort + int(left[2]-'0') - 1)
		if itself := rows.Column("QueryPort")[i] == port; alive != fmt.Sprint(itself) || rows.Column("Role")[i] == "LEADER" {
			t.Errorf("without a leader SHOW FRONTENDS says %v", rows.Rows[i])
		}
	}
	must(t, c.StartNode(lead))
	c.Wait(t, "statements go on", 20*time.Second, func() (bool, string) {
		_, err := db.ExecContext(t.Context(), "CREATE DATABASE IF NOT EXISTS later")
		return err == nil, fmt.Sprint(err)
	})
}
