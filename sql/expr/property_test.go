package expr_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/fn"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

var columns = []types.ColumnType{
	{Kind: types.KindBigInt}, {Kind: types.KindInt, Unsigned: true}, {Kind: types.KindBigInt, Unsigned: true}, {Kind: types.KindDouble},
	{Kind: types.KindDecimal, Length: 15, Scale: 2}, {Kind: types.KindDecimal, Length: 38, Scale: 10}, {Kind: types.KindVarChar, Length: 30},
	{Kind: types.KindVarBinary, Length: 30}, {Kind: types.KindDate}, {Kind: types.KindDateTime, Scale: 3}, {Kind: types.KindTimestamp},
	{Kind: types.KindTime, Scale: 6}, {Kind: types.KindYear}, {Kind: types.KindBool}, {Kind: types.KindJSON}, {Kind: types.KindTinyInt},
}

// scalar makes a random value. Values come from a plain generator seeded by one rapid draw: drawing each would make
// shrinking take minutes.
func scalar(r *rand.Rand, ct types.ColumnType) expr.Value {
	if r.IntN(5) == 0 {
		return vec.NullValue()
	}
	between := func(lo, hi int64) int64 { return lo + r.Int64N(hi-lo+1) }
	pick := func(s ...string) []byte { return []byte(s[r.IntN(len(s))]) }
	switch ct.Kind {
	case types.KindDate:
		return vec.Int(between(-719000, 2900000))
	case types.KindDateTime:
		return vec.Int(between(-62135596800000, 253402300799000) * 1000)
	case types.KindTimestamp:
		return vec.Int(between(1, 1<<31-1) * 1000000)
	case types.KindTime:
		return vec.Int(between(-3020399000000, 3020399000000))
	case types.KindYear:
		return vec.Int(between(1901, 2155))
	case types.KindBool:
		return vec.Int(between(0, 1))
	case types.KindJSON:
		return vec.Str(pick("{}", `{"a": [1, 2.5, "x"]}`, "[1, null]", "7", `"s"`))
	case types.KindTinyInt:
		return vec.Int(between(-128, 127))
	case types.KindInt:
		return vec.Int(between(0, math.MaxUint32))
	case types.KindDouble:
		return vec.Float([]float64{0, 1, -1.5, 2.5, 1e10, -1e-3, 1e300, 0.1}[r.IntN(8)])
	case types.KindDecimal:
		if ct.Length > 18 {
			return vec.Dec(vec.Int128Of(int64(r.Uint64())))
		}
		return vec.Int(between(-999999999999999, 999999999999999))
	case types.KindVarChar, types.KindVarBinary:
		return vec.Str(pick("", "abc", "日本語", "12", "-3.5e2x", "2024-02-29", "2024-02-29 10:11:12.5", "10:11:12", "%a_", "a,b", "%Y-%m-%d", "day", "+08:00", "UTC", "$.a"))
	}
	if r.IntN(2) == 0 {
		return vec.Int([]int64{0, 1, 2, -1, 3, 7, 10, 100}[r.IntN(8)])
	}
	return vec.Int(int64(r.Uint64()))
}

func drawRand(t *rapid.T) *rand.Rand { return rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "seed"))) }

func drawScalar(t *rapid.T, ct types.ColumnType) expr.Value { return scalar(drawRand(t), ct) }

func drawBatch(t *rapid.T) *vec.Batch {
	n := rapid.IntRange(0, 70).Draw(t, "rows")
	selected := rapid.Bool().Draw(t, "selected")
	r := drawRand(t)
	b := &vec.Batch{N: n}
	for _, ct := range columns {
		c := vec.NewColumnBuilder(ct, n)
		for range n {
			c.AppendValue(scalar(r, ct))
		}
		b.Cols = append(b.Cols, c.Finish())
	}
	if selected {
		b.Sel = []int32{}
		for i := range n {
			if r.IntN(2) == 0 {
				b.Sel = append(b.Sel, int32(i))
			}
		}
	}
	return b
}

