package plan

import (
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
)

// ModifyPlan is a checked UPDATE or DELETE of one table. Source yields, for each row to be changed and in the order and
// number that ORDER BY and LIMIT want: the table's columns in schema order, the tablet id (unsigned BIGINT), and one value
// for each assignment, which still has to go through ConvertColumn.
type ModifyPlan struct {
	Database string
	Table    *catalog.Table
	Source   *physical.Node
	// Assign is empty in a DELETE.
	Assign []Assign
	// TabletColumn is the position of the tablet id in Source, Values that of the first assigned value.
	TabletColumn, Values int
	// MovesRows: a column of the primary key, the partitioning or the distribution is assigned, so a row may get another
	// key or tablet: it is then a delete and an insert.
	MovesRows bool
	Ignore    bool
	// Via are the views by which the statement names the table, the outermost first: each needs rights of its own.
	Via []ViewUse

	follows []generation // generated columns whose values follow from those that are assigned
	checks  []rowCheck
}

// Update plans a single-table UPDATE.
func Update(ctx *Context, stmt *ast.UpdateStmt) (*ModifyPlan, error) {
	m, err := updateOne(ctx, stmt)
	if err != nil {
		return nil, err
	}
	return m.plan, nil
}

// updateOne is Update, and tells what has planned it.
func updateOne(ctx *Context, stmt *ast.UpdateStmt) (*modifier, error) {
	m, err := newModifier(ctx, stmt.TableRefs, stmt.With, "UPDATE")
	if err != nil {
		return nil, err
	}
	m.plan.Ignore = stmt.IgnoreErr
	m.b.writes(stmt.IgnoreErr)
	if err := m.checkSafe(stmt.Where, stmt.Limit); err != nil {
		return nil, err
	}
	if stmt.Where != nil {
		if err := m.env.in("where clause").filterInto(m.env, stmt.Where); err != nil {
			return nil, err
		}
	}
	if err := m.assign(stmt.List); err != nil {
		return nil, err
	}
	return m, m.finish(stmt.Order, stmt.Limit)
}

// Delete plans a single-table DELETE.
func Delete(ctx *Context, stmt *ast.DeleteStmt) (*ModifyPlan, error) {
	m, err := deleteOne(ctx, stmt)
	if err != nil {
		return nil, err
	}
	return m.plan, nil
}

// deleteOne is Delete, and tells what has planned it.
func deleteOne(ctx *Context, stmt *ast.DeleteStmt) (*modifier, error) {
	m, err := newModifier(ctx, stmt.TableRefs, stmt.With, "DELETE")
	if err != nil {
		return nil, err
	}
	m.plan.Ignore = stmt.IgnoreErr
	if err := m.checkSafe(stmt.Where, stmt.Limit); err != nil {
		return nil, err
	}
	if stmt.Where != nil {
		if err := m.env.in("where clause").filterInto(m.env, stmt.Where); err != nil {
			return nil, err
		}
	}
	return m, m.finish(stmt.Order, stmt.Limit)
}

// filterInto filters and hands the resulting rel to another environment of the level.
func (e *env) filterInto(to *env, n ast.ExprNode) error {
	if err := e.filterBy(n); err != nil {
		return err
	}
	to.rel = e.rel
	return nil
}

// modifier binds one UPDATE or DELETE.
type modifier struct {
	b      *binder
	env    *env
	plan   *ModifyPlan
	ids    []int // the table's columns, then the tablet id
	values []item
	named  bool // the statement names partitions
}

// newModifier binds the table that a statement writes, or the view of it.
func newModifier(ctx *Context, refs *ast.TableRefsClause, with *ast.WithClause, verb string) (*modifier, error) {
	b := newBinder(ctx)
	name, err := onlyTable(refs)
	if err != nil {
		return nil, err
	}
	ctes, err := (*cteScope)(nil).with(with, nil)
	if err != nil {
		return nil, err
	}
	_, isView := ctx.view(name)
	if !isView {
		if _, err := ctx.BaseTable(name.Schema.O, name.Name.O); err != nil {
			return nil, err
		}
	}
	src, err := b.from(refs, nil, nil)
	if err != nil {
		return nil, err
	}
	scan := onlyScan(src.rel)
	switch {
	case scan == nil && isView:
		return nil, notUpdatable(name.Name.O, verb)
	case scan == nil:
		return nil, refuse("a write to a table that the system makes up")
	}
	m := &modifier{b: b, env: &env{b: b, ctes: ctes, cols: src.cols, rel: src.rel, clause: "field list", noAgg: true}}
	return m, m.write(scan)
}

// notUpdatable is the error of a write to what shows no rows of one table.
func notUpdatable(name, verb string) error {
	return errorf(errno.NotUpdatable, "The target table %s of the %s is not updatable: it does not show the rows of one table, write to those that it reads", name, verb)
}

