package recent

import (
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
)

// TestKeyVersionsAgainstAMap has few hashes, many of which belong in the same slot.
func TestKeyVersionsAgainstAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var k keyVersions
		want := map[uint64]types.Version{}
		hash := rapid.Custom(func(rt *rapid.T) uint64 {
			return rapid.Uint64Range(0, 40).Draw(rt, "high")<<32 | rapid.Uint64Range(0, 3).Draw(rt, "low")
		})
		for range rapid.IntRange(0, 300).Draw(rt, "steps") {
			if rapid.IntRange(0, 9).Draw(rt, "what") == 0 {
				k.grow(rapid.IntRange(0, 100).Draw(rt, "room"))
			}
			h, v := hash.Draw(rt, "hash"), types.Version(rapid.IntRange(1, 1000).Draw(rt, "version"))
			k.putAll([]uint64{h}, v)
			want[h] = max(want[h], v)
			if k.n != len(want) || len(k.slots)*2 < k.n*3 {
				rt.Fatalf("%d keys in %d slots, want %d keys", k.n, len(k.slots), len(want))
			}
			if other := hash.Draw(rt, "other"); k.get(other) != want[other] {
				rt.Fatalf("hash %x has version %d, want %d", other, k.get(other), want[other])
			}
		}
		for h, v := range want {
			if k.get(h) != v {
				rt.Fatalf("hash %x has version %d, want %d", h, k.get(h), v)
			}
		}
	})
}

// TestRecentChangesAgainstAMap has versions of few and of many changes, and asks now and then.
func TestRecentChangesAgainstAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		from := types.Version(rapid.IntRange(1, 5).Draw(rt, "from"))
		r, want := New(from), map[uint64]types.Version{}
		for v := from + 1; v < from+30; v++ {
			n := rapid.SampledFrom([]int{1, 3, waitingKeys, 2000, Capacity / 3, Capacity + 1}).Draw(rt, "changes")
			first := rapid.Uint64Range(0, 3*Capacity).Draw(rt, "first")
			hashes := make([]uint64, n)
			for i := range hashes {
				hashes[i] = first + uint64(i)
				want[hashes[i]] = v
			}
			r.Begin(v, n)
			r.RecordAll(hashes, v)
			if rapid.Bool().Draw(rt, "nobody asks") {
				continue
			}
			r.Complete()
			if r.Incomplete() {
				rt.Fatal("changes wait although all were entered")
			}
			for range 20 {
				h := rapid.Uint64Range(0, 4*Capacity).Draw(rt, "hash")
				got, known := r.Lookup(h)
				if known && got != want[h] || !known && want[h] > r.oldFrom {
					rt.Fatalf("hash %d was changed by version %d (known: %v), want %d; all after %d are known", h, got, known, want[h], r.oldFrom)
				}
			}
		}
	})
}
