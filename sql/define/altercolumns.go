package define

import (
	"math"
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/plan"
	sqltypes "stele/sql/types"
)

// columnAlterer carries out the clauses of an ALTER TABLE that change columns, in their order. As far as it goes no row is rewritten: a new
// column says what older rows have in it, and a column that stays keeps how its values are stored.
type columnAlterer struct {
	*definer
	table *catalog.Table // without the keys and constraints that the statement drops
	cols  []types.Column
	last  types.ColumnID
	// What comes with columns and is added when all columns are known.
	keys   []*ast.Constraint
	unique []string // columns that are unique by themselves
	checks []checkDef
	// references are the foreign keys in the definitions of columns.
	references []foreignDef
	// generated are the expressions of generated columns, which are read when all columns are known.
	generated []generatedDef
	// defaults are those that are expressions, likewise.
	defaults []defaultDef
	// filled are columns that become NOT NULL: no row may have NULL there.
	filled []types.ColumnID
	// unfilled says why no row may be there that would get a column, nil = any may.
	unfilled error
	// rewrite says why the rows have to be written anew; "" = they stay as they are stored.
	rewrite string
	primary primaryChange
}

// alterColumns makes the columns of a table what an ALTER TABLE says; changed tells whether it says anything of them.
func (a *columnAlterer) alterColumns(specs []*ast.AlterTableSpec) (changed bool, err error) {
	for _, spec := range specs {
		mine, err := a.clause(spec)
		if err != nil {
			return false, err
		}
		changed = changed || mine
	}
	if !slices.ContainsFunc(a.cols, func(c types.Column) bool { return !c.Hidden }) {
		return false, errorf(errno.CannotRemoveAllColumns, "You can't delete all columns with ALTER TABLE; use DROP TABLE instead")
	}
	a.table.Schema.Columns, a.table.LastColumn = a.cols, a.last
	return changed, nil
}

func (a *columnAlterer) clause(spec *ast.AlterTableSpec) (mine bool, err error) {
	switch spec.Tp {
	case ast.AlterTableAddColumns:
		return a.add(spec)
	case ast.AlterTableDropColumn:
		if name := spec.OldColumnName.Name.O; spec.IfExists && a.find(name) < 0 {
			a.notes = append(a.notes, "Can't DROP COLUMN `"+name+"`; check that it exists")
			return false, nil
		}
		return true, a.drop(spec.OldColumnName.Name.O)
	case ast.AlterTableRenameColumn:
		at, err := a.known(spec.OldColumnName.Name.O)
		if err != nil {
			return true, err
		}
		return true, a.rename(at, spec.NewColumnName.Name.O)
	case ast.AlterTableModifyColumn:
		return true, a.modify(spec.NewColumns[0].Name.Name.O, spec)
	case ast.AlterTableChangeColumn:
		return true, a.modify(spec.OldColumnName.Name.O, spec)
	case ast.AlterTableAlterColumn:
		return true, a.setDefault(spec.NewColumns[0])
	case ast.AlterTableOption:
		if to, converts := collationOption(spec); converts {
			return true, a.convert(to)
		}
	}
	return false, nil
}

// find returns the position of a column that statements may name, or -1.
func (a *columnAlterer) find(name string) int {
	return slices.IndexFunc(a.cols, func(c types.Column) bool { return !c.Hidden && strings.EqualFold(c.Name, name) })
}

func (a *columnAlterer) known(name string) (int, error) {
	at := a.find(name)
	if at < 0 {
		return at, errorf(errno.UnknownColumn, "Unknown column '%s' in '%s'", name, a.table.Name)
	}
	return at, nil
}

// free refuses a name that another column has.
func (a *columnAlterer) free(name string, self int) error {
	if at := a.find(name); at >= 0 && at != self {
		return errorf(errno.DuplicateColumn, "Duplicate column name '%s'", name)
	}
	if name == "" || strings.EqualFold(name, types.RowIDColumn) {
		return errorf(errno.WrongColumnName, "Incorrect column name '%s'", name)
	}
	return nil
}

