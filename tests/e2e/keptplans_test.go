package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"stele/tests/cluster"
)

// rowsOf are the rows of a query as text, or its error.
func (w *isolated) rowsOf(query string, args ...any) string {
	w.t.Helper()
	rows, err := w.a.QueryContext(w.t.Context(), query, args...)
	if err != nil {
		return err.Error()
	}
	defer rows.Close()
	columns, err := rows.Columns()
	must(w.t, err)
	out := fmt.Sprint(columns)
	for rows.Next() {
		cells := make([]*string, len(columns))
		into := make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		must(w.t, rows.Scan(into...))
		for _, c := range cells {
			if c == nil {
				out += " NULL"
			} else {
				out += " " + *c
			}
		}
		out += ";"
	}
	if err := rows.Err(); err != nil {
		return err.Error()
	}
	return out
}

// planned is a query that asks the same and has a function, by which it is planned each time.
func planned(query string) string {
	head, rest, _ := strings.Cut(query, " WHERE ")
	condition, tail := rest, ""
	for _, word := range []string{" GROUP BY ", " ORDER BY "} {
		if c, _, ok := strings.Cut(condition, word); ok {
			condition, tail = c, rest[len(c):]
		}
	}
	return head + " WHERE CONNECTION_ID() > 0 AND (" + condition + ")" + tail
}

// TestKeptPlansAsOthers: a query whose plan is kept by its text answers as one that is planned each time, whatever its values are, as a text
// and as a prepared statement, in another time zone, over what its transaction has written, and after its table was altered.
func TestKeptPlansAsOthers(t *testing.T) {
	w := isolate(t, "keptplans")
	w.do(w.a, `CREATE TABLE k (id INT PRIMARY KEY, n INT, u SMALLINT UNSIGNED, v VARCHAR(5), c CHAR(5), ci VARCHAR(5) COLLATE utf8mb4_general_ci, d DECIMAL(6,2),
		e ENUM('a','b'), ts TIMESTAMP NULL, dt DATE, UNIQUE KEY un (n)) DISTRIBUTED BY HASH(id) BUCKETS 3`)
	for i := range 20 {
		w.do(w.a, fmt.Sprintf("INSERT INTO k VALUES (%d, %d, %d, 'v%d', 'c%d', 'X%d', %d.5, 'a', '2024-03-%02d 12:00:00', '2024-03-%02d')", i-5, i*2, i%3, i%4, i%5, i%2, i, i+1, i+1))
	}
	queries := []string{"SELECT id, ts FROM k WHERE %s BETWEEN %s AND %s ORDER BY id", "SELECT SUM(n), COUNT(*) FROM k WHERE %s > %s AND id <> %s", "SELECT DISTINCT v FROM k WHERE %s IN (%s, %s) ORDER BY v",
		"SELECT u, MAX(id) FROM k WHERE %s = %s OR id = %s GROUP BY u ORDER BY u", "SELECT id, v FROM k WHERE %s <> %s AND id != %s ORDER BY n DESC, id LIMIT 2, 3",
		"SELECT x.id, y.ts FROM k x LEFT JOIN k y ON y.id = x.n AND y.v <> 'v3' WHERE x.%s >= %s AND x.id <> %s ORDER BY x.id, y.id",
		"SELECT COUNT(*), MIN(y.n) FROM k x JOIN k y ON y.n = x.n + 2 WHERE y.%s IN (%s, 4) AND x.id <> %s",
		"SELECT id FROM k WHERE %s LIKE %s AND id <> %s ORDER BY id",
		"SELECT x.id FROM k x WHERE x.%s <= %s AND x.id <> %s AND EXISTS (SELECT 1 FROM k y WHERE y.n = x.id AND y.id <> 3) ORDER BY x.id",
		"SELECT x.id FROM k x WHERE x.%s > %s AND x.id <> %s AND x.n NOT IN (SELECT y.id FROM k y WHERE y.v = 'v1') AND x.id > (SELECT MIN(z.id) FROM k z WHERE z.u = x.u AND z.id <> -5) ORDER BY x.id"}
	values := []string{"1", "7", "-3", "40000", "5000000000", "2.5", "1e0", "'v1'", "'c2'", "'c2 '", "'x1'", "''", "'1'", "NULL", "0x31", "'2024-03-05'", "'2024-03-05 12:00:00'",
		"'2024-3-5'", "TRUE", "'é'", "'v%'", "'_1'"}
	compare := func(when string, columns ...string) {
		t.Helper()
		for _, column := range columns {
			for _, q := range queries {
				for i, value := range values {
					other := values[(i+1)%3]
					text := fmt.Sprintf(q, column, value, other)
					want := w.rowsOf(planned(text))
					if got := w.rowsOf(text); got != want {
						t.Errorf("%s, %s: %s\nplanned: %s", when, text, got, want)
					}
				}
			}
		}
		for _, q := range queries {
			for _, column := range []string{"id", "n", "u"} {
				for _, value := range []any{1, -3, 40000, uint64(2), 2.5, "1", nil} {
					text := fmt.Sprintf(q, column, "?", "?")
					want := w.rowsOf(planned(text), value, 7)
					if got := w.rowsOf(text, value, 7); got != want {
						t.Errorf("%s, %s of %v: %s\nplanned: %s", when, text, value, got, want)
					}
				}
			}
		}
	}
	compare("at first", "id", "n", "u", "v", "c", "ci", "d", "e", "ts", "dt")
	w.do(w.a, "SET time_zone = '+05:00'")
	compare("in another zone", "id", "ts")
	w.do(w.a, "BEGIN", "UPDATE k SET n = n + 1 WHERE id = 1", "INSERT INTO k (id, n, v) VALUES (100, 100, 'v1')", "DELETE FROM k WHERE id = 2")
	compare("in a transaction", "id", "n", "v")
	w.do(w.a, "ROLLBACK", "ALTER TABLE k DROP COLUMN u, ADD COLUMN u INT DEFAULT 7")
	compare("after ALTER TABLE", "id", "u")
	w.do(w.a, "TRUNCATE TABLE k")
	compare("after TRUNCATE", "id")
}

