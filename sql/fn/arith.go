package fn

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

func init() {
	register(
		Def{Name: "+", Group: "arithmetic", Syntax: "a + b", Doc: "Sum. Exact for integers and decimals; error 1690 when it does not fit.", Min: 2, Max: 2, CanFail: true,
			Rule: additive, Row: arithRow('+'), Vec: addVec('+')},
		Def{Name: "-", Group: "arithmetic", Syntax: "a - b", Doc: "Difference.", Min: 2, Max: 2, CanFail: true, Rule: additive, Row: arithRow('-'), Vec: addVec('-')},
		Def{Name: "*", Group: "arithmetic", Syntax: "a * b", Doc: "Product.", Min: 2, Max: 2, CanFail: true, Rule: multiplicative, Row: arithRow('*'), Vec: mulVec},
		Def{Name: "/", Group: "arithmetic", Syntax: "a / b", Doc: "Quotient; of exact numbers a decimal with 4 more digits; within a larger expression it keeps more. NULL when b is zero.", Min: 2, Max: 2, CanFail: true, TakesNull: true,
			Params: quotientScales(), Rule: division, Row: nullable(arithRow('/')), Vec: divVec},
		Def{Name: "div", Group: "arithmetic", Syntax: "a DIV b", Doc: "Integer quotient, truncated toward zero. NULL when b is zero.", Min: 2, Max: 2, CanFail: true, TakesNull: true,
			Params: []string{"", strictDivision}, Rule: integerDivision, Row: nullable(intDiv)},
		Def{Name: "%", Aliases: []string{"mod"}, Group: "arithmetic", Syntax: "a % b, MOD(a, b)", Doc: "Remainder with the sign of a. NULL when b is zero.", Min: 2, Max: 2, TakesNull: true,
			Params: []string{"", strictDivision}, Rule: remainder, Row: nullable(arithRow('%'))},
		Def{Name: "neg", Group: "arithmetic", Syntax: "- a", Doc: "Negated value.", Min: 1, Max: 1, CanFail: true, Rule: negation, Row: negRow},
	)
}

// nullable makes a kernel that may return NULL for arguments that are not NULL pass NULL arguments through.
func nullable(f func(*Call, []vec.Value) (vec.Value, error)) func(*Call, []vec.Value) (vec.Value, error) {
	return func(c *Call, a []vec.Value) (vec.Value, error) {
		for _, x := range a {
			if x.Null {
				return vec.NullValue(), nil
			}
		}
		return f(c, a)
	}
}

// operands returns the types in which two operands meet: both double, both decimal (each its own), or both integer.
func operands(a []T) (x, y T) {
	x, y = numeric(a[0]), numeric(a[1])
	switch {
	case x.Kind == types.KindDouble || y.Kind == types.KindDouble:
		return tDouble, tDouble
	case x.Kind == types.KindDecimal || y.Kind == types.KindDecimal:
		return asDecimal(x), asDecimal(y)
	}
	return x, y
}

func additive(_ string, a []T) ([]T, T, error) {
	x, y := operands(a)
	return []T{x, y}, sumOf(x, y), nil
}

func sumOf(x, y T) T {
	if x.Kind != types.KindDecimal {
		return T{Kind: x.Kind, Unsigned: x.Unsigned || y.Unsigned}
	}
	scale := max(x.Scale, y.Scale)
	return decimal(max(x.Length-x.Scale, y.Length-y.Scale)+1+scale, scale)
}

func multiplicative(_ string, a []T) ([]T, T, error) {
	x, y := operands(a)
	if x.Kind != types.KindDecimal {
		return []T{x, y}, T{Kind: x.Kind, Unsigned: x.Unsigned || y.Unsigned}, nil
	}
	return []T{x, y}, decimal(x.Length+y.Length, x.Scale+y.Scale), nil
}

// A quotient that enters other computations is not rounded to the 4 more digits that are shown, but cut off after the
// digits that MySQL keeps, which is in words of nine (libmysql's decimal.c, do_div_mod). The parameter says after how many.
func quotientScales() []string {
	out := []string{"", strictDivision}
	for scale := range maxScale + 1 {
		text := strconv.Itoa(int(scale))
		out = append(out, text, strictDivision+text)
	}
	return out
}

// strictDivision is the parameter, or the beginning of it, of a division that fails when the divisor is zero: that of a
// statement that writes in strict mode.
const strictDivision = "strict"

