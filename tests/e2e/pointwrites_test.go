package e2e

import (
	"fmt"
	"strings"
	"testing"

	"stele/tests/cluster"
)

// TestPointWritesAsOthers: an UPDATE of a row by its key, which goes a way of its own, leaves the same row, error and warnings as one that does
// not, whatever the column and the value are.
func TestPointWritesAsOthers(t *testing.T) {
	w := isolate(t, "pointwrites")
	w.do(w.a, "SET time_zone = '+02:00'")
	w.do(w.a, `CREATE TABLE p (id INT PRIMARY KEY, i INT, u BIGINT UNSIGNED, v VARCHAR(5), c CHAR(5), x TEXT, d DECIMAL(6,2), f DOUBLE, g FLOAT, dt DATE,
		tm DATETIME, m TIME, y YEAR, e ENUM('a','b'), s SET('x','y'), j JSON, b VARBINARY(4), bi BIT(5), ts TIMESTAMP NULL, n VARCHAR(5) NOT NULL DEFAULT '',
		ci VARCHAR(5) COLLATE utf8mb4_general_ci)`)
	values := []string{"0", "7", "-7", "300", "99999999999", "''", "'a'", "'b '", "'x,y'", "'äöü'", "'abcde'", "'abcdef'", "'äöüßé'", "'12'", "'12x'", "'1.005'",
		"'2024-02-29'", "'2023-02-29'", "'2024-01-02 03:04:05.6'", "'2024-01-02 23:04:05+05:30'", "'12:34:56'", "'{\"k\": 1}'", "'{'", "NULL", "20240102", "'99999.99'", "'1e3'", "2155"}
	for mode, columns := range map[string]string{"STRICT_TRANS_TABLES": "i u v c x d f g dt tm m y e s j b bi ts n ci", "": "i v c d dt e"} {
		w.do(w.a, fmt.Sprintf("SET sql_mode = '%s'", mode))
		for _, column := range strings.Fields(columns) {
			w.do(w.a, "REPLACE INTO p (id) VALUES (1), (2)")
			for _, value := range values {
				point := w.told(fmt.Sprintf("UPDATE p SET %s = %s WHERE id = 1", column, value))
				other := w.told(fmt.Sprintf("UPDATE p SET %s = %s WHERE id = 2 AND 1 + 1 = 2", column, value))
				if point != other {
					t.Errorf("mode %q, %s = %s: by key: %s\notherwise: %s", mode, column, value, point, other)
				}
				rows, err := cluster.ReadTable(t.Context(), w.a, "SELECT HEX("+column+") AS v, "+column+" IS NULL AS n FROM p ORDER BY id")
				must(t, err)
				if v, n := rows.Column("v"), rows.Column("n"); v[0] != v[1] || n[0] != n[1] {
					t.Errorf("mode %q, %s = %s: by key %v, otherwise %v", mode, column, value, v[0], v[1])
				}
			}
		}
	}
}

// TestPointWritesOfTimes: NOW() and ON UPDATE CURRENT_TIMESTAMP are the time of the statement in the session's zone, whichever way it goes.
func TestPointWritesOfTimes(t *testing.T) {
	w := isolate(t, "pointtimes")
	w.do(w.a, "SET time_zone = '+05:30'")
	w.do(w.a, `CREATE TABLE p (id INT PRIMARY KEY, n INT, v VARCHAR(30), d DATE, dt DATETIME, dm DATETIME(3), up DATETIME(3) ON UPDATE CURRENT_TIMESTAMP(3),
		ts TIMESTAMP NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP)`)
	w.do(w.a, "INSERT INTO p (id, n) VALUES (1, 0), (2, 0)")
	for i, set := range []string{"n = n + 1", "n = n", "dt = NOW()", "dt = NOW()", "v = CURRENT_TIMESTAMP, n = 7", "d = NOW()", "dm = NOW(), up = NULL", "n = 8, up = NOW()", "n = 9, ts = NOW()", "n = NOW()"} {
		w.do(w.a, fmt.Sprintf("SET timestamp = 17123%d5678.987654", i))
		point := w.told("UPDATE p SET " + set + " WHERE id = 1")
		other := w.told("UPDATE p SET " + set + " WHERE id = 2 AND 1 + 1 = 2")
		if point != other {
			t.Errorf("%s: by key: %s\notherwise: %s", set, point, other)
		}
		rows, err := cluster.ReadTable(t.Context(), w.a, "SELECT CONCAT_WS(',', n, v, d, dt, dm, up, ts) AS r, CONCAT_WS(',', UNIX_TIMESTAMP(ts), up IS NULL) AS u FROM p ORDER BY id")
		must(t, err)
		if r, u := rows.Column("r"), rows.Column("u"); r[0] != r[1] || u[0] != u[1] {
			t.Errorf("%s: by key %v %v, otherwise %v %v", set, r[0], u[0], r[1], u[1])
		}
	}
}

// told is what a client hears of a statement.
func (w *isolated) told(statement string) string {
	w.t.Helper()
	res, err := w.a.ExecContext(w.t.Context(), statement)
	if err != nil {
		return err.Error()
	}
	n, err := res.RowsAffected()
	must(w.t, err)
	warnings, err := cluster.ReadTable(w.t.Context(), w.a, "SHOW WARNINGS")
	must(w.t, err)
	return fmt.Sprint(n, " rows, ", warnings)
}
