package plan

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"stele/meta/types"
	ast "stele/sql/parse"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// quickColumn takes the commonest texts of a column straight from the line into its vector: no cell, no value, no conversion.
// Whatever is not surely the value that the general way would store goes the general way.
type quickColumn struct {
	take  func(q *quickColumn, cb *vec.ColumnBuilder, s string) (end int, ok bool)
	f     *LoadFormat
	stops *stops

	lo, hi  int64 // of integers
	zero    bool  // 0 is a value like others
	chars   int   // of strings
	trimmed bool  // blanks at the end are no part of the value
	scale   int
	limit   int64 // decimals are nearer to zero
	wide    bool
}

// stops are the bytes with which something other than the text of a field may begin.
type stops struct {
	field, line, escape byte
	single              bool // both terminators are one byte
}

// stops returns the bytes that may end a field or escape something; without an escape a terminator stands for it.
func (f *LoadFormat) stops() *stops {
	s := &stops{field: f.Field[0], line: f.Line[0], escape: f.Escape, single: len(f.Field) == 1 && len(f.Line) == 1}
	if s.escape == 0 {
		s.escape = s.field
	}
	return s
}

const (
	eachByte = 0x0101010101010101
	highBits = 0x8080808080808080
)

// zeroBytes marks, by its highest bit, the first byte of x that is zero; what it marks above that means nothing.
func zeroBytes(x uint64) uint64 { return (x - eachByte) &^ x & highBits }

// find returns where the first of the bytes is, or the length of s, and whether no byte before it is above ASCII.
func (t *stops) find(s string) (end int, ascii bool) {
	seen := uint64(0)
	f, l, e := uint64(t.field)*eachByte, uint64(t.line)*eachByte, uint64(t.escape)*eachByte
	for b := unsafe.Slice(unsafe.StringData(s), len(s)); end+8 <= len(b); end += 8 {
		x := binary.LittleEndian.Uint64(b[end:])
		if stop := zeroBytes(x^f) | zeroBytes(x^l) | zeroBytes(x^e); stop != 0 {
			n := bits.TrailingZeros64(stop) &^ 7
			return end + n/8, (seen|x&(1<<n-1))&highBits == 0
		}
		seen |= x
	}
	for ; end < len(s) && s[end] != t.field && s[end] != t.line && s[end] != t.escape; end++ {
		seen |= uint64(s[end])
	}
	return end, seen&highBits == 0
}

// quick returns how each column of the file is taken; entries without take have no quick way.
func (p *LoadPlan) quick() []quickColumn {
	out := make([]quickColumn, len(p.columns))
	stops := p.Format.stops()
	for i, pos := range p.columns {
		out[i] = p.filler.quick(pos)
		out[i].f, out[i].stops = &p.Format, stops
	}
	return out
}

// quick returns how a column is taken.
func (f *filler) quick(col int) quickColumn {
	q := quickColumn{}
	c := &f.table.Schema.Columns[col]
	switch t := c.Type; {
	case c.Special(): // whose texts are no numbers
	case t.Kind >= types.KindTinyInt && t.Kind <= types.KindBigInt:
		lo, hi := sqltypes.IntRange(t)
		q.lo, q.hi, q.zero = lo, int64(min(hi, 1<<62)), !c.AutoIncrement || f.zeroID
		q.take = (*quickColumn).integer
	case t.Kind == types.KindDecimal && t.Scale < quickDigits && !t.Unsigned:
		q.scale, q.limit, q.wide = int(t.Scale), pow10(min(t.Length, quickDigits)), t.Phys() == decimalPhys
		q.take = (*quickColumn).decimal
	case t.Kind == types.KindDouble && t.Scale == 0 && !t.Unsigned:
		q.take = (*quickColumn).double
	case t.Kind == types.KindDate:
		q.take = (*quickColumn).date
	case t.Kind == types.KindDateTime:
		q.take = (*quickColumn).dateTime
	case t.Kind == types.KindVarChar || t.Kind == types.KindText || t.Kind == types.KindChar:
		q.chars, q.trimmed, q.take = int(t.Length), t.Kind == types.KindChar, (*quickColumn).text
	}
	return q
}

// literalFormat is the format of literals: where their text ends, they end.
var literalFormat = LoadFormat{Field: "\x00", Line: "\x00"}

// literals returns the quick column for the literals of a long INSERT.
func (f *filler) literals(col int) quickColumn {
	q := f.quick(col)
	q.f, q.stops = &literalFormat, literalStops
	return q
}

// literalStops is the zero byte alone, which literal passes by.
var literalStops = literalFormat.stops()

// literal appends a literal that surely is a value of the column as it stands.
func (q *quickColumn) literal(cb *vec.ColumnBuilder, kind types.Kind, c ast.Cell) bool {
	switch {
	case c.Neg || q.take == nil || strings.IndexByte(c.Text, 0) >= 0:
		return false
	case kind >= types.KindTinyInt && kind <= types.KindBigInt && c.Kind == ast.CellInt,
		kind == types.KindDecimal && (c.Kind == ast.CellInt || c.Kind == ast.CellDecimal),
		kind == types.KindDate && c.Kind == ast.CellString && c.Plain() && len(c.Text) == 10,
		kind == types.KindDateTime && c.Kind == ast.CellString && c.Plain() && len(c.Text) == 19,
		kind == types.KindChar && c.Kind == ast.CellString && c.Plain():
		_, ok := q.take(q, cb, c.Text)
		return ok
	}
	return false
}

