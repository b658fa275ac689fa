package tpch

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"stele/tests/cluster"
)

// goldenDSN names a MySQL or MariaDB server whose answers become the golden files: a second implementation, not Stele.
var goldenDSN = flag.String("golden-dsn", "", "rewrite the golden files with the answers of this MySQL server, as user:password@tcp(host:port)/")

const goldenScale = 0.01

func TestRowsStayTheSame(t *testing.T) {
	d := Data{goldenScale}
	var got strings.Builder
	for _, table := range Tables {
		sum, rows := sha256.New(), 0
		for tuple := range d.Rows(table) {
			sum.Write(tuple)
			sum.Write([]byte{'\n'})
			rows++
		}
		fmt.Fprintf(&got, "%s %d %x\n", table, rows, sum.Sum(nil)[:8])
	}
	golden(t, "rows", got.String(), *goldenDSN != "")
}

// TestRowsReferToRows proves what the queries' joins rely on.
func TestRowsReferToRows(t *testing.T) {
	d := Data{goldenScale}
	for part := 1; part <= d.parts(); part++ {
		seen := map[int]bool{}
		for i := range 4 {
			s := d.supplierOf(part, i)
			if s < 1 || s > d.suppliers() || seen[s] {
				t.Fatalf("part %d has supplier %d, of %d, as its number %d", part, s, d.suppliers(), i)
			}
			seen[s] = true
		}
	}
	lastKey := 0
	for o := range d.Orders() {
		if o.Key <= lastKey || o.Customer < 1 || o.Customer > d.customers() || o.Customer%3 == 0 || o.Date > lastOrder {
			t.Fatalf("order %+v after key %d", o, lastKey)
		}
		lastKey = o.Key
		for _, l := range o.Lines {
			if l.Ship <= o.Date || l.Receipt <= l.Ship || l.Receipt > Date(1998, 12, 31) || l.Price <= 0 {
				t.Fatalf("line %+v of an order of %v", l, o.Date)
			}
		}
	}
}

func golden(t *testing.T, name, got string, rewrite bool) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\ngot\n%s\nwant\n%s", name, clip(got), clip(string(want)))
	}
}

func clip(text string) string {
	if len(text) > 3000 {
		return text[:3000] + "…"
	}
	return text
}

// answer runs a query and prints its rows. Query 11 sorts by a sum alone, so rows of the same sum may come in any order:
// its rows, only its rows, are compared as a set.
func answer(ctx context.Context, conn *sql.Conn, n int) (string, error) {
	query, err := Query(n)
	if err != nil {
		return "", err
	}
	result, err := cluster.ReadTable(ctx, conn, query)
	if err != nil {
		return "", err
	}
	lines := make([]string, len(result.Rows))
	for i, row := range result.Rows {
		lines[i] = strings.Join(row, "|")
	}
	if n == 11 {
		slices.Sort(lines)
	}
	return strings.Join(slices.Concat([]string{strings.Join(result.Columns, "|")}, lines), "\n") + "\n", nil
}

// TestQueriesMatchMariaDB compares all answers at a small scale with those that MariaDB gave for the same rows.
func TestQueriesMatchMariaDB(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	conn := load(ctx, t)
	for n := 1; n <= Queries; n++ {
		t.Run(fmt.Sprintf("q%d", n), func(t *testing.T) {
			started := time.Now()
			got, err := answer(ctx, conn, n)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%v, %d rows", time.Since(started).Round(time.Millisecond), strings.Count(got, "\n")-1)
			golden(t, fmt.Sprintf("q%d", n), got, *goldenDSN != "")
		})
	}
}

// load fills a fresh server, Stele's or the one that makes the golden files, and returns a connection to it.
func load(ctx context.Context, t *testing.T) *sql.Conn {
	t.Helper()
	const database = "tpch_golden"
	isMySQL := *goldenDSN != ""
	var setup *sql.DB
	if isMySQL {
		setup = openMySQL(t, *goldenDSN)
		if _, err := setup.ExecContext(ctx, "DROP DATABASE IF EXISTS "+database); err != nil {
			t.Fatal(err)
		}
	} else {
		setup = cluster.Start(t, cluster.Options{}).DB()
	}
	conn, err := setup.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := Create(ctx, conn, database, isMySQL); err != nil {
		t.Fatal(err)
	}
	counts, err := Data{goldenScale}.Load(ctx, setup, LoadOptions{Database: database})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range Tables {
		var n int
		if err := conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil || n != counts[table] {
			t.Fatalf("%s has %d rows, %d were loaded (%v)", table, n, counts[table], err)
		}
	}
	return conn
}

func openMySQL(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// TestExactAnswers proves the sums that are made while generating against the golden files, which are MariaDB's. The
// large load relies on them.
func TestExactAnswers(t *testing.T) {
	d := Data{goldenScale}
	var got []string
	for _, g := range d.Q1() {
		got = append(got, g.String())
	}
	rows := goldenRows(t, "q1")
	var want []string
	for _, row := range rows {
		want = append(want, strings.Join(slices.Concat(row[:6], row[9:]), " "))
	}
	if !slices.Equal(got, want) {
		t.Errorf("query 1: got %q, want %q", got, want)
	}
	if got, want := d.Q6(), goldenRows(t, "q6")[0][0]; got != want {
		t.Errorf("query 6: got %s, want %s", got, want)
	}
}

func goldenRows(t *testing.T, name string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".golden"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		rows = append(rows, strings.Split(line, "|"))
	}
	return rows
}