// drawExpr makes a random tree of any functions over any types; nil when the draw does not resolve.
func drawExpr(t *rapid.T, defs []*fn.Def, depth int) *expr.Node {
	if depth == 0 || rapid.IntRange(0, 5).Draw(t, "leaf") == 0 {
		i := rapid.IntRange(0, len(columns)-1).Draw(t, "column")
		if rapid.Bool().Draw(t, "const") {
			return expr.Const(drawScalar(t, columns[i]), columns[i])
		}
		return expr.Col(i, columns[i])
	}
	d := rapid.SampledFrom(defs).Draw(t, "function")
	if d.Name == "cast" {
		if a := drawExpr(t, defs, depth-1); a != nil {
			return expr.Cast(a, rapid.SampledFrom(columns).Draw(t, "target"))
		}
		return nil
	}
	most := d.Max
	if most < 0 {
		most = d.Min + 3
	}
	args := make([]*expr.Node, rapid.IntRange(d.Min, most).Draw(t, "args"))
	for i := range args {
		if args[i] = drawExpr(t, defs, depth-1); args[i] == nil {
			return nil
		}
	}
	name := d.Name
	if len(d.Params) > 0 {
		if p := rapid.SampledFrom(d.Params).Draw(t, "param"); p != "" {
			name += ":" + p
		}
	}
	n, err := expr.Call(name, args...)
	if err != nil {
		return nil
	}
	return n
}

// errNotConstant: the dumb evaluator does not fold, so that an argument which must be constant may only become so in
// Compile.
var errNotConstant = errors.New("argument is not constant")

// dumb evaluates one row by the scalar kernels, walking the tree.
func dumb(n *expr.Node, b *vec.Batch, row int, ctx *expr.Context) (expr.Value, error) {
	switch n.Kind {
	case expr.NodeColumn:
		return b.Cols[n.Col].Value(row), nil
	case expr.NodeConst:
		return n.Value, nil
	}
	d := fn.Lookup(n.Func)
	eval := func(i int) (expr.Value, error) { return dumb(n.Args[i], b, row, ctx) }
	switch d.Lazy {
	case fn.LazyAnd, fn.LazyOr:
		out := vec.Bool(d.Lazy == fn.LazyAnd)
		for i := range n.Args {
			v, err := eval(i)
			if err != nil {
				return v, err
			}
			if v.Null {
				out = vec.NullValue()
			} else if (v.I != 0) == (d.Lazy == fn.LazyOr) {
				return vec.Bool(d.Lazy == fn.LazyOr), nil
			}
		}
		return out, nil
	case fn.LazyCase:
		for i := 0; i+1 < len(n.Args); i += 2 {
			v, err := eval(i)
			if err != nil {
				return v, err
			}
			if !v.Null && v.I != 0 {
				return eval(i + 1)
			}
		}
		if len(n.Args)%2 == 1 {
			return eval(len(n.Args) - 1)
		}
		return vec.NullValue(), nil
	case fn.LazyCoalesce:
		for i := range n.Args {
			if v, err := eval(i); err != nil || !v.Null {
				return v, err
			}
		}
		return vec.NullValue(), nil
	}
	return dumbCall(n, d, eval, ctx)
}

func dumbCall(n *expr.Node, d *fn.Def, eval func(int) (expr.Value, error), ctx *expr.Context) (expr.Value, error) {
	ts := make([]types.ColumnType, len(n.Args))
	consts := make([]*expr.Value, len(n.Args))
	args := make([]expr.Value, len(n.Args))
	null := false
	for i, a := range n.Args {
		v, err := eval(i)
		if err != nil {
			return v, err
		}
		args[i], ts[i] = v, a.Type
		null = null || v.Null
		if a.Kind == expr.NodeConst {
			consts[i] = &a.Value
		}
	}
	c, err := fn.Bind(n.Func, ts, n.Type, consts, ctx)
	if err != nil {
		return expr.Value{}, errNotConstant
	}
	if null && !d.TakesNull {
		return vec.NullValue(), nil
	}
	return d.Row(c, args)
}

func same(a, b expr.Value) bool {
	return a.Null && b.Null || a.Null == b.Null && a.I == b.I && a.Hi == b.Hi && a.F == b.F && bytes.Equal(a.B, b.B)
}

