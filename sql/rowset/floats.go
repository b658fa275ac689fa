package rowset

import (
	"encoding/binary"
	"math"

	"stele/sql/vec"
)

// maxScale is the largest power of ten that floats are tried with: amounts and measurements have few decimals.
const maxScale = 6

// maxScaled keeps scaled floats among the integers that a float holds exactly.
const maxScaled = 1 << 52

var powersOfTen = [maxScale + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6}

func appendFloats(dst []byte, vals []float64) (byte, []byte) {
	if len(vals) == 0 {
		return encRaw, dst
	}
	if scale, ints, ok := scaledFloats(vals); ok {
		start := len(dst)
		enc, out := appendInts(append(dst, byte(scale), 0), ints)
		if out[start+1] = enc; len(out)-start < 8*len(vals) || len(vals) == 1 {
			return encScaled, out
		}
		dst = out[:start]
	}
	same := true
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

// scaledFloats finds a power of ten with which all values are integers, and gives back every bit of them.
func scaledFloats(vals []float64) (scale int, ints []int64, ok bool) {
	for _, x := range vals {
		for !exactAt(x, scale) {
			if scale++; scale > maxScale {
				return 0, nil, false
			}
		}
	}
	ints = make([]int64, len(vals))
	for i, x := range vals {
		if !exactAt(x, scale) { // a value that was exact at a smaller scale need not be at this one
			return 0, nil, false
		}
		ints[i] = int64(math.Round(x * powersOfTen[scale]))
	}
	return scale, ints, true
}

func exactAt(x float64, scale int) bool {
	y := math.Round(x * powersOfTen[scale])
	return math.Abs(y) <= maxScaled && math.Float64bits(float64(int64(y))/powersOfTen[scale]) == math.Float64bits(x)
}

func decodeFloats(out []float64, enc byte, src []byte) error {
	n := len(out)
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
	case enc == encScaled && len(src) >= 2 && src[0] <= maxScale:
		var buf [vec.MaxRows]int64
		if n > len(buf) {
			return ErrCorrupt
		}
		if _, err := decodeIntsTo(buf[:n], src[1], src[2:]); err != nil {
			return err
		}
		power := powersOfTen[src[0]]
		for i := range out {
			out[i] = float64(buf[i]) / power
		}
	default:
		return ErrCorrupt
	}
	return nil
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

func decodeDecimals(out []vec.Int128, enc byte, src []byte) error {
	n := len(out)
	switch {
	case enc == encNarrow && len(src) >= 1:
		var low [vec.MaxRows]int64
		if n > len(low) {
			return ErrCorrupt
		}
		if _, err := decodeIntsTo(low[:n], src[0], src[1:]); err != nil {
			return err
		}
		for i, x := range low[:n] {
			out[i] = vec.Int128{Hi: x >> 63, Lo: uint64(x)}
		}
	case enc == encRaw && len(src) >= 16*n:
		for i := range out {
			out[i] = vec.Int128{Lo: binary.LittleEndian.Uint64(src[16*i:]), Hi: int64(binary.LittleEndian.Uint64(src[16*i+8:]))}
		}
	default:
		return ErrCorrupt
	}
	return nil
}
