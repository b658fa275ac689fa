package e2e

import (
	"regexp"
	"strings"
	"testing"

	"stele/tests/cluster"
)

// TestExplainAnalyze: every operator says what it has done.
func TestExplainAnalyze(t *testing.T) {
	db := uniqueDatabase(t, "explain_analyze")
	mustExec(t, db, "CREATE TABLE t (id INT PRIMARY KEY, g INT, u INT UNIQUE)")
	mustExec(t, db, "INSERT INTO t VALUES (1, 1, 10), (2, 1, 20), (3, 2, 30)")
	for sql, want := range map[string][]string{
		"SELECT x.g, COUNT(*) FROM t x JOIN t y ON x.g = y.g GROUP BY x.g":                                     {"rows=2 ", "rows=5 "},
		"SELECT * FROM t WHERE u = 20":                                                                         {"rows=1 ", "via=u(1)"},
		"WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n + 1 FROM r WHERE n < 4) SELECT * FROM r":           {"rows=4 ", "runs=4"},
		"SELECT 1 FROM t WHERE FALSE UNION ALL SELECT id FROM t WHERE EXISTS (SELECT 1 FROM t z WHERE z.u=30)": {"rows=3 "},
	} {
		rows, err := cluster.ReadTable(t.Context(), db, "EXPLAIN ANALYZE "+sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		var text []string
		for _, r := range rows.Rows {
			text = append(text, r[0])
			if line := strings.TrimSpace(r[0]); !strings.HasPrefix(line, "|") && !did.MatchString(line) {
				t.Errorf("%s: %q does not say what it did", sql, line)
			}
		}
		all := strings.Join(text, "\n")
		for _, w := range want {
			if !strings.Contains(all, w) {
				t.Errorf("%s: no %q in\n%s", sql, w, all)
			}
		}
	}
}

var did = regexp.MustCompile(` \((rows=\d+ time=\d+\.\d{3}ms( runs=\d+)?|never run)\)$`)
