package define

import (
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/plan"
	"stele/sql/vec"
)

// Change is what an ALTER TABLE, CREATE INDEX or DROP INDEX makes of a table: all of it or nothing.
type Change struct {
	From *catalog.Table
	// To is the table as it will be, with its old name. A unique key that it does not have yet has no hidden table.
	To *catalog.Table
	// Columns says that columns change: what was planned by the ones before must not be committed.
	Columns bool
	// Parted says that the table gets other partitions, in the place of those of From.
	Parted bool
	// Rename is the new name, nil = none.
	Rename *ast.TableName
	// AutoIncrement is the lowest number to be drawn from now on, 0 = as before.
	AutoIncrement uint64
	// Notes are what was accepted but has no effect.
	Notes []string
	// Referring are the names of foreign keys that the rows have to meet which are there.
	Referring []string

	effective bool
	rewrites  string             // why the rows have to be written anew, "" = they need not
	verify    []*plan.Constraint // what rows that are there have to meet
	filled    []types.ColumnID   // columns in which they have to have values
	unfilled  error              // of any row that is there, which has no value for a column that it would get; nil = it may be there
	reads     []types.ColumnID
	initial   map[types.ColumnID]expr.Value // of the columns that rows get which are written anew
}

// Idle reports whether nothing has to be done.
func (c *Change) Idle() bool { return !c.effective }

// Built are the unique keys that are to be made, by their positions in To.
func (c *Change) Built() []int {
	var out []int
	for i := range c.To.Unique {
		if k := &c.To.Unique[i]; k.Unique && k.Index == 0 {
			out = append(out, i)
		}
	}
	return out
}

// LooksAtRows reports whether the rows that are there decide whether the table may change.
func (c *Change) LooksAtRows() bool {
	return c.ReadsRows() || len(c.Referring) > 0
}

// ReadsRows reports whether they have to be read one by one: for keys that are made of them, and to be verified.
func (c *Change) ReadsRows() bool {
	return c.Rewrites() || len(c.verify)+len(c.filled) > 0 || len(c.Built()) > 0 || c.unfilled != nil
}

// Reads are the columns of To that Verify looks at.
func (c *Change) Reads() []types.ColumnID { return c.reads }

// Verify refuses rows, given by the columns of To, that do not meet a new constraint.
func (c *Change) Verify(rows *vec.Batch) error {
	if c.unfilled != nil && rows.Rows() > 0 {
		return c.unfilled
	}
	for _, id := range c.filled {
		if v := rows.Cols[c.To.Schema.ColumnIndex(id)]; v.HasNulls() {
			return errorf(errno.InvalidNull, "Invalid use of NULL value")
		}
	}
	for _, check := range c.verify {
		if err := check.Judge(rows); err != nil {
			return err
		}
	}
	return nil
}

// tableAlterer works out one Change.
type tableAlterer struct {
	columnAlterer
	change  *Change
	to      *catalog.Table
	enforce []string // constraints that rows have to meet which are there
	foreign []foreignDef
}

func newTableAlterer(ctx *Context, t *catalog.Table) *tableAlterer {
	to := *t
	to.Schema.Columns, to.Unique, to.Checks = slices.Clone(t.Schema.Columns), slices.Clone(t.Unique), slices.Clone(t.Checks)
	to.ForeignKeys = slices.Clone(t.ForeignKeys)
	a := &tableAlterer{to: &to, change: &Change{From: t, To: &to}}
	a.columnAlterer = columnAlterer{definer: &definer{ctx: ctx}, table: &to, cols: slices.Clone(t.Schema.Columns), last: t.HighestColumn()}
	return a
}

