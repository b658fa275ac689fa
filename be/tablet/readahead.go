package tablet

import (
	"stele/be/tablet/kv"
	"stele/meta/types"
	"stele/sql/rowset"
)

const (
	// readAheadMin is the size from which only the wanted columns of a row group are read ahead: smaller ones are read at once.
	readAheadMin = 256 << 10
	// groupsAhead is how many row groups a scan asks for before it decodes them: while one is decoded, in a millisecond, the disk has
	// others to read. For their directories, which say where the columns are, it asks as much earlier.
	groupsAhead = 4
)

// asked is of how many of the units to come a scan has asked the disk for their directories, and for their columns.
type asked struct{ heads, columns int }

// readAhead asks the kernel for the wanted columns of the row group that comes next, and of those behind it while it is decoded: a scan
// of a cold tablet then runs at the speed of the disk and not at that of page faults (TPC-H Q1: 70 ms where it took 200 to 260, 50 when hot).
// Of a scan that may end soon it asks for no more than one. What goes wrong shows when the row group is read.
func (it *Iter) readAhead() {
	if it.few { // a look-up of each row group would cost more than what it is there for
		it.asked = asked{1, 1}
		return
	}
	columns, heads := 1, 1
	if it.left < 0 {
		columns, heads = 1+groupsAhead, 1+2*groupsAhead
	}
	for ; it.asked.heads < min(heads, len(it.units)); it.asked.heads++ {
		it.askHead(&it.units[it.asked.heads])
	}
	for ; it.asked.columns < min(columns, len(it.units)); it.asked.columns++ {
		it.askColumns(&it.units[it.asked.columns])
	}
}

// askHead has the directory of a row group read, or all of a small one.
func (it *Iter) askHead(u *unit) {
	if u.w == nil || it.byPlace(u) {
		return
	}
	ge := &u.w.r.groups[u.group]
	bytes := ge.Bytes
	if bytes >= readAheadMin {
		bytes = rowset.HeadBytes(len(it.s.schema.Columns)+1, int(ge.Rows)) // with that of versions; dropped ones do not matter
	}
	it.s.t.s.data.Ahead(groupKey(u.w.r.group(u.group)), bytes)
}

// byPlace reports whether a few rows of a row group are read, whose places are known.
func (it *Iter) byPlace(u *unit) bool {
	return u.order != nil || u.walk && (it.first.sorted || it.orderOf(u, it.first.by) != nil)
}

func (it *Iter) askColumns(u *unit) {
	if u.w == nil || u.w.r.groups[u.group].Bytes < readAheadMin || it.byPlace(u) {
		return
	}
	_ = it.s.t.s.viewRows(u.w.r, u.group, func(group *rowset.Group) error {
		from, to := it.zoned(group)
		needVectors(group, it.cols, from, to)
		return nil
	})
}

// zoned returns the vectors [from, to) outside of which zones leave none.
func (it *Iter) zoned(group *rowset.Group) (from, to int) {
	to = group.Vectors()
	for from < to && !it.zonesMatch(group, from) {
		from++
	}
	for from < to && !it.zonesMatch(group, to-1) {
		to--
	}
	return from, to
}

// zonesMatch reports whether the zones of vector i allow for rows that the predicates leave.
func (it *Iter) zonesMatch(group *rowset.Group, i int) bool {
	for k := range it.prune {
		p := &it.prune[k]
		if c := group.Column(p.Column); c >= 0 && !p.MayMatch(group.Zone(c, i)) {
			return false
		}
	}
	return true
}

// needColumns has columns of an open row group read, as far as it has them. Who reads rows of most vectors asks for it: else each page is
// waited for.
func needColumns(group *rowset.Group, ids []types.ColumnID) {
	needVectors(group, ids, 0, group.Vectors())
}

func needVectors(group *rowset.Group, ids []types.ColumnID, from, to int) {
	for _, id := range ids {
		if c := group.Column(id); c >= 0 {
			vectors, shared := group.ColumnBytes(c, from, to)
			kv.WillNeed(shared)
			kv.WillNeed(vectors)
		}
	}
}
