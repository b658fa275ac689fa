package exec

import (
	"context"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

// TotalSource is a stream that can add its columns up itself, with less work than yielding their rows is.
type TotalSource interface {
	Stream
	// AddUp is Next for who wants no more than totals of the columns: rows are added to them, as many as it returns, before it
	// yields a batch of others.
	AddUp(ctx context.Context, totals []vec.Total) (rows int64, b *vec.Batch, err error)
}

// totals is a global aggregation whose aggregates are sums and counts of columns, over a source that can add them up.
type totals struct {
	src  TotalSource
	cols []int // of each aggregate: its column, or allRows
	sums []vec.Total
}

// allRows stands for COUNT(*).
const allRows = -1

// newTotals returns nil when the aggregation is another one, or the source is; or when that has columns which are not asked for.
func newTotals(spec *physical.Agg, columns int, in Stream, input *aggInput) *totals {
	src, ok := in.(TotalSource)
	if !ok || len(spec.Group) > 0 || spec.Merge {
		return nil
	}
	t := &totals{src: src, sums: make([]vec.Total, columns)}
	unused := make(map[int]bool, columns)
	for c := range columns {
		unused[c] = true
	}
	for i, f := range spec.Aggs {
		switch {
		case f.Distinct || f.Name != "count" && !input.sums[i]:
			return nil
		case f.Arg == nil:
			t.cols = append(t.cols, allRows)
		case f.Arg.Kind == expr.NodeColumn && isExactNumber(f.Arg.Type) && f.Arg.Col < columns:
			t.cols = append(t.cols, f.Arg.Col)
			delete(unused, f.Arg.Col)
		default:
			return nil
		}
	}
	if len(unused) > 0 {
		return nil
	}
	return t
}

// isExactNumber reports whether the values of a type are what Total adds up.
func isExactNumber(t types.ColumnType) bool { return t.Kind == types.KindDecimal || t.IsInteger() }

// next adds up what the source can add up, and returns the next batch of other rows; nil at the end.
func (t *totals) next(ctx context.Context, table *groupTable) (*vec.Batch, error) {
	clear(t.sums)
	rows, b, err := t.src.AddUp(ctx, t.sums)
	if err != nil || rows == 0 {
		return b, err
	}
	for i, a := range table.accs {
		var sum vec.Total
		if t.cols[i] == allRows {
			sum.N = rows
		} else {
			sum = t.sums[t.cols[i]]
		}
		switch a := a.(type) {
		case *countAcc:
			a.n[0] += sum.N
		case *exactSum:
			if err := a.addTotal(0, sum.Sum, sum.N); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}
