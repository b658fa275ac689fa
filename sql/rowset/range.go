package rowset

import (
	"encoding/binary"
	"sync"

	"stele/meta/types"
	"stele/sql/vec"
)

// rangeVectors hold vectors of which some rows are wanted.
var rangeVectors = sync.Pool{New: func() any { return new(vec.Vector) }}

// DecodeRange is DecodeInto for the rows [from, to) of vector i. Of compressed bytes it decodes the blocks that have these rows, by
// way of the cache of the row group: one costs more than all the rest of a small range. Vectors of integers come from there as well.
func (g *Group) DecodeRange(v *vec.Vector, c, i, from, to int) error {
	t := columnType(g.dir[c*columnEntry:])
	if v.Type = t; v.Off == nil && t.Phys() == types.PhysBytes {
		v.Off = make([]uint32, 1, to-from+1)
	}
	Empty(v)
	if t.Phys() == types.PhysBytes {
		if done, err := g.appendBlocksOf(v, c, i, from, to); done || err != nil {
			return err
		}
		Empty(v)
		if done, err := g.appendCoded(v, c, i, from, to); done || err != nil {
			return err
		}
		Empty(v)
	}
	whole := rangeVectors.Get().(*vec.Vector)
	defer func() {
		if cap(whole.Data) <= maxScratchBlock {
			rangeVectors.Put(whole)
		}
	}()
	if t.Phys() != types.PhysInt64 {
		if err := g.DecodeInto(whole, c, i); err != nil {
			return err
		}
		AppendRange(v, whole, from, to)
		return nil
	}
	ints, err := g.Ints(whole, c, i)
	switch {
	case err != nil:
		return err
	case ints == nil:
		AppendRange(v, whole, from, to)
	default:
		v.I64 = append(v.I64, ints[from:to]...)
		v.N = to - from
	}
	return nil
}

// appendBlocksOf appends the rows [from, to) of vector i; false when it is not made of blocks.
func (g *Group) appendBlocksOf(v *vec.Vector, c, i, from, to int) (bool, error) {
	room := scratchPool.Get().(*scratch)
	defer room.giveBack()
	var e encoded
	per := g.cut(c).rows()
	for row := from; row < to; {
		at := row / per
		end, k := min((at+1)*per, to), g.blockKey(c, i, at)
		b := g.blocks.get(k)
		if b == nil {
			if e.src == nil {
				var err error
				if e, err = g.vector(c, i); err != nil {
					return false, err
				}
			}
			if b = g.loadBlock(k, i, at, &e, room); b == nil {
				return false, nil // DecodeInto says what is wrong with it, if anything is
			}
		}
		b.appendRows(v, row%per, end-at*per)
		row = end
	}
	return true, nil
}

// codedRows is up to how many rows of a dictionary are looked up one by one: it need not be read then.
const codedRows = 256

// appendCoded appends the rows [from, to) of vector i; false when they have no dictionary, or are too many.
func (g *Group) appendCoded(v *vec.Vector, c, i, from, to int) (bool, error) {
	src, err := g.vectorBytes(c, i)
	if err != nil || len(src) < 2 || to-from > codedRows || src[0] != encShared && src[0] != encDict {
		return false, err
	}
	shared, err := g.dictionaryBytes(c)
	if err != nil {
		return false, err
	}
	room := scratchPool.Get().(*scratch)
	defer room.giveBack()
	for row := from; row < to; row++ {
		if !pick(v, g.VectorRows(i), row, src, shared, room) {
			return false, nil
		}
	}
	return true, nil
}

// decodeBlockOf decodes block at of the vector e of n rows, in room; nil when it has none, or not as it should be.
func decodeBlockOf(n, at int, e *encoded, room *scratch) *block {
	if len(e.src) < 2 || e.src[0] != encBlocks {
		return nil
	}
	b := &room.read
	*b = block{rows: e.cut.rows()}
	validity, src := e.src[1], e.src[2:]
	if validity == validBitmap {
		words := (n + 63) >> 6
		if len(src) < words*8 {
			return nil
		}
		first := at * b.rows
		room.valid = room.valid[:0]
		for i := first >> 6; i <= (min(first+b.rows, n)-1)>>6; i++ {
			room.valid = append(room.valid, binary.LittleEndian.Uint64(src[i*8:]))
		}
		b.valid, b.bit, src = room.valid, first&63, src[words*8:]
	}
	var ok bool
	if b.off, b.data, ok = decodeBlockAt(n, at, e, src, room); !ok {
		return nil
	}
	return b
}

// appendRows appends the rows [from, to) of the block to dst.
func (b *block) appendRows(dst *vec.Vector, from, to int) {
	if b.valid != nil || dst.Valid != nil {
		for i := from; i < to; i++ {
			b.appendTo(dst, i)
		}
		return
	}
	shift := uint32(len(dst.Data)) - b.off[from]
	dst.Data = append(dst.Data, b.data[b.off[from]:b.off[to]]...)
	for _, off := range b.off[from+1 : to+1] {
		dst.Off = append(dst.Off, off+shift)
	}
	dst.N += to - from
}
