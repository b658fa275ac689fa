package session

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"stele/fe/dist"
	"stele/fe/server"
	"stele/fe/session/vars"
	"stele/fe/stmt"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/exec"
	"stele/sql/explain"
	"stele/sql/expr"
	"stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/plan"
	"stele/sql/spool"
	"stele/sql/vec"
)

// query runs a statement that yields rows.
func (s *Session) query(ctx context.Context, n parse.StmtNode, params []plan.Param, out *output) error {
	s.implicit()
	alone := false // in a transaction that ends with the query
	q := asked{now: s.clock(), read: s.readFor}
	if own, within := s.locking(n); own != nil || within != nil {
		defer func() { s.picked = nil }()
		var err error
		if alone, err = s.lock(ctx, own, within, params); err != nil {
			return err
		}
		if s.inTx {
			q.read = s.readLocked
		}
	}
	if !s.inTx {
		s.spend() // this query was the next transaction
	}
	err := s.ask(ctx, &q, n, params)
	if alone {
		q.rows, err = s.finish(ctx, q.rows, err)
	}
	if err != nil {
		return s.ended(ctx, err)
	}
	defer q.rows.Close()
	total, err := s.countAll(ctx, n, params, q.cat, q.now)
	if err != nil {
		return err
	}
	s.foundRows, err = out.stream(ctx, q.plan.Schema, s.limited(n, q.rows), s.warningCount())
	s.foundRows = max(s.foundRows, total)
	return s.ended(ctx, err)
}

// locking returns a query if it asks for row locks, and the queries within it that do, where that counts.
func (s *Session) locking(n parse.StmtNode) (own *parse.SelectStmt, within []*parse.SelectStmt) {
	if update, share := plan.Locking(n); update || share {
		own = n.(*parse.SelectStmt)
	}
	if s.inTx {
		within = plan.LocksWithin(n)
	}
	return own, within
}

// asked is a query whose first rows are there.
type asked struct {
	read func(context.Context, parse.StmtNode) (*catalog.Catalog, error) // the state that it reads
	cat  *catalog.Catalog
	now  time.Time
	plan *physical.Node
	rows exec.Stream
}

// ask plans a query and waits for its first rows. Outside a transaction it is planned anew when a table of it was altered before they came:
// MySQL has the ALTER wait for the query.
func (s *Session) ask(ctx context.Context, q *asked, n parse.StmtNode, params []plan.Param) (err error) {
	for r := s.retrier(); ; s.warnings = (diagnostics{}) {
		if q.cat, err = q.read(ctx, n); err != nil {
			return err
		}
		q.plan, q.rows, err = s.firstRows(ctx, func() (*physical.Node, exec.Stream, error) { return s.openQuery(ctx, n, params, q.cat, q.now) })
		_, waits := txn.IsLocked(err)
		if !waits && (s.inTx || !outdated(err)) || !r.again(ctx, s.sh.Txns, err) {
			return err
		}
	}
}

// finish reads the rows of a query to the end, with which its transaction ends; err is that of the query so far.
func (s *Session) finish(ctx context.Context, rows exec.Stream, err error) (exec.Stream, error) {
	if err == nil {
		rows, err = spool.Hold(ctx, rows, s.sh.Settings().SpillDir)
	}
	if rerr := s.rollback(ctx); err == nil && rerr != nil {
		rows.Close()
		err = rerr
	}
	return rows, err
}

// ended ends the transaction too when the error of a query says that what it wrote is gone.
func (s *Session) ended(ctx context.Context, err error) error {
	var lost *dist.LostRowsError
	if errors.As(err, &lost) {
		return errors.Join(s.lostTransaction(err), s.rollback(ctx))
	}
	return err
}

