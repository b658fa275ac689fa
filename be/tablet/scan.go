package tablet

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"stele/be/tablet/memtable"
	"stele/be/tablet/sought"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// vectorsPerRead is how many vectors are decoded for one look-up of a row group: enough to hide its cost, few enough to
// keep the decoded vectors of 16 columns at about 1 MB.
const vectorsPerRead = 4

// fewRows is up to how many rows a scan looks for those it wants within vectors.
const fewRows = 8192

// ScanOptions narrows a scan.
type ScanOptions struct {
	Prune   []sought.Predicate // rows that fail one of them need not be returned
	MaxRows int                // the scan may end after as many rows; 0 = all
	Filter  *Filter            // rows that fail it need not be returned; or nil
	First   *First             // rows beyond the first ones need not be returned; or nil
	Most    int64              // having looked at more rows the scan may end with ErrMany; 0 = never
	// Shard of Shards: the scan returns its share of the rows, so that several goroutines scan a snapshot together.
	Shard, Shards int
	// Reuse lets a batch of rowsets be valid only until the next call of Next: its vectors are then filled again, which
	// spares a scan much of its allocations.
	Reuse bool
	// Places appends a column that says where rows lie, for Snapshot.Placed. Nothing is reused then.
	Places bool
}

// Iter returns the rows of a snapshot in batches, in no particular order. It is used by one goroutine.
type Iter struct {
	s       *Snapshot
	cols    []types.ColumnID
	opt     ScanOptions
	prune   []sought.Values
	narrow  *sought.Keys // of the key; nil = nothing is known of it
	few     bool         // by that, about fewRows at most are wanted
	wanted  int64        // about how many rows are to be read
	looked  int64        // how many have been
	units   []unit
	asked   asked
	ready   []*vec.Batch
	current *unit
	next    int      // vector (rowset) or row (memtable) of the current unit
	left    int      // rows until MaxRows; -1 = no limit
	dead    []uint32 // deleted rows of the current row group, ascending
	stored  bool     // ready comes from a rowset
	reused  reused
	adding  *adding // rows are added up where that is possible; or nil
	late    *late
	first   *firstRows
	made    int // orders
}

// unit is a row group or a memtable.
type unit struct {
	mem   *memtable.View
	w     *rowsetView
	group int
	order *rowset.Order // finds the rows that are wanted, by by; or nil
	by    *sought.Values
	// walk: the first rows are read in their order. It wantsOrder when there is none. nearest is the code of the first of them.
	walk, wantsOrder bool
	nearest          uint64
	keys             *keyWalk // how far a walk in the order of the primary key has come; or nil
}

// Scan returns an iterator over the columns cols, in that order. No columns at all is fine: batches then only count rows.
func (s *Snapshot) Scan(cols []types.ColumnID, opt ScanOptions) *Iter {
	it := &Iter{s: s, cols: cols, opt: opt, left: -1}
	if opt.MaxRows > 0 {
		it.left = opt.MaxRows
	}
	it.opt.Reuse = opt.Reuse && !opt.Places
	it.prune = sought.ValuesOf(&s.schema, opt.Prune)
	it.late, it.first = it.newLate(opt.Filter), it.newFirst(opt.First)
	it.narrow = sought.KeysOf(&s.schema, s.t.key, opt.Prune)
	rows := make([]int, max(opt.Shards, 1)) // of the shards so far; the next unit goes where they are fewest, as loads leave uneven ones
	mine := func(n int) bool {
		least := slices.Index(rows, slices.Min(rows))
		rows[least] += n
		return opt.Shards <= 1 || least == opt.Shard
	}
	near := int64(0) // about how many rows are wanted, by the primary key alone
	for i := range s.rowsets {
		w := &s.rowsets[i]
		for g := range w.r.groups {
			n := it.estimate(&w.r.groups[g])
			if near += n; n > 0 && mine(int(w.r.groups[g].Rows)) {
				it.addGroup(unit{w: w, group: g}, n)
			}
		}
	}
	it.few = it.narrow != nil && near <= fewRows
	for i := range s.mems {
		if mine(s.mems[i].Rows()) {
			it.units = append(it.units, unit{mem: &s.mems[i]})
			it.wanted += it.toReadOf(&s.mems[i])
		}
	}
	if it.first != nil {
		it.nearFirst()
	}
	return it
}

