package session

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/define"
	"stele/sql/errno"
	"stele/sql/parse"
	"stele/sql/plan"
	"stele/sql/syntax"
	"stele/sql/vec"
)

// refusedParent refuses to lose the rows of a table that foreign keys of others refer to.
type refusedParent func(child *catalog.Table, f *catalog.ForeignKey) error

// notReferred asks refuse about the foreign keys of tables that stay, unless foreign_key_checks is OFF.
func (s *Session) notReferred(cat *catalog.Catalog, t *catalog.Table, goes func(*catalog.Table) bool, refuse refusedParent) error {
	if !t.ReferencedByOthers() || !s.checksForeignKeys() {
		return nil
	}
	for _, id := range t.ReferencedBy {
		child, ok := cat.TableByID(id)
		if !ok || id == t.ID || goes(child) {
			continue
		}
		return refuse(child, &child.ForeignKeys[child.RefersTo(t.ID)[0]])
	}
	return nil
}

func (s *Session) checksForeignKeys() bool { return s.vars.Bool("foreign_key_checks") }

// droppable refuses to drop a parent whose children stay.
func (s *Session) droppable(cat *catalog.Catalog, t *catalog.Table, goes func(*catalog.Table) bool) error {
	return s.notReferred(cat, t, goes, func(child *catalog.Table, f *catalog.ForeignKey) error {
		return sqlErr(errno.TableReferenced, "Cannot drop table '%s' referenced by a foreign key constraint '%s' on table '%s'.", t.Name, f.Name, child.Name)
	})
}

// emptiable refuses to empty a parent.
func (s *Session) emptiable(cat *catalog.Catalog, t *catalog.Table) error {
	return s.notReferred(cat, t, func(*catalog.Table) bool { return false }, func(child *catalog.Table, f *catalog.ForeignKey) error {
		db, _ := cat.DatabaseByID(child.DatabaseID)
		return sqlErr(errno.TruncateReferenced, "Cannot truncate a table referenced in a foreign key constraint (`%s`.`%s`, CONSTRAINT `%s`)", db.Name, child.Name, f.Name)
	})
}

// awaited checks the foreign keys that await a table which is about to come under its name.
func (s *Session) awaited(cat *catalog.Catalog, db string, t *catalog.Table) error {
	waiting := slices.Collect(cat.Awaiting(db, t.Name))
	if len(waiting) == 0 {
		return nil
	}
	return define.CheckAwaited(t, waiting, db)
}

// related checks a new table against what awaits it, and waits for its parents to be changed by nobody.
func (s *Session) related(ctx context.Context, cat *catalog.Catalog, db string, t *catalog.Table) error {
	if err := s.awaited(cat, db, t); err != nil {
		return err
	}
	_, err := s.parentsOf(ctx, 0, t.ForeignKeys)
	return err
}

