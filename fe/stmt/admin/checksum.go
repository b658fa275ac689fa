package admin

import (
	"cmp"
	"context"

	"stele/fe/stmt"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "checksum_table",
	Open:   true,
	Local:  true,
	Syntax: "CHECKSUM {TABLE|TABLES} <tables:tables> [{QUICK|EXTENDED}]",
	Doc: "MySQL's CHECKSUM TABLE: a number for the rows of each table, by reading them all. Tables with equal rows and column types have equal numbers, whatever " +
		"their buckets, partitions and replicas, and one changed row makes another. In a transaction it is of what the transaction sees. The numbers " +
		"are not MySQL's. With QUICK it is NULL, as no number is kept. A table that is missing or a view has NULL and a warning.",
	Columns: stmt.Cols(`
		Table    text Database and table.
		Checksum int  The number, or NULL.
	`),
	Rows: func(ctx context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		if e.Checksum == nil {
			return nil, stmt.Refusal("CHECKSUM TABLE reads tables, which needs a session")
		}
		var rows []stmt.Row
		for _, name := range a.Tables("tables") {
			db := cmp.Or(name.DB, e.DB)
			sum, err := e.Checksum(ctx, db, name.Table, a.Has("QUICK"))
			if err != nil {
				return nil, err
			}
			rows = append(rows, stmt.Row{db + "." + name.Table, sum})
		}
		return rows, nil
	},
	Examples: []string{"CHECKSUM TABLE db1.t1", "CHECKSUM TABLE t1, t2 QUICK"},
})
