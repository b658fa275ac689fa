package exec

import (
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/vec"
)

// TestKeyTableMatchesModel numbers keys batch by batch, so that a long string turns a table over that is in use.
func TestKeyTableMatchesModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ts := rapid.SampledFrom([][]types.ColumnType{{tInt}, {tStr}, {tDouble}, {tStr, tInt}, {tInt, tStr}, {tStr, tStr}, {tDouble, tUint},
			{tWide}, {tInt, tInt, tInt}}).Draw(rt, "types")
		table, model := newKeyTable(ts), map[string]int32{}
		for range rapid.IntRange(1, 4).Draw(rt, "batches") {
			tab := genTable(ts, 400).Draw(rt, "rows")
			b := vec.NewBuilder(ts, 0)
			for _, r := range tab.rows {
				b.AppendValues(r...)
			}
			batch := b.Finish()
			ids, found := make([]int32, batch.N), make([]int32, batch.N)
			table.find(batch.Cols, denseRows(batch.N), found)
			fresh := table.assign(batch.Cols, denseRows(batch.N), ids, nil)
			news := 0
			for i, key := range showRows(ts, tab.rows) {
				want, known := model[key]
				if !known {
					want = int32(len(model))
					model[key] = want
					if int(fresh[news]) != i {
						rt.Fatalf("row %d is new, not row %d", i, fresh[news])
					}
					news++
				}
				if ids[i] != want || found[i] >= 0 && found[i] != want {
					rt.Fatalf("key %s: assigned %d, found %d, want %d", key, ids[i], found[i], want)
				}
			}
			if news != len(fresh) || table.len() != len(model) {
				rt.Fatalf("%d keys, %d of them new; want %d, %d", table.len(), len(fresh), len(model), news)
			}
			table.find(batch.Cols, denseRows(batch.N), found)
			for i := range found {
				if found[i] != ids[i] {
					rt.Fatalf("row %d: found %d, assigned %d", i, found[i], ids[i])
				}
			}
		}
	})
}
