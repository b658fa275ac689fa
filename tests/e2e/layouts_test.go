package e2e

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"stele/tests/cluster"
)

var (
	layoutSeed    = flag.Uint64("layouts.seed", 1, "of the rows, the writes and the queries of TestLayoutsAgree")
	layoutQueries = flag.Int("layouts.queries", 40, "how many queries TestLayoutsAgree asks after each of its rounds of writes")
	layoutRows    = flag.Int("layouts.rows", 1500, "how many rows TestLayoutsAgree begins with")
)

// layoutColumns are those of each table.
const layoutColumns = `id INT NOT NULL, k INT NOT NULL, a INT, b VARCHAR(20) COLLATE utf8mb4_general_ci, c DECIMAL(8,2), d DATETIME, e DOUBLE, f ENUM('x','yy','Z'), g BIGINT UNSIGNED, s VARCHAR(20)`

// layouts are ways to keep the same rows, of which each lets queries find them in other ways.
var layouts = []string{
	"(" + layoutColumns + ", PRIMARY KEY (id)) DISTRIBUTED BY HASH(id) BUCKETS 1",
	"(" + layoutColumns + ", PRIMARY KEY (id), KEY (a), KEY (b), KEY (c), KEY (d), KEY (a, b), KEY (f), KEY (g), KEY (s), UNIQUE KEY (s, id)) DISTRIBUTED BY HASH(id) BUCKETS 4",
	"(" + layoutColumns + ", PRIMARY KEY (k, id), KEY (e), KEY (d, a), UNIQUE KEY (id)) DISTRIBUTED BY HASH(id) BUCKETS 3",
	"(" + layoutColumns + ", KEY (k), KEY (c))",
	"(" + layoutColumns + ", PRIMARY KEY (id), KEY (k, a), KEY (b)) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (500), PARTITION p1 VALUES LESS THAN (2000), PARTITION p2 VALUES LESS THAN MAXVALUE)",
	"(" + layoutColumns + ", PRIMARY KEY (k, id), KEY (a, c)) PARTITION BY RANGE (k) (PARTITION p0 VALUES LESS THAN (5), PARTITION p1 VALUES LESS THAN (30), PARTITION p2 VALUES LESS THAN MAXVALUE)",
	"(" + layoutColumns + ", PRIMARY KEY (k, id), KEY (s)) PARTITION BY LIST (k) (PARTITION p0 VALUES IN (" + numbersTo(0, 17) + "), PARTITION p1 VALUES IN (" + numbersTo(17, 20) +
		"), PARTITION p2 VALUES IN (" + numbersTo(20, 50) + "))",
	"(" + layoutColumns + ", KEY (a)) PARTITION BY RANGE (YEAR(d)) (PARTITION p0 VALUES LESS THAN (2021), PARTITION p1 VALUES LESS THAN (2023), PARTITION p2 VALUES LESS THAN MAXVALUE)",
	"(" + layoutColumns + ") PARTITION BY RANGE (TO_DAYS(d)) (PARTITION p0 VALUES LESS THAN (TO_DAYS('2020-07-01')), PARTITION p1 VALUES LESS THAN (TO_DAYS('2023-02-28')), PARTITION p2 VALUES LESS THAN MAXVALUE) DISTRIBUTED BY HASH(id) BUCKETS 2",
	"(" + layoutColumns + ", KEY (d)) PARTITION BY RANGE COLUMNS (d, a) (PARTITION p0 VALUES LESS THAN ('2021-06-01', 50), PARTITION p1 VALUES LESS THAN ('2021-06-01', MAXVALUE), PARTITION p2 VALUES LESS THAN (MAXVALUE, MAXVALUE))",
	"(" + layoutColumns + ", PRIMARY KEY (id, k)) PARTITION BY HASH (k) PARTITIONS 4",
	"(" + layoutColumns + ", KEY (g)) PARTITION BY KEY (s) PARTITIONS 3",
}

// numbersTo lists the integers from one up to another.
func numbersTo(from, to int) string {
	var out []string
	for n := from; n < to; n++ {
		out = append(out, fmt.Sprint(n))
	}
	return strings.Join(out, ", ")
}

// TestLayoutsAgree writes the same rows to tables with other keys, buckets and partitions, and asks them the same questions: whichever way is
// taken to the rows, they are the same.
func TestLayoutsAgree(t *testing.T) {
	db := uniqueDatabase(t, "layouts")
	l := &layoutRun{Rand: rand.New(rand.NewPCG(*layoutSeed, 5)), t: t, db: db}
	for n, layout := range layouts {
		mustExec(t, db, fmt.Sprintf("CREATE TABLE t%d %s", n, layout))
	}
	for id := 0; id < *layoutRows; id += 500 {
		l.same("INSERT INTO @t VALUES " + l.rows(id, min(id+500, *layoutRows)))
	}
	for range 3 {
		for range *layoutQueries {
			l.ask(l.query())
		}
		for range 12 {
			l.same(l.write())
		}
	}
}

