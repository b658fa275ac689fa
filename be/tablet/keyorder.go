package tablet

import (
	"slices"

	"stele/be/tablet/sought"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

const (
	// pickPart is of how many rows of a row group, or memtable, fewer than one is wanted when those are read one by one.
	pickPart = 16
	// leastOrdered is from how many rows on a row group has orders: a vector of texts takes as long to decode as all the rest of a small
	// statement.
	leastOrdered = 256
	// ordersMade is how many orders a scan makes: it waits for each of them some milliseconds.
	ordersMade = 4
)

// byOrder asks the orders of a row group for the rows that are wanted, and has the unit read them if they are few. n is how many they
// are, at most; known when there is an order.
func (it *Iter) byOrder(u *unit) (n int64, known bool) {
	rows := int64(u.w.r.groups[u.group].Rows)
	var order *rowset.Order
	var by *sought.Values
	for i := range it.prune {
		p := &it.prune[i]
		o := it.orderOf(u, p)
		if o == nil {
			continue
		}
		if c := int64(p.Count(o)); !known || c < n {
			n, known, order, by = c, true, o, p
		}
	}
	if known && n*pickPart <= rows {
		u.order, u.by = order, by
	}
	return n, known
}

// orderOf returns the order of a row group by the column of p, if it has one.
func (it *Iter) orderOf(u *unit, p *sought.Values) *rowset.Order {
	if !p.Keyed {
		return nil
	}
	o := it.s.t.s.orders.Order(u.w.r.group(u.group), p.OrderBy)
	if o == nil || o.Len() != int(u.w.r.groups[u.group].Rows) {
		return nil
	}
	return o
}

// orderedFirst makes orders of the current row group, and goes by them if that helps.
func (it *Iter) orderedFirst(group *rowset.Group) error {
	u := it.current
	if u.order != nil || it.few {
		return nil
	}
	before := it.made
	if err := it.makeOrders(u, group); err != nil {
		return err
	}
	if it.made > before {
		it.byOrder(u)
	}
	return nil
}

// makeOrders makes orders of a row group that is open, for predicates that have asked for them before and that leave few of its rows.
func (it *Iter) makeOrders(u *unit, group *rowset.Group) error {
	for i := range it.prune {
		p := &it.prune[i]
		if c := group.Column(p.Column); c >= 0 && p.Keyed && p.Narrows(zonesOf(group, c)) {
			if err := it.makeOrder(u, group, c, p); err != nil {
				return err
			}
		}
	}
	if !u.wantsOrder {
		return nil
	}
	c := group.Column(it.first.Column)
	if c < 0 {
		return nil
	}
	return it.makeOrder(u, group, c, it.first.by)
}

// makeOrder makes one order, if that was asked for before.
func (it *Iter) makeOrder(u *unit, group *rowset.Group, c int, p *sought.Values) error {
	orders := it.s.t.s.orders
	if it.made >= ordersMade || group.Rows() < leastOrdered || it.orderOf(u, p) != nil || !orders.WantsOrder(u.w.r.group(u.group), p.OrderBy) {
		return nil
	}
	it.made++
	it.s.t.s.counters.ordersMade.Add(1)
	_, err := orders.MakeOrder(group, c, p.OrderBy)
	return err
}

// zonesOf returns the range of the prefixes of a column; from above to when it has only NULLs.
func zonesOf(group *rowset.Group, c int) (from, to uint64) {
	from = ^uint64(0)
	for i := range group.Vectors() {
		if z := group.Zone(c, i); z.Min <= z.Max {
			from, to = min(from, z.Min), max(to, z.Max)
		}
	}
	return from, to
}

// decodePicked reads the rows of a row group that an order has found, a batch for each vec.MaxRows.
func (it *Iter) decodePicked(u *unit, group *rowset.Group) (ready []*vec.Batch, err error) {
	found := u.by.Rows(nil, u.order)
	for len(found) > 0 {
		n := min(len(found), vec.MaxRows)
		b, err := it.pick(u, group, found[:n])
		if err != nil {
			return nil, err
		}
		if b != nil {
			ready = append(ready, b)
		}
		found = found[n:]
	}
	return ready, nil
}

// fromOrder makes batches of the rows of the current unit out of its order, which has their values: that of integers, where no other
// column is wanted. False = the row group is needed.
func (it *Iter) fromOrder(u *unit) bool {
	if it.opt.Places || len(it.cols) != 1 || it.cols[0] != u.by.Column || u.by.Type.Phys() != types.PhysInt64 || u.by.Null || u.w.r.groups[u.group].MaxVersion > it.s.version {
		return false
	}
	for from, to := range u.by.Entries(u.order) {
		for ; from < to; from += vec.MaxRows {
			end := min(from+vec.MaxRows, to)
			v := rowset.NewVector(u.by.Type, end-from)
			u.order.Ints(v, from, end)
			b := &vec.Batch{Cols: []*vec.Vector{v}, N: end - from, Sel: make([]int32, 0, end-from)}
			rows := u.order.All()[from:end]
			ended := it.endedAmong(u, slices.Min(rows), slices.Max(rows), len(rows))
			for k, row := range rows {
				if !ended(row) {
					b.Sel = append(b.Sel, int32(k))
				}
			}
			if len(b.Sel) > 0 {
				it.s.t.s.counters.rowsPicked.Add(int64(len(b.Sel)))
				it.ready = append(it.ready, b)
			}
		}
	}
	return true
}

// pick reads those of some rows of a row group, in ascending order, that the snapshot sees; nil when it sees none.
func (it *Iter) pick(u *unit, group *rowset.Group, found []uint32) (*vec.Batch, error) {
	rows, err := it.visiblePicks(u, group, found)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	c := &it.s.t.s.counters
	c.rowsPicked.Add(int64(len(rows)))
	c.vectorsRead.Add(vectorsAround(rows))
	group.CacheBlocks(it.s.t.s.blocks)
	cols, err := it.s.pickColumns(group, rows, it.cols)
	if err != nil {
		return nil, err
	}
	b := &vec.Batch{Cols: cols, N: len(rows)}
	if it.opt.Places {
		b = withPlaces(b, it.s.placesOf(u.w.r, u.w.r.starts[u.group], rows))
	}
	return b, nil
}

// vectorsAround counts the vectors that rows, in ascending order, lie in.
func vectorsAround(rows []int) (n int64) {
	last := -1
	for _, row := range rows {
		if row/vec.MaxRows != last {
			last = row / vec.MaxRows
			n++
		}
	}
	return n
}

// endedAlone is up to how many rows the log of a delete vector is walked for each of them; of more it is walked once for all.
const endedAlone = 32

// endedAmong returns what tells of n rows of a row group, from the first to the last, whether they have ended.
func (it *Iter) endedAmong(u *unit, first, last uint32, n int) func(row uint32) bool {
	start := u.w.r.starts[u.group]
	if n <= endedAlone {
		return func(row uint32) bool { return u.w.deletes.Has(start+row, it.s.version) }
	}
	dead := u.w.deletes.DeadIn(nil, it.s.version, start+first, last-first+1)
	return func(row uint32) bool {
		_, ended := slices.BinarySearch(dead, start+row)
		return ended
	}
}

// visiblePicks returns which of some rows of a row group, in ascending order, the snapshot sees.
func (it *Iter) visiblePicks(u *unit, group *rowset.Group, found []uint32) ([]int, error) {
	w, g := u.w, u.group
	rows := make([]int, 0, len(found))
	vector, versions := -1, []int64(nil)
	ended := it.endedAmong(u, found[0], found[len(found)-1], len(found))
	for _, row := range found {
		if ended(row) {
			continue
		}
		if w.r.groups[g].MaxVersion > it.s.version {
			if i := int(row) / vec.MaxRows; i != vector {
				var err error
				if versions, err = w.r.versionsOf(group, i); err != nil {
					return nil, err
				}
				vector = i
			}
			if types.Version(versions[row%vec.MaxRows]) > it.s.version {
				continue
			}
		}
		rows = append(rows, int(row))
	}
	return rows, nil
}
