package catalog

import (
	"slices"

	"stele/meta/command"
	"stele/meta/model"
)

// amendRoles changes the roles of an account. Roles never form a circle, so what an account may do has an end.
func (d *draft) amendRoles(u *User, c *command.AccountChange) error {
	for _, role := range c.TakeRoles {
		withoutRole(u, role)
	}
	for _, g := range c.GiveRoles {
		if _, ok := d.users.get(userName{g.Role.Name, g.Role.Host}); !ok {
			return notFound(kindAccount, userName{g.Role.Name, g.Role.Host}.String())
		}
		if d.reaches(g.Role, u.AccountName()) {
			return refused("account %s has the role %s already, by others", userName{g.Role.Name, g.Role.Host}, userName{u.Name, u.Host})
		}
		u.Roles = withRole(u.Roles, g)
	}
	if len(u.Roles) > maxGrants {
		return refused("account %s would have more than %d roles: grant roles to a role", userName{u.Name, u.Host}, maxGrants)
	}
	if c.DefaultRoles == nil {
		return nil
	}
	for _, role := range *c.DefaultRoles {
		if u.Role(role) == nil {
			return refused("account %s does not have the role %s", userName{u.Name, u.Host}, userName{role.Name, role.Host})
		}
	}
	u.DefaultRoles = slices.Clone(*c.DefaultRoles)
	slices.SortFunc(u.DefaultRoles, model.AccountName.Compare)
	u.DefaultRoles = slices.Compact(u.DefaultRoles)
	return nil
}

// withRole adds a role to others, or the right to pass it on to one that is there.
func withRole(roles []model.RoleGrant, g model.RoleGrant) []model.RoleGrant {
	roles = slices.Clone(roles)
	i, ok := slices.BinarySearchFunc(roles, g, func(a, b model.RoleGrant) int { return a.Role.Compare(b.Role) })
	if !ok {
		return slices.Insert(roles, i, g)
	}
	roles[i].Admin = roles[i].Admin || g.Admin
	return roles
}

// withoutRole takes a role from an account, which may not have it.
func withoutRole(u *User, role model.AccountName) {
	u.Roles = slices.DeleteFunc(slices.Clone(u.Roles), func(g model.RoleGrant) bool { return g.Role == role })
	u.DefaultRoles = slices.DeleteFunc(slices.Clone(u.DefaultRoles), func(n model.AccountName) bool { return n == role })
}

// reaches reports whether an account is another one, or has it as a role, by however many others.
func (d *draft) reaches(from, to model.AccountName) bool {
	seen, open := map[model.AccountName]bool{from: true}, []model.AccountName{from}
	for len(open) > 0 {
		at := open[len(open)-1]
		open = open[:len(open)-1]
		if at == to {
			return true
		}
		u, ok := d.users.get(userName{at.Name, at.Host})
		if !ok {
			continue
		}
		for _, g := range u.Roles {
			if !seen[g.Role] {
				seen[g.Role] = true
				open = append(open, g.Role)
			}
		}
	}
	return false
}

// isRole reports whether an account is a role of another one.
func (d *draft) isRole(name model.AccountName) bool {
	for _, u := range d.users.all() {
		if u.Role(name) != nil {
			return true
		}
	}
	return false
}

// takeFromAll takes a role that is no more from all accounts.
func (d *draft) takeFromAll(role model.AccountName) {
	var had []*User
	for _, u := range d.users.all() {
		if u.Role(role) != nil {
			had = append(had, u)
		}
	}
	for _, old := range had {
		u := *old
		withoutRole(&u, role)
		d.putAccount(&u)
	}
}
