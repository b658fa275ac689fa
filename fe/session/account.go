package session

import (
	"context"
	"errors"
	"slices"
	"strings"

	"stele/fe/account"
	"stele/fe/server"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/model"
	"stele/sql/errno"
	"stele/sql/parse"
)

// changeAccounts runs statements about accounts and grants. As in MySQL they commit the open transaction.
func (s *Session) changeAccounts(ctx context.Context, n parse.StmtNode, out *output) error {
	if err := s.commit(ctx); err != nil {
		return err
	}
	if _, err := s.sh.Log.ReadIndex(ctx); err != nil {
		return err
	}
	var err error
	var roles *parse.SetDefaultRoleStmt
	if with, ok := n.(*parse.DefaultRolesStmt); ok {
		n, roles = with.StmtNode, with.Default
	}
	switch n := n.(type) {
	case *parse.CreateUserStmt:
		err = s.createUsers(ctx, n, roles)
	case *parse.AlterUserStmt:
		err = s.alterUsers(ctx, n, roles)
	case *parse.DropUserStmt:
		err = s.dropUsers(ctx, n)
	case *parse.RenameUserStmt:
		err = s.renameUsers(ctx, n)
	case *parse.SetPwdStmt:
		err = s.setPassword(ctx, n)
	case *parse.GrantStmt:
		err = s.grant(ctx, n)
	case *parse.RevokeStmt:
		err = s.revoke(ctx, n)
	case *parse.GrantRoleStmt:
		err = s.grantRoles(ctx, n, false)
	case *parse.GrantAdminStmt:
		err = s.grantRoles(ctx, n.GrantRoleStmt, true)
	case *parse.RevokeRoleStmt:
		err = s.revokeRoles(ctx, n)
	case *parse.SetDefaultRoleStmt:
		err = s.setDefaultRoles(ctx, n)
	}
	if err != nil {
		return err
	}
	return out.warned(s.warningCount())
}

// accountChanges gathers what one statement does to accounts: all of it or nothing.
type accountChanges struct {
	verb    string // as the error names it: CREATE USER
	changes []command.AccountChange
	failed  []string
}

// fail notes an account for which the statement cannot be done.
func (c *accountChanges) fail(name model.AccountName) {
	c.failed = append(c.failed, "'"+name.Name+"'@'"+name.Host+"'")
}

// refusal is the error that names the accounts that were in the way.
func (c *accountChanges) refusal() error {
	return sqlErr(errno.AccountFailed, "Operation %s failed for %s", c.verb, strings.Join(c.failed, ","))
}

// carryOut proposes the changes, and further commands behind them.
func (s *Session) carryOut(ctx context.Context, c *accountChanges) error {
	if len(c.failed) > 0 {
		return c.refusal()
	}
	if len(c.changes) == 0 {
		return nil
	}
	err := s.apply(ctx, &command.ChangeAccounts{Changes: c.changes})
	var there *catalog.ErrExists
	var gone *catalog.ErrNotFound
	if errors.As(err, &there) || errors.As(err, &gone) { // another session was faster
		for _, ch := range c.changes {
			c.fail(ch.Account)
		}
		return c.refusal()
	}
	return err
}

// nameOf reads the name of an account; CURRENT_USER() is the session's.
func (s *Session) nameOf(u *parse.UserIdentity) model.AccountName {
	if u == nil || u.CurrentUser {
		return s.accountName()
	}
	return model.AccountName{Name: u.Username, Host: strings.ToLower(u.Hostname)}
}

// checkGlobal refuses what needs a privilege on *.*.
func (s *Session) checkGlobal(p model.Privilege) error {
	return account.Check(s.rights(), s.who(), []account.Need{{Privileges: p}})
}

// checkManage refuses changes of accounts by whoever may not make them: an account with SUPER is changed by such accounts only.
func (s *Session) checkManage(u *model.User) error {
	if err := s.checkGlobal(model.PrivCreateUser); err != nil {
		return err
	}
	return s.checkSuper(u)
}

