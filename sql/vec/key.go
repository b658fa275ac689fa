package vec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"stele/meta/types"
)

// A memcomparable key is the values of some columns as one byte string whose byte order is the order of the tuples:
// comparing, hashing and range-testing keys needs no knowledge of the types. Each value is a tag byte followed by its
// payload, so that NULL sorts before every value and keys of nullable and NOT NULL columns compare alike.
//
//	NULL        00
//	PhysInt64   01 + 8 bytes big-endian, sign bit flipped (as it is when the type is unsigned)
//	PhysFloat64 01 + 8 bytes big-endian; -0 = +0, every NaN alike and above +Inf
//	PhysDec128  01 + 16 bytes big-endian, sign bit flipped
//	PhysBytes   01 + the bytes with 00 written as 00 FF, then 00 01
//
// Strings compare as bytes: the only collation of keys is binary. The encoding is stored on disk and decides which
// bucket and partition a row belongs to: it never changes.
const (
	keyNull    = 0x00
	keyValue   = 0x01
	escZero    = 0xFF // follows a 00 that is part of the value
	escEnd     = 0x01 // follows the 00 that ends the value; below escZero, so that a prefix sorts first
	signBit    = uint64(1) << 63
	keyNaNBits = 0x7FF8000000000001
)

// ErrKey says that bytes are not a memcomparable key of the wanted types.
var ErrKey = errors.New("malformed key")

// AppendKey appends the memcomparable form of row of v to dst.
func AppendKey(dst []byte, v *Vector, row int) []byte {
	if v.IsNull(row) {
		return append(dst, keyNull)
	}
	dst = append(dst, keyValue)
	switch v.Type.Phys() {
	case types.PhysInt64:
		return binary.BigEndian.AppendUint64(dst, orderedInt(v.I64[row], v.Type.Unsigned))
	case types.PhysFloat64:
		return binary.BigEndian.AppendUint64(dst, orderedFloat(v.F64[row]))
	case types.PhysDec128:
		d := v.Dec[row]
		dst = binary.BigEndian.AppendUint64(dst, uint64(d.Hi)^signBit)
		return binary.BigEndian.AppendUint64(dst, d.Lo)
	default:
		return appendKeyBytes(dst, v.Bytes(row))
	}
}

// AppendRowKey appends the key of one row over the columns cols of b, in that order.
func AppendRowKey(dst []byte, b *Batch, cols []int, row int) []byte {
	for _, c := range cols {
		dst = AppendKey(dst, b.Cols[c], row)
	}
	return dst
}

// EncodeKeys returns the keys over the columns cols of every row that counts in b, in the order of b. The keys share
// one buffer and must not be appended to.
func EncodeKeys(b *Batch, cols []int) [][]byte {
	n := b.Rows()
	if keys := fixedKeys(b, cols); keys != nil {
		return keys
	}
	arena := make([]byte, 0, n*keySizeHint(b, cols))
	ends := make([]int, n)
	for i := range n {
		row := i
		if b.Sel != nil {
			row = int(b.Sel[i])
		}
		arena = AppendRowKey(arena, b, cols, row)
		ends[i] = len(arena)
	}
	keys := make([][]byte, n)
	start := 0
	for i, end := range ends {
		keys[i] = arena[start:end:end]
		start = end
	}
	return keys
}

// fixedKeys is EncodeKeys over integers none of which is NULL, column by column; nil when the keys are others.
func fixedKeys(b *Batch, cols []int) [][]byte {
	if b.Sel != nil {
		return nil
	}
	for _, c := range cols {
		if v := b.Cols[c]; v.Valid != nil || v.Type.Phys() != types.PhysInt64 {
			return nil
		}
	}
	stride := 9 * len(cols)
	arena := make([]byte, b.N*stride)
	for k, c := range cols {
		flip := signBit
		if b.Cols[c].Type.Unsigned {
			flip = 0
		}
		at := 9 * k
		for _, x := range b.Cols[c].I64[:b.N] {
			out := arena[at : at+9]
			out[0] = keyValue
			binary.BigEndian.PutUint64(out[1:], uint64(x)^flip)
			at += stride
		}
	}
	keys := make([][]byte, b.N)
	for i := range keys {
		keys[i] = arena[i*stride : (i+1)*stride : (i+1)*stride]
	}
	return keys
}

