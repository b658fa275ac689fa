package tablet

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// A transaction with a large part, by bytes or rows, does not go through the memtable. Each of its parts is staged: encoded as a rowset of its
// own, sorted, with one row a key, without any lock of the tablet, most often while its prepare waits for the disk. The
// version that created the rows is not known then; the rowset as a whole gets it when it is published (rowsetEntry.Created).
//
// Until a manifest at or after that version names it, a published rowset floats: the version record names it, replay finds
// it there, compaction leaves it alone. A staged rowset that no version record names is an orphan.

// stagedPart is a part of a transaction as it will be published.
type stagedPart struct {
	rowset  *rowsetState // nil when nothing is put
	deletes [][]byte     // keys whose last operation is a delete, ascending
}

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

// stage encodes a part. The caller decides whether what it returns is used, else dropStaged.
func (t *Tablet) stage(payload []byte) (*stagedPart, error) {
	t.mu.Lock()
	if err := t.usable(); err != nil {
		t.mu.Unlock()
		return nil, err
	}
	id, schema, keyIdx := t.nextRowset, t.meta.Schema, t.keyIdx
	t.nextRowset++
	t.mu.Unlock()
	if isGrouped(payload) {
		return t.stageGrouped(id, &schema, payload)
	}
	ops, rows, err := DecodeWrite(&schema, payload)
	if err != nil {
		return nil, err
	}
	keys := vec.EncodeKeys(rows, keyIdx)
	w := newRowsetWriter(t, id, &schema)
	st := &stagedPart{}
	for _, i := range lastOfEachKey(keys) {
		if ops[i] != types.OpPut {
			st.deletes = append(st.deletes, keys[i])
		} else if _, err = w.add(keys[i], rows.Cols, i, 0); err != nil {
			break
		}
	}
	if err == nil {
		st.rowset, err = w.finish()
	}
	if err != nil {
		t.s.addGarbage(w.orphan())
		return nil, err
	}
	t.s.counters.flushed.Add(w.written)
	return st, nil
}

// lastOfEachKey returns, by key, the index of the last of equal keys.
func lastOfEachKey(keys [][]byte) []int {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	byKey := func(a, b int) int { return cmp.Or(bytes.Compare(keys[a], keys[b]), cmp.Compare(a, b)) }
	if !slices.IsSortedFunc(order, byKey) {
		slices.SortFunc(order, byKey)
	}
	out := order[:0]
	for n, i := range order {
		if n+1 == len(order) || !bytes.Equal(keys[i], keys[order[n+1]]) {
			out = append(out, i)
		}
	}
	return out
}

// dropStaged deletes rowsets that were not published.
func (t *Tablet) dropStaged(staged ...*stagedPart) {
	for _, st := range staged {
		if st != nil && st.rowset != nil {
			t.dropRowset(st.rowset.garbage())
		}
	}
}

// staged returns what is staged of each part; nil = nothing is of any.
func (p *pendingTxn) staged() []*stagedPart {
	if !slices.ContainsFunc(p.parts, func(part *pendingPart) bool { return part.staged != nil }) {
		return nil
	}
	var out []*stagedPart
	for _, part := range p.parts {
		out = append(out, part.staged)
	}
	return out
}

// manyWriteRows is from how many rows on a part is large although it takes few bytes.
const manyWriteRows = 16 << 10

// largeWrite reports whether a part makes its transaction one that is published as rowsets.
func (s *Store) largeWrite(payload []byte) bool {
	if int64(len(payload)) >= s.opt.bulkBytes || isGrouped(payload) {
		return true
	}
	r := &writeReader{src: payload[min(2, len(payload)):]}
	r.uvarint() // schema version
	return r.uvarint() >= manyWriteRows
}

// bulk reports whether the transaction is published as rowsets.
func (p *pendingTxn) bulk() bool {
	return slices.ContainsFunc(p.parts, func(part *pendingPart) bool { return part.bulk })
}

// stagePrepared stages a large part that has just been queued for the disk. A failure is left to the publish.
func (t *Tablet) stagePrepared(txn types.TxnID, number int, p *pendingPart, payload []byte) {
	if !p.bulk {
		return
	}
	t.record.Lock()
	unlisted := t.unlisted // an import has not laid out its rowsets yet
	t.record.Unlock()
	if unlisted {
		return
	}
	st, err := t.stage(payload)
	if err != nil {
		t.s.log.Debug("stage a part", "tablet_id", t.id, "txn_id", txn, "err", err)
		return
	}
	t.attachStaged(txn, number, p, st)
}

