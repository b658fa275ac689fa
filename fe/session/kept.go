package session

import (
	"context"

	"stele/meta/catalog"
	"stele/sql/exec"
	"stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/plan"
	"stele/sql/syntax"
)

// keptQuery runs a query by the plan that is kept for its text; done is false, and nothing has happened, when its values
// are for the general way.
func (s *Session) keptQuery(ctx context.Context, p *pointPlan, params []plan.Param, newest *catalog.Catalog, out *output) (done bool, err error) {
	if !p.kept.Fits(params) {
		return false, nil
	}
	s.implicit()
	cat, err := s.read(ctx)
	if err != nil {
		s.inVain = err // the general way reports it, if it needs a leader
		return false, nil
	}
	if !s.mayRead(p, newest, cat) {
		return false, nil
	}
	s.before, s.warnings = s.warnings, diagnostics{}
	if !s.inTx {
		s.spend() // this query was the next transaction
	}
	now := s.clock()
	_, rows, err := s.firstRows(ctx, func() (*physical.Node, exec.Stream, error) {
		pctx := &plan.Context{Catalog: s.names(cat), NowMicros: now.UnixMicro(), TimeZone: s.vars.Now().Zone}
		root := p.kept.Bind(pctx, params)
		rows, rerr := s.rowsOf(ctx, root, cat, now)
		return root, rows, rerr
	})
	if !s.inTx && outdated(err) { // the general way plans it again
		s.warnings = s.before
		return false, nil
	}
	s.sh.queries.Add(1)
	if err != nil {
		return true, s.ended(ctx, err)
	}
	defer rows.Close()
	if err = out.head(p.shown(s, p.kept.Schema())); err != nil {
		return true, err
	}
	s.foundRows, err = out.rest(ctx, rows, 0)
	return true, s.ended(ctx, err)
}

// spoken keeps what short statements about transactions were parsed to: clients say them again and again. It is a session's own,
// because whoever walks a tree may write to it.
type spoken struct {
	mode syntax.Mode
	m    map[string]parse.Statement
}

const (
	maxSpoken     = 16
	maxSpokenText = 64
)

// parsed parses a statement, or knows it.
func (s *Session) parsed(sql string) (parse.Statement, error) {
	mode := s.mode()
	if s.spoken.mode == mode {
		if st, ok := s.spoken.m[sql]; ok {
			return st, nil
		}
	}
	st, err := s.sh.Parser.Parse(sql, mode)
	if err != nil || len(sql) > maxSpokenText || !recurs(st.Node) {
		return st, err
	}
	if s.spoken.mode != mode || len(s.spoken.m) >= maxSpoken || s.spoken.m == nil {
		s.spoken = spoken{mode: mode, m: map[string]parse.Statement{}}
	}
	s.spoken.m[sql] = st
	return st, nil
}

// recurs reports whether a statement is BEGIN, COMMIT, ROLLBACK, or a SET of system variables to literals and words.
func recurs(n parse.StmtNode) bool {
	switch n := n.(type) {
	case *parse.BeginStmt, *parse.CommitStmt, *parse.RollbackStmt:
		return true
	case *parse.SetStmt:
		for _, a := range n.Variables {
			_, literal := a.Value.(*parse.Literal)
			if _, word := a.Value.(*parse.ColumnNameExpr); !a.IsSystem || !literal && !word {
				return false
			}
		}
		return true
	}
	return false
}
