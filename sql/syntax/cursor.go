package syntax

import (
	"strconv"
	"strings"
)

// cursor reads the small constructs that the grammar engine and lifting share. Its methods either consume the whole
// construct or leave a failure that names the token where it broke; then the position is meaningless.
type cursor struct {
	src  string
	mode Mode
	toks []Token // ends with EOF
	pos  int
}

// failure is the token at which reading broke and what was expected there.
type failure struct {
	tok      int
	expected string
}

// newCursor tokenizes a statement. Semicolons at its end are dropped: the EOF token stands where the first of them was.
func newCursor(src string, mode Mode) cursor {
	toks := Tokenize(src, mode)
	end := len(src)
	for len(toks) > 0 && toks[len(toks)-1].Is(src, ";") {
		end = toks[len(toks)-1].Start
		toks = toks[:len(toks)-1]
	}
	return cursor{src: src, mode: mode, toks: append(toks, Token{Kind: EOF, Start: end, End: end})}
}

// tok returns the current token.
func (c *cursor) tok() Token { return c.toks[c.pos] }

// peek returns the token n behind the current one, EOF behind the end.
func (c *cursor) peek(n int) Token { return c.toks[min(c.pos+n, len(c.toks)-1)] }

// is reports whether the current token is the word or punctuation given in upper case.
func (c *cursor) is(upper string) bool { return c.tok().Is(c.src, upper) }

// accept consumes the words or punctuation given if all of them follow.
func (c *cursor) accept(uppers ...string) bool {
	for i, u := range uppers {
		if !c.peek(i).Is(c.src, u) {
			return false
		}
	}
	c.pos += len(uppers)
	return true
}

// acceptAny consumes one of the words given and returns it, or "".
func (c *cursor) acceptAny(uppers ...string) string {
	for _, u := range uppers {
		if c.accept(u) {
			return u
		}
	}
	return ""
}

// expect consumes one word or punctuation.
func (c *cursor) expect(upper string) *failure {
	if c.accept(upper) {
		return nil
	}
	if classes[upper[0]]&classIdent == 0 {
		return c.failHere("'" + upper + "'")
	}
	return c.failHere(upper)
}

// failHere is a failure at the current token.
func (c *cursor) failHere(expected string) *failure { return &failure{tok: c.pos, expected: expected} }

// errorOf positions a failure in the text.
func (c *cursor) errorOf(f *failure) *Error { return NewError(c.src, c.toks[f.tok].Start, f.expected) }

// isString reports whether a token can stand for a string. Double quotes always can: the administrative grammar writes its
// strings in them whatever sql_mode says.
func (c *cursor) isString(t Token) bool {
	return t.Kind == String || t.Kind == Quoted && c.src[t.Start] == '"'
}

// stringLit reads a string.
func (c *cursor) stringLit() (string, *failure) {
	t := c.tok()
	if !c.isString(t) {
		return "", c.failHere("string")
	}
	t.Kind = String
	c.pos++
	return t.Value(c.src, c.mode), nil
}

// ident reads an identifier.
func (c *cursor) ident() (string, *failure) {
	t := c.tok()
	if t.Kind != Word && t.Kind != Quoted {
		return "", c.failHere("identifier")
	}
	c.pos++
	return t.Value(c.src, c.mode), nil
}

// name reads an identifier or a string.
func (c *cursor) name() (string, *failure) {
	t := c.tok()
	if t.Kind != Word && t.Kind != Quoted && t.Kind != String {
		return "", c.failHere("name")
	}
	c.pos++
	return t.Value(c.src, c.mode), nil
}

// TableName is a table, qualified or not.
type TableName struct {
	DB, Table string
}

// table reads [db.]table.
func (c *cursor) table() (TableName, *failure) {
	first, f := c.ident()
	if f != nil {
		f.expected = "table name"
		return TableName{}, f
	}
	if !c.accept(".") {
		return TableName{Table: first}, nil
	}
	second, f := c.ident()
	if f != nil {
		f.expected = "table name"
	}
	return TableName{DB: first, Table: second}, f
}

// integer reads an integer with an optional sign.
func (c *cursor) integer() (int64, *failure) {
	start := c.pos
	sign := ""
	if c.accept("-") {
		sign = "-"
	} else {
		c.accept("+")
	}
	t := c.tok()
	if t.Kind != Int {
		return 0, c.failHere("integer")
	}
	n, err := strconv.ParseInt(sign+t.Text(c.src), 10, 64)
	if err != nil {
		return 0, &failure{tok: start, expected: "integer of at most 64 bits"}
	}
	c.pos++
	return n, nil
}

// value reads a string, a number with an optional sign, or a word with points in it.
func (c *cursor) value() (string, *failure) {
	t := c.tok()
	switch {
	case c.isString(t):
		return c.stringLit()
	case t.Kind == Word || t.Kind == Quoted:
		return c.dotted()
	case t.Kind == Punct && (c.is("-") || c.is("+")):
		if k := c.peek(1).Kind; k != Int && k != Decimal && k != Float {
			return "", c.failHere("value")
		}
		c.pos += 2
		return t.Text(c.src) + c.toks[c.pos-1].Text(c.src), nil
	case t.Kind == Int || t.Kind == Decimal || t.Kind == Float || t.Kind == Hex:
		c.pos++
		return t.Text(c.src), nil
	}
	return "", c.failHere("value")
}

