package plan

import (
	"slices"
	"strconv"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/expr"
	sqltypes "stele/sql/types"
)

// ENUM, SET and BIT columns are numbers in the store and everywhere in a plan: so they sort, group and join. What needs
// their text gets it here: functions over strings, comparisons with strings, unions, and at last the client.

// special returns the stored column that an expression is, when it is an ENUM, SET or BIT.
func (b *binder) special(n *expr.Node) *types.Column {
	if n.Kind != expr.NodeColumn {
		return nil
	}
	c := &b.cols[n.Col]
	if c.table == nil || c.pos < 0 {
		return nil
	}
	if col := &c.table.Schema.Columns[c.pos]; col.Special() {
		return col
	}
	return nil
}

// specialArg is special of an argument that may be missing.
func (b *binder) specialArg(n *expr.Node) *types.Column {
	if n == nil {
		return nil
	}
	return b.special(n)
}

// memberArgs are the members of a column as arguments.
func memberArgs(first *expr.Node, c *types.Column) []*expr.Node {
	out := []*expr.Node{first}
	for _, m := range c.Elems {
		out = append(out, constString(m))
	}
	return out
}

// shown is an expression as users see its values.
func (b *binder) shown(n *expr.Node) (*expr.Node, error) {
	c := b.special(n)
	switch {
	case c == nil:
		return n, nil
	case c.Bits > 0:
		return expr.Call("bit_bytes", n, constInt(int64(c.Bits)))
	case c.IsSet():
		return expr.Call("set_text", memberArgs(n, c)...)
	}
	return expr.Call("enum_text", memberArgs(n, c)...)
}

// counted is shown where BIT is a number.
func (b *binder) counted(n *expr.Node) (*expr.Node, error) {
	if c := b.special(n); c != nil && c.Bits > 0 {
		return n, nil
	}
	return b.shown(n)
}

// shownBeside is shown in a union: a BIT stays a number beside numbers.
func (b *binder) shownBeside(n, other *expr.Node) (*expr.Node, error) {
	if c := b.special(n); c != nil && c.Bits > 0 && other.Type.IsNumeric() && b.special(other) == nil {
		return n, nil
	}
	return b.shown(n)
}

// given is an expression as a column is assigned it: BIT is a number to every column, ENUM and SET to those of numbers; others get the text.
func (b *binder) given(n *expr.Node, to *types.Column) (*expr.Node, error) {
	c := b.special(n)
	if c != nil && (c.Bits > 0 || to.Bits > 0 || !to.Special() && to.Type.IsNumeric()) {
		return n, nil
	}
	return b.shown(n)
}

// stored is an expression as a column keeps it, for assignments that refer to one another.
func (b *binder) stored(n *expr.Node, c *types.Column) (*expr.Node, error) {
	if !c.Special() || c.Bits > 0 || !n.Type.IsString() {
		return b.coerce(n, c.Type)
	}
	if n.Kind == expr.NodeConst && n.Value.Null {
		return constNull(c.Type), nil
	}
	name := "enum_index"
	if c.IsSet() {
		name = "set_bits"
	}
	return b.call(name, memberArgs(n, c)...)
}

// numbers are the functions that take an ENUM or SET as its number.
var numbers = map[string]bool{"+": true, "-": true, "*": true, "/": true, "%": true, "div": true, "mod": true, "&": true, "|": true,
	"^": true, "~": true, "<<": true, ">>": true, "isnull": true, "istrue": true, "isfalse": true, "not": true, "and": true, "or": true, "xor": true,
	"abs": true, "round": true, "floor": true, "ceil": true, "sign": true, "truncate": true, "neg": true, "pow": true,
	"sqrt": true, "exp": true, "ln": true, "log": true, "log2": true, "log10": true, "sin": true, "cos": true, "tan": true, "cot": true, "asin": true,
	"acos": true, "atan": true, "degrees": true, "radians": true, "enum_text": true, "set_text": true, "bit_bytes": true, "bit_count": true}

// signed are those of them whose result may be negative.
var signed = map[string]bool{"+": true, "-": true, "*": true, "neg": true}

