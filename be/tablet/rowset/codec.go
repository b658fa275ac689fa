package rowset

import (
	"encoding/binary"
	"fmt"
	"math"

	"stele/meta/types"
	"stele/sql/vec"
)

// Encodings of one vector. The numbers are stored: append, never renumber.
const (
	encConst   = 0 // one value for all rows
	encFOR     = 1 // ints: minimum and bit-packed differences from it
	encDelta   = 2 // ints: first value, minimum step and bit-packed steps (sorted keys)
	encRaw     = 3 // fixed-width values as they are
	encNarrow  = 4 // wide decimals that fit 64 bits: an int vector
	encDict    = 5 // bytes: distinct values and bit-packed codes
	encPlain   = 6 // bytes: lengths as an int vector, then the bytes
	encLZ4     = 7 // bytes: lengths as an int vector, then one LZ4 block
	encAllNull = 8 // no row has a value
)

// Validity of one vector.
const (
	validAll    = 0
	validBitmap = 1
)

// AppendVector appends the rows [from, to) of v, encoded, to dst. At most vec.MaxRows rows.
func AppendVector(dst []byte, v *vec.Vector, from, to int) []byte {
	n := to - from
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
		enc, dst = appendByteValues(dst, v, from, to)
	}
	dst[encAt] = enc
	return dst
}

// DecodeVector reads n rows of type t from src, which holds exactly one encoded vector.
func DecodeVector(t types.ColumnType, n int, src []byte) (*vec.Vector, error) {
	if len(src) < 2 || n < 0 || n > vec.MaxRows {
		return nil, fmt.Errorf("vector of %d rows in %d bytes: %w", n, len(src), ErrCorrupt)
	}
	enc, validity, src := src[0], src[1], src[2:]
	if enc == encAllNull {
		v := NewVector(t, n)
		for range n {
			AppendNull(v)
		}
		return v, nil
	}
	v := &vec.Vector{Type: t, N: n}
	if validity == validBitmap {
		words := (n + 63) >> 6
		if len(src) < words*8 {
			return nil, fmt.Errorf("validity bitmap cut short: %w", ErrCorrupt)
		}
		v.Valid = make([]uint64, words)
		for i := range v.Valid {
			v.Valid[i] = binary.LittleEndian.Uint64(src[i*8:])
		}
		src = src[words*8:]
	}
	if err := decodeValues(v, enc, src); err != nil {
		return nil, fmt.Errorf("encoding %d: %w", enc, err)
	}
	zeroNulls(v)
	return v, nil
}

func decodeValues(v *vec.Vector, enc byte, src []byte) (err error) {
	switch v.Type.Phys() {
	case types.PhysInt64:
		v.I64, _, err = decodeInts(v.N, enc, src)
	case types.PhysFloat64:
		v.F64, err = decodeFloats(v.N, enc, src)
	case types.PhysDec128:
		v.Dec, err = decodeDecimals(v.N, enc, src)
	default:
		v.Off, v.Data, err = decodeByteValues(v.N, enc, src)
	}
	return err
}

