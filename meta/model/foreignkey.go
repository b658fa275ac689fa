package model

import (
	"slices"

	"stele/meta/types"
)

// ReferenceAction is what happens to the rows that refer to one that goes or gets another key.
type ReferenceAction uint8

// Reference actions. The numbers are stored: append, never renumber.
const (
	ReferenceNoAction ReferenceAction = iota // as RESTRICT: nothing is put off until the end of a transaction
	ReferenceRestrict
	ReferenceCascade
	ReferenceSetNull
)

func (a ReferenceAction) String() string {
	return [...]string{"NO ACTION", "RESTRICT", "CASCADE", "SET NULL"}[a]
}

// ForeignKey says that a row of its table, the child, whose Columns are all not NULL has a row of the parent with these values. It is
// in the record of the child; the parent's has the child in Table.ReferencedBy.
type ForeignKey struct {
	Name    string           `cbor:"1,keyasint"`
	Columns []types.ColumnID `cbor:"2,keyasint"`
	// RefTable is the parent, perhaps the child itself; 0 = there is none by the name yet, or none any more.
	RefTable types.TableID `cbor:"3,keyasint,omitempty"`
	// RefColumns are those of a primary or unique key of the parent, all of them and in their order.
	RefColumns []types.ColumnID `cbor:"4,keyasint,omitempty"`
	OnDelete   ReferenceAction  `cbor:"5,keyasint,omitempty"`
	OnUpdate   ReferenceAction  `cbor:"6,keyasint,omitempty"`
	// Awaits is set exactly while RefTable is not.
	Awaits *AwaitedParent `cbor:"7,keyasint,omitempty"`
}

// AwaitedParent is how a table has to be called that a foreign key is bound to as soon as it is there.
type AwaitedParent struct {
	Database string   `cbor:"1,keyasint"`
	Table    string   `cbor:"2,keyasint"`
	Columns  []string `cbor:"3,keyasint"`
}

// Bound reports whether the parent is there.
func (f *ForeignKey) Bound() bool { return f.RefTable != 0 }

// HasForeignKeys reports whether rows of the table may have to have others: as a child, or as a parent.
func (t *Table) HasForeignKeys() bool { return len(t.ForeignKeys)+len(t.ReferencedBy) > 0 }

// ReferencedByOthers reports whether a foreign key of another table refers to the table.
func (t *Table) ReferencedByOthers() bool {
	return slices.ContainsFunc(t.ReferencedBy, func(id types.TableID) bool { return id != t.ID })
}

// RefersTo yields the places of the foreign keys that refer to a table.
func (t *Table) RefersTo(parent types.TableID) []int {
	var out []int
	for i := range t.ForeignKeys {
		if t.ForeignKeys[i].RefTable == parent {
			out = append(out, i)
		}
	}
	return out
}

// ReferableKey finds the key whose columns are these: nil and true for the primary key, else a unique one.
func (t *Table) ReferableKey(columns []types.ColumnID) (*UniqueKey, bool) {
	if slices.Equal(t.Schema.Key, columns) {
		return nil, true
	}
	for i := range t.Unique {
		if k := &t.Unique[i]; k.Unique && !k.Building() && slices.Equal(k.Columns, columns) && !t.Cuts(k) {
			return k, true
		}
	}
	return nil, false
}

// Referable reports whether a column can hold what another one refers to. Texts of any length fit each other when they compare alike.
func Referable(child, parent *types.Column) bool {
	a, b := child.Type, parent.Type
	if a.Kind == types.KindBool {
		a.Kind = types.KindTinyInt
	}
	if b.Kind == types.KindBool {
		b.Kind = types.KindTinyInt
	}
	if a.IsString() && b.IsString() {
		return isBytes(a.Kind) == isBytes(b.Kind) && a.Collation == b.Collation && a.Kind != types.KindJSON && b.Kind != types.KindJSON
	}
	return a.Kind == b.Kind && types.SameForm(a, b) && slices.Equal(child.Elems, parent.Elems) && (child.Bits > 0) == (parent.Bits > 0)
}

func isBytes(k types.Kind) bool {
	return k == types.KindBinary || k == types.KindVarBinary || k == types.KindBlob
}
