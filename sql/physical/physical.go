// Package physical holds the plan that the planner makes and the executor runs: plain data, no behaviour. It stands
// apart from sql/plan so that a BE, which runs scan fragments, needs neither the parser nor the catalog.
package physical

import (
	"stele/meta/types"
	"stele/sql/expr"
)

// Node is one operator of the FE's plan. Exactly one of the payloads is set.
type Node struct {
	Schema   []OutColumn // what the operator yields
	Children []*Node

	Scan   *Scan
	Values *Values
	Filter *expr.Node
	// Project yields one column an expression.
	Project []*expr.Node
	Agg     *Agg
	Join    *Join
	Sort    *Sort
	Limit   *Limit
	Union   bool // concatenates its children (UNION ALL)
	SetOp   *SetOp
	Window  *Window
	// System reads a table that the FE makes up itself (information_schema, stele).
	System *System
	// Recursive is a recursive CTE; Work stands within its Step for the rows of the step before.
	Recursive *Recursive
	Work      *Work
}

// Recursive yields the rows of Seed, then those of Step over the rows that came last, until none come. Without All a row
// that came before does not come again. The rows of a step take the types of those of the seed, as if they were stored in them.
type Recursive struct {
	Seed, Step *Node
	Work       int
	All        bool
	Strict     bool // a value that does not fit is an error
}

// Work names the rows of a Recursive.
type Work struct{ ID int }

// OutColumn describes one result column.
type OutColumn struct {
	Name     string // as shown: alias or text
	Table    string // alias of the table it comes from, or ""
	Database string
	Column   string // original column name, or ""
	Type     types.ColumnType
	// Of a stored column:
	BaseTable string // the table's own name, whatever its alias
	Flags     uint16 // Flag… constants
	Bits      int32  // the width of a BIT, or to how many digits a ZEROFILL is filled up
}

// What clients are told of a stored column, as MySQL numbers it.
const (
	FlagPrimaryKey    uint16 = 2
	FlagUniqueKey     uint16 = 4
	FlagMultipleKey   uint16 = 8
	FlagZerofill      uint16 = 64
	FlagEnum          uint16 = 256
	FlagAutoIncrement uint16 = 512
	FlagSet           uint16 = 2048
	FlagNoDefault     uint16 = 4096
	FlagOnUpdateNow   uint16 = 8192
)

// Scan reads a table through fragments on the BEs.
type Scan struct {
	TableID  types.TableID
	Parts    []types.PartitionID // those that the statement names; nil = all
	Tablets  []types.TabletID    // after partition and bucket pruning
	Fragment Fragment
	// Via, when set, says where the primary keys of the only rows that can pass stand: they are read first, and become the
	// fragment's Keys.
	Via *Via
	// Picked: of the rows only those are read that the session has picked before, by locking them (SKIP LOCKED).
	Picked bool
	// Takes say which rows no join above can use, once the join has read its other side.
	Takes []Take
}

// Take is a condition of a scan: a row whose Expr, over the fragment's Columns, is not among the values that a join gives under
// the same ID, is used by nobody. The join need not give any; it still checks each row.
type Take struct {
	ID   int
	Expr *expr.Node
	From string // the column that the values come from, for EXPLAIN
}

// Via is a lookup in the hidden table of a unique key.
type Via struct {
	Key      string // as it is called
	TableID  types.TableID
	Tablets  []types.TabletID
	Fragment Fragment
}

// Fragment is what a BE does with each tablet of a scan, in this order: read Columns, keep rows that pass Filter,
// then either aggregate (Agg, which is Partial unless all rows of a group lie in one tablet) or project (Project), then keep the first
// rows (TopN or Limit). Expressions refer to the position in Columns; those of TopN to the output of Agg or Project.
type Fragment struct {
	Schema  types.Schema     `cbor:"1,keyasint"`
	Columns []types.ColumnID `cbor:"2,keyasint"`
	Filter  *expr.Node       `cbor:"3,keyasint,omitempty"`
	// Keys are complete primary keys, memcomparable (tablet key encoding); when set only these rows are read.
	Keys    [][]byte     `cbor:"4,keyasint,omitempty"`
	Project []*expr.Node `cbor:"5,keyasint,omitempty"`
	Agg     *Agg         `cbor:"6,keyasint,omitempty"`
	TopN    *Sort        `cbor:"7,keyasint,omitempty"`
	Limit   int64        `cbor:"8,keyasint,omitempty"` // 0 = none
	// TabletColumn appends the tablet's id as a last column (unsigned BIGINT), for UPDATE and DELETE. It comes after Project.
	TabletColumn bool `cbor:"9,keyasint,omitempty"`
	// TimeZone is the session's, for conversions of TIMESTAMP ("" = UTC).
	TimeZone string `cbor:"10,keyasint,omitempty"`
	// Having leaves out groups of an Agg that makes them whole, by its output. Who asks checks the groups all the same: a BE of a release
	// before knows none.
	Having *expr.Node `cbor:"12,keyasint,omitempty"`
	// Homes are the tablets in which rows with Keys lie, one a key, where that is known: the others need not look for it.
	Homes []types.TabletID `cbor:"11,keyasint,omitempty"`
}

