package plan

import (
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	ast "stele/sql/parse"
	"stele/sql/physical"
)

// recursion is a recursive CTE while its recursive members are bound: where they name it, they read the rows that came new
// in the step before.
type recursion struct {
	work  int // names the rows
	names []string
	types []types.ColumnType
}

// recursive binds the use of a recursive CTE: UNION of members that do not name it (the seed) and of members that do (the
// step). Both are plans of their own, which the executor runs until a step brings nothing new.
func (b *binder) recursive(c *cteScope, name string) (source, error) {
	b.depth++
	defer func() { b.depth-- }()
	if b.depth > maxDepth {
		return source{}, refuse("queries nested this deep")
	}
	set, ok := c.query.(*ast.SetOprStmt)
	if !ok {
		return source{}, errorf(errno.RecursiveNeedsUnion, "Recursive Common Table Expression '%s' should contain a UNION", c.name)
	}
	if set.OrderBy != nil || set.Limit != nil || set.With != nil {
		return source{}, refuse("ORDER BY, LIMIT or WITH in a recursive common table expression")
	}
	seed, step, all, err := members(c, set.SelectList.Selects)
	if err != nil {
		return source{}, err
	}
	start, err := b.unionAll(seed, c, c.scope, nil)
	if err != nil {
		return source{}, err
	}
	r, err := b.workTable(c, start.fields, all)
	if err != nil {
		return source{}, err
	}
	inner := *c
	inner.running = r
	inner.next = c.scope
	next, err := b.unionAll(step, c, &inner, r.types)
	if err != nil {
		return source{}, err
	}
	if len(start.rel.freeColumns())+len(next.rel.freeColumns()) > 0 {
		return source{}, refuse("a recursive common table expression that uses columns of the query around it")
	}
	if start, err = b.seedTypes(start, r.types); err != nil {
		return source{}, err
	}
	p := &physical.Recursive{Work: r.work, All: all, Strict: b.ctx.Strict()}
	if p.Seed, err = b.finish(start); err != nil {
		return source{}, err
	}
	if p.Step, err = b.finish(next); err != nil {
		return source{}, err
	}
	return b.leaf(&physical.Node{Recursive: p}, r, name), nil
}

// workTable is what the step of a recursive CTE reads by its name: the columns of the seed.
func (b *binder) workTable(c *cteScope, fields []field, all bool) (*recursion, error) {
	if len(c.columns) > 0 && len(c.columns) != len(fields) {
		return nil, errorf(errno.ViewColumns, "In definition of view, derived table or common table expression, SELECT list and column names list have different column counts")
	}
	r := &recursion{work: b.newColumn(column{name: "rows of " + c.name})}
	for i, f := range fields {
		n, t := f.name, b.cols[f.id].typ
		if len(c.columns) > 0 {
			n = c.columns[i].O
		}
		t.NotNull = false
		if t.Kind == types.KindNull {
			t = types.ColumnType{Kind: types.KindVarBinary}
		}
		if !all && t.Collation != types.CollationBinary {
			return nil, refuse("UNION of recursive common table expressions over text of collation " + t.Collation.String() + " (COLLATE utf8mb4_bin or UNION ALL)")
		}
		r.names, r.types = append(r.names, n), append(r.types, t)
	}
	return r, nil
}

