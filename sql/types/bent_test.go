package types_test

import (
	"testing"

	mt "stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// TestBent: without strict mode a value that does not fit is bent, and what it lost is said by the numbers that MariaDB has for it.
func TestBent(t *testing.T) {
	text := mt.ColumnType{Kind: mt.KindVarChar}
	column := func(k mt.Kind, length, scale int32) *mt.Column {
		return &mt.Column{Name: "c", Type: mt.ColumnType{Kind: k, Length: length, Scale: scale}}
	}
	members, set, bits := column(mt.KindSmallInt, 0, 0), column(mt.KindBigInt, 0, 0), column(mt.KindBigInt, 0, 0)
	members.Elems, members.Shown = []string{"a", "b"}, "ENUM"
	set.Elems, set.Shown = []string{"a", "b"}, "SET"
	bits.Bits = 3
	for _, c := range []struct {
		in   string
		to   *mt.Column
		code uint16 // 0 = it fits
		msg  string
	}{
		{"12", column(mt.KindInt, 0, 0), 0, ""},
		{"12abc", column(mt.KindInt, 0, 0), 1265, "Data truncated for column 'c' at row 7"},
		{"abc", column(mt.KindInt, 0, 0), 1366, "Incorrect integer value: 'abc' for column 'c' at row 7"},
		{"300", column(mt.KindTinyInt, 0, 0), 1264, "Out of range value for column 'c' at row 7"},
		{"x", column(mt.KindDouble, 0, 0), 1366, "Incorrect double value: 'x' for column 'c' at row 7"},
		{"1e999", column(mt.KindDouble, 0, 0), 1264, "Out of range value for column 'c' at row 7"},
		{"x", column(mt.KindDecimal, 5, 2), 1366, "Incorrect decimal value: 'x' for column 'c' at row 7"},
		{"abcd", column(mt.KindVarChar, 3, 0), 1265, "Data truncated for column 'c' at row 7"},
		{"abc  ", column(mt.KindVarChar, 3, 0), 0, ""},
		{"0000-00-00", column(mt.KindDate, 0, 0), 1264, "Out of range value for column 'c' at row 7"},
		{"0000-00-00", column(mt.KindTimestamp, 0, 0), 1265, "Data truncated for column 'c' at row 7"},
		{"2024-05-00", column(mt.KindDate, 0, 0), 1265, "Data truncated for column 'c' at row 7"},
		{"1960-01-01", column(mt.KindTimestamp, 0, 0), 1264, "Out of range value for column 'c' at row 7"},
		{"900:00:00", column(mt.KindTime, 0, 0), 1264, "Out of range value for column 'c' at row 7"},
		{"z", members, 1265, "Data truncated for column 'c' at row 7"},
		{"a,z", set, 1265, "Data truncated for column 'c' at row 7"},
		{"zz", bits, 1264, "Out of range value for column 'c' at row 7"},
	} {
		_, bent, err := sqltypes.ConvertColumn(vec.Str([]byte(c.in)), text, c.to, false, sqltypes.Env{})
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		if (bent == nil) != (c.code == 0) {
			t.Errorf("%q: %v, want %d", c.in, bent, c.code)
			continue
		}
		if bent != nil {
			if got := sqltypes.WithColumn(bent, "c", 7); bent.Code != c.code || got.Error() != c.msg {
				t.Errorf("%q: %d %s, want %d %s", c.in, bent.Code, got, c.code, c.msg)
			}
		}
		if _, bent, err := sqltypes.ConvertColumn(vec.Str([]byte(c.in)), text, c.to, true, sqltypes.Env{}); bent != nil || (err == nil) != (c.code == 0) {
			t.Errorf("%q in strict mode: %v, %v", c.in, bent, err)
		}
	}
}