type layoutRun struct {
	*rand.Rand
	t  *testing.T
	db *sql.DB
}

func (l *layoutRun) pick(of ...string) string { return of[l.IntN(len(of))] }

// values are literals of each column.
func (l *layoutRun) value(column string) string {
	if column != "id" && column != "k" && l.IntN(8) == 0 {
		return "NULL"
	}
	switch column {
	case "id":
		return fmt.Sprint(l.IntN(*layoutRows + 20))
	case "k":
		return fmt.Sprint(l.IntN(50))
	case "a":
		return fmt.Sprint(l.IntN(200) - 20)
	case "b":
		return "'" + l.pick("", "a", "A", "á", "b", "B ", "abc", "Abd", "ss", "ß", "x y", "zz") + "'"
	case "c":
		return fmt.Sprintf("%d.%02d", l.IntN(40)-20, l.IntN(4)*25)
	case "d":
		return fmt.Sprintf("'20%02d-%02d-%02d %02d:00:00'", 20+l.IntN(5), 1+l.IntN(12), 1+l.IntN(28), l.IntN(24))
	case "e":
		return l.pick("0", "-0e0", "1.5", "-2.25", "1e10", "0.1", "1e-5")
	case "f":
		return "'" + l.pick("x", "yy", "Z") + "'"
	case "g":
		return l.pick("0", "1", "18446744073709551615", "9223372036854775808", "77", "78", "79")
	}
	return fmt.Sprintf("'s%02d'", l.IntN(60))
}

var layoutNames = []string{"id", "k", "a", "b", "c", "d", "e", "f", "g", "s"}

func (l *layoutRun) rows(from, to int) string {
	rows := make([]string, 0, to-from)
	for id := from; id < to; id++ {
		row := []string{fmt.Sprint(id)}
		for _, name := range layoutNames[1:] {
			row = append(row, l.value(name))
		}
		rows = append(rows, "("+strings.Join(row, ", ")+")")
	}
	return strings.Join(rows, ", ")
}

// condition is a predicate of the columns of a table with a prefix.
func (l *layoutRun) condition(p string, depth int) string {
	if depth > 0 && l.IntN(2) == 0 {
		return "(" + l.condition(p, depth-1) + l.pick(" AND ", " AND ", " OR ") + l.condition(p, depth-1) + ")"
	}
	name := layoutNames[l.IntN(len(layoutNames))]
	column := p + name
	switch l.IntN(9) {
	case 0:
		return column + " IS " + l.pick("", "NOT ") + "NULL"
	case 1:
		return fmt.Sprintf("%s %sIN (%s, %s, %s)", column, l.pick("", "", "NOT "), l.value(name), l.value(name), l.value(name))
	case 2:
		return fmt.Sprintf("%s BETWEEN %s AND %s", column, l.value(name), l.value(name))
	case 3:
		return p + l.pick("b", "s") + " LIKE " + l.pick("'a%'", "'A%'", "'s1%'", "'%b%'", "'s_5'", "'ss'", "''")
	case 4:
		return fmt.Sprintf("(%sk, %sid) %s (%s, %s)", p, p, l.pick("=", "<", ">=", "<>"), l.value("k"), l.value("id"))
	case 5:
		return fmt.Sprintf("NOT (%s %s %s)", column, l.pick("=", "<", ">"), l.value(name))
	case 6:
		return fmt.Sprintf("%s <=> %s", column, l.value(name))
	}
	return fmt.Sprintf("%s %s %s", column, l.pick("=", "=", "<", "<=", ">", ">="), l.value(name))
}

func (l *layoutRun) column() string { return layoutNames[l.IntN(len(layoutNames))] }

