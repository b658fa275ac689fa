package plan

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/vec"
)

// drawPointWrite draws an UPDATE or DELETE of one row, or nearly one.
func drawPointWrite(t *rapid.T) string {
	pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	value := func(name string) string {
		if rapid.IntRange(0, 5).Draw(t, "plain "+name) > 0 {
			return map[bool]string{true: pick(name, "'abc'", "'x'"), false: pick(name, "1", "7", "99")}[strings.HasSuffix(name, " text")]
		}
		return pick(name, "1", "7", "0", "99", "128", "70000", "'abc'", "'longer than twenty letters'", "''", "'1'", "NULL", "TRUE", "1.0", "-1", "x'31'", "'é'", "DEFAULT", "n + 1")
	}
	table := pick("table", "a", "b", "c")
	key := map[string][]string{"a": {"id"}, "b": {"y", "x"}, "c": {"k", "m"}}[table]
	columns := map[string][]string{"a": {"id", "v", "n"}, "b": {"v", "x", "y"}, "c": {"k", "m", "v"}}[table]
	kind := map[string]string{"y": " text"}
	if table == "a" {
		kind["v"] = " text"
	}
	var terms []string
	for _, k := range key {
		terms = append(terms, k+pick("op", " = ", " = ", " = ", " < ")+value(k+kind[k]))
	}
	where := " WHERE " + strings.Join(terms, " AND ") + pick("tail", "", "", "", " LIMIT 1", ";")
	if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
		return "DELETE FROM " + pick("name", table, "test."+table) + where
	}
	var sets []string
	for range rapid.IntRange(1, 2).Draw(t, "sets") {
		column := rapid.SampledFrom(columns).Draw(t, "column")
		sets = append(sets, column+" = "+value(column+kind[column]))
	}
	return "UPDATE " + pick("ignore", "", "", "", "", "", "IGNORE ") + pick("name", table, "`"+table+"`") + " SET " + strings.Join(sets, ", ") + where
}

// TestPointWriteAgreesWithUpdate holds every point plan against the general plan of the same text: the same tablet, key and
// columns, and values that need no conversion.
func TestPointWriteAgreesWithUpdate(t *testing.T) {
	ctx, f := newContext()
	for _, sql := range pointTables {
		if _, err := f.create(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	updates, deletes := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		sql := drawPointWrite(t)
		_, values, ok := ast.PointWriteText(nil, nil, sql)
		if !ok {
			return
		}
		st, err := ast.Parse(sql, 0)
		if err != nil {
			return
		}
		p, ok := PointUpdate(ctx, st.Node, len(values))
		if !ok {
			return
		}
		params := paramsOf(values)
		tablet, key, ok := p.Locate(params)
		if !ok {
			return
		}
		general := generalWrite(t, ctx, st.Node, sql)
		if general.TabletColumn != p.Modify.TabletColumn || general.Values != p.Modify.Values || general.MovesRows || general.Ignore || general.Table != p.Modify.Table {
			t.Fatalf("%s: %+v, not %+v", sql, p.Modify, general)
		}
		var want, got []string
		for _, a := range general.Assign {
			want = append(want, fmt.Sprint(a.Column, a.Auto))
		}
		for _, a := range p.Modify.Assign {
			got = append(got, fmt.Sprint(a.Column, a.Auto))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s: assigns %v, not %v", sql, got, want)
		}
		comparePoint(t, sql, &Point{Schema: general.Source.Schema}, general.Source, tablet, key)
		compareSource(t, ctx, sql, p, general, tablet, params)
		if updates++; len(got) == 0 {
			deletes++
		}
	})
	if deletes == 0 || updates == deletes {
		t.Fatalf("%d point writes were drawn, %d of them deletes", updates, deletes)
	}
}

func generalWrite(t *rapid.T, ctx *Context, stmt ast.StmtNode, sql string) *ModifyPlan {
	var plans []*ModifyPlan
	var err error
	switch n := stmt.(type) {
	case *ast.UpdateStmt:
		plans, err = Updates(ctx, n)
	case *ast.DeleteStmt:
		plans, err = Deletes(ctx, n)
	}
	if err != nil || len(plans) != 1 {
		t.Fatalf("%s: %d plans, %v", sql, len(plans), err)
	}
	return plans[0]
}

// compareSource holds the values that a source yields against the constants of the general plan, both converted.
func compareSource(t *rapid.T, ctx *Context, sql string, p *PointWrite, general *ModifyPlan, tablet types.TabletID, params []Param) {
	row := &vec.Batch{N: 1}
	for i := range p.Table.Schema.Columns {
		row.Cols = append(row.Cols, vec.NewColumnBuilder(p.Table.Schema.Columns[i].Type, 1).Finish())
	}
	src := p.Source(row, tablet, params)
	if got := src.Cols[p.Modify.TabletColumn].I64[0]; got != int64(tablet) {
		t.Fatalf("%s: the source says tablet %d, not %d", sql, got, tablet)
	}
	exprs := projected(general.Source)
	for k, a := range p.Modify.Assign {
		col := &p.Table.Schema.Columns[a.Column]
		got, err := ConvertColumn(ctx, src.Cols[p.Modify.Values+k], col, false, 1)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		x := exprs[general.Values+k]
		if x.Kind != expr.NodeConst {
			t.Fatalf("%s: the general plan assigns no constant", sql)
		}
		b := vec.NewColumnBuilder(x.Type, 1)
		b.AppendValue(x.Value)
		want, err := ConvertColumn(ctx, b.Finish(), col, false, 1)
		if err != nil || string(vec.AppendKey(nil, got, 0)) != string(vec.AppendKey(nil, want, 0)) {
			t.Fatalf("%s: column %s gets another value: %v", sql, col.Name, err)
		}
	}
}

// projected returns the expressions of a source, down to the scan.
func projected(n *physical.Node) []*expr.Node {
	own := n.Project
	if n.Scan != nil && own == nil {
		return n.Scan.Fragment.Project
	}
	var below []*expr.Node
	if n.Scan != nil {
		below = n.Scan.Fragment.Project
	} else if len(n.Children) == 1 {
		below = projected(n.Children[0])
	}
	if own == nil || below == nil {
		return append(own, below...)
	}
	out := make([]*expr.Node, len(own))
	for i, x := range own {
		if out[i] = x; x.Kind == expr.NodeColumn && x.Col < len(below) { // the tablet id is not among them
			out[i] = below[x.Col]
		}
	}
	return out
}
