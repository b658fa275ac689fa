package rowset

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/vec"
)

func TestSumPacked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{0, 1, 7, 8, 9, 600, vec.MaxRows - 1, vec.MaxRows}).Draw(t, "n")
		width := uint(rapid.IntRange(0, maxSumWidth).Draw(t, "width"))
		largest := rapid.Bool().Draw(t, "largest") // every carry there can be
		seed := rapid.Uint64().Draw(t, "seed")
		vals, want := make([]int64, n), uint64(0)
		for i := range vals {
			seed = seed*6364136223846793005 + 1442695040888963407
			vals[i] = int64(seed >> 8 & (1<<width - 1))
			if largest {
				vals[i] = 1<<width - 1
			}
			want += uint64(vals[i])
		}
		if got := sumPacked(appendPacked(nil, vals, 0, width), n, width); got != want {
			t.Fatalf("%d values of %d bits add up to %d, want %d", n, width, got, want)
		}
	})
}

// modelTotal adds up value by value.
func modelTotal(v *vec.Vector) vec.Total {
	var out vec.Total
	for i := range v.N {
		switch {
		case v.IsNull(i):
		case v.Dec != nil:
			out.Add(vec.Total{Sum: v.Dec[i], N: 1})
		case v.Type.Unsigned:
			out.Add(vec.Total{Sum: vec.Int128OfUint(uint64(v.I64[i])), N: 1})
		default:
			out.Add(vec.Total{Sum: vec.Int128Of(v.I64[i]), N: 1})
		}
	}
	return out
}

// TestTotals: whatever the encoding, what is added up without decoding is what the values add up to.
func TestTotals(t *testing.T) {
	unsigned := types.ColumnType{Kind: types.KindBigInt, Unsigned: true}
	extremes := NewVector(types.ColumnType{Kind: types.KindBigInt}, 0)
	for i := range vec.MaxRows {
		extremes.I64 = append(extremes.I64, []int64{math.MinInt64, math.MaxInt64, math.MaxInt64}[i%3])
	}
	extremes.N = vec.MaxRows
	narrow := NewVector(extremes.Type, 0) // the base and the widest difference are beyond 64 bits
	for i := range 9 {
		narrow.I64 = append(narrow.I64, math.MaxInt64-int64(i))
	}
	narrow.N = 9
	all := []*vec.Vector{extremes, narrow}
	for _, e := range everyEncoding() {
		all = append(all, e.v)
	}
	check := func(t interface{ Fatalf(string, ...any) }, v *vec.Vector) {
		enc := AppendVector(nil, v, 0, v.N)
		total, ok, err := totalOf(enc, v.N, v.Type)
		if err != nil {
			t.Fatalf("%v: %v", v.Type, err)
		}
		want := v.Type.Phys() == types.PhysInt64 || v.Type.Phys() == types.PhysDec128 && enc[0] != encRaw
		if ok != want {
			t.Fatalf("%v in encoding %d: ok is %v", v.Type, enc[0], ok)
		}
		if ok && total != modelTotal(v) {
			t.Fatalf("%v in encoding %d: %v, want %v", v.Type, enc[0], total, modelTotal(v))
		}
	}
	for _, v := range all {
		check(t, v)
		if v.I64 != nil {
			u := *v
			u.Type = unsigned
			check(t, &u)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		ct := rapid.SampledFrom(append(columnTypes[:len(columnTypes):len(columnTypes)], unsigned)).Draw(t, "type")
		check(t, drawVector(t, ct, rapid.SampledFrom([]int{1, 64, 700, vec.MaxRows}).Draw(t, "n")))
	})
}

func BenchmarkSumPacked(b *testing.B) {
	for _, width := range []uint{4, 12, 24, 33} {
		b.Run(string(rune('0'+width/10))+string(rune('0'+width%10)), func(b *testing.B) {
			vals := make([]int64, vec.MaxRows)
			for i := range vals {
				vals[i] = int64(i) & (1<<width - 1)
			}
			src := appendPacked(nil, vals, 0, width)
			sum := uint64(0)
			for b.Loop() {
				sum += sumPacked(src, vec.MaxRows, width)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*vec.MaxRows), "ns/row")
		})
	}
}
