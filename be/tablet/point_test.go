package tablet

import (
	"context"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
)

// TestGetAtAgreesWithSnapshot holds GetAt and Unchanged against what every version holds, whatever was flushed or merged.
func TestGetAtAgreesWithSnapshot(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	next := types.TabletID(0)
	rapid.Check(t, func(rt *rapid.T) {
		next++
		tb, err := s.Create(testMeta(next))
		if err != nil {
			rt.Fatal(err)
		}
		now := map[rowKey]int64{}
		history := map[types.Version]map[rowKey]int64{tb.Version(): {}}
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(rt *rapid.T) {
				k := row{id: rapid.Int64Range(0, 5).Draw(rt, "id"), tag: "t", val: rapid.Int64Range(-1, 3).Draw(rt, "val")}
				if rapid.IntRange(0, 3).Draw(rt, "delete") == 0 {
					delete(now, rowKey{k.id, k.tag})
					history[commit(t, tb, deletesPayload(t, k))] = maps.Clone(now)
					return
				}
				now[rowKey{k.id, k.tag}] = k.val
				history[commit(t, tb, puts(t, k))] = maps.Clone(now)
			},
			"flush": func(rt *rapid.T) {
				if err := tb.Flush(); err != nil {
					rt.Fatal(err)
				}
			},
			"compact": func(rt *rapid.T) {
				if err := tb.CompactAll(context.Background()); err != nil {
					rt.Fatal(err)
				}
			},
		})
		checkPoints(rt, t, tb, history)
	})
}

func checkPoints(rt *rapid.T, t *testing.T, tb *Tablet, history map[types.Version]map[rowKey]int64) {
	for v, rows := range history {
		for id := range int64(6) {
			k := rowKey{id, "t"}
			want, exists := rows[k]
			b, found, _, err := tb.GetAt(v, keyOf(k), allColumns, nil)
			if err != nil || found != exists {
				rt.Fatalf("version %d, key %d: found %v, error %v, want %v", v, id, found, err, exists)
			}
			if found {
				got := map[rowKey]int64{}
				readBatch(t, b, got)
				if len(got) != 1 || got[k] != want {
					rt.Fatalf("version %d, key %d: %v, not %d", v, id, got, want)
				}
			}
			for since, older := range history {
				before, was := older[k]
				if since <= v && tb.Unchanged(keyOf(k), since, v) && (was != exists || before != want) {
					rt.Fatalf("key %d is said to be unchanged from version %d to %d", id, since, v)
				}
			}
		}
	}
	if _, _, _, err := tb.GetAt(tb.Version()+1, keyOf(rowKey{1, "t"}), allColumns, nil); err == nil {
		rt.Fatal("a version that is not there was read")
	}
}
