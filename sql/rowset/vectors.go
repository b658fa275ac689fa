package rowset

import (
	"stele/meta/types"
	"stele/sql/vec"
)

// NewVector returns an empty vector of type t with room for n rows, to be filled by the Append functions.
func NewVector(t types.ColumnType, n int) *vec.Vector {
	v := &vec.Vector{Type: t}
	switch t.Phys() {
	case types.PhysInt64:
		v.I64 = make([]int64, 0, n)
	case types.PhysFloat64:
		v.F64 = make([]float64, 0, n)
	case types.PhysDec128:
		v.Dec = make([]vec.Int128, 0, n)
	default:
		v.Off = append(make([]uint32, 0, n+1), 0)
	}
	return v
}

// Empty takes the rows of a vector away and leaves it their memory.
func Empty(v *vec.Vector) {
	v.N, v.Valid = 0, nil
	v.I64, v.F64, v.Dec, v.Data = v.I64[:0], v.F64[:0], v.Dec[:0], v.Data[:0]
	if v.Off != nil {
		v.Off = v.Off[:1]
	}
}

// NewRow returns empty vectors of the types for one row, in few pieces of memory.
func NewRow(ts []types.ColumnType) []*vec.Vector {
	out, vectors := make([]*vec.Vector, len(ts)), make([]vec.Vector, len(ts))
	ints, offs := make([]int64, len(ts)), make([]uint32, 2*len(ts))
	for i, t := range ts {
		v := &vectors[i]
		switch v.Type = t; t.Phys() {
		case types.PhysInt64:
			v.I64 = ints[i : i : i+1]
		case types.PhysFloat64, types.PhysDec128:
		default:
			v.Off = offs[2*i : 2*i+1 : 2*i+2]
		}
		out[i] = v
	}
	return out
}

// AppendRow appends row of src, which has the same physical type, to dst.
func AppendRow(dst, src *vec.Vector, row int) {
	if src.IsNull(row) {
		AppendNull(dst)
		return
	}
	switch dst.Type.Phys() {
	case types.PhysInt64:
		dst.I64 = append(dst.I64, src.I64[row])
	case types.PhysFloat64:
		dst.F64 = append(dst.F64, src.F64[row])
	case types.PhysDec128:
		dst.Dec = append(dst.Dec, src.Dec[row])
	default:
		dst.Data = append(dst.Data, src.Bytes(row)...)
		dst.Off = append(dst.Off, uint32(len(dst.Data)))
	}
	endValid(dst)
}

// AppendNull appends a NULL to dst.
func AppendNull(dst *vec.Vector) {
	appendZero(dst)
	if dst.Valid == nil {
		dst.Valid = make([]uint64, dst.N>>6+1)
		for i := range dst.N {
			dst.Valid[i>>6] |= 1 << (uint(i) & 63)
		}
	}
	growValid(dst)
	dst.N++
}

// AppendZero appends the zero value of dst's type (0, the empty string) to dst.
func AppendZero(dst *vec.Vector) {
	appendZero(dst)
	endValid(dst)
}

// AppendRange appends the rows [from, to) of src to dst.
func AppendRange(dst, src *vec.Vector, from, to int) {
	if src.Valid != nil || dst.Valid != nil {
		for i := from; i < to; i++ {
			AppendRow(dst, src, i)
		}
		return
	}
	switch dst.Type.Phys() {
	case types.PhysInt64:
		dst.I64 = append(dst.I64, src.I64[from:to]...)
	case types.PhysFloat64:
		dst.F64 = append(dst.F64, src.F64[from:to]...)
	case types.PhysDec128:
		dst.Dec = append(dst.Dec, src.Dec[from:to]...)
	default:
		shift := uint32(len(dst.Data)) - src.Off[from]
		dst.Data = append(dst.Data, src.Data[src.Off[from]:src.Off[to]]...)
		for _, off := range src.Off[from+1 : to+1] {
			dst.Off = append(dst.Off, off+shift)
		}
	}
	dst.N += to - from
}

// Constant returns n rows of row of src.
func Constant(src *vec.Vector, row, n int) *vec.Vector {
	out := NewVector(src.Type, n)
	for range n {
		AppendRow(out, src, row)
	}
	return out
}

// Slice returns the rows [from, to) of v; buffers are shared where that is possible. Offsets start at 0.
func Slice(v *vec.Vector, from, to int) *vec.Vector {
	if from == 0 && to == v.N {
		return v
	}
	if v.Valid != nil && from&63 != 0 {
		out := NewVector(v.Type, to-from)
		AppendRange(out, v, from, to)
		return out
	}
	out := &vec.Vector{Type: v.Type, N: to - from}
	if v.Valid != nil {
		out.Valid = v.Valid[from>>6 : (to+63)>>6]
	}
	switch v.Type.Phys() {
	case types.PhysInt64:
		out.I64 = v.I64[from:to:to]
	case types.PhysFloat64:
		out.F64 = v.F64[from:to:to]
	case types.PhysDec128:
		out.Dec = v.Dec[from:to:to]
	default:
		out.Off, out.Data = rebase(v.Off[from:to+1], v.Data)
	}
	return out
}

// rebase makes offsets start at 0 by cutting the bytes before them off.
func rebase(off []uint32, data []byte) ([]uint32, []byte) {
	first, last := off[0], off[len(off)-1]
	data = data[first:last:last]
	if first == 0 {
		return off, data
	}
	out := make([]uint32, len(off))
	for i, o := range off {
		out[i] = o - first
	}
	return out, data
}

func appendZero(dst *vec.Vector) {
	switch dst.Type.Phys() {
	case types.PhysInt64:
		dst.I64 = append(dst.I64, 0)
	case types.PhysFloat64:
		dst.F64 = append(dst.F64, 0)
	case types.PhysDec128:
		dst.Dec = append(dst.Dec, vec.Int128{})
	default:
		dst.Off = append(dst.Off, uint32(len(dst.Data)))
	}
}

// endValid counts the row whose value was appended.
func endValid(dst *vec.Vector) {
	if dst.Valid != nil {
		growValid(dst)
		dst.Valid[dst.N>>6] |= 1 << (uint(dst.N) & 63)
	}
	dst.N++
}

// growValid makes room for the bit of row dst.N.
func growValid(dst *vec.Vector) {
	if dst.N>>6 >= len(dst.Valid) {
		dst.Valid = append(dst.Valid, 0)
	}
}
