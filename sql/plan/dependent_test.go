package plan

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"stele/meta/types"
	"stele/sql/vec"
)

// dependentQueries are queries of one column and at most one row over u for a row of t, whose columns stand in braces: two levels down, in
// aggregates, groups, orders and windows, and in the members of set operations.
var dependentQueries = []string{
	"SELECT (SELECT COUNT(*) FROM u v WHERE v.a = {b}) FROM u WHERE u.x = {a}",
	"SELECT (SELECT MAX(v.y) FROM u v WHERE v.x < u.x AND v.a <> {b}) FROM u WHERE u.x = {a}",
	"SELECT (SELECT v.y + {b} FROM u v WHERE v.x = u.x) FROM u WHERE u.x = {a}",
	"SELECT SUM(u.y) FROM u WHERE u.x > (SELECT MIN(v.x) FROM u v WHERE v.a = {b} AND v.x <> u.x)",
	"SELECT SUM(u.y) FROM u WHERE EXISTS (SELECT 1 FROM u v WHERE v.a = {b} AND v.y < u.y)",
	"SELECT SUM(u.y) FROM u WHERE NOT EXISTS (SELECT 1 FROM u v WHERE v.a <=> {b} AND v.y < u.y)",
	"SELECT COUNT(*) FROM u WHERE u.a IN (SELECT v.y FROM u v WHERE v.x < {a} AND v.x <> u.x)",
	"SELECT COUNT(*) FROM u WHERE u.a NOT IN (SELECT v.y + {b} FROM u v WHERE v.x < {a})",
	"SELECT COUNT(*) FROM u WHERE u.a > ALL (SELECT v.y FROM u v WHERE v.a = {b} AND v.x > u.x)",
	"SELECT COUNT(*) FROM u LEFT JOIN u v ON v.a = u.y AND v.x > {a} WHERE u.x <> {a}",
	"SELECT COUNT(v.x) FROM u LEFT JOIN (SELECT * FROM u) v ON v.a = {b} AND u.y = v.y",
	"SELECT SUM(u.y + {b}) FROM u WHERE u.x > {a}",
	"SELECT COUNT(DISTINCT u.a + {b}) FROM u GROUP BY u.y + {a} HAVING COUNT(*) > 1 ORDER BY 1, u.y + {a} LIMIT 1",
	"SELECT MAX(u.x) FROM u GROUP BY u.y > {b} HAVING MAX(u.y) > {b}",
	"SELECT u.x FROM u ORDER BY ABS(u.y - {b}), u.x LIMIT 1",
	"SELECT u.x FROM u WHERE u.x > {a} ORDER BY u.y, u.x LIMIT 1 OFFSET 1",
	"SELECT u.x FROM u WHERE u.y > {b} OR u.a < {b} ORDER BY u.x DESC LIMIT 1",
	"SELECT MAX(n) FROM (SELECT ROW_NUMBER() OVER (PARTITION BY u.y ORDER BY u.x) n FROM u WHERE u.x <> {a}) w",
	"SELECT SUM(u.y) OVER (ORDER BY u.x + {a}) FROM u WHERE u.x > {a} LIMIT 1",
	"SELECT COUNT(*) FROM (SELECT DISTINCT u.y FROM u WHERE u.x > {a}) w",
	"SELECT MAX(p) FROM (SELECT u.x p FROM u WHERE u.y = {b} UNION ALL SELECT {a} UNION SELECT v.y FROM u v WHERE v.x > {a}) w",
	"SELECT u.x FROM u WHERE u.x = {a} UNION SELECT v.x FROM u v WHERE v.x = {a}",
	"SELECT v.x FROM u v WHERE v.x = {a} INTERSECT SELECT {a}",
	"SELECT {a} EXCEPT SELECT u.x FROM u WHERE u.a = {b}",
	"SELECT {a} + {b}",
	"SELECT {b} FROM u WHERE u.x = {a} HAVING {b} > 1",
	"SELECT COUNT(*) + {b} FROM u WHERE u.x < {a} HAVING COUNT(*) > {b}",
	"SELECT (SELECT COUNT(*) + (SELECT COUNT(*) FROM u w WHERE w.x < v.x AND w.x <> {a}) FROM u v WHERE v.x = u.x GROUP BY v.x) FROM u WHERE u.x = {a}",
	"SELECT (SELECT MIN(v.x) FROM u v WHERE v.x > u.x AND v.y = (SELECT MAX(w.y) FROM u w WHERE w.a = {b} OR w.x = u.x)) FROM u WHERE u.x = {a}",
}

// TestDependent compares correlated subqueries with their definition: the query with the values of the row in place of its columns.
func TestDependent(t *testing.T) {
	refusals := map[string]bool{}
	for seed := range int64(3) {
		ctx, f := newContext()
		createAll(t, ctx, f, "testdata/schema.sql")
		s := &store{ctx: ctx, tablets: map[types.TabletID][]*vec.Batch{}}
		if err := s.fill(rand.New(rand.NewSource(seed))); err != nil {
			t.Fatal(err)
		}
		rows, err := s.query("SELECT a, b FROM t ORDER BY a")
		if err != nil || len(rows) == 0 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for _, q := range dependentQueries {
			for _, use := range []string{"(%s)", "EXISTS (%s)", "t.b IN (%s)", "t.b NOT IN (%s)", "t.b > ALL (%s)"} {
				if err := checkDependent(t, s, rows, q, use); err != nil {
					refusals[fmt.Sprintf(use, q)+": "+err.Error()] = true
				}
			}
		}
	}
	for r := range refusals {
		t.Errorf("refused: %s", r)
	}
}

// checkDependent uses a query as a value and as a condition. It returns why it is refused.
func checkDependent(t *testing.T, s *store, rows []string, q, use string) error {
	t.Helper()
	inner := fmt.Sprintf(use, q)
	var values, passing []string
	for _, row := range rows {
		a, b, _ := strings.Cut(row, "|")
		found, err := s.query(strings.NewReplacer("{a}", a, "{b}", b, "t.b", b).Replace("SELECT " + inner))
		if err != nil && (refused(err) || strings.Contains(err.Error(), "more than 1 row")) {
			return nil // there is nothing to compare with
		} else if err != nil {
			t.Fatalf("%s: %v", inner, err)
		}
		values = append(values, a+"|"+found[0])
		if found[0] != "NULL" && found[0] != "0" {
			passing = append(passing, a)
		}
	}
	correlated := strings.NewReplacer("{a}", "t.a", "{b}", "t.b").Replace(inner)
	for sql, want := range map[string][]string{
		"SELECT t.a, " + correlated + " FROM t ORDER BY t.a":      values,
		"SELECT t.a FROM t WHERE " + correlated + " ORDER BY t.a": passing,
	} {
		got, err := s.query(sql)
		if refused(err) {
			return err
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s\ngot  %q, %v\nwant %q", sql, got, err, want)
		}
	}
	return nil
}
