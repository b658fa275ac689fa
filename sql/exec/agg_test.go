package exec

import (
	"bytes"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/fn"
	"stele/sql/physical"
	"stele/sql/vec"
)

// aggOver makes an aggregate over column c as the planner does.
func aggOver(t fataler, name string, ts []types.ColumnType, c int, distinct bool) expr.AggFunc {
	f := expr.AggFunc{Name: name, Distinct: distinct, Type: types.ColumnType{Kind: types.KindBigInt}}
	if c < 0 {
		return f
	}
	argType, result, _, err := fn.ResolveAgg(name, ts[c], distinct)
	if err != nil {
		t.Fatalf("resolve %s: %v", name, err)
	}
	f.Arg, f.Type = expr.Cast(expr.Col(c, ts[c]), argType), result
	return f
}

// someAggs is every aggregate over the types that it takes.
func someAggs(t fataler) []expr.AggFunc {
	out := []expr.AggFunc{aggOver(t, "count", allCols, -1, false)}
	for c, ct := range allCols {
		for _, name := range []string{"count", "min", "max", "sum", "avg", "var_pop", "stddev_samp"} {
			if ct.Phys() == types.PhysBytes && name != "count" && name != "min" && name != "max" {
				continue
			}
			spread := name == "var_pop" || name == "stddev_samp"
			if spread && (c == 1 || c == 4) { // of numbers near 2^64 doubles give no exact answer to compare with
				continue
			}
			out = append(out, aggOver(t, name, allCols, c, false))
			if !spread { // MySQL has no DISTINCT for these
				out = append(out, aggOver(t, name, allCols, c, true))
			}
		}
	}
	for _, name := range []string{"bit_and", "bit_or", "bit_xor"} {
		out = append(out, aggOver(t, name, allCols, 1, false), aggOver(t, name, allCols, 1, true))
	}
	concat := aggOver(t, "group_concat", allCols, 5, true)
	concat.Sep = "--"
	concat.Order = []expr.SortKey{{Expr: expr.Col(5, allCols[5]), Desc: true}}
	return append(out, concat)
}

// dumbAgg computes one aggregate over the rows of a group.
func dumbAgg(f expr.AggFunc, rows []row) vec.Value {
	if f.Arg == nil {
		return vec.Int(int64(len(rows)))
	}
	col := columnOf(f.Arg)
	ct := allCols[col]
	var vals []vec.Value
	seen := map[string]bool{}
	for _, r := range rows {
		key := show(ct, r[col])
		if r[col].Null || f.Distinct && seen[key] {
			continue
		}
		seen[key] = true
		vals = append(vals, r[col])
	}
	switch f.Name {
	case "count":
		return vec.Int(int64(len(vals)))
	case "bit_and", "bit_or", "bit_xor":
		return dumbBits(f.Name, vals)
	}
	if len(vals) == 0 {
		return vec.NullValue()
	}
	switch f.Name {
	case "min":
		return slices.MinFunc(vals, func(a, b vec.Value) int { return compare(ct, a, b) })
	case "max":
		return slices.MaxFunc(vals, func(a, b vec.Value) int { return compare(ct, a, b) })
	case "group_concat":
		slices.SortStableFunc(vals, func(a, b vec.Value) int { return compare(ct, b, a) })
		var parts [][]byte
		for _, v := range vals {
			parts = append(parts, v.B)
		}
		return vec.Str(bytes.Join(parts, []byte(f.Sep)))
	case "sum", "avg":
		return dumbSum(f, ct, vals)
	}
	return dumbVariance(f.Name, ct, vals)
}

func columnOf(n *expr.Node) int {
	for c := range expr.Columns(n) {
		return c
	}
	panic("BUG: no column")
}

func dumbBits(name string, vals []vec.Value) vec.Value {
	x := uint64(0)
	if name == "bit_and" {
		x = ^x
	}
	for _, v := range vals {
		switch name {
		case "bit_and":
			x &= uint64(v.I)
		case "bit_or":
			x |= uint64(v.I)
		default:
			x ^= uint64(v.I)
		}
	}
	return vec.Int(int64(x))
}

