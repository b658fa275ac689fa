package parse

import (
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/format"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/types"
)

// The MySQL parser makes its leaves through these hooks, which are the same for the whole process.
func init() {
	ast.NewValueExpr = newLiteral
	ast.NewParamMarkerExpr = func(offset int) ast.ParamMarkerExpr { return &Param{Offset: offset} }
	ast.NewDecimal = func(text string) (any, error) { return decimalText(text), nil }
	ast.NewHexLiteral = func(text string) (any, error) { return decodeHex(text) }
	ast.NewBitLiteral = func(text string) (any, error) { return decodeBit(text) }
}

// LiteralKind says which field of a Literal holds its value.
type LiteralKind uint8

// The kinds of literals.
const (
	LiteralNull    LiteralKind = iota
	LiteralInt                 // Int; Bool tells TRUE and FALSE from 1 and 0
	LiteralUint                // Uint: an integer above the range of int64
	LiteralDecimal             // Str: digits as written, any number of them
	LiteralFloat               // Float
	LiteralString              // Str, in the charset of the field type
	LiteralHex                 // Str: the bytes
	LiteralBit                 // Str: the bytes, big endian
)

// Literal is a constant in a statement. Its field type says charset, collation and length.
type Literal struct {
	ast.TexprNode
	Kind  LiteralKind
	Bool  bool
	Int   int64
	Uint  uint64
	Float float64
	Str   string

	// projectionOffset is how much of a string made of adjacent strings names a column; -1 is all of it.
	projectionOffset int
}

// Param is a question mark. Order counts from 0 in the order of the text.
type Param struct {
	Literal
	Offset int
	Order  int
}

var (
	_ ast.ValueExpr       = (*Literal)(nil)
	_ ast.ParamMarkerExpr = (*Param)(nil)
)

// What the scanner's hooks give to newLiteral.
type (
	decimalText string
	hexBytes    string
	bitBytes    string
)

// ToString makes hex and bit literals what the grammar expects of them where a text may be one.
func (h hexBytes) ToString() string { return string(h) }

// ToString is as for hexBytes.
func (b bitBytes) ToString() string { return string(b) }

// decodeHex reads 0x1F and x'1F'. Only the former may have an odd number of digits.
func decodeHex(text string) (hexBytes, error) {
	digits := text[2:]
	if text[0] != '0' {
		digits = text[2 : len(text)-1]
	} else if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return "", fmt.Errorf("hex literal %s: %w", text, err)
	}
	return hexBytes(raw), nil
}

// decodeBit reads 0b01 and b'01', filled up with zeros to whole bytes on the left.
func decodeBit(text string) (bitBytes, error) {
	digits := strings.TrimSuffix(text[2:], "'")
	raw := make([]byte, (len(digits)+7)/8)
	for i := range len(digits) {
		place := len(digits) - 1 - i
		switch digits[i] {
		case '1':
			raw[len(raw)-1-place/8] |= 1 << (place % 8)
		case '0':
		default:
			return "", fmt.Errorf("bit literal %s: bad digit %q", text, digits[i])
		}
	}
	return bitBytes(raw), nil
}

// newLiteral is the hook; it is also called with a literal already made.
func newLiteral(value any, charset, collation string) ast.ValueExpr {
	if v, ok := value.(ast.ValueExpr); ok {
		return v
	}
	l := &Literal{projectionOffset: -1}
	l.SetValue(value)
	l.setType(charset, collation)
	return l
}

// SetValue implements ast.ValueExpr. It takes what the scanner produces and what the grammar makes up.
func (l *Literal) SetValue(value any) {
	l.Bool, l.Int, l.Uint, l.Float, l.Str = false, 0, 0, 0, ""
	switch v := value.(type) {
	case nil:
		l.Kind = LiteralNull
	case bool:
		l.Kind, l.Bool = LiteralInt, true
		if v {
			l.Int = 1
		}
	case int:
		l.Kind, l.Int = LiteralInt, int64(v)
	case int64:
		l.Kind, l.Int = LiteralInt, v
	case uint64:
		l.Kind, l.Uint = LiteralUint, v
		if v <= 1<<63-1 {
			l.Kind, l.Int, l.Uint = LiteralInt, int64(v), 0
		}
	case float64:
		l.Kind, l.Float = LiteralFloat, v
	case decimalText:
		l.Kind, l.Str = LiteralDecimal, string(v)
	case string:
		l.Kind, l.Str = LiteralString, v
	case []byte:
		l.Kind, l.Str = LiteralString, string(v)
	case hexBytes:
		l.Kind, l.Str = LiteralHex, string(v)
	case bitBytes:
		l.Kind, l.Str = LiteralBit, string(v)
	default:
		panic(fmt.Sprintf("BUG: the MySQL parser made a literal of a %T", value))
	}
}

