package stmt

import (
	"fmt"
	"slices"
	"strings"

	"stele/fe/account"
	"stele/meta/catalog"
	"stele/meta/model"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
)

// AnalysisError is the error of a statement whose words are right and whose meaning is not.
func AnalysisError(format string, args ...any) error {
	return Refusal("Getting analyzing error. Detail message: "+format+".", args...)
}

// Refusal is the error of a change that is not made, as StarRocks gives it: the number of a syntax error without its SQLSTATE.
func Refusal(format string, args ...any) error {
	return &sqltypes.Error{Code: errno.Syntax, State: errno.General, Msg: fmt.Sprintf(format, args...)}
}

// NotSupported is the error for what MySQL knows and Stele does not do.
func NotSupported(what string) error {
	return sqltypes.NotSupported(what)
}

// Database finds a database by name; "" is the session's.
func (e *Env) Database(name string) (*catalog.Database, error) {
	if name == "" {
		name = e.DB
	}
	if name == "" {
		return nil, sqltypes.Errorf(errno.NoDatabase, "No database selected")
	}
	db, ok := e.Catalog.Database(name)
	if !ok {
		return nil, sqltypes.Errorf(errno.UnknownDatabase, "Unknown database '%s'", name)
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
		return nil, nil, sqltypes.Errorf(errno.NoDatabase, "No database selected")
	}
	db, ok := e.Catalog.Database(dbName)
	if !ok {
		return nil, nil, AnalysisError("Database %s does not exist", dbName)
	}
	t, ok := e.Catalog.Table(db.ID, tblName)
	if !ok {
		return nil, nil, AnalysisError("Table does not exist or is not OLAP table: %s", tblName)
	}
	return db, t, nil
}

// UserTableArg finds the table that an argument names, for SHOW statements that any user may send: the errors are MySQL's. They show
// nothing of its rows, so whoever may see all of the cluster may see it.
func (e *Env) UserTableArg(a syntax.Args, name string) (*catalog.Table, error) {
	if e.Operates() {
		all := *e
		all.Rights = nil
		e = &all
	}
	return e.UserTable(a.Table(name))
}

// UserTable finds a table by name as UserTableArg does.
func (e *Env) UserTable(dbName, tblName string) (*catalog.Table, error) {
	db, err := e.Database(dbName)
	if err != nil {
		return nil, err
	}
	t, ok := e.Catalog.Table(db.ID, tblName)
	if ok && !e.Sees(db.Name, tblName) {
		return nil, account.Denied(e.User, account.Need{Privileges: model.PrivSelect, Database: db.Name, Table: tblName})
	}
	if !ok {
		return nil, sqltypes.Errorf(errno.NoSuchTable, "Table '%s.%s' doesn't exist", db.Name, tblName)
	}
	return t, nil
}

// TableParts finds the table that a statement of operators names, and those of its partitions that it names.
func (e *Env) TableParts(a syntax.Args) (*catalog.Table, []*catalog.Partition, error) {
	_, t, err := e.tableArg(a, "table")
	if err != nil {
		return nil, nil, err
	}
	parts, err := PartitionsArg(t, a, "partitions")
	return t, parts, err
}

// PartitionsArg returns the partitions that an argument names, in its order; all of them when it is absent.
func PartitionsArg(t *catalog.Table, a syntax.Args, name string) ([]*catalog.Partition, error) {
	if !a.Has(name) {
		return AllParts(t), nil
	}
	if a.Has("TEMPORARY") {
		return nil, AnalysisError("Temporary partitions are not supported")
	}
	var out []*catalog.Partition
	for _, want := range a.Names(name) {
		p := PartitionNamed(t, want)
		if p == nil {
			return nil, AnalysisError("Partition does not exist: %s", want)
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, nil
}

// AllParts are the partitions of a table.
func AllParts(t *catalog.Table) []*catalog.Partition {
	out := make([]*catalog.Partition, len(t.Parts))
	for i := range t.Parts {
		out[i] = &t.Parts[i]
	}
	return out
}

// WithKeys adds to partitions of a table those of its unique keys that go with them: what befalls a hidden table befalls the table.
func (e *Env) WithKeys(t *catalog.Table, parts []*catalog.Partition) []*catalog.Partition {
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

// PartitionNamed finds a partition; names compare without case.
func PartitionNamed(t *catalog.Table, name string) *catalog.Partition {
	for i := range t.Parts {
		if strings.EqualFold(t.Parts[i].Name, name) {
			return &t.Parts[i]
		}
	}
	return nil
}

// Place is where a tablet belongs.
type Place struct {
	DB    *catalog.Database
	Table *catalog.Table
	Part  *catalog.Partition
}

// PlaceOf finds where a tablet belongs.
func PlaceOf(cat *catalog.Catalog, tab *catalog.Tablet) (Place, bool) {
	t, ok := cat.TableByID(tab.Table)
	if !ok {
		return Place{}, false
	}
	db, ok := cat.DatabaseByID(t.DatabaseID)
	if !ok {
		return Place{}, false
	}
	i := slices.IndexFunc(t.Parts, func(p catalog.Partition) bool { return p.ID == tab.Partition })
	if i < 0 {
		return Place{}, false
	}
	return Place{DB: db, Table: t, Part: &t.Parts[i]}, true
}

// Owner is the table that users know by name: of a hidden table of a unique key the one that has the key.
func (e *Env) Owner(t *catalog.Table) *catalog.Table {
	if of, ok := e.Catalog.TableByID(t.IndexOf); ok && t.Hidden() {
		return of
	}
	return t
}

// IndexName is what a table is called among those of its owner: the key's name where a unique key has it, else its own.
func (e *Env) IndexName(t *catalog.Table) string {
	for _, k := range e.Owner(t).Unique {
		if k.Enforced() && k.Index == t.ID {
			return k.Name
		}
	}
	return t.Name
}

// ColumnNames joins the names of columns.
func ColumnNames(t *catalog.Table, ids []types.ColumnID) string {
	names := make([]string, 0, len(ids))
	for _, id := range ids {
		if i := t.Schema.ColumnIndex(id); i >= 0 {
			names = append(names, t.Schema.Columns[i].Name)
		}
	}
	return strings.Join(names, ", ")
}
