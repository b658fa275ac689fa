// Package stmt is the registry of administrative statements and of everything that SHOW prints, and what their declarations are written with. The
// declarations are in the packages below: mysql, admin, operate and proc, each for whom its words are from. Package all links them.
//
// A statement is one declaration: its syntax, its help, its columns and its handler. What it shows is a table, and
// that table has several faces that follow from the declaration: the SHOW statement (with LIKE, WHERE, ORDER BY and
// LIMIT where the syntax offers a filter), the system table in stele or information_schema, and, for the tree of
// StarRocks, a SHOW PROC path.
//
// Handlers are functions of an Env, which gives them one catalog snapshot and small interfaces to the rest of the FE;
// they hold no state and start nothing.
package stmt

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"stele/fe/account"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/syntax"
	"stele/sql/vec"
)

// Column is one column of a table that is shown.
type Column struct {
	Name string
	Type types.ColumnType
	Doc  string
}

// Row is one row: string, an integer or id, float64, bool ("true"/"false" in a text column), time.Time in a time or date
// column, or nil for NULL.
type Row []any

// Filter is what a SHOW does with its rows before they are sent: the texts of its clauses, "" when absent. What Run and
// Show return has Like applied already.
type Filter struct {
	Like   string // on the first column
	Where  string
	Order  string
	Limit  string
	IsLike bool
}

// Result is what a statement came to: a table when Columns is set, else an OK.
type Result struct {
	Columns  []Column
	Rows     []Row
	Filter   Filter
	Affected uint64
	Info     string
	Notes    []string // for SHOW WARNINGS: what was not done, and why
	// Batches hold the rows instead of Rows when another FE has answered.
	Batches []*vec.Batch
}

// Statement declares one statement. Rows answers a table and Do acts; one of them is set.
type Statement struct {
	Name     string // unique, the words joined by _
	Table    string // the system table stele.<Table> that shows the same, for statements that need no argument
	Syntax   string
	Like     string // the column that LIKE looks at, "" = the first
	Doc      string
	Columns  []Column
	Rows     func(ctx context.Context, e *Env, a syntax.Args) ([]Row, error)
	Do       func(ctx context.Context, e *Env, a syntax.Args) (Result, error)
	Examples []string
	// Overrides says why a text that the MySQL parser also accepts is taken from it; "" = there is none.
	Overrides string
	// Open: any account may run it; what it may not see is left out. Else a statement that shows something needs PROCESS, and
	// one that acts SUPER.
	Open bool
	// Acts: it shows rows and changes something, too.
	Acts bool
	// Shows: Do makes a table whose columns depend on the arguments, and changes nothing.
	Shows bool
	// Local: the FE that has the session answers, from the catalog, the session or its own memory. Other statements go
	// to the leading FE, so that every FE answers alike.
	Local bool
	// Alone: while no FE leads, the FE that has the session answers from what it knows itself.
	Alone bool
}

// Table declares a system table that is not (or not only) a statement's.
type Table struct {
	Database string // one that the FE makes up
	Name     string
	Doc      string
	Columns  []Column
	Rows     func(ctx context.Context, e *Env) ([]Row, error)
	// Statement is the SHOW that prints the same, "" = none.
	Statement string
	// Local is as Statement.Local.
	Local bool
}

// The databases that the FE makes up.
const (
	SteleDB       = account.SteleSchema
	SchemaDB      = account.InformationSchema
	PerformanceDB = account.PerformanceSchema
	MySQLDB       = "mysql"
)

// registry collects the declarations; it is complete before main starts and never changes afterwards.
var registry struct {
	statements []*Statement
	tables     []*Table
}

// Register adds a statement. Faults in a declaration are bugs and stop the start.
func Register(s Statement) bool {
	if s.Name == "" || s.Doc == "" || len(s.Examples) == 0 || (s.Rows == nil) == (s.Do == nil) || (s.Rows != nil) && len(s.Columns) == 0 || (s.Rows == nil) && s.Table != "" {
		panic("BUG: incomplete declaration of statement " + s.Name)
	}
	registry.statements = append(registry.statements, &s)
	if s.Table != "" {
		RegisterTable(Table{Database: SteleDB, Name: s.Table, Doc: s.Doc, Columns: s.Columns, Statement: s.Name, Local: s.Local,
			Rows: func(ctx context.Context, e *Env) ([]Row, error) {
				all := *e
				all.DB = "" // a table does not depend on the session's database
				return s.Rows(ctx, &all, syntax.Args{})
			}})
	}
	return true
}

