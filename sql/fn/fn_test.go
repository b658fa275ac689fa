package fn_test

import (
	"strings"
	"testing"

	"stele/meta/types"
	"stele/sql/fn"
	sqltypes "stele/sql/types"
)

func TestDeclarationsAreComplete(t *testing.T) {
	for _, d := range fn.All() {
		if d.Doc == "" || d.Syntax == "" || d.Group == "" || d.Row == nil || d.Rule == nil && d.Name != "cast" {
			t.Errorf("function %s lacks documentation, a rule or a scalar kernel", d.Name)
		}
		if d.Name != strings.ToLower(d.Name) || d.Max >= 0 && d.Min > d.Max {
			t.Errorf("function %s: bad name or bounds %d..%d", d.Name, d.Min, d.Max)
		}
		for _, a := range d.Aliases {
			if fn.Lookup(a) != d {
				t.Errorf("alias %s of %s is lost", a, d.Name)
			}
		}
	}
}

var (
	bigint  = types.ColumnType{Kind: types.KindBigInt}
	ubigint = types.ColumnType{Kind: types.KindBigInt, Unsigned: true}
	integer = types.ColumnType{Kind: types.KindInt}
	tiny    = types.ColumnType{Kind: types.KindTinyInt}
	double  = types.ColumnType{Kind: types.KindDouble}
	money   = types.ColumnType{Kind: types.KindDecimal, Length: 15, Scale: 2}
	wide    = types.ColumnType{Kind: types.KindDecimal, Length: 38, Scale: 30}
	char    = types.ColumnType{Kind: types.KindVarChar, Length: 10}
	binary  = types.ColumnType{Kind: types.KindVarBinary, Length: 4}
	date    = types.ColumnType{Kind: types.KindDate}
	stamp   = types.ColumnType{Kind: types.KindTimestamp}
)

func TestResolveAgg(t *testing.T) {
	for _, c := range []struct {
		name, result, states string
		arg                  types.ColumnType
	}{
		{"count", "bigint", "bigint", char},
		{"COUNT", "bigint", "bigint", types.ColumnType{}},
		{"sum", "decimal(32,0)", "decimal(32,0)", integer},
		{"sum", "decimal(38,0)", "decimal(38,0)", bigint},
		{"sum", "decimal(37,2)", "decimal(37,2)", money},
		{"sum", "double", "double", double},
		{"sum", "double", "double", char},
		{"avg", "decimal(14,4)", "decimal(32,0) bigint", integer},
		{"avg", "decimal(19,6)", "decimal(37,2) bigint", money},
		{"avg", "double", "double bigint", double},
		{"min", "date", "date", date},
		{"any_value", "varchar(10)", "varchar(10)", char},
		{"bit_or", "bigint unsigned", "bigint unsigned", tiny},
		{"std", "double", "bigint double double", integer},
		{"var_samp", "double", "bigint double double", integer},
		{"group_concat", "text", "text", integer},
		{"group_concat", "blob", "blob", binary},
	} {
		_, result, state, err := fn.ResolveAgg(c.name, c.arg, false)
		var names []string
		for _, s := range state {
			names = append(names, sqltypes.TypeName(s))
		}
		if got := sqltypes.TypeName(result); err != nil || got != c.result || strings.Join(names, " ") != c.states {
			t.Errorf("%s(%s): %s, state %v, %v; want %s, %s", c.name, sqltypes.TypeName(c.arg), got, names, err, c.result, c.states)
		}
	}
	if _, _, _, err := fn.ResolveAgg("median", bigint, false); err == nil {
		t.Error("names of aggregates are mixed up")
	}
}

func TestMerge(t *testing.T) {
	for _, c := range []struct {
		want string
		ts   []types.ColumnType
	}{
		{"bigint", []types.ColumnType{tiny, bigint}},
		{"decimal(20,0)", []types.ColumnType{bigint, ubigint}},
		{"bigint", []types.ColumnType{{Kind: types.KindInt, Unsigned: true}, integer}},
		{"int", []types.ColumnType{{Kind: types.KindTinyInt, Unsigned: true}, integer}},
		{"decimal(21,2)", []types.ColumnType{bigint, money}},
		{"double", []types.ColumnType{money, double}},
		{"varchar(20)", []types.ColumnType{bigint, char}},
		{"varbinary(10)", []types.ColumnType{binary, char}},
		{"datetime", []types.ColumnType{date, stamp}},
		{"date", []types.ColumnType{{}, date}},
		{"varchar(10)", []types.ColumnType{date, char}},
	} {
		if got := sqltypes.TypeName(fn.Merge(c.ts...)); got != c.want {
			t.Errorf("merge of %v: %s, want %s", c.ts, got, c.want)
		}
	}
}

func TestCompareTypes(t *testing.T) {
	for _, c := range []struct {
		a, b   types.ColumnType
		wa, wb string
	}{
		{integer, bigint, "bigint", "bigint"},
		{integer, char, "double", "double"},
		{money, tiny, "decimal(15,2)", "decimal(15,2)"},
		{money, bigint, "decimal(21,2)", "decimal(21,2)"},
		{money, wide, "decimal(15,2)", "decimal(38,30)"},
		{money, double, "double", "double"},
		{date, char, "datetime", "datetime(6)"},
		{char, stamp, "timestamp(6)", "timestamp"},
		{date, stamp, "datetime", "datetime"},
		{char, char, "varchar(10)", "varchar(10)"},
		{types.ColumnType{}, money, "decimal(15,2)", "decimal(15,2)"},
	} {
		wa, wb := fn.CompareTypes(c.a, c.b)
		if sqltypes.TypeName(wa) != c.wa || sqltypes.TypeName(wb) != c.wb {
			t.Errorf("%v with %v: %s and %s, want %s and %s", c.a, c.b, sqltypes.TypeName(wa), sqltypes.TypeName(wb), c.wa, c.wb)
		}
	}
}

// TestLongestTextHasAType: what a function makes of the longest text has a length that can be told on the wire.
func TestLongestTextHasAType(t *testing.T) {
	for _, kind := range []types.Kind{types.KindText, types.KindBlob} {
		longest := types.ColumnType{Kind: kind, Length: 1<<31 - 1}
		for _, d := range fn.All() {
			for n := d.Min; n <= max(d.Min, d.Max, 3) && (d.Max < 0 || n <= d.Max); n++ {
				args := make([]types.ColumnType, n)
				for i := range args {
					args[i] = longest
				}
				if d.Rule == nil {
					continue
				}
				if _, result, err := d.Rule("", args); err == nil && result.Length < 0 {
					t.Errorf("%s of %d %s: length %d", d.Name, n, sqltypes.TypeName(longest), result.Length)
				}
			}
		}
	}
}
