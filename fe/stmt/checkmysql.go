package stmt

import (
	"context"
	"fmt"

	"stele/fe/consistency"
	"stele/meta/catalog"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
)

var _ = register(Statement{
	Name:   "check_table",
	Open:   true,
	Syntax: "CHECK {TABLE|TABLES} <table:table> [FOR UPGRADE] [QUICK] [FAST] [MEDIUM] [EXTENDED] [CHANGED]",
	Doc: "MySQL's CHECK TABLE: read every row of every replica and compare them, for tools like mysqlcheck. It changes nothing: a replica that is damaged or " +
		"differs is an error here and is repaired by ADMIN CHECK TABLE … CHECKSUM, or by the comparison that goes on all the time. With QUICK, FAST or " +
		"CHANGED nothing is read, only what replicas have reported is compared.",
	Columns: cols(`
		Table    text Database and table.
		Op       name Always check.
		Msg_type name status, warning or error.
		Msg_text long OK, or what is wrong.
	`),
	Rows:     mysqlCheck,
	Examples: []string{"CHECK TABLE db1.t1", "CHECK TABLE t1 QUICK"},
})

func mysqlCheck(ctx context.Context, e *Env, a syntax.Args) ([]Row, error) {
	full, t, missing, err := maintained(e, a, "check")
	if err != nil || missing != nil {
		return missing, err
	}
	if e.Checker == nil {
		return nil, refusal("This FE does not compare replicas: connect to the leading one")
	}
	parts, err := partitionsArg(t, a, "partitions")
	if err != nil {
		return nil, err
	}
	results, err := checkAll(ctx, e, parts, !a.Has("QUICK") && !a.Has("FAST") && !a.Has("CHANGED"))
	if err != nil {
		return nil, err
	}
	var rows []Row
	failed := false
	for i := range results {
		for _, r := range results[i].Replicas {
			switch r.Verdict {
			case consistency.Agrees:
				continue
			case consistency.Skipped:
				rows = append(rows, Row{full, "check", "warning", fmt.Sprintf("replica %d of tablet %d on backend %d was not checked: %s", r.ID, results[i].Tablet, r.BE, r.Why)})
			default:
				failed = true
				rows = append(rows, Row{full, "check", "error", fmt.Sprintf("replica %d of tablet %d on backend %d: %s: %s", r.ID, results[i].Tablet, r.BE, r.Verdict, r.Why)})
			}
		}
	}
	if failed {
		return append(rows, Row{full, "check", "error", "Corrupt"}), nil
	}
	return append(rows, Row{full, "check", "status", "OK"}), nil
}

// maintained finds the table of a statement by which tools look after a server. A missing one is no error to them but an answer, as
// in MySQL, and so is a view.
func maintained(e *Env, a syntax.Args, op string) (full string, t *catalog.Table, missing []Row, err error) {
	db, name := a.Table("table")
	if db == "" {
		db = e.DB
	}
	full = db + "." + name
	t, err = e.userTableArg(a, "table")
	if v := viewNamed(e, db, name); err != nil && v != nil {
		return full, nil, maintainedView(e, full, db, v, op), nil
	}
	if unknown, ok := sqltypes.AsError(err); ok && unknown.Code == codeUnknownTable {
		return full, nil, []Row{{full, op, "Error", unknown.Msg}, {full, op, "status", "Operation failed"}}, nil
	}
	return full, t, nil, err
}

// viewNamed is the view of a name that the account may see, or nil.
func viewNamed(e *Env, db, name string) *catalog.View {
	d, ok := e.Catalog.Database(db)
	if !ok || !e.sees(db, name) {
		return nil
	}
	v, _ := e.Catalog.View(d.ID, name)
	return v
}

// maintainedView is the answer about a view: it has no rows of its own, but what it reads may be gone.
func maintainedView(e *Env, full, db string, v *catalog.View, op string) []Row {
	if op != "check" {
		return []Row{{full, op, "Error", "'" + full + "' is not BASE TABLE"}, {full, op, "status", "Operation failed"}}
	}
	if e.View != nil {
		if _, err := e.View(db, v); err != nil {
			return []Row{{full, op, "Error", err.Error()}, {full, op, "error", "Corrupt"}}
		}
	}
	return []Row{{full, op, "status", "OK"}}
}