// attachStaged keeps a staged part with its transaction, if that is still pending.
func (t *Tablet) attachStaged(txn types.TxnID, number int, p *pendingPart, st *stagedPart) {
	t.mu.Lock()
	pt := t.pending[txn]
	ok := pt != nil && number < len(pt.parts) && pt.parts[number] == p && p.staged == nil && !t.retired
	if ok {
		p.staged = st
	}
	t.mu.Unlock()
	if !ok {
		t.dropStaged(st)
	}
}

// stagePending stages what is missing of a large transaction before it is published: after a restart, and its small parts.
func (t *Tablet) stagePending(txn types.TxnID) error {
	t.mu.RLock()
	p := t.pending[txn]
	if p == nil || !p.durable() || !p.bulk() {
		t.mu.RUnlock()
		return nil
	}
	parts := slices.Clone(p.parts)
	done := make([]bool, len(parts))
	for i := range parts {
		done[i] = parts[i].staged != nil
	}
	t.mu.RUnlock()
	if t.s.writable() != nil {
		return nil // what is committed must be published: it goes through the memtable
	}
	for i, part := range parts {
		if done[i] {
			continue
		}
		payload, err := part.payload, error(nil)
		if payload == nil {
			payload, err = t.loadPart(txn, i, part.entry)
		}
		var st *stagedPart
		if err == nil {
			st, err = t.stage(payload)
		}
		if err != nil {
			if t.stillPending(txn, part) {
				return fmt.Errorf("stage part %d: %w", i, err)
			}
			return nil // settled meanwhile, its parts may be gone
		}
		t.attachStaged(txn, i, part, st)
	}
	return nil
}

func (t *Tablet) stillPending(txn types.TxnID, part *pendingPart) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	p := t.pending[txn]
	return p != nil && slices.Contains(p.parts, part)
}

// stagedPending returns the staged parts of a transaction if all of them are.
func (t *Tablet) stagedPending(txn types.TxnID) (parts []partEntry, staged []*stagedPart) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	p := t.pending[txn]
	if p == nil || !p.durable() {
		return nil, nil
	}
	staged = p.staged()
	if len(staged) == 0 || slices.Contains(staged, nil) {
		return nil, nil
	}
	return entriesOf(p), staged
}

// pendingStaged returns the parts of a pending transaction that are staged.
func (t *Tablet) pendingStaged(txn types.TxnID) []*stagedPart {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if p := t.pending[txn]; p != nil {
		return p.staged()
	}
	return nil
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
	m   *memtable
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
		err := p.t.s.viewGroup(r.group(g), func(group *rowset.Group) error {
			keys = keys[:0]
			cols, err := p.t.keyColumns(group)
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
	if p.total <= recentCapacity {
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
		if m.index.n > besideKeys {
			return true
		}
		for key := range m.index.all(m.keys) {
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
		if p.total <= recentCapacity {
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
		r.deletes.addAll(p.version, rows)
		t.rows -= int64(rows.GetCardinality())
	}
	for _, e := range p.mems {
		if e.row != noRow && e.m.end(e.row, p.version) {
			t.rows--
		}
		e.m.sink(e.key)
	}
	t.recent.begin(p.version, p.keys)
	t.recent.recordAll(p.hashes, p.version)
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

// settle notes that version is there. Called with mu held.
func (t *Tablet) settle(version types.Version, rec versionRecord, at time.Time) {
	t.times.record(version, at)
	t.published = at
	delete(t.pending, rec.Txn)
	t.changes.append(version, rec)
}

// stageChange stages the parts of a large change set; nil when it is a small one, or the disk takes no more.
func (t *Tablet) stageChange(parts [][]byte) ([]*stagedPart, error) {
	large := slices.ContainsFunc(parts, t.s.largeWrite)
	if !large || t.s.writable() != nil {
		return nil, nil
	}
	var out []*stagedPart
	for _, p := range parts {
		st, err := t.stage(p)
		if err != nil {
			t.dropStaged(out...)
			return nil, err
		}
		out = append(out, st)
	}
	return out, nil
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