// write makes a scan the one whose rows are written: the tablet id becomes a further column of it.
func (m *modifier) write(scan *rel) error {
	t := scan.table
	m.named = scan.parts != nil
	tablet := m.b.newColumn(column{name: "tablet id", pos: tabletPos, typ: types.ColumnType{Kind: types.KindBigInt, Unsigned: true, NotNull: true}})
	m.plan = &ModifyPlan{Database: scan.db, Table: t, Via: scan.via, TabletColumn: len(t.Schema.Columns), Values: len(t.Schema.Columns) + 1, checks: scan.checks}
	scan.out = append(scan.out, tablet)
	scan.columns = append(scan.columns, tabletPos)
	m.ids = slices.Clone(scan.out)
	m.b.refreshOut(m.env.rel, scan)
	return checkable(scan.checks)
}

// assign binds SET. As in MySQL, an assignment sees what those before it have set.
func (m *modifier) assign(list []*ast.Assignment) error {
	constraints, err := m.b.constraints(m.plan.Table)
	if err != nil {
		return err
	}
	m.plan.checks = slices.Concat(m.plan.checks, constraints)
	set := map[int]*expr.Node{}
	for _, a := range list {
		target, err := m.env.column(a.Column)
		if err != nil {
			return err
		}
		if !slices.Contains(m.ids, target.Col) {
			return errorf(errno.ColumnNotUpdatable, "Column '%s' is not updatable", a.Column.Name.O)
		}
		pos := m.b.cols[target.Col].pos
		col := &m.plan.Table.Schema.Columns[pos]
		if col.Generated != nil {
			x, err := m.b.keptGenerated(m.plan.Table, pos, target.Col, a.Expr)
			if err != nil {
				return err
			}
			m.add(Assign{Column: pos, Auto: true}, x)
			continue
		}
		x, tells, err := assignedID(m.env, m.b, col, a.Expr)
		if err != nil {
			return err
		}
		x = substitute(x, func(c *expr.Node) *expr.Node { return set[c.Col] })
		keeps := keepsOwn(x, target.Col)
		if stored, err := m.b.stored(x, col); err == nil {
			set[target.Col] = stored
		}
		if x, err = m.b.given(x, col); err != nil {
			return err
		}
		m.add(Assign{Column: pos, Tells: tells, Keeps: keeps}, x)
	}
	for i := range m.plan.Table.Schema.Columns {
		if c := &m.plan.Table.Schema.Columns[i]; c.OnUpdateNow && set[m.ids[i]] == nil {
			m.add(Assign{Column: i, Auto: true}, m.b.now())
		}
	}
	m.plan.follows, err = m.b.generations(m.plan.Table, following(m.plan.Table, m.plan.Assign))
	for _, g := range m.plan.follows {
		m.moves(g.pos)
	}
	if err == nil && m.named && m.plan.MovesRows { // none may leave the partitions, and which of them would is not known yet
		return refuse("PARTITION selection in an UPDATE of a primary key or of a column of the partitioning or distribution")
	}
	return err
}

// keepsOwn reports whether a column is assigned itself.
func keepsOwn(x *expr.Node, id int) bool { return x.Kind == expr.NodeColumn && x.Col == id }

// add adds one assignment; the last one of a column counts.
func (m *modifier) add(a Assign, x *expr.Node) {
	it := item{m.b.newColumn(column{name: "new", typ: x.Type}), x}
	if i := slices.IndexFunc(m.plan.Assign, func(o Assign) bool { return o.Column == a.Column }); i >= 0 {
		m.plan.Assign[i], m.values[i] = a, it
		return
	}
	m.plan.Assign, m.values = append(m.plan.Assign, a), append(m.values, it)
	m.moves(a.Column)
}

// moves notes that a column gets other values.
func (m *modifier) moves(pos int) {
	t := m.plan.Table
	id := t.Schema.Columns[pos].ID
	m.plan.MovesRows = m.plan.MovesRows || slices.Contains(t.Schema.Key, id) || slices.Contains(t.HashBy, id) ||
		t.Partition != nil && slices.Contains(t.Partition.Columns, id)
}

// finish orders, limits and lowers.
func (m *modifier) finish(order *ast.OrderByClause, limit *ast.Limit) error {
	e := m.env.in("order clause")
	var keys []expr.SortKey
	if order != nil {
		for _, it := range order.Items {
			k, err := e.bind(it.Expr)
			if err != nil {
				return err
			}
			keys = append(keys, expr.SortKey{Expr: k, Desc: it.Desc})
		}
	}
	r, err := m.b.sortLimit(e.rel, keys, limit)
	if err != nil {
		return err
	}
	var items []item
	for _, id := range m.ids {
		items = append(items, item{id, m.b.col(id)})
	}
	items = append(items, m.values...)
	q := queryOut{rel: project(r, items)}
	for _, it := range items {
		q.fields = append(q.fields, field{m.b.cols[it.id].name, it.id})
	}
	m.plan.Source, err = m.b.finish(q)
	return err
}
