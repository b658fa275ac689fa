package rowset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zeebo/xxh3"
	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/vec"
)

var documentType = types.ColumnType{Kind: types.KindText, Length: 1 << 24}

// documents returns n texts of about so many bytes, some of them NULL or empty; repeats says how often a word comes again.
func documents(n, bytes int, nulls bool, words int, seed uint64) *vec.Vector {
	rng := rand.New(rand.NewPCG(seed, 1))
	v := NewVector(documentType, n)
	for range n {
		if nulls && rng.IntN(5) == 0 {
			AppendNull(v)
			continue
		}
		for size := rng.IntN(2*bytes + 1); size > 0; size -= 8 {
			v.Data = binary.BigEndian.AppendUint64(v.Data, 0x9e3779b97f4a7c15*uint64(rng.IntN(words)+1))
		}
		v.Off = append(v.Off, uint32(len(v.Data)))
		endValid(v)
	}
	return v
}

// groupOf stores a column as a row group, beside one that is not wide, and opens it.
func groupOf(t interface {
	Helper()
	Fatal(...any)
}, v *vec.Vector) ([]byte, *Group) {
	t.Helper()
	ids := NewVector(types.ColumnType{Kind: types.KindInt, NotNull: true}, v.N)
	var keys [][]byte
	for i := range v.N {
		ids.I64 = append(ids.I64, int64(i))
		endValid(ids)
		keys = append(keys, binary.BigEndian.AppendUint32(nil, uint32(i)))
	}
	val := EncodeGroup(testID, Columns{IDs: []types.ColumnID{1, 2}, Vecs: []*vec.Vector{ids, v}}, keys)
	g, err := OpenGroup(testID, val)
	if err != nil {
		t.Fatal(err)
	}
	return val, g
}

// TestWideColumnsRoundTrip draws columns of long texts and reads them in every way there is, with and without a cache.
func TestWideColumnsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{1, 2, 9, 70, 600, vec.MaxRows, vec.MaxRows + 1, 2*vec.MaxRows + 77}).Draw(t, "rows")
		size := rapid.SampledFrom([]int{0, 100, 300, 1000, 9000, 70_000, 400_000}).Draw(t, "bytes")
		size = min(size, 4<<20/n)
		words := rapid.SampledFrom([]int{1, 50, 1 << 30}).Draw(t, "words")
		v := documents(n, size, rapid.Bool().Draw(t, "nulls"), words, rapid.Uint64().Draw(t, "seed"))
		_, g := groupOf(t, v)
		if rapid.Bool().Draw(t, "cache") {
			g.CacheBlocks(NewBlockCache(1 << 20))
		}
		if err := g.VerifyAll(); err != nil {
			t.Fatal(err)
		}
		if wide := g.cut(1) > 0; wide && g.h.format != wideFormat || !wide && g.h.format != groupFormat {
			t.Fatalf("cut %d times in format %d", g.cut(1), g.h.format)
		}
		check := func(how string, want, got *vec.Vector, err error) {
			if err == nil {
				err = sameRows(want, got)
			}
			if err != nil {
				t.Fatalf("%s: %v", how, err)
			}
		}
		for i := range g.Vectors() {
			got, err := g.Decode(1, i)
			check("decoded", Slice(v, i*vec.MaxRows, i*vec.MaxRows+g.VectorRows(i)), got, err)
			from := rapid.IntRange(0, g.VectorRows(i)).Draw(t, "from")
			to := rapid.IntRange(from, g.VectorRows(i)).Draw(t, "to")
			some := NewVector(documentType, 0)
			err = g.DecodeRange(some, 1, i, from, to)
			check("a range", Slice(v, i*vec.MaxRows+from, i*vec.MaxRows+to), some, err)
		}
		rows := rapid.SliceOfN(rapid.IntRange(0, n-1), 1, 12).Draw(t, "picked")
		for _, row := range rows {
			one := NewRow([]types.ColumnType{documentType})[0]
			err := g.AppendRow(one, 1, row)
			check(fmt.Sprintf("row %d", row), Slice(v, row, row+1), one, err)
		}
		slices.Sort(rows)
		rows = slices.Compact(rows)
		want, got := NewVector(documentType, len(rows)), NewVector(documentType, len(rows))
		for _, row := range rows {
			AppendRow(want, v, row)
		}
		err := g.AppendRows(got, 1, rows)
		check("picked rows", want, got, err)
	})
}

// TestWideRowsReadTheirBlock: damage of a block is damage of its rows alone to who reads rows, and is found by who checks all.
func TestWideRowsReadTheirBlock(t *testing.T) {
	v := documents(3000, 1000, false, 1<<30, 7)
	val, g := groupOf(t, v)
	per := g.cut(1).rows()
	if per >= blockRows || per < 8 || v.Data == nil {
		t.Fatalf("blocks of %d rows", per)
	}
	const damaged = 1000
	e, err := g.vector(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	at := e.before(damaged / per)
	e.blocks[at+5] ^= 4
	for _, row := range []int{0, damaged - per, damaged + per, 2999} {
		one := NewRow([]types.ColumnType{documentType})[0]
		if err := g.AppendRow(one, 1, row); err != nil || string(one.Bytes(0)) != string(v.Bytes(row)) {
			t.Errorf("row %d, which is in another block: %v", row, err)
		}
	}
	if err := g.AppendRow(NewRow([]types.ColumnType{documentType})[0], 1, damaged); !errors.Is(err, ErrCorrupt) {
		t.Errorf("row %d: %v", damaged, err)
	}
	some := NewVector(documentType, 0)
	if err := g.DecodeRange(some, 1, 0, damaged-per, damaged+1); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a range with row %d: %v", damaged, err)
	}
	if err := g.AppendRows(NewVector(documentType, 0), 1, []int{3, 5, damaged, 2999}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("picked rows with row %d: %v", damaged, err)
	}
	if _, err := g.Decode(1, 0); !errors.Is(err, ErrCorrupt) {
		t.Errorf("all rows: %v", err)
	}
	if err := g.VerifyAll(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("verified: %v", err)
	}
	if err := Restamp(GroupID{UID: 9}, slices.Clone(val)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("cloned: %v", err)
	}
}

// TestWideBytesAreChecked: whichever byte of a row group with wide columns is flipped, checking it finds that out.
func TestWideBytesAreChecked(t *testing.T) {
	val, _ := groupOf(t, documents(300, 1000, true, 50, 3))
	for at := 0; at < len(val); at += 1 + at%41 {
		val[at] ^= 0x10
		g, err := OpenGroup(testID, val)
		if err == nil {
			err = g.VerifyAll()
		}
		if err == nil {
			t.Fatalf("byte %d of %d is not checked", at, len(val))
		}
		val[at] ^= 0x10
	}
}

// sealWide gives the blocks of a damaged vector of a wide column the hashes that they have, and returns how much of it is its head.
func sealWide(src []byte) int {
	if len(src) < wideTable {
		return len(src)
	}
	head := min(int(binary.LittleEndian.Uint32(src)), len(src))
	rest := src[head:]
	for e := wideTable; e+wideEntry <= head && e < wideTable+int(binary.LittleEndian.Uint32(src[4:]))*wideEntry; e += wideEntry {
		size := min(int(binary.LittleEndian.Uint32(src[e:])), len(rest))
		binary.LittleEndian.PutUint64(src[e+4:], xxh3.Hash(rest[:size]))
		rest = rest[size:]
	}
	return head
}
