package tablet

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"stele/be/tablet/sought"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// Rows of a row group are in the order of the primary key: who wants the first ones by its first column, or by one behind columns of which
// the predicates leave one value, needs no order. Row groups come from the end that is asked for, and the first that lies beyond the best so
// far ends them; within one, vectors are read from that end.

// sortedBy reports whether rows that the predicates leave are in the order of f, and what the keys of all of them begin with.
func (it *Iter) sortedBy(f *First) (prefix []byte, ok bool) {
	if f.By != types.CollationBinary {
		return nil, false
	}
	for _, id := range it.s.t.key {
		if id == f.Column {
			return prefix, true
		}
		v := sought.Find(it.prune, id, types.CollationBinary)
		if v == nil {
			return nil, false
		}
		key, one := v.Point()
		if !one {
			return nil, false
		}
		prefix = append(prefix, key...)
	}
	return nil, false
}

// beyond reports whether all rows of a row group come behind the last of the best.
func (f *firstRows) beyond(g *groupEntry) bool {
	end := f.best.last()
	if !f.sorted || end == nil {
		return false
	}
	last := append(slices.Clone(f.prefix), end.key...)
	if f.Desc {
		return bytes.Compare(g.MaxKey, last) < 0
	}
	return bytes.Compare(g.MinKey, last) > 0 && !bytes.HasPrefix(g.MinKey, last)
}

// nearFirst has units come in the order in which they hold the first rows, as far as that is known.
func (it *Iter) nearFirst() {
	f := it.first
	slices.SortStableFunc(it.units, func(a, b unit) int {
		switch {
		case a.mem != nil || b.mem != nil: // what is in memory is new: as a rule it comes last
			return cmp.Compare(f.place(a.mem != nil), f.place(b.mem != nil))
		case !f.sorted && f.Desc:
			return cmp.Compare(b.nearest, a.nearest)
		case !f.sorted:
			return cmp.Compare(a.nearest, b.nearest)
		case f.Desc:
			return bytes.Compare(b.w.r.groups[b.group].MaxKey, a.w.r.groups[a.group].MaxKey)
		}
		return bytes.Compare(a.w.r.groups[a.group].MinKey, b.w.r.groups[b.group].MinKey)
	})
}

func (f *firstRows) place(inMemory bool) int {
	if inMemory == f.Desc {
		return 0
	}
	return 1
}

// walkKey reads the first rows of a row group whose rows are in the order; done says that no other is to be read. Before that it ends when
// other scans are to go on.
func (it *Iter) walkKey(u *unit) (done bool, err error) {
	if it.first.beyond(&u.w.r.groups[u.group]) {
		return true, nil
	}
	if u.keys == nil {
		u.keys = it.newKeyWalk(u)
	}
	from, looked := *u.keys, it.looked
	it.first.best.mark()
	err = it.s.t.s.viewRows(u.w.r, u.group, func(group *rowset.Group) (err error) {
		if group.Rows() != int(u.w.r.groups[u.group].Rows) {
			return fmt.Errorf("row group has %d rows, not %d: %w", group.Rows(), u.w.r.groups[u.group].Rows, ErrCorrupt)
		}
		*u.keys, it.looked = from, looked // it may be called again
		it.first.best.goBack()
		group.CacheBlocks(it.s.t.s.blocks)
		u.keys.group = group
		done, err = u.keys.on()
		return err
	})
	if err != nil {
		return false, err
	}
	it.ready = append(it.ready, u.keys.ready...)
	u.keys.ready, u.keys.group = nil, nil
	return done, nil
}

const (
	// leastShared is how many first rows of several tablets are read in turn: of fewer it costs more to come back.
	leastShared = 64
	// sharePart is of its share what a scan reads beyond it, as no tablet has just that, and what it reads then at once.
	sharePart = 8
)

// share is about how many of the first rows a scan has: of several tablets, as rows are spread, each has as many of them as any other.
func (f *firstRows) share() int {
	n := f.N
	if f.takesTurns() {
		n = (n + f.best.scans - 1) / f.best.scans
		n += n / sharePart
	}
	return n
}

// takesTurns reports whether other scans go on when some rows are read.
func (f *firstRows) takesTurns() bool { return f.sorted && f.best.scans > 1 && f.N >= leastShared }

// keyWalk reads the vectors of a row group, from the end that is asked for until what follows comes behind the last of the best, in parts that
// grow: the first rows are few as a rule.
type keyWalk struct {
	it     *Iter
	u      *unit
	group  *rowset.Group
	wanted []bool          // by vector; nil = nothing was read yet
	next   int             // so many vectors are done with, from the end that is asked for
	within bool            // one of them is under way
	rows   sought.RowRange // what is left of it
	step   int             // rows of the next part
	turned bool            // the share is read
	ready  []*vec.Batch
}

// newKeyWalk begins with a share, or, where enough rows have passed already, with less: a row group of rows that were updated has few of the first.
func (it *Iter) newKeyWalk(u *unit) *keyWalk {
	w := &keyWalk{it: it, u: u, step: it.first.share()}
	if w.turned = it.first.best.last() != nil; w.turned {
		w.step /= sharePart
	}
	w.step = max(w.step, 8)
	return w
}

