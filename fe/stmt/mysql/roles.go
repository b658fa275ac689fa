package mysql

import (
	"context"
	"slices"

	"stele/fe/account"
	"stele/fe/stmt"
	"stele/meta/model"
)

// own returns the account of the session and the roles that it can have: those that were granted to it, and those behind them.
func own(e *stmt.Env) (*model.User, []*model.User) {
	u, ok := e.Catalog.Account(e.Account)
	if !ok {
		return nil, nil
	}
	return u, account.Behind(e.Catalog, u, account.RolesOf(u))
}

func yesOrNo(yes bool) string {
	if yes {
		return "YES"
	}
	return "NO"
}

// applicable lists the roles that the session's account can have, with the accounts that have them, its own or roles of its own. Only says
// which of them.
func applicable(e *stmt.Env, only func(model.RoleGrant) bool) (rows []stmt.Row) {
	u, roles := own(e)
	if u == nil {
		return nil
	}
	for _, holder := range append([]*model.User{u}, roles...) {
		for _, g := range holder.Roles {
			if only(g) {
				rows = append(rows, stmt.Row{u.Name, u.Host, holder.Name, holder.Host, g.Role.Name, g.Role.Host,
					yesOrNo(g.Admin), yesOrNo(slices.Contains(u.DefaultRoles, g.Role)), "NO"})
			}
		}
	}
	return rows
}

const applicableColumns = "USER HOST GRANTEE GRANTEE_HOST ROLE_NAME ROLE_HOST IS_GRANTABLE IS_DEFAULT IS_MANDATORY"

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "APPLICABLE_ROLES", Local: true, Doc: "The roles that the account of the session can have.",
	Columns: stmt.Plain(applicableColumns),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		return applicable(e, func(model.RoleGrant) bool { return true }), nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "ADMINISTRABLE_ROLE_AUTHORIZATIONS", Local: true,
	Doc: "The roles that the account of the session may grant to others.", Columns: stmt.Plain(applicableColumns),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		return applicable(e, func(g model.RoleGrant) bool { return g.Admin }), nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "ENABLED_ROLES", Local: true, Doc: "The roles that are active in the session.",
	Columns: stmt.Plain("ROLE_NAME ROLE_HOST IS_DEFAULT IS_MANDATORY"),
	Rows: func(_ context.Context, e *stmt.Env) (rows []stmt.Row, _ error) {
		u, _ := own(e)
		for _, role := range enabled(e) {
			rows = append(rows, stmt.Row{role.Name, role.Host, yesOrNo(slices.Contains(u.DefaultRoles, role.AccountName())), "NO"})
		}
		return rows, nil
	}})

// enabled are the roles that are active in the session, and those behind them.
func enabled(e *stmt.Env) []*model.User {
	u, _ := own(e)
	return account.Behind(e.Catalog, u, e.Roles)
}

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "ROLE_TABLE_GRANTS", Local: true, Doc: "What the roles that are active in the session may do with tables.",
	Columns: stmt.Plain("GRANTOR GRANTOR_HOST GRANTEE GRANTEE_HOST TABLE_CATALOG TABLE_SCHEMA TABLE_NAME PRIVILEGE_TYPE IS_GRANTABLE"),
	Rows: func(_ context.Context, e *stmt.Env) (rows []stmt.Row, _ error) {
		for _, role := range enabled(e) {
			for _, g := range role.Grants {
				if g.Table != "" {
					rows = append(rows, stmt.Row{"", "", role.Name, role.Host, "def", g.Database, g.Table,
						tablePriv(g.Privileges &^ model.PrivGrant), yesOrNo(g.Privileges&model.PrivGrant != 0)})
				}
			}
		}
		return rows, nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.MySQLDB, Name: "role_edges", Local: true, Doc: "Which accounts are roles of which others.",
	Columns: stmt.Plain("FROM_HOST FROM_USER TO_HOST TO_USER WITH_ADMIN_OPTION"),
	Rows: func(_ context.Context, e *stmt.Env) (rows []stmt.Row, _ error) {
		for _, u := range knownAccounts(e) {
			for _, g := range u.Roles {
				rows = append(rows, stmt.Row{g.Role.Host, g.Role.Name, u.Host, u.Name, yOrN(g.Admin)})
			}
		}
		return rows, nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.MySQLDB, Name: "default_roles", Local: true, Doc: "The roles that are active when a session begins.",
	Columns: stmt.Plain("HOST USER DEFAULT_ROLE_HOST DEFAULT_ROLE_USER"),
	Rows: func(_ context.Context, e *stmt.Env) (rows []stmt.Row, _ error) {
		for _, u := range knownAccounts(e) {
			for _, role := range u.DefaultRoles {
				rows = append(rows, stmt.Row{u.Host, u.Name, role.Host, role.Name})
			}
		}
		return rows, nil
	}})
