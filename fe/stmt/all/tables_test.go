package all_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"stele/fe/stmt"
	"stele/fe/stmt/stmttest"
)

// TestTables reads every system table, and every statement's table face, and checks that each row fits.
func TestTables(t *testing.T) {
	w := stmttest.ShopWorld(t)
	var b strings.Builder
	for _, table := range stmt.Tables() {
		if table.Name == "monitor" || table.Name == "memory" {
			continue // it measures this process
		}
		rows, err := table.Rows(context.Background(), w.Env())
		if err != nil {
			t.Errorf("%s.%s: %v", table.Database, table.Name, err)
			continue
		}
		n := 0
		for _, batch := range stmt.Batches(table.Columns, rows) {
			n += batch.Rows()
		}
		if n != len(rows) {
			t.Errorf("%s.%s: %d rows in batches of %d", table.Database, table.Name, len(rows), n)
		}
		shown := rows
		if len(rows) > 60 {
			shown = rows[:0:0]
			for _, r := range rows { // of the schema of the system, keep what is about users' tables
				if strings.Contains(fmt.Sprint(r...), "shop") {
					shown = append(shown, r)
				}
			}
		}
		if table.Name != "frontend_config" && table.Name != "cluster_variables" {
			fmt.Fprintf(&b, "> %s.%s\n%s\n", table.Database, table.Name, stmttest.Print(stmt.Result{Columns: table.Columns, Rows: shown}, nil))
		}
	}
	stmttest.CheckFile(t, "testdata/tables.golden", b.String())
}
