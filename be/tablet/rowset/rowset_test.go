package rowset

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/vec"
)

var columnTypes = []types.ColumnType{
	{Kind: types.KindBigInt},
	{Kind: types.KindBigInt, Unsigned: true},
	{Kind: types.KindDouble},
	{Kind: types.KindDecimal, Length: 38},
	{Kind: types.KindVarChar, Length: 100},
}

// drawVector draws a vector of one of the shapes that the encodings are for.
func drawVector(t *rapid.T, ct types.ColumnType, n int) *vec.Vector {
	v := NewVector(ct, n)
	shape := rapid.SampledFrom([]string{"constant", "small", "sorted", "wild"}).Draw(t, "shape")
	nulls := rapid.IntRange(0, 4).Draw(t, "nulls")
	x := rapid.Int64().Draw(t, "base")
	seed := rapid.Uint64().Draw(t, "seed")
	for i := range n {
		seed = seed*6364136223846793005 + 1442695040888963407
		if nulls == 4 || nulls > 0 && seed>>60 == 0 {
			AppendNull(v)
			continue
		}
		switch shape {
		case "small":
			x = int64(seed >> 59)
		case "sorted":
			x += int64(seed >> 62)
		case "wild":
			x = int64(seed)
		}
		one := &vec.Vector{Type: ct, N: 1, I64: []int64{x}, F64: []float64{float64(x)}, Dec: []vec.Int128{{Hi: x >> 63, Lo: uint64(x)}}}
		if shape == "wild" {
			one.Dec[0].Hi, one.F64[0] = int64(seed>>3), math.Float64frombits(seed&^(1<<62))
		}
		text := fmt.Sprint("common prefix ", x)
		one.Off, one.Data = []uint32{0, uint32(len(text))}, []byte(text)
		AppendRow(v, one, 0)
		_ = i
	}
	return v
}

func sameRows(a, b *vec.Vector) error {
	if a.N != b.N {
		return fmt.Errorf("%d rows, not %d", b.N, a.N)
	}
	for i := range a.N {
		if x, y := vec.AppendKey(nil, a, i), vec.AppendKey(nil, b, i); !bytes.Equal(x, y) {
			return fmt.Errorf("row %d is %x, not %x", i, y, x)
		}
	}
	return nil
}

func TestVectorRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ct := rapid.SampledFrom(columnTypes).Draw(t, "type")
		n := rapid.SampledFrom([]int{0, 1, 2, 63, 64, 65, 700, vec.MaxRows}).Draw(t, "n")
		v := drawVector(t, ct, n)
		from := rapid.IntRange(0, n).Draw(t, "from")
		enc := AppendVector(nil, v, from, n)
		got, err := DecodeVector(ct, n-from, enc)
		if err != nil {
			t.Fatal(err)
		}
		want := NewVector(ct, n)
		AppendRange(want, v, from, n)
		if err := sameRows(want, got); err != nil {
			t.Fatal(err)
		}
		if err := sameRows(want, Slice(v, from, n)); err != nil {
			t.Fatalf("slice: %v", err)
		}
		for _, row := range []int{0, (n - from) / 2, n - from - 1} {
			one := NewVector(ct, 1)
			if row < 0 || row >= n-from || !pick(one, n-from, row, enc) {
				continue
			}
			if err := sameRows(Constant(want, row, 1), one); err != nil {
				t.Fatalf("picked row %d: %v", row, err)
			}
		}
	})
}

func TestEncodingsAreCompact(t *testing.T) {
	ints := NewVector(columnTypes[0], vec.MaxRows)
	words := NewVector(columnTypes[4], vec.MaxRows)
	for i := range vec.MaxRows {
		ints.I64 = append(ints.I64, int64(1_000_000+i*3))
		words.Data = append(words.Data, []string{"red", "green", "blue"}[i%3]...)
		words.Off = append(words.Off, uint32(len(words.Data)))
	}
	ints.N, words.N = vec.MaxRows, vec.MaxRows
	for _, c := range []struct {
		name string
		v    *vec.Vector
		most int
	}{{"arithmetic ints", ints, 40}, {"dictionary", words, vec.MaxRows/4 + 60}} {
		if got := len(AppendVector(nil, c.v, 0, c.v.N)); got > c.most {
			t.Errorf("%s take %d bytes, more than %d", c.name, got, c.most)
		}
	}
}

