package catalog

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/command"
	"stele/meta/model"
)

// dumbAccounts is the model: a set of (account, level, single privilege), one of roles (account, role) with whether they may be passed on,
// and one of default roles.
type dumbAccounts struct {
	there    map[string]bool
	grants   map[string]bool
	roles    map[[2]string]bool
	defaults map[[2]string]bool
}

func grantKeys(name model.AccountName, g Grant) []string {
	var out []string
	for bit := range 64 {
		if p := model.Privilege(1) << bit; g.Privileges&p != 0 {
			out = append(out, fmt.Sprintf("%s@%s/%s.%s/%d", name.Name, name.Host, g.Database, g.Table, bit))
		}
	}
	return out
}

func (m *dumbAccounts) clone() *dumbAccounts {
	return &dumbAccounts{maps.Clone(m.there), maps.Clone(m.grants), maps.Clone(m.roles), maps.Clone(m.defaults)}
}

// administered is what checkAdministered asks for, by single bits.
func (m *dumbAccounts) administered() bool {
	for name := range m.there {
		all := true
		for _, p := range []model.Privilege{model.PrivCreateUser, model.PrivGrant, model.PrivSuper} {
			for bit := range 64 {
				if p == 1<<bit {
					all = all && m.grants[fmt.Sprintf("%s/./%d", name, bit)]
				}
			}
		}
		if all {
			return true
		}
	}
	return false
}

// change applies a command to a copy; nil when it is to be refused.
func (m *dumbAccounts) change(cmd command.Command) *dumbAccounts {
	next := m.clone()
	switch c := cmd.(type) {
	case *command.ChangeAccounts:
		for _, ch := range c.Changes {
			key := ch.Account.Name + "@" + ch.Account.Host
			if next.there[key] == (ch.Verb == command.AccountCreate) {
				return nil
			}
			if ch.Verb != command.AccountDrop && !next.changeRoles(key, &ch) {
				return nil
			}
			switch ch.Verb {
			case command.AccountCreate:
				next.there[key] = true
			case command.AccountDrop:
				delete(next.there, key)
				concerns := func(k [2]string, _ bool) bool { return k[0] == key || k[1] == key }
				maps.DeleteFunc(next.roles, concerns)
				maps.DeleteFunc(next.defaults, concerns)
				maps.DeleteFunc(next.grants, func(k string, _ bool) bool { return len(k) > len(key) && k[:len(key)+1] == key+"/" })
			}
		}
	case *command.ChangeGrants:
		for _, name := range c.Accounts {
			key := name.Name + "@" + name.Host
			if !next.there[key] {
				return nil
			}
			if c.TakeAll {
				maps.DeleteFunc(next.grants, func(k string, _ bool) bool { return len(k) > len(key) && k[:len(key)+1] == key+"/" })
			}
			for _, g := range c.Take {
				for _, k := range grantKeys(name, g) {
					delete(next.grants, k)
				}
			}
			for _, g := range c.Give {
				for _, k := range grantKeys(name, g) {
					next.grants[k] = true
				}
			}
		}
	}
	if !next.administered() {
		return nil
	}
	return next
}

// changeRoles is false for what is to be refused.
func (m *dumbAccounts) changeRoles(key string, ch *command.AccountChange) bool {
	for _, role := range ch.TakeRoles {
		pair := [2]string{key, role.Name + "@" + role.Host}
		delete(m.roles, pair)
		delete(m.defaults, pair)
	}
	for _, g := range ch.GiveRoles {
		role := g.Role.Name + "@" + g.Role.Host
		if !m.there[role] || m.has(role, key, len(m.there)) {
			return false
		}
		m.roles[[2]string{key, role}] = g.Admin || m.roles[[2]string{key, role}]
	}
	if ch.DefaultRoles == nil {
		return true
	}
	maps.DeleteFunc(m.defaults, func(k [2]string, _ bool) bool { return k[0] == key })
	for _, role := range *ch.DefaultRoles {
		pair := [2]string{key, role.Name + "@" + role.Host}
		if _, ok := m.roles[pair]; !ok {
			return false
		}
		m.defaults[pair] = true
	}
	return true
}

