package tablet

import (
	"slices"

	"stele/meta/types"
)

// Meta is what a tablet is, as the FE said.
type Meta struct {
	Tablet    types.TabletID    `cbor:"1,keyasint"`
	Table     types.TableID     `cbor:"2,keyasint"`
	Partition types.PartitionID `cbor:"3,keyasint"`
	Replica   types.ReplicaID   `cbor:"4,keyasint"`
	Schema    types.Schema      `cbor:"5,keyasint"`
	Epoch     types.Epoch       `cbor:"6,keyasint,omitempty"`
}

func (m Meta) clone() Meta {
	m.Schema.Columns = slices.Clone(m.Schema.Columns)
	m.Schema.Key = slices.Clone(m.Schema.Key)
	return m
}
