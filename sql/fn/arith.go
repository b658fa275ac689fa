package fn

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"

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
			Rule: integerDivision, Row: nullable(intDiv)},
		Def{Name: "%", Aliases: []string{"mod"}, Group: "arithmetic", Syntax: "a % b, MOD(a, b)", Doc: "Remainder with the sign of a. NULL when b is zero.", Min: 2, Max: 2, TakesNull: true,
			Rule: remainder, Row: nullable(arithRow('%'))},
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
	out := []string{""}
	for scale := range maxScale + 1 {
		out = append(out, strconv.Itoa(int(scale)))
	}
	return out
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
	if cut, err := strconv.Atoi(param); err == nil {
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
			return vec.NullValue(), nil
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
			return vec.NullValue(), nil
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
	if c.Param != "" {
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
			return vec.NullValue(), nil
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
			return vec.NullValue(), nil
		}
		q, ok := sqltypes.FloatToDecimal(math.Trunc(a[0].F/a[1].F), 0)
		return c.narrow(q, ok, "DIV", a)
	}
	x, y := decimalOf(a[0], c.Args[0]), decimalOf(a[1], c.Args[1])
	if y.Sign() == 0 {
		return vec.NullValue(), nil
	}
	s := max(c.Args[0].Scale, c.Args[1].Scale)
	x, ok1 := sqltypes.Rescale(x, c.Args[0].Scale, s)
	y, ok2 := sqltypes.Rescale(y, c.Args[1].Scale, s)
	q, _ := x.QuoRem(y)
	return c.narrow(q, ok1 && ok2, "DIV", a)
}

// isPlain reports whether both operands are signed 64-bit integers or doubles or short decimals, for the fast loops.
func (c *Call) isPlain() bool {
	return !c.Args[0].Unsigned && !c.Args[1].Unsigned && !c.Result.Unsigned && c.Args[0].Phys() == c.Args[1].Phys()
}

// addVec adds and subtracts in typed loops. An overflow leaves the matter to the scalar kernel, which knows which row
// and whether it is NULL.
func addVec(op byte) func(*Call, []Arg, int) (*vec.Vector, error) {
	sign := int64(1)
	if op == '-' {
		sign = -1
	}
	return func(c *Call, a []Arg, n int) (*vec.Vector, error) {
		x, y := a[0], a[1]
		if !c.isPlain() {
			return nil, nil
		}
		out := vec.New(c.Result, n)
		ok := false
		switch {
		case c.Result.Kind == types.KindDouble:
			ok = addFloats(x.F64, y.F64, x.mask, y.mask, float64(sign), out.F64)
		case c.Result.Kind == types.KindBigInt && sign > 0:
			ok = addInts(x.I64, y.I64, x.mask, y.mask, out.I64)
		case c.Result.Kind == types.KindBigInt:
			ok = subInts(x.I64, y.I64, x.mask, y.mask, out.I64)
		case c.Result.Phys() == types.PhysInt64:
			// Below 19 digits the precision of the result leaves room for every sum.
			fx, fy := sqltypes.Pow10Int64(c.Result.Scale-c.Args[0].Scale), sign*sqltypes.Pow10Int64(c.Result.Scale-c.Args[1].Scale)
			for i := range out.I64 {
				out.I64[i] = x.I64[i&x.mask]*fx + y.I64[i&y.mask]*fy
			}
			ok = true
		case c.Args[0].Phys() == types.PhysDec128 && c.Args[0].Scale == c.Args[1].Scale && c.Args[0].Scale == c.Result.Scale:
			ok = addDecs(x.Dec, y.Dec, x.mask, y.mask, sign < 0, c.Result.Length, out.Dec)
		}
		if !ok {
			return nil, nil
		}
		setNulls(out, nulls(n, x, y))
		return out, nil
	}
}

func addFloats(a, b []float64, ma, mb int, sign float64, out []float64) bool {
	bad := false
	for i := range out {
		r := a[i&ma] + sign*b[i&mb]
		bad = bad || r-r != 0
		out[i] = r
	}
	return !bad
}

func addInts(a, b []int64, ma, mb int, out []int64) bool {
	over := int64(0)
	for i := range out {
		x, y := a[i&ma], b[i&mb]
		r := x + y
		over |= (x ^ r) & (y ^ r)
		out[i] = r
	}
	return over >= 0
}

func subInts(a, b []int64, ma, mb int, out []int64) bool {
	over := int64(0)
	for i := range out {
		x, y := a[i&ma], b[i&mb]
		r := x - y
		over |= (x ^ y) & (x ^ r)
		out[i] = r
	}
	return over >= 0
}

func addDecs(a, b []vec.Int128, ma, mb int, sub bool, precision int32, out []vec.Int128) bool {
	limit := sqltypes.Pow10(precision)
	for i := range out {
		y := b[i&mb]
		if sub {
			y = y.Neg()
		}
		r, ok := a[i&ma].Add(y)
		if !ok || r.Abs().Cmp(limit) >= 0 {
			return false
		}
		out[i] = r
	}
	return true
}

