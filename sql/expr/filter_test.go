package expr_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/vec"
)

// TestRangesAgainstRows: several comparisons of a column are joined to one range, and alternatives to a list of ranges; the rows that pass
// are those for which all hold, with or without a buffer.
func TestRangesAgainstRows(t *testing.T) {
	ctx := testContext(t)
	cols := []types.ColumnType{{Kind: types.KindBigInt}, {Kind: types.KindBigInt, Unsigned: true}, {Kind: types.KindDecimal, Length: 15, Scale: 2}}
	near := []int64{0, 1, 2, 3, -1, math.MinInt64, math.MinInt64 + 1, math.MaxInt64, math.MaxInt64 - 1}
	passed := 0
	rapid.Check(t, func(t *rapid.T) {
		r := drawRand(t)
		value := func(ct types.ColumnType) expr.Value {
			if r.IntN(12) == 0 {
				return vec.NullValue()
			}
			if ct.Kind == types.KindDecimal {
				return vec.Int(r.Int64N(7) - 3)
			}
			return vec.Int(near[r.IntN(len(near))])
		}
		b := &vec.Batch{N: r.IntN(80)}
		for _, ct := range cols {
			c := vec.NewColumnBuilder(ct, b.N)
			for range b.N {
				c.AppendValue(value(ct))
			}
			b.Cols = append(b.Cols, c.Finish())
		}
		if r.IntN(2) == 0 {
			b.Sel = []int32{}
			for i := range b.N {
				if r.IntN(3) > 0 {
					b.Sel = append(b.Sel, int32(i))
				}
			}
		}
		compare := func(c int) *expr.Node {
			x, y := expr.Col(c, cols[c]), expr.Const(value(cols[c]), cols[c])
			if r.IntN(3) == 0 {
				x, y = y, x
			}
			return expr.MustCall([]string{"<", "<=", ">", ">=", "=", "<>"}[r.IntN(6)], x, y)
		}
		var conds []*expr.Node
		for range 2 + r.IntN(4) {
			c := r.IntN(len(cols))
			if r.IntN(2) == 0 {
				conds = append(conds, compare(c))
				continue
			}
			var either []*expr.Node
			for range 2 + r.IntN(4) {
				if r.IntN(8) == 0 {
					c = r.IntN(len(cols))
				}
				if one := compare(c); r.IntN(2) == 0 {
					either = append(either, one)
				} else {
					either = append(either, expr.MustCall("and", one, compare(c)))
				}
			}
			conds = append(conds, expr.MustCall("or", either...))
		}
		n := expr.MustCall("and", conds...)
		p, err := expr.Compile(n, ctx)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.EvalFilterInto(b, make([]int32, r.IntN(100)))
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for k := range b.Rows() {
			want, err := dumb(n, b, b.Row(k), &ctx)
			if err != nil {
				t.Fatal(err)
			}
			if !want.Null && want.I != 0 {
				if at >= len(got) || int(got[at]) != b.Row(k) {
					t.Fatalf("%s: rows %v, row %d is missing", n, got, b.Row(k))
				}
				at++
			}
		}
		if at != len(got) {
			t.Fatalf("%s: rows %v, of which %d pass", n, got, at)
		}
		passed += at
	})
	if passed == 0 {
		t.Fatal("no row ever passed")
	}
}
