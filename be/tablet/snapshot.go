package tablet

import (
	"cmp"
	"fmt"
	"slices"
	"sort"

	"stele/be/tablet/memtable"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// Snapshot is the rows of a tablet at one version. It stays readable, whatever is flushed, merged or dropped, until it is
// released. It may be used by several goroutines at once.
type Snapshot struct {
	t        *Tablet
	version  types.Version
	schema   types.Schema
	mems     []memtable.View
	rowsets  []rowsetView
	released bool // guarded by the tablet's mu
}

// Snapshot pins version v: *BehindError when the replica is not there yet, ErrGone when v can no longer be read.
func (t *Tablet) Snapshot(v types.Version) (*Snapshot, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.readable(v); err != nil {
		return nil, err
	}
	return t.snapshotLocked(v), nil
}

// around is Snapshot of the rowsets that a key may be in, and of nothing else: after a load there are a hundred, of which one is.
func (t *Tablet) around(v types.Version, key []byte) (*Snapshot, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.readable(v); err != nil {
		return nil, err
	}
	s := t.newSnapshot(v)
	for _, r := range t.rowsets {
		if r.spans(key) {
			s.pin(r)
		}
	}
	return s, nil
}

// readable says why version v cannot be read. Called with mu held.
func (t *Tablet) readable(v types.Version) error {
	if err := t.usable(); err != nil {
		return err
	}
	if v > t.version {
		return &BehindError{Tablet: t.id, Have: t.version, Want: v}
	}
	if v < t.readFrom {
		return fmt.Errorf("read tablet %d at version %d, oldest is %d: %w", t.id, v, t.readFrom, ErrGone)
	}
	return nil
}

// Current pins the newest version.
func (t *Tablet) Current() (*Snapshot, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(); err != nil {
		return nil, err
	}
	return t.snapshotLocked(t.version), nil
}

func (t *Tablet) snapshotLocked(v types.Version) *Snapshot {
	s := t.storedLocked(v)
	for _, m := range t.mems {
		if !m.Empty() {
			s.mems = append(s.mems, m.View())
		}
	}
	return s
}

// storedLocked pins the rowsets of version v.
func (t *Tablet) storedLocked(v types.Version) *Snapshot {
	s := t.newSnapshot(v)
	s.rowsets = make([]rowsetView, 0, len(t.rowsets))
	for _, r := range t.rowsets {
		s.pin(r)
	}
	return s
}

// newSnapshot pins version v. Called with mu held, as pin is.
func (t *Tablet) newSnapshot(v types.Version) *Snapshot {
	s := &Snapshot{t: t, version: v, schema: t.meta.Schema}
	t.pins[s] = struct{}{}
	return s
}

// pin adds a rowset, unless it is newer.
func (s *Snapshot) pin(r *rowsetState) {
	if r.entry.Created <= s.version {
		s.rowsets = append(s.rowsets, rowsetView{r: r, deletes: r.deletes})
		r.refs++
	}
}

// Version returns the version of the snapshot.
func (s *Snapshot) Version() types.Version { return s.version }

// Schema returns the schema of the snapshot, which must not be changed.
func (s *Snapshot) Schema() *types.Schema { return &s.schema }

// Release lets go of the snapshot; further calls do nothing. No iterator of it may be used afterwards.
func (s *Snapshot) Release() {
	t := s.t
	t.mu.Lock()
	if s.released {
		t.mu.Unlock()
		return
	}
	s.released = true
	delete(t.pins, s)
	var dead []*rowsetState
	for _, w := range s.rowsets {
		if w.r.refs--; w.r.refs == 0 && w.r.replaced {
			dead = append(dead, w.r)
		}
	}
	last := t.retired && len(t.pins) == 0
	t.mu.Unlock()
	for _, r := range dead {
		t.dropRowset(r.garbage())
	}
	if last {
		t.s.addGarbage(garbage{uid: t.uid})
	}
}

// Get reads rows by memcomparable primary key. Row i of the batch belongs to keys[i]; where found[i] is false it is NULL in
// every column, and when some are missing Sel names those that were found.
func (s *Snapshot) Get(keys [][]byte, cols []types.ColumnID) (*vec.Batch, []bool, error) {
	b, found, _, err := s.get(keys, cols)
	return b, found, err
}

// get is Get, and says which rows lie in rowsets.
func (s *Snapshot) get(keys [][]byte, cols []types.ColumnID) (*vec.Batch, []bool, []rowRef, error) {
	mems, refs, err := s.find(keys)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("get %d rows of tablet %d: %w", len(keys), s.t.id, s.t.checkBad(err))
	}
	b, err := s.gather(keys, cols, mems, refs)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("get %d rows of tablet %d: %w", len(keys), s.t.id, s.t.checkBad(err))
	}
	found := make([]bool, len(keys))
	sel := make([]int32, 0, len(keys))
	for i := range keys {
		if found[i] = mems[i].view != nil || refs[i].rowset != nil; found[i] {
			sel = append(sel, int32(i))
		}
	}
	if len(sel) < len(keys) {
		b.Sel = sel
	}
	return b, found, refs, nil
}

