package tablet

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"stele/be/tablet/memtable"
	"stele/be/tablet/recent"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// A transaction of staged parts (stage.go) does not go through the memtable: publishing it adds their rowsets to the tablet's and ends the
// rows that they replace. The version that created the rows was not known when they were encoded; the rowset as a whole has it
// (rowsetEntry.Created).
//
// Until a manifest at or after that version names it, a published rowset floats: the version record names it, replay finds
// it there, compaction leaves it alone.

// bulkEntry says, in a version record, which rowset holds the rows of a part.
type bulkEntry struct {
	Part   int         `cbor:"1,keyasint"`
	Rowset rowsetEntry `cbor:"2,keyasint"`
}

// floats reports whether a manifest at version manifest does not name the rowset yet.
func (r *rowsetState) floats(manifest types.Version) bool { return r.entry.Created > manifest }

// created makes version the one that created all rows.
func (r *rowsetState) created(version types.Version) {
	r.entry.Created, r.stored = version, version-1
	for i := range r.groups {
		r.groups[i].MaxVersion = version
	}
}

// bulkPlan is what publishing staged parts changes. It is made with write held but without mu, so that readers go on.
type bulkPlan struct {
	t       *Tablet
	version types.Version
	views   []rowsetView // those of the tablet, then the parts in order: the newest row of a key is in the last
	staged  []*rowsetState
	ends    map[*rowsetState]*roaring.Bitmap
	mems    []memEnd
	hashes  []uint64
	keys    int // seen so far
	total   int
}

// memEnd is a key that a memtable knows: its row, if it has one, ends, and its newest change is in a rowset from now on.
type memEnd struct {
	m   *memtable.Table
	row int32
	key string
}

func (t *Tablet) planBulk(version types.Version, parts []*stagedPart) (*bulkPlan, error) {
	t.mu.RLock()
	p := &bulkPlan{t: t, version: version, views: t.rowsetViews(), ends: make(map[*rowsetState]*roaring.Bitmap)}
	t.mu.RUnlock()
	for _, st := range parts {
		p.total += len(st.deletes)
		if st.rowset != nil {
			p.total += int(st.rowset.entry.Rows)
		}
	}
	for _, st := range parts {
		if st.rowset != nil {
			if err := p.eachKeys(st.rowset); err != nil {
				return nil, err
			}
		}
		if err := p.take(st.deletes); err != nil {
			return nil, err
		}
		if st.rowset != nil {
			p.staged = append(p.staged, st.rowset)
			p.views = append(p.views, rowsetView{r: st.rowset, deletes: st.rowset.deletes})
		}
	}
	return p, nil
}

