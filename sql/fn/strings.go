package fn

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// maxResultBytes bounds what a string function may build, as max_allowed_packet does; a longer result is NULL.
const maxResultBytes = 64 << 20

type rowFunc = func(c *Call, a []vec.Value) (vec.Value, error)

// onText makes a rule: the first argument as text, then the given types; the result is text as long as it.
func onText(more ...T) Rule {
	return func(_ string, a []T) ([]T, T, error) {
		first := text(a[0])
		want := append([]T{first}, repeat(append(more, tStr), len(a)-1)...)
		return want[:len(a)], textResult(int64(first.Length), first), nil
	}
}

// onTexts makes a rule: every argument as text of its own kind.
func onTexts(result func(a []T) T) Rule {
	return func(_ string, a []T) ([]T, T, error) {
		want := make([]T, len(a))
		for i, t := range a {
			want[i] = text(t)
		}
		return want, result(want), nil
	}
}

func always(t T) func([]T) T { return func([]T) T { return t } }

// unknownLength is text of unknown length, binary when an argument is.
func unknownLength(a []T) T { return textResult(0, a...) }

// str1 declares a function of one string; binary strings have no characters, so they pass through byteWise.
func str1(name, alias, syntax, doc string, f, byteWise func([]byte) []byte) Def {
	of := func(c *Call) func([]byte) []byte {
		if isBinary(c.Args[0]) {
			return byteWise
		}
		return f
	}
	d := Def{Name: name, Group: "string", Syntax: syntax, Doc: doc, Min: 1, Max: 1, Rule: onText(),
		Row: func(c *Call, a []vec.Value) (vec.Value, error) { return vec.Str(of(c)(a[0].B)), nil },
		Vec: func(c *Call, a []Arg, n int) (*vec.Vector, error) {
			f := of(c)
			return bytesVec(c, n, func(dst []byte, i int) []byte { return append(dst, f(a[0].Bytes(a[0].At(i)))...) }, a...), nil
		}}
	if alias != "" {
		d.Aliases = []string{alias}
	}
	return d
}

// bytesVec builds a vector of bytes; add is called for the rows in which no argument is NULL.
func bytesVec(c *Call, n int, add func(dst []byte, i int) []byte, a ...Arg) *vec.Vector {
	out := vec.New(c.Result, n)
	out.Valid = nulls(n, a...)
	for i := range n {
		if !out.IsNull(i) {
			out.Data = add(out.Data, i)
		}
		out.Off[i+1] = uint32(len(out.Data))
	}
	return out
}

// intVec builds a vector of 64-bit values; f is called for the rows in which no argument is NULL.
func intVec(c *Call, n int, f func(i int) int64, a ...Arg) *vec.Vector {
	out := vec.New(c.Result, n)
	out.Valid = nulls(n, a...)
	for i := range out.I64 {
		if out.Valid == nil || !out.IsNull(i) {
			out.I64[i] = f(i)
		}
	}
	return out
}

