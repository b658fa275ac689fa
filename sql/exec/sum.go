package exec

import (
	"math"
	"math/big"
	"math/bits"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/vec"
)

// exactSum is SUM and AVG of integers and decimals, exact in 128 bits. States: the sum (NULL for no values), and for
// AVG the count.
type exactSum struct {
	avg      bool
	arg, out types.ColumnType
	narrow   bool
	sums     []vec.Int128
	n        []int64
	local    []int64 // scratch of the narrow path
}

// A value of at most 15 digits can be added 4096 times before 63 bits overflow, which lets a batch be summed in one
// register a group. With more groups than narrowGroups carrying the sums over costs more than it saves.
const (
	narrowDigits = 15
	narrowRows   = 4096
	narrowGroups = 128
)

func newExactSum(s aggSpec, avg bool) *exactSum {
	a := &exactSum{avg: avg, arg: s.arg, out: s.f.Type}
	switch s.arg.Kind {
	case types.KindDecimal:
		a.narrow = s.arg.Length > 0 && s.arg.Length <= narrowDigits
	case types.KindTinyInt, types.KindSmallInt, types.KindMediumInt, types.KindInt, types.KindYear, types.KindBool:
		a.narrow = true
	}
	return a
}

func (a *exactSum) grow(n int) { a.sums, a.n = growTo(a.sums, n), growTo(a.n, n) }

func (a *exactSum) update(ids, rows []int32, args []*vec.Vector) error {
	v := args[0]
	if v.Type.Phys() == types.PhysDec128 {
		return a.addDec(ids, rows, v)
	}
	switch {
	case a.narrow && len(rows) <= narrowRows && len(a.sums) <= narrowGroups:
		a.addNarrow(ids, rows, v)
	case v.Type.Unsigned:
		for i, g := range ids {
			if r := int(rows[i]); !v.IsNull(r) {
				a.add(g, 0, uint64(v.I64[r]))
			}
		}
	default:
		for i, g := range ids {
			if r := int(rows[i]); !v.IsNull(r) {
				a.add(g, uint64(v.I64[r]>>63), uint64(v.I64[r]))
			}
		}
	}
	return nil
}

// add cannot overflow: 2^63 rows of 64 bits fit.
func (a *exactSum) add(g int32, hi, lo uint64) {
	s := &a.sums[g]
	sum, carry := bits.Add64(s.Lo, lo, 0)
	s.Lo, s.Hi = sum, int64(uint64(s.Hi)+hi+carry)
	a.n[g]++
}

func (a *exactSum) addNarrow(ids, rows []int32, v *vec.Vector) {
	a.local = growTo(a.local[:0], len(a.sums))
	clear(a.local)
	local, n := a.local, a.n
	if v.Valid == nil {
		for i, g := range ids {
			local[g] += v.I64[rows[i]]
			n[g]++
		}
	} else {
		for i, g := range ids {
			if r := int(rows[i]); !v.IsNull(r) {
				local[g] += v.I64[r]
				n[g]++
			}
		}
	}
	for g, x := range local {
		a.sums[g], _ = a.sums[g].Add(vec.Int128Of(x))
	}
}

func (a *exactSum) addDec(ids, rows []int32, v *vec.Vector) error {
	for i, g := range ids {
		r := int(rows[i])
		if v.IsNull(r) {
			continue
		}
		sum, ok := a.sums[g].Add(v.Dec[r])
		if !ok {
			return errOutOfRange(a.name())
		}
		a.sums[g] = sum
		a.n[g]++
	}
	return nil
}

// addTotal adds the sum of n values to group g.
func (a *exactSum) addTotal(g int, sum vec.Int128, n int64) error {
	x, ok := a.sums[g].Add(sum)
	if !ok {
		return errOutOfRange(a.name())
	}
	a.sums[g] = x
	a.n[g] += n
	return nil
}

// updateInts is update for values that fit 64 bits, whatever their type.
func (a *exactSum) updateInts(ids, rows []int32, c *expr.Ints) error {
	for i, g := range ids {
		r := rows[i]
		if c.Valid != nil && c.Valid[r>>6]>>(uint(r)&63)&1 == 0 {
			continue
		}
		sum, ok := a.sums[g].Add(vec.Int128Of(c.V[r]))
		if !ok {
			return errOutOfRange(a.name())
		}
		a.sums[g] = sum
		a.n[g]++
	}
	return nil
}

