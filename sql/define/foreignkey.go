package define

import (
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	ast "stele/sql/parse"
	"stele/sql/syntax"
)

// wrongForeignKeyCounts is MySQL's text.
const wrongForeignKeyCounts = "Key reference and table reference don't match"

// ForeignKeys says what becomes of the foreign keys that a statement declares. The zero value keeps them, and wants their parents.
type ForeignKeys struct {
	// Refused has them refused.
	Refused bool
	// LeftOut is why they are left out; the statement has none any more, but may drop one that was left out before. "" = they are not.
	LeftOut string
	// Unchecked is foreign_key_checks = OFF: a parent may come later, and rows that are there are not looked at.
	Unchecked bool
}

// foreignDef is a foreign key as a statement declares it.
type foreignDef struct {
	name        string // "" = the table names it
	columns     []string
	refers      *ast.ReferenceDef
	ifNotExists bool
}

// columnReferences are the foreign keys in the definition of a column.
func columnReferences(def *ast.ColumnDef) []foreignDef {
	var out []foreignDef
	for _, o := range def.Options {
		if o.Tp == ast.ColumnOptionReference {
			out = append(out, foreignDef{name: o.ConstraintName, columns: []string{def.Name.Name.O}, refers: o.Refer})
		}
	}
	return out
}

// tableReference is a foreign key of a table.
func tableReference(t *catalog.Table, k *ast.Constraint) (foreignDef, error) {
	names, err := keyNames(t, k.Keys, plainForm)
	return foreignDef{name: k.Name, columns: names, refers: k.Refer, ifNotExists: k.IfNotExists}, err
}

// foreign adds the foreign keys of a new table, those of columns first.
func (c *creator) foreign() error {
	var defs []foreignDef
	for _, def := range c.stmt.Cols {
		defs = append(defs, columnReferences(def)...)
	}
	for _, k := range c.stmt.Constraints {
		if k.Tp == ast.ConstraintForeignKey {
			d, err := tableReference(c.table, k)
			if err != nil {
				return err
			}
			defs = append(defs, d)
		}
	}
	switch {
	case len(defs) == 0:
		return nil
	case c.ctx.ForeignKeys.Refused:
		return refuseForeignKey()
	case c.stmt.TemporaryKeyword != ast.TemporaryNone:
		return errorf(errno.CannotAddForeignKey, "Cannot add foreign key constraint")
	case c.stmt.Select != nil:
		return refuse("FOREIGN KEY in CREATE TABLE ... SELECT")
	}
	for _, d := range defs {
		if err := c.addForeignKey(c.table, c.spec.Database, d); err != nil {
			return err
		}
	}
	slices.SortStableFunc(c.table.Unique, uniqueFirst)
	c.table.Schema.Indexed = catalog.IndexedColumns(c.table.Unique)
	return nil
}

// foreignAdder adds one foreign key to a table of a database.
type foreignAdder struct {
	*definer
	child  *catalog.Table
	db     string
	def    foreignDef
	key    catalog.ForeignKey
	parent *catalog.Table // nil = it is not there
	refDB  string
}

// addForeignKey adds a foreign key to a table whose columns and keys are known, and the key over its columns that InnoDB would add.
func (d *definer) addForeignKey(t *catalog.Table, db string, def foreignDef) error {
	if def.ifNotExists && foreignKeyNamed(t, def.name) >= 0 {
		d.notes = append(d.notes, "foreign key '"+def.name+"' is there already")
		return nil
	}
	a := &foreignAdder{definer: d, child: t, db: db, def: def}
	for _, step := range []func() error{a.called, a.actions, a.columns, a.refers, a.indexed} {
		if err := step(); err != nil {
			return err
		}
	}
	t.ForeignKeys = append(t.ForeignKeys, a.key)
	return nil
}

// called settles the name.
func (a *foreignAdder) called() error {
	name := a.def.name
	if name == "" {
		name = nextConstraint(a.child.Name+"_ibfk_", len(a.child.ForeignKeys), func(i int) string { return a.child.ForeignKeys[i].Name })
	}
	if len([]rune(name)) > maxConstraintName {
		return errorf(errno.NameTooLong, "Identifier name '%s' is too long", name)
	}
	if foreignKeyNamed(a.child, name) >= 0 {
		return errorf(errno.ForeignKeyNameTwice, "Duplicate foreign key constraint name '%s'", name)
	}
	a.key.Name = name
	return nil
}

