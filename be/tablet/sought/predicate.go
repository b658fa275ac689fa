package sought

import (
	"math"

	"stele/meta/types"
	"stele/sql/expr"
)

// CompareOp is the comparison of a Predicate.
type CompareOp uint8

// Comparisons.
const (
	OpEQ CompareOp = iota
	OpLT
	OpLE
	OpGT
	OpGE
	// OpIn: the value is in one of the Ranges of the predicate.
	OpIn CompareOp = math.MaxUint8
)

// Predicate is "column op value". It only lets a scan skip: rows that do not satisfy it may still be returned.
type Predicate struct {
	Column types.ColumnID
	Op     CompareOp
	Value  expr.Value // not NULL, in the physical form of the column's type
	// By, unless it is the collation of bytes: values are keys of it, and it is the keys of the column's texts that are compared.
	By types.Collation
	// Ranges of OpIn ascend and lie apart. Null: or the value is NULL.
	Ranges []Range
	Null   bool
}

// Range is the values from Lo to Hi, both of them included; one that is NULL is no bound.
type Range struct{ Lo, Hi expr.Value }

// typeOf returns the type of a column, which is in the schema.
func typeOf(schema *types.Schema, id types.ColumnID) types.ColumnType {
	return schema.Columns[schema.ColumnIndex(id)].Type
}