// StrictDivision returns the name of "/", "div" or "%" where dividing by zero is an error; other names stay as they are.
func StrictDivision(name string) string {
	switch name {
	case "/", "div", "%", "mod":
		return name + ":" + strictDivision
	}
	return name
}

// CutQuotient returns the name of a division, strict or not, whose quotient is cut off after so many digits.
func CutQuotient(name string, digits int32) string {
	base, param := splitName(name)
	return base + ":" + param + strconv.Itoa(int(digits))
}

// dividesStrictly reports whether a call fails when its divisor is zero.
func (c *Call) dividesStrictly() bool {
	return c.Def.Group == "arithmetic" && strings.HasPrefix(c.Param, strictDivision)
}

// CanFail reports whether the kernel may return an error.
func (c *Call) CanFail() bool { return c.Def.CanFail || c.dividesStrictly() }

// byZero is what comes of a division by zero.
func (c *Call) byZero() (vec.Value, error) {
	if c.dividesStrictly() {
		return vec.Value{}, sqltypes.ErrDivisionByZero()
	}
	return vec.NullValue(), nil
}

const wordDigits = 9

// words rounds a scale up to whole words.
func words(scale int32) int32 { return (scale + wordDigits - 1) / wordDigits * wordDigits }

// QuotientScale is how many digits MySQL keeps of a quotient of decimals with scales x and y.
func QuotientScale(x, y int32) int32 {
	more := max(4-(words(x)-x)-(words(y)-y), 0)
	return min(words(words(x)+words(y)+more), maxScale)
}

func division(param string, a []T) ([]T, T, error) {
	x, y := operands(a)
	if x.Kind == types.KindDouble {
		return []T{x, y}, tDouble, nil
	}
	x, y = asDecimal(x), asDecimal(y)
	scale := min(x.Scale+4, maxScale)
	if cut, err := strconv.Atoi(strings.TrimPrefix(param, strictDivision)); err == nil {
		scale = int32(cut)
	}
	return []T{x, y}, decimal(x.Length-x.Scale+y.Scale+scale, scale), nil
}

func integerDivision(_ string, a []T) ([]T, T, error) {
	x, y := operands(a)
	return []T{x, y}, T{Kind: types.KindBigInt, Unsigned: a[0].Unsigned || a[1].Unsigned}, nil
}

func remainder(_ string, a []T) ([]T, T, error) {
	x, y := operands(a)
	if x.Kind != types.KindDecimal {
		return []T{x, y}, T{Kind: x.Kind, Unsigned: x.Unsigned}, nil
	}
	scale := max(x.Scale, y.Scale)
	return []T{x, y}, decimal(max(x.Length-x.Scale, y.Length-y.Scale)+scale, scale), nil
}

func negation(_ string, a []T) ([]T, T, error) {
	x := numeric(a[0])
	res := x
	if x.Kind == types.KindBigInt {
		res = tInt
	}
	return []T{x}, res, nil
}

func negRow(c *Call, a []vec.Value) (vec.Value, error) {
	switch c.Result.Phys() {
	case types.PhysFloat64:
		return vec.Float(-a[0].F), nil
	case types.PhysDec128:
		return vec.Dec(a[0].Dec128().Neg()), nil
	}
	if r, ok := decimalOf(a[0], c.Args[0]).Neg().Int64(); ok {
		return vec.Int(r), nil
	}
	return vec.Value{}, c.outOfRange("-", a[0])
}

// outOfRange is error 1690 with the operands in its text.
func (c *Call) outOfRange(op string, a ...vec.Value) error {
	name := "BIGINT"
	switch {
	case c.Result.Kind == types.KindDouble:
		name = "DOUBLE"
	case c.Result.Kind == types.KindDecimal:
		name = "DECIMAL"
	case c.Result.Unsigned:
		name = "BIGINT UNSIGNED"
	}
	text := func(i int) string {
		return string(sqltypes.AppendText(nil, c.Args[i], a[i], c.Ctx.Location()))
	}
	if len(a) == 1 {
		return sqltypes.ErrOutOfRange(name, fmt.Sprintf("%s(%s)", op, text(0)))
	}
	return sqltypes.ErrOutOfRange(name, fmt.Sprintf("(%s %s %s)", text(0), op, text(1)))
}

// arithRow is the scalar form of + - * / %.
func arithRow(op byte) func(*Call, []vec.Value) (vec.Value, error) {
	return func(c *Call, a []vec.Value) (vec.Value, error) {
		switch {
		case c.Result.Kind == types.KindDouble:
			return c.floatOp(op, a)
		case c.Result.Kind == types.KindDecimal:
			return c.decimalOp(op, a)
		}
		return c.intOp(op, a)
	}
}