// addGroup adds a row group of which n rows are wanted, as far as is known, unless an order knows that none is.
func (it *Iter) addGroup(u unit, n int64) {
	read := n // unless the first rows are read in their order
	if m, known := it.byOrder(&u); known && m <= n {
		if n = m; u.order != nil {
			read = m
		}
	} else {
		u.order = nil
	}
	if n == 0 {
		return
	}
	if f := it.first; f != nil && f.helps(&u, read) {
		u.walk = true
		if f.sorted { // the first row groups have enough, as a rule
			mine := int64(f.share())
			n = min(n, mine, max(2*mine-f.walked, 0))
			f.walked += n
		} else if o := it.orderOf(&u, f.by); o != nil {
			n, u.nearest = min(n, int64(f.N)), f.nearest(o)
		}
	}
	it.units = append(it.units, u)
	it.wanted += n
}

// toReadOf is about how many rows of a memtable are wanted.
func (it *Iter) toReadOf(w *memtable.View) int64 {
	if it.narrow != nil { // they are told by their keys
		return 0
	}
	if it.first != nil {
		if at := w.Schema.ColumnIndex(it.first.Column); at >= 0 && it.walksMemory(w) {
			if o := w.Order(it.s.t.s.memOrders, at, it.first.by.OrderBy); o != nil {
				return int64(it.first.share() + w.Rows() - min(o.Len(), w.Rows()))
			}
		}
	}
	if by := it.memWay(w); by.p != nil {
		return int64(by.n)
	}
	return int64(w.Rows())
}

// estimate is about how many rows of a row group are wanted; 0 = it need not be opened.
func (it *Iter) estimate(g *groupEntry) int64 {
	if it.narrow == nil {
		return int64(g.Rows)
	}
	return it.narrow.Estimate(g.MinKey, g.MaxKey, g.Rows)
}

// ToRead returns about how many rows there are to read, by what is known of their keys.
func (it *Iter) ToRead() int64 { return it.wanted }

// Next returns the next batch, of at least one row, or nil at the end. After damage was found the replica is bad and the
// scan has failed as a whole: what it returned before must not be used.
func (it *Iter) Next(ctx context.Context) (*vec.Batch, error) {
	for it.left != 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		it.takeBack()
		if len(it.ready) > 0 {
			b := it.ready[0]
			it.ready = it.ready[1:]
			it.lend(b)
			if it.opt.Places && len(b.Cols) == len(it.cols) {
				b = withPlaces(b, nowhere(b.N))
			}
			return it.limit(b), nil
		}
		if it.current == nil {
			if len(it.units) == 0 {
				return nil, nil
			}
			it.begin()
		}
		err := it.fill()
		if err == nil {
			err = it.look(0)
		}
		if errors.Is(err, ErrMany) {
			return nil, err
		}
		if err != nil {
			return nil, fmt.Errorf("scan tablet %d at version %d: %w", it.s.t.id, it.s.version, it.s.t.checkBad(err))
		}
	}
	return nil, nil
}

// begin goes on to the next unit.
func (it *Iter) begin() {
	it.readAhead()
	it.current, it.next = &it.units[0], 0
	it.units = it.units[1:]
	it.asked.heads--
	it.asked.columns--
	if it.current.w != nil && !it.partly() {
		it.lookUpDead()
	}
}

// partly reports whether some rows of the current row group are read: of which of them are deleted each part is asked.
func (it *Iter) partly() bool { return it.few || it.current.order != nil || it.current.walk }

func (it *Iter) lookUpDead() {
	w, g := it.current.w, it.current.group
	it.dead = w.deletes.DeadIn(it.dead[:0], it.s.version, w.r.starts[g], w.r.groups[g].Rows)
}

// lend remembers what the caller gets, if it comes back. Batches of memtables share memory with them and never do.
func (it *Iter) lend(b *vec.Batch) {
	if it.opt.Reuse && it.stored {
		it.reused.lend(b)
	}
}

func (it *Iter) takeBack() { it.reused.takeBack(len(it.cols)) }

func (it *Iter) limit(b *vec.Batch) *vec.Batch {
	if it.left < 0 {
		return b
	}
	if n := b.Rows(); n <= it.left {
		it.left -= n
		return b
	}
	if b.Sel == nil {
		b.Sel = allRows(b.N)
	}
	b.Sel = b.Sel[:it.left]
	it.left = 0
	return b
}

