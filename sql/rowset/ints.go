package rowset

import (
	"encoding/binary"
	"math"

	"stele/sql/vec"
)

// runShare: run lengths are tried when a run has at least so many rows on average.
const runShare = 3

// runGain is how small runs must be beside the other encodings, which decode faster and mostly have random access.
const runGain = 0.7

// intStats is what decides how ints are encoded.
type intStats struct {
	lo, hi         int64
	stepLo, stepHi int64
	overflow       bool // a step does not fit 64 bits
	runs           int
}

func statsOf(vals []int64) intStats {
	s := intStats{stepLo: math.MaxInt64, stepHi: math.MinInt64, runs: 1}
	s.lo, s.hi = rangeOf(vals)
	if s.lo == s.hi {
		return s
	}
	last := vals[0]
	for _, x := range vals[1:] {
		step := x - last
		s.stepLo, s.stepHi = min(s.stepLo, step), max(s.stepHi, step)
		if step != 0 {
			s.runs++
		}
		last = x
	}
	if uint64(s.hi)-uint64(s.lo) > math.MaxInt64 { // else no step is longer than that
		for i, x := range vals[1:] {
			s.overflow = s.overflow || (x-vals[i] < 0) != (x < vals[i])
		}
	}
	return s
}

// rangeOf returns the least and the greatest of some values. Two at a time wait for two that came before, not for one another.
func rangeOf(vals []int64) (lo, hi int64) {
	lo, hi = vals[0], vals[0]
	lo2, hi2 := lo, hi
	for ; len(vals) >= 4; vals = vals[4:] {
		a, b, c, d := vals[0], vals[1], vals[2], vals[3]
		lo, hi = min(lo, a, c), max(hi, a, c)
		lo2, hi2 = min(lo2, b, d), max(hi2, b, d)
	}
	for _, x := range vals {
		lo, hi = min(lo, x), max(hi, x)
	}
	return min(lo, lo2), max(hi, hi2)
}

// appendInts appends the values in the shortest of the int encodings and returns which.
func appendInts(dst []byte, vals []int64) (byte, []byte) {
	if len(vals) == 0 {
		return encRaw, dst
	}
	s := statsOf(vals)
	if s.lo != s.hi && s.runs*runShare <= len(vals) {
		runs := appendRuns(nil, vals, s.runs)
		if enc, flat := appendFlatInts(nil, vals, s); float64(len(runs)) > runGain*float64(len(flat)) {
			return enc, append(dst, flat...)
		}
		return encRuns, append(dst, runs...)
	}
	return appendFlatInts(dst, vals, s)
}

// appendFlatInts is appendInts without run lengths.
func appendFlatInts(dst []byte, vals []int64, s intStats) (byte, []byte) {
	if s.lo == s.hi {
		return encConst, binary.LittleEndian.AppendUint64(dst, uint64(s.lo))
	}
	width := widthOf(uint64(s.hi) - uint64(s.lo))
	if stepWidth := widthOf(uint64(s.stepHi) - uint64(s.stepLo)); !s.overflow && stepWidth+2 <= width && stepWidth <= maxPackWidth {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(vals[0]))
		dst = binary.LittleEndian.AppendUint64(dst, uint64(s.stepLo))
		dst = append(dst, byte(stepWidth))
		steps := make([]int64, len(vals)-1)
		for i := range steps {
			steps[i] = vals[i+1] - vals[i]
		}
		return encDelta, appendPacked(dst, steps, uint64(s.stepLo), stepWidth)
	}
	if width > maxPackWidth {
		for _, x := range vals {
			dst = binary.LittleEndian.AppendUint64(dst, uint64(x))
		}
		return encRaw, dst
	}
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.lo))
	dst = append(dst, byte(width))
	return encFOR, appendPacked(dst, vals, uint64(s.lo), width)
}

// appendRuns appends the number of runs, then their values and their lengths, as int vectors.
func appendRuns(dst []byte, vals []int64, n int) []byte {
	values, lengths := make([]int64, 0, n), make([]int64, 0, n)
	for i, x := range vals {
		if i == 0 || x != vals[i-1] {
			values, lengths = append(values, x), append(lengths, 0)
		}
		lengths[len(lengths)-1]++
	}
	dst = binary.LittleEndian.AppendUint16(dst, uint16(n))
	for _, part := range [][]int64{values, lengths} {
		at := len(dst)
		enc, out := appendFlatInts(append(dst, 0), part, statsOf(part))
		out[at] = enc
		dst = out
	}
	return dst
}

