package stmt

import (
	"strconv"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
)

var (
	statisticColumns = cols(`
		DbId                  text  Id of the database, Total in the last row.
		DbName                text  Its name; in the last row how many there are.
		TableNum              int   Tables.
		PartitionNum          int   Partitions.
		IndexNum              int   Indexes: one a partition.
		TabletNum             int   Tablets.
		ReplicaNum            int   Replicas.
		UnhealthyTabletNum    int   Tablets that need repair.
		InconsistentTabletNum int   Tablets whose replicas differ at the same version: damaged ones are found when they are read or scrubbed.
	`)
	unhealthyColumns = cols(`
		UnhealthyTablets    text  Ids of tablets that need repair.
		InconsistentTablets text  Ids of tablets with a damaged replica.
	`)
)

// unhealthy reports whether a tablet lacks something. On an FE without a control loop, that is a full set of complete
// replicas on BEs that answer.
func unhealthy(e *Env, tab *catalog.Tablet, want int) bool {
	if e.Control != nil {
		if v, ok := e.Control.Health(tab.ID); ok {
			return v.Status.Unhealthy()
		}
	}
	good := 0
	for i := range tab.Replicas {
		if tab.Replicas[i].Complete() && e.alive(tab.Replicas[i].BE) && !e.lost(tab.Replicas[i].BE, tab.ID) {
			good++
		}
	}
	return good < want
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
	tables, parts, tablets, replicas int
	unhealthy, damaged               []types.TabletID
}

func statisticOf(e *Env, db *catalog.Database) dbStatistic {
	var s dbStatistic
	for t := range e.Catalog.Tables(db.ID) {
		s.tables++
		for i := range t.Parts {
			s.parts++
			for tab := range e.Catalog.TabletsOf(&t.Parts[i]) {
				s.tablets++
				s.replicas += len(tab.Replicas)
				if unhealthy(e, tab, t.Parts[i].Replicas) {
					s.unhealthy = append(s.unhealthy, tab.ID)
				}
				if damaged(tab) {
					s.damaged = append(s.damaged, tab.ID)
				}
			}
		}
	}
	return s
}

// statisticRows are the rows of /statistic, the sum last.
func statisticRows(e *Env) []Row {
	var rows []Row
	var sum [7]int
	for db := range e.Catalog.Databases() {
		s := statisticOf(e, db)
		counts := [7]int{s.tables, s.parts, s.parts, s.tablets, s.replicas, len(s.unhealthy), len(s.damaged)}
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
	s := statisticOf(c.Env, db)
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
