package physical

import (
	"slices"
	"strings"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/fn"
)

// TextOf returns the text of which an expression is the key by a collation; else the expression, by that of bytes.
func TextOf(n *expr.Node) (*expr.Node, types.Collation) {
	if n.Kind == expr.NodeCall && len(n.Args) == 1 {
		if name, ok := strings.CutPrefix(n.Func, fn.CollationKey+":"); ok {
			if by, ok := types.ParseCollation(name); ok && by != types.CollationBinary {
				return n.Args[0], by
			}
		}
	}
	return n, types.CollationBinary
}

// FirstBy returns the column in whose order a fragment wants only the first rows, and how its texts compare; not ok when there is none.
func (f *Fragment) FirstBy() (id types.ColumnID, by types.Collation, ok bool) {
	if f.TopN == nil || f.TopN.Limit <= 0 || f.Agg != nil || len(f.TopN.Keys) == 0 {
		return 0, 0, false
	}
	n, by := TextOf(f.TopN.Keys[0].Expr)
	if f.Project != nil && n.Kind == expr.NodeColumn {
		if n.Col >= len(f.Project) {
			return 0, 0, false
		}
		if n = f.Project[n.Col]; by == types.CollationBinary {
			n, by = TextOf(n)
		}
	}
	if n.Kind != expr.NodeColumn || n.Col >= len(f.Columns) {
		return 0, 0, false
	}
	id = f.Columns[n.Col]
	return id, by, f.Schema.Columns[f.Schema.ColumnIndex(id)].Type.Kind != types.KindJSON
}

// FirstByKey is FirstBy where a secondary key or the primary one has rows in that order.
func (f *Fragment) FirstByKey() (types.ColumnID, bool) {
	id, by, ok := f.FirstBy()
	return id, ok && (slices.Contains(f.Schema.Indexed, id) || by == types.CollationBinary && f.follows(id))
}

// follows reports whether rows that pass the filter are in the order of a column of the primary key: it is the first, or the filter wants one
// value of each before it.
func (f *Fragment) follows(id types.ColumnID) bool {
	for _, k := range f.Schema.Key {
		if k == id {
			return true
		}
		if !f.pins(f.Filter, k) {
			return false
		}
	}
	return false
}

// pins reports whether a condition wants one value of a column.
func (f *Fragment) pins(n *expr.Node, id types.ColumnID) bool {
	if n == nil || n.Kind != expr.NodeCall {
		return false
	}
	if n.Func == "and" {
		return slices.ContainsFunc(n.Args, func(a *expr.Node) bool { return f.pins(a, id) })
	}
	col, ok := comparedColumn(n)
	return ok && n.Func == "=" && col.Kind == expr.NodeColumn && f.Columns[col.Col] == id
}

// comparedColumn returns what a comparison, IN or LIKE compares with constants.
func comparedColumn(n *expr.Node) (*expr.Node, bool) {
	name, _, _ := strings.Cut(n.Func, ":")
	switch name {
	case "=", "<=>", "<", "<=", ">", ">=", "in", "like", fn.CollationLike:
	default:
		return nil, false
	}
	if len(n.Args) < 2 {
		return nil, false
	}
	col, rest := n.Args[0], n.Args[1:]
	if col.Kind == expr.NodeConst && len(rest) == 1 {
		col, rest = rest[0], n.Args[:1]
	}
	return col, !slices.ContainsFunc(rest, func(a *expr.Node) bool { return a.Kind != expr.NodeConst || len(rest) == 1 && a.Value.Null })
}

// Bounded returns the columns of secondary keys of which the filter wants some values: one, those of a list, a range, what begins alike.
func (f *Fragment) Bounded() []types.ColumnID { return f.bounded(f.Filter, nil) }

func (f *Fragment) bounded(n *expr.Node, out []types.ColumnID) []types.ColumnID {
	if n == nil || n.Kind != expr.NodeCall {
		return out
	}
	if n.Func == "and" {
		for _, a := range n.Args {
			out = f.bounded(a, out)
		}
		return out
	}
	col, ok := comparedColumn(n)
	if !ok {
		return out
	}
	if col, _ = TextOf(col); col.Kind == expr.NodeColumn {
		if id := f.Columns[col.Col]; slices.Contains(f.Schema.Indexed, id) && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}
