package plan

import (
	"bytes"
	"cmp"
	"reflect"
	"slices"
	"time"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
)

// Kept is the plan of a SELECT that differs from one execution to the next in nothing but constants with which its conditions compare columns:
// Bind puts them in. When that may be is said in DESIGN.md.
type Kept struct {
	// Tables are those that it reads, in the order of the text.
	Tables []Named

	binder *binder // has what the columns of the conditions are; read only
	root   *physical.Node
	scans  []scanned
	slots  []*types.Column // for each value the column that it is compared with or that is set to it; nil = it belongs to the plan
	sets   []bool          // which of them columns are set to; the last ones may be left out
	values []Param         // that it was made for
}

// Named is a table as a statement names it, with the default database filled in.
type Named struct {
	Database, Name string
	Table          *catalog.Table

	alias string
}

// named looks a table up; false = there is none that is stored.
func (c *Context) named(src *ast.TableSource, name *ast.TableName) (Named, bool) {
	t, err := c.BaseTable(name.Schema.O, name.Name.O)
	if err != nil || c.madeUp(cmp.Or(name.Schema.O, c.CurrentDB)) {
		return Named{}, false
	}
	return Named{Database: cmp.Or(name.Schema.O, c.CurrentDB), Name: name.Name.O, Table: t, alias: cmp.Or(src.AsName.O, name.Name.O)}, true
}

// scanned is a scan of a kept plan: what of it depends on constants is made again from the conditions.
type scanned struct {
	scan  *physical.Scan
	table *catalog.Table
	preds []*expr.Node // over column ids
	read  []int        // the ids that the scan reads
}

// maxSlots bounds the values of a kept plan, maxNamed its tables.
const (
	maxSlots = 1024
	maxNamed = 8
)

// slots says which literals and parameters of a statement are to be found again in its plan.
type slots struct {
	at    map[ast.ExprNode]int // by the position of their values
	scans []scanned
}

// KeepSelect plans a query so that it can be kept. Values are as for PointSelect. What is not recognised, also what is wrong, is for
// Select; so is a plan in which some value is not found as it was given, or that other values of the same types would have changed.
func KeepSelect(ctx *Context, stmt ast.StmtNode, values []Param, prepared bool) (*Kept, bool) {
	if len(values) == 0 || len(values) > maxSlots {
		return nil, false
	}
	f, ok := findSlots(ctx, stmt, prepared, false)
	if !ok || len(f.columns) != len(values) {
		return nil, false
	}
	return f.keep(ctx, values, func(ctx *Context) (*binder, *physical.Node, error) {
		b := newBinder(ctx)
		root, err := b.selected(stmt)
		return b, root, err
	})
}

// keep keeps the plan of a statement whose slots are found.
func (f *slotFinder) keep(ctx *Context, values []Param, asked planning) (*Kept, bool) {
	k := &Kept{Tables: f.tables, slots: f.columns, sets: f.sets, values: values}
	if !k.Fits(values) || !k.plan(ctx, &f.found, asked) {
		return nil, false
	}
	return k, true
}

// planning makes a plan and tells the binder that knows its columns.
type planning func(*Context) (*binder, *physical.Node, error)

// plan makes the plan with other values than those that are there, and holds what comes of it with those against what they are planned to.
func (k *Kept) plan(ctx *Context, found *slots, asked planning) bool {
	other := *ctx
	other.Params, other.slots = others(k.given(k.values)), found
	var err error
	if k.binder, k.root, err = asked(&other); err != nil || other.Warnings.Count > 0 || other.ZeroDivisions > 0 {
		return false
	}
	seen := make([]int, len(k.values))
	for i, c := range k.slots {
		if c == nil {
			seen[i] = 1
		}
	}
	if !k.scansOf(k.root, found.scans, seen) || slices.Contains(seen, 0) {
		return false // the planner has done something with a value
	}
	k.binder.ctx = nil // it is of this session
	plain := *ctx
	if plain.Params == nil {
		plain.Params = k.values
	}
	_, want, err := asked(&plain)
	if err != nil {
		return false
	}
	return reflect.DeepEqual(k.Bind(ctx, k.values), want)
}

