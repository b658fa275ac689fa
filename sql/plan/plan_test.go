package plan

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// fakeCatalog is a catalog of one test.
type fakeCatalog struct {
	tables []*catalog.Table
	views  []*catalog.View
	next   uint64
}

func (f *fakeCatalog) Database(name string) (*catalog.Database, bool) {
	if name == "test" || name == "tpch" {
		return &catalog.Database{ID: 1, Name: name}, true
	}
	return nil, false
}

func (f *fakeCatalog) Table(db, name string) (*catalog.Table, bool) {
	if _, ok := f.Database(db); !ok {
		return nil, false
	}
	for _, t := range f.tables {
		if strings.EqualFold(t.Name, name) {
			return t, true
		}
	}
	return nil, false
}

func (f *fakeCatalog) View(db, name string) (*catalog.View, bool) {
	for _, v := range f.views {
		if _, ok := f.Database(db); ok && v.Name == name {
			return v, true
		}
	}
	return nil, false
}

func (f *fakeCatalog) Public(db, name string) (*catalog.Table, bool) { return f.Table(db, name) }

func (f *fakeCatalog) DatabaseByID(types.DatabaseID) (*catalog.Database, bool) {
	return f.Database("test")
}

func (f *fakeCatalog) ReadBy(*catalog.View, ast.Node) (Snapshot, error) { return f, nil }

func (f *fakeCatalog) TableByID(id types.TableID) (*catalog.Table, bool) {
	for _, t := range f.tables {
		if t.ID == id {
			return t, true
		}
	}
	return nil, false
}

// DefineTable works out a CREATE TABLE. Package define does, which imports this one: define_test.go, outside of the package, sets it.
var DefineTable func(*Context, ast.Statement) (catalog.Table, error)

// create adds a table as the FE would.
func (f *fakeCatalog) create(ctx *Context, sql string) (*catalog.Table, error) {
	st, err := ast.Parse(sql, 0)
	if err != nil {
		return nil, err
	}
	t, err := DefineTable(ctx, st)
	if err != nil {
		return nil, err
	}
	t.ID = types.TableID(len(f.tables) + 1)
	t.Schema.TableID = t.ID
	for i := range t.Parts {
		t.Parts[i].ID = types.PartitionID(len(f.tables)*100 + i + 1)
		for range t.Buckets {
			f.next++
			t.Parts[i].Tablets = append(t.Parts[i].Tablets, types.TabletID(f.next))
		}
	}
	f.tables = append(f.tables, &t)
	return &t, nil
}

// fixedStats gives row counts by table name.
type fixedStats struct {
	f    *fakeCatalog
	rows map[string]int64
}

func (s fixedStats) Rows(id types.TableID) int64 {
	t, _ := s.f.TableByID(id)
	return s.rows[t.Name]
}

// tpchRows are the sizes at scale factor 1.
var tpchRows = map[string]int64{"region": 5, "nation": 25, "supplier": 10000, "customer": 150000, "part": 200000,
	"partsupp": 800000, "orders": 1500000, "lineitem": 6001215}

// newContext makes a context over an empty catalog, at 2024-05-06 07:08:09.123456 UTC.
func newContext() (*Context, *fakeCatalog) {
	f := &fakeCatalog{}
	return &Context{Catalog: f, CurrentDB: "test", NowMicros: 1714979289123456, User: "root@localhost", Version: "8.0.33-stele",
		ConnectionID: 7, LastInsertID: 42, Stats: fixedStats{f, tpchRows},
		Vars: func(name string) (expr.Value, types.ColumnType, bool) {
			if name == "@@autocommit" || name == "@@session.autocommit" {
				return expr.Value{I: 1}, types.ColumnType{Kind: types.KindBigInt}, true
			}
			return expr.Value{}, types.ColumnType{}, false
		},
		System: func(db, table string) ([]physical.OutColumn, bool) {
			if db != "information_schema" || !strings.EqualFold(table, "tables") {
				return nil, false
			}
			text := types.ColumnType{Kind: types.KindVarChar, Length: 64}
			return []physical.OutColumn{{Name: "TABLE_SCHEMA", Type: text}, {Name: "TABLE_NAME", Type: text}}, true
		}}, f
}

