package tablet

import (
	"slices"
	"sync/atomic"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// noRow in an index says: the newest change of the key in this memtable is a delete of a row that lies elsewhere.
const noRow = int32(-1)

// rowOverhead is the memory of a memtable row beside its values and its key: index entry, versions, links.
const rowOverhead = 96

// memtable is the decoded form of the committed writes that are not yet in a rowset. Rows are only appended; a row that
// is replaced or deleted is marked with the version that did so. Everything is guarded by the tablet's mu, except that a
// memView reads what was there when it was taken.
type memtable struct {
	schema  *types.Schema
	cols    []memColumn
	created []types.Version
	deleted []uint64 // version that ended the row, 0 while it lives; accessed atomically
	prev    []int32  // the row that held the same key before, within this memtable, or noRow
	keys    []string
	index   map[string]int32    // key -> its newest row, or noRow
	sunk    map[string]struct{} // keys of the index whose newest change is in a rowset after all: see bulk.go
	bytes   int64
	// sunkBytes is not part of bytes, which the gauge knows: a large write must not wait for a flush.
	sunkBytes int64
}

// memColumn is one growing column. Nulls are bytes and not bits, so that appending never touches what a view reads.
type memColumn struct {
	v     vec.Vector // without Valid
	null  []bool
	nulls bool
}

func newMemtable(schema *types.Schema) *memtable {
	m := &memtable{schema: schema, cols: make([]memColumn, len(schema.Columns)), index: make(map[string]int32)}
	for i := range m.cols {
		m.cols[i].v = *rowset.NewVector(schema.Columns[i].Type, 0)
	}
	return m
}

func (m *memtable) rows() int { return len(m.created) }

// grow makes room for n more rows at once, and for half as many again as there are when that takes new memory: what is filled would be
// copied four times if it grew by a quarter each time.
func (m *memtable) grow(n int) {
	if len(m.index) == 0 && n > 1 {
		m.index = make(map[string]int32, n)
	}
	if cap(m.created)-len(m.created) >= n {
		return
	}
	n = max(n, len(m.created)/2)
	m.created, m.deleted, m.prev = slices.Grow(m.created, n), slices.Grow(m.deleted, n), slices.Grow(m.prev, n)
	m.keys = slices.Grow(m.keys, n)
	for i := range m.cols {
		c := &m.cols[i]
		c.null = slices.Grow(c.null, n)
		switch c.v.Type.Phys() {
		case types.PhysInt64:
			c.v.I64 = slices.Grow(c.v.I64, n)
		case types.PhysFloat64:
			c.v.F64 = slices.Grow(c.v.F64, n)
		case types.PhysDec128:
			c.v.Dec = slices.Grow(c.v.Dec, n)
		default:
			c.v.Off = slices.Grow(c.v.Off, n)
			c.v.Data = slices.Grow(c.v.Data, len(c.v.Data)/2)
		}
	}
}

// appendPuts appends the rows of w that are puts, whose columns are those of the schema, column by column. Each of them must
// be linked then, in the same order.
func (m *memtable) appendPuts(w write) {
	for from := 0; from < len(w.ops); {
		if w.ops[from] != types.OpPut {
			from++
			continue
		}
		to := from + 1
		for to < len(w.ops) && w.ops[to] == types.OpPut {
			to++
		}
		for i := range m.cols {
			m.bytes += m.cols[i].append(w.rows.Cols[i], from, to)
		}
		from = to
	}
}

// holds reports whether row is there, lives, and has key: then it is the newest one of the key.
func (m *memtable) holds(row int32, key []byte) bool {
	return row >= 0 && int(row) < len(m.keys) && m.deleted[row] == 0 && m.keys[row] == string(key)
}

// link makes the next row that was appended the newest one of key. old is its newest row so far, or noRow.
func (m *memtable) link(key string, old int32, version types.Version) {
	m.index[key] = int32(len(m.created))
	delete(m.sunk, key)
	m.prev = append(m.prev, old)
	m.keys = append(m.keys, key)
	m.created = append(m.created, version)
	m.deleted = append(m.deleted, 0)
	m.bytes += int64(rowOverhead + 2*len(key))
}

// end marks row as replaced or deleted by version. It returns false when the row had ended before.
func (m *memtable) end(row int32, version types.Version) bool {
	if m.deleted[row] != 0 {
		return false
	}
	atomic.StoreUint64(&m.deleted[row], uint64(version))
	return true
}

// bury remembers that key, which has no row here, has no living row below either.
func (m *memtable) bury(key string) {
	if _, ok := m.index[key]; ok {
		return // sunk: the rowsets are asked, and readers of older versions follow the index
	}
	m.index[key] = noRow
	m.bytes += int64(len(key)) + rowOverhead/2
}

// sink remembers that the newest change of key, which the index has, is in a rowset.
func (m *memtable) sink(key string) {
	if m.sunk == nil {
		m.sunk = make(map[string]struct{})
	}
	if _, ok := m.sunk[key]; !ok {
		m.sunk[key] = struct{}{}
		m.sunkBytes += int64(len(key)) + rowOverhead/2
	}
}

// append appends the rows [from, to) of src and returns about how many bytes they take.
func (c *memColumn) append(src *vec.Vector, from, to int) int64 {
	before, n := len(c.v.Data), to-from
	if src.Valid == nil {
		c.null = append(c.null, make([]bool, n)...)
		rowset.AppendRange(&c.v, src, from, to)
	} else {
		c.appendNullable(src, from, to)
	}
	switch c.v.Type.Phys() {
	case types.PhysBytes:
		return int64(len(c.v.Data) - before + 5*n)
	case types.PhysDec128:
		return int64(17 * n)
	}
	return int64(9 * n)
}

func (c *memColumn) appendNullable(src *vec.Vector, from, to int) {
	for row := from; row < to; row++ {
		null := src.IsNull(row)
		c.null = append(c.null, null)
		c.nulls = c.nulls || null
		if null {
			rowset.AppendZero(&c.v)
		} else {
			rowset.AppendRow(&c.v, src, row)
		}
	}
}

// memView is a memtable as it was at some moment: later appends are beyond its lengths. Deleted marks that were set
// later may or may not be seen, but they carry versions above any that the holder of the view asks for.
type memView struct {
	m       *memtable
	schema  *types.Schema
	cols    []memColumn
	created []types.Version
	deleted []uint64
}

func (m *memtable) view() memView {
	return memView{m: m, schema: m.schema, cols: append([]memColumn(nil), m.cols...), created: m.created, deleted: m.deleted}
}

func (w *memView) rows() int { return len(w.created) }

// visible reports whether version v sees the row.
func (w *memView) visible(row int, v types.Version) bool {
	if w.created[row] > v {
		return false
	}
	d := atomic.LoadUint64(&w.deleted[row])
	return d == 0 || d > uint64(v)
}

// column returns the rows [from, to) of column i as a vector.
func (w *memView) column(i, from, to int) *vec.Vector {
	c := &w.cols[i]
	v := c.v // copies the headers: the original keeps growing
	v.N = len(w.created)
	out := rowset.Slice(&v, from, to)
	if out == &v {
		copied := v
		out = &copied
	}
	out.Valid = validity(c, from, to)
	return out
}

func validity(c *memColumn, from, to int) []uint64 {
	if !c.nulls {
		return nil
	}
	var bits []uint64
	for i := from; i < to; i++ {
		if c.null[i] && bits == nil {
			bits = make([]uint64, (to-from+63)>>6)
			for j := range to - from {
				bits[j>>6] |= 1 << (uint(j) & 63)
			}
		}
		if c.null[i] {
			bits[(i-from)>>6] &^= 1 << (uint(i-from) & 63)
		}
	}
	return bits
}
