package parse

import (
	"slices"

	"github.com/pingcap/tidb/pkg/parser"

	"stele/sql/syntax"
)

// GrantAdminStmt is a GRANT of roles WITH ADMIN OPTION.
type GrantAdminStmt struct{ *GrantRoleStmt }

// DefaultRolesStmt is a CREATE USER or ALTER USER with DEFAULT ROLE.
type DefaultRolesStmt struct {
	StmtNode // without them
	Default  *SetDefaultRoleStmt
}

// adminOption takes WITH ADMIN OPTION out of a GRANT of roles.
func (r *repair) adminOption() {
	n := len(r.toks)
	of := slices.ContainsFunc(r.toks, func(t syntax.Token) bool { return t.Is(r.text, "ON") })
	if !r.is(0, "GRANT") || of || !r.is(n-3, "WITH") || !r.is(n-2, "ADMIN") || !r.is(n-1, "OPTION") {
		return
	}
	r.overwrite(r.toks[n-3].Start, r.toks[n-1].End, "")
	r.wrap = func(n StmtNode) StmtNode {
		if grant, ok := n.(*GrantRoleStmt); ok {
			return &GrantAdminStmt{grant}
		}
		return n
	}
}

// behindRoles are the words that may follow the roles of DEFAULT ROLE.
var behindRoles = []string{"REQUIRE", "WITH", "PASSWORD", "ACCOUNT", "COMMENT", "ATTRIBUTE", "FAILED_LOGIN_ATTEMPTS", "PASSWORD_LOCK_TIME"}

// defaultRoles takes DEFAULT ROLE out of CREATE USER and ALTER USER. The roles are read as those of SET DEFAULT ROLE.
func (r *repair) defaultRoles(p *parser.Parser) {
	if !r.is(0, "CREATE") && !r.is(0, "ALTER") || !r.is(1, "USER") {
		return
	}
	at := slices.IndexFunc(r.toks, func(t syntax.Token) bool { return t.Is(r.text, "DEFAULT") })
	if at < 0 || !r.is(at+1, "ROLE") || at+2 >= len(r.toks) {
		return
	}
	end := at + 3
	for end < len(r.toks) && !slices.ContainsFunc(behindRoles, func(word string) bool { return r.is(end, word) }) {
		end++
	}
	roles := r.text[r.toks[at+2].Start:r.toks[end-1].End]
	nodes, _, err := p.ParseSQL("SET DEFAULT ROLE " + roles + " TO u")
	if err != nil || len(nodes) != 1 {
		return
	}
	set, ok := nodes[0].(*SetDefaultRoleStmt)
	if !ok {
		return
	}
	r.overwrite(r.toks[at].Start, r.toks[end-1].End, "")
	r.wrap = func(n StmtNode) StmtNode { return &DefaultRolesStmt{n, set} }
}
