package plan

import (
	"slices"
	"strings"
	"testing"

	"stele/meta/types"
	ast "stele/sql/parse"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// TestAnswers runs queries over fixed rows, with and without rewriting.
func TestAnswers(t *testing.T) {
	ctx, f := newContext()
	if _, err := f.create(ctx, "CREATE TABLE s (id INT PRIMARY KEY, y INT, r VARCHAR(5), n INT, e ENUM('b', 'a'))"); err != nil {
		t.Fatal(err)
	}
	store := &store{ctx: ctx, tablets: map[types.TabletID][]*vec.Batch{}}
	for _, sql := range []string{"INSERT INTO s VALUES (1, 2000, 'n', 10, 'a'), (2, 2000, 's', 20, 'b'), (3, 2001, 'n', 30, 'a')",
		"INSERT INTO s VALUES (4, 2001, NULL, 40, 'b'), (5, 2001, 'n', 50, 'b')"} {
		if err := store.insert(sql); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		sql  string
		want string // rows; "~" before them: in any order
	}{
		{"SELECT 0x41 + 0, 0x41, x'0141' * 2, b'101' + 1, -0x02, ~0x00 = 18446744073709551615, 0x41 | 0x02, 0x10 >> 1", "65|A|642|6|-2|1|67|8"},
		{"SELECT 0x41 = 65, 0x41 = 'A', 66 > 0x41, 1 IN (0x01, 2), 5 BETWEEN 0x01 AND b'111', 0x41 <=> 0x41", "1|1|1|1|1|1"},
		{"SELECT CAST(0x41 AS UNSIGNED), CAST(b'11' AS SIGNED), CAST(0x41 AS CHAR), CAST(0x41 AS DECIMAL(5,1)), _binary 0x41 = 'A'", "65|3|A|65.0|1"},
		{"SELECT id FROM s WHERE n = 0x14", "2"},
		{"SELECT IF(b'1', 'y', 'n'), CASE WHEN b'1' THEN 'y' ELSE 'n' END, NOT 0x01, 0x01 AND 1, 0x00 OR b'1', 1 XOR 0x01, 0x41 IS TRUE", "y|y|0|1|1|0|1"},
		{"SELECT CASE 65 WHEN 0x41 THEN 'y' ELSE 'n' END, CASE 'A' WHEN 0x41 THEN 'y' ELSE 'n' END, (0x41, 1) = (65, 1), (0x41, 1) = ('A', 1)", "y|y|1|1"},
		{"SELECT id FROM s WHERE b'1' AND id = 2", "2"},
		{"SELECT id FROM s WHERE r = 0x73", "2"},
		{"SELECT 0xFFFFFFFFFFFFFFFF + 0.5", "18446744073709551615.5"},
		{"SELECT GREATEST('a' COLLATE utf8mb4_general_ci, 'A'), GREATEST('A' COLLATE utf8mb4_general_ci, 'a'), LEAST('b', 'A' COLLATE utf8mb4_general_ci, 'a')", "a|A|A"},
		{"SELECT LEAST(r COLLATE utf8mb4_general_ci, 'N'), LEAST('N', r COLLATE utf8mb4_general_ci), GREATEST('N', r COLLATE utf8mb4_general_ci, 'M') FROM s WHERE id = 1", "n|N|N"},
		{"SELECT y, r, SUM(n) FROM s GROUP BY y, r WITH ROLLUP",
			"2000|n|10 2000|s|20 2000|NULL|30 2001|NULL|40 2001|n|80 2001|NULL|120 NULL|NULL|150"},
		{"SELECT y, COUNT(*), GROUPING(y) FROM s GROUP BY y WITH ROLLUP", "2000|2|0 2001|3|0 NULL|5|1"},
		{"SELECT r, GROUPING(r), SUM(n) FROM s GROUP BY r WITH ROLLUP ORDER BY GROUPING(r) DESC, r", "NULL|1|150 NULL|0|40 n|0|90 s|0|20"},
		{"SELECT y, r, SUM(n) FROM s GROUP BY y, r WITH ROLLUP HAVING GROUPING(y, r) = 1", "2000|NULL|30 2001|NULL|120"},
		{"SELECT y, SUM(n) FROM s GROUP BY y WITH ROLLUP HAVING y IS NULL", "NULL|150"},
		{"SELECT y + 1, COUNT(DISTINCT r) FROM s GROUP BY y + 1 WITH ROLLUP", "2001|2 2002|1 NULL|2"},
		{"SELECT e, COUNT(*) FROM s GROUP BY e WITH ROLLUP", "b|3 a|2 NULL|5"},
		{"SELECT COALESCE(y, 'all'), SUM(n) FROM s WHERE n > 10 GROUP BY y WITH ROLLUP", "2000|20 2001|120 all|140"},
		{"SELECT y, SUM(n) FROM s GROUP BY y WITH ROLLUP LIMIT 1", "2000|30"},
		{"SELECT q.y, q.t FROM (SELECT y, SUM(n) t FROM s GROUP BY y WITH ROLLUP) q WHERE q.y = 2001", "2001|120"},
		{"SELECT y, SUM(n) FROM s WHERE n > 1000 GROUP BY y WITH ROLLUP", ""},
		{"WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r", "1 2 3 4 5"},
		{"WITH RECURSIVE r (a, b) AS (SELECT 1, 1 UNION ALL SELECT b, a + b FROM r WHERE b < 20) SELECT a FROM r", "1 1 2 3 5 8 13"},
		{"WITH RECURSIVE r AS (SELECT 0 n UNION SELECT (n + 1) % 3 FROM r) SELECT SUM(n), COUNT(*) FROM r", "3|3"},
		{"WITH RECURSIVE r AS (SELECT id, CAST(r AS CHAR(20)) p FROM s WHERE id = 1 UNION ALL SELECT s.id, CONCAT(p, '/', COALESCE(s.r, '-')) FROM r JOIN s ON s.id = r.id + 1) SELECT * FROM r",
			"1|n 2|n/s 3|n/s/n 4|n/s/n/- 5|n/s/n/-/n"},
		{"WITH RECURSIVE d AS (SELECT 1 n UNION ALL SELECT n + 1 FROM d WHERE n < 3), e AS (SELECT n * 10 m FROM d) SELECT x.n, y.m FROM d x JOIN e y ON y.m = x.n * 10 WHERE x.n > 1",
			"~2|20 3|30"},
		{"WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT 2 UNION ALL SELECT n + 10 FROM r WHERE n < 10 UNION ALL SELECT n + 100 FROM r WHERE n < 2) SELECT n FROM r", "~1 101 11 12 2"},
		{"SELECT id, (WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n + 1 FROM r WHERE n < 4) SELECT SUM(n) FROM r) FROM s WHERE id < 3", "~1|10 2|10"},
		{"WITH RECURSIVE r AS (SELECT NULL n UNION ALL SELECT 1 FROM r WHERE n IS NULL) SELECT * FROM r", "NULL 1"},
		{"SELECT DISTINCT COUNT(*) FROM s GROUP BY r WITH ROLLUP", "~1 3 5"},
		{"SELECT a.id, b.id FROM s a JOIN s b ON b.id = a.id + 1 AND b.n > (SELECT AVG(n) FROM s)", "~3|4 4|5"},
		{"SELECT a.id, b.id FROM s a JOIN s b ON a.id = b.id AND a.n = (SELECT MAX(c.n) FROM s c WHERE c.y = b.y)", "~2|2 5|5"},
		{"SELECT a.id FROM s a JOIN s b ON a.id = b.id AND NOT EXISTS (SELECT 1 FROM s c WHERE c.id = a.id + b.id - b.id + 1)", "5"},
		{"SELECT a.id, b.id FROM s a JOIN s b ON a.id = 1 AND (b.id = 5 OR b.r IN (SELECT r FROM s WHERE y = 2000 AND id > a.id))", "~1|2 1|5"},
		{"SELECT a.id, c.id FROM s a LEFT JOIN (s b JOIN s c ON b.id = c.id AND c.id IN (SELECT id FROM s WHERE r = 's')) ON a.id = b.id",
			"~1|NULL 2|2 3|NULL 4|NULL 5|NULL"},
	} {
		for _, literal := range []bool{false, true} {
			ctx.literal = literal
			got, err := store.query(c.sql)
			if err != nil {
				t.Errorf("%s: %v", c.sql, err)
				continue
			}
			want, anyOrder := strings.CutPrefix(c.want, "~")
			if anyOrder {
				slices.Sort(got)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s (as bound: %t)\n got %s\nwant %s", c.sql, literal, strings.Join(got, " "), want)
			}
		}
	}
}

// TestRecursionEnds: what never ends, or does not fit the seed's types, is an error.
func TestRecursionEnds(t *testing.T) {
	ctx, _ := newContext()
	ctx.SQLMode = "STRICT_TRANS_TABLES"
	store := &store{ctx: ctx}
	for sql, code := range map[string]uint16{
		"WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n FROM r) SELECT * FROM r":                                        3636,
		"WITH RECURSIVE r AS (SELECT 'a' s UNION ALL SELECT CONCAT(s, 'b') FROM r) SELECT * FROM r":                         1406,
		"WITH RECURSIVE r AS (SELECT n FROM r) SELECT * FROM r":                                                             3573,
		"WITH RECURSIVE r AS (SELECT n FROM r UNION ALL SELECT 1) SELECT * FROM r":                                          3574,
		"WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT MAX(n) FROM r GROUP BY n) SELECT * FROM r":                        3575,
		"WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n, n FROM r) SELECT * FROM r":                                     1222,
		"WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n + 1 FROM r WHERE n < 3 EXCEPT SELECT 2 FROM r) SELECT * FROM r": 1235,
	} {
		_, err := store.query(sql)
		if e, ok := sqltypes.AsError(err); !ok || e.Code != code {
			t.Errorf("%s: %v, want %d", sql, err, code)
		}
	}
}

// TestFieldNames: a field without a name is called by its text, of which as much counts as MySQL shows, in whole characters.
func TestFieldNames(t *testing.T) {
	ctx, _ := newContext()
	long := strings.Repeat("é", 200)
	for sql, want := range map[string]string{
		"SELECT 1 +  1":                          "1 +  1",
		"SELECT 'a'":                             "a",
		"SELECT '" + long + "'":                  long[:256],
		"SELECT 1, LENGTH('" + long + "')":       "1",
		"SELECT LENGTH('" + long + "')":          "LENGTH('" + long[:248],
		"SELECT 1 AS " + strings.Repeat("a", 64): strings.Repeat("a", 64),
	} {
		st, err := ast.Parse(sql, 0)
		if err != nil {
			t.Fatal(err)
		}
		n, err := Select(ctx, st.Node)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.Schema[0].Name; got != want {
			t.Errorf("%.40s: %q (%d bytes), want %q", sql, got, len(got), want)
		}
	}
}
