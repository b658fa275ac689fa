// Package session is a client's SQL session in an FE: it splits and parses what the client sends, plans it against one
// catalog snapshot, runs it, and writes through transactions.
//
// A session owns its variables, its prepared statements and at most one open transaction. It is used by one goroutine
// at a time, the one of its connection.
package session

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"stele/conf"
	"stele/fe/account"
	"stele/fe/ddl"
	"stele/fe/dist"
	"stele/fe/lease"
	"stele/fe/server"
	"stele/fe/session/sequences"
	"stele/fe/session/vars"
	"stele/fe/stmt"
	"stele/fe/txn"
	"stele/fe/userlock"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/define"
	"stele/sql/errno"
	"stele/sql/exec"
	"stele/sql/parse"
	"stele/sql/plan"
	"stele/sql/syntax"
)

// Log is the metadata log.
type Log interface {
	Current() *catalog.Catalog
	Propose(ctx context.Context, cmds ...command.Command) ([]catalog.Result, error)
	// ReadIndex returns when Current holds everything that was committed before the call.
	ReadIndex(ctx context.Context) (uint64, error)
}

// Tables makes and unmakes tables.
type Tables interface {
	// AwaitFirstBackend waits for the first BE of a cluster that has just been made.
	AwaitFirstBackend(ctx context.Context)
	// Create returns the id of the new table. This and those below tell which replicas could not be made.
	Create(ctx context.Context, table catalog.Table) (types.TableID, ddl.Shortage, error)
	AddPartition(ctx context.Context, table *catalog.Table, part catalog.Partition) (ddl.Shortage, error)
	Truncate(ctx context.Context, table *catalog.Table, parts []types.PartitionID, unreferenced bool) (ddl.Shortage, error)
	BeginChange(ctx context.Context, table, to *catalog.Table, keys []catalog.UniqueKey, until time.Time) ([]types.TableID, ddl.Shortage, error)
}

// Settings are read at each use.
type Settings struct {
	QueryMem     int64
	SpillDir     string
	LockWait     time.Duration
	WriteTimeout time.Duration
	// TemporaryKeep is how long an FE is silent before the tables of its sessions are dropped.
	TemporaryKeep time.Duration
	Defaults      define.Defaults
}

// Parts are what sessions are made of.
type Parts struct {
	Name    string // of this FE
	Log     Log
	Parser  *parse.Parser
	Scanner *dist.Scanner
	Txns    *txn.Coordinator
	Tables  Tables
	Members stmt.Members
	Control stmt.Control
	Checker stmt.Checker
	// Backend reaches a BE.
	Backend func(types.BEID) (bepb.BackendClient, error)
	Leader  Leader // nil = this FE alone
	// UserLocks has those of GET_LOCK; nil = this FE is alone.
	UserLocks *userlock.Keeper
	Group     stmt.Group // nil = this FE alone
	Image     func(ctx context.Context) (bool, error)
	// Others lists the sessions of the other FEs; nil = there are none.
	Others func() []stmt.Process
	// OthersUse reports whether something is under way on the other FEs that locks of some tables, or of all, have to wait for (Uses), and whether one
	// has not answered; nil = there are none.
	OthersUse func(ctx context.Context, tables []types.TableID, all bool) (busy, silent bool)
	// OtherTxns lists the transactions that run on the other FEs; nil = there are none.
	OtherTxns func() []stmt.Transaction
	Conf      *conf.Live
	Frontends func() []stmt.Frontend
	// Strangers lists what of other clusters the nodes have met; nil = nothing is known.
	Strangers func() []stmt.Stranger
	Settings  func() Settings
	// QueryMem is what all queries together may hold, beyond which they spill; nil = each its own limit.
	QueryMem *exec.Memory
	Version  string
	Kill     func(ctx context.Context, by server.ConnInfo, id uint64, queryOnly bool) error
	// Silent is for how long the leading FE has heard nothing of another one, 0 = this FE does not lead; nil = it is alone.
	Silent func(fe string) time.Duration
	// End ends a connection of this FE; nil = there are none.
	End func(conn uint64)
	// Traffic is what the MySQL endpoint counts; nil = there is none.
	Traffic func() server.Stats
	Started time.Time
	Logger  *slog.Logger
}

