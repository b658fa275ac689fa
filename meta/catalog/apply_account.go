package catalog

import (
	"cmp"
	"slices"
	"strings"

	"stele/meta/command"
	"stele/meta/model"
)

// maxGrants bounds what one account is granted: an account is one record of the snapshot.
const maxGrants = 4096

// Kind of errors about accounts; their Name is "name@host".
const kindAccount = "user"

// AccountsMark changes whenever an account or its grants may have. Marks of two catalogs of one FE can be compared, so that
// what follows from the accounts is worked out once.
type AccountsMark struct{ root *node[userName, *User] }

// AccountsMark returns the mark of the accounts as they are.
func (c *Catalog) AccountsMark() AccountsMark { return AccountsMark{c.users.root} }

// Account finds an account by its exact name. A catalog without accounts has root.
func (c *Catalog) Account(name model.AccountName) (*User, bool) {
	if c.users.len() == 0 && name == model.RootName {
		return model.Root(), true
	}
	return c.users.get(userName{name.Name, name.Host})
}

// Accounts lists all accounts by name and host. A catalog without accounts has root.
func (c *Catalog) Accounts() []*User {
	if c.users.len() == 0 {
		return []*User{model.Root()}
	}
	return slices.Collect(values(c.users))
}

func (d *draft) applyAccount(cmd command.Command) (any, error, bool) {
	var err error
	switch c := cmd.(type) {
	case *command.ChangeAccounts:
		err = d.changeAccounts(c)
	case *command.ChangeGrants:
		err = d.changeGrants(c)
	default:
		return nil, nil, false
	}
	if err == nil {
		err = d.checkAdministered()
	}
	return nil, err, true
}

// foundAccounts writes down the root that a cluster without accounts has, before the first change of any.
func (d *draft) foundAccounts() {
	if d.users.len() == 0 {
		d.putAccount(model.Root())
	}
}

func (d *draft) putAccount(u *User) { d.users = d.users.set(d.o, userName{u.Name, u.Host}, u) }

// checkAdministered refuses the change after which nobody could manage accounts any more.
func (d *draft) checkAdministered() error {
	for _, u := range d.users.all() {
		if u.Administers() {
			return nil
		}
	}
	return refused("no account would be left that may do everything: make another one first")
}

func (d *draft) changeAccounts(c *command.ChangeAccounts) error {
	d.foundAccounts()
	for i := range c.Changes {
		if err := d.changeAccount(&c.Changes[i]); err != nil {
			return err
		}
	}
	return nil
}

func (d *draft) changeAccount(c *command.AccountChange) error {
	key := userName{c.Account.Name, c.Account.Host}
	old, ok := d.users.get(key)
	if c.Verb == command.AccountCreate {
		if ok {
			return exists(kindAccount, key.String())
		}
		if key.host == "" {
			return refused("account %s has no host", key.name)
		}
		return d.amendAccount(&User{Name: key.name, Host: key.host}, c)
	}
	if !ok {
		return notFound(kindAccount, key.String())
	}
	switch c.Verb {
	case command.AccountAlter:
		return d.amendAccount(old, c)
	case command.AccountDrop:
		d.users = d.users.del(d.o, key)
		d.takeFromAll(c.Account)
	case command.AccountRename:
		return d.renameAccount(old, c.To)
	default:
		return refused("account verb %d is unknown", c.Verb)
	}
	return nil
}

func (d *draft) renameAccount(old *User, to *model.AccountName) error {
	if to == nil || to.Host == "" {
		return refused("account %s has no new name", old.Name)
	}
	if _, ok := d.users.get(userName{to.Name, to.Host}); ok {
		return exists(kindAccount, userName{to.Name, to.Host}.String())
	}
	if d.isRole(old.AccountName()) {
		return refused("account %s is a role of others", userName{old.Name, old.Host})
	}
	u := *old
	u.Name, u.Host = to.Name, to.Host
	d.users = d.users.del(d.o, userName{old.Name, old.Host})
	d.putAccount(&u)
	return nil
}

// amendAccount puts an account with what a change says of it.
func (d *draft) amendAccount(old *User, c *command.AccountChange) error {
	u := *old
	if c.Login != nil {
		u.Plugin, u.Auth = c.Login.Plugin, c.Login.Auth
	}
	if c.Locked != nil {
		u.Locked = *c.Locked
	}
	if c.RequireTLS != nil {
		u.RequireTLS = *c.RequireTLS
	}
	if err := d.amendRoles(&u, c); err != nil {
		return err
	}
	d.putAccount(&u)
	return nil
}

func (d *draft) changeGrants(c *command.ChangeGrants) error {
	d.foundAccounts()
	for _, name := range c.Accounts {
		old, ok := d.users.get(userName{name.Name, name.Host})
		if !ok {
			return notFound(kindAccount, userName{name.Name, name.Host}.String())
		}
		u := *old
		if u.Grants = slices.Clone(old.Grants); c.TakeAll {
			u.Grants = nil
		}
		for _, g := range c.Take {
			u.Grants = regranted(u.Grants, g, func(had model.Privilege) model.Privilege { return had &^ g.Privileges })
		}
		for _, g := range c.Give {
			u.Grants = regranted(u.Grants, g, func(had model.Privilege) model.Privilege { return had | g.Privileges })
		}
		if len(u.Grants) > maxGrants {
			return refused("account %s would have more than %d grants: grant on databases rather than on tables", userName{u.Name, u.Host}, maxGrants)
		}
		d.putAccount(&u)
	}
	return nil
}

// regranted changes the privileges at the level of a grant; a level without any goes.
func regranted(grants []Grant, level Grant, change func(model.Privilege) model.Privilege) []Grant {
	i, ok := slices.BinarySearchFunc(grants, level, func(a, b Grant) int {
		return cmp.Or(strings.Compare(a.Database, b.Database), strings.Compare(a.Table, b.Table))
	})
	if !ok {
		grants = slices.Insert(grants, i, Grant{Database: level.Database, Table: level.Table})
	}
	if grants[i].Privileges = change(grants[i].Privileges); grants[i].Privileges == 0 {
		return slices.Delete(grants, i, i+1)
	}
	return grants
}

// String is the form that errors have: name@host.
func (n userName) String() string { return n.name + "@" + n.host }
