package rowset

import (
	"encoding/binary"
	"fmt"

	"stele/meta/types"
	"stele/sql/vec"
)

// RowReader reads single rows of one column of a row group. Where the encoding allows it, only the value is decoded: what
// makes a point read cheap (reference §3). Otherwise the last vector that was decoded is kept.
type RowReader struct {
	g      *Group
	c      int
	vector int // the decoded one, or -1
	v      *vec.Vector
}

// NewRowReader returns a reader of column c.
func (g *Group) NewRowReader(c int) *RowReader { return &RowReader{g: g, c: c, vector: -1} }

// Append appends a row to dst, which has the column's physical type.
func (r *RowReader) Append(dst *vec.Vector, row int) error {
	i, at := row/vec.MaxRows, row%vec.MaxRows
	if columnType(r.g.dir[r.c*columnEntry:]).Phys() != dst.Type.Phys() {
		return fmt.Errorf("stored in another form: %w", ErrCorrupt)
	}
	if r.vector != i {
		src, err := r.g.vectorBytes(r.c, i)
		if err != nil {
			return err
		}
		shared, err := r.g.dictionary(r.c)
		if err != nil {
			return err
		}
		if pick(dst, r.g.VectorRows(i), at, src, shared) {
			return nil
		}
		if r.v, err = r.g.Decode(r.c, i); err != nil {
			return err
		}
		r.vector = i
	}
	AppendRow(dst, r.v, at)
	return nil
}

// pick appends value row of an encoded vector of n rows to dst. It returns false, having changed nothing, when the
// encoding has no random access or src is not what it should be: the caller decodes the vector and finds out.
func pick(dst *vec.Vector, n, row int, src []byte, shared *dictionary) bool {
	if len(src) < 2 {
		return false
	}
	enc, validity, src := src[0], src[1], src[2:]
	if enc == encAllNull {
		AppendNull(dst)
		return true
	}
	if validity == validBitmap {
		size := (n + 63) >> 6 * 8
		if len(src) < size {
			return false
		}
		if binary.LittleEndian.Uint64(src[row>>6*8:])>>(uint(row)&63)&1 == 0 {
			AppendNull(dst)
			return true
		}
		src = src[size:]
	}
	switch dst.Type.Phys() {
	case types.PhysInt64:
		x, ok := pickInt(n, row, enc, src)
		if !ok {
			return false
		}
		dst.I64 = append(dst.I64, x)
	case types.PhysBytes:
		b, ok := pickBytes(n, row, enc, src, shared)
		if !ok {
			return false
		}
		dst.Data = append(dst.Data, b...)
		dst.Off = append(dst.Off, uint32(len(dst.Data)))
	default:
		return false
	}
	endValid(dst)
	return true
}
