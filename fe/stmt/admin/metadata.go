package admin

import (
	"context"
	"fmt"
	"path/filepath"

	"stele/fe/metatool"
	"stele/fe/stmt"
	"stele/meta/command"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "admin_backup_metadata",
	Syntax: "ADMIN BACKUP METADATA TO <file:string>",
	Doc: "Write the metadata to a new file on the leading frontend's machine, below its working folder where the path is no absolute one; the answer says where it is. stele fe tool restore makes the first frontend of the " +
		"cluster from it when all frontends are lost. The rows of tables are not in it: they are on the backends. " +
		"Make one after each change of tables: what was altered after the backup is as before again.",
	Do: func(_ context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		if a.String("file") == "" {
			return stmt.Result{}, stmt.AnalysisError("backup of the metadata: no file is named")
		}
		file, err := filepath.Abs(a.String("file"))
		if err != nil {
			return stmt.Result{}, stmt.AnalysisError("backup of the metadata: %s", err.Error())
		}
		n, err := metatool.Write(file, e.Catalog)
		if err != nil {
			return stmt.Result{}, stmt.AnalysisError("backup of the metadata: on the leading frontend%s: %s", selfName(e), err.Error())
		}
		return stmt.Result{Info: fmt.Sprintf("%d bytes, everything up to index %d, in %s of the leading frontend%s", n, e.Catalog.Index(), file, selfName(e))}, nil
	},
	Examples: []string{"ADMIN BACKUP METADATA TO '/backup/stele.meta'"},
})

// selfName is the name of the FE that answers, after a space; empty where nobody says it.
func selfName(e *stmt.Env) string {
	if e.Frontends != nil {
		for _, f := range e.Frontends() {
			if f.Self {
				return " " + f.Name
			}
		}
	}
	return ""
}

var _ = stmt.Register(stmt.Statement{
	Name:   "admin_show_metadata_restore",
	Table:  "metadata_restore",
	Syntax: "ADMIN SHOW METADATA RESTORE",
	Doc: "Backends that a cluster still waits for whose metadata comes from a backup, or turned out to be older than what backends hold (an " +
		"older copy of meta_dir was put in its place): nothing is written, repaired or moved before they have told what they hold. Empty otherwise.",
	Columns: stmt.Cols(`
		BackendId uint The backend.
		Address text Its host and port.
		Alive text Whether it answers.
		Since text When the metadata was restored.
`),
	Rows: func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) {
		r := e.Catalog.Restoring()
		if r == nil {
			return nil, nil
		}
		var rows []stmt.Row
		for _, id := range r.Waiting {
			address := "N/A"
			if be, ok := e.Catalog.BE(id); ok {
				address = fmt.Sprintf("%s:%d", be.Host, be.Port)
			}
			rows = append(rows, stmt.Row{uint64(id), address, e.Alive(id), e.StampMs(r.SinceMs)})
		}
		return rows, nil
	},
	Examples: []string{"ADMIN SHOW METADATA RESTORE"},
})

var _ = stmt.Register(stmt.Statement{
	Name:   "admin_end_metadata_restore",
	Syntax: "ADMIN END METADATA RESTORE",
	Doc: "Go on without the backends that ADMIN SHOW METADATA RESTORE lists. What was written after the backup and is only on them " +
		"is lost: their replicas are replaced by those of the others. Of tables that were altered after the backup the columns and keys are those of the backup " +
		"again, whether this statement was needed or not: a column that was dropped since comes back with the values of rows that were neither changed nor merged since then " +
		"and NULL or its default in others, so set it (UPDATE) or drop it again; a unique key that was dropped or made anew since does not know the rows of after that: " +
		"CHECK TABLE tells which, and DROP INDEX with ADD UNIQUE makes it anew.",
	Do: func(ctx context.Context, e *stmt.Env, _ syntax.Args) (stmt.Result, error) {
		r := e.Catalog.Restoring()
		if r == nil {
			return stmt.Result{Info: "The metadata is not being restored: nothing to end"}, nil
		}
		if _, err := e.Propose(ctx, &command.EndRestore{TimeMs: e.Now.UnixMilli()}); err != nil {
			return stmt.Result{}, err
		}
		return stmt.Result{Info: fmt.Sprintf("Backends that are not waited for any more: %d", len(r.Waiting))}, nil
	},
	Examples: []string{"ADMIN END METADATA RESTORE"},
})
