package tablet

import (
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
)

// TestChangesOfTransactions: the log of changes knows of each transaction whose version it has, in whatever order they come.
func TestChangesOfTransactions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newChangeLog(1)
		var kept []types.TxnID
		used := map[types.TxnID]bool{}
		next := types.Version(1)
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			txn := types.TxnID(rapid.IntRange(1, 120).Draw(t, "txn"))
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1, 2:
				if used[txn] {
					continue
				}
				used[txn] = true
				c.append(next, versionRecord{Txn: txn})
				kept = append(kept, txn)
				next++
			case 3:
				n := min(rapid.IntRange(0, 5).Draw(t, "drop"), len(kept))
				c.drop(n)
				kept = kept[n:]
			default:
				want := false
				for _, k := range kept {
					want = want || k == txn
				}
				if got := c.of(txn); got != want {
					t.Fatalf("transaction %d: %v, want %v of %v", txn, got, want, kept)
				}
			}
			if len(c.txns) > len(kept) {
				t.Fatalf("%d transactions are remembered of %d versions", len(c.txns), len(kept))
			}
		}
	})
}
