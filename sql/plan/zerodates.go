package plan

import (
	"stele/meta/types"
	"stele/sql/expr"
	sqltypes "stele/sql/types"
)

// '0000-00-00' is a value of every DATE, DATETIME and TIMESTAMP, and comparisons of columns always know it. With NO_ZERO_DATE, which is in the
// default sql_mode, a constant text that says it is no date to compare with (see momenttext.go), it is stored with a warning, or not at all in strict mode, and text or a number that says it is NULL where the
// statement asks for a date.

// ZeroDates reports whether the session takes zero dates as it takes any date.
func (c *Context) ZeroDates() bool {
	return !hasMode(c.SQLMode, "NO_ZERO_DATE") && !hasMode(c.SQLMode, "TRADITIONAL")
}

// madeDate is a date that a statement makes of an argument: with NO_ZERO_DATE a zero date is NULL instead, unless a column held it.
func (b *binder) madeDate(n *expr.Node, from types.ColumnType) (*expr.Node, error) {
	k := n.Type.Kind
	if k != types.KindDate && k != types.KindDateTime || from.IsTemporal() || b.ctx.ZeroDates() {
		return n, nil
	}
	if n.Kind == expr.NodeConst && (n.Value.Null || n.Value.I != sqltypes.ZeroOf(k)) {
		return n, nil
	}
	return b.call("nullif", n, zeroDate(n.Type))
}

// zeroDate is the zero date as a constant.
func zeroDate(t types.ColumnType) *expr.Node {
	t.NotNull = false
	return expr.Const(expr.Value{I: sqltypes.ZeroOf(t.Kind)}, t)
}

// orZeroDates makes a condition that asks for NULL in a DATE or DATETIME column that is declared NOT NULL find its zero dates, too: by
// this old clients, which have no such date, ask for them. As in MySQL it counts only in a WHERE, and not below a NOT.
func (b *binder) orZeroDates(p *expr.Node) (*expr.Node, error) {
	if isCall(p, "and") || isCall(p, "or") {
		args := make([]*expr.Node, len(p.Args))
		for i, a := range p.Args {
			var err error
			if args[i], err = b.orZeroDates(a); err != nil {
				return nil, err
			}
		}
		return b.call(p.Func, args...)
	}
	if !isCall(p, "isnull") || p.Args[0].Kind != expr.NodeColumn {
		return p, nil
	}
	c := b.cols[p.Args[0].Col]
	if c.table == nil || c.pos < 0 || c.pos >= len(c.table.Schema.Columns) {
		return p, nil
	}
	t := c.table.Schema.Columns[c.pos].Type
	if !t.NotNull || t.Kind != types.KindDate && t.Kind != types.KindDateTime {
		return p, nil
	}
	zero, err := b.call("=", p.Args[0], zeroDate(t))
	if err != nil {
		return nil, err
	}
	return b.call("or", p, zero)
}
