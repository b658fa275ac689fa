package tablet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"stele/be/tablet/deletes"
	"stele/be/tablet/kv"
	"stele/be/tablet/memtable"
	"stele/be/tablet/space"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// Flush turns the deltas into a rowset. Readers and writers go on meanwhile. If the process ends at any point before the
// manifest is durable, the new rowset is an orphan and the deltas are replayed from their parts; after it, the rowset is
// what the manifest names and replay starts behind it.
func (t *Tablet) Flush() error {
	t.maint.Lock()
	defer t.maint.Unlock()
	err := t.flush()
	t.trimChanges() // on a disk that is too full to flush, too: that makes room
	if err != nil {
		t.s.counters.flushFailures.Add(1)
		return fmt.Errorf("flush tablet %d: %w", t.id, t.checkBad(err))
	}
	return nil
}

func (t *Tablet) flush() error {
	if err := t.advanceDigest(context.Background()); err != nil {
		return err // the horizon waits for it, and the manifest keeps it
	}
	release, err := t.s.claim(t.flushNeeds())
	if err != nil {
		return err
	}
	defer release()
	f, err := t.freeze()
	if err != nil || f == nil {
		return err
	}
	w := newRowsetWriter(t, f.rowset, &f.schema)
	err = f.writeRows(w)
	var next *rowsetState
	if err == nil {
		next, err = w.finish()
	}
	if err != nil {
		t.s.addGarbage(w.orphan())
		return err
	}
	err = t.renewManifest(func() (*manifest, []kv.Entry) { return t.flushManifest(f, next) }, func() { t.installFlush(f, next) })
	if errors.Is(err, ErrDropped) {
		t.s.addGarbage(w.orphan()) // the rest may have been deleted before it was written
	}
	if err == nil {
		t.s.counters.flushes.Add(1)
		t.s.counters.flushed.Add(w.written)
	}
	return err
}

// flushNeeds returns how much room a flush takes at most, and how much of the reserve it has to leave: where rows have gone since the last
// one it is the first step to getting theirs back.
func (t *Tablet) flushNeeds() (leave space.Leave, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	bytes = mergeSlack
	for _, m := range t.mems {
		bytes += m.Flushed()
	}
	drop := t.advanceHorizon(t.version)
	for _, r := range t.rowsets {
		if r.deletes.Changed(r.stored, t.version) {
			bytes += r.deletes.Bytes(drop)
		}
	}
	if t.shrinks() {
		return space.ForMerge, bytes
	}
	return space.ForFlush, bytes
}

// shrinks reports whether there are fewer rows than the manifest has. Called with mu held in either mode.
func (t *Tablet) shrinks() bool { return t.rows < t.storedRows() }

// storedRows is how many rows the manifest has. Called with mu held in either mode.
func (t *Tablet) storedRows() (n int64) {
	for _, r := range t.rowsets {
		if !r.floats(t.manifestVersion) {
			n += int64(r.entry.Rows) - int64(r.deletes.CountAt(t.manifestVersion))
		}
	}
	return n
}

// frozen is what a flush works on.
type frozen struct {
	version types.Version // everything up to it is in the rowsets and in mems
	drop    types.Version // rows that ended at or before it need not be kept
	rowset  uint64        // the id of the new rowset
	schema  types.Schema
	mems    []*memtable.Table
	views   []memtable.View
	pos     [][]uint32              // by memtable and row: the position in the new rowset, or dropped
	sums    map[*rowsetState]uint64 // of the delete vectors that the manifest stores anew

	keys    [][]byte // of a run of rows, for writeRange alone
	created []int64
}

// dropped as a position says that a row is in no rowset.
const dropped = ^uint32(0)

// freeze ends the active memtable and begins another; nil when there is nothing to flush.
func (t *Tablet) freeze() (*frozen, error) {
	t.write.Lock()
	defer t.write.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(); err != nil {
		return nil, err
	}
	if t.version == t.manifestVersion {
		return nil, nil
	}
	t.run = nil // no run has both what is flushed and what is not: retention drops the one and keeps the other
	f := &frozen{version: t.version, rowset: t.nextRowset, schema: t.meta.Schema, mems: slices.Clone(t.mems)}
	f.drop = t.advanceHorizon(f.version)
	t.nextRowset++
	for _, m := range f.mems {
		f.views = append(f.views, m.View())
	}
	t.mems = append(t.mems, t.newMemtable())
	return f, nil
}

type memRow struct{ mem, row int }