// has reports whether an account is a role, or comes to it by so many steps.
func (m *dumbAccounts) has(account, role string, steps int) bool {
	if account == role {
		return true
	}
	for pair := range m.roles {
		if pair[0] == account && steps > 0 && m.has(pair[1], role, steps-1) {
			return true
		}
	}
	return false
}

func drawGrant(t *rapid.T) Grant {
	g := Grant{Privileges: model.Privilege(rapid.Uint64Range(1, 1<<4).Draw(t, "privileges"))}
	if rapid.Bool().Draw(t, "all") {
		g.Privileges = model.PrivAll
	}
	switch rapid.IntRange(0, 2).Draw(t, "level") {
	case 1:
		g.Database = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "db")
	case 2:
		g.Database, g.Table = "a", rapid.SampledFrom([]string{"t", "u"}).Draw(t, "table")
	}
	return g
}

func drawAccountCommand(t *rapid.T) command.Command {
	names := []model.AccountName{model.RootName, {Name: "ann", Host: "%"}, {Name: "ann", Host: "h"}, {Name: "boss", Host: "%"}}
	name := func() model.AccountName { return rapid.SampledFrom(names).Draw(t, "account") }
	if rapid.Bool().Draw(t, "accounts") {
		c := &command.ChangeAccounts{}
		for range rapid.IntRange(1, 2).Draw(t, "changes") {
			verb := rapid.SampledFrom([]command.AccountVerb{command.AccountCreate, command.AccountAlter, command.AccountDrop}).Draw(t, "verb")
			ch := command.AccountChange{Verb: verb, Account: name()}
			for range rapid.IntRange(0, 2).Draw(t, "roles taken") {
				ch.TakeRoles = append(ch.TakeRoles, name())
			}
			for range rapid.IntRange(0, 2).Draw(t, "roles given") {
				ch.GiveRoles = append(ch.GiveRoles, model.RoleGrant{Role: name(), Admin: rapid.Bool().Draw(t, "admin")})
			}
			if rapid.IntRange(0, 3).Draw(t, "defaults") == 0 {
				defaults := []model.AccountName{name(), name()}[:rapid.IntRange(0, 2).Draw(t, "how many")]
				ch.DefaultRoles = &defaults
			}
			c.Changes = append(c.Changes, ch)
		}
		return c
	}
	c := &command.ChangeGrants{Accounts: []model.AccountName{name()}, TakeAll: rapid.IntRange(0, 9).Draw(t, "take all") == 0}
	for range rapid.IntRange(0, 2).Draw(t, "taken") {
		c.Take = append(c.Take, drawGrant(t))
	}
	for range rapid.IntRange(0, 2).Draw(t, "given") {
		c.Give = append(c.Give, drawGrant(t))
	}
	return c
}