// query has @t where the table stands.
func (l *layoutRun) query() string {
	where := " WHERE " + l.condition("", 2)
	switch l.IntN(10) {
	case 0:
		return "SELECT COUNT(*), SUM(a), MIN(b), MAX(d), COUNT(DISTINCT c), AVG(g), MIN(e), MAX(s) FROM @t" + where
	case 1:
		c := l.pick("k", "a", "c", "f", "s", "g")
		return "SELECT " + c + ", COUNT(*), SUM(c), MAX(id), MIN(d) FROM @t" + where + " GROUP BY " + c + l.pick("", " HAVING COUNT(*) > 3", " WITH ROLLUP")
	case 2, 3:
		return "SELECT * FROM @t" + where + " ORDER BY " + l.column() + l.pick("", " DESC") + ", " + l.column() + l.pick("", " DESC") + ", id" + l.pick("", " DESC") + l.pick(" LIMIT 7", " LIMIT 3, 10", " LIMIT 1", "")
	case 4:
		return "SELECT DISTINCT " + l.pick("k", "a", "c", "f", "g") + " FROM @t" + where
	case 5:
		on := l.pick("k", "a", "s", "id", "c", "d")
		return "SELECT x.id, y.id FROM @t x " + l.pick("JOIN", "LEFT JOIN") + " @t y ON x." + on + " = y." + l.pick(on, on, "id") + " AND " + l.condition("y.", 0) + " WHERE x.id < 60 AND " + l.condition("x.", 1)
	case 6:
		return "SELECT id FROM @t x WHERE " + l.pick("", "NOT ") + "EXISTS (SELECT 1 FROM @t y WHERE y." + l.pick("k", "a", "id") + " = x." + l.pick("a", "k", "id") + " AND " + l.condition("y.", 1) + ") AND " + l.condition("x.", 0)
	case 7:
		c := l.pick("k", "a", "id", "s", "c")
		return "SELECT id, k FROM @t WHERE " + c + l.pick("", " NOT") + " IN (SELECT " + c + " FROM @t" + where + ") AND " + l.condition("", 0)
	case 8:
		c := l.column()
		return "SELECT " + l.pick("MIN", "MAX") + "(" + c + ") FROM @t" + l.pick("", where)
	}
	return "SELECT id, " + l.column() + " FROM @t" + where
}

// write changes the rows of any layout alike.
func (l *layoutRun) write() string {
	name := layoutNames[2+l.IntN(len(layoutNames)-2)]
	where := l.condition("", 1) + " AND " + fmt.Sprintf("id BETWEEN %d AND %d", l.IntN(*layoutRows), l.IntN(*layoutRows+500))
	switch l.IntN(6) {
	case 0:
		return "DELETE FROM @t WHERE id % 7 = " + fmt.Sprint(l.IntN(7)) + " AND " + where
	case 1:
		return "UPDATE @t SET k = (k + 7) % 50, a = id - k WHERE id % 5 = 1 AND " + where
	case 2:
		from := *layoutRows + 1000 + l.IntN(1<<20)*30
		return "INSERT INTO @t VALUES " + l.rows(from, from+20)
	case 3:
		return fmt.Sprintf("UPDATE @t SET %s = %s WHERE id = %d", name, l.value(name), l.IntN(*layoutRows))
	}
	return fmt.Sprintf("UPDATE @t SET %s = %s WHERE %s", name, l.value(name), where)
}

// same writes to all tables: as many rows of each.
func (l *layoutRun) same(write string) {
	l.t.Helper()
	want := int64(-1)
	for n := range layouts {
		text := strings.ReplaceAll(write, "@t", fmt.Sprint("t", n))
		result, err := l.db.ExecContext(l.t.Context(), text)
		if err != nil {
			l.t.Fatalf("%.300s: %v", text, err)
		}
		rows, _ := result.RowsAffected()
		if want >= 0 && rows != want {
			l.t.Errorf("%.300s: %d rows, %d of the first table", text, rows, want)
		}
		if want < 0 {
			want = rows
		}
	}
}

// ask asks each table.
func (l *layoutRun) ask(query string) {
	l.t.Helper()
	var want []string
	for n := range layouts {
		text := strings.ReplaceAll(query, "@t", fmt.Sprint("t", n))
		got, err := answer(l.t.Context(), l.db, text)
		if err != nil {
			l.t.Errorf("%s: %v", text, err)
			continue
		}
		if n == 0 {
			want = got
			continue
		}
		if !slices.Equal(got, want) {
			l.t.Errorf("%s\n%d rows, %d of the first table\n%s", text, len(got), len(want), firstOther(got, want))
		}
	}
}

// answer is the rows of a query, sorted where it does not sort them.
func answer(ctx context.Context, db *sql.DB, query string) ([]string, error) {
	t, err := cluster.ReadTable(ctx, db, query)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(t.Rows))
	for i, row := range t.Rows {
		out[i] = strings.Join(row, "\t")
	}
	if !strings.Contains(query, "ORDER BY") {
		slices.Sort(out)
	}
	return out, nil
}

// firstOther is where two answers part.
func firstOther(got, want []string) string {
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			return fmt.Sprintf("row %d: %q, %q of the first table", i, got[min(i, len(got)):min(i+1, len(got))], want[min(i, len(want)):min(i+1, len(want))])
		}
	}
	return ""
}
