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
		rows := rapid.SampledFrom([]uint32{10, 5000, 100000}).Draw(t, "rows")
		for i := range rapid.SampledFrom([]int{0, 1, 30, 3000}).Draw(t, "deletes") {
			seed = seed*6364136223846793005 + 1442695040888963407
			pos := uint32(seed>>33) % rows
			d.add(types.Version(i/7+2), pos)
			if seed>>20%50 == 0 { // as releases before may have written it
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

// TestEndedOnce: a transaction that deletes a row which a bulk write has put, above an older one in memory, and names its key again
// ends the row once.
func TestEndedOnce(t *testing.T) {
	large := make([]row, 200)
	for i := range large {
		large[i] = row{int64(i), "a", 2}
	}
	opt := testOptions()
	opt.bulkBytes = int64(len(puts(t, large...)))
	for _, then := range []types.RowOp{types.OpDelete, types.OpPut} {
		tb, err := openStore(t, t.TempDir(), opt).Create(testMeta(1))
		if err != nil {
			t.Fatal(err)
		}
		commit(t, tb, puts(t, row{7, "a", 1}))
		commit(t, tb, puts(t, large...))
		commit(t, tb, encode(t, []types.RowOp{types.OpDelete, then}, []row{{7, "a", 1}, {7, "a", 3}}))
		want := int64(len(large) - 1)
		if then == types.OpPut {
			want++
		}
		s, err := tb.Current()
		if err != nil {
			t.Fatal(err)
		}
		if n := len(scanAll(t, s, ScanOptions{})); int64(n) != want || tb.rows != want || len(tb.rowsets) != 1 || tb.rowsets[0].deletes.count() != 1 {
			t.Errorf("then %d: %d rows, %d are counted, want %d; %d rowsets with %d ended", then, n, tb.rows, want, len(tb.rowsets), tb.rowsets[0].deletes.count())
		}
		s.Release()
	}
}

// TestWordsAreFew: words are kept of the newest checkpoint, which readers ask for, and of no part without rows that have ended.
func TestWordsAreFew(t *testing.T) {
	const parts = 8
	d := newDeletes(nil, nil)
	for v := types.Version(1); v <= 10*checkpointEvery; v++ {
		d.add(v, (parts-1)*wordRows+uint32(v)) // in the last part
		if v%checkpointEvery == 0 {
			if got := len(d.deadIn(nil, v, 0, parts*wordRows)); got != int(v) {
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
	if got := len(d.deadIn(nil, 5*checkpointEvery+3, 0, parts*wordRows)); got != 5*checkpointEvery+3 {
		t.Errorf("at an old version %d rows have ended", got)
	}
}
