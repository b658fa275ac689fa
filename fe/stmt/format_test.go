package stmt

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stele/meta/types"
)

func TestFormats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Capacity(0), "0.000 "}, {Capacity(1), "1.000 B"}, {Capacity(1023), "1023.000 B"}, {Capacity(1024), "1.000 KB"},
		{Capacity(627687292928), "584.579 GB"}, {Capacity(math.MaxInt64), "8388608.000 TB"}, {Capacity(-2048), "-2.000 KB"},
		{Compact(0), "0B"}, {Compact(784), "784B"}, {Compact(4096), "4KB"}, {Compact(1536), "1.5KB"}, {Compact(1 << 50), "1024TB"},
		{Percent(71, 100), "71.00 %"}, {Percent(1, 3), "33.33 %"}, {Percent(1, 0), "0.00 %"},
		{Share(15, 96), "15.62 %"}, {Share(1, 192), ".52 %"}, {Share(18, 96), "18.75 %"}, {Share(9, 96), "9.38 %"}, {Share(11, 96), "11.46 %"},
		{Share(0, 96), ".00 %"}, {Share(96, 96), "100.00 %"}, {Share(0, 0), ".00 %"}, {Share(3, 32), "9.38 %"}, {Share(1, 32), "3.12 %"},
		{TypeText(types.ColumnType{Kind: types.KindDecimal, Length: 15, Scale: 2}, ""), "decimal(15,2)"},
		{TypeText(types.ColumnType{Kind: types.KindBigInt, Unsigned: true}, ""), "bigint unsigned"},
		{TypeText(types.ColumnType{Kind: types.KindBool}, ""), "tinyint(1)"},
		{TypeText(types.ColumnType{Kind: types.KindDateTime, Scale: 6}, ""), "datetime(6)"},
		{TypeText(types.ColumnType{Kind: types.KindInt}, "int(11)"), "int(11)"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// TestMatchLike compares with a regular expression made from the pattern.
func TestMatchLike(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune(`aB%_\é`)), 0, 8, -1).Draw(r, "pattern")
		text := rapid.StringOfN(rapid.SampledFrom([]rune(`abB%_\É`)), 0, 8, -1).Draw(r, "text")
		var b strings.Builder
		b.WriteString(`(?is)^`)
		runes := []rune(pattern)
		for i := 0; i < len(runes); i++ {
			switch c := runes[i]; {
			case c == '%':
				b.WriteString(".*")
			case c == '_':
				b.WriteString(".")
			case c == '\\' && i+1 < len(runes):
				i++
				b.WriteString(regexp.QuoteMeta(string(runes[i])))
			default:
				b.WriteString(regexp.QuoteMeta(string(c)))
			}
		}
		b.WriteString("$")
		if got, want := MatchLike(pattern, text), regexp.MustCompile(b.String()).MatchString(text); got != want {
			r.Fatalf("matchLike(%q, %q) = %v, want %v", pattern, text, got, want)
		}
	})
}

// TestBatches checks the kinds of values, NULLs and the cut into batches.
func TestBatches(t *testing.T) {
	columns := Cols(`
		a int x.
		b text x.
		c float x.
		d time x.
		e date x.
	`)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("x", 3600))
	row := Row{types.BEID(7), true, 2, at, time.Date(1970, 1, 3, 0, 0, 0, 0, time.UTC)}
	rows := make([]Row, 5000)
	for i := range rows {
		rows[i] = row
	}
	rows[4999] = Row{nil, nil, nil, nil, nil}
	batches := Batches(columns, rows)
	if len(batches) != 3 || batches[2].Rows() != 5000-2*2048 {
		t.Fatalf("%d batches", len(batches))
	}
	b := batches[0]
	wall := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixMicro()
	if b.Cols[0].I64[0] != 7 || string(b.Cols[1].Bytes(0)) != "true" || b.Cols[2].F64[0] != 2 || b.Cols[3].I64[0] != wall || b.Cols[4].I64[0] != 2 {
		t.Errorf("first row: %v %q %v %v %v", b.Cols[0].I64[0], b.Cols[1].Bytes(0), b.Cols[2].F64[0], b.Cols[3].I64[0], b.Cols[4].I64[0])
	}
	for i, v := range batches[2].Cols {
		if !v.IsNull(v.N-1) || v.IsNull(0) {
			t.Errorf("column %d: NULLs are misplaced", i)
		}
	}
	if Batches(columns, nil) != nil {
		t.Error("no rows make a batch")
	}
}
