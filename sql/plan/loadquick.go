package plan

import (
	"strconv"
	"strings"
	"unicode/utf8"

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
	stops *[256]bool // bytes with which something other than the text of a field may begin

	lo, hi  int64 // of integers
	zero    bool  // 0 is a value like others
	chars   int   // of strings
	trimmed bool  // blanks at the end are no part of the value
	scale   int
	limit   int64 // decimals are nearer to zero
	wide    bool
}

// stops returns the bytes that may end a field or escape something.
func (f *LoadFormat) stops() *[256]bool {
	var out [256]bool
	out[f.Field[0]], out[f.Line[0]] = true, true
	if f.Escape != 0 {
		out[f.Escape] = true
	}
	return &out
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
	q.f, q.stops = &literalFormat, noStops
	return q
}

var noStops = new([256]bool)

// literal appends a literal that surely is a value of the column as it stands.
func (q *quickColumn) literal(cb *vec.ColumnBuilder, kind types.Kind, c ast.Cell) bool {
	switch {
	case c.Neg || q.take == nil || strings.IndexByte(c.Text, 0) >= 0:
		return false
	case kind == types.KindDecimal && (c.Kind == ast.CellInt || c.Kind == ast.CellDecimal),
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
	for end < len(s) && !q.stops[s[end]] && (s[end]-'0' <= 9 || strings.IndexByte(".-+eE", s[end]) >= 0) {
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
	y, yEnd := readDigits(s[:4], 0, 0)
	m, mEnd := readDigits(s[5:7], 0, 0)
	d, dEnd := readDigits(s[8:10], 0, 0)
	if yEnd != 4 || mEnd != 2 || dEnd != 2 || y == 0 || !sqltypes.ValidDate(int(y), int(m), int(d)) {
		return 0, false
	}
	return sqltypes.DaysOf(int(y), int(m), int(d)), true
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
	h, hEnd := readDigits(s[11:13], 0, 0)
	m, mEnd := readDigits(s[14:16], 0, 0)
	sec, sEnd := readDigits(s[17:19], 0, 0)
	if hEnd != 2 || mEnd != 2 || sEnd != 2 || h > 23 || m > 59 || sec > 59 {
		return 0, false
	}
	cb.AppendInt(days*sqltypes.Day + h*sqltypes.Hour + m*sqltypes.Minute + sec*sqltypes.Second)
	return 19, true
}

func (q *quickColumn) text(cb *vec.ColumnBuilder, s string) (int, bool) {
	if q.f.Quote != 0 && s != "" && s[0] == q.f.Quote {
		return 0, false
	}
	end, seen := 0, byte(0)
	for end < len(s) {
		b := s[end]
		if q.stops[b] {
			break
		}
		seen |= b
		end++
	}
	text := s[:end]
	switch {
	case end > q.chars, q.trimmed && end > 0 && s[end-1] == ' ', !q.ends(s, end), seen >= utf8.RuneSelf && !utf8.ValidString(text):
		return 0, false
	case text == "NULL" && (q.f.Quote != 0 || q.f.Escape == 0):
		return 0, false
	}
	cb.AppendString(text)
	return end, true
}