// AlterTable works out an ALTER TABLE that RefusedAlter has nothing against. As in MySQL its clauses are no sequence: what goes is gone
// before anything comes, and keys and constraints are over the columns that there are in the end.
func AlterTable(ctx *Context, t *catalog.Table, stmt *ast.AlterTableStmt) (*Change, error) {
	if hash := partitionsAlone(stmt); hash != nil {
		return PartitionBy(ctx, t, nil, hash)
	}
	a := newTableAlterer(ctx, t)
	for _, step := range []func(*ast.AlterTableSpec) error{a.dropped, a.renamed} {
		for _, spec := range stmt.Specs {
			if err := step(spec); err != nil {
				return nil, err
			}
		}
	}
	a.collate(stmt.Specs)
	changed, err := a.alterColumns(stmt.Specs)
	if err != nil {
		return nil, err
	}
	a.change.Columns, a.change.effective = changed, a.change.effective || changed
	a.change.filled, a.change.reads, a.change.unfilled = a.filled, slices.Clone(a.filled), a.unfilled
	if err := a.settlePrimary(stmt.Specs); err != nil {
		return nil, err
	}
	if err := a.generated(); err != nil {
		return nil, err
	}
	if err := a.withColumns(); err != nil {
		return nil, err
	}
	for _, spec := range stmt.Specs {
		if err := a.added(spec); err != nil {
			return nil, err
		}
	}
	if err := a.rewritten(stmt.Specs); err != nil {
		return nil, err
	}
	return a.finish()
}

// CreateIndex works out CREATE [UNIQUE] INDEX.
func CreateIndex(ctx *Context, t *catalog.Table, stmt *ast.CreateIndexStmt) (*Change, error) {
	form := plainForm
	switch stmt.KeyType {
	case ast.IndexKeyTypeNone:
	case ast.IndexKeyTypeUnique:
		form = uniqueForm
	case ast.IndexKeyTypeFulltext:
		form = fullTextForm
		if err := fullTextOptions(stmt.IndexOption); err != nil {
			return nil, err
		}
	case ast.IndexKeyTypeSpatial:
		return nil, refuse("CREATE SPATIAL INDEX")
	default:
		return nil, refuse("this kind of index")
	}
	a := newTableAlterer(ctx, t)
	if stmt.IfNotExists && hasKey(t, stmt.IndexName) {
		a.notes = append(a.notes, keyThere(stmt.IndexName))
		return a.finish()
	}
	a.change.effective = true
	a.noteInvisible(stmt.IndexName, stmt.IndexOption)
	if err := addedKey(a.to, stmt.IndexName, stmt.IndexPartSpecifications, form); err != nil {
		return nil, err
	}
	return a.finish()
}

// DropIndex works out DROP INDEX.
func DropIndex(ctx *Context, t *catalog.Table, stmt *ast.DropIndexStmt) (*Change, error) {
	a := newTableAlterer(ctx, t)
	if err := a.dropKey(stmt.IndexName, stmt.IfExists); err != nil {
		return nil, err
	}
	a.change.effective = len(a.to.Unique) < len(t.Unique)
	return a.finish()
}

// dropKey takes a secondary key away, or notes that there is none.
func (a *tableAlterer) dropKey(name string, ifExists bool) error {
	if ifExists && keyNamed(a.to, name) < 0 {
		a.notes = append(a.notes, "Can't DROP INDEX `"+name+"`; check that it exists")
		return nil
	}
	return dropKey(a.to, name)
}

// keyThere is the note of a key that need not be added.
func keyThere(name string) string { return "Duplicate key name '" + name + "'" }

// dropped takes keys and constraints away.
func (a *tableAlterer) dropped(spec *ast.AlterTableSpec) error {
	count := func() int { return len(a.to.Unique) + len(a.to.Checks) + len(a.to.ForeignKeys) }
	before := count()
	defer func() { a.change.effective = a.change.effective || count() < before }()
	if dropsPrimary(spec) {
		return a.dropPrimary()
	}
	switch spec.Tp {
	case ast.AlterTableDropIndex:
		return a.dropKey(spec.Name, spec.IfExists)
	case ast.AlterTableDropForeignKey:
		return a.dropForeignKey(spec.Name, spec.IfExists)
	case ast.AlterTableDropCheck: // DROP CONSTRAINT as well, which may mean a key
		name := spec.Constraint.Name
		if i := checkNamed(a.to, name); i >= 0 {
			a.to.Checks = slices.Delete(a.to.Checks, i, i+1)
			return nil
		}
		if foreignKeyNamed(a.to, name) >= 0 {
			return a.dropForeignKey(name, false)
		}
		if i := keyNamed(a.to, name); i >= 0 && a.to.Unique[i].Unique {
			return a.dropKey(name, false)
		}
		return errorf(errno.NoSuchCheck, "Check constraint '%s' is not found in the table.", name)
	}
	return nil
}

