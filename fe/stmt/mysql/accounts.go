package mysql

import (
	"context"
	"slices"
	"strings"

	"stele/fe/account"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/model"
	"stele/sql/errno"
	"stele/sql/parse"
	sqltypes "stele/sql/types"
)

// accountOf finds the account that a SHOW names: the session's own, or any for whoever manages accounts.
func accountOf(e *stmt.Env, n *parse.ShowStmt) (*catalog.User, error) {
	name := e.Account
	if n.User != nil && !n.User.CurrentUser {
		name = model.AccountName{Name: n.User.Username, Host: strings.ToLower(n.User.Hostname)}
	}
	if name != e.Account && !e.Holds(model.PrivCreateUser|model.PrivSuper) {
		return nil, account.Denied(e.User, account.Need{Privileges: model.PrivCreateUser})
	}
	u, ok := e.Catalog.Account(name)
	if !ok {
		return nil, sqltypes.Errorf(errno.NoSuchGrant, "There is no such grant defined for user '%s' on host '%s'", name.Name, name.Host)
	}
	return u, nil
}

func showGrants(e *stmt.Env, n *parse.ShowStmt) (stmt.Result, error) {
	u, err := accountOf(e, n)
	if err != nil {
		return stmt.Result{}, err
	}
	using, err := shownRoles(e, n, u)
	if err != nil {
		return stmt.Result{}, err
	}
	r := stmt.Result{Columns: stmt.Plain("x")}
	r.Columns[0].Name = "Grants for " + u.Name + "@" + u.Host
	for _, line := range account.Grants(u, account.Behind(e.Catalog, u, using)) {
		r.Rows = append(r.Rows, stmt.Row{line})
	}
	return r, nil
}

// shownRoles are the roles that SHOW GRANTS shows an account with: those of USING, or, of the session's own, those that are active.
func shownRoles(e *stmt.Env, n *parse.ShowStmt, u *catalog.User) ([]model.AccountName, error) {
	if len(n.Roles) == 0 {
		if n.User == nil || n.User.CurrentUser {
			return e.Roles, nil
		}
		return nil, nil
	}
	var out []model.AccountName
	for _, r := range n.Roles {
		name := model.AccountName{Name: r.Username, Host: r.Hostname}
		if u.Role(name) == nil {
			return nil, sqltypes.Errorf(errno.RoleNotGranted, "%s is not granted to %s", account.QuoteAccount(name), account.QuoteAccount(u.AccountName()))
		}
		out = append(out, name)
	}
	return out, nil
}

func showCreateUser(e *stmt.Env, n *parse.ShowStmt) (stmt.Result, error) {
	u, err := accountOf(e, n)
	if err != nil {
		return stmt.Result{}, err
	}
	r := stmt.Result{Columns: stmt.Plain("x"), Rows: []stmt.Row{{account.Create(u)}}}
	r.Columns[0].Name = "CREATE USER for " + u.Name + "@" + u.Host
	return r, nil
}

// privilegeRows are the rows of SHOW PRIVILEGES.
func privilegeRows() []stmt.Row {
	var rows []stmt.Row
	for _, p := range account.Describe() {
		rows = append(rows, stmt.Row{p.Name, p.Context, p.Doc})
	}
	slices.SortFunc(rows, func(a, b stmt.Row) int { return strings.Compare(a[0].(string), b[0].(string)) })
	return rows
}

// knownAccounts are the accounts that a reader may know of: with CREATE USER or SUPER all of them, else its own.
func knownAccounts(e *stmt.Env) []*model.User {
	return slices.DeleteFunc(slices.Clone(e.Catalog.Accounts()), func(u *model.User) bool {
		return model.AccountName{Name: u.Name, Host: u.Host} != e.Account && !e.Holds(model.PrivCreateUser|model.PrivSuper)
	})
}

// grantRows lists the privileges of the accounts that a reader may know of, one a row, at the levels that pick chooses. Row
// begins with the grantee and the catalog; middle is what names the level.
func grantRows(e *stmt.Env, pick func(model.Grant) (middle []any, ok bool)) []stmt.Row {
	var rows []stmt.Row
	for _, u := range knownAccounts(e) {
		grantee := "'" + u.Name + "'@'" + u.Host + "'"
		for _, g := range u.Grants {
			middle, ok := pick(g)
			if !ok {
				continue
			}
			grantable := "NO"
			if g.Privileges&model.PrivGrant != 0 {
				grantable = "YES"
			}
			for _, p := range account.Names(g.Privileges &^ model.PrivGrant) {
				rows = append(rows, slices.Concat(stmt.Row{grantee, "def"}, middle, stmt.Row{p, grantable}))
			}
		}
	}
	return rows
}

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "USER_PRIVILEGES", Local: true, Doc: "What accounts may do everywhere.",
	Columns: stmt.Plain("GRANTEE TABLE_CATALOG PRIVILEGE_TYPE IS_GRANTABLE"),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		return grantRows(e, func(g model.Grant) ([]any, bool) { return nil, g.Database == "" }), nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "SCHEMA_PRIVILEGES", Local: true, Doc: "What accounts may do in databases.",
	Columns: stmt.Plain("GRANTEE TABLE_CATALOG TABLE_SCHEMA PRIVILEGE_TYPE IS_GRANTABLE"),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		return grantRows(e, func(g model.Grant) ([]any, bool) { return []any{g.Database}, g.Database != "" && g.Table == "" }), nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "TABLE_PRIVILEGES", Local: true, Doc: "What accounts may do with tables.",
	Columns: stmt.Plain("GRANTEE TABLE_CATALOG TABLE_SCHEMA TABLE_NAME PRIVILEGE_TYPE IS_GRANTABLE"),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		return grantRows(e, func(g model.Grant) ([]any, bool) { return []any{g.Database, g.Table}, g.Table != "" }), nil
	}})
