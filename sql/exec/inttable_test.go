package exec

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"stele/sql/vec"
)

// genInts draws runs of integers, as columns have them: up or down in steps, close together in any order, spread out, and the ends of the range.
func genInts(rt *rapid.T) []int64 {
	n := rapid.IntRange(0, 3000).Draw(rt, "n")
	from := rapid.SampledFrom([]int64{0, -40, 1 << 40, math.MaxInt64 - 5, math.MinInt64 + 5}).Draw(rt, "from")
	step := rapid.SampledFrom([]int64{0, 1, -1, 4, -7, 1 << 20, 1 << 32}).Draw(rt, "step")
	shuffled := rapid.Bool().Draw(rt, "shuffled")
	out := make([]int64, n)
	for i := range out {
		at := int64(i)
		if shuffled {
			at = at * 7919 % 3001
		}
		out[i] = from + at*step // beyond the end it begins anew
	}
	return out
}

// TestIntTableMatchesModel numbers runs of very different integers, so that the slots change their kind while they are in use.
func TestIntTableMatchesModel(t *testing.T) {
	type key struct {
		x    int64
		null bool
	}
	rapid.Check(t, func(rt *rapid.T) {
		table, model := newIntTable(), map[key]int32{}
		for range rapid.IntRange(1, 6).Draw(rt, "batches") {
			ints := genInts(rt)
			v := vec.New(tInt, len(ints))
			copy(v.I64, ints)
			if every := rapid.IntRange(0, 5).Draw(rt, "nulls"); every > 0 {
				for i := 0; i < len(ints); i += every {
					v.SetNull(i)
				}
			}
			rows := denseRows(len(ints))
			if rapid.Bool().Draw(rt, "some") && len(rows) > 0 {
				rows = rows[len(rows)/3:]
			}
			keyOf := func(r int32) key {
				if v.IsNull(int(r)) {
					return key{null: true}
				}
				return key{x: ints[r]}
			}
			ids := make([]int32, len(rows))
			sought := rows
			if rapid.Bool().Draw(rt, "not sought") { // keys that rise and are not sought stay a list
				sought = nil
			}
			table.find(v, sought, ids)
			for i, r := range sought {
				want, known := model[keyOf(r)]
				if !known {
					want = -1
				}
				if ids[i] != want {
					rt.Fatalf("key %v: found %d before it came, want %d", keyOf(r), ids[i], want)
				}
			}
			fresh := table.assign(v, rows, ids, nil)
			for i, r := range rows {
				want, known := model[keyOf(r)]
				if !known {
					want = int32(len(model))
					model[keyOf(r)] = want
					if len(fresh) == 0 || fresh[0] != r {
						rt.Fatalf("row %d is new, not %v", r, fresh)
					}
					fresh = fresh[1:]
				}
				if ids[i] != want {
					rt.Fatalf("key %v: assigned %d, want %d", keyOf(r), ids[i], want)
				}
			}
			table.find(v, sought, ids)
			for i, r := range sought {
				if ids[i] != model[keyOf(r)] {
					rt.Fatalf("key %v: found %d, want %d", keyOf(r), ids[i], model[keyOf(r)])
				}
			}
			if len(fresh) != 0 || table.len() != len(model) {
				rt.Fatalf("%d keys, want %d; %d too many are new", table.len(), len(model), len(fresh))
			}
		}
	})
}

// TestIntTableStaysSmall: keys that come in their order, either way, or in any, take a few slots each, and few tables before those.
func TestIntTableStaysSmall(t *testing.T) {
	const n = 200_000
	for name, at := range map[string]func(i int) int64{
		"up":      func(i int) int64 { return int64(i) * 4 },
		"down":    func(i int) int64 { return int64(-i) },
		"any":     func(i int) int64 { return int64(i) * 7919 % 200_003 },
		"apart":   func(i int) int64 { return int64(i) << 30 },
		"outlier": func(i int) int64 { return int64(i) - int64(i/100_000)<<50 },
	} {
		table, grown, slots := newIntTable(), 0, 0
		for done := 0; done < n; done += vec.MaxRows {
			v := vec.New(tInt, min(vec.MaxRows, n-done))
			for i := range v.I64 {
				v.I64[i] = at(done + i)
			}
			table.assign(v, denseRows(v.N), make([]int32, v.N), nil)
			if len(table.slots) != slots {
				grown, slots = grown+1, len(table.slots)
			}
		}
		if rises := name == "up" || name == "apart"; rises != (slots == 0) {
			t.Errorf("%s: %d slots before a key is sought", name, slots)
		}
		held := table.bytes()
		table.find(vec.New(tInt, 1), denseRows(1), make([]int32, 1))
		if slots = len(table.slots); table.bytes() > held+held/2 {
			t.Errorf("%s: %d bytes before a key is sought, %d then", name, held, table.bytes())
		}
		if table.len() != n || slots > 10*n || cap(table.keys) > 4*n {
			t.Errorf("%s: %d keys have %d slots and room for %d", name, table.len(), slots, cap(table.keys))
		}
		if grown > 40 {
			t.Errorf("%s: %d tables", name, grown)
		}
	}
}
