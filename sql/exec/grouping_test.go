package exec

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

var (
	tFlag      = types.ColumnType{Kind: types.KindChar, Length: 1}
	tMoney     = types.ColumnType{Kind: types.KindDecimal, Length: 15, Scale: 2}
	sparseCols = []types.ColumnType{tFlag, tFlag, tInt, tStr, tMoney, tMoney, tMoney, tWide, tInt}
)

// columnMaker draws the values of one column: keys are few or many, numbers small or large.
func columnMaker(r *rand.Rand, ct types.ColumnType, col int) func() vec.Value {
	nulls, bits, spread := r.IntN(3) == 0, 1+r.IntN(62), int64(1)<<r.IntN(20)
	base := r.Int64N(1<<40) - 1<<39
	longer := r.IntN(4) == 0
	return func() vec.Value {
		x := int64(r.Uint64()) >> (63 - bits)
		switch {
		case nulls && r.IntN(4) == 0:
			return vec.NullValue()
		case ct.Phys() == types.PhysBytes && r.IntN(100) == 0 && longer:
			return vec.Str([]byte("longer"))
		case ct.Phys() == types.PhysBytes:
			return vec.Str([]byte([]string{"", "A", "N", "R", "\xff"}[r.IntN(5)]))
		case col == 2:
			return vec.Int(base + r.Int64N(spread))
		case ct == tMoney:
			return vec.Int(x % 1e15)
		case ct == tWide:
			return vec.Dec(vec.Int128Of(x))
		}
		return vec.Int(x)
	}
}

// sparseBatch draws a batch of which some rows count: all, most, or few.
func sparseBatch(r *rand.Rand, makers []func() vec.Value) *vec.Batch {
	n := 1 + r.IntN(300)
	b := vec.NewBuilder(sparseCols, n)
	values := make([]vec.Value, len(makers))
	for range n {
		for c, m := range makers {
			values[c] = m()
		}
		b.AppendValues(values...)
	}
	out := b.Finish()
	if drop := r.IntN(4); drop > 0 {
		out.Sel = []int32{}
		for i := range n {
			if r.IntN(10) >= []int{0, 1, 3, 9}[drop] {
				out.Sel = append(out.Sel, int32(i))
			}
		}
	}
	return out
}

// sumArgument is a random expression to be summed.
func sumArgument(r *rand.Rand) *expr.Node {
	col := func(c int) *expr.Node { return expr.Col(c, sparseCols[c]) }
	switch r.IntN(7) {
	case 0:
		return expr.MustCall("*", col(4), expr.MustCall("-", expr.ConstInt(1), col(5)))
	case 1:
		return expr.MustCall("*", expr.MustCall("*", col(4), expr.MustCall("-", expr.ConstInt(1), col(5))), expr.MustCall("+", expr.ConstInt(1), col(6)))
	case 2:
		return expr.MustCall("+", col(8), col(2))
	case 3:
		return col(7)
	case 4:
		return expr.MustCall("*", col(8), expr.ConstInt(3))
	}
	return col(4 + r.IntN(3))
}

// dumbState is a group of the model.
type dumbState struct {
	rows   int64
	sums   []*big.Int
	counts []int64
}

// dumbSums aggregates with programs and big integers, batch by batch. large says that a sum needed more than 126 bits, which may
// overflow on the way.
func dumbSums(t *rapid.T, spec *physical.Agg, batches []*vec.Batch) (_ map[string]*dumbState, large bool, _ error) {
	progs := make([]*expr.Program, len(spec.Aggs))
	for i, f := range spec.Aggs {
		if f.Arg != nil {
			p, err := expr.Compile(f.Arg, expr.Context{})
			if err != nil {
				t.Fatalf("compile: %v", err)
			}
			progs[i] = p
		}
	}
	groups := map[string]*dumbState{}
	for _, b := range batches {
		if b.Rows() == 0 {
			continue
		}
		args := make([]*vec.Vector, len(progs))
		for i, p := range progs {
			if p != nil {
				v, err := p.Eval(b)
				if err != nil {
					return nil, large, err
				}
				args[i] = v
			}
		}
		for k := range b.Rows() {
			key := ""
			for _, g := range spec.Group {
				key += show(g.Type, b.Cols[g.Col].Value(b.Row(k))) + ";"
			}
			st := groups[key]
			if st == nil {
				st = &dumbState{counts: make([]int64, len(progs))}
				for range progs {
					st.sums = append(st.sums, new(big.Int))
				}
				groups[key] = st
			}
			st.rows++
			for i, v := range args {
				if v != nil && !v.IsNull(k) {
					st.counts[i]++
					st.sums[i].Add(st.sums[i], bigOf(v.Type, v.Value(k)))
					large = large || st.sums[i].BitLen() > 126
				}
			}
		}
	}
	return groups, large, nil
}

