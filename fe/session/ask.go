package session

import (
	"context"
	"fmt"
	"strings"
	"time"

	"stele/fe/account"
	"stele/fe/stmt"
	"stele/fe/stmt/mysql"
	"stele/meta/catalog"
	"stele/meta/model"
	"stele/sql/define"
	"stele/sql/errno"
	"stele/sql/parse"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
)

// Question is a statement, or a system table, that needs what only the leading FE knows, with what of the session its
// answer depends on.
type Question struct {
	Statement       string // or
	Database, Table string
	SessionDB       string
	User            string              // user@host
	Roles           []model.AccountName // that are active
	Zone            string
	Mode            string // sql_mode
	// Again: it only reads, so it may be asked again when the leader changed under it.
	Again bool
}

// Leader is how a session reaches the leading FE.
type Leader interface {
	// Leads reports whether it is this one.
	Leads() bool
	// Ask returns the answer of the leading FE.
	Ask(ctx context.Context, q Question) (stmt.Result, error)
}

// question describes the session.
func (s *Session) question() Question {
	zone := s.vars.Text("time_zone")
	mode := s.vars.Text("sql_mode")
	return Question{SessionDB: s.db, User: s.who(), Roles: s.active, Zone: zone, Mode: mode}
}

// elsewhere reports whether another FE has to answer what is not local.
func (s *Session) elsewhere(local bool) bool {
	return !local && s.sh.Leader != nil && !s.sh.Leader.Leads()
}

// askStatement has the leading FE run a statement.
func (s *Session) askStatement(ctx context.Context, text string, reads bool) (stmt.Result, error) {
	q := s.question()
	q.Statement, q.Again = text, reads
	return s.sh.Leader.Ask(ctx, q)
}

// askTable has the leading FE read a system table.
func (s *Session) askTable(ctx context.Context, t *stmt.Table) (stmt.Result, error) {
	q := s.question()
	q.Database, q.Table, q.Again = t.Database, t.Name, true
	return s.sh.Leader.Ask(ctx, q)
}

// Answer answers a question of another FE from this one, which leads.
func (sh *Shared) Answer(ctx context.Context, q Question) (stmt.Result, error) {
	r, err := sh.answer(ctx, q)
	if err != nil {
		return r, mysqlError(err)
	}
	return r, nil
}

func (sh *Shared) answer(ctx context.Context, q Question) (stmt.Result, error) {
	if _, err := sh.Log.ReadIndex(ctx); err != nil {
		return stmt.Result{}, err
	}
	zone, err := sqltypes.LoadLocation(q.Zone, time.UTC)
	if err != nil {
		return stmt.Result{}, fmt.Errorf("time zone of the session: %w", err)
	}
	e := sh.env(sh.Log.Current())
	e.DB, e.User, e.Zone = q.SessionDB, q.User, zone
	at := max(strings.LastIndexByte(q.User, '@'), 0)
	u, ok := account.Find(e.Catalog.Accounts(), q.User[:at], strings.TrimPrefix(q.User[at:], "@"))
	if ok {
		e.Account = model.AccountName{Name: u.Name, Host: u.Host}
	}
	e.Roles = account.StillHas(u, q.Roles)
	e.Rights = account.RightsOf(u, account.Behind(e.Catalog, u, q.Roles)...)
	if q.Statement == "" {
		return sh.answerTable(ctx, e, q)
	}
	st, err := sh.Parser.Parse(q.Statement, syntax.ParseMode(q.Mode))
	if err != nil {
		return stmt.Result{}, err
	}
	if st.Admin != nil {
		return stmt.Run(ctx, e, st.Admin.ID, st.Admin.Args)
	}
	if n, ok := st.Node.(*parse.ShowStmt); ok {
		return mysql.Show(ctx, e, n)
	}
	return stmt.Result{}, fmt.Errorf("BUG: another frontend asks for %q", abbreviate(q.Statement))
}

func (sh *Shared) answerTable(ctx context.Context, e *stmt.Env, q Question) (stmt.Result, error) {
	t, ok := stmt.SystemTable(q.Database, q.Table)
	if !ok {
		return stmt.Result{}, sqlErr(errno.NoSuchTable, "Table '%s.%s' doesn't exist", q.Database, q.Table)
	}
	rows, err := t.Rows(ctx, e)
	return stmt.Result{Columns: t.Columns, Rows: rows}, err
}

// env is what a statement of the registry may use, without what belongs to a session.
func (sh *Shared) env(cat *catalog.Catalog) *stmt.Env {
	return &stmt.Env{Catalog: cat, Now: time.Now(), Log: sh.Log, Members: sh.Members, Control: sh.Control, Checker: sh.Checker, Backend: sh.Backend,
		Transactions: sh.allTransactions, Conf: sh.Conf, Image: sh.Image,
		Frontends: sh.Frontends, Strangers: sh.Strangers, Group: sh.Group, Processes: sh.allProcesses, SetConfig: sh.setConfig,
		CreateTable: define.ShowCreateTable, View: viewFacts(cat), StaleKeys: sh.staleKeys(cat), Version: sh.Version, Started: sh.Started}
}

// allProcesses lists the sessions of all FEs that answer.
func (sh *Shared) allProcesses() []stmt.Process {
	out := sh.Processes()
	if sh.Others != nil {
		out = append(out, sh.Others()...)
	}
	return out
}

// leaderShows are the kinds of MySQL's SHOW that tell what only the leading FE knows.
func leaderShows(n *parse.ShowStmt) bool {
	return n.Tp == parse.ShowTableStatus || n.Tp == parse.ShowIndex
}

// hereShows are the kinds of MySQL's SHOW that tell of this FE and of the session, whatever the catalog holds.
func hereShows(n *parse.ShowStmt) bool {
	switch n.Tp {
	case parse.ShowVariables, parse.ShowStatus, parse.ShowWarnings, parse.ShowErrors, parse.ShowCharset, parse.ShowCollation,
		parse.ShowEngines, parse.ShowPrivileges, parse.ShowPlugins, parse.ShowProcessList, parse.ShowMasterStatus,
		parse.ShowReplicaStatus, parse.ShowProfiles:
		return true
	}
	return false
}
