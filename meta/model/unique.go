package model

import (
	"slices"

	"stele/meta/types"
)

// UniqueKey is a secondary key of a table: a plain or FULLTEXT one, which is a declaration, or a unique one, which a hidden table
// enforces.
type UniqueKey struct {
	Name    string           `cbor:"1,keyasint"`
	Columns []types.ColumnID `cbor:"2,keyasint"`
	Unique  bool             `cbor:"3,keyasint,omitempty"`
	// Index is the hidden table of a unique key: one row for each row of the owner without NULL in the key's columns. Its
	// primary key is the key's columns; its other columns are what finds the owner's row. Column ids are the owner's.
	Index types.TableID `cbor:"4,keyasint,omitempty"`
	// BuildUntilMs is set while Index is being filled: nobody may write to the owner, and the key does not count. Until when the
	// builder has promised to be alive is Table.AlterUntilMs; a key of AddIndex has no other promise than this.
	BuildUntilMs int64 `cbor:"5,keyasint,omitempty"`
	// Prefixes are the lengths of the parts of a key that were declared over a prefix of their column, 0 = over all of it; nil = all
	// of them are. Of a plain key they are only shown; the entries of a unique one have as much of the values.
	Prefixes []int32 `cbor:"20,keyasint,omitempty"`
	// FullText keys say what MATCH … AGAINST may search.
	FullText bool `cbor:"21,keyasint,omitempty"`
}

// Prefix is the length that a part of the key was declared with, 0 = none.
func (k *UniqueKey) Prefix(part int) int32 {
	if part < len(k.Prefixes) {
		return k.Prefixes[part]
	}
	return 0
}

// Cuts reports whether a key is over less than the whole of a column: rows that differ may have the same values in it.
func (t *Table) Cuts(k *UniqueKey) bool {
	for i, id := range k.Columns {
		if n := k.Prefix(i); n > 0 && n < t.Schema.Columns[t.Schema.ColumnIndex(id)].Type.Length {
			return true
		}
	}
	return false
}

// Building reports whether the key is not there yet.
func (k *UniqueKey) Building() bool { return k.BuildUntilMs != 0 }

// Enforced reports whether a hidden table enforces the key.
func (k *UniqueKey) Enforced() bool { return k.Index != 0 }

// Hidden reports whether users must not see the table.
func (t *Table) Hidden() bool { return t.IndexOf != 0 }

// Named reports whether the table is found by its name.
func (t *Table) Named() bool { return t.IndexOf == 0 && t.Owner == nil }

// HasUniqueKeys reports whether a write to the table has to go through hidden tables as well, or has to wait for a change of the table.
func (t *Table) HasUniqueKeys() bool {
	return t.AlterUntilMs != 0 || slices.ContainsFunc(t.Unique, func(k UniqueKey) bool { return k.Enforced() })
}

// Altering returns until when a change of the table is promised to be under way, 0 = none is. Nobody else writes to the table then.
func (t *Table) Altering() int64 {
	if t.AlterUntilMs != 0 {
		return t.AlterUntilMs
	}
	for i := range t.Unique {
		if t.Unique[i].Building() { // by the command of earlier versions
			return t.Unique[i].BuildUntilMs
		}
	}
	return 0
}

// VisibleKeys are the secondary keys that count, as MySQL lists them: unique ones first and FULLTEXT ones last, else in order of declaration.
func (t *Table) VisibleKeys() []UniqueKey {
	var out []UniqueKey
	for rank := range 3 {
		for _, k := range t.Unique {
			if k.rank() == rank && !k.Building() {
				out = append(out, k)
			}
		}
	}
	return out
}

func (k *UniqueKey) rank() int {
	switch {
	case k.Unique:
		return 0
	case k.FullText:
		return 2
	}
	return 1
}

// Locator lists the columns by which a row of the table is found: its primary key, then what else decides its tablet.
func (t *Table) Locator() []types.ColumnID {
	out := slices.Clone(t.Schema.Key)
	add := func(ids []types.ColumnID) {
		for _, id := range ids {
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	add(t.HashBy)
	if t.Partition != nil {
		add(t.Partition.Columns)
	}
	return out
}
