package session

import (
	"context"
	"strings"

	"stele/fe/account"
	"stele/fe/server"
	"stele/fe/session/vars"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	"stele/sql/parse"
	"stele/sql/plan"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// setVariables runs SET: system variables of the session and global ones, user variables, SET NAMES.
func (s *Session) setVariables(ctx context.Context, st *parse.Statement, n *parse.SetStmt, params []plan.Param, out *output) error {
	if isNextTransaction(st.Text) {
		if err := s.setNextTransaction(ctx, n, params); err != nil {
			return err
		}
		return out.ok()
	}
	for _, a := range n.Variables {
		if err := s.setOne(ctx, a, params); err != nil {
			return err
		}
	}
	return out.ok()
}

func (s *Session) setOne(ctx context.Context, a *parse.VariableAssignment, params []plan.Param) error {
	name := strings.ToLower(a.Name)
	if !a.IsSystem && name != "setnames" && name != "setcharset" {
		v, t, err := s.scalar(ctx, a.Value, params)
		if err != nil {
			return err
		}
		s.vars.SetUser(name, v, t)
		return nil
	}
	if a.IsGlobal {
		return s.setGlobal(ctx, name, a.Value, params)
	}
	text, err := s.assigned(ctx, a.Value, params)
	if err != nil {
		return err
	}
	switch name {
	case "setnames", "setcharset":
		collation := ""
		if a.ExtendValue != nil {
			collation = a.ExtendValue.GetString()
		}
		return s.vars.SetNames(text, collation)
	case "autocommit":
		return s.setAutocommit(ctx, text)
	}
	return s.vars.Assign(name, text)
}

// isNextTransaction reports whether a statement is SET TRANSACTION …, without SESSION or GLOBAL.
func isNextTransaction(sql string) bool {
	words := strings.Fields(sql)
	return len(words) > 2 && strings.EqualFold(words[1], "transaction")
}

// setNextTransaction runs SET TRANSACTION, which holds for the next transaction alone.
func (s *Session) setNextTransaction(ctx context.Context, n *parse.SetStmt, params []plan.Param) error {
	if s.inTx && (s.tx != nil || s.snapshot != nil || s.vars.Bool("autocommit")) {
		return sqlErr(errno.TransactionInProgress, "Transaction characteristics can't be changed while a transaction is in progress")
	}
	for _, a := range n.Variables {
		text, err := s.assigned(ctx, a.Value, params)
		if err != nil {
			return err
		}
		switch strings.ToLower(a.Name) {
		case "tx_read_only":
			s.nextReadOnly = text == "1"
			s.txReadOnly = s.inTx && s.nextReadOnly // of an open one that has done nothing, with autocommit off
		case "tx_isolation_one_shot", "tx_isolation":
			if s.nextLevel, err = vars.Isolation(text); err != nil {
				s.nextLevel = ""
				return err
			}
			s.committed = s.inTx && s.nextLevel != vars.RepeatableRead
		default:
			return unsupported("SET TRANSACTION ... " + a.Name)
		}
	}
	if s.inTx {
		s.spend()
	}
	return nil
}

// setAutocommit switches autocommit; switching it on commits what is open.
func (s *Session) setAutocommit(ctx context.Context, text string) error {
	was := s.vars.Bool("autocommit")
	if err := s.vars.Assign("autocommit", text); err != nil {
		return err
	}
	if !was && s.vars.Bool("autocommit") {
		return s.commit(ctx)
	}
	return nil
}

// assigned returns the text of a value given to a system variable; a bare word is itself.
func (s *Session) assigned(ctx context.Context, n parse.ExprNode, params []plan.Param) (string, error) {
	switch e := n.(type) {
	case nil:
		return "DEFAULT", nil
	case *parse.ColumnNameExpr:
		return e.Name.Name.O, nil
	case *parse.DefaultExpr:
		return "DEFAULT", nil
	}
	v, t, err := s.scalar(ctx, n, params)
	if err != nil {
		return "", err
	}
	if v.Null {
		return "", nil
	}
	return string(sqltypes.AppendVectorText(nil, vec.NewConst(t, v, 1), 0, s.vars.Zone())), nil
}

// scalar evaluates an expression that stands for itself.
func (s *Session) scalar(ctx context.Context, n parse.ExprNode, params []plan.Param) (expr.Value, types.ColumnType, error) {
	text, err := parse.Restore(n)
	if err != nil {
		return expr.Value{}, types.ColumnType{}, err
	}
	st, err := s.sh.Parser.Parse("SELECT "+text, s.mode())
	if err != nil {
		return expr.Value{}, types.ColumnType{}, err
	}
	if err := s.check(ctx, account.ReadNeeds(st.Node, s.db)); err != nil {
		return expr.Value{}, types.ColumnType{}, err
	}
	now := s.clock()
	cat := s.sh.Log.Current()
	pctx := s.planContext(cat, now, params)
	s.acts(ctx, pctx)
	p, err := plan.Select(pctx, st.Node)
	if err != nil {
		return expr.Value{}, types.ColumnType{}, err
	}
	rows, err := s.build(p, cat, now)
	if err != nil {
		return expr.Value{}, types.ColumnType{}, err
	}
	defer rows.Close()
	b, err := rows.Next(ctx)
	if err != nil || b == nil {
		return expr.Value{Null: true}, p.Schema[0].Type, err
	}
	v := b.Cols[0].Value(b.Row(0))
	v.B = append([]byte(nil), v.B...)
	return v, p.Schema[0].Type, nil
}

// kill runs KILL [QUERY] id.
func (s *Session) kill(ctx context.Context, n *parse.KillStmt, out *output) error {
	id := n.ConnectionID
	if n.Expr != nil {
		v, t, err := s.scalar(ctx, n.Expr, nil)
		if err != nil {
			return err
		}
		if v.Null || !t.IsInteger() {
			return sqlErr(errno.NoSuchThread, "Unknown thread id: 0")
		}
		id = uint64(v.I)
	}
	if err := s.sh.MayKill(s.info, id); err != nil {
		return err
	}
	if err := s.sh.Kill(ctx, s.info, id, n.Query); err != nil {
		return err
	}
	return out.done(server.Result{})
}
