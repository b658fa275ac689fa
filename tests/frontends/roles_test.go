package frontends

import (
	"database/sql"
	"fmt"
	"testing"

	"stele/tests/cluster"
)

// roles that one FE gives, takes or drops count in the sessions that are open on the others at their next statement.
func roles(t *testing.T, c *cluster.Cluster, dbs []*sql.DB) {
	t.Helper()
	exec(t, dbs[0], "CREATE DATABASE rol", "CREATE TABLE rol.t (id INT PRIMARY KEY, v INT)", "INSERT INTO rol.t VALUES (1, 1)", "CREATE USER cat IDENTIFIED BY 'c'")
	for k := range 6 {
		from, to := k%3, (k+1)%3
		exec(t, dbs[from], "CREATE ROLE reader, writer", "GRANT SELECT ON rol.t TO reader", "GRANT INSERT ON rol.t TO writer", "GRANT writer TO reader",
			"GRANT reader TO cat")
		db := c.OpenAs(to+1, "cat", "c", "")
		cat := session{newLocker(t, db), db, "cat"}
		reads := []string{"SELECT v FROM rol.t WHERE id = 1", "SELECT COUNT(*) FROM rol.t"}
		cat.fails(1142, reads...)
		cat.does("SET ROLE reader")
		cat.does(reads...)
		cat.does("USE rol", fmt.Sprintf("INSERT INTO t VALUES (%d, 7)", k+2))
		// The leading FE leaves out what the account may not see without the role.
		cat.want("COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'rol'", "1")
		cat.does("SHOW TABLE STATUS FROM rol")
		switch k {
		case 0, 1:
			exec(t, dbs[from], "REVOKE reader FROM cat")
		case 2, 3:
			exec(t, dbs[from], "DROP ROLE reader")
		default:
			exec(t, dbs[from], "REVOKE SELECT ON rol.t FROM reader", "REVOKE writer FROM reader")
		}
		cat.fails(1142, reads...)
		cat.fails(1142, "INSERT INTO t VALUES (8, 8)")
		exec(t, dbs[from], "DROP ROLE IF EXISTS reader, writer")
		cat.fails(1142, reads[0]) // which asks what has become of the accounts; CURRENT_ROLE() alone names no table
		cat.want("CURRENT_ROLE()", "NONE")
		must(t, cat.Close())
		must(t, db.Close())
	}
	exec(t, dbs[0], "DROP DATABASE rol", "DROP USER cat")
}
