package tablet

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

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
		i := slices.IndexFunc(it.prune, func(p prune) bool { return p.Column == id && p.By == types.CollationBinary })
		if i < 0 || it.prune[i].null || len(it.prune[i].spans) != 1 || !it.prune[i].spans[0].isPoint() {
			return nil, false
		}
		prefix = append(prefix, it.prune[i].spans[0].loKey...)
	}
	return nil, false
}

// beyond reports whether all rows of a row group come behind the last of the best.
func (f *firstRows) beyond(g *groupEntry) bool {
	if !f.sorted || len(f.best) < f.N {
		return false
	}
	last := append(slices.Clone(f.prefix), f.best[f.N-1].key...)
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

// walkKey reads the first rows of a row group whose rows are in the order; false when the filter does not say which pass, and all should be
// read.
func (it *Iter) walkKey(u *unit) (done bool, err error) {
	if it.first.beyond(&u.w.r.groups[u.group]) {
		return true, nil
	}
	var ready []*vec.Batch
	best, looked := it.first.best, it.looked
	err = it.s.t.s.viewSome(u.w.r.group(u.group), func(group *rowset.Group) (err error) {
		if group.Rows() != int(u.w.r.groups[u.group].Rows) {
			return fmt.Errorf("row group has %d rows, not %d: %w", group.Rows(), u.w.r.groups[u.group].Rows, ErrCorrupt)
		}
		it.first.best, it.looked = slices.Clone(best), looked // it may be called again
		group.CacheBlocks(it.s.t.s.blocks)
		ready, done, err = it.walkVectors(u, group)
		return err
	})
	if err == nil && done {
		it.ready = append(it.ready, ready...)
	}
	return done, err
}

// walkVectors reads vectors from the end that is asked for, until what follows comes behind the last of the best.
func (it *Iter) walkVectors(u *unit, group *rowset.Group) (ready []*vec.Batch, ok bool, err error) {
	wanted, err := it.wantedVectors(group)
	if err != nil {
		return nil, false, err
	}
	step := max(it.first.N, 8)
	for k := range wanted {
		if it.first.Desc {
			k = len(wanted) - 1 - k
		}
		if !wanted[k] {
			continue
		}
		from, to := 0, group.VectorRows(k)
		if it.narrow != nil {
			parts, err := it.narrow.rows(group, k)
			if err != nil {
				return nil, false, err
			}
			if len(parts) == 0 {
				continue
			}
			from, to = parts[0].from, parts[len(parts)-1].to
		}
		for from < to {
			lo, hi := from, min(from+step, to)
			if it.first.Desc {
				lo, hi = max(to-step, from), to
				to = lo
			} else {
				from = hi
			}
			step = min(2*step, vec.MaxRows)
			b, err := it.walkPart(u, group, k, lo, hi)
			if err != nil {
				return nil, false, err
			}
			n, ok := it.first.passing(b)
			if !ok {
				return nil, false, nil
			}
			if n > 0 {
				ready = append(ready, b)
			}
			if end, err := it.ends(group, k, lo, hi); end || err != nil {
				return ready, true, err
			}
		}
	}
	return ready, true, nil
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
	full := len(f.best) == f.N
	last := slices.Clone(f.prefix)
	if full {
		last = append(last, f.best[f.N-1].key...)
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
