package rowset

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"stele/meta/contain"
	"stele/meta/types"
	"stele/sql/vec"
)

// Total adds up vector i of column c, whose values are read as those of type t. It is not ok when they are no integers of 64 bits,
// or decimals that fit them. Packed integers are added up as they lie, which takes half the time of decoding them.
func (g *Group) Total(c, i int, t types.ColumnType) (total vec.Total, ok bool, err error) {
	if stored := columnType(g.dir[c*columnEntry:]); stored.Phys() != t.Phys() {
		return total, false, nil
	}
	switch t.Phys() {
	case types.PhysInt64, types.PhysDec128:
	default:
		return total, false, nil
	}
	src, err := g.vectorBytes(c, i)
	if err != nil {
		return total, false, err
	}
	if total, ok, err = totalOf(src, g.VectorRows(i), t); err != nil {
		return total, false, fmt.Errorf("column %d vector %d: %w", c, i, err)
	}
	return total, ok, nil
}

// totalOf adds up an encoded vector of n rows.
func totalOf(src []byte, n int, t types.ColumnType) (total vec.Total, ok bool, err error) {
	defer contain.As(&err, ErrCorrupt)
	if len(src) >= 3 && src[1] == validAll && n <= vec.MaxRows {
		switch enc := src[0]; t.Phys() {
		case types.PhysInt64:
			total, ok = totalInts(n, enc, src[2:], t.Unsigned)
		case types.PhysDec128:
			if enc == encNarrow {
				total, ok = totalInts(n, src[2], src[3:], false)
			}
		}
	}
	if ok {
		return total, true, nil
	}
	return totalDecoded(src, n, t)
}

// totalInts adds up n ints, none of them NULL, if they are packed or all the same.
func totalInts(n int, enc byte, src []byte, unsigned bool) (total vec.Total, ok bool) {
	width, packed := uint(0), []byte(nil)
	switch {
	case enc == encFOR && len(src) >= 9 && uint(src[8]) <= maxSumWidth && len(src)-9 >= packedLen(n, uint(src[8])):
		width, packed = uint(src[8]), src[9:]
	case enc == encConst && len(src) >= 8:
	default:
		return total, false
	}
	base := int64(binary.LittleEndian.Uint64(src))
	if unsigned && base < 0 || base > math.MaxInt64-int64(uint64(1)<<width-1) {
		return total, false // values may be on both sides of where 64 bits wrap around
	}
	hi, lo := mulSmall(base, uint64(n))
	total = vec.Total{Sum: vec.Int128{Hi: hi, Lo: lo}, N: int64(n)}
	total.Add(vec.Total{Sum: vec.Int128OfUint(sumPacked(packed, n, width))})
	return total, true
}

// mulSmall returns x * n in 128 bits, n below 2^31.
func mulSmall(x int64, n uint64) (hi int64, lo uint64) {
	low := uint64(uint32(x)) * n
	high := (x>>32)*int64(n) + int64(low>>32)
	return high >> 32, uint64(high)<<32 | uint64(uint32(low))
}

var totalPool = sync.Pool{New: func() any { return new(vec.Vector) }}

// totalDecoded is totalOf for all else.
func totalDecoded(src []byte, n int, t types.ColumnType) (total vec.Total, ok bool, err error) {
	if phys := t.Phys(); phys != types.PhysInt64 && phys != types.PhysDec128 {
		return total, false, nil
	}
	v := totalPool.Get().(*vec.Vector)
	defer totalPool.Put(v)
	if err := decodeVector(v, t, n, encoded{src: src}, nil); err != nil {
		return total, false, err
	}
	count := int64(n - v.NullCount())
	if t.Phys() == types.PhysInt64 {
		return vec.TotalOf(v.I64[:n], t.Unsigned, count), true, nil
	}
	if src[0] != encNarrow && src[0] != encAllNull {
		return total, false, nil
	}
	for _, x := range v.Dec[:n] { // each fits 64 bits
		total.Add(vec.Total{Sum: x})
	}
	total.N = count
	return total, true, nil
}
