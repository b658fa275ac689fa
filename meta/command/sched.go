package command

import (
	"stele/meta/model"
	"stele/meta/types"
)

// NoteTasks writes down what has become of tasks of the control loop, so that the next leader knows it. The newest MaxTasks of
// either kind are kept.
type NoteTasks struct {
	Ended []model.Task `cbor:"1,keyasint,omitempty"` // in the order in which they ended
	Tried []model.Task `cbor:"2,keyasint,omitempty"` // that have failed and are tried again
}

// SetBELocation says where a BE stands: "key:value", such as rack:r1, "" = nobody says. No two replicas of a tablet are put
// into one location as long as there are others.
type SetBELocation struct {
	BE       types.BEID `cbor:"1,keyasint"`
	Location string     `cbor:"2,keyasint,omitempty"`
}

// Type returns TypeNoteTasks.
func (*NoteTasks) Type() Type { return TypeNoteTasks }

// Type returns TypeSetBELocation.
func (*SetBELocation) Type() Type { return TypeSetBELocation }