func bigOf(t types.ColumnType, v vec.Value) *big.Int {
	switch {
	case t.Phys() == types.PhysDec128:
		return v.Dec128().Big()
	case t.Unsigned:
		return new(big.Int).SetUint64(uint64(v.I))
	}
	return big.NewInt(v.I)
}

func dumbSum(f expr.AggFunc, t types.ColumnType, vals []vec.Value) vec.Value {
	if t.Phys() == types.PhysFloat64 {
		sum := 0.0
		for _, v := range vals {
			sum += v.F
		}
		if f.Name == "avg" {
			sum /= float64(len(vals))
		}
		return vec.Float(sum)
	}
	sum := new(big.Int)
	for _, v := range vals {
		sum.Add(sum, bigOf(t, v))
	}
	den := int64(1)
	if f.Name == "avg" {
		den = int64(len(vals))
	}
	up := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(f.Type.Scale-decimalScale(t))), nil)
	// floor((2·sum·up + den) / (2·den)) of the absolute value rounds half away from zero
	num := new(big.Int).Mul(new(big.Int).Abs(sum), up)
	num.Mul(num, big.NewInt(2)).Add(num, big.NewInt(den))
	num.Quo(num, big.NewInt(2*den))
	if sum.Sign() < 0 {
		num.Neg(num)
	}
	x, _ := vec.Int128OfBig(num)
	if f.Type.Phys() == types.PhysInt64 {
		return vec.Int(int64(x.Lo))
	}
	return vec.Dec(x)
}

func dumbVariance(name string, t types.ColumnType, vals []vec.Value) vec.Value {
	num := func(v vec.Value) float64 {
		if t.Phys() == types.PhysFloat64 {
			return v.F
		}
		f, _ := new(big.Float).SetInt(bigOf(t, v)).Float64()
		return f / math.Pow10(int(decimalScale(t)))
	}
	mean, m2 := 0.0, 0.0
	for _, v := range vals {
		mean += num(v)
	}
	mean /= float64(len(vals))
	for _, v := range vals {
		m2 += (num(v) - mean) * (num(v) - mean)
	}
	n := float64(len(vals))
	if strings.HasSuffix(name, "_samp") {
		n--
	}
	if n == 0 {
		return vec.NullValue()
	}
	if x := m2 / n; strings.HasPrefix(name, "var") {
		return vec.Float(x)
	}
	return vec.Float(math.Sqrt(m2 / n))
}

func dumbGroups(rows []row, group []int, aggs []expr.AggFunc) []row {
	groups := map[string][]row{}
	var order []string
	if len(group) == 0 {
		groups[""], order = nil, []string{""}
	}
	for _, r := range rows {
		key := ""
		for _, c := range group {
			key += show(allCols[c], r[c]) + ";"
		}
		if groups[key] == nil && len(group) > 0 {
			order = append(order, key)
		}
		groups[key] = append(groups[key], r)
	}
	var out []row
	for _, k := range order {
		var r row
		for _, c := range group {
			r = append(r, groups[k][0][c])
		}
		for _, f := range aggs {
			r = append(r, dumbAgg(f, groups[k]))
		}
		out = append(out, r)
	}
	return out
}

func aggTypes(spec *physical.Agg) []types.ColumnType {
	ts := nodeTypes(spec.Group)
	for _, f := range spec.Aggs {
		ts = append(ts, f.Type)
	}
	return ts
}