func init() {
	register(
		Def{Name: "concat", Group: "string", Syntax: "CONCAT(a, ...)", Doc: "The arguments one after another; NULL when one is NULL.", Min: 1, Max: -1,
			Rule: onTexts(concatType), Row: concatRow, Vec: concatVec},
		Def{Name: "concat_ws", Group: "string", Syntax: "CONCAT_WS(sep, a, ...)", Doc: "The arguments that are not NULL with a separator between.", Min: 2, Max: -1, TakesNull: true,
			Rule: onTexts(unknownLength), Row: concatWS},
		Def{Name: "length", Aliases: []string{"octet_length"}, Group: "string", Syntax: "LENGTH(s)", Doc: "Length in bytes.", Min: 1, Max: 1, Rule: onTexts(always(tInt)),
			Row: func(_ *Call, a []vec.Value) (vec.Value, error) { return vec.Int(int64(len(a[0].B))), nil },
			Vec: func(c *Call, a []Arg, n int) (*vec.Vector, error) {
				return intVec(c, n, func(i int) int64 { return int64(len(a[0].Bytes(a[0].At(i)))) }, a...), nil
			}},
		Def{Name: "bit_length", Group: "string", Syntax: "BIT_LENGTH(s)", Doc: "Length in bits.", Min: 1, Max: 1, Rule: onTexts(always(tInt)),
			Row: func(_ *Call, a []vec.Value) (vec.Value, error) { return vec.Int(int64(8 * len(a[0].B))), nil }},
		Def{Name: "char_length", Aliases: []string{"character_length"}, Group: "string", Syntax: "CHAR_LENGTH(s)", Doc: "Length in characters.", Min: 1, Max: 1, Rule: onTexts(always(tInt)),
			Row: func(c *Call, a []vec.Value) (vec.Value, error) {
				return vec.Int(int64(charLen(a[0].B, c.Args[0]))), nil
			},
			Vec: func(c *Call, a []Arg, n int) (*vec.Vector, error) {
				return intVec(c, n, func(i int) int64 { return int64(charLen(a[0].Bytes(a[0].At(i)), c.Args[0])) }, a...), nil
			}},
		str1("upper", "ucase", "UPPER(s)", "In capitals; binary strings stay as they are.", bytes.ToUpper, same),
		str1("lower", "lcase", "LOWER(s)", "In small letters; binary strings stay as they are.", bytes.ToLower, same),
		str1("reverse", "", "REVERSE(s)", "The characters in reverse order.", reverse, reverseBytes),
		Def{Name: "quote", Group: "string", Syntax: "QUOTE(s)", Doc: "As a string literal; NULL as the word.", Min: 1, Max: 1, TakesNull: true, Rule: onTexts(unknownLength),
			Row: func(_ *Call, a []vec.Value) (vec.Value, error) {
				if a[0].Null {
					return vec.Str([]byte("NULL")), nil
				}
				return vec.Str(quote(a[0].B)), nil
			}},
		Def{Name: "substring", Aliases: []string{"substr", "mid"}, Group: "string", Syntax: "SUBSTRING(s, pos[, len])", Doc: "len characters from pos on (from 1; negative = from the end).", Min: 2, Max: 3,
			Rule: onText(tInt, tInt), Row: substringRow, Vec: substringVec},
		Def{Name: "left", Group: "string", Syntax: "LEFT(s, n)", Doc: "The first n characters.", Min: 2, Max: 2, Rule: onText(tInt),
			Row: func(c *Call, a []vec.Value) (vec.Value, error) {
				return vec.Str(substring(a[0].B, 1, a[1].I, isBinary(c.Args[0]))), nil
			}},
		Def{Name: "right", Group: "string", Syntax: "RIGHT(s, n)", Doc: "The last n characters.", Min: 2, Max: 2, Rule: onText(tInt), Row: rightRow},
		Def{Name: "trim", Group: "string", Syntax: "TRIM([BOTH] [x FROM] s) = trim(s[, x])", Doc: "Without x (spaces) at both ends.", Min: 1, Max: 2, Rule: onText(tStr), Row: trimRow(true, true)},
		Def{Name: "ltrim", Group: "string", Syntax: "LTRIM(s), TRIM(LEADING x FROM s) = ltrim(s, x)", Doc: "Without x (spaces) at the start.", Min: 1, Max: 2, Rule: onText(tStr), Row: trimRow(true, false)},
		Def{Name: "rtrim", Group: "string", Syntax: "RTRIM(s), TRIM(TRAILING x FROM s) = rtrim(s, x)", Doc: "Without x (spaces) at the end.", Min: 1, Max: 2, Rule: onText(tStr), Row: trimRow(false, true)},
		Def{Name: "lpad", Group: "string", Syntax: "LPAD(s, n, pad)", Doc: "Padded at the start, or cut, to n characters.", Min: 3, Max: 3, Rule: padRule, TakesNull: true, Row: nullable(padRow(true))},
		Def{Name: "rpad", Group: "string", Syntax: "RPAD(s, n, pad)", Doc: "Padded at the end, or cut, to n characters.", Min: 3, Max: 3, Rule: padRule, TakesNull: true, Row: nullable(padRow(false))},
		Def{Name: "replace", Group: "string", Syntax: "REPLACE(s, from, to)", Doc: "With every from replaced.", Min: 3, Max: 3, Rule: onTexts(unknownLength), Row: replaceRow},
		Def{Name: "repeat", Group: "string", Syntax: "REPEAT(s, n)", Doc: "n times s.", Min: 2, Max: 2, TakesNull: true,
			Rule: func(_ string, a []T) ([]T, T, error) { return []T{text(a[0]), tInt}, textResult(0, a[0]), nil }, Row: nullable(repeatRow)},
		Def{Name: "space", Group: "string", Syntax: "SPACE(n)", Doc: "n spaces.", Min: 1, Max: 1, TakesNull: true, Rule: fixed(tStr, tInt),
			Row: nullable(func(_ *Call, a []vec.Value) (vec.Value, error) { return repeated([]byte(" "), a[0].I), nil })},
		Def{Name: "insert", Group: "string", Syntax: "INSERT(s, pos, len, t)", Doc: "With len characters from pos on replaced by t.", Min: 4, Max: 4, Row: insertRow,
			Rule: func(_ string, a []T) ([]T, T, error) {
				return []T{text(a[0]), tInt, tInt, text(a[3])}, textResult(0, a[0], a[3]), nil
			}},
		Def{Name: "substring_index", Group: "string", Syntax: "SUBSTRING_INDEX(s, delim, n)", Doc: "What precedes the n-th delim (negative: what follows it from the end).", Min: 3, Max: 3,
			Rule: onText(tStr, tInt), Row: substringIndex},
		Def{Name: "elt", Group: "string", Syntax: "ELT(n, a, ...)", Doc: "The n-th string.", Min: 2, Max: -1, TakesNull: true, Row: eltRow,
			Rule: func(_ string, a []T) ([]T, T, error) {
				want := []T{tInt}
				for _, t := range a[1:] {
					want = append(want, text(t))
				}
				return want, textResult(0, want[1:]...), nil
			}},
		Def{Name: "field", Group: "string", Syntax: "FIELD(x, a, ...)", Doc: "The position of x among the others, 0 when absent.", Min: 2, Max: -1, TakesNull: true, Rule: fieldRule, Row: fieldRow},
		Def{Name: "interval", Group: "string", Syntax: "INTERVAL(x, a, ...)", Doc: "How many of the ascending values are not above x; -1 when x is NULL.", Min: 2, Max: -1, TakesNull: true, Rule: intervalRule, Row: intervalRow},
		Def{Name: "find_in_set", Group: "string", Syntax: "FIND_IN_SET(s, list)", Doc: "The position of s in a comma-separated list, 0 when absent.", Min: 2, Max: 2, Rule: fixed(tInt, tStr), Row: findInSet},
	)
}

