package plan

import (
	"slices"
	"strconv"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	"stele/sql/fn"
	ast "stele/sql/parse"
	"stele/sql/physical"
)

// setStmt binds a chain of UNION, EXCEPT and INTERSECT with its ORDER BY and LIMIT.
func (b *binder) setStmt(n *ast.SetOprStmt, outer *env, ctes *cteScope) (queryOut, error) {
	ctes, err := ctes.with(n.With, outer)
	if err != nil {
		return queryOut{}, err
	}
	return b.setList(n.SelectList, n.OrderBy, n.Limit, outer, ctes)
}

// setList binds the members of a chain. INTERSECT binds tighter: the parser has grouped such members in lists already or
// leaves them in line, so a run of INTERSECTs is taken together first.
func (b *binder) setList(n *ast.SetOprSelectList, order *ast.OrderByClause, limit *ast.Limit, outer *env, ctes *cteScope) (queryOut, error) {
	ctes, err := ctes.with(n.With, outer)
	if err != nil {
		return queryOut{}, err
	}
	var members []queryOut
	var ops []ast.SetOprType
	for _, sel := range n.Selects {
		out, op, err := b.setMember(sel, outer, ctes)
		if err != nil {
			return queryOut{}, err
		}
		if last := len(members) - 1; last >= 0 && (op == ast.Intersect || op == ast.IntersectAll) {
			if members[last], err = b.combine(members[last], out, op); err != nil {
				return queryOut{}, err
			}
			continue
		}
		members, ops = append(members, out), append(ops, op)
	}
	acc := members[0]
	for i := 1; i < len(members); i++ {
		if acc, err = b.combine(acc, members[i], ops[i]); err != nil {
			return queryOut{}, err
		}
	}
	return b.orderSet(acc, order, limit, ctes)
}

// setMember binds one member and tells how it is joined to what stands before it.
func (b *binder) setMember(sel ast.Node, outer *env, ctes *cteScope) (out queryOut, op ast.SetOprType, err error) {
	switch sel := sel.(type) {
	case *ast.SelectStmt:
		if sel.AfterSetOperator != nil {
			op = *sel.AfterSetOperator
		}
		out, err = b.selectStmt(sel, outer, ctes)
	case *ast.SetOprSelectList:
		if sel.AfterSetOperator != nil {
			op = *sel.AfterSetOperator
		}
		out, err = b.setList(sel, sel.OrderBy, sel.Limit, outer, ctes)
	default:
		err = refuse("this member of a set operation")
	}
	return out, op, err
}

// combine makes one set operation, with both sides converted to common types.
func (b *binder) combine(l, r queryOut, op ast.SetOprType) (queryOut, error) {
	if len(l.fields) != len(r.fields) {
		return queryOut{}, errorf(errno.UnionColumns, "The used SELECT statements have a different number of columns")
	}
	bare := [2]queryOut{l, r}
	l, err := b.formFields(l, func(i int, n *expr.Node) (*expr.Node, error) { return b.shownBeside(n, b.col(bare[1].fields[i].id)) })
	if err != nil {
		return queryOut{}, err
	}
	r, err = b.formFields(r, func(i int, n *expr.Node) (*expr.Node, error) { return b.shownBeside(n, b.col(bare[0].fields[i].id)) })
	if err != nil {
		return queryOut{}, err
	}
	var want []types.ColumnType
	for i := range l.fields {
		t, err := b.commonType(b.cols[l.fields[i].id].typ, b.cols[r.fields[i].id].typ)
		if err != nil {
			return queryOut{}, err
		}
		if t.Collation, err = b.unionCollation(l.fields[i].id, r.fields[i].id, t); err != nil {
			return queryOut{}, err
		}
		want = append(want, t)
	}
	left, err := b.conform(l, want)
	if err != nil {
		return queryOut{}, err
	}
	right, err := b.conform(r, want)
	if err != nil {
		return queryOut{}, err
	}
	out := queryOut{rel: &rel{op: opUnion, kids: []*rel{left, right}, inputs: [][]int{slices.Clone(left.out), slices.Clone(right.out)}}}
	switch op {
	case ast.Except, ast.ExceptAll:
		out.rel.op, out.rel.setop = opSetOp, physical.SetOp{Name: "except", All: op == ast.ExceptAll}
	case ast.Intersect, ast.IntersectAll:
		out.rel.op, out.rel.setop = opSetOp, physical.SetOp{Name: "intersect", All: op == ast.IntersectAll}
	}
	for i, f := range l.fields {
		c := column{name: f.name, typ: want[i], weak: b.weak(b.col(f.id)) && b.weak(b.col(r.fields[i].id))}
		c.origin.Name, c.origin.Type = f.name, want[i]
		id := b.newColumn(c)
		out.rel.out = append(out.rel.out, id)
		out.fields = append(out.fields, field{f.name, id})
	}
	if op == ast.Union {
		out.rel = b.distinct(out.rel)
	}
	return out, nil
}

