package exec

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

// dumbFrame returns the rows of part that row i sees.
func dumbFrame(f physical.WindowFunc, part []row, i int, order []expr.SortKey) []row {
	var out []row
	for j, r := range part {
		d := int64(j - i)
		peer := compareBy(order, part[i], r)
		in := false
		switch {
		case f.Rows:
			in = (f.FromUnbounded || d >= f.From) && (f.ToUnbounded || d <= f.To)
		default:
			in = (f.FromUnbounded || len(order) == 0 || beyond(f, part[i], r, peer, true)) && (f.ToUnbounded || len(order) == 0 || beyond(f, part[i], r, peer, false))
		}
		if in {
			out = append(out, r)
		}
	}
	return out
}

// beyond reports whether r is not before the first, or not behind the last of the rows that one sees which compares with it as peer.
func beyond(f physical.WindowFunc, one, r row, peer int, first bool) bool {
	c := -peer
	if f.Range != nil {
		bound := f.Range.To
		if first {
			bound = f.Range.From
		}
		if bound != nil {
			v := bound.Value
			if bound.Kind == expr.NodeColumn {
				v = one[bound.Col]
			}
			if c = compare(f.Range.Key.Type, r[f.Range.Key.Col], v); f.Range.Desc {
				c = -c
			}
		}
	}
	if first {
		return c >= 0
	}
	return c <= 0
}

func dumbWindow(f physical.WindowFunc, part []row, i int, order []expr.SortKey) vec.Value {
	switch f.Name {
	case "row_number":
		return vec.Int(int64(i + 1))
	case "rank":
		return vec.Int(int64(slices.IndexFunc(part, func(r row) bool { return compareBy(order, r, part[i]) == 0 }) + 1))
	case "dense_rank":
		n := int64(1)
		for j := 1; j <= i; j++ {
			if compareBy(order, part[j-1], part[j]) != 0 {
				n++
			}
		}
		return vec.Int(n)
	case "ntile":
		return vec.Int(dumbNtile(len(part), f.Args[0].Value.I)[i])
	case "lag", "lead":
		at := i + int(f.Args[1].Value.I)
		if f.Name == "lag" {
			at = i - int(f.Args[1].Value.I)
		}
		if at < 0 || at >= len(part) {
			return part[i][f.Args[2].Col]
		}
		return part[at][f.Args[0].Col]
	}
	frame := dumbFrame(f, part, i, order)
	switch {
	case f.Name == "first_value" && len(frame) > 0:
		return frame[0][f.Args[0].Col]
	case f.Name == "last_value" && len(frame) > 0:
		return frame[len(frame)-1][f.Args[0].Col]
	case f.Name == "first_value" || f.Name == "last_value":
		return vec.NullValue()
	}
	agg := expr.AggFunc{Name: f.Name, Type: f.Type}
	if len(f.Args) > 0 {
		agg.Arg = f.Args[0]
	}
	return dumbAgg(agg, frame)
}

// dumbNtile deals rows to buckets one by one.
func dumbNtile(rows int, n int64) []int64 {
	sizes := make([]int, n)
	for i := range rows {
		sizes[i%int(n)]++
	}
	var out []int64
	for b, size := range sizes {
		for range size {
			out = append(out, int64(b+1))
		}
	}
	return out
}

func genWindowFunc(rt *rapid.T) physical.WindowFunc {
	f := physical.WindowFunc{Type: tInt}
	f.Name = rapid.SampledFrom([]string{"row_number", "rank", "dense_rank", "ntile", "lag", "lead", "first_value", "last_value",
		"sum", "avg", "count", "min", "max", "sum", "avg", "min"}).Draw(rt, "func")
	c := rapid.IntRange(0, len(allCols)-1).Draw(rt, "arg")
	arg := expr.Col(c, allCols[c])
	switch f.Name {
	case "ntile":
		f.Args = []*expr.Node{expr.ConstInt(int64(rapid.IntRange(1, 9).Draw(rt, "n")))}
	case "lag", "lead":
		f.Type = arg.Type
		f.Args = []*expr.Node{arg, expr.ConstInt(int64(rapid.IntRange(0, 4).Draw(rt, "offset"))), arg}
	case "first_value", "last_value":
		f.Type, f.Args = arg.Type, []*expr.Node{arg}
	case "sum", "avg", "min", "max":
		if allCols[c].Phys() == types.PhysBytes && (f.Name == "sum" || f.Name == "avg") {
			c = 3
		}
		a := aggOver(rt, f.Name, allCols, c, false)
		f.Type, f.Args = a.Type, []*expr.Node{a.Arg}
	case "count":
		if rapid.Bool().Draw(rt, "star") {
			f.Args = []*expr.Node{arg}
		}
	}
	f.Rows = rapid.Bool().Draw(rt, "rows")
	f.FromUnbounded = rapid.Bool().Draw(rt, "from unbounded")
	f.ToUnbounded = rapid.Bool().Draw(rt, "to unbounded")
	offset := rapid.SampledFrom([]int64{-3, -2, -1, 0, 1, 2, 3, math.MinInt64, math.MaxInt64})
	if f.Rows {
		f.From, f.To = offset.Draw(rt, "from"), offset.Draw(rt, "to")
	}
	return f
}

