package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"stele/tests/cluster"
)

// insertTable is a table whose rows are not given whole, and of which rows are in the way of others.
const insertTable = `CREATE TABLE %s (id INT UNSIGNED NOT NULL AUTO_INCREMENT, z INT, k INT NOT NULL DEFAULT 7, c CHAR(6) NOT NULL DEFAULT '', v VARCHAR(5),
	at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, up DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), d DECIMAL(6,2), e ENUM('a','b') DEFAULT 'b',
	f DOUBLE, u INT, PRIMARY KEY (id), KEY (k), UNIQUE KEY (u))`

var insertValues = map[string][]string{
	"id": {"0", "0", "NULL", "DEFAULT", "3", "20", "-1", "'5'", "4294967296"},
	"k":  {"1", "-2", "DEFAULT", "NULL", "2147483648", "1.5", "'8'", "TRUE"},
	"c":  {"'abc'", "'ab '", "''", "'abcdefg'", "'abcdef '", "12", "DEFAULT", "'äöüßéè'"},
	"v":  {"'abc'", "'ab '", "NULL", "x'4142'", "'abcdef'", "'a''b'", "1e2"},
	"at": {"'2024-03-31 02:30:00'", "NOW()", "'2024-01-02 03:04:05.6'", "DEFAULT", "NULL", "'0000-00-00'", "20240102"},
	"up": {"'2024-01-02 03:04:05.6789'", "CURRENT_TIMESTAMP(2)", "DEFAULT", "'2024-02-30'"},
	"d":  {"1.005", "12", "-0.5", "'7.25'", "99999.99", "NULL"},
	"e":  {"'a'", "'b'", "2", "'c'", "DEFAULT"},
	"f":  {"1.5", "1e300", "'x'", "-0", "NULL"},
	"u":  {"1", "2", "3", "4", "NULL", "NULL", "DEFAULT"},
}

// drawInsert draws the columns and rows of an INSERT; z comes first.
func drawInsert(r *rand.Rand) (columns []string, rows [][]string) {
	columns = []string{"z"}
	for _, c := range strings.Fields("id k c v at up d e f u") {
		if r.IntN(3) > 0 {
			columns = append(columns, c)
		}
	}
	for range 1 + r.IntN(4)*r.IntN(2) {
		row := []string{"1"}
		for _, c := range columns[1:] {
			all := insertValues[c]
			row = append(row, all[min(r.IntN(len(all)), r.IntN(len(all)))]) // the first are taken most often
		}
		rows = append(rows, row)
	}
	return columns, rows
}

// TestInsertWaysAgree: an INSERT of literals, which is planned by what is kept of those before, leaves the same rows, numbers, errors and
// warnings as one that is parsed and planned as a whole, for which a pair of brackets is enough.
func TestInsertWaysAgree(t *testing.T) {
	w := isolate(t, "insertways")
	r := rand.New(rand.NewPCG(13, 1))
	w.do(w.a, "SET time_zone = '+02:00', timestamp = 1712345678.25")
	for i, mode := range []string{"STRICT_TRANS_TABLES,NO_ZERO_DATE", "", "STRICT_TRANS_TABLES,NO_AUTO_VALUE_ON_ZERO"} {
		w.do(w.a, fmt.Sprintf("SET sql_mode = '%s'", mode))
		kept, other := fmt.Sprintf("kept%d", i), fmt.Sprintf("other%d", i)
		w.do(w.a, fmt.Sprintf(insertTable, kept))
		w.do(w.a, fmt.Sprintf(insertTable, other))
		for range 120 {
			columns, rows := drawInsert(r)
			verb := []string{"INSERT", "INSERT", "INSERT IGNORE", "REPLACE"}[r.IntN(4)]
			into := func(table, first string) string {
				texts := make([]string, len(rows))
				for k, row := range rows {
					texts[k] = "(" + first + "," + strings.Join(row[1:], ",") + ")"
					texts[k] = strings.Replace(texts[k], ",)", ")", 1)
				}
				return fmt.Sprintf("%s INTO %s (%s) VALUES %s", verb, table, strings.Join(columns, ","), strings.Join(texts, ","))
			}
			statement := into(kept, "1")
			a, b := w.toldOfInsert(statement), w.toldOfInsert(into(other, "(1)"))
			if b = strings.ReplaceAll(b, other, kept); a != b {
				t.Errorf("mode %q, %s: %s\nwith brackets: %s", mode, statement, a, b)
			}
			prepared := []any{r.IntN(40), []any{nil, "ab", "abcdefgh", 12}[r.IntN(4)], []any{nil, 1.25, "x", -7}[r.IntN(4)]}
			a = w.toldOfInsert("INSERT INTO "+kept+" (u,v,f,z) VALUES (?,?,?,1)", prepared...)
			b = w.toldOfInsert("INSERT INTO "+other+" (u,v,f,z) VALUES (?,?,?,(1))", prepared...)
			if b = strings.ReplaceAll(b, other, kept); a != b {
				t.Errorf("mode %q, prepared with %v: %s\nwith brackets: %s", mode, prepared, a, b)
			}
		}
		if a, b := w.table(kept), w.table(other); a != b {
			t.Errorf("mode %q:\n%s\nwith brackets:\n%s", mode, a, b)
		}
	}
}

// toldOfInsert is told, with the numbers that were drawn.
func (w *isolated) toldOfInsert(statement string, args ...any) string {
	w.t.Helper()
	res, err := w.a.ExecContext(w.t.Context(), statement, args...)
	if err != nil {
		return err.Error()
	}
	n, err := res.RowsAffected()
	must(w.t, err)
	id, err := res.LastInsertId()
	must(w.t, err)
	warnings, err := cluster.ReadTable(w.t.Context(), w.a, "SHOW WARNINGS")
	must(w.t, err)
	last, err := cluster.ReadTable(w.t.Context(), w.a, "SELECT LAST_INSERT_ID()")
	must(w.t, err)
	return fmt.Sprint(n, " rows, ", id, ", ", last, ", ", warnings)
}

// table is all rows of a table as text.
func (w *isolated) table(name string) string {
	w.t.Helper()
	rows, err := cluster.ReadTable(w.t.Context(), w.a, "SELECT * FROM "+name+" ORDER BY id")
	must(w.t, err)
	return fmt.Sprint(rows)
}
