package session

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/zeebo/xxh3"
	"pgregory.net/rapid"
)

// drawnRow has some values of keys, -1 = none.
type drawnRow []int

func drawRows(t *rapid.T, name string, keys, most int) []drawnRow {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) drawnRow {
		return rapid.SliceOfN(rapid.IntRange(-1, 30), keys, keys).Draw(t, "row")
	}), 0, most).Draw(t, name)
}

// clone copies what was seen.
func (s *keysSeen) clone() *keysSeen {
	out := newKeysSeen(len(s.keys))
	for k, keys := range s.keys {
		out.keys[k] = maps.Clone(keys)
	}
	return out
}

// firstMissing returns the first number below n that is not in numbers, which ascend; -1 = none is missing.
func firstMissing(numbers []int32, n int) int {
	for i := range n {
		if i >= len(numbers) || int(numbers[i]) != i {
			return i
		}
	}
	return -1
}

func hashOf(value int) xxh3.Uint128 { return xxh3.HashString128(fmt.Sprint(value)) }

// asKeys makes of rows what a table that has some values says of them.
func asKeys(rows []drawnRow, keys int, table []map[int]bool) *rowKeys {
	out := &rowKeys{n: len(rows), keys: make([]keyColumn, keys)}
	for k := range keys {
		c := &out.keys[k]
		c.there = map[xxh3.Uint128]struct{}{}
		for _, r := range rows {
			c.none = append(c.none, r[k] < 0)
			c.hash = append(c.hash, hashOf(r[k]))
			if table[k][r[k]] {
				c.there[hashOf(r[k])] = struct{}{}
			}
		}
	}
	return out
}

func drawTable(t *rapid.T, keys int) []map[int]bool {
	table := make([]map[int]bool, keys)
	for k := range table {
		table[k] = map[int]bool{}
		for _, v := range rapid.SliceOfN(rapid.IntRange(0, 30), 0, 8).Draw(t, "table") {
			table[k][v] = true
		}
	}
	return table
}

// TestUnmetRows has INSERT IGNORE take rows in chunks: those are inserted that a table which takes one row after the other takes.
func TestUnmetRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.IntRange(1, 3).Draw(t, "keys")
		table := drawTable(t, keys)
		seen := newKeysSeen(keys)
		taken := drawTable(t, keys)
		for k := range taken {
			taken[k] = map[int]bool{}
			for v := range table[k] {
				taken[k][v] = true
			}
		}
		for range rapid.IntRange(1, 4).Draw(t, "chunks") {
			rows := drawRows(t, "rows", keys, 12)
			var want []int32
			for n, r := range rows {
				free := true
				for k, v := range r {
					free = free && !taken[k][v]
				}
				if !free {
					continue
				}
				want = append(want, int32(n))
				for k, v := range r {
					if v >= 0 {
						taken[k][v] = true
					}
				}
			}
			n, _, found := asKeys(rows, keys, table).firstMet(seen.clone())
			if first := firstMissing(want, len(rows)); found != (first >= 0) || found && n != first {
				t.Fatalf("%v into %v: %v is met first (%v), not %v", rows, table, n, found, first)
			}
			if got := asKeys(rows, keys, table).unmet(seen, func(int, int) {}); !slices.Equal(got, want) {
				t.Fatalf("%v into %v: %v are inserted, not %v", rows, table, got, want)
			}
		}
	})
}

// TestRowsApart compares the rows that meet no others, and what was seen, with a look at all pairs.
func TestRowsApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.IntRange(1, 3).Draw(t, "keys")
		table := drawTable(t, keys)
		rows, before := drawRows(t, "rows", keys, 12), drawRows(t, "before", keys, 3)
		share := func(a, b drawnRow) bool {
			for k := range a {
				if a[k] >= 0 && a[k] == b[k] {
					return true
				}
			}
			return false
		}
		var alone, met []int32
		again := false
		for n, r := range rows {
			meets := false
			for k, v := range r {
				meets = meets || table[k][v]
			}
			for m, other := range rows {
				meets = meets || m != n && share(r, other)
			}
			if meets {
				met = append(met, int32(n))
			} else {
				alone = append(alone, int32(n))
			}
			again = again || slices.ContainsFunc(before, func(o drawnRow) bool { return share(r, o) })
		}
		seen := newKeysSeen(keys)
		old := asKeys(before, keys, table)
		for n := range before {
			seen.addRow(old, n)
		}
		k := asKeys(rows, keys, table)
		gotAlone, gotMet := k.apart()
		if !slices.Equal(gotAlone, alone) || !slices.Equal(gotMet, met) {
			t.Fatalf("%v into %v: %v are alone and %v met, not %v and %v", rows, table, gotAlone, gotMet, alone, met)
		}
		if got := k.meetsSeen(seen); got != again {
			t.Fatalf("%v after %v: meets itself %v", rows, before, got)
		}
	})
}
