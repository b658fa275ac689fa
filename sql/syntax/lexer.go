package syntax

import "strings"

// Lexer reads tokens one at a time without allocating. The rules, also the odd ones, are those of the MySQL parser behind
// it, because a text that the two cut differently would be routed by one meaning and executed by another.
type Lexer struct {
	src  string
	mode Mode
	pos  int
	// bang is set inside /*! ... */, whose body is code and whose end is skipped.
	bang bool
	// dotted is set after a name directly followed by a point: then ".5" is a point and the name "5", not a number.
	dotted bool
}

// NewLexer starts reading at the beginning of src.
func NewLexer(src string, mode Mode) Lexer { return Lexer{src: src, mode: mode} }

// Seek goes on at a byte at which a token ended or begins.
func (l *Lexer) Seek(pos int) { l.pos, l.dotted = pos, false }

// InBang reports whether the last token lies inside a /*! ... */ comment.
func (l *Lexer) InBang() bool { return l.bang }

// Character classes of unquoted text, by byte.
const (
	classSpace = 1 << iota
	classDigit
	classIdent // letter, digit, _, $, any byte from 0x80
)

var classes = buildClasses()

// buildClasses fills the table that Next looks bytes up in.
func buildClasses() (t [256]uint8) {
	for c := range 256 {
		b := byte(c)
		letter := b|0x20 >= 'a' && b|0x20 <= 'z'
		digit := b >= '0' && b <= '9'
		if digit {
			t[c] |= classDigit
		}
		if letter || digit || b == '_' || b == '$' || b >= 0x80 {
			t[c] |= classIdent
		}
		// 0x85 and 0xA0 start no UTF-8 character; the MySQL parser takes them for the Latin-1 blanks they once were.
		if strings.IndexByte(" \t\n\v\f\r\x85\xa0", b) >= 0 {
			t[c] |= classSpace
		}
	}
	return t
}

// at returns the byte at offset i, or 0 behind the end.
func (l *Lexer) at(i int) byte {
	if i < len(l.src) {
		return l.src[i]
	}
	return 0
}

// span returns the end of the run of bytes of a class from i on.
func (l *Lexer) span(i int, class uint8) int {
	for i < len(l.src) && classes[l.src[i]]&class != 0 {
		i++
	}
	return i
}

// token ends the current token at end.
func (l *Lexer) token(kind Kind, start, end int) Token {
	l.pos = end
	return Token{Kind: kind, Start: start, End: end}
}

// Next returns the next token. After EOF or Invalid it keeps returning that.
func (l *Lexer) Next() Token {
	if t, broken := l.skipBlank(); broken {
		return t
	}
	start := l.pos
	if start >= len(l.src) {
		return Token{Kind: EOF, Start: len(l.src), End: len(l.src)}
	}
	c := l.src[start]
	switch {
	case classes[c]&classDigit != 0:
		return l.number(start)
	case classes[c]&classIdent != 0:
		return l.word(start, c)
	}
	switch c {
	case '\'', '"':
		return l.quotedString(start, c)
	case '`':
		return l.quotedIdent(start)
	case '.':
		return l.dot(start)
	case '?':
		return l.token(Param, start, start+1)
	case '@':
		return l.variable(start)
	default:
		return l.punct(start, c)
	}
}

// skipBlank moves behind blanks and comments. An unclosed comment is returned as Invalid.
func (l *Lexer) skipBlank() (Token, bool) {
	for {
		l.pos = l.span(l.pos, classSpace)
		switch c := l.at(l.pos); {
		case c == '#', c == '-' && l.dashComment():
			l.pos = l.lineEnd()
		case c == '/' && l.at(l.pos+1) == '*':
			if l.at(l.pos+2) == '!' {
				l.openBang()
				continue
			}
			end := strings.Index(l.src[l.pos+2:], "*/")
			if end < 0 {
				start := l.pos
				return Token{Kind: Invalid, Start: start, End: len(l.src)}, true
			}
			l.pos += end + 4
		case c == '*' && l.bang && l.at(l.pos+1) == '/':
			l.bang = false
			l.pos += 2
		default:
			return Token{}, false
		}
	}
}

