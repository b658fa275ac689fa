package session

import (
	"context"
	"errors"
	"strings"

	"stele/fe/account"
	"stele/fe/ddl"
	"stele/fe/dist"
	"stele/fe/quorum"
	"stele/fe/server"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/raftlog"
	"stele/meta/rpc"
	"stele/proto/bepb"
	"stele/sql/errno"
	sqltypes "stele/sql/types"
)

// mysqlError gives the errors of the cluster their MySQL numbers.
func mysqlError(err error) error {
	var (
		refusal *txn.Refusal
		retry   *txn.RetryError
		lost    *dist.LostRowsError
		unknown *txn.UnknownError
		few     *ddl.TooFewError
		none    *catalog.ErrNotFound
		exists  *catalog.ErrExists
		remote  *rpc.Error
		changed *dist.ChangedError
		alone   *quorum.NoLeaderError
		restore *catalog.ErrRestoring
		copies  *catalog.ErrQuorum
		known   server.MySQLError
		locked  *catalog.ErrLocked
		ended   *catalog.ErrUnlocked
	)
	switch {
	case errors.Is(err, raftlog.ErrDropped) && !errors.As(err, &unknown):
		return sqlErr(errno.ServerShutdown, "Server shutdown in progress: this FE was dropped from the cluster. Connect to another one")
	case errors.As(err, &alone) && !errors.As(err, &unknown):
		// 1205 is what clients and frameworks take for "try again", and it leaves the transaction open.
		return sqlErr(errno.LockWaitTimeout, "The cluster has no leading FE now: %s; try again", alone.Error())
	case errors.As(err, &unknown):
		// SQLSTATE 08007: transaction resolution unknown.
		return sqlErr(errno.OutcomeUnknown, "Got error during COMMIT: %s. The transaction may or may not be in effect: look before you repeat it", unknown.Error())
	case errors.Is(err, raftlog.ErrOutcomeUnknown): // before what the answer of the FE that no longer leads says in its own words
		return sqlErr(errno.OutcomeUnknown, "The leading FE changed while the statement was on its way. It may or may not be in effect: look before you repeat it")
	case errors.As(err, &known):
		return known
	case errors.As(err, &locked):
		return lockTimeout()
	case errors.As(err, &ended):
		return locksLost()
	case errors.Is(err, raftlog.ErrNoRoom):
		return sqlErr(errno.DiskFull, "Disk full: the file system of the leading FE's meta_dir has no room for the metadata log, nothing of the statement is in effect. "+
			"Free space there; commits are taken again about a second later")
	case errors.As(err, &restore):
		return sqlErr(errno.OptionPrevents, "Nothing can be written now: %s", restore.Error())
	case errors.As(err, &refusal):
		return refusalError(refusal)
	case errors.As(err, &few):
		return sqlErr(errno.UnknownError, "The tablets could not be made: %s. Start the backends that are missing "+
			"(SHOW BACKENDS), or add one; a table with a smaller replication_num needs fewer", few.Error())
	case errors.As(err, &remote):
		return &sqltypes.Error{Code: remote.Code, State: remote.State, Msg: remote.Msg}
	case errors.As(err, &exists):
		return namedError(existing, exists.Kind, exists.Name, exists)
	case errors.As(err, &none):
		return namedError(missing, none.Kind, none.Name, none)
	case errors.As(err, &changed) && changed.TooOld:
		return sqlErr(errno.TableDefinitionChanged, "What is read is too old, and rows of it are gone (snapshot_keep_max_s says for how long they are kept); run the transaction again")
	case errors.As(err, &changed), errors.As(err, &retry) && retry.Gone:
		return sqlErr(errno.TableDefinitionChanged, "Table definition has changed, please retry transaction")
	case errors.As(err, &copies):
		return quorumError(copies)
	case errors.As(err, &retry):
		return sqlErr(errno.LockWaitTimeout, "The write could not be done now, nothing of it is visible: %s. Try again, or look at SHOW BACKENDS and ADMIN SHOW REPLICA STATUS", retry.Error())
	case errors.As(err, &lost):
		return sqlErr(errno.LockWaitTimeout, "The write could not be done now, nothing of it is visible: %s. Try again, or look at SHOW BACKENDS and ADMIN SHOW REPLICA STATUS", lost.Error())
	}
	return sqlErr(errno.UnknownError, "%s", err.Error())
}

// outdated reports whether a statement fails only because of that: over a newer snapshot it may succeed.
func outdated(err error) bool {
	var known server.MySQLError
	if err == nil || errors.As(err, new(*txn.UnknownError)) || !errors.As(mysqlError(err), &known) {
		return false
	}
	code, _, _ := known.MySQL()
	return code == errno.TableDefinitionChanged
}

// outOfTime gives an error that only came of the end of the statement's time the number that says so.
func outOfTime(ctx context.Context, err error) error {
	var known server.MySQLError
	if err == nil || ctx.Err() == nil || errors.As(err, &known) || inDoubt(err) {
		return err
	}
	if errors.As(context.Cause(ctx), &known) {
		return known
	}
	return err
}

