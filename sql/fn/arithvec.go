package fn

import (
	"math/bits"

	"stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// Kernels of arithmetic over whole columns; arith.go has the rules of types, and the kernels of single rows that these fall back to.

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
	if !c.isPlain() || c.Args[0].Phys() == types.PhysDec128 || c.dividesStrictly() {
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
