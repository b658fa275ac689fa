package memtable

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"stele/sql/rowset"
)

// TestIndexAgainstAMap links, buries and looks keys up beside a map. Few different hashes make many keys meet in a slot.
func TestIndexAgainstAMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		mask := rapid.SampledFrom([]uint64{1<<64 - 1, 7, 0}).Draw(rt, "mask of hashes")
		m := &Table{}
		want := make(map[string]int32)
		for range rapid.IntRange(1, 300).Draw(rt, "steps") {
			key := fmt.Sprint("k", rapid.IntRange(0, 60).Draw(rt, "key"))
			hash := rowset.KeyHash([]byte(key)) & mask
			row, known := want[key]
			if rapid.IntRange(0, 3).Draw(rt, "deed") > 0 {
				old := NoRow
				if known {
					old = row
				}
				want[key] = int32(len(m.created))
				m.Link(key, hash, old, 1)
			} else {
				if !known {
					want[key] = NoRow
				}
				m.Bury(key, hash)
			}
		}
		if m.index.n != len(want) {
			rt.Fatalf("%d keys, not %d", m.index.n, len(want))
		}
		for i := range 61 {
			key := fmt.Sprint("k", i)
			hash := rowset.KeyHash([]byte(key)) & mask
			slot := m.index.find(m.keys, slotHash(hash), key)
			row, known := want[key]
			if known != (slot.head != 0) || known && slot.row() != row {
				rt.Fatalf("key %s: row %d, not %d", key, slot.row(), row)
			}
			if got, ok := m.Lookup([]byte(key)); mask == 1<<64-1 && (ok != known || known && got != row) {
				rt.Fatalf("looking key %s up: %d, %v", key, got, ok)
			}
		}
		seen := 0
		for key := range m.index.all(m.keys) {
			if _, ok := want[key]; !ok {
				rt.Fatalf("key %q is not there", key)
			}
			seen++
		}
		if seen != len(want) {
			rt.Fatalf("%d keys seen, not %d", seen, len(want))
		}
	})
}

// TestHashesMeetInNoSlot: keys whose hashes were made to agree in one half begin in slots of their own.
func TestHashesMeetInNoSlot(t *testing.T) {
	const keys = 1 << 14
	for _, slots := range []uint32{keys * 2, 1 << 20} {
		seen := make(map[uint32]bool)
		for i := range uint64(keys) {
			seen[slotHash(i<<32)&(slots-1)] = true
		}
		if len(seen) != keys {
			t.Errorf("%d keys begin in %d slots of %d", keys, len(seen), slots)
		}
	}
}
