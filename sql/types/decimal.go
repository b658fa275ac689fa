package types

import (
	"math"
	"math/big"
	"strconv"

	"stele/sql/vec"
)

// Int128 is the unscaled value of a decimal.
type Int128 = vec.Int128

var pow10 = func() (p [39]Int128) {
	p[0] = vec.Int128Of(1)
	for i := 1; i < len(p); i++ {
		p[i], _ = p[i-1].Mul(vec.Int128Of(10))
	}
	return p
}()

// Pow10 returns 10^n for n in 0..38.
func Pow10(n int32) Int128 { return pow10[n] }

// Pow10Int64 returns 10^n for n in 0..18.
func Pow10Int64(n int32) int64 { return int64(pow10[n].Lo) }

// FitsDecimal reports whether v has at most precision digits.
func FitsDecimal(v Int128, precision int32) bool {
	p := pow10[min(precision, 38)]
	return v.Cmp(p) < 0 && v.Cmp(p.Neg()) > 0
}

// Rescale changes the scale of a decimal, rounding half away from zero; false when the result has over 38 digits.
func Rescale(v Int128, from, to int32) (Int128, bool) {
	switch {
	case to == from:
		return v, true
	case to > from:
		if to-from > 38 {
			return Int128{}, v.Sign() == 0
		}
		r, ok := v.Mul(pow10[to-from])
		return r, ok && FitsDecimal(r, 38)
	case from-to > 38:
		return Int128{}, true
	}
	return divRound(v, pow10[from-to]), true
}

// TruncateScale drops digits after the point without rounding; to <= from.
func TruncateScale(v Int128, from, to int32) Int128 {
	if from-to > 38 {
		return Int128{}
	}
	q, _ := v.QuoRem(pow10[from-to])
	return q
}

// divRound divides by a positive or negative b, rounding half away from zero.
func divRound(a, b Int128) Int128 {
	q, r := a.QuoRem(b)
	r, b = r.Abs(), b.Abs()
	rest, _ := b.Sub(r)
	if r.Cmp(rest) < 0 {
		return q
	}
	one := vec.Int128Of(1)
	if a.Sign() != 0 && q.Sign() == 0 {
		// The quotient lost its sign; the caller's operands have it, see DivDecimal.
		if a.Hi < 0 {
			return one.Neg()
		}
		return one
	}
	if q.Hi < 0 {
		q, _ = q.Sub(one)
	} else {
		q, _ = q.Add(one)
	}
	return q
}

// AddDecimal adds at the given result scale, which is at least both scales.
func AddDecimal(a Int128, as int32, b Int128, bs, scale int32) (Int128, bool) {
	x, ok1 := Rescale(a, as, scale)
	y, ok2 := Rescale(b, bs, scale)
	r, ok3 := x.Add(y)
	return r, ok1 && ok2 && ok3 && FitsDecimal(r, 38)
}

// MulDecimal multiplies and rounds to the result scale.
func MulDecimal(a Int128, as int32, b Int128, bs, scale int32) (Int128, bool) {
	if r, ok := a.Mul(b); ok {
		r, ok = Rescale(r, as+bs, scale)
		return r, ok && FitsDecimal(r, 38)
	}
	p := new(big.Int).Mul(a.Big(), b.Big())
	return bigRescale(p, big.NewInt(1), as+bs, scale, true)
}

// DivDecimal divides and rounds to the result scale; b is not zero.
func DivDecimal(a Int128, as int32, b Int128, bs, scale int32) (Int128, bool) {
	if b.Hi < 0 { // so that the sign of a is the sign of the quotient
		a, b = a.Neg(), b.Neg()
	}
	if shift := scale - as + bs; shift >= 0 && shift <= 38 {
		if n, ok := a.Mul(pow10[shift]); ok {
			r := divRound(n, b)
			return r, FitsDecimal(r, 38)
		}
	}
	return bigRescale(a.Big(), b.Big(), as-bs, scale, true)
}

// CutQuotient divides and cuts off what the result scale does not hold; b is not zero.
func CutQuotient(a Int128, as int32, b Int128, bs, scale int32) (Int128, bool) {
	if shift := scale - as + bs; shift >= 0 && shift <= 38 {
		if n, ok := a.Mul(pow10[shift]); ok {
			q, _ := n.QuoRem(b)
			return q, FitsDecimal(q, 38)
		}
	}
	return bigRescale(a.Big(), b.Big(), as-bs, scale, false)
}

// bigRescale computes n/d at the given scale when 128 bits are not enough, rounded half away from zero or cut off.
func bigRescale(n, d *big.Int, from, to int32, round bool) (Int128, bool) {
	shift := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(to-from, from-to))), nil)
	n, d = new(big.Int).Set(n), new(big.Int).Set(d)
	if to >= from {
		n.Mul(n, shift)
	} else {
		d.Mul(d, shift)
	}
	neg := n.Sign()*d.Sign() < 0
	n.Abs(n)
	d.Abs(d)
	q, r := n.QuoRem(n, d, new(big.Int))
	if round && r.Lsh(r, 1).Cmp(d) >= 0 {
		q.Add(q, big.NewInt(1))
	}
	if neg {
		q.Neg(q)
	}
	res, ok := vec.Int128OfBig(q)
	return res, ok && FitsDecimal(res, 38)
}

