package rowset

import (
	"encoding/binary"
	"fmt"

	"stele/meta/contain"
	"stele/meta/types"
	"stele/sql/vec"
)

// Encodings of one vector. The numbers are stored: append, never renumber.
const (
	encConst   = 0  // one value for all rows
	encFOR     = 1  // ints: minimum and bit-packed differences from it
	encDelta   = 2  // ints: first value, minimum step and bit-packed steps (sorted keys)
	encRaw     = 3  // fixed-width values as they are
	encNarrow  = 4  // wide decimals that fit 64 bits: an int vector
	encDict    = 5  // bytes: distinct values, and codes as an int vector
	encPlain   = 6  // bytes: lengths as an int vector, then the bytes
	encBlocks  = 7  // bytes: lengths as an int vector, then blocks of rows, each compressed on its own
	encAllNull = 8  // no row has a value
	encRuns    = 9  // ints: values and lengths of runs, both as int vectors
	encScaled  = 10 // floats: a power of ten, and the values times it as an int vector
	encShared  = 11 // bytes: codes, as an int vector, of the dictionary of the chunk
)

// Validity of one vector.
const (
	validAll    = 0
	validBitmap = 1
)

// AppendVector appends the rows [from, to) of v, encoded as a vector that stands alone, to dst. At most vec.MaxRows rows.
func AppendVector(dst []byte, v *vec.Vector, from, to int) []byte {
	return appendVector(dst, &chunk{v: v, codec: codecLZ4}, from, to)
}

func appendVector(dst []byte, c *chunk, from, to int) []byte {
	if c.cut > 0 {
		return c.appendWide(dst, from, to)
	}
	return c.appendHead(dst, from, to)
}

// appendHead appends the rows [from, to), but for the blocks of a wide column.
func (c *chunk) appendHead(dst []byte, from, to int) []byte {
	v, n := c.v, to-from
	firstValid, nulls := nullsOf(v, from, to)
	if n > 0 && nulls == n {
		return append(dst, encAllNull, validAll)
	}
	encAt := len(dst)
	dst = append(dst, 0, validAll)
	if nulls > 0 {
		dst[encAt+1] = validBitmap
		dst = appendValidity(dst, v, from, to)
	}
	var enc byte
	switch v.Type.Phys() {
	case types.PhysInt64:
		enc, dst = appendInts(dst, intValues(v, from, to, firstValid, nulls))
	case types.PhysFloat64:
		enc, dst = appendFloats(dst, v.F64[from:to])
	case types.PhysDec128:
		enc, dst = appendDecimals(dst, v.Dec[from:to])
	default:
		enc, dst = c.appendBytes(dst, from, to)
	}
	dst[encAt] = enc
	return dst
}

// DecodeVectorTo reads n rows of type t from src, which holds exactly one vector of AppendVector, into v, whose buffers are used as far as they
// reach.
func DecodeVectorTo(v *vec.Vector, t types.ColumnType, n int, src []byte) error {
	return decodeVector(v, t, n, encoded{src: src}, nil)
}

// decodeVector fills v, whose buffers are used again as far as they reach.
func decodeVector(v *vec.Vector, t types.ColumnType, n int, e encoded, shared *dictionary) (err error) {
	defer contain.As(&err, ErrCorrupt)
	src := e.src
	if len(src) < 2 || n < 0 || n > vec.MaxRows {
		return fmt.Errorf("vector of %d rows in %d bytes: %w", n, len(src), ErrCorrupt)
	}
	enc, validity, src := src[0], src[1], src[2:]
	if enc == encAllNull {
		*v = *vec.NewNull(t, n)
		return nil
	}
	valid := v.Valid
	v.Type, v.N, v.Valid = t, n, nil
	if validity == validBitmap {
		words := (n + 63) >> 6
		if len(src) < words*8 {
			return fmt.Errorf("validity bitmap cut short: %w", ErrCorrupt)
		}
		v.Valid = reuse(valid, words)
		for i := range v.Valid {
			v.Valid[i] = binary.LittleEndian.Uint64(src[i*8:])
		}
		src = src[words*8:]
	}
	if err := decodeValues(v, &e, enc, src, shared); err != nil {
		return fmt.Errorf("encoding %d: %w", enc, err)
	}
	zeroNulls(v)
	return nil
}

// decodeValues reads the values, which are src, of the vector e.
func decodeValues(v *vec.Vector, e *encoded, enc byte, src []byte, shared *dictionary) (err error) {
	switch v.Type.Phys() {
	case types.PhysInt64:
		v.I64 = reuse(v.I64, v.N)
		_, err = decodeIntsTo(v.I64, enc, src)
	case types.PhysFloat64:
		v.F64 = reuse(v.F64, v.N)
		err = decodeFloats(v.F64, enc, src)
	case types.PhysDec128:
		v.Dec = reuse(v.Dec, v.N)
		err = decodeDecimals(v.Dec, enc, src)
	default:
		v.Off = reuse(v.Off, v.N+1)
		v.Data, err = decodeByteValues(v.Off, v.Data, e, enc, src, shared)
	}
	return err
}

// reuse returns n values that are about to be overwritten, all of them.
func reuse[T any](s []T, n int) []T {
	if cap(s) >= n {
		return s[:n]
	}
	return make([]T, n)
}

// zeroNulls keeps the promise of vec.Vector that the slot of a NULL is zero: the encoder may have put another value
// there, and stored bytes are not to be trusted with promises. NULLs of bytes vectors are checked by the decoder of
// offsets only for bounds: a non-empty NULL is harmless, nobody reads it.
func zeroNulls(v *vec.Vector) {
	if v.Valid == nil {
		return
	}
	phys := v.Type.Phys()
	for i := range v.N {
		if !v.IsNull(i) {
			continue
		}
		switch phys {
		case types.PhysInt64:
			v.I64[i] = 0
		case types.PhysFloat64:
			v.F64[i] = 0
		case types.PhysDec128:
			v.Dec[i] = vec.Int128{}
		}
	}
}

func nullsOf(v *vec.Vector, from, to int) (firstValid, nulls int) {
	firstValid = from
	if v.Valid == nil {
		return firstValid, 0
	}
	firstValid = -1
	for i := from; i < to; i++ {
		if v.IsNull(i) {
			nulls++
		} else if firstValid < 0 {
			firstValid = i
		}
	}
	return firstValid, nulls
}

func appendValidity(dst []byte, v *vec.Vector, from, to int) []byte {
	for base := from; base < to; base += 64 {
		var w uint64
		for i := base; i < min(base+64, to); i++ {
			if !v.IsNull(i) {
				w |= 1 << uint(i-base)
			}
		}
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	return dst
}

// intValues returns the ints to encode: NULL slots take a real value, so that they do not widen the range.
func intValues(v *vec.Vector, from, to, firstValid, nulls int) []int64 {
	vals := v.I64[from:to]
	if nulls == 0 {
		return vals
	}
	out := append([]int64(nil), vals...)
	for i := range out {
		if v.IsNull(from + i) {
			out[i] = v.I64[firstValid]
		}
	}
	return out
}
