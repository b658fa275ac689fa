package catalog

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
)

// awaitedName is a table that is not there, and one with foreign keys that refer to it.
type awaitedName struct {
	db, table string
	child     types.TableID
}

func compareAwaited(a, b awaitedName) int {
	return cmp.Or(strings.Compare(a.db, b.db), strings.Compare(a.table, b.table), cmp.Compare(a.child, b.child))
}

// ForeignKeyNamed returns the table of a database that has a foreign key of a name; names are alike whatever their case.
func (c *Catalog) ForeignKeyNamed(db types.DatabaseID, name string) (*Table, bool) {
	id, ok := c.constraints.get(tableName{db, strings.ToLower(name)})
	if !ok {
		return nil, false
	}
	return c.tables.get(id)
}

// Awaiting yields the tables with foreign keys that await a table of this name.
func (c *Catalog) Awaiting(db, table string) iter.Seq[*Table] {
	return func(yield func(*Table) bool) {
		for k := range c.awaited.from(awaitedName{db: db, table: table}) {
			if k.db != db || k.table != table {
				return
			}
			if t, ok := c.tables.get(k.child); ok && !yield(t) {
				return
			}
		}
	}
}

// noteForeignKeys has a table found by the names of its foreign keys, and by the names of the parents that they await.
func (d *draft) noteForeignKeys(t *Table) error {
	for i := range t.ForeignKeys {
		f := &t.ForeignKeys[i]
		name := tableName{t.DatabaseID, strings.ToLower(f.Name)}
		if _, taken := d.constraints.get(name); taken {
			return exists("foreign key", f.Name)
		}
		d.constraints = d.constraints.set(d.o, name, t.ID)
		if f.Awaits != nil {
			d.awaited = d.awaited.set(d.o, awaitedName{f.Awaits.Database, f.Awaits.Table, t.ID}, struct{}{})
		}
	}
	return nil
}

// forgetForeignKeys takes back what noteForeignKeys did.
func (d *draft) forgetForeignKeys(t *Table) {
	for i := range t.ForeignKeys {
		f := &t.ForeignKeys[i]
		d.constraints = d.constraints.del(d.o, tableName{t.DatabaseID, strings.ToLower(f.Name)})
		if f.Awaits != nil {
			d.awaited = d.awaited.del(d.o, awaitedName{f.Awaits.Database, f.Awaits.Table, t.ID})
		}
	}
}

// setForeignKeys gives a table, which the caller stores, other foreign keys. Nothing that has written to their parents without knowing
// of them commits; that it is so for the table itself is for the caller to say.
func (d *draft) setForeignKeys(t *Table, next []ForeignKey, begun []command.BegunTable) error {
	if err := d.endBegun(t, begun); err != nil {
		return err
	}
	d.forgetForeignKeys(t)
	before := t.ForeignKeys
	t.ForeignKeys = slices.Clone(next)
	for i := range t.ForeignKeys {
		f := &t.ForeignKeys[i]
		if f.Awaits != nil {
			d.bindIfThere(t, f)
		}
		if err := d.checkForeignKey(t, f); err != nil {
			return err
		}
	}
	if err := d.noteForeignKeys(t); err != nil {
		return err
	}
	return d.tellParents(t, before)
}

