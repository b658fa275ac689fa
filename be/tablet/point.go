package tablet

import (
	"fmt"

	"stele/be/tablet/rowset"
	"stele/meta/types"
	"stele/sql/vec"
)

// GetAt reads the row with a memcomparable primary key at version v; found tells whether there is one, and stored whether
// it took a look into rowsets. It is Snapshot and Get in one, without pinning anything where the row lies in a memtable.
func (t *Tablet) GetAt(v types.Version, key []byte, cols []types.ColumnID) (b *vec.Batch, found, stored bool, err error) {
	b, found, done, err := t.getInMemory(v, key, cols)
	if done || err != nil {
		return b, found, false, err
	}
	s, err := t.Snapshot(v)
	if err != nil {
		return nil, false, false, err
	}
	defer s.Release()
	b, all, err := s.Get([][]byte{key}, cols)
	if err != nil {
		return nil, false, false, err
	}
	return b, all[0], true, nil
}

// getInMemory is done when the memtables decide.
func (t *Tablet) getInMemory(v types.Version, key []byte, cols []types.ColumnID) (b *vec.Batch, found, done bool, err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if err := t.usable(); err != nil {
		return nil, false, false, err
	}
	if v > t.version {
		return nil, false, false, &BehindError{Tablet: t.id, Have: t.version, Want: v}
	}
	if v < t.readFrom {
		return nil, false, false, fmt.Errorf("read tablet %d at version %d, oldest is %d: %w", t.id, v, t.readFrom, ErrGone)
	}
	for i := len(t.mems) - 1; i >= 0; i-- {
		m := t.mems[i]
		row, ok := m.index[string(key)]
		for ok && row != noRow {
			if m.created[row] <= v && (m.deleted[row] == 0 || m.deleted[row] > uint64(v)) {
				return t.memRow(m, int(row), cols), true, true, nil
			}
			row = m.prev[row]
		}
	}
	return nil, false, len(t.rowsets) == 0, nil
}

// memRow copies columns of a memtable row. Called with mu held.
func (t *Tablet) memRow(m *memtable, row int, cols []types.ColumnID) *vec.Batch {
	b := &vec.Batch{N: 1, Cols: make([]*vec.Vector, len(cols))}
	for i, id := range cols {
		at := t.meta.Schema.ColumnIndex(id)
		if at < 0 {
			panic(fmt.Sprintf("BUG: column %d is not in the schema of tablet %d", id, t.id))
		}
		in := m.schema.ColumnIndex(id)
		if in < 0 { // the row is older than the column
			b.Cols[i] = fillValues(t.meta.Fill).vector(&t.meta.Schema.Columns[at], 1)
			continue
		}
		v := rowset.NewVector(t.meta.Schema.Columns[at].Type, 1)
		if m.cols[in].null[row] {
			rowset.AppendNull(v)
		} else {
			rowset.AppendRow(v, &m.cols[in].v, row)
		}
		b.Cols[i] = v
	}
	return b
}

// Unchanged reports whether the row with a key, or its absence, is known to be the same at version v as at version since.
// False says that it is not known.
func (t *Tablet) Unchanged(key []byte, since, v types.Version) bool {
	hash := rowset.KeyHash(key)
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.usable() != nil || v < since || v > t.version || v < t.readFrom {
		return false
	}
	changed, known := t.recent.young[hash]
	if !known {
		changed, known = t.recent.old[hash]
	}
	if !known {
		changed = t.recent.oldFrom
	}
	return changed <= since
}
