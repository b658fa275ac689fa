package parse

import "testing"

// TestDefaultExpressions reads DEFAULT (expression) as a default, and nothing else so.
func TestDefaultExpressions(t *testing.T) {
	kinds := func(sql string) (defaults, generated int) {
		st, err := Parse(sql, 0)
		if err != nil {
			return -1, -1
		}
		var cols []*ColumnDef
		switch n := st.Node.(type) {
		case *CreateTableStmt:
			cols = n.Cols
		case *AlterTableStmt:
			cols = n.Specs[0].NewColumns
		}
		for _, c := range cols {
			for _, o := range c.Options {
				switch o.Tp {
				case ColumnOptionDefaultValue:
					defaults++
				case ColumnOptionGenerated:
					generated++
				}
			}
		}
		return defaults, generated
	}
	for _, c := range []struct {
		sql                 string
		defaults, generated int
	}{
		{"CREATE TABLE t (a INT, b INT DEFAULT (a + 1) NOT NULL)", 1, 0},
		{"ALTER TABLE t ADD COLUMN b INT DEFAULT (a + 1)", 1, 0},
		{"CREATE TABLE t (a INT, b INT AS (a + 1))", 0, 1},
		{"CREATE TABLE t (a INT, b INT AS (a + 1) DEFAULT (3))", 1, 1},
		{"CREATE TABLE t (a INT, b INT AS (a + 1) STORED DEFAULT (3))", 1, 1},
		{"CREATE TABLE t (a INT, b INT DEFAULT (a + 1) STORED)", -1, -1},
		{"CREATE TABLE t (`default` INT, b INT CHECK (DEFAULT (`default`) > 0))", 0, 0},
	} {
		if d, g := kinds(c.sql); d != c.defaults || g != c.generated {
			t.Errorf("%s: %d defaults, %d generated; want %d and %d", c.sql, d, g, c.defaults, c.generated)
		}
	}
}
