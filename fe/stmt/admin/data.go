package admin

import (
	"context"
	"math"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "show_data",
	Open:   true,
	Syntax: "SHOW DATA",
	Doc:    "Bytes and replicas of each table of the session's database, unique keys and all copies counted; then the sum. There are no quotas: Quota is the largest number.",
	Columns: stmt.Cols(`
		TableName    text  Table, or Total, Quota, Left.
		Size         text  Bytes of all replicas, as reported last.
		ReplicaCount int   Replicas.
	`),
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		db, err := e.Database("")
		if err != nil {
			return nil, err
		}
		var rows []stmt.Row
		var bytes, replicas int64
		for t := range e.Catalog.Tables(db.ID) {
			if !e.Sees(db.Name, t.Name) {
				continue
			}
			s := stmt.WholeSize(e, t)
			rows = append(rows, stmt.Row{t.Name, stmt.Capacity(s.Bytes), s.Replicas})
			bytes, replicas = bytes+s.Bytes, replicas+int64(s.Replicas)
		}
		return append(rows, stmt.Row{"Total", stmt.Capacity(bytes), replicas}, stmt.Row{"Quota", stmt.Capacity(math.MaxInt64), int64(math.MaxInt64)},
			stmt.Row{"Left", stmt.Capacity(math.MaxInt64 - bytes), math.MaxInt64 - replicas}), nil
	},
	Examples: []string{"SHOW DATA"},
})

var _ = stmt.Register(stmt.Statement{
	Name:   "show_data_from",
	Open:   true,
	Syntax: "SHOW DATA FROM <table:table>",
	Doc:    "Bytes, replicas and rows of one table, all copies counted in bytes and replicas.",
	Columns: stmt.Cols(`
		TableName    text  Table, in the first row.
		IndexName    text  The table's name again, the name of a unique key, or Total.
		Size         text  Bytes of all replicas, as reported last.
		ReplicaCount int   Replicas.
		RowCount     int   Rows; NULL in the Total row.
	`),
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		t, err := e.UserTableArg(a, "table")
		if err != nil {
			return nil, err
		}
		return dataRows(e, t), nil
	},
	Examples: []string{"SHOW DATA FROM db1.t1"},
})

func dataRows(e *stmt.Env, t *catalog.Table) []stmt.Row {
	s := stmt.TableSize(e, t)
	rows := []stmt.Row{{t.Name, t.Name, stmt.Capacity(s.Bytes), s.Replicas, s.Rows}}
	for index := range e.Catalog.KeyTables(t) {
		k := stmt.TableSize(e, index)
		rows = append(rows, stmt.Row{"", e.IndexName(index), stmt.Capacity(k.Bytes), k.Replicas, k.Rows})
	}
	s = stmt.WholeSize(e, t)
	return append(rows, stmt.Row{"", "Total", stmt.Capacity(s.Bytes), s.Replicas, nil})
}
