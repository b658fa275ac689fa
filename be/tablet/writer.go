package tablet

import (
	"stele/be/tablet/kv"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/rowset/groups"
	"stele/sql/vec"
)

const (
	// groupBytes is how many raw bytes end a row group before it has MaxGroupRows rows.
	groupBytes = groups.RawBytes
	// flushBytes is how many encoded bytes are written in one synced transaction: a flush for every 2 MB halved the throughput of a load.
	flushBytes = 16 << 20
	// arenaKey is about what a key takes, maxArena how much room for keys is made at once.
	arenaKey, maxArena = 16, 1 << 20
)

// rowsetWriter writes rows, which come in key order, as one rowset. What it wrote is an orphan until a manifest names it.
type rowsetWriter struct {
	t       *Tablet // nil when nothing is stored
	uid, id uint64
	schema  *types.Schema
	cols    []*vec.Vector // of the schema, then the version column
	keys    [][]byte
	arena   []byte
	raw     int
	maxVer  types.Version
	groups  []groupEntry
	queued  []kv.Entry
	bytes   int64 // queued
	written int64
	pace    func(bytes int64) error // waits before a write; nil = does not
	rows    uint32
}

func newRowsetWriter(t *Tablet, id uint64, schema *types.Schema) *rowsetWriter {
	w := &rowsetWriter{t: t, uid: t.uid, id: id, schema: schema}
	w.reset()
	return w
}

// newMemoryWriter returns a writer that stores nothing: its row groups stay in queued.
func newMemoryWriter(schema *types.Schema) *rowsetWriter {
	w := &rowsetWriter{schema: schema}
	w.reset()
	return w
}

// expect makes room for the first row group of so many rows: what grows is copied each time it doubles, and is new memory then.
func (w *rowsetWriter) expect(rows int) {
	n := min(rows, rowset.MaxGroupRows, groupBytes/(8*len(w.cols)))
	for i, v := range w.cols {
		w.cols[i] = rowset.NewVector(v.Type, n)
	}
	w.keys = make([][]byte, 0, n)
}

// reset begins a row group, in the memory of the one before, which is encoded.
func (w *rowsetWriter) reset() {
	if w.cols == nil {
		for i := range w.schema.Columns {
			w.cols = append(w.cols, rowset.NewVector(w.schema.Columns[i].Type, 0))
		}
		w.cols = append(w.cols, rowset.NewVector(rowset.VersionType, 0))
	}
	for _, v := range w.cols {
		rowset.Empty(v)
	}
	w.keys, w.arena, w.raw, w.maxVer = w.keys[:0], w.arena[:0], 0, 0
}

// add appends a row: row of the vectors cols, which are those of the schema. It returns its position.
func (w *rowsetWriter) add(key []byte, cols []*vec.Vector, row int, created types.Version) (uint32, error) {
	return w.addRange([][]byte{key}, cols, row, []int64{int64(created)})
}

// addRange appends rows of the vectors cols, from row on, one for each key, and returns the position of the first.
func (w *rowsetWriter) addRange(keys [][]byte, cols []*vec.Vector, row int, created []int64) (uint32, error) {
	pos := w.rows
	for len(keys) > 0 {
		if len(w.keys) == rowset.MaxGroupRows || w.raw >= groupBytes {
			if err := w.endGroup(); err != nil {
				return 0, err
			}
		}
		n, bytes := groups.Fit(cols, row, row+min(len(keys), rowset.MaxGroupRows-len(w.keys)), w.raw)
		for i, v := range cols {
			rowset.AppendRange(w.cols[i], v, row, row+n)
		}
		w.raw += bytes
		w.addKeys(keys[:n], created[:n])
		keys, row, created = keys[n:], row+n, created[n:]
	}
	return pos, nil
}