// firstRows opens a query and reads it up to its first rows: until they come nobody has seen anything of the answer, and it may be asked
// for again. When a leader changes before, what a transaction wrote there is written again and the query with it.
func (s *Session) firstRows(ctx context.Context, open func() (*physical.Node, exec.Stream, error)) (*physical.Node, exec.Stream, error) {
	r := s.retrier()
	for {
		if err := s.refresh(ctx); err != nil {
			return nil, nil, err
		}
		p, rows, err := open()
		if err != nil {
			return nil, nil, err
		}
		first, err := rows.Next(ctx)
		if err == nil {
			return p, &headed{Stream: rows, first: first}, nil
		}
		rows.Close()
		var lost *dist.LostRowsError
		if s.tx == nil || !errors.As(err, &lost) || !r.again(ctx, s.sh.Txns, err) {
			return nil, nil, err
		}
		s.tx.Lost()
	}
}

// openQuery plans a query and has its rows made, here or on a query node.
func (s *Session) openQuery(ctx context.Context, n parse.StmtNode, params []plan.Param, cat *catalog.Catalog, now time.Time) (*physical.Node, exec.Stream, error) {
	pctx := s.planContext(cat, now, params)
	s.acts(ctx, pctx)
	p, err := plan.Select(pctx, n)
	if err != nil {
		return nil, nil, err
	}
	s.warnPlanned(pctx)
	rows, err := s.rowsOf(ctx, p, cat, now)
	return p, rows, err
}

// rowsOf has the rows of a plan made, here or on a query node.
func (s *Session) rowsOf(ctx context.Context, p *physical.Node, cat *catalog.Catalog, now time.Time) (exec.Stream, error) {
	if err := s.readable(p); err != nil {
		return nil, err
	}
	rows, err := s.offload(ctx, p, cat, now)
	if err == nil && rows == nil {
		rows, err = s.build(p, cat, now)
	}
	return rows, err
}

// headed is a stream whose first batch is there already.
type headed struct {
	exec.Stream
	first *vec.Batch
	begun bool
}

// Next returns the next batch.
func (h *headed) Next(ctx context.Context) (*vec.Batch, error) {
	if !h.begun {
		h.begun = true
		return h.first, nil
	}
	return h.Stream.Next(ctx)
}

// acts lets the functions that do something when they are called do it.
func (s *Session) acts(ctx context.Context, pctx *plan.Context) {
	pctx.Sleep = func(seconds float64) error { return sleep(ctx, seconds) }
	pctx.Repeat = func(times int64, once func() error) error { return repeat(ctx, times, once) }
	pctx.Locks = sessionLocks{ctx, s}
}