// RegisterTable adds a system table.
func RegisterTable(t Table) bool {
	if t.Database == "" || t.Name == "" || t.Doc == "" || t.Rows == nil || len(t.Columns) == 0 {
		panic("BUG: incomplete declaration of system table " + t.Name)
	}
	registry.tables = append(registry.tables, &t)
	return true
}

// Statements returns all statements by name.
func Statements() []*Statement {
	out := slices.Clone(registry.statements)
	slices.SortFunc(out, func(a, b *Statement) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Tables returns all system tables by database and name, those that statements declare included.
func Tables() []*Table {
	out := slices.Clone(registry.tables)
	slices.SortFunc(out, func(a, b *Table) int {
		return strings.Compare(a.Database+"."+a.Name, b.Database+"."+b.Name)
	})
	return out
}

// Run runs a statement that the router has matched.
func Run(ctx context.Context, e *Env, id string, a syntax.Args) (Result, error) {
	i := slices.IndexFunc(registry.statements, func(s *Statement) bool { return s.Name == id })
	if i < 0 {
		return Result{}, fmt.Errorf("BUG: no statement %s", id)
	}
	s := registry.statements[i]
	if s.Do != nil {
		return s.Do(ctx, e, a)
	}
	rows, err := s.Rows(ctx, e, a)
	return Result{Columns: s.Columns, Rows: rows, Filter: filterOf(a)}.Like(s.Like), err
}

// Like applies the LIKE of a filter to a column, which compares without case as MySQL's SHOW does, and leaves the rest.
func (r Result) Like(column string) Result {
	if r.Filter.IsLike {
		at := max(slices.IndexFunc(r.Columns, func(c Column) bool { return c.Name == column }), 0)
		r.Rows = slices.DeleteFunc(r.Rows, func(row Row) bool { return row[at] == nil || !MatchLike(r.Filter.Like, CellText(row[at])) })
		r.Filter.Like, r.Filter.IsLike = "", false
	}
	return r
}

// filterOf reads the clauses that syntaxes share: [LIKE <like:string>] [WHERE <where:expr>] [ORDER BY <order:expr>]
// [LIMIT <limit:expr>].
func filterOf(a syntax.Args) Filter {
	var f Filter
	if a.Has("like") {
		f.Like, f.IsLike = a.String("like"), true
	}
	if a.Has("where") {
		f.Where = a.Expr("where").Text
	}
	if a.Has("order") {
		f.Order = a.Expr("order").Text
	}
	if a.Has("limit") {
		f.Limit = a.Expr("limit").Text
	}
	return f
}

// SystemTable finds a system table; database names are compared without case.
func SystemTable(database, name string) (*Table, bool) {
	i := slices.IndexFunc(registry.tables, func(t *Table) bool {
		return strings.EqualFold(t.Database, database) && strings.EqualFold(t.Name, name)
	})
	if i < 0 {
		return nil, false
	}
	return registry.tables[i], true
}

// IsSystemDatabase reports whether a database is made up by the FE, so that none can be created under its name. Databases named mysql can
// be created, for dumps of other servers have it: it hides what the FE makes up (MadeUp).
func IsSystemDatabase(name string) bool {
	return slices.ContainsFunc(SystemDatabases, func(db string) bool { return strings.EqualFold(db, name) })
}

// SystemDatabases are made up always.
var SystemDatabases = []string{SchemaDB, PerformanceDB, SteleDB}

// MadeUp reports whether the tables that the FE makes up under the name of a database are to be seen.
func MadeUp(cat *catalog.Catalog, name string) bool {
	_, stored := cat.Database(name)
	return IsSystemDatabase(name) || strings.EqualFold(name, MySQLDB) && !stored
}