// GroupsWhole reports whether each tablet yields groups, and each group is of one tablet.
func (f *Fragment) GroupsWhole() bool { return f.Agg != nil && !f.Agg.Partial }

// KeysIn returns those of Keys that a tablet may have rows with.
func (f *Fragment) KeysIn(id types.TabletID) [][]byte {
	if len(f.Homes) != len(f.Keys) {
		return f.Keys
	}
	out := make([][]byte, 0, len(f.Keys))
	for i, home := range f.Homes {
		if home == id {
			out = append(out, f.Keys[i])
		}
	}
	return out
}

// Agg groups rows. A Partial one yields the group columns, then the state columns of each aggregate; a Merge one
// takes that as input (its expressions are not evaluated again), and yields it once more if it is to keep States. With neither it does the
// whole work.
type Agg struct {
	Group   []*expr.Node   `cbor:"1,keyasint,omitempty"`
	Aggs    []expr.AggFunc `cbor:"2,keyasint,omitempty"`
	Partial bool           `cbor:"3,keyasint,omitempty"`
	Merge   bool           `cbor:"4,keyasint,omitempty"`
	States  bool           `cbor:"5,keyasint,omitempty"`
}

// JoinKind is the kind of a join.
type JoinKind uint8

// Join kinds. The left child is the probe side of Semi, Anti and AntiNull; those yield only its columns.
const (
	JoinInner JoinKind = iota
	JoinLeft
	JoinSemi
	JoinAnti     // NOT EXISTS
	JoinAntiNull // NOT IN: a NULL on either side makes the answer unknown
	JoinScalar   // left join that fails with 1242 when a left row finds more than one match
)

// Join joins Children[0] (left) and Children[1] (right, the build side). With no Left keys it is a nested loop.
type Join struct {
	Kind  JoinKind
	Left  []*expr.Node // equal-join keys over the left child
	Right []*expr.Node // over the right child, same types
	On    *expr.Node   // what remains, over left columns followed by right columns
	// Gives, parallel to Left and Right, names the values that a key has on the side which is read first: the scans below the
	// other side which take them read no rows without them. 0 = nobody takes them.
	Gives []int
	// MostBytes, parallel to Gives, is how long a set of the values may be: the longer, the more rows it is asked for.
	MostBytes []int
	// LeftFirst: the left side is read before the right one, as long as it has few rows.
	LeftFirst bool
	// Keep lists the columns that come out, ascending positions among those of the left child followed by those of the right one, which
	// semi and anti joins have none of. nil = all.
	Keep []int
}

// Sort orders rows; with Limit > 0 it keeps only the first Offset+Limit of them and then skips Offset.
type Sort struct {
	Keys   []expr.SortKey `cbor:"1,keyasint"`
	Limit  int64          `cbor:"2,keyasint,omitempty"`
	Offset int64          `cbor:"3,keyasint,omitempty"`
}

// Limit skips Offset rows and passes Count.
type Limit struct {
	Offset, Count int64
}

// SetOp is UNION (distinct), INTERSECT or EXCEPT, with or without ALL (UNION ALL is Node.Union).
type SetOp struct {
	Name string // "intersect", "except"
	All  bool
}

// Window computes window functions; it appends one column a function to its input.
type Window struct {
	Partition []*expr.Node
	Order     []expr.SortKey
	Funcs     []WindowFunc
}

// WindowFunc is one window function: row_number, rank, dense_rank, percent_rank, cume_dist, ntile, nth_value, lag, lead, first_value, last_value, or an aggregate.
type WindowFunc struct {
	Name string
	Args []*expr.Node
	Type types.ColumnType
	// Rows is true for a ROWS frame; the default frame is RANGE UNBOUNDED PRECEDING .. CURRENT ROW (whole partition without ORDER BY).
	Rows                       bool
	From, To                   int64 // offsets to the current row; FromUnbounded/ToUnbounded override
	FromUnbounded, ToUnbounded bool
	Range                      *RangeFrame // of a RANGE frame with offsets
}

// RangeFrame bounds a frame by values: a row sees those whose Key is, in the order of the window, between the From and the To that it has.
// All are of one type; a bound that is nil is the row itself and its peers.
type RangeFrame struct {
	Key, From, To *expr.Node
	Desc          bool
}

// Each calls fn with each expression.
func (r *RangeFrame) Each(fn func(**expr.Node)) {
	if r == nil {
		return
	}
	for _, x := range []**expr.Node{&r.Key, &r.From, &r.To} {
		if *x != nil {
			fn(x)
		}
	}
}

// Values yields constant rows.
type Values struct {
	Rows [][]*expr.Node
}

// System names a table that the FE makes up.
type System struct {
	Database, Table string
}
