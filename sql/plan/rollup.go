package plan

import (
	"cmp"
	"slices"

	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
)

// rollup is GROUP BY ... WITH ROLLUP: each row is grouped once for each level, where level l leaves out the last l groups. So
// the input is joined with the levels, and a group's value at a level that leaves it out is NULL.
type rollup struct {
	level  int    // the column of the level, which is a group, too
	groups []item // the groups as they were written, under the ids that they have behind the aggregation
}

// withRollup rewrites the groups of an aggregation: what to group the joined input by, and how the query's expressions find
// the groups.
func (b *binder) withRollup(groups []item) (*rollup, []item, error) {
	r := &rollup{level: b.newColumn(column{name: "level", typ: bigintType})}
	grouped := []item{{r.level, b.col(r.level)}}
	for i, g := range groups {
		kept, err := b.call("<", b.col(r.level), constInt(int64(len(groups)-i)))
		if err != nil {
			return nil, nil, err
		}
		x := &expr.Node{Kind: expr.NodeCall, Func: "case", Type: g.expr.Type, Args: []*expr.Node{kept, g.expr}} // raw: no text of members
		x.Type.NotNull = false
		c := column{name: "group", typ: x.Type}
		if g.expr.Kind == expr.NodeColumn {
			c = b.cols[g.expr.Col]
			c.typ, c.origin.Type.NotNull = x.Type, false
		}
		id := b.newColumn(c)
		grouped = append(grouped, item{id, x})
		r.groups = append(r.groups, item{id, g.expr})
	}
	return r, grouped, nil
}

// seen are the groups as the query's expressions may hold them: where one group is a part of another, they have the part's column in its place.
func (r *rollup) seen(b *binder) []item {
	out := slices.Clone(r.groups)
	bySize := slices.SortedStableFunc(slices.Values(r.groups), func(g, h item) int { return cmp.Compare(nodes(g.expr), nodes(h.expr)) })
	for _, g := range bySize { // parts first
		if n := b.ofGroups(g.expr, out); n != g.expr {
			out = append(out, item{g.id, n})
		}
	}
	return out
}

// nodes is the size of an expression.
func nodes(n *expr.Node) int {
	size := 1
	for _, a := range n.Args {
		size += nodes(a)
	}
	return size
}

// ofGroups replaces the parts of an expression that are groups by their columns. What has none is shared.
func (b *binder) ofGroups(n *expr.Node, groups []item) *expr.Node {
	out := n
	for i, a := range n.Args {
		part := b.ofGroups(a, groups)
		if at := slices.IndexFunc(groups, func(g item) bool { return sameExpr(g.expr, part) }); at >= 0 {
			part = b.col(groups[at].id)
		}
		if part == a {
			continue
		}
		if out == n {
			c := *n
			out, c.Args = &c, slices.Clone(n.Args)
		}
		out.Args[i] = part
	}
	return out
}

// levels is the rel of a rollup's levels.
func (r *rollup) levels() *rel {
	rows := make([][]*expr.Node, len(r.groups)+1)
	for l := range rows {
		rows[l] = []*expr.Node{constInt(int64(l))}
	}
	return &rel{op: opValues, rows: rows, out: []int{r.level}}
}

// left reports, as an expression, whether group i is left out of a row.
func (r *rollup) left(b *binder, i int) (*expr.Node, error) {
	return b.call(">=", b.col(r.level), constInt(int64(len(r.groups)-i)))
}

// groupingCall binds GROUPING(): a bit an argument, set where the argument is left out of the row.
func (e *env) groupingCall(args []ast.ExprNode) (*expr.Node, error) {
	if e.rollup == nil {
		return nil, errorf(errno.InvalidGroupFunction, "Invalid use of group function")
	}
	var sum *expr.Node
	for k, a := range args {
		n, err := e.bind(a)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(e.rollup.groups, func(g item) bool { return n.Kind == expr.NodeColumn && n.Col == g.id })
		if i < 0 {
			return nil, errorf(errno.GroupingNotGrouped, "Argument #%d of GROUPING function is not in GROUP BY", k)
		}
		left, err := e.rollup.left(e.b, i)
		if err != nil {
			return nil, err
		}
		bit, err := e.b.coerce(left, bigintType)
		if err != nil {
			return nil, err
		}
		if sum == nil {
			sum = bit
			continue
		}
		if sum, err = e.b.call("*", sum, constInt(2)); err != nil {
			return nil, err
		}
		if sum, err = e.b.call("+", sum, bit); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

// rollupKeys is the order of a rollup without ORDER BY: each group's rows, then the row that sums them up.
func (s *selecter) rollupKeys() ([]expr.SortKey, error) {
	r := s.env.rollup
	if r == nil || s.stmt.Distinct {
		return nil, nil
	}
	used := newSet()
	for _, p := range s.items {
		used.add(p.id)
	}
	var keys []expr.SortKey
	for i, g := range r.groups {
		left, err := r.left(s.b, i)
		if err != nil {
			return nil, err
		}
		for _, n := range []*expr.Node{left, s.b.col(g.id)} {
			id := -1
			for _, p := range s.items {
				if sameExpr(p.expr, n) {
					id = p.id
				}
			}
			if id < 0 {
				it := s.b.projectItem(s.env.rel, n, "", used)
				s.items = append(s.items, it)
				id = it.id
			}
			keys = append(keys, expr.SortKey{Expr: s.b.col(id)})
		}
	}
	return keys, nil
}
