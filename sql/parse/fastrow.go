package parse

import (
	"strings"

	"stele/sql/syntax"
)

// row reads one row. What dumps and loaders write, numbers and strings without escapes or blanks around them, is cut from the
// text without the tokenizer; a literal that is anything else goes through it.
func (r *insertReader) row() bool {
	if r.tok.Kind != syntax.Punct || !r.tok.Is(r.sql, "(") {
		return false
	}
	for at := r.tok.End; ; {
		for byteAt(r.sql, at) == ' ' {
			at++
		}
		var c Cell
		end := r.plainCell(&c, at)
		if end < 0 {
			c = Cell{}
			r.seek(at)
			if !r.cell(&c) {
				return false
			}
			end = r.tok.Start
		}
		r.out.Cells = append(r.out.Cells, c)
		switch byteAt(r.sql, end) {
		case ',':
			at = end + 1
		case ')':
			r.seek(end + 1)
			return true
		default: // blanks, comments
			if r.seek(end); !r.punct(',') {
				return r.punct(')')
			}
			at = r.tok.Start
		}
	}
}

// seek moves to the token that begins at a byte, or behind the blanks there.
func (r *insertReader) seek(at int) {
	r.lx.Seek(at)
	r.next()
}

// byteAt is 0 beyond the end.
func byteAt(s string, i int) byte {
	if i < len(s) {
		return s[i]
	}
	return 0
}

// plainCell reads the literal that begins at a byte and returns where it ends, or -1 when it is not one of the plain ones.
func (r *insertReader) plainCell(c *Cell, at int) int {
	switch first := byteAt(r.sql, at); {
	case first >= '0' && first <= '9':
		return plainNumber(c, r.sql, at)
	case first == '\'':
		return r.plainString(c, at)
	case first == '-':
		c.Neg = true
		return plainNumber(c, r.sql, at+1)
	case first == 'N' && strings.HasPrefix(r.sql[at:], "NULL"):
		if next := byteAt(r.sql, at+4); next == ',' || next == ')' {
			c.Text = r.sql[at : at+4]
			return at + 4
		}
	}
	return -1
}

// plainNumber reads digits, perhaps with a point among them.
func plainNumber(c *Cell, sql string, at int) int {
	c.Kind = CellInt
	end := digits(sql, at)
	if end == at {
		return -1
	}
	if byteAt(sql, end) == '.' {
		c.Kind = CellDecimal
		end = digits(sql, end+1)
	}
	if next := byteAt(sql, end); next != ',' && next != ')' {
		return -1
	}
	if c.Text = sql[at:end]; c.Kind == CellInt && len(c.Text) > 18 && !fits64(c.Text) {
		c.Kind = CellDecimal
	}
	return end
}

// digits returns where the digits end.
func digits(s string, i int) int {
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	return i
}

// plainString reads a string in which nothing is escaped.
func (r *insertReader) plainString(c *Cell, at int) int {
	n := strings.IndexByte(r.sql[at+1:], '\'')
	if n < 0 {
		return -1
	}
	text, end := r.sql[at+1:at+1+n], at+n+2
	if next := byteAt(r.sql, end); next != ',' && next != ')' {
		return -1
	}
	c.Kind, c.quote, c.Text = CellString, '\'', text
	if r.mode&syntax.NoBackslashEscapes != 0 {
		c.quote |= rawBit
	} else if strings.IndexByte(text, '\\') >= 0 {
		return -1
	}
	return end
}
