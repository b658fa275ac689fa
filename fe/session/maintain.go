package session

import (
	"cmp"
	"context"

	"stele/fe/stmt"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/parse"
	sqltypes "stele/sql/types"
)

// maintain runs statements by which tools look after a MySQL server and which have nothing to do here. What promises
// no result is accepted, so that dumps and tools run; where a promise would be broken, a warning says so.
func (s *Session) maintain(ctx context.Context, n parse.StmtNode, out *output) error {
	switch n := n.(type) {
	case *parse.LockTablesStmt:
		return s.lockTables(ctx, n.Tables, out)
	case *parse.UnlockTablesStmt:
		if s.locked == nil {
			return out.ok() // it ends no transaction then: a dump says it within its own
		}
		if !s.locked.all {
			if err := s.commit(ctx); err != nil {
				return err
			}
		}
		s.unlockTables(ctx)
		return out.ok()
	case *parse.FlushStmt:
		if n.ReadLock {
			return s.flushAndLock(ctx, n, out)
		}
	}
	if err := s.commit(ctx); err != nil { // as in MySQL
		return err
	}
	if n, ok := n.(*parse.AnalyzeTableStmt); ok {
		return s.analyze(ctx, n, out)
	}
	return out.warned(s.warningCount())
}

// analyze answers as MySQL does; row counts are kept by every commit, so there is nothing to gather.
func (s *Session) analyze(ctx context.Context, n *parse.AnalyzeTableStmt, out *output) error {
	text := types.ColumnType{Kind: types.KindVarChar, Length: 512}
	r := stmt.Result{Columns: []stmt.Column{{Name: "Table", Type: text}, {Name: "Op", Type: text}, {Name: "Msg_type", Type: text}, {Name: "Msg_text", Type: text}}}
	for _, name := range n.TableNames {
		db, t, err := s.findTable(s.sh.Log.Current(), name.Schema.O, name.Name.O)
		if db != nil && err != nil && s.sh.Log.Current().Named(db.ID, name.Name.O) {
			full := db.Name + "." + name.Name.O
			r.Rows = append(r.Rows, stmt.Row{full, "analyze", "Error", "'" + full + "' is not BASE TABLE"}, stmt.Row{full, "analyze", "status", "Operation failed"})
			continue
		}
		if schema := cmp.Or(name.Schema.O, s.db); db == nil && stmt.IsSystemDatabase(schema) { // a tool that goes through all databases
			r.Rows = append(r.Rows, stmt.Row{schema + "." + name.Name.O, "analyze", "status", "OK"})
			continue
		}
		if missing, ok := sqltypes.AsError(err); ok && missing.Code == errno.NoSuchTable {
			full := cmp.Or(name.Schema.O, s.db) + "." + name.Name.O
			r.Rows = append(r.Rows, stmt.Row{full, "analyze", "Error", missing.Msg}, stmt.Row{full, "analyze", "status", "Operation failed"})
			continue
		}
		if err != nil {
			return err
		}
		r.Rows = append(r.Rows, stmt.Row{db.Name + "." + t.Name, "analyze", "status", "OK"})
	}
	return s.table(ctx, r, out)
}
