package sought

import (
	"bytes"
	"iter"
	"math"
	"slices"
	"sort"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// Values is all that predicates say of one column: which values of it are sought.
type Values struct {
	rowset.OrderBy
	Null   bool     // NULL is sought, too
	Hashes []uint64 // of the values, when they are few and filters can be asked
	Keyed  bool     // of a secondary key: row groups may have an order by it

	spans []span // ascending and apart
}

// span is a Range. Of a single value lo and hi are the same vector.
type span struct {
	lo, hi       *vec.Vector // one value, or nil
	loKey, hiKey []byte      // memcomparable
	from, to     uint64      // prefixes
}

// narrowPart is of how much of the range of a column less than one part is sought when an order is worth making.
const narrowPart = 4

// mostHashes is how many values filters are asked for.
const mostHashes = 16

// ValuesOf prepares predicates, those of one column together.
func ValuesOf(schema *types.Schema, predicates []Predicate) (out []Values) {
	for i := range predicates {
		p := &predicates[i]
		if p.Op != OpIn && p.Value.Null {
			continue
		}
		by, ok := OrderBy(p.Column, typeOf(schema, p.Column), p.By)
		if !ok {
			continue
		}
		v := p.values(by)
		v.Keyed = slices.Contains(schema.Indexed, p.Column)
		if of := Find(out, p.Column, p.By); of != nil {
			of.spans = intersect(of.spans, v.spans)
			of.Null = of.Null && v.Null
			continue
		}
		out = append(out, v)
	}
	for i := range out {
		out[i].hash()
	}
	return out
}

// Find returns what is sought of a column as a collation compares it; nil = nothing is known.
func Find(all []Values, id types.ColumnID, by types.Collation) *Values {
	for i := range all {
		if all[i].Column == id && all[i].By == by {
			return &all[i]
		}
	}
	return nil
}

// OrderBy says what values of a column of a type are compared as; not ok = it has no texts that the collation could compare.
func OrderBy(id types.ColumnID, t types.ColumnType, by types.Collation) (o rowset.OrderBy, ok bool) {
	if by == types.CollationBinary {
		return rowset.OrderBy{Column: id, Type: t}, true
	}
	return rowset.OrderBy{Column: id, Type: types.ColumnType{Kind: types.KindVarBinary}, By: by}, t.Phys() == types.PhysBytes
}

// All seeks all values of a column, of a secondary key.
func All(by rowset.OrderBy) Values {
	return Values{OrderBy: by, Null: true, Keyed: true, spans: []span{{to: math.MaxUint64}}}
}

// values is what p alone says.
func (p *Predicate) values(by rowset.OrderBy) Values {
	v := Values{OrderBy: by, Null: p.Null}
	ranges := p.Ranges
	none := expr.Value{Null: true}
	switch p.Op {
	case OpEQ:
		ranges = []Range{{p.Value, p.Value}}
	case OpGE, OpGT:
		ranges = []Range{{p.Value, none}}
	case OpLE, OpLT:
		ranges = []Range{{none, p.Value}}
	}
	for _, r := range ranges {
		v.spans = append(v.spans, newSpan(v.Type, r))
	}
	return v
}

func newSpan(t types.ColumnType, r Range) span {
	sp := span{to: math.MaxUint64}
	if !r.Lo.Null {
		sp.lo, sp.loKey, sp.from = single(t, r.Lo)
	}
	if !r.Lo.Null && !r.Hi.Null && t.Phys() == types.PhysInt64 && r.Lo.I == r.Hi.I {
		sp.hi, sp.hiKey, sp.to = sp.lo, sp.loKey, sp.from
		return sp
	}
	if !r.Hi.Null {
		sp.hi, sp.hiKey, sp.to = single(t, r.Hi)
	}
	sp.join()
	return sp
}

// single returns a value as a vector, its key and its prefix.
func single(t types.ColumnType, x expr.Value) (v *vec.Vector, key []byte, prefix uint64) {
	v = rowset.NewVector(t, 1)
	rowset.AppendValue(v, x.I, x.Hi, x.F, x.B)
	return v, vec.AppendKey(make([]byte, 0, vec.KeyIntSize), v, 0), rowset.Prefix(v, 0)
}

// join makes bounds that are the same value the same vector.
func (sp *span) join() {
	if sp.lo != nil && sp.hi != nil && bytes.Equal(sp.loKey, sp.hiKey) {
		sp.hi = sp.lo
	}
}

func (sp *span) isPoint() bool { return sp.lo != nil && sp.lo == sp.hi }

// intersect returns what two lists of ascending spans that lie apart have in common.
func intersect(a, b []span) (out []span) {
	for i, j := 0, 0; i < len(a) && j < len(b); {
		x, y := &a[i], &b[j]
		both := *x
		if x.lo == nil || y.lo != nil && bytes.Compare(x.loKey, y.loKey) < 0 {
			both.lo, both.loKey, both.from = y.lo, y.loKey, y.from
		}
		first := y.hi == nil || x.hi != nil && bytes.Compare(x.hiKey, y.hiKey) <= 0 // x ends first
		if !first {
			both.hi, both.hiKey, both.to = y.hi, y.hiKey, y.to
		}
		if both.lo == nil || both.hi == nil || bytes.Compare(both.loKey, both.hiKey) <= 0 {
			both.join()
			out = append(out, both)
		}
		if first {
			i++
		} else {
			j++
		}
	}
	return out
}

// hash prepares what filters are asked for.
func (s *Values) hash() {
	if !s.Keyed || s.Null || s.By != types.CollationBinary || len(s.spans) > mostHashes || s.Type.Phys() == types.PhysFloat64 {
		return
	}
	for i := range s.spans {
		if !s.spans[i].isPoint() {
			s.Hashes = nil
			return
		}
		s.Hashes = append(s.Hashes, rowset.ValueHash(s.spans[i].lo, 0))
	}
}

// Point returns the key of the one value that is sought; not ok = others are, too, or none is.
func (s *Values) Point() (key []byte, ok bool) {
	if s.Null || len(s.spans) != 1 || !s.spans[0].isPoint() {
		return nil, false
	}
	return s.spans[0].loKey, true
}

// MayMatch reports whether a vector of the zone may have a value that is sought.
func (s *Values) MayMatch(z rowset.Zone) bool {
	return s.Null || z.Min <= z.Max && (s.By != types.CollationBinary || s.overlaps(z.Min, z.Max))
}

// overlaps reports whether some sought value has a prefix from lo to hi.
func (s *Values) overlaps(lo, hi uint64) bool {
	i := sort.Search(len(s.spans), func(i int) bool { return s.spans[i].to >= lo })
	return i < len(s.spans) && s.spans[i].from <= hi
}

// MayHold reports whether a row of a vector may be sought.
func (s *Values) MayHold(v *vec.Vector, row int) bool {
	if v.IsNull(row) {
		return s.Null
	}
	if s.By != types.CollationBinary {
		v, row = rowset.CollationKeys(s.By, rowset.Constant(v, row, 1)), 0
	}
	x := rowset.Prefix(v, row)
	return s.overlaps(x, x)
}

// Narrows reports whether rows whose prefixes are from lo to hi hold few that are sought, as far as the widths of ranges tell. Where texts
// are compared by keys nothing is known of all of them: a range is small if it is about one character.
func (s *Values) Narrows(lo, hi uint64) bool {
	const weight = 1 << 48
	if s.By != types.CollationBinary {
		return !slices.ContainsFunc(s.spans, func(sp span) bool { return !sp.isPoint() && sp.to-sp.from > weight })
	}
	wide := 0.0
	for i := range s.spans {
		if sp := &s.spans[i]; !sp.isPoint() && sp.from <= hi && sp.to >= lo {
			wide += float64(min(sp.to, hi)-max(sp.from, lo)) + 1
		}
	}
	return wide*narrowPart <= float64(hi-lo)+1
}

// Count returns how many rows of an order are sought, about.
func (s *Values) Count(o *rowset.Order) int {
	n := 0
	if s.Null {
		n = len(o.Nulls())
	}
	for i := range s.spans {
		n += len(o.Rows(s.spans[i].lo, s.spans[i].hi))
	}
	return n
}

// Entries yields which entries [from, to) of an order have values that are sought, in turn; the NULLs are not among them.
func (s *Values) Entries(o *rowset.Order) iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		for i := range s.spans {
			if !yield(o.From(s.spans[i].lo, s.spans[i].hi)) {
				return
			}
		}
	}
}

// Rows appends the rows of an order that are sought, ascending.
func (s *Values) Rows(out []uint32, o *rowset.Order) []uint32 {
	if s.Null {
		out = append(out, o.Nulls()...)
	}
	for i := range s.spans {
		out = append(out, o.Rows(s.spans[i].lo, s.spans[i].hi)...)
	}
	slices.Sort(out)
	return slices.Compact(out) // the codes of spans that lie apart may be the same
}
