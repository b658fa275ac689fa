package fn

import (
	"math"
	"math/rand/v2"
	"strconv"
	"sync"

	"stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// float1 declares a function of one double; a result that is no finite number is NULL.
func float1(name, syntax, doc string, f func(float64) float64) Def {
	return Def{Name: name, Group: "math", Syntax: syntax, Doc: doc, Min: 1, Max: 1, TakesNull: true, Rule: fixed(tDouble, tDouble),
		Row: nullable(func(_ *Call, a []vec.Value) (vec.Value, error) { return finite(f(a[0].F)), nil }),
		Vec: func(c *Call, a []Arg, n int) (*vec.Vector, error) {
			out := vec.New(c.Result, n)
			out.Valid = nulls(n, a[0])
			for i := range out.F64 {
				if out.IsNull(i) {
					continue
				}
				if r := f(a[0].F64[a[0].At(i)]); r-r == 0 {
					out.F64[i] = r
				} else {
					out.SetNull(i)
				}
			}
			return out, nil
		}}
}

func finite(r float64) vec.Value {
	if r-r != 0 {
		return vec.NullValue()
	}
	return vec.Float(r)
}

// positive is f with NULL for what is not above zero.
func positive(f func(float64) float64) func(float64) float64 {
	return func(x float64) float64 {
		if x <= 0 {
			return math.NaN()
		}
		return f(x)
	}
}

var roundParams = func() []string {
	out := []string{""}
	for i := -38; i <= maxScale; i++ {
		out = append(out, strconv.Itoa(i))
	}
	return out
}()

func init() {
	register(
		float1("sqrt", "SQRT(x)", "Square root; NULL below zero.", math.Sqrt),
		float1("exp", "EXP(x)", "e to the power of x; NULL when too large.", math.Exp),
		float1("ln", "LN(x)", "Natural logarithm; NULL unless positive.", positive(math.Log)),
		float1("log2", "LOG2(x)", "Logarithm to base 2.", positive(math.Log2)),
		float1("log10", "LOG10(x)", "Logarithm to base 10.", positive(math.Log10)),
		float1("sin", "SIN(x)", "Sine.", math.Sin), float1("cos", "COS(x)", "Cosine.", math.Cos), float1("tan", "TAN(x)", "Tangent.", math.Tan),
		float1("asin", "ASIN(x)", "Arc sine; NULL outside -1..1.", math.Asin), float1("acos", "ACOS(x)", "Arc cosine; NULL outside -1..1.", math.Acos),
		float1("cot", "COT(x)", "Cotangent.", func(x float64) float64 { return 1 / math.Tan(x) }),
		float1("degrees", "DEGREES(x)", "Radians as degrees.", func(x float64) float64 { return x * (180 / math.Pi) }),
		float1("radians", "RADIANS(x)", "Degrees as radians.", func(x float64) float64 { return x * (math.Pi / 180) }),
		Def{Name: "log", Group: "math", Syntax: "LOG(x), LOG(base, x)", Doc: "Natural logarithm, or to a base.", Min: 1, Max: 2, TakesNull: true, Rule: fixed(tDouble, tDouble), Row: nullable(logRow)},
		Def{Name: "atan", Aliases: []string{"atan2"}, Group: "math", Syntax: "ATAN(x), ATAN2(y, x)", Doc: "Arc tangent of x or of y/x.", Min: 1, Max: 2, Rule: fixed(tDouble, tDouble), Row: atanRow},
		Def{Name: "pow", Aliases: []string{"power"}, Group: "math", Syntax: "POW(x, y)", Doc: "x to the power of y.", Min: 2, Max: 2, CanFail: true, Rule: fixed(tDouble, tDouble), Row: powRow},
		Def{Name: "pi", Group: "math", Syntax: "PI()", Doc: "3.141592653589793.", Min: 0, Max: 0, Rule: fixed(tDouble),
			Row: func(*Call, []vec.Value) (vec.Value, error) { return vec.Float(math.Pi), nil }},
		Def{Name: "rand", Group: "math", Syntax: "RAND([seed])", Doc: "A random number from 0 to below 1; a constant seed gives a repeatable sequence.", Min: 0, Max: 1, Volatile: true, TakesNull: true,
			Rule: fixed(tDouble, tInt), Prepare: prepareRand, Row: randRow},
		Def{Name: "sign", Group: "math", Syntax: "SIGN(x)", Doc: "-1, 0 or 1.", Min: 1, Max: 1, Rule: onNumber(always(tInt)), Row: signRow},
		Def{Name: "abs", Group: "math", Syntax: "ABS(x)", Doc: "Absolute value.", Min: 1, Max: 1, CanFail: true, Rule: onNumber(func(a []T) T { return a[0] }), Row: absRow},
		Def{Name: "ceil", Aliases: []string{"ceiling"}, Group: "math", Syntax: "CEIL(x)", Doc: "The smallest integer not below x.", Min: 1, Max: 1, Rule: onNumber(wholeType), Row: wholeRow(1)},
		Def{Name: "floor", Group: "math", Syntax: "FLOOR(x)", Doc: "The largest integer not above x.", Min: 1, Max: 1, Rule: onNumber(wholeType), Row: wholeRow(-1)},
		Def{Name: "round", Group: "math", Syntax: "ROUND(x[, d])", Doc: "Rounded to d digits after the point, half away from zero.", Min: 1, Max: 2, Params: roundParams, CanFail: true, Rule: roundRule, Row: roundRow},
		Def{Name: "truncate", Group: "math", Syntax: "TRUNCATE(x, d)", Doc: "Cut to d digits after the point.", Min: 2, Max: 2, Params: roundParams, CanFail: true, Rule: roundRule, Row: roundRow},
	)
}

// onNumber makes a rule of one numeric argument.
func onNumber(result func([]T) T) Rule {
	return func(_ string, a []T) ([]T, T, error) {
		x := numeric(a[0])
		if x.Kind == types.KindBigInt {
			x.Length = 0
		}
		return []T{x}, result([]T{x}), nil
	}
}

func logRow(_ *Call, a []vec.Value) (vec.Value, error) {
	x := a[len(a)-1].F
	if x <= 0 || a[0].F <= 0 {
		return vec.NullValue(), nil
	}
	if len(a) == 1 {
		return finite(math.Log(x)), nil
	}
	return finite(math.Log(x) / math.Log(a[0].F)), nil
}

func atanRow(_ *Call, a []vec.Value) (vec.Value, error) {
	if len(a) == 1 {
		return vec.Float(math.Atan(a[0].F)), nil
	}
	return vec.Float(math.Atan2(a[0].F, a[1].F)), nil
}

func powRow(c *Call, a []vec.Value) (vec.Value, error) {
	r := math.Pow(a[0].F, a[1].F)
	if r-r != 0 {
		return vec.Value{}, sqltypes.ErrOutOfRange("DOUBLE", "pow("+strconv.FormatFloat(a[0].F, 'g', -1, 64)+","+strconv.FormatFloat(a[1].F, 'g', -1, 64)+")")
	}
	return vec.Float(r), nil
}

// randState is MySQL's generator, so that RAND(n) gives the known sequence.
type randState struct {
	mu           sync.Mutex
	seed1, seed2 uint32
}

const randModulus = 0x3FFFFFFF

func newRand(seed uint32) *randState {
	return &randState{seed1: (seed*0x10001 + 55555555) % randModulus, seed2: (seed * 0x10000001) % randModulus}
}

func (r *randState) next() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seed1 = uint32((uint64(r.seed1)*3 + uint64(r.seed2)) % randModulus)
	r.seed2 = uint32((uint64(r.seed1) + uint64(r.seed2) + 33) % randModulus)
	return float64(r.seed1) / float64(randModulus)
}

