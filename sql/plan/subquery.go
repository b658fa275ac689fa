package plan

import (
	"slices"

	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
)

// filterBySubquery keeps the rows of e.rel for which a condition with subqueries holds. EXISTS, IN, ANY and ALL that stand
// alone become semi and anti joins; anything else becomes joins that compute values, and a filter over them.
func (e *env) filterBySubquery(n ast.ExprNode) error {
	x, not := ast.Unparen(n), false
	for {
		u, ok := x.(*ast.UnaryOperationExpr)
		if !ok || u.Op != ast.OpNot && u.Op != ast.OpNot2 {
			break
		}
		x, not = ast.Unparen(u.V), !not
	}
	before := e.rel
	if done, err := e.subqueryJoin(x, not); done && !refused(err) {
		return err
	}
	e.rel = before
	p, err := e.condition(n)
	if err != nil {
		return err
	}
	e.rel = filter(e.rel, conjuncts(p)...)
	return nil
}

// subqueryJoin makes a semi or anti join of a condition that is a subquery test. What cannot be joined so is refused, and
// e.rel is as it was.
func (e *env) subqueryJoin(x ast.ExprNode, not bool) (bool, error) {
	switch x := x.(type) {
	case *ast.ExistsSubqueryExpr:
		return true, e.existsJoin(x.Sel, x.Not != not)
	case *ast.PatternInExpr:
		if x.Sel != nil {
			return true, e.inJoin(x.Expr, x.Sel, x.Not != not)
		}
	case *ast.CompareSubqueryExpr:
		return true, e.compareJoin(x, not)
	}
	return false, nil // its value is computed
}

// subquery binds a subquery of this level; want is how many columns it must have, 0 for any.
func (e *env) subquery(n ast.ExprNode, want int) (queryOut, error) {
	if e.rel == nil {
		return queryOut{}, refuse("a subquery in this place")
	}
	sub, ok := n.(*ast.SubqueryExpr)
	if !ok {
		return queryOut{}, refuse("this form of subquery")
	}
	out, err := e.b.query(sub.Query, e, e.ctes)
	if err != nil {
		return out, err
	}
	if want > 0 && len(out.fields) != want {
		return out, errorf(errno.OperandColumns, "Operand should contain %d column(s)", want)
	}
	if out, err = e.b.valueFields(out); err != nil {
		return out, err
	}
	return out, e.checkOuter(out.rel)
}

// checkOuter refuses a subquery of a grouped query that refers to columns which grouping has removed.
func (e *env) checkOuter(r *rel) error {
	own := e.ownColumns()
	for _, id := range r.freeColumns().sorted() {
		if own.has(id) && !slices.Contains(e.rel.out, id) {
			if err := e.checkGrouped(e.b.col(id), 1, "SELECT list"); err != nil {
				return err
			}
		}
	}
	return nil
}

// existsJoin is EXISTS as a condition.
func (e *env) existsJoin(sub ast.ExprNode, not bool) error {
	out, err := e.subquery(sub, 0)
	if err != nil {
		return err
	}
	r := existsCore(out.rel)
	if alwaysOneRow(r) {
		if not {
			e.rel = filter(e.rel, constBool(false))
		}
		return nil
	}
	r, on, err := e.pull(r, true)
	if err != nil {
		return err
	}
	kind := physical.JoinSemi
	if not {
		kind = physical.JoinAnti
	}
	e.rel = join(kind, e.rel, r, on...)
	return nil
}

// existsCore drops what does not change whether there is a row.
func existsCore(r *rel) *rel {
	for {
		switch {
		case r.op == opProject, r.op == opSort && r.limit < 0, r.op == opAgg && len(r.items) > 0 && len(r.aggs) == 0,
			(r.op == opSort || r.op == opLimit) && r.limit > 0 && r.offset == 0:
			r = r.kids[0]
		default:
			return r
		}
	}
}

// alwaysOneRow reports whether a query yields exactly one row whatever the data.
func alwaysOneRow(r *rel) bool {
	switch r.op {
	case opAgg:
		return r.scalar
	case opProject, opWindow:
		return alwaysOneRow(r.kids[0])
	case opSort:
		return r.limit != 0 && r.offset == 0 && alwaysOneRow(r.kids[0])
	case opValues:
		return len(r.rows) == 1
	}
	return false
}

