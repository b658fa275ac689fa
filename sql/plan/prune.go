package plan

import (
	"bytes"
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// maxPoints bounds how many keys or hash values a scan is narrowed to.
const maxPoints = 1024

// keyRange is the half-open range [lo, hi) of memcomparable keys of one column; nil hi = no end.
type keyRange struct {
	lo, hi []byte
	point  bool // exactly one value, lo
}

// pruner narrows a scan by its conditions.
type pruner struct {
	b     *binder
	table *catalog.Table
	parts []types.PartitionID // nil = all
	preds []*expr.Node
	// byKeys: texts of a collation are bound by their keys, as they are in the hidden table of a unique key.
	byKeys bool
	known  map[boundBy][]keyRange // what ranges has found out
	room   []byte                 // of keys
}

// boundBy is a column as ranges is asked for it.
type boundBy struct {
	column types.ColumnID
	byKeys bool
}

// Narrow works out anew which tablets and rows a scan reads, from a filter to which joins have added the keys that they look for.
func Narrow(ctx *Context, s *physical.Scan) {
	f := &s.Fragment
	t, ok := ctx.Catalog.TableByID(s.TableID)
	if !ok || t.Schema.Version != f.Schema.Version || f.Keys != nil {
		return
	}
	b := newBinder(ctx)
	read := make([]int, len(f.Columns))
	for i, id := range f.Columns {
		pos := t.Schema.ColumnIndex(id)
		read[i] = b.newColumn(column{typ: t.Schema.Columns[pos].Type, table: t, pos: pos})
	}
	b.narrow(s, t, conjuncts(f.Filter), read)
}

// tablets lists the tablets that may hold rows, in partition and bucket order.
func (p *pruner) tablets() []types.TabletID {
	out := []types.TabletID{}
	if p.b.ctx.literal {
		for i := range p.table.Parts {
			if p.named(&p.table.Parts[i]) {
				out = append(out, p.table.Parts[i].Tablets...)
			}
		}
		return out
	}
	if slices.ContainsFunc(p.preds, isFalse) || p.contradictory() {
		return out
	}
	hashes, bound := p.points(p.table.HashBy)
	for i := range p.table.Parts {
		part := &p.table.Parts[i]
		if !p.reaches(part) {
			continue
		}
		if !bound {
			out = append(out, part.Tablets...)
			continue
		}
		out = append(out, buckets(part, hashes)...)
	}
	return out
}

// contradictory reports whether the conditions leave nothing of a column of the key or the layout.
func (p *pruner) contradictory() bool {
	cols := append(slices.Clone(p.table.Schema.Key), p.table.HashBy...)
	if p.table.Partition != nil {
		cols = append(cols, p.table.Partition.Columns...)
	}
	return slices.ContainsFunc(cols, func(id types.ColumnID) bool { return len(p.ranges(id)) == 0 })
}

// named reports whether a partition is among those that the statement reads.
func (p *pruner) named(part *catalog.Partition) bool {
	return p.parts == nil || slices.Contains(p.parts, part.ID)
}

// reaches reports whether a partition is read and takes rows that the conditions on the first partition column allow.
func (p *pruner) reaches(part *catalog.Partition) bool {
	if !p.named(part) {
		return false
	}
	if p.table.Partition == nil {
		return true
	}
	ranges := p.ranges(p.table.Partition.Columns[0])
	return slices.ContainsFunc(ranges, func(r keyRange) bool {
		if p.table.Partition.List {
			return slices.ContainsFunc(part.Listed, func(l catalog.Listed) bool {
				return bytes.Compare(l.Key, r.lo) >= 0 && (r.hi == nil || bytes.Compare(l.Key, r.hi) < 0)
			})
		}
		return (part.Upper == nil || bytes.Compare(r.lo, part.Upper) < 0) && (r.hi == nil || bytes.Compare(part.Lower, r.hi) < 0)
	})
}

// keys lists the complete primary keys that the conditions allow; nil when they do not bind the whole key.
func (p *pruner) keys() [][]byte {
	keys, ok := p.points(p.table.Schema.Key)
	if !ok || p.b.ctx.literal {
		return nil
	}
	slices.SortFunc(keys, bytes.Compare)
	return slices.CompactFunc(keys, bytes.Equal)
}

// homes lists the tablets in which rows with some primary keys lie, nil where a key alone does not say that, or one tablet is read.
func (p *pruner) homes(keys [][]byte) []types.TabletID {
	t := p.table
	if len(keys) < 2 || len(t.Parts) != 1 || len(t.Parts[0].Tablets) < 2 || !slices.Equal(t.HashBy, t.Schema.Key) {
		return nil
	}
	out := make([]types.TabletID, len(keys))
	for i, k := range keys {
		out[i] = t.Parts[0].Tablets[Bucket(k, len(t.Parts[0].Tablets))]
	}
	return out
}

// via finds a unique key whose columns the conditions bind to single values: its hidden table says which rows can pass.
func (p *pruner) via() *physical.Via {
	if p.b.ctx.literal {
		return nil
	}
	for _, k := range p.table.VisibleKeys() {
		if !k.Enforced() || p.table.Cuts(&k) {
			continue
		}
		p.byKeys = true // the hidden table has keys of texts that do not compare by their bytes
		keys, ok := p.points(k.Columns)
		p.byKeys = false
		index, there := p.b.ctx.Catalog.TableByID(k.Index)
		if !ok || !there || len(index.Parts) != len(p.table.Parts) {
			continue
		}
		slices.SortFunc(keys, bytes.Compare)
		keys = slices.CompactFunc(keys, bytes.Equal) // each entry is found once, however often it is named
		v := &physical.Via{Key: k.Name, TableID: index.ID, Fragment: physical.Fragment{Schema: index.Schema, Keys: keys}}
		for _, c := range index.Schema.Columns {
			v.Fragment.Columns = append(v.Fragment.Columns, c.ID)
		}
		for i := range index.Parts {
			if p.reaches(&p.table.Parts[i]) {
				v.Tablets = append(v.Tablets, buckets(&index.Parts[i], keys)...)
			}
		}
		return v
	}
	return nil
}

// buckets lists the tablets of a partition that rows with some distribution keys lie in.
func buckets(part *catalog.Partition, keys [][]byte) []types.TabletID {
	hit := map[int]bool{}
	for _, k := range keys {
		hit[Bucket(k, len(part.Tablets))] = true
	}
	var out []types.TabletID
	for bucket, id := range part.Tablets {
		if hit[bucket] {
			out = append(out, id)
		}
	}
	return out
}

// points lists the keys over the columns when the conditions bind each of them to single values.
func (p *pruner) points(cols []types.ColumnID) ([][]byte, bool) {
	keys := [][]byte{nil}
	for _, id := range cols {
		ranges := p.ranges(id)
		if len(ranges)*len(keys) > maxPoints {
			return nil, false
		}
		next := make([][]byte, 0, len(ranges)*len(keys))
		for _, k := range keys {
			for _, r := range ranges {
				if !r.point {
					return nil, false
				}
				if k == nil {
					next = append(next, r.lo)
					continue
				}
				next = append(next, append(slices.Clone(k), r.lo...))
			}
		}
		keys = next
	}
	return keys, len(cols) > 0 && len(keys) > 0
}

// ranges intersects what all conditions say of a column.
func (p *pruner) ranges(id types.ColumnID) []keyRange {
	by := boundBy{id, p.byKeys}
	if r, ok := p.known[by]; ok {
		return r
	}
	out, some := []keyRange{{}}, false
	for _, c := range p.preds {
		r, ok := p.rangesOf(c, id)
		switch {
		case ok && some:
			out = intersect(out, r)
		case ok:
			out, some = r, true
		}
	}
	if p.known == nil {
		p.known = map[boundBy][]keyRange{}
	}
	p.known[by] = out
	return out
}

// intersect meets two lists of ranges.
func intersect(a, b []keyRange) []keyRange {
	var out []keyRange
	for _, x := range a {
		for _, y := range b {
			r := keyRange{lo: x.lo, hi: x.hi, point: x.point || y.point}
			if bytes.Compare(y.lo, r.lo) > 0 {
				r.lo = y.lo
			}
			if r.hi == nil || y.hi != nil && bytes.Compare(y.hi, r.hi) < 0 {
				r.hi = y.hi
			}
			if r.hi == nil || bytes.Compare(r.lo, r.hi) < 0 {
				out = append(out, r)
			}
		}
	}
	return out
}

// rangesOf says what one condition leaves of a column; false when it says nothing.
func (p *pruner) rangesOf(c *expr.Node, id types.ColumnID) ([]keyRange, bool) {
	if c.Kind != expr.NodeCall {
		return nil, false
	}
	switch c.Func {
	case "or":
		var all []keyRange
		for _, arm := range c.Args {
			r, ok := p.rangesOf(arm, id)
			if !ok || len(all)+len(r) > maxPoints {
				return nil, false
			}
			all = append(all, r...)
		}
		return all, true
	case "and":
		out, some := []keyRange{{}}, false
		for _, arm := range c.Args {
			if r, ok := p.rangesOf(arm, id); ok {
				out, some = intersect(out, r), true
			}
		}
		return out, some
	case "in":
		return p.inRanges(c, id)
	case "=", "<", "<=", ">", ">=":
		op, col, v := c.Func, c.Args[0], c.Args[1]
		if col.Kind == expr.NodeConst {
			op, col, v = mirrored[op], v, col
		}
		return p.compareRange(op, col, v, id)
	}
	return nil, false
}

// mirrored maps a comparison to the one with its sides exchanged.
var mirrored = map[string]string{"=": "=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}

// inRanges is one point a member.
func (p *pruner) inRanges(c *expr.Node, id types.ColumnID) ([]keyRange, bool) {
	if len(c.Args) > maxPoints {
		return nil, false
	}
	t, ok := p.bareColumn(c.Args[0], id)
	if !ok {
		return nil, false
	}
	out := make([]keyRange, 0, len(c.Args)-1)
	for _, v := range c.Args[1:] {
		if v.Kind == expr.NodeConst && v.Value.Null {
			continue
		}
		r, ok := p.rangeOf("=", v, t)
		if !ok {
			return nil, false
		}
		out = append(out, r)
	}
	return out, true
}

// compareRange turns a comparison of the column with a constant into a range, if the constant is exactly a value of the
// column's type.
func (p *pruner) compareRange(op string, col, v *expr.Node, id types.ColumnID) ([]keyRange, bool) {
	t, ok := p.bareColumn(col, id)
	if !ok || v.Kind != expr.NodeConst {
		return nil, false
	}
	if v.Value.Null {
		return nil, true
	}
	r, ok := p.rangeOf(op, v, t)
	return []keyRange{r}, ok
}

// rangeOf is the range of a type's values that compare with one that is not NULL in some way.
func (p *pruner) rangeOf(op string, v *expr.Node, t types.ColumnType) (keyRange, bool) {
	if v.Kind != expr.NodeConst {
		return keyRange{}, false
	}
	val, ok := p.exact(v, t)
	if !ok && t.Kind == types.KindDate && v.Type.Kind == types.KindDateTime {
		val, op, ok = floorDay(v.Value, op)
	}
	if !ok {
		return keyRange{}, false
	}
	from := len(p.room)
	p.room = vec.AppendValueKey(p.room, val, t)
	key := p.room[from:len(p.room):len(p.room)]
	next := vec.KeySuccessor(key)
	switch op {
	case "=":
		return keyRange{lo: key, hi: next, point: true}, true
	case "<":
		return keyRange{hi: key}, true
	case "<=":
		return keyRange{hi: next}, true
	case ">":
		return keyRange{lo: next}, true
	}
	return keyRange{lo: key}, true
}

// floorDay compares dates with a time of day by its date: before noon of a day is on the day or before it.
func floorDay(v expr.Value, op string) (expr.Value, string, bool) {
	days, _ := sqltypes.FloorDay(v.I)
	switch op {
	case "<", "<=":
		return expr.Value{I: days}, "<=", true
	case ">", ">=":
		return expr.Value{I: days}, ">", true
	}
	return v, op, false
}

// bareColumn recognises the column, or its key, also under a cast that keeps all its values and their order.
func (p *pruner) bareColumn(e *expr.Node, id types.ColumnID) (types.ColumnType, bool) {
	if isCall(e, "cast") && keepsOrder(e.Args[0].Type, e.Type) {
		e = e.Args[0]
	}
	by, keyed := keyOf(e)
	if keyed && p.byKeys {
		e = e.Args[0]
	}
	if e.Kind != expr.NodeColumn {
		return types.ColumnType{}, false
	}
	c := &p.table.Schema.Columns[p.b.cols[e.Col].pos]
	t := c.Type
	if p.byKeys {
		if by != t.Collation {
			return t, false // compared otherwise than the unique key does
		}
		if keyed {
			t = types.ColumnType{Kind: types.KindVarBinary}
		}
	}
	return t, c.ID == id
}

// keepsOrder reports whether a cast is one to one and monotonic.
func keepsOrder(from, to types.ColumnType) bool {
	switch {
	case from.IsInteger() && to.Kind == types.KindDecimal:
		return to.Length-to.Scale >= 20
	case from.Kind == types.KindDate:
		return to.Kind == types.KindDateTime
	case from.Kind == types.KindDecimal && to.Kind == types.KindDecimal:
		return to.Scale >= from.Scale && to.Length-to.Scale >= from.Length-from.Scale
	case from.IsInteger() && to.Kind == types.KindBigInt:
		return from.Unsigned == to.Unsigned || from.Unsigned && from.Kind != types.KindBigInt
	}
	return false
}

// exact converts a constant to the column's type; false when that changes it.
func (p *pruner) exact(v *expr.Node, t types.ColumnType) (expr.Value, bool) {
	if plainInteger(t) && !v.Value.Null && heldAsIs(t, v.Value, v.Type) {
		return v.Value, true
	}
	if like := v.Type; t.IsInteger() || t.Kind == types.KindVarChar {
		like.NotNull = t.NotNull
		if like == t {
			return v.Value, true
		}
	}
	if v.Type.IsString() != t.IsString() && !t.IsTemporal() {
		return expr.Value{}, false
	}
	loc := p.b.ctx.Location()
	t.NotNull = false
	out, err := sqltypes.Convert(v.Value, v.Type, t, true, loc)
	if err != nil || out.Null {
		return out, false
	}
	back, err := sqltypes.Cast(out, t, v.Type, sqltypes.Env{Loc: loc, NowMicros: p.b.ctx.NowMicros})
	if err != nil || !v.Type.IsString() && !sameValue(back, v.Value) {
		return out, false
	}
	if v.Type.IsString() && t.IsString() && !bytes.Equal(out.B, v.Value.B) {
		return out, false
	}
	return out, true
}
