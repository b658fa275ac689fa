package proc

import (
	"context"
	"strconv"
	"strings"

	"stele/fe/stmt"
	"stele/fe/stmt/admin"
	"stele/meta/catalog"
	"stele/meta/types"
)

var (
	statisticColumns = stmt.Cols(`
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
	unhealthyColumns = stmt.Cols(`
		UnhealthyTablets    text  Ids of tablets that need repair.
		InconsistentTablets text  Ids of tablets whose replicas differ, or one of which is damaged.
	`)
)

// dbStatistic counts what is in a database.
type dbStatistic struct {
	tables, parts, indexes, tablets, replicas int
	unhealthy, damaged                        []types.TabletID
}

func statisticOf(e *stmt.Env, db *catalog.Database, unhealthy admin.Judge) dbStatistic {
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
func (s *dbStatistic) count(e *stmt.Env, t *catalog.Table, unhealthy admin.Judge) {
	for i := range t.Parts {
		s.indexes++
		for tab := range e.Catalog.TabletsOf(&t.Parts[i]) {
			s.tablets++
			s.replicas += len(tab.Replicas)
			if unhealthy(tab, t.Parts[i].Replicas) {
				s.unhealthy = append(s.unhealthy, tab.ID)
			}
			if admin.Inconsistent(e, tab) {
				s.damaged = append(s.damaged, tab.ID)
			}
		}
	}
}

// statisticRows are the rows of /statistic, the sum last.
func statisticRows(e *stmt.Env) []stmt.Row {
	var rows []stmt.Row
	var sum [7]int
	unhealthy := admin.JudgeOf(e)
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

func statisticRow(id, name string, counts [7]int) stmt.Row {
	row := stmt.Row{id, name}
	for _, n := range counts {
		row = append(row, n)
	}
	return row
}

// procStatistic answers /statistic and below.
func procStatistic(c procCall) (stmt.Result, error) {
	if len(c.rest) == 0 {
		return c.table(statisticColumns, statisticRows(c.Env))
	}
	part, c := c.next()
	db := c.dbNamed(part)
	if db == nil {
		return c.fail("Invalid db id: %s", part)
	}
	s := statisticOf(c.Env, db, admin.JudgeOf(c.Env))
	return c.table(unhealthyColumns, []stmt.Row{{idList(s.unhealthy), idList(s.damaged)}})
}

// idList prints ids in brackets.
func idList(ids []types.TabletID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "databases", Doc: "SHOW PROC '/statistic': what is in each database and how much of it needs repair.",
	Columns: statisticColumns,
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		rows := statisticRows(e)
		return rows[:len(rows)-1], nil
	}})
