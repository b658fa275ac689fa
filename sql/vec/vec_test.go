package vec_test

import (
	"bytes"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/vec"
)

var columnTypes = []types.ColumnType{
	{Kind: types.KindBigInt}, {Kind: types.KindInt, Unsigned: true, NotNull: true}, {Kind: types.KindDouble},
	{Kind: types.KindDecimal, Length: 38, Scale: 4}, {Kind: types.KindVarChar, Length: 20}, {Kind: types.KindDate},
}

func drawValue(t *rapid.T, ct types.ColumnType) vec.Value {
	if rapid.IntRange(0, 3).Draw(t, "null") == 0 {
		return vec.NullValue()
	}
	switch ct.Phys() {
	case types.PhysFloat64:
		return vec.Float(rapid.Float64().Draw(t, "f"))
	case types.PhysDec128:
		return vec.Dec(vec.Int128{Hi: rapid.Int64().Draw(t, "hi"), Lo: rapid.Uint64().Draw(t, "lo")})
	case types.PhysBytes:
		return vec.Str(rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, "b"))
	}
	return vec.Int(rapid.Int64().Draw(t, "i"))
}

// model is a batch as rows of scalars.
type model [][]vec.Value

func drawModel(t *rapid.T, ts []types.ColumnType) model {
	m := make(model, rapid.IntRange(0, 150).Draw(t, "rows"))
	for i := range m {
		for _, ct := range ts {
			m[i] = append(m[i], drawValue(t, ct))
		}
	}
	return m
}

func (m model) build(ts []types.ColumnType) *vec.Batch {
	b := vec.NewBuilder(ts, 4)
	for _, row := range m {
		b.AppendValues(row...)
	}
	return b.Finish()
}

func sameValue(a, b vec.Value) bool {
	return a.Null == b.Null && a.I == b.I && a.Hi == b.Hi && (a.F == b.F || a.F != a.F && b.F != b.F) && bytes.Equal(a.B, b.B)
}

func check(t *rapid.T, what string, b *vec.Batch, want model) {
	if b.Rows() != len(want) {
		t.Fatalf("%s: %d rows, want %d", what, b.Rows(), len(want))
	}
	for k, row := range want {
		for j, v := range b.Cols {
			if got := v.Value(b.Row(k)); !sameValue(got, row[j]) {
				t.Fatalf("%s: row %d column %d: %+v, want %+v", what, k, j, got, row[j])
			}
		}
	}
}

func TestBatchAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ts := rapid.SliceOfN(rapid.SampledFrom(columnTypes), 1, 4).Draw(t, "types")
		m := drawModel(t, ts)
		b := m.build(ts)
		check(t, "build", b, m)

		from := rapid.IntRange(0, len(m)).Draw(t, "from")
		to := rapid.IntRange(from, len(m)).Draw(t, "to")
		part := b.Slice(from, to)
		check(t, "slice", part, m[from:to])

		var sel []int32
		var chosen model
		for i := range to - from {
			if rapid.Bool().Draw(t, "keep") {
				sel = append(sel, int32(i))
				chosen = append(chosen, m[from+i])
			}
		}
		if sel == nil {
			sel = []int32{}
		}
		part.Sel = sel
		check(t, "select", part, chosen)
		check(t, "compact", part.Compact(), chosen)
		check(t, "concat", vec.ConcatBatches(part, b), append(append(model{}, chosen...), m...))

		back, err := vec.Decode(vec.Encode([]byte("prefix"), part)[6:])
		if err != nil {
			t.Fatal(err)
		}
		check(t, "codec", back, chosen)
		for j, v := range back.Cols {
			if v.Type != ts[j] {
				t.Fatalf("codec: type %+v, want %+v", v.Type, ts[j])
			}
			if v.NullCount() != countNulls(v) {
				t.Fatalf("null count %d, want %d", v.NullCount(), countNulls(v))
			}
		}
	})
}

func countNulls(v *vec.Vector) int {
	n := 0
	for i := range v.N {
		if v.IsNull(i) {
			n++
		}
	}
	return n
}

func TestGatherOuter(t *testing.T) {
	v := vec.NewConst(types.ColumnType{Kind: types.KindVarChar, NotNull: true}, vec.Str([]byte("x")), 2)
	g := v.Gather([]int32{1, -1, 0})
	if g.IsNull(0) || !g.IsNull(1) || string(g.Bytes(2)) != "x" || g.Type.NotNull {
		t.Fatalf("gather of a missing row: %+v", g)
	}
}

func TestInt128AgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) vec.Int128 {
			if rapid.Bool().Draw(t, name+" small") {
				return vec.Int128Of(rapid.Int64().Draw(t, name))
			}
			return vec.Int128{Hi: rapid.Int64().Draw(t, name+" hi"), Lo: rapid.Uint64().Draw(t, name+" lo")}
		}
		a, b := draw("a"), draw("b")
		expect := func(op string, got vec.Int128, ok bool, want *big.Int) {
			w, fits := vec.Int128OfBig(want)
			if min := new(big.Int).Lsh(big.NewInt(-1), 127); want.Cmp(min) == 0 {
				return // the one value whose magnitude does not fit is out of every decimal's range
			}
			if ok != fits || ok && got != w {
				t.Fatalf("%v %s %v = %v %v, want %v", a.Big(), op, b.Big(), got.Big(), ok, want)
			}
		}
		r, ok := a.Add(b)
		expect("+", r, ok, new(big.Int).Add(a.Big(), b.Big()))
		r, ok = a.Sub(b)
		expect("-", r, ok, new(big.Int).Sub(a.Big(), b.Big()))
		if a.Hi != -1<<63 && b.Hi != -1<<63 {
			r, ok = a.Mul(b)
			expect("*", r, ok, new(big.Int).Mul(a.Big(), b.Big()))
			if b.Sign() != 0 {
				q, rem := a.QuoRem(b)
				bq, br := new(big.Int).QuoRem(a.Big(), b.Big(), new(big.Int))
				expect("/", q, true, bq)
				expect("%", rem, true, br)
			}
		}
		if a.Cmp(b) != a.Big().Cmp(b.Big()) {
			t.Fatalf("cmp %v %v", a.Big(), b.Big())
		}
	})
}

