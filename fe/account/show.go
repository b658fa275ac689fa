package account

import (
	"fmt"
	"strings"

	"stele/meta/model"
	"stele/sql/syntax"
)

// Grants prints the grants of an account as GRANT statements that would give them again, *.* first.
func Grants(u *model.User) []string {
	to := " TO " + QuoteAccount(model.AccountName{Name: u.Name, Host: u.Host})
	lines := []string{"GRANT USAGE ON *.*" + to}
	for _, g := range u.Grants {
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
	require, lock := "NONE", "UNLOCK"
	if u.RequireTLS {
		require = "SSL"
	}
	if u.Locked {
		lock = "LOCK"
	}
	return fmt.Sprintf("CREATE USER %s %s REQUIRE %s ACCOUNT %s", QuoteAccount(model.AccountName{Name: u.Name, Host: u.Host}), login, require, lock)
}

// QuoteAccount prints the name of an account as statements take it.
func QuoteAccount(n model.AccountName) string {
	return syntax.QuoteName(n.Name) + "@" + syntax.QuoteName(n.Host)
}
