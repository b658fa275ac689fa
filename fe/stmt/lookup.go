package stmt

import (
	"slices"
	"strings"

	"stele/fe/account"
	"stele/meta/catalog"
	"stele/meta/model"
	"stele/meta/types"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
)

// Error numbers of StarRocks and of MySQL.
const (
	codeNoDatabase     = 1046
	codeUnknownDB      = 1049
	codeRefused        = 1064
	codeUnknownTable   = 1146
	codeNotSupported   = 1235
	codeConfig         = 5102
	codeNoSuchTable    = 5502
	stateGeneral       = "HY000"
	stateSyntax        = "42000"
	stateNoTable       = "42S02"
	stateNoDatabase    = "3D000"
	analysisErrorStart = "Getting analyzing error. Detail message: "
)

// analysis is the error of a statement whose words are right and whose meaning is not.
func analysis(format string, args ...any) error {
	return sqltypes.Errorf(codeRefused, stateGeneral, analysisErrorStart+format+".", args...)
}

// refusal is the error of a change that is not made.
func refusal(format string, args ...any) error {
	return sqltypes.Errorf(codeRefused, stateGeneral, format, args...)
}

// notSupported is the error for what MySQL knows and Stele does not do.
func notSupported(what string) error {
	return sqltypes.Errorf(codeNotSupported, stateSyntax, "This version of Stele doesn't yet support '%s'", what)
}

// database finds a database by name; "" is the session's.
func (e *Env) database(name string) (*catalog.Database, error) {
	if name == "" {
		name = e.DB
	}
	if name == "" {
		return nil, sqltypes.Errorf(codeNoDatabase, stateNoDatabase, "No database selected")
	}
	db, ok := e.Catalog.Database(name)
	if !ok {
		return nil, sqltypes.Errorf(codeUnknownDB, stateSyntax, "Unknown database '%s'", name)
	}
	return db, nil
}

// tableArg finds the table that an argument names, for statements of the replica manual.
func (e *Env) tableArg(a syntax.Args, name string) (*catalog.Database, *catalog.Table, error) {
	dbName, tblName := a.Table(name)
	if dbName == "" {
		dbName = e.DB
	}
	if dbName == "" {
		return nil, nil, sqltypes.Errorf(codeNoDatabase, stateNoDatabase, "No database selected")
	}
	db, ok := e.Catalog.Database(dbName)
	if !ok {
		return nil, nil, analysis("Database %s does not exist", dbName)
	}
	t, ok := e.Catalog.Table(db.ID, tblName)
	if !ok {
		return nil, nil, analysis("Table does not exist or is not OLAP table: %s", tblName)
	}
	return db, t, nil
}

// userTableArg finds the table that an argument names, for SHOW statements that any user may send: the errors are MySQL's.
func (e *Env) userTableArg(a syntax.Args, name string) (*catalog.Table, error) {
	return e.userTable(a.Table(name))
}

// userTable finds a table by name as userTableArg does.
func (e *Env) userTable(dbName, tblName string) (*catalog.Table, error) {
	db, err := e.database(dbName)
	if err != nil {
		return nil, err
	}
	t, ok := e.Catalog.Table(db.ID, tblName)
	if ok && !e.sees(db.Name, tblName) {
		return nil, account.Denied(e.User, account.Need{Privileges: model.PrivSelect, Database: db.Name, Table: tblName})
	}
	if !ok {
		return nil, sqltypes.Errorf(codeUnknownTable, stateNoTable, "Table '%s.%s' doesn't exist", db.Name, tblName)
	}
	return t, nil
}

// tableParts finds the table that a statement of operators names, and those of its partitions that it names.
func (e *Env) tableParts(a syntax.Args) (*catalog.Table, []*catalog.Partition, error) {
	_, t, err := e.tableArg(a, "table")
	if err != nil {
		return nil, nil, err
	}
	parts, err := partitionsArg(t, a, "partitions")
	return t, parts, err
}

// partitionsArg returns the partitions that an argument names, in its order; all of them when it is absent.
func partitionsArg(t *catalog.Table, a syntax.Args, name string) ([]*catalog.Partition, error) {
	if !a.Has(name) {
		return allParts(t), nil
	}
	if a.Has("TEMPORARY") {
		return nil, analysis("Temporary partitions are not supported")
	}
	var out []*catalog.Partition
	for _, want := range a.Names(name) {
		p := partitionNamed(t, want)
		if p == nil {
			return nil, analysis("Partition does not exist: %s", want)
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, nil
}

func allParts(t *catalog.Table) []*catalog.Partition {
	out := make([]*catalog.Partition, len(t.Parts))
	for i := range t.Parts {
		out[i] = &t.Parts[i]
	}
	return out
}

// withKeys adds to partitions of a table those of its unique keys that go with them: what befalls a hidden table befalls the table.
func (e *Env) withKeys(t *catalog.Table, parts []*catalog.Partition) []*catalog.Partition {
	out := slices.Clone(parts)
	for index := range e.Catalog.KeyTables(t) {
		for i := range min(len(t.Parts), len(index.Parts)) {
			if slices.ContainsFunc(parts, func(p *catalog.Partition) bool { return p.ID == t.Parts[i].ID }) {
				out = append(out, &index.Parts[i])
			}
		}
	}
	return out
}

// partitionNamed finds a partition; names compare without case.
func partitionNamed(t *catalog.Table, name string) *catalog.Partition {
	for i := range t.Parts {
		if strings.EqualFold(t.Parts[i].Name, name) {
			return &t.Parts[i]
		}
	}
	return nil
}

// place is where a tablet belongs.
type place struct {
	db    *catalog.Database
	table *catalog.Table
	part  *catalog.Partition
}

// placeOf finds where a tablet belongs.
func placeOf(cat *catalog.Catalog, tab *catalog.Tablet) (place, bool) {
	t, ok := cat.TableByID(tab.Table)
	if !ok {
		return place{}, false
	}
	db, ok := cat.DatabaseByID(t.DatabaseID)
	if !ok {
		return place{}, false
	}
	i := slices.IndexFunc(t.Parts, func(p catalog.Partition) bool { return p.ID == tab.Partition })
	if i < 0 {
		return place{}, false
	}
	return place{db: db, table: t, part: &t.Parts[i]}, true
}

// owner is the table that users know by name: of a hidden table of a unique key the one that has the key.
func (e *Env) owner(t *catalog.Table) *catalog.Table {
	if of, ok := e.Catalog.TableByID(t.IndexOf); ok && t.Hidden() {
		return of
	}
	return t
}

// indexName is what a table is called among those of its owner: the key's name where a unique key has it, else its own.
func (e *Env) indexName(t *catalog.Table) string {
	for _, k := range e.owner(t).Unique {
		if k.Enforced() && k.Index == t.ID {
			return k.Name
		}
	}
	return t.Name
}

// columnNames joins the names of columns.
func columnNames(t *catalog.Table, ids []types.ColumnID) string {
	names := make([]string, 0, len(ids))
	for _, id := range ids {
		if i := t.Schema.ColumnIndex(id); i >= 0 {
			names = append(names, t.Schema.Columns[i].Name)
		}
	}
	return strings.Join(names, ", ")
}
