package deletes

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
)

// TestDeadIn: the rows of a range that had ended at a version are those of the bitmap of that version, in order.
func TestDeadIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := New(nil, nil)
		seed := rapid.Uint64().Draw(t, "seed")
		rows := rapid.SampledFrom([]uint32{10, 5000, 100000}).Draw(t, "rows")
		for i := range rapid.SampledFrom([]int{0, 1, 30, 3000}).Draw(t, "deletes") {
			seed = seed*6364136223846793005 + 1442695040888963407
			pos := uint32(seed>>33) % rows
			d.Add(types.Version(i/7+2), pos)
			if seed>>20%50 == 0 { // as releases before may have written it
				d.Add(types.Version(i/7+2), pos)
			}
		}
		for range 10 {
			v := types.Version(rapid.IntRange(1, 500).Draw(t, "version"))
			start := rapid.Uint32Range(0, rows).Draw(t, "start")
			n := rapid.Uint32Range(0, rows).Draw(t, "n")
			var want []uint32
			for _, pos := range d.RowsAt(v).ToArray() {
				if pos >= start && pos < start+n {
					want = append(want, pos)
				}
			}
			if got := d.DeadIn(nil, v, start, n); !slices.Equal(got, want) {
				t.Fatalf("[%d, %d) at %d: %v, want %v", start, start+n, v, got, want)
			}
		}
	})
}

// TestWordsAreFew: words are kept of the newest checkpoint, which readers ask for, and of no part without rows that have ended.
func TestWordsAreFew(t *testing.T) {
	const parts = 8
	d := New(nil, nil)
	for v := types.Version(1); v <= 10*checkpointEvery; v++ {
		d.Add(v, (parts-1)*wordRows+uint32(v)) // in the last part
		if v%checkpointEvery == 0 {
			if got := len(d.DeadIn(nil, v, 0, parts*wordRows)); got != int(v) {
				t.Fatalf("%d rows have ended, not %d", got, v)
			}
		}
	}
	words := 0
	for i := range d.checkpoints {
		for part := range d.checkpoints[i].words {
			if w := d.checkpoints[i].words[part].Load(); w != nil && w != &noneEnded {
				words++
			}
		}
	}
	if words != 1 {
		t.Errorf("words of %d parts are kept", words)
	}
	if got := len(d.DeadIn(nil, 5*checkpointEvery+3, 0, parts*wordRows)); got != 5*checkpointEvery+3 {
		t.Errorf("at an old version %d rows have ended", got)
	}
}

func TestDeletesAtVersions(t *testing.T) {
	d := New(nil, nil)
	const n = 50 * checkpointEvery
	for i := range n {
		d.Add(types.Version(i/10+2), uint32(i))
	}
	old := d // a view
	for i := range 3000 {
		d.Add(types.Version(n/10+3+i), uint32(n+i))
	}
	for _, dels := range []*Vector{&old, &d} {
		for _, v := range []types.Version{1, 2, 3, 700, n / 20, n/10 + 1} {
			want := min(max(int(v)-1, 0)*10, n)
			rows := dels.RowsAt(v)
			if int(rows.GetCardinality()) != want || want > 0 && (!dels.Has(uint32(want-1), v) || !rows.Contains(uint32(want-1))) || dels.Has(uint32(want), v) {
				t.Fatalf("version %d: %d rows, want %d", v, rows.GetCardinality(), want)
			}
		}
	}
	c := d.Collapse(700)
	if c.Count() != d.Count() || c.RowsAt(800).GetCardinality() != d.RowsAt(800).GetCardinality() || !c.Has(0, 700) {
		t.Fatalf("collapsed: %d rows of %d", c.Count(), d.Count())
	}
	if len(d.checkpoints) > maxCheckpoints {
		t.Fatalf("%d checkpoints", len(d.checkpoints))
	}
}
