package expr

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/fn"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// Col makes a reference to column i of the input batch.
func Col(i int, t types.ColumnType) *Node { return &Node{Kind: NodeColumn, Type: t, Col: i} }

// Const makes a constant.
func Const(v Value, t types.ColumnType) *Node {
	t.NotNull = !v.Null
	return &Node{Kind: NodeConst, Type: t, Value: v}
}

// Null makes an untyped NULL.
func Null() *Node { return Const(vec.NullValue(), types.ColumnType{Kind: types.KindNull}) }

// ConstInt makes an integer literal.
func ConstInt(v int64) *Node { return Const(vec.Int(v), types.ColumnType{Kind: types.KindBigInt}) }

// ConstUint makes an integer literal that may exceed the signed range.
func ConstUint(v uint64) *Node {
	return Const(vec.Int(int64(v)), types.ColumnType{Kind: types.KindBigInt, Unsigned: int64(v) < 0})
}

// ConstBool makes TRUE or FALSE.
func ConstBool(v bool) *Node { return Const(vec.Bool(v), types.ColumnType{Kind: types.KindBool}) }

// ConstFloat makes a literal with an exponent.
func ConstFloat(v float64) *Node {
	return Const(vec.Float(v), types.ColumnType{Kind: types.KindDouble})
}

// ConstString makes a character literal.
func ConstString(s string) *Node {
	return Const(vec.Str([]byte(s)), types.ColumnType{Kind: types.KindVarChar, Length: int32(utf8.RuneCountInString(s))})
}

// ConstBytes makes a binary literal (X'…').
func ConstBytes(b []byte) *Node {
	return Const(vec.Str(b), types.ColumnType{Kind: types.KindVarBinary, Length: int32(len(b))})
}

// ConstDecimal makes an exact literal such as 12.50, with the precision and scale as written; a text of more than 38
// digits is error 1690.
func ConstDecimal(text string) (*Node, error) {
	v, scale, used, fits := sqltypes.ParseDecimal([]byte(text))
	if used != len(text) || used == 0 {
		return nil, sqltypes.Errorf(errno.IllegalValue, "Illegal decimal value '%s' found during parsing", text)
	}
	if !fits || scale > 30 {
		return nil, sqltypes.ErrOutOfRange("DECIMAL", text)
	}
	digits := int32(1)
	for digits < 38 && !sqltypes.FitsDecimal(v, digits) {
		digits++
	}
	t := types.ColumnType{Kind: types.KindDecimal, Length: max(digits, scale, 1), Scale: scale}
	if t.Phys() == types.PhysDec128 {
		return Const(vec.Dec(v), t), nil
	}
	return Const(vec.Int(int64(v.Lo)), t), nil
}

// Call makes a call of a function or operator: it resolves the types by MySQL's rules and inserts the casts that the
// function wants. BETWEEN becomes two comparisons; nested ANDs and ORs become one.
func Call(name string, args ...*Node) (*Node, error) {
	name = strings.ToLower(name)
	if name == "between" && len(args) == 3 {
		return between(args)
	}
	if name == "->>" {
		inner, err := Call("json_extract", args...)
		if err != nil {
			return nil, err
		}
		name, args = "json_unquote", []*Node{inner}
	}
	name, args = parameterize(name, args)
	args = flatten(name, args)
	if d := fn.Lookup(name); d != nil && d.Group == "comparison" {
		args = adaptConstants(unquoteJSON(args))
	}
	ts := make([]types.ColumnType, len(args))
	for i, a := range args {
		ts[i] = operandType(a)
	}
	sig, err := fn.Resolve(name, ts)
	if err != nil {
		return nil, err
	}
	out := &Node{Kind: NodeCall, Func: sig.Name, Type: sig.Result, Args: make([]*Node, len(args))}
	for i, a := range args {
		out.Args[i] = coerce(a, sig.Args[i])
	}
	return out, nil
}

// MustCall is Call for calls whose types are known to be right.
func MustCall(name string, args ...*Node) *Node {
	n, err := Call(name, args...)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return n
}

// operandType is the type by which an argument is resolved. The display width of an integer column means nothing; an
// integer literal tells how many digits it has.
func operandType(n *Node) types.ColumnType {
	t := n.Type
	if n.Kind == NodeConst && !n.Value.Null && (t.Kind == types.KindVarChar || t.Kind == types.KindChar) {
		return fn.LiteralText(t, n.Value.B)
	}
	if !t.IsInteger() {
		return t
	}
	t.Length = 0
	if n.Kind == NodeConst && !n.Value.Null && t.Kind == types.KindBigInt {
		t.Length = int32(len(strings.TrimPrefix(strconv.FormatInt(n.Value.I, 10), "-")))
		if t.Unsigned {
			t.Length = int32(len(strconv.FormatUint(uint64(n.Value.I), 10)))
		}
	}
	return t
}

// coerce makes n a value of type want, by a cast where the physical form or the values may differ.
func coerce(n *Node, want types.ColumnType) *Node {
	have := operandType(n)
	if fn.SameForm(have, want) {
		return n
	}
	if n.Kind == NodeConst && n.Value.Null {
		return Const(vec.NullValue(), want)
	}
	want.NotNull = false
	return Cast(n, want)
}

// Cast makes an explicit conversion.
func Cast(n *Node, to types.ColumnType) *Node {
	sig := fn.ResolveCast(n.Type, to)
	return &Node{Kind: NodeCall, Func: "cast", Type: sig.Result, Args: []*Node{n}}
}