// decodeIntsTo fills out and returns what follows the ints.
func decodeIntsTo(out []int64, enc byte, src []byte) ([]byte, error) {
	if enc == encRuns {
		return decodeRuns(out, src)
	}
	return decodeFlatInts(out, enc, src)
}

func decodeFlatInts(out []int64, enc byte, src []byte) ([]byte, error) {
	n := len(out)
	switch enc {
	case encConst:
		if len(src) < 8 {
			return nil, ErrCorrupt
		}
		x := int64(binary.LittleEndian.Uint64(src))
		for i := range out {
			out[i] = x
		}
		return src[8:], nil
	case encFOR:
		if len(src) < 9 || uint(src[8]) > maxPackWidth || len(src)-9 < packedLen(n, uint(src[8])) {
			return nil, ErrCorrupt
		}
		width := uint(src[8])
		unpackInts(out, src[9:], binary.LittleEndian.Uint64(src), width)
		return src[9+packedLen(n, width):], nil
	case encDelta:
		return decodeDelta(out, src)
	case encRaw:
		if len(src) < 8*n {
			return nil, ErrCorrupt
		}
		for i := range out {
			out[i] = int64(binary.LittleEndian.Uint64(src[8*i:]))
		}
		return src[8*n:], nil
	}
	return nil, ErrCorrupt
}

// fewDecoded is of how many values of a vector at most one is wanted when those are unpacked one by one.
const fewDecoded = 4

// unpackRows fills some places of out from values that are packed as encFOR has them.
func unpackRows(out []int64, src []byte, rows []int32) error {
	if len(src) < 9 || uint(src[8]) > maxPackWidth || len(src)-9 < packedLen(len(out), uint(src[8])) {
		return ErrCorrupt
	}
	base, width, packed := int64(binary.LittleEndian.Uint64(src)), uint(src[8]), src[9:]
	for _, row := range rows {
		out[row] = base + unpackOne(packed, int(row), width)
	}
	return nil
}

func decodeDelta(out []int64, src []byte) ([]byte, error) {
	n := len(out)
	if n == 0 || len(src) < 17 || uint(src[16]) > maxPackWidth || len(src)-17 < packedLen(n-1, uint(src[16])) {
		return nil, ErrCorrupt
	}
	width := uint(src[16])
	out[0] = int64(binary.LittleEndian.Uint64(src))
	unpackInts(out[1:], src[17:], binary.LittleEndian.Uint64(src[8:]), width)
	sum := out[0]
	for i, step := range out[1:] {
		sum += step
		out[1+i] = sum
	}
	return src[17+packedLen(n-1, width):], nil
}

func decodeRuns(out []int64, src []byte) ([]byte, error) {
	if len(src) < 2 {
		return nil, ErrCorrupt
	}
	n := int(binary.LittleEndian.Uint16(src))
	if src = src[2:]; n == 0 || n > len(out) {
		return nil, ErrCorrupt
	}
	if n > vec.MaxRows {
		return nil, ErrCorrupt
	}
	room := scratchPool.Get().(*scratch)
	defer scratchPool.Put(room)
	parts := [2][]int64{room.ints[0][:n], room.ints[1][:n]} // values, lengths
	for i := range parts {
		if len(src) < 1 {
			return nil, ErrCorrupt
		}
		rest, err := decodeFlatInts(parts[i], src[0], src[1:])
		if err != nil {
			return nil, err
		}
		src = rest
	}
	at := 0
	for i, x := range parts[0] {
		length := parts[1][i]
		rest := out[at:]
		if length < 1 || length > int64(len(rest)) {
			return nil, ErrCorrupt
		}
		if length <= 8 && len(rest) >= 8 { // no loop whose end cannot be foreseen: the next runs cover what is too much
			d := (*[8]int64)(rest)
			d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7] = x, x, x, x, x, x, x, x
		} else {
			for j := range rest[:length] {
				rest[j] = x
			}
		}
		at += int(length)
	}
	if at != len(out) {
		return nil, ErrCorrupt
	}
	return src, nil
}

