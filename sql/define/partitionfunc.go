package define

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	sqltypes "stele/sql/types"
)

// partitionFunc is a function of a point in time that tables may be partitioned by. It grows with its argument, so that a bound of the
// function is a bound of the column, and rows are routed and partitions pruned by the column alone.
type partitionFunc struct {
	kinds []types.Kind // of columns
	first func(n int64) (micros int64)
}

// epochDays is TO_DAYS('1970-01-01').
const epochDays = 719528

// partitionFuncs are the functions by name. first is when the function first has a value.
var partitionFuncs = map[string]partitionFunc{
	"YEAR": {calendarKinds, func(n int64) int64 {
		return time.Date(int(min(max(n, 0), 10000)), 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	}},
	"TO_DAYS":        {calendarKinds, func(n int64) int64 { return (n - epochDays) * sqltypes.Day }},
	"TO_SECONDS":     {calendarKinds, func(n int64) int64 { return n*sqltypes.Second - epochDays*sqltypes.Day }},
	"UNIX_TIMESTAMP": {[]types.Kind{types.KindTimestamp}, func(n int64) int64 { return n * sqltypes.Second }},
}

var calendarKinds = []types.Kind{types.KindDate, types.KindDateTime}

// partitionedBy reads what a table is partitioned by: a column, or a function of one.
func partitionedBy(n ast.ExprNode) (names []string, fn string, err error) {
	n = ast.Unparen(n)
	if col, ok := n.(*ast.ColumnNameExpr); ok {
		return []string{col.Name.Name.O}, "", nil
	}
	if call, ok := n.(*ast.FuncCallExpr); ok && len(call.Args) == 1 {
		col, ok := call.Args[0].(*ast.ColumnNameExpr)
		if _, known := partitionFuncs[strings.ToUpper(call.FnName.L)]; ok && known {
			return []string{col.Name.Name.O}, strings.ToUpper(call.FnName.L), nil
		}
	}
	return nil, "", refuse("PARTITION BY an expression that is no column, nor YEAR, TO_DAYS, TO_SECONDS or UNIX_TIMESTAMP of one; a generated column may be named")
}

// fits refuses columns of which the function is none of a point in time, or depends on the time zone.
func (f partitionFunc) fits(col *types.Column) error {
	if !slices.Contains(f.kinds, col.Type.Kind) {
		return errorf(errno.WrongPartitionExpr, "Constant, random or timezone-dependent expressions in (sub)partitioning function are not allowed")
	}
	return nil
}

// argument is the first value of a column of which the function has a value, which is given as text.
func (f partitionFunc) argument(text string, col *types.Column) (expr.Value, string, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > 1<<38 { // any date in seconds is less
		return expr.Value{}, "", errColumnValue(text, col)
	}
	micros := max(f.first(n), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
	if micros >= time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro() {
		return expr.Value{}, "", errColumnValue(text, col)
	}
	v := expr.Value{I: micros}
	if col.Type.Kind == types.KindDate {
		days, part := sqltypes.FloorDay(micros)
		if part > 0 {
			days++
		}
		v.I = days
	}
	return v, strconv.FormatInt(n, 10), nil
}
