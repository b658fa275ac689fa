package session

import (
	"context"
	"errors"
	"slices"

	"stele/fe/account"
	"stele/fe/server"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/model"
	"stele/sql/errno"
	"stele/sql/parse"
)

// grant runs GRANT. One with IDENTIFIED BY makes the account, or sets its password, as MariaDB and MySQL 5.7 have it.
func (s *Session) grant(ctx context.Context, n *parse.GrantStmt) error {
	clause := account.Clause{Privileges: n.Privs, Object: n.ObjectType, Level: n.Level, DB: s.db}
	g, err := clause.Grant()
	if err != nil {
		return err
	}
	if n.WithGrant {
		g.Privileges |= model.PrivGrant
	}
	if err := s.checkGrant(g); err != nil {
		return err
	}
	c := &accountChanges{verb: "GRANT"}
	cmd := &command.ChangeGrants{Give: []model.Grant{g}}
	for _, spec := range n.Users {
		name := s.nameOf(spec.User)
		change, err := s.loginOfGrant(n, spec, name)
		if err != nil {
			return err
		}
		if change != nil {
			c.changes = append(c.changes, *change)
		}
		cmd.Accounts = append(cmd.Accounts, name)
	}
	if err := s.carryOut(ctx, c); err != nil {
		return err
	}
	if g.Privileges == 0 { // USAGE
		return nil
	}
	return s.applyGrants(ctx, cmd)
}

// loginOfGrant returns what a GRANT changes about the login of an account, nil = nothing.
func (s *Session) loginOfGrant(n *parse.GrantStmt, spec *parse.UserSpec, name model.AccountName) (*command.AccountChange, error) {
	u, ok := s.sh.Log.Current().Account(name)
	if !ok && spec.AuthOpt == nil {
		return nil, sqlErr(errno.GrantMakesNoAccount, "You are not allowed to create a user with GRANT")
	}
	change, err := accountOptions(n.AuthTokenOrTLSOptions, nil, false)
	if err != nil || spec.AuthOpt == nil && change.RequireTLS == nil {
		return nil, err
	}
	if err := s.checkManage(u); err != nil {
		return nil, err
	}
	change.Verb, change.Account = command.AccountCreate, name
	plugin := server.PluginNative
	if ok {
		change.Verb, plugin = command.AccountAlter, u.Plugin
	}
	if spec.AuthOpt != nil {
		change.Login, err = loginOf(spec.AuthOpt, plugin)
	}
	return &change, err
}

// revoke runs REVOKE.
func (s *Session) revoke(ctx context.Context, n *parse.RevokeStmt) error {
	clause := account.Clause{Privileges: n.Privs, Object: n.ObjectType, Level: n.Level, DB: s.db}
	g, err := clause.Grant()
	if err != nil {
		return err
	}
	cmd := &command.ChangeGrants{Take: []model.Grant{g}}
	if clause.TakesAll() {
		cmd.Take, cmd.TakeAll = nil, true
		err = s.checkGlobal(model.PrivCreateUser)
	} else {
		err = s.checkGrant(g)
	}
	if err != nil {
		return err
	}
	for _, spec := range n.Users {
		name := s.nameOf(spec.User)
		u, ok := s.sh.Log.Current().Account(name)
		if ok && !cmd.TakeAll && !slices.ContainsFunc(u.Grants, func(had model.Grant) bool { return had.Database == g.Database && had.Table == g.Table }) {
			return noSuchGrant(name, g)
		}
		if err := s.checkSuper(u); err != nil {
			return err
		}
		cmd.Accounts = append(cmd.Accounts, name)
	}
	return s.applyGrants(ctx, cmd)
}

// noSuchGrant is the error of taking what was not given.
func noSuchGrant(name model.AccountName, g model.Grant) error {
	if g.Database == "" || g.Table == "" {
		return sqlErr(errno.NoSuchGrant, "There is no such grant defined for user '%s' on host '%s'", name.Name, name.Host)
	}
	return sqlErr(errno.NoSuchTableGrant, "There is no such grant defined for user '%s' on host '%s' on table '%s'", name.Name, name.Host, g.Table)
}

// checkGrant refuses to give or take what the session's account may not pass on: it needs GRANT OPTION at the level, and the
// privileges themselves.
func (s *Session) checkGrant(g model.Grant) error {
	missing := s.rights().Missing(g)
	if missing == 0 {
		return nil
	}
	return account.Denied(s.who(), account.Need{Privileges: missing, Database: g.Database, Table: g.Table})
}

// applyGrants proposes a change of grants.
func (s *Session) applyGrants(ctx context.Context, cmd *command.ChangeGrants) error {
	err := s.apply(ctx, cmd)
	var gone *catalog.ErrNotFound
	if errors.As(err, &gone) {
		return sqlErr(errno.NoSuchAccount, "Can't find any matching row in the user table")
	}
	return err
}
