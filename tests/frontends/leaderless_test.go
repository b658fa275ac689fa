package frontends

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	"stele/tests/cluster"
)

// leaderWait is how long statements of the test wait for a leader.
const leaderWait = 400 * time.Millisecond

// needsLeader are statements of every kind that cannot be done without a leader.
var needsLeader = []string{
	"CREATE DATABASE later",
	"DROP DATABASE ha",
	"CREATE TABLE ha.t (k INT PRIMARY KEY)",
	"TRUNCATE TABLE ha.reg",
	"DROP TABLE ha.reg",
	"INSERT INTO ha.reg VALUES (100, 1)",
	"REPLACE INTO ha.reg VALUES (1, 1)",
	"UPDATE ha.reg SET v = 1",
	"DELETE FROM ha.reg WHERE k = 1",
	"INSERT INTO ha.reg SELECT k + 1000, v FROM ha.reg",
	"SELECT v FROM ha.reg WHERE k = 1",
	"SELECT COUNT(*) FROM ha.reg",
	"SELECT v FROM ha.reg WHERE k = 1 FOR UPDATE",
	"SHOW TABLES FROM ha",
	"SHOW CREATE TABLE ha.reg",
	"SHOW TABLET FROM ha.reg",
	"SHOW BACKENDS",
	"SHOW PROC '/cluster_balance'",
	"SELECT COUNT(*) FROM information_schema.tables",
	"SELECT COUNT(*) FROM stele.tablets",
	`ALTER SYSTEM ADD FOLLOWER "127.0.0.1:1"`,
	`ALTER SYSTEM DROP FOLLOWER "127.0.0.1:1"`,
	"ALTER SYSTEM TRANSFER LEADER",
	"CREATE MNODE ON DNODE 1",
	"RESTORE DNODE 1",
	"BALANCE VGROUP",
	"ADMIN REPAIR TABLE ha.reg",
	`ADMIN SET FRONTEND CONFIG ("tablet_sched_slot_num_per_path" = "7") WITH PERSISTENT`,
}

// needsNone are statements that say the same whatever the catalog holds.
var needsNone = []string{
	"SELECT 1",
	"SELECT CONNECTION_ID(), @@version_comment, DATABASE()",
	"SET autocommit = 1",
	"USE ha",
	"SHOW VARIABLES LIKE 'version'",
	"SHOW WARNINGS",
	"SHOW PROCESSLIST",
}

// leaderless checks that each kind of statement ends in time with an error that says that no FE leads.
func leaderless(t *testing.T, c *cluster.Cluster, db *sql.DB) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	must(t, err)
	defer conn.Close()
	for _, s := range needsLeader {
		refusedFor(t, conn, s)
	}
	for _, s := range needsNone {
		if took, err := fastest(t, conn, s); err != nil || took > leaderWait {
			t.Errorf("%s without a leader: %v after %v", s, err, took)
		}
	}
	// A transaction is open until it is ended; what it has not written it can commit.
	for _, s := range []string{"BEGIN", "COMMIT", "BEGIN"} {
		_, err := conn.ExecContext(t.Context(), s)
		must(t, err)
	}
	refusedFor(t, conn, "UPDATE ha.reg SET v = 1")
	_, err = conn.ExecContext(t.Context(), "ROLLBACK")
	must(t, err)
	for _, s := range []string{"SHOW FRONTENDS", "SHOW MNODES"} { // any FE tells what it knows
		rows, err := cluster.ReadTable(t.Context(), conn, s)
		if err != nil || len(rows.Rows) != 3 {
			t.Errorf("%s without a leader: %v, %v", s, rows, err)
		}
	}
}

// fastest runs a statement until it was quick, or a few times: a busy machine stands still now and then.
func fastest(t *testing.T, conn *sql.Conn, statement string) (took time.Duration, err error) {
	t.Helper()
	took = time.Hour
	for range 5 {
		begun := time.Now()
		if _, err = cluster.ReadTable(t.Context(), conn, statement); err != nil {
			return time.Since(begun), err
		}
		if took = min(took, time.Since(begun)); took < leaderWait/2 {
			break
		}
	}
	return took, nil
}

// refusedFor runs a statement that needs the leader: it ends when the wait for one is over, with the number that clients
// take for "try again".
func refusedFor(t *testing.T, conn *sql.Conn, statement string) {
	t.Helper()
	begun := time.Now()
	_, err := cluster.ReadTable(t.Context(), conn, statement)
	took := time.Since(begun)
	if number(err) != 1205 || !strings.Contains(err.Error(), "has no leading FE") || took < leaderWait/2 || took > leaderWait+10*time.Second {
		t.Errorf("%s without a leader: %v after %v", statement, err, took)
	}
}