// fill decodes some of the current unit into ready.
func (it *Iter) fill() error {
	if it.stored = it.current.mem == nil; !it.stored {
		it.fillFromMemory(it.current.mem)
		return nil
	}
	if it.current.walk {
		done, err := it.walkGroup(it.current)
		switch {
		case done || err != nil:
			it.current = nil
			return err
		case it.first.sorted: // it goes on in its turn
			return nil
		}
		if it.current.walk = false; !it.partly() {
			it.lookUpDead()
		}
		it.current.wantsOrder = true
	}
	if it.current.order != nil && it.fromOrder(it.current) {
		it.current = nil
		return nil
	}
	w, g := it.current.w, it.current.group
	ended := false
	read := func(group *rowset.Group) error {
		if it.few {
			group.CacheBlocks(it.s.t.s.blocks)
		}
		ready, next, err := it.decode(w, g, group)
		if err == nil {
			if !it.partly() {
				it.looked += int64(next-it.next) * vec.MaxRows
			}
			it.ready, it.next = ready, next
			ended = next >= group.Vectors()
			it.adding.keep()
		}
		return err
	}
	var err error
	if it.few && w.r.groups[g].Bytes < readAheadMin {
		err = it.s.t.s.viewGroup(w.r.group(g), read) // all of it in one piece, if it is cold
	} else {
		err = it.s.t.s.viewRows(w.r, g, read)
	}
	if ended {
		it.current = nil
	}
	return err
}

func (it *Iter) fillFromMemory(w *memtable.View) {
	if it.next == 0 {
		if it.first != nil && it.walksMemory(w) && it.walkMemory(w) {
			it.current = nil
			return
		}
		if rows, ok := it.inMemory(w); ok {
			it.current = nil
			it.fillPickedMemory(w, rows)
			return
		}
	}
	from, to := it.next, min(it.next+vec.MaxRows, w.Rows())
	it.looked += int64(to - from)
	if it.next = to; to == w.Rows() {
		it.current = nil
	}
	var sel []int32
	if it.narrow != nil {
		sel = it.visibleAmong(nil, w, from, to)
	} else {
		for row := from; row < to; row++ {
			if w.Visible(row, it.s.version) {
				sel = append(sel, int32(row-from))
			}
		}
	}
	if len(sel) == 0 {
		return
	}
	if first, last := int(sel[0]), int(sel[len(sel)-1]); last-first+1 < to-from {
		for i := range sel {
			sel[i] -= int32(first)
		}
		from, to = from+first, from+last+1
	}
	if len(sel)*copiedOf < to-from { // where rows change often most of them have ended
		column := func(at int) *vec.Vector { return w.Picked(at, from, sel) }
		it.ready = append(it.ready, it.s.memoryColumns(w, it.cols, len(sel), column))
		return
	}
	b := it.s.memoryColumns(w, it.cols, to-from, func(at int) *vec.Vector { return w.Column(at, from, to) })
	if len(sel) < b.N {
		b.Sel = sel
	}
	it.ready = append(it.ready, b)
}

// copiedOf is of how many rows in memory fewer than one is wanted when those are copied.
const copiedOf = 4

// memoryColumns returns n rows of a memtable, whose columns column returns by their places in it, as columns of the snapshot's schema.
func (s *Snapshot) memoryColumns(w *memtable.View, cols []types.ColumnID, n int, column func(at int) *vec.Vector) *vec.Batch {
	b := &vec.Batch{N: n}
	for _, id := range cols {
		at := w.Schema.ColumnIndex(id)
		if at < 0 {
			b.Cols = append(b.Cols, s.fillColumn(id, b.N))
			continue
		}
		v := column(at)
		v.Type = s.columnType(id)
		b.Cols = append(b.Cols, v)
	}
	return b
}

// decode reads the next vectors of a row group. It changes nothing of the iterator: it may be called again.
func (it *Iter) decode(w *rowsetView, g int, group *rowset.Group) (ready []*vec.Batch, next int, err error) {
	if group.Rows() != int(w.r.groups[g].Rows) {
		return nil, 0, fmt.Errorf("row group has %d rows, not %d: %w", group.Rows(), w.r.groups[g].Rows, ErrCorrupt)
	}
	if it.next == 0 {
		if err := it.orderedFirst(group); err != nil {
			return nil, 0, err
		}
	}
	it.adding.begin()
	if it.current.order != nil {
		ready, err = it.decodePicked(it.current, group)
		return ready, group.Vectors(), err
	}
	wanted, err := it.wantedVectors(group)
	if err != nil {
		return nil, 0, err
	}
	for next = it.next; next < group.Vectors() && len(ready) < vectorsPerRead; next++ {
		if !wanted[next] {
			continue
		}
		parts := []sought.RowRange{{To: group.VectorRows(next)}}
		if it.few {
			if parts, err = it.narrow.Rows(group, next); err != nil {
				return nil, 0, err
			}
		}
		for _, part := range parts {
			b, err := it.decodePart(w, g, group, next, part)
			if err != nil {
				return nil, 0, err
			}
			if b != nil {
				ready = append(ready, b)
			}
		}
	}
	return ready, next, nil
}