// Shared is what all sessions of an FE share.
type Shared struct {
	Parts

	sequences *sequences.Set
	queries   atomic.Int64
	live      sync.Map // connection id -> *Session
	points    points
	promises  promises
	claims    claims
	defining  definitions
	lease     *lease.Lease // of the tables that sessions claim
}

// New returns what sessions share.
func New(p Parts) *Shared {
	if p.UserLocks == nil {
		p.UserLocks = userlock.Alone(p.Name)
	}
	sh := &Shared{Parts: p, sequences: sequences.New(p.Log)}
	sh.lease = sh.newLease()
	return sh
}

// Session is one client's session. It implements server.Session.
type Session struct {
	sh   *Shared
	info server.ConnInfo
	db   string
	vars *vars.Values

	tx           *txn.Txn
	snapshot     *catalog.Catalog // of the open transaction
	unread       bool             // the open transaction has seen no rows but those that it has locked: it may move on to a newer snapshot
	inTx         bool
	txSince      time.Time   // when the statement began that has opened the transaction
	txReadOnly   bool        // the open transaction refuses writes
	committed    bool        // each statement of the open transaction sees what is committed by then (READ COMMITTED)
	nextReadOnly bool        // SET TRANSACTION READ ONLY, of the next transaction
	nextLevel    string      // SET TRANSACTION ISOLATION LEVEL, of the next transaction; "" = that of the session
	marks        []savepoint // of the open transaction, in order
	mayLockNames bool        // GET_LOCK was said
	picked       *picked     // what the query that runs has locked with SKIP LOCKED; nil = it has not said so
	locked       *tableLocks // of LOCK TABLES; nil = it was not said
	contended    bool        // the statement has met a row lock that it did not wait for
	inVain       error       // why the point path had no leader for the statement
	lastInsertID uint64
	foundRows    int64
	affected     int64 // ROW_COUNT(): -1 = the last statement gave rows, or failed
	warnings     diagnostics
	before       diagnostics       // of the statement before, for @@warning_count
	named        map[string]string // PREPARE name -> text
	temps        temporaries
	active       []model.AccountName // the roles that SET ROLE has activated, or the login
	granted      granted
	spoken       spoken
	account      string // name@host of accountName

	stateMu sync.Mutex
	state   stmt.Process

	targets []*plan.InsertTarget // of the last INSERTs of literals, the newest first
}

// Open starts a session.
func (sh *Shared) Open(ctx context.Context, info server.ConnInfo) (*Session, error) {
	s := &Session{sh: sh, info: info, account: info.Account.User + "@" + info.Account.Host, named: map[string]string{}}
	s.state = stmt.Process{ID: info.ID, User: info.User, Host: cmp.Or(info.Address, info.Host)}
	s.freshVars()
	s.beginRoles()
	if info.DB != "" {
		if err := s.UseDB(ctx, info.DB); err != nil {
			return nil, err
		}
	}
	s.note(sleeping, "")
	sh.live.Store(info.ID, s)
	return s, nil
}

// freshVars gives the session the variables of a new one.
func (s *Session) freshVars() {
	begin := s.sh.globals(s.sh.Log.Current())
	if s.info.Interactive {
		begin["wait_timeout"] = begin["interactive_timeout"]
	}
	s.vars = vars.New(begin)
	s.vars.Global = s.globalOf
	s.vars.Dynamic = func(name string) (uint64, bool) {
		switch name {
		case "warning_count":
			return uint64(s.before.count), true
		case "error_count":
			return uint64(s.before.errors()), true
		case "last_insert_id", "identity":
			return s.lastInsertID, true
		}
		return 0, false
	}
}

// Processes lists the sessions of this FE.
func (sh *Shared) Processes() []stmt.Process {
	var out []stmt.Process
	sh.live.Range(func(_, v any) bool {
		p := v.(*Session).process()
		p.Text = account.Redact(p.Text)
		out = append(out, p)
		return true
	})
	return out
}