// parentsOf returns the other tables that foreign keys refer to, by id, when nobody changes them any more.
func (s *Session) parentsOf(ctx context.Context, child types.TableID, keys []catalog.ForeignKey) ([]*catalog.Table, error) {
	var ids []types.TableID
	for i := range keys {
		if f := &keys[i]; f.Bound() && f.RefTable != child {
			ids = append(ids, f.RefTable)
		}
	}
	slices.Sort(ids)
	var out []*catalog.Table
	for _, id := range slices.Compact(ids) {
		t, ok := s.sh.Log.Current().TableByID(id)
		if !ok {
			return nil, &catalog.ErrNotFound{Kind: "table", Name: "of a foreign key"}
		}
		t, err := s.unaltered(ctx, t)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// newKeys are the foreign keys of a change whose parents do not know of them yet.
func newKeys(c *define.Change) []catalog.ForeignKey {
	return slices.DeleteFunc(slices.Clone(c.To.ForeignKeys), func(f catalog.ForeignKey) bool {
		return slices.ContainsFunc(c.From.ForeignKeys, func(old catalog.ForeignKey) bool { return old.Name == f.Name && old.RefTable == f.RefTable })
	})
}

// holdParents keeps writers from the parents of foreign keys that rows have to meet: a row of a parent must not go between the look at it
// and the moment from which statements know of the key.
func (s *Session) holdParents(ctx context.Context, c *define.Change) ([]command.BegunTable, error) {
	var keys []catalog.ForeignKey
	for _, f := range c.To.ForeignKeys {
		if slices.Contains(c.Referring, f.Name) {
			keys = append(keys, f)
		}
	}
	parents, err := s.parentsOf(ctx, c.From.ID, keys)
	if err != nil {
		return nil, err
	}
	var held []command.BegunTable
	for _, p := range parents {
		err := s.apply(ctx, &command.BeginChange{Table: p.ID, ExpectVersion: p.Schema.Version, UntilMs: time.Now().Add(alterLease).UnixMilli(),
			TimeMs: time.Now().UnixMilli()})
		if err != nil {
			return nil, errors.Join(err, s.releaseParents(ctx, held))
		}
		held = append(held, command.BegunTable{Table: p.ID, Version: p.Schema.Version + 1})
	}
	return held, nil
}

// releaseParents lets writers to the parents of a change that did not come about.
func (s *Session) releaseParents(ctx context.Context, held []command.BegunTable) error {
	var all error
	for _, p := range held {
		if err := s.apply(context.WithoutCancel(ctx), &command.HoldChange{Table: p.Table, Version: p.Version}); err != nil && !isOver(err) {
			all = errors.Join(all, err)
		}
	}
	return all
}

// checkOrphans refuses a foreign key when a row of its table has no row of the parent. Nobody writes to either.
func (s *Session) checkOrphans(ctx context.Context, c *define.Change) error {
	cat := s.sh.Log.Current()
	for i := range c.To.ForeignKeys {
		f := &c.To.ForeignKeys[i]
		if !slices.Contains(c.Referring, f.Name) {
			continue
		}
		sql, params, ok := orphanQuery(cat, c, f)
		if !ok {
			continue
		}
		found, err := s.anyRow(ctx, cat, sql, params)
		if err != nil {
			return err
		}
		if found {
			return noParentRow(cat, c.To, f)
		}
	}
	return nil
}

// noParentRow is the error of a row that has no parent.
func noParentRow(cat *catalog.Catalog, t *catalog.Table, f *catalog.ForeignKey) error {
	return sqlErr(errno.NoReferencedRow, "Cannot add or update a child row: a foreign key constraint fails (%s)", describeForeignKey(cat, t, f))
}

// orphanQuery asks for a row of a table as it will be that has no row of the parent of a foreign key. ok is false where there can be none:
// a column that is new has NULL in every row.
func orphanQuery(cat *catalog.Catalog, c *define.Change, f *catalog.ForeignKey) (sql string, params []plan.Param, ok bool) {
	parent, found := cat.TableByID(f.RefTable)
	if !found {
		return "", nil, false
	}
	var on, filled []string
	for i, id := range f.Columns {
		column := c.To.Schema.Columns[c.To.Schema.ColumnIndex(id)]
		name := "`p`." + syntax.QuoteName(parent.Schema.Columns[parent.Schema.ColumnIndex(f.RefColumns[i])].Name)
		at := c.From.Schema.ColumnIndex(id)
		switch {
		case at >= 0:
			mine := "`c`." + syntax.QuoteName(c.From.Schema.Columns[at].Name)
			on, filled = append(on, mine+" = "+name), append(filled, mine+" IS NOT NULL")
		case column.Initial == nil:
			return "", nil, false
		default:
			on = append(on, name+" = ?")
			params = append(params, plan.Param{Value: define.InitialValue(&column), Type: column.Type})
		}
	}
	filled = append(filled, "`p`."+syntax.QuoteName(parent.Schema.Columns[parent.Schema.ColumnIndex(f.RefColumns[0])].Name)+" IS NULL")
	return "SELECT 1 FROM " + quotedTable(cat, c.From) + " AS `c` LEFT JOIN " + quotedTable(cat, parent) + " AS `p` ON " + strings.Join(on, " AND ") +
		" WHERE " + strings.Join(filled, " AND ") + " LIMIT 1", params, true
}

func quotedTable(cat *catalog.Catalog, t *catalog.Table) string {
	db, _ := cat.DatabaseByID(t.DatabaseID)
	return syntax.QuoteName(db.Name) + "." + syntax.QuoteName(t.Name)
}

// anyRow reports whether a query that the session asks for itself, whatever its account may do, has a row.
func (s *Session) anyRow(ctx context.Context, cat *catalog.Catalog, sql string, params []plan.Param) (bool, error) {
	st, err := parse.Parse(sql, 0)
	if err != nil {
		return false, err
	}
	now := s.clock()
	pctx := s.planContext(cat, now, params)
	pctx.Catalog = snapshot{Catalog: cat}
	p, err := plan.Select(pctx, st.Node)
	if err != nil {
		return false, err
	}
	rows, err := s.rowsOf(ctx, p, cat, now)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for {
		var b *vec.Batch
		if b, err = rows.Next(ctx); err != nil || b == nil || b.Rows() > 0 {
			return b != nil && err == nil, err
		}
	}
}
