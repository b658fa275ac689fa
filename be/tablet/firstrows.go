package tablet

import (
	"slices"

	"stele/be/tablet/memtable"
	"stele/be/tablet/sought"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// First says that of the rows that pass the filter only the first N in the order of a column are wanted, NULLs before all others, or the
// last N with Desc. Ties: also those that have the value of the last of them. Rows that nobody needs may be returned all the same.
type First struct {
	Column types.ColumnID
	By     types.Collation // of its texts, as of a Predicate
	Desc   bool
	N      int
	Ties   bool
	// Best is of several scans of which only the first rows of all together are wanted. They are used by one goroutine; nil = the scan is alone.
	Best *Best
}

const (
	// mostFirst is up to how many rows a scan goes by the order.
	mostFirst = 8192
	// mostStep is how many of them are read at once; rows of one value come together, and more than a vector are not read.
	mostStep = vec.MaxRows / 2
)

// firstRows is how a scan reads no more than it has to: in the order of the column, each row group until enough rows have passed, and none
// beyond those that others have yielded.
type firstRows struct {
	First
	by   *sought.Values
	at   int // of the column among those of the scan
	keep func(*vec.Batch) ([]int32, error)
	best *Best
	// sorted: row groups are in the order, and the keys of all rows that are wanted begin with prefix.
	sorted bool
	prefix []byte
	walked int64 // about how many rows of row groups are read in it
}

// newFirst prepares the reading of first rows; nil when the column is not one by which rows can be in order.
func (it *Iter) newFirst(f *First) *firstRows {
	if f == nil || f.N <= 0 || f.N > mostFirst {
		return nil
	}
	at := slices.Index(it.cols, f.Column)
	prefix, sorted := it.sortedBy(f)
	if at < 0 || !sorted && !slices.Contains(it.s.schema.Indexed, f.Column) {
		return nil
	}
	out := &firstRows{First: *f, at: at, sorted: sorted, prefix: prefix}
	if it.opt.Filter != nil {
		out.keep = it.opt.Filter.Keep
	}
	by, ok := sought.OrderBy(f.Column, it.s.columnType(f.Column), f.By)
	if !ok {
		return nil
	}
	all := sought.All(by)
	if v := sought.Find(it.prune, f.Column, f.By); v != nil {
		all = *v
		all.Keyed = true
	}
	out.by, out.best = &all, f.Best.of(f, by.Type)
	return out
}

// helps reports whether to read the rows of a unit in the order, rather than the n that are to be read otherwise.
func (f *firstRows) helps(u *unit, n int64) bool {
	rows := int64(u.w.r.groups[u.group].Rows)
	return u.order == nil && (f.sorted || n >= rows) || u.order != nil && f.isBy(u.by) || f.sooner(n, rows)
}

// isBy reports whether a predicate is of the column of the order.
func (f *firstRows) isBy(p *sought.Values) bool { return p.Column == f.Column && p.By == f.By }

// sooner reports whether enough of n rows of so many are found sooner in the order than by reading them all, if one has nothing to do with
// the other.
func (f *firstRows) sooner(n, rows int64) bool { return int64(f.N)*rows < n*n }

// nearest is the code of what the order has first among the wanted rows, so far as values have one; what has none comes first.
func (f *firstRows) nearest(o *rowset.Order) uint64 {
	parts := f.parts(o)
	if len(parts) == 0 || parts[0].nulls || !o.Exact() {
		if f.Desc {
			return ^uint64(0)
		}
		return 0
	}
	if f.Desc {
		return o.Code(parts[0].to - 1)
	}
	return o.Code(parts[0].from)
}

// part is entries [from, to) of an order, or its NULLs.
type part struct {
	from, to int
	nulls    bool
}

// parts returns which entries of an order may be wanted, in turn.
func (f *firstRows) parts(o *rowset.Order) (out []part) {
	from, to, nulls := f.bounds(o)
	last := 0
	for lo, hi := range f.by.Entries(o) {
		lo, hi = max(lo, from, last), min(hi, to)
		if lo < hi {
			out = append(out, part{from: lo, to: hi})
			last = hi
		}
	}
	if f.Desc {
		slices.Reverse(out)
	}
	if n := len(o.Nulls()); n > 0 && nulls && f.by.Null {
		at := 0
		if f.Desc {
			at = len(out)
		}
		out = slices.Insert(out, at, part{to: n, nulls: true})
	}
	return out
}

// entries is how many entries parts have.
func entries(parts []part) (n int) {
	for i := range parts {
		n += parts[i].to - parts[i].from
	}
	return n
}

// bounds returns between which entries of an order those lie that come before the last of the best, if there are enough of them.
func (f *firstRows) bounds(o *rowset.Order) (from, to int, nulls bool) {
	to = len(o.All())
	last := f.best.last()
	if last == nil {
		return 0, to, true
	}
	null := f.best.values.IsNull(last.at)
	switch {
	case f.Desc && null:
		return 0, to, true
	case f.Desc:
		from, _ = o.From(rowset.Constant(f.best.values, last.at, 1), nil)
		return from, to, false
	case null:
		return 0, 0, true
	}
	_, to = o.From(nil, rowset.Constant(f.best.values, last.at, 1))
	return 0, to, true
}

// walk reads rows in the order, by read, until enough have passed; not ok when too many were looked at for that, or the filter does not say
// which have, and all should be read.
func (f *firstRows) walk(o *rowset.Order, read func(rows []uint32) (*vec.Batch, error)) (out []*vec.Batch, ok bool, err error) {
	looked, found, step := 0, 0, min(max(f.N, 8), mostStep)
	most := max(o.Len()/pickPart, 2*min(max(f.N, 8), vec.MaxRows)) // more cost what reading all does, which makes orders of what the filter wants
	parts := f.parts(o)
	if f.N > most && entries(parts) > most {
		return nil, false, nil
	}
	for _, p := range parts {
		for p.from < p.to && found < f.N {
			rows := f.take(o, &p, step)
			step = min(2*step, mostStep)
			if looked += len(rows); len(rows) > vec.MaxRows || looked > most {
				return nil, false, nil
			}
			slices.Sort(rows)
			b, err := read(rows)
			if err != nil {
				return nil, false, err
			}
			n, ok := f.passing(b)
			if !ok {
				return nil, false, nil
			}
			if n > 0 {
				out = append(out, b)
				found += n
			}
		}
	}
	return out, true, nil
}

// take takes about n entries from the part, those of one value together where that is asked for.
func (f *firstRows) take(o *rowset.Order, p *part, n int) []uint32 {
	n = min(n, p.to-p.from)
	rows, ties := o.All(), f.Ties || !o.Exact()
	if p.nulls {
		rows, ties = o.Nulls(), false
		if f.Ties {
			n = p.to - p.from
		}
	}
	if f.Desc && !p.nulls {
		for at := p.to - n; ties && at > p.from && o.Tie(at-1); at-- {
			n++
		}
		p.to -= n
		return slices.Clone(rows[p.to : p.to+n])
	}
	for at := p.from + n; ties && at < p.to && o.Tie(at-1); at++ {
		n++
	}
	p.from += n
	return slices.Clone(rows[p.from-n : p.from])
}

// passing leaves those rows of a batch that pass and says how many they are, if that can be told. Their values are remembered.
func (f *firstRows) passing(b *vec.Batch) (n int, ok bool) {
	if b == nil {
		return 0, true
	}
	if f.keep != nil {
		kept, err := f.keep(b)
		if err != nil {
			return 0, false
		}
		if len(kept) < b.Rows() {
			b.Sel = append([]int32{}, kept...)
		}
	}
	f.best.note(rowset.CollationKeys(f.By, b.Cols[f.at]), b)
	return b.Rows(), true
}

// walkGroup reads the first rows of a row group; false when it has no order, or that is no help, or when it is the turn of other scans.
func (it *Iter) walkGroup(u *unit) (bool, error) {
	if it.first.sorted {
		return it.walkKey(u)
	}
	o := it.orderOf(u, it.first.by)
	if o == nil {
		return false, nil
	}
	if len(it.first.parts(o)) == 0 { // all that is wanted comes before
		return true, nil
	}
	var ready []*vec.Batch
	it.first.best.mark()
	done, looked := false, it.looked
	err := it.s.t.s.viewRows(u.w.r, u.group, func(group *rowset.Group) (err error) {
		if group.Rows() != o.Len() {
			return nil
		}
		it.first.best.goBack() // it may be called again
		it.looked = looked
		ready, done, err = it.first.walk(o, func(rows []uint32) (*vec.Batch, error) {
			if err := it.look(len(rows)); err != nil {
				return nil, err
			}
			return it.pick(u, group, rows)
		})
		return err
	})
	if err != nil || !done {
		return false, err
	}
	it.ready = append(it.ready, ready...)
	return true, nil
}

// walksMemory reports whether that helps.
func (it *Iter) walksMemory(w *memtable.View) bool {
	by := it.memWay(w)
	sooner := it.first.sooner(int64(by.n), int64(w.Rows()))
	if by.keys != nil {
		return it.first.Column == it.s.t.key[0] || sooner
	}
	return by.p == nil || it.first.isBy(by.p) || by.order != nil && sooner
}

// walkMemory is walkGroup for a memtable. Rows that are in no order yet are all read.
func (it *Iter) walkMemory(w *memtable.View) bool {
	p := it.first.by
	at := w.Schema.ColumnIndex(p.Column)
	if at < 0 {
		return false
	}
	o := w.Order(it.s.t.s.memOrders, at, p.OrderBy)
	if o == nil || o.Len() > w.Rows() { // a newer snapshot has made it
		return false
	}
	ready, done, err := it.first.walk(o, func(rows []uint32) (*vec.Batch, error) {
		var seen []int32
		for _, row := range rows {
			if w.Visible(int(row), it.s.version) {
				seen = append(seen, int32(row))
			}
		}
		if len(seen) == 0 {
			return nil, nil
		}
		return it.s.memoryColumns(w, it.cols, len(seen), func(at int) *vec.Vector { return w.Picked(at, 0, seen) }), nil
	})
	if err != nil || !done { // what fails here fails where all rows are read
		return false
	}
	it.ready = append(it.ready, ready...)
	it.fillPickedMemory(w, it.lookAt(nil, w, p, o.Len()))
	return true
}
