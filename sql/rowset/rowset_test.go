package rowset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/zeebo/xxh3"
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
	shape := rapid.SampledFrom([]string{"constant", "small", "sorted", "wild", "runs", "digits", "prose", "money"}).Draw(t, "shape")
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
		case "runs":
			if seed>>61 == 0 {
				x = int64(seed >> 50 & 1023)
			}
		case "money":
			x = int64(seed>>40) % 100_000
		case "wild", "digits", "prose":
			x = int64(seed)
		}
		one := &vec.Vector{Type: ct, N: 1, I64: []int64{x}, F64: []float64{float64(x)}, Dec: []vec.Int128{{Hi: x >> 63, Lo: uint64(x)}}}
		if shape == "wild" {
			one.Dec[0].Hi, one.F64[0] = int64(seed>>3), math.Float64frombits(seed&^(1<<62))
		}
		if shape == "money" {
			one.F64[0] = float64(x) / 100
		}
		text := textOf(shape, x)
		one.Off, one.Data = []uint32{0, uint32(len(text))}, []byte(text)
		AppendRow(v, one, 0)
		_ = i
	}
	return v
}

// textOf makes text that compresses well, or only by its few letters.
func textOf(shape string, x int64) string {
	switch shape {
	case "digits":
		return fmt.Sprintf("%020d", uint64(x))
	case "twice":
		once := string(binary.LittleEndian.AppendUint64(nil, uint64(x)))
		return once + once
	case "prose":
		words := []string{"furiously", "final", "requests", "sleep", "carefully", "above", "the", "ironic", "deposits"}
		text := ""
		for i := range 5 {
			text += words[uint64(x)>>(i*8)%uint64(len(words))] + " "
		}
		return text
	}
	return fmt.Sprint("common prefix ", x)
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

// decodeNew reads n rows of type t from src into a vector of its own.
func decodeNew(t types.ColumnType, n int, src []byte) (*vec.Vector, error) {
	v := &vec.Vector{}
	if err := DecodeVectorTo(v, t, n, src); err != nil {
		return nil, err
	}
	return v, nil
}

func TestVectorRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ct := rapid.SampledFrom(columnTypes).Draw(t, "type")
		n := rapid.SampledFrom([]int{0, 1, 2, 63, 64, 65, 700, vec.MaxRows}).Draw(t, "n")
		v := drawVector(t, ct, n)
		from := rapid.IntRange(0, n).Draw(t, "from")
		enc := AppendVector(nil, v, from, n)
		got, err := decodeNew(ct, n-from, enc)
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
			if row < 0 || row >= n-from || !pick(one, n-from, row, enc, nil, new(scratch)) {
				continue
			}
			if err := sameRows(Constant(want, row, 1), one); err != nil {
				t.Fatalf("picked row %d: %v", row, err)
			}
		}
	})
}

// oneOf makes a vector for each encoding, of 600 rows: more than a block.
type oneOf struct {
	enc byte
	v   *vec.Vector
}

func everyEncoding() []oneOf {
	const n = 600
	ints := func(f func(i int) int64) *vec.Vector {
		v := NewVector(columnTypes[0], n)
		for i := range n {
			v.I64 = append(v.I64, f(i))
		}
		v.N = n
		return v
	}
	texts := func(f func(i int) string) *vec.Vector {
		v := NewVector(columnTypes[4], n)
		for i := range n {
			v.Data = append(v.Data, f(i)...)
			v.Off = append(v.Off, uint32(len(v.Data)))
		}
		v.N = n
		return v
	}
	mixed := func(i int) int64 { return int64(uint64(i+1) * 0x9E3779B97F4A7C15) }
	floats, decs, nulls := NewVector(columnTypes[2], n), NewVector(columnTypes[3], n), NewVector(columnTypes[0], n)
	for i := range n {
		floats.F64 = append(floats.F64, float64(i*37%1000)/100)
		decs.Dec = append(decs.Dec, vec.Int128{Lo: uint64(i)})
		AppendNull(nulls)
	}
	floats.N, decs.N = n, n
	return []oneOf{
		{encConst, ints(func(int) int64 { return 7 })}, {encFOR, ints(func(i int) int64 { return mixed(i) >> 50 })},
		{encDelta, ints(func(i int) int64 { return int64(i)*1000 + mixed(i)>>62 })}, {encRaw, ints(mixed)},
		{encRuns, ints(func(i int) int64 { return mixed(i/10) >> 40 })}, {encScaled, floats}, {encNarrow, decs}, {encAllNull, nulls},
		{encDict, texts(func(i int) string { return []string{"red", "green", "blue"}[uint64(mixed(i))>>3%3] })},
		{encPlain, texts(func(i int) string { return string(binary.LittleEndian.AppendUint64(nil, uint64(mixed(i)))) })},
		{encBlocks, texts(func(i int) string { return textOf("prose", mixed(i)) })},
	}
}

