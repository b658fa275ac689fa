package stmt

import (
	"context"

	"stele/meta/catalog"
)

// OfDBColumns and OfTableColumns name the database that the rows of a node are about, or the database and the table.
var (
	OfDBColumns = Cols(`
		DbName name Database.
	`)
	OfTableColumns = Cols(`
		DbName    name Database.
		TableName name Table.
	`)
)

// OfDatabases makes the rows of a table that has those of a node for each database.
func OfDatabases(rows func(e *Env, db *catalog.Database) []Row) func(context.Context, *Env) ([]Row, error) {
	return func(_ context.Context, e *Env) ([]Row, error) {
		var out []Row
		for db := range e.Catalog.Databases() {
			for _, row := range rows(e, db) {
				out = append(out, append(Row{db.Name}, row...))
			}
		}
		return out, nil
	}
}

// OfTables makes the rows of a table that has those of a node or a statement for each table of the users.
func OfTables(rows func(e *Env, t *catalog.Table) []Row) func(context.Context, *Env) ([]Row, error) {
	return OfDatabases(func(e *Env, db *catalog.Database) []Row {
		var out []Row
		for t := range e.Catalog.Tables(db.ID) {
			for _, row := range rows(e, t) {
				out = append(out, append(Row{t.Name}, row...))
			}
		}
		return out
	})
}
