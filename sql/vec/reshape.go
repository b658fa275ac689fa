package vec

import (
	"math/bits"
	"sort"

	"stele/meta/types"
)

// New makes a vector of n zero rows, none of them NULL.
func New(t types.ColumnType, n int) *Vector {
	v := &Vector{Type: t, N: n}
	switch t.Phys() {
	case types.PhysFloat64:
		v.F64 = make([]float64, n)
	case types.PhysDec128:
		v.Dec = make([]Int128, n)
	case types.PhysBytes:
		v.Off = make([]uint32, n+1)
	default:
		v.I64 = make([]int64, n)
	}
	return v
}

// NewNull makes a vector of n NULLs.
func NewNull(t types.ColumnType, n int) *Vector {
	v := New(t, n)
	v.Valid = make([]uint64, ValidWords(n))
	return v
}

// NewConst makes a vector of n times the same value.
func NewConst(t types.ColumnType, x Value, n int) *Vector {
	if x.Null {
		return NewNull(t, n)
	}
	c := NewColumnBuilder(t, n)
	for range n {
		c.AppendValue(x)
	}
	return c.Finish()
}

// ValidWords returns how many words a validity bitmap of n rows has.
func ValidWords(n int) int { return (n + 63) >> 6 }

// AllValid makes a bitmap of n set bits; the bits after them are zero.
func AllValid(n int) []uint64 {
	w := make([]uint64, ValidWords(n), ValidWords(n)+1)
	for i := range w {
		w[i] = ^uint64(0)
	}
	if n&63 != 0 {
		w[len(w)-1] = 1<<(uint(n)&63) - 1
	}
	return w
}

// SetNull makes row i NULL. Only the owner of a vector under construction calls it; the value slot must be zero (or
// is zeroed here, except for bytes, whose length must already be zero).
func (v *Vector) SetNull(i int) {
	if v.Valid == nil {
		v.Valid = AllValid(v.N)
	}
	v.Valid[i>>6] &^= 1 << (uint(i) & 63)
	switch {
	case v.I64 != nil:
		v.I64[i] = 0
	case v.F64 != nil:
		v.F64[i] = 0
	case v.Dec != nil:
		v.Dec[i] = Int128{}
	}
}

// HasNulls reports whether any row is NULL.
func (v *Vector) HasNulls() bool { return v.NullCount() > 0 }

// NullCount counts the NULL rows.
func (v *Vector) NullCount() int {
	if v.Valid == nil {
		return 0
	}
	n := v.N
	for i, w := range v.Valid {
		if last := v.N - i<<6; last < 64 {
			if last <= 0 {
				break
			}
			w &= 1<<uint(last) - 1
		}
		n -= bits.OnesCount64(w)
	}
	return n
}

// Size returns about how many bytes of memory the vector's rows take.
func (v *Vector) Size() int {
	n := 8*len(v.I64) + 8*len(v.F64) + 16*len(v.Dec) + 8*len(v.Valid) + 4*len(v.Off)
	if len(v.Off) > 0 {
		n += int(v.Off[v.N] - v.Off[0])
	}
	return n
}

// Size returns about how many bytes of memory the batch's rows take.
func (b *Batch) Size() int {
	n := 4 * len(b.Sel)
	for _, v := range b.Cols {
		n += v.Size()
	}
	return n
}

// Gather makes a vector of the rows that sel names, in that order; -1 gives NULL.
func (v *Vector) Gather(sel []int32) *Vector {
	out := &Vector{Type: v.Type, N: len(sel)}
	negative := false
	for _, i := range sel {
		negative = negative || i < 0
	}
	if negative {
		return v.gatherOuter(sel)
	}
	switch v.Type.Phys() {
	case types.PhysFloat64:
		out.F64 = gather(v.F64, sel)
	case types.PhysDec128:
		out.Dec = gather(v.Dec, sel)
	case types.PhysBytes:
		out.gatherBytes(v, sel)
	default:
		out.I64 = gather(v.I64, sel)
	}
	if v.Valid != nil {
		out.Valid = make([]uint64, ValidWords(len(sel)))
		for k, i := range sel {
			out.Valid[k>>6] |= v.Valid[i>>6] >> (uint(i) & 63) & 1 << (uint(k) & 63)
		}
	}
	return out
}

func gather[T any](src []T, sel []int32) []T {
	dst := make([]T, len(sel))
	for k, i := range sel {
		dst[k] = src[i]
	}
	return dst
}

func (v *Vector) gatherBytes(src *Vector, sel []int32) {
	size := 0
	for _, i := range sel {
		size += int(src.Off[i+1] - src.Off[i])
	}
	v.Off = make([]uint32, len(sel)+1)
	v.Data = make([]byte, 0, size)
	for k, i := range sel {
		v.Data = append(v.Data, src.Data[src.Off[i]:src.Off[i+1]]...)
		v.Off[k+1] = uint32(len(v.Data))
	}
}

// gatherOuter is Gather with rows that do not exist (outer joins).
func (v *Vector) gatherOuter(sel []int32) *Vector {
	t := v.Type
	t.NotNull = false
	c := NewColumnBuilder(t, len(sel))
	for _, i := range sel {
		if i < 0 {
			c.AppendNull()
		} else {
			c.AppendFrom(v, int(i))
		}
	}
	return c.Finish()
}

