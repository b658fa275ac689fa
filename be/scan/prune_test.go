package scan

import (
	"testing"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
)

// TestPrune: a comparison skips rows when the constant compares with the stored values as they are, and only then.
func TestPrune(t *testing.T) {
	col := func(k types.Kind) types.ColumnType { return types.ColumnType{Kind: k} }
	unsigned := types.ColumnType{Kind: types.KindBigInt, Unsigned: true}
	decimal := func(p, s int32) types.ColumnType {
		return types.ColumnType{Kind: types.KindDecimal, Length: p, Scale: s}
	}
	for _, c := range []struct {
		name     string
		col, con types.ColumnType
		skips    bool
	}{
		{"int and an integer literal", col(types.KindInt), col(types.KindBigInt), true},
		{"year and an integer literal", col(types.KindYear), col(types.KindBigInt), true},
		{"int and an unsigned literal", col(types.KindInt), unsigned, false},
		{"unsigned and unsigned", types.ColumnType{Kind: types.KindSmallInt, Unsigned: true}, unsigned, true},
		{"char and a string", col(types.KindChar), col(types.KindVarChar), true},
		{"json and a string", col(types.KindJSON), col(types.KindVarChar), false},
		{"decimals of one scale", decimal(10, 2), decimal(12, 2), true},
		{"decimals of two scales", decimal(10, 2), decimal(12, 3), false},
		{"wide and narrow decimals", decimal(30, 2), decimal(12, 2), false},
		{"date and datetime", col(types.KindDate), col(types.KindDateTime), false},
		{"datetimes of two precisions", col(types.KindDateTime), types.ColumnType{Kind: types.KindDateTime, Scale: 6}, true},
		{"times of two precisions", types.ColumnType{Kind: types.KindTime, Scale: 3}, col(types.KindTime), true},
		{"timestamp and datetime", col(types.KindTimestamp), col(types.KindDateTime), false},
		{"int and date", col(types.KindInt), col(types.KindDate), false},
		{"double and float", col(types.KindDouble), col(types.KindFloat), false},
		{"int and string", col(types.KindInt), col(types.KindVarChar), false},
	} {
		f := &physical.Fragment{Schema: types.Schema{Columns: []types.Column{{ID: 3, Type: c.col}}}, Columns: []types.ColumnID{3}}
		f.Filter = &expr.Node{Kind: expr.NodeCall, Func: ">", Type: col(types.KindBool), Args: []*expr.Node{
			{Kind: expr.NodeConst, Type: c.con, Value: expr.Value{I: 5}}, {Kind: expr.NodeColumn, Type: c.col}}}
		got := prune(f)
		if c.skips != (len(got) == 1) {
			t.Errorf("%s: %v", c.name, got)
		}
		if len(got) == 1 && (got[0].Column != 3 || len(got[0].Ranges) != 1 || !got[0].Ranges[0].Lo.Null || got[0].Ranges[0].Hi.I != 5) {
			t.Errorf("%s: %+v", c.name, got[0])
		}
	}
}
