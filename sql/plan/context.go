package plan

import (
	"fmt"
	"strings"
	"time"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
)

// Snapshot is one state of the catalog. Names are matched as the catalog sees fit.
type Snapshot interface {
	Database(name string) (*catalog.Database, bool)
	Table(database, name string) (*catalog.Table, bool)
	TableByID(id types.TableID) (*catalog.Table, bool)
	View(database, name string) (*catalog.View, bool)
	// Public is the table of a name that is everybody's, whatever the statement may do with it: a foreign key can refer to no other.
	Public(database, name string) (*catalog.Table, bool)
	DatabaseByID(id types.DatabaseID) (*catalog.Database, bool)
	// ReadBy is the snapshot as the query of a view may read it: by the rights of the view's definer, or its invoker.
	ReadBy(v *catalog.View, query ast.Node) (Snapshot, error)
}

// Stats knows how big tables are. Guesses are welcome: they steer join order and nothing else.
type Stats interface {
	Rows(id types.TableID) int64
}

// Param is one value bound to a "?" of a prepared statement.
type Param struct {
	Value expr.Value
	Type  types.ColumnType
}

// Context is everything a statement's plan depends on, apart from its text. Only Catalog is required.
type Context struct {
	Catalog   Snapshot
	CurrentDB string
	// Vars reads a variable: "@@name", "@@global.name", "@@session.name" or "@name", in lower case.
	Vars      func(name string) (expr.Value, types.ColumnType, bool)
	FoundRows int64 // FOUND_ROWS()
	RowCount  int64 // ROW_COUNT()
	// SafeUpdates is sql_safe_updates.
	SafeUpdates bool
	// NowMicros is the statement's time, microseconds since 1970 in UTC.
	NowMicros    int64
	TimeZone     *time.Location // nil = UTC
	SQLMode      string         // comma-separated, as @@sql_mode shows it
	User         string         // user@host, as USER() shows it
	Account      string         // name@host pattern of the account, as CURRENT_USER() shows it
	Role         string         // the active roles, as CURRENT_ROLE() shows them
	Version      string         // as VERSION() shows it
	ConnectionID uint64
	LastInsertID uint64
	// TellID is told what LAST_INSERT_ID() is from now on; nil = nobody wants to know.
	TellID func(uint64)
	Params []Param
	// Describe asks for a plan of a prepared statement whose parameters have no values yet (they count as NULL): only its
	// Schema means anything.
	Describe bool
	Stats    Stats
	// Sleep pauses the statement for SLEEP(); nil = the plan is only looked at.
	Sleep func(seconds float64) error
	// Repeat does something so many times for BENCHMARK(); nil = the plan is only looked at.
	Repeat func(times int64, once func() error) error
	// Locks are those of GET_LOCK(); nil = the statement may not call it.
	Locks UserLocks
	// System describes the tables that the FE makes up itself.
	System func(database, table string) ([]physical.OutColumn, bool)

	// ZeroDivisions is what planning tells: so many divisions by zero were worked out, each of which is a warning.
	ZeroDivisions int
	// Warnings are what a statement that writes has done otherwise than it says.
	Warnings Warnings

	// literal keeps plans as they were bound: no predicate moves, no join is reordered, nothing is pruned. Tests compare
	// what both kinds of plans answer.
	literal bool

	// slots, when set, has the planner mark what becomes of values, which are then Params.
	slots *slots
}

// Location returns the session's time zone.
func (c *Context) Location() *time.Location {
	if c.TimeZone == nil {
		return time.UTC
	}
	return c.TimeZone
}

// Strict reports whether a value that does not fit is an error.
func (c *Context) Strict() bool {
	return hasMode(c.SQLMode, "STRICT_TRANS_TABLES") || hasMode(c.SQLMode, "STRICT_ALL_TABLES") || hasMode(c.SQLMode, "TRADITIONAL")
}

// zoneName names the time zone for fragments; "" is UTC.
func (c *Context) zoneName() string {
	if loc := c.Location(); loc != time.UTC {
		return loc.String()
	}
	return ""
}

// rows estimates a table's size; a table never measured counts as middling, so that it is neither built on nor trusted.
func (c *Context) rows(id types.TableID) float64 {
	const unknownRows = 1000
	if c.Stats == nil {
		return unknownRows
	}
	if n := c.Stats.Rows(id); n > 0 {
		return float64(n)
	}
	return unknownRows
}

// BaseTable finds a table that is stored or says what is missing.
func (c *Context) BaseTable(db, name string) (*catalog.Table, error) {
	if db == "" {
		db = c.CurrentDB
	}
	if db == "" {
		return nil, errorf(errno.NoDatabase, "No database selected")
	}
	if t, ok := c.Catalog.Table(db, name); ok {
		return t, nil
	}
	if _, ok := c.Catalog.View(db, name); ok || c.shows(db, name) {
		return nil, errorf(errno.WrongObject, "'%s.%s' is not BASE TABLE", db, name)
	}
	if _, ok := c.Catalog.Database(db); !ok && !c.madeUp(db) {
		return nil, errorf(errno.UnknownDatabase, "Unknown database '%s'", db)
	}
	return nil, errorf(errno.NoSuchTable, "Table '%s.%s' doesn't exist", db, name)
}

// shows reports whether a table is one that is made up.
func (c *Context) shows(db, name string) bool {
	if c.System == nil || !c.madeUp(db) {
		return false
	}
	_, ok := c.System(db, name)
	return ok
}

// TableName names a table for Explain.
func (c *Context) TableName(id types.TableID) string {
	if t, ok := c.Catalog.TableByID(id); ok {
		return t.Name
	}
	return fmt.Sprintf("#%d", id)
}

// madeUp reports whether a database exists without being in the catalog. One that is in it hides what is made up under its name: who loads
// the dump of another server may make a database mysql.
func (c *Context) madeUp(db string) bool {
	switch strings.ToLower(db) {
	case "information_schema", "stele", "mysql", "performance_schema", "sys":
		_, stored := c.Catalog.Database(db)
		return !stored
	}
	return false
}
