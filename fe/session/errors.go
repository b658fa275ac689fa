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
	"stele/sql/plan"
)

// mysqlError gives the errors of the cluster their MySQL numbers.
func mysqlError(err error) error {
	var (
		refusal *txn.Refusal
		retry   *txn.RetryError
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
	)
	switch {
	case errors.Is(err, raftlog.ErrDropped) && !errors.As(err, &unknown):
		return sqlErr(1053, "08S01", "Server shutdown in progress: this FE was dropped from the cluster. Connect to another one")
	case errors.As(err, &alone) && !errors.As(err, &unknown):
		// 1205 is what clients and frameworks take for "try again", and it leaves the transaction open.
		return sqlErr(1205, "HY000", "The cluster has no leading FE now: %s; try again", alone.Error())
	case errors.As(err, &unknown):
		// SQLSTATE 08007: transaction resolution unknown.
		return sqlErr(1180, "08007", "Got error during COMMIT: %s. The transaction may or may not be in effect: look before you repeat it", unknown.Error())
	case errors.Is(err, raftlog.ErrOutcomeUnknown): // before what the answer of the FE that no longer leads says in its own words
		return sqlErr(1180, "08007", "The leading FE changed while the statement was on its way. It may or may not be in effect: look before you repeat it")
	case errors.As(err, &known):
		return known
	case errors.Is(err, raftlog.ErrNoRoom):
		return sqlErr(1021, "HY000", "Disk full: the file system of the leading FE's meta_dir has no room for the metadata log, nothing of the statement is in effect. "+
			"Free space there; commits are taken again about a second later")
	case errors.As(err, &restore):
		return sqlErr(1290, "HY000", "Nothing can be written now: %s", restore.Error())
	case errors.As(err, &refusal):
		return refusalError(refusal)
	case errors.As(err, &few):
		return sqlErr(codeRefused, "HY000", "The tablets could not be made: %s. Start the backends that are missing "+
			"(SHOW BACKENDS), or add one; a table with a smaller replication_num needs fewer", few.Error())
	case errors.As(err, &remote):
		return sqlErr(remote.Code, remote.State, "%s", remote.Msg)
	case errors.As(err, &exists):
		return namedError(existing, exists.Kind, exists.Name, exists)
	case errors.As(err, &none):
		return namedError(missing, none.Kind, none.Name, none)
	case errors.As(err, &changed), errors.As(err, &retry) && retry.Gone:
		return sqlErr(codeChanged, "HY000", "Table definition has changed, please retry transaction")
	case errors.As(err, &copies):
		return quorumError(copies)
	case errors.As(err, &retry):
		return sqlErr(1105, "HY000", "The write could not be done now, nothing of it is visible: %s. Try again, or look at SHOW BACKENDS and ADMIN SHOW REPLICA STATUS", retry.Error())
	}
	return sqlErr(1105, "HY000", "%s", err.Error())
}

// codeChanged is MySQL's ER_TABLE_DEF_CHANGED: what a statement reads was altered or dropped since its snapshot was taken.
const codeChanged = 1412

// outdated reports whether a statement fails only because of that: over a newer snapshot it may succeed.
func outdated(err error) bool {
	var known server.MySQLError
	if err == nil || errors.As(err, new(*txn.UnknownError)) || !errors.As(mysqlError(err), &known) {
		return false
	}
	code, _, _ := known.MySQL()
	return code == codeChanged
}

// outOfTime gives an error that only came of the end of the statement's time the number that says so.
func outOfTime(ctx context.Context, err error) error {
	var known server.MySQLError
	var unknown *txn.UnknownError
	if err == nil || ctx.Err() == nil || errors.As(err, &known) || errors.As(err, &unknown) {
		return err
	}
	if errors.As(context.Cause(ctx), &known) {
		return known
	}
	return err
}

// quorumError says what a write waited for in vain, and what helps.
func quorumError(e *catalog.ErrQuorum) error {
	return sqlErr(1105, "HY000", "The write could not be done, nothing of it is in effect: the write_quorum of the table asks for %d complete replicas of "+
		"tablet %d and %d took it. Start the backend that is missing (SHOW BACKENDS), or wait until its replicas are made anew on another one "+
		"(tablet_sched_be_down_tolerate_time_s), or go on with fewer copies: ALTER TABLE … SET ('write_quorum' = 'ONE') acknowledges what only one "+
		"backend has", e.Need, e.Tablet, e.Have)
}

func refusalError(r *txn.Refusal) error {
	switch r.Code {
	case bepb.WriteResponse_LOCK_TIMEOUT:
		return sqlErr(1205, "HY000", "Lock wait timeout exceeded; try restarting transaction")
	case bepb.WriteResponse_CONFLICT, bepb.WriteResponse_DEADLOCK:
		return sqlErr(1213, "40001", "Deadlock found when trying to get lock; try restarting transaction")
	case bepb.WriteResponse_DUPLICATE_KEY:
		return sqlErr(1062, "23000", "Duplicate entry for key 'PRIMARY'")
	case bepb.WriteResponse_DISK_FULL:
		return sqlErr(1114, "HY000", "The table is full: %s. Add a BE or room to the disk, or free some: TRUNCATE and DROP give it back soon, "+
			"DELETE within minutes, as long as half of what is reserved is free", r.Msg)
	}
	return sqlErr(1105, "HY000", "%s", r.Msg)
}

// unsupported refuses what MySQL has and Stele lacks.
func unsupported(what string) error {
	return sqlErr(1235, "42000", "This version of Stele doesn't yet support '%s'", what)
}

// named is an error whose text names something.
type named struct {
	code          uint16
	state, format string
}

// existing and missing are the errors of things that are there already, and of those that are not, by what they are.
var (
	existing = map[string]named{
		"database":    {1007, "HY000", "Can't create database '%s'; database exists"},
		"table":       {1050, "42S01", "Table '%s' already exists"},
		"key":         {1061, "42000", "Duplicate key name '%s'"},
		"partition":   {1517, "HY000", "Duplicate partition name %s"},
		"foreign key": {plan.CodeForeignKeyTwice, "HY000", "Duplicate foreign key constraint name '%s'"},
	}
	missing = map[string]named{
		"database":  {1049, "42000", "Unknown database '%s'"},
		"table":     {1146, "42S02", "Table '%s' doesn't exist"},
		"key":       {1091, "42000", "Can't DROP '%s'; check that column/key exists"},
		"partition": {1735, "HY000", "Unknown partition '%s'"},
	}
)

// namedError words an error of the catalog about a thing of some kind.
func namedError(texts map[string]named, kind, name string, err error) error {
	if n, ok := texts[kind]; ok {
		return sqlErr(n.code, n.state, n.format, name)
	}
	return sqlErr(1105, "HY000", "%s", err.Error())
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
	told := errors.Is(err, raftlog.ErrDropped) || errors.Is(err, raftlog.ErrOutcomeUnknown) || errors.As(err, new(*txn.UnknownError))
	if errors.As(err, &known) && !told { // of those the leading FE's words are only a part
		return known
	}
	if ctx.Err() != nil {
		cause := context.Cause(ctx)
		if errors.As(cause, &known) {
			return known
		}
		return sqlErr(1317, "70100", "Query execution was interrupted")
	}
	s.sh.Logger.Warn("statement failed", "conn", s.info.ID, "sql", abbreviate(sql), "err", err)
	return mysqlError(err)
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
