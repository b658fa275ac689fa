package plan

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"stele/meta/types"
	"stele/sql/physical"
	"stele/sql/vec"
)

// TestGivenKeysAgree holds random joins and subqueries, whose scans are given the keys of other sides, against the same as bound. The rows
// have NULLs, duplicates, texts that are equal only by their collation, and types that differ between the sides.
func TestGivenKeysAgree(t *testing.T) {
	given := 0
	for seed := range int64(6) {
		r := rand.New(rand.NewSource(seed))
		ctx, f := newContext()
		for _, sql := range []string{
			"CREATE TABLE a (id INT PRIMARY KEY, k INT, s VARCHAR(5) COLLATE utf8mb4_general_ci, d DECIMAL(5,1), n BIGINT UNSIGNED, KEY (k), KEY (s))",
			"CREATE TABLE b (x INT, y SMALLINT NOT NULL, s VARCHAR(9) COLLATE utf8mb4_general_ci, d DECIMAL(9,2), PRIMARY KEY (y, x), KEY (x), UNIQUE KEY (s))",
			"CREATE TABLE c (id INT PRIMARY KEY, k BIGINT, t DATE, KEY (k), KEY (t)) PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (6), PARTITION q VALUES LESS THAN MAXVALUE)",
		} {
			if _, err := f.create(ctx, sql); err != nil {
				t.Fatal(err)
			}
		}
		s := &store{ctx: ctx, tablets: map[types.TabletID][]*vec.Batch{}}
		if err := s.fillJoined(r); err != nil {
			t.Fatal(err)
		}
		s.opened = func(n *physical.Scan) {
			if len(n.Takes) > 0 {
				given++
			}
		}
		ctx.Stats = fixedStats{f, map[string]int64{"a": 20_000, "b": 20_000, "c": 20_000}}
		for range 60 {
			compareAnswers(t, s, joinedQuery(r))
			compareFirst(t, s, limitedQuery(r))
		}
	}
	if given < 200 {
		t.Errorf("only %d scans were given keys", given)
	}
}

// limitedQuery draws a query whose first column says which rows are the first ones.
func limitedQuery(r *rand.Rand) string {
	sql := []string{"SELECT a.id, b.x FROM a LEFT JOIN b ON a.k = b.x", "SELECT q.i, b.y, c.id FROM (SELECT id i, k FROM a) q LEFT JOIN b ON b.x = q.k LEFT JOIN c ON c.k = b.y",
		"SELECT a.k, b.x FROM a LEFT JOIN b ON a.id = b.y", "SELECT a.id, (SELECT MAX(b.x) FROM b WHERE b.y = a.k) FROM a", "SELECT b.x, a.id FROM a LEFT JOIN b ON a.k = b.x"}[r.Intn(5)]
	return fmt.Sprintf("%s ORDER BY 1 %s LIMIT %d OFFSET %d", sql, []string{"", "DESC"}[r.Intn(2)], 1+r.Intn(6), r.Intn(4))
}

// compareFirst checks that a query yields the same first columns in the same order with and without rewriting.
func compareFirst(t *testing.T, s *store, sql string) {
	t.Helper()
	var got [2]string
	for i, literal := range []bool{false, true} {
		s.ctx.literal = literal
		rows, err := s.query(sql)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		for _, row := range rows {
			first, _, _ := strings.Cut(row, "|")
			got[i] += first + " "
		}
	}
	if got[0] != got[1] {
		t.Errorf("%s\nrewritten: %s\nas bound:  %s", sql, got[0], got[1])
	}
}

