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
	out := &keysSeen{}
	for _, keys := range s.keys {
		out.keys = append(out.keys, maps.Clone(keys))
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

// drawnTable says, for each key, which values rows of a table have, and what the first key of such a row is.
type drawnTable []map[int]int

// asKeys makes of rows what a table says of them.
func asKeys(rows []drawnRow, keys int, table drawnTable) *rowKeys {
	out := &rowKeys{n: len(rows), keys: make([]keyColumn, keys)}
	for k := range keys {
		c := &out.keys[k]
		c.there = map[xxh3.Uint128]xxh3.Uint128{}
		for _, r := range rows {
			c.none = append(c.none, r[k] < 0)
			c.hash = append(c.hash, hashOf(r[k]))
			c.entry = append(c.entry, hashOf(r[0]))
			if owner, there := table[k][r[k]]; there {
				c.there[hashOf(r[k])] = hashOf(owner)
			}
		}
	}
	return out
}

func drawTable(t *rapid.T, keys int) drawnTable {
	table := make(drawnTable, keys)
	for k := range table {
		table[k] = map[int]int{}
	}
	for _, r := range drawRows(t, "table", keys, 12) {
		free := r[0] >= 0
		for k, v := range r {
			_, there := table[k][v]
			free = free && !there
		}
		for k, v := range r {
			if free && v >= 0 {
				table[k][v] = r[0]
			}
		}
	}
	return table
}

// drawLike draws rows some of which are, in all or some keys, like rows of the table.
func drawLike(t *rapid.T, table drawnTable, most int) []drawnRow {
	rows := drawRows(t, "rows", len(table), most)
	for _, r := range rows {
		if !rapid.Bool().Draw(t, "like") {
			continue
		}
		for k := range table[1:] {
			for v, owner := range table[1+k] {
				if owner == r[0] {
					r[1+k] = v
				}
			}
		}
	}
	return rows
}

// TestUnmetRows has INSERT IGNORE take rows in chunks: those are inserted that a table which takes one row after the other takes.
func TestUnmetRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.IntRange(1, 3).Draw(t, "keys")
		table := drawTable(t, keys)
		seen := &keysSeen{}
		taken := make([]map[int]bool, keys)
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

// TestRowsApart compares the rows that meet no others, those that meet one by all of their keys, and what was seen, with a look at all
// pairs.
func TestRowsApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.IntRange(1, 3).Draw(t, "keys")
		table := drawTable(t, keys)
		rows, before := drawLike(t, table, 12), drawRows(t, "before", keys, 3)
		share := func(a, b drawnRow) bool {
			for k := range a {
				if a[k] >= 0 && a[k] == b[k] {
					return true
				}
			}
			return false
		}
		var alone, own, met []int32
		again := false
		for n, r := range rows {
			meets, shares, whole := false, false, true
			for k, v := range r {
				owner, there := table[k][v]
				meets = meets || there
				whole = whole && there && owner == r[0]
			}
			for m, other := range rows {
				shares = shares || m != n && share(r, other)
			}
			switch {
			case !meets && !shares:
				alone = append(alone, int32(n))
			case whole && !shares:
				own = append(own, int32(n))
			default:
				met = append(met, int32(n))
			}
			again = again || slices.ContainsFunc(before, func(o drawnRow) bool { return share(r, o) })
		}
		seen := &keysSeen{}
		old := asKeys(before, keys, table)
		for n := range before {
			seen.addRow(old, n)
		}
		k := asKeys(rows, keys, table)
		gotAlone, gotOwn, gotMet := k.apart()
		if !slices.Equal(gotAlone, alone) || !slices.Equal(gotOwn, own) || !slices.Equal(gotMet, met) {
			t.Fatalf("%v into %v: %v are alone, %v take a place, %v meet, not %v, %v, %v", rows, table, gotAlone, gotOwn, gotMet, alone, own, met)
		}
		if got := k.meetsSeen(seen); got != again {
			t.Fatalf("%v after %v: meets itself %v", rows, before, got)
		}
	})
}