// OldestRead returns for how long the oldest statement or transaction of this FE has read the state that it reads; 0 = none does. Backends keep
// that readable.
func (sh *Shared) OldestRead() time.Duration {
	oldest := time.Time{}
	sh.live.Range(func(_, v any) bool {
		if at := v.(*Session).readsSince(); !at.IsZero() && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
		return true
	})
	if oldest.IsZero() {
		return 0
	}
	return max(time.Since(oldest), time.Millisecond)
}

// readsSince returns since when the session reads a state, zero = it reads none.
func (s *Session) readsSince() time.Time {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	if s.state.Txn.Reads.IsZero() && s.state.Command != sleeping {
		return s.state.Since
	}
	return s.state.Txn.Reads
}

// sleeping is what a session does between statements.
const sleeping = "Sleep"

// note records what the session is doing, for SHOW PROCESSLIST, and since when it reads what it reads.
func (s *Session) note(command, text string) {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	s.state.Txn = s.openTxn()
	s.state.DB, s.state.Command, s.state.Since, s.state.Text = s.db, command, time.Now(), text
}

// openTxn describes the open transaction after a statement that note has recorded.
func (s *Session) openTxn() stmt.OpenTxn {
	if !s.inTx {
		return stmt.OpenTxn{}
	}
	if s.txSince.IsZero() {
		s.txSince = s.state.Since
	}
	o := stmt.OpenTxn{Since: s.txSince, Committed: s.committed, ReadOnly: s.txReadOnly}
	if s.tx != nil {
		o.ID = s.tx.ID()
	}
	if s.snapshot != nil && !s.movesOn() {
		if o.Reads = s.state.Txn.Reads; o.Reads.IsZero() {
			o.Reads = s.state.Since // of the statement that has bound it
		}
	}
	return o
}

// noteLocks records which locks of whole tables the session has, and for which of others it waits.
func (s *Session) noteLocks(awaits uint64) {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	s.state.Locks, s.state.Awaits = s.lockID(), awaits
}

// process is what note has recorded.
func (s *Session) process() stmt.Process {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	return s.state
}

// UseDB changes the default database.
func (s *Session) UseDB(ctx context.Context, db string) error {
	_, ok := s.sh.Log.Current().Database(db)
	if !ok && !stmt.MadeUp(s.sh.Log.Current(), db) {
		if _, err := s.sh.Log.ReadIndex(ctx); err != nil { // another FE may have made it just now
			return s.translate(ctx, "USE "+db, err)
		}
		_, ok = s.sh.Log.Current().Database(db)
	}
	if err := s.checkUse(db); err != nil {
		return err
	}
	if !ok && !stmt.MadeUp(s.sh.Log.Current(), db) {
		return sqlErr(errno.UnknownDatabase, "Unknown database '%s'", db)
	}
	s.db = db
	return s.followDatabase(db)
}

// followDatabase has collation_database and character_set_database be those of the default database.
func (s *Session) followDatabase(name string) error {
	collation := types.CollationBinary // of a database that the FE makes up, as of the server
	if db, ok := s.sh.Log.Current().Database(name); ok {
		collation = db.Collation
	}
	if now := s.vars.Text("collation_database"); now == collation.String() {
		return nil
	}
	if err := s.vars.Assign("character_set_database", collation.Charset()); err != nil {
		return err
	}
	return s.vars.Assign("collation_database", collation.String())
}

// Reset brings the session back to the state after the login.
func (s *Session) Reset(ctx context.Context) error {
	err := s.rollback(ctx)
	s.endLocks()
	s.unlockTables(ctx)
	s.dropTemporaries(ctx)
	s.freshVars()
	s.beginRoles()
	s.spend()
	s.foundRows = 0
	s.named = map[string]string{}
	s.lastInsertID, s.affected, s.warnings = 0, 0, diagnostics{}
	return err
}