// members splits a recursive CTE; all tells whether rows that came before may come again.
func members(c *cteScope, list []ast.Node) (seed, step []ast.Node, all bool, err error) {
	for i, n := range list {
		var op *ast.SetOprType
		switch n := n.(type) {
		case *ast.SelectStmt:
			op = n.AfterSetOperator
		case *ast.SetOprSelectList:
			op = n.AfterSetOperator
		}
		if i > 0 && (op == nil || *op != ast.Union && *op != ast.UnionAll) {
			return nil, nil, false, refuse("EXCEPT and INTERSECT in a recursive common table expression")
		}
		if !usesTable(n, strings.ToLower(c.name)) {
			if len(step) > 0 {
				return nil, nil, false, errorf(errno.RecursiveNeedsStart, "Recursive Common Table Expression '%s' should have one or more non-recursive query blocks followed by one or more recursive ones", c.name)
			}
			seed = append(seed, n)
			continue
		}
		if s, ok := n.(*ast.SelectStmt); ok && (s.GroupBy != nil || s.Distinct || s.OrderBy != nil || s.Limit != nil) {
			return nil, nil, false, errorf(errno.RecursiveForbidden, "Recursive Common Table Expression '%s' can contain neither aggregation nor window functions in recursive query block", c.name)
		}
		if len(step) > 0 && all != (*op == ast.UnionAll) {
			return nil, nil, false, refuse("UNION and UNION ALL mixed in a recursive common table expression")
		}
		all = op != nil && *op == ast.UnionAll
		step = append(step, n)
	}
	if len(seed) == 0 {
		return nil, nil, false, errorf(errno.RecursiveNeedsStart, "Recursive Common Table Expression '%s' should have one or more non-recursive query blocks followed by one or more recursive ones", c.name)
	}
	return seed, step, all, nil
}

// unionAll binds members of a CTE and puts their rows together, in the types that they have in common. want are the columns that those of a
// step are for.
func (b *binder) unionAll(list []ast.Node, c *cteScope, ctes *cteScope, want []types.ColumnType) (queryOut, error) {
	var acc queryOut
	for i, n := range list {
		out, _, err := b.setMember(n, c.outer, ctes)
		if err == nil {
			out, err = b.showFields(out)
		}
		if err == nil && want != nil {
			out, err = b.stepTypes(out, want)
		}
		if err == nil && i > 0 {
			out, err = b.combine(acc, out, ast.UnionAll)
		}
		if err != nil {
			return acc, err
		}
		acc = out
	}
	return acc, nil
}

// seedTypes gives the seed of a recursive CTE the types that its columns have for all of it.
func (b *binder) seedTypes(q queryOut, want []types.ColumnType) (queryOut, error) {
	return b.columnTypes(q, want, func(i int) types.ColumnType { return want[i] })
}

// stepTypes makes of a member of the step what is stored in the columns that the seed has given types, which the executor does: numbers
// as they are, and texts of any length.
func (b *binder) stepTypes(q queryOut, want []types.ColumnType) (queryOut, error) {
	return b.columnTypes(q, want, func(i int) types.ColumnType {
		t := b.cols[q.fields[i].id].typ
		switch {
		case want[i].IsString() && want[i].Kind != types.KindJSON:
			t = want[i]
			t.Length = 0
		case t.Kind == types.KindNull:
			t = want[i]
		}
		return t
	})
}

// columnTypes gives the columns of a query other types; there have to be as many as are wanted.
func (b *binder) columnTypes(q queryOut, want []types.ColumnType, typeOf func(i int) types.ColumnType) (queryOut, error) {
	if len(q.fields) != len(want) {
		return q, errorf(errno.UnionColumns, "The used SELECT statements have a different number of columns")
	}
	var items []item
	out := queryOut{}
	for i, f := range q.fields {
		t := typeOf(i)
		x, err := b.coerce(b.col(f.id), t)
		if err != nil {
			return q, err
		}
		id := b.newColumn(column{name: f.name, typ: t})
		items = append(items, item{id, x})
		out.fields = append(out.fields, field{f.name, id})
	}
	out.rel = project(q.rel, items)
	return out, nil
}

// leaf makes a FROM item of an operator that has no input.
func (b *binder) leaf(n *physical.Node, r *recursion, name string) source {
	s := source{rel: &rel{op: opSystem, leaf: n}}
	for i, t := range r.types {
		c := column{name: r.names[i], typ: t, origin: physical.OutColumn{Name: r.names[i], Table: name, Type: t}}
		id := b.newColumn(c)
		s.rel.out = append(s.rel.out, id)
		s.cols = append(s.cols, scopeColumn{table: name, name: r.names[i], id: id})
	}
	return s
}

// lowerLeaf makes the node of a leaf, which every use has for itself.
func (b *binder) lowerLeaf(r *rel) lowered {
	if r.leaf == nil {
		return b.node(&physical.Node{System: r.sys}, r.out)
	}
	n := *r.leaf
	n.Schema = nil
	return b.node(&n, r.out)
}
