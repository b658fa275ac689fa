package vec

import (
	"bytes"
	"encoding/binary"
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

// AppendValueKey is AppendKey of a value of a type.
func AppendValueKey(dst []byte, x Value, t types.ColumnType) []byte {
	if x.Null {
		return append(dst, keyNull)
	}
	dst = append(dst, keyValue)
	switch t.Phys() {
	case types.PhysInt64:
		return binary.BigEndian.AppendUint64(dst, orderedInt(x.I, t.Unsigned))
	case types.PhysFloat64:
		return binary.BigEndian.AppendUint64(dst, orderedFloat(x.F))
	case types.PhysDec128:
		d := x.Dec128()
		dst = binary.BigEndian.AppendUint64(dst, uint64(d.Hi)^signBit)
		return binary.BigEndian.AppendUint64(dst, d.Lo)
	default:
		return appendKeyBytes(dst, x.B)
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
	var arena []byte
	var keys [][]byte
	if b.N == 1 && stride <= 2*KeyIntSize { // most statements: one piece of memory
		one := &struct {
			arena [2 * KeyIntSize]byte
			keys  [1][]byte
		}{}
		arena, keys = one.arena[:stride], one.keys[:]
	} else {
		arena, keys = make([]byte, b.N*stride), make([][]byte, b.N)
	}
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
	for i := range keys {
		keys[i] = arena[i*stride : (i+1)*stride : (i+1)*stride]
	}
	return keys
}

// KeyIntSize is how many bytes an integer takes in a key.
const KeyIntSize = 9

// KeyInt returns value number i of a key of which all values up to that one are integers; not ok when it is NULL or is not there.
func KeyInt(key []byte, i int, unsigned bool) (x int64, ok bool) {
	at := i * KeyIntSize
	if len(key) < at+KeyIntSize || key[at] != keyValue {
		return 0, false
	}
	u := binary.BigEndian.Uint64(key[at+1:])
	if !unsigned {
		u ^= signBit
	}
	return int64(u), true
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

func appendKeyBytes(dst, b []byte) []byte {
	for {
		zero := bytes.IndexByte(b, 0) // mostly there is none
		if zero < 0 {
			return append(append(dst, b...), 0, escEnd)
		}
		dst = append(append(dst, b[:zero]...), 0, escZero)
		b = b[zero+1:]
	}
}
