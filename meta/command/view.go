package command

import (
	"stele/meta/model"
	"stele/meta/types"
)

// ChangeViews drops views and makes or replaces one: all of it or nothing.
type ChangeViews struct {
	Drop []types.TableID `cbor:"1,keyasint,omitempty"`
	// Put is a new view if it has no id, else it takes the place of the view that has the id and the name.
	Put    *model.View `cbor:"2,keyasint,omitempty"`
	TimeMs int64       `cbor:"3,keyasint,omitempty"`
}

// Type returns TypeChangeViews.
func (*ChangeViews) Type() Type { return TypeChangeViews }
