package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// keyedRow is a row of a table with a primary key and two unique keys; a below 0 is NULL.
type keyedRow struct{ k, a, b, v int64 }

// keyedRows is that table, as a sequence of statements of one row makes it.
type keyedRows struct {
	rows map[int64]keyedRow
	byA  map[int64]int64
	byB  map[int64]int64
}

func newKeyedRows() *keyedRows {
	return &keyedRows{rows: map[int64]keyedRow{}, byA: map[int64]int64{}, byB: map[int64]int64{}}
}

// meets lists the rows that have a key of r.
func (m *keyedRows) meets(r keyedRow) (out []int64) {
	if _, there := m.rows[r.k]; there {
		out = append(out, r.k)
	}
	if k, there := m.byA[r.a]; there && r.a >= 0 {
		out = append(out, k)
	}
	if k, there := m.byB[r.b]; there {
		out = append(out, k)
	}
	return out
}

func (m *keyedRows) put(r keyedRow, replace bool) {
	met := m.meets(r)
	if len(met) > 0 && !replace {
		return
	}
	for _, k := range met {
		if old, there := m.rows[k]; there {
			delete(m.rows, k)
			delete(m.byA, old.a)
			delete(m.byB, old.b)
		}
	}
	m.rows[r.k], m.byB[r.b] = r, r.k
	if r.a >= 0 {
		m.byA[r.a] = r.k
	}
}

func (m *keyedRows) check(ctx context.Context, t *testing.T, db *sql.DB, table, what string) {
	t.Helper()
	rows, err := db.QueryContext(ctx, "SELECT k, COALESCE(a, -1), b, v FROM "+table)
	must(t, err)
	defer rows.Close()
	n := 0
	for rows.Next() {
		var r keyedRow
		must(t, rows.Scan(&r.k, &r.a, &r.b, &r.v))
		if want, there := m.rows[r.k]; !there || r != want {
			t.Fatalf("%s: row %v, not %v (%v)", what, r, want, there)
		}
		n++
	}
	must(t, rows.Err())
	if n != len(m.rows) {
		t.Fatalf("%s: %d rows, not %d", what, n, len(m.rows))
	}
	at := 0
	for _, r := range m.rows { // what the unique keys lead to
		if at++; at > 40 {
			break
		}
		for _, where := range []string{fmt.Sprintf("a = %d", r.a), fmt.Sprintf("b = %d", r.b)} {
			if r.a < 0 && where[0] == 'a' {
				continue
			}
			var k int64
			if err := db.QueryRowContext(ctx, "SELECT k FROM "+table+" WHERE "+where).Scan(&k); err != nil || k != r.k {
				t.Fatalf("%s: WHERE %s: row %d, not %d: %v", what, where, k, r.k, err)
			}
		}
	}
}

// drawKeyed draws rows; in spread of them about that many keys meet another one.
func drawKeyed(r *rand.Rand, n int, from, spread int64) []keyedRow {
	out := make([]keyedRow, n)
	for i := range out {
		at := from + int64(i)
		out[i] = keyedRow{k: at, a: at * 7, b: at * 3, v: r.Int64N(1 << 30)}
		switch r.IntN(12) {
		case 0:
			out[i].a = -1
		case 1:
			out[i].a = r.Int64N(spread) * 7
		case 2:
			out[i].b = r.Int64N(spread) * 3
		case 3:
			out[i].k = r.Int64N(spread)
		}
	}
	return out
}

func keyedLines(rows []keyedRow) *bytes.Buffer {
	var text bytes.Buffer
	for _, r := range rows {
		a := fmt.Sprint(r.a)
		if r.a < 0 {
			a = `\N`
		}
		fmt.Fprintf(&text, "%d\t%s\t%d\t%d\n", r.k, a, r.b, r.v)
	}
	return &text
}

// TestLoadMeetsUniqueKeys loads files, and copies tables, whose rows meet one another and those of the table by any key, in the same
// chunk and in later ones: the table is what it would be row by row, and no entry of a unique key is left behind.
func TestLoadMeetsUniqueKeys(t *testing.T) {
	ctx := t.Context()
	db := uniqueDatabase(t, "keyed_loads")
	must(t, execOn(ctx, db, "CREATE TABLE s (n BIGINT PRIMARY KEY, k BIGINT, a BIGINT, b BIGINT, v BIGINT)"))
	for _, mode := range []string{"IGNORE", "REPLACE"} {
		must(t, execOn(ctx, db, "DROP TABLE IF EXISTS t"))
		must(t, execOn(ctx, db, "CREATE TABLE t (k BIGINT PRIMARY KEY, a BIGINT, b BIGINT NOT NULL, v BIGINT, UNIQUE KEY (a), UNIQUE KEY (b))"))
		r := rand.New(rand.NewPCG(7, 7))
		m := newKeyedRows()
		for round, rows := range [][]keyedRow{drawKeyed(r, 40_000, 0, 1<<40), drawKeyed(r, 45_000, 20_000, 60_000), drawKeyed(r, 300, 0, 70_000)} {
			for _, row := range rows {
				m.put(row, mode == "REPLACE")
			}
			if _, err := loadFrom(ctx, t, db, keyedLines(rows), mode+" INTO TABLE t"); err != nil {
				t.Fatalf("%s, file %d: %v", mode, round, err)
			}
			m.check(ctx, t, db, "t", fmt.Sprintf("%s, file %d", mode, round))
		}
		copied := drawKeyed(r, 40_000, 50_000, 100_000)
		var text bytes.Buffer
		for n, row := range copied {
			fmt.Fprintf(&text, "%d\t%s", n, keyedLines([]keyedRow{row}))
			m.put(row, mode == "REPLACE")
		}
		must(t, execOn(ctx, db, "TRUNCATE TABLE s"))
		if _, err := loadFrom(ctx, t, db, &text, "INTO TABLE s"); err != nil {
			t.Fatal(err)
		}
		verb := map[string]string{"IGNORE": "INSERT IGNORE", "REPLACE": "REPLACE"}[mode]
		must(t, execOn(ctx, db, verb+" INTO t SELECT k, a, b, v FROM s ORDER BY n"))
		m.check(ctx, t, db, "t", verb+" ... SELECT")
		if mode == "REPLACE" {
			updateMet(ctx, t, db, m, r)
			refuseMet(ctx, t, db)
		}
		// An entry that was left behind would be in the way of a row that may come.
		must(t, execOn(ctx, db, "DELETE FROM t"))
		fresh := drawKeyed(r, 3_000, 0, 100_000)
		m = newKeyedRows()
		for _, row := range fresh {
			m.put(row, false)
		}
		if _, err := loadFrom(ctx, t, db, keyedLines(fresh), "IGNORE INTO TABLE t"); err != nil {
			t.Fatal(err)
		}
		m.check(ctx, t, db, "t", mode+", after DELETE")
	}
}

