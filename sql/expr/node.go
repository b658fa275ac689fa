// Package expr holds typed scalar expressions over the columns of a batch and evaluates them a vector at a time.
//
// An expression is a plain tree of Nodes, so that it can be sent to a BE as it is. The planner builds it (names
// resolved, types and coercions fixed); Compile turns it into kernels. Evaluation never panics on bad values: what
// MySQL turns into NULL with a warning is NULL, what MySQL refuses is an error with its number.
package expr

import (
	"stele/meta/types"
	"stele/sql/vec"
)

// NodeKind says what a Node is.
type NodeKind uint8

// Node kinds.
const (
	NodeColumn NodeKind = iota // column Col of the input batch
	NodeConst                  // Value
	NodeCall                   // Func over Args
)

// Node is one expression. Every coercion is explicit: the args of a call already have the types that the function's
// signature wants (the planner inserts "cast" calls; their target is the call's own Type).
type Node struct {
	Kind  NodeKind         `cbor:"1,keyasint"`
	Type  types.ColumnType `cbor:"2,keyasint"`
	Col   int              `cbor:"3,keyasint,omitempty"`
	Value Value            `cbor:"4,keyasint,omitempty"`
	Func  string           `cbor:"5,keyasint,omitempty"` // a name of the function registry: "=", "+", "and", "substring", "cast", "case", "in", ...
	Args  []*Node          `cbor:"6,keyasint,omitempty"`
	// Slot marks a constant of a plan that is kept: its value is that of the statement's value Slot-1. 0 everywhere else.
	Slot int `cbor:"-"`
}

// Value is one scalar in the physical form of its type (see types.Phys).
type Value = vec.Value

// AggFunc is one aggregate of a group. Partial aggregation on the BE produces state columns (see exec), which the
// final aggregation merges.
type AggFunc struct {
	Name     string           `cbor:"1,keyasint"`           // "count", "sum", "avg", "min", "max", "group_concat", "any_value", "stddev_pop", "stddev_samp", "var_pop", "var_samp", "bit_and", "bit_or", "bit_xor", "json_arrayagg", "json_objectagg"
	Arg      *Node            `cbor:"2,keyasint,omitempty"` // nil for count(*)
	Distinct bool             `cbor:"3,keyasint,omitempty"`
	Type     types.ColumnType `cbor:"4,keyasint"`           // the result
	Sep      string           `cbor:"5,keyasint,omitempty"` // group_concat
	Order    []SortKey        `cbor:"6,keyasint,omitempty"` // group_concat
}

// SortKey is one ORDER BY item; NULLs come first ascending and last descending, as in MySQL.
type SortKey struct {
	Expr *Node `cbor:"1,keyasint"`
	Desc bool  `cbor:"2,keyasint,omitempty"`
}