// quorumError says what a write waited for in vain, and what helps.
func quorumError(e *catalog.ErrQuorum) error {
	return sqlErr(errno.UnknownError, "The write could not be done, nothing of it is in effect: the write_quorum of the table asks for %d complete replicas of "+
		"tablet %d and %d took it. Start the backend that is missing (SHOW BACKENDS), or wait until its replicas are made anew on another one "+
		"(tablet_sched_be_down_tolerate_time_s), or go on with fewer copies: ALTER TABLE … SET ('write_quorum' = 'ONE') acknowledges what only one "+
		"backend has", e.Need, e.Tablet, e.Have)
}

func refusalError(r *txn.Refusal) error {
	switch r.Code {
	case bepb.WriteResponse_LOCK_TIMEOUT:
		return sqlErr(errno.LockWaitTimeout, "Lock wait timeout exceeded; try restarting transaction")
	case bepb.WriteResponse_CONFLICT, bepb.WriteResponse_DEADLOCK:
		return sqlErr(errno.Deadlock, "Deadlock found when trying to get lock; try restarting transaction")
	case bepb.WriteResponse_DUPLICATE_KEY:
		return sqlErr(errno.DuplicateEntry, "Duplicate entry for key 'PRIMARY'")
	case bepb.WriteResponse_DISK_FULL:
		return sqlErr(errno.TableFull, "The table is full: %s. Add a BE or room to the disk, or free some: TRUNCATE and DROP give it back soon, "+
			"DELETE within minutes, as long as half of what is reserved is free", r.Msg)
	}
	return sqlErr(errno.UnknownError, "%s", r.Msg)
}

// unsupported refuses what MySQL has and Stele lacks.
func unsupported(what string) error {
	return sqlErr(errno.NotSupported, "This version of Stele doesn't yet support '%s'", what)
}

// named is an error whose text names something.
type named struct {
	code   uint16
	format string
}

// existing and missing are the errors of things that are there already, and of those that are not, by what they are.
var (
	existing = map[string]named{
		"database":    {errno.DatabaseExists, "Can't create database '%s'; database exists"},
		"table":       {errno.TableExists, "Table '%s' already exists"},
		"key":         {errno.DuplicateKeyName, "Duplicate key name '%s'"},
		"partition":   {errno.SamePartitionName, "Duplicate partition name %s"},
		"foreign key": {errno.ForeignKeyNameTwice, "Duplicate foreign key constraint name '%s'"},
	}
	missing = map[string]named{
		"database":  {errno.UnknownDatabase, "Unknown database '%s'"},
		"table":     {errno.NoSuchTable, "Table '%s' doesn't exist"},
		"key":       {errno.CannotDropColumnOrKey, "Can't DROP '%s'; check that column/key exists"},
		"partition": {errno.UnknownPartition, "Unknown partition '%s'"},
	}
)

// namedError words an error of the catalog about a thing of some kind.
func namedError(texts map[string]named, kind, name string, err error) error {
	if n, ok := texts[kind]; ok {
		return sqlErr(n.code, n.format, name)
	}
	return sqlErr(errno.UnknownError, "%s", err.Error())
}

// fail gives the error of a statement the form that the client sees, and keeps it for SHOW WARNINGS.
func (s *Session) fail(ctx context.Context, sql string, err error) error {
	err = s.translate(ctx, sql, err)
	s.affected = -1
	var known server.MySQLError
	if errors.As(err, &known) {
		code, _, msg := known.MySQL()
		s.warnings = diagnostics{}
		s.warn("Error", code, msg)
	}
	return err
}

// translate gives an error the form that the client sees.
func (s *Session) translate(ctx context.Context, sql string, err error) error {
	var known server.MySQLError
	told := errors.Is(err, raftlog.ErrDropped) || inDoubt(err)
	if errors.As(err, &known) && !told { // of those the leading FE's words are only a part
		return known
	}
	if ctx.Err() != nil && inDoubt(err) { // that it was interrupted would say that nothing was done
		return sqlErr(errno.OutcomeUnknown, "Query execution was interrupted while the change was on its way. It may or may not be in effect: look before you repeat it")
	}
	if ctx.Err() != nil {
		cause := context.Cause(ctx)
		if errors.As(cause, &known) {
			return known
		}
		return sqlErr(errno.QueryInterrupted, "Query execution was interrupted")
	}
	s.sh.Logger.Warn("statement failed", "conn", s.info.ID, "sql", abbreviate(sql), "err", err)
	return mysqlError(err)
}

// inDoubt reports whether nobody knows what became of a change.
func inDoubt(err error) bool {
	return errors.Is(err, raftlog.ErrOutcomeUnknown) || errors.As(err, new(*txn.UnknownError))
}

// abbreviate cuts a statement for a log line, and takes passwords out.
func abbreviate(sql string) string {
	const limit = 200
	sql = account.Redact(sql)
	if len(sql) > limit {
		return strings.ToValidUTF8(sql[:limit], "") + "…"
	}
	return sql
}

// sqlErr makes an error with MySQL's number.
func sqlErr(code uint16, format string, args ...any) *sqltypes.Error {
	return sqltypes.Errorf(code, format, args...)
}
