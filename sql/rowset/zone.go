package rowset

import (
	"encoding/binary"
	"math"

	"stele/meta/types"
	"stele/sql/vec"
)

// Zone is the range of a vector's values, each cut to an order-preserving 64-bit prefix. Empty (Min > Max) when the
// vector has only NULLs.
type Zone struct{ Min, Max uint64 }

// emptyZone is the zone of no value.
var emptyZone = Zone{Min: math.MaxUint64, Max: 0}

// Prefix returns the order-preserving 64-bit prefix of row of v, which is not NULL.
func Prefix(v *vec.Vector, row int) uint64 {
	const sign = uint64(1) << 63
	switch v.Type.Phys() {
	case types.PhysInt64:
		if v.Type.Unsigned {
			return uint64(v.I64[row])
		}
		return uint64(v.I64[row]) ^ sign
	case types.PhysFloat64:
		key := vec.AppendKey(make([]byte, 0, 9), v, row)
		return binary.BigEndian.Uint64(key[1:])
	case types.PhysDec128:
		return uint64(v.Dec[row].Hi) ^ sign
	default:
		return bytesPrefix(v.Bytes(row))
	}
}

func bytesPrefix(b []byte) uint64 {
	switch n := len(b); {
	case n >= 8:
		return binary.BigEndian.Uint64(b)
	case n >= 4:
		return uint64(binary.BigEndian.Uint32(b))<<32 | uint64(binary.BigEndian.Uint32(b[n-4:]))<<(64-8*n)
	case n > 0:
		return uint64(b[0])<<56 | uint64(b[n/2])<<(56-8*(n/2)) | uint64(b[n-1])<<(64-8*n)
	}
	return 0
}

func zoneOf(v *vec.Vector, from, to int) Zone {
	z := emptyZone
	if v.Valid == nil && v.Type.Phys() == types.PhysInt64 { // the most common by far
		return zoneOfInts(v.I64[from:to], v.Type.Unsigned)
	}
	if v.Valid == nil && v.Off != nil {
		for i := from; i < to; i++ {
			p := bytesPrefix(v.Data[v.Off[i]:v.Off[i+1]])
			z.Min, z.Max = min(z.Min, p), max(z.Max, p)
		}
		return z
	}
	for i := from; i < to; i++ {
		if v.IsNull(i) {
			continue
		}
		p := Prefix(v, i)
		z.Min, z.Max = min(z.Min, p), max(z.Max, p)
	}
	return z
}

func zoneOfInts(vals []int64, unsigned bool) Zone {
	if len(vals) == 0 {
		return emptyZone
	}
	lo, hi := rangeOf(vals)
	if !unsigned {
		const sign = uint64(1) << 63
		return Zone{Min: uint64(lo) ^ sign, Max: uint64(hi) ^ sign}
	}
	if lo >= 0 || hi < 0 {
		return Zone{Min: uint64(lo), Max: uint64(hi)}
	}
	z := emptyZone
	for _, x := range vals { // the negative ones are the large ones
		z.Min, z.Max = min(z.Min, uint64(x)), max(z.Max, uint64(x))
	}
	return z
}