func mulVec(c *Call, a []Arg, n int) (*vec.Vector, error) {
	x, y := a[0], a[1]
	if c.isWideProduct() {
		return c.mulWide(x, y, n), nil
	}
	if !c.isPlain() {
		return nil, nil
	}
	out := vec.New(c.Result, n)
	ok := false
	switch {
	case c.Result.Kind == types.KindDouble:
		bad := false
		for i := range out.F64 {
			r := x.F64[i&x.mask] * y.F64[i&y.mask]
			bad = bad || r-r != 0
			out.F64[i] = r
		}
		ok = !bad
	case c.Result.Kind == types.KindBigInt:
		ok = mulInts(x.I64, y.I64, x.mask, y.mask, out.I64)
	case c.Args[0].Phys() != types.PhysInt64 || c.Args[0].Scale+c.Args[1].Scale != c.Result.Scale:
	case c.Result.Phys() == types.PhysInt64:
		for i := range out.I64 {
			out.I64[i] = x.I64[i&x.mask] * y.I64[i&y.mask]
		}
		ok = true
	default: // at most 18 digits each, so 36: no check is needed
		for i := range out.Dec {
			hi, lo := mul64(x.I64[i&x.mask], y.I64[i&y.mask])
			out.Dec[i] = vec.Int128{Hi: hi, Lo: lo}
		}
		ok = true
	}
	if !ok {
		return nil, nil
	}
	setNulls(out, nulls(n, x, y))
	return out, nil
}

// isWideProduct reports whether the result is a decimal of 128 bits of which a factor has 128 bits too, with all its digits.
func (c *Call) isWideProduct() bool {
	x, y := c.Args[0], c.Args[1]
	return c.Result.Phys() == types.PhysDec128 && (x.Phys() == types.PhysDec128 || y.Phys() == types.PhysDec128) &&
		isDecimal64Or128(x) && isDecimal64Or128(y) && x.Scale+y.Scale == c.Result.Scale
}

func isDecimal64Or128(t T) bool {
	return t.Kind == types.KindDecimal && (t.Phys() == types.PhysDec128 || t.Phys() == types.PhysInt64)
}

// mulWide multiplies decimals, at least one of which has 128 bits; nil leaves the matter, an overflow, to the scalar kernel.
func (c *Call) mulWide(x, y Arg, n int) *vec.Vector {
	if x.Type.Phys() != types.PhysDec128 {
		x, y = y, x
	}
	wide := y.Type.Phys() == types.PhysDec128
	out := vec.New(c.Result, n)
	limit := sqltypes.Pow10(min(c.Result.Length, types.MaxDecimalPrecision))
	for i := range out.Dec {
		var by vec.Int128
		if wide {
			by = y.Dec[i&y.mask]
		} else {
			by = vec.Int128Of(y.I64[i&y.mask])
		}
		r, ok := x.Dec[i&x.mask].Mul(by)
		if !ok || r.Abs().Cmp(limit) >= 0 {
			return nil
		}
		out.Dec[i] = r
	}
	setNulls(out, nulls(n, x, y))
	return out
}

// mul64 multiplies signed integers to 128 bits.
func mul64(a, b int64) (hi int64, lo uint64) {
	h, lo := bits.Mul64(uint64(a), uint64(b))
	return int64(h) - (a >> 63 & b) - (b >> 63 & a), lo
}

func mulInts(a, b []int64, ma, mb int, out []int64) bool {
	over := int64(0)
	for i := range out {
		hi, lo := mul64(a[i&ma], b[i&mb])
		over |= hi ^ int64(lo)>>63
		out[i] = int64(lo)
	}
	return over == 0
}

// divVec divides doubles and decimals whose scaled numerator stays within 64 bits.
func divVec(c *Call, a []Arg, n int) (*vec.Vector, error) {
	x, y := a[0], a[1]
	if !c.isPlain() || c.Args[0].Phys() == types.PhysDec128 {
		return nil, nil
	}
	out := vec.New(c.Result, n)
	out.Valid = nulls(n, x, y)
	shift := c.Result.Scale - c.Args[0].Scale + c.Args[1].Scale
	for i := range n {
		if out.IsNull(i) {
			continue
		}
		if c.Result.Kind == types.KindDouble {
			d := y.F64[y.At(i)]
			r := x.F64[x.At(i)] / d
			if d == 0 {
				out.SetNull(i)
				continue
			}
			if r-r != 0 {
				return nil, nil
			}
			out.F64[i] = r
			continue
		}
		d := y.I64[y.At(i)]
		if d == 0 {
			out.SetNull(i)
			continue
		}
		r, ok := c.divDecimal(vec.Int128Of(x.I64[x.At(i)]), 0, vec.Int128Of(d), 0, shift)
		if !ok || !sqltypes.FitsDecimal(r, c.Result.Length) {
			return nil, nil
		}
		if out.Dec != nil {
			out.Dec[i] = r
		} else {
			out.I64[i] = int64(r.Lo)
		}
	}
	return out, nil
}