// dotted reads a.b.c.
func (c *cursor) dotted() (string, *failure) {
	s, f := c.ident()
	for f == nil && c.accept(".") {
		var part string
		part, f = c.ident()
		s += "." + part
	}
	return s, f
}

// HostPort is the address of an FE or BE.
type HostPort struct {
	Host string
	Port uint16
}

// hostPort reads "host:port" or the same without quotes, which the tokenizer cuts into adjacent tokens.
func (c *cursor) hostPort() (HostPort, *failure) {
	start := c.pos
	fail := &failure{tok: start, expected: argTypes[TypeHostPort]}
	text := ""
	if t := c.tok(); c.isString(t) {
		text, _ = c.stringLit()
	} else {
		for end := t.Start; c.tok().Start == end && c.addressPart(); c.pos++ {
			end = c.tok().End
		}
		if c.pos == start {
			return HostPort{}, fail
		}
		text = c.src[t.Start:c.toks[c.pos-1].End]
	}
	hp, ok := SplitHostPort(text)
	if !ok {
		return HostPort{}, fail
	}
	return hp, nil
}

// addressPart reports whether the current token can be part of an unquoted address.
func (c *cursor) addressPart() bool {
	switch c.tok().Kind {
	case Word, Int, Decimal, Float:
		return true
	case Punct:
		return strings.Contains(".:-[]", c.tok().Text(c.src))
	}
	return false
}

// SplitHostPort cuts "host:port"; an IPv6 address stands in brackets, which are removed.
func SplitHostPort(text string) (HostPort, bool) {
	i := strings.LastIndexByte(text, ':')
	if i <= 0 {
		return HostPort{}, false
	}
	host := text[:i]
	port, err := strconv.ParseUint(text[i+1:], 10, 16)
	if err != nil || port == 0 {
		return HostPort{}, false
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	} else if strings.ContainsAny(host, ":[]") {
		return HostPort{}, false
	}
	if host == "" || strings.ContainsAny(host, " \t\r\n\"'`") {
		return HostPort{}, false
	}
	return HostPort{Host: host, Port: uint16(port)}, true
}

// Prop is one pair of a property list, in the order written.
type Prop struct {
	Key, Value string
	Offset     int // of the key
}

// props reads [PROPERTIES] ("k" = "v", ...). An empty list is allowed, as StarRocks allows it.
func (c *cursor) props() ([]Prop, *failure) {
	c.accept("PROPERTIES")
	if f := c.expect("("); f != nil {
		return nil, f
	}
	var list []Prop
	if c.accept(")") {
		return list, nil
	}
	for {
		p, f := c.prop()
		if f != nil {
			return nil, f
		}
		list = append(list, p)
		if c.accept(")") {
			return list, nil
		}
		if !c.accept(",") {
			return nil, c.failHere("',' or ')'")
		}
	}
}

// prop reads one pair.
func (c *cursor) prop() (p Prop, f *failure) {
	p.Offset = c.tok().Start
	if c.isString(c.tok()) {
		p.Key, f = c.stringLit()
	} else {
		p.Key, f = c.dotted()
	}
	if f != nil {
		f.expected = "property name"
		return p, f
	}
	if f = c.expect("="); f != nil {
		return p, f
	}
	p.Value, f = c.value()
	return p, f
}

// list reads one or more items separated by commas, with or without parentheses.
func list[T any](c *cursor, item func(*cursor) (T, *failure)) ([]T, *failure) {
	paren := c.accept("(")
	var all []T
	for {
		v, f := item(c)
		if f != nil {
			return nil, f
		}
		all = append(all, v)
		if c.accept(",") {
			continue
		}
		if paren && !c.accept(")") {
			return nil, c.failHere("',' or ')'")
		}
		return all, nil
	}
}

// parenNames reads (a, b, c), the parentheses required.
func (c *cursor) parenNames() ([]string, *failure) {
	if !c.is("(") {
		return nil, c.failHere("'('")
	}
	return list(c, (*cursor).ident)
}

// skipParens moves behind the parenthesis that closes the one at the current token.
func (c *cursor) skipParens() *failure {
	open := c.pos
	depth := 0
	for ; c.tok().Kind != EOF && c.tok().Kind != Invalid; c.pos++ {
		switch {
		case c.is("("):
			depth++
		case c.is(")"):
			if depth--; depth == 0 {
				c.pos++
				return nil
			}
		}
	}
	if c.tok().Kind == EOF {
		return &failure{tok: c.pos, expected: "')' for the '(' at offset " + strconv.Itoa(c.toks[open].Start)}
	}
	return c.failHere("')'")
}