// Slice returns rows from..to; the value buffers are shared.
func (v *Vector) Slice(from, to int) *Vector {
	out := &Vector{Type: v.Type, N: to - from}
	switch v.Type.Phys() {
	case types.PhysFloat64:
		out.F64 = v.F64[from:to:to]
	case types.PhysDec128:
		out.Dec = v.Dec[from:to:to]
	case types.PhysBytes:
		out.Off, out.Data = v.Off[from:to+1:to+1], v.Data
	default:
		out.I64 = v.I64[from:to:to]
	}
	if v.Valid != nil {
		out.Valid = make([]uint64, ValidWords(out.N))
		for k := range out.N {
			i := from + k
			out.Valid[k>>6] |= v.Valid[i>>6] >> (uint(i) & 63) & 1 << (uint(k) & 63)
		}
	}
	return out
}

// WithType returns the same buffers under another type of the same physical form.
func (v *Vector) WithType(t types.ColumnType) *Vector {
	if v.Type == t {
		return v
	}
	out := *v
	out.Type = t
	return &out
}

// Compact returns a batch without Sel: the batch itself when there is none, else copies of the rows that count.
func (b *Batch) Compact() *Batch {
	if b.Sel == nil {
		return b
	}
	out := &Batch{Cols: make([]*Vector, len(b.Cols)), N: len(b.Sel)}
	for i, v := range b.Cols {
		out.Cols[i] = v.Gather(b.Sel)
	}
	return out
}

// Row returns the physical position of the k-th row that counts.
func (b *Batch) Row(k int) int {
	if b.Sel != nil {
		return int(b.Sel[k])
	}
	return k
}

// Slice returns the rows from..to that count.
func (b *Batch) Slice(from, to int) *Batch {
	if b.Sel != nil {
		return &Batch{Cols: b.Cols, N: b.N, Sel: b.Sel[from:to:to]}
	}
	out := &Batch{Cols: make([]*Vector, len(b.Cols)), N: to - from}
	for i, v := range b.Cols {
		out.Cols[i] = v.Slice(from, to)
	}
	return out
}

// ConcatBatches puts the rows that count of batches with the same column types one after another.
func ConcatBatches(bs ...*Batch) *Batch {
	out := &Batch{Cols: make([]*Vector, len(bs[0].Cols))}
	for _, b := range bs {
		out.N += b.Rows()
	}
	for c := range out.Cols {
		out.Cols[c] = concatColumn(bs, c, out.N)
	}
	return out
}

// concatColumn allocates each buffer once.
func concatColumn(bs []*Batch, c, n int) *Vector {
	t := bs[0].Cols[c].Type
	out := &Vector{Type: t, N: n}
	nulls := false
	for _, b := range bs {
		nulls = nulls || b.Cols[c].Valid != nil
	}
	switch t.Phys() {
	case types.PhysFloat64:
		out.F64 = concat(bs, n, func(b *Batch) []float64 { return b.Cols[c].F64 })
	case types.PhysDec128:
		out.Dec = concat(bs, n, func(b *Batch) []Int128 { return b.Cols[c].Dec })
	case types.PhysBytes:
		out.concatBytes(bs, c)
	default:
		out.I64 = concat(bs, n, func(b *Batch) []int64 { return b.Cols[c].I64 })
	}
	if nulls {
		out.Valid = make([]uint64, ValidWords(n))
		at := 0
		for _, b := range bs {
			for k := range b.Rows() {
				if !b.Cols[c].IsNull(b.Row(k)) {
					out.Valid[at>>6] |= 1 << (uint(at) & 63)
				}
				at++
			}
		}
	}
	return out
}

func concat[T any](bs []*Batch, n int, values func(*Batch) []T) []T {
	out := make([]T, 0, n)
	for _, b := range bs {
		src := values(b)
		if b.Sel == nil {
			out = append(out, src[:b.N]...)
			continue
		}
		for _, i := range b.Sel {
			out = append(out, src[i])
		}
	}
	return out
}

func (v *Vector) concatBytes(bs []*Batch, c int) {
	size := 0
	for _, b := range bs {
		src := b.Cols[c]
		if b.Sel == nil {
			size += int(src.Off[b.N] - src.Off[0])
			continue
		}
		for _, i := range b.Sel {
			size += int(src.Off[i+1] - src.Off[i])
		}
	}
	v.Off = append(make([]uint32, 0, v.N+1), 0)
	v.Data = make([]byte, 0, size)
	for _, b := range bs {
		src := b.Cols[c]
		for k := range b.Rows() {
			i := b.Row(k)
			v.Data = append(v.Data, src.Data[src.Off[i]:src.Off[i+1]]...)
			v.Off = append(v.Off, uint32(len(v.Data)))
		}
	}
}

// RunLength returns how many rows at the front of a selection, which is not empty, follow one another.
func RunLength(sel []int32) int {
	n := 1 // rows known to
	for step := 1; n < len(sel); step *= 2 {
		at := min(n+step, len(sel)) - 1
		if int(sel[at]-sel[0]) != at {
			return n + sort.Search(at-n, func(i int) bool { return int(sel[n+i]-sel[0]) != n+i })
		}
		n = at + 1
	}
	return n
}
