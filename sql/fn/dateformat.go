package fn

import (
	"fmt"
	"strconv"
	"strings"

	"stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

func init() {
	register(
		Def{Name: "date_format", Group: "date", Syntax: "DATE_FORMAT(d, format)", Doc: "A date as text by %-letters (%Y %m %d %H %i %s ...).", Min: 2, Max: 2, Context: true,
			Rule: func(_ string, a []T) ([]T, T, error) { return []T{asDate(a[0]), tStr}, tStr, nil },
			Row: func(c *Call, a []vec.Value) (vec.Value, error) {
				days, rest := sqltypes.FloorDay(local(a[0].I, c.Args[0]))
				if days == sqltypes.ZeroDate && needsCalendar(a[1].B) {
					return vec.NullValue(), nil
				}
				return vec.Str(formatDate(a[1].B, days, rest)), nil
			},
			Vec: func(c *Call, a []Arg, n int) (*vec.Vector, error) {
				for i := range n {
					if c.isZeroDate(0, a[0].I64[a[0].At(i)]) {
						return nil, nil // row by row
					}
				}
				return bytesVec(c, n, func(dst []byte, i int) []byte {
					days, rest := sqltypes.FloorDay(local(a[0].I64[a[0].At(i)], c.Args[0]))
					return appendFormat(dst, a[1].Bytes(a[1].At(i)), days, rest)
				}, a...), nil
			}},
		Def{Name: "time_format", Group: "date", Syntax: "TIME_FORMAT(t, format)", Doc: "A time as text.", Min: 2, Max: 2,
			Rule: func(_ string, a []T) ([]T, T, error) { return []T{asTime(a[0]), tStr}, tStr, nil }, Row: timeFormat},
		Def{Name: "str_to_date", Group: "date", Syntax: "STR_TO_DATE(s, format)", Doc: "Reads a date, time or datetime by a format; NULL when it does not fit. With a constant format the type is what the format holds.",
			Min: 2, Max: 2, Params: []string{"", "date", "time", "time6", "datetime", "datetime6"}, TakesNull: true, Rule: strToDateRule, Row: nullable(strToDate)},
	)
}

// calendarLetters are those that say of a date what the zero date has not.
const calendarLetters = "jMbWawUuVvXx"

// needsCalendar reports whether a format has one of calendarLetters.
func needsCalendar(f []byte) bool {
	for i := 0; i+1 < len(f); i++ {
		if f[i] != '%' {
			continue
		}
		i++
		if strings.IndexByte(calendarLetters, f[i]) >= 0 {
			return true
		}
	}
	return false
}

func formatDate(f []byte, days, rest int64) []byte { return appendFormat(nil, f, days, rest) }

// appendFormat prints a date by DATE_FORMAT's letters.
func appendFormat(dst, f []byte, days, rest int64) []byte {
	y, m, d := sqltypes.DateOf(days)
	for i := 0; i < len(f); i++ {
		if f[i] != '%' || i+1 == len(f) {
			dst = append(dst, f[i])
			continue
		}
		i++
		switch f[i] {
		case 'Y':
			dst = pad(dst, y, 4)
		case 'y':
			dst = pad(dst, y%100, 2)
		case 'm':
			dst = pad(dst, m, 2)
		case 'c':
			dst = pad(dst, m, 1)
		case 'd':
			dst = pad(dst, d, 2)
		case 'e':
			dst = pad(dst, d, 1)
		case 'D':
			dst = append(pad(dst, d, 1), ordinal(d)...)
		case 'j':
			dst = pad(dst, sqltypes.DayOfYear(days), 3)
		case 'M':
			dst = append(dst, sqltypes.MonthNames[m]...)
		case 'b':
			dst = append(dst, sqltypes.MonthNames[m][:3]...)
		case 'W':
			dst = append(dst, sqltypes.DayNames[sqltypes.Weekday(days)]...)
		case 'a':
			dst = append(dst, sqltypes.DayNames[sqltypes.Weekday(days)][:3]...)
		case 'w':
			dst = pad(dst, (sqltypes.Weekday(days)+1)%7, 1)
		case 'U', 'u', 'V', 'v', 'X', 'x':
			dst = appendWeek(dst, f[i], days)
		default:
			dst = appendClockFormat(dst, f[i], rest)
		}
	}
	return dst
}

func pad(dst []byte, v, width int) []byte {
	for w, limit := width, int(sqltypes.Pow10Int64(int32(width-1))); w > 1 && v < limit; w, limit = w-1, limit/10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(v), 10)
}