// signedMembers makes doubles of ENUM and SET, as MySQL does.
func (b *binder) signedMembers(args []*expr.Node) ([]*expr.Node, error) {
	out := slices.Clone(args)
	for i, a := range args {
		if c := b.special(a); c == nil || c.Bits > 0 {
			continue
		}
		var err error
		if out[i], err = b.coerce(a, types.ColumnType{Kind: types.KindDouble}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

var comparisons = map[string]bool{"=": true, "!=": true, "<=>": true, "<": true, "<=": true, ">": true, ">=": true, "in": true}

// members prepares the arguments of a function for those that are ENUM, SET or BIT columns.
func (b *binder) members(name string, args []*expr.Node) ([]*expr.Node, error) {
	some := false
	for _, a := range args {
		some = some || b.special(a) != nil
	}
	switch {
	case some && signed[name]:
		return b.signedMembers(args)
	case !some || numbers[name]:
		return args, nil
	}
	if comparisons[name] {
		if out, ok := b.compared(name, args); ok {
			return out, nil
		}
	}
	out := make([]*expr.Node, len(args))
	for i, a := range args {
		if c := b.special(a); c != nil && c.Bits > 0 { // a number in every function
			out[i] = a
			continue
		}
		var err error
		if out[i], err = b.shown(a); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// compared has a column compared by its number where that gives MySQL's answer: with numbers, with itself, and for equality
// with members.
func (b *binder) compared(name string, args []*expr.Node) ([]*expr.Node, bool) {
	at := 0
	if b.special(args[0]) == nil {
		at = 1
	}
	c := b.special(args[at])
	switch {
	case c != nil && c.Bits > 0:
		return bitConsts(args), true
	case c == nil || name == "in" && at != 0:
		return nil, false
	}
	equality := name == "=" || name == "!=" || name == "<=>" || name == "in"
	out := append([]*expr.Node(nil), args...)
	for i, a := range args {
		switch o := b.special(a); {
		case i == at:
		case o != nil:
			if o != c || !equality {
				return nil, false
			}
		case a.Type.Kind == types.KindNull || !a.Type.IsString():
		case a.Kind == expr.NodeConst && equality:
			out[i] = memberConst(c, a)
		default:
			return nil, false
		}
	}
	return out, true
}

// bitConsts reads bit and hex literals as numbers.
func bitConsts(args []*expr.Node) []*expr.Node {
	out := append([]*expr.Node(nil), args...)
	for i, a := range args {
		if a.Kind != expr.NodeConst || a.Value.Null || a.Type.Kind != types.KindVarBinary || len(a.Value.B) > 8 {
			continue
		}
		v, t := bytesCell(a.Value.B, types.ColumnType{Kind: types.KindBigInt})
		out[i] = expr.Const(v, t)
	}
	return out
}

// memberConst is the number of a text; what is no value of the column equals none of them.
func memberConst(c *types.Column, a *expr.Node) *expr.Node {
	if a.Value.Null {
		return constNull(c.Type)
	}
	n := sqltypes.EnumIndex(c.Elems, a.Value.B)
	found := n > 0 || len(a.Value.B) == 0
	if c.IsSet() {
		bits, ok := sqltypes.SetBits(c.Elems, a.Value.B)
		n, found = int64(bits), ok && sqltypes.SetText(c.Elems, bits) == string(a.Value.B)
	}
	if !found {
		return constInt(-1)
	}
	return constInt(n)
}

// bitDefault reads the DEFAULT of a BIT column, which is kept as SHOW prints it: b'101'.
func bitDefault(text string) (expr.Value, types.ColumnType) {
	n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(text, "b'"), "'"), 2, 64)
	if err != nil {
		panic("BUG: the default of a BIT column is " + text)
	}
	return expr.Value{I: int64(n)}, types.ColumnType{Kind: types.KindBigInt, Unsigned: true}
}

// showFields gives the fields of a query the text that users see.
func (b *binder) showFields(q queryOut) (queryOut, error) {
	return b.formFields(q, func(_ int, n *expr.Node) (*expr.Node, error) { return b.shown(n) })
}

// valueFields gives the fields of a subquery that is a value the form in which they are compared: BIT stays a number.
func (b *binder) valueFields(q queryOut) (queryOut, error) {
	return b.formFields(q, func(_ int, n *expr.Node) (*expr.Node, error) { return b.counted(n) })
}

// giveFields gives the fields of a query the form in which columns of a table are assigned them.
func (b *binder) giveFields(q queryOut, t *catalog.Table, columns []int) (queryOut, error) {
	return b.formFields(q, func(i int, n *expr.Node) (*expr.Node, error) { return b.given(n, &t.Schema.Columns[columns[i]]) })
}

// formFields gives the fields of a query that are ENUM, SET or BIT columns another form.
func (b *binder) formFields(q queryOut, form func(i int, n *expr.Node) (*expr.Node, error)) (queryOut, error) {
	some := false
	for _, f := range q.fields {
		some = some || b.special(b.col(f.id)) != nil
	}
	if !some {
		return q, nil
	}
	var items []item
	out := queryOut{}
	type formed struct {
		id    int
		other bool // than it is stored
	}
	made := map[formed]int{}
	for i, f := range q.fields {
		x, err := form(i, b.col(f.id))
		if err != nil {
			return q, err
		}
		key := formed{f.id, x.Kind != expr.NodeColumn}
		id, ok := made[key]
		if !ok {
			id = f.id
			if key.other {
				c := column{name: f.name, typ: x.Type, origin: b.cols[f.id].origin}
				c.origin.Type = x.Type
				c.origin.Type.NotNull = b.cols[f.id].typ.NotNull && b.cols[f.id].origin.Type.NotNull
				c.typ = c.origin.Type
				id = b.newColumn(c)
			}
			made[key] = id
			items = append(items, item{id, x})
		}
		out.fields = append(out.fields, field{f.name, id})
	}
	out.rel = project(q.rel, items)
	return out, nil
}