// createAll runs the CREATE TABLE statements of a file.
func createAll(t testing.TB, ctx *Context, f *fakeCatalog, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for sql := range strings.SplitSeq(string(raw), ";\n") {
		if strings.TrimSpace(sql) == "" {
			continue
		}
		if _, err := f.create(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// planText plans a statement and shows the plan, or the error as a client sees it.
func planText(ctx *Context, sql string) string {
	st, err := ast.Parse(sql, 0)
	if err != nil {
		return "parse: " + err.Error() + "\n"
	}
	lines, err := explainStatement(ctx, st)
	if err != nil {
		return errorText(err)
	}
	return strings.Join(lines, "\n") + "\n"
}

func errorText(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return fmt.Sprintf("error %d (%s): %s\n", e.Code, e.State, e.Msg)
	}
	return "error: " + err.Error() + "\n"
}

func TestTPCH(t *testing.T) {
	ctx, f := newContext()
	createAll(t, ctx, f, "testdata/tpch/schema.sql")
	datadriven.RunTest(t, "testdata/tpch.txt", func(t *testing.T, d *datadriven.TestData) string {
		sql, err := os.ReadFile(filepath.Join("testdata/tpch", d.Cmd+".sql"))
		if err != nil {
			t.Fatal(err)
		}
		out := planText(ctx, string(sql))
		if strings.HasPrefix(out, "error") || strings.HasPrefix(out, "parse") {
			t.Errorf("%s: %s", d.Cmd, out)
		}
		return out
	})
}

// TestColumnFlags: clients hear of the keys and defaults of stored columns, and of nothing of what is computed.
func TestColumnFlags(t *testing.T) {
	ctx, f := newContext()
	if _, err := f.create(ctx, "CREATE TABLE k (id BIGINT AUTO_INCREMENT PRIMARY KEY, u INT UNIQUE, a INT NOT NULL, b INT, e ENUM('x'), s SET('x'), bits BIT(9), "+
		"ts TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, KEY (a, b), UNIQUE KEY (b, a))"); err != nil {
		t.Fatal(err)
	}
	st, err := ast.Parse("SELECT id, u, a, b, e, s, bits, ts, id + 1 FROM k AS q", 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Select(ctx, st.Node)
	if err != nil {
		t.Fatal(err)
	}
	want := []uint16{physical.FlagPrimaryKey | physical.FlagAutoIncrement, physical.FlagUniqueKey, physical.FlagMultipleKey | physical.FlagNoDefault,
		physical.FlagMultipleKey, physical.FlagEnum, physical.FlagSet, 0, physical.FlagOnUpdateNow, 0}
	for i, c := range p.Schema {
		base := "k"
		if i == len(want)-1 {
			base = ""
		}
		if c.Flags != want[i] || c.BaseTable != base || c.Bits != map[bool]int32{true: 9}[i == 6] {
			t.Errorf("%s: flags %d of table %q, %d bits; want %d", c.Name, c.Flags, c.BaseTable, c.Bits, want[i])
		}
	}
}

// TestStrictCasts: a cast that fails is an error within a strict write, and NULL or 0 elsewhere.
func TestStrictCasts(t *testing.T) {
	for _, c := range []struct {
		mode, sql string
		fails     bool
	}{
		{"STRICT_TRANS_TABLES", "INSERT INTO c VALUES (1, CAST('x' AS DATE))", true},
		{"STRICT_TRANS_TABLES", "INSERT INTO c VALUES (CAST('1x' AS SIGNED), NULL)", true},
		{"STRICT_TRANS_TABLES", "INSERT IGNORE INTO c VALUES (1, CAST('x' AS DATE))", false},
		{"", "INSERT INTO c VALUES (1, CAST('x' AS DATE))", false},
		{"STRICT_TRANS_TABLES", "INSERT INTO c VALUES (1, CAST('2020-01-02' AS DATE))", false},
	} {
		ctx, f := newContext()
		ctx.SQLMode = c.mode
		if _, err := f.create(ctx, "CREATE TABLE c (id INT PRIMARY KEY, d DATE)"); err != nil {
			t.Fatal(err)
		}
		st, err := ast.Parse(c.sql, 0)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Insert(ctx, st.Node.(*ast.InsertStmt))
		if err == nil && p.Source != nil { // an error of a constant waits for the execution
			var prog *expr.Program
			for _, x := range p.Source.Values.Rows[0] {
				if prog, err = expr.Compile(x, expr.Context{}); err != nil {
					break
				}
				if _, err = prog.Eval(&vec.Batch{N: 1}); err != nil {
					break
				}
			}
		}
		if e, ok := sqltypes.AsError(err); c.fails != (ok && e.Code == 1292) || !c.fails && err != nil {
			t.Errorf("%s with %q: %v", c.sql, c.mode, err)
		}
	}
}
