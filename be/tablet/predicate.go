package tablet

import (
	"bytes"
	"math"
	"slices"
	"sort"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// CompareOp is the comparison of a Predicate.
type CompareOp = rowset.CompareOp

// Comparisons.
const (
	OpEQ = rowset.OpEQ
	OpLT = rowset.OpLT
	OpLE = rowset.OpLE
	OpGT = rowset.OpGT
	OpGE = rowset.OpGE
	// OpIn: the value is in one of the Ranges of the predicate.
	OpIn CompareOp = math.MaxUint8
)

// Predicate is "column op value". It only lets a scan skip: rows that do not satisfy it may still be returned.
type Predicate struct {
	Column types.ColumnID
	Op     CompareOp
	Value  expr.Value // not NULL, in the physical form of the column's type
	// By, unless it is the collation of bytes: values are keys of it, and it is the keys of the column's texts that are compared.
	By types.Collation
	// Ranges of OpIn ascend and lie apart. Null: or the value is NULL.
	Ranges []Range
	Null   bool
}

// Range is the values from Lo to Hi, both of them included; one that is NULL is no bound.
type Range struct{ Lo, Hi expr.Value }

// prune is all that predicates say of one column.
type prune struct {
	rowset.OrderBy
	spans  []span
	null   bool     // NULL is wanted, too
	hashes []uint64 // of the values, when they are few and filters can be asked
	keyed  bool     // of a secondary key: row groups may have an order by it
}

// span is a Range. Of a single value lo and hi are the same vector.
type span struct {
	lo, hi       *vec.Vector // one value, or nil
	loKey, hiKey []byte      // memcomparable
	from, to     uint64      // prefixes
}

// mostHashes is how many values filters are asked for.
const mostHashes = 16

// pruneBy prepares predicates, those of one column together.
func (s *Snapshot) pruneBy(predicates []Predicate) (out []prune) {
	for i := range predicates {
		p := &predicates[i]
		if p.Op != OpIn && p.Value.Null {
			continue
		}
		by, ok := s.orderBy(p.Column, p.By)
		if !ok {
			continue
		}
		pr := s.pruneOf(p, by)
		at := slices.IndexFunc(out, func(o prune) bool { return o.Column == by.Column && o.By == by.By })
		if at < 0 {
			out = append(out, pr)
			continue
		}
		out[at].spans = intersect(out[at].spans, pr.spans)
		out[at].null = out[at].null && pr.null
	}
	for i := range out {
		s.hash(&out[i])
	}
	return out
}

// orderBy says what values of a column are compared as; not ok = it has no texts that the collation could compare.
func (s *Snapshot) orderBy(id types.ColumnID, by types.Collation) (rowset.OrderBy, bool) {
	t := s.columnType(id)
	if by == types.CollationBinary {
		return rowset.OrderBy{Column: id, Type: t}, true
	}
	return rowset.OrderBy{Column: id, Type: types.ColumnType{Kind: types.KindVarBinary}, By: by}, t.Phys() == types.PhysBytes
}

func (s *Snapshot) pruneOf(p *Predicate, by rowset.OrderBy) prune {
	pr := prune{OrderBy: by, null: p.Null, keyed: slices.Contains(s.schema.Indexed, p.Column)}
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
		pr.spans = append(pr.spans, newSpan(pr.Type, r))
	}
	return pr
}

func newSpan(t types.ColumnType, r Range) span {
	sp := span{to: math.MaxUint64}
	if !r.Lo.Null {
		sp.lo = rowset.NewVector(t, 1)
		appendValue(sp.lo, r.Lo)
		sp.loKey, sp.from = vec.AppendKey(nil, sp.lo, 0), rowset.Prefix(sp.lo, 0)
	}
	if !r.Hi.Null {
		sp.hi = rowset.NewVector(t, 1)
		appendValue(sp.hi, r.Hi)
		sp.hiKey, sp.to = vec.AppendKey(nil, sp.hi, 0), rowset.Prefix(sp.hi, 0)
	}
	sp.join()
	return sp
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
func (s *Snapshot) hash(p *prune) {
	if !p.keyed || p.null || p.By != types.CollationBinary || len(p.spans) > mostHashes || p.Type.Phys() == types.PhysFloat64 {
		return
	}
	for i := range p.spans {
		if !p.spans[i].isPoint() {
			p.hashes = nil
			return
		}
		p.hashes = append(p.hashes, rowset.ValueHash(p.spans[i].lo, 0))
	}
}

// mayMatch reports whether a vector of the zone may have a value that is wanted.
func (p *prune) mayMatch(z rowset.Zone) bool {
	return p.null || z.Min <= z.Max && (p.By != types.CollationBinary || p.overlaps(z.Min, z.Max))
}

// overlaps reports whether some wanted value has a prefix from lo to hi.
func (p *prune) overlaps(lo, hi uint64) bool {
	i := sort.Search(len(p.spans), func(i int) bool { return p.spans[i].to >= lo })
	return i < len(p.spans) && p.spans[i].from <= hi
}

// mayHold reports whether a row of a vector may be wanted.
func (p *prune) mayHold(v *vec.Vector, row int) bool {
	if v.IsNull(row) {
		return p.null
	}
	if p.By != types.CollationBinary {
		v, row = rowset.CollationKeys(p.By, rowset.Constant(v, row, 1)), 0
	}
	x := rowset.Prefix(v, row)
	return p.overlaps(x, x)
}

// narrows reports whether rows whose prefixes are from lo to hi hold few that are wanted, as far as the widths of ranges tell. Where texts
// are compared by keys nothing is known of all of them: a range is small if it is about one character.
func (p *prune) narrows(lo, hi uint64) bool {
	const weight = 1 << 48
	if p.By != types.CollationBinary {
		return !slices.ContainsFunc(p.spans, func(sp span) bool { return !sp.isPoint() && sp.to-sp.from > weight })
	}
	wide := 0.0
	for i := range p.spans {
		if sp := &p.spans[i]; !sp.isPoint() && sp.from <= hi && sp.to >= lo {
			wide += float64(min(sp.to, hi)-max(sp.from, lo)) + 1
		}
	}
	return wide*narrowPart <= float64(hi-lo)+1
}

// count returns how many rows of an order are wanted, about.
func (p *prune) count(o *rowset.Order) int {
	n := 0
	if p.null {
		n = len(o.Nulls())
	}
	for i := range p.spans {
		n += len(o.Rows(p.spans[i].lo, p.spans[i].hi))
	}
	return n
}

// rows appends the rows of an order that are wanted, ascending.
func (p *prune) rows(out []uint32, o *rowset.Order) []uint32 {
	if p.null {
		out = append(out, o.Nulls()...)
	}
	for i := range p.spans {
		out = append(out, o.Rows(p.spans[i].lo, p.spans[i].hi)...)
	}
	slices.Sort(out)
	return slices.Compact(out) // the codes of spans that lie apart may be the same
}