// quickDigits is how many digits surely fit an int64.
const quickDigits = 18

// ends reports whether the field of a line ends at i.
func (q *quickColumn) ends(s string, i int) bool {
	if i == len(s) {
		return true
	}
	if q.stops.single {
		return s[i] == q.stops.field || s[i] == q.stops.line
	}
	switch s[i] {
	case q.f.Field[0]:
		return strings.HasPrefix(s[i:], q.f.Field)
	case q.f.Line[0]:
		return strings.HasPrefix(s[i:], q.f.Line)
	}
	return false
}

// digits reads digits from i on.
func readDigits(s string, i int, x int64) (int64, int) {
	for i < len(s) {
		d := s[i] - '0'
		if d > 9 {
			break
		}
		x = x*10 + int64(d)
		i++
	}
	return x, i
}

func (q *quickColumn) integer(cb *vec.ColumnBuilder, s string) (int, bool) {
	from := 0
	if s != "" && s[0] == '-' {
		from = 1
	}
	x, end := readDigits(s, from, 0)
	if end == from || end-from > quickDigits || !q.ends(s, end) {
		return 0, false
	}
	if from == 1 {
		x = -x
	}
	if x < q.lo || x > q.hi || x == 0 && !q.zero {
		return 0, false
	}
	cb.AppendInt(x)
	return end, true
}

func (q *quickColumn) decimal(cb *vec.ColumnBuilder, s string) (int, bool) {
	from := 0
	if s != "" && s[0] == '-' {
		from = 1
	}
	x, end := readDigits(s, from, 0)
	if end == from || end-from > quickDigits-q.scale {
		return 0, false
	}
	places := 0
	if end < len(s) && s[end] == '.' {
		point := end
		if x, end = readDigits(s, point+1, x); end == point+1 {
			return 0, false
		}
		places = end - point - 1
	}
	if places > q.scale || !q.ends(s, end) {
		return 0, false
	}
	for ; places < q.scale; places++ {
		x *= 10
	}
	if x >= q.limit {
		return 0, false
	}
	if from == 1 {
		x = -x
	}
	if q.wide {
		cb.AppendDec(vec.Int128{Hi: x >> 63, Lo: uint64(x)})
	} else {
		cb.AppendInt(x)
	}
	return end, true
}

func (q *quickColumn) double(cb *vec.ColumnBuilder, s string) (int, bool) {
	end := 0
	for end < len(s) && s[end] != q.stops.field && s[end] != q.stops.line && s[end] != q.stops.escape && (s[end]-'0' <= 9 || strings.IndexByte(".-+eE", s[end]) >= 0) {
		end++
	}
	if end == 0 || !q.ends(s, end) || s[end-1]-'0' > 9 || s[0]-'0' > 9 && (s[0] != '-' || s[1]-'0' > 9) {
		return 0, false
	}
	x, err := strconv.ParseFloat(s[:end], 64)
	if err != nil || x == 0 { // the sign of a zero is not decided here
		return 0, false
	}
	cb.AppendFloat(x)
	return end, true
}

// day reads YYYY-MM-DD.
func day(s string) (days int64, ok bool) {
	if len(s) < 10 || s[4] != '-' || s[7] != '-' {
		return 0, false
	}
	century, ok1 := twoDigits(s[0:2])
	year, ok2 := twoDigits(s[2:4])
	m, ok3 := twoDigits(s[5:7])
	d, ok4 := twoDigits(s[8:10])
	y := 100*century + year
	if !ok1 || !ok2 || !ok3 || !ok4 || y == 0 || !sqltypes.ValidDate(y, m, d) {
		return 0, false
	}
	return sqltypes.DaysOf(y, m, d), true
}

func twoDigits(s string) (x int, ok bool) {
	a, b := s[0]-'0', s[1]-'0'
	return 10*int(a) + int(b), a <= 9 && b <= 9
}

func (q *quickColumn) date(cb *vec.ColumnBuilder, s string) (int, bool) {
	days, ok := day(s)
	if !ok || !q.ends(s, 10) {
		return 0, false
	}
	cb.AppendInt(days)
	return 10, true
}

// dateTime reads YYYY-MM-DD hh:mm:ss.
func (q *quickColumn) dateTime(cb *vec.ColumnBuilder, s string) (int, bool) {
	days, ok := day(s)
	if !ok || len(s) < 19 || s[10] != ' ' || s[13] != ':' || s[16] != ':' || !q.ends(s, 19) {
		return 0, false
	}
	h, ok1 := twoDigits(s[11:13])
	m, ok2 := twoDigits(s[14:16])
	sec, ok3 := twoDigits(s[17:19])
	if !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || sec > 59 {
		return 0, false
	}
	cb.AppendInt(days*sqltypes.Day + int64(h)*sqltypes.Hour + int64(m)*sqltypes.Minute + int64(sec)*sqltypes.Second)
	return 19, true
}

func (q *quickColumn) text(cb *vec.ColumnBuilder, s string) (int, bool) {
	if q.f.Quote != 0 && s != "" && s[0] == q.f.Quote {
		return 0, false
	}
	end, ascii := q.stops.find(s)
	text := s[:end]
	switch {
	case end > q.chars, q.trimmed && end > 0 && s[end-1] == ' ', !q.ends(s, end), !ascii && !utf8.ValidString(text):
		return 0, false
	case text == "NULL" && (q.f.Quote != 0 || q.f.Escape == 0):
		return 0, false
	}
	cb.AppendString(text)
	return end, true
}
