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

// primaryChange is what an ALTER TABLE does to the primary key.
type primaryChange struct {
	names    []string // of the new one's columns, nil = there is none
	dropped  bool     // by name
	gone     []types.ColumnID
	declared bool
}

// declare notes the columns of a new primary key.
func (p *primaryChange) declare(names []string) error {
	if p.declared {
		return errorf(errno.MultiplePrimaryKey, "Multiple primary key defined")
	}
	p.names, p.declared = names, true
	return nil
}

// loses notes that a column of the primary key is dropped, if nothing but the key needs it: with its last column the key goes.
func (p *primaryChange) loses(t *catalog.Table, id types.ColumnID) bool {
	if !slices.Contains(t.Schema.Key, id) || !followsKey(t) || slices.Contains(t.DupKey, id) ||
		t.Partition != nil && slices.Contains(t.Partition.Columns, id) {
		return false
	}
	p.gone = append(p.gone, id)
	return true
}

// followsKey reports whether rows are distributed by the primary key because nobody has said otherwise.
func followsKey(t *catalog.Table) bool { return slices.Equal(t.HashBy, t.Schema.Key) }

// dropsPrimary recognises DROP PRIMARY KEY.
func dropsPrimary(spec *ast.AlterTableSpec) bool {
	return spec.Tp == ast.AlterTableDropPrimaryKey || spec.Tp == ast.AlterTableDropIndex && strings.EqualFold(spec.Name, "PRIMARY")
}

// dropPrimary takes the primary key away, and what rows are distributed by if that is the key. What is there instead settlePrimary says.
func (a *tableAlterer) dropPrimary() error {
	if a.to.Schema.HasRowID() || a.primary.dropped {
		return errorf(errno.CannotDropColumnOrKey, "Can't DROP 'PRIMARY'; check that column/key exists")
	}
	a.releasePrimary()
	return nil
}

// releasePrimary leaves the table without a primary key.
func (a *tableAlterer) releasePrimary() {
	a.primary.dropped = true
	if followsKey(a.to) {
		a.to.HashBy = nil
	}
	a.to.Schema.Key = nil
}

// settlePrimary gives the table the primary key that it will have. All columns are known, and none of the keys that come.
func (a *tableAlterer) settlePrimary(specs []*ast.AlterTableSpec) error {
	if err := a.declaredPrimary(specs); err != nil {
		return err
	}
	from, p := a.change.From, &a.primary
	had := !from.Schema.HasRowID()
	if len(p.gone) > 0 && !p.dropped {
		if len(p.gone) < len(from.Schema.Key) {
			c := &from.Schema.Columns[from.Schema.ColumnIndex(p.gone[0])]
			return errorf(errno.KeyColumnMissing, "Key column '%s' doesn't exist in table", c.Name)
		}
		a.releasePrimary()
	}
	switch {
	case !p.declared && !p.dropped:
		return nil
	case p.declared && had && !p.dropped:
		return errorf(errno.MultiplePrimaryKey, "Multiple primary key defined")
	case p.declared:
		if err := a.newPrimary(specs, had); err != nil {
			return err
		}
	default:
		a.newRowID()
	}
	a.rewrite, a.change.effective = "rows are found by another key", true
	a.change.Columns = true
	a.notes = append(a.notes, byBytes(a.to.Schema.Columns, a.to.Locator())...)
	return checkLayout(a.to)
}

// declaredPrimary reads the primary key that a clause declares.
func (a *tableAlterer) declaredPrimary(specs []*ast.AlterTableSpec) error {
	keys := slices.Clone(a.keys)
	for _, spec := range specs {
		if spec.Tp == ast.AlterTableAddConstraint {
			keys = append(keys, spec.Constraint)
		}
	}
	for _, k := range keys {
		if k.Tp != ast.ConstraintPrimaryKey {
			continue
		}
		names, err := keyNames(a.to, k.Keys, primaryForm)
		if err != nil {
			return err
		}
		if err := a.primary.declare(names); err != nil {
			return err
		}
	}
	return nil
}

// newPrimary has columns be the primary key. They are NOT NULL then, unless the statement says otherwise of one.
func (a *tableAlterer) newPrimary(specs []*ast.AlterTableSpec, had bool) error {
	t := a.to
	ids, err := keyIDs(t, a.primary.names)
	if err != nil {
		return err
	}
	for _, id := range ids {
		c := &t.Schema.Columns[t.Schema.ColumnIndex(id)]
		if declaredNull(specs, c.Name) {
			return errorf(errno.PrimaryKeyNull, "All parts of a PRIMARY KEY must be NOT NULL; if you need NULL in a key, use UNIQUE instead")
		}
		if c.Generated != nil && c.Generated.Virtual {
			return errorf(errno.GeneratedUnsupported, "'Defining a virtual generated column as primary key' is not supported for generated columns.")
		}
		if err := keyColumn(c); err != nil {
			return err
		}
	}
	if !had {
		follows := followsKey(t)
		t.Schema.Columns = slices.DeleteFunc(t.Schema.Columns, func(c types.Column) bool { return c.Hidden })
		if follows {
			t.HashBy = nil
		}
	}
	t.Schema.Key = ids
	if t.HashBy == nil {
		t.HashBy = slices.Clone(ids)
	}
	if t.StarRocks {
		t.KeyModel, t.DupKey = string(syntax.KeyPrimary), nil
	}
	return nil
}

// declaredNull reports whether the statement itself says that a column may be NULL.
func declaredNull(specs []*ast.AlterTableSpec, name string) bool {
	for _, spec := range specs {
		for _, def := range spec.NewColumns {
			if strings.EqualFold(def.Name.Name.O, name) && slices.ContainsFunc(def.Options, func(o *ast.ColumnOption) bool { return o.Tp == ast.ColumnOptionNull }) {
				return true
			}
		}
	}
	return false
}

// newRowID adds the hidden key of a table that loses its primary key.
func (a *tableAlterer) newRowID() {
	t := a.to
	t.LastColumn = t.HighestColumn() + 1
	t.Schema.Columns = append(t.Schema.Columns, rowIDColumn(t.LastColumn))
	t.Schema.Key = []types.ColumnID{t.LastColumn}
	if t.HashBy == nil {
		t.HashBy = slices.Clone(t.Schema.Key)
	}
	if t.StarRocks {
		t.KeyModel = string(syntax.KeyDuplicate)
	}
}

// rowIDColumn is the hidden key of a table without a primary key.
func rowIDColumn(id types.ColumnID) types.Column {
	return types.Column{ID: id, Name: types.RowIDColumn, Hidden: true,
		Type: types.ColumnType{Kind: types.KindBigInt, Unsigned: true, NotNull: true}}
}

// autoKeyed checks what there can be of AUTO_INCREMENT: one column, which begins a key. A table that was otherwise may stay so.
func (a *tableAlterer) autoKeyed() error {
	begins := func(t *catalog.Table) (n int, ok bool) {
		ok = true
		for i := range t.Schema.Columns {
			c := &t.Schema.Columns[i]
			if !c.AutoIncrement {
				continue
			}
			n++
			ok = slices.Contains(t.Schema.Key, c.ID) || slices.ContainsFunc(t.Unique, func(k catalog.UniqueKey) bool { return k.Columns[0] == c.ID })
		}
		return n, ok
	}
	n, ok := begins(a.to)
	if was, fine := begins(a.change.From); n > 1 || !ok && (fine || was < n) {
		return errorf(errno.WrongAutoKey, "Incorrect table definition; there can be only one auto column and it must be defined as a key")
	}
	return nil
}
