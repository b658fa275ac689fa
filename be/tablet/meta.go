package tablet

import (
	"math"
	"slices"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// Meta is what a tablet is, as the FE said.
type Meta struct {
	Tablet    types.TabletID    `cbor:"1,keyasint"`
	Table     types.TableID     `cbor:"2,keyasint"`
	Partition types.PartitionID `cbor:"3,keyasint"`
	Replica   types.ReplicaID   `cbor:"4,keyasint"`
	Schema    types.Schema      `cbor:"5,keyasint"`
	Epoch     types.Epoch       `cbor:"6,keyasint,omitempty"`
}

func (m Meta) clone() Meta {
	m.Schema.Columns = slices.Clone(m.Schema.Columns)
	m.Schema.Key = slices.Clone(m.Schema.Key)
	return m
}

// initialVector returns n rows of the value that rows have in a column which is younger than they are. A column that must not be
// NULL and does not say has zero.
func initialVector(col *types.Column, n int) *vec.Vector {
	one := rowset.NewVector(col.Type, 1)
	switch val := col.Initial; {
	case val != nil:
		appendValue(one, expr.Value{I: val.I, Hi: val.Hi, F: math.Float64frombits(uint64(val.I)), B: val.Bytes})
	case col.Type.NotNull:
		rowset.AppendZero(one)
	default:
		rowset.AppendNull(one)
	}
	return rowset.Constant(one, 0, n)
}

// appendValue appends a value that is not NULL.
func appendValue(v *vec.Vector, val expr.Value) {
	switch v.Type.Phys() {
	case types.PhysInt64:
		v.I64 = append(v.I64, val.I)
	case types.PhysFloat64:
		v.F64 = append(v.F64, val.F)
	case types.PhysDec128:
		v.Dec = append(v.Dec, vec.Int128{Hi: val.Hi, Lo: uint64(val.I)})
	default:
		v.Data = append(v.Data, val.B...)
		v.Off = append(v.Off, uint32(len(v.Data)))
	}
	v.N++
}