// Exists reports for each key whether there is a row with it at the newest published version.
func (t *Tablet) Exists(keys [][]byte) ([]bool, error) {
	found, _, err := t.Locate(keys)
	return found, err
}

// Locate is Exists, and says where rows in rowsets lie: nil = there are none, or there are many keys. Rowsets are pinned and looked into only for
// keys of which the memtables do not know.
func (t *Tablet) Locate(keys [][]byte) (found []bool, old []Found, err error) {
	if len(keys) > lookUpKeys {
		found, err = t.manyExist(keys)
		return found, nil, err
	}
	found = make([]bool, len(keys))
	s, rest, err := t.existInMemory(keys, found)
	if err != nil || s == nil {
		return found, nil, err
	}
	defer s.Release()
	stored := make([][]byte, len(rest))
	for i, at := range rest {
		stored[i] = keys[at]
	}
	refs, err := t.locate(s.rowsets, stored, s.version)
	if err != nil {
		return nil, nil, fmt.Errorf("look %d keys up in tablet %d: %w", len(keys), t.id, t.checkBad(err))
	}
	for i, at := range rest {
		if refs[i].rowset == nil {
			continue
		}
		if old == nil {
			old = make([]Found, len(keys))
		}
		found[at], old[at].rowRef = true, refs[i]
	}
	return found, old, nil
}

// existInMemory says of each key that a memtable knows whether there is a row with it. The others are rest, to be looked for in the
// snapshot, which has no memtables; nil = there are none, or no rowsets.
func (t *Tablet) existInMemory(keys [][]byte, found []bool) (s *Snapshot, rest []int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(); err != nil {
		return nil, nil, err
	}
	var p place
	for i, key := range keys {
		if p = t.inMemory(key, p); p.inMemory() {
			found[i] = p.row != memtable.NoRow && p.mem.Lives(p.row)
		} else if t.mayStore(key) {
			rest = append(rest, i)
		}
	}
	if len(rest) > 0 {
		s = t.storedLocked(t.version)
	}
	return s, rest, nil
}

// lookUpKeys is how many keys are looked up in memtables before others have their turn with the lock: well below a millisecond.
const lookUpKeys = 1024

// manyExist is Exists for so many keys that the lock is given up in between: what is there at one version is, whatever comes meanwhile.
func (t *Tablet) manyExist(keys [][]byte) ([]bool, error) {
	s, err := t.Current()
	if err != nil {
		return nil, err
	}
	defer s.Release()
	mems, refs, err := s.find(keys)
	if err != nil {
		return nil, fmt.Errorf("look %d keys up in tablet %d: %w", len(keys), t.id, t.checkBad(err))
	}
	found := make([]bool, len(keys))
	for i := range keys {
		found[i] = mems[i].view != nil || refs[i].rowset != nil
	}
	return found, nil
}

// memRef is a row of a memtable; view is nil when there is none.
type memRef struct {
	view *memtable.View
	row  int
}

// find locates the row of each key: in a memtable, in a rowset, or nowhere.
func (s *Snapshot) find(keys [][]byte) ([]memRef, []rowRef, error) {
	mems := make([]memRef, len(keys))
	for from := 0; from < len(keys); from += lookUpKeys {
		s.t.mu.RLock() // the index of a memtable is not part of its view
		for i, key := range keys[from:min(from+lookUpKeys, len(keys))] {
			mems[from+i] = s.findInMemory(key)
		}
		s.t.mu.RUnlock()
	}
	var rest [][]byte
	var at []int
	for i, key := range keys {
		if mems[i].view == nil {
			rest = append(rest, key)
			at = append(at, i)
		}
	}
	refs := make([]rowRef, len(keys))
	if len(rest) == 0 {
		return mems, refs, nil
	}
	found, err := s.t.locate(s.rowsets, rest, s.version)
	if err != nil {
		return nil, nil, err
	}
	for i, at := range at {
		refs[at] = found[i]
	}
	return mems, refs, nil
}

