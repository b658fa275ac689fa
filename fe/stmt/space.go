package stmt

import (
	"math"

	"stele/fe/cluster"
	"stele/meta/catalog"
	"stele/meta/types"
)

// Space is what disks have together.
type Space struct {
	Data, Avail, Total int64
	Fullest            string // use of the fullest disk
}

// SpaceOf adds up disks.
func SpaceOf(disks []cluster.Disk) Space {
	s := Space{Fullest: Percent(0, 0)}
	worst := -1.0
	for _, d := range disks {
		s.Data, s.Avail, s.Total = s.Data+d.DataUsed, s.Avail+d.Available, s.Total+d.Total
		if d.Total <= 0 {
			continue
		}
		if used := float64(d.Total-d.Available) / float64(d.Total); used > worst {
			worst, s.Fullest = used, Percent(d.Total-d.Available, d.Total)
		}
	}
	return s
}

// Size is what a set of tablets takes.
type Size struct {
	Bytes    int64 // of all replicas
	Rows     int64 // each tablet once
	Replicas int
}

// Add counts one tablet. Rows are those of the fullest report, or the catalog's estimate where nobody has reported.
func (s *Size) Add(e *Env, tab *catalog.Tablet) {
	rows := int64(math.MinInt64)
	for i := range tab.Replicas {
		s.Replicas++
		if r, ok := e.Reported(tab.Replicas[i].BE, tab.ID); ok {
			s.Bytes += r.Bytes
			rows = max(rows, r.Rows)
		}
	}
	if rows == math.MinInt64 {
		rows = tab.Rows
	}
	s.Rows += max(rows, 0)
}

// OneCopy is the size of the tablet as users count it: one copy.
func OneCopy(e *Env, tab *catalog.Tablet) int64 {
	var most int64
	for i := range tab.Replicas {
		if r, ok := e.Reported(tab.Replicas[i].BE, tab.ID); ok {
			most = max(most, r.Bytes)
		}
	}
	return most
}

// TableSize adds up a table.
func TableSize(e *Env, t *catalog.Table) Size {
	var s Size
	for tab := range e.Catalog.TabletsOfTable(t) {
		s.Add(e, tab)
	}
	return s
}

// WholeSize is the size of a table with its unique keys. The rows are those of the table.
func WholeSize(e *Env, t *catalog.Table) Size {
	s := TableSize(e, t)
	for index := range e.Catalog.KeyTables(t) {
		k := TableSize(e, index)
		s.Bytes, s.Replicas = s.Bytes+k.Bytes, s.Replicas+k.Replicas
	}
	return s
}

// PartSize adds up a partition and returns the highest version in it.
func PartSize(e *Env, p *catalog.Partition) (Size, types.Version) {
	var s Size
	v := types.InitialVersion
	for tab := range e.Catalog.TabletsOf(p) {
		s.Add(e, tab)
		v = max(v, tab.Version)
	}
	return s, v
}