// tellParents has the records of parents say which tables refer to them.
func (d *draft) tellParents(t *Table, before []ForeignKey) error {
	for _, f := range before {
		if f.Bound() && len(t.RefersTo(f.RefTable)) == 0 {
			if err := d.editParent(t, f.RefTable, func(p *Table) { p.ReferencedBy = without(p.ReferencedBy, t.ID) }); err != nil {
				return err
			}
		}
	}
	for i := range t.ForeignKeys {
		f := &t.ForeignKeys[i]
		if !f.Bound() || slices.ContainsFunc(before, alike(f)) {
			continue
		}
		if p, ok := d.tables.get(f.RefTable); ok && p.ID != t.ID && p.Altering() != 0 {
			return refusedAltering(p)
		}
		err := d.editParent(t, f.RefTable, func(p *Table) {
			if p.ReferencedBy = with(p.ReferencedBy, t.ID); p != t {
				d.fence(p)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// alike tells which foreign keys ask the same of rows as another.
func alike(f *ForeignKey) func(ForeignKey) bool {
	return func(g ForeignKey) bool {
		return g.RefTable == f.RefTable && slices.Equal(g.Columns, f.Columns) && slices.Equal(g.RefColumns, f.RefColumns) &&
			g.OnDelete == f.OnDelete && g.OnUpdate == f.OnUpdate
	}
}

// addsForeignKey reports whether writers have to know of a foreign key that they did not know before.
func addsForeignKey(before, after []ForeignKey) bool {
	return slices.ContainsFunc(after, func(f ForeignKey) bool { return !slices.ContainsFunc(before, alike(&f)) })
}

// editParent changes the parent of a table, which may be the table itself.
func (d *draft) editParent(child *Table, id types.TableID, change func(*Table)) error {
	if id == child.ID {
		change(child)
		return nil
	}
	p, err := d.editTable(id)
	if err != nil {
		return err
	}
	change(p)
	d.tables = d.tables.set(d.o, id, p)
	return nil
}

// endBegun ends what keeps writers from the parents of a table, which must have held until now.
func (d *draft) endBegun(child *Table, begun []command.BegunTable) error {
	for _, g := range begun {
		p, err := d.editTable(g.Table)
		switch {
		case err != nil:
			return err
		case p.ID == child.ID:
			return refused("table %s: it is not a parent beside itself", child.Name)
		case p.AlterUntilMs == 0:
			return refused("table %s: its change took too long and was taken back", p.Name)
		case p.Schema.Version != g.Version:
			return &ErrSchemaChanged{Table: p.ID, Given: g.Version, Current: p.Schema.Version}
		}
		p.AlterUntilMs = 0
		d.tables = d.tables.set(d.o, p.ID, p)
	}
	return nil
}

// bindIfThere binds a foreign key whose parent is there by now. What does not fit is for checkForeignKey to say.
func (d *draft) bindIfThere(child *Table, f *ForeignKey) {
	db, ok := d.Database(f.Awaits.Database)
	if !ok {
		return
	}
	parent, ok := d.Table(db.ID, f.Awaits.Table)
	if db.ID == child.DatabaseID && f.Awaits.Table == child.Name {
		parent, ok = child, true
	}
	if ok {
		bind(f, parent)
	}
}

// bind has a foreign key refer to its parent by ids. A column that is not there has the id 0, as no column has.
func bind(f *ForeignKey, parent *Table) {
	f.RefTable, f.RefColumns = parent.ID, nil
	for _, name := range f.Awaits.Columns {
		id := types.ColumnID(0)
		if at := parent.Schema.ColumnNamed(name); at >= 0 {
			id = parent.Schema.Columns[at].ID
		}
		f.RefColumns = append(f.RefColumns, id)
	}
	f.Awaits = nil
}

// checkForeignKey checks what a foreign key says against its table and its parent (C12).
func (d *draft) checkForeignKey(child *Table, f *ForeignKey) error {
	switch {
	case f.Name == "" || len(f.Columns) == 0:
		return refused("table %s: a foreign key needs a name and columns", child.Name)
	case f.OnDelete > model.ReferenceSetNull || f.OnUpdate > model.ReferenceSetNull:
		return refused("foreign key %s: action %d or %d is unknown", f.Name, uint8(f.OnDelete), uint8(f.OnUpdate))
	case child.Owner != nil || child.Hidden() || child.Partition != nil:
		return refused("foreign key %s: table %s is temporary, hidden or partitioned", f.Name, child.Name)
	case f.Bound() == (f.Awaits != nil):
		return refused("foreign key %s: it has a parent, or awaits one", f.Name)
	case f.Awaits != nil:
		if len(f.Awaits.Columns) != len(f.Columns) {
			return refused("foreign key %s: %d columns refer to %d", f.Name, len(f.Columns), len(f.Awaits.Columns))
		}
		return checkChildColumns(child, f)
	}
	parent, ok := child, true
	if f.RefTable != child.ID {
		parent, ok = d.tables.get(f.RefTable)
	}
	if !ok || f.RefTable != child.ID && !parent.Named() {
		return notFound("table", f.RefTable)
	}
	if err := checkChildColumns(child, f); err != nil {
		return err
	}
	return fits(child, f, parent)
}

// checkChildColumns checks that the columns of a foreign key are there, and may be what its actions make of them.
func checkChildColumns(child *Table, f *ForeignKey) error {
	for _, id := range f.Columns {
		at := child.Schema.ColumnIndex(id)
		if at < 0 || id == 0 {
			return refused("foreign key %s: column id %d is not declared", f.Name, id)
		}
		if setsNull(f) && child.Schema.Columns[at].Type.NotNull {
			return refused("foreign key %s: column %s cannot be NULL", f.Name, child.Schema.Columns[at].Name)
		}
	}
	return nil
}

func setsNull(f *ForeignKey) bool {
	return f.OnDelete == model.ReferenceSetNull || f.OnUpdate == model.ReferenceSetNull
}

// fits checks that a foreign key refers to a key of its parent, and column by column to what its own can hold.
func fits(child *Table, f *ForeignKey, parent *Table) error {
	if parent.Partition != nil {
		return refused("foreign key %s of table %s: table %s is partitioned", f.Name, child.Name, parent.Name)
	}
	if _, ok := parent.ReferableKey(f.RefColumns); !ok || len(f.Columns) != len(f.RefColumns) {
		return refused("foreign key %s of table %s: table %s has no primary or unique key of the columns that it refers to", f.Name, child.Name, parent.Name)
	}
	for i, id := range f.Columns {
		a, b := child.Schema.ColumnIndex(id), parent.Schema.ColumnIndex(f.RefColumns[i])
		if a < 0 || b < 0 || !model.Referable(&child.Schema.Columns[a], &parent.Schema.Columns[b]) {
			return refused("foreign key %s of table %s: its columns and those of table %s are incompatible", f.Name, child.Name, parent.Name)
		}
	}
	return nil
}

// checkReferences checks all foreign keys of a table that is about to be stored otherwise, and those that refer to it.
func (d *draft) checkReferences(t *Table) error {
	for i := range t.ForeignKeys {
		if err := d.checkForeignKey(t, &t.ForeignKeys[i]); err != nil {
			return err
		}
	}
	for _, id := range t.ReferencedBy {
		child := t
		if id != t.ID {
			child, _ = d.tables.get(id)
		}
		for _, at := range child.RefersTo(t.ID) {
			if err := fits(child, &child.ForeignKeys[at], t); err != nil {
				return err
			}
		}
	}
	return nil
}

// bindAwaiting binds the foreign keys that have awaited a table which has come under its name. One that does not fit it has it refused.
func (d *draft) bindAwaiting(t *Table) error {
	if d.awaited.len() == 0 {
		return nil
	}
	db, _ := d.dbs.get(t.DatabaseID)
	for _, old := range slices.Collect(d.Awaiting(db.Name, t.Name)) {
		child := t
		if old.ID != t.ID {
			copied := *old
			child = &copied
		}
		d.forgetForeignKeys(child)
		child.ForeignKeys = slices.Clone(child.ForeignKeys)
		for i := range child.ForeignKeys {
			f := &child.ForeignKeys[i]
			if f.Awaits == nil || f.Awaits.Database != db.Name || f.Awaits.Table != t.Name {
				continue
			}
			bind(f, t)
			if err := fits(child, f, t); err != nil {
				return err
			}
		}
		if err := d.noteForeignKeys(child); err != nil {
			return err
		}
		t.ReferencedBy = with(t.ReferencedBy, child.ID)
		d.tables = d.tables.set(d.o, child.ID, child)
	}
	d.tables = d.tables.set(d.o, t.ID, t)
	return nil
}

// parted has a table that goes leave nothing behind but its name, in the foreign keys that refer to it.
func (d *draft) parted(t *Table) error {
	d.forgetForeignKeys(t)
	for i := range t.ForeignKeys {
		if id := t.ForeignKeys[i].RefTable; id != 0 && id != t.ID {
			if err := d.editParent(t, id, func(p *Table) { p.ReferencedBy = without(p.ReferencedBy, t.ID) }); err != nil {
				return err
			}
		}
	}
	for _, id := range t.ReferencedBy {
		if id == t.ID {
			continue
		}
		child, err := d.editTable(id)
		if err != nil {
			return err
		}
		d.forgetForeignKeys(child)
		child.ForeignKeys = slices.Clone(child.ForeignKeys)
		for _, at := range child.RefersTo(t.ID) {
			d.await(&child.ForeignKeys[at], t)
		}
		if err := d.noteForeignKeys(child); err != nil {
			return err
		}
		d.tables = d.tables.set(d.o, id, child)
	}
	return nil
}

// await has a foreign key await another table that is called as its parent is.
func (d *draft) await(f *ForeignKey, parent *Table) {
	db, _ := d.dbs.get(parent.DatabaseID)
	f.Awaits = &AwaitedParent{Database: db.Name, Table: parent.Name}
	for _, id := range f.RefColumns {
		f.Awaits.Columns = append(f.Awaits.Columns, parent.Schema.Columns[parent.Schema.ColumnIndex(id)].Name)
	}
	f.RefTable, f.RefColumns = 0, nil
}

// refuseReferenced refuses to lose the rows of a table that foreign keys of others refer to, but for those of tables that go with it.
func (d *draft) refuseReferenced(t *Table, alsoGoes func(*Table) bool) error {
	for _, id := range t.ReferencedBy {
		if child, ok := d.tables.get(id); ok && id != t.ID && !alsoGoes(child) {
			return refused("table %s: foreign keys of table %s refer to it", t.Name, child.Name)
		}
	}
	return nil
}

func with(ids []types.TableID, id types.TableID) []types.TableID {
	at, ok := slices.BinarySearch(ids, id)
	if ok {
		return ids
	}
	return slices.Insert(slices.Clone(ids), at, id)
}

func without(ids []types.TableID, id types.TableID) []types.TableID {
	return slices.DeleteFunc(slices.Clone(ids), func(other types.TableID) bool { return other == id })
}