func TestEveryEncodingIsChosen(t *testing.T) {
	for _, e := range everyEncoding() {
		enc := AppendVector(nil, e.v, 0, e.v.N)
		if enc[0] != e.enc {
			t.Errorf("encoding %d was chosen, not %d", enc[0], e.enc)
		}
		got, err := decodeNew(e.v.Type, e.v.N, enc)
		if err != nil {
			t.Fatalf("encoding %d: %v", e.enc, err)
		}
		if err := sameRows(e.v, got); err != nil {
			t.Errorf("encoding %d: %v", e.enc, err)
		}
		for row := range e.v.N {
			one := NewVector(e.v.Type, 1)
			if !pick(one, e.v.N, row, enc, nil, new(scratch)) {
				continue
			}
			if err := sameRows(Constant(e.v, row, 1), one); err != nil {
				t.Fatalf("encoding %d: picked row %d: %v", e.enc, row, err)
			}
		}
		for cut := range enc { // every cut must be found out: nothing is padded
			if v, err := decodeNew(e.v.Type, e.v.N, enc[:cut]); err == nil && sameRows(e.v, v) != nil {
				t.Fatalf("encoding %d cut to %d bytes gave other rows", e.enc, cut)
			}
		}
	}
}

// TestChunksRoundTrip is about what a row group chooses for whole chunks: shared dictionaries, zstd, LZ4, plain bytes.
func TestChunksRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{1, 700, vec.MaxRows, vec.MaxRows + 1, 3*vec.MaxRows - 5}).Draw(t, "n")
		cols := Columns{}
		for i := range rapid.IntRange(1, 4).Draw(t, "columns") {
			cols.IDs = append(cols.IDs, types.ColumnID(i+1))
			cols.Vecs = append(cols.Vecs, drawVector(t, rapid.SampledFrom(columnTypes).Draw(t, "type"), n))
		}
		keys := make([][]byte, n)
		for i := range keys {
			keys[i] = binary.BigEndian.AppendUint32(nil, uint32(i))
		}
		g, err := OpenGroup(testID, EncodeGroup(testID, cols, keys))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(g.VerifyAll(), g.DecodeAll()); err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "cached") { // rows are read several times below
			g.CacheBlocks(NewBlockCache(1 << 20))
		}
		for c, want := range cols.Vecs {
			reader := g.NewRowReader(c)
			for i := range g.Vectors() {
				v, err := g.Decode(c, i)
				if err != nil {
					t.Fatal(err)
				}
				if err := sameRows(Slice(want, i*vec.MaxRows, i*vec.MaxRows+v.N), v); err != nil {
					t.Fatalf("column %d vector %d: %v", c, i, err)
				}
			}
			for row := 0; row < n; row += 97 {
				one := NewVector(want.Type, 1)
				if err := reader.Append(one, row); err != nil {
					t.Fatal(err)
				}
				if err := sameRows(Constant(want, row, 1), one); err != nil {
					t.Fatalf("column %d row %d: %v", c, row, err)
				}
			}
			picksMany(t, g, c, want)
			decodesSome(t, g, c, want)
		}
	})
}

// decodesSome decodes some rows of each vector of a column into a vector that held others.
func decodesSome(t *rapid.T, g *Group, c int, column *vec.Vector) {
	every := rapid.SampledFrom([]int{1, 3, 9, 400}).Draw(t, "every")
	got := NewVector(column.Type, 0)
	for i := range g.Vectors() {
		var rows []int32
		for row := rapid.IntRange(0, every).Draw(t, "first"); row < g.VectorRows(i); row += every {
			rows = append(rows, int32(row))
		}
		if err := g.DecodeRows(got, c, i, rows); err != nil {
			t.Fatal(err)
		}
		if got.N != g.VectorRows(i) {
			t.Fatalf("column %d vector %d: %d rows, not %d", c, i, got.N, g.VectorRows(i))
		}
		for _, row := range rows {
			if err := sameRows(Constant(column, i*vec.MaxRows+int(row), 1), Constant(got, int(row), 1)); err != nil {
				t.Fatalf("column %d vector %d row %d: %v", c, i, row, err)
			}
		}
	}
}