func TestAggMatchesModel(t *testing.T) {
	dir := dirs(t.TempDir())
	rapid.Check(t, func(rt *rapid.T) {
		tab := genTable(allCols, 150).Draw(rt, "table")
		group := rapid.SampledFrom([][]int{{}, {0}, {1}, {0, 1}, {2}, {5}, {3, 4, 5}, {2, 5}}).Draw(rt, "group")
		tiny := len(group) > 0 && rapid.Bool().Draw(rt, "tiny")
		spec := &physical.Agg{Group: cols(allCols, group...), Aggs: someAggs(rt)}
		want := dumbGroups(tab.rows, group, spec.Aggs)

		env := testEnv(dir, tiny)
		env.Mem.floor = 48 << 10
		in := tab.stream(rt)
		s := build(rt, &physical.Node{Agg: spec, Children: []*physical.Node{source(allCols, in, env)}}, env)
		wantSame(rt, aggTypes(spec), collect(rt, s), want, false)
		wantFree(rt, env.Mem)
		if !in.closed {
			rt.Fatalf("the input was not closed")
		}
	})
}

func TestPartialAndMergeEqualComplete(t *testing.T) {
	dir := dirs(t.TempDir())
	rapid.Check(t, func(rt *rapid.T) {
		group := rapid.SampledFrom([][]int{{}, {0}, {0, 3}, {5, 2}}).Draw(rt, "group")
		spec := physical.Agg{Group: cols(allCols, group...), Aggs: someAggs(rt)}
		partial, merge := spec, spec
		partial.Partial, merge.Merge = true, true
		env := testEnv(dir, rapid.Bool().Draw(rt, "tiny"))
		env.Mem.floor = 48 << 10
		states := &table{}
		ts, err := PartialTypes(&partial)
		if err != nil {
			rt.Fatalf("%v", err)
		}
		states.types = ts
		var all []row
		for range rapid.IntRange(0, 3).Draw(rt, "tablets") {
			tab := genTable(allCols, 60).Draw(rt, "table")
			all = append(all, tab.rows...)
			f := &physical.Fragment{Agg: &partial}
			s, err := RunFragment(f, tab.stream(rt), 7, env.Expr, env.Mem)
			if err != nil {
				rt.Fatalf("fragment: %v", err)
			}
			states.rows = append(states.rows, collect(rt, s)...)
		}
		if len(group) == 0 { // one group cannot be parted, so it needs its memory
			env = testEnv(dir, false)
		}
		if rapid.Bool().Draw(rt, "states are put together first") {
			whole := merge
			whole.States = true
			s := build(rt, &physical.Node{Agg: &whole, Children: []*physical.Node{source(ts, states.stream(rt), env)}}, env)
			states.rows = collect(rt, s)
			if want := dumbGroups(all, group, spec.Aggs); len(states.rows) != len(want) {
				rt.Fatalf("%d groups, want %d", len(states.rows), len(want))
			}
		}
		s := build(rt, &physical.Node{Agg: &merge, Children: []*physical.Node{source(ts, states.stream(rt), env)}}, env)
		wantSame(rt, aggTypes(&spec), collect(rt, s), dumbGroups(all, group, spec.Aggs), false)
		wantFree(rt, env.Mem)
	})
}

func TestAggSpillsManyGroups(t *testing.T) {
	const n = 20_000
	ts := []types.ColumnType{tInt, tInt}
	in := &memStream{}
	for at := 0; at < n; at += vec.MaxRows {
		b := vec.NewBuilder(ts, vec.MaxRows)
		for i := at; i < min(at+vec.MaxRows, n); i++ {
			b.AppendValues(vec.Int(int64(i%(n/2))), vec.Int(int64(i)))
		}
		in.batches = append(in.batches, b.Finish())
	}
	env := testEnv(t, true)
	env.Mem.floor = 64 << 10
	spec := &physical.Agg{Group: cols(ts, 0), Aggs: []expr.AggFunc{aggOver(t, "sum", ts, 1, false)}}
	rows := collect(t, build(t, &physical.Node{Agg: spec, Children: []*physical.Node{source(ts, in, env)}}, env))
	if len(rows) != n/2 || env.Mem.Spilled() == 0 {
		t.Fatalf("%d groups, %d bytes spilled", len(rows), env.Mem.Spilled())
	}
	for _, r := range rows {
		if want := 2*r[0].I + n/2; r[1].I != want {
			t.Fatalf("group %d sums to %d instead of %d", r[0].I, r[1].I, want)
		}
	}
	wantFree(t, env.Mem)
}