// genRange bounds a frame by the key of the row, by a value of some row, or by NULL.
func genRange(rt *rapid.T, by expr.SortKey, tab *table) *physical.RangeFrame {
	bound := func(name string) *expr.Node {
		switch rapid.IntRange(0, 3).Draw(rt, name) {
		case 0:
			return nil
		case 1:
			return by.Expr
		case 2:
			if len(tab.rows) > 0 {
				return expr.Const(rapid.SampledFrom(tab.rows).Draw(rt, name+" of")[by.Expr.Col], by.Expr.Type)
			}
		}
		return expr.Const(vec.NullValue(), by.Expr.Type)
	}
	return &physical.RangeFrame{Key: by.Expr, From: bound("range from"), To: bound("range to"), Desc: by.Desc}
}

func TestWindowMatchesModel(t *testing.T) {
	dir := dirs(t.TempDir())
	rapid.Check(t, func(rt *rapid.T) {
		tab := genTable(allCols, 80).Draw(rt, "table")
		spec := &physical.Window{}
		if rapid.Bool().Draw(rt, "ordered") {
			spec.Order = genSortKeys(rt, 2)
		}
		part := rapid.SampledFrom([][]int{{}, {0}, {2, 3}}).Draw(rt, "partition")
		spec.Partition = cols(allCols, part...)
		outs := slices.Clone(allCols)
		for range rapid.IntRange(1, 3).Draw(rt, "funcs") {
			f := genWindowFunc(rt)
			if !f.Rows && len(spec.Order) == 1 && rapid.Bool().Draw(rt, "range") {
				f.Range = genRange(rt, spec.Order[0], tab)
			}
			spec.Funcs = append(spec.Funcs, f)
			outs = append(outs, f.Type)
		}
		by := []expr.SortKey{}
		for _, p := range spec.Partition {
			by = append(by, expr.SortKey{Expr: p})
		}
		sorted := dumbSort(tab.rows, append(slices.Clone(by), spec.Order...), 0, 0)
		var want []row
		for at := 0; at < len(sorted); {
			end := at
			for end < len(sorted) && compareBy(by, sorted[at], sorted[end]) == 0 {
				end++
			}
			for i := range sorted[at:end] {
				r := slices.Clone(sorted[at+i])
				for _, f := range spec.Funcs {
					r = append(r, dumbWindow(f, sorted[at:end], i, spec.Order))
				}
				want = append(want, r)
			}
			at = end
		}
		env := testEnv(dir, false)
		s := build(rt, &physical.Node{Window: spec, Children: []*physical.Node{source(allCols, tab.stream(rt), env)}}, env)
		wantSame(rt, outs, collect(rt, s), want, true)
		wantFree(rt, env.Mem)
	})
}

func TestWindowOverManyBatches(t *testing.T) {
	const n = 20_000
	ts := []types.ColumnType{tInt}
	env := testEnv(t, false)
	spec := &physical.Window{Order: []expr.SortKey{{Expr: expr.Col(0, tInt)}}, Funcs: []physical.WindowFunc{
		{Name: "row_number", Type: tInt},
		{Name: "max", Type: tInt, Args: cols(ts, 0), Rows: true, From: -5000, To: 5000},
	}}
	rows := collect(t, build(t, &physical.Node{Window: spec, Children: []*physical.Node{source(ts, shuffled(n), env)}}, env))
	if len(rows) != n {
		t.Fatalf("%d rows", len(rows))
	}
	for i, r := range rows {
		if r[1].I != int64(i+1) || r[2].I != int64(min(i+5000, n-1)) {
			t.Fatalf("row %d: %v", i, r)
		}
	}
}

func TestLagOfTextDefaultsToNull(t *testing.T) {
	ts := []types.ColumnType{tStr}
	tab := &table{types: ts, rows: []row{{vec.Str([]byte("a"))}, {vec.Str([]byte("b"))}}}
	env := testEnv(t, false)
	lag := physical.WindowFunc{Name: "lag", Type: tStr, Args: []*expr.Node{expr.Col(0, tStr), expr.ConstInt(1), expr.Null()}}
	n := &physical.Node{Window: &physical.Window{Order: []expr.SortKey{{Expr: expr.Col(0, tStr)}}, Funcs: []physical.WindowFunc{lag}},
		Children: []*physical.Node{source(ts, oneBatch(tab), env)}}
	want := []row{{tab.rows[0][0], vec.NullValue()}, {tab.rows[1][0], tab.rows[0][0]}}
	wantSame(t, []types.ColumnType{tStr, tStr}, collect(t, build(t, n, env)), want, true)
}

func TestWindowErrors(t *testing.T) {
	ts := []types.ColumnType{tInt}
	window := func(f physical.WindowFunc, env *Env) Stream {
		n := &physical.Node{Window: &physical.Window{Funcs: []physical.WindowFunc{f}},
			Children: []*physical.Node{source(ts, numbers(5000), env)}}
		return build(t, n, env)
	}
	t.Run("a partition beyond the memory", func(t *testing.T) {
		env := testEnv(t, true)
		_, err := tryCollect(t.Context(), window(physical.WindowFunc{Name: "row_number", Type: tInt}, env))
		wantCode(t, err, 1041)
		wantFree(t, env.Mem)
	})
	t.Run("ntile of zero", func(t *testing.T) {
		f := physical.WindowFunc{Name: "ntile", Type: tInt, Args: []*expr.Node{expr.ConstInt(0)}}
		_, err := tryCollect(t.Context(), window(f, testEnv(t, false)))
		wantCode(t, err, 1210)
	})
	t.Run("unknown function", func(t *testing.T) {
		env := testEnv(t, false)
		n := &physical.Node{Window: &physical.Window{Funcs: []physical.WindowFunc{{Name: "median"}}},
			Children: []*physical.Node{source(ts, numbers(1), env)}}
		if _, err := Build(n, env); err == nil {
			t.Fatalf("an unknown function was built")
		}
	})
}
