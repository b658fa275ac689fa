package types_test

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	mt "stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

func drawDecimal(t *rapid.T, name string) (vec.Int128, int32) {
	scale := rapid.Int32Range(0, 30).Draw(t, name+" scale")
	if rapid.Bool().Draw(t, name+" small") {
		return vec.Int128Of(rapid.Int64().Draw(t, name)), scale
	}
	v := vec.Int128{Hi: rapid.Int64Range(-5421010862427522170, 5421010862427522169).Draw(t, name+" hi"), Lo: rapid.Uint64().Draw(t, name+" lo")}
	return v, scale
}

func ten(n int32) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

func rat(v vec.Int128, scale int32) *big.Rat { return new(big.Rat).SetFrac(v.Big(), ten(scale)) }

// roundRat is the dumb model: round half away from zero at a scale; false beyond 38 digits.
func roundRat(r *big.Rat, scale int32) (*big.Int, bool) {
	x := new(big.Rat).Mul(r, new(big.Rat).SetInt(ten(scale)))
	half := big.NewRat(1, 2)
	if x.Sign() < 0 {
		half.Neg(half)
	}
	x.Add(x, half)
	q := new(big.Int).Quo(x.Num(), x.Denom())
	return q, new(big.Int).Abs(q).Cmp(ten(38)) < 0
}

func TestDecimalAgainstRationals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, as := drawDecimal(t, "a")
		b, bs := drawDecimal(t, "b")
		scale := rapid.Int32Range(0, 30).Draw(t, "scale")
		expect := func(op string, got vec.Int128, ok bool, want *big.Rat, scale int32) {
			w, fits := roundRat(want, scale)
			if ok != fits || ok && got.Big().Cmp(w) != 0 {
				t.Fatalf("%v %s %v = %v %v, want %v %v", rat(a, as), op, rat(b, bs), got.Big(), ok, w, fits)
			}
		}
		r, ok := sqltypes.MulDecimal(a, as, b, bs, scale)
		expect("*", r, ok, new(big.Rat).Mul(rat(a, as), rat(b, bs)), scale)
		if b.Sign() != 0 {
			r, ok = sqltypes.DivDecimal(a, as, b, bs, scale)
			expect("/", r, ok, new(big.Rat).Quo(rat(a, as), rat(b, bs)), scale)
		}
		if got := sqltypes.CmpDecimal(a, as, b, bs); got != rat(a, as).Cmp(rat(b, bs)) {
			t.Fatalf("cmp %v %v = %d", rat(a, as), rat(b, bs), got)
		}
		text := sqltypes.AppendDecimal(nil, a, as)
		if want := rat(a, as).FloatString(int(as)); string(text) != want {
			t.Fatalf("text %s, want %s", text, want)
		}
		back, s, used, fits := sqltypes.ParseDecimal(text)
		if used != len(text) || sqltypes.FitsDecimal(a, 38) != fits || fits && sqltypes.CmpDecimal(back, s, a, as) != 0 {
			t.Fatalf("parse %s = %v scale %d used %d fits %v", text, back.Big(), s, used, fits)
		}
		if f, _ := rat(a, as).Float64(); f != sqltypes.DecimalToFloat(a, as) {
			t.Fatalf("float of %s: %v, want %v", text, sqltypes.DecimalToFloat(a, as), f)
		}
	})
}

func TestCalendarAgainstTime(t *testing.T) {
	for days := sqltypes.MinDate; days <= sqltypes.MaxDate; days += 13 {
		want := time.Unix(days*86400, 0).UTC()
		y, m, d := sqltypes.DateOf(days)
		if y != want.Year() || m != int(want.Month()) || d != want.Day() || sqltypes.DaysOf(y, m, d) != days {
			t.Fatalf("day %d: %d-%d-%d, want %v", days, y, m, d, want)
		}
		if sqltypes.Weekday(days) != (int(want.Weekday())+6)%7 || sqltypes.DayOfYear(days) != want.YearDay() {
			t.Fatalf("day %d: weekday %d, day of year %d", days, sqltypes.Weekday(days), sqltypes.DayOfYear(days))
		}
		wy, ww := want.ISOWeek()
		if w, wyear := sqltypes.Week(days, 3); w != ww || wyear != wy && y > 0 {
			t.Fatalf("day %v: week %d of %d, want %d of %d", want, w, wyear, ww, wy)
		}
	}
}

func TestTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kinds := []mt.ColumnType{{Kind: mt.KindDate}, {Kind: mt.KindDateTime, Scale: 6}, {Kind: mt.KindTime, Scale: 6}, {Kind: mt.KindDouble}, {Kind: mt.KindBigInt, Unsigned: true}}
		ct := rapid.SampledFrom(kinds).Draw(t, "type")
		var v vec.Value
		switch ct.Kind {
		case mt.KindDate:
			v = vec.Int(rapid.Int64Range(sqltypes.DaysOf(1, 1, 1), sqltypes.MaxDate).Draw(t, "v"))
		case mt.KindDateTime:
			v = vec.Int(rapid.Int64Range(sqltypes.DaysOf(1, 1, 1)*sqltypes.Day, sqltypes.MaxDateTime).Draw(t, "v"))
		case mt.KindTime:
			v = vec.Int(rapid.Int64Range(-sqltypes.MaxTime, sqltypes.MaxTime).Draw(t, "v"))
		case mt.KindDouble:
			v = vec.Float(rapid.Float64().Draw(t, "v"))
		default:
			v = vec.Int(rapid.Int64().Draw(t, "v"))
		}
		text := sqltypes.AppendText(nil, ct, v, time.UTC)
		back, err := sqltypes.Convert(vec.Str(text), mt.ColumnType{Kind: mt.KindVarChar}, ct, true, time.UTC)
		if err != nil || back.I != v.I || back.F != v.F {
			t.Fatalf("%s %q came back as %+v, %v, want %+v", sqltypes.TypeName(ct), text, back, err, v)
		}
	})
}

func TestFloatText(t *testing.T) {
	for _, c := range []struct {
		f    float64
		bits int
		want string
	}{
		{0, 64, "0"}, {math.Copysign(0, -1), 64, "0"}, {1, 64, "1"}, {-1.5, 64, "-1.5"}, {1e15, 64, "1e15"}, {123456789012345, 64, "123456789012345"},
		{1234567890123456, 64, "1.234567890123456e15"}, {1e-5, 64, "0.00001"}, {1e-20, 64, "1e-20"}, {1.7976931348623157e308, 64, "1.7976931348623157e308"},
		{16777216, 32, "16777200"}, {0.1, 32, "0.1"}, {3.4028235e38, 32, "3.40282e38"}, {123.456, 32, "123.456"},
	} {
		if got := string(sqltypes.AppendFloat(nil, c.f, c.bits)); got != c.want {
			t.Errorf("%v as %d bits: %s, want %s", c.f, c.bits, got, c.want)
		}
	}
}