// eachKeys takes the keys of a rowset, a row group at a time.
func (p *bulkPlan) eachKeys(r *rowsetState) error {
	for g := range r.groups {
		if p.beside(&r.groups[g]) {
			p.keys += int(r.groups[g].Rows)
			continue
		}
		var keys [][]byte
		err := p.t.s.viewSome(r.group(g), func(group *rowset.Group) error {
			keys = keys[:0]
			cols, err := p.t.keyColumns(group)
			needColumns(group, p.t.key)
			for i := 0; err == nil && i < group.Vectors(); i++ {
				b := &vec.Batch{N: group.VectorRows(i)}
				order := make([]int, len(cols))
				for n, c := range cols {
					v, derr := group.Decode(c, i)
					err = errors.Join(err, derr)
					b.Cols = append(b.Cols, v)
					order[n] = n
				}
				if err == nil {
					keys = append(keys, vec.EncodeKeys(b, order)...)
				}
			}
			return err
		})
		if err == nil {
			err = p.take(keys)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// beside reports whether a row group can meet no row there is, and is too large for its keys to be remembered.
func (p *bulkPlan) beside(e *groupEntry) bool {
	if p.total <= recent.Capacity {
		return false
	}
	for i := range p.views {
		if p.views[i].r.mayHold(e.MinKey, e.MaxKey) {
			return false
		}
	}
	p.t.mu.RLock()
	defer p.t.mu.RUnlock()
	return !p.t.mayRemember(e.MinKey, e.MaxKey)
}

// MayHold reports whether some row of the tablet, living or not, may have a key from first to last.
func (t *Tablet) MayHold(first, last []byte) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.mayRemember(first, last) || slices.ContainsFunc(t.rowsets, func(r *rowsetState) bool { return r.mayHold(first, last) })
}

func (r *rowsetState) mayHold(first, last []byte) bool {
	return slices.ContainsFunc(r.groups, func(g groupEntry) bool {
		return bytes.Compare(g.MinKey, last) <= 0 && bytes.Compare(first, g.MaxKey) <= 0
	})
}

// mayRemember is MayHold for the memtables. Called with mu held in either mode.
func (t *Tablet) mayRemember(first, last []byte) bool {
	for _, m := range t.mems {
		if m.Known() > besideKeys {
			return true
		}
		for key := range m.AllKeys() {
			if key >= string(first) && key <= string(last) {
				return true
			}
		}
	}
	return false
}

// besideKeys is up to how many keys of a memtable are compared with the range of a row group, which has thousands.
const besideKeys = 4096

// take plans the end of the rows that keys, ascending, have.
func (p *bulkPlan) take(keys [][]byte) error {
	p.keys += len(keys)
	var rest [][]byte
	for _, key := range keys {
		at := p.t.inMemory(key, place{})
		ok := at.inMemory()
		if ok {
			p.mems = append(p.mems, memEnd{m: at.mem, row: at.row, key: string(key)})
		}
		if !ok || len(p.staged) > 0 {
			rest = append(rest, key)
		}
		if p.total <= recent.Capacity {
			p.hashes = append(p.hashes, rowset.KeyHash(key))
		}
	}
	if len(rest) == 0 || len(p.views) == 0 {
		return nil
	}
	refs, err := p.t.locate(p.views, rest, maxVersion)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if ref.rowset == nil {
			continue
		}
		if p.ends[ref.rowset] == nil {
			p.ends[ref.rowset] = roaring.New()
		}
		p.ends[ref.rowset].Add(ref.pos) // a part may replace a row that an earlier one has replaced already
	}
	return nil
}

// apply makes the planned version. It cannot fail. Called with write and mu held.
func (p *bulkPlan) apply() {
	t := p.t
	if t.version == t.manifestVersion {
		t.unflushed = t.s.opt.Now()
	}
	for _, r := range p.staged {
		r.created(p.version)
		t.rows += int64(r.entry.Rows)
	}
	t.rowsets = append(slices.Clone(t.rowsets), p.staged...)
	for r, rows := range p.ends {
		r.deletes.AddAll(p.version, rows)
		t.rows -= int64(rows.GetCardinality())
	}
	for _, e := range p.mems {
		if e.row != memtable.NoRow && e.m.End(e.row, p.version) {
			t.rows--
		}
		e.m.Sink(e.key)
	}
	t.recent.Begin(p.version, p.keys)
	t.recent.RecordAll(p.hashes, p.version)
	t.version = p.version
	t.s.active.add(t)
}

// bulkEntries returns what the version record says of the parts.
func bulkEntries(version types.Version, parts []*stagedPart) []bulkEntry {
	var out []bulkEntry
	for i, st := range parts {
		if st.rowset != nil {
			e := st.rowset.entry
			e.Created = version
			out = append(out, bulkEntry{Part: i, Rowset: e})
		}
	}
	return out
}

// publishBulk is publish for a transaction of staged parts.
func (t *Tablet) publishBulk(txn types.TxnID, version types.Version, parts []partEntry, staged []*stagedPart) error {
	plan, err := t.planBulk(version, staged)
	if err != nil {
		return err
	}
	at := t.s.opt.Now()
	rec := versionRecord{Txn: txn, Parts: parts, AtMs: at.UnixMilli(), Bulk: bulkEntries(version, staged)}
	if !t.show(version, rec, at, nil, plan.apply) {
		return ErrUnknownTxn
	}
	t.pokeIfFull()
	return nil
}

// replayBulk makes a version again whose rows are in rowsets.
func (t *Tablet) replayBulk(v types.Version, rec versionRecord, writes []write) error {
	staged := make([]*stagedPart, len(writes))
	for i, w := range writes {
		staged[i] = &stagedPart{}
		for _, n := range lastOfEachKey(w.keys) {
			if w.ops[n] != types.OpPut {
				staged[i].deletes = append(staged[i].deletes, w.keys[n])
			}
		}
	}
	for _, b := range rec.Bulk {
		if b.Part >= len(staged) {
			return fmt.Errorf("version record names part %d of %d: %w", b.Part, len(staged), ErrCorrupt)
		}
		r, err := t.loadRowset(b.Rowset)
		if err != nil {
			return err
		}
		staged[b.Part].rowset = r
		t.nextRowset = max(t.nextRowset, b.Rowset.ID+1)
	}
	plan, err := t.planBulk(v, staged)
	if err == nil {
		plan.apply()
	}
	return err
}
