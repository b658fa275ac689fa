package parse

import (
	"strings"

	"stele/sql/syntax"
)

// IntoFile names a query whose rows would go to a file, with the way out.
const IntoFile = "SELECT ... INTO OUTFILE and DUMPFILE, as no frontend writes files: let the client write them, mysql --batch does"

// IntoStmt is a query whose one row goes to user variables: SELECT ... INTO @a, @b.
type IntoStmt struct {
	StmtNode // the query
	Vars     []string
}

// intoVars takes INTO @a, @b out of a query. It may stand before FROM or at the end.
func (r *repair) intoVars() {
	if !r.startsQuery(0) {
		return
	}
	depth := 0
	for i := range r.toks {
		switch {
		case r.is(i, "("):
			depth++
		case r.is(i, ")"):
			depth--
		case depth == 0 && r.is(i, "INTO") && r.isUserVar(i+1):
			end := i + 1
			vars := []string{strings.ToLower(r.value(end))}
			for r.is(end+1, ",") && r.isUserVar(end+2) {
				end += 2
				vars = append(vars, strings.ToLower(r.value(end)))
			}
			r.wrap = func(n StmtNode) StmtNode { return &IntoStmt{n, vars} }
			r.overwrite(r.toks[i].Start, r.toks[end].End, "")
			return
		}
	}
}

// isUserVar reports whether token i is an @variable.
func (r *repair) isUserVar(i int) bool { return i < len(r.toks) && r.toks[i].Kind == syntax.UserVar }
