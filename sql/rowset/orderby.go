package rowset

import (
	"stele/meta/types"
	"stele/sql/collation"
	"stele/sql/vec"
)

// OrderBy is what rows are in the order of: the values of a column, or, by a collation that does not compare bytes, the keys of its texts.
type OrderBy struct {
	Column types.ColumnID
	Type   types.ColumnType // of the values, or the keys
	By     types.Collation
}

// CollationKeys returns the keys of texts by a collation; the texts themselves by that of bytes.
func CollationKeys(by types.Collation, v *vec.Vector) *vec.Vector {
	if by == types.CollationBinary {
		return v
	}
	out := NewVector(types.ColumnType{Kind: types.KindVarBinary}, v.N)
	for i := range v.N {
		if v.IsNull(i) {
			AppendNull(out)
			continue
		}
		out.Data = collation.AppendKey(out.Data, by, v.Bytes(i))
		out.Off = append(out.Off, uint32(len(out.Data)))
		endValid(out)
	}
	return out
}