func (s *Snapshot) findInMemory(key []byte) memRef {
	for i := len(s.mems) - 1; i >= 0; i-- {
		if row, ok := s.mems[i].Find(key, s.version); ok {
			return memRef{view: &s.mems[i], row: row}
		}
	}
	return memRef{}
}

// gather reads the columns of the rows that were located by keys, in their order.
func (s *Snapshot) gather(keys [][]byte, cols []types.ColumnID, mems []memRef, refs []rowRef) (*vec.Batch, error) {
	stored, at, err := s.gatherStored(keys, cols, refs)
	if err != nil {
		return nil, err
	}
	out := &vec.Batch{N: len(refs)}
	if allStored(refs, at) {
		out.Cols = stored
		return out, nil
	}
	for c, id := range cols {
		v := rowset.NewVector(s.columnType(id), len(refs))
		for i := range refs {
			switch {
			case mems[i].view != nil:
				s.appendMem(v, mems[i], id)
			case refs[i].rowset != nil:
				rowset.AppendRow(v, stored[c], at[i])
			default:
				rowset.AppendNull(v)
			}
		}
		out.Cols = append(out.Cols, v)
	}
	return out, nil
}

// allStored reports whether all rows lie in rowsets, and were read in their order.
func allStored(refs []rowRef, at []int) bool {
	for i := range refs {
		if refs[i].rowset == nil || at[i] != i {
			return false
		}
	}
	return true
}

type groupRef struct {
	r *rowsetState
	g int
}

func groupOf(r rowRef) groupRef {
	g := sort.Search(len(r.rowset.starts), func(i int) bool { return r.rowset.starts[i] > r.pos }) - 1
	return groupRef{r: r.rowset, g: g}
}