// addKeys appends the keys of rows, and the versions that created them.
func (w *rowsetWriter) addKeys(keys [][]byte, created []int64) {
	version := w.cols[len(w.cols)-1]
	version.I64 = append(version.I64, created...)
	version.N += len(keys)
	for k, key := range keys {
		w.maxVer = max(w.maxVer, types.Version(created[k]))
		if len(key) > cap(w.arena)-len(w.arena) { // older keys keep the array they are in
			w.arena = make([]byte, 0, max(len(key), min(2*cap(w.arena)+arenaKey*len(keys), maxArena)))
		}
		start := len(w.arena)
		w.arena = append(w.arena, key...)
		w.keys = append(w.keys, w.arena[start:len(w.arena):len(w.arena)])
	}
	w.rows += uint32(len(keys))
}

// room is how many rows addPieces takes at once.
func (w *rowsetWriter) room() int { return min(vec.MaxRows, rowset.MaxGroupRows-len(w.keys)) }

// addPieces appends n rows, as many as there is room for at most, from the vectors that cursors hold.
func (w *rowsetWriter) addPieces(from []*cursor, pieces []rowset.Piece, n int) error {
	srcs := make([]*vec.Vector, len(from))
	for i, v := range w.cols[:len(w.cols)-1] {
		for k, cur := range from {
			srcs[k] = cur.cols[i]
		}
		before := len(v.Data)
		rowset.AppendPieces(v, srcs, pieces, n)
		w.raw += len(v.Data) - before
	}
	w.raw += 8 * (len(w.cols) - 1) * n
	for _, p := range pieces {
		cur := from[p.Src]
		w.addKeys(cur.keys[p.From:p.To], cur.versions[p.From:p.To])
	}
	if len(w.keys) == rowset.MaxGroupRows || w.raw >= groupBytes {
		return w.endGroup()
	}
	return nil
}

func (w *rowsetWriter) endGroup() error {
	if len(w.keys) == 0 {
		return nil
	}
	ids := make([]types.ColumnID, 0, len(w.cols))
	for i := range w.schema.Columns {
		ids = append(ids, w.schema.Columns[i].ID)
	}
	ids = append(ids, rowset.VersionColumn)
	id := rowset.GroupID{UID: w.uid, Rowset: w.id, Group: uint32(len(w.groups))}
	val := rowset.EncodeGroup(id, rowset.Columns{IDs: ids, Vecs: w.cols, Filtered: w.schema.Indexed}, w.keys)
	w.groups = append(w.groups, groupEntry{
		Rows: uint32(len(w.keys)), Bytes: int64(len(val)), MaxVersion: w.maxVer,
		MinKey: append([]byte(nil), w.keys[0]...), MaxKey: append([]byte(nil), w.keys[len(w.keys)-1]...),
	})
	w.reset()
	return w.queue(kv.Entry{Key: groupKey(id), Value: val})
}

func (w *rowsetWriter) queue(e kv.Entry) error {
	w.queued = append(w.queued, e)
	w.bytes += int64(len(e.Value))
	if w.bytes < flushBytes || w.t == nil {
		return nil
	}
	return w.commit()
}

func (w *rowsetWriter) commit() error {
	if len(w.queued) == 0 {
		return nil
	}
	if w.pace != nil {
		if err := w.pace(w.bytes); err != nil {
			return err
		}
	}
	w.t.s.space.Charge(w.bytes)
	if err := w.t.s.data.Commit(w.queued...); err != nil {
		return err
	}
	w.written += w.bytes
	w.queued, w.bytes = nil, 0
	return nil
}

// finish makes the rowset durable and returns it, or nil when it has no row.
func (w *rowsetWriter) finish() (*rowsetState, error) {
	if err := w.endGroup(); err != nil {
		return nil, err
	}
	if w.rows == 0 {
		return nil, nil
	}
	if err := w.queue(sealed(key2(kIndex, w.t.uid, w.id), &rowsetIndex{Groups: w.groups})); err != nil {
		return nil, err
	}
	if err := w.commit(); err != nil {
		return nil, err
	}
	return newRowsetState(w.t.uid, rowsetEntry{ID: w.id, Rows: w.rows, Bytes: w.written}, w.groups), nil
}

// orphan names what was written, for when no manifest will.
func (w *rowsetWriter) orphan() garbage {
	return garbage{uid: w.t.uid, rowset: w.id, groups: len(w.groups)}
}
