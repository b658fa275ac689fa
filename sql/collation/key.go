package collation

import (
	"unicode/utf8"

	"stele/meta/types"
)

// What follows a run of spaces, as the key says behind each of them: text that compares as if spaces went on for ever sorts before what
// is above a space and behind what is below.
const (
	beforeLess    = 0
	beforeEnd     = 1
	beforeGreater = 2
)

// AppendKey appends the key of a text. No key begins another.
func AppendKey(dst []byte, c types.Collation, text []byte) []byte {
	k := keyWriter{dst: dst, t: tableOf(c), noPad: c.NoPad(), accents: c == types.Collation0900AS}
	var second [32]uint16
	k.second = second[:0]
	k.text(text)
	return k.end()
}

// AppendStart appends what the keys of all texts begin with that begin with a text, or with one whose characters weigh the same.
func AppendStart(dst []byte, c types.Collation, text []byte) []byte {
	k := keyWriter{dst: dst, t: tableOf(c), noPad: c.NoPad()}
	k.text(text)
	return k.dst // spaces at the end are written with what follows them
}

// appendBare appends the key of a text whose end counts as it is, by any collation.
func appendBare(dst []byte, c types.Collation, text []byte) []byte {
	k := keyWriter{dst: dst, t: tableOf(c), noPad: true, accents: c == types.Collation0900AS}
	k.text(text)
	return k.end()
}

// keyWriter writes one key.
type keyWriter struct {
	dst            []byte
	t              *table
	noPad, accents bool
	spaces         int // seen and not written
	second         []uint16
}

func (k *keyWriter) text(text []byte) {
	var buf [2]uint16
	for i := 0; i < len(text); {
		b := text[i]
		if b < utf8.RuneSelf && !k.accents {
			i++
			if w := k.t.ascii[b]; w != 0 || k.t.selfWeighing() {
				k.weight(w)
			}
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		i += n
		if r == utf8.RuneError && n == 1 { // no character: above all that are, by the byte
			k.weight(0xffff)
			k.weight(uint16(b))
			continue
		}
		first, second := k.t.weights(r, buf[:0])
		for _, w := range first {
			k.weight(w)
		}
		if k.accents {
			k.second = append(k.second, second...)
		}
	}
}

// selfWeighing reports whether each character has a weight, that with the number 0 included.
func (t *table) selfWeighing() bool { return t.space == ' ' }

// weight writes one weight of the first level.
func (k *keyWriter) weight(w uint16) {
	if k.noPad {
		k.put(w)
		return
	}
	if w == k.t.space {
		k.spaces++
		return
	}
	after := byte(beforeGreater)
	if w < k.t.space {
		after = beforeLess
	}
	for ; k.spaces > 0; k.spaces-- {
		k.put(k.t.space)
		k.dst = append(k.dst, after)
	}
	k.put(w)
}

func (k *keyWriter) put(w uint16) { k.dst = append(k.dst, byte(w>>8), byte(w)) }

// end closes the key.
func (k *keyWriter) end() []byte {
	if !k.noPad {
		k.put(k.t.space)
		return append(k.dst, beforeEnd)
	}
	k.put(0)
	if k.accents {
		for _, w := range k.second {
			k.put(w)
		}
		k.put(0)
	}
	return k.dst
}

// sameChar reports whether two characters weigh the same.
func (t *table) sameChar(a, b rune, accents bool) bool {
	if a == b {
		return true
	}
	var bufA, bufB [2]uint16
	a1, a2 := t.weights(a, bufA[:0])
	b1, b2 := t.weights(b, bufB[:0])
	return sameWeights(a1, b1) && (!accents || sameWeights(a2, b2))
}

func sameWeights(a, b []uint16) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
