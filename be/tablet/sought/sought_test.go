package sought

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// schema has a key of two integers, the second one without a sign, and a KEY of another.
var schema = types.Schema{Key: []types.ColumnID{1, 2}, Indexed: []types.ColumnID{3}, Columns: []types.Column{
	{ID: 1, Type: types.ColumnType{Kind: types.KindInt, NotNull: true}},
	{ID: 2, Type: types.ColumnType{Kind: types.KindBigInt, Unsigned: true, NotNull: true}},
	{ID: 3, Type: types.ColumnType{Kind: types.KindBigInt}},
}}

// some are the values that tests draw from; two of them are far from the others, and negative where a column has a sign.
var some = []int64{0, 1, 2, 3, 5, 8, 13, 300, math.MinInt64, -1}

// drawPredicate draws a predicate on a column.
func drawPredicate(rt *rapid.T, id types.ColumnID) Predicate {
	value := rapid.SampledFrom(some)
	p := Predicate{Column: id, Op: CompareOp(rapid.IntRange(0, 5).Draw(rt, "op")), Value: expr.Value{I: value.Draw(rt, "value")}}
	if p.Op > OpGE {
		p.Op = OpIn
		ends := rapid.SliceOfNDistinct(value, 0, 6, rapid.ID).Draw(rt, "ends")
		slices.SortFunc(ends, func(a, b int64) int { return compare(id, a, b) })
		for i := 0; i < len(ends); i++ {
			r := Range{Lo: expr.Value{I: ends[i]}, Hi: expr.Value{I: ends[i]}}
			if i+1 < len(ends) && rapid.Bool().Draw(rt, "wide") {
				i++
				r.Hi.I = ends[i]
			}
			p.Ranges = append(p.Ranges, r)
		}
		p.Null = id == 3 && rapid.Bool().Draw(rt, "or NULL")
	}
	return p
}

// compare compares values of a column.
func compare(id types.ColumnID, a, b int64) int {
	x, y := vectorOf(id, a), vectorOf(id, b)
	return slices.Compare(vec.AppendKey(nil, x, 0), vec.AppendKey(nil, y, 0))
}

func vectorOf(id types.ColumnID, values ...int64) *vec.Vector {
	v := rowset.NewVector(typeOf(&schema, id), len(values))
	v.I64, v.N = append(v.I64, values...), len(values)
	return v
}

// satisfies reports whether a value is what all predicates say.
func satisfies(predicates []Predicate, id types.ColumnID, x int64) bool {
	for _, p := range predicates {
		d := compare(id, x, p.Value.I)
		in := slices.ContainsFunc(p.Ranges, func(r Range) bool { return compare(id, r.Lo.I, x) <= 0 && compare(id, x, r.Hi.I) <= 0 })
		if p.Column == id && !map[CompareOp]bool{OpEQ: d == 0, OpLT: d < 0, OpLE: d <= 0, OpGT: d > 0, OpGE: d >= 0, OpIn: in}[p.Op] {
			return false
		}
	}
	return true
}

// TestValuesMissNone: whatever predicates meet, a value that satisfies them all may be held, by itself and by a zone around it, and
// filters are asked for it.
func TestValuesMissNone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		predicates := []Predicate{drawPredicate(rt, 3), drawPredicate(rt, 3)}
		null := predicates[0].Null && predicates[1].Null
		v := ValuesOf(&schema, predicates)
		if len(v) != 1 || v[0].Null != null || Find(v, 3, types.CollationBinary) != &v[0] {
			rt.Fatalf("%+v: %+v", predicates, v)
		}
		if _, one := v[0].Point(); one && (null || len(v[0].Hashes) != 1) {
			rt.Fatalf("%+v are one value, and %d hashes", predicates, len(v[0].Hashes))
		}
		for _, x := range some {
			if !satisfies(predicates, 3, x) {
				continue
			}
			col := vectorOf(3, x)
			prefix := rowset.Prefix(col, 0)
			if !v[0].MayHold(col, 0) || !v[0].MayMatch(rowset.Zone{Min: prefix, Max: prefix}) {
				rt.Fatalf("%+v: %d is missing", predicates, x)
			}
			if h := v[0].Hashes; h != nil && !slices.Contains(h, rowset.ValueHash(col, 0)) {
				rt.Fatalf("%+v: filters are not asked for %d", predicates, x)
			}
		}
	})
}

// TestKeysMissNone: keys that satisfy all predicates are estimated to be there, and their first columns are among those of rows in memory.
func TestKeysMissNone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var predicates []Predicate
		for range rapid.IntRange(1, 3).Draw(rt, "predicates") {
			predicates = append(predicates, drawPredicate(rt, types.ColumnID(rapid.IntRange(1, 2).Draw(rt, "column"))))
		}
		k := KeysOf(&schema, schema.Key, predicates)
		if bound := slices.ContainsFunc(predicates, func(p Predicate) bool { return p.Column == 1 }); (k != nil) != bound {
			rt.Fatalf("%+v: %+v", predicates, k)
		}
		if k == nil {
			return
		}
		among := k.Among(nil, some)
		for i, a := range some {
			if satisfies(predicates, 1, a) && !slices.Contains(among, int32(i)) {
				rt.Fatalf("%+v: %d is missing among rows in memory", predicates, a)
			}
			for _, b := range some {
				key := vec.AppendKey(vec.AppendKey(nil, vectorOf(1, a), 0), vectorOf(2, b), 0)
				wanted := satisfies(predicates, 1, a) && satisfies(predicates, 2, b)
				if wanted && k.Estimate(key, key, 1) == 0 {
					rt.Fatalf("%+v: key %d, %d is missing", predicates, a, b)
				}
			}
		}
	})
}