// add adds the columns of a clause, but for those that may be there and are.
func (a *columnAlterer) add(spec *ast.AlterTableSpec) (changed bool, err error) {
	a.keys = append(a.keys, spec.NewConstraints...)
	for _, def := range spec.NewColumns {
		if name := def.Name.Name.O; spec.IfNotExists && a.find(name) >= 0 {
			a.notes = append(a.notes, "Duplicate column name '"+name+"'")
			continue
		}
		changed = true
		if err := a.addOne(def, spec.Position); err != nil {
			return true, err
		}
	}
	return changed, nil
}

func (a *columnAlterer) addOne(def *ast.ColumnDef, position *ast.ColumnPosition) error {
	col, err := a.definition(def)
	if err != nil {
		return err
	}
	if err := a.free(col.Name, -1); err != nil {
		return err
	}
	switch {
	case col.AutoIncrement:
		a.rewrite = "rows get numbers"
	case col.DefaultExpr != nil:
		a.rewrite = "defaults are worked out"
	case col.Generated == nil: // else rows get its values as they are written anew
		col.Initial = a.initial(&col)
	}
	a.last++
	col.ID = a.last
	return a.place(col, position, a.visible())
}

// definition checks the definition of a column that is added or changed.
func (a *columnAlterer) definition(def *ast.ColumnDef) (types.Column, error) {
	for _, o := range def.Options {
		switch o.Tp {
		case ast.ColumnOptionPrimaryKey:
			if err := a.primary.declare([]string{def.Name.Name.O}); err != nil {
				return types.Column{}, err
			}
		case ast.ColumnOptionUniqKey:
			a.unique = append(a.unique, def.Name.Name.O)
		}
	}
	a.checks = append(a.checks, columnChecks(def)...)
	a.references = append(a.references, columnReferences(def)...)
	col, err := a.column(def, a.table.Collation)
	if d, ok := generatedOption(def); ok && err == nil {
		d.declared = col.Generated
		a.generated = append(a.generated, d)
	}
	if col.DefaultExpr != nil && err == nil {
		a.defaults = append(a.defaults, defaultDef{defaultOption(def), col.DefaultExpr})
	}
	return col, err
}

const rewriteRemedy = "make a table with CREATE TABLE, fill it with INSERT ... SELECT and use it instead"

// initial is what rows that are there already have in a new column: its default, as of now.
func (a *columnAlterer) initial(col *types.Column) *types.Initial {
	v, err := plan.DefaultValue(a.ctx.Context, col)
	if err != nil {
		zero := sqltypes.ZeroValue(col.Type)
		if col.Type.IsTemporal() && col.Type.Kind != types.KindTime && !a.ctx.ZeroDates() {
			a.unfilled = errorf(errno.TruncatedWrongValue, "Incorrect %s value: '0000-00-00' for column '%s' at row 1: give the column a DEFAULT", typeText(col), col.Name)
		}
		return &types.Initial{I: zero.I, Bytes: zero.B}
	}
	if v.Null {
		return nil
	}
	out := &types.Initial{I: v.I, Hi: v.Hi, Bytes: v.B}
	if col.Type.Phys() == types.PhysFloat64 {
		out.I = int64(math.Float64bits(v.F))
	}
	return out
}

// InitialValue is what rows that are older than a column have in it; the column says that it is not NULL.
func InitialValue(c *types.Column) expr.Value {
	v := expr.Value{I: c.Initial.I, Hi: c.Initial.Hi, B: c.Initial.Bytes}
	if c.Type.Phys() == types.PhysFloat64 {
		v.F = math.Float64frombits(uint64(c.Initial.I))
	}
	return v
}

