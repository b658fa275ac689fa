package plan

import (
	"slices"
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	"stele/sql/fn"
	ast "stele/sql/parse"
	"stele/sql/physical"
	sqltypes "stele/sql/types"
)

// aggregate adds GROUP BY and the aggregates of the select list, HAVING and ORDER BY.
func (s *selecter) aggregate() error {
	calls := s.aggCalls()
	if s.stmt.GroupBy == nil && len(calls) == 0 {
		return nil
	}
	groups, err := s.groupItems()
	if err != nil {
		return err
	}
	grouped := groups
	if s.stmt.GroupBy != nil && s.stmt.GroupBy.Rollup {
		if s.env.rollup, grouped, err = s.b.withRollup(groups); err != nil {
			return err
		}
	}
	e := s.env.in("field list")
	e.noAgg = true
	s.env.aggs = map[*ast.AggregateFuncExpr]int{}
	var aggs []aggItem
	nested := s.nestedCalls()
	for _, call := range calls {
		fnc, visible, err := e.aggregateCall(call, nested[call])
		if err != nil {
			return err
		}
		s.env.aggs[call] = s.b.addAgg(&aggs, fnc, visible)
	}
	in := e.rel
	if s.env.rollup != nil {
		in = join(physical.JoinInner, in, s.env.rollup.levels())
	}
	s.env.rel = aggregate(in, grouped, aggs)
	s.env.rel.scalar = s.stmt.GroupBy == nil
	if s.env.rollup != nil {
		groups = s.env.rollup.seen(s.b)
	}
	s.env.grouped, s.env.groups = true, groups
	return nil
}

// addAgg adds an aggregate unless the same one is there, and returns its column.
func (b *binder) addAgg(aggs *[]aggItem, f expr.AggFunc, visible types.ColumnType) int {
	for _, a := range *aggs {
		if sameAgg(a.fn, f) {
			return a.id
		}
	}
	id := b.newColumn(column{name: f.Name, typ: f.Type, visible: visible})
	*aggs = append(*aggs, aggItem{id, f})
	return id
}

// sameAgg reports whether two aggregates compute the same.
func sameAgg(a, b expr.AggFunc) bool {
	if a.Name != b.Name || a.Type != b.Type || a.Distinct != b.Distinct || a.Sep != b.Sep || len(a.Order)+len(b.Order) > 0 {
		return false
	}
	return a.Arg == nil && b.Arg == nil || a.Arg != nil && b.Arg != nil && sameExpr(a.Arg, b.Arg)
}

// aggCalls collects the aggregate calls of this level (those of subqueries are theirs).
func (s *selecter) aggCalls() []*ast.AggregateFuncExpr {
	var out []*ast.AggregateFuncExpr
	visit := callsOf(&out)
	s.afterGrouping(func(n ast.Node) { ast.Inspect(n, visit) })
	return out
}

// callsOf returns a visitor that collects calls of one kind, but not those in their arguments or in subqueries.
func callsOf[T ast.Node](out *[]T) func(ast.Node) bool {
	return func(n ast.Node) bool {
		if _, nested := n.(*ast.SubqueryExpr); nested {
			return false
		}
		call, ok := n.(T)
		if ok {
			*out = append(*out, call)
		}
		return !ok
	}
}

// nestedCalls are those aggregate calls of this level with which something is computed.
func (s *selecter) nestedCalls() map[*ast.AggregateFuncExpr]bool {
	out := map[*ast.AggregateFuncExpr]bool{}
	s.afterGrouping(func(n ast.Node) { nestedAggregates(n, out) })
	return out
}

// afterGrouping visits the expressions that may hold aggregates.
func (s *selecter) afterGrouping(visit func(ast.Node)) {
	for _, f := range s.fields {
		if f.Expr != nil {
			visit(f.Expr)
		}
	}
	if s.stmt.Having != nil {
		visit(s.stmt.Having.Expr)
	}
	if s.stmt.OrderBy != nil {
		for _, it := range s.stmt.OrderBy.Items {
			visit(it.Expr)
		}
	}
}

// groupItems binds GROUP BY: positions, columns, then names of the select list.
func (s *selecter) groupItems() ([]item, error) {
	if s.stmt.GroupBy == nil {
		return nil, nil
	}
	e := s.env.in("group statement")
	e.useAliases, e.noAgg = true, true
	e.aliases = s.aliases()
	var out []item
	used := idSet{}
	for _, g := range s.stmt.GroupBy.Items {
		n, err := s.groupExpr(e, g)
		if err != nil {
			return nil, err
		}
		s.env.rel = e.rel
		if slices.ContainsFunc(out, func(o item) bool { return sameExpr(o.expr, n) }) {
			continue
		}
		out = append(out, s.b.projectItem(e.rel, n, "", used))
	}
	return out, nil
}

