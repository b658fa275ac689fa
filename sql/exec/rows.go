package exec

import (
	"stele/meta/types"
	"stele/sql/vec"
)

// rowRef names a row of a rowStore: chunk in the high half, position in the low one.
type rowRef int64

func refOf(chunk, row int) rowRef { return rowRef(chunk)<<32 | rowRef(row) }

func (r rowRef) chunk() int { return int(r >> 32) }
func (r rowRef) row() int   { return int(r & (1<<32 - 1)) }

// rowStore keeps rows in the batches that they came in. Rows are never moved: what is taken out is copied.
type rowStore struct {
	chunks []*vec.Batch
	n      int
	size   int64
	cols   []storedColumn // by column, once gather has asked for it
}

// storedColumn is one column of all chunks, which gather would look for in each row otherwise.
type storedColumn struct {
	chunks []*vec.Vector
	ints   [][]int64 // their values, if they are integers
	nulls  bool
}

// add keeps the rows of b that count.
func (s *rowStore) add(b *vec.Batch) *vec.Batch {
	b = b.Compact()
	s.chunks = append(s.chunks, b)
	s.n += b.N
	s.size += batchBytes(b)
	return b
}

// refs names all rows in the order in which they came.
func (s *rowStore) refs() []rowRef {
	out := make([]rowRef, 0, s.n)
	for chunk, b := range s.chunks {
		for r := range b.N {
			out = append(out, refOf(chunk, r))
		}
	}
	return out
}

// batchBytes is what a batch holds of memory, headers included.
func batchBytes(b *vec.Batch) int64 { return int64(b.Size() + 128*len(b.Cols) + 64) }

// gather copies rows into vectors of the given types.
func (s *rowStore) gather(ts []types.ColumnType, refs []rowRef) []*vec.Vector {
	out := make([]*vec.Vector, len(ts))
	for c, t := range ts {
		out[c] = s.gatherColumn(t, c, refs)
	}
	return out
}

// column returns a column of all chunks.
func (s *rowStore) column(col int) *storedColumn {
	for len(s.cols) <= col {
		s.cols = append(s.cols, storedColumn{})
	}
	c := &s.cols[col]
	for _, b := range s.chunks[len(c.chunks):] {
		v := b.Cols[col]
		c.chunks, c.ints = append(c.chunks, v), append(c.ints, v.I64)
		c.nulls = c.nulls || v.Valid != nil
	}
	return c
}

// gatherPresent is gatherColumn for integers and bytes of which no row is NULL; nil when there are others.
func (s *rowStore) gatherPresent(t types.ColumnType, col int, refs []rowRef) *vec.Vector {
	missing := rowRef(0)
	for _, r := range refs {
		missing |= r
	}
	if missing < 0 || t.Phys() != types.PhysInt64 && t.Phys() != types.PhysBytes {
		return nil
	}
	c := s.column(col)
	if c.nulls {
		return nil
	}
	v := vec.New(t, len(refs))
	if t.Phys() == types.PhysInt64 {
		ints := c.ints
		for i, r := range refs {
			v.I64[i] = ints[r.chunk()][r.row()]
		}
		return v
	}
	size := 0
	for i, r := range refs {
		off := c.chunks[r.chunk()].Off
		size += int(off[r.row()+1] - off[r.row()])
		v.Off[i+1] = uint32(size)
	}
	v.Data = make([]byte, 0, size)
	for _, r := range refs {
		v.Data = append(v.Data, c.chunks[r.chunk()].Bytes(r.row())...)
	}
	return v
}

func (s *rowStore) gatherColumn(t types.ColumnType, col int, refs []rowRef) *vec.Vector {
	if v := s.gatherPresent(t, col, refs); v != nil {
		return v
	}
	switch t.Phys() {
	case types.PhysInt64:
		v := vec.New(t, len(refs))
		for i, r := range refs {
			if src := s.source(v, i, col, r); src != nil {
				v.I64[i] = src.I64[r.row()]
			}
		}
		return v
	case types.PhysFloat64:
		v := vec.New(t, len(refs))
		for i, r := range refs {
			if src := s.source(v, i, col, r); src != nil {
				v.F64[i] = src.F64[r.row()]
			}
		}
		return v
	case types.PhysDec128:
		v := vec.New(t, len(refs))
		for i, r := range refs {
			if src := s.source(v, i, col, r); src != nil {
				v.Dec[i] = src.Dec[r.row()]
			}
		}
		return v
	}
	c := vec.NewColumnBuilder(t, len(refs))
	for _, r := range refs {
		if r < 0 {
			c.AppendNull()
		} else {
			c.AppendFrom(s.chunks[r.chunk()].Cols[col], r.row())
		}
	}
	return c.Finish()
}

// source returns the vector that holds r, or nil after it has made row i of dst NULL.
func (s *rowStore) source(dst *vec.Vector, i, col int, r rowRef) *vec.Vector {
	if r >= 0 {
		if src := s.chunks[r.chunk()].Cols[col]; !src.IsNull(r.row()) {
			return src
		}
	}
	dst.SetNull(i)
	return nil
}

// firstRows is shared and never written: the positions of a dense batch of the usual size.
var firstRows = countTo(vec.MaxRows)

func countTo(n int) []int32 {
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(i)
	}
	return rows
}

// rowsOf returns the positions of the rows of b that count; the caller must not write to them.
func rowsOf(b *vec.Batch) []int32 {
	if b.Sel != nil {
		return b.Sel
	}
	return denseRows(b.N)
}

// denseRows returns the positions 0..n-1; the caller must not write to them.
func denseRows(n int) []int32 {
	if n <= len(firstRows) {
		return firstRows[:n]
	}
	return countTo(n)
}

// withoutNulls returns those of rows in which no key is NULL.
func withoutNulls(keys []*vec.Vector, rows []int32) []int32 {
	for _, k := range keys {
		if k.Valid == nil {
			continue
		}
		kept := make([]int32, 0, len(rows))
		for _, r := range rows {
			if !k.IsNull(int(r)) {
				kept = append(kept, r)
			}
		}
		rows = kept
	}
	return rows
}

// cutter hands a batch out in pieces of at most vec.MaxRows rows.
type cutter struct {
	batch *vec.Batch
	pos   int
}

func (c *cutter) next() *vec.Batch {
	if c.batch == nil || c.pos >= c.batch.Rows() {
		c.batch = nil
		return nil
	}
	end := min(c.pos+vec.MaxRows, c.batch.Rows())
	out := c.batch.Slice(c.pos, end)
	c.pos = end
	return out
}

func vectorTypes(cols []*vec.Vector) []types.ColumnType {
	ts := make([]types.ColumnType, len(cols))
	for i, c := range cols {
		ts[i] = c.Type
	}
	return ts
}
