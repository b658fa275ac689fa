package stmt

import (
	"math"

	"stele/fe/cluster"
	"stele/meta/catalog"
	"stele/meta/types"
)

// space is what disks have together.
type space struct {
	data, avail, total int64
	fullest            string // use of the fullest disk
}

// spaceOf adds up disks.
func spaceOf(disks []cluster.Disk) space {
	s := space{fullest: percent(0, 0)}
	worst := -1.0
	for _, d := range disks {
		s.data, s.avail, s.total = s.data+d.DataUsed, s.avail+d.Available, s.total+d.Total
		if d.Total <= 0 {
			continue
		}
		if used := float64(d.Total-d.Available) / float64(d.Total); used > worst {
			worst, s.fullest = used, percent(d.Total-d.Available, d.Total)
		}
	}
	return s
}

// size is what a set of tablets takes.
type size struct {
	bytes    int64 // of all replicas
	rows     int64 // each tablet once
	replicas int
	tablets  int
}

// add counts one tablet. Rows are those of the fullest report, or the catalog's estimate where nobody has reported.
func (s *size) add(e *Env, tab *catalog.Tablet) {
	s.tablets++
	rows := int64(math.MinInt64)
	for i := range tab.Replicas {
		s.replicas++
		if r, ok := e.reported(tab.Replicas[i].BE, tab.ID); ok {
			s.bytes += r.Bytes
			rows = max(rows, r.Rows)
		}
	}
	if rows == math.MinInt64 {
		rows = tab.Rows
	}
	s.rows += max(rows, 0)
}

// oneCopy is the size of the tablet as users count it: one copy.
func oneCopy(e *Env, tab *catalog.Tablet) int64 {
	var most int64
	for i := range tab.Replicas {
		if r, ok := e.reported(tab.Replicas[i].BE, tab.ID); ok {
			most = max(most, r.Bytes)
		}
	}
	return most
}

// tableSize adds up a table.
func tableSize(e *Env, t *catalog.Table) size {
	var s size
	for tab := range e.Catalog.TabletsOfTable(t) {
		s.add(e, tab)
	}
	return s
}

// wholeSize is the size of a table with its unique keys. The rows are those of the table.
func wholeSize(e *Env, t *catalog.Table) size {
	s := tableSize(e, t)
	for index := range e.Catalog.KeyTables(t) {
		k := tableSize(e, index)
		s.bytes, s.replicas, s.tablets = s.bytes+k.bytes, s.replicas+k.replicas, s.tablets+k.tablets
	}
	return s
}

// partSize adds up a partition and returns the highest version in it.
func partSize(e *Env, p *catalog.Partition) (size, types.Version) {
	var s size
	v := types.InitialVersion
	for tab := range e.Catalog.TabletsOf(p) {
		s.add(e, tab)
		v = max(v, tab.Version)
	}
	return s, v
}
