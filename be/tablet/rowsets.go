package tablet

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"stele/be/tablet/deletes"
	"stele/be/tablet/kv"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// maxVersion as a snapshot version sees everything.
const maxVersion = types.Version(math.MaxUint64)

// rowsetState is a rowset of a tablet in memory. deletes, refs and replaced are guarded by the tablet's mu; the rest
// never changes, but for places, which need no lock.
type rowsetState struct {
	uid      uint64
	entry    rowsetEntry
	groups   []groupEntry
	starts   []uint32   // position of the first row of each row group
	places   []kv.Place // of the row groups
	deletes  deletes.Vector
	refs     int  // snapshots that read it
	replaced bool // no manifest names it any more
	// stored is the manifest version up to which the record X holds the deletes.
	stored types.Version
}

func newRowsetState(uid uint64, entry rowsetEntry, groups []groupEntry) *rowsetState {
	r := &rowsetState{uid: uid, entry: entry, groups: groups, deletes: deletes.New(nil, nil), places: make([]kv.Place, len(groups))}
	start := uint32(0)
	for i := range groups {
		r.starts = append(r.starts, start)
		start += groups[i].Rows
	}
	return r
}

func (r *rowsetState) group(i int) rowset.GroupID {
	return rowset.GroupID{UID: r.uid, Rowset: r.entry.ID, Group: uint32(i)}
}

// rowsetView is a rowset as it was at some moment.
type rowsetView struct {
	r       *rowsetState
	deletes deletes.Vector
}

// rowsetViews is called with mu held in either mode.
func (t *Tablet) rowsetViews() []rowsetView {
	out := make([]rowsetView, len(t.rowsets))
	for i, r := range t.rowsets {
		out[i] = rowsetView{r: r, deletes: r.deletes}
	}
	return out
}

// rowRef is where a row lies; rowset is nil when there is none.
type rowRef struct {
	rowset *rowsetState
	pos    uint32
}

// viewData reads a value of the data store, through the fault of a test if there is one.
func (s *Store) viewData(key []byte, fn func(val []byte) error) error {
	return s.data.View(key, s.faulty(key, fn))
}

func (s *Store) faulty(key []byte, fn func(val []byte) error) func(val []byte) error {
	if s.opt.Faults.Read == nil {
		return fn
	}
	return func(val []byte) error { return fn(s.opt.Faults.Read(key, val)) }
}

// viewGroup opens a row group that the manifest names, to read most of it; fn must not block and not keep the group.
func (s *Store) viewGroup(id rowset.GroupID, fn func(*rowset.Group) error) error {
	key := groupKey(id)
	return missingIsCorrupt(key, s.viewData(key, opening(id, fn)))
}

// viewSome is viewGroup for who needs some columns or rows: what is not in memory comes as it is asked for.
func (s *Store) viewSome(id rowset.GroupID, fn func(*rowset.Group) error) error {
	key := groupKey(id)
	return missingIsCorrupt(key, s.data.ViewPart(key, s.faulty(key, opening(id, fn))))
}

// viewRows is viewSome of a rowset that is read again and again: where its row groups lie is looked up once.
func (s *Store) viewRows(r *rowsetState, g int, fn func(*rowset.Group) error) error {
	id := r.group(g)
	key := groupKey(id)
	return missingIsCorrupt(key, s.data.ViewPlaced(key, &r.places[g], s.faulty(key, opening(id, fn))))
}

func opening(id rowset.GroupID, fn func(*rowset.Group) error) func(val []byte) error {
	return func(val []byte) error {
		g, err := rowset.OpenGroup(id, val)
		if err != nil {
			return err
		}
		return fn(g)
	}
}

// missingIsCorrupt turns the absence of what must exist, and damage that Badger found itself, into ErrCorrupt (B3).
func missingIsCorrupt(key []byte, err error) error {
	if errors.Is(err, kv.ErrNotFound) {
		return fmt.Errorf("key %x must exist: %w", key, ErrCorrupt)
	}
	if errors.Is(err, kv.ErrDamaged) {
		return fmt.Errorf("key %x: %w: %w", key, ErrCorrupt, err)
	}
	return err
}

