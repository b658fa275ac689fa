package vec

import (
	"math"
	"math/big"
	"math/bits"
)

// Int128Of widens a signed integer.
func Int128Of(v int64) Int128 { return Int128{Hi: v >> 63, Lo: uint64(v)} }

// Int128OfUint widens an unsigned integer.
func Int128OfUint(v uint64) Int128 { return Int128{Lo: v} }

// Sign returns -1, 0 or 1.
func (a Int128) Sign() int {
	switch {
	case a.Hi < 0:
		return -1
	case a.Hi == 0 && a.Lo == 0:
		return 0
	}
	return 1
}

// Cmp compares as signed integers.
func (a Int128) Cmp(b Int128) int {
	switch {
	case a.Hi < b.Hi:
		return -1
	case a.Hi > b.Hi:
		return 1
	case a.Lo < b.Lo:
		return -1
	case a.Lo > b.Lo:
		return 1
	}
	return 0
}

// Add returns a+b and whether it fits.
func (a Int128) Add(b Int128) (Int128, bool) {
	lo, carry := bits.Add64(a.Lo, b.Lo, 0)
	hi := int64(uint64(a.Hi) + uint64(b.Hi) + carry)
	return Int128{Hi: hi, Lo: lo}, (a.Hi < 0) != (b.Hi < 0) || (hi < 0) == (a.Hi < 0)
}

// Sub returns a-b and whether it fits.
func (a Int128) Sub(b Int128) (Int128, bool) {
	lo, borrow := bits.Sub64(a.Lo, b.Lo, 0)
	hi := int64(uint64(a.Hi) - uint64(b.Hi) - borrow)
	return Int128{Hi: hi, Lo: lo}, (a.Hi < 0) == (b.Hi < 0) || (hi < 0) == (a.Hi < 0)
}

// Neg returns -a (wrapping at the minimum).
func (a Int128) Neg() Int128 {
	lo, borrow := bits.Sub64(0, a.Lo, 0)
	return Int128{Hi: int64(-uint64(a.Hi) - borrow), Lo: lo}
}

// Abs returns |a| (wrapping at the minimum).
func (a Int128) Abs() Int128 {
	if a.Hi < 0 {
		return a.Neg()
	}
	return a
}

// Mul returns a*b and whether it fits.
func (a Int128) Mul(b Int128) (Int128, bool) {
	neg := (a.Hi < 0) != (b.Hi < 0)
	x, y := a.Abs(), b.Abs()
	if x.Hi != 0 && y.Hi != 0 {
		return Int128{}, false
	}
	hi, lo := bits.Mul64(x.Lo, y.Lo)
	if x.Hi != 0 || y.Hi != 0 {
		ch, c1 := bits.Mul64(uint64(x.Hi), y.Lo)
		dh, c2 := bits.Mul64(uint64(y.Hi), x.Lo)
		var carry, carry2 uint64
		hi, carry = bits.Add64(hi, c1, 0)
		hi, carry2 = bits.Add64(hi, c2, 0)
		if ch|dh|carry|carry2 != 0 {
			return Int128{}, false
		}
	}
	if hi>>63 != 0 {
		return Int128{}, false
	}
	r := Int128{Hi: int64(hi), Lo: lo}
	if neg {
		r = r.Neg()
	}
	return r, true
}

// QuoRem divides, truncating toward zero; b must not be zero.
func (a Int128) QuoRem(b Int128) (q, r Int128) {
	x, y := a.Abs(), b.Abs()
	if y.Hi == 0 {
		qh := uint64(x.Hi) / y.Lo
		ql, rem := bits.Div64(uint64(x.Hi)%y.Lo, x.Lo, y.Lo)
		q, r = Int128{Hi: int64(qh), Lo: ql}, Int128{Lo: rem}
	} else {
		bq, br := new(big.Int).QuoRem(x.Big(), y.Big(), new(big.Int))
		q, _ = Int128OfBig(bq)
		r, _ = Int128OfBig(br)
	}
	if (a.Hi < 0) != (b.Hi < 0) {
		q = q.Neg()
	}
	if a.Hi < 0 {
		r = r.Neg()
	}
	return q, r
}

// Int64 returns the value as int64 and whether it fits.
func (a Int128) Int64() (int64, bool) {
	return int64(a.Lo), a.Hi == int64(a.Lo)>>63
}

// Float64 returns the nearest double (up to one rounding of each half).
func (a Int128) Float64() float64 {
	if a.Hi < 0 {
		return -a.Neg().Float64()
	}
	if a.Hi == 0 {
		return float64(a.Lo)
	}
	return math.Ldexp(float64(a.Hi), 64) + float64(a.Lo)
}

// Big returns the value as a big integer.
func (a Int128) Big() *big.Int {
	b := new(big.Int).SetInt64(a.Hi)
	b.Lsh(b, 64)
	return b.Add(b, new(big.Int).SetUint64(a.Lo))
}

// Int128OfBig narrows a big integer and tells whether it fits.
func Int128OfBig(b *big.Int) (Int128, bool) {
	if b.BitLen() > 127 {
		return Int128{}, false
	}
	abs := new(big.Int).Abs(b)
	lo := new(big.Int).And(abs, new(big.Int).SetUint64(math.MaxUint64)).Uint64()
	hi := new(big.Int).Rsh(abs, 64).Int64()
	r := Int128{Hi: hi, Lo: lo}
	if b.Sign() < 0 {
		r = r.Neg()
	}
	return r, true
}
