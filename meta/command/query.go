package command

import "stele/meta/types"

// SetQueryRole gives a BE the role of a query node, or takes it away.
type SetQueryRole struct {
	BE     types.BEID `cbor:"1,keyasint"`
	On     bool       `cbor:"2,keyasint,omitempty"`
	TimeMs int64      `cbor:"3,keyasint"`
}

// Type returns TypeSetQueryRole.
func (*SetQueryRole) Type() Type { return TypeSetQueryRole }
