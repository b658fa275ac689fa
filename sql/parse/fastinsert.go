package parse

import (
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pingcap/tidb/pkg/parser"

	"stele/sql/syntax"
)

// CellKind says what a Cell is.
type CellKind uint8

// The kinds of cells.
const (
	CellNull CellKind = iota
	CellDefault
	CellTrue
	CellFalse
	CellInt     // digits that fit 64 bits without their sign
	CellDecimal // digits with a point, or too many for CellInt
	CellFloat   // with an exponent
	CellString  // see Cell.AppendBytes
	CellHex     // the digits of 0x.. or x'..'
	CellBit     // the digits of 0b.. or b'..'
	CellParam   // a question mark, of FastInsertPrepared alone
	CellNow     // NOW() or CURRENT_TIMESTAMP; Text is the number of digits of its seconds, if it says one
)

// Cell is one literal of an INSERT, cut from the statement without copying.
type Cell struct {
	// Text is the literal as written, without its quotes, prefix or sign.
	Text string
	Kind CellKind
	// Neg is set on a number with a minus sign.
	Neg bool
	// quote is the quote of a string, with escapedBit or rawBit set if the contents need decoding.
	quote byte
}

const (
	// escapedBit in Cell.quote: the string has doubled quotes or backslashes. Quotes are ASCII, so the top bit is free.
	escapedBit = 0x80
	// rawBit: backslashes are ordinary characters (NO_BACKSLASH_ESCAPES). No quote character has this bit.
	rawBit = 0x40
)

// Plain reports whether Text already is the value of a string, as nearly always.
func (c Cell) Plain() bool { return c.quote&escapedBit == 0 }

// AppendBytes appends the value of a string, hex or bit cell to dst, of any other cell its text.
func (c Cell) AppendBytes(dst []byte) []byte {
	switch c.Kind {
	case CellString:
		if c.Plain() {
			return append(dst, c.Text...)
		}
		return syntax.AppendUnescaped(dst, c.Text, c.quote&^(escapedBit|rawBit), c.quote&rawBit == 0)
	case CellHex:
		text := c.Text
		if len(text)%2 == 1 {
			text = "0" + text
		}
		out, err := hex.AppendDecode(dst, []byte(text))
		if err != nil {
			panic("BUG: hex cell with other digits: " + err.Error())
		}
		return out
	case CellBit:
		raw, err := decodeBit("0b" + c.Text)
		if err != nil {
			panic("BUG: bit cell with other digits: " + err.Error())
		}
		return append(dst, raw...)
	default:
		return append(dst, c.Text...)
	}
}

// String is AppendBytes as a string, without a copy where Text is the value.
func (c Cell) String() string {
	if c.Kind != CellHex && c.Kind != CellBit && c.Plain() {
		return c.Text
	}
	return string(c.AppendBytes(nil))
}

// InsertValues is INSERT or REPLACE with nothing but literals, and the time.
type InsertValues struct {
	Table   syntax.TableName
	Columns []string // nil if the statement lists none
	Width   int      // cells in each row, equal to len(Columns) if there is a list
	Cells   []Cell   // row by row
	Replace bool
	Ignore  bool
}

// Rows returns the number of rows.
func (v *InsertValues) Rows() int { return len(v.Cells) / v.Width }

// Row returns the cells of row i.
func (v *InsertValues) Row(i int) []Cell { return v.Cells[i*v.Width : (i+1)*v.Width] }

// FastInsert reads INSERT [IGNORE] [INTO] t [(columns)] VALUES (literal, ...), ... and the same with REPLACE. On anything else,
// also on anything wrong, it returns false, and Parse has to say what it is. The result refers to sql.
func FastInsert(sql string, mode syntax.Mode) (*InsertValues, bool) {
	r := insertReader{sql: sql, mode: mode, lx: syntax.NewLexer(sql, mode)}
	r.next()
	if !r.header() || !r.rows() {
		return nil, false
	}
	return &r.out, true
}

// FastInsertPrepared is FastInsert for a statement that may have question marks among its literals.
func FastInsertPrepared(sql string, mode syntax.Mode) (*InsertValues, bool) {
	r := insertReader{sql: sql, mode: mode, lx: syntax.NewLexer(sql, mode), params: true}
	r.next()
	if !r.header() || !r.rows() {
		return nil, false
	}
	return &r.out, true
}

