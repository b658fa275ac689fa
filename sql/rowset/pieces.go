package rowset

import (
	"slices"

	"stele/meta/types"
	"stele/sql/vec"
)

// Piece is the rows [From, To) of source number Src.
type Piece struct{ Src, From, To int32 }

// AppendPieces appends pieces of sources, n rows in all, to dst: one column of a merge. Merged column by column a row costs some
// nanoseconds a column, however short the pieces are.
func AppendPieces(dst *vec.Vector, srcs []*vec.Vector, pieces []Piece, n int) {
	for _, src := range srcs {
		if src.Valid != nil || dst.Valid != nil {
			for _, p := range pieces {
				AppendRange(dst, srcs[p.Src], int(p.From), int(p.To))
			}
			return
		}
	}
	switch dst.Type.Phys() {
	case types.PhysInt64:
		dst.I64 = appendPieces(dst.I64, valuesOf(srcs, func(v *vec.Vector) []int64 { return v.I64 }), pieces, n)
	case types.PhysFloat64:
		dst.F64 = appendPieces(dst.F64, valuesOf(srcs, func(v *vec.Vector) []float64 { return v.F64 }), pieces, n)
	case types.PhysDec128:
		dst.Dec = appendPieces(dst.Dec, valuesOf(srcs, func(v *vec.Vector) []vec.Int128 { return v.Dec }), pieces, n)
	default:
		appendPiecesOfBytes(dst, srcs, pieces, n)
	}
	dst.N += n
}

func valuesOf[T any](srcs []*vec.Vector, values func(*vec.Vector) []T) [][]T {
	out := make([][]T, len(srcs))
	for i, v := range srcs {
		out[i] = values(v)
	}
	return out
}

func appendPieces[T any](dst []T, srcs [][]T, pieces []Piece, n int) []T {
	dst = room(dst, n)
	at := len(dst)
	dst = dst[:at+n]
	for _, p := range pieces {
		src := srcs[p.Src]
		if p.To-p.From == 1 {
			dst[at] = src[p.From]
			at++
			continue
		}
		at += copy(dst[at:], src[p.From:p.To])
	}
	return dst
}

// shortBytes is up to what length a value is copied by one store of so many bytes: the next value covers what is too much.
const shortBytes = 16

func appendPiecesOfBytes(dst *vec.Vector, srcs []*vec.Vector, pieces []Piece, n int) {
	size := 0
	for _, p := range pieces {
		off := srcs[p.Src].Off
		size += int(off[p.To] - off[p.From])
	}
	off, data := room(dst.Off, n), room(dst.Data, size+shortBytes)
	at := len(data)
	data = data[:at+size+shortBytes]
	for _, p := range pieces {
		src := srcs[p.Src]
		from, to := src.Off[p.From], src.Off[p.To]
		if to-from <= shortBytes && int(from)+shortBytes <= len(src.Data) {
			*(*[shortBytes]byte)(data[at:]) = *(*[shortBytes]byte)(src.Data[from:])
		} else {
			copy(data[at:], src.Data[from:to])
		}
		if p.To-p.From == 1 {
			off = append(off, uint32(at)+to-from)
		} else {
			shift := uint32(at) - from
			for _, o := range src.Off[p.From+1 : p.To+1] {
				off = append(off, o+shift)
			}
		}
		at += int(to - from)
	}
	dst.Off, dst.Data = off, data[:at]
}

// room makes room for n values more, and at least doubles what there is: append grows long slices by a quarter, and would copy each
// value four times.
func room[T any](s []T, n int) []T {
	if cap(s)-len(s) >= n {
		return s
	}
	return slices.Grow(s, max(n, cap(s)))
}
