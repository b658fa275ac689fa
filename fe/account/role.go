package account

import (
	"slices"
	"strings"

	"stele/meta/model"
)

// Accounts finds an account by its exact name.
type Accounts interface {
	Account(model.AccountName) (*model.User, bool)
}

// RolesOf names the roles that were granted to an account itself; nil is one that is gone, and has none.
func RolesOf(u *model.User) []model.AccountName {
	if u == nil {
		return nil
	}
	var out []model.AccountName
	for _, g := range u.Roles {
		out = append(out, g.Role)
	}
	return out
}

// AtLogin names the roles that are active in a new session: the default ones, or all.
func AtLogin(u *model.User, all bool) []model.AccountName {
	switch {
	case all:
		return RolesOf(u)
	case u == nil:
		return nil
	}
	return u.DefaultRoles
}

// StillHas returns those roles that an account has now: one that was taken from it, or dropped, is not active any more.
func StillHas(u *model.User, roles []model.AccountName) []model.AccountName {
	var out []model.AccountName
	for _, role := range roles {
		if u != nil && u.Role(role) != nil {
			out = append(out, role)
		}
	}
	return out
}

// Behind returns the accounts that are the active roles of one, and the roles that those have, each once: a role has whatever was
// granted to it.
func Behind(all Accounts, u *model.User, active []model.AccountName) []*model.User {
	var out []*model.User
	seen := map[model.AccountName]bool{}
	open := StillHas(u, active)
	for len(open) > 0 {
		name := open[0]
		open = open[1:]
		role, ok := all.Account(name)
		if !ok || seen[name] {
			continue
		}
		seen[name] = true
		out, open = append(out, role), append(open, RolesOf(role)...)
	}
	return out
}

// Utmost are the rights that an account can have: with all its roles.
func Utmost(all Accounts, u *model.User) *Rights { return RightsOf(u, Behind(all, u, RolesOf(u))...) }

// MayPass reports whether an account, with the roles behind it, has a role WITH ADMIN OPTION: it may give it to others and take it.
func MayPass(u *model.User, behind []*model.User, role model.AccountName) bool {
	for _, holder := range append([]*model.User{u}, behind...) {
		if holder == nil {
			continue
		}
		if g := holder.Role(role); g != nil && g.Admin {
			return true
		}
	}
	return false
}

// Circles reports whether granting a role to an account would close a circle: the role is that account, or has it as a role.
func Circles(all Accounts, role, to model.AccountName) bool {
	u, _ := all.Account(role)
	return role == to || slices.ContainsFunc(Behind(all, u, RolesOf(u)), func(r *model.User) bool { return r.AccountName() == to })
}

// ListRoles prints roles as CURRENT_ROLE() does, by name.
func ListRoles(roles []model.AccountName) string {
	if len(roles) == 0 {
		return "NONE"
	}
	names := make([]string, len(roles))
	for i, role := range slices.SortedFunc(slices.Values(roles), model.AccountName.Compare) {
		names[i] = QuoteAccount(role)
	}
	return strings.Join(names, ",")
}
