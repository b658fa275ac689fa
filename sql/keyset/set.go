package keyset

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// Bounds of sets, which are sent to each BE and asked for every row: FewBytes is what any scan may be given, MaxBytes what a long one may.
const (
	FewBytes = 1 << 20
	MaxBytes = 8 << 20
	// maxDense bounds the bytes of one with a bit for each value: those of a large range are cheaper as a Bloom filter.
	maxDense = 2 << 20
)

// Bits a key: a bit for each value between the least and the greatest key may take denseBits for one, since it is exact; a Bloom
// filter takes bloomBits at least, and up to twice as many as it has a power of two of words.
const (
	denseBits = 64
	bloomBits = 10
	// smallBits is a size up to which bits are dense whatever the number of keys: they stay in the nearest cache.
	smallBits = 1 << 16
)

// The forms, as the first byte tells them.
const (
	formDense = 1
	formBloom = 2
)

// headBytes is the form and the least and the greatest key.
const headBytes = 1 + 8 + 8

// ErrForm says that bytes are no set.
var ErrForm = errors.New("bytes that are no set of keys")

// Set is a set of keys. It is read-only, and may be asked by many at the same time.
type Set struct {
	lo, hi int64
	form   byte
	bytes  []byte // what comes behind the head
	span   uint64 // dense: how many bits there are; the one after them, and all others of its byte, is never set
	shift  int    // Bloom: of a hash, so that it names a word
}

// Of returns a set that has all of some keys, which may come more than once, encoded; nil when it would be longer than most bytes and its head,
// of which there may be MaxBytes.
func Of(keys []int64, most int) []byte {
	if len(keys) == 0 {
		return nil
	}
	lo, hi := keys[0], keys[0]
	for _, k := range keys {
		lo, hi = min(lo, k), max(hi, k)
	}
	span := uint64(hi) - uint64(lo) // bits less one
	if span < smallBits || span < maxDense*8-8*headBytes-8 && span/denseBits < uint64(len(keys)) {
		return dense(keys, lo, hi, span+1)
	}
	return bloom(keys, lo, hi, min(most, MaxBytes))
}

func head(form byte, lo, hi int64, payload int) []byte {
	out := make([]byte, headBytes+payload)
	out[0] = form
	binary.LittleEndian.PutUint64(out[1:], uint64(lo))
	binary.LittleEndian.PutUint64(out[9:], uint64(hi))
	return out
}

func dense(keys []int64, lo, hi int64, span uint64) []byte {
	out := head(formDense, lo, hi, int(span>>3)+1)
	set := out[headBytes:]
	for _, k := range keys {
		at := uint64(k) - uint64(lo)
		set[at>>3] |= 1 << (at & 7)
	}
	return out
}

func bloom(keys []int64, lo, hi int64, most int) []byte {
	words := 1 << max(bits.Len64(uint64(len(keys))*bloomBits/64), 1)
	if words*8 > most && words/2*64 >= len(keys)*bloomBits/2 {
		words /= 2 // some more wrong answers are better than none at all
	}
	if words*8 > most {
		return nil
	}
	out := head(formBloom, lo, hi, words*8)
	set, shift := out[headBytes:], bloomShift(words)
	for _, k := range keys {
		at, mask := place(k, shift)
		word := set[at*8:]
		binary.LittleEndian.PutUint64(word, binary.LittleEndian.Uint64(word)|mask)
	}
	return out
}

// bloomShift leaves as many of the upper bits of a hash as name a word, of which there are two at least.
func bloomShift(words int) int { return 64 - bits.TrailingZeros64(uint64(words)) }

// place returns the word of a key and the four bits that it sets there, all within one word, so that a question touches one cache line
// (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters).
func place(k int64, shift int) (word uint64, mask uint64) {
	h := uint64(k) * 0x9E3779B97F4A7C15
	h = (h ^ h>>32) * 0xD6E8FEB86659FD93
	h ^= h >> 32
	return h >> (shift & 63), 1<<(h&63) | 1<<(h>>6&63) | 1<<(h>>12&63) | 1<<(h>>18&63)
}

// Read returns the set that bytes are; it keeps them.
func Read(b []byte) (*Set, error) {
	if len(b) < headBytes {
		return nil, ErrForm
	}
	s := &Set{form: b[0], lo: int64(binary.LittleEndian.Uint64(b[1:])), hi: int64(binary.LittleEndian.Uint64(b[9:])), bytes: b[headBytes:]}
	if s.lo > s.hi {
		return nil, ErrForm
	}
	words := len(s.bytes) / 8
	switch {
	case s.form == formDense && uint64(s.hi)-uint64(s.lo) < maxDense*8:
		s.span = uint64(s.hi) - uint64(s.lo) + 1
		last := int(s.span >> 3)
		if len(s.bytes) != last+1 || s.bytes[last]>>(s.span&7) != 0 {
			return nil, ErrForm
		}
	case s.form == formBloom && words > 1 && words*8 == len(s.bytes) && words&(words-1) == 0:
		s.shift = bloomShift(words)
	default:
		return nil, ErrForm
	}
	return s, nil
}

// Bounds returns the least and the greatest key.
func (s *Set) Bounds() (lo, hi int64) { return s.lo, s.hi }

// Exact reports whether Has is true of keys of the set alone.
func (s *Set) Exact() bool { return s.form == formDense }

// Has reports whether a key may be in the set; when it is, it does.
func (s *Set) Has(k int64) bool {
	if s.form == formDense {
		at := min(uint64(k)-uint64(s.lo), s.span)
		return s.bytes[at>>3]>>(at&7)&1 != 0
	}
	at, mask := place(k, s.shift)
	return k >= s.lo && k <= s.hi && binary.LittleEndian.Uint64(s.bytes[at*8:])&mask == mask
}

// Narrow writes the positions in sel (nil = all of vals) of the keys that may be in the set to out, which may be sel, and returns how
// many there are.
func (s *Set) Narrow(vals []int64, sel, out []int32) int {
	if s.form == formBloom {
		return s.narrowBloom(vals, sel, out)
	}
	set, lo, span, k := s.bytes, uint64(s.lo), s.span, 0
	if sel == nil {
		out = out[:len(vals)]
		for i, x := range vals {
			at := min(uint64(x)-lo, span)
			out[k] = int32(i)
			k += int(set[at>>3] >> (at & 7) & 1)
		}
		return k
	}
	for _, i := range sel {
		at := min(uint64(vals[i])-lo, span)
		out[k] = i
		k += int(set[at>>3] >> (at & 7) & 1)
	}
	return k
}

func (s *Set) narrowBloom(vals []int64, sel, out []int32) int {
	set, lo, span, shift, k := s.bytes, uint64(s.lo), uint64(s.hi)-uint64(s.lo), s.shift, 0
	if sel == nil {
		out = out[:len(vals)]
		for i, x := range vals {
			at, mask := place(x, shift)
			out[k] = int32(i)
			if uint64(x)-lo <= span && binary.LittleEndian.Uint64(set[at*8:])&mask == mask {
				k++
			}
		}
		return k
	}
	for _, i := range sel {
		x := vals[i]
		at, mask := place(x, shift)
		out[k] = i
		if uint64(x)-lo <= span && binary.LittleEndian.Uint64(set[at*8:])&mask == mask {
			k++
		}
	}
	return k
}
