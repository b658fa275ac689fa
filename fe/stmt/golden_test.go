package stmt

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"stele/sql/parse"
	sqltypes "stele/sql/types"
)

// run runs one statement of the registry or of MySQL's SHOWs.
func run(e *Env, p *parse.Parser, sql string) (Result, error) {
	st, err := p.Parse(sql, 0)
	if err != nil {
		return Result{}, err
	}
	ctx := context.Background()
	if st.Admin != nil {
		return Run(ctx, e, st.Admin.ID, st.Admin.Args)
	}
	node := st.Node
	if x, ok := node.(*parse.ExplainStmt); ok {
		node = x.Stmt
	}
	show, ok := node.(*parse.ShowStmt)
	if !ok {
		return Result{}, fmt.Errorf("%T is no SHOW", node)
	}
	return Show(ctx, e, show)
}

// print writes a result as the golden files hold it.
func print(r Result, err error) string {
	var b strings.Builder
	if err != nil {
		if e, ok := sqltypes.AsError(err); ok {
			return fmt.Sprintf("ERROR %d (%s): %s\n", e.Code, e.State, e.Msg)
		}
		return "ERROR: " + err.Error() + "\n"
	}
	if r.Columns == nil {
		return strings.TrimSpace(fmt.Sprintf("OK, %d rows affected %s", r.Affected, r.Info)) + "\n"
	}
	names := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		names[i] = c.Name
	}
	b.WriteString(strings.Join(names, "|") + "\n")
	for _, row := range r.Rows {
		cells := make([]string, len(row))
		for i, v := range row {
			if cells[i] = cellText(v); v == nil {
				cells[i] = "NULL"
			}
		}
		b.WriteString(strings.Join(cells, "|") + "\n")
	}
	if r.Filter != (Filter{}) {
		fmt.Fprintf(&b, "filter %+v\n", r.Filter)
	}
	Batches(r.Columns, r.Rows) // panics when a value does not fit its column
	return b.String()
}

// TestGolden runs the statements of testdata/*.sql, one a line, each file in a cluster of its own, and compares with
// the .golden beside it.
func TestGolden(t *testing.T) {
	router, err := NewRouter()
	if err != nil {
		t.Fatal(err)
	}
	parser := parse.New(router)
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".sql")
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile("testdata/" + f.Name())
			if err != nil {
				t.Fatal(err)
			}
			w := shopWorld(t)
			var b strings.Builder
			for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
				if line == "" || line[0] == '#' {
					continue
				}
				r, err := run(w.env(), parser, line)
				fmt.Fprintf(&b, "> %s\n%s\n", line, print(r, err))
			}
			checkFile(t, "testdata/"+name+".golden", b.String())
		})
	}
}

// TestTables reads every system table, and every statement's table face, and checks that each row fits.
func TestTables(t *testing.T) {
	w := shopWorld(t)
	var b strings.Builder
	for _, table := range Tables() {
		if table.Name == "monitor" || table.Name == "memory" {
			continue // it measures this process
		}
		rows, err := table.Rows(context.Background(), w.env())
		if err != nil {
			t.Errorf("%s.%s: %v", table.Database, table.Name, err)
			continue
		}
		n := 0
		for _, batch := range Batches(table.Columns, rows) {
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
			fmt.Fprintf(&b, "> %s.%s\n%s\n", table.Database, table.Name, print(Result{Columns: table.Columns, Rows: shown}, nil))
		}
	}
	checkFile(t, "testdata/tables.golden", b.String())
}
