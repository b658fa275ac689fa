package parse

import (
	"strings"
	"testing"

	"stele/sql/syntax"
)

// TestViewForms: forms of view definitions that the MySQL parser does not take, and statements that only look like one.
func TestViewForms(t *testing.T) {
	for _, c := range []struct {
		sql         string
		alter       bool
		check       string
		name, query string // query as RestoreQuery writes it
	}{
		{"CREATE VIEW v AS SELECT 1 AS a", false, "", "v", "select 1 as `a`"},
		{"alter view d.v as select 1 as a with check option", true, "CASCADED", "v", "select 1 as `a`"},
		{"CREATE OR REPLACE ALGORITHM=MERGE DEFINER='a'@'%' SQL SECURITY INVOKER VIEW v AS SELECT a FROM t WITH LOCAL CHECK OPTION", false, "LOCAL", "v",
			"select `a` from `t`"},
		{"ALTER ALGORITHM = TEMPTABLE DEFINER = CURRENT_USER VIEW view (a) AS (SELECT 1) WITH CASCADED CHECK OPTION", true, "CASCADED", "view", "(select 1)"},
		{"/*!50001 CREATE ALGORITHM=UNDEFINED */ /*!50013 DEFINER=`root`@`%` SQL SECURITY DEFINER */ /*!50001 VIEW `v` AS select 1 AS `a` WITH CASCADED CHECK OPTION */",
			false, "CASCADED", "v", "select 1 as `a`"},
		{"CREATE VIEW v AS SELECT `check` `option` FROM t", false, "", "v", "select `check` as `option` from `t`"},
	} {
		st, err := Parse(c.sql, 0)
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		n, ok := st.Node.(*CreateViewStmt)
		if !ok || st.View == nil || st.View.Alter != c.alter || st.View.Check != c.check || n.ViewName.Name.O != c.name || st.Text != c.sql {
			t.Errorf("%s: %T %+v", c.sql, st.Node, st.View)
			continue
		}
		if text, err := RestoreQuery(n.Select); err != nil || text != c.query {
			t.Errorf("%s: %q, %v, want %q", c.sql, text, err, c.query)
		}
	}
	for _, sql := range []string{"ALTER DATABASE view CHARACTER SET utf8mb4", "CREATE TABLE view (a INT)", "CREATE DATABASE view", "DROP VIEW v", "ALTER USER view ACCOUNT LOCK"} {
		if st, err := Parse(sql, 0); err != nil || st.View != nil {
			t.Errorf("%s: %+v, %v", sql, st.View, err)
		}
	}
	for _, sql := range []string{"CREATE VIEW v AS SELECT 1 CHECK OPTION", "ALTER VIEW v", "CREATE VIEW v AS SELECT ? +", "CREATE OR VIEW"} {
		if _, err := Parse(sql, 0); err == nil {
			t.Errorf("%s is taken", sql)
		}
	}
}

// TestQueryText: what RestoreQuery writes under any sql_mode means the same when it is read again.
func TestQueryText(t *testing.T) {
	for _, c := range []struct {
		sql  string
		mode syntax.Mode
	}{
		{`SELECT 'a\nb', "it's", '50\%'`, 0},
		{`SELECT 'a\b', "c" FROM "t"`, syntax.AnsiQuotes | syntax.NoBackslashEscapes},
		{"SELECT a || b FROM t", syntax.PipesAsConcat},
		{"SELECT NOT a BETWEEN 1 AND 2, - -1, !a, a - (b - c), x'4142', 1e10, 1.50, DATE '2020-01-02' FROM t", 0},
		{"SELECT NOT a BETWEEN 1 AND 2 FROM t", syntax.HighNotPrecedence},
		{"SELECT a, COUNT(DISTINCT b), GROUP_CONCAT(c ORDER BY d DESC SEPARATOR ';') FROM t GROUP BY a WITH ROLLUP", 0},
		{"SELECT CAST(a AS DECIMAL(10,2)), CONVERT(b, CHAR(3)), EXTRACT(YEAR FROM c), TRIM(LEADING 'x' FROM d), a->'$.b', a DIV 2 FROM t", 0},
		{"(SELECT a FROM t LIMIT 2) UNION ALL (SELECT b FROM u ORDER BY b LIMIT 1) ORDER BY 1 LIMIT 3, 4", 0},
	} {
		st, err := Parse(c.sql, c.mode)
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		text, err := RestoreQuery(st.Node)
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		n, err := ParseQuery(text)
		if err != nil {
			t.Errorf("%s: %s: %v", c.sql, text, err)
			continue
		}
		want, _ := Restore(st.Node)
		if got, _ := Restore(n); !strings.EqualFold(got, want) {
			t.Errorf("%s: %s is read as %s, want %s", c.sql, text, got, want)
		}
	}
}
