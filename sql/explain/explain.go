// Package explain shows plans to people and tools: EXPLAIN as lines, one operator each, and as the JSON that tools of MySQL draw. It owns the
// words for operators and how expressions are written in them. It reads plans as plain data, and neither makes nor runs
// one: the same plan is shown alike wherever it was made.
package explain

import (
	"fmt"
	"strings"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
)

// Lines shows a plan as an indented tree, one operator a line, for EXPLAIN. table names tables; nil shows their ids.
func Lines(n *physical.Node, table func(types.TableID) string) []string {
	p := printer{table: table}
	if table == nil {
		p.table = func(id types.TableID) string { return fmt.Sprintf("#%d", id) }
	}
	p.node(n, 0)
	return p.lines
}

// Noted is Lines with a note behind each operator, for EXPLAIN ANALYZE.
func Noted(n *physical.Node, table func(types.TableID) string, note func(*physical.Node) string) []string {
	p := printer{table: table, note: note}
	p.node(n, 0)
	return p.lines
}

// printer collects the lines of a plan.
type printer struct {
	lines []string
	table func(types.TableID) string
	note  func(*physical.Node) string // nil = none
}

func (p *printer) add(depth int, format string, args ...any) {
	p.lines = append(p.lines, strings.Repeat("  ", depth)+fmt.Sprintf(format, args...))
}

// node prints an operator and its children.
func (p *printer) node(n *physical.Node, depth int) {
	in := func(i int) []string {
		if i < len(n.Children) {
			return Columns(n.Children[i])
		}
		return nil
	}
	first := len(p.lines)
	defer func() {
		if p.note != nil && first < len(p.lines) {
			p.lines[first] += p.note(n)
		}
	}()
	switch {
	case n.Scan != nil:
		p.scan(n.Scan, Columns(n), depth)
	case n.Values != nil:
		p.add(depth, "values rows=%d", len(n.Values.Rows))
	case n.Filter != nil:
		p.add(depth, "filter %s", Expr(n.Filter, in(0)))
	case n.Project != nil:
		p.add(depth, "project %s", showAll(n.Project, in(0)))
	case n.Agg != nil:
		p.add(depth, "%s", showAgg(n.Agg, in(0)))
	case n.Join != nil:
		p.add(depth, "%s", showJoin(n.Join, in(0), in(1)))
	case n.Sort != nil:
		p.add(depth, "%s", showSort(n.Sort, in(0)))
	case n.Limit != nil:
		p.add(depth, "limit count=%d offset=%d", n.Limit.Count, n.Limit.Offset)
	case n.Union:
		p.add(depth, "union all")
	case n.SetOp != nil:
		p.add(depth, "%s all=%t", n.SetOp.Name, n.SetOp.All)
	case n.Window != nil:
		p.add(depth, "%s", showWindow(n.Window, in(0)))
	case n.Recursive != nil:
		p.add(depth, "recursive #%d all=%t", n.Recursive.Work, n.Recursive.All)
		p.node(n.Recursive.Seed, depth+1)
		p.node(n.Recursive.Step, depth+1)
	case n.Work != nil:
		p.add(depth, "rows of the step before #%d", n.Work.ID)
	case n.System != nil:
		p.add(depth, "system %s.%s", n.System.Database, n.System.Table)
	}
	for _, k := range n.Children {
		p.node(k, depth+1)
	}
}

// Columns lists how the columns of an operator's rows are shown.
func Columns(n *physical.Node) []string {
	var out []string
	for _, c := range n.Schema {
		name := c.Column
		if name == "" {
			name = c.Name
		}
		if c.Table != "" {
			name = c.Table + "." + name
		}
		out = append(out, name)
	}
	return out
}

// Expr writes an expression with column names.
func Expr(e *expr.Node, names []string) string {
	return expr.Format(e, func(i int) string {
		if i < len(names) && names[i] != "" {
			return names[i]
		}
		return fmt.Sprintf("$%d", i)
	})
}

func showAll(list []*expr.Node, names []string) string {
	var parts []string
	for _, e := range list {
		parts = append(parts, Expr(e, names))
	}
	return strings.Join(parts, ", ")
}

