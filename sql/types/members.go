package types

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	mt "stele/meta/types"
	"stele/sql/vec"
)

// ENUM, SET and BIT columns keep an unsigned integer: the number of the member from 1 (0 is the empty error value), a bit a
// member, the bits. What they look like is said by their types.Column.

// EnumIndex returns the number of a member; 0 = there is none. As in MySQL, trailing spaces do not count.
func EnumIndex(members []string, text []byte) int64 {
	s := string(bytes.TrimRight(text, " "))
	for i, m := range members {
		if m == s {
			return int64(i) + 1
		}
	}
	return 0
}

// EnumText returns the member of a number.
func EnumText(members []string, n int64) string {
	if n < 1 || n > int64(len(members)) {
		return ""
	}
	return members[n-1]
}

// SetBits returns the bits of a list of members, and whether all of them are members.
func SetBits(members []string, text []byte) (bits uint64, ok bool) {
	ok = true
	if len(text) == 0 {
		return 0, true
	}
	for part := range strings.SplitSeq(string(text), ",") {
		n := EnumIndex(members, []byte(part))
		if n == 0 {
			ok = false
			continue
		}
		bits |= 1 << (n - 1)
	}
	return bits, ok
}

// SetText returns the members of some bits, in the order of the type.
func SetText(members []string, bits uint64) string {
	var out []string
	for i, m := range members {
		if bits&(1<<i) != 0 {
			out = append(out, m)
		}
	}
	return strings.Join(out, ",")
}

// BitBytes returns the bytes of a BIT(width) value.
func BitBytes(v uint64, width int32) []byte {
	n := int(width+7) / 8
	out := make([]byte, n)
	for i := range n {
		out[n-1-i] = byte(v >> (8 * i))
	}
	return out
}

// ConvertColumn is Convert for a column, whose members count. Bent says without strict mode what the value has lost to fit; like an
// error it is complete by WithColumn.
func ConvertColumn(v vec.Value, from mt.ColumnType, c *mt.Column, strict bool, env Env) (out vec.Value, bent *Error, err error) {
	if !c.Special() || v.Null || from.Kind == mt.KindNull {
		return store(v, from, c.Type, strict, env)
	}
	n, ok := uint64(0), false
	switch {
	case c.Bits > 0:
		if n, ok = bitValue(v, from, env); !ok || c.Bits < 64 && n>>c.Bits != 0 {
			if strict {
				return v, nil, errTooLong()
			}
			n, bent = 1<<c.Bits-1, errColumnRange()
		}
		return vec.Int(int64(n)), bent, nil
	case c.IsSet():
		n, ok = setValue(c.Elems, v, from, env)
	default:
		n, ok = enumValue(c.Elems, v, from, env)
	}
	switch {
	case !ok && strict:
		return v, nil, errTruncated()
	case !ok:
		bent = errTruncated()
	}
	return vec.Int(int64(n)), bent, nil
}

// wholeNumber reads a number that is whole and not negative.
func wholeNumber(v vec.Value, from mt.ColumnType, env Env) (uint64, bool) {
	out, p := toInteger(v, from, mt.ColumnType{Kind: mt.KindBigInt, Unsigned: true}, env, true)
	return uint64(out.I), p == fine
}

// cutNumber is wholeNumber without what is behind the point, as ENUM and SET take numbers.
func cutNumber(v vec.Value, from mt.ColumnType, env Env) (uint64, bool) {
	switch {
	case from.Phys() == mt.PhysFloat64:
		v.F = math.Trunc(v.F)
	case from.Kind == mt.KindDecimal:
		d, scale, p := decimalValue(v, from, env)
		n, whole := TruncateScale(d, scale, 0).Int64()
		return uint64(n), p == fine && whole && n >= 0
	}
	return wholeNumber(v, from, env)
}

func enumValue(members []string, v vec.Value, from mt.ColumnType, env Env) (uint64, bool) {
	if from.Phys() == mt.PhysBytes {
		if n := EnumIndex(members, v.B); n > 0 {
			return uint64(n), true
		}
		n, err := strconv.ParseUint(string(v.B), 10, 16)
		if err != nil || n < 1 || n > uint64(len(members)) {
			return 0, false
		}
		return n, true
	}
	n, ok := cutNumber(v, from, env)
	if !ok || n < 1 || n > uint64(len(members)) {
		return 0, false
	}
	return n, true
}

func setValue(members []string, v vec.Value, from mt.ColumnType, env Env) (uint64, bool) {
	all := uint64(1)<<len(members) - 1 // of 64 members: all bits, because the shift yields 0
	if from.Phys() == mt.PhysBytes {
		bits, ok := SetBits(members, v.B)
		if n, err := strconv.ParseUint(string(v.B), 10, 64); !ok && err == nil {
			return n & all, n&^all == 0
		}
		return bits, ok
	}
	n, ok := cutNumber(v, from, env)
	return n & all, ok && n&^all == 0
}

// bitValue reads bits: of a string its bytes.
func bitValue(v vec.Value, from mt.ColumnType, env Env) (uint64, bool) {
	if from.Phys() != mt.PhysBytes {
		if from.IsInteger() && !from.Unsigned {
			return uint64(v.I), true // a negative number is its bits
		}
		if from.Phys() == mt.PhysFloat64 { // cut, where a DECIMAL is rounded
			v.F = math.Trunc(v.F)
		}
		return wholeNumber(v, from, env)
	}
	b := bytes.TrimLeft(v.B, "\x00")
	if len(b) > 8 {
		return 0, false
	}
	n := uint64(0)
	for _, x := range b {
		n = n<<8 | uint64(x)
	}
	return n, true
}

// AppendColumnText is AppendVectorText of a column, as users see its values.
func AppendColumnText(dst []byte, c *mt.Column, v *vec.Vector, i int, env Env) []byte {
	switch {
	case !c.Special():
		return AppendVectorText(dst, v, i, env.Loc)
	case c.Bits > 0:
		return append(dst, BitBytes(uint64(v.I64[i]), c.Bits)...)
	case c.IsSet():
		return append(dst, SetText(c.Elems, uint64(v.I64[i]))...)
	}
	return append(dst, EnumText(c.Elems, v.I64[i])...)
}