// parameterize moves a constant argument that decides the type of the result into the name: the digits of ROUND and
// TRUNCATE, the precision of NOW, the format of STR_TO_DATE. TIMESTAMPADD becomes DATE_ADD.
func parameterize(name string, args []*Node) (string, []*Node) {
	if unit, ok := strings.CutPrefix(name, "timestampadd:"); ok && len(args) == 2 {
		return "date_add:" + unit, []*Node{args[1], args[0]}
	}
	d := fn.Lookup(name)
	if d == nil || d.Params == nil || strings.Contains(name, ":") || len(args) == 0 {
		return name, args
	}
	last := args[len(args)-1]
	if last.Kind != NodeConst || last.Value.Null {
		return name, args
	}
	isInt := last.Type.IsInteger()
	switch {
	case (d.Name == "round" || d.Name == "truncate") && len(args) == 2 && isInt:
		return d.Name + ":" + strconv.FormatInt(max(-38, min(last.Value.I, 30)), 10), args
	case d.Max == 0 && isInt:
		return name + ":" + strconv.FormatInt(last.Value.I, 10), nil
	case d.Name == "str_to_date" && last.Type.Phys() == types.PhysBytes:
		return "str_to_date:" + fn.FormatShape(string(last.Value.B)), args
	}
	return name, args
}

func between(args []*Node) (*Node, error) {
	low, err := Call(">=", args[0], args[1])
	if err != nil {
		return nil, err
	}
	high, err := Call("<=", args[0], args[2])
	if err != nil {
		return nil, err
	}
	return Call("and", low, high)
}

// flatten merges the arguments of AND and OR with those of calls of the same function below.
func flatten(name string, args []*Node) []*Node {
	d := fn.Lookup(name)
	if d == nil || d.Lazy != fn.LazyAnd && d.Lazy != fn.LazyOr {
		return args
	}
	var out []*Node
	for _, a := range args {
		if a.Kind == NodeCall && a.Func == d.Name {
			out = append(out, a.Args...)
		} else {
			out = append(out, a)
		}
	}
	return out
}

// unquoteJSON compares JSON values with text by their text, so that doc->'$.a' = 'x' holds for the JSON string "x".
func unquoteJSON(args []*Node) []*Node {
	text := false
	for _, a := range args {
		text = text || a.Type.IsString() && a.Type.Kind != types.KindJSON
	}
	out := append([]*Node(nil), args...)
	for i, a := range args {
		if text && a.Type.Kind == types.KindJSON {
			out[i] = MustCall("json_unquote", a)
		}
	}
	return out
}

// adaptConstants turns string constants that are compared with integers or dates into constants of that type when that
// cannot change the outcome, so that the column stays bare (key lookups, pruning, filter kernels).
func adaptConstants(args []*Node) []*Node {
	var other types.ColumnType
	for _, a := range args {
		if a.Kind != NodeConst {
			if other.Kind != types.KindNull && (a.Type.Kind != other.Kind || a.Type.Unsigned != other.Unsigned) {
				return args
			}
			other = a.Type
		}
	}
	out := make([]*Node, len(args))
	for i, a := range args {
		out[i] = a
		if a.Kind != NodeConst || a.Value.Null || a.Type.Phys() != types.PhysBytes {
			continue
		}
		c := adaptConstant(a, other)
		if c == nil {
			return args
		}
		out[i] = c
	}
	return out
}

func adaptConstant(a *Node, other types.ColumnType) *Node {
	switch {
	case other.IsInteger() && other.Kind != types.KindYear:
		mag, neg, complete, fits := sqltypes.ParseInt(a.Value.B)
		if !complete || !fits || mag > 1<<63-1 {
			return nil
		}
		if neg {
			return ConstInt(-int64(mag))
		}
		return ConstInt(int64(mag))
	case other.Kind == types.KindDate:
		t, ok := sqltypes.ParseDateTime(a.Value.B, nil)
		days, rest := sqltypes.FloorDay(t.Micros)
		if !ok || rest != 0 || t.HasTime && len(a.Value.B) > 19 { // a zone offset may be in there
			return nil
		}
		return Const(vec.Int(days), types.ColumnType{Kind: types.KindDate})
	}
	return nil
}

// Walk calls f for n and everything below it, parents first.
func Walk(n *Node, f func(*Node)) {
	f(n)
	for _, a := range n.Args {
		Walk(a, f)
	}
}

// Rewrite rebuilds a tree bottom-up: f gets each node with its arguments already rewritten and returns its
// replacement. Nodes are never changed in place; f must not either.
func Rewrite(n *Node, f func(*Node) *Node) *Node {
	if len(n.Args) > 0 {
		args := make([]*Node, len(n.Args))
		changed := false
		for i, a := range n.Args {
			args[i] = Rewrite(a, f)
			changed = changed || args[i] != a
		}
		if changed {
			c := *n
			c.Args = args
			n = &c
		}
	}
	return f(n)
}

// Columns returns the set of input columns that n reads.
func Columns(n *Node) map[int]bool {
	out := map[int]bool{}
	Walk(n, func(x *Node) {
		if x.Kind == NodeColumn {
			out[x.Col] = true
		}
	})
	return out
}

// IsVolatile reports whether n calls a function whose result differs from call to call.
func IsVolatile(n *Node) bool {
	found := false
	Walk(n, func(x *Node) {
		if x.Kind == NodeCall {
			d := fn.Lookup(x.Func)
			found = found || d != nil && d.Volatile
		}
	})
	return found
}
