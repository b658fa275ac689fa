package session

import (
	"context"
	"strconv"
	"strings"
	"time"

	"stele/fe/server"
	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/parse"
	"stele/sql/plan"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// setVariables runs SET: system variables of the session, user variables, SET NAMES.
func (s *Session) setVariables(ctx context.Context, n *parse.SetStmt, params []plan.Param, out *output) error {
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
		s.vars.user[name] = userVar{value: v, typ: t}
		return nil
	}
	if a.IsGlobal {
		return sqlErr(1235, "42000", "This version of Stele doesn't yet support 'SET GLOBAL %s': use ADMIN SET FRONTEND CONFIG for settings of the cluster", name)
	}
	text, err := s.assigned(ctx, a.Value, params)
	if err != nil {
		return err
	}
	switch name {
	case "setnames", "setcharset":
		return s.setNames(text)
	case "autocommit":
		return s.setAutocommit(ctx, text)
	}
	return s.vars.assign(name, text)
}

// setNames runs SET NAMES and SET CHARACTER SET.
func (s *Session) setNames(charset string) error {
	if _, err := checkCharset(charset); err != nil {
		return sqlErr(1115, "42000", "Unknown character set: '%s'", charset)
	}
	for _, v := range []string{"character_set_client", "character_set_connection", "character_set_results"} {
		if err := s.vars.assign(v, charset); err != nil {
			return err
		}
	}
	return nil
}

// setAutocommit switches autocommit; switching it on commits what is open.
func (s *Session) setAutocommit(ctx context.Context, text string) error {
	was := s.vars.bool("autocommit")
	if err := s.vars.assign("autocommit", text); err != nil {
		return err
	}
	if !was && s.vars.bool("autocommit") {
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
	return string(sqltypes.AppendVectorText(nil, vec.NewConst(t, v, 1), 0, s.vars.zone())), nil
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
	now := time.Now()
	cat := s.sh.Log.Current()
	p, err := plan.Select(s.planContext(cat, now, params), st.Node)
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
	if n.Expr != nil {
		return sqlErr(1235, "42000", "This version of Stele doesn't yet support 'KILL' of an expression")
	}
	if err := s.sh.Kill(ctx, s.info, n.ConnectionID, n.Query); err != nil {
		return err
	}
	return out.done(server.Result{})
}
