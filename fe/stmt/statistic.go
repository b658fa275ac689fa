package stmt

import (
	"slices"
	"strconv"
	"strings"

	"stele/fe/sched"
	"stele/meta/catalog"
	"stele/meta/types"
)

var (
	statisticColumns = cols(`
		DbId                  text  Id of the database, Total in the last row.
		DbName                text  Its name; in the last row how many there are.
		TableNum              int   Tables.
		PartitionNum          int   Partitions.
		IndexNum              int   Indexes: one a partition, and one more for each unique key.
		TabletNum             int   Tablets, those of unique keys included.
		ReplicaNum            int   Replicas.
		UnhealthyTabletNum    int   Tablets that need repair.
		InconsistentTabletNum int   Tablets whose replicas differ at the same version, or one of which is damaged.
	`)
	unhealthyColumns = cols(`
		UnhealthyTablets    text  Ids of tablets that need repair.
		InconsistentTablets text  Ids of tablets whose replicas differ, or one of which is damaged.
	`)
)

// judge tells of a tablet whether it lacks something.
type judge func(tab *catalog.Tablet, want int) bool

// judgeOf returns the judge of a statement. A dead BE counts as dead at once: the patience that the control loop has
// before it copies data would hide a crash from whoever looks. Without a control loop, a tablet lacks something that has
// too few complete replicas on BEs that answer.
func judgeOf(e *Env) judge {
	if e.Control == nil {
		return func(tab *catalog.Tablet, want int) bool {
			return len(slices.DeleteFunc(slices.Clone(tab.Replicas), func(r catalog.Replica) bool {
				return !r.Complete() || !e.alive(r.BE) || e.lost(r.BE, tab.ID)
			})) < want
		}
	}
	view, clock := e.Control.View(), e.Control.Clock()
	clock.ToleranceMs = 0
	return func(tab *catalog.Tablet, _ int) bool {
		t := view.Tablet(tab.ID)
		return t != nil && sched.Health(t, view, clock).Status.Unhealthy()
	}
}

// damaged reports whether a replica of a tablet is known to hold wrong bytes.
func damaged(tab *catalog.Tablet) bool {
	for i := range tab.Replicas {
		if tab.Replicas[i].Bad {
			return true
		}
	}
	return false
}

// dbStatistic counts what is in a database.
type dbStatistic struct {
	tables, parts, indexes, tablets, replicas int
	unhealthy, damaged                        []types.TabletID
}

func statisticOf(e *Env, db *catalog.Database, unhealthy judge) dbStatistic {
	var s dbStatistic
	for t := range e.Catalog.Tables(db.ID) {
		s.tables++
		s.parts += len(t.Parts)
		s.count(e, t, unhealthy)
		for index := range e.Catalog.KeyTables(t) {
			s.count(e, index, unhealthy)
		}
	}
	return s
}

// count adds what is in a table, hidden or not.
func (s *dbStatistic) count(e *Env, t *catalog.Table, unhealthy judge) {
	for i := range t.Parts {
		s.indexes++
		for tab := range e.Catalog.TabletsOf(&t.Parts[i]) {
			s.tablets++
			s.replicas += len(tab.Replicas)
			if unhealthy(tab, t.Parts[i].Replicas) {
				s.unhealthy = append(s.unhealthy, tab.ID)
			}
			if inconsistent(e, tab) {
				s.damaged = append(s.damaged, tab.ID)
			}
		}
	}
}

// statisticRows are the rows of /statistic, the sum last.
func statisticRows(e *Env) []Row {
	var rows []Row
	var sum [7]int
	unhealthy := judgeOf(e)
	for db := range e.Catalog.Databases() {
		s := statisticOf(e, db, unhealthy)
		counts := [7]int{s.tables, s.parts, s.indexes, s.tablets, s.replicas, len(s.unhealthy), len(s.damaged)}
		for i, n := range counts {
			sum[i] += n
		}
		rows = append(rows, statisticRow(strconv.FormatUint(uint64(db.ID), 10), db.Name, counts))
	}
	return append(rows, statisticRow("Total", strconv.Itoa(len(rows)), sum))
}

func statisticRow(id, name string, counts [7]int) Row {
	row := Row{id, name}
	for _, n := range counts {
		row = append(row, n)
	}
	return row
}

// procStatistic answers /statistic and below.
func procStatistic(c procCall) (Result, error) {
	if len(c.rest) == 0 {
		return c.table(statisticColumns, statisticRows(c.Env))
	}
	part, c := c.next()
	db := c.dbNamed(part)
	if db == nil {
		return c.fail("Invalid db id: %s", part)
	}
	s := statisticOf(c.Env, db, judgeOf(c.Env))
	return c.table(unhealthyColumns, []Row{{idList(s.unhealthy), idList(s.damaged)}})
}

// idList prints ids in brackets.
func idList(ids []types.TabletID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return "[" + strings.Join(texts, ", ") + "]"
}