// zeroNulls keeps the promise of vec.Vector that the slot of a NULL is zero: the encoder may have put another value
// there, and stored bytes are not to be trusted with promises. NULLs of bytes vectors are checked by the decoder of
// offsets only for bounds: a non-empty NULL is harmless, nobody reads it.
func zeroNulls(v *vec.Vector) {
	if v.Valid == nil {
		return
	}
	for i := range v.N {
		if !v.IsNull(i) {
			continue
		}
		switch {
		case v.I64 != nil:
			v.I64[i] = 0
		case v.F64 != nil:
			v.F64[i] = 0
		case v.Dec != nil:
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

func appendInts(dst []byte, vals []int64) (byte, []byte) {
	if len(vals) == 0 {
		return encRaw, dst
	}
	lo, hi := vals[0], vals[0]
	stepLo, stepHi := int64(math.MaxInt64), int64(math.MinInt64)
	overflow := false
	for i, x := range vals {
		lo, hi = min(lo, x), max(hi, x)
		if i > 0 {
			step := x - vals[i-1]
			overflow = overflow || (step < 0) != (x < vals[i-1])
			stepLo, stepHi = min(stepLo, step), max(stepHi, step)
		}
	}
	if lo == hi {
		return encConst, binary.LittleEndian.AppendUint64(dst, uint64(lo))
	}
	width := widthOf(uint64(hi) - uint64(lo))
	if stepWidth := widthOf(uint64(stepHi) - uint64(stepLo)); !overflow && stepWidth+2 <= width && stepWidth <= maxPackWidth {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(vals[0]))
		dst = binary.LittleEndian.AppendUint64(dst, uint64(stepLo))
		dst = append(dst, byte(stepWidth))
		return encDelta, appendPacked(dst, len(vals)-1, stepWidth, func(i int) uint64 {
			return uint64(vals[i+1]) - uint64(vals[i]) - uint64(stepLo)
		})
	}
	if width > maxPackWidth {
		for _, x := range vals {
			dst = binary.LittleEndian.AppendUint64(dst, uint64(x))
		}
		return encRaw, dst
	}
	dst = binary.LittleEndian.AppendUint64(dst, uint64(lo))
	dst = append(dst, byte(width))
	return encFOR, appendPacked(dst, len(vals), width, func(i int) uint64 { return uint64(vals[i]) - uint64(lo) })
}

// decodeInts returns n ints and what follows them.
func decodeInts(n int, enc byte, src []byte) ([]int64, []byte, error) {
	out := make([]int64, n)
	switch enc {
	case encConst:
		if len(src) < 8 {
			return nil, nil, ErrCorrupt
		}
		x := int64(binary.LittleEndian.Uint64(src))
		for i := range out {
			out[i] = x
		}
		return out, src[8:], nil
	case encFOR:
		if len(src) < 9 || uint(src[8]) > maxPackWidth || len(src)-9 < packedLen(n, uint(src[8])) {
			return nil, nil, ErrCorrupt
		}
		width := uint(src[8])
		unpackInts(out, src[9:], binary.LittleEndian.Uint64(src), width)
		return out, src[9+packedLen(n, width):], nil
	case encDelta:
		return decodeDelta(out, src)
	case encRaw:
		if len(src) < 8*n {
			return nil, nil, ErrCorrupt
		}
		for i := range out {
			out[i] = int64(binary.LittleEndian.Uint64(src[8*i:]))
		}
		return out, src[8*n:], nil
	}
	return nil, nil, ErrCorrupt
}

func decodeDelta(out []int64, src []byte) ([]int64, []byte, error) {
	n := len(out)
	if n == 0 || len(src) < 17 || uint(src[16]) > maxPackWidth || len(src)-17 < packedLen(n-1, uint(src[16])) {
		return nil, nil, ErrCorrupt
	}
	width := uint(src[16])
	out[0] = int64(binary.LittleEndian.Uint64(src))
	unpackInts(out[1:], src[17:], binary.LittleEndian.Uint64(src[8:]), width)
	for i := 1; i < n; i++ {
		out[i] += out[i-1]
	}
	return out, src[17+packedLen(n-1, width):], nil
}

func appendFloats(dst []byte, vals []float64) (byte, []byte) {
	same := len(vals) > 0
	for _, x := range vals {
		same = same && math.Float64bits(x) == math.Float64bits(vals[0])
	}
	if same {
		return encConst, binary.LittleEndian.AppendUint64(dst, math.Float64bits(vals[0]))
	}
	for _, x := range vals {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(x))
	}
	return encRaw, dst
}

func decodeFloats(n int, enc byte, src []byte) ([]float64, error) {
	out := make([]float64, n)
	switch {
	case enc == encConst && len(src) >= 8:
		x := math.Float64frombits(binary.LittleEndian.Uint64(src))
		for i := range out {
			out[i] = x
		}
	case enc == encRaw && len(src) >= 8*n:
		for i := range out {
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:]))
		}
	default:
		return nil, ErrCorrupt
	}
	return out, nil
}

func appendDecimals(dst []byte, vals []vec.Int128) (byte, []byte) {
	narrow := len(vals) > 0
	for _, d := range vals {
		narrow = narrow && d.Hi == int64(d.Lo)>>63
	}
	if narrow {
		low := make([]int64, len(vals))
		for i, d := range vals {
			low[i] = int64(d.Lo)
		}
		at := len(dst)
		enc, dst := appendInts(append(dst, 0), low)
		dst[at] = enc
		return encNarrow, dst
	}
	for _, d := range vals {
		dst = binary.LittleEndian.AppendUint64(dst, d.Lo)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(d.Hi))
	}
	return encRaw, dst
}

func decodeDecimals(n int, enc byte, src []byte) ([]vec.Int128, error) {
	out := make([]vec.Int128, n)
	switch {
	case enc == encNarrow && len(src) >= 1:
		low, _, err := decodeInts(n, src[0], src[1:])
		if err != nil {
			return nil, err
		}
		for i, x := range low {
			out[i] = vec.Int128{Hi: x >> 63, Lo: uint64(x)}
		}
	case enc == encRaw && len(src) >= 16*n:
		for i := range out {
			out[i] = vec.Int128{Lo: binary.LittleEndian.Uint64(src[16*i:]), Hi: int64(binary.LittleEndian.Uint64(src[16*i+8:]))}
		}
	default:
		return nil, ErrCorrupt
	}
	return out, nil
}
