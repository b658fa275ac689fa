package command

import (
	"stele/meta/model"
	"stele/meta/types"
)

// PlanFE adds an FE at a host and Raft port that no other FE has. It is pending: it becomes a member of the Raft group
// when it asks to join. The answer is its id.
type PlanFE struct {
	FE     model.FE `cbor:"1,keyasint"` // Name, Host, RaftPort, Observer
	TimeMs int64    `cbor:"2,keyasint"`
}

// SetFE records what an FE, known by its name, says of itself, and whether it still waits for the metadata.
type SetFE struct {
	Name       string `cbor:"1,keyasint"`
	QueryPort  int    `cbor:"2,keyasint,omitempty"` // this and the other ports: 0 = as it was
	HTTPPort   int    `cbor:"3,keyasint,omitempty"`
	RPCPort    int    `cbor:"4,keyasint,omitempty"`
	GossipPort int    `cbor:"5,keyasint,omitempty"`
	// Joined ends that it is pending.
	Joined bool `cbor:"6,keyasint,omitempty"`
}

// SetFEDNode says which BE makes a dnode together with an FE; 0 = whichever the host tells. A BE has one FE.
type SetFEDNode struct {
	FE types.FEID `cbor:"1,keyasint"`
	BE types.BEID `cbor:"2,keyasint,omitempty"`
}

// Type returns TypeSetFEDNode.
func (*SetFEDNode) Type() Type { return TypeSetFEDNode }

// Type returns TypePlanFE.
func (*PlanFE) Type() Type { return TypePlanFE }

// Type returns TypeSetFE.
func (*SetFE) Type() Type { return TypeSetFE }
