package stmt

import (
	"context"
	"math"

	"stele/meta/catalog"
	"stele/sql/syntax"
)

var _ = register(Statement{
	Name:   "show_data",
	Open:   true,
	Syntax: "SHOW DATA",
	Doc:    "Bytes and replicas of each table of the session's database, unique keys and all copies counted; then the sum. There are no quotas: Quota is the largest number.",
	Columns: cols(`
		TableName    text  Table, or Total, Quota, Left.
		Size         text  Bytes of all replicas, as reported last.
		ReplicaCount int   Replicas.
	`),
	Rows: func(_ context.Context, e *Env, _ syntax.Args) ([]Row, error) {
		db, err := e.database("")
		if err != nil {
			return nil, err
		}
		var rows []Row
		var bytes, replicas int64
		for t := range e.Catalog.Tables(db.ID) {
			if !e.sees(db.Name, t.Name) {
				continue
			}
			s := wholeSize(e, t)
			rows = append(rows, Row{t.Name, capacity(s.bytes), s.replicas})
			bytes, replicas = bytes+s.bytes, replicas+int64(s.replicas)
		}
		return append(rows, Row{"Total", capacity(bytes), replicas}, Row{"Quota", capacity(math.MaxInt64), int64(math.MaxInt64)},
			Row{"Left", capacity(math.MaxInt64 - bytes), math.MaxInt64 - replicas}), nil
	},
	Examples: []string{"SHOW DATA"},
})

var _ = register(Statement{
	Name:   "show_data_from",
	Open:   true,
	Syntax: "SHOW DATA FROM <table:table>",
	Doc:    "Bytes, replicas and rows of one table, all copies counted in bytes and replicas.",
	Columns: cols(`
		TableName    text  Table, in the first row.
		IndexName    text  The table's name again, the name of a unique key, or Total.
		Size         text  Bytes of all replicas, as reported last.
		ReplicaCount int   Replicas.
		RowCount     int   Rows; NULL in the Total row.
	`),
	Rows: func(_ context.Context, e *Env, a syntax.Args) ([]Row, error) {
		t, err := e.userTableArg(a, "table")
		if err != nil {
			return nil, err
		}
		return dataRows(e, t), nil
	},
	Examples: []string{"SHOW DATA FROM db1.t1"},
})

func dataRows(e *Env, t *catalog.Table) []Row {
	s := tableSize(e, t)
	rows := []Row{{t.Name, t.Name, capacity(s.bytes), s.replicas, s.rows}}
	for index := range e.Catalog.KeyTables(t) {
		k := tableSize(e, index)
		rows = append(rows, Row{"", e.indexName(index), capacity(k.bytes), k.replicas, k.rows})
	}
	s = wholeSize(e, t)
	return append(rows, Row{"", "Total", capacity(s.bytes), s.replicas, nil})
}
