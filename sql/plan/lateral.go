package plan

import (
	"slices"

	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
)

// lateral is the query of a LATERAL derived table on the right of a join. It may use columns of what stands on its left, as a subquery
// uses those of the query around it, and becomes a join by the same means: see pull.
type lateral struct {
	env  *env // of the left side; its rel becomes the join
	rel  *rel
	left bool // LEFT JOIN: a row for which the query yields nothing stays
	on   []*expr.Node
}

// lateralJoin binds a join whose right side is LATERAL.
func (b *binder) lateralJoin(n *ast.Join, src *ast.TableSource, left source, outer *env, ctes *cteScope) (source, error) {
	if n.Tp == ast.RightJoin || n.NaturalJoin || len(n.Using) > 0 {
		return source{}, refuse("LATERAL behind RIGHT JOIN, NATURAL JOIN or with USING")
	}
	l := &lateral{left: n.Tp == ast.LeftJoin,
		env: &env{b: b, outer: outer, ctes: ctes, cols: left.cols, rel: left.rel, clause: "lateral clause", noAgg: true}}
	out, err := b.query(src.Source, l.env, ctes)
	if err != nil {
		return source{}, err
	}
	right, err := derivedOf(out, src.AsName.O, src.ColumnNames)
	if err != nil {
		return source{}, err
	}
	l.rel = right.rel
	s := source{cols: slices.Concat(left.cols, right.cols)}
	if n.On != nil && l.left {
		if err := l.condition(n.On.Expr, s.cols); err != nil {
			return source{}, err
		}
	}
	if s.rel, err = l.join(); err != nil {
		return source{}, err
	}
	switch {
	case l.left:
		b.nullable(right.cols)
	case n.On != nil:
		e := &env{b: b, outer: outer, ctes: ctes, cols: s.cols, rel: s.rel, clause: "on clause", noAgg: true}
		err = e.filterBy(n.On.Expr)
		s.rel = e.rel
	}
	return s, err
}

// condition binds the condition of a LEFT JOIN, which decides on the rows of the query alone.
func (l *lateral) condition(n ast.ExprNode, cols []scopeColumn) error {
	e := *l.env
	e.cols, e.rel, e.clause = cols, nil, "on clause"
	p, err := e.predicate(n)
	if err != nil {
		return err
	}
	l.on = slices.DeleteFunc(conjuncts(p), isTrue)
	return nil
}

// join puts the query beside the left side, and returns what yields the columns of both.
func (l *lateral) join() (*rel, error) {
	pass, items := l.env.b.same(l.env.rel.out), l.env.b.same(l.rel.out)
	l.strip(items)
	var err error
	if l.rel.op == opAgg && l.rel.scalar && len(l.on) == 0 {
		err = l.aggregate(items)
	} else {
		err = l.rows(items)
	}
	if err != nil {
		return nil, err
	}
	return project(l.env.rel, append(pass, items...)), nil
}

// strip takes projections off the query. Their expressions may use columns of both sides: they are computed behind the join. An order
// says nothing without a limit.
func (l *lateral) strip(items []item) {
	for ; l.rel.op == opProject || l.rel.op == opSort && l.rel.limit < 0; l.rel = l.rel.kids[0] {
		if l.rel.op != opProject {
			continue
		}
		below := itemsOf(l.rel)
		for i := range items {
			items[i].expr = substitute(items[i].expr, below)
		}
		for i := range l.on {
			l.on[i] = substitute(l.on[i], below)
		}
	}
}

// aggregate joins a query of aggregates without groups: it yields one row for each row of the left side.
func (l *lateral) aggregate(items []item) error {
	read, err := l.env.attachAgg(l.rel.kids[0], l.rel.aggs)
	if err != nil {
		return err
	}
	for i := range items {
		items[i].expr = substitute(items[i].expr, read)
	}
	return nil
}

// rows joins any other query.
func (l *lateral) rows(items []item) error {
	b := l.env.b
	r, on, err := l.env.pull(l.rel, false)
	if err != nil {
		return err
	}
	on = append(on, l.on...)
	if !l.left {
		l.env.rel = join(physical.JoinInner, l.env.rel, r, on...)
		return nil
	}
	r, mark := b.marked(r)
	b.forgetNotNull(r)
	l.env.rel = join(physical.JoinLeft, l.env.rel, r, on...)
	for i, it := range items { // of a row without any there is nothing, also of constants and columns of the left side
		if it.expr.Kind == expr.NodeColumn && slices.Contains(r.out, it.expr.Col) {
			continue
		}
		if items[i].expr, err = b.whenFound(mark, it.expr); err != nil {
			return err
		}
	}
	return nil
}
