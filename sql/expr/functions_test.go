package expr_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/fn"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// testContext: 2024-02-29 12:34:56.789012 in Shanghai.
func testContext(t testing.TB) expr.Context {
	loc, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	return expr.Context{Loc: loc, NowMicros: time.Date(2024, 2, 29, 12, 34, 56, 789012000, loc).UnixMicro()}
}

type functionCase struct {
	line      int
	src, want string
}

func readCases(t testing.TB) []functionCase {
	text, err := os.ReadFile("testdata/functions.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []functionCase
	for i, l := range strings.Split(string(text), "\n") {
		if l = strings.TrimSpace(l); l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		src, want, ok := strings.Cut(l, " → ")
		if !ok {
			t.Fatalf("line %d: no arrow", i+1)
		}
		out = append(out, functionCase{i + 1, strings.TrimSpace(src), strings.TrimSpace(want)})
	}
	return out
}

// evaluate returns "type, result" or "error NNNN".
func evaluate(n *expr.Node, ctx expr.Context, b *vec.Batch, row int) string {
	p, err := expr.Compile(n, ctx)
	if err != nil {
		return errorText(err)
	}
	v, err := p.Eval(b)
	if err != nil {
		return errorText(err)
	}
	text := "NULL"
	if !v.IsNull(row) {
		if text = string(sqltypes.AppendVectorText(nil, v, row, ctx.Loc)); text == "" {
			text = "''"
		}
	}
	return sqltypes.TypeName(n.Type) + ", " + text
}

func errorText(err error) string {
	if e, ok := sqltypes.AsError(err); ok {
		return "error " + fmtInt(int(e.Code))
	}
	return "error " + err.Error()
}

func fmtInt(n int) string {
	return string(sqltypes.AppendText(nil, types.ColumnType{Kind: types.KindBigInt}, vec.Int(int64(n)), nil))
}

func TestFunctions(t *testing.T) {
	ctx := testContext(t)
	used := map[string]bool{}
	for _, c := range readCases(t) {
		n, err := parse(c.src)
		if err != nil {
			if got := errorText(err); got != c.want {
				t.Errorf("line %d: %s: %v, want %s", c.line, c.src, err, c.want)
			}
			continue
		}
		expr.Walk(n, func(x *expr.Node) {
			if x.Kind == expr.NodeCall {
				used[fn.Lookup(x.Func).Name] = true
			}
		})
		if got := evaluate(n, ctx, &vec.Batch{N: 1}, 0); got != c.want {
			t.Errorf("line %d: %s → %s, want %s", c.line, c.src, got, c.want)
		}
		folded, err := expr.Fold(n, ctx)
		if err != nil {
			if errorText(err) == c.want {
				continue
			}
			t.Errorf("line %d: fold %s: %v", c.line, c.src, err)
			continue
		}
		if got := evaluate(folded, ctx, &vec.Batch{N: 1}, 0); got != c.want && !strings.HasPrefix(c.want, "error") {
			t.Errorf("line %d: folded %s → %s, want %s", c.line, c.src, got, c.want)
		}
		checkColumns(t, c, n, ctx)
		checkCodec(t, c, n)
	}
	for _, d := range fn.All() {
		if !used[d.Name] && d.Name != "between" && d.Name != "uuid" && d.Group != "collation" { // users cannot name the last
			t.Errorf("function %s has no case in testdata/functions.txt", d.Name)
		}
	}
}

// checkColumns replaces the constants by columns of 70 rows (the value, every third row NULL) and checks that rows with
// the value give the same result: the vector kernels against the constant path. RAND and LIKE ESCAPE want constants, and
// JSON_OBJECT refuses NULL keys.
func checkColumns(t *testing.T, c functionCase, n *expr.Node, ctx expr.Context) {
	t.Helper()
	var cols []*vec.Vector
	const rows = 70
	m := expr.Rewrite(n, func(x *expr.Node) *expr.Node {
		if x.Kind == expr.NodeCall && (x.Func == "rand" || x.Func == "json_object" || x.Func == "like" && len(x.Args) == 3) {
			return nil
		}
		if x.Kind != expr.NodeConst || x.Type.Kind == types.KindNull {
			return x
		}
		b := vec.NewColumnBuilder(x.Type, rows)
		for i := range rows {
			if i%3 == 1 {
				b.AppendNull()
			} else {
				b.AppendValue(x.Value)
			}
		}
		cols = append(cols, b.Finish())
		return expr.Col(len(cols)-1, x.Type)
	})
	skip := m == nil
	if !skip {
		expr.Walk(m, func(x *expr.Node) {
			for _, a := range x.Args {
				skip = skip || a == nil
			}
		})
	}
	if skip {
		return
	}
	b := &vec.Batch{Cols: cols, N: rows}
	if got := evaluate(m, ctx, b, 68); got != c.want {
		t.Errorf("line %d: in columns %s → %s, want %s", c.line, c.src, got, c.want)
	}
	b.Sel = []int32{3, 6, 66}
	if got := evaluate(m, ctx, b, 2); got != c.want {
		t.Errorf("line %d: in selected columns %s → %s, want %s", c.line, c.src, got, c.want)
	}
}

func checkCodec(t *testing.T, c functionCase, n *expr.Node) {
	t.Helper()
	b, err := encode(n)
	if err != nil {
		t.Fatalf("line %d: encode: %v", c.line, err)
	}
	back, err := decode(b)
	if err != nil {
		if !strings.HasPrefix(c.want, "error") {
			t.Errorf("line %d: decode: %v", c.line, err)
		}
		return
	}
	if !alike(n, back) {
		t.Errorf("line %d: %s came back as %s", c.line, n, back)
	}
}

// alike reports whether two expressions are the same, their types included.
func alike(a, b *expr.Node) bool {
	return a.Kind == b.Kind && a.Type == b.Type && a.Col == b.Col && a.Func == b.Func && a.Value.Null == b.Value.Null && same(a.Value, b.Value) &&
		slices.EqualFunc(a.Args, b.Args, alike)
}
