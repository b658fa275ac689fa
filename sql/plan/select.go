package plan

import (
	"slices"
	"strings"
	"unicode/utf8"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
)

// field is one column of a query's result.
type field struct {
	name string
	id   int
}

// queryOut is a bound query.
type queryOut struct {
	rel    *rel
	fields []field
}

// query binds a SELECT, a set operation, TABLE t or VALUES ROW(...).
func (b *binder) query(n ast.Node, outer *env, ctes *cteScope) (queryOut, error) {
	if b.depth++; b.depth > maxDepth {
		return queryOut{}, refuse("queries nested deeper than 64 levels")
	}
	defer b.perhaps()()
	defer func() { b.depth-- }()
	switch n := n.(type) {
	case *ast.SelectStmt:
		return b.selectStmt(n, outer, ctes)
	case *ast.SetOprStmt:
		return b.setStmt(n, outer, ctes)
	case *ast.SubqueryExpr:
		return b.query(n.Query, outer, ctes)
	}
	return queryOut{}, refuse("this kind of query")
}

// selectStmt binds one SELECT.
func (b *binder) selectStmt(n *ast.SelectStmt, outer *env, ctes *cteScope) (queryOut, error) {
	ctes, err := ctes.with(n.With, outer)
	if err != nil {
		return queryOut{}, err
	}
	if n.SelectIntoOpt != nil {
		return queryOut{}, refuse(ast.IntoFile)
	}
	if err := b.lockable(n); err != nil {
		return queryOut{}, err
	}
	if n.Kind == ast.SelectStmtKindValues {
		return b.valuesStmt(n, outer, ctes)
	}
	n = b.byRank(n)
	b.once = b.depth == 1 && onlyOnce(n)
	src, err := b.from(n.From, outer, ctes)
	if err != nil {
		return queryOut{}, err
	}
	if b.locks == n && SkipLocked(n) {
		if scan := onlyScan(src.rel); scan != nil {
			scan.picked = true
		}
	}
	s := &selecter{b: b, stmt: n, env: &env{b: b, outer: outer, ctes: ctes, cols: src.cols, rel: src.rel, clause: "field list"}}
	return s.bind()
}

// selecter binds the clauses of one SELECT in their logical order.
type selecter struct {
	b      *binder
	stmt   *ast.SelectStmt
	env    *env
	fields []*ast.SelectField // wildcards expanded
	wild   map[int]int        // position in fields -> column id that a wildcard gave
	items  []item             // the projection: fields, then hidden ORDER BY expressions
	out    []field
}

func (s *selecter) bind() (queryOut, error) {
	if s.stmt.Where != nil {
		if err := s.where(); err != nil {
			return queryOut{}, err
		}
	}
	if err := s.expand(); err != nil {
		return queryOut{}, err
	}
	for _, step := range []func() error{s.aggregate, s.having, s.window, s.project} {
		if err := step(); err != nil {
			return queryOut{}, err
		}
	}
	return s.finish()
}

// where binds the WHERE clause: subqueries become joins, the rest a filter.
func (s *selecter) where() error {
	e := s.env.in("where clause")
	e.noAgg = true
	if err := e.filterBy(s.stmt.Where); err != nil {
		return err
	}
	s.env.rel = e.rel
	return nil
}

// filterBy keeps the rows of e.rel for which a condition holds.
func (e *env) filterBy(n ast.ExprNode) error {
	var plain []*expr.Node
	var later []ast.ExprNode
	for _, c := range astConjuncts(n) {
		if hasSubquery(c) {
			later = append(later, c)
			continue
		}
		p, err := e.condition(c)
		if err == nil {
			p, err = e.b.orZeroDates(p)
		}
		if err != nil {
			return err
		}
		plain = append(plain, conjuncts(p)...)
	}
	e.rel = filter(e.rel, plain...)
	for _, c := range later {
		if err := e.filterBySubquery(c); err != nil {
			return err
		}
	}
	return nil
}

// condition binds a whole condition, which after grouping may use only what is left.
func (e *env) condition(n ast.ExprNode) (*expr.Node, error) {
	p, err := e.predicate(n)
	if err != nil {
		return nil, err
	}
	return p, e.checkGrouped(p, 1, strings.ToUpper(e.clause))
}

// value binds a whole expression, which after grouping may use only what is left.
func (e *env) value(n ast.ExprNode) (*expr.Node, error) {
	x, err := e.bind(n)
	if err != nil {
		return nil, err
	}
	return x, e.checkGrouped(x, 1, strings.ToUpper(e.clause))
}