func concatType(a []T) T {
	n := int64(0)
	for _, t := range a {
		if t.Length == 0 && t.Kind != types.KindNull {
			return textResult(0, a...)
		}
		n += int64(t.Length)
	}
	return textResult(n, a...)
}

func concatRow(_ *Call, a []vec.Value) (vec.Value, error) {
	var out []byte
	for _, x := range a {
		out = append(out, x.B...)
	}
	return vec.Str(out), nil
}

func concatVec(c *Call, a []Arg, n int) (*vec.Vector, error) {
	return bytesVec(c, n, func(dst []byte, i int) []byte {
		for _, x := range a {
			dst = append(dst, x.Bytes(x.At(i))...)
		}
		return dst
	}, a...), nil
}

func concatWS(_ *Call, a []vec.Value) (vec.Value, error) {
	if a[0].Null {
		return vec.NullValue(), nil
	}
	var parts [][]byte
	for _, x := range a[1:] {
		if !x.Null {
			parts = append(parts, x.B)
		}
	}
	return vec.Str(bytes.Join(parts, a[0].B)), nil
}

func charLen(s []byte, t T) int {
	if isBinary(t) {
		return len(s)
	}
	return utf8.RuneCount(s)
}

func reverse(s []byte) []byte {
	out := make([]byte, 0, len(s))
	for len(s) > 0 {
		_, w := utf8.DecodeLastRune(s)
		out = append(out, s[len(s)-w:]...)
		s = s[:len(s)-w]
	}
	return out
}

func same(s []byte) []byte { return s }

