package exec

import (
	"fmt"
	"strings"

	"stele/sql/expr"
	"stele/sql/physical"
)

// Explain shows a plan as one line an operator, children indented under it, details of an operator on lines of their
// own. What runs on the BEs stands under "fragment".
func Explain(n *physical.Node) []string {
	e := &explainer{}
	e.node(n, 0)
	return e.lines
}

type explainer struct{ lines []string }

func (e *explainer) add(depth int, format string, args ...any) {
	e.lines = append(e.lines, strings.Repeat("  ", depth)+fmt.Sprintf(format, args...))
}

func operatorName(n *physical.Node) string {
	switch {
	case n.Scan != nil:
		return "Scan"
	case n.System != nil:
		return "SystemTable"
	case n.Values != nil:
		return "Values"
	case n.Filter != nil:
		return "Filter"
	case n.Project != nil:
		return "Project"
	case n.Agg != nil:
		return aggName(n.Agg)
	case n.Join != nil:
		return joinName(n.Join)
	case n.Sort != nil && n.Sort.Limit > 0:
		return "TopN"
	case n.Sort != nil:
		return "Sort"
	case n.Limit != nil:
		return "Limit"
	case n.SetOp != nil:
		name := strings.ToUpper(n.SetOp.Name)
		if n.SetOp.All {
			name += " ALL"
		}
		return name
	case n.Window != nil:
		return "Window"
	case n.Union:
		return "UNION ALL"
	}
	return "Unknown"
}

func aggName(a *physical.Agg) string {
	switch {
	case a.Partial:
		return "PartialAggregate"
	case a.Merge:
		return "MergeAggregate"
	}
	return "Aggregate"
}

func joinName(j *physical.Join) string {
	kind := [...]string{"Inner", "Left", "Semi", "Anti", "NullAwareAnti", "Scalar"}[j.Kind]
	if len(j.Left) == 0 {
		return kind + "NestedLoopJoin"
	}
	return kind + "HashJoin"
}

func (e *explainer) node(n *physical.Node, depth int) {
	switch {
	case n.Scan != nil:
		e.add(depth, "Scan %s, tablets %d", scanName(n), len(n.Scan.Tablets))
		e.fragment(&n.Scan.Fragment, depth+1)
	case n.System != nil:
		e.add(depth, "SystemTable %s.%s", n.System.Database, n.System.Table)
	case n.Values != nil:
		e.add(depth, "Values rows %d", len(n.Values.Rows))
	case n.Limit != nil:
		e.add(depth, "Limit %d offset %d", n.Limit.Count, n.Limit.Offset)
	case n.Join != nil:
		e.join(n, depth)
	default:
		e.unary(n, depth)
	}
	for _, c := range n.Children {
		e.node(c, depth+1)
	}
}

// unary shows the operators whose expressions refer to their only child.
func (e *explainer) unary(n *physical.Node, depth int) {
	name := columnNames(n.Children)
	switch {
	case n.Filter != nil:
		e.add(depth, "Filter %s", expr.Format(n.Filter, name))
	case n.Project != nil:
		e.add(depth, "Project %s", exprList(n.Project, name))
	case n.Agg != nil:
		e.agg(n.Agg, name, depth)
	case n.Sort != nil:
		e.sort(n.Sort, name, depth)
	case n.Window != nil:
		e.window(n.Window, name, depth)
	default:
		e.add(depth, "%s", operatorName(n))
	}
}

func (e *explainer) agg(a *physical.Agg, name func(int) string, depth int) {
	line := aggName(a)
	if len(a.Group) > 0 {
		group := a.Group
		if a.Merge { // the input begins with the groups, computed already
			group = nil
			for i, g := range a.Group {
				group = append(group, expr.Col(i, g.Type))
			}
		}
		line += " group by " + exprList(group, name)
	}
	e.add(depth, "%s", line)
	for _, f := range a.Aggs {
		e.add(depth+1, "-> %s", aggText(f, a.Merge, name))
	}
}

func aggText(f expr.AggFunc, merge bool, name func(int) string) string {
	var b strings.Builder
	b.WriteString(f.Name + "(")
	if f.Distinct {
		b.WriteString("DISTINCT ")
	}
	switch {
	case f.Arg == nil:
		b.WriteString("*")
	case merge:
		b.WriteString("states")
	default:
		b.WriteString(expr.Format(f.Arg, name))
	}
	if len(f.Order) > 0 && !merge {
		b.WriteString(" ORDER BY " + sortList(f.Order, name))
	}
	if f.Name == "group_concat" {
		fmt.Fprintf(&b, " SEPARATOR %q", f.Sep)
	}
	return b.String() + ")"
}