// ModDecimal returns the remainder with the sign of a, at scale max(as, bs); b is not zero.
func ModDecimal(a Int128, as int32, b Int128, bs int32) (Int128, bool) {
	s := max(as, bs)
	x, ok1 := Rescale(a, as, s)
	y, ok2 := Rescale(b, bs, s)
	if ok1 && ok2 {
		_, r := x.QuoRem(y)
		return r, true
	}
	shift := func(v Int128, d int32) *big.Int {
		return new(big.Int).Mul(v.Big(), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(d)), nil))
	}
	return vec.Int128OfBig(new(big.Int).Rem(shift(a, s-as), shift(b, s-bs)))
}

// CmpDecimal compares decimals of any scales.
func CmpDecimal(a Int128, as int32, b Int128, bs int32) int {
	if as == bs {
		return a.Cmp(b)
	}
	s := max(as, bs)
	x, ok1 := Rescale(a, as, s)
	y, ok2 := Rescale(b, bs, s)
	if ok1 && ok2 {
		return x.Cmp(y)
	}
	ai, af := a.QuoRem(pow10[min(as, 38)])
	bi, bf := b.QuoRem(pow10[min(bs, 38)])
	if c := ai.Cmp(bi); c != 0 {
		return c
	}
	x, _ = Rescale(af, as, s)
	y, _ = Rescale(bf, bs, s)
	return x.Cmp(y)
}

// AppendDecimal prints a decimal with exactly scale digits after the point.
func AppendDecimal(dst []byte, v Int128, scale int32) []byte {
	if v.Hi < 0 {
		dst = append(dst, '-')
	}
	var buf [40]byte
	i := len(buf)
	for u := v.Abs(); ; {
		var q, r Int128
		if u.Hi == 0 {
			q, r = Int128{Lo: u.Lo / 1e9}, Int128{Lo: u.Lo % 1e9}
		} else {
			q, r = u.QuoRem(vec.Int128Of(1e9))
		}
		last := q.Sign() == 0
		for k, x := 0, r.Lo; k < 9 && (!last || x > 0); k++ {
			i--
			buf[i] = byte('0' + x%10)
			x /= 10
		}
		if last {
			break
		}
		u = q
	}
	for len(buf)-i <= int(scale) {
		i--
		buf[i] = '0'
	}
	point := len(buf) - int(scale)
	dst = append(dst, buf[i:point]...)
	if scale > 0 {
		dst = append(append(dst, '.'), buf[point:]...)
	}
	return dst
}

// ParseDecimal reads a decimal number, with exponent or not, at the longest prefix of s (after blanks). It returns its
// unscaled value and scale (0..38; further digits are rounded away), how many bytes it took including blanks on both
// sides, and whether it fits 38 digits. With no digits at all, used is 0.
func ParseDecimal(s []byte) (v Int128, scale int32, used int, fits bool) {
	n, ok := scanNumber(s)
	if !ok {
		return Int128{}, 0, 0, true
	}
	exp := n.exp - len(n.frac)
	digits := append(append(make([]byte, 0, 64), n.whole...), n.frac...)
	v, scale, fits = decimalOf(digits, exp)
	if n.neg {
		v = v.Neg()
	}
	return v, scale, n.used, fits
}

// decimalOf makes digits * 10^exp a decimal of scale 0..38.
func decimalOf(digits []byte, exp int) (v Int128, scale int32, fits bool) {
	for len(digits) > 0 && digits[0] == '0' {
		digits = digits[1:]
	}
	if len(digits) == 0 {
		return v, int32(max(0, min(-exp, 38))), true
	}
	if len(digits)+exp > 38 {
		top, _ := pow10[38].Sub(vec.Int128Of(1))
		return top, 0, false
	}
	keep := len(digits)
	if keep > 38 {
		keep = 38
	}
	if -exp > 38 { // keep 38 digits after the point
		keep = min(keep, len(digits)+exp+38)
	}
	if keep < 0 {
		return v, 38, true
	}
	dropped := len(digits) - keep
	for _, c := range digits[:keep] {
		v, _ = v.Mul(vec.Int128Of(10))
		v, _ = v.Add(vec.Int128Of(int64(c - '0')))
	}
	if dropped > 0 && digits[keep] >= '5' {
		v, _ = v.Add(vec.Int128Of(1))
	}
	exp += dropped
	if exp >= 0 {
		v, fits = v.Mul(pow10[exp])
		return v, 0, fits && FitsDecimal(v, 38)
	}
	return v, int32(-exp), FitsDecimal(v, 38)
}

// DecimalToFloat returns the nearest double.
func DecimalToFloat(v Int128, scale int32) float64 {
	if i, ok := v.Int64(); ok && i < 1<<53 && i > -1<<53 && scale <= 22 {
		return float64(i) / math.Pow10(int(scale)) // both exact, so the quotient is correctly rounded
	}
	f, _ := strconv.ParseFloat(string(AppendDecimal(nil, v, scale)), 64)
	return f
}

// FloatToDecimal converts the shortest text of a double to a decimal of the given scale; false when out of range.
func FloatToDecimal(f float64, scale int32) (Int128, bool) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Int128{}, false
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return Rescale(vec.Int128Of(int64(f)), 0, scale)
	}
	v, s, _, fits := ParseDecimal(strconv.AppendFloat(nil, f, 'e', -1, 64))
	if !fits {
		return v, false
	}
	return Rescale(v, s, scale)
}
