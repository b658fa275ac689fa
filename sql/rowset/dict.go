package rowset

import (
	"encoding/binary"
	"math/bits"

	"stele/sql/vec"
)

const (
	// maxVectorDict is the most distinct values of the dictionary of a single vector, maxChunkDict of a chunk's.
	maxVectorDict = 256
	maxChunkDict  = 4096
	// maxDictBytes bounds a dictionary: beyond it compression does better.
	maxDictBytes = 128 << 10
	// dictRepeats: fewer repeats than so many of each value, and a dictionary saves little.
	dictRepeats = 4
)

// dictBuilder gives each distinct value a code, in order of appearance.
type dictBuilder struct {
	values [][]byte
	ends   []valueEnds // of values
	bytes  int
	limit  int
	table  []uint16 // open addressing: code+1, or 0
	last   int      // code of the value before: rows often repeat it
}

func newDictBuilder(limit int) *dictBuilder {
	return &dictBuilder{limit: limit, table: make([]uint16, 4<<bits.Len(uint(limit)))}
}

// valueEnds are both ends of a value, which is all of it up to 16 bytes.
type valueEnds struct {
	head, tail uint64
	size       int
}

func endsOf(b []byte) valueEnds {
	switch n := len(b); {
	case n >= 8:
		return valueEnds{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:]), n}
	case n >= 4:
		return valueEnds{uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:])), n}
	case n > 0:
		return valueEnds{uint64(b[0]) | uint64(b[n/2])<<8, uint64(b[n-1]), n}
	}
	return valueEnds{}
}

// hash is enough for words, and cheap.
func (e valueEnds) hash() uint64 {
	hi, lo := bits.Mul64(e.head^0x9E3779B97F4A7C15, e.tail^uint64(e.size)*0xC2B2AE3D27D4EB4F^0x165667B19E3779F9)
	return hi ^ lo
}

// is reports whether a value has the code.
func (d *dictBuilder) is(code int, e valueEnds, b []byte) bool {
	return d.ends[code] == e && (e.size <= 16 || string(d.values[code]) == string(b))
}

// code returns the code of b; false when the dictionary is full.
func (d *dictBuilder) code(b []byte) (uint16, bool) {
	e := endsOf(b)
	if len(d.values) > 0 && d.is(d.last, e, b) {
		return uint16(d.last), true
	}
	mask := len(d.table) - 1
	at := int(e.hash()) & mask
	for ; d.table[at] != 0; at = (at + 1) & mask {
		if code := int(d.table[at]) - 1; d.is(code, e, b) {
			d.last = code
			return uint16(code), true
		}
	}
	if len(d.values) == d.limit || d.bytes+len(b) > maxDictBytes {
		return 0, false
	}
	d.values, d.ends = append(d.values, b), append(d.ends, e)
	d.bytes += len(b)
	d.table[at] = uint16(len(d.values))
	d.last = len(d.values) - 1
	return uint16(d.last), true
}

// codesOf returns the dictionary and the code of each row, unless a dictionary would not pay.
func codesOf(v *vec.Vector, from, to, limit int) (values [][]byte, codes []uint16, ok bool) {
	if from == to {
		return nil, nil, false
	}
	d := newDictBuilder(min(limit, max(1, (to-from)/dictRepeats)))
	codes = make([]uint16, to-from)
	for i := range codes {
		if codes[i], ok = d.code(v.Bytes(from + i)); !ok {
			return nil, nil, false
		}
	}
	return d.values, codes, true
}

func appendDictValues(dst []byte, values [][]byte) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(values)))
	for _, b := range values {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(b)))
	}
	for _, b := range values {
		dst = append(dst, b...)
	}
	return dst
}

// appendCodes appends codes as ints, whatever suits them.
func appendCodes(dst []byte, codes []uint16) []byte {
	room := scratchPool.Get().(*scratch)
	defer scratchPool.Put(room)
	ints := room.ints[0][:len(codes)]
	for i, c := range codes {
		ints[i] = int64(c)
	}
	at := len(dst)
	enc, dst := appendInts(append(dst, 0), ints)
	dst[at] = enc
	return dst
}

// dictionary is a decoded one. values alias what it was read from.
type dictionary struct {
	values [][]byte
	words  []uint64 // the values, if none has more than 8 bytes: they are copied by one store each
	single bool     // all values have one byte, as flags do
}

