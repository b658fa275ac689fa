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
	blocks  []memBlock  // the rows before tail
	tail    int         // the first row of cols
	cols    []memColumn // the other rows
	created []types.Version
	deleted []uint64 // version that ended the row, 0 while it lives; accessed atomically
	prev    []int32  // the row that held the same key before, within this memtable, or noRow
	keys    []string
	index   memIndex            // key -> its newest row, or noRow
	sunk    map[string]struct{} // keys of the index whose newest change is in a rowset after all: see bulk.go
	bytes   int64
	graves  int64 // of bytes, those of keys without a row, which no rowset gets
	orders  memOrders
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
	m := &memtable{schema: schema}
	m.begin()
	return m
}

// begin has new memory take the next rows.
func (m *memtable) begin() {
	m.cols = make([]memColumn, len(m.schema.Columns))
	for i := range m.cols {
		m.cols[i].v = *rowset.NewVector(m.schema.Columns[i].Type, 0)
	}
}

func (m *memtable) rows() int { return len(m.created) }

// empty reports whether nothing was ever in it.
func (m *memtable) empty() bool { return m.index.n == 0 }

// lookup returns the newest row of a key, which may be noRow; ok is false when the memtable does not know the key.
func (m *memtable) lookup(key []byte) (row int32, ok bool) { return m.index.get(m.keys, key) }

// grow makes room for n more rows at once, and for half as many again as there are when that takes new memory: what large writes
// fill would be copied four times if it grew by a quarter each time.
func (m *memtable) grow(n int) {
	if cap(m.created)-len(m.created) >= n {
		return
	}
	n = max(n, len(m.created)/2)
	m.created, m.deleted, m.prev = slices.Grow(m.created, n), slices.Grow(m.deleted, n), slices.Grow(m.prev, n)
	m.keys = slices.Grow(m.keys, n)
}

// appendPuts appends the rows of w that are puts, whose columns are those of the schema, column by column; blockRows of them that
// follow one another become a block, if they are most of w: a block keeps the memory of all of it. Each of them must be linked then,
// in the same order.
func (m *memtable) appendPuts(w write, blockRows int) {
	for from := 0; from < len(w.ops); {
		if w.ops[from] != types.OpPut {
			from++
			continue
		}
		to := from + 1
		for to < len(w.ops) && w.ops[to] == types.OpPut {
			to++
		}
		if to-from >= blockRows && 2*(to-from) >= len(w.ops) {
			m.take(w.rows.Cols, from, to)
		} else {
			for i := range m.cols {
				m.bytes += m.cols[i].append(w.rows.Cols[i], from, to)
			}
		}
		from = to
	}
}

// holds reports whether row is there, lives, and has key: then it is the newest one of the key.
func (m *memtable) holds(row int32, key []byte) bool {
	return row >= 0 && int(row) < len(m.keys) && m.deleted[row] == 0 && m.keys[row] == string(key)
}

// link makes the next row that was appended the newest one of key, whose hash is given. old is its newest row so far, or noRow.
func (m *memtable) link(key string, hash uint64, old int32, version types.Version) {
	m.index.grow(1)
	var slot *indexSlot
	at := slotHash(hash)
	if old != noRow {
		slot = m.index.findRow(at, old)
	} else {
		slot = m.index.find(m.keys, at, key)
	}
	m.index.put(slot, at, headOf(int32(len(m.created))))
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
func (m *memtable) bury(key string, hash uint64) {
	m.index.grow(1)
	at := slotHash(hash)
	slot := m.index.find(m.keys, at, key)
	if slot.head != 0 {
		return // sunk: the rowsets are asked, and readers of older versions follow the index
	}
	m.index.buried = append(m.index.buried, key)
	m.index.put(slot, at, int32(-len(m.index.buried)))
	m.bytes += int64(len(key)) + rowOverhead/2
	m.graves += int64(len(key)) + rowOverhead/2
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
	before := c.v.N
	if src.Valid == nil {
		c.null = append(c.null, make([]bool, to-from)...)
		rowset.AppendRange(&c.v, src, from, to)
	} else {
		c.appendNullable(src, from, to)
	}
	return bytesOf(&c.v, before, c.v.N)
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
	blocks  []memBlock
	tail    int
	cols    []memColumn
	created []types.Version
	deleted []uint64
	prev    []int32
}

func (m *memtable) view() memView {
	return memView{
		m: m, schema: m.schema, blocks: m.blocks, tail: m.tail, cols: append([]memColumn(nil), m.cols...),
		created: m.created, deleted: m.deleted, prev: m.prev,
	}
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

// part returns the rows [from, to) as a vector.
func (c *memColumn) part(from, to int) *vec.Vector {
	out := *rowset.Slice(&c.v, from, to) // the header is the caller's
	out.Valid = validity(c, from, to)
	return &out
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