// picksMany reads some rows of a column at once: few or many, runs or single ones.
func picksMany(t *rapid.T, g *Group, c int, column *vec.Vector) {
	every := rapid.SampledFrom([]int{1, 2, 9, 400, 1500}).Draw(t, "every")
	seed := rapid.Uint64().Draw(t, "seed")
	var rows []int
	want := NewVector(column.Type, column.N)
	for row := range column.N {
		if seed = seed*6364136223846793005 + 1442695040888963407; int(seed>>33)%every == 0 {
			rows = append(rows, row)
			AppendRow(want, column, row)
		}
	}
	got := NewVector(column.Type, 0)
	if err := g.AppendRows(got, c, rows); err != nil {
		t.Fatal(err)
	}
	if err := sameRows(want, got); err != nil {
		t.Fatalf("column %d, rows %v: %v", c, rows, err)
	}
}

func TestChunkCodecs(t *testing.T) {
	const n = 3 * vec.MaxRows
	for _, c := range []struct {
		shape string
		enc   byte
		codec byte
		most  int // bytes a row
	}{{"digits", encBlocks, codecZstd, 10}, {"twice", encBlocks, codecLZ4, 15}, {"colours", encShared, 0, 1}} {
		v := NewVector(columnTypes[4], n)
		seed := uint64(1)
		for range n {
			seed = seed*6364136223846793005 + 1442695040888963407
			x := int64(seed ^ seed>>29)
			text := textOf(c.shape, x)
			if c.shape == "colours" {
				text = []string{"red", "green", "an even longer blue", ""}[uint64(x)%4]
			}
			v.Data = append(v.Data, text...)
			v.Off = append(v.Off, uint32(len(v.Data)))
		}
		v.N = n
		chosen := chooseChunk(v, n)
		enc := appendVector(nil, chosen, vec.MaxRows, 2*vec.MaxRows)
		if enc[0] != c.enc || c.enc == encBlocks && chosen.codec != c.codec || len(enc) > c.most*vec.MaxRows {
			t.Errorf("%s: encoding %d with codec %d, %d bytes", c.shape, enc[0], chosen.codec, len(enc))
		}
	}
}

func TestOtherFormatIsRefusedByName(t *testing.T) {
	val, _, _ := testGroup(10)
	binary.LittleEndian.PutUint16(val[4:], 1)
	if _, err := OpenGroup(testID, val); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "row group format 1, this release reads 2") {
		t.Fatal(err)
	}
}

func TestUnpackEveryWidth(t *testing.T) {
	for width := range uint(maxPackWidth + 1) {
		for _, n := range []int{0, 1, 7, 8, 9, 64, 1001} {
			want := make([]int64, n)
			for i := range want {
				want[i] = int64(uint64(i+1) * 0x9E3779B97F4A7C15 & (1<<width - 1))
			}
			src := appendPacked(nil, want, 0, width)
			if len(src) != packedLen(n, width) {
				t.Fatalf("width %d: %d values take %d bytes, not %d", width, n, len(src), packedLen(n, width))
			}
			got := make([]int64, n)
			unpackInts(got, src, 5, width)
			for i := range got {
				if got[i] != want[i]+5 || n > 0 && unpackOne(src, i, width) != want[i] {
					t.Fatalf("width %d: value %d of %d is %d, want %d", width, i, n, got[i]-5, want[i])
				}
			}
		}
	}
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
	for _, e := range everyEncoding() {
		f.Add(uint8(slices.Index(columnTypes, e.v.Type)), uint16(e.v.N), AppendVector(nil, e.v, 0, e.v.N))
	}
	f.Fuzz(func(t *testing.T, which uint8, n uint16, src []byte) {
		ct := columnTypes[int(which)%len(columnTypes)]
		v, err := decodeNew(ct, int(n), src)
		total, ok, sumErr := totalOf(src, int(n), ct)
		if ok && (err != nil || total != modelTotal(v)) || err == nil && sumErr != nil {
			t.Fatalf("adds up to %v, %v, but is decoded with %v", total, sumErr, err)
		}
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("error without a cause: %v", err)
			}
			return
		}
		again, err := decodeNew(ct, v.N, AppendVector(nil, v, 0, v.N))
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
	cols := Columns{IDs: []types.ColumnID{3, 4}, Vecs: []*vec.Vector{key, text}, Filtered: []types.ColumnID{4}}
	keys := vec.EncodeKeys(&vec.Batch{Cols: cols.Vecs, N: n}, []int{0})
	return EncodeGroup(testID, cols, keys), cols, keys
}

