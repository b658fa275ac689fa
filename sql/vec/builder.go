package vec

import (
	"math"
	"slices"

	"stele/meta/types"
)

// ColumnBuilder grows one vector row by row. It is not safe for concurrent use.
type ColumnBuilder struct {
	v    Vector
	phys types.Phys
}

// NewColumnBuilder starts a vector of type t with room for capacity rows.
func NewColumnBuilder(t types.ColumnType, capacity int) *ColumnBuilder {
	c := &ColumnBuilder{}
	c.start(t, capacity)
	return c
}

func (c *ColumnBuilder) start(t types.ColumnType, capacity int) {
	c.phys = t.Phys()
	c.v = Vector{Type: t}
	switch c.phys {
	case types.PhysFloat64:
		c.v.F64 = make([]float64, 0, capacity)
	case types.PhysDec128:
		c.v.Dec = make([]Int128, 0, capacity)
	case types.PhysBytes:
		c.v.Off = append(make([]uint32, 0, capacity+1), 0)
		c.v.Data = make([]byte, 0, 8*capacity)
	default:
		c.v.I64 = make([]int64, 0, capacity)
	}
}

// Len returns how many rows were appended.
func (c *ColumnBuilder) Len() int { return c.v.N }

// Size returns about how many bytes the rows take.
func (c *ColumnBuilder) Size() int { return c.v.Size() }

// AppendInt appends to a PhysInt64 column.
func (c *ColumnBuilder) AppendInt(x int64) {
	c.v.I64 = append(c.v.I64, x)
	c.valid()
}

// AppendFloat appends to a PhysFloat64 column.
func (c *ColumnBuilder) AppendFloat(x float64) {
	c.v.F64 = append(c.v.F64, x)
	c.valid()
}

// AppendDec appends to a PhysDec128 column.
func (c *ColumnBuilder) AppendDec(x Int128) {
	c.v.Dec = append(c.v.Dec, x)
	c.valid()
}

// AppendBytes copies b into a PhysBytes column. A vector holds at most 4 GiB of bytes: operators cut batches by Size
// long before that.
func (c *ColumnBuilder) AppendBytes(b []byte) {
	c.v.Data = append(c.v.Data, b...)
	c.endBytes()
	c.valid()
}

// AppendString is AppendBytes of a string.
func (c *ColumnBuilder) AppendString(s string) {
	c.v.Data = append(c.v.Data, s...)
	c.endBytes()
	c.valid()
}

func (c *ColumnBuilder) endBytes() {
	if uint64(len(c.v.Data)) > math.MaxUint32 {
		panic("BUG: vector of more than 4 GiB of bytes")
	}
	c.v.Off = append(c.v.Off, uint32(len(c.v.Data)))
}

// valid counts a row that is not NULL.
func (c *ColumnBuilder) valid() {
	i := c.v.N
	c.v.N++
	if c.v.Valid == nil {
		return
	}
	if i>>6 == len(c.v.Valid) {
		c.v.Valid = append(c.v.Valid, 0)
	}
	c.v.Valid[i>>6] |= 1 << (uint(i) & 63)
}

// AppendNull appends a NULL.
func (c *ColumnBuilder) AppendNull() {
	switch c.phys {
	case types.PhysFloat64:
		c.v.F64 = append(c.v.F64, 0)
	case types.PhysDec128:
		c.v.Dec = append(c.v.Dec, Int128{})
	case types.PhysBytes:
		c.endBytes()
	default:
		c.v.I64 = append(c.v.I64, 0)
	}
	i := c.v.N
	if c.v.Valid == nil {
		c.v.Valid = AllValid(i)
	}
	c.v.N++
	if i>>6 == len(c.v.Valid) {
		c.v.Valid = append(c.v.Valid, 0)
	}
}

// AppendValue appends a scalar of the column's type.
func (c *ColumnBuilder) AppendValue(x Value) {
	if x.Null {
		c.AppendNull()
		return
	}
	switch c.phys {
	case types.PhysFloat64:
		c.AppendFloat(x.F)
	case types.PhysDec128:
		c.AppendDec(x.Dec128())
	case types.PhysBytes:
		c.AppendBytes(x.B)
	default:
		c.AppendInt(x.I)
	}
}

// AppendFrom appends row i of a vector of the same physical type.
func (c *ColumnBuilder) AppendFrom(src *Vector, i int) {
	if src.IsNull(i) {
		c.AppendNull()
		return
	}
	switch c.phys {
	case types.PhysFloat64:
		c.AppendFloat(src.F64[i])
	case types.PhysDec128:
		c.AppendDec(src.Dec[i])
	case types.PhysBytes:
		c.AppendBytes(src.Bytes(i))
	default:
		c.AppendInt(src.I64[i])
	}
}

