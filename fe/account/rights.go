package account

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"stele/meta/model"
)

// Rights are what the grants of an account and of its active roles allow together. They never change: other grants make other
// Rights.
type Rights struct {
	global model.Privilege // of all of them
	of     []granted
}

// granted is what the grants of one account allow. A role adds to what an account may do and hides nothing of it, so patterns are
// matched for each of them apart.
type granted struct {
	schemas []schemaGrant // the most specific first
	tables  map[tableName]model.Privilege
}

type schemaGrant struct {
	pattern    string
	privileges model.Privilege
}

type tableName struct{ database, table string }

// RightsOf works out the rights of an account; nil is one that is gone, and has none. Roles are those that it makes use of (Behind).
func RightsOf(u *model.User, roles ...*model.User) *Rights {
	r := &Rights{}
	if u == nil {
		return r
	}
	r.add(u)
	for _, role := range roles {
		r.add(role)
	}
	return r
}

func (r *Rights) add(u *model.User) {
	var own granted
	for _, g := range u.Grants {
		switch {
		case g.Database == "":
			r.global |= g.Privileges
		case g.Table == "":
			own.schemas = append(own.schemas, schemaGrant{g.Database, g.Privileges})
		default:
			if own.tables == nil {
				own.tables = map[tableName]model.Privilege{}
			}
			own.tables[tableName{g.Database, g.Table}] |= g.Privileges
		}
	}
	slices.SortStableFunc(own.schemas, func(a, b schemaGrant) int {
		return cmp.Compare(literalPrefix(b.pattern, '\\'), literalPrefix(a.pattern, '\\'))
	})
	if own.schemas != nil || own.tables != nil {
		r.of = append(r.of, own)
	}
}

// On returns what may be done with a table, with a whole database (table "") or with everything (both "").
func (r *Rights) On(database, table string) model.Privilege {
	out := r.global
	if database == "" {
		return out
	}
	for i := range r.of {
		out |= r.of[i].on(database, table)
	}
	return out
}

func (g *granted) on(database, table string) (out model.Privilege) {
	for i := range g.schemas {
		if like(g.schemas[i].pattern, database, '\\') {
			out = g.schemas[i].privileges
			break
		}
	}
	if table != "" && g.tables != nil {
		out |= g.tables[tableName{database, table}]
	}
	return out
}

// Holds reports whether a table, a database or everything may be used in every way of want.
func (r *Rights) Holds(want model.Privilege, database, table string) bool {
	return r.global&want == want || r.On(database, table)&want == want
}

// Sees reports whether a table, or with table "" a database, may be known to be there: something of it is allowed.
func (r *Rights) Sees(database, table string) bool {
	const anything = databasePrivileges | model.PrivGrant
	if r.On(database, table)&anything != 0 {
		return true
	}
	if table != "" {
		return false
	}
	if r.global&model.PrivShowDatabases != 0 {
		return true
	}
	for i := range r.of {
		for name := range r.of[i].tables {
			if name.database == database {
				return true
			}
		}
	}
	return false
}

// Missing returns what an account lacks to give or take a grant: the privileges themselves and GRANT OPTION, for all that the
// grant covers. Of a pattern that is so at *.* and for the same pattern only.
func (r *Rights) Missing(g model.Grant) model.Privilege {
	want := g.Privileges | model.PrivGrant
	if g.Table != "" || literalPrefix(g.Database, '\\') == allLiteral {
		return want &^ r.On(strings.ReplaceAll(g.Database, "\\", ""), g.Table)
	}
	has := r.global
	for _, of := range r.of {
		for _, s := range of.schemas {
			if s.pattern == g.Database {
				has |= s.privileges
			}
		}
	}
	return want &^ has
}

// allLiteral is the literalPrefix of a pattern without wildcards.
const allLiteral = 1 << 30

// literalPrefix is how many bytes of a pattern stand before its first wildcard; one without any is longest.
func literalPrefix(pattern string, escape byte) int {
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case escape:
			i++
		case '%', '_':
			return i
		}
	}
	return allLiteral
}

// like matches a LIKE pattern, by bytes but for _, which takes a character. An escape of 0 is none. It goes back to the last
// % only, so its time is bounded by the product of the lengths.
func like(pattern, s string, escape byte) bool {
	p, at, retry, from := 0, 0, -1, 0
	for at < len(s) || p < len(pattern) {
		if p < len(pattern) && pattern[p] == '%' {
			p++
			retry, from = p, at
			continue
		}
		if n, size := step(pattern[p:], s[at:], escape); size > 0 {
			p, at = p+n, at+size
			continue
		}
		if retry < 0 || from >= len(s) {
			return false
		}
		from++
		p, at = retry, from
	}
	return true
}

// step matches one element of a pattern, which is no %: how much of the pattern and of s it takes, size 0 when it does not match.
func step(pattern, s string, escape byte) (n, size int) {
	switch {
	case pattern == "" || s == "":
		return 0, 0
	case pattern[0] == '_':
		_, size = utf8.DecodeRuneInString(s)
		return 1, size
	case pattern[0] == escape && len(pattern) > 1:
		pattern, n = pattern[1:], 1
	}
	if pattern[0] != s[0] {
		return 0, 0
	}
	return n + 1, 1
}