// checkSuper refuses changes of an account that has SUPER, or can have it by a role, without SUPER.
func (s *Session) checkSuper(u *model.User) error {
	if u != nil && account.Utmost(s.sh.Log.Current(), u).Holds(model.PrivSuper, "", "") {
		return s.checkGlobal(model.PrivSuper)
	}
	return nil
}

// createUsers runs CREATE USER, and CREATE ROLE: a role is an account that nobody can log in to.
func (s *Session) createUsers(ctx context.Context, n *parse.CreateUserStmt, roles *parse.SetDefaultRoleStmt) error {
	c, need := &accountChanges{verb: "CREATE USER"}, model.PrivCreateUser
	if n.IsCreateRole {
		c.verb, need = "CREATE ROLE", need|model.PrivCreateRole
	}
	if err := s.checkGlobal(need); err != nil {
		return err
	}
	like, err := accountOptions(n.AuthTokenOrTLSOptions, n.PasswordOrLockOptions,
		len(n.ResourceOptions) > 0 || n.CommentOrAttributeOption != nil || n.ResourceGroupNameOption != nil)
	if err != nil {
		return err
	}
	if err := s.givesDefaultRoles(roles, &like); err != nil {
		return err
	}
	if locked := true; n.IsCreateRole {
		like.Locked = &locked
	}
	for _, spec := range n.Specs {
		change := like
		change.Verb, change.Account = command.AccountCreate, s.nameOf(spec.User)
		if _, ok := s.sh.Log.Current().Account(change.Account); ok {
			if n.IfNotExists {
				s.warn("Note", errno.AccountExists, "Authorization ID '"+change.Account.Name+"'@'"+change.Account.Host+"' already exists.")
			} else {
				c.fail(change.Account)
			}
			continue
		}
		if change.Login, err = loginOf(spec.AuthOpt, server.PluginNative); err != nil {
			return err
		}
		c.changes = append(c.changes, change)
	}
	return s.carryOut(ctx, c)
}

func (s *Session) alterUsers(ctx context.Context, n *parse.AlterUserStmt, roles *parse.SetDefaultRoleStmt) error {
	like, err := accountOptions(n.AuthTokenOrTLSOptions, n.PasswordOrLockOptions,
		len(n.ResourceOptions) > 0 || n.CommentOrAttributeOption != nil || n.ResourceGroupNameOption != nil)
	if err != nil {
		return err
	}
	c := &accountChanges{verb: "ALTER USER"}
	specs := n.Specs
	if n.CurrentAuth != nil { // ALTER USER USER() …
		specs = append(specs, &parse.UserSpec{User: &parse.UserIdentity{CurrentUser: true}, AuthOpt: n.CurrentAuth})
	}
	for _, spec := range specs {
		change := like
		change.Verb, change.Account = command.AccountAlter, s.nameOf(spec.User)
		u, ok := s.sh.Log.Current().Account(change.Account)
		ownPassword := change.Account == s.accountName() && change.Locked == nil && change.RequireTLS == nil
		if !ownPassword || !ok {
			if err := s.checkManage(u); err != nil {
				return err
			}
		}
		switch {
		case !ok && n.IfExists:
			s.warn("Note", errno.AccountMissing, "Authorization ID '"+change.Account.Name+"'@'"+change.Account.Host+"' does not exist.")
			continue
		case !ok:
			c.fail(change.Account)
			continue
		}
		if spec.AuthOpt != nil {
			if change.Login, err = loginOf(spec.AuthOpt, u.Plugin); err != nil {
				return err
			}
		}
		if change.DefaultRoles, err = defaultRoles(roles, u); err != nil {
			return err
		}
		c.changes = append(c.changes, change)
	}
	return s.carryOut(ctx, c)
}

// dropUsers runs DROP USER and DROP ROLE.
func (s *Session) dropUsers(ctx context.Context, n *parse.DropUserStmt) error {
	c, check := &accountChanges{verb: "DROP USER"}, s.checkManage
	if n.IsDropRole {
		c.verb, check = "DROP ROLE", s.checkDropRole
	}
	for _, id := range n.UserList {
		name := s.nameOf(id)
		u, ok := s.sh.Log.Current().Account(name)
		if err := check(u); err != nil {
			return err
		}
		switch {
		case ok:
			c.changes = append(c.changes, command.AccountChange{Verb: command.AccountDrop, Account: name})
		case n.IfExists:
			s.warn("Note", errno.AccountMissing, "Authorization ID '"+name.Name+"'@'"+name.Host+"' does not exist.")
		default:
			c.fail(name)
		}
	}
	return s.carryOut(ctx, c)
}