// findInOrders looks keys up in ascending order, with gaps, and in any other one.
func findInOrders(t *testing.T, g *Group, keys [][]byte) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		f, err := g.NewFinder([]int{0})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		order := rapid.SliceOfN(rapid.IntRange(0, len(keys)-1), 1, 200).Draw(t, "rows")
		if rapid.Bool().Draw(t, "ascending") {
			slices.Sort(order)
		}
		for _, row := range order {
			from := sort.Search(len(keys), func(i int) bool { return bytes.Compare(keys[i], keys[row]) >= 0 })
			var want []int
			for ; from < len(keys) && bytes.Equal(keys[from], keys[row]); from++ {
				want = append(want, from)
			}
			if got, err := f.Positions(nil, keys[row]); err != nil || !slices.Equal(got, want) {
				t.Fatalf("key of row %d at %v, %v, want %v", row, got, err, want)
			}
		}
	})
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
	findInOrders(t, g, keys)
	if falsePositives > n/2/20 {
		t.Errorf("bloom filter: %d false positives in %d", falsePositives, n/2)
	}
}

// TestFilters: what a vector holds is never denied, most of what it does not hold is, and NULLs and other columns are no matter.
func TestFilters(t *testing.T) {
	const n = 5000
	val, cols, _ := testGroup(n)
	g, err := OpenGroup(testID, val)
	if err != nil {
		t.Fatal(err)
	}
	if g.HasFilters(0) || !g.HasFilters(1) {
		t.Fatal("another column has the filters")
	}
	wrong := 0
	for row := range n {
		wanted := []bool{true, true, true}
		skipped, err := g.MayHold(1, []uint64{ValueHash(cols.Vecs[1], row)}, wanted)
		if err != nil || !wanted[row/vec.MaxRows] {
			t.Fatalf("row %d is denied: %v %v", row, wanted, err)
		}
		wrong += 2 - skipped
	}
	if wrong > n/20 {
		t.Errorf("%d vectors of %d are read for nothing", wrong, 2*n)
	}
}

func TestGroupIdentity(t *testing.T) {
	val, _, _ := testGroup(10)
	other := GroupID{UID: 70, Rowset: 8, Group: 9}
	if _, err := OpenGroup(other, val); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("another row group's value: %v", err)
	}
	before, err := OpenGroup(testID, slices.Clone(val))
	if err != nil {
		t.Fatal(err)
	}
	if err := Restamp(other, val); err != nil {
		t.Fatal(err)
	}
	after, err := OpenGroup(other, val)
	if err != nil {
		t.Fatal(err)
	}
	if after.Content() != before.Content() {
		t.Fatal("the identity is part of the content")
	}
	val[len(val)/2] ^= 1
	if err := Restamp(testID, val); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("restamped what is damaged: %v", err)
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
	if z.Min != p("m") || z.Max != p("z") || p("a") >= z.Min || p("zz") <= z.Max {
		t.Errorf("the zone of m, mm and z is %+v", z)
	}
	if none := zoneOf(v, 3, 4); none != emptyZone {
		t.Errorf("the zone of a NULL is %+v", none)
	}
}

// TestEndsOfValues compares what is loaded in words with the bytes.
func TestEndsOfValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xff}), 0, 20)
		a, b := value.Draw(t, "a"), value.Draw(t, "b")
		var padded [8]byte
		copy(padded[:], a)
		if got, want := bytesPrefix(a), binary.BigEndian.Uint64(padded[:]); got != want {
			t.Fatalf("prefix of %x is %x", a, got)
		}
		d := newDictBuilder(4)
		x, _ := d.code(a)
		if y, _ := d.code(b); (x == y) != bytes.Equal(a, b) {
			t.Fatalf("%x and %x have the codes %d and %d", a, b, x, y)
		}
	})
}

