package command

import (
	"stele/meta/model"
	"stele/meta/types"
)

// AddOps adds operations for the op engine, all or none: ids are drawn one after the other, and the first of them
// names the group. An op that names a Root it was not given runs behind nobody.
type AddOps struct {
	Ops    []model.Op `cbor:"1,keyasint"`
	TimeMs int64      `cbor:"2,keyasint"`
}

// UpdateOp replaces the record of an operation, if it is still at Op.Rev, and adds the operations that it gives rise to.
type UpdateOp struct {
	Op       model.Op   `cbor:"1,keyasint"`
	Children []model.Op `cbor:"2,keyasint,omitempty"`
	TimeMs   int64      `cbor:"3,keyasint"`
}

// CancelOp ends an operation that has not ended, and has the op engine take back what it has left half done. Group has
// all of its group end with it.
type CancelOp struct {
	ID     uint64 `cbor:"1,keyasint"`
	Group  bool   `cbor:"2,keyasint,omitempty"`
	TimeMs int64  `cbor:"3,keyasint"`
}

// DeleteOps forgets ended operations: the one with the id, or with ID 0 all that ended in State.
type DeleteOps struct {
	ID    uint64        `cbor:"1,keyasint,omitempty"`
	State model.OpState `cbor:"2,keyasint,omitempty"`
}

// SetReplicaAlive sets replicas aside, or takes them into use again. Each item holds or is passed over alone.
type SetReplicaAlive struct {
	Items  []ReplicaAlive `cbor:"1,keyasint"`
	TimeMs int64          `cbor:"2,keyasint"`
}

// ReplicaAlive is one item of SetReplicaAlive.
type ReplicaAlive struct {
	Tablet types.TabletID `cbor:"1,keyasint"`
	BE     types.BEID     `cbor:"2,keyasint"`
	Alive  bool           `cbor:"3,keyasint,omitempty"`
}

// SetBELeading says how many leaders a BE is to have: none, or a share by weight (percent, 0 = 100).
type SetBELeading struct {
	BE      types.BEID `cbor:"1,keyasint"`
	Drained bool       `cbor:"2,keyasint,omitempty"`
	Weight  int        `cbor:"3,keyasint,omitempty"`
}

// AdjustReplicas sets by how many replicas one tablet differs from what its partition says.
type AdjustReplicas struct {
	Tablet types.TabletID `cbor:"1,keyasint"`
	Extra  int            `cbor:"2,keyasint,omitempty"`
}

// AcceptLoss goes on with one replica of a tablet of which no complete one is left. Every version that it lacks is lost,
// and the other replicas are no longer of the tablet, so that what they may still hold can never come back under a
// version that means something else by then. It holds only while the tablet is at Version and Epoch.
type AcceptLoss struct {
	Tablet  types.TabletID  `cbor:"1,keyasint"`
	Replica types.ReplicaID `cbor:"2,keyasint"`
	Version types.Version   `cbor:"3,keyasint"`
	Epoch   types.Epoch     `cbor:"4,keyasint"`
	TimeMs  int64           `cbor:"5,keyasint"`
	// Empty is where to go on with a new, empty replica when no other is of any use, 0 = Replica is one of the tablet's.
	Empty types.BEID `cbor:"6,keyasint,omitempty"`
}

// Type returns TypeAddOps.
func (*AddOps) Type() Type { return TypeAddOps }

// Type returns TypeUpdateOp.
func (*UpdateOp) Type() Type { return TypeUpdateOp }

// Type returns TypeCancelOp.
func (*CancelOp) Type() Type { return TypeCancelOp }

// Type returns TypeDeleteOps.
func (*DeleteOps) Type() Type { return TypeDeleteOps }

// Type returns TypeSetReplicaAlive.
func (*SetReplicaAlive) Type() Type { return TypeSetReplicaAlive }

// Type returns TypeSetBELeading.
func (*SetBELeading) Type() Type { return TypeSetBELeading }

// Type returns TypeAdjustReplicas.
func (*AdjustReplicas) Type() Type { return TypeAdjustReplicas }

// Type returns TypeAcceptLoss.
func (*AcceptLoss) Type() Type { return TypeAcceptLoss }
