package scan

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"stele/be/tablet/sought"
	"stele/meta/types"
	"stele/sql/collation"
	"stele/sql/expr"
	"stele/sql/fn"
	"stele/sql/physical"
	"stele/sql/vec"
)

// TestPruneSetsByCollation: no text that passes a filter by a collation is outside of the ranges of keys that are found for it.
func TestPruneSetsByCollation(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	parts := []string{"a", "A", "á", "b", "B", "ß", "ss", " ", "  ", "\t", "é", "e\u0301", "\u00ad", "_", "%", "\\", "ﬀ", "f", "F", "\x00", "😀", "\xff", "z", "Z"}
	text := types.ColumnType{Kind: types.KindVarChar, Length: 40}
	draw := func() (out []byte) {
		for range rnd.IntN(5) {
			out = append(out, parts[rnd.IntN(len(parts))]...)
		}
		return out
	}
	schema := types.Schema{Columns: []types.Column{{ID: 1, Type: text}}}
	col := &expr.Node{Kind: expr.NodeColumn, Type: text}
	passed := 0
	for range 4000 {
		by := types.Collation(1 + rnd.IntN(len(types.Collations())-1))
		key := func(b []byte) *expr.Node {
			return expr.Const(vec.Str(collation.AppendKey(nil, by, b)), types.ColumnType{Kind: types.KindVarBinary})
		}
		keyed := expr.MustCall(fn.CollationKey+":"+by.String(), col)
		var filter *expr.Node
		switch rnd.IntN(4) {
		case 0:
			filter = expr.MustCall("=", key(draw()), keyed)
		case 1:
			filter = expr.MustCall("in", keyed, key(draw()), key(draw()), key(draw()))
		case 2:
			filter = expr.MustCall("and", expr.MustCall(">", keyed, key(draw())), expr.MustCall("<=", keyed, key(draw())))
		default:
			filter = expr.MustCall(fn.CollationLike+":"+by.String(), col, expr.Const(vec.Str(append(draw(), '%')), text))
		}
		sets := prune(&physical.Fragment{Schema: schema, Columns: []types.ColumnID{1}, Filter: filter})
		if len(sets) > 1 || len(sets) == 1 && sets[0].By != by {
			t.Fatalf("%s by %s: %+v", filter.Func, by, sets)
		}
		prog, err := expr.Compile(filter, expr.Context{})
		if err != nil {
			t.Fatal(err)
		}
		b := &vec.Batch{N: 64}
		texts := vec.NewColumnBuilder(text, b.N)
		values := make([][]byte, b.N)
		for i := range values {
			values[i] = draw()
			texts.AppendValue(vec.Str(values[i]))
		}
		b.Cols = append(b.Cols, texts.Finish())
		kept, err := prog.EvalFilterInto(b, make([]int32, b.N))
		if err != nil {
			t.Fatal(err)
		}
		passed += len(kept)
		for _, i := range kept {
			if k := collation.AppendKey(nil, by, values[i]); len(sets) == 1 && !inRanges(k, sets[0].Ranges) {
				t.Fatalf("%q passes %s by %s and has no range", values[i], filter.Func, by)
			}
		}
	}
	if passed == 0 {
		t.Error("nothing has passed")
	}
}

func inRanges(key []byte, ranges []sought.Range) bool {
	for _, r := range ranges {
		if (r.Lo.Null || bytes.Compare(r.Lo.B, key) <= 0) && (r.Hi.Null || bytes.Compare(key, r.Hi.B) <= 0) {
			return true
		}
	}
	return false
}