// TestGrantsAreASetOfSinglePrivileges plays changes of accounts and grants against a plain set, and through a snapshot.
func TestGrantsAreASetOfSinglePrivileges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, _, err := Apply(New(), &command.InitCluster{ClusterID: "c", FE: model.FE{ID: 1, Name: "fe1"}})
		if err != nil {
			t.Fatal(err)
		}
		m := &dumbAccounts{map[string]bool{"root@%": true}, map[string]bool{}, map[[2]string]bool{}, map[[2]string]bool{}}
		for _, k := range grantKeys(model.RootName, Grant{Privileges: model.PrivAll}) {
			m.grants[k] = true
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			cmd := drawAccountCommand(t)
			next, _, err := Apply(c, cmd)
			want := m.change(cmd)
			if (want == nil) != (err != nil) {
				t.Fatalf("%+v: %v, the model says %v", cmd, err, want != nil)
			}
			if err != nil {
				continue
			}
			if c.AccountsMark() == next.AccountsMark() {
				t.Fatalf("%+v left the mark as it was", cmd)
			}
			c, m = next, want
		}
		var raw bytes.Buffer
		if err := c.WriteSnapshot(&raw); err != nil {
			t.Fatal(err)
		}
		back, err := ReadSnapshot(&raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []*Catalog{c, back} {
			there, grants := map[string]bool{}, map[string]bool{}
			roles, defaults := map[[2]string]bool{}, map[[2]string]bool{}
			for _, u := range c.Accounts() {
				there[u.Name+"@"+u.Host] = true
				for _, g := range u.Roles {
					roles[[2]string{u.Name + "@" + u.Host, g.Role.Name + "@" + g.Role.Host}] = g.Admin
				}
				for _, r := range u.DefaultRoles {
					defaults[[2]string{u.Name + "@" + u.Host, r.Name + "@" + r.Host}] = true
				}
				for i, g := range u.Grants {
					if i > 0 && (u.Grants[i-1].Database+"\x00"+u.Grants[i-1].Table) >= g.Database+"\x00"+g.Table {
						t.Fatalf("grants out of order: %v", u.Grants)
					}
					for _, k := range grantKeys(model.AccountName{Name: u.Name, Host: u.Host}, g) {
						grants[k] = true
					}
				}
			}
			if !maps.Equal(roles, m.roles) || !maps.Equal(defaults, m.defaults) {
				t.Fatalf("roles %v, default ones %v, want %v", roles, defaults, m)
			}
			if !maps.Equal(there, m.there) || !maps.Equal(grants, m.grants) {
				t.Fatalf("accounts %v, grants %v, want %v", slices.Sorted(maps.Keys(there)), slices.Sorted(maps.Keys(grants)), m)
			}
		}
	})
}

func TestAccountsAreRenamedAndLocked(t *testing.T) {
	b := newBench(t)
	ann, eve := model.AccountName{Name: "ann", Host: "%"}, model.AccountName{Name: "eve", Host: "h"}
	yes := true
	b.must(&command.ChangeAccounts{Changes: []command.AccountChange{{Verb: command.AccountCreate, Account: ann, Locked: &yes}}})
	b.must(&command.ChangeGrants{Accounts: []model.AccountName{ann}, Give: []Grant{{Database: "d", Privileges: model.PrivSelect}}})
	b.must(&command.ChangeAccounts{Changes: []command.AccountChange{{Verb: command.AccountRename, Account: ann, To: &eve}}})
	if _, ok := b.c.Account(ann); ok {
		t.Error("the old name is still there")
	}
	if u, ok := b.c.Account(eve); !ok || !u.Locked || len(u.Grants) != 1 {
		t.Errorf("renamed account is %+v", u)
	}
	_ = fails[*ErrExists](b, &command.ChangeAccounts{Changes: []command.AccountChange{{Verb: command.AccountRename, Account: model.RootName, To: &eve}}})
	_ = fails[*ErrRefused](b, &command.ChangeAccounts{Changes: []command.AccountChange{{Verb: command.AccountAlter, Account: model.RootName, Locked: &yes}}})
	_ = fails[*ErrRefused](b, &command.ChangeAccounts{Changes: []command.AccountChange{{Verb: command.AccountDrop, Account: model.RootName}}})
	_ = fails[*ErrNotFound](b, &command.ChangeGrants{Accounts: []model.AccountName{ann}, TakeAll: true})

	b.must(&command.ChangeAccounts{Changes: []command.AccountChange{{Verb: command.AccountAlter, Account: model.RootName, GiveRoles: []model.RoleGrant{{Role: eve}}}}})
	_ = fails[*ErrRefused](b, &command.ChangeAccounts{Changes: []command.AccountChange{{Verb: command.AccountRename, Account: eve, To: &ann}}})
}