func TestConvert(t *testing.T) {
	char := func(k mt.Kind, n int32) mt.ColumnType { return mt.ColumnType{Kind: k, Length: n} }
	text, big := char(mt.KindVarChar, 0), mt.ColumnType{Kind: mt.KindBigInt}
	str := func(s string) vec.Value { return vec.Str([]byte(s)) }
	shanghai, err := sqltypes.LoadLocation("Asia/Shanghai", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		v        vec.Value
		from, to mt.ColumnType
		strict   string // text, or the error's number and message
		lenient  string
	}{
		{vec.Int(127), big, mt.ColumnType{Kind: mt.KindTinyInt}, "127", "127"},
		{vec.Int(128), big, mt.ColumnType{Kind: mt.KindTinyInt}, "1264 Out of range value for column 'c' at row 1", "127"},
		{vec.Int(-1), big, mt.ColumnType{Kind: mt.KindInt, Unsigned: true}, "1264 Out of range value for column 'c' at row 1", "0"},
		{str("12abc"), text, mt.ColumnType{Kind: mt.KindInt}, "1265 Data truncated for column 'c' at row 1", "12"},
		{str("abc"), text, mt.ColumnType{Kind: mt.KindInt}, "1366 Incorrect integer value: 'abc' for column 'c' at row 1", "0"},
		{str(" 1.5 "), text, mt.ColumnType{Kind: mt.KindInt}, "2", "2"},
		{str(""), text, mt.ColumnType{Kind: mt.KindInt}, "1366 Incorrect integer value: '' for column 'c' at row 1", "0"},
		{str("abc"), text, mt.ColumnType{Kind: mt.KindDecimal, Length: 5, Scale: 2}, "1366 Incorrect decimal value: 'abc' for column 'c' at row 1", "0.00"},
		{str("999.995"), text, mt.ColumnType{Kind: mt.KindDecimal, Length: 5, Scale: 2}, "1264 Out of range value for column 'c' at row 1", "999.99"},
		{vec.Float(1.005), mt.ColumnType{Kind: mt.KindDouble}, mt.ColumnType{Kind: mt.KindDecimal, Length: 20, Scale: 2}, "1.01", "1.01"},
		{str("1e39"), text, mt.ColumnType{Kind: mt.KindFloat}, "1264 Out of range value for column 'c' at row 1", "3.40282e38"},
		{str("abcd"), text, char(mt.KindVarChar, 3), "1406 Data too long for column 'c' at row 1", "abc"},
		{str("abc  "), text, char(mt.KindVarChar, 3), "abc", "abc"},
		{str("日本語"), text, char(mt.KindVarChar, 3), "日本語", "日本語"},
		{str("日本語x"), text, char(mt.KindVarChar, 3), "1406 Data too long for column 'c' at row 1", "日本語"},
		{str("ab "), text, char(mt.KindChar, 3), "ab", "ab"},
		{str("ab"), text, char(mt.KindBinary, 4), "ab\x00\x00", "ab\x00\x00"},
		{str("a\xff"), text, char(mt.KindVarChar, 3), "1366 Incorrect string value: '\\xFF' for column 'c' at row 1", "a"},
		{str("a\xff"), text, char(mt.KindVarBinary, 3), "a\xff", "a\xff"},
		{str("2024-02-30"), text, mt.ColumnType{Kind: mt.KindDate}, "1292 Incorrect date value: '2024-02-30' for column 'c' at row 1", "0000-00-00"},
		{str("0000-00-00"), text, mt.ColumnType{Kind: mt.KindDateTime}, "0000-00-00 00:00:00", "0000-00-00 00:00:00"},
		{str("00-00-00"), text, mt.ColumnType{Kind: mt.KindDate}, "0000-00-00", "0000-00-00"},
		{str("00000000"), text, mt.ColumnType{Kind: mt.KindDate}, "0000-00-00", "0000-00-00"},
		{vec.Int(0), big, mt.ColumnType{Kind: mt.KindTimestamp}, "0000-00-00 00:00:00", "0000-00-00 00:00:00"},
		{str("0000-00-00 12:00:00"), text, mt.ColumnType{Kind: mt.KindDateTime}, "0000-00-00 12:00:00", "0000-00-00 12:00:00"},
		{str("0000-00-00 12:00:00"), text, mt.ColumnType{Kind: mt.KindTimestamp}, "1292 Incorrect datetime value: '0000-00-00 12:00:00' for column 'c' at row 1", "0000-00-00 00:00:00"},
		{str("2024-05-00"), text, mt.ColumnType{Kind: mt.KindDate}, "1292 Incorrect date value: '2024-05-00' for column 'c' at row 1", "0000-00-00"},
		{str("2024-02-29 23:59:59.9999"), text, mt.ColumnType{Kind: mt.KindDateTime, Scale: 3}, "2024-03-01 00:00:00.000", "2024-03-01 00:00:00.000"},
		{str("1969-01-01"), text, mt.ColumnType{Kind: mt.KindTimestamp}, "1292 Incorrect datetime value: '1969-01-01' for column 'c' at row 1", "0000-00-00 00:00:00"},
		{str("2024-01-01 00:00:00"), text, mt.ColumnType{Kind: mt.KindTimestamp}, "2024-01-01 00:00:00", "2024-01-01 00:00:00"},
		{str("25:61:00"), text, mt.ColumnType{Kind: mt.KindTime}, "1292 Incorrect time value: '25:61:00' for column 'c' at row 1", "00:00:00"},
		{str("10:00:00x"), text, mt.ColumnType{Kind: mt.KindTime}, "1292 Incorrect time value: '10:00:00x' for column 'c' at row 1", "10:00:00"},
		{str("839:00:00"), text, mt.ColumnType{Kind: mt.KindTime}, "1264 Out of range value for column 'c' at row 1", "838:59:59"},
		{str("{]"), text, mt.ColumnType{Kind: mt.KindJSON}, "3140 Invalid JSON text: '{]' is not JSON", "3140 Invalid JSON text: '{]' is not JSON"},
		{vec.NullValue(), big, mt.ColumnType{Kind: mt.KindInt, NotNull: true}, "1048 Column 'c' cannot be null", "1048 Column 'c' cannot be null"},
		{vec.NullValue(), big, mt.ColumnType{Kind: mt.KindInt}, "NULL", "NULL"},
		{vec.Int(70), big, mt.ColumnType{Kind: mt.KindYear}, "1970", "1970"},
		{vec.Int(1800), big, mt.ColumnType{Kind: mt.KindYear}, "1264 Out of range value for column 'c' at row 1", "0000"},
	} {
		for _, strict := range []bool{true, false} {
			want := c.lenient
			if strict {
				want = c.strict
			}
			got, err := sqltypes.Convert(c.v, c.from, c.to, strict, shanghai)
			shown := "NULL"
			if err != nil {
				e, ok := sqltypes.AsError(sqltypes.WithColumn(err, "c", 1))
				if !ok {
					t.Fatalf("%v is no SQL error", err)
				}
				shown = string(sqltypes.AppendText(nil, big, vec.Int(int64(e.Code)), nil)) + " " + e.Msg
			} else if !got.Null {
				shown = string(sqltypes.AppendText(nil, c.to, got, shanghai))
			}
			if shown != want {
				t.Errorf("%q to %s (strict %v): %q, want %q", c.v.B, sqltypes.TypeName(c.to), strict, shown, want)
			}
		}
	}
}

// FuzzParse: the parsers of literals must not panic on any text, and what they return must be printable.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"2024-02-29 10:11:12.5+08:00", "20240229T101112", "-838:59:59", "1 2:3:4", "1e-400", "99999999999999999999999999999999999999.5", "1-2", "::", "2024-1-1 1-"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		text := mt.ColumnType{Kind: mt.KindVarBinary}
		for k := mt.KindTinyInt; k <= mt.KindBool; k++ {
			for _, ct := range []mt.ColumnType{{Kind: k, Length: 10, Scale: 3}, {Kind: k, Length: 38, Scale: 6, Unsigned: true}} {
				if v, err := sqltypes.Cast(vec.Str(s), text, ct, sqltypes.Env{}); err == nil && !v.Null {
					sqltypes.AppendText(nil, ct, v, time.UTC)
				}
			}
		}
		for _, u := range sqltypes.IntervalUnits {
			if iv, ok := sqltypes.ParseInterval(u, s); ok {
				sqltypes.AddInterval(0, iv)
			}
		}
	})
}