// writeRows writes the rows that some version from drop on can see, in key order and, within a key, by age.
func (f *frozen) writeRows(w *rowsetWriter) error {
	var rows []memRow
	for m := range f.views {
		v := &f.views[m]
		f.pos = append(f.pos, make([]uint32, v.Rows()))
		for row := range v.Rows() {
			f.pos[m][row] = dropped
			if d := v.EndedBy(row); d == 0 || d > f.drop {
				rows = append(rows, memRow{mem: m, row: row})
			}
		}
	}
	slices.SortFunc(rows, func(a, b memRow) int {
		return cmp.Or(cmp.Compare(f.mems[a.mem].Key(a.row), f.mems[b.mem].Key(b.row)), cmp.Compare(a.mem, b.mem), cmp.Compare(a.row, b.row))
	})
	cols := make([][]*vec.Vector, len(f.views))
	for m := range f.views {
		cols[m] = f.columns(&f.views[m])
	}
	for len(rows) > 0 { // what was written in the order of keys is copied as a whole
		n := 1
		for n < len(rows) && n < vec.MaxRows && rows[n] == (memRow{rows[0].mem, rows[0].row + n}) {
			n++
		}
		if err := f.writeRange(w, rows[0], n, cols[rows[0].mem]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// writeRange writes n rows that follow one another in a memtable.
func (f *frozen) writeRange(w *rowsetWriter, r memRow, n int, cols []*vec.Vector) error {
	f.keys, f.created = f.keys[:0], f.created[:0]
	for i := range n {
		key := f.mems[r.mem].Key(r.row + i)
		f.keys = append(f.keys, unsafe.Slice(unsafe.StringData(key), len(key))) // w copies it
		f.created = append(f.created, int64(f.views[r.mem].CreatedBy(r.row+i)))
	}
	pos, err := w.addRange(f.keys, cols, r.row, f.created)
	for i := range n {
		f.pos[r.mem][r.row+i] = pos + uint32(i)
	}
	return err
}

// columns returns all rows of a memtable as columns of the present schema.
func (f *frozen) columns(v *memtable.View) []*vec.Vector {
	out := make([]*vec.Vector, len(f.schema.Columns))
	for i := range f.schema.Columns {
		c := &f.schema.Columns[i]
		if at := v.Schema.ColumnIndex(c.ID); at >= 0 {
			out[i] = v.Column(at, 0, v.Rows())
		} else {
			out[i] = rowset.Initial(c, v.Rows())
		}
	}
	return out
}

// deletesOf returns the deletes of the frozen rows that versions up to v made, as positions in the new rowset.
func (f *frozen) deletesOf(v types.Version) []deletes.Entry {
	var out []deletes.Entry
	for m := range f.views {
		for row, pos := range f.pos[m] {
			if d := f.views[m].EndedBy(row); pos != dropped && d != 0 && d <= v {
				out = append(out, deletes.Entry{Version: d, Pos: pos})
			}
		}
	}
	slices.SortFunc(out, func(a, b deletes.Entry) int {
		return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Pos, b.Pos))
	})
	return out
}

// flushManifest returns what one transaction has to write: the manifest at the flushed version, and the delete vectors
// at that version of the rowsets where they changed.
func (t *Tablet) flushManifest(f *frozen, next *rowsetState) (m *manifest, out []kv.Entry) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	f.sums = make(map[*rowsetState]uint64)
	m = t.newManifest(f.version)
	for _, r := range t.rowsets {
		if r.floats(f.version) {
			continue // its version record names it
		}
		e := r.entry
		if entry, changed := r.storedDeletes(f.version, f.drop); changed {
			out = append(out, entry)
			f.sums[r] = sumOf(entry.Value)
			e.Deletes = f.sums[r]
		}
		m.Rowsets = append(m.Rowsets, e)
		m.LiveRows += int64(e.Rows) - int64(r.deletes.CountAt(f.version))
	}
	if next != nil {
		out = append(out, m.addMade(next, f.deletesOf(f.version))...)
	}
	return m, out
}

// storedDeletes returns the record X of the rowset at version v, without the versions up to drop, which nobody reads any more; changed says
// that the stored one is another.
func (r *rowsetState) storedDeletes(v, drop types.Version) (entry kv.Entry, changed bool) {
	if !r.deletes.Changed(r.stored, v) {
		return kv.Entry{}, false
	}
	d := r.deletes.Collapse(drop)
	return deletesEntry(r, &d, v), true
}

