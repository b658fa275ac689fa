package admin

import (
	"cmp"
	"context"
	"fmt"

	"stele/fe/consistency"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/sql/errno"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "check_table",
	Open:   true,
	Syntax: "CHECK {TABLE|TABLES} <tables:tables> [FOR UPGRADE] [QUICK] [FAST] [MEDIUM] [EXTENDED] [CHANGED]",
	Doc: "MySQL's CHECK TABLE: read every row of every replica of some tables and compare them, for tools like mysqlcheck; unique keys are compared with the rows. " +
		"It changes nothing: a replica that is damaged or differs is an error here and is repaired by ADMIN CHECK TABLE … CHECKSUM, or by the comparison that " +
		"goes on all the time; a unique key that does not have the entries of the rows is made anew by DROP INDEX and ADD UNIQUE. With QUICK, FAST or CHANGED nothing is read, only what replicas have reported is compared.",
	Columns: stmt.Cols(`
		Table    text Database and table.
		Op       name Always check.
		Msg_type name status, warning or error.
		Msg_text long OK, or what is wrong.
	`),
	Rows:     mysqlCheck,
	Examples: []string{"CHECK TABLE db1.t1", "CHECK TABLE t1, t2 QUICK"},
})

func mysqlCheck(ctx context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
	if e.Checker == nil {
		return nil, stmt.Refusal("This FE does not compare replicas: connect to the leading one")
	}
	verify := !a.Has("QUICK") && !a.Has("FAST") && !a.Has("CHANGED")
	return maintain(e, a, "check", func(full string, t *catalog.Table) ([]stmt.Row, error) { return checkOne(ctx, e, full, t, verify) })
}

// checkOne compares the replicas of one table.
func checkOne(ctx context.Context, e *stmt.Env, full string, t *catalog.Table, verify bool) ([]stmt.Row, error) {
	parts := make([]*catalog.Partition, len(t.Parts))
	for i := range t.Parts {
		parts[i] = &t.Parts[i]
	}
	results, err := checkAll(ctx, e, parts, verify)
	if err != nil {
		return nil, err
	}
	var rows []stmt.Row
	failed := false
	for i := range results {
		for _, r := range results[i].Replicas {
			switch r.Verdict {
			case consistency.Agrees:
				continue
			case consistency.Skipped:
				rows = append(rows, stmt.Row{full, "check", "warning", fmt.Sprintf("replica %d of tablet %d on backend %d was not checked: %s", r.ID, results[i].Tablet, r.BE, r.Why)})
			default:
				failed = true
				rows = append(rows, stmt.Row{full, "check", "error", fmt.Sprintf("replica %d of tablet %d on backend %d: %s: %s", r.ID, results[i].Tablet, r.BE, r.Verdict, r.Why)})
			}
		}
	}
	if verify && e.StaleKeys != nil {
		wrong, err := keyRows(ctx, e, full, t)
		if err != nil {
			return nil, err
		}
		rows, failed = append(rows, wrong...), failed || len(wrong) > 0
	}
	if failed {
		return append(rows, stmt.Row{full, "check", "error", "Corrupt"}), nil
	}
	return append(rows, stmt.Row{full, "check", "status", "OK"}), nil
}

// keyRows tells of the unique keys of a table that do not have the entries of its rows.
func keyRows(ctx context.Context, e *stmt.Env, full string, t *catalog.Table) ([]stmt.Row, error) {
	stale, err := e.StaleKeys(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("compare the unique keys of %s with its rows: %w", full, err)
	}
	var rows []stmt.Row
	for _, name := range stale {
		rows = append(rows, stmt.Row{full, "check", "error", fmt.Sprintf("unique key %s does not have the entries of the rows that are there, as after a restore of metadata "+
			"that is older than the key: make it anew (ALTER TABLE … DROP INDEX, then ADD UNIQUE)", name)})
	}
	return rows, nil
}

// maintain answers a statement by which tools look after a server: about each table that it lists what do finds. As in MySQL a table
// that is missing is no error to them but an answer, and so is a view.
func maintain(e *stmt.Env, a syntax.Args, op string, do func(full string, t *catalog.Table) ([]stmt.Row, error)) ([]stmt.Row, error) {
	var rows []stmt.Row
	for _, name := range a.Tables("tables") {
		db := cmp.Or(name.DB, e.DB)
		full := db + "." + name.Table
		t, err := e.UserTable(db, name.Table)
		unknown, known := sqltypes.AsError(err)
		var more []stmt.Row
		switch v := viewNamed(e, db, name.Table); {
		case err == nil:
			more, err = do(full, t)
		case v != nil:
			more, err = maintainedView(e, full, db, v, op), nil
		case known && unknown.Code == errno.NoSuchTable:
			more, err = []stmt.Row{{full, op, "Error", unknown.Msg}, {full, op, "status", "Operation failed"}}, nil
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// viewNamed is the view of a name that the account may see, or nil.
func viewNamed(e *stmt.Env, db, name string) *catalog.View {
	d, ok := e.Catalog.Database(db)
	if !ok || !e.Sees(db, name) {
		return nil
	}
	v, _ := e.Catalog.View(d.ID, name)
	return v
}

// maintainedView is the answer about a view: it has no rows of its own, but what it reads may be gone.
func maintainedView(e *stmt.Env, full, db string, v *catalog.View, op string) []stmt.Row {
	if op != "check" {
		return []stmt.Row{{full, op, "Error", "'" + full + "' is not BASE TABLE"}, {full, op, "status", "Operation failed"}}
	}
	if e.View != nil {
		if _, err := e.View(db, v); err != nil {
			return []stmt.Row{{full, op, "Error", err.Error()}, {full, op, "error", "Corrupt"}}
		}
	}
	return []stmt.Row{{full, op, "status", "OK"}}
}