func (c *Call) floatOp(op byte, a []vec.Value) (vec.Value, error) {
	x, y := a[0].F, a[1].F
	var r float64
	switch op {
	case '+':
		r = x + y
	case '-':
		r = x - y
	case '*':
		r = x * y
	default:
		if y == 0 {
			return c.byZero()
		}
		if op == '/' {
			r = x / y
		} else {
			r = math.Mod(x, y)
		}
	}
	if math.IsInf(r, 0) || math.IsNaN(r) {
		return vec.Value{}, c.outOfRange(string(op), a...)
	}
	return vec.Float(r), nil
}

func (c *Call) decimalOp(op byte, a []vec.Value) (vec.Value, error) {
	x, y := decimalOf(a[0], c.Args[0]), decimalOf(a[1], c.Args[1])
	xs, ys := c.Args[0].Scale, c.Args[1].Scale
	var r vec.Int128
	var ok bool
	switch op {
	case '+':
		r, ok = sqltypes.AddDecimal(x, xs, y, ys, c.Result.Scale)
	case '-':
		r, ok = sqltypes.AddDecimal(x, xs, y.Neg(), ys, c.Result.Scale)
	case '*':
		r, ok = sqltypes.MulDecimal(x, xs, y, ys, c.Result.Scale)
	default:
		if y.Sign() == 0 {
			return c.byZero()
		}
		if op == '/' {
			r, ok = c.divDecimal(x, xs, y, ys, c.Result.Scale)
		} else {
			r, ok = sqltypes.ModDecimal(x, xs, y, ys)
		}
	}
	if !ok || !sqltypes.FitsDecimal(r, c.Result.Length) {
		return vec.Value{}, c.outOfRange(string(op), a...)
	}
	return decimalValue(r, c.Result), nil
}

// divDecimal rounds a quotient or cuts it off.
func (c *Call) divDecimal(x vec.Int128, xs int32, y vec.Int128, ys, scale int32) (vec.Int128, bool) {
	if c.Param != "" && c.Param != strictDivision {
		return sqltypes.CutQuotient(x, xs, y, ys, scale)
	}
	return sqltypes.DivDecimal(x, xs, y, ys, scale)
}

// decimalValue puts a 128-bit decimal into the physical form of its type.
func decimalValue(r vec.Int128, t T) vec.Value {
	if t.Phys() == types.PhysDec128 {
		return vec.Dec(r)
	}
	return vec.Int(int64(r.Lo))
}

func (c *Call) intOp(op byte, a []vec.Value) (vec.Value, error) {
	x, y := decimalOf(a[0], c.Args[0]), decimalOf(a[1], c.Args[1])
	var r vec.Int128
	ok := true
	switch op {
	case '+':
		r, ok = x.Add(y)
	case '-':
		r, ok = x.Sub(y)
	case '*':
		r, ok = x.Mul(y)
	default:
		if y.Sign() == 0 {
			return c.byZero()
		}
		_, r = x.QuoRem(y)
	}
	return c.narrow(r, ok, string(op), a)
}

// narrow makes a 128-bit integer the 64-bit result of an integer operator.
func (c *Call) narrow(r vec.Int128, ok bool, op string, a []vec.Value) (vec.Value, error) {
	_, fits := r.Int64()
	if c.Result.Unsigned {
		fits = r.Hi == 0
	}
	if !ok || !fits {
		return vec.Value{}, c.outOfRange(op, a...)
	}
	return vec.Int(int64(r.Lo)), nil
}

func intDiv(c *Call, a []vec.Value) (vec.Value, error) {
	if c.Args[0].Kind == types.KindDouble {
		if a[1].F == 0 {
			return c.byZero()
		}
		q, ok := sqltypes.FloatToDecimal(math.Trunc(a[0].F/a[1].F), 0)
		return c.narrow(q, ok, "DIV", a)
	}
	x, y := decimalOf(a[0], c.Args[0]), decimalOf(a[1], c.Args[1])
	if y.Sign() == 0 {
		return c.byZero()
	}
	s := max(c.Args[0].Scale, c.Args[1].Scale)
	x, ok1 := sqltypes.Rescale(x, c.Args[0].Scale, s)
	y, ok2 := sqltypes.Rescale(y, c.Args[1].Scale, s)
	q, _ := x.QuoRem(y)
	return c.narrow(q, ok1 && ok2, "DIV", a)
}