// dashComment reports whether the position starts "--" followed by a blank or the end.
func (l *Lexer) dashComment() bool {
	if l.at(l.pos+1) != '-' {
		return false
	}
	return l.pos+2 == len(l.src) || classes[l.at(l.pos+2)]&classSpace != 0
}

// lineEnd returns the offset of the next newline or the end of the text.
func (l *Lexer) lineEnd() int {
	if i := strings.IndexByte(l.src[l.pos:], '\n'); i >= 0 {
		return l.pos + i
	}
	return len(l.src)
}

// openBang enters /*! with its optional five-digit version, which is not compared: the body is always code.
func (l *Lexer) openBang() {
	l.bang = true
	l.pos += 3
	if end := l.pos + 5; end <= len(l.src) && l.span(l.pos, classDigit) >= end {
		l.pos = end
	}
}

// word reads a keyword or identifier, or x'..' and b'..'.
func (l *Lexer) word(start int, c byte) Token {
	if l.at(start+1) == '\'' {
		switch c {
		case 'x', 'X':
			return l.quotedBits(start, Hex)
		case 'b', 'B':
			return l.quotedBits(start, Bit)
		}
	}
	return l.identTo(start, l.span(start, classIdent))
}

// identTo ends an identifier and notes whether a point follows.
func (l *Lexer) identTo(start, end int) Token {
	l.dotted = l.at(end) == '.'
	return l.token(Word, start, end)
}

// quotedBits reads the digits of x'..' or b'..'.
func (l *Lexer) quotedBits(start int, kind Kind) Token {
	end := l.spanBits(start+2, kind)
	if l.at(end) != '\'' {
		return Token{Kind: Invalid, Start: start, End: len(l.src)}
	}
	return l.token(kind, start, end+1)
}

// spanBits returns the end of the hexadecimal or binary digits from i on.
func (l *Lexer) spanBits(i int, kind Kind) int {
	for i < len(l.src) {
		c := l.src[i]
		hex := kind == Hex && (classes[c]&classDigit != 0 || c|0x20 >= 'a' && c|0x20 <= 'f')
		if !hex && c != '0' && c != '1' {
			break
		}
		i++
	}
	return i
}

// number reads digits with all that may follow them; a digit may also start an identifier.
func (l *Lexer) number(start int) Token {
	if l.dotted {
		return l.identTo(start, l.span(start, classIdent))
	}
	kind, end := Int, start+1
	if l.src[start] == '0' {
		switch c := l.at(start + 1); c {
		case 'x', 'X', 'b':
			kind = Bit
			if c != 'b' {
				kind = Hex
			}
			end = l.spanBits(start+2, kind)
			if end == start+2 || classes[l.at(end)]&classDigit != 0 {
				return l.identTo(start, l.span(start, classIdent))
			}
		case 'B':
			return l.identTo(start, l.span(start, classIdent))
		}
	}
	end = l.span(end, classDigit)
	if c := l.at(end); c == '.' || c|0x20 == 'e' {
		return l.fraction(start)
	}
	if classes[l.at(end)]&classIdent != 0 && end < len(l.src) {
		return l.identTo(start, l.span(end, classIdent))
	}
	return l.token(kind, start, end)
}

// fraction reads digits, point, digits, exponent from start on; a broken exponent makes the whole an identifier.
func (l *Lexer) fraction(start int) Token {
	end := l.span(start, classDigit)
	if l.at(end) == '.' {
		end = l.span(end+1, classDigit)
	}
	if l.at(end)|0x20 != 'e' {
		return l.token(Decimal, start, end)
	}
	exp := end + 1
	if c := l.at(exp); c == '+' || c == '-' {
		exp++
	}
	if classes[l.at(exp)]&classDigit != 0 {
		return l.token(Float, start, l.span(exp, classDigit))
	}
	end = l.span(start, classIdent)
	if end == start {
		return Token{Kind: Invalid, Start: start, End: len(l.src)}
	}
	return l.identTo(start, end)
}

// dot reads a point, or a number that starts with one.
func (l *Lexer) dot(start int) Token {
	if l.dotted || classes[l.at(start+1)]&classDigit == 0 {
		return l.token(Punct, start, start+1)
	}
	return l.fraction(start)
}

