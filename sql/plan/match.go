package plan

import (
	"fmt"
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	"stele/sql/fn"
	ast "stele/sql/parse"
	"stele/sql/syntax"
	"stele/sql/vec"
)

// MATCH … AGAINST reads all rows: FULLTEXT keys are declarations that say what may be searched. A rank needs to know how many rows there
// are and in how many of them each word is, which a subquery over the table counts; a condition does not.

// search is a MATCH whose columns and query are known.
type search struct {
	table   column // one of the columns
	names   []string
	texts   []*expr.Node
	query   *expr.Node
	param   string
	nothing bool // AGAINST (NULL)
	words   int
}

// matchRank is a MATCH as a value.
func (e *env) matchRank(n *ast.MatchAgainst) (*expr.Node, error) {
	s, err := e.search(n)
	if err != nil || s.nothing {
		return noRank(), err
	}
	counts := expr.Const(expr.Null().Value, s.query.Type)
	if s.words > 0 {
		if counts, err = e.wordCounts(s); err != nil {
			return nil, err
		}
	}
	return e.b.plainCall(fn.MatchRank+":"+s.param, append([]*expr.Node{s.query, counts}, s.texts...))
}

// noRank is the rank of what is not found.
func noRank() *expr.Node {
	return expr.Const(vec.Float(0), types.ColumnType{Kind: types.KindDouble, NotNull: true})
}

// matchFound is a MATCH as a condition.
func (e *env) matchFound(n *ast.MatchAgainst) (*expr.Node, error) {
	s, err := e.search(n)
	if err != nil || s.nothing {
		return constBool(false), err
	}
	return e.b.plainCall(fn.MatchFound+":"+s.param, append([]*expr.Node{s.query}, s.texts...))
}

func (e *env) search(n *ast.MatchAgainst) (search, error) {
	var s search
	if n.Modifier.WithQueryExpansion() {
		return s, refuse("WITH QUERY EXPANSION")
	}
	ids, t, err := e.matched(n, &s)
	if err != nil {
		return s, err
	}
	if !slices.ContainsFunc(t.Unique, func(k catalog.UniqueKey) bool { return k.FullText && sameColumns(k.Columns, ids) }) {
		return s, errorf(errno.NoFulltextKey, "Can't find FULLTEXT index matching the column list")
	}
	query, err := e.bind(n.Against)
	if err != nil {
		return s, err
	}
	if query, err = e.b.coerce(query, types.ColumnType{Kind: types.KindVarChar, Length: maxMatchQuery}); err != nil {
		return s, err
	}
	if query.Kind != expr.NodeConst {
		return s, errorf(errno.WrongArguments, "Incorrect arguments to AGAINST")
	}
	s.query, s.nothing = query, query.Value.Null
	by := s.texts[0].Type.Collation
	s.param = fn.MatchParam(by, n.Modifier.IsBooleanMode())
	q, err := fn.ParseMatch(string(query.Value.B), by, n.Modifier.IsBooleanMode())
	if err == nil {
		s.words = q.Words()
	}
	return s, err
}

// maxMatchQuery is as long as a constant may be.
const maxMatchQuery = 1 << 20

// matched finds the columns of a MATCH, which must be of one stored table.
func (e *env) matched(n *ast.MatchAgainst, s *search) ([]types.ColumnID, *catalog.Table, error) {
	var ids []types.ColumnID
	first := 0
	for i, name := range n.ColumnNames {
		c, err := e.column(name)
		if err != nil {
			return nil, nil, err
		}
		if c.Kind != expr.NodeColumn || e.b.cols[c.Col].table == nil {
			return nil, nil, errorf(errno.WrongArguments, "Incorrect arguments to MATCH")
		}
		col := e.b.cols[c.Col]
		if i == 0 {
			first, s.table = c.Col-col.pos, col // columns of one scan are numbered together
		}
		if c.Col-col.pos != first {
			return nil, nil, errorf(errno.WrongArguments, "Incorrect arguments to MATCH")
		}
		def := &col.table.Schema.Columns[col.pos]
		ids, s.names, s.texts = append(ids, def.ID), append(s.names, def.Name), append(s.texts, c)
	}
	return ids, s.table.table, nil
}

// sameColumns reports whether two lists of columns differ in their order at most.
func sameColumns(a, b []types.ColumnID) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(id types.ColumnID) bool { return !slices.Contains(b, id) })
}

// wordCounts counts the rows of the table and those that have each word of the query.
func (e *env) wordCounts(s search) (*expr.Node, error) {
	var sql strings.Builder
	fmt.Fprintf(&sql, "SELECT CONCAT_WS(' ', COUNT(*)")
	for i := range s.words {
		fmt.Fprintf(&sql, ", SUM(%s(%s, %d", syntax.QuoteName(fn.MatchHas+":"+s.param), syntax.QuoteText(string(s.query.Value.B)), i)
		for _, name := range s.names {
			sql.WriteString(", " + syntax.QuoteName(name))
		}
		sql.WriteString("))")
	}
	fmt.Fprintf(&sql, ") FROM %s.%s", syntax.QuoteName(s.table.origin.Database), syntax.QuoteName(s.table.origin.BaseTable))
	stmt, err := ast.Parse(sql.String(), 0)
	if err != nil {
		return nil, fmt.Errorf("BUG: %w in %s", err, sql.String())
	}
	return e.bind(&ast.SubqueryExpr{Query: stmt.Node.(*ast.SelectStmt)})
}

// byRank orders what MATCH finds as MySQL does by itself: the rows that fit best come first, when WHERE demands a MATCH and nothing else is said.
func (b *binder) byRank(n *ast.SelectStmt) *ast.SelectStmt {
	if n.Where == nil || n.OrderBy != nil || n.GroupBy != nil || n.Distinct || n.LockInfo != nil || b.depth > 1 && n.Limit == nil {
		return n
	}
	for _, f := range n.Fields.Fields {
		if f.Expr != nil && aggregates(f.Expr) {
			return n
		}
	}
	for _, c := range astConjuncts(n.Where) {
		if m, ok := ast.Unparen(c).(*ast.MatchAgainst); ok {
			ordered := *n
			ordered.OrderBy = &ast.OrderByClause{Items: []*ast.ByItem{{Expr: m, Desc: true}}}
			return &ordered
		}
	}
	return n
}

// aggregates reports whether an expression has an aggregate of its query.
func aggregates(n ast.Node) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		if _, ok := n.(*ast.AggregateFuncExpr); ok {
			found = true
		}
		_, sub := n.(*ast.SubqueryExpr)
		return !found && !sub
	})
	return found
}