// values is value for a list.
func (e *env) values(list []ast.ExprNode) ([]*expr.Node, error) {
	out := make([]*expr.Node, len(list))
	for i, n := range list {
		var err error
		if out[i], err = e.value(n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// astConjuncts splits a condition at its ANDs.
func astConjuncts(n ast.ExprNode) []ast.ExprNode {
	switch x := n.(type) {
	case *ast.ParenthesesExpr:
		return astConjuncts(x.Expr)
	case *ast.BinaryOperationExpr:
		if x.Op == ast.OpLogicAnd {
			return append(astConjuncts(x.L), astConjuncts(x.R)...)
		}
	}
	return []ast.ExprNode{n}
}

// hasSubquery reports whether an expression holds a subquery.
func hasSubquery(n ast.Node) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		if _, ok := n.(*ast.SubqueryExpr); ok {
			found = true
		}
		return !found
	})
	return found
}

// expand replaces * and t.* by the columns they stand for.
func (s *selecter) expand() error {
	s.wild = map[int]int{}
	for _, f := range s.stmt.Fields.Fields {
		if f.WildCard == nil {
			s.fields = append(s.fields, f)
			continue
		}
		n := 0
		for _, c := range s.env.cols {
			if !wildMatch(f.WildCard, &c) {
				continue
			}
			s.wild[len(s.fields)] = c.id
			s.fields = append(s.fields, &ast.SelectField{AsName: ast.NewCIStr(c.name)})
			n++
		}
		if n == 0 && f.WildCard.Table.O != "" {
			return errorf(errno.BadTable, "Unknown table '%s'", f.WildCard.Table.O)
		}
		if n == 0 && s.stmt.From == nil {
			return errorf(errno.NoTablesUsed, "No tables used")
		}
	}
	if len(s.fields) > maxFields {
		return errorf(errno.TooManyColumns, "Too many columns")
	}
	s.b.meaning.selected(s)
	return nil
}

// wildMatch reports whether a wildcard stands for a column. The qualified form gives the halves of USING columns where they
// stand in their tables.
func wildMatch(w *ast.WildCardField, c *scopeColumn) bool {
	if w.Table.O == "" {
		return !c.hidden
	}
	name := &ast.ColumnName{Schema: w.Schema, Table: w.Table, Name: ast.NewCIStr(c.name)}
	return (!c.hidden || c.merged) && !c.common && c.match(name)
}

// maxFields is how many columns a query may have, as in MySQL.
const maxFields = 4096

// maxFieldName bounds the name of a field that has none but its text, in bytes, as MySQL does: a text of megabytes is no header of a column.
const maxFieldName = 256

// fieldName is how a field is shown.
func fieldName(f *ast.SelectField) string {
	if f.AsName.O != "" {
		return f.AsName.O
	}
	name := fieldText(f)
	if len(name) <= maxFieldName {
		return name
	}
	end := maxFieldName
	for !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}

// fieldText is what a field without a name is called.
func fieldText(f *ast.SelectField) string {
	switch n := ast.Unparen(f.Expr).(type) {
	case *ast.ColumnNameExpr:
		return n.Name.Name.O
	case ast.ValueExpr:
		if lit, ok := literalString(n); ok {
			return lit
		}
	}
	return trimText(f.Text())
}

// having filters after aggregation; without aggregation it is a second WHERE that knows aliases. A name of the select list comes before a column
// of the tables, unless the query groups by that column.
func (s *selecter) having() error {
	if s.stmt.Having == nil {
		return nil
	}
	e := s.env.in("having clause")
	e.aliasFirst = true
	e.aliases = slices.DeleteFunc(s.aliases(), func(a alias) bool { return s.groupsBy(a.name) })
	if err := e.filterBy(s.stmt.Having.Expr); err != nil {
		return err
	}
	s.env.rel = e.rel
	return nil
}

// groupsBy reports whether a column of the tables with this name is in GROUP BY.
func (s *selecter) groupsBy(name string) bool {
	return s.stmt.GroupBy != nil && slices.ContainsFunc(s.stmt.GroupBy.Items, func(g *ast.ByItem) bool {
		c, ok := g.Expr.(*ast.ColumnNameExpr)
		if !ok || !strings.EqualFold(c.Name.Name.O, name) {
			return false
		}
		n, err := s.env.local(c.Name)
		return n != nil && err == nil
	})
}

// aliases lists the names that the select list gives, to be bound where they are used.
func (s *selecter) aliases() []alias {
	var out []alias
	for _, f := range s.fields {
		if f.Expr == nil {
			continue
		}
		if f.AsName.O != "" {
			out = append(out, alias{name: f.AsName.O, node: f.Expr, id: -1})
		}
	}
	return out
}

