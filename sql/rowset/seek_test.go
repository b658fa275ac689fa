package rowset

import (
	"bytes"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/vec"
)

// TestSeek: sought or looked up among decoded keys, a key has the same rows, and its columns the same values.
func TestSeek(t *testing.T) {
	kinds := []types.ColumnType{{Kind: types.KindBigInt, NotNull: true}, {Kind: types.KindBigInt, Unsigned: true}, {Kind: types.KindInt},
		{Kind: types.KindVarChar, Length: 20}}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{1, 9, 700, vec.MaxRows + 300}).Draw(t, "n")
		b := &vec.Batch{N: n}
		for range rapid.IntRange(1, 3).Draw(t, "columns") {
			v := NewVector(rapid.SampledFrom(kinds).Draw(t, "type"), n)
			spread := rapid.SampledFrom([]int64{1, 3, 300, 1 << 40}).Draw(t, "spread")
			step := rapid.SampledFrom([]int64{0, 1, 1 << 54}).Draw(t, "step") // beyond 2^63 in the end
			seed := rapid.Uint64().Draw(t, "seed")
			for i := range n {
				seed = seed*6364136223846793005 + 1442695040888963407
				switch x := int64(seed>>16)%spread + int64(i/7)*step; {
				case seed>>40%40 == 0 && !v.Type.NotNull && step == 1:
					AppendNull(v)
				case v.Off != nil:
					if v.Data = append(v.Data, byte('a'+x&15)); spread > 300 { // as a rule too many different ones for a dictionary
						v.Data = strconv.AppendInt(v.Data, x, 10)
					}
					v.Off = append(v.Off, uint32(len(v.Data)))
					endValid(v)
				default:
					v.I64 = append(v.I64, x)
					endValid(v)
				}
			}
			b.Cols = append(b.Cols, v)
		}
		seekAll(t, b)
	})
}

func seekAll(t *rapid.T, b *vec.Batch) {
	cols := []int{0, 1, 2}[:len(b.Cols)]
	keys := vec.EncodeKeys(b, cols)
	order := make([]int32, b.N)
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(x, y int32) int { return bytes.Compare(keys[x], keys[y]) })
	sorted, columns := make([][]byte, b.N), Columns{}
	for i, at := range order {
		sorted[i] = keys[at]
	}
	for c, v := range b.Cols {
		columns.IDs, columns.Vecs = append(columns.IDs, types.ColumnID(c+1)), append(columns.Vecs, v.Gather(order))
	}
	g, err := OpenGroup(testID, EncodeGroup(testID, columns, sorted))
	if err != nil {
		t.Fatal(err)
	}
	if rapid.Bool().Draw(t, "cached") {
		g.CacheBlocks(NewBlockCache(1 << 20))
	}
	for range 3 { // what is asked for again is kept
		seekSome(t, g, columns.Vecs, sorted)
	}
}

// seekSome looks some keys up, that are there or not.
func seekSome(t *rapid.T, g *Group, cols []*vec.Vector, sorted [][]byte) {
	seeker, err := g.NewFinder([]int{0, 1, 2}[:len(cols)])
	if err != nil {
		t.Fatal(err)
	}
	defer seeker.Close()
	look := seeker.Seek
	if rapid.Bool().Draw(t, "many") {
		look = seeker.Positions
	}
	for i := 0; i < len(sorted); i += 1 + len(sorted)/12 {
		present := sorted[i]
		absent := slices.Clone(present)
		absent[len(absent)-1-i%min(8, len(absent))] ^= byte(1 + i%255)
		for _, key := range [][]byte{present, absent, present[:len(present)-1], append(slices.Clone(present), 1)} {
			var want []int
			for row, k := range sorted {
				if bytes.Equal(k, key) {
					want = append(want, row)
				}
			}
			got, err := look(nil, key)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("key %x: rows %v, %v, want %v", key, got, err, want)
			}
			for _, row := range got {
				for at, v := range cols {
					one := NewVector(v.Type, 1)
					if !seeker.Key(one, at, row) {
						continue // in another vector than the one it has decoded last
					}
					if err := sameRows(Constant(v, row, 1), one); err != nil {
						t.Fatalf("key %x: column %d: %v", key, at, err)
					}
				}
			}
		}
	}
}