// scan prints a scan, which yields columns of some names, and what its fragment does.
func (p *printer) scan(s *physical.Scan, yields []string, depth int) {
	f := &s.Fragment
	var names []string
	for _, id := range f.Columns {
		names = append(names, f.Schema.Columns[f.Schema.ColumnIndex(id)].Name)
	}
	line := fmt.Sprintf("scan %s tablets=%s columns=[%s]", p.table(s.TableID), tabletList(s.Tablets), strings.Join(names, " "))
	if f.Keys != nil {
		line += fmt.Sprintf(" keys=%d", len(f.Keys))
	}
	if s.Via != nil {
		line += fmt.Sprintf(" via=%s(%d)", s.Via.Key, len(s.Via.Fragment.Keys))
	}
	if skip := f.Bounded(); len(skip) > 0 {
		line += fmt.Sprintf(" skip_by_key=[%s]", columnNamesOf(f, skip...))
	}
	if id, ok := f.FirstByKey(); ok {
		line += fmt.Sprintf(" first_by_key=[%s]", columnNamesOf(f, id))
	}
	p.add(depth, "%s", line)
	for _, t := range s.Takes {
		p.add(depth+1, "| if few: %s in keys from %s", Expr(t.Expr, names), t.From)
	}
	if f.Filter != nil {
		p.add(depth+1, "| filter %s", Expr(f.Filter, names))
	}
	out := names
	if f.Agg != nil {
		p.add(depth+1, "| %s", showAgg(f.Agg, names))
		if f.GroupsWhole() {
			out = yields
		}
		if f.Having != nil {
			p.add(depth+1, "| filter %s", Expr(f.Having, out))
		}
	} else if f.Project != nil {
		p.add(depth+1, "| project %s", showAll(f.Project, names))
		out = nil
		for _, e := range f.Project {
			out = append(out, Expr(e, names))
		}
	}
	if f.TopN != nil {
		p.add(depth+1, "| %s", showSort(f.TopN, out))
	}
	if f.Limit > 0 {
		p.add(depth+1, "| limit %d", f.Limit)
	}
	if f.TabletColumn {
		p.add(depth+1, "| tablet id")
	}
}

// columnNamesOf names columns of the table of a fragment.
func columnNamesOf(f *physical.Fragment, ids ...types.ColumnID) string {
	var out []string
	for _, id := range ids {
		out = append(out, f.Schema.Columns[f.Schema.ColumnIndex(id)].Name)
	}
	return strings.Join(out, " ")
}

// tabletList shows a few tablet ids, or how many there are.
func tabletList(ids []types.TabletID) string {
	const shown = 4
	if len(ids) > shown {
		return fmt.Sprintf("%d", len(ids))
	}
	var parts []string
	for _, id := range ids {
		parts = append(parts, id.String())
	}
	return "[" + strings.Join(parts, " ") + "]"
}

func showAgg(a *physical.Agg, names []string) string {
	phase := ""
	switch {
	case a.Partial:
		phase = "partial "
	case a.Merge && a.States:
		phase = "merge partial "
	case a.Merge:
		phase = "merge "
	}
	var parts []string
	for _, f := range a.Aggs {
		arg := "*"
		if a.Merge {
			arg = ".."
		} else if f.Arg != nil {
			arg = Expr(f.Arg, names)
		}
		if f.Distinct {
			arg = "distinct " + arg
		}
		parts = append(parts, f.Name+"("+arg+")")
	}
	line := phase + "aggregate"
	if len(a.Group) > 0 {
		line += " by " + showAll(a.Group, names)
	}
	if len(parts) > 0 {
		line += ": " + strings.Join(parts, ", ")
	}
	return line
}

// joinNames names the kinds of joins.
var joinNames = map[physical.JoinKind]string{physical.JoinInner: "inner", physical.JoinLeft: "left", physical.JoinSemi: "semi",
	physical.JoinAnti: "anti", physical.JoinAntiNull: "anti-null", physical.JoinScalar: "scalar"}

func showJoin(j *physical.Join, left, right []string) string {
	line := joinNames[j.Kind] + " join"
	var parts []string
	for i := range j.Left {
		parts = append(parts, Expr(j.Left[i], left)+" = "+Expr(j.Right[i], right))
	}
	if len(parts) > 0 {
		line += " on " + strings.Join(parts, ", ")
	}
	if j.LeftFirst {
		line += " left first"
	}
	if j.On != nil {
		line += " where " + Expr(j.On, append(append([]string(nil), left...), right...))
	}
	return line
}

func showSort(s *physical.Sort, names []string) string {
	line := "sort " + showKeys(s.Keys, names)
	if s.Limit > 0 {
		line += fmt.Sprintf(" limit=%d", s.Limit)
	}
	if s.Offset > 0 {
		line += fmt.Sprintf(" offset=%d", s.Offset)
	}
	return line
}

func showKeys(keys []expr.SortKey, names []string) string {
	var parts []string
	for _, k := range keys {
		text := Expr(k.Expr, names)
		if k.Desc {
			text += " desc"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

func showWindow(w *physical.Window, names []string) string {
	var parts []string
	for _, f := range w.Funcs {
		parts = append(parts, f.Name+"("+showAll(f.Args, names)+")")
	}
	line := "window " + strings.Join(parts, ", ")
	if len(w.Partition) > 0 {
		line += " partition by " + showAll(w.Partition, names)
	}
	if len(w.Order) > 0 {
		line += " order by " + showKeys(w.Order, names)
	}
	return line
}
