package rowset

import (
	"fmt"
	"slices"
	"sync"

	"stele/meta/types"
	"stele/sql/vec"
)

// fewPicked rows of a vector are read one by one. A row of a text costs what the block around it does, and a vector has four blocks, or more: of
// more rows the whole vector is cheaper, and it is not decoded twice.
const fewPicked = 4

// pickedPool keeps the vectors that AppendRows decodes; it copies what it needs of them.
var pickedPool = sync.Pool{New: func() any { return new(vec.Vector) }}

// AppendRows appends some rows of column c, in ascending order, to dst, which has the column's physical type.
func (g *Group) AppendRows(dst *vec.Vector, c int, rows []int) error {
	if columnType(g.dir[c*columnEntry:]).Phys() != dst.Type.Phys() {
		return fmt.Errorf("stored in another form: %w", ErrCorrupt)
	}
	one := g.NewRowReader(c)
	for len(rows) > 0 {
		i, n := rows[0]/vec.MaxRows, 1
		for n < len(rows) && rows[n]/vec.MaxRows == i {
			n++
		}
		if err := g.appendOf(dst, one, i, rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// appendOf appends rows of vector i.
func (g *Group) appendOf(dst *vec.Vector, one *RowReader, i int, rows []int) error {
	if len(rows) < fewPicked {
		for _, row := range rows {
			if err := one.Append(dst, row); err != nil {
				return err
			}
		}
		return nil
	}
	if dst.Type.Phys() == types.PhysBytes {
		if done, err := g.appendBytesOf(dst, one, i, rows); done || err != nil {
			return err
		}
	}
	v := pickedPool.Get().(*vec.Vector)
	defer func() {
		if cap(v.Data) <= maxScratchBlock {
			pickedPool.Put(v)
		}
	}()
	if dst.Type.Phys() == types.PhysInt64 {
		ints, err := g.Ints(v, one.c, i)
		if err != nil {
			return err
		}
		if ints != nil {
			for _, row := range rows {
				dst.I64 = append(dst.I64, ints[row%vec.MaxRows])
				endValid(dst)
			}
			return nil
		}
	} else if err := g.DecodeInto(v, one.c, i); err != nil {
		return err
	}
	for len(rows) > 0 { // runs of rows are copied at once
		from, n := rows[0]%vec.MaxRows, 1
		for n < len(rows) && rows[n] == rows[0]+n {
			n++
		}
		if n == 1 {
			AppendRow(dst, v, from)
		} else {
			AppendRange(dst, v, from, from+n)
		}
		rows = rows[n:]
	}
	return nil
}

// appendBytesOf appends rows of vector i that are in blocks or in a dictionary; false, having appended none, when they are in neither.
func (g *Group) appendBytesOf(dst *vec.Vector, one *RowReader, i int, rows []int) (done bool, err error) {
	e, err := g.vector(one.c, i)
	src := e.src
	if err != nil || len(src) < 2 {
		return false, err
	}
	var shared []byte
	switch src[0] {
	case encBlocks:
	case encShared, encDict:
		if shared, err = g.dictionaryBytes(one.c); err != nil || len(rows) > codedRows {
			return false, err
		}
	default:
		return false, nil
	}
	room := scratchPool.Get().(*scratch)
	defer room.giveBack()
	last, at, per := (*block)(nil), -1, e.cut.rows()
	for _, row := range rows {
		row %= vec.MaxRows
		if src[0] != encBlocks {
			if pick(dst, g.VectorRows(i), row, src, shared, room) {
				continue
			}
		} else {
			if at != row/per {
				at = row / per
				last = g.blockOf(one.c, i, at, &e, room)
			}
			if last != nil {
				last.appendTo(dst, row)
				continue
			}
		}
		if err := one.Append(dst, i*vec.MaxRows+row); err != nil { // it says what is wrong, if anything is
			return false, err
		}
	}
	return true, nil
}

// blockKey names block at of vector i of column c.
func (g *Group) blockKey(c, i, at int) blockKey {
	return blockKey{group: g.h.id, c: int32(c), at: int32(i*vec.MaxRows/g.cut(c).rows() + at)}
}

// blockOf returns block at of vector i, which is e, by way of the cache, or in room; nil when it is not as it should be.
func (g *Group) blockOf(c, i, at int, e *encoded, room *scratch) *block {
	k := g.blockKey(c, i, at)
	if b := g.blocks.get(k); b != nil {
		return b
	}
	return g.loadBlock(k, i, at, e, room)
}

// loadBlock decodes block at of vector i, which is e, in room, and keeps it in the cache if it is worth it; nil when there is none.
func (g *Group) loadBlock(k blockKey, i, at int, e *encoded, room *scratch) *block {
	b := decodeBlockOf(g.VectorRows(i), at, e, room)
	if b != nil && g.blocks.wants(k, len(b.data)) {
		b = &block{rows: b.rows, off: slices.Clone(b.off), data: slices.Clone(b.data), valid: slices.Clone(b.valid), bit: b.bit}
		g.blocks.put(k, b)
	}
	return b
}
