package account

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"stele/meta/model"
	"stele/sql/syntax"
)

// Grants prints the grants of an account as GRANT statements that would give them again, *.* first and roles last; those of the
// roles that it is shown with are among its own.
func Grants(u *model.User, with []*model.User) []string {
	to := " TO " + QuoteAccount(u.AccountName())
	lines := []string{"GRANT USAGE ON *.*" + to}
	for _, g := range together(u, with) {
		line := fmt.Sprintf("GRANT %s ON %s%s", privilegeList(g), object(g), to)
		if g.Privileges&model.PrivGrant != 0 {
			line += " WITH GRANT OPTION"
		}
		if g.Database == "" {
			lines[0] = line
			continue
		}
		lines = append(lines, line)
	}
	return append(lines, roleLines(u, with, to)...)
}

// together are the grants of accounts, one for each level.
func together(u *model.User, with []*model.User) []model.Grant {
	grants := slices.Clone(u.Grants)
	for _, role := range with {
		for _, g := range role.Grants {
			i, ok := slices.BinarySearchFunc(grants, g, func(a, b model.Grant) int {
				return cmp.Or(strings.Compare(a.Database, b.Database), strings.Compare(a.Table, b.Table))
			})
			if ok {
				grants[i].Privileges |= g.Privileges
			} else {
				grants = slices.Insert(grants, i, g)
			}
		}
	}
	return grants
}

// roleLines print the roles of an account, and those that it may pass on because a role that it is shown with may.
func roleLines(u *model.User, with []*model.User, to string) (lines []string) {
	var plain, admin []model.AccountName
	for _, g := range u.Roles {
		if g.Admin {
			admin = append(admin, g.Role)
		} else {
			plain = append(plain, g.Role)
		}
	}
	for _, role := range with {
		for _, g := range role.Roles {
			if g.Admin && !slices.Contains(admin, g.Role) {
				admin = append(admin, g.Role)
			}
		}
	}
	if len(plain) > 0 {
		lines = append(lines, "GRANT "+ListRoles(plain)+to)
	}
	if len(admin) > 0 {
		lines = append(lines, "GRANT "+ListRoles(admin)+to+" WITH ADMIN OPTION")
	}
	return lines
}

func privilegeList(g model.Grant) string {
	all := Level(g.Database, g.Table)
	if g.Database == "" {
		all = known &^ model.PrivGrant
	}
	switch has := g.Privileges & all; has {
	case all:
		return "ALL PRIVILEGES"
	case 0:
		return "USAGE"
	default:
		return strings.Join(Names(has), ", ")
	}
}

// known are the privileges of this version.
var known = func() (all model.Privilege) {
	for _, p := range privileges {
		all |= p.bit
	}
	return all
}()

func object(g model.Grant) string {
	switch {
	case g.Database == "":
		return "*.*"
	case g.Table == "":
		return syntax.QuoteName(g.Database) + ".*"
	}
	return syntax.QuoteName(g.Database) + "." + syntax.QuoteName(g.Table)
}

// Create prints CREATE USER as SHOW CREATE USER does: with the verifier of the password, never the password.
func Create(u *model.User) string {
	login := fmt.Sprintf("IDENTIFIED WITH '%s'", u.Plugin)
	if len(u.Auth) > 0 {
		login += " AS '" + strings.NewReplacer(`\`, `\\`, "'", "''").Replace(string(u.Auth)) + "'"
	}
	if len(u.DefaultRoles) > 0 {
		login += " DEFAULT ROLE " + ListRoles(u.DefaultRoles)
	}
	require, lock := "NONE", "UNLOCK"
	if u.RequireTLS {
		require = "SSL"
	}
	if u.Locked {
		lock = "LOCK"
	}
	return fmt.Sprintf("CREATE USER %s %s REQUIRE %s ACCOUNT %s", QuoteAccount(u.AccountName()), login, require, lock)
}

// QuoteAccount prints the name of an account as statements take it.
func QuoteAccount(n model.AccountName) string {
	return syntax.QuoteName(n.Name) + "@" + syntax.QuoteName(n.Host)
}
