package tablet

import (
	"testing"

	"stele/meta/types"
)

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
		if n := len(scanAll(t, s, ScanOptions{})); int64(n) != want || tb.rows != want || len(tb.rowsets) != 1 || tb.rowsets[0].deletes.Count() != 1 {
			t.Errorf("then %d: %d rows, %d are counted, want %d; %d rowsets with %d ended", then, n, tb.rows, want, len(tb.rowsets), tb.rowsets[0].deletes.Count())
		}
		s.Release()
	}
}
