package plan

import (
	"math"
	"strconv"
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	sqltypes "stele/sql/types"
)

// literal types a constant of the statement.
func (b *binder) literal(n ast.ValueExpr) (*expr.Node, error) {
	if p, ok := n.(*ast.Param); ok {
		return b.param(p)
	}
	l, ok := n.(*ast.Literal)
	if !ok {
		return nil, refuse("this kind of literal")
	}
	if l.Type.GetFlag()&ast.UnderScoreCharsetFlag != 0 {
		return b.introduced(l)
	}
	switch l.Kind {
	case ast.LiteralNull:
		return expr.Null(), nil
	case ast.LiteralInt:
		if l.Bool {
			return expr.ConstBool(l.Int != 0), nil
		}
		return expr.ConstInt(l.Int), nil
	case ast.LiteralUint:
		return expr.ConstUint(l.Uint), nil
	case ast.LiteralDecimal:
		return expr.ConstDecimal(l.Str)
	case ast.LiteralFloat:
		return expr.ConstFloat(l.Float), nil
	case ast.LiteralHex, ast.LiteralBit:
		return expr.ConstBytes([]byte(l.Str)), nil
	}
	return expr.ConstString(l.Str), nil
}

// negative makes the constant of a minus sign and a number; nil for anything else. A sign and an integer beyond the signed
// range are a decimal, but for the smallest BIGINT.
func negative(l *ast.Literal) *expr.Node {
	switch {
	case l.Kind == ast.LiteralInt && !l.Bool:
		return expr.ConstInt(-l.Int)
	case l.Kind == ast.LiteralUint && l.Uint == 1<<63:
		return expr.ConstInt(math.MinInt64)
	case l.Kind == ast.LiteralFloat:
		return expr.ConstFloat(-l.Float)
	}
	text := l.Str
	if l.Kind == ast.LiteralUint {
		text = strconv.FormatUint(l.Uint, 10)
	} else if l.Kind != ast.LiteralDecimal {
		return nil
	}
	c, err := expr.ConstDecimal("-" + text)
	if err != nil {
		return nil
	}
	return c
}

// param puts a bound value in the place of a question mark.
func (b *binder) param(n ast.ParamMarkerExpr) (*expr.Node, error) {
	p, ok := n.(*ast.Param)
	if ok && b.ctx.Describe && p.Order >= len(b.ctx.Params) {
		return expr.Null(), nil
	}
	if !ok || p.Order >= len(b.ctx.Params) {
		return nil, errorf(errno.WrongArguments, "Incorrect arguments to EXECUTE")
	}
	v := b.ctx.Params[p.Order]
	return expr.Const(v.Value, v.Type), nil
}

// literalString returns the text of a string literal, which names its column in a result.
func literalString(n ast.ValueExpr) (string, bool) {
	l, ok := n.(*ast.Literal)
	if !ok || l.Kind != ast.LiteralString {
		return "", false
	}
	return l.Str, true
}

// trimText makes the text of a select item its name.
func trimText(s string) string { return strings.TrimSpace(s) }

// typedLiteral reads DATE '...', TIME '...' and TIMESTAMP '...'.
func (e *env) typedLiteral(kind types.Kind, arg ast.ExprNode) (*expr.Node, error) {
	x, err := e.bind(arg)
	if err != nil {
		return nil, err
	}
	if x.Kind != expr.NodeConst || !x.Type.IsString() {
		return nil, refuse("a typed literal of anything but a string")
	}
	to := types.ColumnType{Kind: kind}
	if _, frac, ok := strings.Cut(string(x.Value.B), "."); ok && kind != types.KindDate {
		to.Scale = int32(min(len(frac), 6))
	}
	v, err := sqltypes.Convert(x.Value, x.Type, to, true, e.b.ctx.Location())
	if err != nil || v.I == sqltypes.ZeroOf(kind) && kind != types.KindTime && !e.b.ctx.ZeroDates() {
		return nil, errorf(errno.WrongLiteral, "Incorrect %s value: '%s'", strings.ToUpper(sqltypes.TypeName(to)), x.Value.B)
	}
	return expr.Const(v, to), nil
}
