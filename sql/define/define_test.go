package define

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/parse"
	"stele/sql/plan"
	sqltypes "stele/sql/types"
)

// fakeCatalog is one database with the tables that a test has made.
type fakeCatalog struct {
	plan.Snapshot // views: there are none
	tables        []*catalog.Table
}

func (f *fakeCatalog) Database(name string) (*catalog.Database, bool) {
	return &catalog.Database{ID: 1, Name: "test"}, name == "test"
}

func (f *fakeCatalog) DatabaseByID(types.DatabaseID) (*catalog.Database, bool) {
	return f.Database("test")
}

func (f *fakeCatalog) View(string, string) (*catalog.View, bool) { return nil, false }

func (f *fakeCatalog) Table(db, name string) (*catalog.Table, bool) {
	for _, t := range f.tables {
		if db == "test" && strings.EqualFold(t.Name, name) {
			return t, true
		}
	}
	return nil, false
}

func (f *fakeCatalog) Public(db, name string) (*catalog.Table, bool) { return f.Table(db, name) }

func (f *fakeCatalog) TableByID(id types.TableID) (*catalog.Table, bool) {
	if id < 1 || int(id) > len(f.tables) {
		return nil, false
	}
	return f.tables[id-1], true
}

// strict is the default sql_mode.
const strict = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO"

// newContext makes a context over an empty catalog, at 2024-05-06 07:08:09.123456 UTC.
func newContext() (*Context, *fakeCatalog) {
	f := &fakeCatalog{}
	return &Context{Context: &plan.Context{Catalog: f, CurrentDB: "test", SQLMode: strict, NowMicros: 1714979289123456}}, f
}

// create works out a CREATE TABLE and adds the table.
func (f *fakeCatalog) create(ctx *Context, sql string) (*Spec, error) {
	st, err := parse.Parse(sql, 0)
	if err != nil {
		return nil, err
	}
	spec, err := CreateTable(ctx, st.Node.(*parse.CreateTableStmt), st.Tail, Defaults{Replicas: 3, Buckets: 2})
	if err != nil {
		return nil, err
	}
	t := spec.Table
	t.ID, t.DatabaseID = types.TableID(len(f.tables)+1), 1
	t.Unique = slices.Clone(t.Unique)
	for i := range t.Unique {
		if t.Unique[i].Unique {
			t.Unique[i].Index = t.ID*100 + types.TableID(i) // its hidden table
		}
	}
	f.tables = append(f.tables, &t)
	return spec, nil
}

// TestCreate makes the tables of testdata. What SHOW CREATE TABLE prints of each has to make the same table.
func TestCreate(t *testing.T) {
	for _, file := range []string{"create", "tables"} {
		t.Run(file, func(t *testing.T) {
			ctx, f := newContext()
			datadriven.RunTest(t, "testdata/"+file+".txt", func(t *testing.T, d *datadriven.TestData) string {
				if d.Cmd != "create" {
					d.Fatalf(t, "unknown command %s", d.Cmd)
				}
				return createText(ctx, f, d.Input)
			})
		})
	}
}

// createText creates a table and shows it.
func createText(ctx *Context, f *fakeCatalog, sql string) string {
	spec, err := f.create(ctx, sql)
	if err != nil {
		return errorText(err)
	}
	out := ShowCreateTable(f, &spec.Table)
	_, empty := newContext()
	again, err := empty.create(ctx, strings.TrimSuffix(out, ";"))
	if err != nil {
		return out + "\nNOT READ BACK: " + err.Error() + "\n"
	}
	if second := ShowCreateTable(f, &again.Table); second != out {
		return out + "\nREAD BACK AS: " + second + "\n"
	}
	out = strings.ReplaceAll(out, " \n", "_\n") // trailing blanks are part of the format; show them
	if spec.AutoIncrement > 0 {
		out += fmt.Sprintf("\nauto_increment from %d", spec.AutoIncrement)
	}
	for _, n := range spec.Notes {
		out += "\nnote: " + n
	}
	return out + "\n"
}

// TestAlter changes the tables of testdata, each as "create" made it: which lines of SHOW CREATE TABLE go and come, and what has to be done
// with rows for that.
func TestAlter(t *testing.T) {
	ctx, f := newContext()
	datadriven.RunTest(t, "testdata/alter.txt", func(t *testing.T, d *datadriven.TestData) string {
		if d.Cmd == "create" {
			if _, err := f.create(ctx, d.Input); err != nil {
				return errorText(err)
			}
			return ""
		}
		return alterText(ctx, f, d.Input)
	})
}

// alterText shows what a statement makes of a table.
func alterText(ctx *Context, f *fakeCatalog, sql string) string {
	st, err := parse.Parse(sql, 0)
	if err != nil {
		return "parse: " + err.Error() + "\n"
	}
	var c *Change
	switch n := st.Node.(type) {
	case *parse.AlterTableStmt:
		if err := RefusedAlter(n); err != nil {
			return errorText(err)
		}
		t, _ := f.Table("test", n.Table.Name.O)
		c, err = AlterTable(ctx, t, n)
	case *parse.CreateIndexStmt:
		t, _ := f.Table("test", n.Table.Name.O)
		c, err = CreateIndex(ctx, t, n)
	case *parse.DropIndexStmt:
		t, _ := f.Table("test", n.Table.Name.O)
		c, err = DropIndex(ctx, t, n)
	}
	switch {
	case err != nil:
		return errorText(err)
	case c.Idle():
		return "nothing to do\n"
	}
	out := changedLines(ShowCreateTable(f, c.From), ShowCreateTable(f, c.To))
	for _, fact := range []struct {
		is   bool
		text string
	}{
		{c.Rewrites(), "rows are written anew: " + c.rewrites}, {c.ReadsRows(), "rows are read"}, {c.unfilled != nil, fmt.Sprintf("no row may be there: %v", c.unfilled)},
		{len(c.Built()) > 0, fmt.Sprintf("unique keys are made: %v", c.Built())}, {len(c.Referring) > 0, fmt.Sprintf("rows have to have parents: %v", c.Referring)},
		{c.Columns, "columns change"}, {c.AutoIncrement > 0, fmt.Sprintf("auto_increment from %d", c.AutoIncrement)},
	} {
		if fact.is {
			out += fact.text + "\n"
		}
	}
	for _, n := range c.Notes {
		out += "note: " + n + "\n"
	}
	return out
}

// changedLines are the lines that one of two texts lacks. One that has moved is in neither.
func changedLines(from, to string) string {
	old, fresh := strings.Split(strings.ReplaceAll(from, ",\n", "\n"), "\n"), strings.Split(strings.ReplaceAll(to, ",\n", "\n"), "\n")
	out := ""
	for _, side := range []struct {
		mark        string
		lines, rest []string
	}{{"-", old, fresh}, {"+", fresh, old}} {
		for _, line := range side.lines {
			if !slices.Contains(side.rest, line) {
				out += side.mark + " " + strings.TrimSpace(line) + "\n"
			}
		}
	}
	return out
}

func errorText(err error) string {
	if e, ok := sqltypes.AsError(err); ok {
		return fmt.Sprintf("error %d (%s): %s\n", e.Code, e.State, e.Msg)
	}
	return "error: " + err.Error() + "\n"
}