func (e *explainer) sort(s *physical.Sort, name func(int) string, depth int) {
	if s.Limit == 0 {
		e.add(depth, "Sort %s", sortList(s.Keys, name))
		return
	}
	e.add(depth, "TopN %s limit %d offset %d", sortList(s.Keys, name), s.Limit, s.Offset)
}

func (e *explainer) join(n *physical.Node, depth int) {
	j := n.Join
	left, right := columnNames(n.Children[:1]), columnNames(n.Children[1:])
	line := joinName(j)
	for i := range j.Left {
		sep := ", "
		if i == 0 {
			sep = " on "
		}
		line += sep + expr.Format(j.Left[i], left) + " = " + expr.Format(j.Right[i], right)
	}
	e.add(depth, "%s", line)
	if j.On != nil {
		e.add(depth+1, "-> condition %s", expr.Format(j.On, columnNames(n.Children)))
	}
}

func (e *explainer) window(w *physical.Window, name func(int) string, depth int) {
	line := "Window"
	if len(w.Partition) > 0 {
		line += " partition by " + exprList(w.Partition, name)
	}
	if len(w.Order) > 0 {
		line += " order by " + sortList(w.Order, name)
	}
	e.add(depth, "%s", line)
	for _, f := range w.Funcs {
		e.add(depth+1, "-> %s(%s)%s", f.Name, exprList(f.Args, name), frameText(f))
	}
}

func frameText(f physical.WindowFunc) string {
	bound := func(unbounded bool, side string, d int64) string {
		switch {
		case unbounded:
			return "UNBOUNDED " + side
		case d == 0:
			return "CURRENT ROW"
		case d < 0:
			return fmt.Sprintf("%d PRECEDING", -d)
		}
		return fmt.Sprintf("%d FOLLOWING", d)
	}
	if !f.Rows {
		return ""
	}
	return " ROWS BETWEEN " + bound(f.FromUnbounded, "PRECEDING", f.From) + " AND " + bound(f.ToUnbounded, "FOLLOWING", f.To)
}

// fragment shows what a BE does, in the order in which it does it.
func (e *explainer) fragment(f *physical.Fragment, depth int) {
	names := make([]string, len(f.Columns))
	for i, id := range f.Columns {
		names[i] = fmt.Sprintf("column %d", id)
		if at := f.Schema.ColumnIndex(id); at >= 0 {
			names[i] = f.Schema.Columns[at].Name
		}
	}
	name := func(i int) string {
		if i < len(names) {
			return names[i]
		}
		return fmt.Sprintf("$%d", i)
	}
	e.add(depth, "fragment")
	depth++
	e.add(depth, "read %s", strings.Join(names, ", "))
	if len(f.Keys) > 0 {
		e.add(depth, "keys %d", len(f.Keys))
	}
	if f.Filter != nil {
		e.add(depth, "filter %s", expr.Format(f.Filter, name))
	}
	if f.Agg != nil {
		e.agg(f.Agg, name, depth)
	} else if f.Project != nil {
		e.add(depth, "project %s", exprList(f.Project, name))
		column := name
		name = func(i int) string {
			if i < len(f.Project) {
				return expr.Format(f.Project[i], column)
			}
			return fmt.Sprintf("$%d", i)
		}
	}
	if f.TabletColumn {
		e.add(depth, "add the tablet id")
	}
	if f.TopN != nil {
		e.sort(f.TopN, name, depth)
	}
	if f.Limit > 0 {
		e.add(depth, "limit %d", f.Limit)
	}
}

func scanName(n *physical.Node) string {
	for _, c := range n.Schema {
		if c.Table != "" {
			return c.Table
		}
	}
	return fmt.Sprintf("table %d", n.Scan.TableID)
}

// columnNames names the columns of the children, one after another.
func columnNames(children []*physical.Node) func(int) string {
	var names []string
	for _, c := range children {
		for i, col := range c.Schema {
			switch {
			case col.Table != "" && col.Name != "":
				names = append(names, col.Table+"."+col.Name)
			case col.Name != "":
				names = append(names, col.Name)
			default:
				names = append(names, fmt.Sprintf("$%d", i))
			}
		}
	}
	return func(i int) string {
		if i >= 0 && i < len(names) {
			return names[i]
		}
		return fmt.Sprintf("$%d", i)
	}
}

func exprList(nodes []*expr.Node, name func(int) string) string {
	parts := make([]string, len(nodes))
	for i, n := range nodes {
		parts[i] = expr.Format(n, name)
	}
	return strings.Join(parts, ", ")
}

func sortList(keys []expr.SortKey, name func(int) string) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = expr.Format(k.Expr, name)
		if k.Desc {
			parts[i] += " DESC"
		}
	}
	return strings.Join(parts, ", ")
}
