package keyset_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/sql/keyset"
)

// keysOf draws keys of all shapes: dense, sparse, at the ends of the range, few and many.
func keysOf(t *rapid.T) []int64 {
	base := rapid.SampledFrom([]int64{0, -5, 1 << 40, math.MinInt64, math.MaxInt64 - 3000}).Draw(t, "base")
	step := rapid.SampledFrom([]int64{1, 3, 64, 1000, 1 << 30}).Draw(t, "step")
	places := rapid.SliceOfN(rapid.Int64Range(0, 3000), 1, 3000).Draw(t, "places")
	keys := make([]int64, len(places))
	for i, p := range places {
		keys[i] = base + p*step // which may wrap around: any number is a key
	}
	return keys
}

func TestASetHasItsKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := keysOf(t)
		s, err := keyset.Read(keyset.Of(keys, keyset.FewBytes))
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if !s.Has(k) {
				t.Fatalf("%d is missing", k)
			}
		}
		if lo, hi := s.Bounds(); lo != slices.Min(keys) || hi != slices.Max(keys) {
			t.Fatalf("bounds %d, %d", lo, hi)
		}
		others := append(rapid.SliceOfN(rapid.Int64(), 0, 100).Draw(t, "others"), keys...)
		checkNarrow(t, s, others)
	})
}

// checkNarrow holds Narrow, of all rows and of a selection in place, against Has.
func checkNarrow(t *rapid.T, s *keyset.Set, vals []int64) {
	var want, odd, wantOdd []int32
	for i, x := range vals {
		if s.Has(x) {
			want = append(want, int32(i))
		}
		if i%2 == 1 {
			odd = append(odd, int32(i))
			if s.Has(x) {
				wantOdd = append(wantOdd, int32(i))
			}
		}
	}
	out := make([]int32, len(vals))
	if got := out[:s.Narrow(vals, nil, out)]; !slices.Equal(got, want) {
		t.Fatalf("all: %v, not %v", got, want)
	}
	if len(odd) == 0 {
		return
	}
	if got := odd[:s.Narrow(vals, odd, odd)]; !slices.Equal(got, wantOdd) {
		t.Fatalf("a selection: %v, not %v", got, wantOdd)
	}
}

// TestFewOthersPass holds how many other keys a set lets through against what makes it worth asking.
func TestFewOthersPass(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, c := range map[string]struct {
		step int64
		n    int
		room int
		most float64
	}{
		"dense":              {2, 100_000, keyset.FewBytes, 0},
		"few and far":        {1 << 20, 2000, keyset.FewBytes, 0.06},
		"many and far":       {1 << 20, 400_000, keyset.FewBytes, 0.06},
		"as many as fit":     {1 << 20, 1_600_000, keyset.FewBytes, 0.12},
		"many for long scan": {1 << 20, 3_000_000, keyset.MaxBytes, 0.06},
	} {
		keys := make([]int64, c.n)
		for i := range keys {
			keys[i] = int64(i) * c.step
		}
		b := keyset.Of(keys, c.room)
		if len(b) == 0 || len(b) > c.room+64 {
			t.Fatalf("%s: %d bytes", name, len(b))
		}
		s, err := keyset.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		wrong := 0
		for range 100_000 {
			if s.Has(r.Int64N(int64(c.n))*c.step + 1) {
				wrong++
			}
		}
		if part := float64(wrong) / 100_000; part > c.most {
			t.Errorf("%s: %.3f of others pass, more than %.3f", name, part, c.most)
		}
	}
}

func TestTooManyKeysAreNoSet(t *testing.T) {
	keys := make([]int64, 14<<20)
	for i := range keys {
		keys[i] = int64(i) << 30
	}
	if keyset.Of(keys, 1<<40) != nil || keyset.Of(keys[:2<<20], keyset.FewBytes) != nil || keyset.Of(nil, keyset.MaxBytes) != nil {
		t.Fatal("a set of too many keys, or of none")
	}
}

// FuzzRead: bytes from elsewhere are a set that can be asked anything, or an error.
func FuzzRead(f *testing.F) {
	f.Add([]byte{}, int64(0))
	f.Add(keyset.Of([]int64{1, 2, 900}, keyset.FewBytes), int64(3))
	f.Add(keyset.Of([]int64{math.MinInt64, 0, math.MaxInt64}, keyset.FewBytes), int64(-1))
	f.Fuzz(func(t *testing.T, b []byte, k int64) {
		s, err := keyset.Read(b)
		if err != nil {
			return
		}
		lo, hi := s.Bounds()
		out := make([]int32, 5)
		for _, x := range []int64{k, lo, hi, lo - 1, hi + 1} {
			if got := s.Narrow([]int64{x}, nil, out) == 1; got != s.Has(x) {
				t.Fatalf("%d: Narrow says %t", x, got)
			}
		}
	})
}
