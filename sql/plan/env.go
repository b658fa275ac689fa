package plan

import (
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
)

// binder binds one statement: it draws column ids and knows what they are.
type binder struct {
	ctx  *Context
	cols []column
	// modes of the session that binding depends on
	fullGroupBy bool
	strictWrite bool                // a statement that writes in strict mode: a cast that fails is an error
	byZeroFails bool                // and so is a division by zero
	unfolded    bool                // what constants decide is left to be worked out each time
	once        bool                // what is bound now is worked out exactly once
	depth       int                 // nesting of queries, bounded
	moments     map[*expr.Node]bool // constants that DATE_ADD has made of a text

	locks *ast.SelectStmt // the one whose rows the session locks, when it asks for that

	unrounded map[*expr.Node]*expr.Node  // by the rounded expression, see digits.go
	charsets  map[*expr.Node]charsetText // of text that is not in utf8mb4, see charset.go

	gives int // how many keys joins have given to scans, see reduce.go

	collates bool // some text of the statement does not compare by its bytes

	opened   []ViewUse     // the views whose queries are being bound, the outermost first
	views    int           // uses of views so far
	replaces types.TableID // the view that a new one is to replace, 0 = none
	meaning  *meaning      // what names mean, of the query of a new view; nil = nobody asks
}

// maxDepth bounds how deep queries may nest, CTE uses included.
const maxDepth = 64

func newBinder(ctx *Context) *binder {
	return &binder{ctx: ctx, fullGroupBy: hasMode(ctx.SQLMode, "ONLY_FULL_GROUP_BY") || hasMode(ctx.SQLMode, "ANSI")}
}

// hasMode reports whether a comma-separated sql_mode holds a mode.
func hasMode(modes, mode string) bool {
	for m := range strings.SplitSeq(modes, ",") {
		if strings.EqualFold(strings.TrimSpace(m), mode) {
			return true
		}
	}
	return false
}

// scopeColumn is one name that a query level can use.
type scopeColumn struct {
	db, table, name string
	id              int
	hidden          bool // not part of *
	merged          bool // the other half of a USING column: only its qualified name finds it
	common          bool // the one for both of a USING: t.* stands for the halves instead
}

// alias is one name that the select list gives.
type alias struct {
	name string
	node ast.ExprNode // to be bound again where the name is used
	id   int          // the projected column, once it exists; -1 before
}

// env is where expressions of one query level are bound.
type env struct {
	b     *binder
	outer *env
	ctes  *cteScope
	cols  []scopeColumn
	// rel is the input of the expressions; subqueries are joined to it. Nil where subqueries cannot stand.
	rel *rel
	// clause names the part of the statement in errors.
	clause string

	aliases []alias
	// aliasFirst prefers select-list names to columns (ORDER BY, HAVING); otherwise they come second (GROUP BY) when
	// useAliases is set.
	aliasFirst, useAliases bool

	// After aggregation: the groups, the results of the aggregates, and whether plain columns are still allowed.
	grouped  bool
	rollup   *rollup
	groups   []item
	aggs     map[*ast.AggregateFuncExpr]int
	wins     map[*ast.WindowFuncExpr]int
	target   *catalog.Table // of an INSERT: whose columns DEFAULT(c) means
	noAgg    bool           // aggregates cannot stand here (1111)
	oldToNew func(name string) (*expr.Node, bool)
	earlier  func(name *ast.ColumnName) (*expr.Node, error) // of a row of VALUES: what a name means there
	vars     map[string]int                                 // user variables that are columns: of LOAD DATA
}

// cteScope is a list of common table expressions, innermost first.
type cteScope struct {
	name    string
	columns []ast.CIStr
	query   ast.ResultSetNode
	// scope is what the query itself may use, outer the query around the one that has the WITH, of which it may use columns.
	scope *cteScope
	outer *env
	next  *cteScope
	// recursive: the query names itself. running is set for its recursive members.
	recursive bool
	running   *recursion
}

