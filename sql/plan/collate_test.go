package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/vec"
)

// collatedQueries are asked of a table twice: of the columns {a} and {b} as they are, which have a collation, and of what fold makes of
// them, which compares by bytes. {x} and {y} are literals.
var collatedQueries = []string{
	"SELECT id FROM w WHERE {a} = {x}",
	"SELECT id FROM w WHERE {a} <> {x} AND NOT ({b} <=> {y})",
	"SELECT id FROM w WHERE {a} < {x} OR {b} >= {y}",
	"SELECT id FROM w WHERE {a} IN ({x}, {y}, {b})",
	"SELECT id FROM w WHERE {a} NOT IN ({x}, {y})",
	"SELECT id FROM w WHERE {a} BETWEEN {x} AND {y}",
	"SELECT id FROM w WHERE {a} = {b}",
	"SELECT id FROM w WHERE ({a}, id) IN (({x}, 1), ({y}, 2))",
	"SELECT id FROM w WHERE ({a}, {b}) > ({x}, {y})",
	"SELECT {a}, COUNT(*), SUM(id) FROM w GROUP BY {a}",
	"SELECT {a}, {b}, COUNT(*) FROM w GROUP BY {a}, {b} HAVING COUNT(*) > 1 OR {a} = {x}",
	"SELECT DISTINCT {a}, g FROM w",
	"SELECT g, COUNT(DISTINCT {a}), COUNT(DISTINCT {a}, {b}), MIN({a}), MAX({b}) FROM w GROUP BY g",
	"SELECT g, GROUP_CONCAT(DISTINCT RTRIM({a}) ORDER BY {a} DESC) FROM w GROUP BY g",
	"SELECT MIN({a}), MAX(UPPER({a})) FROM w WHERE {b} > {x}",
	"SELECT {a}, g, COUNT(*) FROM w GROUP BY {a}, g WITH ROLLUP",
	"SELECT x.id, y.id FROM w x JOIN w y ON x.{a} = y.{b}",
	"SELECT x.id, y.id FROM w x LEFT JOIN w y ON x.{a} = y.{b} AND y.g = 1",
	"SELECT COUNT(*) FROM w x NATURAL JOIN (SELECT {a}, g FROM w) y",
	"SELECT id FROM w WHERE {a} IN (SELECT {b} FROM w WHERE g = 1)",
	"SELECT id FROM w WHERE {a} NOT IN (SELECT {b} FROM w WHERE g = 1)",
	"SELECT id FROM w WHERE {a} > ALL (SELECT {b} FROM w WHERE g = 1)",
	"SELECT id, {a} <= ANY (SELECT {b} FROM w WHERE g = 1) FROM w",
	"SELECT id, {a} IN (SELECT {b} FROM w) FROM w",
	"SELECT id FROM w x WHERE EXISTS (SELECT 1 FROM w y WHERE y.{b} = x.{a} AND y.id <> x.id)",
	"SELECT id, (SELECT COUNT(*) FROM w y WHERE y.{b} = x.{a}) FROM w x",
	"SELECT id, (SELECT MAX(y.{b}) FROM w y WHERE y.{b} < x.{a}) FROM w x",
	"SELECT {a} FROM w UNION SELECT {b} FROM w",
	"SELECT {a} FROM w UNION ALL SELECT {b} FROM w",
	"SELECT c, COUNT(*) FROM (SELECT {a} c FROM w UNION ALL SELECT {b} FROM w) z GROUP BY c",
	"SELECT id, RANK() OVER (ORDER BY {a}), COUNT(*) OVER (PARTITION BY {a}), MIN({b}) OVER (PARTITION BY {a}) FROM w",
	"SELECT id, MAX({a}) OVER (PARTITION BY g) FROM w",
	"SELECT id, CASE {a} WHEN {x} THEN 1 WHEN {y} THEN 2 ELSE 3 END, NULLIF({a}, {b}), GREATEST({a}, {b}), LEAST({a}, {b}, {x}) FROM w",
	"SELECT id, STRCMP({a}, {b}), FIELD({a}, {x}, {b}), {a} = CONCAT({b}, '') FROM w",
	"SELECT IF({a} = {x}, 'y', 'n') c, COUNT(*) FROM w GROUP BY c",
	"SELECT id, IF(g = 1, {a}, {b}) = {x}, IFNULL({a}, {b}) = {y} FROM w",
	"SELECT IFNULL({a}, {b}) c, COUNT(*) FROM w GROUP BY c",
	"SELECT COUNT(DISTINCT IF(g = 1, {a}, 'z')), MAX(IFNULL({a}, {x})) FROM w",
	"WITH q AS (SELECT {a} k, COUNT(*) n FROM w GROUP BY {a}) SELECT q.n, w.id FROM q JOIN w ON w.{b} = q.k",
}