// addFused adds what fusedSum has found for column c in a lane.
func (a *exactSum) addFused(sums []fusedRow, lane int, c *expr.Ints, slots []int32) error {
	for g := range a.sums {
		n := sums[g+1][0]
		if c.Valid != nil {
			n = 0
		}
		if err := a.addTotal(g, vec.Int128Of(sums[g+1][lane]), n); err != nil {
			return err
		}
	}
	if c.Valid != nil {
		for i, s := range slots {
			if s > 0 {
				a.n[s-1] += int64(c.Valid[i>>6] >> (uint(i) & 63) & 1)
			}
		}
	}
	return nil
}

func (a *exactSum) name() string {
	if a.avg {
		return "avg"
	}
	return "sum"
}

func (a *exactSum) merge(ids, rows []int32, state []*vec.Vector) error {
	for i, g := range ids {
		r := int(rows[i])
		if state[0].IsNull(r) {
			continue
		}
		sum, ok := a.sums[g].Add(int128At(state[0], r))
		if !ok {
			return errOutOfRange(a.name())
		}
		a.sums[g] = sum
		if a.avg {
			a.n[g] += state[1].I64[r]
		} else {
			a.n[g]++
		}
	}
	return nil
}

func (a *exactSum) emitState(dst []*vec.ColumnBuilder, lo, hi int) {
	for g := lo; g < hi; g++ {
		if a.n[g] == 0 {
			dst[0].AppendNull()
		} else {
			dst[0].AppendDec(a.sums[g])
		}
		if a.avg {
			dst[1].AppendInt(a.n[g])
		}
	}
}

func (a *exactSum) emit(dst *vec.ColumnBuilder, lo, hi int) error {
	for g := lo; g < hi; g++ {
		if a.n[g] == 0 {
			dst.AppendNull()
			continue
		}
		n := int64(1)
		if a.avg {
			n = a.n[g]
		}
		if err := appendQuotient(dst, a.out, a.sums[g], decimalScale(a.arg), n, a.name()); err != nil {
			return err
		}
	}
	return nil
}

func (a *exactSum) size() int64 { return int64(cap(a.sums))*16 + int64(cap(a.n))*8 }

// appendQuotient appends sum/10^scale/n as a value of type out, rounded half away from zero.
func appendQuotient(dst *vec.ColumnBuilder, out types.ColumnType, sum vec.Int128, scale int32, n int64, what string) error {
	if out.Phys() == types.PhysFloat64 {
		dst.AppendFloat(sum.Float64() / math.Pow10(int(scale)) / float64(n))
		return nil
	}
	q, ok := quotient(sum, n, decimalScale(out)-scale)
	if !ok {
		return errOutOfRange(what)
	}
	if out.Phys() == types.PhysDec128 {
		dst.AppendDec(q)
		return nil
	}
	x, ok := q.Int64()
	if !ok {
		return errOutOfRange(what)
	}
	dst.AppendInt(x)
	return nil
}

// quotient returns sum * 10^up / n.
func quotient(sum vec.Int128, n int64, up int32) (vec.Int128, bool) {
	if n == 1 && up == 0 {
		return sum, true
	}
	if x, ok := sum.Int64(); ok && up >= 0 && up <= 6 {
		if y := x * pow10[up]; y/pow10[up] == x && y != math.MinInt64 {
			return vec.Int128Of(divRound(y, n)), true
		}
	}
	num, den := sum.Big(), big.NewInt(n)
	factor := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(up, -up))), nil)
	if up >= 0 {
		num.Mul(num, factor)
	} else {
		den.Mul(den, factor)
	}
	rem := new(big.Int)
	q, _ := new(big.Int).QuoRem(num, den, rem)
	if rem.Abs(rem).Lsh(rem, 1).Cmp(den) >= 0 {
		q.Add(q, big.NewInt(int64(num.Sign())))
	}
	return vec.Int128OfBig(q)
}

var pow10 = [...]int64{1, 10, 100, 1000, 10_000, 100_000, 1_000_000}

func divRound(x, n int64) int64 {
	q, r := x/n, x%n
	if r < 0 {
		r = -r
	}
	if r >= n-r {
		if x < 0 {
			return q - 1
		}
		return q + 1
	}
	return q
}

func int128At(v *vec.Vector, r int) vec.Int128 {
	if v.Type.Phys() == types.PhysDec128 {
		return v.Dec[r]
	}
	if v.Type.Unsigned {
		return vec.Int128OfUint(uint64(v.I64[r]))
	}
	return vec.Int128Of(v.I64[r])
}

// floatSum is SUM and AVG of doubles. States as exactSum's.
type floatSum struct {
	avg  bool
	out  types.ColumnType
	sums []float64
	n    []int64
}

func (a *floatSum) grow(n int) { a.sums, a.n = growTo(a.sums, n), growTo(a.n, n) }

