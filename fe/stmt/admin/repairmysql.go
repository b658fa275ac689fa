package admin

import (
	"context"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "repair_table",
	Open:   true,
	Syntax: "REPAIR [{NO_WRITE_TO_BINLOG|LOCAL}] {TABLE|TABLES} <tables:tables> [QUICK] [EXTENDED] [USE_FRM]",
	Doc: "MySQL's REPAIR TABLE, for tools like mysqlcheck. There is nothing to order: a damaged replica is made anew from the others by itself. It says " +
		"so, and changes nothing. ADMIN CHECK TABLE … CHECKSUM looks for damage now, ADMIN REPAIR TABLE has a table repaired before others.",
	Columns: stmt.Cols(`
		Table    text Database and table.
		Op       name Always repair.
		Msg_type name note, status or error.
		Msg_text long OK, or what is wrong.
	`),
	Rows: func(_ context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		return maintain(e, a, "repair", func(full string, _ *catalog.Table) ([]stmt.Row, error) {
			return []stmt.Row{{full, "repair", "note", "Replicas are repaired from one another all the time: ADMIN CHECK TABLE … CHECKSUM looks for damage now"},
				{full, "repair", "status", "OK"}}, nil
		})
	},
	Examples: []string{"REPAIR TABLE db1.t1", "REPAIR LOCAL TABLE t1, t2 QUICK"},
})
