package mysql

import (
	"iter"
	"slices"
	"strings"

	"stele/fe/account"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/model"
	"stele/meta/types"
	"stele/sql/define"
	"stele/sql/errno"
	sqltypes "stele/sql/types"
)

// The one character set and collation of data.
const (
	charset   = "utf8mb4"
	collation = "utf8mb4_bin"
)

// The words of TABLE_TYPE.
const (
	baseTable  = "BASE TABLE"
	userView   = "VIEW"
	systemView = "SYSTEM VIEW"
)

// findTable is a table of a user or of the system, as SHOW and information_schema list it.
type schemaTable struct {
	db, name string
	kind     string
	table    *catalog.Table // nil for a system table or a view
	view     *catalog.View
	system   *stmt.Table
}

// columns are the columns that users see. Those of a view are not known when what it reads is gone.
func (t schemaTable) columns(e *stmt.Env) ([]types.Column, error) {
	var out []types.Column
	switch {
	case t.table != nil:
		for _, c := range visible(t.table) {
			out = append(out, *c)
		}
		return out, nil
	case t.view != nil:
		f, err := e.View(t.db, t.view)
		return f.Columns, err
	}
	for _, c := range t.system.Columns {
		out = append(out, types.Column{Name: c.Name, Type: c.Type, Comment: c.Doc})
	}
	return out, nil
}

// key is the Key word of a column.
func (t schemaTable) key(c *types.Column) string {
	if t.table == nil {
		return ""
	}
	return columnKey(t.table, c.ID)
}

// databaseNames are all databases by name, those of the system included.
func databaseNames(e *stmt.Env) []string {
	out := slices.Clone(stmt.SystemDatabases)
	if stmt.MadeUp(e.Catalog, stmt.MySQLDB) {
		out = append(out, stmt.MySQLDB)
	}
	for db := range e.Catalog.Databases() {
		out = append(out, db.Name)
	}
	out = slices.DeleteFunc(out, func(name string) bool { return !e.Sees(name, "") })
	slices.Sort(out)
	return out
}

// collationOf is the collation of new tables of a database.
func collationOf(e *stmt.Env, database string) types.Collation {
	if db, ok := e.Catalog.Database(database); ok {
		return db.Collation
	}
	return types.CollationBinary
}

// schemaTablesOf yields the tables of a database by name.
func schemaTablesOf(e *stmt.Env, db string) iter.Seq[schemaTable] {
	return func(yield func(schemaTable) bool) {
		for _, t := range stmt.Tables() {
			if stmt.MadeUp(e.Catalog, db) && strings.EqualFold(t.Database, db) && e.Sees(t.Database, t.Name) && !yield(schemaTable{db: t.Database, name: t.Name, kind: systemView, system: t}) {
				return
			}
		}
		d, ok := e.Catalog.Database(db)
		if !ok {
			return
		}
		for _, t := range userTables(e.Catalog, d) {
			if e.Sees(d.Name, t.name) && !yield(t) {
				return
			}
		}
	}
}

// userTables lists the tables and views of a database by name.
func userTables(cat *catalog.Catalog, d *catalog.Database) []schemaTable {
	var out []schemaTable
	for t := range cat.Tables(d.ID) {
		out = append(out, schemaTable{db: d.Name, name: t.Name, kind: baseTable, table: t})
	}
	for v := range cat.Views(d.ID) {
		out = append(out, schemaTable{db: d.Name, name: v.Name, kind: userView, view: v})
	}
	slices.SortFunc(out, func(a, b schemaTable) int { return strings.Compare(a.name, b.name) })
	return out
}

// userTable finds a table or view of a user.
func userTable(cat *catalog.Catalog, d *catalog.Database, name string) (schemaTable, bool) {
	if t, ok := cat.Table(d.ID, name); ok {
		return schemaTable{db: d.Name, name: t.Name, kind: baseTable, table: t}, true
	}
	v, ok := cat.View(d.ID, name)
	return schemaTable{db: d.Name, name: name, kind: userView, view: v}, ok
}