// sleep waits for some seconds, or until the statement is to end.
func sleep(ctx context.Context, seconds float64) error {
	const longest = 1 << 31 // seconds, as long as anybody may want to wait
	timer := time.NewTimer(time.Duration(min(seconds, longest) * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// repeat does something so many times, or until the statement is to end.
func repeat(ctx context.Context, times int64, once func() error) error {
	for ; times > 0; times-- {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := once(); err != nil {
			return err
		}
	}
	return nil
}

// limited applies sql_select_limit, which holds for a query without a LIMIT of its own.
func (s *Session) limited(n parse.StmtNode, rows exec.Stream) exec.Stream {
	limit := s.vars.Text("sql_select_limit")
	left, err := strconv.ParseUint(limit, 10, 64)
	if err != nil || limit == vars.NoSelectLimit {
		return rows
	}
	switch q := n.(type) {
	case *parse.SelectStmt:
		if q.Limit != nil {
			return rows
		}
	case *parse.SetOprStmt:
		if q.Limit != nil {
			return rows
		}
	}
	return &limiter{Stream: rows, left: left}
}

// limiter ends a stream after some rows.
type limiter struct {
	exec.Stream
	left uint64
}

// Next returns the next batch.
func (l *limiter) Next(ctx context.Context) (*vec.Batch, error) {
	if l.left == 0 {
		return nil, nil
	}
	b, err := l.Stream.Next(ctx)
	if err != nil || b == nil {
		return nil, err
	}
	if n := uint64(b.Rows()); n > l.left {
		b = b.Slice(0, int(l.left))
	}
	l.left -= uint64(b.Rows())
	return b, nil
}

// source builds the rows that a writing statement reads. In a transaction they are read to the end before the first
// is written, because the statement must not see its own rows.
func (s *Session) source(ctx context.Context, p *physical.Node, cat *catalog.Catalog, now time.Time) (exec.Stream, error) {
	if err := s.readable(p); err != nil {
		return nil, err
	}
	rows, err := s.build(p, cat, now)
	if err != nil || !s.inTx {
		return rows, err
	}
	return spool.Hold(ctx, rows, s.sh.Settings().SpillDir)
}

// offload has a query node run a plan, if there is one and the plan is worth it; without rows the FE runs it.
func (s *Session) offload(ctx context.Context, p *physical.Node, cat *catalog.Catalog, now time.Time) (exec.Stream, error) {
	if s.inTx && s.tx != nil {
		return nil, nil // its own rows are where it wrote them
	}
	u := &dist.Upper{Plan: p, MemLimit: s.sh.Settings().QueryMem, GroupConcatMaxLen: s.vars.Int("group_concat_max_len")}
	if zone := s.vars.Zone(); zone != time.UTC {
		u.TimeZone = zone.String()
	}
	return s.sh.Scanner.Offload(ctx, &dist.Query{Snapshot: cat, NowMicros: now.UnixMicro()}, u)
}

// build makes the operators of a plan over one snapshot.
func (s *Session) build(p *physical.Node, cat *catalog.Catalog, now time.Time) (exec.Stream, error) {
	return exec.Build(p, s.execEnv(cat, now))
}

// execEnv is what the operators of one query share.
func (s *Session) execEnv(cat *catalog.Catalog, now time.Time) *exec.Env {
	set := s.sh.Settings()
	q := &dist.Query{Snapshot: cat, NowMicros: now.UnixMicro()}
	if s.inTx && s.tx != nil {
		q.Txn, q.Leads = s.tx.ID(), s.tx.Leads
	}
	return &exec.Env{
		Scan: s.scanOf(q),
		System: func(ctx context.Context, sys *physical.System) (exec.Stream, error) {
			return s.readSystem(ctx, cat, sys)
		},
		Expr: expr.Context{Loc: s.vars.Zone(), NowMicros: now.UnixMicro()}, Mem: exec.NewMemoryIn(s.sh.QueryMem, set.QueryMem), SpillDir: set.SpillDir,
		GroupConcatMaxLen: s.vars.Int("group_concat_max_len"), MaxRecursion: max(s.vars.Int("cte_max_recursion_depth"), 1)}
}

// scanOf reads the stored tables of a query.
func (s *Session) scanOf(q *dist.Query) func(context.Context, *physical.Scan) (exec.Stream, error) {
	return func(ctx context.Context, scan *physical.Scan) (exec.Stream, error) {
		if scan.Picked && s.picked != nil {
			return s.sh.Scanner.Scan(ctx, q, s.picked.only(scan))
		}
		if len(scan.Takes) > 0 { // it is a copy, with keys that a join has given
			plan.Narrow(&plan.Context{Catalog: s.names(q.Snapshot), NowMicros: q.NowMicros, TimeZone: s.vars.Zone()}, scan)
		}
		scan, err := s.resolve(ctx, q, scan)
		if err != nil {
			return nil, err
		}
		return s.sh.Scanner.Scan(ctx, q, scan)
	}
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
		return nil, sqlErr(errno.NoSuchTable, "Table '%s.%s' doesn't exist", sys.Database, sys.Table)
	}
	if s.elsewhere(t.Local) {
		r, err := s.askTable(ctx, t)
		if err != nil {
			return nil, err
		}
		return &batches{left: r.Vectors()}, nil
	}
	rows, err := t.Rows(ctx, s.stmtEnv(cat))
	if err != nil {
		return nil, err
	}
	return &batches{left: stmt.Batches(t.Columns, rows)}, nil
}

// explain prints the plan of a statement.
func (s *Session) explain(ctx context.Context, n *parse.ExplainStmt, params []plan.Param, out *output) error {
	asJSON, err := explainFormat(n)
	if err != nil {
		return err
	}
	if n.Analyze {
		return s.explainAnalyze(ctx, n, params, out)
	}
	if show, ok := n.Stmt.(*parse.ShowStmt); ok { // DESCRIBE t
		return s.show(ctx, show, out)
	}
	cat, err := s.read(ctx)
	if err != nil {
		return err
	}
	if err := s.mayExplain(cat, n.Stmt); err != nil {
		return err
	}
	pctx := s.planContext(cat, s.clock(), params)
	e, err := explained(pctx, n.Stmt)
	if err != nil {
		return err
	}
	lines := e.Lines
	if asJSON {
		text, err := e.JSON(pctx.TableName)
		if err != nil {
			return fmt.Errorf("write a plan as JSON: %w", err)
		}
		lines = []string{text}
	}
	cols := []stmt.Column{{Name: "EXPLAIN", Type: types.ColumnType{Kind: types.KindVarChar, Length: 65535}}}
	rows := make([]stmt.Row, len(lines))
	for i, l := range lines {
		rows[i] = stmt.Row{l}
	}
	return s.table(ctx, stmt.Result{Columns: cols, Rows: rows}, out)
}

// explainFormat looks at the format of an EXPLAIN. All but JSON are the same lines, by the names that they have elsewhere.
func explainFormat(n *parse.ExplainStmt) (asJSON bool, err error) {
	switch strings.ToLower(n.Format) {
	case "json":
		if n.Analyze {
			return false, unsupported("EXPLAIN ANALYZE with JSON format")
		}
		return true, nil
	case "", "row", "traditional", "tree", "brief", "verbose", "costs", "logical":
		return false, nil
	}
	return false, sqlErr(errno.UnknownExplainFormat, "Unknown EXPLAIN format name: '%s'", n.Format)
}

// explained plans a statement.
func explained(pctx *plan.Context, n parse.StmtNode) (*explain.Statement, error) {
	switch q := n.(type) {
	case *parse.SelectStmt, *parse.SetOprStmt:
		p, err := plan.Select(pctx, q)
		if err != nil {
			return nil, err
		}
		return &explain.Statement{Lines: explain.Lines(p, pctx.TableName), Roots: []*physical.Node{p}}, nil
	case *parse.InsertStmt:
		p, err := plan.Insert(pctx, q)
		if err != nil {
			return nil, err
		}
		return &explain.Statement{Lines: p.Explain(pctx.TableName), Roots: []*physical.Node{p.Source}}, nil
	case *parse.UpdateStmt:
		return explainedModify(pctx, func() ([]*plan.ModifyPlan, error) { return plan.Updates(pctx, q) })
	case *parse.DeleteStmt:
		return explainedModify(pctx, func() ([]*plan.ModifyPlan, error) { return plan.Deletes(pctx, q) })
	}
	return nil, sqlErr(errno.NotSupported, "This version of Stele doesn't yet support 'EXPLAIN' of this statement")
}

// explainedModify plans an UPDATE or DELETE of one or more tables.
func explainedModify(pctx *plan.Context, planned func() ([]*plan.ModifyPlan, error)) (*explain.Statement, error) {
	plans, err := planned()
	e := &explain.Statement{}
	for _, p := range plans {
		if p != nil {
			e.Lines = append(e.Lines, p.Explain(pctx.TableName)...)
			e.Roots = append(e.Roots, p.Source)
		}
	}
	return e, err
}

// do evaluates expressions for their errors only.
func (s *Session) do(ctx context.Context, n *parse.DoStmt, params []plan.Param, out *output) error {
	for _, e := range n.Exprs {
		if _, _, err := s.scalar(ctx, e, params); err != nil {
			return err
		}
	}
	return out.ok()
}

// table sends a table that is there already, through the filter that the statement asked for.
func (s *Session) table(ctx context.Context, r stmt.Result, out *output) error {
	if r.Columns == nil {
		return out.done(server.Result{AffectedRows: r.Affected, Info: r.Info, Warnings: s.warningCount()})
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
