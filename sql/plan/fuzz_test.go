package plan

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ast "stele/sql/parse"
)

// FuzzPlan plans whatever parses: a plan must be sound (checkPlan), an error must be an error and not a panic.
func FuzzPlan(f *testing.F) {
	for _, name := range []string{"select", "subquery", "dml"} {
		raw, err := os.ReadFile("testdata/" + name + ".txt")
		if err != nil {
			f.Fatal(err)
		}
		for block := range strings.SplitSeq(string(raw), "\n\n") {
			if sql, ok := strings.CutPrefix(block, "plan\n"); ok {
				sql, _, _ = strings.Cut(sql, "\n----")
				f.Add(sql)
			}
		}
	}
	queries, err := filepath.Glob("testdata/tpch/q*.sql")
	if err != nil || len(queries) != 22 {
		f.Fatalf("%d TPC-H queries, %v", len(queries), err)
	}
	for _, path := range queries {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
	}
	ctx, cat := newContext()
	ctx.SQLMode = defaultMode
	createAll(f, ctx, cat, "testdata/tpch/schema.sql")
	createAll(f, ctx, cat, "testdata/schema.sql")
	f.Fuzz(func(t *testing.T, sql string) {
		st, err := ast.Parse(sql, 0)
		if err != nil || st.Node == nil {
			return
		}
		var e *Error
		if _, err := explainStatement(ctx, st); err != nil && !errors.As(err, &e) {
			t.Fatalf("%s: %v", sql, err)
		}
	})
}