// find looks a CTE up.
func (s *cteScope) find(name string) *cteScope {
	for c := s; c != nil; c = c.next {
		if strings.EqualFold(c.name, name) {
			return c
		}
	}
	return nil
}

// with adds the CTEs of the WITH clause of a query in another one.
func (s *cteScope) with(w *ast.WithClause, outer *env) (*cteScope, error) {
	if w == nil {
		return s, nil
	}
	for _, c := range w.CTEs {
		s = &cteScope{name: c.Name.O, columns: c.ColNameList, query: c.Query.Query, scope: s, next: s, outer: outer,
			recursive: w.IsRecursive && usesTable(c.Query.Query, c.Name.L)}
	}
	return s, nil
}

// usesTable reports whether a query reads an unqualified table of that name anywhere.
func usesTable(n ast.Node, name string) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		if t, ok := n.(*ast.TableName); ok && t.Schema.L == "" && t.Name.L == name {
			found = true
		}
		return !found
	})
	return found
}

// match reports whether the column answers to a (qualified) name.
func (c *scopeColumn) match(name *ast.ColumnName) bool {
	if !strings.EqualFold(c.name, name.Name.O) {
		return false
	}
	if name.Table.O == "" {
		return !c.merged
	}
	return strings.EqualFold(c.table, name.Table.O) && (name.Schema.O == "" || strings.EqualFold(c.db, name.Schema.O))
}

// local finds a name among the level's own columns.
func (e *env) local(name *ast.ColumnName) (*expr.Node, error) {
	found := -1
	for i := range e.cols {
		if !e.cols[i].match(name) {
			continue
		}
		if found >= 0 && e.cols[found].id != e.cols[i].id {
			return nil, errorf(errno.AmbiguousColumn, "Column '%s' in %s is ambiguous", name.String(), e.clause)
		}
		found = i
	}
	if found < 0 {
		if e.earlier != nil {
			return e.earlier(name)
		}
		return nil, nil
	}
	e.b.meaning.column(name, e.cols[found])
	return e.b.col(e.cols[found].id), nil
}

// alias finds a select-list name.
func (e *env) alias(name *ast.ColumnName) (*expr.Node, error) {
	if name.Table.O != "" {
		return nil, nil
	}
	var hit *alias
	for i := range e.aliases {
		if !strings.EqualFold(e.aliases[i].name, name.Name.O) {
			continue
		}
		if hit != nil && !(hit.id >= 0 && hit.id == e.aliases[i].id) && !sameText(hit.node, e.aliases[i].node) {
			return nil, errorf(errno.AmbiguousColumn, "Column '%s' in %s is ambiguous", name.String(), e.clause)
		}
		hit = &e.aliases[i]
	}
	if hit == nil {
		return nil, nil
	}
	if hit.id >= 0 {
		return e.b.col(hit.id), nil
	}
	first, use := e.aliasFirst, e.useAliases
	e.aliasFirst, e.useAliases = false, false
	defer func() { e.aliasFirst, e.useAliases = first, use }()
	return e.bind(hit.node)
}

// sameText reports whether two select items are one plain column, so that naming either is not ambiguous.
func sameText(a, b ast.ExprNode) bool {
	x, ok := a.(*ast.ColumnNameExpr)
	y, ok2 := b.(*ast.ColumnNameExpr)
	return ok && ok2 && strings.EqualFold(x.Name.String(), y.Name.String())
}

// column resolves a name here and then outwards.
func (e *env) column(name *ast.ColumnName) (*expr.Node, error) {
	for level := e; level != nil; level = level.outer {
		first, second := level.local, level.alias
		if level.aliasFirst {
			first, second = second, first
		}
		n, err := first(name)
		if n != nil || err != nil {
			return n, err
		}
		if level.useAliases || level.aliasFirst {
			if n, err = second(name); n != nil || err != nil {
				return n, err
			}
		}
	}
	return nil, errorf(errno.UnknownColumn, "Unknown column '%s' in '%s'", name.String(), e.clause)
}

// in makes a copy of the environment for another clause.
func (e *env) in(clause string) *env {
	c := *e
	c.clause = clause
	return &c
}
