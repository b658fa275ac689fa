package plan

import (
	"slices"
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	"stele/sql/fn"
	sqltypes "stele/sql/types"
)

// A constant text that is compared with a DATE, DATETIME or TIMESTAMP has to be one (error 1525), which '0000-00-00' is only without
// NO_ZERO_DATE. In BETWEEN, and among several values of IN or CASE, one that is none counts as the zero date.

// isDated reports whether values of a type have a date.
func isDated(t types.ColumnType) bool {
	return t.Kind == types.KindDate || t.Kind == types.KindDateTime || t.Kind == types.KindTimestamp
}

// noDate reports whether an expression is a constant text that is no date.
func (b *binder) noDate(n *expr.Node) bool {
	if n.Kind != expr.NodeConst || n.Value.Null || !n.Type.IsString() || n.Type.Kind == types.KindJSON {
		return false
	}
	t, _, ok := sqltypes.LeadingDateTime(n.Value.B, b.ctx.Location())
	return !ok || t.Micros == sqltypes.ZeroOf(types.KindDateTime) && !b.ctx.ZeroDates()
}

// mustBeDate refuses a comparison of a date with a constant text that is none.
func (b *binder) mustBeDate(args []*expr.Node) error {
	for i, a := range args {
		if n := args[1-i]; isDated(a.Type) && b.noDate(n) {
			return errorf(errno.WrongLiteral, "Incorrect %s value: '%s'", strings.ToUpper(sqltypes.TypeName(types.ColumnType{Kind: a.Type.Kind})), n.Value.B)
		}
	}
	return nil
}

// datesAmong replaces the texts among values that are compared with a date and are none; in a strict write they are an error.
func (b *binder) datesAmong(values []*expr.Node) ([]*expr.Node, error) {
	out := slices.Clone(values)
	for i, n := range out {
		switch {
		case !b.noDate(n):
		case b.strictWrite:
			return nil, errorf(errno.TruncatedWrongValue, "Incorrect datetime value: '%s'", n.Value.B)
		default:
			out[i] = zeroDate(types.ColumnType{Kind: types.KindDateTime})
		}
	}
	return out, nil
}

// beyondTimestamps has constants that are a date, but none of a TIMESTAMP, compared with one as the DATETIME that they are.
func (b *binder) beyondTimestamps(values []*expr.Node) []*expr.Node {
	if !slices.ContainsFunc(values, func(n *expr.Node) bool { return n.Type.Kind == types.KindTimestamp }) {
		return values
	}
	dateTime, out := types.ColumnType{Kind: types.KindDateTime, Scale: 6}, slices.Clone(values)
	for i, n := range out {
		if n.Kind != expr.NodeConst || n.Value.Null || n.Type.IsTemporal() {
			continue
		}
		if moment, ok := b.constAs(n, dateTime); ok {
			if _, ok := b.constAs(n, types.ColumnType{Kind: types.KindTimestamp, Scale: 6}); !ok {
				out[i] = expr.Const(moment, dateTime)
			}
		}
	}
	return out
}

// constAs is the value of a constant in another type, if it has one.
func (b *binder) constAs(n *expr.Node, to types.ColumnType) (expr.Value, bool) {
	v, err := sqltypes.Cast(n.Value, n.Type, to, sqltypes.Env{Loc: b.ctx.Location(), NowMicros: b.ctx.NowMicros})
	return v, err == nil && !v.Null
}

// datesWith is datesAmong for values of which the first is compared with each of the others.
func (b *binder) datesWith(values []*expr.Node) ([]*expr.Node, error) {
	values = b.beyondTimestamps(values)
	first, others := values[0], values[1:]
	if isDated(first.Type) || b.noDate(first) && !slices.ContainsFunc(others, func(n *expr.Node) bool { return !isDated(n.Type) }) {
		return b.datesAmong(values)
	}
	return values, nil
}

// insist has what a strict write makes of a value that is no date, or that leaves the calendar, be an error.
func (b *binder) insist(name string, args []*expr.Node, n *expr.Node) (*expr.Node, error) {
	if !b.strictWrite || n.Kind != expr.NodeCall {
		return n, nil
	}
	base, _, _ := strings.Cut(name, ":")
	def := fn.Lookup(base)
	for i, a := range n.Args {
		if def != nil && (def.Group == "date" || def.Group == "arithmetic") && isCall(a, "cast") && i < len(args) && a.Args[0] == args[i] && isPlainText(args[i].Type) {
			a.Func = "cast:strict"
		}
	}
	way := map[string]string{"date_add": "insist", "adddate": "insist", "date_sub": "insist", "subdate": "insist", "str_to_date": "insist:str_to_date"}[base]
	if way == "" {
		return n, nil
	}
	made, err := b.foldCall(n)
	if err != nil || made.Kind == expr.NodeConst && !made.Value.Null {
		return made, err
	}
	return expr.Call(way, append([]*expr.Node{made}, n.Args...)...)
}

func isPlainText(t types.ColumnType) bool { return t.IsString() && t.Kind != types.KindJSON }