// TestVectorsAgainstRows evaluates random expressions over random batches by vectors, after folding, and as a filter, and
// compares with the dumb evaluator.
func TestVectorsAgainstRows(t *testing.T) {
	var defs []*fn.Def
	for _, d := range fn.All() {
		if !d.Volatile {
			defs = append(defs, d)
		}
	}
	ctx := testContext(t)
	ctx.Loc = time.FixedZone("", 3*3600+1800)
	rapid.Check(t, func(t *rapid.T) {
		n := drawExpr(t, defs, rapid.IntRange(1, 3).Draw(t, "depth"))
		if n == nil {
			return
		}
		b := drawBatch(t)
		// Folding may drop a branch that would fail, never add or change one: so without errors the tree as it is
		// gives the values, and with errors the folded tree says which remain.
		folded, err := expr.Fold(n, ctx)
		if err != nil {
			t.Fatalf("fold %s: %v", n, err)
		}
		for _, m := range []*expr.Node{folded, n} {
			want, wantErr := dumbRows(m, b, &ctx)
			if errors.Is(wantErr, errNotConstant) || wantErr != nil && m == n {
				return
			}
			p, err := expr.Compile(m, ctx)
			if e, ok := sqltypes.AsError(err); ok && e.Code == 1210 {
				return // LIKE with an ESCAPE, or MATCH with a query, that is not constant
			}
			if err != nil {
				t.Fatalf("%s: %v", m, err)
			}
			compareRun(t, m, p, b, want, wantErr)
			if m.Type.Kind == types.KindBool && wantErr == nil {
				compareFilter(t, m, p, b, want)
			}
		}
	})
}

// dumbRows evaluates the rows that count one by one; with an error the values are not complete.
func dumbRows(n *expr.Node, b *vec.Batch, ctx *expr.Context) ([]expr.Value, error) {
	want := make([]expr.Value, b.Rows())
	var err error
	for k := range want {
		v, rowErr := dumb(n, b, b.Row(k), ctx)
		if rowErr != nil {
			err = rowErr
		}
		want[k] = v
	}
	return want, err
}

func compareRun(t *rapid.T, n *expr.Node, p *expr.Program, b *vec.Batch, want []expr.Value, wantErr error) {
	v, err := p.Eval(b)
	if (err != nil) != (wantErr != nil) {
		t.Fatalf("%s: error %v, want %v", n, err, wantErr)
	}
	if err != nil {
		return
	}
	if v.N != len(want) || v.Type.Phys() != n.Type.Phys() {
		t.Fatalf("%s: %d rows of %v, want %d of %v", n, v.N, v.Type, len(want), n.Type)
	}
	for k := range want {
		if got := v.Value(k); !same(got, want[k]) {
			t.Fatalf("%s: row %d: %s, want %s", n, b.Row(k), show(got), show(want[k]))
		}
	}
}

func compareFilter(t *rapid.T, n *expr.Node, p *expr.Program, b *vec.Batch, want []expr.Value) {
	sel, err := p.EvalFilter(b)
	if err != nil || sel == nil {
		t.Fatalf("filter %s: %v %v", n, sel, err)
	}
	at := 0
	for k, w := range want {
		pass := !w.Null && w.I != 0
		if pass && (at == len(sel) || sel[at] != int32(b.Row(k))) {
			t.Fatalf("filter %s: row %d is missing in %v", n, b.Row(k), sel)
		}
		if pass {
			at++
		}
	}
	if at != len(sel) {
		t.Fatalf("filter %s: %v holds rows that do not pass", n, sel)
	}
}

func show(v expr.Value) string {
	if v.Null {
		return "NULL"
	}
	return fmt.Sprintf("{%d %d %v %q}", v.I, v.Hi, v.F, v.B)
}

// and joins predicates, one or more.
func and(preds []*expr.Node) *expr.Node {
	if len(preds) == 1 {
		return preds[0]
	}
	return expr.MustCall("and", preds...)
}

// TestFilterKernels covers every operator on every physical form with a constant on either side.
func TestFilterKernels(t *testing.T) {
	ctx := testContext(t)
	rapid.Check(t, func(t *rapid.T) {
		b := drawBatch(t)
		var preds []*expr.Node
		for range rapid.IntRange(1, 3).Draw(t, "conjuncts") {
			i := rapid.IntRange(0, len(columns)-1).Draw(t, "column")
			args := []*expr.Node{expr.Col(i, columns[i]), expr.Const(drawScalar(t, columns[i]), columns[i])}
			if rapid.Bool().Draw(t, "swap") {
				args[0], args[1] = args[1], args[0]
			}
			preds = append(preds, expr.MustCall(rapid.SampledFrom([]string{"=", "!=", "<", "<=", ">", ">="}).Draw(t, "op"), args...))
		}
		n := and(preds)
		p, err := expr.Compile(n, ctx)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]expr.Value, b.Rows())
		for k := range want {
			if want[k], err = dumb(n, b, b.Row(k), &ctx); err != nil {
				t.Fatal(err)
			}
		}
		before := append([]int32(nil), b.Sel...)
		compareFilter(t, n, p, b, want)
		for i := range before {
			if b.Sel[i] != before[i] {
				t.Fatalf("the filter changed the batch's selection")
			}
		}
	})
}