// unordered sorts what rowsOf returns.
func unordered(rows string) string {
	columns, rest, _ := strings.Cut(rows, "]")
	each := strings.SplitAfter(rest, ";")
	slices.Sort(each)
	return columns + strings.Join(each, "")
}

// TestUniquePointsAsOthers: a row that is found by the entry of a unique key is the one that a query finds which is planned each time, over
// what its transaction has written, in another zone, and after the key has gone and come back.
func TestUniquePointsAsOthers(t *testing.T) {
	w := isolate(t, "uniquepoints")
	w.do(w.a, `CREATE TABLE k (id INT PRIMARY KEY, n INT, s VARCHAR(5) NOT NULL, m BIGINT, ci VARCHAR(5) COLLATE utf8mb4_general_ci, p VARCHAR(5), ts TIMESTAMP NULL, UNIQUE KEY un (n),
		UNIQUE KEY us (s, m), UNIQUE KEY uc (ci), UNIQUE KEY up (p(2))) DISTRIBUTED BY HASH(id) BUCKETS 3`)
	for i := range 20 {
		w.do(w.a, fmt.Sprintf("INSERT INTO k VALUES (%d, %d, 'v%d', %d, 'X%d', '%02dp', '2024-03-%02d 12:00:00')", i-5, i*2, i%4, i, i, i, i+1))
	}
	w.do(w.a, "INSERT INTO k VALUES (90, NULL, 'v1', NULL, NULL, NULL, NULL), (91, NULL, 'v1 ', 1, NULL, NULL, NULL), (92, 9000, '', 7, '', '', NULL)")
	numbers := []string{"10", "12", "2", "7", "-3", "40000", "5000000000", "2.0", "'4'", "'4 '", "NULL", "TRUE", "1"}
	texts := []string{"'v1'", "'v1 '", "''", "'V1'", "'x1'", "'X1'", "'01'", "'01p'", "1", "NULL", "'toolong'", "'é'"}
	compare := func(when string) {
		t.Helper()
		var queries []string
		for _, n := range numbers {
			queries = append(queries, "SELECT id, s, ts FROM k WHERE n = "+n, "SELECT * FROM k WHERE m = "+n+" AND s = 'v1'", "SELECT n FROM k WHERE id = 3 AND n = "+n)
		}
		for _, v := range texts {
			queries = append(queries, "SELECT id FROM k WHERE ci = "+v, "SELECT id FROM k WHERE p = "+v, "SELECT id FROM k WHERE s = "+v+" AND m = 1")
		}
		for range 2 { // planned, and kept
			for _, text := range queries {
				if got, want := unordered(w.rowsOf(text)), unordered(w.rowsOf(planned(text))); got != want {
					t.Errorf("%s, %s: %s\nplanned: %s", when, text, got, want)
				}
			}
			for _, value := range []any{10, 12, 3, 40000, uint64(2), "4", nil} {
				text := "SELECT id, s, ts FROM k WHERE n = ?"
				if got, want := unordered(w.rowsOf(text, value)), unordered(w.rowsOf(planned(text), value)); got != want {
					t.Errorf("%s, %s of %v: %s\nplanned: %s", when, text, value, got, want)
				}
			}
		}
	}
	compare("at first")
	w.do(w.a, "SET time_zone = '+05:00'")
	compare("in another zone")
	w.do(w.a, "BEGIN", "UPDATE k SET n = n + 1 WHERE id = 0", "INSERT INTO k (id, n, s, m) VALUES (100, 100, 'v1', 100)", "DELETE FROM k WHERE id = 1")
	compare("in a transaction")
	w.do(w.a, "ROLLBACK", "ALTER TABLE k DROP KEY un", "INSERT INTO k (id, n, s) VALUES (101, 10, 'v1')")
	compare("without a unique key")
	w.do(w.a, "DELETE FROM k WHERE id = 0", "ALTER TABLE k ADD UNIQUE KEY un (n)")
	compare("with another one")
	w.do(w.a, "TRUNCATE TABLE k", "INSERT INTO k (id, n, s, m) VALUES (1, 12, 'v1', 1)")
	compare("after TRUNCATE")
}