// visible is where the columns end that users see.
func (a *columnAlterer) visible() int {
	if n := len(a.cols); n > 0 && a.cols[n-1].Hidden {
		return n - 1
	}
	return len(a.cols)
}

// place puts a column where the clause says, else at a position.
func (a *columnAlterer) place(col types.Column, position *ast.ColumnPosition, at int) error {
	if position != nil {
		switch position.Tp {
		case ast.ColumnPositionFirst:
			at = 0
		case ast.ColumnPositionAfter:
			after, err := a.known(position.RelativeColumn.Name.O)
			if err != nil {
				return err
			}
			at = after + 1
		}
	}
	a.cols = slices.Insert(a.cols, at, col)
	return nil
}

func (a *columnAlterer) drop(name string) error {
	at := a.find(name)
	if at < 0 {
		return errorf(errno.CannotDropColumnOrKey, "Can't DROP '%s'; check that column/key exists", name)
	}
	id := a.cols[at].ID
	if p := a.table.Partition; p != nil && slices.Contains(p.Columns, id) {
		return errorf(errno.PartitionNeedsColumn, "Column '%s' has a partitioning function dependency and cannot be dropped or renamed.", name)
	}
	if err := a.unreferred(id, name); err != nil {
		return err
	}
	if a.layout(id) && !a.primary.loses(a.table, id) {
		return refuse("DROP COLUMN " + name + ": rows are kept by it; " + rewriteRemedy)
	}
	if err := a.leaveKeys(id, name); err != nil {
		return err
	}
	// As in MySQL, a constraint of this column alone goes with it.
	a.table.Checks = slices.DeleteFunc(a.table.Checks, func(c catalog.Check) bool { return len(c.Columns) == 1 && c.Columns[0] == id })
	if err := a.unchecked(id, name); err != nil {
		return err
	}
	a.cols = slices.Delete(a.cols, at, at+1)
	return nil
}

// layout reports whether rows are found, spread or ordered by a column.
func (a *columnAlterer) layout(id types.ColumnID) bool {
	t := a.table
	return slices.Contains(t.Schema.Key, id) || slices.Contains(t.HashBy, id) || slices.Contains(t.DupKey, id) ||
		t.Partition != nil && slices.Contains(t.Partition.Columns, id)
}

// leaveKeys takes a column that is dropped out of the secondary keys, as MySQL does; a key of which nothing is left goes. What is left
// of a unique key might be no key of the rows.
func (a *columnAlterer) leaveKeys(id types.ColumnID, name string) error {
	var keys []catalog.UniqueKey
	for _, k := range a.table.Unique {
		if slices.Contains(k.Columns, id) {
			if k.Unique && len(k.Columns) > 1 {
				return refuse("DROP COLUMN " + name + ": unique key " + k.Name + " has it beside other columns; drop the key too with DROP INDEX")
			}
			at := slices.Index(k.Columns, id)
			k.Columns = slices.Delete(slices.Clone(k.Columns), at, at+1)
			if k.Prefixes != nil {
				k.Prefixes = slices.Delete(slices.Clone(k.Prefixes), at, at+1)
			}
		}
		if len(k.Columns) > 0 {
			keys = append(keys, k)
		}
	}
	a.table.Unique = keys
	return nil
}

func (a *columnAlterer) rename(at int, name string) error {
	if err := a.free(name, at); err != nil {
		return err
	}
	if a.cols[at].Name != name {
		if err := a.unchecked(a.cols[at].ID, a.cols[at].Name); err != nil {
			return err
		}
	}
	a.cols[at].Name = name
	return nil
}

// unchecked refuses to take a column, or its name, from a CHECK constraint.
func (a *columnAlterer) unchecked(id types.ColumnID, name string) error {
	for i := range a.table.Checks {
		if c := &a.table.Checks[i]; slices.Contains(c.Columns, id) {
			return errorf(errno.CheckNeedsColumn, "Check constraint '%s' uses column '%s', hence column cannot be dropped or renamed.", c.Name, name)
		}
	}
	return nil
}

