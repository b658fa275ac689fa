package fn

import (
	"stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// The functions that the planner puts around ENUM, SET and BIT columns, which are stored as numbers.
func init() {
	register(
		Def{Name: "enum_text", Group: "string", Syntax: "ENUM_TEXT(n, member, ...)", Doc: "The member of an ENUM.", Min: 2, Max: -1, Rule: memberText, Prepare: prepareMembers,
			Row: func(c *Call, a []vec.Value) (vec.Value, error) {
				return vec.Str([]byte(sqltypes.EnumText(members(c, a), a[0].I))), nil
			}},
		Def{Name: "set_text", Group: "string", Syntax: "SET_TEXT(bits, member, ...)", Doc: "The members of a SET.", Min: 2, Max: -1, Rule: memberText, Prepare: prepareMembers,
			Row: func(c *Call, a []vec.Value) (vec.Value, error) {
				return vec.Str([]byte(sqltypes.SetText(members(c, a), uint64(a[0].I)))), nil
			}},
		Def{Name: "enum_index", Group: "string", Syntax: "ENUM_INDEX(text, member, ...)", Doc: "The number of a member of an ENUM, 0 when it is none.", Min: 2, Max: -1,
			Rule: fixed(tUint, tStr), Prepare: prepareMembers,
			Row: func(c *Call, a []vec.Value) (vec.Value, error) {
				return vec.Int(sqltypes.EnumIndex(members(c, a), a[0].B)), nil
			}},
		Def{Name: "set_bits", Group: "string", Syntax: "SET_BITS(text, member, ...)", Doc: "The bits of members of a SET.", Min: 2, Max: -1,
			Rule: fixed(tUint, tStr), Prepare: prepareMembers,
			Row: func(c *Call, a []vec.Value) (vec.Value, error) {
				bits, _ := sqltypes.SetBits(members(c, a), a[0].B)
				return vec.Int(int64(bits)), nil
			}},
		Def{Name: "bit_bytes", Group: "string", Syntax: "BIT_BYTES(n, width)", Doc: "The bytes of a BIT of 1 to 64 bits, NULL for another width.", Min: 2, Max: 2,
			Rule: fixed(T{Kind: types.KindVarBinary, Length: 8}, tUint, tInt),
			Row: func(_ *Call, a []vec.Value) (vec.Value, error) {
				if a[1].I < 1 || a[1].I > 64 {
					return vec.NullValue(), nil
				}
				return vec.Str(sqltypes.BitBytes(uint64(a[0].I), int32(a[1].I))), nil
			}},
	)
}

// memberText types enum_text and set_text: the longest member, or all of them with commas.
func memberText(_ string, args []T) ([]T, T, error) {
	longest := int64(0)
	for _, a := range args[1:] {
		longest += int64(a.Length) + 1
	}
	return repeat([]T{tUint, tStr}, len(args)), textResult(longest), nil
}

// prepareMembers keeps the members when they are constant, as the planner makes them.
func prepareMembers(c *Call) error {
	list := make([]string, 0, len(c.Const)-1)
	for _, m := range c.Const[1:] {
		if m == nil || m.Null {
			return nil
		}
		list = append(list, string(m.B))
	}
	c.State = list
	return nil
}

func members(c *Call, a []vec.Value) []string {
	if list, ok := c.State.([]string); ok {
		return list
	}
	list := make([]string, 0, len(a)-1)
	for _, m := range a[1:] {
		list = append(list, string(m.B))
	}
	return list
}
