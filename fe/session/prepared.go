package session

import (
	"context"
	"time"

	"stele/fe/server"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	"stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/plan"
	"stele/sql/syntax"
)

// prepared is a statement that a client has prepared. It is planned at each execution with its values as constants.
type prepared struct {
	s       *Session
	text    string
	params  int
	columns []server.Column
	insert  *parse.InsertValues // an INSERT of literals and parameters; nil = it is anything else
	mode    syntax.Mode         // by which insert was read
}

// Prepare checks a statement and describes it.
func (s *Session) Prepare(ctx context.Context, sql string) (server.Prepared, error) {
	pieces := syntax.Split(sql, s.mode())
	if len(pieces) != 1 {
		return nil, sqlErr(errno.Syntax, "A prepared statement must be a single statement")
	}
	st, err := s.sh.Parser.Parse(pieces[0].Text, s.mode())
	if err != nil {
		return nil, s.translate(ctx, sql, err)
	}
	if err := s.allow(ctx, &st); err != nil {
		return nil, s.translate(ctx, sql, err)
	}
	p := &prepared{s: s, text: pieces[0].Text, params: len(st.Params), mode: s.mode()}
	switch st.Node.(type) {
	case *parse.InsertStmt:
		p.insert, _ = parse.FastInsertPrepared(p.text, p.mode)
	case *parse.SelectStmt, *parse.SetOprStmt:
		if p.columns, err = s.describe(&st); err != nil {
			if _, rerr := s.sh.Log.ReadIndex(ctx); rerr != nil { // another FE may have made the table just now
				return nil, s.translate(ctx, sql, rerr)
			}
			if p.columns, err = s.describe(&st); err != nil {
				return nil, s.translate(ctx, sql, err)
			}
		}
	}
	return p, nil
}

// describe plans a query without values, for the columns alone.
func (s *Session) describe(st *parse.Statement) ([]server.Column, error) {
	pctx := s.planContext(s.sh.Log.Current(), s.clock(), nil)
	pctx.Describe = true
	root, err := plan.Select(pctx, st.Node)
	if err != nil {
		return nil, err
	}
	return serverColumns(root.Schema, s.vars.Zone()), nil
}

func serverColumns(schema []physical.OutColumn, zone *time.Location) []server.Column {
	cols := make([]server.Column, len(schema))
	for i, c := range schema {
		cols[i] = server.Column{Name: c.Name, OrgName: c.Column, Table: c.Table, OrgTable: c.BaseTable, DB: c.Database, Type: c.Type, Zone: zone,
			Flags: c.Flags, Bits: c.Bits}
		if c.BaseTable == "" {
			cols[i].OrgTable = c.Table
		}
	}
	return cols
}

// Params returns how many question marks there are.
func (p *prepared) Params() int { return p.params }

// Columns returns the columns of the result, empty when there is none.
func (p *prepared) Columns() []server.Column { return p.columns }

// Close frees the statement.
func (p *prepared) Close() {}

// Execute runs the statement with values.
func (p *prepared) Execute(ctx context.Context, args []server.Param, w server.ResultWriter) error {
	p.s.note("Execute", p.text)
	defer p.s.note(sleeping, "")
	if err := p.s.intact(); err != nil {
		return p.s.fail(ctx, p.text, err)
	}
	params := make([]plan.Param, len(args))
	for i, a := range args {
		params[i] = boundValue(a)
	}
	out := p.s.output(w)
	if done, err := p.s.pointPrepared(ctx, p.text, params, out); done {
		if err != nil {
			return p.s.fail(ctx, p.text, err)
		}
		return nil
	}
	var done bool
	var err error
	if p.s.locked == nil {
		done, err = p.fastInsert(ctx, params, out)
	}
	if !done {
		err = p.s.run(ctx, p.text, params, out)
	}
	if err != nil {
		return p.s.fail(ctx, p.text, err)
	}
	return nil
}

// fastInsert runs an INSERT of literals and parameters without parsing it again; done is false when it is anything else, or when
// what the parameters are is for the general way.
func (p *prepared) fastInsert(ctx context.Context, params []plan.Param, out *output) (done bool, err error) {
	s := p.s
	if p.insert == nil || p.mode != s.mode() {
		return false, nil
	}
	values, ok := plan.BindInsert(p.insert, params)
	if !ok {
		return false, nil
	}
	if _, ok := s.targeted(s.sh.Log.Current(), s.clock(), values); !ok {
		return false, nil
	}
	ctx, cancel := s.timed(ctx)
	defer cancel()
	return true, s.insertValues(ctx, values, out)
}

// boundValue gives a parameter the form of a constant.
func boundValue(a server.Param) plan.Param {
	t := a.Type
	switch {
	case a.Null:
		return plan.Param{Value: expr.Value{Null: true}, Type: types.ColumnType{Kind: types.KindNull}}
	case t.Phys() == types.PhysFloat64:
		return plan.Param{Value: expr.Value{F: a.Float}, Type: t}
	case t.Kind == types.KindDecimal:
		// The text of a decimal stands for itself: the planner gives it its precision and scale.
		return plan.Param{Value: expr.Value{B: append([]byte(nil), a.Bytes...)}, Type: types.ColumnType{Kind: types.KindVarChar, Length: int32(len(a.Bytes))}}
	case t.Phys() == types.PhysBytes:
		return plan.Param{Value: expr.Value{B: append([]byte(nil), a.Bytes...)}, Type: t}
	}
	return plan.Param{Value: expr.Value{I: a.Int}, Type: t}
}

// namedStatement runs PREPARE, EXECUTE and DEALLOCATE.
func (s *Session) namedStatement(ctx context.Context, n parse.StmtNode, out *output) error {
	switch n := n.(type) {
	case *parse.PrepareStmt:
		return s.prepareNamed(ctx, n, out)
	case *parse.DeallocateStmt:
		if _, ok := s.named[n.Name]; !ok {
			return sqlErr(errno.UnknownStatementHandler, "Unknown prepared statement handler (%s) given to DEALLOCATE PREPARE", n.Name)
		}
		delete(s.named, n.Name)
		return out.ok()
	case *parse.ExecuteStmt:
		text, ok := s.named[n.Name]
		if !ok {
			return sqlErr(errno.UnknownStatementHandler, "Unknown prepared statement handler (%s) given to EXECUTE", n.Name)
		}
		params := make([]plan.Param, len(n.UsingVars))
		for i, u := range n.UsingVars {
			v, t, err := s.scalar(ctx, u, nil)
			if err != nil {
				return err
			}
			params[i] = plan.Param{Value: v, Type: t}
		}
		return s.run(ctx, text, params, out)
	}
	return sqlErr(errno.UnknownError, "BUG: not a statement about prepared statements")
}

func (s *Session) prepareNamed(ctx context.Context, n *parse.PrepareStmt, out *output) error {
	text := n.SQLText
	if n.SQLVar != nil {
		v, _, err := s.scalar(ctx, n.SQLVar, nil)
		if err != nil {
			return err
		}
		text = string(v.B)
	}
	if _, err := s.Prepare(ctx, text); err != nil {
		return err
	}
	const maxNamed = 16382 // MySQL's max_prepared_stmt_count
	if len(s.named) >= maxNamed {
		return sqlErr(errno.TooManyPrepared, "Can't create more than max_prepared_stmt_count statements (current value: %d)", maxNamed)
	}
	s.named[n.Name] = text
	return out.ok()
}
