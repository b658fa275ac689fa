package model

import "stele/meta/types"

// View is a query with a name. It shares the ids and the names of tables, and has no rows of its own.
type View struct {
	ID         types.TableID    `cbor:"1,keyasint"`
	DatabaseID types.DatabaseID `cbor:"2,keyasint"`
	Name       string           `cbor:"3,keyasint"`
	Columns    []string         `cbor:"4,keyasint"`
	// Query is a SELECT in which every name is qualified and every * is written out, so that it means the same in any session.
	Query     string        `cbor:"5,keyasint"`
	Definer   AccountName   `cbor:"6,keyasint"`
	Invoker   bool          `cbor:"7,keyasint,omitempty"` // SQL SECURITY INVOKER: whoever reads it needs rights on what it reads
	Algorithm ViewAlgorithm `cbor:"8,keyasint,omitempty"`
	Check     ViewCheck     `cbor:"9,keyasint,omitempty"`
	CreatedMs int64         `cbor:"10,keyasint,omitempty"`
}

// ViewAlgorithm is the ALGORITHM that a view was declared with. All are planned alike.
type ViewAlgorithm uint8

// View algorithms.
const (
	ViewUndefined ViewAlgorithm = iota
	ViewMerge
	ViewTempTable
)

func (a ViewAlgorithm) String() string { return [...]string{"UNDEFINED", "MERGE", "TEMPTABLE"}[a] }

// ViewCheck is the CHECK OPTION of a view: which conditions a row that is written through it must meet.
type ViewCheck uint8

// Check options.
const (
	CheckNone ViewCheck = iota
	CheckLocal
	CheckCascaded
)

func (c ViewCheck) String() string { return [...]string{"NONE", "LOCAL", "CASCADED"}[c] }