// project binds the select list and the ORDER BY expressions that are not in it.
func (s *selecter) project() error {
	used := idSet{}
	for i, f := range s.fields {
		var n *expr.Node
		var err error
		if id, ok := s.wild[i]; ok {
			n, err = s.env.grouping(s.b.col(id))
		} else {
			n, err = s.env.bind(f.Expr)
		}
		if err != nil {
			return err
		}
		if err := s.env.checkGrouped(n, i+1, "SELECT list"); err != nil {
			return err
		}
		it := s.b.projectItem(s.env.rel, n, fieldName(f), used)
		s.items = append(s.items, it)
		s.out = append(s.out, field{name: fieldName(f), id: it.id})
	}
	return nil
}

// projectItem gives an expression over a rel a column id; a plain column of the rel keeps its own the first time (a
// column of an enclosing query never does: its id belongs outside).
func (b *binder) projectItem(in *rel, n *expr.Node, name string, used idSet) item {
	if n.Kind == expr.NodeColumn && !used.has(n.Col) && slices.Contains(in.out, n.Col) {
		used.add(n.Col)
		return item{n.Col, n}
	}
	c := column{name: name, typ: n.Type}
	if n.Kind == expr.NodeColumn {
		c = b.cols[n.Col]
	}
	c.origin.Name, c.origin.Type = name, n.Type
	c.weak = b.weak(n)
	return item{b.newColumn(c), n}
}

// finish adds DISTINCT, ORDER BY and LIMIT.
func (s *selecter) finish() (queryOut, error) {
	keys, err := s.orderKeys()
	if err != nil {
		return queryOut{}, err
	}
	r := project(s.env.rel, s.items)
	if s.stmt.Distinct {
		r = s.b.distinctBy(r, s.out)
	}
	if r, err = s.b.sortLimit(r, keys, s.stmt.Limit); err != nil {
		return queryOut{}, err
	}
	if len(s.items) > len(s.out) {
		r = s.b.keepOnly(r, s.out)
	}
	return queryOut{rel: r, fields: s.out}, nil
}

// keepOnly drops the columns that are not fields.
func (b *binder) keepOnly(r *rel, fields []field) *rel {
	var items []item
	for _, f := range fields {
		items = append(items, item{f.id, b.col(f.id)})
	}
	return project(r, items)
}

// distinct groups by every column.
func (b *binder) distinct(r *rel) *rel {
	var groups []item
	for _, id := range r.out {
		groups = append(groups, item{id, b.col(id)})
	}
	return aggregate(r, groups, nil)
}

// distinctBy groups by the fields that a query shows. Columns beside them are what ORDER BY has and the select list has not: without
// ONLY_FULL_GROUP_BY any value of those that meet in one row will do, as in MySQL.
func (b *binder) distinctBy(r *rel, shown []field) *rel {
	var groups []item
	var hidden []aggItem
	for _, id := range r.out {
		if slices.ContainsFunc(shown, func(f field) bool { return f.id == id }) {
			groups = append(groups, item{id, b.col(id)})
		} else {
			hidden = append(hidden, aggItem{id: id, fn: expr.AggFunc{Name: "any_value", Arg: b.col(id), Type: b.cols[id].typ}})
		}
	}
	return aggregate(r, groups, hidden)
}

// orderKeys binds ORDER BY: positions, names of the select list, expressions of it, then anything else as a hidden column.
func (s *selecter) orderKeys() ([]expr.SortKey, error) {
	if s.stmt.OrderBy == nil {
		return s.rollupKeys()
	}
	e := s.env.in("order clause")
	e.aliasFirst = true
	e.aliases = s.projectedAliases()
	var keys []expr.SortKey
	for _, it := range s.stmt.OrderBy.Items {
		id, err := s.orderKey(e, it)
		if err != nil {
			return nil, err
		}
		s.env.rel = e.rel
		if id >= 0 {
			keys = append(keys, expr.SortKey{Expr: s.b.col(id), Desc: it.Desc})
		}
	}
	return keys, nil
}

// projectedAliases lists the fields by name, as ORDER BY sees them.
func (s *selecter) projectedAliases() []alias {
	var out []alias
	for i, f := range s.fields {
		if f.AsName.O != "" && f.Expr != nil {
			out = append(out, alias{name: f.AsName.O, node: f.Expr, id: s.items[i].id})
		}
	}
	return out
}