// schemaTables yields all tables by database and name.
func schemaTables(e *stmt.Env) iter.Seq[schemaTable] {
	return func(yield func(schemaTable) bool) {
		for _, db := range databaseNames(e) {
			for t := range schemaTablesOf(e, db) {
				if !yield(t) {
					return
				}
			}
		}
	}
}

// schemaDatabase checks the name of a database; "" is the session's.
func schemaDatabase(e *stmt.Env, name string) (string, error) {
	if name == "" {
		name = e.DB
	}
	if name != "" && !e.Sees(name, "") {
		return "", account.Denied(e.User, account.Need{Database: name})
	}
	if stmt.MadeUp(e.Catalog, name) {
		return strings.ToLower(name), nil
	}
	db, err := e.Database(name)
	if err != nil {
		return "", err
	}
	return db.Name, nil
}

// findTable finds a table by name; db "" is the session's database.
func findTable(e *stmt.Env, db, name string) (schemaTable, error) {
	db, err := schemaDatabase(e, db)
	if err != nil {
		return schemaTable{}, err
	}
	if t, ok := stmt.SystemTable(db, name); ok && stmt.MadeUp(e.Catalog, db) {
		return schemaTable{db: t.Database, name: t.Name, kind: systemView, system: t}, nil
	}
	if d, ok := e.Catalog.Database(db); ok {
		if e.Temporary != nil {
			if t, ok := e.Temporary(d, name); ok {
				return schemaTable{db: d.Name, name: t.Name, kind: baseTable, table: t}, nil
			}
		}
		if t, ok := userTable(e.Catalog, d, name); ok {
			if !e.Sees(db, name) {
				return schemaTable{}, account.Denied(e.User, account.Need{Privileges: model.PrivSelect, Database: db, Table: name})
			}
			return t, nil
		}
	}
	return schemaTable{}, sqltypes.Errorf(errno.NoSuchTable, "Table '%s.%s' doesn't exist", db, name)
}

// textCollation is the collation of a column, nil for what has none.
func textCollation(c *types.Column) any {
	if k := c.Type.Kind; k == types.KindChar || k == types.KindVarChar || k == types.KindText || len(c.Elems) > 0 {
		return c.Type.Collation.String()
	}
	return nil
}

// tableFacts is what SHOW TABLE STATUS and information_schema.TABLES say of a table.
type tableFacts struct {
	engine, version, format                 any
	rows, avgRow, data, auto, created, coll any
	options                                 any // NULL for a view
	comment                                 string
}

// none is the size of what tables do not have; of a view nothing is said.
func (f tableFacts) none() any {
	if f.version == nil {
		return nil
	}
	return 0
}

func (t schemaTable) facts(e *stmt.Env) tableFacts {
	switch {
	case t.view != nil:
		return tableFacts{created: e.When(t.view.CreatedMs), comment: userView}
	case t.table == nil:
		return tableFacts{version: 10, rows: 0, data: 0, avgRow: 0, options: "", comment: t.system.Doc}
	}
	var rows, bytes int64
	for tab := range e.Catalog.TabletsOfTable(t.table) {
		var s stmt.Size
		s.Add(e, tab)
		rows, bytes = rows+s.Rows, bytes+stmt.OneCopy(e, tab)
	}
	f := tableFacts{engine: define.EngineName, version: 10, format: "Dynamic", rows: rows, data: bytes, avgRow: bytes / max(rows, 1),
		created: e.When(t.table.CreatedMs), coll: t.table.Collation.String(), options: "", comment: t.table.Comment}
	if t.table.Partition != nil {
		f.options = "partitioned"
	}
	for i := range t.table.Schema.Columns {
		if t.table.Schema.Columns[i].AutoIncrement {
			f.auto = e.Catalog.NextAutoIncrement(t.table.ID)
		}
	}
	return f
}
