package plan

import (
	"bytes"
	"strings"

	"stele/meta/types"
	ast "stele/sql/parse"
)

const decimalPhys = types.PhysDec128

// loadReader cuts text into lines and fields.
type loadReader struct {
	f    LoadFormat
	s    string // what is left
	open bool   // the field before ended with the text, not with a terminator
}

// line goes to the next line; false at the end of the text.
func (r *loadReader) line() bool {
	if r.f.Start == "" {
		return r.s != ""
	}
	// What stands before the prefix, and lines without it, are passed over.
	at := strings.Index(r.s, r.f.Start)
	if at < 0 {
		r.s = ""
		return false
	}
	r.s = r.s[at+len(r.f.Start):]
	return true
}

// field reads one field; more says that the line has another one.
func (r *loadReader) field() (c ast.Cell, more bool) {
	if r.f.Quote != 0 && r.s != "" && r.s[0] == r.f.Quote {
		return r.quoted()
	}
	i := 0
	escaped := false
	for i < len(r.s) {
		switch b := r.s[i]; {
		case b == r.f.Escape && r.f.Escape != 0 && i+1 < len(r.s):
			escaped = true
			i += 2
			continue
		case b == r.f.Field[0] && strings.HasPrefix(r.s[i:], r.f.Field):
			c = r.cell(r.s[:i], escaped, false)
			r.s = r.s[i+len(r.f.Field):]
			return c, true
		case b == r.f.Line[0] && strings.HasPrefix(r.s[i:], r.f.Line):
			c = r.cell(r.s[:i], escaped, false)
			r.s = r.s[i+len(r.f.Line):]
			return c, false
		}
		i++
	}
	c = r.cell(r.s, escaped, false)
	r.s, r.open = "", true
	return c, false
}

// past goes beyond the field that ends at end, where a terminator stands or the text ends; the line may have more.
func (r *loadReader) past(end int) (more bool) {
	switch {
	case end == len(r.s):
		r.s, r.open = "", true
		return false
	case len(r.f.Field) == 1 && len(r.f.Line) == 1:
		more = r.s[end] == r.f.Field[0]
		r.s = r.s[end+1:]
		return more
	case strings.HasPrefix(r.s[end:], r.f.Field):
		r.s = r.s[end+len(r.f.Field):]
		return true
	}
	r.s = r.s[end+len(r.f.Line):]
	return false
}

// quoted reads a field that begins with the quote. It ends with a quote that a terminator follows; a doubled one is one.
func (r *loadReader) quoted() (c ast.Cell, more bool) {
	i, escaped := 1, false
	for i < len(r.s) {
		b := r.s[i]
		if b == r.f.Escape && r.f.Escape != 0 && b != r.f.Quote && i+1 < len(r.s) {
			escaped = true
			i += 2
			continue
		}
		if b != r.f.Quote {
			i++
			continue
		}
		rest := r.s[i+1:]
		switch {
		case rest != "" && rest[0] == r.f.Quote:
			escaped = true
			i += 2
		case strings.HasPrefix(rest, r.f.Field):
			c = r.cell(r.s[1:i], escaped, true)
			r.s = rest[len(r.f.Field):]
			return c, true
		case rest == "" || strings.HasPrefix(rest, r.f.Line):
			c = r.cell(r.s[1:i], escaped, true)
			r.s, r.open = strings.TrimPrefix(rest, r.f.Line), rest == ""
			return c, false
		default:
			i++
		}
	}
	c = r.cell(r.s[1:], escaped, true)
	r.s, r.open = "", true
	return c, false
}

// cell gives a field its value. \N is NULL, and so is the bare word NULL where fields are enclosed, or nothing is escaped.
func (r *loadReader) cell(s string, escaped, quoted bool) ast.Cell {
	if !escaped {
		if s == "NULL" && !quoted && (r.f.Quote != 0 || r.f.Escape == 0) {
			return ast.Cell{Kind: ast.CellNull}
		}
		return ast.Cell{Kind: ast.CellString, Text: s}
	}
	if len(s) == 2 && s[0] == r.f.Escape && s[1] == 'N' && !quoted {
		return ast.Cell{Kind: ast.CellNull}
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == r.f.Escape && r.f.Escape != 0 && i+1 < len(s) && (!quoted || s[i] != r.f.Quote):
			i++
			b.WriteByte(unescaped(s[i]))
		case quoted && s[i] == r.f.Quote && i+1 < len(s) && s[i+1] == r.f.Quote:
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return ast.Cell{Kind: ast.CellString, Text: b.String()}
}

func unescaped(b byte) byte {
	switch b {
	case '0':
		return 0
	case 'b':
		return '\b'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'Z':
		return 26
	}
	return b
}

// Cut returns how much of text is whole lines, 0 when it has not one to its end.
func (f LoadFormat) Cut(text []byte) int {
	if f.Quote == 0 && len(f.Line) == 1 {
		return f.cutPlain(text)
	}
	r := loadReader{f: f, s: string(text)}
	whole := 0
	for r.line() {
		for more := true; more; {
			if _, more = r.field(); r.open {
				return whole
			}
		}
		whole = len(text) - len(r.s)
	}
	return whole
}

// cutPlain looks for the last line end that is not escaped.
func (f LoadFormat) cutPlain(text []byte) int {
	for end := len(text); end > 0; {
		at := bytes.LastIndexByte(text[:end], f.Line[0])
		if at < 0 {
			return 0
		}
		n := 0
		for f.Escape != 0 && at-n > 0 && text[at-n-1] == f.Escape {
			n++
		}
		if n%2 == 0 {
			return at + 1
		}
		end = at
	}
	return 0
}

// SkipLines returns text without its first n lines, and how many there were; the text is whole lines.
func (f LoadFormat) SkipLines(text []byte, n uint64) ([]byte, uint64) {
	skipped := uint64(0)
	for ; skipped < n; skipped++ {
		at := bytes.Index(text, []byte(f.Line))
		if at < 0 {
			break
		}
		text = text[at+len(f.Line):]
	}
	return text, skipped
}
