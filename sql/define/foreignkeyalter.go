package define

import (
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
)

// dropForeignKey takes a foreign key away; the key over its columns stays.
func (a *tableAlterer) dropForeignKey(name string, ifExists bool) error {
	i := foreignKeyNamed(a.to, name)
	switch left := a.ctx.ForeignKeys.LeftOut; {
	case i >= 0:
		a.to.ForeignKeys = slices.Delete(a.to.ForeignKeys, i, i+1)
		return nil
	case left != "":
		a.notes = append(a.notes, "there is no foreign key '"+name+"': "+left+", and it may have been left out")
		return nil
	case ifExists:
		a.notes = append(a.notes, "Can't DROP FOREIGN KEY `"+name+"`; check that it exists")
		return nil
	}
	return errorf(errno.CannotDropColumnOrKey, "Can't DROP '%s'; check that column/key exists", name)
}

// foreignKeys adds those that the statement declares, when all else is known, and checks that those which stay can stay.
func (a *tableAlterer) foreignKeys() error {
	if err := a.keysKept(); err != nil {
		return err
	}
	if len(a.foreign) == 0 {
		return nil
	}
	if a.ctx.ForeignKeys.Refused {
		return refuseForeignKey()
	}
	db, ok := a.ctx.Catalog.DatabaseByID(a.to.DatabaseID)
	if !ok {
		return errorf(errno.UnknownDatabase, "Unknown database of table '%s'", a.to.Name)
	}
	for _, d := range a.foreign {
		before := len(a.to.ForeignKeys)
		if err := a.addForeignKey(a.to, db.Name, d); err != nil {
			return err
		}
		if len(a.to.ForeignKeys) == before {
			continue
		}
		a.change.effective = true
		if f := &a.to.ForeignKeys[before]; f.Bound() && !a.ctx.ForeignKeys.Unchecked {
			a.change.Referring = append(a.change.Referring, f.Name)
		}
	}
	return nil
}

// keysKept checks that foreign keys on both sides still have keys that find rows, and columns that hold what they refer to.
func (a *tableAlterer) keysKept() error {
	for i := range a.to.ForeignKeys {
		f := &a.to.ForeignKeys[i]
		if !hasKeyOver(a.to, f.Columns) {
			return a.keyNeeded(f.Columns)
		}
		if !f.Bound() || f.RefTable == a.to.ID {
			continue
		}
		if p, ok := a.ctx.Catalog.TableByID(f.RefTable); ok {
			if err := a.columnsFit(a.to, f, p); err != nil {
				return err
			}
		}
	}
	return a.eachReference(func(child *catalog.Table, f *catalog.ForeignKey) error {
		if _, ok := a.to.ReferableKey(f.RefColumns); !ok {
			return a.keyNeeded(f.RefColumns)
		}
		return a.columnsFit(child, f, a.to)
	})
}

// eachReference calls do with the foreign keys that refer to the table, as they will be.
func (a *columnAlterer) eachReference(do func(child *catalog.Table, f *catalog.ForeignKey) error) error {
	for _, id := range a.table.ReferencedBy {
		child, ok := a.table, true
		if id != a.table.ID {
			child, ok = a.ctx.Catalog.TableByID(id)
		}
		if !ok {
			continue
		}
		for _, at := range child.RefersTo(a.table.ID) {
			if err := do(child, &child.ForeignKeys[at]); err != nil {
				return err
			}
		}
	}
	return nil
}

// keyNeeded names the key that the statement drops and that a foreign key needs.
func (a *tableAlterer) keyNeeded(ids []types.ColumnID) error {
	name := "PRIMARY"
	for _, k := range a.change.From.Unique {
		if len(k.Columns) >= len(ids) && slices.Equal(k.Columns[:len(ids)], ids) && keyNamed(a.to, k.Name) < 0 {
			name = k.Name
		}
	}
	return errorf(errno.KeyNeededByForeignKey, "Cannot drop index '%s': needed in a foreign key constraint", name)
}

// columnsFit refuses to make a column one that does not fit the other side of a foreign key any more.
func (a *tableAlterer) columnsFit(child *catalog.Table, f *catalog.ForeignKey, parent *catalog.Table) error {
	for i, id := range f.Columns {
		mine, theirs := columnOf(child, id), columnOf(parent, f.RefColumns[i])
		switch {
		case catalog.Referable(mine, theirs):
		case child == a.to:
			return errorf(errno.ColumnTypeOfForeignKey, "Cannot change column '%s': used in a foreign key constraint '%s'", columnOf(a.change.From, id).Name, f.Name)
		default:
			return errorf(errno.ColumnTypeOfParent, "Cannot change column '%s': used in a foreign key constraint '%s' of table '%s'",
				columnOf(a.change.From, f.RefColumns[i]).Name, f.Name, a.fullName(child))
		}
	}
	return nil
}

// fullName names a table with its database.
func (a *columnAlterer) fullName(t *catalog.Table) string {
	if db, ok := a.ctx.Catalog.DatabaseByID(t.DatabaseID); ok {
		return db.Name + "." + t.Name
	}
	return t.Name
}

// unreferred refuses to drop a column of a foreign key, on either side.
func (a *columnAlterer) unreferred(id types.ColumnID, name string) error {
	for i := range a.table.ForeignKeys {
		if f := &a.table.ForeignKeys[i]; slices.Contains(f.Columns, id) {
			return errorf(errno.ColumnOfForeignKey, "Cannot drop column '%s': needed in a foreign key constraint '%s'", name, f.Name)
		}
	}
	return a.eachReference(func(child *catalog.Table, f *catalog.ForeignKey) error {
		if !slices.Contains(f.RefColumns, id) {
			return nil
		}
		return errorf(errno.ColumnReferenced, "Cannot drop column '%s': needed in a foreign key constraint '%s' of table '%s'", name, f.Name, a.fullName(child))
	})
}

// unrelated refuses to write other values into a column of a foreign key, on either side: rows could lose their parents by that.
func (a *columnAlterer) unrelated(col *types.Column) error {
	for i := range a.table.ForeignKeys {
		if f := &a.table.ForeignKeys[i]; slices.Contains(f.Columns, col.ID) {
			return errorf(errno.ColumnTypeOfForeignKey, "Cannot change column '%s': used in a foreign key constraint '%s'", col.Name, f.Name)
		}
	}
	return a.eachReference(func(child *catalog.Table, f *catalog.ForeignKey) error {
		if !slices.Contains(f.RefColumns, col.ID) {
			return nil
		}
		return errorf(errno.ColumnTypeOfParent, "Cannot change column '%s': used in a foreign key constraint '%s' of table '%s'", col.Name, f.Name, a.fullName(child))
	})
}

// nullable refuses to make a column NOT NULL that a foreign key may set to NULL.
func (a *columnAlterer) nullable(col *types.Column) error {
	for i := range a.table.ForeignKeys {
		if f := &a.table.ForeignKeys[i]; col.Type.NotNull && setsNull(f) && slices.Contains(f.Columns, col.ID) {
			return errorf(errno.ForeignKeySetsNull, "Column '%s' cannot be NOT NULL: needed in a foreign key constraint '%s' SET NULL", col.Name, f.Name)
		}
	}
	return nil
}