// Status returns the status flags as of now.
func (s *Session) Status() uint16 {
	var f uint16
	if s.vars.Now().Autocommit {
		f |= server.StatusAutocommit
	}
	if s.inTx {
		f |= server.StatusInTransaction
	}
	return f
}

// Limits are wait_timeout and max_allowed_packet.
func (s *Session) Limits() (idle time.Duration, packet int) {
	f := s.vars.Now()
	return f.WaitTimeout, f.MaxPacket
}

// Statistics is the one-line answer to COM_STATISTICS.
func (s *Session) Statistics() string {
	return fmt.Sprintf("Uptime: %d  Threads: %d  Questions: %d  Slow queries: 0  Opens: 0  Open tables: 0  Queries per second avg: %.3f",
		int(time.Since(s.sh.Started).Seconds()), len(s.sh.Processes()), s.sh.queries.Load(),
		float64(s.sh.queries.Load())/max(time.Since(s.sh.Started).Seconds(), 1))
}

// Close rolls back what is open and frees the session.
func (s *Session) Close() {
	s.sh.live.CompareAndDelete(s.info.ID, s) // another user may have come to the connection
	if err := s.rollback(context.Background()); err != nil {
		s.sh.Logger.Debug("rollback at close", "conn", s.info.ID, "err", err)
	}
	s.endLocks()
	s.unlockTables(context.Background())
	s.dropTemporaries(context.Background())
}

// mode is the session's sql_mode as the tokenizer needs it.
func (s *Session) mode() syntax.Mode { return s.vars.Now().Mode }

// Query runs the statements of one text.
func (s *Session) Query(ctx context.Context, sql string, w server.ResultWriter) error {
	s.note("Query", sql)
	defer s.note(sleeping, "")
	if err := s.intact(); err != nil {
		return s.fail(ctx, sql, err)
	}
	out := s.output(w)
	if done, err := s.pointText(ctx, sql, out); done {
		if err != nil {
			return s.fail(ctx, sql, err)
		}
		return nil
	}
	if done, err := s.insertText(ctx, sql, out); done {
		return err
	}
	pieces := syntax.Split(sql, s.mode())
	if len(pieces) > 1 && !w.MultiStatements() {
		return syntax.NewError(sql, pieces[1].Offset, "end of statement")
	}
	if len(pieces) == 0 {
		return sqlErr(errno.EmptyQuery, "Query was empty")
	}
	for i, p := range pieces {
		if i > 0 {
			if err := s.intact(); err != nil {
				return s.fail(ctx, p.Text, err)
			}
			out = s.output(w)
		}
		out.more = i < len(pieces)-1
		if err := s.run(ctx, p.Text, nil, out); err != nil {
			return s.fail(ctx, p.Text, err)
		}
	}
	return nil
}

// intact refuses a statement of a session whose locks or tables may be lost. Every way to run one asks first.
func (s *Session) intact() error {
	if err := s.keepsLocks(); err != nil {
		return err
	}
	return s.fenced()
}

// insertText runs a text that is one INSERT of literals, without looking for further statements first.
func (s *Session) insertText(ctx context.Context, sql string, out *output) (done bool, err error) {
	if !mayInsert(sql) || s.locked != nil {
		return false, nil
	}
	ctx, cancel := s.timed(ctx)
	defer cancel()
	if done, err = s.fastInsert(ctx, sql, out); err != nil {
		err = s.fail(ctx, sql, err)
	}
	return done, err
}

// run runs one statement.
func (s *Session) run(ctx context.Context, sql string, params []plan.Param, out *output) error {
	if done, err := s.pointWrite(ctx, sql, params, out); done {
		return err
	}
	ctx, cancel := s.timed(ctx)
	defer cancel()
	if len(params) == 0 && s.locked == nil {
		if done, err := s.fastInsert(ctx, sql, out); done {
			return err
		}
	}
	s.sh.queries.Add(1)
	st, err := s.parsed(sql)
	if err != nil {
		return err
	}
	if len(st.Params) != len(params) {
		return sqlErr(errno.WrongArguments, "Incorrect arguments to EXECUTE: %d parameters, %d given", len(st.Params), len(params))
	}
	return outOfTime(ctx, s.dispatch(ctx, &st, params, out))
}