// groupExpr binds one GROUP BY item.
func (s *selecter) groupExpr(e *env, g *ast.ByItem) (*expr.Node, error) {
	p, ok := g.Expr.(*ast.PositionExpr)
	if c, named := g.Expr.(*ast.ColumnNameExpr); named {
		n, err := e.bind(c)
		return n, groupable(c.Name.Name.O, err)
	}
	if !ok {
		return e.bind(g.Expr)
	}
	if p.N < 1 || p.N > len(s.fields) {
		return nil, errorf(errno.UnknownColumn, "Unknown column '%d' in 'group statement'", p.N)
	}
	if id, ok := s.wild[p.N-1]; ok {
		return s.b.col(id), nil
	}
	n, err := e.bind(s.fields[p.N-1].Expr)
	return n, groupable(fieldName(s.fields[p.N-1]), err)
}

// groupable says of an item of SELECT by which rows are to be grouped that it is an aggregate.
func groupable(name string, err error) error {
	if e, ok := sqltypes.AsError(err); ok && e.Code == errno.InvalidGroupFunction {
		return errorf(errno.WrongGroupField, "Can't group on '%s'", name)
	}
	return err
}

// aggregateCall binds one aggregate over the rows before grouping. It returns the type to show, too.
func (e *env) aggregateCall(n *ast.AggregateFuncExpr, nested bool) (f expr.AggFunc, visible types.ColumnType, err error) {
	f = expr.AggFunc{Name: fn.CanonicalAgg(n.F), Distinct: n.Distinct}
	args := n.Args
	if f.Name == "approx_count_distinct" {
		f.Name, f.Distinct = "count", true
	}
	if f.Name == "group_concat" {
		sep, err := e.bind(args[len(args)-1])
		if err != nil {
			return f, visible, err
		}
		f.Sep, args = string(sep.Value.B), args[:len(args)-1]
	}
	arg, err := e.aggregateArg(&f, args)
	if err != nil {
		return f, visible, err
	}
	if c := e.b.specialArg(arg); c != nil && (f.Name == "group_concat" || c.Bits == 0 && (f.Name == "min" || f.Name == "max")) {
		if arg, err = e.b.shown(arg); err != nil {
			return f, visible, err
		}
	}
	in := types.ColumnType{}
	if arg != nil {
		in = arg.Type
	}
	want, result, _, err := fn.ResolveAgg(f.Name, in, f.Distinct)
	if err != nil {
		return f, visible, err
	}
	if result.Collation = types.CollationBinary; arg != nil && result.IsText() {
		result.Collation, _ = e.b.coercion(arg)
	}
	f.Type, visible = result, result
	if arg != nil {
		if f.Arg, err = e.b.aggregated(f.Name, arg, want); err != nil {
			return f, visible, err
		}
		if err := e.checkLevel(arg); err != nil {
			return f, visible, err
		}
		visible = e.b.precise(&f, arg, nested)
	}
	if n.Order != nil {
		for _, it := range n.Order.Items {
			by := it.Expr
			if p, ok := by.(*ast.PositionExpr); ok && p.N >= 1 && p.N < len(n.Args) { // of the values; the last one is the separator
				by = n.Args[p.N-1]
			}
			k, err := e.bind(by)
			if err != nil {
				return f, visible, err
			}
			f.Order = append(f.Order, expr.SortKey{Expr: k, Desc: it.Desc})
		}
	}
	if f.Name == "min" || f.Name == "max" || f.Name == "any_value" {
		f.Distinct = false // the same answer, and it can be split in two
	}
	return f, visible, nil
}

// checkLevel refuses an aggregate whose columns are all of outer queries: in MySQL it is an aggregate of one of those.
func (e *env) checkLevel(arg *expr.Node) error {
	used := idSet{}
	used.addExpr(arg)
	if len(used) > 0 && !newSet(e.rel.out...).touches(arg) {
		return refuse("an aggregate of an outer query's columns in a subquery")
	}
	return nil
}