// parseDict reads a dictionary and returns what follows it.
func parseDict(src []byte) (*dictionary, []byte, error) {
	if len(src) < 2 {
		return nil, nil, ErrCorrupt
	}
	count := int(binary.LittleEndian.Uint16(src))
	if src = src[2:]; count == 0 || count > maxChunkDict || len(src) < 4*count {
		return nil, nil, ErrCorrupt
	}
	d := &dictionary{values: make([][]byte, count)}
	rest, longest := src[4*count:], 0
	d.single = true
	for i := range d.values {
		size := int64(binary.LittleEndian.Uint32(src[4*i:]))
		if size > int64(len(rest)) {
			return nil, nil, ErrCorrupt
		}
		d.values[i], rest = rest[:size:size], rest[size:]
		longest = max(longest, int(size))
		d.single = d.single && size == 1
	}
	if longest <= 8 {
		d.words = make([]uint64, count)
		for i, b := range d.values {
			var word [8]byte
			copy(word[:], b)
			d.words[i] = binary.LittleEndian.Uint64(word[:])
		}
	}
	return d, rest, nil
}

// dictSize is how many bytes the dictionary takes that src begins with.
func dictSize(src []byte) (int, bool) {
	if len(src) < 2 {
		return 0, false
	}
	count := int(binary.LittleEndian.Uint16(src))
	if count == 0 || count > maxChunkDict || len(src) < 2+4*count {
		return 0, false
	}
	size := uint64(2 + 4*count)
	for i := range count {
		size += uint64(binary.LittleEndian.Uint32(src[2+4*i:]))
	}
	return int(min(size, uint64(len(src)))), size <= uint64(len(src))
}

// pickValue returns one value of a dictionary without reading the others.
func pickValue(src []byte, code int64) ([]byte, bool) {
	if len(src) < 2 {
		return nil, false
	}
	count := int64(binary.LittleEndian.Uint16(src))
	if src = src[2:]; count > maxChunkDict || uint64(code) >= uint64(count) || int64(len(src)) < 4*count {
		return nil, false
	}
	from := uint64(4 * count)
	for i := range code {
		from += uint64(binary.LittleEndian.Uint32(src[4*i:]))
	}
	to := from + uint64(binary.LittleEndian.Uint32(src[4*code:]))
	if to > uint64(len(src)) {
		return nil, false
	}
	return src[from:to], true
}

// decode reads the codes of len(off)-1 rows and returns their values, in data if they fit.
func (d *dictionary) decode(off []uint32, data, src []byte) ([]byte, error) {
	var buf [vec.MaxRows]int64
	n := len(off) - 1
	if len(src) < 1 || n > len(buf) {
		return nil, ErrCorrupt
	}
	codes := buf[:n]
	if _, err := decodeIntsTo(codes, src[0], src[1:]); err != nil {
		return nil, err
	}
	return d.gather(off, data, codes)
}

func (d *dictionary) gather(off []uint32, data []byte, codes []int64) ([]byte, error) {
	if d.single {
		return d.gatherSingle(off, data, codes)
	}
	total := int64(0)
	off[0] = 0
	ends := off[1:][:len(codes)]
	for i, c := range codes {
		if uint64(c) >= uint64(len(d.values)) {
			return nil, ErrCorrupt
		}
		if total += int64(len(d.values[c])); total > maxVectorBytes {
			return nil, ErrCorrupt
		}
		ends[i] = uint32(total)
	}
	if d.words == nil {
		data = reuse(data, int(total))
		for i, c := range codes {
			copy(data[off[i]:], d.values[c])
		}
		return data, nil
	}
	data = reuse(data, int(total)+8) // each store writes 8 bytes, of which the next value covers what is too much
	for i, c := range codes {
		binary.LittleEndian.PutUint64(data[off[i]:], d.words[c])
	}
	return data[:total:total], nil
}

// gatherSingle is gather for values of one byte.
func (d *dictionary) gatherSingle(off []uint32, data []byte, codes []int64) ([]byte, error) {
	data = reuse(data, len(codes))
	off[0] = 0
	ends, words := off[1:][:len(codes)], d.words
	for i, c := range codes {
		if uint64(c) >= uint64(len(words)) {
			return nil, ErrCorrupt
		}
		data[i], ends[i] = byte(words[c]), uint32(i+1)
	}
	return data, nil
}

// pickCode returns the code of one row of n, if the codes have random access.
func pickCode(n, row int, src []byte) (int64, bool) {
	if len(src) < 1 {
		return 0, false
	}
	return pickInt(n, row, src[0], src[1:])
}
