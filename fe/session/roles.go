package session

import (
	"context"
	"slices"

	"stele/fe/account"
	"stele/fe/session/vars"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/model"
	"stele/sql/errno"
	"stele/sql/parse"
)

// activatesAll reports whether new sessions begin with all roles of their account active, rather than with its default roles.
func activatesAll(cat *catalog.Catalog) bool {
	value, _ := cat.Config(vars.GlobalPrefix + vars.ActivateAllRoles)
	return value == "1"
}

// beginRoles activates the roles of a new session.
func (s *Session) beginRoles() {
	cat := s.sh.Log.Current()
	u, _ := cat.Account(s.accountName())
	s.useRoles(account.AtLogin(u, activatesAll(cat)))
}

// useRoles has the session use roles from its next statement on, for as long as its account has them.
func (s *Session) useRoles(roles []model.AccountName) { s.active, s.granted = roles, granted{} }

// setRole runs SET ROLE. It is not part of the transaction.
func (s *Session) setRole(ctx context.Context, n *parse.SetRoleStmt, out *output) error {
	if n.SetRoleOpt == parse.SetRoleNone {
		s.useRoles(nil)
		return out.ok()
	}
	if _, err := s.sh.Log.ReadIndex(ctx); err != nil {
		return err
	}
	u, _ := s.sh.Log.Current().Account(s.accountName())
	roles := account.RolesOf(u)
	switch n.SetRoleOpt {
	case parse.SetRoleDefault:
		roles = account.AtLogin(u, false)
	case parse.SetRoleAllExcept:
		but := roleNames(n.RoleList)
		roles = slices.DeleteFunc(roles, func(r model.AccountName) bool { return slices.Contains(but, r) })
	case parse.SetRoleRegular:
		roles = roleNames(n.RoleList)
		if err := hasRoles(u, s.accountName(), roles); err != nil {
			return err
		}
	}
	s.useRoles(roles)
	return out.ok()
}

func roleNames(list []*parse.RoleIdentity) []model.AccountName {
	out := make([]model.AccountName, len(list))
	for i, r := range list {
		out[i] = model.AccountName{Name: r.Username, Host: r.Hostname}
	}
	return out
}

// hasRoles refuses roles that an account was not granted itself.
func hasRoles(u *model.User, name model.AccountName, roles []model.AccountName) error {
	for _, role := range roles {
		if u == nil || u.Role(role) == nil {
			return sqlErr(errno.RoleNotGranted, "%s is not granted to %s", account.QuoteAccount(role), account.QuoteAccount(name))
		}
	}
	return nil
}

// grantRoles runs GRANT of roles.
func (s *Session) grantRoles(ctx context.Context, n *parse.GrantRoleStmt, admin bool) error {
	roles := roleNames(n.Roles)
	change := command.AccountChange{Verb: command.AccountAlter}
	for _, role := range roles {
		change.GiveRoles = append(change.GiveRoles, model.RoleGrant{Role: role, Admin: admin})
	}
	return s.passRoles(ctx, "GRANT", roles, n.Users, change, func(u *model.User) error {
		for _, role := range roles {
			if account.Circles(s.sh.Log.Current(), role, u.AccountName()) {
				return sqlErr(errno.RoleCircle, "User account %s is directly or indirectly granted to the role %s. The GRANT would create a loop",
					account.QuoteAccount(u.AccountName()), account.QuoteAccount(role))
			}
		}
		return nil
	})
}

// revokeRoles runs REVOKE of roles. What an account does not have is not missed.
func (s *Session) revokeRoles(ctx context.Context, n *parse.RevokeRoleStmt) error {
	roles := roleNames(n.Roles)
	return s.passRoles(ctx, "REVOKE", roles, n.Users, command.AccountChange{Verb: command.AccountAlter, TakeRoles: roles}, s.checkSuper)
}

// passRoles gives roles to accounts or takes them, each of which is asked for first.
func (s *Session) passRoles(ctx context.Context, verb string, roles []model.AccountName, users []*parse.UserIdentity, change command.AccountChange,
	check func(*model.User) error) error {
	if err := s.mayPass(roles); err != nil {
		return err
	}
	cat := s.sh.Log.Current()
	c := &accountChanges{verb: verb}
	for _, id := range users {
		change.Account = s.nameOf(id)
		u, ok := cat.Account(change.Account)
		if !ok {
			return unknownAuthorization(change.Account)
		}
		for _, role := range roles {
			if _, ok := cat.Account(role); !ok {
				return unknownAuthorization(role)
			}
		}
		if err := check(u); err != nil {
			return err
		}
		c.changes = append(c.changes, change)
	}
	return s.carryOut(ctx, c)
}

func unknownAuthorization(name model.AccountName) error {
	return sqlErr(errno.UnknownAuthorization, "Unknown authorization ID %s", account.QuoteAccount(name))
}

// mayPass refuses to give or take roles that the session's account, with its active roles, does not have WITH ADMIN OPTION. Who has
// SUPER may pass on all.
func (s *Session) mayPass(roles []model.AccountName) error {
	if s.rights().Holds(model.PrivSuper, "", "") {
		return nil
	}
	cat := s.sh.Log.Current()
	u, _ := cat.Account(s.accountName())
	behind := account.Behind(cat, u, s.active)
	for _, role := range roles {
		if !account.MayPass(u, behind, role) {
			return sqlErr(errno.PrivilegeNeeded, "Access denied; you need (at least one of) the WITH ADMIN, SUPER privilege(s) for this operation")
		}
	}
	return nil
}

// setDefaultRoles runs SET DEFAULT ROLE. Anybody may do so for the account of the session.
func (s *Session) setDefaultRoles(ctx context.Context, n *parse.SetDefaultRoleStmt) error {
	c := &accountChanges{verb: "SET DEFAULT ROLE"}
	for _, id := range n.UserList {
		name := s.nameOf(id)
		u, ok := s.sh.Log.Current().Account(name)
		if name != s.accountName() || !ok {
			if err := s.checkManage(u); err != nil {
				return err
			}
		}
		if !ok {
			return unknownAuthorization(name)
		}
		roles, err := defaultRoles(n, u)
		if err != nil {
			return err
		}
		c.changes = append(c.changes, command.AccountChange{Verb: command.AccountAlter, Account: name, DefaultRoles: roles})
	}
	return s.carryOut(ctx, c)
}

// defaultRoles are the default roles that a statement gives to an account that is there; nil = it says nothing of them.
func defaultRoles(n *parse.SetDefaultRoleStmt, u *model.User) (*[]model.AccountName, error) {
	if n == nil {
		return nil, nil
	}
	roles := []model.AccountName{}
	switch n.SetRoleOpt {
	case parse.SetRoleAll:
		roles = append(roles, account.RolesOf(u)...)
	case parse.SetRoleRegular:
		roles = roleNames(n.RoleList)
	}
	return &roles, hasRoles(u, u.AccountName(), roles)
}

// givesDefaultRoles has a new account be granted the roles that are its default ones.
func (s *Session) givesDefaultRoles(n *parse.SetDefaultRoleStmt, change *command.AccountChange) error {
	if n == nil {
		return nil
	}
	roles := roleNames(n.RoleList)
	for _, role := range roles {
		if _, ok := s.sh.Log.Current().Account(role); !ok {
			return sqlErr(errno.AccountMissing, "Authorization ID %s does not exist.", account.QuoteAccount(role))
		}
		change.GiveRoles = append(change.GiveRoles, model.RoleGrant{Role: role})
	}
	change.DefaultRoles = &roles
	return s.mayPass(roles)
}
