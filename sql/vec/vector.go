// Package vec holds column vectors and batches: the form in which rows travel through the execution engine, between
// FE and BE, and in and out of tablets.
//
// Buffers have Arrow's layout (contiguous values, LSB validity bitmap, 32-bit offsets for bytes), so that a vector
// can be handed to an Arrow reader without a copy. A vector is owned by whoever built it and is read-only once it
// has been passed on; a consumer that needs to change one copies it.
package vec

import "stele/meta/types"

// MaxRows is the most rows that an operator puts in one batch (16 KiB of int64, which fits the L1 cache).
const MaxRows = 2048

// Int128 is a signed 128-bit integer in two's complement, the value of a wide decimal.
type Int128 struct {
	Hi int64
	Lo uint64
}

// Vector is one column of a batch. Exactly one value buffer is used, as Type.Phys() says.
type Vector struct {
	Type types.ColumnType
	N    int       // rows
	I64  []int64   // PhysInt64
	F64  []float64 // PhysFloat64
	Dec  []Int128  // PhysDec128
	Off  []uint32  // PhysBytes: N+1 offsets into Data; value i is Data[Off[i]:Off[i+1]]
	Data []byte    // PhysBytes
	// Valid has bit i set when row i is not NULL; nil means that no row is. The value slot of a NULL row holds zero.
	Valid []uint64
}

// Batch is a slice of rows in columns. When Sel is not nil, only the rows it names exist, in that order.
type Batch struct {
	Cols []*Vector
	N    int     // rows in each vector
	Sel  []int32 // positions of the rows that count, ascending; nil = all
}

// Rows returns how many rows count.
func (b *Batch) Rows() int {
	if b.Sel != nil {
		return len(b.Sel)
	}
	return b.N
}

// IsNull reports whether row i of the vector is NULL.
func (v *Vector) IsNull(i int) bool {
	return v.Valid != nil && v.Valid[i>>6]&(1<<(uint(i)&63)) == 0
}

// Bytes returns value i of a PhysBytes vector, aliasing the buffer.
func (v *Vector) Bytes(i int) []byte { return v.Data[v.Off[i]:v.Off[i+1]:v.Off[i+1]] }
