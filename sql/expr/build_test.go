package expr_test

import (
	"testing"

	"stele/meta/types"
	"stele/sql/expr"
)

func typed(k types.Kind, length, scale int32) types.ColumnType {
	return types.ColumnType{Kind: k, Length: length, Scale: scale}
}

// TestCallInsertsCasts also shows which comparisons keep the column bare, for key lookups and filter kernels.
func TestCallInsertsCasts(t *testing.T) {
	i, money, date, text := expr.Col(0, typed(types.KindInt, 11, 0)), expr.Col(1, typed(types.KindDecimal, 15, 2)), expr.Col(2, typed(types.KindDate, 0, 0)), expr.Col(3, typed(types.KindVarChar, 9, 0))
	stamp, js := expr.Col(4, typed(types.KindTimestamp, 0, 0)), expr.Col(5, typed(types.KindJSON, 0, 0))
	str := expr.ConstString
	for _, c := range []struct {
		n    *expr.Node
		want string
	}{
		{expr.MustCall("=", i, expr.ConstInt(5)), "($0 = 5)"},
		{expr.MustCall("=", i, str("5")), "($0 = 5)"},
		{expr.MustCall("=", i, str("5x")), "(CAST($0 AS double) = CAST('5x' AS double))"},
		{expr.MustCall("in", i, str("5"), expr.ConstInt(6)), "($0 IN (5, 6))"},
		{expr.MustCall("<", money, expr.ConstInt(24)), "($1 < CAST(24 AS decimal(15,2)))"},
		{expr.MustCall("=", money, i), "($1 = CAST($0 AS decimal(15,2)))"},
		{expr.MustCall(">=", date, str("1994-01-01")), "($2 >= '1994-01-01')"},
		{expr.MustCall(">=", date, str("1994-01-01 10:00")), "(CAST($2 AS datetime) >= CAST('1994-01-01 10:00' AS datetime(6)))"},
		{expr.MustCall("between", date, str("1994-01-01"), str("1994-12-31")), "(($2 >= '1994-01-01') AND ($2 <= '1994-12-31'))"},
		{expr.MustCall("=", stamp, str("2024-01-01")), "($4 = CAST('2024-01-01' AS timestamp(6)))"},
		{expr.MustCall("=", text, i), "(CAST($3 AS double) = CAST($0 AS double))"},
		{expr.MustCall("=", js, str("x")), "(JSON_UNQUOTE($5) = 'x')"},
		{expr.MustCall("and", expr.MustCall("and", i, expr.MustCall("isnull", text)), expr.MustCall("or", i, i)), "(CAST($0 AS tinyint(1)) AND ($3 IS NULL) AND (CAST($0 AS tinyint(1)) OR CAST($0 AS tinyint(1))))"},
		{expr.MustCall("round", money, expr.ConstInt(1)), "ROUND:1($1, 1)"},
		{expr.MustCall("-", expr.ConstInt(1), money), "(CAST(1 AS decimal(1,0)) - $1)"},
	} {
		if got := c.n.String(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func TestFoldSimplifies(t *testing.T) {
	a, b := expr.Col(0, typed(types.KindBool, 0, 0)), expr.Col(1, typed(types.KindBigInt, 0, 0))
	yes, no := expr.ConstBool(true), expr.ConstBool(false)
	for _, c := range []struct {
		n    *expr.Node
		want string
	}{
		{expr.MustCall("and", yes, a), "$0"},
		{expr.MustCall("and", a, no), "FALSE"},
		{expr.MustCall("or", a, yes), "TRUE"},
		{expr.MustCall("and", a, expr.Null()), "($0 AND NULL)"},
		{expr.MustCall("if", expr.MustCall("=", expr.ConstInt(1), expr.ConstInt(1)), b, expr.ConstInt(0)), "$1"},
		{expr.MustCall("case", no, b, a, expr.ConstInt(2)), "CASE($0, 2)"},
		{expr.MustCall("+", expr.ConstInt(1), expr.MustCall("*", expr.ConstInt(2), expr.ConstInt(3))), "7"},
		{expr.MustCall("+", b, expr.MustCall("+", expr.ConstInt(9223372036854775807), expr.ConstInt(1))), "($1 + (9223372036854775807 + 1))"},
		{expr.MustCall("+", expr.MustCall("rand"), expr.ConstInt(1)), "(RAND() + 1)"},
		{expr.MustCall("upper", expr.ConstString("it's")), "'IT''S'"},
	} {
		got, err := expr.Fold(c.n, expr.Context{})
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != c.want {
			t.Errorf("%s folds to %s, want %s", c.n, got, c.want)
		}
	}
}

func FuzzDecodeNode(f *testing.F) {
	for _, n := range []*expr.Node{expr.ConstInt(1), expr.MustCall("like", expr.Col(0, typed(types.KindVarChar, 0, 0)), expr.ConstString("a%"))} {
		b, err := encode(n)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if n, err := decode(in); err == nil {
			_ = n.Func
		}
	})
}
