package parse

import (
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// maxPointText bounds the queries that PointText looks at, maxWriteText the statements that write.
const (
	maxPointText = 16 << 10
	maxWriteText = 2 << 10
)

// PointValue is one literal that PointText has cut out: a string, or an integer without a sign.
type PointValue struct {
	Text  string // of a string
	Int   int64
	IsInt bool
	Param bool // of PreparedWriteText: a question mark, which has its value from elsewhere
	Pad   bool // the value before once more, behind the last of a long list
}

// PointText appends a SELECT to dst with its literals replaced by question marks, and the literals to values. It knows
// unsigned decimal integers and strings in single quotes without escapes; it is not ok for a text that may hold anything
// else which does not stand for itself: other literals, comments, question marks, several statements. Texts that come out
// equal are equal but for the literals. The numbers of LIMIT and OFFSET, which belong to a plan, stay in the text, and so do those of
// SELECT 1 FROM and COUNT(1). A long list of integers behind IN has its last one again and again, so that lists of some lengths stand
// for those of all.
func PointText(dst []byte, values []PointValue, sql string) (text []byte, out []PointValue, ok bool) {
	if !begins(sql, "select") {
		return dst, values, false
	}
	return plainText(dst, values, sql, "", maxPointText)
}

// PointWriteText is PointText for statements that may be an UPDATE or a DELETE of one row. They may have sums and differences.
func PointWriteText(dst []byte, values []PointValue, sql string) (text []byte, out []PointValue, ok bool) {
	if !begins(sql, "update") && !begins(sql, "delete") {
		return dst, values, false
	}
	return plainText(dst, values, sql, "+-", maxWriteText)
}

// PreparedWriteText is PointWriteText for a text whose question marks are parameters.
func PreparedWriteText(dst []byte, values []PointValue, sql string) (text []byte, out []PointValue, ok bool) {
	if !begins(sql, "update") && !begins(sql, "delete") {
		return dst, values, false
	}
	return plainText(dst, values, sql, "+-?", maxWriteText)
}

// plainText does the work of all; signs stand for themselves unless they begin a comment, a question mark for its value.
func plainText(dst []byte, values []PointValue, sql, signs string, most int) (text []byte, out []PointValue, ok bool) {
	if len(sql) > most {
		return dst, values, false
	}
	limit := false // what follows belongs to LIMIT
	for i := 0; i < len(sql); {
		c := sql[i]
		switch {
		case c >= '0' && c <= '9':
			n, end, ok := pointInt(sql, i)
			if !ok {
				return dst, values, false
			}
			if limit {
				dst, i = append(dst, sql[i:end]...), end
				continue
			}
			dst, values, i = append(dst, '?'), append(values, PointValue{Int: n, IsInt: true}), end
		case c == '\'':
			end, ok := pointString(sql, i+1)
			if !ok {
				return dst, values, false
			}
			dst, values, i = append(dst, '?'), append(values, PointValue{Text: sql[i+1 : end]}), end+1
		case c == '?' && strings.IndexByte(signs, c) >= 0:
			dst, values, i = append(dst, c), append(values, PointValue{Param: true}), i+1
		case isWord(c):
			end := i + 1
			for end < len(sql) && (isWord(sql[end]) || sql[end] >= '0' && sql[end] <= '9') {
				end++
			}
			if c == '_' || end < len(sql) && sql[end] == '\'' { // _utf8 '..', x'..', b'..', n'..', date'..'
				return dst, values, false
			}
			word := sql[i:end]
			limit = strings.EqualFold(word, "limit") || limit && strings.EqualFold(word, "offset")
			end = pastNumber(sql, word, end)
			dst = append(dst, sql[i:end]...)
			if strings.EqualFold(word, "in") {
				dst, values, end = appendList(dst, values, sql, end)
			}
			i = end
		case c == '`':
			n := strings.IndexByte(sql[i+1:], '`') + 2
			if n < 2 {
				return dst, values, false
			}
			dst, i = append(dst, sql[i:i+n]...), i+n
		case plainByte[c], c == '.' && joins(dst, sql[i+1:]), strings.IndexByte(signs, c) >= 0 && !strings.HasPrefix(sql[i:], "--"):
			limit = limit && (c <= ' ' || c == ',')
			dst, i = append(dst, c), i+1
		default:
			return dst, values, false
		}
	}
	return dst, values, true
}

// pastNumber returns where the number of SELECT 1 FROM or COUNT(1) ends, of which the word ends at a place, or that place.
func pastNumber(sql, word string, at int) int {
	switch {
	case strings.EqualFold(word, "select"):
		_, end, ok := pointInt(sql, skipSpace(sql, at))
		from := skipSpace(sql, end)
		if ok && from > end && begins(sql[from:], "from") && len(sql) > from+len("from") && plainSpace(sql[from+len("from")]) {
			return end
		}
	case strings.EqualFold(word, "count") && strings.HasPrefix(sql[at:], "("):
		_, end, ok := pointInt(sql, at+1)
		if ok && strings.HasPrefix(sql[end:], ")") {
			return end
		}
	}
	return at
}

// appendList takes a list of integers in parentheses, which a text may have at a place, and returns where the text goes on.
func appendList(dst []byte, values []PointValue, sql string, at int) (text []byte, out []PointValue, end int) {
	if end = skipSpace(sql, at); end == len(sql) || sql[end] != '(' {
		return dst, values, at
	}
	text, out = append(dst, sql[at:end]...), values
	for sql[end] != ')' {
		first := skipSpace(sql, end+1)
		n, next, ok := pointInt(sql, first)
		if !ok {
			return dst, values, at
		}
		text, out = append(append(text, sql[end:first]...), '?'), append(out, PointValue{Int: n, IsInt: true})
		if end = skipSpace(sql, next); end == len(sql) || sql[end] != ',' && sql[end] != ')' {
			return dst, values, at
		}
		text = append(text, sql[next:end]...)
	}
	n := len(out) - len(values)
	if n <= shortList || n > longList {
		return append(text, ')'), out, end + 1
	}
	pad := out[len(out)-1]
	pad.Pad = true
	text = append(append(text[:len(dst)], '('), strings.Repeat("?,", listLength(n)-1)...)
	for range listLength(n) - n {
		out = append(out, pad)
	}
	return append(text, "?)"...), out, end + 1
}

// Lists up to shortList, and beyond longList, are as long as they are.
const (
	shortList = 16
	longList  = 1000
)

// listLength is the length that a list of n is given: at most an eighth more, so that some sixty plans serve lists of all lengths.
func listLength(n int) int {
	step := 1 << (bits.Len(uint(n-1)) - 4)
	return min((n+step-1)/step*step, longList)
}

// skipSpace returns where the spaces at a place end.
func skipSpace(sql string, at int) int {
	for at < len(sql) && plainSpace(sql[at]) {
		at++
	}
	return at
}

// Unpadded fills the text of PointText with its values again, but that integers which no value has stand where a list was padded; it returns
// these values.
func Unpadded(text []byte, values []PointValue) (sql string, fresh []PointValue) {
	fresh = slices.Clone(values)
	most := int64(0)
	for i := range values {
		most = max(most, values[i].Int)
	}
	out, next, quoted := make([]byte, 0, 8*len(text)), 0, false
	for _, c := range text {
		quoted = quoted != (c == '`')
		if c != '?' || quoted {
			out = append(out, c)
			continue
		}
		v := &fresh[next]
		if v.Pad {
			most++ // a negative number, behind the last integer, is for the general way
			v.Int = most
		}
		if next++; v.IsInt {
			out = strconv.AppendInt(out, v.Int, 10)
		} else {
			out = append(append(append(out, '\''), v.Text...), '\'')
		}
	}
	return string(out), fresh
}

// plainByte are the bytes that stand for themselves. Minus and slash may begin a comment, a point a number.
var plainByte = func() (t [256]bool) {
	for _, c := range " \t\r\n,()=*<>!" {
		t[c] = true
	}
	return t
}()

// joins reports whether a point stands between two names.
func joins(before []byte, after string) bool {
	if len(before) == 0 || after == "" {
		return false
	}
	c := before[len(before)-1]
	return (isWord(c) || c == '`' || c >= '0' && c <= '9') && (isWord(after[0]) || after[0] == '`')
}

// begins reports whether a text begins with a word of small letters, in whatever letters.
func begins(sql, word string) bool {
	if len(sql) < len(word) {
		return false
	}
	for i := range len(word) {
		if sql[i]|0x20 != word[i] {
			return false
		}
	}
	return true
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$'
}

// pointInt reads digits that nothing follows which would make them something else.
func pointInt(sql string, at int) (n int64, end int, ok bool) {
	end = at
	for end < len(sql) && sql[end] >= '0' && sql[end] <= '9' {
		end++
	}
	if end < len(sql) && (isWord(sql[end]) || sql[end] == '.' || sql[end] >= 0x80 || sql[end] == '\'') {
		return 0, 0, false
	}
	n, err := strconv.ParseInt(sql[at:end], 10, 64)
	return n, end, err == nil
}

// pointString finds the end of a string that needs no decoding.
func pointString(sql string, at int) (end int, ok bool) {
	for end = at; end < len(sql); end++ {
		switch c := sql[end]; {
		case c == '\'':
			next := skipSpace(sql, end+1)
			return end, next == len(sql) || sql[next] != '\'' && sql[next] != '"' // adjacent strings are one
		case c == '\\', c >= 0x80, c == 0:
			return 0, false
		}
	}
	return 0, false
}

func plainSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
