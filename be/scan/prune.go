package scan

import (
	"bytes"
	"slices"
	"strings"

	"stele/be/tablet/sought"
	"stele/meta/types"
	"stele/sql/collation"
	"stele/sql/expr"
	"stele/sql/fn"
	"stele/sql/physical"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// mostRanges is up to how many ranges a predicate has; of more it has one around them.
const mostRanges = 1024

// prune finds what the fragment's filter says of each column by itself: the ranges that its values must lie in. Zone maps, filters, orders
// and the bounds of the primary key can use it.
func prune(f *physical.Fragment) []sought.Predicate {
	p := pruner{f: f}
	var out []sought.Predicate
	for _, s := range p.sets(f.Filter) {
		one := sought.Predicate{Column: f.Columns[s.col], By: s.by, Op: sought.OpIn, Null: s.null}
		for _, r := range s.ranges {
			one.Ranges = append(one.Ranges, sought.Range{Lo: r.lo.v, Hi: r.hi.v})
		}
		out = append(out, one)
	}
	return out
}

// set is the values that a condition leaves of a column.
type set struct {
	col    int             // among the columns of the fragment
	by     types.Collation // ranges are of keys by it, unless it is that of bytes
	ranges []valueRange
	null   bool // NULL is one of them
}

// valueRange is the values between two, both of them included. Ranges of a set ascend and lie apart.
type valueRange struct{ lo, hi bound }

// bound is a value with its memcomparable key; without a key it is none.
type bound struct {
	v   expr.Value
	key []byte
}

type pruner struct{ f *physical.Fragment }

var open = bound{v: vec.NullValue()}

// sets returns what a condition that must be true leaves of columns, each of them once; a column that is missing is not bound.
func (p *pruner) sets(n *expr.Node) []set {
	if n == nil || n.Kind != expr.NodeCall {
		return nil
	}
	switch n.Func {
	case "and":
		var out []set
		for _, a := range n.Args {
			out = both(out, p.sets(a))
		}
		return out
	case "or":
		if len(n.Args) == 0 {
			return nil
		}
		out := p.sets(n.Args[0])
		for _, a := range n.Args[1:] {
			if len(out) == 0 {
				return nil
			}
			out = either(out, p.sets(a))
		}
		return out
	}
	if s, ok := p.setOf(n); ok {
		return []set{s}
	}
	return nil
}

// both returns what two conditions leave together.
func both(a, b []set) []set {
	for _, s := range b {
		at := slices.IndexFunc(a, func(o set) bool { return o.col == s.col && o.by == s.by })
		if at < 0 {
			a = append(a, s)
			continue
		}
		a[at].ranges = intersect(a[at].ranges, s.ranges)
		a[at].null = a[at].null && s.null
	}
	return a
}

// either returns what one or the other of two conditions leaves.
func either(a, b []set) (out []set) {
	for _, s := range a {
		at := slices.IndexFunc(b, func(o set) bool { return o.col == s.col && o.by == s.by })
		if at >= 0 {
			out = append(out, set{col: s.col, by: s.by, ranges: unite(append(slices.Clone(s.ranges), b[at].ranges...)), null: s.null || b[at].null})
		}
	}
	return out
}

// setOf returns what one comparison leaves of its column.
func (p *pruner) setOf(n *expr.Node) (s set, ok bool) {
	if len(n.Args) == 0 {
		return s, false
	}
	col, rest := n.Args[0], n.Args[1:]
	if len(rest) == 1 && col.Kind == expr.NodeConst {
		col, rest = rest[0], n.Args[:1]
		n = &expr.Node{Kind: expr.NodeCall, Func: mirrored[n.Func]}
	}
	if by, like := parameter(n, fn.CollationLike); like && len(rest) == 1 && col.Kind == expr.NodeColumn && p.isText(col) {
		s.col, s.by = col.Col, by
		s.ranges, ok = p.beginningBy(by, rest[0])
		return s, ok
	}
	if by, keyed := parameter(col, fn.CollationKey); keyed {
		s.by, col = by, col.Args[0]
	}
	if col.Kind != expr.NodeColumn || s.by != types.CollationBinary && !p.isText(col) {
		return s, false
	}
	s.col = col.Col
	if s.by != types.CollationBinary {
		col = nil // it is not its values that compare
	}
	switch {
	case n.Func == "isnull" && len(rest) == 0:
		s.null = true
		return s, true
	case n.Func == "<=>" && len(rest) == 1 && rest[0].Kind == expr.NodeConst && rest[0].Value.Null:
		s.null = true
		return s, true
	case n.Func == "in":
		s.ranges, ok = p.members(col, rest)
		return s, ok
	case n.Func == "like" && len(rest) == 1 && col != nil:
		s.ranges, ok = p.beginning(col, rest[0])
		return s, ok
	case len(rest) == 1:
		s.ranges, ok = p.compared(n.Func, col, rest[0])
		return s, ok
	}
	return s, false
}

// parameter returns the collation of a call of one of the functions of collations.
func parameter(n *expr.Node, name string) (types.Collation, bool) {
	if n.Kind != expr.NodeCall {
		return 0, false
	}
	c, ok := strings.CutPrefix(n.Func, name+":")
	if !ok {
		return 0, false
	}
	by, ok := types.ParseCollation(c)
	return by, ok && by != types.CollationBinary
}

// isText reports whether a column has texts that a collation can compare.
func (p *pruner) isText(col *expr.Node) bool {
	t := p.columnType(col)
	return t.IsString() && t.Kind != types.KindJSON && t.Phys() == types.PhysBytes
}

func (p *pruner) columnType(col *expr.Node) types.ColumnType {
	return p.f.Schema.Columns[p.f.Schema.ColumnIndex(p.f.Columns[col.Col])].Type
}

// mirrored maps a comparison to the one with its sides exchanged.
var mirrored = map[string]string{"=": "=", "<=>": "<=>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}

// compared returns the values that compare so with a constant. One too many, the constant itself, hurts nobody.
func (p *pruner) compared(op string, col, v *expr.Node) ([]valueRange, bool) {
	if mirrored[op] == "" || v.Kind != expr.NodeConst {
		return nil, false
	}
	if v.Value.Null {
		return nil, true // no row at all
	}
	b, ok := p.bound(col, v)
	if !ok {
		return nil, false
	}
	switch op {
	case "<", "<=":
		return []valueRange{{open, b}}, true
	case ">", ">=":
		return []valueRange{{b, open}}, true
	}
	return []valueRange{{b, b}}, true
}

// members returns the values of an IN list.
func (p *pruner) members(col *expr.Node, list []*expr.Node) (out []valueRange, ok bool) {
	for _, v := range list {
		r, ok := p.compared("=", col, v)
		if !ok {
			return nil, false
		}
		out = append(out, r...)
	}
	return unite(out), true
}

// beginning returns the values that begin with what a pattern of LIKE begins with.
func (p *pruner) beginning(col, v *expr.Node) ([]valueRange, bool) {
	if v.Kind != expr.NodeConst || v.Value.Null || !v.Type.IsString() {
		return nil, false
	}
	n := bytes.IndexAny(v.Value.B, `%_\`)
	if n < 0 {
		n = len(v.Value.B)
	}
	first := *v
	first.Value = expr.Value{B: v.Value.B[:n]}
	lo, ok := p.bound(col, &first)
	if n == 0 || !ok {
		return nil, false
	}
	hi := open
	if next := vec.KeySuccessor(first.Value.B); next != nil {
		first.Value = expr.Value{B: next}
		hi, _ = p.bound(col, &first)
	}
	return []valueRange{{lo, hi}}, true
}

// beginningBy returns the keys, by a collation, of texts that begin as a pattern of LIKE does.
func (p *pruner) beginningBy(by types.Collation, v *expr.Node) ([]valueRange, bool) {
	if v.Kind != expr.NodeConst || v.Value.Null || !v.Type.IsString() {
		return nil, false
	}
	n := bytes.IndexAny(v.Value.B, `%_\`)
	if n < 0 {
		n = len(v.Value.B)
	}
	first := collation.AppendStart(nil, by, v.Value.B[:n])
	if len(first) == 0 {
		return nil, false
	}
	hi := open
	if next := vec.KeySuccessor(first); next != nil {
		hi = keyBound(next)
	}
	return []valueRange{{keyBound(first), hi}}, true
}

// keyBound is the key of a text as a bound.
func keyBound(key []byte) bound {
	one := rowset.NewVector(types.ColumnType{Kind: types.KindVarBinary}, 1)
	one.Data, one.Off, one.N = key, append(one.Off, uint32(len(key))), 1
	return bound{v: expr.Value{B: key}, key: vec.AppendKey(nil, one, 0)}
}

// bound returns a constant that compares with the stored values of a column as they are, or, without a column, with keys of texts.
func (p *pruner) bound(col, v *expr.Node) (bound, bool) {
	if col == nil {
		return keyBound(v.Value.B), v.Type.IsString() && v.Type.Phys() == types.PhysBytes
	}
	t := p.columnType(col)
	if !sameForm(t, v.Type) {
		return bound{}, false
	}
	one := rowset.NewVector(t, 1)
	switch t.Phys() {
	case types.PhysInt64:
		one.I64 = append(one.I64, v.Value.I)
	case types.PhysFloat64:
		one.F64 = append(one.F64, v.Value.F)
	case types.PhysDec128:
		one.Dec = append(one.Dec, vec.Int128{Hi: v.Value.Hi, Lo: uint64(v.Value.I)})
	default:
		one.Data = append(one.Data, v.Value.B...)
		one.Off = append(one.Off, uint32(len(one.Data)))
	}
	one.N = 1
	return bound{v: v.Value, key: vec.AppendKey(nil, one, 0)}, true
}

// unite sorts ranges and joins those that touch.
func unite(in []valueRange) (out []valueRange) {
	slices.SortFunc(in, func(a, b valueRange) int {
		switch {
		case a.lo.key == nil && b.lo.key == nil:
			return 0
		case a.lo.key == nil:
			return -1
		case b.lo.key == nil:
			return 1
		}
		return bytes.Compare(a.lo.key, b.lo.key)
	})
	for _, r := range in {
		last := len(out) - 1
		if last < 0 || out[last].hi.key != nil && r.lo.key != nil && bytes.Compare(r.lo.key, out[last].hi.key) > 0 {
			out = append(out, r)
			continue
		}
		if h := &out[last].hi; h.key != nil && (r.hi.key == nil || bytes.Compare(r.hi.key, h.key) > 0) {
			*h = r.hi
		}
	}
	if len(out) > mostRanges {
		return []valueRange{{out[0].lo, out[len(out)-1].hi}}
	}
	return out
}

// intersect returns what is in a range of each of two lists.
func intersect(a, b []valueRange) (out []valueRange) {
	for i, j := 0, 0; i < len(a) && j < len(b); {
		r := a[i]
		if l := b[j].lo; r.lo.key == nil || l.key != nil && bytes.Compare(l.key, r.lo.key) > 0 {
			r.lo = l
		}
		h := b[j].hi
		first := h.key == nil || r.hi.key != nil && bytes.Compare(r.hi.key, h.key) <= 0
		if first {
			i++
		} else {
			r.hi = h
			j++
		}
		if r.lo.key == nil || r.hi.key == nil || bytes.Compare(r.lo.key, r.hi.key) <= 0 {
			out = append(out, r)
		}
	}
	return out
}

// sameForm reports whether a constant is in the physical form of the column, so that both compare as they are. What is not has
// been cast by the planner, the constant or the column (which then is a call).
func sameForm(col, c types.ColumnType) bool {
	switch {
	case col.Phys() != c.Phys():
		return false
	case col.IsInteger() && c.IsInteger():
		return col.Unsigned == c.Unsigned
	case col.IsString():
		return col.Kind != types.KindJSON && c.Kind != types.KindJSON
	case col.IsTemporal(): // microseconds, or days, however many digits a type shows
		return col.Kind == c.Kind
	}
	return col.Kind == c.Kind && col.Unsigned == c.Unsigned && col.Scale == c.Scale
}