func ordinal(d int) string {
	switch {
	case d%100 >= 11 && d%100 <= 13:
		return "th"
	case d%10 == 1:
		return "st"
	case d%10 == 2:
		return "nd"
	case d%10 == 3:
		return "rd"
	}
	return "th"
}

// appendWeek: U, u count from 0 (Sunday, Monday); V, v from 1; X, x are the years of V, v.
func appendWeek(dst []byte, letter byte, days int64) []byte {
	mode := map[byte]int{'U': 0, 'u': 1, 'V': 2, 'v': 3, 'X': 2, 'x': 3}[letter]
	week, year := sqltypes.Week(days, mode)
	if letter == 'X' || letter == 'x' {
		return pad(dst, year, 4)
	}
	return pad(dst, week, 2)
}

// appendClockFormat prints the letters of the time of day; any other letter stands for itself.
func appendClockFormat(dst []byte, letter byte, rest int64) []byte {
	h, m, s := int(rest/sqltypes.Hour), int(rest/sqltypes.Minute%60), int(rest/sqltypes.Second%60)
	h12 := (h+11)%12 + 1
	half := "AM"
	if h%24 >= 12 {
		half = "PM"
	}
	switch letter {
	case 'H':
		return pad(dst, h, 2)
	case 'k':
		return pad(dst, h, 1)
	case 'h', 'I':
		return pad(dst, h12, 2)
	case 'l':
		return pad(dst, h12, 1)
	case 'i':
		return pad(dst, m, 2)
	case 's', 'S':
		return pad(dst, s, 2)
	case 'f':
		return pad(dst, int(rest%sqltypes.Second), 6)
	case 'p':
		return append(dst, half...)
	case 'r':
		return fmt.Appendf(dst, "%02d:%02d:%02d %s", h12, m, s, half)
	case 'T':
		return fmt.Appendf(dst, "%02d:%02d:%02d", h, m, s)
	}
	return append(dst, letter)
}

func timeFormat(c *Call, a []vec.Value) (vec.Value, error) {
	v := clockOf(a[0].I, c.Args[0])
	var out []byte
	if c.Args[0].Kind == types.KindTime && a[0].I < 0 {
		out = append(out, '-')
	}
	f := a[1].B
	for i := 0; i < len(f); i++ {
		if f[i] != '%' || i+1 == len(f) {
			out = append(out, f[i])
			continue
		}
		i++
		out = appendClockFormat(out, f[i], v)
	}
	return vec.Str(out), nil
}

// FormatShape tells what a STR_TO_DATE format holds: the parameter of "str_to_date".
func FormatShape(f string) string {
	date := strings.ContainsAny(letters(f), "YyXxmcMbdeDjVvUuWaw")
	clock := strings.ContainsAny(letters(f), "HkhIlisSfprT")
	fraction := ""
	if strings.ContainsRune(letters(f), 'f') {
		fraction = "6"
	}
	switch {
	case date && clock:
		return "datetime" + fraction
	case clock:
		return "time" + fraction
	}
	return "date"
}

// letters returns the letters after each %.
func letters(f string) string {
	var out []byte
	for i := 0; i+1 < len(f); i++ {
		if f[i] == '%' {
			i++
			out = append(out, f[i])
		}
	}
	return string(out)
}

func strToDateRule(param string, _ []T) ([]T, T, error) {
	result := map[string]T{"": tDateTime, "date": tDate, "time": timeOf(0), "time6": tTime, "datetime": dateTime(0), "datetime6": tDateTime}[param]
	return []T{tStr, tStr}, result, nil
}

// parsedDate is what STR_TO_DATE has read so far; -1 = not given.
type parsedDate struct {
	s                            []byte
	year, month, day, yearDay    int
	hour, minute, second, micros int
	pm                           int
	hour12                       bool
}

func strToDate(c *Call, a []vec.Value) (vec.Value, error) {
	p := parsedDate{s: a[0].B, year: -1, month: -1, day: -1, yearDay: -1, pm: -1}
	if !p.parse(a[1].B) {
		return vec.NullValue(), nil
	}
	clock, ok := p.clock()
	if !ok {
		return vec.NullValue(), nil
	}
	if c.Result.Kind == types.KindTime {
		return vec.Int(clock), nil
	}
	if p.yearDay > 0 && p.year >= 0 {
		days := sqltypes.DaysOf(p.year, 1, 1) + int64(p.yearDay) - 1
		_, p.month, p.day = sqltypes.DateOf(days)
	}
	days := sqltypes.ZeroDate
	if p.year != 0 || p.month != 0 || p.day != 0 {
		if !sqltypes.ValidDate(p.year, p.month, p.day) {
			return vec.NullValue(), nil
		}
		days = sqltypes.DaysOf(p.year, p.month, p.day)
	}
	if c.Result.Kind == types.KindDate {
		return vec.Int(days), nil
	}
	return vec.Int(sqltypes.RoundFraction(days*sqltypes.Day+clock, c.Result.Scale)), nil
}