// atMostOneRow reports whether a query never yields two rows.
func atMostOneRow(r *rel) bool {
	switch r.op {
	case opFilter, opProject, opWindow:
		return atMostOneRow(r.kids[0])
	case opSort, opLimit:
		return r.limit >= 0 && r.limit <= 1 || atMostOneRow(r.kids[0])
	}
	return alwaysOneRow(r)
}

// operand binds the left side of IN or ANY: one value or a row.
func (e *env) operand(n ast.ExprNode) ([]*expr.Node, error) {
	if row, ok := ast.Unparen(n).(*ast.RowExpr); ok {
		return e.values(row.Values)
	}
	x, err := e.value(n)
	return []*expr.Node{x}, err
}

// inJoin is IN (query) as a condition.
func (e *env) inJoin(l, sub ast.ExprNode, not bool) error {
	left, err := e.operand(l)
	if err != nil {
		return err
	}
	out, err := e.subquery(sub, len(left))
	if err != nil {
		return err
	}
	correlated := len(out.rel.freeColumns()) > 0
	if correlated && alwaysOneRow(out.rel) && len(left) == 1 {
		return e.filterByScalar(left[0], out, not)
	}
	r, on, err := e.pull(out.rel, true)
	if err != nil {
		return err
	}
	if !not {
		for i, f := range out.fields {
			eq, err := e.b.call("=", left[i], e.b.col(f.id))
			if err != nil {
				return err
			}
			on = append(on, eq)
		}
		e.rel = join(physical.JoinSemi, e.rel, r, on...)
		return nil
	}
	return e.notInJoin(left, out.fields, r, on, correlated)
}

// filterByScalar is x [NOT] IN (a query of exactly one row).
func (e *env) filterByScalar(x *expr.Node, out queryOut, not bool) error {
	v, err := e.scalarJoin(out)
	if err != nil {
		return err
	}
	name := "="
	if not {
		name = "!="
	}
	p, err := e.b.call(name, x, v)
	if err != nil {
		return err
	}
	e.rel = filter(e.rel, p)
	return nil
}

// notInJoin is NOT IN: an anti join where NULL on either side counts as a match. One plain column has a join kind of its
// own; rows and correlated queries spell the NULLs out.
func (e *env) notInJoin(left []*expr.Node, fields []field, r *rel, on []*expr.Node, correlated bool) error {
	kind, nullable := physical.JoinAnti, false
	var eqs []*expr.Node
	for i, f := range fields {
		right := e.b.col(f.id)
		eq, err := e.b.call("=", left[i], right)
		if err != nil {
			return err
		}
		nullable = nullable || !left[i].Type.NotNull || !right.Type.NotNull
		eqs = append(eqs, eq)
	}
	if nullable && len(fields) == 1 && !correlated {
		kind = physical.JoinAntiNull
	} else if nullable {
		for i, f := range fields {
			var err error
			if eqs[i], err = e.b.orUnknown(eqs[i], left[i], e.b.col(f.id)); err != nil {
				return err
			}
		}
	}
	e.rel = join(kind, e.rel, r, append(on, eqs...)...)
	return nil
}

// orUnknown makes a comparison that is also true when it would be NULL.
func (b *binder) orUnknown(cmp, l, r *expr.Node) (*expr.Node, error) {
	for _, x := range []*expr.Node{l, r} {
		if x.Type.NotNull {
			continue
		}
		null, err := b.call("isnull", x)
		if err != nil {
			return nil, err
		}
		if cmp, err = b.call("or", cmp, null); err != nil {
			return nil, err
		}
	}
	return cmp, nil
}

// compareJoin is x op ANY (query) or x op ALL (query) as a condition.
func (e *env) compareJoin(n *ast.CompareSubqueryExpr, not bool) error {
	op, all := binaryNames[n.Op], n.All
	if not {
		op, all = inverse[op], !all
	}
	switch {
	case op == "=" && !all:
		return e.inJoin(n.L, n.R, false)
	case op == "!=" && all:
		return e.inJoin(n.L, n.R, true)
	case inverse[op] == "":
		return refuse("<=> with ANY or ALL")
	}
	left, err := e.value(n.L)
	if err != nil {
		return err
	}
	out, err := e.subquery(n.R, 1)
	if err != nil {
		return err
	}
	right := e.b.col(out.fields[0].id)
	r, on, err := e.pull(out.rel, true)
	if err != nil {
		return err
	}
	kind := physical.JoinSemi
	if all {
		kind, op = physical.JoinAnti, inverse[op]
	}
	cmp, err := e.b.call(op, left, right)
	if err != nil {
		return err
	}
	if all {
		if cmp, err = e.b.orUnknown(cmp, left, right); err != nil {
			return err
		}
	}
	e.rel = join(kind, e.rel, r, append(on, cmp)...)
	return nil
}