// scansOf collects the scans of a plan, of which some are known, and counts how often they have the value of each slot.
func (k *Kept) scansOf(n *physical.Node, known []scanned, seen []int) bool {
	if n.Scan != nil {
		at := slices.IndexFunc(known, func(s scanned) bool { return s.scan == n.Scan })
		if at < 0 {
			return false
		}
		k.scans = append(k.scans, known[at])
		for _, p := range known[at].preds {
			countSlots(p, seen)
		}
		for _, p := range n.Scan.Fragment.Project {
			countSlots(p, seen)
		}
	}
	for _, p := range n.Project {
		countSlots(p, seen)
	}
	for _, kid := range n.Children {
		if !k.scansOf(kid, known, seen) {
			return false
		}
	}
	return true
}

// Guesses reports whether the plan depends on how many rows there are: in which order tables are joined, and whether one is read by several keys.
func (k *Kept) Guesses() bool {
	return len(k.Tables) > 1 || slices.ContainsFunc(k.scans, func(s scanned) bool { return slices.ContainsFunc(s.preds, hasOr) })
}

// hasOr reports whether a condition has arms.
func hasOr(e *expr.Node) bool { return isCall(e, "or") || slices.ContainsFunc(e.Args, hasOr) }

// others are values of the same types, none of which is another's or its own.
func others(values []Param) []Param {
	out := make([]Param, len(values))
	for i, v := range values {
		out[i] = v
		n := int64(i + 1)
		if v.Type.Kind == types.KindVarChar {
			out[i].Value.B = append(slices.Clone(v.Value.B), '~', byte(n))
			out[i].Type.Length += 2
			continue
		}
		if n == v.Value.I {
			n += int64(len(values))
		}
		out[i].Value.I = n
	}
	return out
}

// countSlots counts how often the value of each slot stands in an expression.
func countSlots(e *expr.Node, seen []int) {
	if e.Slot > 0 {
		seen[e.Slot-1]++
	}
	for _, a := range e.Args {
		countSlots(a, seen)
	}
}

// slotted marks the constant of a literal or parameter that is to be found again.
func (b *binder) slotted(n ast.ExprNode, x *expr.Node, err error) (*expr.Node, error) {
	if b.ctx.slots == nil || err != nil {
		return x, err
	}
	if at, ok := b.ctx.slots.at[n]; ok {
		v := b.ctx.Params[at]
		x = expr.Const(v.Value, v.Type)
		x.Slot = at + 1
	}
	return x, nil
}

// Values is how many values the plan has.
func (k *Kept) Values() int { return len(k.slots) }

// Schema is that of the result.
func (k *Kept) Schema() []physical.OutColumn { return k.root.Schema }

// Fits reports whether values are such that the plan does not depend on them: of the types that it was made with, and as they stand
// values of the columns that they are compared with. Texts that end in spaces, or are none, may compare by other rules.
func (k *Kept) Fits(values []Param) bool {
	if len(values) != len(k.values) {
		return false
	}
	for i, v := range values {
		t, of := v.Type, &k.values[i]
		if t.Kind != of.Type.Kind || t.Unsigned != of.Type.Unsigned || v.Value.Null {
			return false
		}
		if k.slots[i] == nil {
			if t.Collation != of.Type.Collation || v.Value.I != of.Value.I || !bytes.Equal(v.Value.B, of.Value.B) {
				return false
			}
			continue
		}
		if k.isSet(i) {
			if t.Collation != of.Type.Collation || t.Kind == types.KindVarChar && (int(t.Length) != len(v.Value.B) || !isASCII(v.Value.B)) {
				return false
			}
			continue
		}
		if k.slots[i].Type.IsTemporal() {
			if _, ok := writtenMoment(v, k.slots[i].Type); !ok {
				return false
			}
			continue
		}
		if t.Kind == types.KindVarChar {
			b := v.Value.B
			if len(b) == 0 || len(b) > int(k.slots[i].Type.Length) || b[len(b)-1] <= ' ' || !isASCII(b) || int(t.Length) != len(b) || t.Collation != of.Type.Collation {
				return false
			}
			continue
		}
		if t.Unsigned && v.Value.I < 0 || !holds(k.slots[i].Type, v.Value.I) {
			return false
		}
	}
	return true
}

// isSet reports whether a column is set to a value.
func (k *Kept) isSet(i int) bool { return i < len(k.sets) && k.sets[i] }

