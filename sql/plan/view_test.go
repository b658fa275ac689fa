package plan

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"stele/meta/catalog"
	"stele/meta/types"
	ast "stele/sql/parse"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
)

// TestViews makes views and shows how statements over them are planned. Its directives: view (CREATE OR REPLACE VIEW, prints what
// is kept), plan (a statement, prints its plan), columns (a view by name).
func TestViews(t *testing.T) {
	ctx, f := newContext()
	createAll(t, ctx, f, "testdata/schema.sql")
	datadriven.RunTest(t, "testdata/views.txt", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "view":
			return f.defineView(ctx, d.Input)
		case "columns":
			v, _ := f.View("test", strings.TrimSpace(d.Input))
			cols, err := ViewColumns(ctx, ViewUse{"test", v})
			if err != nil {
				return errorText(err)
			}
			var b strings.Builder
			for i := range cols {
				null := ""
				if cols[i].Type.NotNull {
					null = " NOT NULL"
				}
				b.WriteString(syntax.QuoteName(cols[i].Name) + " " + sqltypes.TypeName(cols[i].Type) + null + "\n")
			}
			return b.String()
		}
		return planText(ctx, d.Input)
	})
}

// defineView makes or replaces a view as the FE would.
func (f *fakeCatalog) defineView(ctx *Context, sql string) string {
	st, err := ast.Parse(sql, 0)
	if err != nil {
		return "parse: " + err.Error() + "\n"
	}
	n := st.Node.(*ast.CreateViewStmt)
	var replaced types.TableID
	old, ok := f.View("test", n.ViewName.Name.O)
	if ok {
		replaced = old.ID
	}
	v, err := DefineView(ctx, n, replaced)
	if err != nil {
		return errorText(err)
	}
	v.Name = n.ViewName.Name.O
	if v.Check = map[string]catalog.ViewCheck{"LOCAL": catalog.CheckLocal, "CASCADED": catalog.CheckCascaded}[st.View.Check]; ok {
		v.ID = old.ID
		*old = *v
	} else {
		v.ID = types.TableID(1000 + len(f.views))
		f.views = append(f.views, v)
	}
	text := strings.Join(v.Columns, ", ") + "\n" + v.Query + "\n"
	if short, ok := ast.WithoutDatabase(v.Query, "test"); ok {
		text += short + "\n"
	}
	return text
}