// fold is what equal texts have in common: upper case, no spaces at the end.
func fold(s string) string { return strings.ToUpper(strings.TrimRight(s, " ")) }

// asked fills in a query.
func asked(query, a, b, x, y string) string {
	return strings.NewReplacer("{a}", a, "{b}", b, "{x}", "'"+x+"'", "{y}", "'"+y+"'").Replace(query)
}

// folded are rows with every text folded, sorted.
func folded(rows []string) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		cells := strings.Split(r, "|")
		for j := range cells {
			cells[j] = fold(cells[j])
		}
		out[i] = strings.Join(cells, "|")
	}
	slices.Sort(out)
	return out
}

// TestCollationsByFolding: what is asked of text with a collation has the answers that the same has of the text folded beforehand.
func TestCollationsByFolding(t *testing.T) {
	for _, collation := range []string{"utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_uca1400_ai_ci"} {
		t.Run(collation, func(t *testing.T) {
			ctx, f := newContext()
			ctx.SQLMode = defaultMode
			ddl := "CREATE TABLE w (id INT PRIMARY KEY, g INT, a VARCHAR(9), b VARCHAR(9), fa VARCHAR(9) COLLATE utf8mb4_bin, fb VARCHAR(9) COLLATE utf8mb4_bin) COLLATE " + collation
			if _, err := f.create(ctx, ddl); err != nil {
				t.Fatal(err)
			}
			rapid.Check(t, func(t *rapid.T) {
				word := rapid.StringOfN(rapid.SampledFrom([]rune("aAbB c")), 0, 3, -1)
				s := &store{ctx: ctx, tablets: map[types.TabletID][]*vec.Batch{}}
				for id := range rapid.IntRange(0, 12).Draw(t, "rows") {
					cells := []string{"NULL", "NULL", "NULL", "NULL"}
					for i, name := range []string{"a", "b"} {
						if w := word.Draw(t, name); w != "c" {
							cells[i], cells[i+2] = "'"+w+"'", "'"+fold(w)+"'"
						}
					}
					if err := s.insert(fmt.Sprintf("INSERT INTO w VALUES (%d, %d, %s)", id, id%3, strings.Join(cells, ", "))); err != nil {
						t.Fatal(err)
					}
				}
				query, x, y := rapid.SampledFrom(collatedQueries).Draw(t, "query"), word.Draw(t, "x"), word.Draw(t, "y")
				for _, ctx.literal = range []bool{true, false} {
					got, err := s.query(asked(query, "a", "b", x, y))
					if err != nil {
						t.Fatal(err)
					}
					want, err := s.query(asked(query, "fa", "fb", fold(x), fold(y)))
					if err != nil {
						t.Fatal(err)
					}
					if a, b := folded(got), folded(want); !slices.Equal(a, b) {
						t.Fatalf("%s\nby collation %q\nfolded       %q", asked(query, "a", "b", x, y), a, b)
					}
				}
			})
		})
	}
}
