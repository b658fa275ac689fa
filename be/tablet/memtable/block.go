package memtable

import (
	"slices"
	"sort"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// block is rows of a memtable that nothing is appended to: those of a large write, as they were decoded, without a copy. What
// small writes append, row by row, lies between blocks and behind them.
type block struct {
	from, to int // rows of the memtable
	cols     []*vec.Vector
}

// take makes the rows [from, to) of decoded columns, which are all put, a block.
func (m *Table) take(cols []*vec.Vector, from, to int) {
	if n := m.cols[0].v.N; n > 0 {
		m.addBlock(m.all(), n)
		m.begin()
	}
	m.grow(to - from)
	taken := make([]*vec.Vector, len(cols))
	for i, v := range cols {
		taken[i] = rowset.Slice(v, from, to)
		m.bytes += BytesOf(v, from, to)
	}
	m.addBlock(taken, to-from)
}

func (m *Table) addBlock(cols []*vec.Vector, n int) {
	m.blocks = append(m.blocks, block{from: m.tail, to: m.tail + n, cols: cols})
	m.tail += n
}

// all returns the growing columns as what they are now.
func (m *Table) all() []*vec.Vector {
	out := make([]*vec.Vector, len(m.cols))
	for i := range m.cols {
		out[i] = m.cols[i].part(0, m.cols[i].v.N)
	}
	return out
}

// BytesOf is about what the rows [from, to) of a vector take in a memtable.
func BytesOf(v *vec.Vector, from, to int) int64 {
	n := to - from
	switch v.Type.Phys() {
	case types.PhysBytes:
		return int64(int(v.Off[to]-v.Off[from]) + 5*n)
	case types.PhysDec128:
		return int64(17 * n)
	}
	return int64(9 * n)
}

// blockOf returns the block that has a row before the tail.
func blockOf(blocks []block, row int) *block {
	return &blocks[sort.Search(len(blocks), func(i int) bool { return blocks[i].to > row })]
}

// AppendValue appends column i of a row to a vector.
func (m *Table) AppendValue(to *vec.Vector, i, row int) {
	if row < m.tail {
		b := blockOf(m.blocks, row)
		rowset.AppendRow(to, b.cols[i], row-b.from)
		return
	}
	c := &m.cols[i]
	if row -= m.tail; c.null[row] {
		rowset.AppendNull(to)
		return
	}
	rowset.AppendRow(to, &c.v, row)
}

// Column returns the rows [from, to) of column i as a vector; it is a copy when they are not all in one place.
func (w *View) Column(i, from, to int) *vec.Vector {
	if from >= w.tail {
		return w.cols[i].part(from-w.tail, to-w.tail)
	}
	if b := blockOf(w.blocks, from); to <= b.to {
		out := *rowset.Slice(b.cols[i], from-b.from, to-b.from) // the header is the caller's
		return &out
	}
	out := rowset.NewVector(w.Schema.Columns[i].Type, to-from)
	for from < to && from < w.tail {
		b := blockOf(w.blocks, from)
		end := min(to, b.to)
		rowset.AppendRange(out, b.cols[i], from-b.from, end-b.from)
		from = end
	}
	if from < to {
		c := w.cols[i].part(from-w.tail, to-w.tail)
		rowset.AppendRange(out, c, 0, c.N)
	}
	return out
}

// mostGrown bounds the room for texts that are not known yet.
const mostGrown = 64 << 10

// AppendValue appends a row of column i to a vector.
func (w *View) AppendValue(dst *vec.Vector, i, row int) {
	switch {
	case row < w.tail:
		b := blockOf(w.blocks, row)
		rowset.AppendRow(dst, b.cols[i], row-b.from)
	case w.cols[i].nulls && w.cols[i].null[row-w.tail]:
		rowset.AppendNull(dst)
	default:
		rowset.AppendRow(dst, &w.cols[i].v, row-w.tail)
	}
}

// Picked returns rows of column i, counted from from, as a vector of their own.
func (w *View) Picked(i, from int, rows []int32) *vec.Vector {
	if c := &w.cols[i]; w.tail == 0 && from == 0 && !c.nulls {
		return c.v.Gather(rows)
	}
	out := rowset.NewVector(w.Schema.Columns[i].Type, len(rows))
	for k, r := range rows {
		if k == 1 { // the others are about as long
			out.Data = slices.Grow(out.Data, min(len(out.Data)*len(rows), mostGrown))
		}
		w.AppendValue(out, i, from+int(r))
	}
	return out
}