func prepareRand(c *Call) error {
	if len(c.Const) == 1 && c.Const[0] != nil {
		c.State = newRand(uint32(c.Const[0].I))
	}
	return nil
}

func randRow(c *Call, a []vec.Value) (vec.Value, error) {
	if r, ok := c.State.(*randState); ok {
		return vec.Float(r.next()), nil
	}
	if len(a) == 1 {
		return vec.Float(newRand(uint32(a[0].I)).next()), nil
	}
	return vec.Float(rand.Float64()), nil
}

func signRow(c *Call, a []vec.Value) (vec.Value, error) {
	if c.Args[0].Kind == types.KindDouble {
		return vec.Int(b2i(a[0].F > 0) - b2i(a[0].F < 0)), nil
	}
	return vec.Int(int64(decimalOf(a[0], c.Args[0]).Sign())), nil
}

func absRow(c *Call, a []vec.Value) (vec.Value, error) {
	if c.Args[0].Kind == types.KindDouble {
		return vec.Float(math.Abs(a[0].F)), nil
	}
	r := decimalOf(a[0], c.Args[0]).Abs()
	if c.Result.Kind == types.KindDecimal {
		return decimalValue(r, c.Result), nil
	}
	if _, ok := r.Int64(); !ok && !c.Result.Unsigned {
		return vec.Value{}, c.outOfRange("abs", a[0])
	}
	return vec.Int(int64(r.Lo)), nil
}

