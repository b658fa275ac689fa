package vec_test

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/vec"
)

func TestTotalOfIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vals := rapid.SliceOfN(rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, -1, 0})), 0, 50).Draw(t, "vals")
		for _, unsigned := range []bool{false, true} {
			want := new(big.Int)
			for _, x := range vals {
				if one := big.NewInt(x); unsigned {
					want.Add(want, one.SetUint64(uint64(x)))
				} else {
					want.Add(want, one)
				}
			}
			half := len(vals) / 2
			got := vec.TotalOf(vals[:half], unsigned, int64(half))
			got.Add(vec.TotalOf(vals[half:], unsigned, int64(len(vals)-half)))
			if got.Sum.Big().Cmp(want) != 0 || got.N != int64(len(vals)) {
				t.Fatalf("unsigned %v: %v of %d, want %v of %d", unsigned, got.Sum.Big(), got.N, want, len(vals))
			}
		}
	})
}

func TestRunLength(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sel, row := []int32{}, int32(rapid.IntRange(0, 9).Draw(t, "first"))
		for _, run := range rapid.SliceOfN(rapid.SampledFrom([]int{1, 2, 3, 7, 8, 9, 100}), 1, 6).Draw(t, "runs") {
			for range run {
				sel = append(sel, row)
				row++
			}
			row += int32(rapid.IntRange(0, 3).Draw(t, "gap"))
		}
		for len(sel) > 0 {
			want := 1
			for want < len(sel) && sel[want] == sel[want-1]+1 {
				want++
			}
			if got := vec.RunLength(sel); got != want {
				t.Fatalf("%d of %v, want %d", got, sel, want)
			}
			sel = sel[want:]
		}
	})
}

func TestKeyInt(t *testing.T) {
	for _, unsigned := range []bool{false, true} {
		ct := types.ColumnType{Kind: types.KindBigInt, Unsigned: unsigned}
		var key []byte
		vals := []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}
		for _, x := range vals {
			key = vec.AppendKey(key, &vec.Vector{Type: ct, N: 1, I64: []int64{x}}, 0)
		}
		for i, want := range vals {
			if got, ok := vec.KeyInt(key, i, unsigned); !ok || got != want {
				t.Errorf("value %d, unsigned %v: %d, %v", i, unsigned, got, ok)
			}
		}
		if _, ok := vec.KeyInt(key, len(vals), unsigned); ok {
			t.Error("a value beyond the end")
		}
		null := vec.AppendKey(nil, vec.NewNull(ct, 1), 0)
		if _, ok := vec.KeyInt(append(null, key...), 0, unsigned); ok {
			t.Error("NULL is an integer")
		}
	}
}
