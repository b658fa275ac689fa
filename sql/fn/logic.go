package fn

import (
	"math/bits"

	"stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

func init() {
	register(
		Def{Name: "and", Aliases: []string{"&&"}, Group: "logic", Syntax: "a AND b", Doc: "False when either is false, else NULL when either is NULL.", Min: 2, Max: -1, TakesNull: true,
			Lazy: LazyAnd, Rule: fixed(tBool, tBool), Row: func(_ *Call, a []vec.Value) (vec.Value, error) { return junction(a, false), nil }},
		Def{Name: "or", Aliases: []string{"||"}, Group: "logic", Syntax: "a OR b", Doc: "True when either is true, else NULL when either is NULL.", Min: 2, Max: -1, TakesNull: true,
			Lazy: LazyOr, Rule: fixed(tBool, tBool), Row: func(_ *Call, a []vec.Value) (vec.Value, error) { return junction(a, true), nil }},
		Def{Name: "xor", Group: "logic", Syntax: "a XOR b", Doc: "True when exactly one is true.", Min: 2, Max: 2, Rule: fixed(tBool, tBool),
			Row: func(_ *Call, a []vec.Value) (vec.Value, error) { return vec.Bool((a[0].I != 0) != (a[1].I != 0)), nil }},
		Def{Name: "not", Aliases: []string{"!"}, Group: "logic", Syntax: "NOT a", Doc: "Negation; NULL of NULL.", Min: 1, Max: 1, Rule: fixed(tBool, tBool),
			Row: func(_ *Call, a []vec.Value) (vec.Value, error) { return vec.Bool(a[0].I == 0), nil }, Vec: notVec},

		Def{Name: "case", Group: "control", Syntax: "CASE WHEN cond THEN value ... [ELSE value] END", Doc: "The value of the first condition that is true.", Min: 2, Max: -1, TakesNull: true,
			Lazy: LazyCase, Rule: caseRule, Row: caseRow},
		Def{Name: "if", Group: "control", Syntax: "IF(cond, a, b)", Doc: "a when cond is true, else b.", Min: 3, Max: 3, TakesNull: true, Lazy: LazyCase, Rule: caseRule, Row: caseRow},
		Def{Name: "ifnull", Aliases: []string{"nvl"}, Group: "control", Syntax: "IFNULL(a, b)", Doc: "a, or b when a is NULL.", Min: 2, Max: 2, TakesNull: true, Lazy: LazyCoalesce, Rule: coalesceRule, Row: coalesceRow},
		Def{Name: "coalesce", Group: "control", Syntax: "COALESCE(a, ...)", Doc: "The first argument that is not NULL.", Min: 1, Max: -1, TakesNull: true, Lazy: LazyCoalesce, Rule: coalesceRule, Row: coalesceRow},
		Def{Name: "nullif", Group: "control", Syntax: "NULLIF(a, b)", Doc: "NULL when a = b, else a.", Min: 2, Max: 2, TakesNull: true, Rule: nullIfRule, Row: nullIfRow},

		Def{Name: "&", Group: "bit", Syntax: "a & b", Doc: "Bitwise and, as unsigned 64-bit.", Min: 2, Max: 2, Rule: bitRule, Row: bitRow(func(a, b uint64) uint64 { return a & b })},
		Def{Name: "|", Group: "bit", Syntax: "a | b", Doc: "Bitwise or.", Min: 2, Max: 2, Rule: bitRule, Row: bitRow(func(a, b uint64) uint64 { return a | b })},
		Def{Name: "^", Group: "bit", Syntax: "a ^ b", Doc: "Bitwise exclusive or.", Min: 2, Max: 2, Rule: bitRule, Row: bitRow(func(a, b uint64) uint64 { return a ^ b })},
		Def{Name: "<<", Group: "bit", Syntax: "a << b", Doc: "Left shift.", Min: 2, Max: 2, Rule: bitRule, Row: bitRow(func(a, b uint64) uint64 { return a << b })},
		Def{Name: ">>", Group: "bit", Syntax: "a >> b", Doc: "Right shift.", Min: 2, Max: 2, Rule: bitRule, Row: bitRow(func(a, b uint64) uint64 { return a >> b })},
		Def{Name: "~", Group: "bit", Syntax: "~ a", Doc: "Bitwise complement.", Min: 1, Max: 1, Rule: bitRule,
			Row: bitRow(func(a, _ uint64) uint64 { return ^a })},
		Def{Name: "bit_count", Group: "bit", Syntax: "BIT_COUNT(a)", Doc: "Number of set bits.", Min: 1, Max: 1,
			Rule: func(name string, a []T) ([]T, T, error) {
				params, _, err := bitRule(name, a)
				return params, tInt, err
			},
			Row: bitRow(func(a, _ uint64) uint64 { return uint64(bits.OnesCount64(a)) })},

		Def{Name: "cast", Aliases: []string{"convert"}, Group: "cast", Syntax: "CAST(a AS type), CONVERT(a, type)", CanFail: true, Params: []string{"", "strict", "compared"},
			Doc: "Converts to CHAR, BINARY, SIGNED, UNSIGNED, DECIMAL, DOUBLE, FLOAT, DATE, DATETIME, TIME, YEAR or JSON. What is not a date becomes NULL, what is not a number becomes 0.",
			Min: 1, Max: 1, Row: castRow, Vec: castVec},
	)
}

// junction is AND (stop = false) and OR (stop = true) of three-valued logic.
func junction(a []vec.Value, stop bool) vec.Value {
	null := false
	for _, x := range a {
		if x.Null {
			null = true
		} else if (x.I != 0) == stop {
			return vec.Bool(stop)
		}
	}
	if null {
		return vec.NullValue()
	}
	return vec.Bool(!stop)
}

func notVec(c *Call, a []Arg, n int) (*vec.Vector, error) {
	out := vec.New(c.Result, n)
	for i := range out.I64 {
		out.I64[i] = b2i(a[0].I64[a[0].At(i)] == 0)
	}
	setNulls(out, nulls(n, a[0]))
	return out, nil
}

// bitRule takes numbers with a fraction as they are: which integers they become depends on their sign.
func bitRule(_ string, a []T) ([]T, T, error) {
	params := make([]T, len(a))
	for i, t := range a {
		if params[i] = tUint; t.IsNumeric() && !t.IsInteger() {
			params[i] = t
		}
	}
	return params, tUint, nil
}

func bitRow(f func(a, b uint64) uint64) func(*Call, []vec.Value) (vec.Value, error) {
	return func(c *Call, a []vec.Value) (vec.Value, error) {
		var of [2]uint64
		for i, v := range a {
			bits, err := c.bits(v, c.Args[i])
			if err != nil {
				return vec.NullValue(), err
			}
			of[i] = bits
		}
		return vec.Int(int64(f(of[0], of[1]))), nil
	}
}

// bits is a number as 64 bits, of a negative one those of the signed integer.
func (c *Call) bits(v vec.Value, t T) (uint64, error) {
	if t.IsInteger() {
		return uint64(v.I), nil
	}
	x, err := sqltypes.Cast(v, t, tDouble, sqltypes.Env{})
	if err != nil {
		return 0, err
	}
	to := tUint
	if x.F < 0 {
		to = tInt
	}
	v, err = sqltypes.Cast(v, t, to, sqltypes.Env{})
	return uint64(v.I), err
}

// caseRule types (cond, value)... [else]: conditions are predicates, values get their merged type.
func caseRule(_ string, a []T) ([]T, T, error) {
	var values []T
	for i, t := range a {
		if i%2 == 1 || i == len(a)-1 {
			values = append(values, t)
		}
	}
	m := Merge(values...)
	if len(a)%2 == 0 { // no ELSE
		m.NotNull = false
	}
	want := make([]T, len(a))
	for i := range a {
		want[i] = tBool
		if i%2 == 1 || i == len(a)-1 {
			want[i] = m
			want[i].NotNull = false
		}
	}
	return want, m, nil
}

func caseRow(_ *Call, a []vec.Value) (vec.Value, error) {
	for i := 0; i+1 < len(a); i += 2 {
		if !a[i].Null && a[i].I != 0 {
			return a[i+1], nil
		}
	}
	if len(a)%2 == 1 {
		return a[len(a)-1], nil
	}
	return vec.NullValue(), nil
}

func coalesceRule(_ string, a []T) ([]T, T, error) {
	m := Merge(a...)
	m.NotNull = false
	want := repeat([]T{m}, len(a))
	m.NotNull = a[len(a)-1].NotNull
	return want, m, nil
}

func coalesceRow(_ *Call, a []vec.Value) (vec.Value, error) {
	for _, x := range a {
		if !x.Null {
			return x, nil
		}
	}
	return vec.NullValue(), nil
}

// nullIfRule keeps the first argument's type for the result; the comparison converts on its own.
func nullIfRule(_ string, a []T) ([]T, T, error) {
	r := a[0]
	r.NotNull = false
	return []T{a[0], a[1]}, r, nil
}

func nullIfRow(c *Call, a []vec.Value) (vec.Value, error) {
	if a[0].Null || a[1].Null {
		return a[0], nil
	}
	tx, ty := CompareTypes(c.Args[0], c.Args[1])
	x, err := sqltypes.Cast(a[0], c.Args[0], tx, c.env())
	if err != nil {
		return vec.Value{}, err
	}
	y, err := sqltypes.Cast(a[1], c.Args[1], ty, c.env())
	if err != nil {
		return vec.Value{}, err
	}
	if !x.Null && !y.Null && CompareValues(x, tx, y, ty) == 0 {
		return vec.NullValue(), nil
	}
	return a[0], nil
}

// env is the context as conversions want it.
func (c *Call) env() sqltypes.Env {
	e := sqltypes.Env{Loc: c.Ctx.Location()}
	if c.Ctx != nil {
		e.NowMicros = c.Ctx.NowMicros
	}
	return e
}

func castRow(c *Call, a []vec.Value) (vec.Value, error) {
	if c.Param == "strict" {
		return sqltypes.CastStrict(a[0], c.Args[0], c.Result, c.env())
	}
	out, err := sqltypes.Cast(a[0], c.Args[0], c.Result, c.env())
	if c.Param == "compared" && err == nil && out.Null && !a[0].Null { // what is no date compares as the zero date
		out = vec.Int(0)
		if c.Result.Kind != types.KindTime {
			out = vec.Int(sqltypes.ZeroOf(c.Result.Kind))
		}
	}
	return out, err
}

// castVec has loops for the numeric casts that coercions insert, and passes through what has the same form already.
func castVec(c *Call, a []Arg, n int) (*vec.Vector, error) {
	from, to, x := c.Args[0], c.Result, a[0]
	if x.IsConst() {
		return nil, nil
	}
	switch {
	case SameForm(from, to):
		return x.Vector.WithType(to), nil
	case to.Kind == types.KindDouble && from.Phys() == types.PhysInt64 && !from.Unsigned && (from.IsInteger() || from.Kind == types.KindDecimal):
		out := vec.New(to, n)
		// Dividing by a power of ten is exact rounding while both are exact doubles; 15 digits are.
		if from.Kind == types.KindDecimal && from.Length > 15 {
			return nil, nil
		}
		div := float64(sqltypes.Pow10Int64(from.Scale))
		if from.Kind != types.KindDecimal {
			div = 1
		}
		for i, v := range x.I64[:n] {
			out.F64[i] = float64(v) / div
		}
		out.Valid = x.Valid
		return out, nil
	case to.Kind == types.KindDecimal && from.Phys() == types.PhysInt64 && (from.IsInteger() && !from.Unsigned || from.Kind == types.KindDecimal):
		return castExact(x, from, to, n), nil
	case to.Kind == types.KindBool && from.Phys() == types.PhysInt64 && !from.IsTemporal():
		out := vec.New(to, n)
		for i, v := range x.I64[:n] {
			out.I64[i] = b2i(v != 0)
		}
		out.Valid = x.Valid
		return out, nil
	case from.Kind == types.KindDate && to.Kind == types.KindDateTime:
		out := vec.New(to, n)
		for i, v := range x.I64[:n] {
			out.I64[i] = v * sqltypes.Day
		}
		setNulls(out, x.Valid)
		return out, nil
	}
	return nil, nil
}

// castExact widens a 64-bit integer or decimal to a decimal that holds all its values; nil when it may not.
func castExact(x Arg, from, to T, n int) *vec.Vector {
	d := asDecimal(from)
	if to.Scale < d.Scale || to.Length-to.Scale < d.Length-d.Scale {
		return nil
	}
	out := vec.New(to, n)
	out.Valid = x.Valid
	if to.Phys() == types.PhysInt64 {
		f := sqltypes.Pow10Int64(to.Scale - d.Scale)
		for i, v := range x.I64[:n] {
			out.I64[i] = v * f
		}
		return out
	}
	if to.Scale-d.Scale > 18 {
		return nil
	}
	f := sqltypes.Pow10Int64(to.Scale - d.Scale)
	for i, v := range x.I64[:n] {
		hi, lo := mul64(v, f)
		out.Dec[i] = vec.Int128{Hi: hi, Lo: lo}
	}
	return out
}

// SameForm reports whether every value of type from is, in the same physical form, also a value of type to, so that a
// coercion needs no conversion.
func SameForm(from, to T) bool {
	from.NotNull, to.NotNull = false, false
	switch {
	case from == to, from.Kind == types.KindNull && to.Phys() == types.PhysInt64:
		return true
	case from.IsInteger() && to.IsInteger() && to.Kind != types.KindBool && to.Kind != types.KindYear:
		if from.Unsigned == to.Unsigned {
			return intWidth(from.Kind) <= intWidth(to.Kind)
		}
		return !from.Unsigned && from.Kind == types.KindYear || from.Unsigned && intWidth(from.Kind) < intWidth(to.Kind)
	case from.Kind == types.KindDecimal && to.Kind == types.KindDecimal:
		return from.Scale == to.Scale && from.Length <= to.Length && from.Phys() == to.Phys()
	case from.Kind == types.KindFloat && to.Kind == types.KindDouble:
		return true
	case from.Kind == to.Kind && from.IsTemporal():
		return from.Scale <= to.Scale
	case from.IsString() && to.IsString() && to.Kind != types.KindJSON && to.Kind != types.KindBinary:
		return (to.Length == 0 || from.Length > 0 && from.Length <= to.Length) && (isBinary(to) || !isBinary(from))
	}
	return false
}
