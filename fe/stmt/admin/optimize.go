package admin

import (
	"context"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "optimize_table",
	Open:   true,
	Syntax: "OPTIMIZE [{NO_WRITE_TO_BINLOG|LOCAL}] {TABLE|TABLES} <tables:tables>",
	Doc: "MySQL's OPTIMIZE TABLE, for tools like mysqlcheck. There is nothing to do: replicas are compacted all the time, and commits count rows. It says " +
		"so, and changes nothing.",
	Columns: stmt.Cols(`
		Table    text Database and table.
		Op       name Always optimize.
		Msg_type name note, status or error.
		Msg_text long OK, or what is wrong.
	`),
	Rows:      mysqlOptimize,
	Overrides: "nothing is rebuilt.",
	Examples:  []string{"OPTIMIZE TABLE db1.t1", "OPTIMIZE LOCAL TABLE t1, t2"},
})

func mysqlOptimize(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
	return maintain(e, a, "optimize", func(full string, _ *catalog.Table) ([]stmt.Row, error) {
		return []stmt.Row{{full, "optimize", "note", "Tables are compacted all the time: there is nothing to do"}, {full, "optimize", "status", "OK"}}, nil
	})
}
