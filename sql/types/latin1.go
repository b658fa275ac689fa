package types

import (
	"slices"
	"unicode/utf8"
)

// highLatin1 are the characters 0x80 to 0x9F of MySQL's latin1, which is Windows' code page 1252.
var highLatin1 = [32]rune{0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d, 0x17d, 0x8f,
	0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d, 0x17e, 0x178}

// FromLatin1 returns text of MySQL's latin1 as UTF-8.
func FromLatin1(text []byte) []byte {
	out := make([]byte, 0, len(text)+len(text)/8)
	for _, b := range text {
		r := rune(b)
		if b >= 0x80 && b < 0xA0 {
			r = highLatin1[b-0x80]
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// Latin1 returns the code of a character in MySQL's latin1; false when it has none.
func Latin1(r rune) (byte, bool) {
	if r < 0x80 || r >= 0xA0 && r <= 0xFF {
		return byte(r), true
	}
	i := slices.Index(highLatin1[:], r)
	return byte(0x80 + i), i >= 0
}
