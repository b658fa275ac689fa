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
	scan, exprs := flat(p.Source)
	if scan == nil || len(scan.Tablets) != 1 || len(scan.Fragment.Keys) != 1 || p.Table.Schema.HasRowID() || p.Table.HasUniqueKeys() {
		return nil, false
	}
	change, ok := p.inPlace(ctx, scan, exprs)
	if !ok {
		return nil, false
	}
	change.Filter = substitute(scan.Fragment.Filter, p.stored(&scan.Fragment))
	encoded, err := physical.EncodeChange(change)
	return &OneRow{Tablet: scan.Tablets[0], Key: scan.Fragment.Keys[0], Change: encoded, Delete: change.Delete}, err == nil
}

// FoundRows is an UPDATE or DELETE in the form in which the BE that leads all tablets in question does it by itself.
type FoundRows struct {
	Tablets []types.TabletID
	Find    *physical.Fragment // the rows, with all columns of the table as they are stored
	Change  *physical.Change   // what becomes of each
}

// FoundRows recognises a plan that changes rows where they lie, and needs nothing to find and to change them but themselves.
func (p *ModifyPlan) FoundRows(ctx *Context) (*FoundRows, bool) {
	scan, exprs := flat(p.Source)
	if scan == nil || p.writesEntries() {
		return nil, false
	}
	change, ok := p.inPlace(ctx, scan, exprs)
	if !ok {
		return nil, false
	}
	f := &scan.Fragment
	find := &physical.Fragment{Schema: f.Schema, Columns: change.Columns, Keys: f.Keys, Homes: f.Homes, TimeZone: f.TimeZone,
		Filter: substitute(f.Filter, p.stored(f))}
	return &FoundRows{Tablets: scan.Tablets, Find: find, Change: change}, true
}

// writesEntries reports whether a plan may change an entry of a unique key.
func (p *ModifyPlan) writesEntries() bool {
	t := p.Table
	if !t.HasUniqueKeys() {
		return false
	}
	if len(p.Assign) == 0 || t.Altering() != 0 {
		return true
	}
	return slices.ContainsFunc(t.Unique, func(k catalog.UniqueKey) bool {
		return k.Enforced() && slices.ContainsFunc(p.Assign, func(a Assign) bool { return slices.Contains(k.Columns, t.Schema.Columns[a.Column].ID) })
	})
}

// inPlace returns what becomes of each row that a plan writes where it lies, but for the filter; exprs are what its source yields. It is not ok where more is to
// be looked at or written than the row, or the session is to hear of a value.
func (p *ModifyPlan) inPlace(ctx *Context, scan *physical.Scan, exprs []*expr.Node) (*physical.Change, bool) {
	if p.Ignore || p.MovesRows || p.Checked() || len(p.follows) > 0 || scan.Via != nil {
		return nil, false
	}
	change := newChange(ctx, p.Table)
	change.Delete, change.TimeZone = len(p.Assign) == 0, scan.Fragment.TimeZone
	stored := p.stored(&scan.Fragment)
	for i, a := range p.Assign {
		x := exprs[p.Values+i]
		if x == nil || a.Tells || p.Table.Schema.Columns[a.Column].AutoIncrement { // the tablet's id, or a value that the session is to hear of
			return nil, false
		}
		change.Assign = append(change.Assign, assignment(p.Table, a.Column, substitute(x, stored), a.Auto))
	}
	return change, true
}

// stored has columns of a fragment named by their positions in the table.
func (p *ModifyPlan) stored(f *physical.Fragment) func(c *expr.Node) *expr.Node {
	return func(c *expr.Node) *expr.Node {
		if c.Col >= len(f.Columns) {
			return nil
		}
		return expr.Col(p.Table.Schema.ColumnIndex(f.Columns[c.Col]), c.Type)
	}
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