func FuzzDecodeVector(f *testing.F) {
	for i, ct := range columnTypes {
		v := NewVector(ct, 4)
		AppendZero(v)
		AppendNull(v)
		AppendZero(v)
		f.Add(uint8(i), uint16(3), AppendVector(nil, v, 0, 3))
	}
	f.Add(uint8(4), uint16(8), append([]byte{encDict, validAll, 2, 0, 1, 0, 0, 0, 1, 0, 0, 0, 'a', 'b', 0xAA}, make([]byte, 8)...))
	f.Fuzz(func(t *testing.T, which uint8, n uint16, src []byte) {
		ct := columnTypes[int(which)%len(columnTypes)]
		v, err := DecodeVector(ct, int(n), src)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("error without a cause: %v", err)
			}
			return
		}
		again, err := DecodeVector(ct, v.N, AppendVector(nil, v, 0, v.N))
		if err != nil {
			t.Fatal(err)
		}
		if err := sameRows(v, again); err != nil {
			t.Fatal(err)
		}
	})
}

var testID = GroupID{UID: 7, Rowset: 8, Group: 9}

func testGroup(n int) ([]byte, Columns, [][]byte) {
	key := NewVector(columnTypes[0], n)
	text := NewVector(columnTypes[4], n)
	for i := range n {
		key.I64 = append(key.I64, int64(i/2*10)) // every key twice
		text.Data = append(text.Data, fmt.Sprint("text ", i)...)
		text.Off = append(text.Off, uint32(len(text.Data)))
	}
	key.N, text.N = n, n
	cols := Columns{IDs: []types.ColumnID{3, 4}, Vecs: []*vec.Vector{key, text}}
	keys := vec.EncodeKeys(&vec.Batch{Cols: cols.Vecs, N: n}, []int{0})
	return EncodeGroup(testID, cols, keys), cols, keys
}

func TestGroup(t *testing.T) {
	const n = 5000
	val, cols, keys := testGroup(n)
	g, err := OpenGroup(testID, val)
	if err != nil {
		t.Fatal(err)
	}
	if g.Rows() != n || g.Vectors() != 3 || g.VectorRows(2) != n-2*vec.MaxRows || g.Column(5) != -1 {
		t.Fatalf("%d rows, %d vectors", g.Rows(), g.Vectors())
	}
	for c := range cols.Vecs {
		picked := NewVector(cols.Vecs[c].Type, n)
		reader := g.NewRowReader(g.Column(cols.IDs[c]))
		for row := range n {
			if err := reader.Append(picked, row); err != nil {
				t.Fatal(err)
			}
		}
		if err := sameRows(cols.Vecs[c], picked); err != nil {
			t.Fatalf("row by row: %v", err)
		}
		for i := range g.Vectors() {
			v, err := g.Decode(g.Column(cols.IDs[c]), i)
			if err != nil {
				t.Fatal(err)
			}
			if err := sameRows(Slice(cols.Vecs[c], i*vec.MaxRows, i*vec.MaxRows+v.N), v); err != nil {
				t.Fatal(err)
			}
		}
	}
	f, err := g.NewFinder([]int{0})
	if err != nil {
		t.Fatal(err)
	}
	falsePositives := 0
	for i := -1; i < n/2+1; i++ {
		present := vec.AppendKey(nil, &vec.Vector{Type: columnTypes[0], N: 1, I64: []int64{int64(i * 10)}}, 0)
		absent := vec.AppendKey(nil, &vec.Vector{Type: columnTypes[0], N: 1, I64: []int64{int64(i*10 + 1)}}, 0)
		at := sort.Search(n, func(j int) bool { return bytes.Compare(keys[j], present) >= 0 })
		var want []int
		for ; at < n && bytes.Equal(keys[at], present); at++ {
			want = append(want, at)
		}
		if got, err := f.Positions(nil, present); err != nil || !slices.Equal(got, want) {
			t.Fatalf("key %d at %v, %v, want %v", i*10, got, err, want)
		}
		if got, err := f.Positions(nil, absent); err != nil || got != nil {
			t.Fatalf("absent key %d at %v, %v", i*10+1, got, err)
		}
		if may, err := g.MayContain(KeyHash(present)); err != nil || len(want) > 0 && !may {
			t.Fatalf("bloom filter denies key %d: %v", i*10, err)
		}
		if may, _ := g.MayContain(KeyHash(absent)); may {
			falsePositives++
		}
	}
	if falsePositives > n/2/20 {
		t.Errorf("bloom filter: %d false positives in %d", falsePositives, n/2)
	}
}