// locate finds for each key the row that version v sees in the rowsets.
func (t *Tablet) locate(views []rowsetView, keys [][]byte, v types.Version) ([]rowRef, error) {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(a, b int) bool { return bytes.Compare(keys[order[a]], keys[order[b]]) < 0 })
	refs := make([]rowRef, len(keys))
	for i := len(views) - 1; i >= 0; i-- { // newest first: what was written last is asked for most
		if err := t.locateIn(&views[i], keys, order, v, refs); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// mayStore reports whether a rowset spans a key: most new keys lie behind all that there are, and nobody has to look for them. Called with
// mu held in either mode.
func (t *Tablet) mayStore(key []byte) bool {
	for _, r := range t.rowsets {
		if r.spans(key) {
			return true
		}
	}
	return false
}

// spans reports whether a key lies between the first and the last one of the rowset.
func (r *rowsetState) spans(key []byte) bool {
	n := len(r.groups)
	return n > 0 && bytes.Compare(key, r.groups[n-1].MaxKey) <= 0 && bytes.Compare(r.groups[0].MinKey, key) <= 0
}

// locateIn looks the keys that are not found yet, in the given ascending order, up in one rowset.
func (t *Tablet) locateIn(w *rowsetView, keys [][]byte, order []int, v types.Version, refs []rowRef) error {
	g := 0
	if len(order) > 0 { // row groups are in key order: those before the first key are none of ours
		g = sort.Search(len(w.r.groups), func(g int) bool { return bytes.Compare(w.r.groups[g].MaxKey, keys[order[0]]) >= 0 })
	}
	for ; g < len(w.r.groups); g++ {
		ge := &w.r.groups[g]
		if len(order) > 0 && bytes.Compare(ge.MinKey, keys[order[len(order)-1]]) > 0 {
			break
		}
		from := sort.Search(len(order), func(i int) bool { return bytes.Compare(keys[order[i]], ge.MinKey) >= 0 })
		to := sort.Search(len(order), func(i int) bool { return bytes.Compare(keys[order[i]], ge.MaxKey) > 0 })
		var wanted []int
		for _, i := range order[from:to] {
			if refs[i].rowset == nil {
				wanted = append(wanted, i)
			}
		}
		if len(wanted) == 0 {
			continue
		}
		err := t.s.viewRows(w.r, g, func(group *rowset.Group) error {
			return t.locateInGroup(w, g, group, keys, wanted, v, refs)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// cachedKeys is for how many keys a vector the keys of the row group may come from the cache of blocks: to decode it for more costs little.
const cachedKeys = 16

func (t *Tablet) locateInGroup(w *rowsetView, g int, group *rowset.Group, keys [][]byte, wanted []int, v types.Version, refs []rowRef) error {
	keyCols, err := t.keyColumns(group)
	if err != nil {
		return err
	}
	few := len(wanted) <= group.Vectors() // as a rule each is in another vector
	if len(wanted) <= cachedKeys*group.Vectors() {
		group.CacheBlocks(t.s.blocks)
	}
	if !few {
		needColumns(group, t.key)
	}
	finder, err := group.NewFinder(keyCols)
	if err != nil {
		return err
	}
	defer finder.Close()
	var rows []int
	for _, i := range wanted {
		may, err := group.MayContain(rowset.KeyHash(keys[i]))
		if err != nil {
			return err
		}
		if !may {
			continue
		}
		if few {
			rows, err = finder.Seek(rows[:0], keys[i])
		} else {
			rows, err = finder.Positions(rows[:0], keys[i])
		}
		if err != nil {
			return err
		}
		for _, row := range rows {
			pos := w.r.starts[g] + uint32(row)
			if w.deletes.Has(pos, v) {
				continue
			}
			created, err := createdAt(w.r, g, group, row, v)
			if err != nil {
				return err
			}
			if created <= v {
				refs[i] = rowRef{rowset: w.r, pos: pos}
			}
		}
	}
	return nil
}

// createdAt returns the version that made a row; it is only read when v may be older.
func createdAt(r *rowsetState, g int, group *rowset.Group, row int, v types.Version) (types.Version, error) {
	if r.groups[g].MaxVersion <= v {
		return 0, nil
	}
	versions, err := r.versionsOf(group, row/vec.MaxRows)
	if err != nil {
		return 0, err
	}
	return types.Version(versions[row%vec.MaxRows]), nil
}

// versionsOf returns the versions that created the rows of vector i.
func (r *rowsetState) versionsOf(group *rowset.Group, i int) ([]int64, error) {
	if r.entry.Created != 0 {
		return slices.Repeat([]int64{int64(r.entry.Created)}, group.VectorRows(i)), nil
	}
	c := group.Column(rowset.VersionColumn)
	if c < 0 {
		return nil, fmt.Errorf("row group has no version column: %w", ErrCorrupt)
	}
	v, err := group.Decode(c, i)
	if err != nil {
		return nil, err
	}
	if v.I64 == nil {
		return nil, fmt.Errorf("version column is not of integers: %w", ErrCorrupt)
	}
	return v.I64, nil
}

// keyColumns returns the positions of the key columns in a row group.
func (t *Tablet) keyColumns(group *rowset.Group) ([]int, error) {
	out := make([]int, len(t.key))
	for i, id := range t.key {
		if out[i] = group.Column(id); out[i] < 0 {
			return nil, fmt.Errorf("row group has no key column %d: %w", id, ErrCorrupt)
		}
	}
	return out, nil
}