// on reads until the end of what is wanted, or until it is the turn of others.
func (w *keyWalk) on() (done bool, err error) {
	if w.wanted == nil {
		if w.wanted, err = w.it.wantedVectors(w.group); err != nil {
			return false, err
		}
	}
	for w.next < len(w.wanted) {
		k := w.next
		if w.it.first.Desc {
			k = len(w.wanted) - 1 - k
		}
		if w.wanted[k] {
			if stop, end, err := w.vector(k); stop || err != nil {
				return end, err
			}
		}
		w.next, w.within = w.next+1, false
	}
	return true, nil
}

// vector reads vector k; stop says that no other comes now, end that none is to be read at all.
func (w *keyWalk) vector(k int) (stop, end bool, err error) {
	if !w.within {
		if w.rows, err = w.rowsOf(k); err != nil {
			return true, false, err
		}
		w.within = true
	}
	for w.rows.From < w.rows.To {
		part := w.take()
		b, err := w.it.walkPart(w.u, w.group, k, part.From, part.To)
		if err != nil {
			return true, false, err
		}
		// Where the filter does not say which rows pass, all of them are returned, and none counts.
		if n, ok := w.it.first.passing(b); n > 0 || !ok {
			w.ready = append(w.ready, b)
		}
		if end, err := w.it.ends(w.group, k, part.From, part.To); end || err != nil {
			return true, end, err
		}
		if w.it.first.takesTurns() {
			return true, false, nil
		}
	}
	return false, false, nil
}

// rowsOf returns between which rows of vector k those lie that are wanted.
func (w *keyWalk) rowsOf(k int) (sought.RowRange, error) {
	if w.it.narrow == nil {
		return sought.RowRange{To: w.group.VectorRows(k)}, nil
	}
	parts, err := w.it.narrow.Rows(w.group, k)
	if err != nil || len(parts) == 0 {
		return sought.RowRange{}, err
	}
	return sought.RowRange{From: parts[0].From, To: parts[len(parts)-1].To}, nil
}

// take takes the next part, from the end that is asked for.
func (w *keyWalk) take() sought.RowRange {
	part := sought.RowRange{From: w.rows.From, To: min(w.rows.From+w.step, w.rows.To)}
	if w.it.first.Desc {
		part = sought.RowRange{From: max(w.rows.To-w.step, w.rows.From), To: w.rows.To}
		w.rows.To = part.From
	} else {
		w.rows.From = part.To
	}
	if w.it.first.takesTurns() && !w.turned {
		w.turned, w.step = true, max(w.step/sharePart, 8)
	} else {
		w.step = min(2*w.step, vec.MaxRows)
	}
	return part
}

// walkPart reads the rows [lo, hi) of vector i that the snapshot sees; nil when it sees none, or none passes.
func (it *Iter) walkPart(u *unit, group *rowset.Group, i, lo, hi int) (*vec.Batch, error) {
	if err := it.look(hi - lo); err != nil {
		return nil, err
	}
	sel, some, err := it.visibleRows(u.w, u.group, group, i, lo, hi)
	if err != nil || !some {
		return nil, err
	}
	c := &it.s.t.s.counters
	c.vectorsRead.Add(1)
	if hi-lo == group.VectorRows(i) && it.late.wanted() {
		return it.decodeLate(group, i, lo, hi, sel)
	}
	cols, err := it.s.decodeColumns(group, i, lo, hi, it.cols, func(int) *vec.Vector { return &vec.Vector{} })
	if err != nil {
		return nil, err
	}
	b := &vec.Batch{Cols: cols, N: hi - lo, Sel: sel}
	c.rowsPicked.Add(int64(b.Rows()))
	return b, nil
}

// ends reports whether the rows behind [lo, hi) of vector i, from the end that is asked for, come behind the last of the best, or behind
// all that the predicates leave. It is keys that say so: a row with other values in the columns before says nothing by its value.
func (it *Iter) ends(group *rowset.Group, i, lo, hi int) (bool, error) {
	f := it.first
	row := hi - 1
	if f.Desc {
		row = lo
	}
	key, err := it.keyUpTo(f.Column, group, i*vec.MaxRows+row)
	if err != nil {
		return false, err
	}
	end := f.best.last()
	full := end != nil
	last := slices.Clone(f.prefix)
	if full {
		last = append(last, end.key...)
	}
	order := bytes.Compare(key, last)
	switch {
	case f.Desc:
		order = -order
	case !full && bytes.HasPrefix(key, last):
		return false, nil
	}
	return order > 0 || full && order == 0 && !f.Ties, nil
}

// keyUpTo returns what the primary key of a row of a row group begins with, up to a column of it.
func (it *Iter) keyUpTo(id types.ColumnID, group *rowset.Group, row int) (key []byte, err error) {
	for _, k := range it.s.t.key[:slices.Index(it.s.t.key, id)+1] {
		c := group.Column(k)
		if c < 0 {
			return nil, fmt.Errorf("row group has no key column %d: %w", k, ErrCorrupt)
		}
		v := rowset.NewVector(it.s.columnType(k), 1)
		if err := group.AppendRow(v, c, row); err != nil {
			return nil, err
		}
		key = vec.AppendKey(key, v, 0)
	}
	return key, nil
}

// look counts rows that are looked at, up to as many as the scan may.
func (it *Iter) look(n int) error {
	if it.looked += int64(n); it.opt.Most > 0 && it.looked > it.opt.Most {
		return ErrMany
	}
	return nil
}
