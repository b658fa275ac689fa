package scan

import (
	"stele/be/tablet"
	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/rowset"
)

// prune finds the parts of the fragment's filter that zone maps and bloom filters can use: comparisons of a column
// with a constant that must all hold.
func prune(f *physical.Fragment) []tablet.Predicate {
	return conjuncts(f.Filter, f, nil)
}

func conjuncts(n *expr.Node, f *physical.Fragment, out []tablet.Predicate) []tablet.Predicate {
	if n == nil || n.Kind != expr.NodeCall {
		return out
	}
	if n.Func == "and" {
		for _, a := range n.Args {
			out = conjuncts(a, f, out)
		}
		return out
	}
	op, flipped, ok := comparison(n.Func)
	if !ok || len(n.Args) != 2 {
		return out
	}
	a, b := n.Args[0], n.Args[1]
	if a.Kind == expr.NodeConst {
		a, b, op = b, a, flipped
	}
	if a.Kind != expr.NodeColumn || b.Kind != expr.NodeConst || b.Value.Null {
		return out
	}
	col := f.Schema.Columns[f.Schema.ColumnIndex(f.Columns[a.Col])]
	if !sameForm(col.Type, b.Type) {
		return out
	}
	return append(out, tablet.Predicate{Column: col.ID, Op: op, Value: b.Value})
}

// sameForm reports whether a constant is in the physical form of the column, so that both compare as they are. What is not has
// been cast by the planner, the constant or the column (which then is a call).
func sameForm(col, c types.ColumnType) bool {
	switch {
	case col.Phys() != c.Phys():
		return false
	case col.IsInteger() && c.IsInteger():
		return col.Unsigned == c.Unsigned
	case col.IsString():
		return col.Kind != types.KindJSON && c.Kind != types.KindJSON
	}
	return col.Kind == c.Kind && col.Unsigned == c.Unsigned && col.Scale == c.Scale
}

// comparison maps a function to the predicate, and to the one with its sides swapped.
func comparison(name string) (op, flipped rowset.CompareOp, ok bool) {
	switch name {
	case "=":
		return rowset.OpEQ, rowset.OpEQ, true
	case "<":
		return rowset.OpLT, rowset.OpGT, true
	case "<=":
		return rowset.OpLE, rowset.OpGE, true
	case ">":
		return rowset.OpGT, rowset.OpLT, true
	case ">=":
		return rowset.OpGE, rowset.OpLE, true
	}
	return 0, 0, false
}
