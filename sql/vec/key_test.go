package vec

import (
	"bytes"
	"cmp"
	"math"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
)

var keyTypes = []types.ColumnType{
	{Kind: types.KindBigInt},
	{Kind: types.KindBigInt, Unsigned: true},
	{Kind: types.KindDouble},
	{Kind: types.KindDecimal, Length: 30, Scale: 2},
	{Kind: types.KindDecimal, Length: 10, Scale: 2},
	{Kind: types.KindVarChar, Length: 20},
}

func oneRow(t *rapid.T, ct types.ColumnType) *Vector {
	v := &Vector{Type: ct, N: 1}
	if rapid.IntRange(0, 5).Draw(t, "null") == 0 {
		v.Valid = []uint64{0}
	}
	edge := rapid.SampledFrom([]int64{0, 1, -1, math.MinInt64, math.MaxInt64, rapid.Int64().Draw(t, "i")}).Draw(t, "edge")
	switch ct.Phys() {
	case types.PhysInt64:
		v.I64 = []int64{edge}
	case types.PhysFloat64:
		v.F64 = []float64{rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), -1, 1})).Draw(t, "f")}
	case types.PhysDec128:
		v.Dec = []Int128{{Hi: rapid.Int64Range(-2, 2).Draw(t, "hi"), Lo: uint64(edge)}}
	default:
		b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 'a', 0xFE, 0xFF}), 0, 5).Draw(t, "b")
		v.Off, v.Data = []uint32{0, uint32(len(b))}, b
	}
	return v
}

// compareOne is the dumb order of two one-row vectors.
func compareOne(a, b *Vector) int {
	switch {
	case a.IsNull(0) && b.IsNull(0):
		return 0
	case a.IsNull(0):
		return -1
	case b.IsNull(0):
		return 1
	}
	switch a.Type.Phys() {
	case types.PhysInt64:
		if a.Type.Unsigned {
			return cmp.Compare(uint64(a.I64[0]), uint64(b.I64[0]))
		}
		return cmp.Compare(a.I64[0], b.I64[0])
	case types.PhysFloat64:
		return cmp.Compare(a.F64[0], b.F64[0])
	case types.PhysDec128:
		return cmp.Or(cmp.Compare(a.Dec[0].Hi, b.Dec[0].Hi), cmp.Compare(a.Dec[0].Lo, b.Dec[0].Lo))
	default:
		return bytes.Compare(a.Bytes(0), b.Bytes(0))
	}
}

func TestKeyOrderIsTupleOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ts := rapid.SliceOfN(rapid.SampledFrom(keyTypes), 1, 3).Draw(t, "types")
		a, b := &Batch{N: 1}, &Batch{N: 1}
		cols := make([]int, len(ts))
		want := 0
		for i, ct := range ts {
			a.Cols = append(a.Cols, oneRow(t, ct))
			b.Cols = append(b.Cols, oneRow(t, ct))
			cols[i] = i
			want = cmp.Or(want, compareOne(a.Cols[i], b.Cols[i]))
		}
		ka, kb := EncodeKeys(a, cols)[0], EncodeKeys(b, cols)[0]
		if got := bytes.Compare(ka, kb); got != want {
			t.Fatalf("order of %x and %x is %d, want %d", ka, kb, got, want)
		}
	})
}

func TestEncodeKeysHonoursSelection(t *testing.T) {
	v := &Vector{Type: types.ColumnType{Kind: types.KindInt}, N: 3, I64: []int64{5, 6, 7}}
	all := EncodeKeys(&Batch{Cols: []*Vector{v}, N: 3}, []int{0})
	some := EncodeKeys(&Batch{Cols: []*Vector{v}, N: 3, Sel: []int32{0, 2}}, []int{0})
	if len(some) != 2 || !bytes.Equal(some[0], all[0]) || !bytes.Equal(some[1], all[2]) {
		t.Fatalf("selected keys %x of %x", some, all)
	}
}

func TestKeySuccessor(t *testing.T) {
	for _, c := range []struct{ in, want []byte }{
		{[]byte{1, 2}, []byte{1, 3}},
		{[]byte{1, 0xFF}, []byte{2}},
		{[]byte{0xFF, 0xFF}, nil},
		{nil, nil},
	} {
		if got := KeySuccessor(c.in); !bytes.Equal(got, c.want) {
			t.Errorf("successor of %x is %x, want %x", c.in, got, c.want)
		}
	}
}

// TestKeysOfIntegers compares the keys that are made column by column with those of single rows.
func TestKeysOfIntegers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 20).Draw(t, "rows")
		b := &Batch{N: n}
		for _, ct := range []types.ColumnType{keyTypes[0], keyTypes[1]} {
			b.Cols = append(b.Cols, &Vector{Type: ct, N: n, I64: rapid.SliceOfN(rapid.Int64(), n, n).Draw(t, "values")})
		}
		cols := rapid.SampledFrom([][]int{{0}, {1}, {1, 0}}).Draw(t, "columns")
		for row, key := range EncodeKeys(b, cols) {
			if want := AppendRowKey(nil, b, cols, row); !bytes.Equal(key, want) {
				t.Fatalf("row %d has the key %x, not %x", row, key, want)
			}
		}
	})
}
