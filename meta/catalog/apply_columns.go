package catalog

import (
	"slices"

	"stele/meta/command"
	"stele/meta/types"
)

// alterColumns gives a table other columns, in one step for all of them.
func (d *draft) alterColumns(c *command.AlterColumns) error {
	t, err := d.tableToAlter(c.Table, c.ExpectVersion)
	if err != nil {
		return err
	}
	if err := replaceColumns(t, c.Columns, c.LastColumn); err != nil {
		return err
	}
	if err := d.checkTable(t); err != nil {
		return err
	}
	if err := d.checkReferences(t); err != nil {
		return err
	}
	d.fence(t)
	d.tables = d.tables.set(d.o, t.ID, t)
	return nil
}

// replaceColumns gives a table other columns. Those that stay keep how their values are stored, and no id is used again.
func replaceColumns(t *Table, columns []types.Column, highest types.ColumnID) error {
	old, last := t.Schema, t.HighestColumn()
	t.Schema.Columns = slices.Clone(columns)
	for i := range columns {
		col := &columns[i]
		at := old.ColumnIndex(col.ID)
		switch {
		case at < 0 && col.ID <= last:
			return refused("table %s: column id %d of %s has been used before", t.Name, col.ID, col.Name)
		case col.ID > highest:
			return refused("table %s: column id %d of %s is beyond %d", t.Name, col.ID, col.Name, highest)
		case at >= 0 && !types.SameForm(old.Columns[at].Type, col.Type):
			return refused("table %s: column %s would be stored in another form", t.Name, col.Name)
		}
	}
	t.LastColumn = max(last, highest)
	return nil
}