func TestGuardsHideErrors(t *testing.T) {
	ctx := testContext(t)
	big := expr.Col(0, columns[0])
	boom := expr.MustCall(">", expr.MustCall("+", big, expr.ConstInt(math.MaxInt64)), expr.ConstInt(0))
	guard := expr.MustCall("<", big, expr.ConstInt(1))
	b := &vec.Batch{N: 2, Cols: []*vec.Vector{{Type: columns[0], N: 2, I64: []int64{0, 5}}}}
	for _, n := range []*expr.Node{
		expr.MustCall("and", guard, boom),
		expr.MustCall("if", guard, boom, expr.ConstBool(false)),
		expr.MustCall("or", expr.MustCall("not", guard), boom),
		expr.MustCall("coalesce", expr.MustCall("nullif", big, expr.ConstInt(0)), expr.MustCall("+", big, expr.ConstInt(1))),
	} {
		p, err := expr.Compile(n, ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Eval(b); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
	p, err := expr.Compile(boom, ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Eval(b); err == nil || !strings.Contains(err.Error(), "out of range") {
		t.Errorf("unguarded overflow: %v", err)
	}
}

// TestMatchWantsAConstant: a query that is computed from constants is searched for, one that is not is no query of no words.
func TestMatchWantsAConstant(t *testing.T) {
	ctx, text := testContext(t), types.ColumnType{Kind: types.KindVarChar, Length: 20}
	c := vec.NewColumnBuilder(text, 1)
	c.AppendValue(vec.Str([]byte("word 1234")))
	b := &vec.Batch{N: 1, Cols: []*vec.Vector{c.Finish()}}
	match := fn.MatchFound + ":" + fn.MatchParam(types.CollationBinary, false)
	p, err := expr.Compile(expr.MustCall(match, expr.Cast(expr.ConstInt(1234), text), expr.Col(0, text)), ctx)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := p.Eval(b); err != nil || v.Value(0).I != 1 {
		t.Errorf("the number is not found: %v", err)
	}
	_, err = expr.Compile(expr.MustCall(match, expr.Col(0, text), expr.Col(0, text)), ctx)
	if e, ok := sqltypes.AsError(err); !ok || e.Code != 1210 {
		t.Errorf("a column was taken for the query: %v", err)
	}
}

func TestDepthIsBounded(t *testing.T) {
	n := expr.ConstInt(1)
	for range expr.MaxDepth + 10 {
		n = &expr.Node{Kind: expr.NodeCall, Func: "neg", Type: columns[0], Args: []*expr.Node{n}}
	}
	if _, err := expr.Compile(n, expr.Context{}); err == nil {
		t.Fatal("a bottomless expression compiled")
	}
	b, err := encode(n)
	if err == nil {
		_, err = decode(b)
	}
	if err == nil {
		t.Fatal("a bottomless expression was decoded")
	}
}

func BenchmarkFilter(b *testing.B) {
	batch := &vec.Batch{N: vec.MaxRows, Cols: []*vec.Vector{vec.New(columns[4], vec.MaxRows), vec.New(columns[8], vec.MaxRows)}}
	for i := range batch.N {
		batch.Cols[0].I64[i], batch.Cols[1].I64[i] = int64(i*7919%5000), int64(i*104729%3000)
	}
	price, err := expr.ConstDecimal("24.00")
	if err != nil {
		b.Fatal(err)
	}
	n := expr.MustCall("and", expr.MustCall("<", expr.Col(0, columns[4]), price),
		expr.MustCall("between", expr.Col(1, columns[8]), expr.ConstString("1971-01-01"), expr.ConstString("1972-01-01")))
	p, err := expr.Compile(n, expr.Context{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(vec.MaxRows * 8)
	for b.Loop() {
		if _, err := p.EvalFilter(batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/vec.MaxRows, "ns/row")
}

func BenchmarkRevenue(b *testing.B) {
	dec := columns[4]
	batch := &vec.Batch{N: vec.MaxRows, Cols: []*vec.Vector{vec.New(dec, vec.MaxRows), vec.New(dec, vec.MaxRows)}}
	for i := range batch.N {
		batch.Cols[0].I64[i], batch.Cols[1].I64[i] = int64(i*7919), int64(i%10)
	}
	n := expr.MustCall("*", expr.Col(0, dec), expr.MustCall("-", expr.ConstInt(1), expr.Col(1, dec)))
	p, err := expr.Compile(n, expr.Context{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := p.Eval(batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/vec.MaxRows, "ns/row")
}