// orderKey returns the projected column of one ORDER BY item, or -1 for a constant.
func (s *selecter) orderKey(e *env, it *ast.ByItem) (int, error) {
	if p, ok := it.Expr.(*ast.PositionExpr); ok {
		if p.N < 1 || p.N > len(s.out) {
			return 0, errorf(errno.UnknownColumn, "Unknown column '%d' in 'order clause'", p.N)
		}
		return s.out[p.N-1].id, nil
	}
	n, err := e.bind(it.Expr)
	if err != nil {
		return 0, err
	}
	if n.Kind == expr.NodeConst {
		return -1, nil
	}
	for _, p := range s.items {
		if sameExpr(p.expr, n) || n.Kind == expr.NodeColumn && n.Col == p.id {
			return p.id, nil
		}
	}
	shown := s.shows(n)
	n = substitute(n, s.projected)
	if s.stmt.Distinct && s.b.fullGroupBy && !shown {
		return 0, errorf(errno.OrderNotInSelect, "Expression #1 of ORDER BY clause is not in SELECT list, references column which is not in SELECT list; this is incompatible with DISTINCT")
	}
	if err := e.checkGrouped(n, 1, "ORDER BY"); err != nil {
		return 0, err
	}
	used := newSet()
	for _, p := range s.items {
		used.add(p.id)
	}
	hidden := s.b.projectItem(e.rel, n, "", used)
	s.items = append(s.items, hidden)
	return hidden.id, nil
}

// shows reports whether all columns of an expression are in the select list.
func (s *selecter) shows(e *expr.Node) bool {
	if e.Kind == expr.NodeColumn {
		return slices.ContainsFunc(s.items, func(p item) bool { return p.id == e.Col || sameExpr(p.expr, e) })
	}
	return !slices.ContainsFunc(e.Args, func(a *expr.Node) bool { return !s.shows(a) })
}

// projected gives what the select list computes under a column id, for expressions that stand beside it.
func (s *selecter) projected(c *expr.Node) *expr.Node {
	for _, p := range s.items {
		if p.id == c.Col {
			return p.expr
		}
	}
	return nil
}

// sortLimit adds ORDER BY and LIMIT to a rel.
func (b *binder) sortLimit(r *rel, keys []expr.SortKey, limit *ast.Limit) (*rel, error) {
	count, offset := int64(-1), int64(0)
	if limit != nil {
		var err error
		if count, err = b.limitValue(limit.Count); err != nil {
			return nil, err
		}
		if limit.Offset != nil {
			if offset, err = b.limitValue(limit.Offset); err != nil {
				return nil, err
			}
		}
	}
	switch {
	case len(keys) > 0:
		return &rel{op: opSort, kids: []*rel{r}, out: slices.Clone(r.out), keys: dedupKeys(keys), limit: count, offset: offset}, nil
	case limit != nil:
		return &rel{op: opLimit, kids: []*rel{r}, out: slices.Clone(r.out), limit: count, offset: offset}, nil
	}
	return r, nil
}

// dedupKeys drops sort keys that repeat an earlier one.
func dedupKeys(keys []expr.SortKey) []expr.SortKey {
	var out []expr.SortKey
	for _, k := range keys {
		if !slices.ContainsFunc(out, func(o expr.SortKey) bool { return sameExpr(o.Expr, k.Expr) }) {
			out = append(out, k)
		}
	}
	return out
}

// limitValue reads a LIMIT count: a literal or a parameter.
func (b *binder) limitValue(n ast.ExprNode) (int64, error) {
	e := &env{b: b, clause: "limit clause", noAgg: true}
	v, err := e.bind(n)
	if err != nil {
		return 0, err
	}
	if b.ctx.Describe && v.Kind == expr.NodeConst && v.Value.Null {
		return 1, nil
	}
	if _, bound := n.(*ast.Param); bound && v.Kind == expr.NodeConst && !v.Value.Null && !v.Type.IsInteger() {
		// Drivers bind numbers as text or DOUBLE: what stands for a whole number is one.
		if v, err = b.coerce(v, types.ColumnType{Kind: types.KindBigInt}); err != nil {
			return 0, err
		}
	}
	if v.Kind != expr.NodeConst || v.Value.Null || !v.Type.IsInteger() {
		return 0, errorf(errno.WrongArguments, "Incorrect arguments to LIMIT")
	}
	if v.Value.I < 0 {
		if v.Type.Unsigned {
			return 1<<63 - 1, nil
		}
		return 0, errorf(errno.WrongArguments, "Incorrect arguments to LIMIT")
	}
	return v.Value.I, nil
}
