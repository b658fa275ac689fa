package command

import (
	"stele/meta/model"
	"stele/meta/types"
)

// IndexTable is a new hidden table with its tablets.
type IndexTable struct {
	Table   model.Table    `cbor:"1,keyasint"`
	Tablets []model.Tablet `cbor:"2,keyasint"`
}

// TruncateIndex renews partitions of a hidden table together with those of its owner.
type TruncateIndex struct {
	Table   types.TableID       `cbor:"1,keyasint"`
	Parts   []TruncatePartition `cbor:"2,keyasint"`
	Tablets []model.Tablet      `cbor:"3,keyasint"`
}

// IndexPartition is the partition of a hidden table that comes with one of its owner.
type IndexPartition struct {
	Table     types.TableID   `cbor:"1,keyasint"`
	Partition model.Partition `cbor:"2,keyasint"`
	Tablets   []model.Tablet  `cbor:"3,keyasint"`
}

// AddIndex, RenewIndex, PublishIndex, DropIndex and AlterColumns are how earlier versions altered tables: logs have them. ChangeTable does
// what they did.

// AddIndex adds a secondary key to a table. A unique one comes with its hidden table, empty and in the state of being
// built (Key.BuildUntilMs): the command raises the schema version and the epochs of the table, so that no transaction
// that does not know the key can commit any more. A plain key is there at once.
type AddIndex struct {
	Table         types.TableID   `cbor:"1,keyasint"`
	ExpectVersion uint32          `cbor:"2,keyasint"`
	Key           model.UniqueKey `cbor:"3,keyasint"`
	Index         *IndexTable     `cbor:"4,keyasint,omitempty"`
	TimeMs        int64           `cbor:"5,keyasint,omitempty"`
}

// RenewIndex is its builder's promise to be alive until a later time.
type RenewIndex struct {
	Table   types.TableID `cbor:"1,keyasint"`
	Index   types.TableID `cbor:"2,keyasint"`
	UntilMs int64         `cbor:"3,keyasint"`
}

// PublishIndex makes a unique key that was built count from now on.
type PublishIndex struct {
	Table types.TableID `cbor:"1,keyasint"`
	Index types.TableID `cbor:"2,keyasint"`
}

// DropIndex removes a secondary key and its hidden table.
type DropIndex struct {
	Table types.TableID `cbor:"1,keyasint"`
	Name  string        `cbor:"2,keyasint"`
	// Index, when set, is the hidden table that the key must have: another key of the name stays.
	Index types.TableID `cbor:"3,keyasint,omitempty"`
	// ExpiredMs, when set, removes the key only if its building was promised until before this time.
	ExpiredMs int64 `cbor:"4,keyasint,omitempty"`
}

// AlterColumns replaces the columns of a table; those that are new, by their ids, say what older rows have in them. It raises the
// schema version and the epochs of the table, so that no transaction that was planned by the columns before can commit any more.
type AlterColumns struct {
	Table         types.TableID  `cbor:"1,keyasint"`
	ExpectVersion uint32         `cbor:"2,keyasint"`
	Columns       []types.Column `cbor:"3,keyasint"`
	// LastColumn is the highest id that a column of the table has ever had.
	LastColumn types.ColumnID `cbor:"4,keyasint"`
}

// Type returns TypeAlterColumns.
func (*AlterColumns) Type() Type { return TypeAlterColumns }

// Type returns TypeAddIndex.
func (*AddIndex) Type() Type { return TypeAddIndex }

// Type returns TypeRenewIndex.
func (*RenewIndex) Type() Type { return TypeRenewIndex }

// Type returns TypePublishIndex.
func (*PublishIndex) Type() Type { return TypePublishIndex }

// Type returns TypeDropIndex.
func (*DropIndex) Type() Type { return TypeDropIndex }