// gatherStored reads the rows that lie in rowsets, row group by row group; at says where each ended up. What the keys tell is not read.
func (s *Snapshot) gatherStored(keys [][]byte, cols []types.ColumnID, refs []rowRef) (out []*vec.Vector, at []int, err error) {
	found := make(map[groupRef][]int) // indexes into refs
	for i, r := range refs {
		if r.rowset != nil {
			g := groupOf(r)
			found[g] = append(found[g], i)
		}
	}
	at = make([]int, len(refs))
	n := 0
	for _, id := range cols {
		out = append(out, rowset.NewVector(s.columnType(id), len(refs)))
	}
	for g, idx := range found {
		var part []*vec.Vector
		err := s.t.s.viewRows(g.r, g.g, func(group *rowset.Group) (err error) {
			group.CacheBlocks(s.t.s.blocks)
			part, err = s.pickRows(group, g, idx, keys, refs, cols)
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		for c := range part {
			rowset.AppendRange(out[c], part[c], 0, part[c].N)
		}
		for _, i := range idx {
			at[i] = n
			n++
		}
	}
	return out, at, nil
}

// pickRows reads some rows of a row group, and leaves idx in the order in which they lie there.
func (s *Snapshot) pickRows(group *rowset.Group, g groupRef, idx []int, keys [][]byte, refs []rowRef, cols []types.ColumnID) ([]*vec.Vector, error) {
	slices.SortFunc(idx, func(a, b int) int { return cmp.Compare(refs[a].pos, refs[b].pos) })
	rows := make([]int, len(idx))
	for k, i := range idx {
		rows[k] = int(refs[i].pos - g.r.starts[g.g])
	}
	if len(rows) > group.Vectors() {
		needColumns(group, cols)
	}
	out := make([]*vec.Vector, len(cols))
	for c, id := range cols {
		var err error
		if out[c] = s.keyColumn(id, keys, idx); out[c] == nil {
			out[c], err = s.pickColumn(group, rows, id)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// keyColumn is a column of integers of the primary key, of the rows with some keys; nil when the keys do not tell it: a text comes before
// it, or it is none.
func (s *Snapshot) keyColumn(id types.ColumnID, keys [][]byte, idx []int) *vec.Vector {
	at := slices.Index(s.t.key, id)
	if at < 0 || slices.ContainsFunc(s.t.key[:at+1], func(id types.ColumnID) bool { return s.columnType(id).Phys() != types.PhysInt64 }) {
		return nil
	}
	v := rowset.NewVector(s.columnType(id), len(idx))
	for _, i := range idx {
		x, ok := vec.KeyInt(keys[i], at, v.Type.Unsigned)
		if !ok {
			return nil
		}
		v.I64, v.N = append(v.I64, x), v.N+1
	}
	return v
}

// pickColumns reads some rows of a row group, in ascending order.
func (s *Snapshot) pickColumns(group *rowset.Group, rows []int, cols []types.ColumnID) ([]*vec.Vector, error) {
	out := make([]*vec.Vector, len(cols))
	for at, id := range cols {
		var err error
		if out[at], err = s.pickColumn(group, rows, id); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// pickColumn reads a column of some rows of a row group, in ascending order.
func (s *Snapshot) pickColumn(group *rowset.Group, rows []int, id types.ColumnID) (*vec.Vector, error) {
	c := group.Column(id)
	if c < 0 {
		return s.fillColumn(id, len(rows)), nil
	}
	out := rowset.NewVector(s.columnType(id), len(rows))
	if err := group.AppendRows(out, c, rows); err != nil {
		return nil, fmt.Errorf("column %d: %w", id, err)
	}
	return out, nil
}

// decodeColumns reads the rows [from, to) of vector i of some columns of a row group; into says which vector takes column number at of
// them.
func (s *Snapshot) decodeColumns(group *rowset.Group, i, from, to int, cols []types.ColumnID, into func(at int) *vec.Vector) ([]*vec.Vector, error) {
	out := make([]*vec.Vector, len(cols))
	for at, id := range cols {
		var err error
		if out[at], err = s.decodeColumn(group, i, from, to, nil, id, func() *vec.Vector { return into(at) }); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// decodeColumn reads the rows [from, to) of vector i of a column; of those that are not in sel, counted from from, anything may be in the
// vector, unless sel is nil: all are wanted then.
func (s *Snapshot) decodeColumn(group *rowset.Group, i, from, to int, sel []int32, id types.ColumnID, into func() *vec.Vector) (*vec.Vector, error) {
	c := group.Column(id)
	if c < 0 {
		return s.fillColumn(id, to-from), nil
	}
	v := into()
	if err := decodeRows(group, v, c, i, from, to, sel); err != nil {
		return nil, err
	}
	want := s.columnType(id)
	if v.Type.Phys() != want.Phys() {
		return nil, fmt.Errorf("column %d is stored in another form: %w", id, ErrCorrupt)
	}
	v.Type = want
	return v, nil
}

func decodeRows(group *rowset.Group, v *vec.Vector, c, i, from, to int, sel []int32) error {
	switch {
	case from != 0 || to != group.VectorRows(i):
		return group.DecodeRange(v, c, i, from, to)
	case sel != nil:
		return group.DecodeRows(v, c, i, sel)
	}
	return group.DecodeInto(v, c, i)
}

// appendMem appends a column of a row of a memtable.
func (s *Snapshot) appendMem(dst *vec.Vector, ref memRef, id types.ColumnID) {
	at := ref.view.Schema.ColumnIndex(id)
	if at < 0 {
		rowset.AppendRow(dst, s.fillColumn(id, 1), 0)
		return
	}
	ref.view.AppendValue(dst, at, ref.row)
}

func (s *Snapshot) columnType(id types.ColumnID) types.ColumnType {
	at := s.schema.ColumnIndex(id)
	if at < 0 {
		panic(fmt.Sprintf("BUG: column %d is not in the schema of tablet %d", id, s.t.id))
	}
	return s.schema.Columns[at].Type
}

// fillColumn returns n rows of what rows from before column id have in it.
func (s *Snapshot) fillColumn(id types.ColumnID, n int) *vec.Vector {
	return rowset.Initial(&s.schema.Columns[s.schema.ColumnIndex(id)], n)
}

// newVector is decodeColumns' into for those who keep what they get.
func newVector(int) *vec.Vector { return &vec.Vector{} }