// pickInt returns value row of n ints: one load where the encoding has random access, otherwise all are decoded.
func pickInt(n, row int, enc byte, src []byte) (int64, bool) {
	switch enc {
	case encConst:
		if len(src) < 8 {
			return 0, false
		}
		return int64(binary.LittleEndian.Uint64(src)), true
	case encFOR:
		if len(src) < 9 || uint(src[8]) > maxPackWidth || len(src)-9 < packedLen(n, uint(src[8])) {
			return 0, false
		}
		return int64(binary.LittleEndian.Uint64(src)) + unpackOne(src[9:], row, uint(src[8])), true
	case encRaw:
		if len(src) < 8*n {
			return 0, false
		}
		return int64(binary.LittleEndian.Uint64(src[8*row:])), true
	case encDelta:
		return pickDelta(n, row, src)
	case encRuns:
		return pickRuns(n, row, src)
	}
	return 0, false
}

// pickDelta adds up the steps before a row.
func pickDelta(n, row int, src []byte) (int64, bool) {
	if n == 0 || n > vec.MaxRows || len(src) < 17 || uint(src[16]) > maxPackWidth || len(src)-17 < packedLen(n-1, uint(src[16])) {
		return 0, false
	}
	x, base, width := int64(binary.LittleEndian.Uint64(src)), binary.LittleEndian.Uint64(src[8:]), uint(src[16])
	if width == 0 {
		return x + int64(base)*int64(row), true
	}
	room := scratchPool.Get().(*scratch)
	defer scratchPool.Put(room)
	steps := room.ints[0][:row]
	unpackInts(steps, src[17:], base, width)
	for _, step := range steps {
		x += step
	}
	return x, true
}

// pickRuns decodes the lengths of runs, and one value.
func pickRuns(n, row int, src []byte) (int64, bool) {
	if len(src) < 3 || n > vec.MaxRows {
		return 0, false
	}
	runs := int(binary.LittleEndian.Uint16(src))
	size, ok := flatSize(runs, src[2], src[3:])
	if !ok || runs > n || len(src)-3 <= size {
		return 0, false
	}
	values, lengths := src[3:3+size], src[3+size:]
	room := scratchPool.Get().(*scratch)
	defer scratchPool.Put(room)
	buf := room.ints[1][:runs]
	if _, err := decodeFlatInts(buf, lengths[0], lengths[1:]); err != nil {
		return 0, false
	}
	end := int64(0)
	for i, length := range buf {
		if length < 1 || length > int64(n) {
			return 0, false
		}
		if end += length; int64(row) < end {
			return pickInt(runs, i, src[2], values)
		}
	}
	return 0, false
}

// flatSize is how many bytes n ints take that are no runs.
func flatSize(n int, enc byte, src []byte) (size int, ok bool) {
	switch enc {
	case encConst:
		size = 8
	case encFOR:
		if len(src) < 9 || uint(src[8]) > maxPackWidth {
			return 0, false
		}
		size = 9 + packedLen(n, uint(src[8]))
	case encDelta:
		if n == 0 || len(src) < 17 || uint(src[16]) > maxPackWidth {
			return 0, false
		}
		size = 17 + packedLen(n-1, uint(src[16]))
	case encRaw:
		size = 8 * n
	default:
		return 0, false
	}
	return size, n > 0 && size <= len(src)
}

// decodeSome returns count of len(room) ints, from number first on, a multiple of 8, and what follows all of them. Only where they
// are packed the others are left alone.
func decodeSome(room []int64, first, count int, enc byte, src []byte) (vals []int64, rest []byte, err error) {
	vals = room[first : first+count]
	if enc != encFOR || count == len(room) {
		rest, err = decodeIntsTo(room, enc, src)
		return vals, rest, err
	}
	size, ok := flatSize(len(room), enc, src)
	if !ok {
		return nil, nil, ErrCorrupt
	}
	width := uint(src[8])
	unpackInts(vals, src[9+first/8*int(width):], binary.LittleEndian.Uint64(src), width)
	return vals, src[size:], nil
}
