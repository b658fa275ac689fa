package tablet

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
)

// TestDeadIn: the rows of a range that had ended at a version are those of the bitmap of that version, in order.
func TestDeadIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDeletes(nil, nil)
		seed := rapid.Uint64().Draw(t, "seed")
		gone := map[uint32]bool{}
		rows := rapid.SampledFrom([]uint32{10, 5000, 100000}).Draw(t, "rows")
		for i := range rapid.SampledFrom([]int{0, 1, 30, 3000}).Draw(t, "deletes") {
			seed = seed*6364136223846793005 + 1442695040888963407
			if pos := uint32(seed>>33) % rows; !gone[pos] {
				gone[pos] = true
				d.add(types.Version(i/7+2), pos)
			}
		}
		for range 10 {
			v := types.Version(rapid.IntRange(1, 500).Draw(t, "version"))
			start := rapid.Uint32Range(0, rows).Draw(t, "start")
			n := rapid.Uint32Range(0, rows).Draw(t, "n")
			var want []uint32
			for _, pos := range d.rowsAt(v).ToArray() {
				if pos >= start && pos < start+n {
					want = append(want, pos)
				}
			}
			if got := d.deadIn(nil, v, start, n); !slices.Equal(got, want) {
				t.Fatalf("[%d, %d) at %d: %v, want %v", start, start+n, v, got, want)
			}
		}
	})
}