func FuzzOpenGroup(f *testing.F) {
	val, _, _ := testGroup(3)
	f.Add(val)
	words := NewVector(columnTypes[4], 40)
	keys := make([][]byte, 40)
	for i := range keys {
		keys[i] = []byte{byte(i)}
		words.Data = append(words.Data, []string{"one", "two"}[i%2]...)
		words.Off = append(words.Off, uint32(len(words.Data)))
	}
	words.N = len(keys)
	f.Add(EncodeGroup(testID, Columns{IDs: []types.ColumnID{1}, Vecs: []*vec.Vector{words}}, keys))
	wide, _ := groupOf(f, documents(70, 1500, true, 20, 1))
	f.Add(wide)
	f.Fuzz(func(t *testing.T, val []byte) {
		if len(val) >= dirStart {
			val = slices.Clone(val)
			h := header{}
			if h.decode(val) {
				if dirLen := int(h.cols) * (columnEntry + vectorsOf(int(h.rows))*vectorEntry); dirStart+dirLen <= len(val) {
					sealParts(val, &h)
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
				_ = g.AppendRow(NewVector(g.ColumnType(c), 1), c, i*vec.MaxRows)
			}
			for _, rows := range []int{1, 2, vec.MaxRows} { // whatever the bytes, a search ends within the rows
				if g.h.cols == 0 {
					break
				}
				src, err := g.vectorBytes(0, i)
				if err != nil || len(src) < 2 || rows > g.VectorRows(i) {
					continue
				}
				if lo, hi, ok := narrow(rows, src[0], src[2:], 0, rows, 7, false); ok && (lo < 0 || hi < lo || hi > rows) {
					t.Fatalf("rows %d to %d of %d", lo, hi, rows)
				}
			}
		}
		_, _ = g.MayContain(1)
		_ = g.VerifyAll()
	})
}

// sealParts gives the dictionaries and vectors of damaged bytes the right hashes, so that decoders get to see them.
func sealParts(val []byte, h *header) {
	seal := func(entry []byte, wide bool) {
		off, size := uint64(binary.LittleEndian.Uint32(entry)), uint64(binary.LittleEndian.Uint32(entry[4:]))
		if off+size > uint64(len(val)) {
			return
		}
		src := val[off : off+size]
		if wide {
			src = src[:sealWide(src)]
		}
		binary.LittleEndian.PutUint64(entry[8:], xxh3.Hash(src))
	}
	dir, nvec := val[dirStart:], vectorsOf(int(h.rows))
	for c := range int(h.cols) {
		seal(dir[c*columnEntry+16:], false)
		for i := range nvec {
			seal(dir[int(h.cols)*columnEntry+(c*nvec+i)*vectorEntry:], dir[c*columnEntry+cutAt] > 0)
		}
	}
}

// textGroup returns a row group of texts of 40 digits, n rows in one column, as it is stored and open, and the column.
func textGroup(t *testing.T, n int) (val []byte, g *Group, text *vec.Vector) {
	t.Helper()
	text = &vec.Vector{Type: types.ColumnType{Kind: types.KindVarChar, Length: 100}, N: n, Off: []uint32{0}}
	var keys [][]byte
	for i := range n {
		text.Data = fmt.Appendf(text.Data, "%040d", i*i)
		text.Off = append(text.Off, uint32(len(text.Data)))
		keys = append(keys, binary.BigEndian.AppendUint32(nil, uint32(i)))
	}
	val = EncodeGroup(testID, Columns{IDs: []types.ColumnID{1}, Vecs: []*vec.Vector{text}}, keys)
	g, err := OpenGroup(testID, val)
	if err != nil {
		t.Fatal(err)
	}
	return val, g, text
}

// TestBlockCacheLeavesSweeps: of reads that come again after more than the cache holds nothing is kept, of others the block.
func TestBlockCacheLeavesSweeps(t *testing.T) {
	const n = 3 * vec.MaxRows
	_, g, text := textGroup(t, n)
	cache := NewBlockCache(192 << 10)
	g.CacheBlocks(cache)
	read := func(row int) {
		dst := NewRow([]types.ColumnType{text.Type})[0]
		if err := g.AppendRow(dst, 0, row); err != nil || string(dst.Bytes(0)) != string(text.Bytes(row)) {
			t.Fatalf("row %d is %q, not %q: %v", row, dst.Bytes(0), text.Bytes(row), err)
		}
	}
	for range 4 {
		for row := 0; row < n; row += blockRows {
			read(row)
		}
	}
	if len(cache.young)+len(cache.old) != 0 {
		t.Fatalf("%d blocks are kept that none of the reads finds", len(cache.young)+len(cache.old))
	}
	for row := range 3 * blockRows {
		read(row % (3 * blockRows))
	}
	if len(cache.young) != 3 {
		t.Fatalf("%d of 3 blocks are kept", len(cache.young))
	}
}

// TestIntsOfStepsAreKept: a vector of integers of which a row is dear to read stays decoded when it is asked for again, others do not.
func TestIntsOfStepsAreKept(t *testing.T) {
	const n = 2 * vec.MaxRows
	for name, c := range map[string]struct {
		value func(i int64) int64
		kept  int
	}{
		"uneven steps": {func(i int64) int64 { return 10*i + i*i%7 }, 2},
		"runs":         {func(i int64) int64 { return i / 500 * (i / 500) * 1_000_003 % 999_983 }, 2},
		"even steps":   {func(i int64) int64 { return 10 * i }, 0},
		"any order":    {func(i int64) int64 { return i * 7919 % 1009 }, 0},
	} {
		v := NewVector(columnTypes[0], n)
		var keys [][]byte
		for i := range int64(n) {
			v.I64 = append(v.I64, c.value(i))
			keys = append(keys, binary.BigEndian.AppendUint32(nil, uint32(i)))
		}
		v.N = n
		g, err := OpenGroup(testID, EncodeGroup(testID, Columns{IDs: []types.ColumnID{1}, Vecs: []*vec.Vector{v}}, keys))
		if err != nil {
			t.Fatal(err)
		}
		cache := NewBlockCache(1 << 20)
		g.CacheBlocks(cache)
		for i := range 400 {
			row := i * 1237 % n
			dst := NewRow([]types.ColumnType{v.Type})[0]
			if err := g.AppendRow(dst, 0, row); err != nil || dst.N != 1 || dst.I64[0] != v.I64[row] {
				t.Fatalf("%s: row %d is %v, not %d: %v", name, row, dst.I64, v.I64[row], err)
			}
		}
		if len(cache.young) != c.kept {
			t.Errorf("%s: %d vectors are kept, not %d", name, len(cache.young), c.kept)
		}
	}
}

// TestBlockCache reads rows of a group by way of a small cache, in an order in which blocks come again: what is read is what was
// written, blocks are kept, and no more of them than may be.
func TestBlockCache(t *testing.T) {
	const n = 3 * vec.MaxRows
	val, g, text := textGroup(t, n)
	cache := NewBlockCache(256 << 10)
	g.CacheBlocks(cache)
	for i := range 4000 {
		row := i * 7 % n
		dst := NewRow([]types.ColumnType{text.Type})[0]
		if err := g.AppendRow(dst, 0, row); err != nil || string(dst.Bytes(0)) != string(text.Bytes(row)) || dst.N != 1 {
			t.Fatalf("row %d is %q, not %q: %v", row, dst.Bytes(0), text.Bytes(row), err)
		}
	}
	if len(cache.young) == 0 || cache.bytes > cache.limit {
		t.Fatalf("%d blocks of %d bytes are kept, at most %d", len(cache.young), cache.bytes, cache.limit)
	}
	kept := 0
	for _, b := range cache.young {
		kept += len(b.data)
	}
	for i := range val { // every block is damaged: what is in the cache is not looked at again
		if i > dirStart+len(g.dir) {
			val[i] ^= 1
		}
	}
	known := 0
	for row := range n {
		dst := NewRow([]types.ColumnType{text.Type})[0]
		if g.AppendRow(dst, 0, row) == nil {
			if known++; string(dst.Bytes(0)) != string(text.Bytes(row)) {
				t.Fatalf("row %d of a damaged block is %q", row, dst.Bytes(0))
			}
		}
	}
	if known*40 < kept {
		t.Fatalf("%d rows were read, %d bytes are kept", known, kept)
	}
}

// TestDecoderPanicIsCorrupt: what trusts the bytes that it reads, and panics, has met damage.
func TestDecoderPanicIsCorrupt(t *testing.T) {
	src := append([]byte{encConst, validAll}, make([]byte, 8)...)
	if err := DecodeVectorTo(nil, types.ColumnType{Kind: types.KindBigInt}, 3, src); !errors.Is(err, ErrCorrupt) {
		t.Errorf("decode: %v", err)
	}
	if err := (&RowReader{vector: -1}).Append(vec.NewNull(types.ColumnType{Kind: types.KindBigInt}, 1), 0); !errors.Is(err, ErrCorrupt) {
		t.Errorf("pick a row: %v", err)
	}
}