// actions reads ON DELETE, ON UPDATE and MATCH.
func (a *foreignAdder) actions() error {
	var err error
	if o := a.def.refers.OnDelete; o != nil {
		if a.key.OnDelete, err = referenceAction("ON DELETE", o.ReferOpt); err != nil {
			return err
		}
	}
	if o := a.def.refers.OnUpdate; o != nil {
		if a.key.OnUpdate, err = referenceAction("ON UPDATE", o.ReferOpt); err != nil {
			return err
		}
	}
	switch a.def.refers.Match {
	case ast.MatchFull:
		return refuse("MATCH FULL")
	case ast.MatchPartial:
		return refuse("MATCH PARTIAL")
	}
	return nil
}

func referenceAction(clause string, o ast.ReferOptionType) (catalog.ReferenceAction, error) {
	switch o {
	case ast.ReferOptionRestrict:
		return catalog.ReferenceRestrict, nil
	case ast.ReferOptionCascade:
		return catalog.ReferenceCascade, nil
	case ast.ReferOptionSetNull:
		return catalog.ReferenceSetNull, nil
	case ast.ReferOptionSetDefault:
		return 0, refuse(clause + " SET DEFAULT")
	}
	return catalog.ReferenceNoAction, nil
}

// columns settles those of the child.
func (a *foreignAdder) columns() error {
	ids, err := keyIDs(a.child, a.def.columns)
	if err != nil {
		return err
	}
	if a.child.Partition != nil {
		return errorf(errno.ForeignKeyOnPartitioned, "Foreign keys are not yet supported in conjunction with partitioning")
	}
	if a.child.Owner != nil {
		return errorf(errno.CannotAddForeignKey, "Cannot add foreign key constraint")
	}
	a.key.Columns = ids
	for _, id := range ids {
		col := &a.child.Schema.Columns[a.child.Schema.ColumnIndex(id)]
		if err := indexable(col); err != nil {
			return err
		}
		if err := a.column(col); err != nil {
			return err
		}
	}
	return nil
}

// column refuses a column whose values cannot be what the actions make of them.
func (a *foreignAdder) column(col *types.Column) error {
	if g := col.Generated; g != nil {
		switch {
		case g.Virtual:
			return errorf(errno.ForeignKeyVirtual, "Foreign key '%s' uses virtual column '%s' which is not supported.", a.key.Name, col.Name)
		case a.key.OnDelete == catalog.ReferenceSetNull:
			return errorf(errno.GeneratedForeignKey, "Cannot define foreign key with ON DELETE SET NULL clause on a generated column.")
		case a.key.OnUpdate == catalog.ReferenceSetNull:
			return errorf(errno.GeneratedForeignKey, "Cannot define foreign key with ON UPDATE SET NULL clause on a generated column.")
		case a.key.OnUpdate == catalog.ReferenceCascade:
			return errorf(errno.GeneratedForeignKey, "Cannot define foreign key with ON UPDATE CASCADE clause on a generated column.")
		}
	}
	if writesChild(&a.key) && slices.ContainsFunc(a.child.Schema.Columns, func(c types.Column) bool {
		return c.Generated != nil && !c.Generated.Virtual && slices.Contains(c.Generated.Reads, col.ID)
	}) {
		return errorf(errno.CannotAddForeignKey, "Cannot add foreign key constraint")
	}
	if setsNull(&a.key) && col.Type.NotNull {
		return errorf(errno.ForeignKeySetsNull, "Column '%s' cannot be NOT NULL: needed in a foreign key constraint '%s' SET NULL", col.Name, a.key.Name)
	}
	return nil
}

func setsNull(f *catalog.ForeignKey) bool {
	return f.OnDelete == catalog.ReferenceSetNull || f.OnUpdate == catalog.ReferenceSetNull
}

// writesChild reports whether an action gives columns of the child other values.
func writesChild(f *catalog.ForeignKey) bool {
	return setsNull(f) || f.OnUpdate == catalog.ReferenceCascade
}

