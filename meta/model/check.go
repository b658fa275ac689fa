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
