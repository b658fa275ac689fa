package e2e

import (
	"encoding/json"
	"regexp"
	"slices"
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

// TestSecondaryKeySkips: EXPLAIN names the columns by whose key a scan skips, also of a key that came later and until it goes.
func TestSecondaryKeySkips(t *testing.T) {
	db := uniqueDatabase(t, "key_skips")
	mustExec(t, db, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), w INT, KEY by_v (v))")
	mustExec(t, db, "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)")
	explain := func(want string) {
		t.Helper()
		rows, err := cluster.ReadTable(t.Context(), db, "EXPLAIN SELECT id FROM t WHERE v = 'b' AND w = 2 AND id > 0")
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, r := range rows.Rows {
			text += r[0] + "\n"
		}
		if got := strings.Contains(text, "skip_by_key="); !strings.Contains(text, want) || got != (want != "") {
			t.Errorf("no %q in\n%s", want, text)
		}
		if rows, err := cluster.ReadTable(t.Context(), db, "SELECT id FROM t WHERE v = 'b' AND w = 2 AND id > 0"); err != nil || len(rows.Rows) != 1 || rows.Rows[0][0] != "2" {
			t.Errorf("%v %v", rows.Rows, err)
		}
	}
	explain("skip_by_key=[v]")
	mustExec(t, db, "CREATE INDEX by_w ON t (w)")
	explain("skip_by_key=[v w]")
	mustExec(t, db, "INSERT INTO t VALUES (4, 'd', 4)")
	mustExec(t, db, "DROP INDEX by_v ON t")
	explain("skip_by_key=[w]")
	mustExec(t, db, "ALTER TABLE t DROP INDEX by_w")
	explain("")
}

var did = regexp.MustCompile(` \((rows=\d+ time=\d+\.\d{3}ms( runs=\d+)?|never run)\)$`)

// TestExplainJSON: tools that draw plans find the tables of a statement where MySQL has them.
func TestExplainJSON(t *testing.T) {
	db := uniqueDatabase(t, "explain_json")
	mustExec(t, db, "CREATE TABLE t (id INT PRIMARY KEY, g INT, u INT UNIQUE)")
	for sql, want := range map[string][]explainedTable{
		"SELECT 1":                          nil,
		"SELECT g FROM t":                   {{Name: "t", Access: "ALL"}},
		"SELECT g FROM t WHERE id = 5":      {{Name: "t", Access: "const", Key: "PRIMARY", Condition: "(id = 5)"}},
		"SELECT id FROM t WHERE u = 5":      {{Name: "t", Access: "const", Key: "u", Condition: "(u = 5)"}},
		"UPDATE t SET g = 1 WHERE id < 3":   {{Name: "t", Access: "ALL", Condition: "(id < 3)"}},
		"INSERT INTO t SELECT * FROM t":     {{Name: "t", Access: "ALL"}},
		"INSERT INTO t VALUES (1, 2, 3)":    nil,
		"SELECT * FROM t JOIN t x USING(g)": {{Name: "t", Access: "ALL"}, {Name: "t", Access: "ALL"}},
	} {
		var text string
		if err := db.QueryRowContext(t.Context(), "EXPLAIN FORMAT=JSON "+sql).Scan(&text); err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		var got struct {
			Block struct {
				Select    int                              `json:"select_id"`
				Table     *explainedTable                  `json:"table"`
				Joined    []struct{ Table explainedTable } `json:"nested_loop"`
				Operators []string                         `json:"operators"`
			} `json:"query_block"`
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.Block.Select != 1 || len(got.Block.Operators) == 0 {
			t.Errorf("%s: %v in %s", sql, err, text)
		}
		var tables []explainedTable
		if got.Block.Table != nil {
			tables = append(tables, *got.Block.Table)
		}
		for _, j := range got.Block.Joined {
			tables = append(tables, j.Table)
		}
		if !slices.Equal(tables, want) {
			t.Errorf("%s: %v in %s", sql, tables, text)
		}
	}
}

// explainedTable is a table in EXPLAIN FORMAT=JSON.
type explainedTable struct {
	Name      string `json:"table_name"`
	Access    string `json:"access_type"`
	Key       string `json:"key"`
	Condition string `json:"attached_condition"`
}
