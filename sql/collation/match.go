package collation

import (
	"bytes"
	"unicode/utf8"

	"stele/meta/types"
)

// Matcher compares single characters by a collation.
type Matcher struct {
	t       *table
	accents bool
}

// NewMatcher makes one for a collation that is not binary.
func NewMatcher(c types.Collation) *Matcher {
	return &Matcher{t: tableOf(c), accents: c == types.Collation0900AS}
}

// char takes the first character of a text; bytes that are none are beyond all characters.
func char(s []byte) (rune, int) {
	r, n := utf8.DecodeRune(s)
	if r == utf8.RuneError && n == 1 {
		return utf8.MaxRune + 1 + rune(s[0]), 1
	}
	return r, n
}

// same compares what char took.
func (m *Matcher) same(a, b rune) bool {
	return a == b || a <= utf8.MaxRune && b <= utf8.MaxRune && m.t.sameChar(a, b, m.accents)
}

// patternChar is one character of a LIKE pattern.
type patternChar struct {
	c    rune
	kind byte // 0, '_' or '%'
}

// Pattern is a LIKE pattern.
type Pattern []patternChar

// CompileLike reads a LIKE pattern; escape makes a wildcard a character unless it is 0.
func CompileLike(pattern []byte, escape byte) Pattern {
	var out Pattern
	for i := 0; i < len(pattern); {
		c, n := char(pattern[i:])
		switch {
		case escape != 0 && pattern[i] == escape && i+1 < len(pattern):
			var more int
			c, more = char(pattern[i+1:])
			out = append(out, patternChar{c: c})
			n = 1 + more
		case c == '%' || c == '_':
			out = append(out, patternChar{kind: byte(c)})
		default:
			out = append(out, patternChar{c: c})
		}
		i += n
	}
	return out
}

// Like reports whether a text matches the whole pattern. A mismatch goes back to the last %, which then takes one character more.
func (m *Matcher) Like(s []byte, p Pattern) bool {
	at, star := 0, -1
	var retry []byte
	for len(s) > 0 {
		c, n := char(s)
		switch {
		case at < len(p) && p[at].kind == '%':
			star, retry = at, s
			at++
		case at < len(p) && (p[at].kind == '_' || p[at].kind == 0 && m.same(p[at].c, c)):
			at, s = at+1, s[n:]
		case star >= 0:
			_, skip := char(retry)
			retry = retry[skip:]
			at, s = star+1, retry
		default:
			return false
		}
	}
	for at < len(p) && p[at].kind == '%' {
		at++
	}
	return at == len(p)
}

// Locate returns the number of the character, from 1, at which part begins in s, not before that with the number pos; 0 = nowhere. As in
// MySQL only as many bytes are equal to part as it has itself.
func Locate(c types.Collation, part, s []byte, pos int64) int64 {
	if pos < 1 {
		return 0
	}
	want := appendBare(nil, c, part)
	var key []byte
	for at := int64(1); len(s) >= len(part); at++ {
		if at >= pos {
			if key = appendBare(key[:0], c, s[:len(part)]); bytes.Equal(key, want) {
				return at
			}
		}
		if len(s) == 0 {
			break
		}
		_, n := char(s)
		s = s[n:]
	}
	return 0
}

// InSet returns the number of the member, from 1, of a comma-separated list that a text equals; 0 = none.
func InSet(c types.Collation, s, list []byte) int64 {
	if len(list) == 0 || bytes.IndexByte(s, ',') >= 0 {
		return 0
	}
	want := appendBare(nil, c, s)
	var key []byte
	for at, m := range bytes.Split(list, []byte{','}) {
		if key = appendBare(key[:0], c, m); bytes.Equal(key, want) {
			return int64(at) + 1
		}
	}
	return 0
}
