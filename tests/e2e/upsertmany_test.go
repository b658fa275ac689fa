package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"stele/tests/cluster"
)

// upsertKinds are tables, and what is done to the rows that are met, some of which fails or warns for some rows.
var upsertKinds = []struct{ columns, update string }{
	{"id INT PRIMARY KEY, u INT, n TINYINT, s VARCHAR(9)", "n = n + VALUES(n), s = CONCAT(s, VALUES(s))"},
	{"id INT PRIMARY KEY, u INT, n TINYINT, s VARCHAR(9), UNIQUE KEY (u)", "n = n + VALUES(n)"},
	{"id INT PRIMARY KEY, u INT, n TINYINT, s VARCHAR(9), UNIQUE KEY (s)", "n = VALUES(n) + n, n = n + 1"},
	{"id INT PRIMARY KEY, u INT, n TINYINT, s VARCHAR(9) COLLATE utf8mb4_general_ci, UNIQUE KEY (s), UNIQUE KEY (u)", "n = IF(n < 90, VALUES(n), n)"},
	{"id INT, u INT, n TINYINT, s VARCHAR(9), UNIQUE KEY (u)", "n = VALUES(n)"},
	{"id INT PRIMARY KEY, u INT, n TINYINT, s VARCHAR(9), UNIQUE KEY (u)", "u = VALUES(u)"},
	{"id INT PRIMARY KEY, u INT, n TINYINT, s VARCHAR(9), CHECK (n < 120)", "n = n + VALUES(n)"},
}

// upsertRows draws the rows of a statement: most often each has other keys, and then some of the table.
func upsertRows(r *rand.Rand) []string {
	n, span := 1+r.IntN(40), 60
	ids, us := r.Perm(span), r.Perm(span)
	out := make([]string, n)
	for i := range out {
		id, u := ids[i], fmt.Sprint(us[i])
		switch r.IntN(80) {
		case 0:
			id = r.IntN(span)
		case 1:
			u = "NULL"
		case 2, 3, 4: // meets by a unique key alone
			id, u = id+span, fmt.Sprint(id)
		case 5:
		default:
			u = fmt.Sprint(id)
		}
		out[i] = fmt.Sprintf("(%d, %s, %d, '%c%d')", id, u, r.IntN(9), "kK"[r.IntN(2)], id)
	}
	return out
}

// TestUpsertManyAtOnce has one table take statements of many rows and another one the same rows one by one: they are equal afterwards, and
// count the same; where one row fails, nothing of the statement is kept.
func TestUpsertManyAtOnce(t *testing.T) {
	db := uniqueDatabase(t, "upsert_many")
	conn, err := db.Conn(t.Context())
	must(t, err)
	defer conn.Close()
	r := rand.New(rand.NewPCG(8, 8))
	failed := 0
	for k, kind := range upsertKinds {
		many, each := fmt.Sprintf("m%d", k), fmt.Sprintf("e%d", k)
		for _, table := range []string{many, each} {
			mustExec(t, conn, "CREATE TABLE "+table+" ("+kind.columns+") DISTRIBUTED BY HASH(id) BUCKETS 2")
		}
		mustExec(t, conn, "SET sql_mode = '"+[]string{"STRICT_TRANS_TABLES", ""}[k%2]+"'")
		for round := range 10 {
			rows := upsertRows(r)
			verb, tail := "INSERT INTO ", " ON DUPLICATE KEY UPDATE "+kind.update
			switch round % 4 {
			case 1:
				verb = "INSERT IGNORE INTO "
			case 3:
				verb, tail = "REPLACE INTO ", ""
			}
			statement := func(table string, rows ...string) string {
				return verb + table + " VALUES " + strings.Join(rows, ", ") + tail
			}
			mustExec(t, conn, "BEGIN")
			var want, wantWarned int64
			for _, row := range rows {
				n, warned, err := execCounted(conn, statement(each, row))
				if want, wantWarned = want+n, wantWarned+warned; err != nil {
					mustExec(t, conn, "ROLLBACK")
					want, wantWarned, failed = -1, 0, failed+1
					break
				}
			}
			mustExec(t, conn, "COMMIT")
			if round%3 == 2 {
				mustExec(t, conn, "BEGIN")
			}
			got, warned, err := execCounted(conn, statement(many, rows...))
			mustExec(t, conn, "COMMIT")
			if got != want || warned != wantWarned {
				t.Fatalf("%s: %d rows and %d warnings, not %d and %d: %v", statement(many, rows...), got, warned, want, wantWarned, err)
			}
			a, b := upsertContent(t, db, many), upsertContent(t, db, each)
			if !slices.Equal(a, b) {
				t.Fatalf("%s:\n%v, not\n%v", statement(many, rows...), a, b)
			}
		}
	}
	if failed == 0 {
		t.Fatal("no statement has failed")
	}
}

// execCounted runs a statement; one that fails affects -1 rows.
func execCounted(conn *sql.Conn, q string) (affected, warned int64, err error) {
	res, err := conn.ExecContext(context.Background(), q)
	if err != nil {
		return -1, 0, err
	}
	if affected, err = res.RowsAffected(); err != nil {
		return -1, 0, err
	}
	warnings, err := cluster.ReadTable(context.Background(), conn, "SHOW WARNINGS")
	return affected, int64(len(warnings.Rows)), err
}

func upsertContent(t *testing.T, db *sql.DB, table string) []string {
	t.Helper()
	rows, err := cluster.ReadTable(t.Context(), db, "SELECT id, u, n, s FROM "+table+" ORDER BY 1, 2, 3, 4")
	must(t, err)
	var out []string
	for _, row := range rows.Rows {
		out = append(out, strings.Join(row, " "))
	}
	return out
}