func (p *parsedDate) clock() (int64, bool) {
	h := p.hour
	if p.hour12 || p.pm >= 0 {
		if h < 1 || h > 12 {
			return 0, false
		}
		h %= 12
		if p.pm == 1 {
			h += 12
		}
	}
	if h > 23 || p.minute > 59 || p.second > 59 {
		return 0, false
	}
	return int64(h)*sqltypes.Hour + int64(p.minute)*sqltypes.Minute + int64(p.second)*sqltypes.Second + int64(p.micros), true
}

func (p *parsedDate) parse(f []byte) bool {
	for i := 0; i < len(f); i++ {
		if f[i] == ' ' {
			p.s = []byte(strings.TrimLeft(string(p.s), " "))
			continue
		}
		if f[i] != '%' || i+1 == len(f) {
			if len(p.s) == 0 {
				return true // as below
			}
			if p.s[0] != f[i] {
				return false
			}
			p.s = p.s[1:]
			continue
		}
		i++
		p.s = []byte(strings.TrimLeft(string(p.s), " "))
		if len(p.s) == 0 {
			return true // the rest of the format is not given
		}
		if !p.letter(f[i]) {
			return false
		}
	}
	return true // what follows the format is ignored, as in MySQL
}

func (p *parsedDate) letter(l byte) bool {
	switch l {
	case 'Y':
		return p.number(&p.year, 4)
	case 'y':
		if !p.number(&p.year, 2) {
			return false
		}
		if p.year += 1900; p.year < 1970 {
			p.year += 100
		}
		return true
	case 'm', 'c':
		return p.number(&p.month, 2)
	case 'd', 'e':
		return p.number(&p.day, 2)
	case 'D':
		if !p.number(&p.day, 2) || len(p.s) < 2 {
			return false
		}
		p.s = p.s[2:]
		return true
	case 'j':
		return p.number(&p.yearDay, 3)
	case 'M':
		return p.name(&p.month, sqltypes.MonthNames[:], 0)
	case 'b':
		return p.name(&p.month, sqltypes.MonthNames[:], 3)
	case 'W':
		var ignored int
		return p.name(&ignored, sqltypes.DayNames[:], 0)
	case 'a':
		var ignored int
		return p.name(&ignored, sqltypes.DayNames[:], 3)
	}
	return p.clockLetter(l)
}

func (p *parsedDate) clockLetter(l byte) bool {
	switch l {
	case 'H', 'k':
		return p.number(&p.hour, 2)
	case 'h', 'I', 'l':
		p.hour12 = true
		return p.number(&p.hour, 2)
	case 'i':
		return p.number(&p.minute, 2)
	case 's', 'S':
		return p.number(&p.second, 2)
	case 'f':
		return p.fraction()
	case 'p':
		if len(p.s) < 2 {
			return false
		}
		switch half := strings.ToUpper(string(p.s[:2])); half {
		case "AM", "PM":
			p.pm = int(b2i(half == "PM"))
		default:
			return false
		}
		p.s = p.s[2:]
		return true
	case 'T':
		return p.parse([]byte("%H:%i:%s"))
	case 'r':
		return p.parse([]byte("%I:%i:%s %p"))
	case '%':
		ok := p.s[0] == '%'
		p.s = p.s[1:]
		return ok
	}
	return false
}

// number reads up to width digits.
func (p *parsedDate) number(dst *int, width int) bool {
	n, v := 0, 0
	for n < width && n < len(p.s) && p.s[n] >= '0' && p.s[n] <= '9' {
		v = v*10 + int(p.s[n]-'0')
		n++
	}
	p.s = p.s[n:]
	*dst = v
	return n > 0
}

func (p *parsedDate) fraction() bool {
	before := len(p.s)
	if !p.number(&p.micros, 6) {
		return false
	}
	for n := before - len(p.s); n < 6; n++ {
		p.micros *= 10
	}
	return true
}

// name reads a name, or its first short letters, and stores its position in the list.
func (p *parsedDate) name(dst *int, list []string, short int) bool {
	for i, name := range list {
		if name == "" {
			continue
		}
		if short > 0 {
			name = name[:short]
		}
		if len(p.s) >= len(name) && strings.EqualFold(string(p.s[:len(name)]), name) {
			*dst, p.s = i, p.s[len(name):]
			return true
		}
	}
	return false
}
