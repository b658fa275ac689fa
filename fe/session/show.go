package session

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"stele/fe/account"
	"stele/fe/quorum"
	"stele/fe/stmt"
	"stele/fe/stmt/mysql"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/sql/exec"
	"stele/sql/expr"
	"stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/plan"
	"stele/sql/syntax"
)

// noteNotDone is the code of notes about what a statement has passed over (MySQL's general one).
const noteNotDone = 1105

// shownTable is the name under which the rows of a SHOW are filtered as if they were a table.
const shownTable = "shown"

// admin runs a statement of the registry.
func (s *Session) admin(ctx context.Context, st *parse.Statement, out *output) error {
	if !stmt.IsAlone(st.Admin.ID) {
		return s.adminOfLeader(ctx, st, out)
	}
	lctx, cancel := context.WithTimeout(ctx, aloneAfter)
	defer cancel()
	err := s.adminOfLeader(lctx, st, out)
	if err == nil || !s.leaderless(ctx, lctx, err) {
		return err
	}
	s.warn("Warning", noteNotDone, "No FE leads: this is what this FE knows by itself")
	return s.adminHere(ctx, st, out)
}

// aloneAfter is how long a statement that any FE can answer waits for a leader.
const aloneAfter = 2 * time.Second

// leaderless reports whether a statement failed, or its own time limit ended, because no FE leads.
func (s *Session) leaderless(ctx, limited context.Context, err error) bool {
	var none *quorum.NoLeaderError
	return ctx.Err() == nil && (limited.Err() != nil || errors.As(err, &none))
}

func (s *Session) adminOfLeader(ctx context.Context, st *parse.Statement, out *output) error {
	if s.elsewhere(stmt.IsLocal(st.Admin.ID)) {
		r, err := s.askStatement(ctx, st.Text, stmt.Reads(st.Admin.ID))
		if err != nil {
			return err
		}
		return s.answer(ctx, r, out)
	}
	if _, err := s.sh.Log.ReadIndex(ctx); err != nil {
		return err
	}
	return s.adminHere(ctx, st, out)
}

func (s *Session) adminHere(ctx context.Context, st *parse.Statement, out *output) error {
	r, err := stmt.Run(ctx, s.stmtEnv(s.sh.Log.Current()), st.Admin.ID, st.Admin.Args)
	if err != nil {
		return err
	}
	return s.answer(ctx, r, out)
}

// answer gives the client what a statement of the registry came to, on whichever FE it ran.
func (s *Session) answer(ctx context.Context, r stmt.Result, out *output) error {
	for _, note := range r.Notes {
		s.warn("Note", noteNotDone, note)
	}
	return s.table(ctx, r, out)
}

// show runs a SHOW of MySQL's grammar.
func (s *Session) show(ctx context.Context, n *parse.ShowStmt, out *output) error {
	if s.elsewhere(!leaderShows(n)) && !s.showsOwn(n) {
		text, err := parse.Restore(n)
		if err != nil {
			return err
		}
		r, err := s.askStatement(ctx, text, true)
		if err != nil {
			return err
		}
		return s.table(ctx, r, out)
	}
	if !hereShows(n) {
		if _, err := s.sh.Log.ReadIndex(ctx); err != nil {
			return err
		}
	}
	r, err := mysql.Show(ctx, s.stmtEnv(s.sh.Log.Current()), n)
	if err != nil {
		return err
	}
	return s.table(ctx, r, out)
}

// showsOwn reports whether a SHOW is about a table that only the session knows.
func (s *Session) showsOwn(n *parse.ShowStmt) bool {
	if n.Table == nil {
		return false
	}
	db := n.Table.Schema.O
	if db == "" {
		db = s.db
	}
	_, own := s.temps.named(s.sh.Log.Current(), db, n.Table.Name.O)
	return own
}

// stmtEnv is what a statement of the registry may use.
func (s *Session) stmtEnv(cat *catalog.Catalog) *stmt.Env {
	e := s.sh.env(cat)
	e.DB, e.User, e.Zone, e.Warnings, e.WarningCount = s.db, s.who(), s.vars.Zone(), s.warnings.list, s.warnings.count
	e.Account, e.Rights = s.accountName(), s.rights()
	u, _ := cat.Account(e.Account)
	e.Roles = account.StillHas(u, s.active)
	if len(s.temps) > 0 {
		e.Temporary = func(db *catalog.Database, name string) (*catalog.Table, bool) { return s.temps.find(cat, db.ID, name) }
	}
	e.Checksum = s.checksum
	e.Variables = s.vars.Rows()
	e.Status = s.status
	e.Globals = func() []stmt.Variable { return s.globalVars().Rows() }
	return e
}

// setConfig makes a configuration change that other FEs and a restart keep.
func (sh *Shared) setConfig(ctx context.Context, key, value string) error {
	out, err := sh.Log.Propose(ctx, &command.SetConfig{Key: key, Value: value})
	if err != nil {
		return err
	}
	return out[0].Err
}

// filter applies LIKE, WHERE, ORDER BY and LIMIT to the rows of a SHOW, by running them as a query over those rows.
func (s *Session) filter(ctx context.Context, r stmt.Result) (exec.Stream, error) {
	f := r.Filter
	all := r.Vectors()
	if !f.IsLike && f.Where == "" && f.Order == "" && f.Limit == "" {
		return &batches{left: all}, nil
	}
	var sql strings.Builder
	sql.WriteString("SELECT * FROM stele." + shownTable)
	if f.IsLike {
		sql.WriteString(" WHERE " + syntax.QuoteName(r.Columns[0].Name) + " LIKE '" + strings.ReplaceAll(f.Like, "'", "''") + "'")
	} else if f.Where != "" {
		sql.WriteString(" WHERE " + f.Where)
	}
	if f.Order != "" {
		sql.WriteString(" ORDER BY " + f.Order)
	}
	if f.Limit != "" {
		sql.WriteString(" LIMIT " + f.Limit)
	}
	st, err := s.sh.Parser.Parse(sql.String(), s.mode())
	if err != nil {
		return nil, err
	}
	if err := s.check(ctx, filterNeeds(st.Node)); err != nil {
		return nil, err
	}
	now := s.clock()
	pctx := s.planContext(s.sh.Log.Current(), now, nil)
	pctx.System = func(string, string) ([]physical.OutColumn, bool) {
		return outColumns(r.Columns, "stele", shownTable), true
	}
	p, err := plan.Select(pctx, st.Node)
	if err != nil {
		return nil, err
	}
	return exec.Build(p, &exec.Env{Expr: expr.Context{Loc: s.vars.Zone(), NowMicros: now.UnixMicro()},
		System: func(context.Context, *physical.System) (exec.Stream, error) { return &batches{left: all}, nil }})
}

// filterNeeds are what the conditions of a SHOW ask for beside its own rows.
func filterNeeds(n parse.Node) []account.Need {
	return slices.DeleteFunc(account.ReadNeeds(n, ""), func(n account.Need) bool { return n.Database == "stele" && n.Table == shownTable })
}

// allTransactions are those that run on any FE that answers.
func (sh *Shared) allTransactions() []stmt.Transaction {
	out := sh.Transactions()
	if sh.OtherTxns != nil {
		out = append(out, sh.OtherTxns()...)
	}
	return out
}

// Transactions are those that run on this FE.
func (sh *Shared) Transactions() []stmt.Transaction {
	var out []stmt.Transaction
	for id, since := range sh.Txns.Running() {
		out = append(out, stmt.Transaction{ID: id, Since: since})
	}
	return out
}