// commonType is the type of a column of a set operation.
func (b *binder) commonType(l, r types.ColumnType) (types.ColumnType, error) {
	notNull := l.NotNull && r.NotNull
	l.NotNull, r.NotNull = false, false
	collation := max(l.Collation, r.Collation)
	l.Collation, r.Collation = types.CollationBinary, types.CollationBinary
	t := l
	if l != r {
		sig, err := fn.Resolve("coalesce", []types.ColumnType{l, r})
		if err != nil {
			return t, err
		}
		t = sig.Result
	}
	t.NotNull = notNull
	if t.IsText() {
		t.Collation = collation
	}
	return t, nil
}

// conform projects a query to exactly the wanted types, in field order.
func (b *binder) conform(q queryOut, want []types.ColumnType) (*rel, error) {
	ids := make([]int, len(q.fields))
	same := len(q.rel.out) == len(q.fields)
	items := make([]item, len(q.fields))
	for i, f := range q.fields {
		ids[i] = f.id
		x, err := b.coerce(b.col(f.id), want[i])
		if err != nil {
			return nil, err
		}
		items[i] = item{f.id, x}
		if x.Kind != expr.NodeColumn {
			items[i].id = b.newColumn(column{name: f.name, typ: want[i]})
			same = false
		}
	}
	if same && slices.Equal(ids, q.rel.out) {
		return q.rel, nil
	}
	return project(q.rel, items), nil
}

// orderSet adds ORDER BY and LIMIT to a set operation; only its own columns can be named.
func (b *binder) orderSet(q queryOut, order *ast.OrderByClause, limit *ast.Limit, ctes *cteScope) (queryOut, error) {
	var keys []expr.SortKey
	if order != nil {
		e := &env{b: b, ctes: ctes, clause: "order clause", noAgg: true, rel: q.rel}
		for _, f := range q.fields {
			e.cols = append(e.cols, scopeColumn{name: f.name, id: f.id})
		}
		for _, it := range order.Items {
			k, err := b.setKey(e, q, it)
			if err != nil {
				return q, err
			}
			keys = append(keys, expr.SortKey{Expr: k, Desc: it.Desc})
		}
		q.rel = e.rel
	}
	r, err := b.sortLimit(q.rel, keys, limit)
	if err != nil {
		return q, err
	}
	if len(r.out) > len(q.fields) {
		r = b.keepOnly(r, q.fields)
	}
	return queryOut{rel: r, fields: q.fields}, nil
}

// setKey binds one ORDER BY item of a set operation.
func (b *binder) setKey(e *env, q queryOut, it *ast.ByItem) (*expr.Node, error) {
	if p, ok := it.Expr.(*ast.PositionExpr); ok {
		if p.N < 1 || p.N > len(q.fields) {
			return nil, errorf(errno.UnknownColumn, "Unknown column '%d' in 'order clause'", p.N)
		}
		return b.col(q.fields[p.N-1].id), nil
	}
	return e.bind(it.Expr)
}

// valuesStmt binds VALUES ROW(...), ROW(...).
func (b *binder) valuesStmt(n *ast.SelectStmt, outer *env, ctes *cteScope) (queryOut, error) {
	e := &env{b: b, outer: outer, ctes: ctes, clause: "field list", noAgg: true}
	var rows [][]*expr.Node
	for _, row := range n.Lists {
		list, err := e.bindAll(row.Values)
		if err != nil {
			return queryOut{}, err
		}
		if len(rows) > 0 && len(list) != len(rows[0]) {
			return queryOut{}, errorf(errno.ColumnCount, "Column count doesn't match value count at row %d", len(rows)+1)
		}
		rows = append(rows, list)
	}
	out, err := b.constRows(rows)
	if err != nil {
		return out, err
	}
	return b.orderSet(out, n.OrderBy, n.Limit, ctes)
}

// constRows makes a rel of constant rows with common types; its columns are column_0, column_1, ...
func (b *binder) constRows(rows [][]*expr.Node) (queryOut, error) {
	out := queryOut{rel: &rel{op: opValues, rows: rows}}
	for i := range rows[0] {
		t := rows[0][i].Type
		for _, row := range rows[1:] {
			var err error
			if t, err = b.commonType(t, row[i].Type); err != nil {
				return out, err
			}
		}
		for _, row := range rows {
			var err error
			if row[i], err = b.coerce(row[i], t); err != nil {
				return out, err
			}
		}
		name := "column_" + strconv.Itoa(i)
		c := column{name: name, typ: t, weak: !slices.ContainsFunc(rows, func(row []*expr.Node) bool { return !b.weak(row[i]) })}
		c.origin.Name, c.origin.Type = name, t
		id := b.newColumn(c)
		out.rel.out = append(out.rel.out, id)
		out.fields = append(out.fields, field{name, id})
	}
	return out, nil
}
