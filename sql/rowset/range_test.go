package rowset

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/vec"
)

// TestDecodeRange: some rows of a vector are those of the whole one, asked for once or many times, into a new vector or a used one.
func TestDecodeRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{1, 9, 511, 700, vec.MaxRows + 300}).Draw(t, "n")
		kinds := []types.ColumnType{{Kind: types.KindBigInt}, {Kind: types.KindDouble}, {Kind: types.KindVarChar, Length: 200},
			{Kind: types.KindDecimal, Length: 30, Scale: 2}}
		keys, cols, seed := make([][]byte, n), Columns{}, rapid.Uint64().Draw(t, "seed")
		for c, kind := range kinds {
			v := NewVector(kind, n)
			nulls, values := rapid.SampledFrom([]uint64{0, 3, 100}).Draw(t, "nulls"), rapid.SampledFrom([]uint64{1, 5, 1 << 40}).Draw(t, "values")
			for i := range n {
				seed = seed*6364136223846793005 + 1442695040888963407
				appendDrawn(v, seed>>11%values, nulls > 0 && seed>>33%nulls == 0)
				keys[i] = fmt.Appendf(nil, "%06d", i)
			}
			cols.IDs, cols.Vecs = append(cols.IDs, types.ColumnID(c+1)), append(cols.Vecs, v)
		}
		id := GroupID{UID: 1, Rowset: 2, Group: 3}
		g, err := OpenGroup(id, EncodeGroup(id, cols, keys))
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "cached") {
			g.CacheBlocks(NewBlockCache(rapid.SampledFrom([]int64{1 << 10, 1 << 20}).Draw(t, "cache")))
		}
		used := make([]vec.Vector, len(kinds))
		for range 20 {
			rangeOnce(t, g, cols, used)
		}
	})
}

func appendDrawn(v *vec.Vector, x uint64, null bool) {
	switch {
	case null:
		AppendNull(v)
		return
	case v.Off != nil:
		v.Data = fmt.Appendf(v.Data, "%0*d and some words that follow", x%40+1, x)
		v.Off = append(v.Off, uint32(len(v.Data)))
	case v.F64 != nil:
		v.F64 = append(v.F64, float64(x)/8)
	case v.Dec != nil:
		v.Dec = append(v.Dec, vec.Int128{Lo: x})
	default:
		v.I64 = append(v.I64, int64(x))
	}
	endValid(v)
}

func rangeOnce(t *rapid.T, g *Group, cols Columns, used []vec.Vector) {
	i := rapid.IntRange(0, g.Vectors()-1).Draw(t, "vector")
	from := rapid.IntRange(0, g.VectorRows(i)).Draw(t, "from")
	to := rapid.IntRange(from, g.VectorRows(i)).Draw(t, "to")
	c := rapid.IntRange(0, len(cols.IDs)-1).Draw(t, "column")
	v := &used[rapid.IntRange(0, len(used)-1).Draw(t, "into")]
	if err := g.DecodeRange(v, c, i, from, to); err != nil {
		t.Fatal(err)
	}
	if v.N != to-from || v.Type.Phys() != cols.Vecs[c].Type.Phys() {
		t.Fatalf("%d rows of %v", v.N, v.Type)
	}
	for row := range v.N {
		got, want := vec.AppendKey(nil, v, row), vec.AppendKey(nil, cols.Vecs[c], i*vec.MaxRows+from+row)
		if string(got) != string(want) {
			t.Fatalf("row %d of [%d, %d) of vector %d, column %d: %q, want %q", row, from, to, i, c, got, want)
		}
	}
	if row := from; row < to { // a point read shares the cache
		one := NewVector(cols.Vecs[c].Type, 1)
		if err := g.AppendRow(one, c, i*vec.MaxRows+row); err != nil {
			t.Fatal(err)
		}
		if string(vec.AppendKey(nil, one, 0)) != string(vec.AppendKey(nil, v, 0)) {
			t.Fatal("another value by a point read")
		}
	}
}
