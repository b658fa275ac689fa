package plan

import (
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
)

// OneRow is an UPDATE or DELETE of one row by its primary key, in the form in which the leader of its tablet does it by itself.
type OneRow struct {
	Tablet types.TabletID
	Key    []byte
	Change []byte // encoded physical.Change
	Delete bool
}

// OneRow recognises a plan that changes one row where it lies, and needs nothing to do so but the row.
func (p *ModifyPlan) OneRow(ctx *Context) (*OneRow, bool) {
	t := p.Table
	if p.Ignore || p.MovesRows || p.Checked() || len(p.follows) > 0 || t.Schema.HasRowID() || t.HasUniqueKeys() {
		return nil, false
	}
	scan, exprs := flat(p.Source)
	if scan == nil || len(scan.Tablets) != 1 || scan.Via != nil || len(scan.Fragment.Keys) != 1 {
		return nil, false
	}
	f := &scan.Fragment
	change := newChange(ctx, t)
	change.Delete, change.TimeZone = len(p.Assign) == 0, f.TimeZone
	stored := func(c *expr.Node) *expr.Node {
		if c.Col >= len(f.Columns) {
			return nil
		}
		return expr.Col(t.Schema.ColumnIndex(f.Columns[c.Col]), c.Type)
	}
	if f.Filter != nil {
		change.Filter = substitute(f.Filter, stored)
	}
	for i, a := range p.Assign {
		x := exprs[p.Values+i]
		if x == nil || a.Tells { // the tablet's id, or a value that the session is to hear of
			return nil, false
		}
		change.Assign = append(change.Assign, assignment(t, a.Column, substitute(x, stored), a.Auto))
	}
	encoded, err := physical.EncodeChange(change)
	return &OneRow{Tablet: scan.Tablets[0], Key: f.Keys[0], Change: encoded, Delete: change.Delete}, err == nil
}

func newChange(ctx *Context, t *catalog.Table) *physical.Change {
	c := &physical.Change{Strict: true, ZeroDates: ctx.ZeroDates()}
	for i := range t.Schema.Columns {
		c.Columns = append(c.Columns, t.Schema.Columns[i].ID)
	}
	return c
}

// Upsert returns what becomes of the row with the key of a new one under ON DUPLICATE KEY UPDATE, encoded; the new row are its
// values. It is not ok where a row may move, or other keys may be in the way.
func (p *InsertPlan) Upsert(ctx *Context) (change []byte, ok bool) {
	t := p.Table
	if p.Mode != ModeInsert || p.OnDuplicate == nil || len(p.follows) > 0 || t.Schema.HasRowID() || t.HasUniqueKeys() {
		return nil, false
	}
	c := newChange(ctx, t)
	c.Insert, c.Lasting, c.TimeZone = true, true, ctx.zoneName()
	for i := range t.Schema.Columns {
		c.Values = append(c.Values, t.Schema.Columns[i].Type)
	}
	for _, a := range p.OnDuplicate {
		if a.Tells || slices.Contains(t.Locator(), t.Schema.Columns[a.Column].ID) {
			return nil, false
		}
		c.Lasting = c.Lasting && !a.Auto && isLasting(a.Expr)
		c.Assign = append(c.Assign, assignment(t, a.Column, a.Expr, a.Auto))
	}
	encoded, err := physical.EncodeChange(c)
	return encoded, err == nil
}

// isLasting reports whether an expression is certain to mean the same at any time: it only calculates with integers.
func isLasting(x *expr.Node) bool {
	if x.Kind != expr.NodeCall {
		return true
	}
	return x.Type.IsInteger() && !slices.ContainsFunc(x.Args, func(a *expr.Node) bool { return !a.Type.IsInteger() || !isLasting(a) })
}

// flat returns the scan of a plan that does nothing but read and project, and what it yields over the columns of the
// scan's fragment: nil stands for the tablet's id. The scan is nil when the plan does more.
func flat(n *physical.Node) (*physical.Scan, []*expr.Node) {
	if n.Scan != nil {
		f := &n.Scan.Fragment
		if f.Agg != nil || f.TopN != nil || f.Limit > 0 {
			return nil, nil
		}
		out := slices.Clone(f.Project)
		if f.Project == nil {
			for i, id := range f.Columns {
				out = append(out, expr.Col(i, f.Schema.Columns[f.Schema.ColumnIndex(id)].Type))
			}
		}
		if f.TabletColumn {
			out = append(out, nil)
		}
		return n.Scan, out
	}
	if n.Project == nil || len(n.Children) != 1 {
		return nil, nil
	}
	scan, below := flat(n.Children[0])
	if scan == nil {
		return nil, nil
	}
	out := make([]*expr.Node, len(n.Project))
	for i, x := range n.Project {
		if x.Kind == expr.NodeColumn {
			out[i] = below[x.Col]
			continue
		}
		out[i] = substitute(x, func(c *expr.Node) *expr.Node { return below[c.Col] })
	}
	return scan, out
}