// TestKeptPlansAndRights: an account reads nothing by a plan that another one's query has left.
func TestKeptPlansAndRights(t *testing.T) {
	c := sharedCluster(t)
	root := c.DB()
	for _, s := range []string{"CREATE DATABASE keptrights", "CREATE TABLE keptrights.t (id INT PRIMARY KEY, v INT)", "INSERT INTO keptrights.t VALUES (1, 1), (2, 2)",
		"CREATE USER kept_ann IDENTIFIED BY 'kept-pa55'", "GRANT SELECT ON keptrights.t TO kept_ann"} {
		mustExec(t, root, s)
	}
	t.Cleanup(func() {
		mustExec(t, root, "DROP DATABASE keptrights")
		mustExec(t, root, "DROP USER kept_ann")
	})
	ann := c.OpenAs(1, "kept_ann", "kept-pa55", "keptrights")
	defer ann.Close()
	sum := func(query string) (string, error) {
		rows, err := cluster.ReadTable(t.Context(), ann, query)
		if err != nil {
			return "", err
		}
		return rows.Column("s")[0], nil
	}
	mustExec(t, root, "CREATE TABLE keptrights.u (id INT PRIMARY KEY)")
	for _, key := range []int{1, 2, 1} {
		for _, text := range []string{"SELECT SUM(t.v) AS s FROM keptrights.t t JOIN keptrights.u u ON u.id = t.id WHERE t.id = %d",
			"SELECT SUM(t.v) AS s FROM keptrights.t t WHERE t.id = %d AND NOT EXISTS (SELECT 1 FROM keptrights.u u WHERE u.id = t.id)"} {
			query := fmt.Sprintf(text, key)
			if _, err := cluster.ReadTable(t.Context(), root, query); err != nil {
				t.Fatal(err)
			}
			if got, err := sum(query); number(err) != 1142 {
				t.Fatalf("%s over a table without a right to: %s, %v", query, got, err)
			}
		}
	}
	query := func(to int) string { return fmt.Sprintf("SELECT SUM(v) AS s FROM t WHERE id BETWEEN 1 AND %d", to) }
	for to, want := range map[int]string{1: "1", 2: "3"} {
		if got, err := sum(query(to)); err != nil || got != want {
			t.Fatalf("up to %d: %s, %v, want %s", to, got, err, want)
		}
	}
	mustExec(t, root, "REVOKE SELECT ON keptrights.t FROM kept_ann")
	if got, err := sum(query(2)); err == nil {
		t.Fatalf("read %s without a right to", got)
	}
}
