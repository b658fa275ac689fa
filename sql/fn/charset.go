package fn

import (
	"unicode/utf8"

	"stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// Text is UTF-8 wherever it is kept. A conversion to another character set leaves the characters that this one has, and the
// binder remembers which it is: what asks for the bytes of such text gets them by latin1_bytes.

func init() {
	register(
		Def{Name: "convert_using", Group: "cast", Syntax: "CONVERT(s USING charset)", Min: 1, Max: 1, Params: []string{"utf8mb4", "utf8mb3", "ascii", "latin1", "binary"},
			Doc:  "Text in a character set: utf8mb4, utf8mb3 (utf8), ascii, latin1 or binary. A character that the set lacks, and a byte that is none, becomes a question mark.",
			Rule: usingRule, Row: usingRow},
		Def{Name: "latin1_bytes", Group: "cast", Syntax: "CAST(CONVERT(s USING latin1) AS BINARY)", Doc: "The bytes of text in latin1.", Min: 1, Max: 1,
			Rule: func(_ string, a []T) ([]T, T, error) { return []T{text(a[0])}, asBytes(text(a[0]), 1), nil }, Row: latin1Row},
	)
}

func usingRule(param string, a []T) ([]T, T, error) {
	from := text(a[0])
	switch {
	case param == "binary" && !isBinary(from):
		return []T{from}, asBytes(from, utf8.UTFMax), nil
	case param != "binary" && isBinary(from):
		return []T{from}, asText(from), nil
	}
	return []T{from}, from, nil
}

// maxVarBytes is the longest VARBINARY; what may be longer is a BLOB.
const maxVarBytes = 1<<16 - 1

// asBytes is the type of the bytes of text, at most so many for each character.
func asBytes(t T, each int32) T {
	if t.Kind == types.KindText {
		return T{Kind: types.KindBlob, Length: t.Length}
	}
	if t.Length > maxVarBytes/each {
		return T{Kind: types.KindBlob}
	}
	return T{Kind: types.KindVarBinary, Length: t.Length * each}
}

// asText is the type of text made of bytes.
func asText(t T) T {
	if t.Kind == types.KindBlob {
		return T{Kind: types.KindText, Length: t.Length}
	}
	return varchar(t.Length)
}

func usingRow(c *Call, a []vec.Value) (vec.Value, error) {
	in, bytes := a[0].B, isBinary(c.Args[0])
	switch {
	case c.Param == "binary", c.Param == "utf8mb4" && !bytes:
		return vec.Str(in), nil
	case c.Param == "latin1" && bytes:
		return vec.Str(sqltypes.FromLatin1(in)), nil
	}
	out := make([]byte, 0, len(in))
	for len(in) > 0 {
		r, n := utf8.DecodeRune(in)
		in = in[n:]
		if r == utf8.RuneError && n == 1 || !charsetHas(c.Param, r) {
			out = append(out, '?')
			for bytes && c.Param == "ascii" && n > 1 { // bytes are not taken for UTF-8
				out, n = append(out, '?'), n-1
			}
			continue
		}
		out = utf8.AppendRune(out, r)
	}
	return vec.Str(out), nil
}

// charsetHas reports whether a character set has a character.
func charsetHas(charset string, r rune) bool {
	switch charset {
	case "ascii":
		return r < utf8.RuneSelf
	case "latin1":
		_, ok := sqltypes.Latin1(r)
		return ok
	case "utf8mb3":
		return r <= 0xFFFF
	}
	return true
}

func latin1Row(_ *Call, a []vec.Value) (vec.Value, error) {
	out := make([]byte, 0, len(a[0].B))
	for _, r := range string(a[0].B) {
		b, ok := sqltypes.Latin1(r)
		if !ok {
			b = '?'
		}
		out = append(out, b)
	}
	return vec.Str(out), nil
}
