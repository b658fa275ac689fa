package rowset

import (
	"math"

	"stele/meta/types"
	"stele/sql/vec"
)

// Initial returns n rows of the value that rows have in a column which is younger than they are. A column that must not be
// NULL and does not say has zero.
func Initial(col *types.Column, n int) *vec.Vector {
	one := NewVector(col.Type, 1)
	switch val := col.Initial; {
	case val != nil:
		AppendValue(one, val.I, val.Hi, math.Float64frombits(uint64(val.I)), val.Bytes)
	case col.Type.NotNull:
		AppendZero(one)
	default:
		AppendNull(one)
	}
	return Constant(one, 0, n)
}

// AppendValue appends a value that is not NULL: i of integers and the lower half of wide decimals, whose upper half is hi, f of floats, b of
// the rest.
func AppendValue(v *vec.Vector, i, hi int64, f float64, b []byte) {
	switch v.Type.Phys() {
	case types.PhysInt64:
		v.I64 = append(v.I64, i)
	case types.PhysFloat64:
		v.F64 = append(v.F64, f)
	case types.PhysDec128:
		v.Dec = append(v.Dec, vec.Int128{Hi: hi, Lo: uint64(i)})
	default:
		v.Data = append(v.Data, b...)
		v.Off = append(v.Off, uint32(len(v.Data)))
	}
	v.N++
}