func TestGlobalDistinctOutOfMemory(t *testing.T) {
	in := &memStream{}
	ts := []types.ColumnType{tInt}
	b := vec.NewBuilder(ts, 2000)
	for i := range 2000 {
		b.AppendValues(vec.Int(int64(i)))
	}
	in.batches = []*vec.Batch{b.Finish()}
	env := testEnv(t, true)
	spec := &physical.Agg{Aggs: []expr.AggFunc{aggOver(t, "count", ts, 0, true)}}
	s := build(t, &physical.Node{Agg: spec, Children: []*physical.Node{source(ts, in, env)}}, env)
	_, err := tryCollect(t.Context(), s)
	wantCode(t, err, 1041)
	if !strings.Contains(err.Error(), "query_mem_limit_bytes") {
		t.Fatalf("the error does not name the setting: %v", err)
	}
	wantFree(t, env.Mem)
}

func TestGroupConcat(t *testing.T) {
	ts := []types.ColumnType{tStr, tInt}
	tab := &table{types: ts}
	for i, w := range []string{"b", "a", "ü", "a", "c"} {
		tab.rows = append(tab.rows, row{vec.Str([]byte(w)), vec.Int(int64(-i))})
	}
	byInt := []expr.SortKey{{Expr: expr.Col(1, tInt)}}
	for _, tc := range []struct {
		name     string
		distinct bool
		order    []expr.SortKey
		maxLen   int64
		want     string
	}{
		{name: "arrival", want: "b,a,ü,a,c"},
		{name: "distinct", distinct: true, want: "b,a,ü,c"},
		{name: "ordered", order: byInt, want: "c,a,ü,a,b"},
		{name: "cut between characters", maxLen: 5, want: "b,a,"},
		{name: "cut behind a character", maxLen: 6, want: "b,a,ü"},
		{name: "exactly as long", maxLen: 10, want: "b,a,ü,a,c"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			env := testEnv(t, false)
			env.GroupConcatMaxLen = tc.maxLen
			f := aggOver(t, "group_concat", ts, 0, tc.distinct)
			f.Sep, f.Order = ",", tc.order
			s := build(t, &physical.Node{Agg: &physical.Agg{Aggs: []expr.AggFunc{f}},
				Children: []*physical.Node{source(ts, oneBatch(tab), env)}}, env)
			if got := string(collect(t, s)[0][0].B); got != tc.want {
				t.Fatalf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func oneBatch(t *table) *memStream {
	b := vec.NewBuilder(t.types, len(t.rows))
	for _, r := range t.rows {
		b.AppendValues(r...)
	}
	return &memStream{batches: []*vec.Batch{b.Finish()}}
}

func TestAnyValue(t *testing.T) {
	for _, ct := range []types.ColumnType{tStr, tWide, tDouble} {
		ts := []types.ColumnType{tInt, ct}
		two := map[types.Phys]vec.Value{types.PhysBytes: vec.Str([]byte("x")), types.PhysDec128: vec.Dec(vec.Int128Of(-7)), types.PhysFloat64: vec.Float(2.5)}[ct.Phys()]
		tab := &table{types: ts, rows: []row{{vec.Int(1), vec.NullValue()}, {vec.Int(2), vec.NullValue()}, {vec.Int(2), two}}}
		spec := physical.Agg{Group: cols(ts, 0), Aggs: []expr.AggFunc{aggOver(t, "any_value", ts, 1, false)}}
		partial, merge := spec, spec
		partial.Partial, merge.Merge = true, true
		env := testEnv(t, false)
		node := &physical.Node{Agg: &partial, Children: []*physical.Node{source(ts, oneBatch(tab), env)}}
		got := collect(t, build(t, &physical.Node{Agg: &merge, Children: []*physical.Node{node}}, env))
		wantSame(t, ts, got, []row{{vec.Int(1), vec.NullValue()}, {vec.Int(2), two}}, false)
	}
}

func TestMergeRefusesForeignColumns(t *testing.T) {
	ts := []types.ColumnType{tInt}
	spec := &physical.Agg{Merge: true, Aggs: []expr.AggFunc{aggOver(t, "avg", ts, 0, false)}}
	for _, in := range []*table{{types: ts, rows: []row{{vec.Int(1)}}}, {types: []types.ColumnType{tStr, tInt}, rows: []row{{vec.Str(nil), vec.Int(1)}}}} {
		env := testEnv(t, false)
		s := build(t, &physical.Node{Agg: spec, Children: []*physical.Node{source(in.types, oneBatch(in), env)}}, env)
		if _, err := tryCollect(t.Context(), s); err == nil {
			t.Fatalf("a batch of other columns was merged")
		}
	}
}

func TestDoubleSumOverflow(t *testing.T) {
	ts := []types.ColumnType{tDouble}
	tab := &table{types: ts, rows: []row{{vec.Float(math.MaxFloat64)}, {vec.Float(math.MaxFloat64)}}}
	env := testEnv(t, false)
	s := build(t, &physical.Node{Agg: &physical.Agg{Aggs: []expr.AggFunc{aggOver(t, "sum", ts, 0, false)}},
		Children: []*physical.Node{source(ts, oneBatch(tab), env)}}, env)
	_, err := tryCollect(t.Context(), s)
	wantCode(t, err, 1690)
}

func TestExactSumOverflow(t *testing.T) {
	ts := []types.ColumnType{{Kind: types.KindDecimal, Length: 38}}
	most, _ := new(big.Int).SetString(strings.Repeat("9", 38), 10)
	x, _ := vec.Int128OfBig(most)
	tab := &table{types: ts, rows: []row{{vec.Dec(x)}, {vec.Dec(x)}}}
	env := testEnv(t, false)
	s := build(t, &physical.Node{Agg: &physical.Agg{Aggs: []expr.AggFunc{aggOver(t, "sum", ts, 0, false)}},
		Children: []*physical.Node{source(ts, oneBatch(tab), env)}}, env)
	_, err := tryCollect(t.Context(), s)
	wantCode(t, err, 1690)
}

func BenchmarkAggQ1(b *testing.B) {
	ts := []types.ColumnType{{Kind: types.KindChar, Length: 1}, {Kind: types.KindChar, Length: 1}, tDec, tDec, tDec}
	out := vec.NewBuilder(ts, vec.MaxRows)
	for i := range vec.MaxRows {
		out.AppendValues(vec.Str([]byte("ANR"[i%3:][:1])), vec.Str([]byte("FO"[i%2:][:1])),
			vec.Int(int64(i%50*100)), vec.Int(int64(i*991)), vec.Int(int64(i%11)))
	}
	batch := out.Finish()
	spec := &physical.Agg{Group: cols(ts, 0, 1), Partial: true}
	for _, name := range []string{"sum", "avg", "count"} {
		for c := 2; c < 5; c++ {
			spec.Aggs = append(spec.Aggs, aggOver(b, name, ts, c, false))
		}
	}
	const batches = 500
	b.SetBytes(batches * vec.MaxRows * 32)
	for b.Loop() {
		in := &memStream{}
		for range batches {
			in.batches = append(in.batches, batch)
		}
		s, err := RunFragment(&physical.Fragment{Agg: spec}, in, 1, expr.Context{}, nil)
		if err != nil {
			b.Fatal(err)
		}
		if rows := collect(b, s); len(rows) != 6 {
			b.Fatalf("%d groups", len(rows))
		}
	}
	b.ReportMetric(float64(b.N)*batches*vec.MaxRows/b.Elapsed().Seconds()/1e6, "Mrows/s")
}
