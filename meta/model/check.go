package model

import (
	"slices"

	"stele/meta/types"
)

// Check is a CHECK constraint: a condition that is not false for any row of its table.
type Check struct {
	Name string `cbor:"1,keyasint"`
	// Clause is the condition as SQL, with bare names of columns in backquotes.
	Clause string `cbor:"2,keyasint"`
	// Columns are those that the condition reads.
	Columns []types.ColumnID `cbor:"3,keyasint,omitempty"`
	// NotEnforced makes the constraint a mere declaration.
	NotEnforced bool `cbor:"4,keyasint,omitempty"`
}

// HasChecks reports whether rows that are written to the table have to meet a condition.
func (t *Table) HasChecks() bool {
	return slices.ContainsFunc(t.Checks, func(c Check) bool { return !c.NotEnforced })
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
