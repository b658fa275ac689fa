package rowset

import (
	"encoding/binary"
	"fmt"
	"sync"

	"stele/meta/contain"
	"stele/meta/types"
	"stele/sql/vec"
)

// RowReader reads single rows of one column of a row group. Where the encoding allows it, only the value is decoded: what
// makes a point read cheap. Otherwise the last vector that was decoded is kept.
type RowReader struct {
	g      *Group
	c      int
	vector int // the decoded one, or -1
	v      *vec.Vector
}

// NewRowReader returns a reader of column c.
func (g *Group) NewRowReader(c int) *RowReader { return &RowReader{g: g, c: c, vector: -1} }

// AppendRow appends one row of column c to dst, which has the column's physical type.
func (g *Group) AppendRow(dst *vec.Vector, c, row int) error {
	r := RowReader{g: g, c: c, vector: -1}
	return r.Append(dst, row)
}

// Append appends a row to dst, which has the column's physical type.
func (r *RowReader) Append(dst *vec.Vector, row int) (err error) {
	defer contain.As(&err, ErrCorrupt)
	i, at := row/vec.MaxRows, row%vec.MaxRows
	if columnType(r.g.dir[r.c*columnEntry:]).Phys() != dst.Type.Phys() {
		return fmt.Errorf("stored in another form: %w", ErrCorrupt)
	}
	if r.vector != i {
		k := blockKey{group: r.g.h.id, c: int32(r.c), at: int32(row / r.g.cut(r.c).rows())}
		if dst.Type.Phys() == types.PhysInt64 {
			k = intsKey(r.g.h.id, r.c, i)
		}
		if b := r.g.blocks.get(k); b != nil {
			b.appendTo(dst, row)
			return nil
		}
		if picked, err := r.pick(dst, k, i, at); picked || err != nil {
			return err
		}
		if r.v, err = r.g.Decode(r.c, i); err != nil {
			return err
		}
		r.vector = i
	}
	AppendRow(dst, r.v, at)
	return nil
}

// pick appends row at of vector i, whose block would be k; false when its encoding has no random access.
func (r *RowReader) pick(dst *vec.Vector, k blockKey, i, at int) (bool, error) {
	e, err := r.g.vector(r.c, i)
	if err != nil {
		return false, err
	}
	shared, err := r.g.dictionaryBytes(r.c)
	if err != nil {
		return false, err
	}
	room := scratchPool.Get().(*scratch)
	defer room.giveBack()
	if b := r.g.loadBlock(k, i, at/e.cut.rows(), &e, room); b != nil {
		b.appendTo(dst, at)
		return true, nil
	}
	if !pick(dst, r.g.VectorRows(i), at, e.src, shared, room) {
		return false, nil
	}
	if e.src[1] != validBitmap {
		r.g.keepInts(r.c, i, e.src)
	}
	return true, nil
}

// scratch is room that a point read needs for what is decoded beside its value.
type scratch struct {
	ints  [2][vec.MaxRows]int64
	off   [vec.MaxRows + 1]uint32
	block []byte
	read  block    // whose values are in block
	valid []uint64 // of read
}

// maxScratchBlock bounds the block that is kept: the values of most are short.
const maxScratchBlock = 1 << 20

var scratchPool = sync.Pool{New: func() any { return new(scratch) }}

func (s *scratch) giveBack() {
	if cap(s.block) > maxScratchBlock {
		s.block = nil
	}
	scratchPool.Put(s)
}

// pick appends value row of an encoded vector of n rows to dst. It returns false, having changed nothing, when the
// encoding has no random access or src is not what it should be: the caller decodes the vector and finds out.
func pick(dst *vec.Vector, n, row int, src, shared []byte, room *scratch) bool {
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
		b, ok := pickBytes(n, row, enc, src, shared, room)
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