// subqueryValue binds a subquery that stands for a value; it is joined to e.rel.
func (e *env) subqueryValue(n ast.ExprNode) (*expr.Node, error) {
	switch n := n.(type) {
	case *ast.SubqueryExpr:
		out, err := e.subquery(n, 1)
		if err != nil {
			return nil, err
		}
		return e.scalarJoin(out)
	case *ast.ExistsSubqueryExpr:
		return e.existsValue(n)
	case *ast.PatternInExpr:
		return e.inValue(n)
	case *ast.CompareSubqueryExpr:
		return e.compareValue(n)
	}
	return nil, refuse("this form of subquery")
}

// scalarJoin joins a query of one column for its value; NULL when it has no row.
func (e *env) scalarJoin(out queryOut) (*expr.Node, error) {
	id := out.fields[0].id
	if len(out.rel.freeColumns()) == 0 {
		switch {
		case alwaysOneRow(out.rel):
			e.rel = join(physical.JoinInner, e.rel, out.rel)
		case atMostOneRow(out.rel):
			e.leftJoin(out.rel)
		default:
			e.rel = join(physical.JoinScalar, e.rel, out.rel)
			e.b.forgetNotNull(out.rel)
		}
		return e.b.col(id), nil
	}
	if v, done, err := e.scalarAgg(out.rel, id); done || err != nil {
		return v, err
	}
	return e.scalarRow(out.rel, e.b.col(id))
}

// scalarRow joins a correlated query that is no aggregate. A value that uses columns of the outer query is computed above
// the join, for the rows that have found one.
func (e *env) scalarRow(r *rel, value *expr.Node) (*expr.Node, error) {
	outside := false
	if r.op == opProject && !newSet(r.kids[0].out...).covers(substitute(value, itemsOf(r))) {
		value, r, outside = substitute(value, itemsOf(r)), r.kids[0], true
	}
	r, on, err := e.pull(r, false)
	if err != nil {
		return nil, err
	}
	if !outside {
		e.rel = join(physical.JoinScalar, e.rel, r, on...)
		e.b.forgetNotNull(r)
		return value, nil
	}
	r, mark := e.b.marked(r)
	e.rel = join(physical.JoinScalar, e.rel, r, on...)
	e.b.forgetNotNull(r)
	return e.b.whenFound(mark, value)
}

// leftJoin adds a right side that matches at most once.
func (e *env) leftJoin(r *rel, on ...*expr.Node) {
	e.rel = join(physical.JoinLeft, e.rel, r, on...)
	e.rel.single = true
	e.b.forgetNotNull(r)
}

// forgetNotNull takes back NOT NULL from what an outer join may fill with NULL.
func (b *binder) forgetNotNull(r *rel) {
	for _, id := range r.out {
		b.cols[id].typ.NotNull = false
	}
}

// scalarAgg joins a correlated query that is an aggregate without GROUP BY: it is grouped by the correlation and left
// joined; what it computes from the aggregate is computed above the join, so that no row counts as an empty group.
func (e *env) scalarAgg(r *rel, id int) (*expr.Node, bool, error) {
	value := e.b.col(id)
	var having []*expr.Node
	for {
		if r.op == opProject {
			sub := itemsOf(r)
			value = substitute(value, sub)
			for i := range having {
				having[i] = substitute(having[i], sub)
			}
		} else if r.op == opFilter {
			having = append(having, r.preds...)
		} else if r.op != opSort || r.limit == 0 || r.offset > 0 {
			break
		}
		r = r.kids[0]
	}
	if r.op != opAgg || !r.scalar {
		return nil, false, nil
	}
	sub, err := e.attachAgg(r.kids[0], r.aggs)
	if err != nil {
		return nil, true, err
	}
	value = substitute(value, sub)
	if len(having) > 0 {
		if value, err = e.b.call("case", substitute(and(having...), sub), value); err != nil {
			return nil, true, err
		}
	}
	return value, true, nil
}

// itemsOf gives what a projection computes under a column id.
func itemsOf(r *rel) func(*expr.Node) *expr.Node {
	return func(c *expr.Node) *expr.Node {
		for _, it := range r.items {
			if it.id == c.Col {
				return it.expr
			}
		}
		return nil
	}
}