// wholeType is BIGINT for short decimals, as in MySQL.
func wholeType(a []T) T {
	if a[0].Kind != types.KindDecimal {
		return a[0]
	}
	if n := a[0].Length - a[0].Scale + 1; n > types.MaxDecimal64Precision {
		return decimal(n, 0)
	}
	return tInt
}

// wholeRow is CEIL (up 1) and FLOOR (up -1).
func wholeRow(up int) rowFunc {
	return func(c *Call, a []vec.Value) (vec.Value, error) {
		switch c.Args[0].Kind {
		case types.KindDouble:
			if up > 0 {
				return vec.Float(math.Ceil(a[0].F)), nil
			}
			return vec.Float(math.Floor(a[0].F)), nil
		case types.KindBigInt:
			return a[0], nil
		}
		q, r := decimalOf(a[0], c.Args[0]).QuoRem(sqltypes.Pow10(c.Args[0].Scale))
		if r.Sign() == up {
			q, _ = q.Add(vec.Int128Of(int64(up)))
		}
		if c.Result.Kind == types.KindDecimal {
			return decimalValue(q, c.Result), nil
		}
		return vec.Int(int64(q.Lo)), nil
	}
}

// roundRule: the parameter is the number of digits when it is constant ("round:2"); a decimal keeps its scale when it
// is not.
func roundRule(param string, a []T) ([]T, T, error) {
	x := numeric(a[0])
	res := x
	if x.Kind == types.KindBigInt {
		x.Length, res.Length = 0, 0
	}
	if x.Kind == types.KindDecimal && (param != "" || len(a) == 1) {
		d, _ := strconv.Atoi(param)
		scale := min(max(int32(d), 0), maxScale)
		res = decimal(x.Length-x.Scale+1+scale, scale)
	}
	return []T{x, tInt}[:len(a)], res, nil
}

// roundFloat rounds a double to d digits, halves to even: as MySQL, which leaves that to the C library (rint). Decimals round away from zero.
func roundFloat(x float64, d int64) float64 {
	if d > 308 || x == 0 {
		return x
	}
	if d < -308 {
		return 0
	}
	p := math.Pow10(int(max(d, -d)))
	var r float64
	if d >= 0 {
		r = math.RoundToEven(x*p) / p
	} else {
		r = math.RoundToEven(x/p) * p
	}
	if r-r != 0 {
		return x
	}
	return r + 0 // no negative zero
}

func truncateFloat(x float64, d int64) float64 {
	if d > 308 || x == 0 {
		return x
	}
	if d < -308 {
		return 0
	}
	p := math.Pow10(int(max(d, -d)))
	r := math.Trunc(x*p) / p
	if d < 0 {
		r = math.Trunc(x/p) * p
	}
	if r-r != 0 {
		return x
	}
	return r
}

func roundRow(c *Call, a []vec.Value) (vec.Value, error) {
	d := int64(0)
	if len(a) > 1 {
		d = a[1].I
	}
	cut := c.Def.Name == "truncate"
	if c.Args[0].Kind == types.KindDouble {
		if cut {
			return vec.Float(truncateFloat(a[0].F, d)), nil
		}
		return vec.Float(roundFloat(a[0].F, d)), nil
	}
	scale := c.Args[0].Scale
	v := decimalOf(a[0], c.Args[0])
	if d >= int64(scale) && c.Result.Kind == types.KindBigInt {
		return a[0], nil
	}
	to := int32(min(max(d, -39), int64(scale)))
	if cut {
		v = sqltypes.TruncateScale(v, scale, to)
	} else {
		v, _ = sqltypes.Rescale(v, scale, to)
	}
	v, ok := sqltypes.Rescale(v, to, c.Result.Scale)
	if c.Result.Kind == types.KindBigInt {
		return c.narrow(v, ok, c.Def.Name, a[:1])
	}
	if !ok || !sqltypes.FitsDecimal(v, c.Result.Length) {
		return vec.Value{}, c.outOfRange(c.Def.Name, a[0])
	}
	return decimalValue(v, c.Result), nil
}
