package stmttest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"stele/fe/stmt"
	"stele/fe/stmt/all"
	"stele/fe/stmt/mysql"
	"stele/meta/catalog"
	"stele/sql/parse"
	sqltypes "stele/sql/types"
)

// Parser returns one that knows every statement.
func Parser(t testing.TB) *parse.Parser {
	t.Helper()
	router, err := all.NewRouter()
	if err != nil {
		t.Fatal(err)
	}
	return parse.New(router)
}

// Run runs one statement of the registry or of MySQL's SHOWs.
func Run(e *stmt.Env, p *parse.Parser, sql string) (stmt.Result, error) {
	st, err := p.Parse(sql, 0)
	if err != nil {
		return stmt.Result{}, err
	}
	ctx := context.Background()
	if st.Admin != nil {
		return stmt.Run(ctx, e, st.Admin.ID, st.Admin.Args)
	}
	node := st.Node
	if x, ok := node.(*parse.ExplainStmt); ok {
		node = x.Stmt
	}
	show, ok := node.(*parse.ShowStmt)
	if !ok {
		return stmt.Result{}, fmt.Errorf("%T is no SHOW", node)
	}
	return mysql.Show(ctx, e, show)
}

// MustRun runs a statement that cannot fail.
func MustRun(t testing.TB, w *World, sql string) stmt.Result {
	t.Helper()
	r, err := Run(w.Env(), Parser(t), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return r
}

// MustTable finds a table of the database shop.
func MustTable(t testing.TB, w *World, name string) *catalog.Table {
	t.Helper()
	db, _ := w.Cat.Database("shop")
	tbl, ok := w.Cat.Table(db.ID, name)
	if !ok {
		t.Fatalf("no table %s", name)
	}
	return tbl
}

// Print writes a result as the golden files hold it.
func Print(r stmt.Result, err error) string {
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
			if cells[i] = stmt.CellText(v); v == nil {
				cells[i] = "NULL"
			}
		}
		b.WriteString(strings.Join(cells, "|") + "\n")
	}
	if r.Filter != (stmt.Filter{}) {
		fmt.Fprintf(&b, "filter %+v\n", r.Filter)
	}
	stmt.Batches(r.Columns, r.Rows) // panics when a value does not fit its column
	return b.String()
}

// Golden runs the statements of testdata/*.sql, one a line, each file in a cluster of its own, and compares with
// the .golden beside it.
func Golden(t *testing.T) {
	t.Helper()
	p := Parser(t)
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
			w := ShopWorld(t)
			var b strings.Builder
			for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
				if line == "" || line[0] == '#' {
					continue
				}
				r, err := Run(w.Env(), p, line)
				fmt.Fprintf(&b, "> %s\n%s\n", line, Print(r, err))
			}
			CheckFile(t, "testdata/"+name+".golden", b.String())
		})
	}
}

var update = flag.Bool("update", false, "write the generated files")

// CheckFile compares a generated text with its file, or writes it.
func CheckFile(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("%s is out of date: make gen, then read the difference\n%s", path, firstDifference(string(want), text))
	}
}

// firstDifference shows where two texts part.
func firstDifference(want, got string) string {
	i := 0
	for i < len(want) && i < len(got) && want[i] == got[i] {
		i++
	}
	from := max(0, i-200)
	return "want …" + want[from:min(len(want), i+200)] + "\ngot …" + got[from:min(len(got), i+200)]
}
