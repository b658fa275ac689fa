package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// twins are two tables of the same rows: what keys find in one has to be found in the other, which has none.
type twins struct {
	*isolated
	keyed, bare string
}

// both runs a statement on both; {t} stands for the table.
func (w *twins) both(statements ...string) {
	w.t.Helper()
	for _, s := range statements {
		w.do(w.a, strings.ReplaceAll(s, "{t}", w.keyed), strings.ReplaceAll(s, "{t}", w.bare))
	}
}

// same compares queries, whose rows are in an order unless sort says that it does not matter.
func (w *twins) same(when string, sort bool, queries ...string) {
	w.t.Helper()
	for _, q := range queries {
		got, want := w.rowsOf(strings.ReplaceAll(q, "{t}", w.keyed)), w.rowsOf(strings.ReplaceAll(q, "{t}", w.bare))
		if sort {
			got, want = unordered(got), unordered(want)
		}
		if got != want {
			w.t.Errorf("%s, %s: %s\nwithout keys: %s", when, q, got, want)
		}
	}
}

// TestFirstRowsAsWithoutKeys: the first rows in the order of a key are those that sorting all rows yields, with what the transaction has
// put, moved and deleted, of a snapshot that others have written behind, and after the table was altered.
func TestFirstRowsAsWithoutKeys(t *testing.T) {
	w := &twins{isolate(t, "firstrows"), "k", "h"}
	columns := "a INT NOT NULL, b BIGINT UNSIGNED NOT NULL, n INT, d DATETIME, s VARCHAR(20) COLLATE utf8mb4_general_ci, x INT"
	w.do(w.a, "CREATE TABLE k ("+columns+", PRIMARY KEY (a, b), KEY (n), KEY (d), KEY (s)) DISTRIBUTED BY HASH(a) BUCKETS 2", "CREATE TABLE h ("+columns+")")
	rnd := rand.New(rand.NewPCG(1, 2))
	seen := map[[2]int]bool{}
	fill := func(rows int) {
		var list []string
		for len(list) < rows {
			a, b := rnd.IntN(5)-2, rnd.IntN(4000)
			if seen[[2]int{a, b}] {
				continue
			}
			seen[[2]int{a, b}] = true
			n := fmt.Sprint(rnd.IntN(500))
			if rnd.IntN(8) == 0 {
				n = "NULL"
			}
			list = append(list, fmt.Sprintf("(%d, %d, %s, '2024-03-%02d %02d:00:00', '%c%d', %d)", a, b, n, 1+b%28, b%24, "aAbB"[rnd.IntN(4)], rnd.IntN(300), rnd.IntN(10)))
		}
		w.both("INSERT INTO {t} VALUES " + strings.Join(list, ","))
	}
	var queries []string
	for _, direction := range []string{"", " DESC"} {
		for _, filter := range []string{"", " WHERE x = 3", " WHERE x > 100", " WHERE n IS NOT NULL AND x < 5"} {
			for _, limit := range []string{"1", "7", "3 OFFSET 20", "900 OFFSET 124"} {
				for _, by := range []string{"n%s, a, b", "d%s, b%[1]s, a", "s%s, a, b", "a%s, b%[1]s", "n%s, s, b, a"} {
					queries = append(queries, "SELECT a, b, n, s FROM {t}"+filter+" ORDER BY "+fmt.Sprintf(by, direction)+" LIMIT "+limit)
				}
				queries = append(queries, "SELECT n FROM {t}"+filter+" ORDER BY n"+direction+" LIMIT "+limit)
			}
		}
		for _, pinned := range []string{"a = 1", "a = 1 AND b > 2000", "a = -2 AND n > 300", "1 = a AND x = 2", "a = 9"} {
			queries = append(queries, "SELECT b, n FROM {t} WHERE "+pinned+" ORDER BY b"+direction+" LIMIT 5", "SELECT * FROM {t} WHERE "+pinned+" ORDER BY n"+direction+", b LIMIT 4")
		}
	}
	fill(1500)
	w.same("in memory", false, queries...)
	for range 3 {
		w.do(w.a, "FLUSH DATABASE firstrows")
		fill(900)
	}
	w.same("at first", false, queries...)
	w.same("with orders", false, queries...)
	w.do(w.a, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
	mark := w.a
	w.a = w.b // others write
	w.both("DELETE FROM {t} WHERE n < 20", "UPDATE {t} SET n = n - 400 WHERE x = 3 AND n > 450", "DELETE FROM {t} WHERE a = 1 AND b > 3000", "INSERT INTO {t} VALUES (-9, 1, -5, '2023-01-01', '', 3)")
	w.do(w.a, "FLUSH DATABASE firstrows")
	w.same("by others", false, queries...)
	w.a = mark
	w.same("of a snapshot", false, queries...)
	w.do(w.a, "COMMIT", "BEGIN")
	w.both("DELETE FROM {t} WHERE n IS NULL OR n < 40", "DELETE FROM {t} WHERE a = 1 AND b < 1000", "UPDATE {t} SET b = b + 10000 WHERE a = -2 AND b < 50",
		"UPDATE {t} SET n = -n, s = 'A' WHERE x = 5 AND n > 480", "INSERT INTO {t} VALUES (1, 0, NULL, NULL, NULL, 3), (1, 99999, 1000, '2025-01-01', 'z', 3)")
	w.same("of one's own", false, queries...)
	w.do(w.a, "ROLLBACK")
	w.same("after ROLLBACK", false, queries[:40]...)
	w.both("ALTER TABLE {t} MODIFY n BIGINT", "UPDATE {t} SET n = n + 5000000000 WHERE x = 4")
	w.same("altered", false, queries...)
	w.both("ALTER TABLE {t} DROP COLUMN n", "ALTER TABLE {t} ADD COLUMN n INT DEFAULT 3", "UPDATE {t} SET n = 2 WHERE x = 1")
	w.same("another column", false, queries...)
}

// TestFirstRowsBehindText: rows with one value of a text that begins the primary key are among others in their vectors, and the first ones of
// them are in several row groups.
func TestFirstRowsBehindText(t *testing.T) {
	w := &twins{isolate(t, "firsttext"), "k", "h"}
	w.do(w.a, "CREATE TABLE k (p VARCHAR(20), q INT NOT NULL, x INT, PRIMARY KEY (p, q)) DISTRIBUTED BY HASH(p) BUCKETS 1", "CREATE TABLE h (p VARCHAR(20), q INT, x INT)")
	rnd := rand.New(rand.NewPCG(3, 4))
	rows := rnd.Perm(6 * 400)
	for len(rows) > 0 {
		var list []string
		for _, r := range rows[:400] {
			list = append(list, fmt.Sprintf("('%c', %d, %d)", "abcdef"[r%6], r/6, rnd.IntN(9)))
		}
		rows = rows[400:]
		w.both("INSERT INTO {t} VALUES " + strings.Join(list, ","))
		w.do(w.a, "FLUSH DATABASE firsttext")
	}
	for _, p := range []string{"a", "c", "f", "g", ""} {
		for _, tail := range []string{"LIMIT 1", "LIMIT 30", "DESC LIMIT 2", "DESC LIMIT 40 OFFSET 3", ", x LIMIT 5"} {
			w.same("text", false, "SELECT q FROM {t} WHERE p = '"+p+"' ORDER BY q "+tail, "SELECT q, x FROM {t} WHERE p = '"+p+"' AND x > 4 ORDER BY q "+tail)
		}
	}
}

// TestUniquePointsOfTypes: a unique key finds what = finds, whatever the types of the column and of the constant are.
func TestUniquePointsOfTypes(t *testing.T) {
	w := &twins{isolate(t, "uniquetypes"), "k", "h"}
	stored := []struct {
		kind   string
		values []string
	}{
		{"TINYINT UNSIGNED", []string{"0", "1", "255"}},
		{"INT", []string{"0", "1", "-1", "10", "2147483647"}},
		{"BIGINT", []string{"0", "1", "-1", "-9223372036854775808", "9223372036854775807"}},
		{"BIGINT UNSIGNED", []string{"0", "1", "10", "9223372036854775808", "18446744073709551615"}},
		{"DECIMAL(10,2)", []string{"0", "1", "-1", "1.5", "10"}},
		{"DOUBLE", []string{"0", "1", "-1", "1.5", "1e300"}},
		{"VARCHAR(20)", []string{"''", "'a'", "'A'", "'b '", "'1'", "'01'", "'1.0'", "'ä'", "'\\t'", "' 1'", "'2024-01-01'"}},
		{"VARCHAR(20) COLLATE utf8mb4_0900_ai_ci", []string{"''", "'a'", "'b '", "'1'", "'01'", "'z'"}},
		{"VARCHAR(20) COLLATE utf8mb4_general_ci", []string{"''", "'a'", "'b '", "'1'", "'01'", "'z'"}},
		{"CHAR(10)", []string{"''", "'a'", "'A'", "'b '", "'1'", "'01'"}},
		{"VARBINARY(20)", []string{"''", "'a'", "'a '", "'A'", "'1'", "'ä'"}},
		{"DATE", []string{"'2024-01-01'", "'2024-12-31'"}},
		{"DATETIME(6)", []string{"'2024-01-01'", "'2024-01-01 00:00:00.5'", "'2024-01-01 12:00:00'"}},
		{"TIMESTAMP NULL", []string{"'2024-01-01'", "'2024-01-01 12:00:00'"}},
		{"TIME", []string{"'00:00:00'", "'00:00:01'", "'-12:00:00'", "'24:00:00'"}},
		{"YEAR", []string{"2024", "1999"}},
		{"BIT(8)", []string{"0", "1", "49"}},
		{"ENUM('a','b','1')", []string{"'a'", "'b'", "'1'"}},
	}
	constants := []string{"0", "-0", "1", "-1", "2", "10", "255", "256", "1.0", "1.5", "1.50", "-0.0", "0e0", "1e0", "-0e0", "2147483648", "9223372036854775807", "9223372036854775808",
		"-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", "TRUE", "NULL", "''", "' '", "'a'", "'A'", "'a '", "' a'", "'á'", "'b'", "'b '", "'ä'", "'1'", "'01'",
		"' 1'", "'1 '", "'1.0'", "'1e0'", "'1x'", "'\\t'", "'a\\t'", "x'31'", "x'61'", "b'1'", "'2024-01-01'", "'2024-01-01 00:00:00'", "'2024-1-1'", "20240101", "'20240101'",
		"DATE '2024-01-01'", "TIMESTAMP '2024-01-01 12:00:00'", "'2024-01-01 00:00:00.500'", "'00:00:01'", "TIME '00:00:01'", "'-0'", "BINARY 'a'", "'" + strings.Repeat("a", 300) + "'"}
	for i, s := range stored {
		w.keyed, w.bare = fmt.Sprintf("k%d", i), fmt.Sprintf("h%d", i)
		w.do(w.a, fmt.Sprintf("CREATE TABLE %s (id INT PRIMARY KEY, u %s, m INT NOT NULL, UNIQUE KEY one (u), UNIQUE KEY two (m, u)) DISTRIBUTED BY HASH(id) BUCKETS 2", w.keyed, s.kind),
			fmt.Sprintf("CREATE TABLE %s (id INT, u %s, m INT NOT NULL)", w.bare, s.kind))
		for at, v := range append(s.values, "NULL", "NULL") {
			w.both(fmt.Sprintf("INSERT INTO {t} VALUES (%d, %s, 1)", at, v))
		}
		var queries []string
		for _, c := range constants {
			queries = append(queries, "SELECT id, u FROM {t} WHERE u = "+c, "SELECT id FROM {t} WHERE "+c+" = u AND 1 = m", "SELECT * FROM {t} WHERE u IN ("+c+", 'b')")
		}
		for range 2 { // planned, and kept
			w.same(s.kind, true, queries...)
		}
		for _, value := range []any{0, 1, -1, uint64(1 << 63), 1.0, 1.5, "a", "A", "a ", "b", "1", "1.0", []byte("a"), "2024-01-01", nil, true} {
			for range 2 {
				text := "SELECT id FROM %s WHERE u = ?"
				got, want := unordered(w.rowsOf(fmt.Sprintf(text, w.keyed), value)), unordered(w.rowsOf(fmt.Sprintf(text, w.bare), value))
				if got != want {
					t.Errorf("%s = %T %v: %s\nwithout keys: %s", s.kind, value, value, got, want)
				}
			}
		}
	}
}

// TestUniqueValuesMove: who looks for a unique value that goes from row to row always finds it, in one of them: the entry of the key and
// the row are of one moment.
func TestUniqueValuesMove(t *testing.T) {
	w := isolate(t, "uniquemoves")
	w.do(w.a, "CREATE TABLE m (id INT PRIMARY KEY, u INT, s VARCHAR(9), UNIQUE KEY (u), UNIQUE KEY (s)) DISTRIBUTED BY HASH(id) BUCKETS 4",
		"INSERT INTO m VALUES (0, 7, 's7'), (1, 8, 's8'), (2, NULL, NULL), (3, NULL, NULL), (4, NULL, NULL), (5, NULL, NULL)")
	moved := make(chan error, 1)
	go func() {
		at := 0
		for i := range 150 {
			to := (at + 2 + i%2*2) % 6
			for _, s := range []string{"BEGIN", fmt.Sprintf("UPDATE m SET u = NULL, s = NULL WHERE id = %d", at), fmt.Sprintf("UPDATE m SET u = 7, s = 's7' WHERE id = %d", to), "COMMIT"} {
				if _, err := w.b.ExecContext(t.Context(), s); err != nil {
					moved <- fmt.Errorf("%s: %w", s, err)
					return
				}
			}
			at = to
		}
		moved <- nil
	}()
	look := func(query string, args ...any) {
		var id, u int
		var s string
		if err := w.a.QueryRowContext(t.Context(), query, args...).Scan(&id, &u, &s); err != nil || u != 7 || s != "s7" {
			t.Errorf("%s: row %d, %d, %q, %v", query, id, u, s, err)
		}
	}
	for n := 0; !t.Failed(); n++ {
		look("SELECT id, u, s FROM m WHERE u = 7")
		look("SELECT id, u, s FROM m WHERE s = 's7'")
		look("SELECT id, u, s FROM m WHERE u = ?", 7)
		look("SELECT id, u, s FROM m WHERE s = ?", "s7")
		select {
		case err := <-moved:
			must(t, err)
			if n < 10 {
				t.Errorf("%d looks: the test proves little", n)
			}
			return
		default:
		}
	}
	<-moved
}