func reverseBytes(s []byte) []byte {
	out := bytes.Clone(s)
	slices.Reverse(out)
	return out
}

func quote(s []byte) []byte {
	out := []byte{'\''}
	for _, c := range s {
		switch c {
		case '\'', '\\':
			out = append(out, '\\', c)
		case 0:
			out = append(out, '\\', '0')
		case 26:
			out = append(out, '\\', 'Z')
		default:
			out = append(out, c)
		}
	}
	return append(out, '\'')
}

// charOffset returns the byte position of character n (from 0), at most len(s).
func charOffset(s []byte, n int64, binary bool) int {
	if binary || int64(len(s)) <= n {
		return int(min(n, int64(len(s))))
	}
	return sqltypes.RunePrefix(s, int(n))
}

// substring returns n characters from pos on; pos counts from 1, or from the end when negative.
func substring(s []byte, pos, n int64, binary bool) []byte {
	if pos == 0 || n <= 0 {
		return nil
	}
	if pos < 0 {
		total := int64(len(s))
		if !binary {
			total = int64(utf8.RuneCount(s))
		}
		if pos += total + 1; pos <= 0 {
			return nil
		}
	}
	s = s[charOffset(s, pos-1, binary):]
	return s[:charOffset(s, n, binary)]
}

func substringRow(c *Call, a []vec.Value) (vec.Value, error) {
	n := int64(1) << 62
	if len(a) > 2 {
		n = a[2].I
	}
	return vec.Str(substring(a[0].B, a[1].I, n, isBinary(c.Args[0]))), nil
}

func substringVec(c *Call, a []Arg, n int) (*vec.Vector, error) {
	binary := isBinary(c.Args[0])
	return bytesVec(c, n, func(dst []byte, i int) []byte {
		count := int64(1) << 62
		if len(a) > 2 {
			count = a[2].I64[a[2].At(i)]
		}
		return append(dst, substring(a[0].Bytes(a[0].At(i)), a[1].I64[a[1].At(i)], count, binary)...)
	}, a...), nil
}

func rightRow(c *Call, a []vec.Value) (vec.Value, error) {
	n := a[1].I
	if n <= 0 {
		return vec.Str(nil), nil
	}
	if n >= int64(charLen(a[0].B, c.Args[0])) {
		return vec.Str(a[0].B), nil
	}
	return vec.Str(substring(a[0].B, -n, n, isBinary(c.Args[0]))), nil
}

func trimRow(left, right bool) rowFunc {
	return func(_ *Call, a []vec.Value) (vec.Value, error) {
		s, cut := a[0].B, []byte(" ")
		if len(a) > 1 {
			cut = a[1].B
		}
		for left && len(cut) > 0 && bytes.HasPrefix(s, cut) {
			s = s[len(cut):]
		}
		for right && len(cut) > 0 && bytes.HasSuffix(s, cut) {
			s = s[:len(s)-len(cut)]
		}
		return vec.Str(s), nil
	}
}

func padRule(_ string, a []T) ([]T, T, error) {
	return []T{text(a[0]), tInt, text(a[2])}, textResult(0, a[0], a[2]), nil
}

func padRow(left bool) rowFunc {
	return func(c *Call, a []vec.Value) (vec.Value, error) {
		s, n, pad := a[0].B, a[1].I, a[2].B
		have := int64(charLen(s, c.Args[0]))
		if n < 0 || n > maxResultBytes {
			return vec.NullValue(), nil
		}
		if n <= have {
			return vec.Str(s[:charOffset(s, n, isBinary(c.Args[0]))]), nil
		}
		padChars := int64(charLen(pad, c.Args[2]))
		if padChars == 0 {
			return vec.Str(nil), nil
		}
		times := (n - have) / padChars
		if int64(len(pad))*(times+1)+int64(len(s)) > maxResultBytes {
			return vec.NullValue(), nil
		}
		fill := bytes.Repeat(pad, int(times))
		fill = append(fill, pad[:charOffset(pad, (n-have)%padChars, isBinary(c.Args[2]))]...)
		if left {
			return vec.Str(append(fill, s...)), nil
		}
		return vec.Str(append(append([]byte(nil), s...), fill...)), nil
	}
}