// aggregateArg binds the arguments of an aggregate; nil stands for the star of COUNT(*).
func (e *env) aggregateArg(f *expr.AggFunc, args []ast.ExprNode) (*expr.Node, error) {
	if len(args) == 1 {
		n, err := e.bind(args[0])
		if err != nil {
			return nil, err
		}
		if f.Name == "json_arrayagg" {
			return e.b.call("json_item", n)
		}
		if f.Name == "count" && !f.Distinct && n.Kind == expr.NodeConst && !n.Value.Null {
			return nil, nil
		}
		return n, nil
	}
	var list []*expr.Node
	for _, a := range args {
		n, err := e.bind(a)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	switch f.Name {
	case "group_concat":
		return e.b.call("concat", list...)
	case "json_objectagg":
		return e.b.call("json_object", list...)
	case "count":
		return e.countTuple(list)
	}
	return nil, refuse(strings.ToUpper(f.Name) + " of several arguments")
}

// countTuple makes one value of the arguments of COUNT(DISTINCT a, b): NULL when one is NULL, otherwise texts that differ
// when the tuples do (each is hex, so the separator is never part of one).
func (e *env) countTuple(list []*expr.Node) (*expr.Node, error) {
	parts := []*expr.Node{constString(",")}
	for _, a := range list {
		a, err := e.b.keyed(a)
		if err != nil {
			return nil, err
		}
		if !a.Type.IsString() {
			if a, err = e.b.coerce(a, types.ColumnType{Kind: types.KindVarChar}); err != nil {
				return nil, err
			}
		}
		h, err := e.b.call("hex", a)
		if err != nil {
			return nil, err
		}
		parts = append(parts, h)
	}
	joined := parts[1]
	for _, p := range parts[2:] {
		var err error
		if joined, err = e.b.call("concat", joined, parts[0], p); err != nil {
			return nil, err
		}
	}
	return joined, nil
}

// grouping replaces an expression that is one of the groups by the group's column.
func (e *env) grouping(n *expr.Node) (*expr.Node, error) {
	if !e.grouped {
		return n, nil
	}
	for _, g := range e.groups {
		if sameExpr(g.expr, n) {
			return e.b.col(g.id), nil
		}
	}
	return n, nil
}

// checkGrouped refuses plain columns that are neither grouped nor determined by the groups, or takes any value of
// theirs when the session's sql_mode allows it.
func (e *env) checkGrouped(n *expr.Node, at int, what string) error {
	if !e.grouped {
		return nil
	}
	bad := e.takeColumns(n, func(id int) bool { return !e.b.fullGroupBy || e.determined(id) })
	if bad < 0 {
		return nil
	}
	name := e.qualified(bad)
	if findAgg(e.rel).scalar {
		return errorf(errno.MixedGroup, "In aggregated query without GROUP BY, expression #%d of %s contains nonaggregated column '%s'; this is incompatible with sql_mode=only_full_group_by", at, what, name)
	}
	return errorf(errno.NotGrouped, "Expression #%d of %s is not in GROUP BY clause and contains nonaggregated column '%s' which is not functionally dependent on columns in GROUP BY clause; this is incompatible with sql_mode=only_full_group_by", at, what, name)
}

// takeColumns has any value of the group taken of each plain column in an expression, and returns the first of which that may not be, or -1.
func (e *env) takeColumns(n *expr.Node, may func(id int) bool) int {
	bad := -1
	own := e.ownColumns()
	agg := findAgg(e.rel)
	made := newSet(agg.out...)
	eachColumn(n, func(id int) {
		if bad >= 0 || !own.has(id) || made.has(id) {
			return
		}
		if !may(id) {
			bad = id
			return
		}
		e.b.takeAny(agg, e.rel, id)
		made.add(id)
	})
	return bad
}

// anyValue binds ANY_VALUE: its columns need not be grouped.
func (e *env) anyValue(args []ast.ExprNode) (*expr.Node, error) {
	if len(args) != 1 {
		return nil, errorf(errno.WrongParameterCount, "Incorrect parameter count in the call to native function 'any_value'")
	}
	n, err := e.bind(args[0])
	if err != nil || !e.grouped {
		return n, err
	}
	e.takeColumns(n, func(int) bool { return true })
	return n, nil
}

// ownColumns are the ids of the level's FROM.
func (e *env) ownColumns() idSet {
	s := idSet{}
	for _, c := range e.cols {
		s.add(c.id)
	}
	return s
}

// qualified writes a column as db.table.column.
func (e *env) qualified(id int) string {
	for _, c := range e.cols {
		if c.id != id {
			continue
		}
		name := c.name
		if c.table != "" {
			name = c.table + "." + name
		}
		if db := e.b.cols[id].origin.Database; db != "" {
			name = db + "." + name
		}
		return name
	}
	return e.b.cols[id].name
}

// determined reports whether the groups hold the whole primary key of the column's table.
func (e *env) determined(id int) bool {
	c := e.b.cols[id]
	if c.table == nil || e.rollup != nil {
		return false
	}
	alias := ""
	for _, sc := range e.cols {
		if sc.id == id {
			alias = sc.table
		}
	}
	for _, k := range c.table.Schema.KeyIndexes() {
		found := false
		for _, g := range e.groups {
			gc := e.b.cols[g.id]
			if g.expr.Kind == expr.NodeColumn && gc.table == c.table && gc.pos == k && gc.origin.Table == e.b.cols[id].origin.Table {
				found = true
			}
		}
		if !found {
			return false
		}
	}
	return alias != ""
}

// findAgg finds the aggregation under the joins and filters that HAVING and the select list have put on it.
func findAgg(r *rel) *rel {
	for r.op != opAgg {
		r = r.kids[0]
	}
	return r
}

// takeAny makes a column survive aggregation as ANY_VALUE of itself, under its own id.
func (b *binder) takeAny(agg, top *rel, id int) {
	agg.aggs = append(agg.aggs, aggItem{id: id, fn: expr.AggFunc{Name: "any_value", Arg: b.col(id), Type: b.cols[id].typ}})
	for r := top; ; r = r.kids[0] {
		if !slices.Contains(r.out, id) {
			r.out = append(r.out, id)
			if r.op == opProject {
				r.items = append(r.items, item{id, b.col(id)})
			}
		}
		if r == agg {
			return
		}
	}
}
