package session

import (
	"context"
	"time"

	"stele/fe/dist"
	"stele/fe/server"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/exec"
	"stele/sql/expr"
	"stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/plan"
)

// query runs a statement that yields rows.
func (s *Session) query(ctx context.Context, n parse.StmtNode, params []plan.Param, out *output) error {
	if update, share := plan.Locking(n); update || share {
		return sqlErr(1235, "42000", "This version of Stele doesn't yet support 'SELECT ... FOR UPDATE' or 'FOR SHARE'")
	}
	s.implicit()
	cat, err := s.read(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	p, err := plan.Select(s.planContext(cat, now, params), n)
	if err != nil {
		return err
	}
	rows, err := s.build(p, cat, now)
	if err != nil {
		return err
	}
	defer rows.Close()
	s.foundRows, err = out.stream(ctx, p.Schema, rows, s.warningCount())
	return err
}

func (s *Session) warningCount() uint16 { return uint16(min(len(s.warnings), 65535)) }

// build makes the operators of a plan over one snapshot.
func (s *Session) build(p *physical.Node, cat *catalog.Catalog, now time.Time) (exec.Stream, error) {
	set := s.sh.Settings()
	q := &dist.Query{Snapshot: cat, NowMicros: now.UnixMicro()}
	if s.inTx && s.tx != nil {
		q.Txn, q.Wrote = s.tx.ID(), s.tx.Wrote
	}
	return exec.Build(p, &exec.Env{
		Scan: func(ctx context.Context, scan *physical.Scan) (exec.Stream, error) {
			return s.sh.Scanner.Scan(ctx, q, scan)
		},
		System: func(ctx context.Context, sys *physical.System) (exec.Stream, error) {
			return s.readSystem(ctx, cat, sys)
		},
		Expr: expr.Context{Loc: s.vars.zone(), NowMicros: now.UnixMicro()}, Mem: exec.NewMemory(set.QueryMem), SpillDir: set.SpillDir,
		GroupConcatMaxLen: s.vars.int("group_concat_max_len")})
}

// systemTable tells the planner the columns of a made-up table.
func systemTable(db, table string) ([]physical.OutColumn, bool) {
	t, ok := stmt.SystemTable(db, table)
	if !ok {
		return nil, false
	}
	return outColumns(t.Columns, t.Database, t.Name), true
}

func outColumns(cols []stmt.Column, db, table string) []physical.OutColumn {
	out := make([]physical.OutColumn, len(cols))
	for i, c := range cols {
		out[i] = physical.OutColumn{Name: c.Name, Column: c.Name, Table: table, Database: db, Type: c.Type}
	}
	return out
}

// readSystem yields the rows of a made-up table.
func (s *Session) readSystem(ctx context.Context, cat *catalog.Catalog, sys *physical.System) (exec.Stream, error) {
	t, ok := stmt.SystemTable(sys.Database, sys.Table)
	if !ok {
		return nil, sqlErr(1146, "42S02", "Table '%s.%s' doesn't exist", sys.Database, sys.Table)
	}
	rows, err := t.Rows(ctx, s.stmtEnv(cat))
	if err != nil {
		return nil, err
	}
	return &batches{left: stmt.Batches(t.Columns, rows)}, nil
}

// explain prints the plan of a statement.
func (s *Session) explain(ctx context.Context, n *parse.ExplainStmt, params []plan.Param, out *output) error {
	if n.Analyze {
		return sqlErr(1235, "42000", "This version of Stele doesn't yet support 'EXPLAIN ANALYZE'")
	}
	if show, ok := n.Stmt.(*parse.ShowStmt); ok { // DESCRIBE t
		return s.show(ctx, show, out)
	}
	cat, err := s.read(ctx)
	if err != nil {
		return err
	}
	lines, err := explained(s.planContext(cat, time.Now(), params), n.Stmt)
	if err != nil {
		return err
	}
	cols := []stmt.Column{{Name: "EXPLAIN", Type: types.ColumnType{Kind: types.KindVarChar, Length: 65535}}}
	rows := make([]stmt.Row, len(lines))
	for i, l := range lines {
		rows[i] = stmt.Row{l}
	}
	return s.table(ctx, stmt.Result{Columns: cols, Rows: rows}, out)
}

// explained plans a statement and prints the plan.
func explained(pctx *plan.Context, n parse.StmtNode) ([]string, error) {
	switch q := n.(type) {
	case *parse.SelectStmt, *parse.SetOprStmt:
		p, err := plan.Select(pctx, q)
		if err != nil {
			return nil, err
		}
		return plan.Explain(p, pctx.TableName), nil
	case *parse.InsertStmt:
		p, err := plan.Insert(pctx, q)
		if err != nil {
			return nil, err
		}
		return p.Explain(pctx.TableName), nil
	case *parse.UpdateStmt:
		p, err := plan.Update(pctx, q)
		if err != nil {
			return nil, err
		}
		return p.Explain(pctx.TableName), nil
	case *parse.DeleteStmt:
		p, err := plan.Delete(pctx, q)
		if err != nil {
			return nil, err
		}
		return p.Explain(pctx.TableName), nil
	}
	return nil, sqlErr(1235, "42000", "This version of Stele doesn't yet support 'EXPLAIN' of this statement")
}

// do evaluates expressions for their errors only.
func (s *Session) do(context.Context, *parse.DoStmt, []plan.Param, *output) error {
	return sqlErr(1235, "42000", "This version of Stele doesn't yet support 'DO'")
}

// table sends a table that is there already, through the filter that the statement asked for.
func (s *Session) table(ctx context.Context, r stmt.Result, out *output) error {
	if r.Columns == nil {
		return out.done(server.Result{AffectedRows: r.Affected, Info: r.Info})
	}
	schema := outColumns(r.Columns, "", "")
	rows, err := s.filter(ctx, r)
	if err != nil {
		return err
	}
	defer rows.Close()
	_, err = out.stream(ctx, schema, rows, s.warningCount())
	return err
}
