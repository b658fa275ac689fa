package plan

import (
	"slices"

	"stele/meta/types"
	"stele/sql/explain"
	"stele/sql/expr"
	"stele/sql/keyset"
	"stele/sql/physical"
)

// reduce has a join give the keys of the side that is read first to the scans below the other one, which then read no row that matches
// none of them. Which side that is depends on what the kind of the join allows and on the estimates; whether the keys are few enough to
// be given is seen when they have been read.
func (b *binder) reduce(r *rel, j *physical.Join, left, right *physical.Node) {
	if len(j.Left) == 0 || b.ctx.literal {
		return
	}
	leftRows, rightRows := b.estimate(r.kids[0]), b.estimate(r.kids[1])
	toLeft := r.kind == physical.JoinInner || r.kind == physical.JoinSemi
	toRight := r.kind != physical.JoinAntiNull // which asks whether there is any NULL
	from, to, source, target, leftFirst := j.Left, j.Right, left, right, false
	switch {
	case toLeft && (rightRows <= leftRows || !toRight):
		from, to, source, target = j.Right, j.Left, right, left
	case toRight && leftRows <= rightRows:
		leftFirst = true
	default:
		return
	}
	j.Gives, j.MostBytes = make([]int, len(from)), make([]int, len(from))
	few := narrowed(source)
	for i, e := range to {
		b.gives++
		g := giver{take: physical.Take{ID: b.gives, From: explain.Expr(from[i], explain.Columns(source))}, byKey: !few,
			rows: b.ctx.rows, most: keyset.MaxBytes}
		if g.reach(target, e) {
			j.Gives[i], j.MostBytes[i], j.LeftFirst = b.gives, g.most, leftFirst
		}
	}
}

// narrowed reports whether an operator yields only some of the rows below it.
func narrowed(n *physical.Node) bool {
	if s := n.Scan; s != nil {
		return s.Fragment.Filter != nil || s.Fragment.Keys != nil || s.Fragment.Limit > 0 || s.Fragment.TopN != nil
	}
	return n.Filter != nil || n.Limit != nil || n.Sort != nil && n.Sort.Limit > 0 || n.Values != nil || n.System != nil ||
		slices.ContainsFunc(n.Children, narrowed)
}

// giver finds who takes what a join gives.
type giver struct {
	take physical.Take
	// byKey: as a rule each row matches some value, so only scans are worth it that find rows by them.
	byKey bool
	rows  func(types.TableID) float64
	most  int // how long a set may be for the scans that were reached
}

// reach has the scans below an operator take the values of an expression over its columns, wherever leaving out rows with other values
// leaves out the same rows of the operator. It reports whether there is such a scan.
func (g *giver) reach(n *physical.Node, e *expr.Node) bool {
	switch {
	case n.Scan != nil:
		return g.reachScan(n.Scan, e)
	case n.Filter != nil, n.Sort != nil && n.Sort.Limit == 0 && n.Sort.Offset == 0:
		return g.reach(n.Children[0], e)
	case n.Project != nil:
		e, ok := through(e, n.Project)
		return ok && g.reach(n.Children[0], e)
	case n.Agg != nil:
		return g.reachAgg(n, e)
	case n.Window != nil:
		return keepsWhole(n.Window, e) && g.reach(n.Children[0], e)
	case n.Join != nil:
		return g.reachJoin(n, e)
	case n.Union:
		some := false
		for _, k := range n.Children {
			some = g.reach(k, e) || some
		}
		return some
	}
	return false
}

// through rewrites an expression over computed columns in terms of what they are computed of.
func through(e *expr.Node, cols []*expr.Node) (*expr.Node, bool) {
	ok := true
	out := substitute(e, func(c *expr.Node) *expr.Node {
		if c.Col >= len(cols) {
			ok = false
			return c
		}
		return cols[c.Col]
	})
	return out, ok && !expr.IsVolatile(out)
}

