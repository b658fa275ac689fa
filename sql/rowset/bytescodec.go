package rowset

import (
	"encoding/binary"

	"stele/sql/vec"
)

// maxVectorBytes bounds what one vector may decode to, against damaged or hostile lengths.
const maxVectorBytes = 1 << 30

// chunk is how the vectors of one column of a row group are encoded, chosen once for all of them.
type chunk struct {
	v      *vec.Vector
	codec  byte     // of bytes without a dictionary
	values [][]byte // the dictionary that all vectors share, or none
	codes  []uint16 // of all rows
	varied bool     // it is one vector, and has too many values for a dictionary
	cut    cut      // of blocks, where there is no dictionary
	wide   wideBlocks

	prefixes []uint64 // of values
}

// fewRows and fewBytes are up to what a chunk is not worth samples: what is as small is on its way into a larger row group.
const fewRows, fewBytes = vec.MaxRows / 2, 64 << 10

// chooseChunk samples the rows of a chunk.
func chooseChunk(v *vec.Vector, rows int) *chunk {
	c := &chunk{v: v, codec: codecLZ4}
	if v.Off == nil || rows == 0 {
		return c
	}
	sample := min(rows, vec.MaxRows)
	if rows > vec.MaxRows {
		// A chunk that repeats itself does so in its first vector too, or hardly gains from a dictionary.
		d := newDictBuilder(sample / 2)
		for i := range sample {
			if _, ok := d.code(v.Bytes(i)); !ok {
				c.cut = cutOf(rows, int(v.Off[rows]-v.Off[0]))
				c.codec = sampleCodec(v, rows, c.cut)
				return c
			}
		}
	}
	if values, codes, ok := codesOf(v, 0, rows, maxChunkDict); ok {
		c.values, c.codes = values, codes
		return c
	}
	c.cut = cutOf(rows, int(v.Off[rows]-v.Off[0]))
	if c.varied = rows <= vec.MaxRows; rows > fewRows || v.Off[rows]-v.Off[0] > fewBytes {
		c.codec = sampleCodec(v, rows, c.cut)
	}
	return c
}

// zoneOf returns the zone of the rows [from, to): of their codes, where there is a dictionary.
func (c *chunk) zoneOf(from, to int) Zone {
	if c.values == nil || c.v.Valid != nil {
		return zoneOf(c.v, from, to)
	}
	if c.prefixes == nil {
		for _, b := range c.values {
			c.prefixes = append(c.prefixes, bytesPrefix(b))
		}
	}
	z := emptyZone
	for _, code := range c.codes[from:to] {
		p := c.prefixes[code]
		z.Min, z.Max = min(z.Min, p), max(z.Max, p)
	}
	return z
}

// appendBytes appends the rows [from, to) in the chosen form.
func (c *chunk) appendBytes(dst []byte, from, to int) (byte, []byte) {
	if c.values != nil {
		return encShared, appendCodes(dst, c.codes[from:to])
	}
	if c.varied {
		return c.appendTexts(dst, from, to)
	}
	return c.appendByteValues(dst, from, to)
}

// appendByteValues appends bytes as a vector that stands alone.
func (c *chunk) appendByteValues(dst []byte, from, to int) (byte, []byte) {
	v := c.v
	if to == from+1 && len(v.Bytes(from)) <= maxDictBytes { // a constant, without a dictionary to find that out
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(v.Bytes(from))))
		return encConst, append(dst, v.Bytes(from)...)
	}
	if values, codes, ok := codesOf(v, from, to, maxVectorDict); ok {
		if len(values) == 1 {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(len(values[0])))
			return encConst, append(dst, values[0]...)
		}
		return encDict, appendCodes(appendDictValues(dst, values), codes)
	}
	return c.appendTexts(dst, from, to)
}

// appendTexts appends bytes that hardly repeat.
func (c *chunk) appendTexts(dst []byte, from, to int) (byte, []byte) {
	v := c.v
	room := scratchPool.Get().(*scratch)
	defer scratchPool.Put(room)
	lengths := room.ints[0][:to-from]
	for i := range lengths {
		lengths[i] = int64(v.Off[from+i+1] - v.Off[from+i])
	}
	at := len(dst)
	enc, dst := appendInts(append(dst, 0), lengths)
	dst[at] = enc
	if raw := int(v.Off[to] - v.Off[from]); c.cut > 0 && raw <= maxVectorBytes {
		c.wide.add(c.cut, c.codec, v, from, to)
		return encBlocks, append(dst, c.codec)
	}
	if dst, ok := appendBlocks(dst, c.codec, v, from, to); ok {
		return encBlocks, dst
	}
	return encPlain, append(dst, v.Data[v.Off[from]:v.Off[to]]...)
}