// refers finds the parent and the key of it that is referred to.
func (a *foreignAdder) refers() error {
	name := a.def.refers.Table
	if a.refDB = name.Schema.O; a.refDB == "" {
		a.refDB = a.db
	}
	var referred []string
	for _, p := range a.def.refers.IndexPartSpecifications {
		if p.Column == nil {
			return refuse("a foreign key that refers to an expression")
		}
		referred = append(referred, p.Column.Name.O)
	}
	if a.refDB == a.db && name.Name.O == a.child.Name {
		a.parent = a.child
	} else if t, ok := a.ctx.Catalog.Public(a.refDB, name.Name.O); ok {
		a.parent = t
	}
	if a.parent == nil {
		if !a.ctx.ForeignKeys.Unchecked {
			return errorf(errno.NoParentTable, "Failed to open the referenced table '%s'", name.Name.O)
		}
		if len(referred) != len(a.key.Columns) {
			return errorf(errno.WrongForeignKey, "Incorrect foreign key definition for '%s': %s", a.key.Name, wrongForeignKeyCounts)
		}
		a.await(referred)
		return nil
	}
	if err := a.referred(referred); err != nil {
		return err
	}
	if a.parent.ID == 0 { // the table itself, which has no id yet
		a.await(a.names(a.key.RefColumns))
	}
	return nil
}

func (a *foreignAdder) await(columns []string) {
	a.key.RefTable, a.key.RefColumns = 0, nil
	a.key.Awaits = &catalog.AwaitedParent{Database: a.refDB, Table: a.def.refers.Table.Name.O, Columns: columns}
}

// names are those of columns of the parent.
func (a *foreignAdder) names(ids []types.ColumnID) []string {
	var out []string
	for _, id := range ids {
		out = append(out, a.parent.Schema.Columns[a.parent.Schema.ColumnIndex(id)].Name)
	}
	return out
}

// referred settles the columns of a parent that is there: those of its primary key if none are named.
func (a *foreignAdder) referred(names []string) error {
	p := a.parent
	a.key.RefTable, a.key.RefColumns = p.ID, nil
	for _, n := range names {
		at := p.Schema.ColumnNamed(n)
		if at < 0 {
			return errorf(errno.NoColumnInParent, "Failed to add the foreign key constraint. Missing column '%s' for constraint '%s' in the referenced table '%s'",
				n, a.key.Name, p.Name)
		}
		a.key.RefColumns = append(a.key.RefColumns, p.Schema.Columns[at].ID)
	}
	if len(names) == 0 && !p.Schema.HasRowID() {
		a.key.RefColumns = slices.Clone(p.Schema.Key)
	}
	if len(a.key.RefColumns) != len(a.key.Columns) {
		return errorf(errno.WrongForeignKey, "Incorrect foreign key definition for '%s': %s", a.key.Name, wrongForeignKeyCounts)
	}
	return checkReference(a.child, &a.key, p)
}