func (g *giver) reachScan(s *physical.Scan, e *expr.Node) bool {
	f, ok := &s.Fragment, true
	switch {
	case f.TopN != nil || f.Limit > 0 || f.Keys != nil: // of some keys all rows are read at once
		return false
	case f.Agg != nil:
		if len(f.Agg.Group) == 0 {
			return false
		}
		e, ok = through(e, f.Agg.Group)
	case f.Project != nil:
		e, ok = through(e, f.Project)
	default: // the tablet's id, which may come last, is no column
		eachColumn(e, func(i int) { ok = ok && i < len(f.Columns) })
	}
	if !ok || g.byKey && !leadsKey(s, e) {
		return false
	}
	g.most = min(g.most, mostBytes(g.rows(s.TableID), len(s.Tablets)))
	t := g.take
	t.Expr = e
	s.Takes = append(s.Takes, t)
	return true
}

// mostBytes is how long a set may be that is sent to each tablet of a table of some rows: some bytes for each row that may be left out.
func mostBytes(rows float64, tablets int) int {
	const perRow = 2
	return int(min(max(rows*perRow/float64(max(tablets, 1)), keyset.FewBytes), keyset.MaxBytes))
}

// leadsKey reports whether an expression is a column by which rows are found.
func leadsKey(s *physical.Scan, e *expr.Node) bool {
	_, keyed := keyOf(e)
	if keyed {
		e = e.Args[0]
	}
	if e.Kind != expr.NodeColumn {
		return false
	}
	f, id := &s.Fragment, s.Fragment.Columns[e.Col]
	return slices.Contains(f.Schema.Indexed, id) || !keyed && len(f.Schema.Key) > 0 && f.Schema.Key[0] == id
}

// reachAgg passes on what depends on groups.
func (g *giver) reachAgg(n *physical.Node, e *expr.Node) bool {
	a := n.Agg
	grouped := len(a.Group) > 0
	eachColumn(e, func(i int) { grouped = grouped && i < len(a.Group) })
	if !grouped {
		return false
	}
	if !a.Merge { // the groups of the others stand where they come out
		var ok bool
		if e, ok = through(e, a.Group); !ok {
			return false
		}
	}
	return g.reach(n.Children[0], e)
}

// reachJoin passes on what depends on one side. Rows that a left join fills with NULL instead match no key either. The value of a scalar
// subquery is not asked for like that: that it has two rows is an error, also when the one of them is not wanted.
func (g *giver) reachJoin(n *physical.Node, e *expr.Node) bool {
	if keep := n.Join.Keep; keep != nil {
		e = substitute(e, func(c *expr.Node) *expr.Node { return moved(c, keep[c.Col]) })
	}
	width := len(n.Children[0].Schema)
	inLeft, inRight := true, true
	eachColumn(e, func(i int) {
		inLeft = inLeft && i < width
		inRight = inRight && i >= width
	})
	switch kind := n.Join.Kind; {
	case inLeft:
		return g.reach(n.Children[0], e)
	case inRight && kind != physical.JoinScalar && (kind == physical.JoinInner || nullOfNull(e, allOf(e))):
		return g.reach(n.Children[1], substitute(e, func(c *expr.Node) *expr.Node { return moved(c, c.Col-width) }))
	}
	return false
}

// moved is a column at another position.
func moved(c *expr.Node, to int) *expr.Node {
	out := *c
	out.Col = to
	return &out
}

// allOf is the set of the columns of an expression.
func allOf(e *expr.Node) idSet {
	s := idSet{}
	s.addExpr(e)
	return s
}

// keepsWhole reports whether rows with equal values of an expression are whole partitions.
func keepsWhole(w *physical.Window, e *expr.Node) bool {
	ok := true
	eachColumn(e, func(i int) {
		ok = ok && slices.ContainsFunc(w.Partition, func(p *expr.Node) bool { return p.Kind == expr.NodeColumn && p.Col == i })
	})
	return ok
}