// modify gives a column another definition.
func (a *columnAlterer) modify(name string, spec *ast.AlterTableSpec) error {
	at, err := a.known(name)
	if err != nil {
		return err
	}
	old := a.cols[at]
	col, err := a.definition(spec.NewColumns[0])
	if err != nil {
		return err
	}
	if err := a.free(col.Name, at); err != nil {
		return err
	}
	if col.Name != old.Name {
		if err := a.unchecked(old.ID, old.Name); err != nil {
			return err
		}
	}
	col.ID, col.Initial = old.ID, old.Initial
	if slices.Contains(a.table.Schema.Key, col.ID) {
		col.Type.NotNull = true
	}
	one := []types.Column{col}
	a.notes = append(a.notes, byBytes(one, a.table.Locator())...)
	col = one[0]
	if err := a.nullable(&col); err != nil {
		return err
	}
	if err := a.converts(&old, &col); err != nil {
		return err
	}
	if col.Type.NotNull && !old.Type.NotNull {
		a.filled = append(a.filled, col.ID)
	}
	if from := old.Type; from.Kind != col.Type.Kind || from.Length != col.Type.Length {
		a.rebuildKeys(col.ID)
	}
	a.cols = slices.Delete(a.cols, at, at+1)
	return a.place(col, spec.Position, at)
}

// rebuildKeys has the unique keys made anew that a column is part of: their hidden tables say what its values are.
func (a *columnAlterer) rebuildKeys(id types.ColumnID) {
	for i := range a.table.Unique {
		if k := &a.table.Unique[i]; k.Enforced() && slices.Contains(k.Columns, id) {
			k.Index = 0
		}
	}
}

// checked reports whether a CHECK constraint uses a column.
func (a *columnAlterer) checked(id types.ColumnID) bool {
	return slices.ContainsFunc(a.table.Checks, func(c catalog.Check) bool { return slices.Contains(c.Columns, id) })
}

// generates reports whether a generated column reads a column.
func (a *columnAlterer) generates(id types.ColumnID) bool {
	return slices.ContainsFunc(a.cols, func(c types.Column) bool { return c.Generated != nil && slices.Contains(c.Generated.Reads, id) })
}

// convert is CONVERT TO CHARACTER SET: all columns of text get the collation, but those by which rows are found.
func (a *columnAlterer) convert(to types.Collation) error {
	cols := slices.Clone(a.cols)
	for i := range cols {
		if cols[i].Type.IsText() {
			cols[i].Type.Collation = to
		}
	}
	a.notes = append(a.notes, byBytes(cols, a.table.Locator())...)
	for i := range cols {
		if err := a.converts(&a.cols[i], &cols[i]); err != nil {
			return err
		}
	}
	a.cols = cols
	return nil
}

func (a *columnAlterer) uniqueHas(id types.ColumnID) bool {
	return slices.ContainsFunc(a.table.Unique, func(k catalog.UniqueKey) bool { return k.Enforced() && slices.Contains(k.Columns, id) })
}

// setDefault is ALTER COLUMN ... SET DEFAULT and DROP DEFAULT.
func (a *columnAlterer) setDefault(def *ast.ColumnDef) error {
	at, err := a.known(def.Name.Name.O)
	if err != nil {
		return err
	}
	col := a.cols[at]
	if col.Generated != nil {
		return onlyGenerated(&col, true)
	}
	col.Default, col.DefaultNow, col.DefaultExpr = nil, false, nil
	if len(def.Options) == 1 {
		if err := a.columnDefault(&col, def.Options[0].Expr); err != nil {
			return err
		}
	}
	if col.DefaultExpr != nil {
		a.defaults = append(a.defaults, defaultDef{def.Options[0].Expr, col.DefaultExpr})
	}
	a.cols[at] = col
	return nil
}
