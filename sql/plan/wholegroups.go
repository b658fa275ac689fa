package plan

import (
	"slices"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
)

// groupsWhole reports whether all rows of each group of an aggregation over a scan lie in one tablet: the groups tell apart what the
// columns tell apart that decide in which partition and bucket a row lies. Numbers that are equal and differ in their bytes (-0.0 and 0.0)
// may lie in two.
func (b *binder) groupsWhole(c chain, r *rel) bool {
	t := c.scan.table
	if len(t.HashBy) == 0 {
		return false
	}
	grouped := map[types.ColumnID]bool{}
	for _, g := range r.items {
		e := c.overScan(g.expr)
		if e.Kind == expr.NodeColumn && !b.isTablet(e) && e.Type.Phys() != types.PhysFloat64 {
			grouped[t.Schema.Columns[b.cols[e.Col].pos].ID] = true
		}
	}
	within := func(id types.ColumnID) bool { return grouped[id] }
	return !slices.ContainsFunc(t.HashBy, func(id types.ColumnID) bool { return !within(id) }) &&
		(t.Partition == nil || !slices.ContainsFunc(t.Partition.Columns, func(id types.ColumnID) bool { return !within(id) }))
}

// aggregation is that of the rows of a chain, with the expressions over the scan's columns.
func (c *chain) aggregation(r *rel, aggs []aggItem) *physical.Agg {
	a := &physical.Agg{}
	for _, g := range r.items {
		a.Group = append(a.Group, c.overScan(g.expr))
	}
	for _, f := range aggs {
		a.Aggs = append(a.Aggs, mapAgg(f.fn, c.overScan))
	}
	return a
}

// passGroups has a scan that makes whole groups leave out those that do not pass a condition over its output; who asks for it checks it all
// the same.
func passGroups(n *physical.Node, cond *expr.Node) {
	if f := groupsOf(n); f != nil && f.Having == nil && !expr.IsVolatile(cond) {
		f.Having = cond
	}
}

// firstGroups has a scan that makes whole groups yield no more than the first of each tablet; the caller puts those together. Below a condition it
// does not: a BE of a release before, which does not know the condition, would count groups that do not pass.
func firstGroups(n *physical.Node, first *physical.Sort) {
	f := groupsOf(n)
	switch {
	case f == nil || first.Limit <= 0 || first.Limit > 1<<62-first.Offset:
	case len(first.Keys) == 0:
		f.Limit = first.Limit + first.Offset
	default:
		f.TopN = &physical.Sort{Keys: first.Keys, Limit: first.Limit + first.Offset}
	}
}

// groupsOf is the fragment of a scan that makes whole groups and yields all of them.
func groupsOf(n *physical.Node) *physical.Fragment {
	if n.Scan == nil || !n.Scan.Fragment.GroupsWhole() || n.Scan.Fragment.TopN != nil || n.Scan.Fragment.Limit > 0 {
		return nil
	}
	return &n.Scan.Fragment
}