func (a *floatSum) update(ids, rows []int32, args []*vec.Vector) error {
	v := args[0]
	for i, g := range ids {
		if r := int(rows[i]); !v.IsNull(r) {
			a.sums[g] += v.F64[r]
			a.n[g]++
		}
	}
	return nil
}

func (a *floatSum) merge(ids, rows []int32, state []*vec.Vector) error {
	for i, g := range ids {
		r := int(rows[i])
		if state[0].IsNull(r) {
			continue
		}
		a.sums[g] += state[0].F64[r]
		if a.avg {
			a.n[g] += state[1].I64[r]
		} else {
			a.n[g]++
		}
	}
	return nil
}

func (a *floatSum) emitState(dst []*vec.ColumnBuilder, lo, hi int) {
	for g := lo; g < hi; g++ {
		if a.n[g] == 0 {
			dst[0].AppendNull()
		} else {
			dst[0].AppendFloat(a.sums[g])
		}
		if a.avg {
			dst[1].AppendInt(a.n[g])
		}
	}
}

func (a *floatSum) emit(dst *vec.ColumnBuilder, lo, hi int) error {
	for g := lo; g < hi; g++ {
		x := a.sums[g]
		if a.avg {
			x /= float64(a.n[g])
		}
		switch {
		case a.n[g] == 0:
			dst.AppendNull()
		case math.IsInf(x, 0) || math.IsNaN(x):
			return errDoubleRange("sum")
		default:
			dst.AppendFloat(x)
		}
	}
	return nil
}

func (a *floatSum) size() int64 { return int64(cap(a.sums)+cap(a.n)) * 8 }

// varianceAcc is the variance family after Welford and Chan, which do not lose digits as the difference of squares
// does. States: count, mean, sum of squared deviations.
type varianceAcc struct {
	name     string
	scale    int32
	unsigned bool
	n        []int64
	mean, m2 []float64
}

func (a *varianceAcc) grow(n int) {
	a.n, a.mean, a.m2 = growTo(a.n, n), growTo(a.mean, n), growTo(a.m2, n)
}

func (a *varianceAcc) update(ids, rows []int32, args []*vec.Vector) error {
	v := args[0]
	for i, g := range ids {
		r := int(rows[i])
		if v.IsNull(r) {
			continue
		}
		a.combine(g, 1, floatAt(v, r, a.scale), 0)
	}
	return nil
}

// combine adds n values of the given mean and squared deviations to group g.
func (a *varianceAcc) combine(g int32, n int64, mean, m2 float64) {
	if n == 0 {
		return
	}
	total := a.n[g] + n
	d := mean - a.mean[g]
	a.m2[g] += m2 + d*d*float64(a.n[g])/float64(total)*float64(n)
	a.mean[g] += d * float64(n) / float64(total)
	a.n[g] = total
}

func (a *varianceAcc) merge(ids, rows []int32, state []*vec.Vector) error {
	for i, g := range ids {
		r := int(rows[i])
		if !state[1].IsNull(r) {
			a.combine(g, state[0].I64[r], state[1].F64[r], state[2].F64[r])
		}
	}
	return nil
}

func (a *varianceAcc) emitState(dst []*vec.ColumnBuilder, lo, hi int) {
	for g := lo; g < hi; g++ {
		dst[0].AppendInt(a.n[g])
		dst[1].AppendFloat(a.mean[g])
		dst[2].AppendFloat(a.m2[g])
	}
}

func (a *varianceAcc) emit(dst *vec.ColumnBuilder, lo, hi int) error {
	for g := lo; g < hi; g++ {
		appendVariance(dst, a.name, a.n[g], a.m2[g])
	}
	return nil
}

// appendVariance appends a variance or standard deviation of n values with this sum of squared differences from their mean.
func appendVariance(dst *vec.ColumnBuilder, name string, n int64, m2 float64) {
	if name == "stddev_samp" || name == "var_samp" {
		n--
	}
	if n <= 0 {
		dst.AppendNull()
		return
	}
	x := m2 / float64(n)
	if name == "stddev_pop" || name == "stddev_samp" {
		x = math.Sqrt(x)
	}
	dst.AppendFloat(x)
}

func (a *varianceAcc) size() int64 { return int64(cap(a.n)) * 24 }

// floatAt returns a number that is not NULL as a double.
func floatAt(v *vec.Vector, r int, scale int32) float64 {
	switch v.Type.Phys() {
	case types.PhysFloat64:
		return v.F64[r]
	case types.PhysDec128:
		return v.Dec[r].Float64() / math.Pow10(int(scale))
	}
	if v.Type.Unsigned {
		return float64(uint64(v.I64[r]))
	}
	return float64(v.I64[r]) / math.Pow10(int(scale))
}
