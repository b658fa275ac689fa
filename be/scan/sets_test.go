package scan

import (
	"fmt"
	"testing"

	"stele/be/tablet/sought"
	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

// TestPruneSets: what a filter leaves of each column is as narrow as it says, and never narrower.
func TestPruneSets(t *testing.T) {
	text, integer := types.ColumnType{Kind: types.KindVarChar, Length: 20}, types.ColumnType{Kind: types.KindBigInt}
	schema := types.Schema{Columns: []types.Column{{ID: 1, Type: integer}, {ID: 2, Type: integer}, {ID: 3, Type: text}}}
	a, b, s := &expr.Node{Kind: expr.NodeColumn, Type: integer}, &expr.Node{Kind: expr.NodeColumn, Type: integer, Col: 1}, &expr.Node{Kind: expr.NodeColumn, Type: text, Col: 2}
	call := func(name string, args ...*expr.Node) *expr.Node {
		return &expr.Node{Kind: expr.NodeCall, Func: name, Type: types.ColumnType{Kind: types.KindBool}, Args: args}
	}
	num := func(x int64) *expr.Node { return expr.Const(vec.Int(x), integer) }
	str := func(x string) *expr.Node { return expr.Const(vec.Str([]byte(x)), text) }
	none := expr.Const(vec.NullValue(), integer)
	for _, c := range []struct {
		filter *expr.Node
		want   string
	}{
		{call("in", a, num(7), num(3), num(7), none), "1:[3 3][7 7]"},
		{call("in", a, num(7), b), ""},
		{call("and", call(">=", a, num(2)), call("<=", a, num(9))), "1:[2 9]"},
		{call("and", call("in", a, num(2), num(5), num(9)), call(">", a, num(4)), call("=", b, num(1))), "1:[5 5][9 9] 2:[1 1]"},
		{call("or", call("=", a, num(9)), call("<", a, num(3)), call("and", call(">", a, num(1)), call("<", a, num(4)))), "1:[- 4][9 9]"},
		{call("or", call("=", a, num(9)), call("=", b, num(3))), ""},
		{call("or", call("and", call("=", a, num(1)), call("=", b, num(5))), call("and", call("=", a, num(2)), call("=", b, num(6)))), "1:[1 1][2 2] 2:[5 5][6 6]"},
		{call("or", call("isnull", a), call("=", a, num(1))), "1:[1 1]null"},
		{call("<=>", a, none), "1:null"},
		{call("=", a, none), "1:"},
		{call("and", call("=", a, num(1)), call("=", a, num(2))), "1:"},
		{call(">", num(5), a), "1:[- 5]"},
		{call("!=", a, num(5)), ""},
		{call("not", call("=", a, num(5))), ""},
		{call("like", s, str("ab%c")), "3:[ab ac]"},
		{call("like", s, str(`a\_b`)), "3:[a b]"},
		{call("like", s, str("%a")), ""},
	} {
		f := &physical.Fragment{Schema: schema, Columns: []types.ColumnID{1, 2, 3}, Filter: c.filter}
		if got := showSets(prune(f)); got != c.want {
			t.Errorf("%s %d: %q, want %q", c.filter.Func, len(c.filter.Args), got, c.want)
		}
	}
}

func showSets(sets []sought.Predicate) (out string) {
	show := func(p *sought.Predicate, v expr.Value) string {
		switch {
		case v.Null:
			return "-"
		case p.Column == 3:
			return string(v.B)
		}
		return fmt.Sprint(v.I)
	}
	for i := range sets {
		p := &sets[i]
		if i > 0 {
			out += " "
		}
		out += fmt.Sprintf("%d:", p.Column)
		for _, r := range p.Ranges {
			out += "[" + show(p, r.Lo) + " " + show(p, r.Hi) + "]"
		}
		if p.Null {
			out += "null"
		}
	}
	return out
}

// TestEarlyIsNotVolatile: what has another value each time must not be asked twice.
func TestEarlyIsNotVolatile(t *testing.T) {
	f := &physical.Fragment{Filter: expr.MustCall("<", expr.MustCall("rand"), expr.Const(vec.Value{F: 0.5}, types.ColumnType{Kind: types.KindDouble}))}
	if newEarly(f, expr.Context{}, 1).filter != nil {
		t.Error("a filter with RAND() is asked early")
	}
}
