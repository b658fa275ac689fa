package memtable

import (
	"iter"
	"slices"
	"sync/atomic"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// NoRow in an index says: the newest change of the key in this memtable is a delete of a row that lies elsewhere.
const NoRow = int32(-1)

// rowOverhead is the memory of a memtable row beside its values and its key: index entry, versions, links.
const rowOverhead = 96

// Table is the decoded form of the committed writes that are not yet in a rowset. Rows are only appended; a row that
// is replaced or deleted is marked with the version that did so. Everything is guarded by its owner's lock, except that a
// View reads what was there when it was taken.
type Table struct {
	Schema  *types.Schema
	blocks  []block  // the rows before tail
	tail    int      // the first row of cols
	cols    []column // the other rows
	viewed  []column // a copy of cols that all views of them share; nil = there is none of what they are now
	created []types.Version
	deleted []uint64 // version that ended the row, 0 while it lives; accessed atomically
	prev    []int32  // the row that held the same key before, within this memtable, or NoRow
	keys    []string
	index   index               // key -> its newest row, or NoRow
	sunk    map[string]struct{} // keys of the index whose newest change is in a rowset after all: Sink
	bytes   int64
	graves  int64 // of bytes, those of keys without a row, which no rowset gets
	orders  orders
	// sunkBytes is not part of bytes, which the gauge knows: a large write must not wait for a flush.
	sunkBytes int64
}

// column is one growing column. Nulls are bytes and not bits, so that appending never touches what a view reads.
type column struct {
	v     vec.Vector // without Valid
	null  []bool
	nulls bool
}

// New returns an empty one, of rows of a schema.
func New(schema *types.Schema) *Table {
	m := &Table{Schema: schema}
	m.begin()
	return m
}

// begin has new memory take the next rows.
func (m *Table) begin() {
	m.cols, m.viewed = make([]column, len(m.Schema.Columns)), nil
	for i := range m.cols {
		m.cols[i].v = *rowset.NewVector(m.Schema.Columns[i].Type, 0)
	}
}

// Rows returns how many rows it has, those that have ended included.
func (m *Table) Rows() int { return len(m.created) }

// Empty reports whether nothing was ever in it.
func (m *Table) Empty() bool { return m.index.n == 0 }

// Key returns the key of a row.
func (m *Table) Key(row int) string { return m.keys[row] }

// Lives reports whether a row has not ended.
func (m *Table) Lives(row int32) bool { return m.deleted[row] == 0 }

// Find returns the row of a key that version v sees.
func (m *Table) Find(key []byte, v types.Version) (row int, ok bool) {
	at, known := m.Lookup(key)
	for known && at != NoRow {
		if m.created[at] <= v && (m.deleted[at] == 0 || m.deleted[at] > uint64(v)) {
			return int(at), true
		}
		at = m.prev[at]
	}
	return 0, false
}

// Known returns how many keys it knows.
func (m *Table) Known() int { return m.index.n }

// AllKeys iterates over the keys that it knows.
func (m *Table) AllKeys() iter.Seq[string] { return m.index.all(m.keys) }

// Expect says that keys are about to be linked, by their hashes.
func (m *Table) Expect(hashes []uint64) { m.index.expect(hashes) }

// IsSunk reports whether the newest change of a key that it knows is in a rowset.
func (m *Table) IsSunk(key []byte) bool {
	_, sunk := m.sunk[string(key)]
	return sunk
}

// Size is what it takes in memory.
func (m *Table) Size() int64 { return m.bytes }

// Flushed is what of it a rowset may get.
func (m *Table) Flushed() int64 { return m.bytes - m.graves }

// EndOrders takes what its orders have from the gauge; no more are made.
func (m *Table) EndOrders(g *Gauge) { m.orders.end(g) }

// Lookup returns the newest row of a key, which may be NoRow; ok is false when the memtable does not know the key.
func (m *Table) Lookup(key []byte) (row int32, ok bool) { return m.index.get(m.keys, key) }

// grow makes room for n more rows at once, and for half as many again as there are when that takes new memory: what large writes
// fill would be copied four times if it grew by a quarter each time.
func (m *Table) grow(n int) {
	if cap(m.created)-len(m.created) >= n {
		return
	}
	n = max(n, len(m.created)/2)
	m.created, m.deleted, m.prev = slices.Grow(m.created, n), slices.Grow(m.deleted, n), slices.Grow(m.prev, n)
	m.keys = slices.Grow(m.keys, n)
}

// AppendPuts appends the rows of a write that are puts, whose columns are those of the schema, column by column; blockRows of them that
// follow one another become a block, if they are most of it: a block keeps the memory of all of it. Each of them must be linked then,
// in the same order.
func (m *Table) AppendPuts(ops []types.RowOp, rows *vec.Batch, blockRows int) {
	for from := 0; from < len(ops); {
		if ops[from] != types.OpPut {
			from++
			continue
		}
		to := from + 1
		for to < len(ops) && ops[to] == types.OpPut {
			to++
		}
		if to-from >= blockRows && 2*(to-from) >= len(ops) {
			m.take(rows.Cols, from, to)
		} else {
			m.viewed = nil
			for i := range m.cols {
				m.bytes += m.cols[i].append(rows.Cols[i], from, to)
			}
		}
		from = to
	}
}

// Holds reports whether row is there, lives, and has key: then it is the newest one of the key.
func (m *Table) Holds(row int32, key []byte) bool {
	return row >= 0 && int(row) < len(m.keys) && m.deleted[row] == 0 && m.keys[row] == string(key)
}

// Link makes the next row that was appended the newest one of key, whose hash is given. old is its newest row so far, or NoRow.
func (m *Table) Link(key string, hash uint64, old int32, version types.Version) {
	m.index.grow(1)
	var slot *indexSlot
	at := slotHash(hash)
	if old != NoRow {
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

// End marks row as replaced or deleted by version. It returns false when the row had ended before.
func (m *Table) End(row int32, version types.Version) bool {
	if m.deleted[row] != 0 {
		return false
	}
	atomic.StoreUint64(&m.deleted[row], uint64(version))
	return true
}

// Bury remembers that key, which has no row here, has no living row below either.
func (m *Table) Bury(key string, hash uint64) {
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

// Sink remembers that the newest change of key, which the index has, is in a rowset.
func (m *Table) Sink(key string) {
	if m.sunk == nil {
		m.sunk = make(map[string]struct{})
	}
	if _, ok := m.sunk[key]; !ok {
		m.sunk[key] = struct{}{}
		m.sunkBytes += int64(len(key)) + rowOverhead/2
	}
}

// append appends the rows [from, to) of src and returns about how many bytes they take.
func (c *column) append(src *vec.Vector, from, to int) int64 {
	before := c.v.N
	if src.Valid == nil {
		c.null = append(c.null, make([]bool, to-from)...)
		rowset.AppendRange(&c.v, src, from, to)
	} else {
		c.appendNullable(src, from, to)
	}
	return BytesOf(&c.v, before, c.v.N)
}

func (c *column) appendNullable(src *vec.Vector, from, to int) {
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

// View is a memtable as it was at some moment: later appends are beyond its lengths. Deleted marks that were set
// later may or may not be seen, but they carry versions above any that the holder of the view asks for.
type View struct {
	m       *Table
	Schema  *types.Schema
	blocks  []block
	tail    int
	cols    []column // not to be changed
	created []types.Version
	deleted []uint64
	prev    []int32
}

// View returns it as it is now. Views of a table that has not grown share its columns, so nobody else may use it meanwhile.
func (m *Table) View() View {
	if m.viewed == nil {
		m.viewed = slices.Clone(m.cols)
	}
	return View{
		m: m, Schema: m.Schema, blocks: m.blocks, tail: m.tail, cols: m.viewed,
		created: m.created, deleted: m.deleted, prev: m.prev,
	}
}

// Rows returns how many rows it has, those that have ended included.
func (w *View) Rows() int { return len(w.created) }

// Visible reports whether version v sees the row.
func (w *View) Visible(row int, v types.Version) bool {
	if w.created[row] > v {
		return false
	}
	d := w.EndedBy(row)
	return d == 0 || d > v
}

// Find returns the row of a key that version v sees, if the view has it. The index is the memtable's, so its owner's lock is held.
func (w *View) Find(key []byte, v types.Version) (row int, ok bool) {
	at, known := w.m.Lookup(key)
	for known && at != NoRow {
		if int(at) < w.Rows() && w.Visible(int(at), v) {
			return int(at), true
		}
		at = w.m.prev[at]
	}
	return 0, false
}

// CreatedBy returns the version that put the row.
func (w *View) CreatedBy(row int) types.Version { return w.created[row] }

// EndedBy returns the version that ended the row, 0 while it lives.
func (w *View) EndedBy(row int) types.Version {
	return types.Version(atomic.LoadUint64(&w.deleted[row]))
}

// part returns the rows [from, to) as a vector.
func (c *column) part(from, to int) *vec.Vector {
	out := *rowset.Slice(&c.v, from, to) // the header is the caller's
	out.Valid = validity(c, from, to)
	return &out
}

func validity(c *column, from, to int) []uint64 {
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