// DecodeKey reads a key over columns of the types ts back into vectors of one row each. The whole key must be used.
func DecodeKey(ts []types.ColumnType, key []byte) ([]*Vector, error) {
	out := make([]*Vector, len(ts))
	for i, t := range ts {
		v := &Vector{Type: t, N: 1}
		rest, err := decodeKeyValue(v, key)
		if err != nil {
			return nil, fmt.Errorf("key column %d: %w", i, err)
		}
		out[i], key = v, rest
	}
	if len(key) != 0 {
		return nil, fmt.Errorf("%d bytes after the last column: %w", len(key), ErrKey)
	}
	return out, nil
}

// KeySuccessor returns the smallest key that is greater than every key which begins with prefix: the exclusive upper
// bound of a prefix range. It is nil when there is none.
func KeySuccessor(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xFF {
			out := append([]byte(nil), prefix[:i+1]...)
			out[i]++
			return out
		}
	}
	return nil
}

func keySizeHint(b *Batch, cols []int) int {
	size := 0
	for _, c := range cols {
		v := b.Cols[c]
		switch v.Type.Phys() {
		case types.PhysDec128:
			size += 17
		case types.PhysBytes:
			size += 4 + len(v.Data)/max(v.N, 1)
		default:
			size += 9
		}
	}
	return size
}

func orderedInt(x int64, unsigned bool) uint64 {
	if unsigned {
		return uint64(x)
	}
	return uint64(x) ^ signBit
}

func orderedFloat(f float64) uint64 {
	bits := math.Float64bits(f)
	switch {
	case f == 0:
		bits = 0
	case f != f:
		bits = keyNaNBits
	}
	if bits&signBit != 0 {
		return ^bits
	}
	return bits | signBit
}

func floatFromOrdered(u uint64) float64 {
	if u&signBit != 0 {
		return math.Float64frombits(u &^ signBit)
	}
	return math.Float64frombits(^u)
}

func appendKeyBytes(dst, b []byte) []byte {
	for _, c := range b {
		if c == 0 {
			dst = append(dst, 0, escZero)
		} else {
			dst = append(dst, c)
		}
	}
	return append(dst, 0, escEnd)
}

// decodeKeyValue fills the one-row vector v from the front of key and returns what follows.
func decodeKeyValue(v *Vector, key []byte) ([]byte, error) {
	if len(key) == 0 {
		return nil, ErrKey
	}
	tag, key := key[0], key[1:]
	phys := v.Type.Phys()
	switch tag {
	case keyNull:
		v.Valid = []uint64{0}
		setZero(v, phys)
		return key, nil
	case keyValue:
	default:
		return nil, fmt.Errorf("tag %#x: %w", tag, ErrKey)
	}
	switch phys {
	case types.PhysBytes:
		return decodeKeyBytes(v, key)
	case types.PhysDec128:
		if len(key) < 16 {
			return nil, ErrKey
		}
		v.Dec = []Int128{{Hi: int64(binary.BigEndian.Uint64(key) ^ signBit), Lo: binary.BigEndian.Uint64(key[8:])}}
		return key[16:], nil
	}
	if len(key) < 8 {
		return nil, ErrKey
	}
	u := binary.BigEndian.Uint64(key)
	switch {
	case phys == types.PhysFloat64:
		v.F64 = []float64{floatFromOrdered(u)}
	case v.Type.Unsigned:
		v.I64 = []int64{int64(u)}
	default:
		v.I64 = []int64{int64(u ^ signBit)}
	}
	return key[8:], nil
}

func setZero(v *Vector, phys types.Phys) {
	switch phys {
	case types.PhysInt64:
		v.I64 = []int64{0}
	case types.PhysFloat64:
		v.F64 = []float64{0}
	case types.PhysDec128:
		v.Dec = []Int128{{}}
	default:
		v.Off = []uint32{0, 0}
	}
}

func decodeKeyBytes(v *Vector, key []byte) ([]byte, error) {
	data := make([]byte, 0, len(key))
	for i := 0; i < len(key); i++ {
		if key[i] != 0 {
			data = append(data, key[i])
			continue
		}
		if i++; i == len(key) {
			break
		}
		switch key[i] {
		case escZero:
			data = append(data, 0)
		case escEnd:
			v.Off, v.Data = []uint32{0, uint32(len(data))}, data
			return key[i+1:], nil
		default:
			return nil, ErrKey
		}
	}
	return nil, ErrKey
}
