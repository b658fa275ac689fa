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

// lateralQueries are queries over u for a row of t, whose columns stand in braces. Each yields two columns in an order that is whole.
func lateralQueries() []string {
	var out []string
	for _, where := range []string{"TRUE", "u.a = {b}", "u.y = {b} AND u.x <> {a}", "u.y > {b}", "u.x = {a} OR u.y < {b}", "{b} IS NULL"} {
		for _, what := range []string{"u.x, u.y", "u.x + {a}, 7", "{b}, u.a", "u.y - {b}, COALESCE(u.a, {b}, -1)"} {
			for _, tail := range []string{"", " ORDER BY u.x LIMIT 2", " ORDER BY u.y DESC, u.x LIMIT 1", " ORDER BY ABS(u.y - {b}), u.x LIMIT 1", " ORDER BY u.x LIMIT 2 OFFSET 1"} {
				out = append(out, fmt.Sprintf("SELECT %s FROM u WHERE %s%s", what, where, tail))
			}
		}
		for _, what := range []string{"COUNT(*), SUM(u.y)", "COUNT(u.a) + {a}, MAX(u.x)", "{b}, SUM(u.y + {a})", "7, COUNT(*)"} {
			out = append(out, fmt.Sprintf("SELECT %s FROM u WHERE %s", what, where))
		}
		out = append(out, fmt.Sprintf("SELECT u.a, COUNT(*) FROM u WHERE %s GROUP BY u.a", where),
			fmt.Sprintf("SELECT DISTINCT u.a, u.y FROM u WHERE %s", where),
			fmt.Sprintf("SELECT u.x, ROW_NUMBER() OVER (ORDER BY u.x) FROM u WHERE %s", where),
			"SELECT p.x, q.x FROM u p JOIN u q ON p.x = q.x AND p.y = {b} WHERE q.x > 0")
	}
	return append(out, "SELECT {a} * 2, {b}")
}

// TestLateral compares LATERAL with its definition: the query with the values of each row of the left side in place of its columns.
func TestLateral(t *testing.T) {
	refusals, asked := 0, 0
	for seed := range int64(4) {
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
		for _, q := range lateralQueries() {
			for _, kind := range []string{"CROSS JOIN", "LEFT JOIN"} {
				asked++
				if !checkLateral(t, s, rows, q, kind) {
					refusals++
				}
			}
		}
	}
	if refusals > 0 {
		t.Errorf("%d of %d queries were refused", refusals, asked)
	}
}

// checkLateral is false for a query that is refused by name.
func checkLateral(t *testing.T, s *store, rows []string, q, kind string) bool {
	t.Helper()
	on := map[bool]string{true: " ON TRUE"}[kind == "LEFT JOIN"]
	sql := fmt.Sprintf("SELECT t.a, l.* FROM t %s LATERAL (%s) l (p, q)%s", kind, strings.NewReplacer("{a}", "t.a", "{b}", "t.b").Replace(q), on)
	got, err := s.query(sql)
	if err != nil {
		if !refused(err) {
			t.Errorf("%s: %v", sql, err)
		}
		return false
	}
	var want []string
	for _, row := range rows {
		a, b, _ := strings.Cut(row, "|")
		found, err := s.query(strings.NewReplacer("{a}", a, "{b}", b).Replace(q))
		if err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		if len(found) == 0 && kind == "LEFT JOIN" {
			found = []string{"NULL|NULL"}
		}
		for _, r := range found {
			want = append(want, a+"|"+r)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s\ngot  %q\nwant %q", sql, got, want)
	}
	return true
}