func TestGroupIdentity(t *testing.T) {
	val, _, _ := testGroup(10)
	other := GroupID{UID: 70, Rowset: 8, Group: 9}
	if _, err := OpenGroup(other, val); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("another row group's value: %v", err)
	}
	stamped, err := Restamp(other, val)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenGroup(other, stamped); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenGroup(testID, val); err != nil {
		t.Fatalf("restamping changed the original: %v", err)
	}
}

// TestGroupDamage flips every byte of a row group: what is read must be an error or the right rows.
func TestGroupDamage(t *testing.T) {
	val, cols, _ := testGroup(40)
	for at := range val {
		bad := slices.Clone(val)
		bad[at] ^= 0x10
		g, err := OpenGroup(testID, bad)
		if err != nil {
			continue
		}
		if g.VerifyAll() == nil {
			t.Fatalf("byte %d of %d flipped and not noticed", at, len(val))
		}
		for c := range cols.Vecs {
			v, err := g.Decode(c, 0)
			if err == nil && sameRows(cols.Vecs[c], v) != nil {
				t.Fatalf("byte %d flipped: wrong rows", at)
			}
		}
	}
	for n := range val {
		if _, err := OpenGroup(testID, val[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

func TestZones(t *testing.T) {
	v := NewVector(columnTypes[4], 3)
	for _, s := range []string{"m", "mm", "z"} {
		v.Data = append(v.Data, s...)
		v.Off = append(v.Off, uint32(len(v.Data)))
		v.N++
	}
	AppendNull(v)
	z := zoneOf(v, 0, 4)
	p := func(s string) uint64 {
		return Prefix(&vec.Vector{Type: columnTypes[4], N: 1, Off: []uint32{0, uint32(len(s))}, Data: []byte(s)}, 0)
	}
	for _, c := range []struct {
		op   CompareOp
		x    string
		want bool
	}{
		{OpEQ, "m", true}, {OpEQ, "n", true}, {OpEQ, "a", false}, {OpEQ, "zz", false},
		{OpLT, "a", false}, {OpLT, "n", true}, {OpGE, "zz", false}, {OpGT, "y", true}, {OpLE, "m", true},
	} {
		if got := z.MayMatch(c.op, p(c.x)); got != c.want {
			t.Errorf("op %d %q: %v", c.op, c.x, got)
		}
	}
	if zoneOf(v, 3, 4).MayMatch(OpGE, 0) {
		t.Error("NULLs match")
	}
}

func FuzzOpenGroup(f *testing.F) {
	val, _, _ := testGroup(3)
	f.Add(val)
	f.Fuzz(func(t *testing.T, val []byte) {
		if len(val) >= dirStart {
			val = slices.Clone(val)
			h := header{}
			if h.decode(val) {
				if dirLen := int(h.cols) * (columnEntry + vectorsOf(int(h.rows))*vectorEntry); dirStart+dirLen <= len(val) {
					sealGroup(val, dirLen) // past the checksum
				}
			}
		}
		g := &Group{val: val}
		if g.open() != nil {
			return
		}
		for i := range g.Vectors() {
			for c := range int(g.h.cols) {
				_, _ = g.Decode(c, i)
			}
		}
		_, _ = g.MayContain(1)
		_ = g.VerifyAll()
	})
}
