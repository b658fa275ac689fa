package plan

import (
	"slices"

	"stele/meta/types"
	"stele/sql/expr"
	ast "stele/sql/parse"
	sqltypes "stele/sql/types"
)

// years has a column of years compared with constants as with the years that it would store of them: 70 is 1970, and '0' is 2000. A constant
// that it would not store is compared as it stands, and so is one beside an expression.
func (b *binder) years(nodes []ast.ExprNode, values []*expr.Node) []*expr.Node {
	at := slices.IndexFunc(values, func(n *expr.Node) bool { return n.Kind == expr.NodeColumn && n.Type.Kind == types.KindYear })
	if at < 0 {
		return values
	}
	if _, named := ast.Unparen(nodes[at]).(*ast.ColumnNameExpr); !named {
		return values
	}
	out, year := slices.Clone(values), types.ColumnType{Kind: types.KindYear}
	for i, n := range values {
		switch {
		case i == at:
		case n.Kind != expr.NodeConst:
			return values
		case !n.Value.Null && n.Type.Kind != types.KindYear:
			v, err := sqltypes.Convert(n.Value, n.Type, year, true, b.ctx.Location())
			if err == nil && !(n.Type.IsInteger() && v.I == n.Value.I) {
				out[i] = expr.Const(v, year)
			}
		}
	}
	return out
}
