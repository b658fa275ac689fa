package session

import (
	"context"

	"stele/fe/account"
	"stele/fe/server"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/model"
	"stele/sql/errno"
	"stele/sql/parse"
	"stele/sql/plan"
)

// granted is what the session has worked out of the grants of its account. It holds for as long as the mark is that of the
// catalog; the table is the one that was asked for last.
type granted struct {
	mark  catalog.AccountsMark
	of    *account.Rights
	roles string // that are active, as CURRENT_ROLE() shows them
	good  bool   // the account itself may do everything
	table *catalog.Table
	on    model.Privilege
}

// accountName names the account of the session.
func (s *Session) accountName() model.AccountName {
	return model.AccountName{Name: s.info.Account.User, Host: s.info.Account.Host}
}

// rights are those of the session's account as this FE knows them now. An account that is gone has none.
func (s *Session) rights() *account.Rights {
	cat := s.sh.Log.Current()
	if mark := cat.AccountsMark(); s.granted.of == nil || mark != s.granted.mark {
		u, _ := cat.Account(s.accountName())
		own := account.RightsOf(u)
		s.granted = granted{mark: mark, of: own, roles: account.ListRoles(account.StillHas(u, s.active)), good: own.Holds(model.PrivAll, "", "")}
		if roles := account.Behind(cat, u, s.active); len(roles) > 0 {
			s.granted.of = account.RightsOf(u, roles...)
		}
	}
	return s.granted.of
}

// currentRole is CURRENT_ROLE().
func (s *Session) currentRole() string {
	s.rights()
	return s.granted.roles
}

// holds reports whether the session may use a table in every way of want. It is asked once a statement, so what was found
// out about a table is kept.
func (s *Session) holds(want model.Privilege, database string, t *catalog.Table) bool {
	r := s.rights()
	if t.Owner != nil {
		return true
	}
	if s.granted.table != t {
		s.granted.table, s.granted.on = t, r.On(database, t.Name)
	}
	return s.granted.on&want == want
}

// mayWrite refuses a write to a table that lacks one of the privileges of want. A table that is named by views asks for them there.
func (s *Session) mayWrite(want model.Privilege, via []plan.ViewUse, database string, t *catalog.Table) error {
	if err := s.mayWriteLocked(t); err != nil {
		return err
	}
	switch {
	case len(via) > 0:
		return s.mayWriteVia(want, via, database, t)
	case s.holds(want, database, t):
		return nil
	}
	return guarded{may: s.granted.of}.mayAll(s.who(), want, database, t.Name)
}

// mayAll refuses the first privilege of want that is missing.
func (g guarded) mayAll(who string, want model.Privilege, database, table string) error {
	missing := want &^ g.may.On(database, table)
	for bit := model.Privilege(1); bit != 0; bit <<= 1 {
		if missing&bit != 0 {
			return account.Denied(who, account.Need{Privileges: bit, Database: database, Table: table})
		}
	}
	return nil
}

// mayLock refuses to lock rows without a privilege to change them: who may only read must not stand in the way of others.
func (s *Session) mayLock(p *plan.ModifyPlan) error {
	database, name := p.Database, p.Table.Name
	if p.Table.Owner != nil {
		return nil
	}
	if len(p.Via) > 0 { // what is below it, it reads by the rights of its definer
		database, name = p.Via[0].Database, p.Via[0].View.Name
	}
	return account.Check(s.rights(), s.who(), []account.Need{{
		Privileges: model.PrivUpdate | model.PrivDelete | model.PrivLockTables, Database: database, Table: name}})
}

// MayKill refuses to end a session of another user without SUPER; by is who asks.
func (sh *Shared) MayKill(by server.ConnInfo, id uint64) error {
	if s, ok := sh.live.Load(by.ID); ok && s.(*Session).rights().Holds(model.PrivSuper, "", "") {
		return nil
	}
	for _, p := range sh.allProcesses() {
		switch {
		case p.ID != id:
		case p.User == by.User:
			return nil
		default:
			return sqlErr(errno.KillDenied, "You are not owner of thread %d", id)
		}
	}
	return sqlErr(errno.NoSuchThread, "Unknown thread id: %d", id)
}

// guarded is a snapshot as one account may know it. What a statement needs is judged by its syntax before and by its plan
// after; this is the second lock on the same door: a planner never sees a table of whose rows the account may do nothing.
type guarded struct {
	snapshot
	may      *account.Rights
	accounts *catalog.Catalog // the newest: what a definer of a view was granted or lost counts at once
}

// rowPrivileges are those by which an account may do something with the rows of a table, or with the table for their sake.
const rowPrivileges = model.PrivSelect | model.PrivInsert | model.PrivUpdate | model.PrivDelete | model.PrivCreate | model.PrivAlter

// Table finds a table by database and name. With its own tables a session may do everything.
func (g guarded) Table(db, name string) (*catalog.Table, bool) {
	if t, own := g.temps.named(g.Catalog, db, name); own {
		return t, true
	}
	if g.may.On(db, name)&rowPrivileges == 0 {
		return nil, false
	}
	return g.snapshot.Table(db, name)
}

// who is the client as errors name it.
func (s *Session) who() string { return s.info.User + "@" + s.info.Host }

// allow refuses a statement that the session's account may not run.
func (s *Session) allow(ctx context.Context, st *parse.Statement) error {
	if st.Admin != nil {
		return s.check(ctx, stmt.Needs(st.Admin.ID))
	}
	return s.check(ctx, s.ownedNeeds(st, account.Needs(st, s.db)))
}

// check refuses what the session's account may not do. A grant that another FE has given or taken before counts: only what
// is allowed anyway is not asked for.
func (s *Session) check(ctx context.Context, needs []account.Need) error {
	if len(needs) == 0 {
		return nil
	}
	if err := account.Check(s.rights(), s.who(), needs); err == nil && s.grantedForGood() {
		return nil
	}
	if _, err := s.sh.Log.ReadIndex(ctx); err != nil {
		return err
	}
	return account.Check(s.rights(), s.who(), needs)
}

// grantedForGood reports whether the account is one that may do everything: it is not worth asking the leading FE with every
// statement whether that was taken from it a moment ago.
func (s *Session) grantedForGood() bool { return s.granted.good }

// checkUse refuses a default database of which the account may know nothing.
func (s *Session) checkUse(db string) error {
	if stmt.IsSystemDatabase(db) || s.rights().Sees(db, "") {
		return nil
	}
	return account.Denied(s.who(), account.Need{Database: db})
}
