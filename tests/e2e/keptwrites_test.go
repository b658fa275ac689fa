package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestKeptWritesAsOthers: an UPDATE or DELETE whose plan is kept by its text leaves the rows that one leaves which is planned each time,
// whatever its values are, in a transaction, and after ALTER TABLE, CREATE INDEX, ANALYZE TABLE, TRUNCATE or SET came between.
func TestKeptWritesAsOthers(t *testing.T) {
	w := isolate(t, "keptwrites")
	for _, name := range []string{"k", "l"} {
		w.do(w.a, "CREATE TABLE "+name+" (id INT PRIMARY KEY, n INT, u SMALLINT UNSIGNED, v VARCHAR(5), d DECIMAL(6,2), dt DATE, KEY (u), KEY (v)) DISTRIBUTED BY HASH(id) BUCKETS 3")
	}
	w.do(w.a, "CREATE TABLE m (id INT PRIMARY KEY, u INT, KEY (u))", "INSERT INTO m VALUES (1, 0), (2, 1), (3, 1), (4, 7)")
	fill := func() {
		for _, name := range []string{"k", "l"} {
			for i := range 12 {
				w.do(w.a, fmt.Sprintf("INSERT INTO %s (id, n, v, d, dt) VALUES (%d, %d, 'v%d', %d.5, '2024-03-%02d')", name, i-3, i*2, i%4, i, i+1),
					fmt.Sprintf("UPDATE %s SET u = %d WHERE id = %d", name, i%3, i-3))
			}
		}
	}
	fill()
	named := strings.NewReplacer(" k ", " l ", "k.", "l.")
	writes := []string{"UPDATE k SET n = n + 1 WHERE u = %d", "UPDATE k SET v = 'new' WHERE id IN (%d, 5)", "UPDATE k SET d = d * 2, n = 3 WHERE u <> %d AND n > 3",
		"UPDATE k SET id = id + 100 WHERE id IN (%d, 7)", "UPDATE k JOIN m ON m.id = k.u SET k.n = k.n - 1 WHERE m.u = %d", "DELETE FROM k WHERE u = %d ORDER BY dt DESC LIMIT 1",
		"DELETE FROM k WHERE id IN (%d, 9)", "UPDATE k SET n = %[1]d WHERE u < %[1]d AND v >= 'v1'", "UPDATE k SET d = 99999 WHERE u BETWEEN %d AND 1", "UPDATE k SET u = u - %d WHERE u = 2"}
	marked := strings.NewReplacer("%d", "?", "%[1]d", "?")
	compare := func(when string) {
		t.Helper()
		for _, write := range writes {
			for i, value := range []int{1, 0, 2, 1, 1, 2, 70000, -3, 70000} {
				kept, args := fmt.Sprintf(write, value), []any(nil)
				other := planned(named.Replace(kept))
				if i%2 == 1 {
					kept = marked.Replace(write)
					args = slices.Repeat([]any{value}, strings.Count(kept, "?"))
				}
				got, want := w.wrote(kept, args...), w.wrote(other)
				if got != want {
					t.Errorf("%s, %s: %s\nplanned: %s", when, kept, got, want)
				}
				if got, want := w.rowsOf("SELECT * FROM k ORDER BY id"), w.rowsOf("SELECT * FROM l ORDER BY id"); got != want {
					t.Fatalf("%s, %s leaves\n%s\nplanned:\n%s", when, kept, got, want)
				}
			}
		}
	}
	both := func(statement string) {
		w.do(w.a, fmt.Sprintf(statement, "k"), fmt.Sprintf(statement, "l"))
	}
	compare("at first")
	compare("once more")
	w.do(w.a, "SET sql_mode = ''")
	compare("without strict mode")
	w.do(w.a, "SET sql_mode = DEFAULT", "BEGIN")
	both("INSERT INTO %s (id, n, u, v) VALUES (200, 1, 1, 'v2'), (201, 1, 2, 'v2')")
	compare("in a transaction")
	w.do(w.a, "ROLLBACK")
	both("ANALYZE TABLE %s")
	compare("after ANALYZE TABLE")
	both("TRUNCATE TABLE %s")
	fill()
	compare("after TRUNCATE")
	both("ALTER TABLE %s DROP COLUMN u, ADD COLUMN u INT DEFAULT 1 FIRST")
	compare("after ALTER TABLE")
	both("DELETE FROM %s")
	fill()
	both("CREATE UNIQUE INDEX un ON %s (id, u)")
	compare("after CREATE INDEX")
	both("UPDATE %s SET n = 1")
	both("ALTER TABLE %s ADD CONSTRAINT few CHECK (n < 60000)")
	compare("with a constraint")
	both("ALTER TABLE %s ADD COLUMN at TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP")
	w.do(w.a, "SET timestamp = 1700000000")
	compare("with a time")
	w.do(w.a, "SET sql_safe_updates = 1")
	if got, want := w.wrote("UPDATE k SET n = n + 1 WHERE v = 'v1'"), w.wrote("UPDATE l SET n = n + 1 WHERE v = 'v1'"); got != want {
		t.Errorf("with sql_safe_updates: %s, not %s", got, want)
	}
	kept := "UPDATE k SET n = n + 1 WHERE n <> 100"
	w.do(w.a, "SET sql_safe_updates = 0", kept, kept, "SET sql_safe_updates = 1")
	if got := w.wrote(kept); !strings.Contains(got, "1175") {
		t.Errorf("with sql_safe_updates: %s", got)
	}
}

// wrote runs a statement and says how many rows it has changed, or its error.
func (w *isolated) wrote(statement string, args ...any) string {
	w.t.Helper()
	done, err := w.a.ExecContext(w.t.Context(), statement, args...)
	if err != nil {
		return err.Error()
	}
	rows, err := done.RowsAffected()
	must(w.t, err)
	return fmt.Sprint(rows, " rows")
}