func replaceRow(_ *Call, a []vec.Value) (vec.Value, error) {
	if len(a[1].B) == 0 {
		return a[0], nil
	}
	return vec.Str(bytes.ReplaceAll(a[0].B, a[1].B, a[2].B)), nil
}

func repeated(s []byte, n int64) vec.Value {
	if n <= 0 || len(s) == 0 {
		return vec.Str(nil)
	}
	if n > maxResultBytes/int64(len(s)) {
		return vec.NullValue()
	}
	return vec.Str(bytes.Repeat(s, int(n)))
}

func repeatRow(_ *Call, a []vec.Value) (vec.Value, error) { return repeated(a[0].B, a[1].I), nil }

func insertRow(c *Call, a []vec.Value) (vec.Value, error) {
	s, pos, n := a[0].B, a[1].I, a[2].I
	binary := isBinary(c.Args[0])
	if pos < 1 || pos > int64(charLen(s, c.Args[0])) {
		return a[0], nil
	}
	at := charOffset(s, pos-1, binary)
	end := len(s)
	if n >= 0 {
		end = at + charOffset(s[at:], n, binary)
	}
	out := append(append(append([]byte(nil), s[:at]...), a[3].B...), s[end:]...)
	return vec.Str(out), nil
}

func substringIndex(_ *Call, a []vec.Value) (vec.Value, error) {
	s, delim, n := a[0].B, a[1].B, a[2].I
	if len(delim) == 0 || n == 0 {
		return vec.Str(nil), nil
	}
	at := 0
	if n > 0 {
		for ; n > 0; n-- {
			i := bytes.Index(s[at:], delim)
			if i < 0 {
				return a[0], nil
			}
			at += i + len(delim)
		}
		return vec.Str(s[:at-len(delim)]), nil
	}
	at = len(s)
	for ; n < 0; n++ {
		i := bytes.LastIndex(s[:at], delim)
		if i < 0 {
			return a[0], nil
		}
		at = i
	}
	return vec.Str(s[at+len(delim):]), nil
}

func eltRow(_ *Call, a []vec.Value) (vec.Value, error) {
	if n := a[0].I; !a[0].Null && n >= 1 && n < int64(len(a)) {
		return a[n], nil
	}
	return vec.NullValue(), nil
}

// fieldRule compares all as strings, or all as doubles when one is not a string.
func fieldRule(_ string, a []T) ([]T, T, error) {
	want := tStr
	for _, t := range a {
		if !t.IsString() && t.Kind != types.KindNull {
			want = tDouble
		}
	}
	if want == tStr {
		return onTexts(always(tInt))("", a)
	}
	return repeat([]T{want}, len(a)), tInt, nil
}

func fieldRow(c *Call, a []vec.Value) (vec.Value, error) {
	for i, x := range a[1:] {
		if !a[0].Null && !x.Null && CompareValues(a[0], c.Args[0], x, c.Args[0]) == 0 {
			return vec.Int(int64(i + 1)), nil
		}
	}
	return vec.Int(0), nil
}

// intervalRule compares integers as they are, anything else as doubles.
func intervalRule(_ string, a []T) ([]T, T, error) {
	want := tInt
	for _, t := range a {
		if !t.IsInteger() && t.Kind != types.KindNull || t.Unsigned {
			want = tDouble
		}
	}
	return repeat([]T{want}, len(a)), tInt, nil
}

func intervalRow(c *Call, a []vec.Value) (vec.Value, error) {
	if a[0].Null {
		return vec.Int(-1), nil
	}
	n := 0
	for n+1 < len(a) && (a[n+1].Null || CompareValues(a[n+1], c.Args[0], a[0], c.Args[0]) <= 0) {
		n++
	}
	return vec.Int(int64(n)), nil
}

func findInSet(_ *Call, a []vec.Value) (vec.Value, error) {
	if bytes.IndexByte(a[0].B, ',') >= 0 || len(a[1].B) == 0 {
		return vec.Int(0), nil
	}
	for i, s := range bytes.Split(a[1].B, []byte(",")) {
		if bytes.Equal(s, a[0].B) {
			return vec.Int(int64(i + 1)), nil
		}
	}
	return vec.Int(0), nil
}