// insertReader reads one INSERT token by token.
type insertReader struct {
	sql  string
	mode syntax.Mode
	lx   syntax.Lexer
	tok  syntax.Token
	out  InsertValues

	params bool // question marks are cells
}

// next moves to the next token.
func (r *insertReader) next() { r.tok = r.lx.Next() }

// punct consumes one character of punctuation.
func (r *insertReader) punct(c byte) bool {
	if r.tok.Kind != syntax.Punct || r.tok.End-r.tok.Start != 1 || r.sql[r.tok.Start] != c {
		return false
	}
	r.next()
	return true
}

// word consumes a word given in upper case.
func (r *insertReader) word(upper string) bool {
	if r.tok.Kind != syntax.Word || !r.tok.Is(r.sql, upper) {
		return false
	}
	r.next()
	return true
}

// header reads up to VALUES.
func (r *insertReader) header() bool {
	switch {
	case r.word("INSERT"):
		r.out.Ignore = r.word("IGNORE")
	case r.word("REPLACE"):
		r.out.Replace = true
	default:
		return false
	}
	hint := r.tok.Start // a hint can only stand before here, and the tokenizer takes it for a comment
	if strings.Contains(r.sql[:hint], "/*+") {
		return false
	}
	r.word("INTO")
	name, ok := r.name()
	if ok && r.punct('.') {
		r.out.Table.DB = name
		name, ok = r.name()
	}
	r.out.Table.Table = name
	if !ok || !r.columns() {
		return false
	}
	return r.word("VALUES") || r.word("VALUE")
}

// columns reads the list of columns, if there is one.
func (r *insertReader) columns() bool {
	if !r.punct('(') {
		return true
	}
	for {
		name, ok := r.name()
		if !ok {
			return false
		}
		r.out.Columns = append(r.out.Columns, name)
		if r.punct(')') {
			return true
		}
		if !r.punct(',') {
			return false
		}
	}
}

// name reads an identifier that is one under all circumstances.
func (r *insertReader) name() (string, bool) {
	t := r.tok
	switch t.Kind {
	case syntax.Quoted:
		if t.End-t.Start <= 2 {
			return "", false
		}
	case syntax.Word:
		text := t.Text(r.sql)
		// _utf8 is a charset introducer; a function name before a parenthesis is a call.
		if text[0] == '_' || isReserved(text) {
			return "", false
		}
	default:
		return "", false
	}
	name := t.Value(r.sql, r.mode)
	r.next()
	return name, utf8.ValidString(name)
}

// isReserved reports whether an unquoted word may be something else than an identifier.
func isReserved(word string) bool {
	if len(word) > reservedBytesMax {
		return false
	}
	var room [reservedBytesMax]byte
	upper := room[:len(word)]
	for i := range upper {
		c := word[i]
		switch {
		case c >= utf8.RuneSelf:
			return reservedWords[strings.ToUpper(word)]
		case 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		}
		upper[i] = c
	}
	return reservedWords[string(upper)]
}

// reservedBytesMax is the length of the longest reserved word.
const reservedBytesMax = 24

// reservedWords are the words that are no identifiers for the MySQL parser, with the functions that it knows by a parenthesis
// behind them.
var reservedWords = buildReservedWords()

func buildReservedWords() map[string]bool {
	words := map[string]bool{}
	for _, k := range parser.Keywords {
		if k.Reserved {
			words[k.Word] = true
		}
	}
	for w := range strings.FieldsSeq(`BIT_AND BIT_OR BIT_XOR CAST COUNT APPROX_COUNT_DISTINCT APPROX_PERCENTILE CURDATE CURTIME
		DATE_ADD DATE_SUB EXTRACT GROUP_CONCAT MAX MID MIN NOW POSITION STD STDDEV STDDEV_POP STDDEV_SAMP SUBSTR SUBSTRING SUM
		SYSDATE TRANSLATE TRIM VARIANCE VAR_POP VAR_SAMP`) {
		words[w] = true
	}
	return words
}

// rows reads (literal, ...), ... to the end of the statement.
func (r *insertReader) rows() bool {
	for {
		start, before := r.tok.Start, len(r.out.Cells)
		if !r.row() {
			return false
		}
		width := len(r.out.Cells) - before
		if before == 0 {
			if r.out.Columns != nil && len(r.out.Columns) != width {
				return false
			}
			r.out.Width = width
			r.reserve(r.tok.Start - start)
		} else if width != r.out.Width {
			return false
		}
		if r.punct(',') {
			continue
		}
		r.punct(';')
		return r.tok.Kind == syntax.EOF
	}
}