// updateMet has ON DUPLICATE KEY UPDATE add one to rows of the table, and to rows of its own of an earlier chunk.
func updateMet(ctx context.Context, t *testing.T, db *sql.DB, m *keyedRows, r *rand.Rand) {
	t.Helper()
	rows := append(drawKeyed(r, 36_000, 1_000_000, 1<<40), drawKeyed(r, 2_000, 1_500_000, 1_020_000)...)
	var text bytes.Buffer
	for n, row := range rows {
		fmt.Fprintf(&text, "%d\t%s", n, keyedLines([]keyedRow{row}))
		if met := m.meets(row); len(met) > 0 {
			old := m.rows[met[0]]
			old.v++
			m.rows[met[0]] = old
		} else {
			m.put(row, false)
		}
	}
	must(t, execOn(ctx, db, "TRUNCATE TABLE s"))
	if _, err := loadFrom(ctx, t, db, &text, "INTO TABLE s"); err != nil {
		t.Fatal(err)
	}
	must(t, execOn(ctx, db, "INSERT INTO t SELECT k, a, b, v FROM s ORDER BY n ON DUPLICATE KEY UPDATE v = t.v + 1"))
	m.check(ctx, t, db, "t", "ON DUPLICATE KEY UPDATE")
}

// nameMet has INSERTs meet several rows: the error names the first one that a server finds which inserts row by row, and its key.
func nameMet(ctx context.Context, t *testing.T, db *sql.DB) {
	t.Helper()
	must(t, execOn(ctx, db, "INSERT INTO e VALUES (1, 5), (2, 6)"))
	for values, want := range map[string]string{
		"(3, 6), (1, 7)":             "'6' for key 'e.u'",
		"(1, 9), (12, 6)":            "'1' for key 'e.PRIMARY'",
		"(10, 20), (11, 20), (2, 8)": "'20' for key 'e.u'",
		"(10, 20), (2, 6), (10, 21)": "'2' for key 'e.PRIMARY'",
	} {
		var e *mysql.MySQLError
		if err := execOn(ctx, db, "INSERT INTO e VALUES "+values); !errors.As(err, &e) || e.Number != 1062 || !strings.HasSuffix(e.Message, want) {
			t.Fatalf("%s: %v, not %s", values, err, want)
		}
	}
	if rows, _ := total(ctx, t, db, "e", "u"); rows != 2 {
		t.Fatalf("%d rows, not 2", rows)
	}
	must(t, execOn(ctx, db, "DELETE FROM e"))
}

// refuseMet has an INSERT of several chunks meet rows of the table, and rows of its own of an earlier chunk, by a unique key: it is
// refused with the name of the key, and nothing of it stays.
func refuseMet(ctx context.Context, t *testing.T, db *sql.DB) {
	t.Helper()
	must(t, execOn(ctx, db, "CREATE TABLE IF NOT EXISTS e (n BIGINT PRIMARY KEY, u BIGINT NOT NULL, UNIQUE KEY (u))"))
	nameMet(ctx, t, db)
	for _, q := range []struct{ query, key string }{
		{"INSERT INTO e SELECT n, n % 37000 FROM s", "e.u"},
		{"INSERT INTO t SELECT k + 100000000, a + 100000000, b, v FROM t", "t.b"},
	} {
		rows, sum := total(ctx, t, db, q.key[:1], q.key[2:])
		var e *mysql.MySQLError
		if err := execOn(ctx, db, q.query); !errors.As(err, &e) || e.Number != 1062 || !strings.Contains(e.Message, "for key '"+q.key+"'") {
			t.Fatalf("%s: %v", q.query, err)
		}
		if r, s := total(ctx, t, db, q.key[:1], q.key[2:]); r != rows || s != sum {
			t.Fatalf("%d rows with sum %d after %s, not %d with %d", r, s, q.query, rows, sum)
		}
	}
}
