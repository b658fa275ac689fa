package command

import (
	"stele/meta/model"
	"stele/meta/types"
)

// An ALTER TABLE is one command, ChangeTable, which does all of it or nothing. Where rows have to be looked at first, for a unique key
// or for a CHECK constraint, BeginChange keeps others from writing meanwhile. What it makes does not count before ChangeTable says so,
// and is taken back when its promise has run out: a crash between the two leaves the table as it was.

// BeginChange promises that a change of a table is prepared until a time. It raises the schema version and the epochs of the table, so
// that nothing that was planned before can commit any more, and makes the hidden tables of the unique keys that the change adds.
type BeginChange struct {
	Table         types.TableID     `cbor:"1,keyasint"`
	ExpectVersion uint32            `cbor:"2,keyasint"`
	UntilMs       int64             `cbor:"3,keyasint"`
	Keys          []model.UniqueKey `cbor:"4,keyasint,omitempty"`
	Indexes       []IndexTable      `cbor:"5,keyasint,omitempty"` // one a key
	TimeMs        int64             `cbor:"6,keyasint,omitempty"`
}

// HoldChange renews the promise of BeginChange, or takes the change back.
type HoldChange struct {
	Table types.TableID `cbor:"1,keyasint"`
	// Version is that of the schema since BeginChange, by which the change is known; 0 = whichever.
	Version uint32 `cbor:"2,keyasint,omitempty"`
	// UntilMs is the new promise, 0 = the change is taken back.
	UntilMs int64 `cbor:"3,keyasint,omitempty"`
	// ExpiredMs, when set, takes the change back only if it was promised until before this time.
	ExpiredMs int64 `cbor:"4,keyasint,omitempty"`
}

// ChangeTable makes a table what it says, in one step; whatever is as it was says so again.
type ChangeTable struct {
	Table         types.TableID `cbor:"1,keyasint"`
	ExpectVersion uint32        `cbor:"2,keyasint"`
	// Begun says that BeginChange came before: ExpectVersion is that of the schema since then.
	Begun bool `cbor:"3,keyasint,omitempty"`
	// Columns are those that there are then; those that are new, by their ids, say what older rows have in them.
	Columns []types.Column `cbor:"4,keyasint"`
	// LastColumn is the highest id that a column of the table has ever had.
	LastColumn types.ColumnID `cbor:"5,keyasint"`
	// Fence has no transaction commit that was planned by the columns before.
	Fence bool `cbor:"6,keyasint,omitempty"`
	// Keys are all secondary keys; a unique one has the hidden table that it had, or got by BeginChange.
	Keys    []model.UniqueKey `cbor:"7,keyasint,omitempty"`
	Checks  []model.Check     `cbor:"8,keyasint,omitempty"`
	Comment string            `cbor:"9,keyasint,omitempty"`
	// AutoIncrement is the lowest number that is drawn from now on, unless higher ones were drawn already.
	AutoIncrement uint64 `cbor:"10,keyasint,omitempty"`
	// Rename, when set, gives the table another name.
	Rename *TableRename `cbor:"11,keyasint,omitempty"`
	// Collation is that of text columns whose declaration names none.
	Collation types.Collation `cbor:"12,keyasint,omitempty"`
	// Copy, when set, is where the rows are. The table gets the columns, the keys, the distribution and the tablets of the copy, whatever
	// Columns and Keys say; the copy is no more then, and the tablets that the table had are not either. The change has begun.
	Copy *TableCopy `cbor:"30,keyasint,omitempty"`
	// ForeignKeys are all that the table has then.
	ForeignKeys []model.ForeignKey `cbor:"94,keyasint,omitempty"`
	// Parents are other tables that BeginChange has kept writers from while the rows were checked against theirs.
	Parents []BegunTable `cbor:"95,keyasint,omitempty"`
}

// TableCopy is a table that only the session knows which alters another one: all rows of that have been written anew into it.
type TableCopy struct {
	Table types.TableID    `cbor:"1,keyasint"`
	Owner model.TableOwner `cbor:"2,keyasint"`
	// Instead, when set, are the partitions of the table in whose place come those of the copy, by which rows are parted otherwise.
	Instead []types.PartitionID `cbor:"3,keyasint,omitempty"`
}

// BegunTable is a table that nobody else writes to since BeginChange, by the version of its schema since then.
type BegunTable struct {
	Table   types.TableID `cbor:"1,keyasint"`
	Version uint32        `cbor:"2,keyasint"`
}

// Type returns TypeBeginChange.
func (*BeginChange) Type() Type { return TypeBeginChange }

// Type returns TypeHoldChange.
func (*HoldChange) Type() Type { return TypeHoldChange }

// Type returns TypeChangeTable.
func (*ChangeTable) Type() Type { return TypeChangeTable }
