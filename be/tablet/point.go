package tablet

import (
	"bytes"
	"fmt"
	"slices"
	"sort"

	"stele/be/tablet/memtable"
	"stele/be/tablet/rowhash"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// Found is where a row was read that its reader, who has it locked, goes on to replace or delete (Written.Old): publishing need not look
// for it, nor the digest read it once more.
type Found struct {
	rowRef        // without a rowset: in no rowset
	hashed bool   // hash is known
	hash   uint64 // of the row, as digests have it
	schema uint32 // whose columns hash is of
}

// GetAt reads the row with a memcomparable primary key at version v; found tells whether there is one, and stored whether
// it took a look into rowsets. It is Snapshot and Get in one, without pinning anything where the row lies in a memtable. old, unless
// it is nil, says where the row is.
func (t *Tablet) GetAt(v types.Version, key []byte, cols []types.ColumnID, old *Found) (b *vec.Batch, found, stored bool, err error) {
	b, found, done, err := t.getInMemory(v, key, cols)
	if done || err != nil {
		return b, found, false, err
	}
	s, err := t.around(v, key)
	if err != nil {
		return nil, false, false, err
	}
	defer s.Release()
	if err := HasColumns(&s.schema, cols); err != nil {
		return nil, false, false, err
	}
	b, at, err := s.getStored(key, cols)
	if err != nil {
		return nil, false, false, fmt.Errorf("get a row of tablet %d: %w", t.id, t.checkBad(err))
	}
	if old != nil && b != nil {
		*old = s.foundAt(at, b, cols)
	}
	return b, b != nil, true, nil
}

// foundAt says where a row lies whose columns cols are in b, with its hash if these are all columns, in the order of their ids.
func (s *Snapshot) foundAt(at rowRef, b *vec.Batch, cols []types.ColumnID) Found {
	f := Found{rowRef: at}
	if len(cols) == len(s.schema.Columns) && slices.IsSorted(cols) {
		f.hashed, f.hash, f.schema = true, rowhash.Sum(b, cols), s.schema.Version
	}
	return f
}

// HasColumns refuses columns that a schema does not have: what wants them was planned before they were dropped.
func HasColumns(schema *types.Schema, cols []types.ColumnID) error {
	for _, id := range cols {
		if schema.ColumnIndex(id) < 0 {
			return fmt.Errorf("column %d: %w", id, ErrColumn)
		}
	}
	return nil
}

// getStored reads a row that is in no memtable, and says where it lies; nil when there is none. Each row group whose keys and filter
// allow for the row is opened once, to find the row and to read it.
func (s *Snapshot) getStored(key []byte, cols []types.ColumnID) (out *vec.Batch, at rowRef, err error) {
	hash := rowset.KeyHash(key)
	for i := len(s.rowsets) - 1; i >= 0; i-- {
		w := &s.rowsets[i]
		g := sort.Search(len(w.r.groups), func(g int) bool { return bytes.Compare(w.r.groups[g].MaxKey, key) >= 0 })
		for ; g < len(w.r.groups) && bytes.Compare(w.r.groups[g].MinKey, key) <= 0; g++ {
			err := s.t.s.viewRows(w.r, g, func(group *rowset.Group) (err error) {
				group.CacheBlocks(s.t.s.blocks)
				out, at, err = s.pickKey(w, g, group, key, hash, cols)
				return err
			})
			if err != nil || out != nil {
				return out, at, err
			}
		}
	}
	return nil, rowRef{}, nil
}

// pickKey reads the row with a key that the snapshot sees in a row group, and says where it lies; nil when there is none.
func (s *Snapshot) pickKey(w *rowsetView, g int, group *rowset.Group, key []byte, hash uint64, cols []types.ColumnID) (*vec.Batch, rowRef, error) {
	if may, err := group.MayContain(hash); err != nil || !may {
		return nil, rowRef{}, err
	}
	keyCols, err := s.t.keyColumns(group)
	if err != nil {
		return nil, rowRef{}, err
	}
	finder, err := group.NewFinder(keyCols)
	if err != nil {
		return nil, rowRef{}, err
	}
	defer finder.Close()
	var buf [4]int
	rows, err := finder.Seek(buf[:0], key)
	if err != nil {
		return nil, rowRef{}, err
	}
	for _, row := range rows {
		pos := w.r.starts[g] + uint32(row)
		if w.deletes.Has(pos, s.version) {
			continue
		}
		created, err := createdAt(w.r, g, group, row, s.version)
		if err != nil || created > s.version {
			if err != nil {
				return nil, rowRef{}, err
			}
			continue
		}
		picked, err := s.pickRow(group, finder, row, cols)
		if err != nil {
			return nil, rowRef{}, err
		}
		return &vec.Batch{Cols: picked, N: 1}, rowRef{rowset: w.r, pos: pos}, nil
	}
	return nil, rowRef{}, nil
}

// pickRow reads columns of the row that finder has found.
func (s *Snapshot) pickRow(group *rowset.Group, finder *rowset.Finder, row int, cols []types.ColumnID) ([]*vec.Vector, error) {
	var few [32]types.ColumnType
	ts := few[:0]
	for _, id := range cols {
		ts = append(ts, s.columnType(id))
	}
	out := rowset.NewRow(ts)
	for i, id := range cols {
		if at := slices.Index(s.t.key, id); at >= 0 && finder.Key(out[i], at, row) {
			continue
		}
		c := group.Column(id)
		if c < 0 {
			out[i] = s.fillColumn(id, 1)
			continue
		}
		if err := group.AppendRow(out[i], c, row); err != nil {
			return nil, fmt.Errorf("column %d: %w", id, err)
		}
	}
	return out, nil
}

// getInMemory is done when the memtables decide.
func (t *Tablet) getInMemory(v types.Version, key []byte, cols []types.ColumnID) (b *vec.Batch, found, done bool, err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if err := t.readable(v); err != nil {
		return nil, false, false, err
	}
	if err := HasColumns(&t.meta.Schema, cols); err != nil {
		return nil, false, false, err
	}
	for i := len(t.mems) - 1; i >= 0; i-- {
		if row, ok := t.mems[i].Find(key, v); ok {
			return t.memRow(t.mems[i], row, cols), true, true, nil
		}
	}
	return nil, false, len(t.rowsets) == 0, nil
}

// memRow copies columns of a memtable row. Called with mu held.
func (t *Tablet) memRow(m *memtable.Table, row int, cols []types.ColumnID) *vec.Batch {
	var room [16]types.ColumnType
	own := room[:0]
	for _, id := range cols {
		at := t.meta.Schema.ColumnIndex(id)
		if at < 0 {
			panic(fmt.Sprintf("BUG: column %d is not in the schema of tablet %d", id, t.id))
		}
		own = append(own, t.meta.Schema.Columns[at].Type)
	}
	b := &vec.Batch{N: 1, Cols: rowset.NewRow(own)}
	for i, id := range cols {
		if in := m.Schema.ColumnIndex(id); in >= 0 {
			m.AppendValue(b.Cols[i], in, row)
		} else { // the row is older than the column
			b.Cols[i] = rowset.Initial(&t.meta.Schema.Columns[t.meta.Schema.ColumnIndex(id)], 1)
		}
	}
	return b
}

// Unchanged reports whether the row with a key, or its absence, is known to be the same at version v as at version since.
// False says that it is not known.
func (t *Tablet) Unchanged(key []byte, since, v types.Version) bool {
	hash := rowset.KeyHash(key)
	t.rlockRecent()
	defer t.mu.RUnlock()
	if t.usable() != nil || v < since || v > t.version || v < t.readFrom {
		return false
	}
	changed, known := t.recent.Lookup(hash)
	if !known {
		changed = t.recent.KnownFrom()
	}
	return changed <= since
}