// timed ends a statement that runs longer than max_execution_time allows.
func (s *Session) timed(ctx context.Context) (context.Context, context.CancelFunc) {
	d := s.vars.Now().MaxExecution
	if d == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, d, sqlErr(errno.QueryTimeout, "Query execution was interrupted, maximum statement execution time exceeded"))
}

// dispatch runs a parsed statement.
func (s *Session) dispatch(ctx context.Context, st *parse.Statement, params []plan.Param, out *output) error {
	if _, ok := st.Node.(*parse.SelectStmt); !ok {
		s.inVain = nil
	}
	s.before = s.warnings
	if !isDiagnostic(st) {
		s.warnings = diagnostics{}
	}
	if err := s.allow(ctx, st); err != nil {
		return err
	}
	if s.locked != nil {
		if err := s.underLocks(ctx, st); err != nil {
			return err
		}
	}
	switch {
	case st.Admin != nil:
		return s.admin(ctx, st, out)
	case st.Alter != nil:
		return s.alterTable(ctx, st, out)
	}
	switch n := st.Node.(type) {
	case *parse.SelectStmt, *parse.SetOprStmt:
		return s.query(ctx, st.Node, params, out)
	case *parse.IntoStmt:
		return s.selectInto(ctx, n, params, out)
	case *parse.InsertStmt:
		return s.insert(ctx, n, params, out)
	case *parse.LoadDataStmt:
		return s.load(ctx, n, out)
	case *parse.UpdateStmt:
		return s.update(ctx, n, params, out)
	case *parse.DeleteStmt:
		return s.delete(ctx, n, params, out)
	case *parse.ShowStmt:
		return s.show(ctx, n, out)
	case *parse.ExplainStmt:
		return s.explain(ctx, n, params, out)
	case *parse.SetStmt:
		return s.setVariables(ctx, st, n, params, out)
	case *parse.UseStmt:
		return s.use(ctx, n, out)
	case *parse.SetRoleStmt:
		return s.setRole(ctx, n, out)
	case *parse.SavepointStmt:
		return s.setSavepoint(n, out)
	case *parse.ReleaseSavepointStmt:
		return s.release(n.Name, out)
	case *parse.BeginStmt, *parse.CommitStmt, *parse.RollbackStmt:
		return s.transaction(ctx, st, out)
	case *parse.PrepareStmt, *parse.ExecuteStmt, *parse.DeallocateStmt:
		return s.namedStatement(ctx, st.Node, out)
	case *parse.KillStmt:
		return s.kill(ctx, n, out)
	case *parse.DoStmt:
		return s.do(ctx, n, params, out)
	case *parse.CreateUserStmt, *parse.AlterUserStmt, *parse.DropUserStmt, *parse.RenameUserStmt, *parse.SetPwdStmt, *parse.GrantStmt, *parse.RevokeStmt,
		*parse.DefaultRolesStmt, *parse.SetDefaultRoleStmt, *parse.GrantRoleStmt, *parse.GrantAdminStmt, *parse.RevokeRoleStmt:
		return s.changeAccounts(ctx, st.Node, out)
	case *parse.LockTablesStmt, *parse.UnlockTablesStmt, *parse.FlushStmt, *parse.AnalyzeTableStmt:
		return s.maintain(ctx, st.Node, out)
	}
	return s.define(ctx, st, params, out)
}

// isDiagnostic reports whether a statement reads the warnings of the one before.
func isDiagnostic(st *parse.Statement) bool {
	n, ok := st.Node.(*parse.ShowStmt)
	return ok && (n.Tp == parse.ShowWarnings || n.Tp == parse.ShowErrors)
}

func (s *Session) use(ctx context.Context, n *parse.UseStmt, out *output) error {
	if err := s.UseDB(ctx, n.DBName); err != nil {
		return err
	}
	return out.done(server.Result{Schema: n.DBName})
}
