package expr_test

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/vec"
)

var exactColumns = []types.ColumnType{
	{Kind: types.KindDecimal, Length: 15, Scale: 2}, {Kind: types.KindDecimal, Length: 18, Scale: 6}, {Kind: types.KindDecimal, Length: 30, Scale: 4},
	{Kind: types.KindBigInt}, {Kind: types.KindInt}, {Kind: types.KindTinyInt}, {Kind: types.KindBigInt, Unsigned: true},
	{Kind: types.KindInt, Unsigned: true}, {Kind: types.KindBool}, {Kind: types.KindDecimal, Length: 3, Scale: 0},
}

// exactBatch fills columns with values of at most bits bits, or what their types hold.
func exactBatch(r *rand.Rand, n int) *vec.Batch {
	b := &vec.Batch{N: n}
	for _, ct := range exactColumns {
		bits, nulls := r.IntN(64), r.IntN(3) == 0
		c := vec.NewColumnBuilder(ct, n)
		for range n {
			x := int64(r.Uint64()) >> (63 - bits)
			switch {
			case nulls && r.IntN(3) == 0:
				c.AppendNull()
				continue
			case ct.Kind == types.KindTinyInt:
				x = int64(int8(x))
			case ct.Kind == types.KindBool:
				x &= 1
			case ct.Kind == types.KindInt && ct.Unsigned:
				x = int64(uint32(x))
			case ct.Kind == types.KindInt:
				x = int64(int32(x))
			case ct.Kind == types.KindDecimal && ct.Length <= types.MaxDecimal64Precision:
				x %= map[int32]int64{15: 1e15, 18: 1e18, 3: 1e3}[ct.Length]
			case ct.Kind == types.KindDecimal:
				wide := vec.Int128Of(x)
				if bits == 63 {
					wide, _ = wide.Mul(vec.Int128Of(1 << 20))
				}
				c.AppendDec(wide)
				continue
			}
			c.AppendInt(x)
		}
		b.Cols = append(b.Cols, c.Finish())
	}
	return b
}

func exactExpr(r *rand.Rand, depth int) *expr.Node {
	if depth == 0 || r.IntN(4) == 0 {
		if r.IntN(3) == 0 {
			return expr.ConstInt(r.Int64N(21) - 10)
		}
		i := r.IntN(len(exactColumns))
		return expr.Col(i, exactColumns[i])
	}
	switch r.IntN(6) {
	case 0:
		return expr.MustCall("neg", exactExpr(r, depth-1))
	case 1:
		return expr.Cast(exactExpr(r, depth-1), types.ColumnType{Kind: types.KindDecimal, Length: int32(1 + r.IntN(38)), Scale: 0})
	case 2:
		return expr.Cast(exactExpr(r, depth-1), exactColumns[r.IntN(len(exactColumns))])
	}
	return expr.MustCall([]string{"+", "-", "*"}[r.IntN(3)], exactExpr(r, depth-1), exactExpr(r, depth-1))
}

// TestExactAgainstPrograms evaluates sets of random expressions in 64 bits and compares with what programs say, over batches of
// small and of large values after each other, so that buffers are used again.
func TestExactAgainstPrograms(t *testing.T) {
	ctx := testContext(t)
	taken, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		r := drawRand(t)
		var progs []*expr.Program
		var nodes []*expr.Node
		for range 1 + r.IntN(4) {
			n := exactExpr(r, 3)
			p, err := expr.Compile(n, ctx)
			if err != nil {
				continue // a constant that does not fit
			}
			progs, nodes = append(progs, p), append(nodes, n)
		}
		exact := expr.NewExact(progs)
		for range 3 {
			b := exactBatch(r, r.IntN(70))
			exact.Begin(b.Cols, b.N)
			for i, p := range progs {
				got, ok := exact.Ints(i)
				if !ok {
					refused++
					continue
				}
				taken++
				want, err := p.Eval(b)
				if err != nil {
					t.Fatalf("%s: exact although %v", nodes[i], err)
				}
				compareInts(t, nodes[i], got, want)
			}
		}
	})
	if taken < refused/4 || refused == 0 {
		t.Fatalf("%d were taken, %d refused: this proves nothing", taken, refused)
	}
}

func compareInts(t *rapid.T, n *expr.Node, got *expr.Ints, want *vec.Vector) {
	if len(got.V) != want.N {
		t.Fatalf("%s: %d rows instead of %d", n, len(got.V), want.N)
	}
	for i, x := range got.V {
		null := got.Valid != nil && got.Valid[i>>6]>>(i&63)&1 == 0
		if null != want.IsNull(i) || null && x != 0 {
			t.Fatalf("%s, row %d: NULL is %v, value %d, want NULL %v", n, i, null, x, want.IsNull(i))
		}
		if null {
			continue
		}
		v := want.Value(i)
		wide := vec.Int128Of(v.I)
		if want.Type.Phys() == types.PhysDec128 {
			wide = v.Dec128()
		} else if want.Type.Unsigned {
			wide = vec.Int128OfUint(uint64(v.I))
		}
		if wide != vec.Int128Of(x) || wide.Abs().Cmp(vec.Int128OfUint(got.Max)) > 0 {
			t.Fatalf("%s, row %d: %d (at most %d), want %s", n, i, x, got.Max, wide.Big())
		}
	}
}