// given are values as the plan has them: the dates and times that texts stand for.
func (k *Kept) given(values []Param) []Param {
	out := values
	for i, c := range k.slots {
		if c != nil && c.Type.IsTemporal() && !k.isSet(i) {
			if &out[0] == &values[0] {
				out = slices.Clone(values)
			}
			out[i], _ = writtenMoment(values[i], c.Type)
		}
	}
	return out
}

// writtenMoment is the DATE or DATETIME that a text is in the form in which values of that type are written.
func writtenMoment(v Param, of types.ColumnType) (Param, bool) {
	text := string(v.Value.B)
	if v.Type.Kind != types.KindVarChar || len(text) != len(time.DateOnly) && (len(text) != len(time.DateTime) || of.Kind != types.KindDateTime) {
		return v, false
	}
	const oldest = 1000 // years before it are beyond what MySQL supports
	t, err := time.Parse(time.DateTime[:len(text)], text)
	if err != nil || t.Year() < oldest {
		return v, false
	}
	out := Param{Value: expr.Value{I: t.Unix() / (24 * 60 * 60)}, Type: types.ColumnType{Kind: types.KindDate}}
	if of.Kind == types.KindDateTime { // what is compared with a text is compared to the microsecond
		out = Param{Value: expr.Value{I: t.UnixMicro()}, Type: types.ColumnType{Kind: types.KindDateTime, Scale: 6}}
	}
	return out, true
}

// Bind returns the plan with other values, which fit. Of the context it reads the catalog, the time and the time zone.
func (k *Kept) Bind(ctx *Context, values []Param) *physical.Node {
	b := *k.binder
	b.ctx = ctx
	consts := make([]expr.Node, len(values))
	for i, v := range k.given(values) {
		consts[i] = *expr.Const(v.Value, v.Type)
	}
	scans := make([]physical.Scan, len(k.scans))
	for i := range k.scans {
		of := &k.scans[i]
		preds := make([]*expr.Node, len(of.preds))
		for j, p := range of.preds {
			preds[j] = filled(p, consts)
		}
		scans[i] = *of.scan
		b.narrow(&scans[i], of.table, preds, of.read)
	}
	return k.with(k.root, scans, consts)
}

// filled puts constants into their slots.
func filled(e *expr.Node, consts []expr.Node) *expr.Node {
	if e.Slot > 0 {
		return &consts[e.Slot-1]
	}
	var args []*expr.Node
	for i, a := range e.Args {
		n := filled(a, consts)
		if n != a && args == nil {
			args = slices.Clone(e.Args)
		}
		if args != nil {
			args[i] = n
		}
	}
	if args == nil {
		return e
	}
	c := *e
	c.Args = args
	return &c
}

// with is a plan with other scans, and other values that columns are set to.
func (k *Kept) with(n *physical.Node, scans []physical.Scan, consts []expr.Node) *physical.Node {
	c := *n
	for i := range scans {
		if n.Scan == k.scans[i].scan {
			c.Scan = &scans[i]
			if len(k.sets) > 0 {
				c.Schema, scans[i].Fragment.Project = settled(c.Schema, scans[i].Fragment.Project, func(x *expr.Node) *expr.Node { return filled(x, consts) })
			}
			return &c
		}
	}
	c.Children = make([]*physical.Node, len(n.Children))
	for i, kid := range n.Children {
		c.Children[i] = k.with(kid, scans, consts)
	}
	if len(k.sets) > 0 && len(c.Children) == 1 {
		below := c.Children[0].Schema
		c.Schema, c.Project = settled(c.Schema, c.Project, func(x *expr.Node) *expr.Node {
			if x.Kind == expr.NodeColumn && x.Type != below[x.Col].Type && n.Children[0].Schema[x.Col].Type == x.Type {
				return expr.Col(x.Col, below[x.Col].Type)
			}
			return filled(x, consts)
		})
	}
	return &c
}

// settled puts constants into what is projected, and their types, of which a text's says how long it is, into what that yields.
func settled(schema []physical.OutColumn, exprs []*expr.Node, to func(*expr.Node) *expr.Node) ([]physical.OutColumn, []*expr.Node) {
	var outSchema []physical.OutColumn
	out := exprs
	for i, x := range exprs {
		n := to(x)
		if n == x {
			continue
		}
		if outSchema == nil {
			outSchema, out = slices.Clone(schema), slices.Clone(exprs)
		}
		out[i], outSchema[i].Type = n, n.Type
	}
	if outSchema == nil {
		return schema, exprs
	}
	return outSchema, out
}
