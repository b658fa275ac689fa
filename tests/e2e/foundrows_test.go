package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"stele/tests/cluster"
)

var foundSeed = flag.Uint64("found.seed", 1, "of the statements of TestFoundRowsAsOthers")

// foundTables are kinds of tables of which each test has two: statements to the one are done by the leader of all tablets, where it can, those to the
// other, which have a LIMIT beyond all rows, by reads and writes.
var foundTables = []string{
	"(id INT PRIMARY KEY, k INT, n TINYINT, s VARCHAR(6) NOT NULL, d DECIMAL(6,2), up DATETIME ON UPDATE CURRENT_TIMESTAMP, KEY (k), KEY (s)) DISTRIBUTED BY HASH(id) BUCKETS 1",
	"(id INT, k INT, n TINYINT, s VARCHAR(6) NOT NULL, d DECIMAL(6,2), up DATETIME ON UPDATE CURRENT_TIMESTAMP, KEY (k)) DISTRIBUTED BY HASH(id) BUCKETS 1",
	"(id INT PRIMARY KEY, k INT, n TINYINT, s VARCHAR(6) NOT NULL, d DECIMAL(6,2), up DATETIME, KEY (k), UNIQUE KEY (s, id)) DISTRIBUTED BY HASH(id) BUCKETS 1",
	"(id INT, k INT NOT NULL, n TINYINT, s VARCHAR(6) NOT NULL, d DECIMAL(6,2), up DATETIME, PRIMARY KEY (k, id)) DISTRIBUTED BY HASH(id) BUCKETS 3",
}

// TestFoundRowsAsOthers: UPDATE and DELETE of rows that the leader finds leave the same rows, counts, errors and warnings as by reads and
// writes, alone and in transactions, of which some are rolled back.
func TestFoundRowsAsOthers(t *testing.T) {
	w := isolate(t, "foundrows")
	r := rand.New(rand.NewPCG(*foundSeed, 7))
	for n, table := range foundTables {
		for _, name := range []string{"x", "y"} {
			w.do(w.a, fmt.Sprintf("CREATE TABLE %s%d %s", name, n, table))
		}
		f := &foundRows{Rand: r, isolated: w, table: n}
		f.fill(0, 120)
		for range 12 {
			f.round()
		}
	}
}

// foundRows works on two tables alike.
type foundRows struct {
	*rand.Rand
	*isolated
	table int
	open  bool // a transaction is
}

func (f *foundRows) pick(of ...string) string { return of[f.IntN(len(of))] }

func (f *foundRows) fill(from, to int) {
	f.t.Helper()
	var rows []string
	for id := from; id < to; id++ {
		rows = append(rows, fmt.Sprintf("(%d, %d, %s, '%s', %d.25, NULL)", id, f.IntN(12), f.pick("1", "100", "NULL", "-3"), f.pick("a", "bb", "B", "", "abcdef"), f.IntN(50)))
	}
	for _, name := range []string{"x", "y"} {
		f.do(f.a, fmt.Sprintf("INSERT INTO %s%d VALUES %s", name, f.table, strings.Join(rows, ", ")))
	}
}

// round is some statements by themselves or in a transaction.
func (f *foundRows) round() {
	f.t.Helper()
	f.do(f.a, "SET sql_mode = '"+f.pick("STRICT_TRANS_TABLES", "STRICT_TRANS_TABLES", "")+"', timestamp = "+fmt.Sprint(1_700_000_000+f.IntN(1_000_000)))
	if f.open = f.IntN(2) == 0; f.open {
		f.do(f.a, "SET TRANSACTION ISOLATION LEVEL "+f.pick("REPEATABLE READ", "READ COMMITTED"))
		f.do(f.a, "BEGIN")
	}
	for range 8 {
		f.both(f.statement())
	}
	if f.open {
		f.same()
		f.do(f.a, f.pick("COMMIT", "ROLLBACK"))
	}
	f.same()
	from := 1000 + f.IntN(1<<20)*20
	f.fill(from, from+8)
}

func (f *foundRows) condition() string {
	k := fmt.Sprint(f.IntN(12))
	c := f.pick("k = "+k, "k = "+k, "k IN ("+k+", 3)", "id IN (1, 5, 7, 9, 1000000)", "id BETWEEN 10 AND 25", "id = 17", "s = 'bb'", "s LIKE 'a%'", "k BETWEEN 3 AND 4", "k = "+k+" AND id < 60", "n = 100 AND id IN (2, 3, 4, 5, 6)")
	return c + f.pick("", "", "", " AND n IS NOT NULL", " AND d > 12", " AND s <> 'a'")
}

// statement has @ where the table stands.
func (f *foundRows) statement() string {
	if f.IntN(5) == 0 {
		return "DELETE FROM @ WHERE " + f.condition() + " AND d > 30"
	}
	sets := []string{f.pick("n = n + 1", "n = n", "d = d * 1.5", "s = CONCAT(s, 'x')", "k = k + 1", "d = d + id, n = NULL", "s = NULL", "n = 7", "d = d / 0", "n = n + 30, d = n", "s = UPPER(s)", "d = 1.005", "up = NOW()", "id = id", "k = 5, s = k")}
	return "UPDATE @ SET " + strings.Join(sets, ", ") + " WHERE " + f.condition()
}

// rowNumber is what a message says of the order in which rows of several tablets came.
var rowNumber = regexp.MustCompile(` at row \d+`)

// both runs a statement on both tables.
func (f *foundRows) both(statement string) {
	f.t.Helper()
	x := f.told(strings.ReplaceAll(statement, "@", fmt.Sprint("x", f.table)))
	y := f.told(strings.ReplaceAll(statement, "@", fmt.Sprint("y", f.table)) + " LIMIT 1000000")
	if x, y = rowNumber.ReplaceAllString(x, ""), rowNumber.ReplaceAllString(y, ""); x != y {
		f.t.Errorf("%s (table %d): at the leader: %s\notherwise: %s", statement, f.table, x, y)
	}
}

// same holds the rows of one table against those of the other.
func (f *foundRows) same() {
	f.t.Helper()
	var all [][]string
	for _, name := range []string{"x", "y"} {
		rows, err := cluster.ReadTable(f.t.Context(), f.a, fmt.Sprintf("SELECT CONCAT_WS(',', id, IFNULL(k, 'NULL'), IFNULL(n, 'NULL'), s, d, up) AS r FROM %s%d", name, f.table))
		must(f.t, err)
		got := slices.Clone(rows.Column("r"))
		slices.Sort(got)
		all = append(all, got)
	}
	if !slices.Equal(all[0], all[1]) {
		f.t.Fatalf("table %d: at the leader %v\notherwise %v", f.table, all[0], all[1])
	}
}
