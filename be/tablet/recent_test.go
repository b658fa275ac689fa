package tablet

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
			k.put(h, v)
			want[h] = v
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
