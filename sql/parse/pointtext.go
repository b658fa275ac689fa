package parse

import (
	"strconv"
	"strings"
)

// maxPointText bounds the statements that PointText looks at.
const maxPointText = 2048

// PointValue is one literal that PointText has cut out: a string, or an integer without a sign.
type PointValue struct {
	Text  string // of a string
	Int   int64
	IsInt bool
	Param bool // of PreparedWriteText: a question mark, which has its value from elsewhere
}

// PointText appends a SELECT to dst with its literals replaced by question marks, and the literals to values. It knows
// unsigned decimal integers and strings in single quotes without escapes; it is not ok for a text that may hold anything
// else which does not stand for itself: other literals, comments, question marks, several statements. Texts that come out
// equal are equal but for the literals. The numbers of LIMIT and OFFSET, which belong to a plan, stay in the text.
func PointText(dst []byte, values []PointValue, sql string) (text []byte, out []PointValue, ok bool) {
	if !begins(sql, "select") {
		return dst, values, false
	}
	return plainText(dst, values, sql, "")
}

// PointWriteText is PointText for statements that may be an UPDATE or a DELETE of one row. They may have sums and differences.
func PointWriteText(dst []byte, values []PointValue, sql string) (text []byte, out []PointValue, ok bool) {
	if !begins(sql, "update") && !begins(sql, "delete") {
		return dst, values, false
	}
	return plainText(dst, values, sql, "+-")
}

// PreparedWriteText is PointWriteText for a text whose question marks are parameters.
func PreparedWriteText(dst []byte, values []PointValue, sql string) (text []byte, out []PointValue, ok bool) {
	if !begins(sql, "update") && !begins(sql, "delete") {
		return dst, values, false
	}
	return plainText(dst, values, sql, "+-?")
}

// plainText does the work of all; signs stand for themselves unless they begin a comment, a question mark for its value.
func plainText(dst []byte, values []PointValue, sql, signs string) (text []byte, out []PointValue, ok bool) {
	if len(sql) > maxPointText {
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
			limit = strings.EqualFold(sql[i:end], "limit") || limit && strings.EqualFold(sql[i:end], "offset")
			dst, i = append(dst, sql[i:end]...), end
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
			next := end + 1
			for next < len(sql) && plainSpace(sql[next]) {
				next++
			}
			return end, next == len(sql) || sql[next] != '\'' && sql[next] != '"' // adjacent strings are one
		case c == '\\', c >= 0x80, c == 0:
			return 0, false
		}
	}
	return 0, false
}

func plainSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