// setType gives the literal the type that MySQL reports for it.
func (l *Literal) setType(cs, collation string) {
	tp := &l.Type
	set := func(mysqlType byte, flen, decimals int) {
		tp.SetType(mysqlType)
		tp.SetFlen(flen)
		tp.SetDecimal(decimals)
		tp.SetCharset(charset.CharsetBin)
		tp.SetCollate(charset.CollationBin)
		tp.AddFlag(mysql.BinaryFlag)
	}
	switch l.Kind {
	case LiteralNull:
		set(mysql.TypeNull, 0, 0)
	case LiteralInt:
		set(mysql.TypeLonglong, len(strconv.FormatInt(l.Int, 10)), 0)
		if l.Bool {
			tp.AddFlag(mysql.IsBooleanFlag)
		}
	case LiteralUint:
		set(mysql.TypeLonglong, len(strconv.FormatUint(l.Uint, 10)), 0)
		tp.AddFlag(mysql.UnsignedFlag)
	case LiteralDecimal:
		digits, scale := decimalShape(l.Str)
		set(mysql.TypeNewDecimal, digits, scale)
	case LiteralFloat:
		set(mysql.TypeDouble, len(strconv.FormatFloat(l.Float, 'g', -1, 64)), types.UnspecifiedLength)
	case LiteralString:
		tp.SetType(mysql.TypeVarString)
		tp.SetFlen(len(l.Str))
		tp.SetDecimal(types.UnspecifiedLength)
		tp.SetCharset(cs)
		tp.SetCollate(collation)
	case LiteralHex, LiteralBit:
		set(mysql.TypeVarString, len(l.Str), 0)
	}
}

// decimalShape returns precision and scale of a decimal as written. Leading zeros before the point do not count.
func decimalShape(text string) (precision, scale int) {
	whole, fraction, _ := strings.Cut(text, ".")
	scale = len(fraction)
	return max(len(strings.TrimLeft(whole, "0"))+scale, 1), scale
}

// GetValue implements ast.ValueExpr; the grammar looks for int64 and string in it.
func (l *Literal) GetValue() any {
	switch l.Kind {
	case LiteralNull:
		return nil
	case LiteralInt:
		return l.Int
	case LiteralUint:
		return l.Uint
	case LiteralFloat:
		return l.Float
	default:
		return l.Str
	}
}

// GetString implements ast.ValueExpr.
func (l *Literal) GetString() string { return l.Str }

// GetDatumString implements ast.ValueExpr.
func (l *Literal) GetDatumString() string { return l.Str }

// GetProjectionOffset implements ast.ValueExpr.
func (l *Literal) GetProjectionOffset() int { return l.projectionOffset }

// SetProjectionOffset implements ast.ValueExpr.
func (l *Literal) SetProjectionOffset(offset int) { l.projectionOffset = offset }

// Accept implements ast.Node.
func (l *Literal) Accept(v ast.Visitor) (ast.Node, bool) {
	n, skip := v.Enter(l)
	if skip {
		return v.Leave(n)
	}
	return v.Leave(n.(*Literal))
}

// Restore implements ast.Node: SQL that reads as the same literal.
func (l *Literal) Restore(ctx *format.RestoreCtx) error {
	if l.Type.GetFlag()&mysql.UnderScoreCharsetFlag != 0 {
		ctx.WritePlain("_" + l.Type.GetCharset() + " ")
	}
	switch l.Kind {
	case LiteralNull:
		ctx.WriteKeyWord("NULL")
	case LiteralInt:
		if l.Bool {
			ctx.WriteKeyWord(strings.ToUpper(strconv.FormatBool(l.Int != 0)))
			return nil
		}
		ctx.WritePlain(strconv.FormatInt(l.Int, 10))
	case LiteralUint:
		ctx.WritePlain(strconv.FormatUint(l.Uint, 10))
	case LiteralDecimal:
		ctx.WritePlain(l.Str)
	case LiteralFloat:
		ctx.WritePlain(strconv.FormatFloat(l.Float, 'e', -1, 64))
	case LiteralString:
		ctx.WriteString(l.Str)
	case LiteralHex:
		ctx.WritePlainf("x'%x'", l.Str)
	case LiteralBit:
		ctx.WritePlain("b'")
		for i := range len(l.Str) {
			ctx.WritePlainf("%08b", l.Str[i])
		}
		ctx.WritePlain("'")
	}
	return nil
}

// Format implements ast.ExprNode.
func (l *Literal) Format(w io.Writer) {
	text, err := Restore(l)
	if err != nil {
		panic("BUG: a literal that cannot be written: " + err.Error())
	}
	_, _ = io.WriteString(w, text)
}

// SetOrder implements ast.ParamMarkerExpr.
func (p *Param) SetOrder(order int) { p.Order = order }

// Accept implements ast.Node.
func (p *Param) Accept(v ast.Visitor) (ast.Node, bool) {
	n, skip := v.Enter(p)
	if skip {
		return v.Leave(n)
	}
	return v.Leave(n.(*Param))
}

// Restore implements ast.Node.
func (p *Param) Restore(ctx *format.RestoreCtx) error {
	ctx.WritePlain("?")
	return nil
}

// Format implements ast.ExprNode.
func (p *Param) Format(w io.Writer) { _, _ = io.WriteString(w, "?") }