func deletesEntry(r *rowsetState, d *deletes.Vector, v types.Version) kv.Entry {
	var rec deletesRecord
	base := d.Forgotten()
	if !base.IsEmpty() {
		body, err := base.ToBytes()
		if err != nil {
			panic("BUG: a bitmap in memory cannot be encoded: " + err.Error())
		}
		rec.Base = body
	}
	for _, e := range d.Until(v) {
		rec.Versions = append(rec.Versions, uint64(e.Version))
		rec.Rows = append(rec.Rows, e.Pos)
	}
	return sealed(key2(kDeletes, r.uid, r.entry.ID), &rec)
}

// installFlush puts the new rowset in the place of the frozen memtables.
func (t *Tablet) installFlush(f *frozen, next *rowsetState) {
	t.write.Lock()
	defer t.write.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.rowsets {
		if r.floats(f.version) {
			continue
		}
		if sum, ok := f.sums[r]; ok {
			r.entry.Deletes = sum
		}
		r.stored = f.version
		r.deletes = r.deletes.Collapse(f.drop)
	}
	if next != nil {
		next.deletes = deletes.New(nil, f.deletesOf(maxVersion))
		next.stored = f.version
		t.rowsets = append(slices.Clone(t.rowsets), next)
	}
	for _, m := range f.mems {
		m.EndOrders(t.s.memOrders)
		if !t.retired {
			t.s.mem.add(-m.Size())
		}
	}
	t.mems = slices.Clone(t.mems[len(f.mems):])
	t.unflushed = t.s.opt.Now()
	t.manifestVersion = f.version
}

// newManifest returns a manifest at version v, without rowsets. Called with mu held in either mode.
func (t *Tablet) newManifest(v types.Version) *manifest {
	return &manifest{Version: v, NextRowset: t.nextRowset, ReadFrom: t.readFrom, Digest: t.storedDigest()}
}

// renewManifest commits the manifest that is made and has what it says installed.
func (t *Tablet) renewManifest(made func() (*manifest, []kv.Entry), install func()) error {
	t.manifesting.Lock()
	defer t.manifesting.Unlock()
	if err := t.commitManifest(made()); err != nil {
		return err
	}
	install()
	return nil
}

// commitManifest commits a new manifest and what belongs to it, unless the tablet was dropped or replaced meanwhile: the manifest went with
// its record then. It says whose it is if there is a record: one that says so and has none is of a tablet whose record is lost.
func (t *Tablet) commitManifest(m *manifest, records []kv.Entry) error {
	t.record.Lock()
	defer t.record.Unlock()
	t.mu.RLock()
	retired, of := t.retired, t.owner()
	t.mu.RUnlock()
	if retired {
		return fmt.Errorf("tablet %d: %w", t.id, ErrDropped)
	}
	if !t.unlisted {
		m.Of = of
	}
	return t.s.meta.Commit(append(records, sealed(key1(kManifest, t.uid), m))...)
}

// owner returns whose the manifest is. Called with mu held in either mode.
func (t *Tablet) owner() *owner {
	return &owner{Tablet: t.id, Table: t.meta.Table, Partition: t.meta.Partition, Replica: t.meta.Replica}
}

// manifestEntry returns the manifest that comes with the first record of a tablet. Versions after it, which an import on its way between disks
// may have, are replayed, so none of their rows count.
func (t *Tablet) manifestEntry() kv.Entry {
	m := t.newManifest(t.manifestVersion)
	m.Of, m.LiveRows = t.owner(), t.storedRows()
	for _, r := range t.rowsets {
		if !r.floats(t.manifestVersion) {
			m.Rowsets = append(m.Rowsets, r.entry)
		}
	}
	return sealed(key1(kManifest, t.uid), m)
}

// needsFlush reports whether the deltas have outgrown the limits.
func (t *Tablet) needsFlush() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.usable() != nil {
		return false
	}
	rows, l := 0, t.s.tuning().Flush
	for _, m := range t.mems {
		rows += m.Rows()
	}
	age := t.s.opt.Now().Sub(t.unflushed)
	return rows >= l.Rows || t.memBytes() >= l.Bytes || int(t.version-t.manifestVersion) >= l.Versions ||
		t.floating() >= floatingMax || t.version > t.manifestVersion && (age >= l.Age || age >= t.s.tuning().ReadAge && t.s.tight() && t.shrinks())
}

// floatingMax is how many rowsets wait for a manifest at most: only then can they be merged.
const floatingMax = 4

// floating returns how many rowsets no manifest names yet. Called with mu held in either mode.
func (t *Tablet) floating() int {
	n := 0
	for _, r := range t.rowsets {
		if r.floats(t.manifestVersion) {
			n++
		}
	}
	return n
}

func (t *Tablet) pokeIfFull() {
	if t.needsFlush() || t.s.mem.over(0.5) {
		t.s.poke()
	}
}
