package plan

import (
	"slices"
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
)

// Updates plans an UPDATE of one table or, over a join, of several: one plan a table whose columns are assigned. All of them
// have to be read before any is written.
func Updates(ctx *Context, stmt *ast.UpdateStmt) ([]*ModifyPlan, error) {
	return plansOf(updates(ctx, stmt))
}

// plansOf returns the plans that modifiers have made.
func plansOf(made []*modifier, err error) ([]*ModifyPlan, error) {
	if err != nil {
		return nil, err
	}
	plans := make([]*ModifyPlan, len(made))
	for i, m := range made {
		plans[i] = m.plan
	}
	return plans, nil
}

func updates(ctx *Context, stmt *ast.UpdateStmt) ([]*modifier, error) {
	if _, err := onlyTable(stmt.TableRefs); err == nil {
		m, err := updateOne(ctx, stmt)
		return []*modifier{m}, err
	}
	if stmt.Order != nil || stmt.Limit != nil {
		return nil, errorf(errno.WrongUsage, "Incorrect usage of UPDATE and %s", map[bool]string{true: "ORDER BY", false: "LIMIT"}[stmt.Order != nil])
	}
	first, err := newJoined(ctx, stmt.TableRefs, stmt.With)
	if err != nil {
		return nil, err
	}
	var targets []scopeColumn
	lists := map[string][]*ast.Assignment{}
	for _, a := range stmt.List {
		c, err := first.scopeOf(a.Column)
		if err != nil {
			return nil, err
		}
		key := c.db + "\x00" + c.table
		if lists[key] == nil {
			targets = append(targets, c)
		}
		lists[key] = append(lists[key], a)
	}
	var out []*modifier
	for _, c := range targets {
		m, err := joinModifier(ctx, stmt.TableRefs, stmt.With, c)
		if err != nil {
			return nil, err
		}
		m.plan.Ignore = stmt.IgnoreErr
		m.b.writes(stmt.IgnoreErr)
		if stmt.Where != nil {
			if err := m.env.in("where clause").filterInto(m.env, stmt.Where); err != nil {
				return nil, err
			}
		}
		if err := m.assign(lists[c.db+"\x00"+c.table]); err != nil {
			return nil, err
		}
		if err := m.finishJoin(); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, differentTables(out)
}

// Deletes plans a DELETE from one table or, over a join, from several.
func Deletes(ctx *Context, stmt *ast.DeleteStmt) ([]*ModifyPlan, error) {
	return plansOf(deletes(ctx, stmt))
}

func deletes(ctx *Context, stmt *ast.DeleteStmt) ([]*modifier, error) {
	if !stmt.IsMultiTable {
		m, err := deleteOne(ctx, stmt)
		return []*modifier{m}, err
	}
	var out []*modifier
	for _, name := range stmt.Tables.Tables {
		m, err := deleteOfJoin(ctx, stmt, name)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// deleteOfJoin plans the part of a DELETE over a join that one of its tables has.
func deleteOfJoin(ctx *Context, stmt *ast.DeleteStmt, name *ast.TableName) (*modifier, error) {
	m, err := joinModifier(ctx, stmt.TableRefs, stmt.With, scopeColumn{db: name.Schema.O, table: name.Name.O})
	if err != nil {
		return nil, err
	}
	m.plan.Ignore = stmt.IgnoreErr
	if stmt.Where != nil {
		if err := m.env.in("where clause").filterInto(m.env, stmt.Where); err != nil {
			return nil, err
		}
	}
	return m, m.finishJoin()
}

// differentTables refuses an UPDATE that writes to one table twice: each part would undo the other's.
func differentTables(made []*modifier) error {
	for i, m := range made {
		for _, other := range made[:i] {
			if m.plan.Table.ID == other.plan.Table.ID {
				return refuse("a write to one table under two names")
			}
		}
	}
	return nil
}

// newJoined binds the tables of a join without a target.
func newJoined(ctx *Context, refs *ast.TableRefsClause, with *ast.WithClause) (*env, error) {
	b := newBinder(ctx)
	ctes, err := (*cteScope)(nil).with(with, nil)
	if err != nil {
		return nil, err
	}
	src, err := b.from(refs, nil, ctes)
	if err != nil {
		return nil, err
	}
	return &env{b: b, ctes: ctes, cols: src.cols, rel: src.rel, clause: "field list", noAgg: true}, nil
}

// scopeOf finds the column of FROM that a name means.
func (e *env) scopeOf(name *ast.ColumnName) (scopeColumn, error) {
	n, err := e.local(name)
	if err != nil {
		return scopeColumn{}, err
	}
	for _, c := range e.cols {
		if n != nil && c.id == n.Col && (name.Table.O == "" || strings.EqualFold(c.table, name.Table.O)) {
			return c, nil
		}
	}
	return scopeColumn{}, errorf(errno.UnknownColumn, "Unknown column '%s' in '%s'", name.String(), e.clause)
}

// joinModifier binds a join with one of its tables as the one to be written.
func joinModifier(ctx *Context, refs *ast.TableRefsClause, with *ast.WithClause, target scopeColumn) (*modifier, error) {
	e, err := newJoined(ctx, refs, with)
	if err != nil {
		return nil, err
	}
	m, found := &modifier{b: e.b, env: e}, false
	for _, c := range e.cols {
		if !strings.EqualFold(c.table, target.table) || target.db != "" && !strings.EqualFold(c.db, target.db) {
			continue
		}
		found = true
		if scan := scanOf(e.rel, c.id); scan != nil { // a column of a view may be computed
			return m, m.write(scan)
		}
	}
	if found {
		return nil, notUpdatable(target.table, "statement")
	}
	return nil, errorf(errno.UnknownTableInDelete, "Unknown table '%s' in MULTI DELETE", target.table)
}

// finishJoin keeps the rows that are there (an outer join may have none of the target), each once, whatever number of rows
// it was joined with, and lowers.
func (m *modifier) finishJoin() error {
	tablet := m.ids[len(m.ids)-1]
	none, err := m.b.call("isnull", m.b.col(m.ids[m.plan.Table.Schema.KeyIndexes()[0]]))
	if err != nil {
		return err
	}
	there, err := m.b.not(none)
	if err != nil {
		return err
	}
	r := filter(m.env.rel, there)
	groups := []item{{tablet, m.b.col(tablet)}}
	for _, at := range m.plan.Table.Schema.KeyIndexes() {
		groups = append(groups, item{m.ids[at], m.b.col(m.ids[at])})
	}
	var aggs []aggItem
	any := func(id int, x *expr.Node) {
		aggs = append(aggs, aggItem{id: id, fn: expr.AggFunc{Name: "any_value", Arg: x, Type: x.Type}})
	}
	for _, id := range m.ids {
		if !slices.ContainsFunc(groups, func(g item) bool { return g.id == id }) {
			any(id, m.b.col(id))
		}
	}
	items := make([]item, 0, len(m.ids)+len(m.values))
	for _, id := range m.ids {
		items = append(items, item{id, m.b.col(id)})
	}
	for _, v := range m.values {
		x := v.expr
		if x.Type.Kind == types.KindNull { // it has no aggregate, and is NULL wherever it comes from
			items = append(items, item{v.id, expr.Const(expr.Value{Null: true}, x.Type)})
			continue
		}
		any(v.id, x)
		m.b.cols[v.id].typ.NotNull = false
		items = append(items, item{v.id, m.b.col(v.id)})
	}
	q := queryOut{rel: project(aggregate(r, groups, aggs), items)}
	for _, it := range items {
		q.fields = append(q.fields, field{m.b.cols[it.id].name, it.id})
	}
	m.plan.Source, err = m.b.finish(q)
	return err
}