// AppendVector appends rows from..to of a vector of the same physical type.
func (c *ColumnBuilder) AppendVector(src *Vector, from, to int) {
	if src.Valid != nil || c.v.Valid != nil {
		for i := from; i < to; i++ {
			c.AppendFrom(src, i)
		}
		return
	}
	switch c.phys {
	case types.PhysFloat64:
		c.v.F64 = append(c.v.F64, src.F64[from:to]...)
	case types.PhysDec128:
		c.v.Dec = append(c.v.Dec, src.Dec[from:to]...)
	case types.PhysBytes:
		for i := from; i < to; i++ {
			c.AppendBytes(src.Bytes(i))
		}
		return
	default:
		c.v.I64 = append(c.v.I64, src.I64[from:to]...)
	}
	c.v.N += to - from
}

// AppendRows appends the rows of a vector of the same physical type that sel names.
func (c *ColumnBuilder) AppendRows(src *Vector, sel []int32) {
	if src.Valid != nil || c.v.Valid != nil {
		for _, i := range sel {
			c.AppendFrom(src, int(i))
		}
		return
	}
	switch c.phys {
	case types.PhysFloat64:
		c.v.F64 = appendRows(c.v.F64, src.F64, sel)
	case types.PhysDec128:
		c.v.Dec = appendRows(c.v.Dec, src.Dec, sel)
	case types.PhysBytes:
		size := 0
		for _, i := range sel {
			size += int(src.Off[i+1] - src.Off[i])
		}
		c.v.Data, c.v.Off = slices.Grow(c.v.Data, size), slices.Grow(c.v.Off, len(sel))
		for _, i := range sel {
			c.v.Data = append(c.v.Data, src.Data[src.Off[i]:src.Off[i+1]]...)
			c.endBytes()
		}
	default:
		c.v.I64 = appendRows(c.v.I64, src.I64, sel)
	}
	c.v.N += len(sel)
}

func appendRows[T any](dst, src []T, sel []int32) []T {
	at := len(dst)
	dst = slices.Grow(dst, len(sel))[:at+len(sel)]
	for k, i := range sel {
		dst[at+k] = src[i]
	}
	return dst
}

// ReuseBuilders starts empty vectors in the buffers of those of a batch that nobody reads any more.
func ReuseBuilders(old *Batch) []*ColumnBuilder {
	out := make([]*ColumnBuilder, len(old.Cols))
	for i, v := range old.Cols {
		out[i] = &ColumnBuilder{phys: v.Type.Phys(), v: Vector{Type: v.Type, I64: v.I64[:0], F64: v.F64[:0], Dec: v.Dec[:0], Data: v.Data[:0]}}
		if v.Off != nil {
			out[i].v.Off = append(v.Off[:0], 0)
		}
	}
	return out
}

// Finish returns the vector, which is the end of the builder.
func (c *ColumnBuilder) Finish() *Vector {
	v := c.v
	*c = ColumnBuilder{}
	return &v
}

// Cut returns the vector and starts an empty one of the same type.
func (c *ColumnBuilder) Cut() *Vector {
	v := c.v
	c.start(v.Type, v.N)
	return &v
}

// Builder grows a batch row by row. It is not safe for concurrent use.
type Builder struct {
	Cols []*ColumnBuilder
}

// NewBuilder starts a batch of the given column types with room for capacity rows.
func NewBuilder(ts []types.ColumnType, capacity int) *Builder {
	b := &Builder{Cols: make([]*ColumnBuilder, len(ts))}
	for i, t := range ts {
		b.Cols[i] = NewColumnBuilder(t, capacity)
	}
	return b
}

// Len returns the rows of the first column (every column must have as many when Finish is called).
func (b *Builder) Len() int {
	if len(b.Cols) == 0 {
		return 0
	}
	return b.Cols[0].Len()
}

// Size returns about how many bytes the rows take.
func (b *Builder) Size() int {
	n := 0
	for _, c := range b.Cols {
		n += c.Size()
	}
	return n
}

// AppendValues appends one row of scalars.
func (b *Builder) AppendValues(row ...Value) {
	for i, c := range b.Cols {
		c.AppendValue(row[i])
	}
}

// AppendRow appends physical row i of src, whose columns have the same physical types.
func (b *Builder) AppendRow(src *Batch, i int) {
	for j, c := range b.Cols {
		c.AppendFrom(src.Cols[j], i)
	}
}

// AppendBatch appends every row of src that counts.
func (b *Builder) AppendBatch(src *Batch) {
	for j, c := range b.Cols {
		if src.Sel == nil {
			c.AppendVector(src.Cols[j], 0, src.N)
			continue
		}
		for _, i := range src.Sel {
			c.AppendFrom(src.Cols[j], int(i))
		}
	}
}

// Finish returns the rows, which are the end of the builder.
func (b *Builder) Finish() *Batch { return b.end((*ColumnBuilder).Finish) }

// Cut returns the rows and starts an empty batch of the same types.
func (b *Builder) Cut() *Batch { return b.end((*ColumnBuilder).Cut) }

func (b *Builder) end(column func(*ColumnBuilder) *Vector) *Batch {
	out := &Batch{Cols: make([]*Vector, len(b.Cols)), N: b.Len()}
	for i, c := range b.Cols {
		if c.Len() != out.N {
			panic("BUG: batch builder with columns of different lengths")
		}
		out.Cols[i] = column(c)
	}
	return out
}