// checkDropRole is checkManage of DROP ROLE, whose privilege is no right to drop those who log in.
func (s *Session) checkDropRole(u *model.User) error {
	need := model.PrivCreateUser
	if u == nil || u.Locked {
		need |= model.PrivDropRole
	}
	if err := s.checkGlobal(need); err != nil {
		return err
	}
	return s.checkSuper(u)
}

func (s *Session) renameUsers(ctx context.Context, n *parse.RenameUserStmt) error {
	c := &accountChanges{verb: "RENAME USER"}
	for _, pair := range n.UserToUsers {
		from, to := s.nameOf(pair.OldUser), s.nameOf(pair.NewUser)
		u, _ := s.sh.Log.Current().Account(from)
		if err := s.checkManage(u); err != nil {
			return err
		}
		if slices.ContainsFunc(s.sh.Log.Current().Accounts(), func(u *model.User) bool { return u.Role(from) != nil }) {
			return sqlErr(errno.RenameRole, "Renaming of a role identifier is forbidden")
		}
		c.changes = append(c.changes, command.AccountChange{Verb: command.AccountRename, Account: from, To: &to})
	}
	return s.carryOut(ctx, c)
}

func (s *Session) setPassword(ctx context.Context, n *parse.SetPwdStmt) error {
	name := s.nameOf(n.User)
	u, ok := s.sh.Log.Current().Account(name)
	if name != s.accountName() || !ok {
		if err := s.checkManage(u); err != nil {
			return err
		}
	}
	if !ok {
		return sqlErr(errno.NoSuchAccount, "Can't find any matching row in the user table")
	}
	login, err := loginOf(&parse.AuthOption{ByAuthString: true, AuthString: n.Password}, u.Plugin)
	if err != nil {
		return err
	}
	return s.carryOut(ctx, &accountChanges{verb: "SET PASSWORD", changes: []command.AccountChange{{Verb: command.AccountAlter, Account: name, Login: login}}})
}

// accountOptions reads what stands behind the names of CREATE USER and ALTER USER. Limits and expiry are refused by name, and
// others says that there are options of which nothing is known here.
func accountOptions(tls []*parse.AuthTokenOrTLSOption, locks []*parse.PasswordOrLockOption, others bool) (command.AccountChange, error) {
	var c command.AccountChange
	yes, no := true, false
	for _, o := range tls {
		switch o.Type {
		case parse.TlsNone:
			c.RequireTLS = &no
		case parse.Ssl:
			c.RequireTLS = &yes
		default:
			return c, unsupported("REQUIRE of anything but SSL and NONE")
		}
	}
	for _, o := range locks {
		switch o.Type {
		case parse.Lock:
			c.Locked = &yes
		case parse.Unlock:
			c.Locked = &no
		case parse.PasswordExpireNever, parse.PasswordExpireDefault: // nothing expires
		default:
			return c, unsupported("PASSWORD EXPIRE, HISTORY and REUSE, and FAILED_LOGIN_ATTEMPTS")
		}
	}
	if others {
		return c, unsupported("limits, comments and attributes of accounts")
	}
	return c, nil
}

// loginOf reads IDENTIFIED …; nil is an account without a password. The password is hashed here and goes no further.
func loginOf(o *parse.AuthOption, plugin string) (*command.Login, error) {
	if o == nil {
		return &command.Login{Plugin: plugin}, nil
	}
	if o.AuthPlugin != "" {
		plugin = strings.ToLower(o.AuthPlugin)
	}
	stored := o.HashString
	var err error
	if !o.ByHashString {
		stored, err = server.HashPassword(plugin, o.AuthString)
	} else {
		err = server.CheckHash(plugin, stored)
	}
	if err != nil {
		return nil, err
	}
	return &command.Login{Plugin: plugin, Auth: []byte(stored)}, nil
}