// renamed gives keys, or the table, other names.
func (a *tableAlterer) renamed(spec *ast.AlterTableSpec) error {
	switch spec.Tp {
	case ast.AlterTableRenameIndex:
		a.change.effective = true
		return renameKey(a.to, spec.FromKey.O, spec.ToKey.O)
	case ast.AlterTableRenameTable:
		a.change.Rename, a.change.effective = spec.NewTable, true
	}
	return nil
}

// withColumns adds the keys and constraints that stand in the definitions of columns.
func (a *tableAlterer) withColumns() error {
	for _, name := range a.unique {
		if err := addKey(a.to, "", []string{name}, uniqueForm, nil); err != nil {
			return err
		}
		if err := fitsPartitions(a.to, &a.to.Unique[len(a.to.Unique)-1]); err != nil {
			return err
		}
	}
	for _, d := range a.checks {
		if err := a.addCheck(d); err != nil {
			return err
		}
	}
	a.foreign = append(a.foreign, a.references...)
	for _, k := range a.keys {
		if err := a.addConstraint(k); err != nil {
			return err
		}
	}
	return nil
}

// added adds keys and constraints, and sets options.
func (a *tableAlterer) added(spec *ast.AlterTableSpec) error {
	switch spec.Tp {
	case ast.AlterTableAddConstraint:
		return a.addConstraint(spec.Constraint)
	case ast.AlterTableAlterCheck:
		i := checkNamed(a.to, spec.Constraint.Name)
		if i < 0 {
			return errorf(errno.NoSuchCheck, "Check constraint '%s' is not found in the table.", spec.Constraint.Name)
		}
		c := &a.to.Checks[i]
		if c.NotEnforced && spec.Constraint.Enforced {
			a.enforce = append(a.enforce, c.Name)
		}
		c.NotEnforced, a.change.effective = !spec.Constraint.Enforced, true
	case ast.AlterTableOption:
		for _, o := range spec.Options {
			a.option(o)
		}
	}
	return nil
}

func (a *tableAlterer) addConstraint(k *ast.Constraint) error {
	switch k.Tp {
	case ast.ConstraintCheck:
		return a.addCheck(tableCheck(k))
	case ast.ConstraintPrimaryKey:
		return nil // settlePrimary has seen it
	case ast.ConstraintForeignKey:
		d, err := tableReference(a.to, k)
		a.foreign = append(a.foreign, d)
		return err
	}
	form, err := keyKind(k)
	if err != nil {
		return err
	}
	if k.IfNotExists && hasKey(a.to, k.Name) {
		a.notes = append(a.notes, keyThere(k.Name))
		return nil
	}
	a.change.effective = true
	a.noteInvisible(k.Name, k.Option)
	return addedKey(a.to, k.Name, k.Keys, form)
}

func (a *tableAlterer) addCheck(d checkDef) error {
	a.change.effective = true
	if err := a.definer.addCheck(a.to, d); err != nil {
		return err
	}
	if d.enforced {
		a.enforce = append(a.enforce, a.to.Checks[len(a.to.Checks)-1].Name)
	}
	return nil
}

// finish binds the constraints of the table as it will be, and those among them that rows have to meet which are there.
func (a *tableAlterer) finish() (*Change, error) {
	c := a.change
	if err := a.foreignKeys(); err != nil {
		return nil, err
	}
	if c.Rewrites() && len(a.foreign) > 0 {
		return nil, refuse("ADD FOREIGN KEY together with what writes the rows anew (" + c.rewrites + "); add it by an ALTER TABLE of its own")
	}
	c.Notes = a.notes
	for i := range a.to.Unique {
		k := &a.to.Unique[i]
		keepPrefixes(a.to, k)
		if err := findsWhole(a.to, k); err != nil {
			return nil, err
		}
		if k.FullText { // over columns that may be others now
			if err := searchable(a.to, k.Columns); err != nil {
				return nil, err
			}
		}
	}
	for i := range a.to.Checks {
		check := &a.to.Checks[i]
		bound, err := plan.BindConstraint(a.ctx.Context, a.to, check)
		if err != nil {
			return nil, err
		}
		if slices.Contains(a.enforce, check.Name) && !check.NotEnforced {
			c.verify = append(c.verify, bound)
			c.reads = append(c.reads, check.Columns...)
		}
	}
	return c, nil
}