func FuzzDecode(f *testing.F) {
	b := vec.NewBuilder(columnTypes, 2)
	b.AppendValues(vec.Int(1), vec.NullValue(), vec.Float(2), vec.Dec(vec.Int128Of(3)), vec.Str([]byte("four")), vec.Int(5))
	seed := vec.Encode(nil, b.Finish())
	f.Add(seed)
	f.Add(seed[:20])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		decodeAll(in)
		// The checksum keeps most inputs out: give the fuzzer a way past it.
		decodeAll(vec.Seal(in))
	})
}

func decodeAll(in []byte) {
	b, err := vec.Decode(in)
	if err != nil {
		return
	}
	for _, v := range b.Cols {
		for i := range v.N {
			v.Value(i)
		}
	}
}

func TestDecodeRefusesDamage(t *testing.T) {
	b := vec.NewBuilder(columnTypes, 2)
	b.AppendValues(vec.Int(1), vec.NullValue(), vec.Float(2), vec.Dec(vec.Int128Of(3)), vec.Str([]byte("four")), vec.Int(5))
	good := vec.Encode(nil, b.Finish())
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 1
		if _, err := vec.Decode(bad); err == nil {
			t.Errorf("flipped bit in byte %d was not noticed", i)
		}
		if _, err := vec.Decode(good[:i]); err == nil {
			t.Errorf("cut at byte %d was not noticed", i)
		}
	}
}

// TestBuildersUsedAgain appends rows of one batch to the buffers of another.
func TestBuildersUsedAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src, old := drawModel(t, columnTypes), drawModel(t, columnTypes)
		from, cols := src.build(columnTypes), vec.ReuseBuilders(old.build(columnTypes))
		var want model
		for range rapid.IntRange(0, 3).Draw(t, "times") {
			var sel []int32
			if len(src) > 0 {
				sel = rapid.SliceOf(rapid.Int32Range(0, int32(len(src)-1))).Draw(t, "sel")
			}
			for _, i := range sel {
				want = append(want, src[i])
			}
			for c := range cols {
				cols[c].AppendRows(from.Cols[c], sel)
			}
		}
		got := &vec.Batch{N: len(want)}
		for _, c := range cols {
			got.Cols = append(got.Cols, c.Finish())
		}
		check(t, "appended", got, want)
	})
}

// TestValueKeys: a value has the key of a row that holds it.
func TestValueKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ct := rapid.SampledFrom(columnTypes).Draw(t, "type")
		x := drawValue(t, ct)
		want := vec.AppendKey([]byte("k"), vec.NewConst(ct, x, 1), 0)
		if got := vec.AppendValueKey([]byte("k"), x, ct); !bytes.Equal(got, want) {
			t.Fatalf("%v of %v: key %x, of a row %x", x, ct, got, want)
		}
	})
}

// TestDecodeShared: what is decoded in place is the same, and appending to it changes nothing else.
func TestDecodeShared(t *testing.T) {
	b := &vec.Batch{N: 2, Cols: []*vec.Vector{
		{Type: types.ColumnType{Kind: types.KindVarChar}, N: 2, Off: []uint32{0, 1, 3}, Data: []byte("abc")},
		{Type: types.ColumnType{Kind: types.KindBigInt}, N: 2, I64: []int64{5, 6}},
	}}
	src := vec.Encode(nil, b)
	got, err := vec.DecodeShared(src)
	if err != nil || string(got.Cols[0].Bytes(0)) != "a" || string(got.Cols[0].Bytes(1)) != "bc" || got.Cols[1].I64[1] != 6 {
		t.Fatalf("%v, %v", got, err)
	}
	_ = append(got.Cols[0].Data, "xyz"...)
	if again, err := vec.Decode(src); err != nil || again.Cols[1].I64[0] != 5 {
		t.Fatalf("%v, %v", again, err)
	}
}

// TestBesideIsWhatIsDecoded: a batch that a receiver in the same process may have is what Decode would return for its wire form.
func TestBesideIsWhatIsDecoded(t *testing.T) {
	seen := 0
	rapid.Check(t, func(t *rapid.T) {
		ts := rapid.SliceOfN(rapid.SampledFrom(columnTypes), 1, 4).Draw(t, "types")
		m := drawModel(t, ts)
		b := m.build(ts)
		if rapid.Bool().Draw(t, "sel") {
			b.Sel = []int32{}
			for i := range m {
				b.Sel = append(b.Sel, int32(i))
			}
		}
		if !b.Beside() {
			return
		}
		seen++
		back, err := vec.Decode(b.Encoded())
		if err != nil {
			t.Fatal(err)
		}
		check(t, "decoded", back, m)
		if b.N != back.N || b.Sel != nil {
			t.Fatalf("%d rows by %v, decoded are %d", b.N, b.Sel, back.N)
		}
		for i, v := range b.Cols {
			w := back.Cols[i]
			if v.Type != w.Type || v.N != w.N || len(v.Off) != len(w.Off) || !bytes.Equal(v.Data, w.Data) || len(v.Off) > 0 && v.Off[0] != w.Off[0] {
				t.Fatalf("column %d is %+v, decoded is %+v", i, v, w)
			}
		}
	})
	if seen == 0 {
		t.Error("no batch was one to be handed over: the test proves nothing")
	}
}