// TestGroupedSumsMatchPrograms: whatever way rows take to their groups and values to their sums (tables of keys, 64 bits, several
// columns a pass, rows that do not count among those that do), sums, counts and errors are those of programs and big integers.
func TestGroupedSumsMatchPrograms(t *testing.T) {
	failed, groups := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(rt, "seed")))
		spec := &physical.Agg{Partial: true, Group: cols(sparseCols, [][]int{{}, {0}, {0, 1}, {2}, {0, 2}, {3}, {1, 3, 0}, {2, 8}}[r.IntN(8)]...)}
		for range 1 + r.IntN(7) {
			f := expr.AggFunc{Name: "count", Type: tInt}
			if r.IntN(4) > 0 {
				arg := sumArgument(r)
				f = expr.AggFunc{Name: "avg", Arg: arg, Type: types.ColumnType{Kind: types.KindDecimal, Length: 38, Scale: 30}}
			}
			spec.Aggs = append(spec.Aggs, f)
		}
		var batches []*vec.Batch
		for range 1 + r.IntN(3) {
			makers := make([]func() vec.Value, len(sparseCols))
			for c, ct := range sparseCols {
				makers[c] = columnMaker(r, ct, c)
			}
			for range 1 + r.IntN(3) {
				batches = append(batches, sparseBatch(r, makers))
			}
		}
		want, large, wantErr := dumbSums(rt, spec, batches)
		env := testEnv(dirs(""), false)
		s := build(rt, &physical.Node{Agg: spec, Children: []*physical.Node{source(sparseCols, &memStream{batches: batches}, env)}}, env)
		got, err := tryCollect(t.Context(), s)
		if large {
			return
		}
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			rt.Fatalf("error %v, want %v", err, wantErr)
		}
		if err != nil {
			failed++
			return
		}
		groups += len(got)
		if len(spec.Group) == 0 && len(want) == 0 {
			return
		}
		compareStates(rt, spec, got, want)
		wantFree(rt, env.Mem)
	})
	if failed == 0 || groups == 0 {
		t.Fatalf("%d runs failed, %d groups were seen: this proves nothing", failed, groups)
	}
}

func compareStates(t *rapid.T, spec *physical.Agg, got []row, want map[string]*dumbState) {
	if len(got) != len(want) {
		t.Fatalf("%d groups, want %d", len(got), len(want))
	}
	for _, r := range got {
		key := ""
		for i, g := range spec.Group {
			key += show(g.Type, r[i]) + ";"
		}
		st, at := want[key], len(spec.Group)
		if st == nil {
			t.Fatalf("group %q came out of nowhere", key)
		}
		for i, f := range spec.Aggs {
			if f.Arg == nil {
				if r[at].I != st.rows {
					t.Fatalf("group %q: count %d, want %d", key, r[at].I, st.rows)
				}
				at++
				continue
			}
			sum, n := r[at], r[at+1].I
			at += 2
			if n != st.counts[i] || sum.Null != (n == 0) || n > 0 && sum.Dec128().Big().Cmp(st.sums[i]) != 0 {
				t.Fatalf("group %q, %s: sum %v of %d, want %v of %d", key, f.Arg, sum.Dec128().Big(), n, st.sums[i], st.counts[i])
			}
		}
	}
}