// CheckAwaited checks the foreign keys that await a table of a name against the one that is about to come under it.
func CheckAwaited(t *catalog.Table, waiting []*catalog.Table, db string) error {
	for _, child := range waiting {
		for i := range child.ForeignKeys {
			f := child.ForeignKeys[i]
			if f.Awaits == nil || f.Awaits.Database != db || f.Awaits.Table != t.Name {
				continue
			}
			a := &foreignAdder{child: child, key: f, parent: t}
			if err := a.referred(f.Awaits.Columns); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkReference checks that a foreign key refers to a key of its parent, and to what its columns can hold.
func checkReference(child *catalog.Table, f *catalog.ForeignKey, p *catalog.Table) error {
	if p.Partition != nil {
		return errorf(errno.ForeignKeyOnPartitioned, "Foreign keys are not yet supported in conjunction with partitioning")
	}
	for i, id := range f.RefColumns {
		mine, theirs := columnOf(child, f.Columns[i]), columnOf(p, id)
		if theirs.Generated != nil && theirs.Generated.Virtual {
			return errorf(errno.ForeignKeyVirtual, "Foreign key '%s' uses virtual column '%s' which is not supported.", f.Name, theirs.Name)
		}
		if !catalog.Referable(mine, theirs) {
			return errorf(errno.IncompatibleColumns, "Referencing column '%s' and referenced column '%s' in foreign key constraint '%s' are incompatible.",
				mine.Name, theirs.Name, f.Name)
		}
	}
	if _, ok := p.ReferableKey(f.RefColumns); ok {
		return nil
	}
	if hasKeyOver(p, f.RefColumns) { // InnoDB can do with such a key, and has been told by default not to since MySQL 8.4
		return errorf(errno.NoUniqueInParent, "Failed to add the foreign key constraint. Missing unique key for constraint '%s' in the referenced table '%s'", f.Name, p.Name)
	}
	return errorf(errno.NoIndexInParent, "Failed to add the foreign key constraint. Missing index for constraint '%s' in the referenced table '%s'", f.Name, p.Name)
}

func columnOf(t *catalog.Table, id types.ColumnID) *types.Column {
	return &t.Schema.Columns[t.Schema.ColumnIndex(id)]
}

// indexed adds the key that finds the rows of the child, unless one begins with its columns.
func (a *foreignAdder) indexed() error {
	if hasKeyOver(a.child, a.key.Columns) {
		return nil
	}
	return addKey(a.child, a.def.name, a.def.columns, plainForm, nil)
}

// hasKeyOver reports whether a key of a table begins with these columns.
func hasKeyOver(t *catalog.Table, ids []types.ColumnID) bool {
	begins := func(key []types.ColumnID) bool { return len(key) >= len(ids) && slices.Equal(key[:len(ids)], ids) }
	return begins(t.Schema.Key) || slices.ContainsFunc(t.Unique, func(k catalog.UniqueKey) bool { return !k.FullText && begins(k.Columns) })
}

// foreignKeyNamed returns the position of a foreign key, or -1.
func foreignKeyNamed(t *catalog.Table, name string) int {
	return slices.IndexFunc(t.ForeignKeys, func(f catalog.ForeignKey) bool { return strings.EqualFold(f.Name, name) })
}

// Names says what tables and databases are called.
type Names interface {
	TableByID(id types.TableID) (*catalog.Table, bool)
	DatabaseByID(id types.DatabaseID) (*catalog.Database, bool)
}

// Reference is what a foreign key refers to, by names.
type Reference struct {
	Database, Table string
	Columns         []string
	// Key is the key of the parent, "" = it is not there.
	Key string
}

// ReferenceOf names what a foreign key refers to.
func ReferenceOf(names Names, f *catalog.ForeignKey) Reference {
	if f.Awaits != nil {
		return Reference{Database: f.Awaits.Database, Table: f.Awaits.Table, Columns: f.Awaits.Columns}
	}
	p, ok := names.TableByID(f.RefTable)
	if !ok {
		return Reference{}
	}
	out := Reference{Table: p.Name, Key: "PRIMARY"}
	if db, ok := names.DatabaseByID(p.DatabaseID); ok {
		out.Database = db.Name
	}
	for _, id := range f.RefColumns {
		out.Columns = append(out.Columns, columnOf(p, id).Name)
	}
	if k, _ := p.ReferableKey(f.RefColumns); k != nil {
		out.Key = k.Name
	}
	return out
}

// ForeignKeyText writes a foreign key of a table as SHOW CREATE TABLE and errors do.
func ForeignKeyText(names Names, t *catalog.Table, f *catalog.ForeignKey) string {
	r := ReferenceOf(names, f)
	var b strings.Builder
	b.WriteString("CONSTRAINT " + syntax.QuoteName(f.Name) + " FOREIGN KEY (" + quoteNames(t, f.Columns, ", ") + ") REFERENCES ")
	if db, ok := names.DatabaseByID(t.DatabaseID); !ok || db.Name != r.Database {
		b.WriteString(syntax.QuoteName(r.Database) + ".")
	}
	b.WriteString(syntax.QuoteName(r.Table) + " (")
	for i, c := range r.Columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(syntax.QuoteName(c))
	}
	b.WriteString(")")
	if f.OnDelete != catalog.ReferenceNoAction {
		b.WriteString(" ON DELETE " + f.OnDelete.String())
	}
	if f.OnUpdate != catalog.ReferenceNoAction {
		b.WriteString(" ON UPDATE " + f.OnUpdate.String())
	}
	return b.String()
}
