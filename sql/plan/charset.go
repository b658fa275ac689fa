package plan

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	"stele/sql/fn"
	ast "stele/sql/parse"
)

// charsetText is what the binder remembers of text in a character set other than utf8mb4.
type charsetText struct {
	charset string
	bytes   *expr.Node // the text in that set, where this is another form than UTF-8; else nil
}

// charsetNames maps the character sets of expressions to the names that MySQL shows.
var charsetNames = map[string]string{"utf8mb4": "utf8mb4", "utf8": "utf8mb3", "utf8mb3": "utf8mb3", "ascii": "ascii", "latin1": "latin1", "binary": "binary"}

// convertUsing binds CONVERT(expr USING charset).
func (e *env) convertUsing(args []ast.ExprNode) (*expr.Node, error) {
	name, ok := literalString(args[1].(ast.ValueExpr))
	charset := charsetNames[strings.ToLower(name)]
	if !ok || charset == "" {
		return nil, errorf(errno.UnknownCharset, "Unknown character set: '%s'", name)
	}
	x, err := e.bind(args[0])
	if err != nil {
		return nil, err
	}
	out, err := e.b.call("convert_using:"+charset, x)
	if err != nil {
		return nil, err
	}
	return out, e.b.inCharset(out, charset)
}

// charCall binds CHAR(code, ... [USING charset]): the grammar puts the character set, or NULL, behind the codes.
func (e *env) charCall(args []ast.ExprNode) (*expr.Node, error) {
	codes, _, err := e.callArgs("char", args[:len(args)-1])
	if err != nil {
		return nil, err
	}
	out, err := e.b.call("char", codes...)
	if err != nil {
		return nil, err
	}
	name, named := literalString(args[len(args)-1].(ast.ValueExpr))
	charset := charsetNames[strings.ToLower(name)]
	switch {
	case !named:
		return out, nil
	case charset == "":
		return nil, errorf(errno.UnknownCharset, "Unknown character set: '%s'", name)
	}
	if out, err = e.b.call("convert_using:"+charset, out); err != nil {
		return nil, err
	}
	return out, e.b.inCharset(out, charset)
}

// inCharset remembers the character set of text.
func (b *binder) inCharset(n *expr.Node, charset string) error {
	if charset == "utf8mb4" || charset == "binary" {
		return nil
	}
	t := charsetText{charset: charset}
	if charset == "latin1" {
		var err error
		if t.bytes, err = b.call("latin1_bytes", n); err != nil {
			return err
		}
	}
	if b.charsets == nil {
		b.charsets = map[*expr.Node]charsetText{}
	}
	b.charsets[n] = t
	return nil
}

// bytesOf are the functions that look at the bytes of text.
var bytesOf = map[string]bool{"hex": true, "length": true, "bit_length": true, "md5": true, "sha1": true, "sha2": true, "crc32": true, "to_base64": true,
	"ascii": true, "ord": true, "convert_using:binary": true}

// inBytes gives a function that looks at bytes those of text that is not UTF-8 to users.
func (b *binder) inBytes(name string, args []*expr.Node) []*expr.Node {
	if len(b.charsets) == 0 || len(args) == 0 {
		return args
	}
	if d := fn.Lookup(name); d == nil || !bytesOf[d.Name] && !bytesOf[name] {
		return args
	}
	return append([]*expr.Node{b.encoded(args[0])}, args[1:]...)
}

// encoded is text in its character set, as bytes where this is another form than UTF-8; else the expression itself.
func (b *binder) encoded(n *expr.Node) *expr.Node {
	if t := b.charsets[n]; t.bytes != nil {
		return t.bytes
	}
	return n
}

// storedText is text as a value of a type of bytes has it; for any other type the expression itself.
func (b *binder) storedText(n *expr.Node, to types.ColumnType) *expr.Node {
	if to.IsString() && !to.IsText() && to.Kind != types.KindJSON {
		return b.encoded(n)
	}
	return n
}

// charsetOf is what CHARSET() says of an expression.
func (b *binder) charsetOf(n *expr.Node) string {
	c := b.special(n)
	switch {
	case b.charsets[n].charset != "":
		return b.charsets[n].charset
	case n.Type.IsText(), n.Type.Kind == types.KindJSON, c != nil && c.Bits == 0:
		return "utf8mb4"
	}
	return "binary"
}

// charsetCall binds CHARSET() and COLLATION().
func (e *env) charsetCall(name string, args []ast.ExprNode) (*expr.Node, error) {
	if len(args) != 1 {
		return nil, errorf(errno.WrongParameterCount, "Incorrect parameter count in the call to native function '%s'", strings.ToUpper(name))
	}
	x, err := e.bind(args[0])
	if err != nil {
		return nil, err
	}
	out := e.b.charsetOf(x)
	if collation, _ := e.b.coercion(x); collation != types.CollationBinary && collation != mixedCollation {
		if out = collation.Charset(); name == "collation" {
			out = collation.String()
		}
		return constString(out), nil
	}
	if name == "collation" && out != "binary" {
		out += "_bin"
	}
	return constString(out), nil
}

// introduced binds a literal with an introducer: _latin1'…', _binary 0x….
func (b *binder) introduced(l *ast.Literal) (*expr.Node, error) {
	name := l.Type.GetCharset()
	charset, raw := charsetNames[strings.ToLower(name)], l.Str
	switch charset {
	case "":
		return nil, refuse("the introducer _" + name)
	case "binary":
		return expr.ConstBytes([]byte(raw)), nil
	}
	bytes := expr.ConstBytes([]byte(raw))
	if charset != "latin1" && !utf8.ValidString(raw) {
		return nil, errorf(errno.InvalidCharacters, "Invalid %s character string: '%s'", charset, fmt.Sprintf("%X", raw[:min(len(raw), 6)]))
	}
	out, err := b.call("convert_using:"+charset, bytes)
	if err != nil {
		return nil, err
	}
	return out, b.inCharset(out, charset)
}
