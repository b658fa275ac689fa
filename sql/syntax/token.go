package syntax

import "strings"

// Kind says what a token is.
type Kind uint8

// The kinds of tokens.
const (
	EOF     Kind = iota
	Word         // keyword or unquoted identifier: the grammar around it decides which
	Quoted       // identifier in backquotes, or in double quotes under ANSI_QUOTES
	String       // character string; see Value for its contents
	Int          // digits only
	Decimal      // digits with a point
	Float        // with an exponent
	Hex          // 0x1F or x'1F'
	Bit          // 0b01 or b'01'
	Param        // ?
	UserVar      // @name
	SysVar       // @@name, @@global.name
	Punct        // operator or punctuation, two and three characters where MySQL has them
	Invalid      // what MySQL's scanner refuses; it reaches to the end of the broken thing
)

// kindNames is indexed by Kind.
var kindNames = [...]string{"end of statement", "word", "identifier", "string", "integer", "decimal", "float", "hex literal",
	"bit literal", "parameter", "user variable", "system variable", "punctuation", "invalid token"}

// String names the kind for messages.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Token is one lexical element: the bytes [Start, End) of the text it was read from.
type Token struct {
	Kind Kind
	// Escaped is set on String and Quoted when the contents hold a backslash escape or a doubled quote.
	Escaped    bool
	Start, End int
}

// Text returns the bytes of the token as written.
func (t Token) Text(src string) string { return src[t.Start:t.End] }

// Value returns what the token means: the decoded contents of a string or quoted identifier, the name of a user variable
// without its @, and the text as written for everything else.
func (t Token) Value(src string, mode Mode) string {
	switch t.Kind {
	case String, Quoted:
		body := src[t.Start+1 : t.End-1]
		if !t.Escaped {
			return body
		}
		quote := src[t.Start]
		return string(AppendUnescaped(make([]byte, 0, len(body)), body, quote, t.Kind == String && mode&NoBackslashEscapes == 0))
	case UserVar:
		return t.userVarName(src, mode)
	default:
		return src[t.Start:t.End]
	}
}

// userVarName decodes @name, @`name`, @'name'.
func (t Token) userVarName(src string, mode Mode) string {
	inner := Token{Kind: Word, Escaped: t.Escaped, Start: t.Start + 1, End: t.End}
	if inner.Start == inner.End {
		return ""
	}
	switch src[inner.Start] {
	case '`':
		inner.Kind = Quoted
	case '\'', '"':
		inner.Kind = String
	}
	return inner.Value(src, mode)
}

// Is reports whether the token is the unquoted word or the punctuation given; words compare without case.
// The argument must be upper case.
func (t Token) Is(src, upper string) bool {
	if (t.Kind != Word && t.Kind != Punct) || t.End-t.Start != len(upper) {
		return false
	}
	return strings.EqualFold(src[t.Start:t.End], upper)
}

// AppendUnescaped appends the contents of a quoted text to dst: doubled quotes become one, and with backslash set MySQL's
// escapes are decoded, except \% and \_ which LIKE still has to see.
func AppendUnescaped(dst []byte, body string, quote byte, backslash bool) []byte {
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case c == quote && i+1 < len(body) && body[i+1] == quote:
			i++
			dst = append(dst, quote)
		case c == '\\' && backslash && i+1 < len(body):
			i++
			dst = appendEscape(dst, body[i])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// appendEscape decodes the character after a backslash.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case 'n':
		return append(dst, '\n')
	case '0':
		return append(dst, 0)
	case 'b':
		return append(dst, '\b')
	case 'Z':
		return append(dst, 26)
	case 'r':
		return append(dst, '\r')
	case 't':
		return append(dst, '\t')
	case '%', '_':
		return append(dst, '\\', c)
	default:
		return append(dst, c)
	}
}

// Tokenize returns all tokens of a text up to and without EOF. An Invalid token, if any, is the last one.
func Tokenize(src string, mode Mode) []Token {
	toks := make([]Token, 0, len(src)/5+4)
	lx := NewLexer(src, mode)
	for {
		t := lx.Next()
		if t.Kind == EOF {
			return toks
		}
		toks = append(toks, t)
		if t.Kind == Invalid {
			return toks
		}
	}
}

// QuoteName puts a name in backticks: the tokenizer reads it back as it is.
func QuoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// QuoteText puts a text in single quotes.
func QuoteText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`, "\n", `\n`, "\r", `\r`, "\x00", `\0`).Replace(s) + "'"
}
