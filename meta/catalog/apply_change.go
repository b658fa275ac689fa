package catalog

import (
	"slices"
	"strings"

	"stele/meta/command"
)

// beginChange keeps others from writing to a table while its rows are looked at, and makes the hidden tables of its new unique keys.
func (d *draft) beginChange(c *command.BeginChange) error {
	t, err := d.tableToAlter(c.Table, c.ExpectVersion)
	if err != nil {
		return err
	}
	if c.UntilMs <= 0 || len(c.Keys) != len(c.Indexes) {
		return refused("table %s: a change needs a promise, and a hidden table a unique key", t.Name)
	}
	t.AlterUntilMs = c.UntilMs
	t.Unique = slices.Clone(t.Unique)
	for i := range c.Keys {
		k := c.Keys[i]
		if k.BuildUntilMs = c.UntilMs; !k.Unique || !k.Enforced() {
			return refused("key %s: only a unique key is built", k.Name)
		}
		t.Unique = append(t.Unique, k)
		if err := d.createIndex(t, &k, &c.Indexes[i], c.TimeMs); err != nil {
			return err
		}
	}
	d.fence(t)
	d.tables = d.tables.set(d.o, t.ID, t)
	return nil
}

// holdChange renews the promise of a change, or takes the change back.
func (d *draft) holdChange(c *command.HoldChange) (any, error) {
	t, err := d.editTable(c.Table)
	if err != nil {
		return nil, err
	}
	switch until := t.Altering(); {
	case until == 0:
		return nil, refused("table %s: no change of it is under way any more", t.Name)
	case c.Version != 0 && c.Version != t.Schema.Version:
		return nil, &ErrSchemaChanged{Table: t.ID, Given: c.Version, Current: t.Schema.Version}
	case c.ExpiredMs != 0 && until >= c.ExpiredMs:
		return nil, refused("table %s: its change is not abandoned", t.Name)
	case c.UntilMs != 0:
		t.AlterUntilMs = c.UntilMs
		d.tables = d.tables.set(d.o, t.ID, t)
		return DropResult{}, nil
	}
	keys := slices.DeleteFunc(slices.Clone(t.Unique), func(k UniqueKey) bool { return k.Building() })
	res, err := d.replaceKeys(t, keys)
	if err != nil {
		return nil, err
	}
	t.AlterUntilMs = 0
	d.tables = d.tables.set(d.o, t.ID, t)
	return res, nil
}

// changeTable makes a table what an ALTER TABLE says.
func (d *draft) changeTable(c *command.ChangeTable) (any, error) {
	t, err := d.tableToChange(c)
	if err != nil {
		return nil, err
	}
	if c.Copy != nil {
		return d.swapRows(t, c)
	}
	if err := replaceColumns(t, c.Columns, c.LastColumn); err != nil {
		return nil, err
	}
	res, err := d.replaceKeys(t, c.Keys)
	if err != nil {
		return nil, err
	}
	t.Schema.Indexed = IndexedColumns(t.Unique)
	if c.Fence || addsForeignKey(t.ForeignKeys, c.ForeignKeys) {
		d.fence(t)
	} else {
		t.Schema.Version++ // another change that was planned on the one before has to be planned anew
	}
	return res, d.settle(t, c)
}

// settle gives a table what a change says beside its columns and keys, with which the change is over.
func (d *draft) settle(t *Table, c *command.ChangeTable) error {
	t.Checks, t.Comment, t.Collation, t.AlterUntilMs = slices.Clone(c.Checks), c.Comment, c.Collation, 0
	if err := d.checkTable(t); err != nil {
		return err
	}
	if err := d.setForeignKeys(t, c.ForeignKeys, c.Parents); err != nil {
		return err
	}
	if err := d.checkReferences(t); err != nil {
		return err
	}
	d.tables = d.tables.set(d.o, t.ID, t)
	if n, ok := d.counters.get(t.ID); ok && c.AutoIncrement > 1 && c.AutoIncrement <= maxCounter {
		n.Auto, n.Fence = max(n.Auto, c.AutoIncrement), max(n.Fence, c.AutoIncrement-1)
		d.counters = d.counters.set(d.o, t.ID, n)
	}
	if c.Rename != nil {
		if c.Rename.Table != t.ID {
			return refused("table %s: its change gives a name to another one", t.Name)
		}
		return d.renameTable(c.Rename)
	}
	return nil
}

// tableToChange edits the table that a change was planned on, or begun.
func (d *draft) tableToChange(c *command.ChangeTable) (*Table, error) {
	if !c.Begun {
		return d.tableToAlter(c.Table, c.ExpectVersion)
	}
	t, err := d.editTable(c.Table)
	switch {
	case err != nil:
		return nil, err
	case t.AlterUntilMs == 0:
		return nil, refused("table %s: its change took too long and was taken back", t.Name)
	case c.ExpectVersion != t.Schema.Version:
		return nil, &ErrSchemaChanged{Table: t.ID, Given: c.ExpectVersion, Current: t.Schema.Version}
	}
	return t, nil
}

// replaceKeys gives a table other secondary keys. They count from now on; hidden tables of keys that are not among them go.
func (d *draft) replaceKeys(t *Table, keys []UniqueKey) (DropResult, error) {
	next := slices.Clone(keys)
	names := map[string]bool{}
	for i := range next {
		k := &next[i]
		k.BuildUntilMs = 0
		if name := strings.ToLower(k.Name); names[name] {
			return DropResult{}, exists("key", k.Name)
		} else {
			names[name] = true
		}
		has := func(old UniqueKey) bool { return old.Index == k.Index && slices.Equal(old.Columns, k.Columns) }
		if k.Unique != k.Enforced() || k.Unique && !slices.ContainsFunc(t.Unique, has) {
			return DropResult{}, refused("table %s: unique key %s has no hidden table", t.Name, k.Name)
		}
	}
	var res DropResult
	for _, old := range t.Unique {
		if !old.Enforced() || slices.ContainsFunc(next, func(k UniqueKey) bool { return k.Index == old.Index }) {
			continue
		}
		dropped, err := d.dropTable(old.Index)
		if err != nil {
			return DropResult{}, err
		}
		res.Tablets = append(res.Tablets, dropped.Tablets...)
	}
	t.Unique = next
	return res, nil
}