// decodePart reads some rows of vector i; nil = none of them is wanted, or they were added.
func (it *Iter) decodePart(w *rowsetView, g int, group *rowset.Group, i int, part sought.RowRange) (*vec.Batch, error) {
	sel, some, err := it.visibleRows(w, g, group, i, part.From, part.To)
	if err != nil || !some {
		return nil, err
	}
	it.s.t.s.counters.vectorsRead.Add(1)
	whole := part.To-part.From == group.VectorRows(i)
	if sel == nil && it.adding != nil && whole {
		if added, err := it.addVector(group, i); err != nil || added {
			return nil, err
		}
	}
	if whole && it.late.wanted() { // of a part of a vector most rows pass, and what holds them stays decoded
		return it.decodeLate(group, i, part.From, part.To, sel)
	}
	cols, err := it.s.decodeColumns(group, i, part.From, part.To, it.cols, it.reused.vector)
	if err != nil {
		return nil, err
	}
	return &vec.Batch{Cols: cols, N: part.To - part.From, Sel: sel}, nil
}

// wantedVectors says which vectors of a row group the predicates leave.
func (it *Iter) wantedVectors(group *rowset.Group) ([]bool, error) {
	out := make([]bool, group.Vectors())
	for i := range out {
		out[i] = true
	}
	for k := range it.prune {
		p := &it.prune[k]
		c := group.Column(p.Column)
		if c < 0 {
			if !p.MayHold(it.s.fillColumn(p.Column, 1), 0) {
				clear(out) // rows from before the column all have the same value in it
			}
			continue
		}
		zoned := int64(0)
		for i := range out {
			if out[i] && !p.MayMatch(group.Zone(c, i)) {
				out[i] = false
				zoned++
			}
		}
		it.s.t.s.counters.skippedByZone.Add(zoned)
		if p.Hashes != nil && group.HasFilters(c) {
			filtered, err := group.MayHold(c, p.Hashes, out)
			if err != nil {
				return nil, err
			}
			it.s.t.s.counters.skippedByFilter.Add(int64(filtered))
		}
	}
	return out, nil
}

// visibleRows returns which of the rows [from, to) of vector i the snapshot sees, counted from from: a nil selection means all of them.
func (it *Iter) visibleRows(w *rowsetView, g int, group *rowset.Group, i, from, to int) (sel []int32, some bool, err error) {
	n := to - from
	var versions []int64
	if w.r.groups[g].MaxVersion > it.s.version {
		versions, err = w.r.versionsOf(group, i)
		if err != nil {
			return nil, false, err
		}
		versions = versions[from:to]
	}
	start := w.r.starts[g] + uint32(i*vec.MaxRows+from)
	dead := it.deadOf(w, start, uint32(n))
	if versions == nil && len(dead) == 0 {
		return nil, true, nil
	}
	sel = it.reused.selection(n)
	row := int32(0)
	for k := 0; k <= len(dead); k++ {
		end := int32(n)
		if k < len(dead) {
			end = int32(dead[k] - start)
		}
		if versions == nil {
			sel = append(sel, identity[row:end]...)
			row = end + 1
			continue
		}
		for ; row < end; row++ {
			if types.Version(versions[row]) <= it.s.version {
				sel = append(sel, row)
			}
		}
		row = end + 1
	}
	return sel, len(sel) > 0, nil
}

// deadOf returns which of the rows [start, start+n), of the current row group, are deleted, ascending.
func (it *Iter) deadOf(w *rowsetView, start, n uint32) []uint32 {
	if it.partly() {
		it.dead = w.deletes.DeadIn(it.dead[:0], it.s.version, start, n)
		return it.dead
	}
	from, _ := slices.BinarySearch(it.dead, start)
	to, _ := slices.BinarySearch(it.dead, start+n)
	return it.dead[from:to]
}

// identity is the selection of all rows of a batch.
var identity = allRows(vec.MaxRows)

func allRows(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}