// decodeByteValues fills off and returns the bytes, in data if they fit.
func decodeByteValues(off []uint32, data []byte, e *encoded, enc byte, src []byte, shared *dictionary) ([]byte, error) {
	switch enc {
	case encConst:
		return decodeConstBytes(off, data, src)
	case encDict:
		d, rest, err := parseDict(src)
		if err != nil {
			return nil, err
		}
		return d.decode(off, data, rest)
	case encShared:
		if shared == nil {
			return nil, ErrCorrupt
		}
		return shared.decode(off, data, src)
	case encPlain, encBlocks:
	default:
		return nil, ErrCorrupt
	}
	rest, err := decodeOffsets(off, 0, len(off)-1, src)
	if err != nil {
		return nil, err
	}
	if enc == encBlocks {
		return decodeBlocks(off, data, e, rest)
	}
	if len(rest) != int(off[len(off)-1]) {
		return nil, ErrCorrupt
	}
	data = reuse(data, len(rest))
	copy(data, rest)
	return data, nil
}

// decodeOffsets reads the lengths of n values, adds up len(off)-1 of them from number first on, a multiple of 8, and returns what
// follows all of them.
func decodeOffsets(off []uint32, first, n int, src []byte) ([]byte, error) {
	if len(src) < 1 || n > vec.MaxRows {
		return nil, ErrCorrupt
	}
	room := scratchPool.Get().(*scratch)
	defer scratchPool.Put(room)
	lengths, rest, err := decodeSome(room.ints[0][:n], first, len(off)-1, src[0], src[1:])
	if err != nil {
		return nil, err
	}
	total := uint64(0)
	off[0] = 0
	for i, l := range lengths {
		if uint64(l) > maxVectorBytes {
			return nil, ErrCorrupt
		}
		if total += uint64(l); total > maxVectorBytes {
			return nil, ErrCorrupt
		}
		off[i+1] = uint32(total)
	}
	return rest, nil
}

func decodeConstBytes(off []uint32, data, src []byte) ([]byte, error) {
	if len(src) < 4 {
		return nil, ErrCorrupt
	}
	n := len(off) - 1
	size := int64(binary.LittleEndian.Uint32(src))
	if src = src[4:]; int64(len(src)) != size || size*int64(n) > maxVectorBytes {
		return nil, ErrCorrupt
	}
	data = reuse(data, int(size)*n)
	off[0] = 0
	for i := range n {
		off[i+1] = uint32(i+1) * uint32(size)
		copy(data[off[i]:], src)
	}
	return data, nil
}

// pickBytes returns the value of one row of n, aliasing src. Rows of blocks are read by way of loadBlock.
func pickBytes(n, row int, enc byte, src, shared []byte, room *scratch) ([]byte, bool) {
	switch enc {
	case encConst:
		if len(src) < 4 || int64(binary.LittleEndian.Uint32(src)) != int64(len(src)-4) {
			return nil, false
		}
		return src[4:], true
	case encDict:
		size, ok := dictSize(src)
		if !ok {
			return nil, false
		}
		return pickShared(n, row, src[size:], src[:size])
	case encShared:
		return pickShared(n, row, src, shared)
	case encPlain:
		return pickPlain(n, row, src, room)
	}
	return nil, false
}

func pickShared(n, row int, codes, dict []byte) ([]byte, bool) {
	code, ok := pickCode(n, row, codes)
	if !ok {
		return nil, false
	}
	return pickValue(dict, code)
}

func pickPlain(n, row int, src []byte, room *scratch) ([]byte, bool) {
	if n > vec.MaxRows {
		return nil, false
	}
	off := room.off[:n+1]
	rest, err := decodeOffsets(off, 0, n, src)
	if err != nil || len(rest) != int(off[n]) {
		return nil, false
	}
	return rest[off[row]:off[row+1]], true
}

// decodeBlockAt decodes block number at of n rows, in room. src are the lengths of the rows, and what follows them.
func decodeBlockAt(n, at int, e *encoded, src []byte, room *scratch) (off []uint32, data []byte, ok bool) {
	if n > vec.MaxRows {
		return nil, nil, false
	}
	first := at * e.cut.rows()
	before := first & 7 // lengths are decoded from a multiple of 8 on
	off = room.off[:before+min(e.cut.rows(), n-first)+1]
	after, err := decodeOffsets(off, first-before, n, src)
	if err != nil {
		return nil, nil, false
	}
	if off = off[before:]; before > 0 {
		for start, i := off[0], 0; i < len(off); i++ {
			off[i] -= start
		}
	}
	codec, block, ok := e.blockAt(n, at, after)
	if !ok {
		return nil, nil, false
	}
	size := int(off[len(off)-1])
	if size > maxExpansion*len(block) {
		return nil, nil, false
	}
	room.block = reuse(room.block, size)
	if decodeBlock(codec, room.block, block) != nil {
		return nil, nil, false
	}
	return off, room.block, true
}