// reserveCellsMax bounds what the length of the first row may make us reserve: 6 MB.
const reserveCellsMax = 1 << 18

// reserve makes room for as many rows as the text may hold, going by the first one.
func (r *insertReader) reserve(rowBytes int) {
	rows := (len(r.sql)-r.tok.Start)/max(rowBytes, 1) + 2
	if n := min(rows*r.out.Width, reserveCellsMax); n > cap(r.out.Cells) {
		r.out.Cells = append(make([]Cell, 0, n), r.out.Cells...)
	}
}

// cell reads one literal.
func (r *insertReader) cell(c *Cell) bool {
	if r.params && r.tok.Kind == syntax.Param {
		c.Kind = CellParam
		r.next()
		return true
	}
	if r.tok.Kind == syntax.Punct {
		if r.tok.Is(r.sql, `\N`) {
			r.next()
			return true
		}
		c.Neg = r.punct('-')
		if !c.Neg && !r.punct('+') {
			return false
		}
		if k := r.tok.Kind; k != syntax.Int && k != syntax.Decimal && k != syntax.Float {
			return false
		}
	}
	t := r.tok
	c.Text = r.sql[t.Start:t.End]
	switch t.Kind {
	case syntax.Int:
		c.Kind = CellInt
		if len(c.Text) > 18 && !fits64(c.Text) {
			c.Kind = CellDecimal
		}
	case syntax.Decimal:
		c.Kind = CellDecimal
	case syntax.Float:
		c.Kind = CellFloat
		if _, err := strconv.ParseFloat(c.Text, 64); err != nil {
			return false // out of range, which the MySQL parser refuses
		}
	case syntax.String:
		r.stringCell(c, t)
	case syntax.Hex, syntax.Bit:
		return r.bitsCell(c, t)
	case syntax.Word:
		return r.wordCell(c)
	default:
		return false
	}
	r.next()
	return true
}

// fits64 reports whether digits fit an unsigned 64-bit integer.
func fits64(digits string) bool {
	_, err := strconv.ParseUint(digits, 10, 64)
	return err == nil
}

// stringCell takes a string.
func (r *insertReader) stringCell(c *Cell, t syntax.Token) {
	c.Kind, c.quote = CellString, r.sql[t.Start]
	c.Text = r.sql[t.Start+1 : t.End-1]
	if t.Escaped {
		c.quote |= escapedBit
	}
	if r.mode&syntax.NoBackslashEscapes != 0 {
		c.quote |= rawBit
	}
}

// bitsCell takes a hex or bit literal without its prefix and quotes. x'1' has half a byte, which is an error.
func (r *insertReader) bitsCell(c *Cell, t syntax.Token) bool {
	c.Kind = CellHex
	if t.Kind == syntax.Bit {
		c.Kind = CellBit
	}
	quoted := c.Text[len(c.Text)-1] == '\''
	c.Text = strings.TrimSuffix(c.Text[2:], "'")
	if quoted && t.Kind == syntax.Hex && len(c.Text)%2 == 1 {
		return false
	}
	r.next()
	return true
}

// wordCell takes NULL, DEFAULT, TRUE, FALSE or the time.
func (r *insertReader) wordCell(c *Cell) bool {
	switch {
	case r.word("NULL"):
		c.Kind = CellNull
	case r.word("DEFAULT"):
		c.Kind = CellDefault
	case r.word("TRUE"):
		c.Kind = CellTrue
	case r.word("FALSE"):
		c.Kind = CellFalse
	default:
		return r.nowCell(c)
	}
	return true
}

// nowCell takes NOW() and CURRENT_TIMESTAMP. NOW is a function only if the parenthesis follows at once.
func (r *insertReader) nowCell(c *Cell) bool {
	end, bare := r.tok.End, r.tok.Is(r.sql, "CURRENT_TIMESTAMP")
	c.Kind, c.Text = CellNow, ""
	if !bare && !r.tok.Is(r.sql, "NOW") {
		return false
	}
	r.next()
	if r.tok.Start != end || !r.punct('(') {
		return bare
	}
	if r.tok.Kind == syntax.Int {
		if c.Text = r.tok.Text(r.sql); len(c.Text) != 1 || c.Text > "6" {
			return false
		}
		r.next()
	}
	return r.punct(')')
}
