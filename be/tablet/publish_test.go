package tablet

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
)

// TestChangesOfTheSameKeys writes versions of several parts over few keys, in the order of keys or not, one key more than once,
// published or applied in runs of change sets, with flushes between them: every version must show what a map says, and the
// count of rows be right.
func TestChangesOfTheSameKeys(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	next := types.TabletID(0)
	rapid.Check(t, func(rt *rapid.T) {
		next += 2
		from, to := createIn(t, s, next-1), createIn(t, s, next)
		first, want := from.Version(), map[rowKey]int64{}
		seen := []map[rowKey]int64{maps.Clone(want)}
		for range rapid.IntRange(1, 8).Draw(rt, "versions") {
			v := from.Version() + 1
			for part := range rapid.IntRange(1, 2).Draw(rt, "parts") {
				ops, rows := changesOfFewKeys(rt)
				for i, r := range rows {
					if ops[i] == types.OpPut {
						want[rowKey{r.id, r.tag}] = r.val
					} else {
						delete(want, rowKey{r.id, r.tag})
					}
				}
				if err := prepare(from, types.TxnID(v), part, encode(t, ops, rows)); err != nil {
					rt.Fatal(err)
				}
			}
			if err := from.Publish(types.TxnID(v), v); err != nil {
				rt.Fatal(err)
			}
			seen = append(seen, maps.Clone(want))
			if rapid.IntRange(0, 3).Draw(rt, "flush") == 0 {
				if err := from.Flush(); err != nil {
					rt.Fatal(err)
				}
			}
		}
		changes, err := from.Changes(first, from.Version())
		if err != nil {
			rt.Fatal(err)
		}
		run, _, err := changes.nextRun()
		if err != nil {
			rt.Fatal(err)
		}
		if err := to.ApplyChanges(run); err != nil {
			rt.Fatal(err)
		}
		for _, tb := range []*Tablet{from, to} {
			for v := range seen {
				if got := contents(t, tb, first+types.Version(v)); !maps.Equal(got, seen[v]) {
					rt.Fatalf("version %d has %v, want %v", v, got, seen[v])
				}
			}
			if got := tb.Stats().Rows; got != int64(len(want)) {
				rt.Fatalf("%d rows, want %d", got, len(want))
			}
		}
	})
}

func changesOfFewKeys(rt *rapid.T) (ops []types.RowOp, rows []row) {
	for range rapid.IntRange(1, 12).Draw(rt, "rows") {
		rows = append(rows, row{rapid.Int64Range(0, 9).Draw(rt, "id"), "t", rapid.Int64Range(0, 99).Draw(rt, "value")})
	}
	if rapid.Bool().Draw(rt, "sorted") {
		slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.id, b.id) })
	}
	if rapid.Bool().Draw(rt, "distinct") {
		rows = slices.CompactFunc(rows, func(a, b row) bool { return a.id == b.id })
	}
	for range rows {
		ops = append(ops, rapid.SampledFrom([]types.RowOp{types.OpPut, types.OpPut, types.OpDelete}).Draw(rt, "op"))
	}
	return ops, rows
}

func createIn(t *testing.T, s *Store, id types.TabletID) *Tablet {
	t.Helper()
	tb, err := s.Create(testMeta(id))
	if err != nil {
		t.Fatal(fmt.Errorf("create tablet %d: %w", id, err))
	}
	return tb
}
