package scan

import (
	"fmt"
	"math"
	"slices"

	"stele/be/tablet"
	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/fn"
	"stele/sql/physical"
	"stele/sql/vec"
)

// early is what a fragment tells its scans, so that they read less; the operators do their work on what they return all the same.
type early struct {
	prune  []tablet.Predicate
	filter *tablet.Filter
	first  *tablet.First
}

// newEarly prepares it for one goroutine.
func newEarly(f *physical.Fragment, ectx expr.Context) (*early, error) {
	e := &early{prune: prune(f), first: first(f)}
	if f.Filter == nil {
		return e, nil
	}
	if volatile(f.Filter) { // the rows that pass it now are not those that pass it when the operators ask
		e.first = nil
		return e, nil
	}
	prog, err := expr.Compile(f.Filter, ectx)
	if err != nil {
		return nil, fmt.Errorf("compile filter: %w", err)
	}
	buf := make([]int32, vec.MaxRows)
	e.filter = &tablet.Filter{Columns: columnsOf(f.Filter, nil), Keep: func(b *vec.Batch) ([]int32, error) {
		if len(buf) < b.N {
			buf = make([]int32, b.N)
		}
		return prog.EvalFilterInto(b, buf)
	}}
	return e, nil
}

// volatile reports whether an expression may have another value each time.
func volatile(n *expr.Node) bool {
	if n.Kind == expr.NodeCall {
		if d := fn.Lookup(n.Func); d == nil || d.Volatile {
			return true
		}
	}
	return slices.ContainsFunc(n.Args, volatile)
}

// columnsOf appends the columns that an expression looks at, each of them once.
func columnsOf(n *expr.Node, out []int) []int {
	if n.Kind == expr.NodeColumn && !slices.Contains(out, n.Col) {
		out = append(out, n.Col)
	}
	for _, a := range n.Args {
		out = columnsOf(a, out)
	}
	return out
}

// first returns which rows a fragment wants by the order of a column; nil when it wants others.
func first(f *physical.Fragment) *tablet.First {
	if f.TopN == nil || f.TopN.Limit <= 0 || f.TopN.Offset > math.MaxInt32 || f.TopN.Limit > math.MaxInt32 || f.Agg != nil || len(f.TopN.Keys) == 0 {
		return nil
	}
	by, coll := textOf(f.TopN.Keys[0].Expr)
	if f.Project != nil && by.Kind == expr.NodeColumn {
		if by.Col >= len(f.Project) {
			return nil
		}
		if by = f.Project[by.Col]; coll == types.CollationBinary {
			by, coll = textOf(by)
		}
	}
	if by.Kind != expr.NodeColumn || by.Col >= len(f.Columns) {
		return nil
	}
	id := f.Columns[by.Col]
	if f.Schema.Columns[f.Schema.ColumnIndex(id)].Type.Kind == types.KindJSON {
		return nil
	}
	return &tablet.First{Column: id, By: coll, Desc: f.TopN.Keys[0].Desc, N: int(f.TopN.Limit + f.TopN.Offset), Ties: len(f.TopN.Keys) > 1}
}

// textOf returns the text of which an expression is the key by a collation; else the expression, by that of bytes.
func textOf(n *expr.Node) (*expr.Node, types.Collation) {
	if by, ok := parameter(n, fn.CollationKey); ok {
		return n.Args[0], by
	}
	return n, types.CollationBinary
}
