package stmt

import (
	"context"
	"slices"
	"strings"

	"stele/fe/account"
	"stele/meta/catalog"
	"stele/meta/model"
	"stele/sql/parse"
	sqltypes "stele/sql/types"
)

// Needs returns what a statement of the registry asks of the account that sends it.
func Needs(id string) []account.Need {
	s := declaration(id)
	switch {
	case s.Open:
		return nil
	case s.Do != nil, s.Acts:
		return []account.Need{{Privileges: model.PrivSuper}}
	}
	return []account.Need{{Privileges: model.PrivProcess | model.PrivSuper}}
}

// sees reports whether the account of the session may know of a table or, with table "", of a database.
func (e *Env) sees(database, table string) bool {
	return e.Rights == nil || strings.EqualFold(database, schemaDB) || strings.EqualFold(database, performanceDB) || e.Rights.Sees(database, table) ||
		strings.EqualFold(database, steleDB) && e.holds(model.PrivProcess)
}

// holds reports whether the account has one of some privileges on *.*.
func (e *Env) holds(any model.Privilege) bool { return e.Rights == nil || e.Rights.On("", "")&any != 0 }

// ownProcesses are the sessions that the account may see: with PROCESS all of them, else those of its user.
func (e *Env) ownProcesses() []Process {
	list := slices.Clone(e.Processes())
	if e.holds(model.PrivProcess) {
		return list
	}
	user := e.User[:max(strings.LastIndexByte(e.User, '@'), 0)]
	return slices.DeleteFunc(list, func(p Process) bool { return p.User != user })
}

// accountOf finds the account that a SHOW names: the session's own, or any for whoever manages accounts.
func accountOf(e *Env, n *parse.ShowStmt) (*catalog.User, error) {
	name := e.Account
	if n.User != nil && !n.User.CurrentUser {
		name = model.AccountName{Name: n.User.Username, Host: strings.ToLower(n.User.Hostname)}
	}
	if name != e.Account && !e.holds(model.PrivCreateUser|model.PrivSuper) {
		return nil, account.Denied(e.User, account.Need{Privileges: model.PrivCreateUser})
	}
	u, ok := e.Catalog.Account(name)
	if !ok {
		return nil, sqltypes.Errorf(1141, stateSyntax, "There is no such grant defined for user '%s' on host '%s'", name.Name, name.Host)
	}
	return u, nil
}

func showGrants(e *Env, n *parse.ShowStmt) (Result, error) {
	u, err := accountOf(e, n)
	if err != nil {
		return Result{}, err
	}
	r := Result{Columns: plain("x")}
	r.Columns[0].Name = "Grants for " + u.Name + "@" + u.Host
	for _, line := range account.Grants(u) {
		r.Rows = append(r.Rows, Row{line})
	}
	return r, nil
}

func showCreateUser(e *Env, n *parse.ShowStmt) (Result, error) {
	u, err := accountOf(e, n)
	if err != nil {
		return Result{}, err
	}
	r := Result{Columns: plain("x"), Rows: []Row{{account.Create(u)}}}
	r.Columns[0].Name = "CREATE USER for " + u.Name + "@" + u.Host
	return r, nil
}

// privilegeRows are the rows of SHOW PRIVILEGES.
func privilegeRows() []Row {
	var rows []Row
	for _, p := range account.Describe() {
		rows = append(rows, Row{p.Name, p.Context, p.Doc})
	}
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a[0].(string), b[0].(string)) })
	return rows
}

// knownAccounts are the accounts that a reader may know of: with CREATE USER or SUPER all of them, else its own.
func knownAccounts(e *Env) []*model.User {
	return slices.DeleteFunc(slices.Clone(e.Catalog.Accounts()), func(u *model.User) bool {
		return model.AccountName{Name: u.Name, Host: u.Host} != e.Account && !e.holds(model.PrivCreateUser|model.PrivSuper)
	})
}

// grantRows lists the privileges of the accounts that a reader may know of, one a row, at the levels that pick chooses. Row
// begins with the grantee and the catalog; middle is what names the level.
func grantRows(e *Env, pick func(model.Grant) (middle []any, ok bool)) []Row {
	var rows []Row
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
				rows = append(rows, slices.Concat(Row{grantee, "def"}, middle, Row{p, grantable}))
			}
		}
	}
	return rows
}

var _ = registerTable(Table{Database: schemaDB, Name: "USER_PRIVILEGES", Local: true, Doc: "What accounts may do everywhere.",
	Columns: plain("GRANTEE TABLE_CATALOG PRIVILEGE_TYPE IS_GRANTABLE"),
	Rows: func(_ context.Context, e *Env) ([]Row, error) {
		return grantRows(e, func(g model.Grant) ([]any, bool) { return nil, g.Database == "" }), nil
	}})

var _ = registerTable(Table{Database: schemaDB, Name: "SCHEMA_PRIVILEGES", Local: true, Doc: "What accounts may do in databases.",
	Columns: plain("GRANTEE TABLE_CATALOG TABLE_SCHEMA PRIVILEGE_TYPE IS_GRANTABLE"),
	Rows: func(_ context.Context, e *Env) ([]Row, error) {
		return grantRows(e, func(g model.Grant) ([]any, bool) { return []any{g.Database}, g.Database != "" && g.Table == "" }), nil
	}})

var _ = registerTable(Table{Database: schemaDB, Name: "TABLE_PRIVILEGES", Local: true, Doc: "What accounts may do with tables.",
	Columns: plain("GRANTEE TABLE_CATALOG TABLE_SCHEMA TABLE_NAME PRIVILEGE_TYPE IS_GRANTABLE"),
	Rows: func(_ context.Context, e *Env) ([]Row, error) {
		return grantRows(e, func(g model.Grant) ([]any, bool) { return []any{g.Database, g.Table}, g.Table != "" }), nil
	}})
