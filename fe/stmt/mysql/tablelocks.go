package mysql

import (
	"context"
	"strings"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/model"
	"stele/sql/parse"
)

// Locks of whole tables are in the catalog; whose they are, and who waits for them, the sessions say.

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.PerformanceDB, Name: "metadata_locks",
	Doc: "What LOCK TABLES and FLUSH TABLES WITH READ LOCK of all FEs have locked (GRANTED) or ask for (PENDING), and the statements that wait for them (PENDING, " +
		"of one table where the locks that they wait for are). OBJECT_INSTANCE_BEGIN is the number of the locks; to whoever has PROCESS.",
	Columns: stmt.Plain("OBJECT_TYPE OBJECT_SCHEMA OBJECT_NAME COLUMN_NAME OBJECT_INSTANCE_BEGIN# LOCK_TYPE LOCK_DURATION LOCK_STATUS SOURCE " +
		"OWNER_THREAD_ID# OWNER_EVENT_ID#"),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		if e.Processes == nil || !e.Holds(model.PrivProcess) {
			return nil, nil
		}
		var rows []stmt.Row
		sessions := e.Processes()
		for _, l := range e.Catalog.Locks() {
			rows = append(rows, lockRows(e, l, sessions)...)
		}
		return rows, nil
	}})

// lockRows are the rows of what one session has locked, or asks for, and of who waits for that.
func lockRows(e *stmt.Env, l *catalog.TableLocks, sessions []stmt.Process) (rows []stmt.Row) {
	var owner any // of an FE that does not answer
	for i := range sessions {
		if sessions[i].Locks == l.ID {
			owner = sessions[i].ID
		}
	}
	status := "PENDING"
	if l.Held {
		status = "GRANTED"
	}
	if l.All {
		rows = append(rows, lockRow("GLOBAL", nil, nil, l.ID, "SHARED", "EXPLICIT", status, owner))
	}
	for _, t := range l.Tables {
		schema, name := tableName(e, t)
		rows = append(rows, lockRow("TABLE", schema, name, l.ID, lockType(t.Write), "TRANSACTION", status, owner))
	}
	for i := range sessions {
		if sessions[i].Awaits == l.ID {
			rows = append(rows, awaitRow(e, l, sessions[i].ID))
		}
	}
	return rows
}

// awaitRow is the row of a statement that waits for locks.
func awaitRow(e *stmt.Env, l *catalog.TableLocks, session uint64) stmt.Row {
	if l.All {
		return lockRow("GLOBAL", nil, nil, l.ID, "INTENTION_EXCLUSIVE", "STATEMENT", "PENDING", session)
	}
	var schema, name any
	kind := "SHARED_WRITE" // what is locked for reading keeps nobody from reading
	if len(l.Tables) == 1 {
		schema, name = tableName(e, l.Tables[0])
	}
	for _, t := range l.Tables {
		if t.Write {
			kind = "SHARED_READ"
		}
	}
	return lockRow("TABLE", schema, name, l.ID, kind, "TRANSACTION", "PENDING", session)
}

func lockRow(object string, schema, name any, id uint64, kind, duration, status string, session any) stmt.Row {
	return stmt.Row{object, schema, name, nil, id, kind, duration, status, "", session, nil}
}

// lockType is the lock that LOCK TABLES takes in MySQL.
func lockType(write bool) string {
	if write {
		return "SHARED_NO_READ_WRITE"
	}
	return "SHARED_READ_ONLY"
}

// tableName names a table that is locked.
func tableName(e *stmt.Env, l catalog.TableLock) (schema, name any) {
	t, ok := e.Catalog.TableByID(l.Table)
	if !ok {
		return nil, nil
	}
	if db, ok := e.Catalog.DatabaseByID(t.DatabaseID); ok {
		schema = db.Name
	}
	return schema, t.Name
}

// showOpenTables lists the tables that sessions have locked, or ask for: no others are known to be in use.
func showOpenTables(e *stmt.Env, n *parse.ShowStmt) (stmt.Result, error) {
	r := stmt.Result{Columns: stmt.Plain("Database Table In_use# Name_locked#")}
	at := map[catalog.TableLock]int{}
	for _, l := range e.Catalog.Locks() {
		for _, t := range l.Tables {
			t.Write = false
			if i, ok := at[t]; ok {
				r.Rows[i][2] = r.Rows[i][2].(int) + 1
				continue
			}
			schema, name := tableName(e, t)
			db, _ := schema.(string)
			table, _ := name.(string)
			if !e.Sees(db, table) || n.DBName != "" && !strings.EqualFold(db, n.DBName) {
				continue
			}
			at[t] = len(r.Rows)
			r.Rows = append(r.Rows, stmt.Row{db, table, 1, 0})
		}
	}
	return r, nil
}