// fillJoined puts random rows in the tables of TestGivenKeysAgree.
func (s *store) fillJoined(r *rand.Rand) error {
	or := func(text string) string {
		if r.Intn(6) == 0 {
			return "NULL"
		}
		return text
	}
	text := func() string { return fmt.Sprintf("'%c%c'", "xXyYé"[r.Intn(4)], "aAbB"[r.Intn(4)]) }
	var taken []string
	for i := range 14 {
		rows := []string{fmt.Sprintf("INSERT INTO a VALUES (%d, %s, %s, %s, %s)", i, or(fmt.Sprint(r.Intn(8))), or(text()),
			or(fmt.Sprintf("%d.%d", r.Intn(4), r.Intn(2)*5)), or(fmt.Sprint(r.Intn(9)))),
			fmt.Sprintf("INSERT INTO c VALUES (%d, %s, %s)", i, or(fmt.Sprint(r.Intn(9)-1)), or(fmt.Sprintf("'2024-01-0%d'", 1+r.Intn(3))))}
		unique := text()
		if containsFold(taken, unique) {
			unique = "NULL"
		}
		taken = append(taken, unique)
		rows = append(rows, fmt.Sprintf("INSERT INTO b VALUES (%d, %d, %s, %s)", i, r.Intn(8), unique, or(fmt.Sprintf("%d.%d0", r.Intn(4), r.Intn(2)*5))))
		for _, sql := range rows {
			if err := s.insert(sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
	}
	return nil
}

func containsFold(list []string, text string) bool {
	for _, l := range list {
		if strings.EqualFold(l, text) {
			return true
		}
	}
	return false
}

// joinedQuery draws a query over two or three tables, one of which few rows are read of.
func joinedQuery(r *rand.Rand) string {
	on := []string{"a.k = b.x", "a.id = b.y", "b.x = a.n", "a.s = b.s", "a.d = b.d", "a.k = b.x AND a.id = b.y", "a.k + 1 = b.x", "a.k = b.x AND a.s <> b.s"}
	where := []string{"a.id = 3", "a.id IN (1, 5, 9)", "b.x = 4", "a.k = 2", "a.s = 'xa'", "b.y < 2", "a.k IS NULL", "b.x IS NULL", "a.id > 3 OR b.y = 1", "1 = 1", "a.id > 100"}
	o, w := on[r.Intn(len(on))], where[r.Intn(len(where))]
	forA := where[[]int{0, 1, 3, 4, 6, 9, 10}[r.Intn(7)]]
	switch r.Intn(16) {
	case 12:
		return "SELECT a.id, a.k FROM a WHERE (a.k = 2 OR a.id IN (1, 4) AND a.d > 1 OR a.s = 'xa') AND a.n <> 3"
	case 13:
		return "SELECT COUNT(*), SUM(b.x) FROM b WHERE b.x = 3 OR b.y = 2 AND b.d IS NULL"
	case 14:
		return "SELECT c.id, b.y FROM b JOIN c ON c.id = b.x WHERE c.k = 2 OR c.t = '2024-01-02' OR c.id = 5"
	case 0, 1:
		return "SELECT a.id, b.x, b.y FROM a JOIN b ON " + o + " WHERE " + w
	case 2, 3:
		return "SELECT a.id, b.x, b.y FROM a LEFT JOIN b ON " + o + " WHERE " + w
	case 4:
		return "SELECT a.id, b.x, b.y FROM b RIGHT JOIN a ON " + o + " WHERE " + w
	case 5:
		return "SELECT a.id, b.x, c.id FROM a JOIN b ON " + o + " LEFT JOIN c ON c.k = b.x WHERE " + w
	case 6:
		return "SELECT a.id, b.x, c.id FROM a LEFT JOIN b ON " + o + " JOIN c ON c.k = b.x AND c.id = a.id WHERE " + w
	case 7:
		return "SELECT a.id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE " + o + ") AND " + forA
	case 8:
		return "SELECT a.id FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE " + o + ") AND " + forA
	case 9:
		return fmt.Sprintf("SELECT a.id FROM a WHERE a.k %s (SELECT b.x FROM b WHERE b.y < %d) AND %s", []string{"IN", "NOT IN"}[r.Intn(2)], r.Intn(9), forA)
	case 10:
		return "SELECT a.id, (SELECT COUNT(*) FROM b WHERE " + o + "), (SELECT MAX(c.id) FROM c WHERE c.k = a.k) FROM a WHERE " + forA
	case 11:
		return "SELECT a.id, g.n FROM a LEFT JOIN (SELECT x, COUNT(*) n FROM b GROUP BY x) g ON g.x = a.k WHERE " + forA
	}
	return "SELECT a.id, v.k FROM a JOIN (SELECT id, k FROM c UNION ALL SELECT x, y FROM b) v ON v.k = a.k WHERE " + forA
}

// TestGivenKeysNarrow gives a scan the keys of a primary key and of a unique key: other rows are not read at all.
func TestGivenKeysNarrow(t *testing.T) {
	ctx, f := newContext()
	for _, sql := range []string{"CREATE TABLE a (id INT PRIMARY KEY, k INT, KEY (k))", "CREATE TABLE b (id INT PRIMARY KEY, v INT)"} {
		if _, err := f.create(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	s := &store{ctx: ctx, tablets: map[types.TabletID][]*vec.Batch{}}
	for i := range 20 {
		for _, sql := range []string{fmt.Sprintf("INSERT INTO a VALUES (%d, %d)", i, i%5), fmt.Sprintf("INSERT INTO b VALUES (%d, %d)", i, i)} {
			if err := s.insert(sql); err != nil {
				t.Fatal(err)
			}
		}
	}
	var keys, tablets int
	s.opened = func(n *physical.Scan) {
		if len(n.Takes) == 0 {
			return
		}
		before := len(n.Tablets)
		Narrow(ctx, n)
		keys, tablets = len(n.Fragment.Keys), before-len(n.Tablets)
	}
	rows, err := s.query("SELECT a.id, b.v FROM a LEFT JOIN b ON b.id = a.k WHERE a.id = 7")
	if err != nil || len(rows) != 1 || rows[0] != "7|2" {
		t.Fatalf("rows %q, %v", rows, err)
	}
	if keys != 1 || tablets != 1 {
		t.Errorf("%d keys, %d tablets fewer: want one key and one tablet of two", keys, tablets)
	}
	rows, err = s.query("SELECT a.id, b.v FROM a LEFT JOIN b ON b.id = a.k WHERE a.id IN (3, 9)")
	if err != nil || len(rows) != 2 || keys != 2 {
		t.Errorf("rows %q, %v, %d keys instead of 2", rows, err, keys)
	}
}

// TestFewByKeyPrefix: rows with one value of what the primary key begins with are few, and read before the table that they are joined with.
func TestFewByKeyPrefix(t *testing.T) {
	ctx, f := newContext()
	for _, sql := range []string{"CREATE TABLE tags (id INT PRIMARY KEY, name VARCHAR(9))", "CREATE TABLE ot (o INT, tag INT, PRIMARY KEY (o, tag))"} {
		if _, err := f.create(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	ctx.Stats = fixedStats{f, map[string]int64{"tags": 2000, "ot": 1_000_000}}
	plan := planText(ctx, "SELECT tags.name FROM ot JOIN tags ON tags.id = ot.tag WHERE ot.o = 7")
	tags := strings.Index(plan, "scan tags")
	if tags < 0 || !strings.Contains(plan[tags:], "if few: id in keys from ot.tag") {
		t.Errorf("all tags are read:\n%s", plan)
	}
}

// TestGivenKeysKeepErrors joins by a scalar subquery that has two rows, one of which no key wants: it is an error all the same.
func TestGivenKeysKeepErrors(t *testing.T) {
	ctx, f := newContext()
	s := &store{ctx: ctx, tablets: map[types.TabletID][]*vec.Batch{}}
	for _, sql := range []string{"CREATE TABLE a (id INT PRIMARY KEY, k INT)", "CREATE TABLE b (id INT PRIMARY KEY, x INT, y INT, KEY (y))", "CREATE TABLE c (id INT PRIMARY KEY)"} {
		if _, err := f.create(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	for _, sql := range []string{"INSERT INTO a VALUES (1, 5)", "INSERT INTO b VALUES (1, 5, 7)", "INSERT INTO b VALUES (2, 5, 8)", "INSERT INTO c VALUES (7)"} {
		if err := s.insert(sql); err != nil {
			t.Fatal(err)
		}
	}
	ctx.Stats = fixedStats{f, map[string]int64{"a": 20_000, "b": 20_000, "c": 1}}
	const sql = "SELECT q.id FROM (SELECT a.id, (SELECT b.y FROM b WHERE b.x = a.k) v FROM a) q JOIN c ON c.id = q.v WHERE c.id > 0"
	for _, literal := range []bool{true, false} {
		ctx.literal = literal
		if rows, err := s.query(sql); err == nil {
			t.Errorf("literal %t: rows %q instead of an error", literal, rows)
		}
	}
}
