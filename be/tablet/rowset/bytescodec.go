package rowset

import (
	"encoding/binary"

	"github.com/pierrec/lz4/v4"

	"stele/sql/vec"
)

const (
	// maxDict is the most distinct values of a dictionary vector: codes of 8 bits.
	maxDict = 256
	// minLZ4 is the least number of bytes worth trying to compress.
	minLZ4 = 256
	// lz4Gain is the saving below which decompression costs more than it is worth (reference §3: 12 %).
	lz4Gain = 0.12
	// maxVectorBytes bounds what one vector may decode to, against damaged or hostile lengths.
	maxVectorBytes = 1 << 30
)

func appendByteValues(dst []byte, v *vec.Vector, from, to int) (byte, []byte) {
	if values, codes, ok := dictOf(v, from, to); ok {
		if len(values) == 1 {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(len(values[0])))
			return encConst, append(dst, values[0]...)
		}
		return encDict, appendDict(dst, values, codes)
	}
	lengths := make([]int64, to-from)
	for i := range lengths {
		lengths[i] = int64(v.Off[from+i+1] - v.Off[from+i])
	}
	at := len(dst)
	enc, dst := appendInts(append(dst, 0), lengths)
	dst[at] = enc
	data := v.Data[v.Off[from]:v.Off[to]]
	if block := compress(data); block != nil {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(data)))
		return encLZ4, append(dst, block...)
	}
	return encPlain, append(dst, data...)
}

// compress returns data as one LZ4 block, or nil when that is not worth it.
func compress(data []byte) []byte {
	if len(data) < minLZ4 || len(data) > maxVectorBytes {
		return nil
	}
	limit := len(data) - int(float64(len(data))*lz4Gain)
	block := make([]byte, limit)
	var c lz4.Compressor
	n, err := c.CompressBlock(data, block)
	if err != nil || n == 0 {
		return nil
	}
	return block[:n]
}

// dictOf returns the distinct values in order of appearance and the code of each row, unless a dictionary would not pay.
func dictOf(v *vec.Vector, from, to int) (values [][]byte, codes []uint8, ok bool) {
	n := to - from
	if n == 0 {
		return nil, nil, false
	}
	limit := min(maxDict, max(1, n/4)) // fewer repeats than four of each value: the dictionary saves little
	seen := make(map[string]uint8, 16)
	codes = make([]uint8, n)
	for i := range codes {
		b := v.Bytes(from + i)
		code, have := seen[string(b)]
		if !have {
			if len(values) == limit {
				return nil, nil, false
			}
			code = uint8(len(values))
			seen[string(b)] = code
			values = append(values, b)
		}
		codes[i] = code
	}
	return values, codes, true
}

func appendDict(dst []byte, values [][]byte, codes []uint8) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(values)))
	for _, b := range values {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(b)))
	}
	for _, b := range values {
		dst = append(dst, b...)
	}
	width := widthOf(uint64(len(values) - 1))
	return appendPacked(dst, len(codes), width, func(i int) uint64 { return uint64(codes[i]) })
}

func decodeByteValues(n int, enc byte, src []byte) ([]uint32, []byte, error) {
	switch enc {
	case encConst:
		return decodeConstBytes(n, src)
	case encDict:
		return decodeDict(n, src)
	case encPlain, encLZ4:
	default:
		return nil, nil, ErrCorrupt
	}
	if len(src) < 1 {
		return nil, nil, ErrCorrupt
	}
	lengths, rest, err := decodeInts(n, src[0], src[1:])
	if err != nil {
		return nil, nil, err
	}
	off := make([]uint32, n+1)
	total := int64(0)
	for i, l := range lengths {
		if l < 0 || l > maxVectorBytes || total+l > maxVectorBytes {
			return nil, nil, ErrCorrupt
		}
		total += l
		off[i+1] = uint32(total)
	}
	if enc == encPlain {
		if int64(len(rest)) != total {
			return nil, nil, ErrCorrupt
		}
		return off, append(make([]byte, 0, total), rest...), nil
	}
	data, err := decompress(rest, total)
	return off, data, err
}

func decompress(src []byte, total int64) ([]byte, error) {
	// An LZ4 block expands by at most 255, which bounds the allocation before any of it is trusted.
	if len(src) < 4 || int64(binary.LittleEndian.Uint32(src)) != total || total > 255*int64(len(src)) {
		return nil, ErrCorrupt
	}
	data := make([]byte, total)
	n, err := lz4.UncompressBlock(src[4:], data)
	if err != nil || int64(n) != total {
		return nil, ErrCorrupt
	}
	return data, nil
}

func decodeConstBytes(n int, src []byte) ([]uint32, []byte, error) {
	if len(src) < 4 {
		return nil, nil, ErrCorrupt
	}
	size := int64(binary.LittleEndian.Uint32(src))
	if src = src[4:]; int64(len(src)) != size || size*int64(n) > maxVectorBytes {
		return nil, nil, ErrCorrupt
	}
	off := make([]uint32, n+1)
	data := make([]byte, 0, int(size)*n)
	for i := range n {
		data = append(data, src...)
		off[i+1] = uint32(len(data))
	}
	return off, data, nil
}

func decodeDict(n int, src []byte) ([]uint32, []byte, error) {
	if len(src) < 2 {
		return nil, nil, ErrCorrupt
	}
	count := int(binary.LittleEndian.Uint16(src))
	src = src[2:]
	if count < 2 || count > maxDict || len(src) < 4*count {
		return nil, nil, ErrCorrupt
	}
	values := make([][]byte, count)
	rest := src[4*count:]
	for i := range values {
		size := int64(binary.LittleEndian.Uint32(src[4*i:]))
		if size > int64(len(rest)) {
			return nil, nil, ErrCorrupt
		}
		values[i], rest = rest[:size], rest[size:]
	}
	width := widthOf(uint64(count - 1))
	if len(rest) < packedLen(n, width) {
		return nil, nil, ErrCorrupt
	}
	codes := make([]int64, n)
	unpackInts(codes, rest, 0, width)
	return gatherDict(values, codes)
}

func gatherDict(values [][]byte, codes []int64) ([]uint32, []byte, error) {
	off := make([]uint32, len(codes)+1)
	total := int64(0)
	for i, c := range codes {
		if c >= int64(len(values)) {
			return nil, nil, ErrCorrupt
		}
		total += int64(len(values[c]))
		if total > maxVectorBytes {
			return nil, nil, ErrCorrupt
		}
		off[i+1] = uint32(total)
	}
	data := make([]byte, 0, total)
	for _, c := range codes {
		data = append(data, values[c]...)
	}
	return off, data, nil
}
