package server

import (
	"context"
	"time"

	"stele/meta/types"
	"stele/sql/vec"
)

// Authentication plugins that accounts may name.
const (
	PluginNative = "mysql_native_password"
	PluginSHA2   = "caching_sha2_password"
)

// Status flags that Session.Status may return.
const (
	StatusInTransaction = uint16(0x0001)
	StatusAutocommit    = uint16(0x0002)
)

// Engine runs statements for the connections of a Server. Its methods are called from many goroutines.
type Engine interface {
	// Account finds the account that a user coming from host would log in to.
	Account(user, host string) (Account, bool)
	// Open starts the session of a connection that has authenticated. Its error is sent instead of the login's OK.
	Open(ctx context.Context, info ConnInfo) (Session, error)
	// Kill ends the statement (queryOnly) or the whole connection id on behalf of the connection by. The engine
	// checks the privilege; for a connection of this FE it calls Server.Kill.
	Kill(ctx context.Context, by ConnInfo, id uint64, queryOnly bool) error
}

// Account is what a login needs to know of an account.
type Account struct {
	User       string // as in CREATE USER; "" = the anonymous one, which any user may come in under
	Host       string // the host pattern of the account, as in CREATE USER
	Plugin     string // PluginNative or PluginSHA2
	AuthString string // authentication_string as stored (see HashPassword); empty = no password
	Locked     bool
	RequireTLS bool
}

// ConnInfo says who a connection is.
type ConnInfo struct {
	ID          uint64 // CONNECTION_ID(); unique in the cluster, see ConnNode
	User        string // as given by the client
	Host        string // address of the client without the port
	Address     string // with it, where the client has one
	Account     Account
	DB          string            // initial database, "" = none
	Attrs       map[string]string // connection attributes
	TLS         bool
	TLSVersion  string // of a connection by TLS, as MySQL writes it: TLSv1.3
	Cipher      string // the suite of such a connection, by its name in RFC 8446 or RFC 5246
	Collation   uint8  // of the client's strings, a MySQL collation number
	FoundRows   bool   // an UPDATE reports the rows it found rather than the ones it changed
	Interactive bool
}

// Session is one client's SQL session. Its methods are called by one goroutine at a time.
type Session interface {
	// Query runs the text of one COM_QUERY. The text may hold several statements when w.MultiStatements says so:
	// each one's results end with w.Done, all but the last with Result.More. An error ends the whole text.
	Query(ctx context.Context, sql string, w ResultWriter) error
	Prepare(ctx context.Context, sql string) (Prepared, error)
	UseDB(ctx context.Context, db string) error
	// Reset brings the session back to the state after the login (COM_RESET_CONNECTION). Prepared statements have
	// been closed before.
	Reset(ctx context.Context) error
	// Limits are how long the client may be idle and how many bytes a command of it may have, as of now; 0 = as the server's Config says.
	Limits() (idle time.Duration, packet int)
	// Status returns the status flags (StatusAutocommit, StatusInTransaction) as of now.
	Status() uint16
	// Statistics is the one-line answer to COM_STATISTICS.
	Statistics() string
	// Close rolls back what is open and frees the session.
	Close()
}

// Prepared is a prepared statement of a session. It is used like its session, by one goroutine at a time.
type Prepared interface {
	Params() int       // how many ? there are
	Columns() []Column // of the result; empty if there is none, or if it is not known yet
	// Execute runs the statement. args and the bytes they refer to are valid until it returns.
	Execute(ctx context.Context, args []Param, w ResultWriter) error
	Close()
}

// ResultWriter takes the results of a statement: either Columns, Batch…, Done, or Done alone for a statement
// without a result set.
type ResultWriter interface {
	Columns(cols []Column) error
	// Batch encodes and sends rows. It blocks while the client is slow and fails once the statement is interrupted;
	// the batch may be reused afterwards.
	Batch(b *vec.Batch) error
	// Done ends the result. Unless r.More is set, it ends the command.
	Done(r Result) error
	// MultiStatements says whether the client may send several statements in one text.
	MultiStatements() bool
}

// Result is the outcome of one statement.
type Result struct {
	AffectedRows uint64
	LastInsertID uint64
	Warnings     uint16
	Info         string // as in "Rows matched: 1  Changed: 1  Warnings: 0"
	Schema       string // the new default database, when the statement changed it (USE): told to clients that track it
	More         bool   // the result of another statement of the same text follows
}

// Column flags that the type does not tell.
const (
	FlagPrimaryKey    = uint16(2)
	FlagUniqueKey     = uint16(4)
	FlagMultipleKey   = uint16(8)
	FlagZerofill      = uint16(64)
	FlagEnum          = uint16(256)
	FlagAutoIncrement = uint16(512)
	FlagSet           = uint16(2048)
	FlagNoDefault     = uint16(4096)
	FlagOnUpdateNow   = uint16(8192)
)

// Column is one column of a result set.
type Column struct {
	Name     string // as shown: the alias
	OrgName  string // of the table's column; "" for an expression
	Table    string // alias of the table
	OrgTable string
	DB       string
	Type     types.ColumnType
	Flags    uint16         // Flag… constants
	Bits     int32          // the width of a BIT, whose bytes are sent, or of a ZEROFILL; 0 = Type says all
	Zone     *time.Location // the session's time_zone, in which TIMESTAMP is shown; nil = UTC
}

// Param is one argument of an execution. Null aside, the value is in the field that suits Type.Kind:
//
//	integers                       Int (unsigned ones as their bit pattern, Type.Unsigned)
//	KindFloat, KindDouble          Float
//	KindDate, KindDateTime         Int, as vectors keep them (days; microseconds)
//	KindTime                       Int, signed microseconds
//	KindDecimal                    Bytes, the decimal as text
//	KindVarChar, KindVarBinary     Bytes
//
// Dates that no calendar knows (0000-00-00, 2024-02-31) arrive as KindVarChar text: whether such a value is
// accepted is up to the SQL mode.
type Param struct {
	Type  types.ColumnType
	Null  bool
	Int   int64
	Float float64
	Bytes []byte
}

// MySQLError is implemented by errors that know how they look to a client. An empty state is looked up by code.
type MySQLError interface {
	error
	MySQL() (code uint16, state, msg string)
}