// quotedString reads '..' or "..". Under ANSI_QUOTES the latter is an identifier, whose inside still follows string rules.
func (l *Lexer) quotedString(start int, quote byte) Token {
	end, escaped := l.stringEnd(start)
	if end < 0 {
		return Token{Kind: Invalid, Start: start, End: len(l.src)}
	}
	kind := String
	if quote == '"' && l.mode&AnsiQuotes != 0 {
		kind = Quoted
		l.dotted = l.at(end) == '.'
	}
	t := l.token(kind, start, end)
	t.Escaped = escaped
	return t
}

// stringEnd returns the offset behind the quote that closes the string at start, or -1.
func (l *Lexer) stringEnd(start int) (end int, escaped bool) {
	quote, backslash := l.src[start], l.mode&NoBackslashEscapes == 0
	for i := start + 1; i < len(l.src); i++ {
		switch c := l.src[i]; {
		case c == quote:
			if l.at(i+1) != quote {
				return i + 1, escaped
			}
			escaped = true
			i++
		case c == '\\' && backslash:
			escaped = true
			i++
		}
	}
	return -1, escaped
}

// quotedIdent reads `..`, where only the doubled backquote is special.
func (l *Lexer) quotedIdent(start int) Token {
	end, escaped := l.backquoteEnd(start)
	if end < 0 {
		return Token{Kind: Invalid, Start: start, End: len(l.src)}
	}
	l.dotted = l.at(end) == '.'
	t := l.token(Quoted, start, end)
	t.Escaped = escaped
	return t
}

// backquoteEnd returns the offset behind the closing backquote, or -1.
func (l *Lexer) backquoteEnd(start int) (end int, escaped bool) {
	for i := start + 1; i < len(l.src); i++ {
		if l.src[i] != '`' {
			continue
		}
		if l.at(i+1) != '`' {
			return i + 1, escaped
		}
		escaped = true
		i++
	}
	return -1, escaped
}

// variable reads @name and @@[scope.]name, either quoted or not.
func (l *Lexer) variable(start int) Token {
	kind, at := UserVar, start+1
	if l.at(at) == '@' {
		kind = SysVar
		at++
		for _, scope := range []string{"global.", "session.", "local."} {
			if len(l.src)-at >= len(scope) && strings.EqualFold(l.src[at:at+len(scope)], scope) {
				at += len(scope)
				break
			}
		}
	}
	end, escaped := at, false
	switch l.at(at) {
	case '`':
		end, escaped = l.backquoteEnd(at)
	case '\'', '"':
		end, escaped = l.stringEnd(at)
	default:
		for end < len(l.src) && (classes[l.src[end]]&classIdent != 0 || l.src[end] == '.') {
			end++
		}
	}
	if end < 0 {
		return Token{Kind: Invalid, Start: start, End: len(l.src)}
	}
	t := l.token(kind, start, end)
	t.Escaped = escaped
	return t
}

// punct reads an operator: the longest of MySQL's.
func (l *Lexer) punct(start int, c byte) Token {
	two, three := l.at(start+1), l.at(start+2)
	n := 1
	switch c {
	case '-':
		n = pick(two == '>', pick(three == '>', 3, 2), 1)
	case '<':
		n = pick(two == '=' && three == '>', 3, pick(two == '=' || two == '>' || two == '<', 2, 1))
	case '>':
		n = pick(two == '=' || two == '>', 2, 1)
	case '!', ':':
		n = pick(two == '=', 2, 1)
	case '|':
		n = pick(two == '|', 2, 1)
	case '&':
		n = pick(two == '&' || two == '^', 2, 1)
	case '\\':
		n = pick(two == 'N', 2, 1)
	case '*':
		l.dotted = false
	case '/', '+', '(', ')', '[', ']', ';', ',', '%', '^', '~', '=', '{', '}':
	default:
		return Token{Kind: Invalid, Start: start, End: start + 1}
	}
	return l.token(Punct, start, start+n)
}

// pick is the conditional expression that Go lacks.
func pick(cond bool, yes, no int) int {
	if cond {
		return yes
	}
	return no
}
