package types

import (
	"bytes"
	"time"

	mt "stele/meta/types"
)

// Temporal is the outcome of parsing a date, datetime or time literal.
type Temporal struct {
	Micros   int64 // since 1970-01-01 for dates and datetimes, of the duration for times; not rounded (6 digits)
	HasTime  bool  // a datetime literal with a time of day, or a time
	Fraction int32 // digits written after the second, at most 6
}

// ParseDateTime reads MySQL's date and datetime literals: 'YYYY-MM-DD[{ |T}hh:mm[:ss[.frac]]]' with any punctuation and
// one or two digits a part, 'YYYYMMDD[hhmm[ss]]', 'YYMMDD[hhmmss]', and a zone offset '+hh:mm' at the end, which
// converts to the time of loc. Of the dates with a zero month or day only the zero date is one.
func ParseDateTime(s []byte, loc *time.Location) (Temporal, bool) {
	s = trimBlanks(s)
	if len(s) == 0 || !isDigit(s[0]) {
		return Temporal{}, false
	}
	p := dateParser{s: s}
	ok := false
	if n := skipDigits(s, 0); n >= 5 {
		ok = p.packed(n)
	} else {
		ok = p.delimited()
	}
	if !ok {
		return Temporal{}, false
	}
	return p.finish(loc)
}

// LeadingDateTime reads the date or datetime that a text begins with, as MySQL does; whole says that nothing follows it.
func LeadingDateTime(s []byte, loc *time.Location) (t Temporal, whole, ok bool) {
	if t, ok = ParseDateTime(s, loc); ok {
		return t, true, true
	}
	if s, ok = leading(s); !ok {
		return t, false, false
	}
	t, ok = ParseDateTime(s, loc)
	return t, false, ok
}

// leadingTime reads the time that a text begins with which is none as a whole.
func leadingTime(s []byte) (t Temporal, inRange, ok bool) {
	if head, cut := leading(s); cut {
		if d, dok := ParseDateTime(head, time.UTC); dok && d.HasTime {
			_, d.Micros = FloorDay(d.Micros)
			return d, true, true
		}
	}
	s = trimBlanks(s)
	i := skipDigits(s, min(1, len(s)))
	for i < len(s) && (isDigit(s[i]) || isBlank(s[i]) || s[i] == ':' || s[i] == '.') {
		i++
	}
	head := bytes.TrimRight(s[:i], " \t\r\n:")
	if len(head) == len(s) || isExponent(s[i:]) {
		return t, false, false
	}
	return ParseTime(head)
}

// isExponent reports whether a text goes on like a number with an exponent, whose beginning is no time.
func isExponent(s []byte) bool {
	if len(s) < 2 || s[0]|0x20 != 'e' {
		return false
	}
	if s[1] == '+' || s[1] == '-' {
		s = s[1:]
	}
	return len(s) > 1 && isDigit(s[1])
}

// leading is the part of a text before what is neither digit, punctuation, blank nor T, without punctuation at its end; false if that is
// the whole text.
func leading(s []byte) ([]byte, bool) {
	s = trimBlanks(s)
	i := 0
	for i < len(s) && (isDigit(s[i]) || isPunct(s[i]) || isBlank(s[i]) || s[i] == 'T') {
		i++
	}
	end := i
	for end > 0 && !isDigit(s[end-1]) {
		end--
	}
	return s[:end], end < len(s)
}

func trimBlanks(s []byte) []byte {
	i, j := skipBlanks(s, 0), len(s)
	for j > i && isBlank(s[j-1]) {
		j--
	}
	return s[i:j]
}

// dateParser holds the parts of a datetime literal: year, month, day, hour, minute, second.
type dateParser struct {
	s        []byte
	at       int
	parts    [6]int
	n        int
	micros   int
	fraction int32
	offset   int64
	zoned    bool
	century0 bool // the year was written as 00
}

// packed reads a run of n digits without delimiters.
func (p *dateParser) packed(n int) bool {
	year := 2
	switch {
	case n == 8 || n == 14:
		year = 4
	case n > 14:
		return false
	}
	p.parts[0] = number2(p.s[:year])
	if year == 2 {
		p.shortYear()
	}
	p.n, p.at = 1, year
	for p.at < n && p.n < 6 {
		w := min(2, n-p.at)
		p.parts[p.n] = number2(p.s[p.at : p.at+w])
		p.n++
		p.at += w
	}
	if p.n < 3 || p.at != n {
		return false
	}
	if p.n == 3 && p.at < len(p.s) && (p.s[p.at] == 'T' || p.s[p.at] == ' ') {
		p.at++
		return p.clock(3)
	}
	return p.tail()
}

func number2(s []byte) int {
	v := 0
	for _, c := range s {
		v = v*10 + int(c-'0')
	}
	return v
}

// shortYear gives the year that was read with two digits its century.
func (p *dateParser) shortYear() {
	p.century0 = p.parts[0] == 0
	p.parts[0] = expandYear(p.parts[0])
}

// expandYear gives a two-digit year its century: 70..99 are 1970..1999, 00..69 are 2000..2069.
func expandYear(y int) int {
	if y < 70 {
		return 2000 + y
	}
	return 1900 + y
}

// delimited reads parts of one or two digits (the year up to four) with punctuation between.
func (p *dateParser) delimited() bool {
	j := skipDigits(p.s, 0)
	p.parts[0] = number2(p.s[:j])
	if j <= 2 {
		p.shortYear()
	} else if j == 3 {
		return false
	}
	p.n, p.at = 1, j
	for p.n < 3 {
		if !p.skipPunct() || !p.part() {
			return false
		}
	}
	if p.at == len(p.s) {
		return true
	}
	switch c := p.s[p.at]; {
	case c == 'T' || isBlank(c):
		p.at = skipBlanks(p.s, p.at+1)
	case !p.skipPunct():
		return false
	}
	return p.clock(3)
}

func isPunct(c byte) bool {
	return c >= '!' && c <= '/' || c >= ':' && c <= '@' || c >= '[' && c <= '`' || c >= '{' && c <= '~'
}

func (p *dateParser) skipPunct() bool {
	i := p.at
	for p.at < len(p.s) && isPunct(p.s[p.at]) {
		p.at++
	}
	return p.at > i
}

// part reads the next one or two digits.
func (p *dateParser) part() bool {
	j := skipDigits(p.s, p.at)
	if j == p.at || j-p.at > 2 {
		return false
	}
	p.parts[p.n] = number2(p.s[p.at:j])
	p.n++
	p.at = j
	return true
}

// clock reads hh[:mm[:ss]], or the same packed.
func (p *dateParser) clock(from int) bool {
	p.n = from
	if j := skipDigits(p.s, p.at); j-p.at == 4 || j-p.at == 6 {
		for p.at < j {
			p.parts[p.n] = number2(p.s[p.at : p.at+2])
			p.n++
			p.at += 2
		}
		return p.tail()
	}
	for p.part() {
		if p.n == 6 || p.at == len(p.s) || p.s[p.at] == '.' || p.s[p.at] == '+' || p.s[p.at] == '-' && p.n > 4 {
			break
		}
		if !p.skipPunct() {
			break
		}
		if p.at == len(p.s) {
			return false
		}
	}
	return p.n > from && p.tail()
}

// tail reads the fraction and the zone offset; nothing may follow.
func (p *dateParser) tail() bool {
	if p.n == 6 && p.at < len(p.s) && p.s[p.at] == '.' {
		p.micros, p.fraction, p.at = scanFraction(p.s, p.at+1)
	}
	if p.n >= 5 && p.at < len(p.s) && (p.s[p.at] == '+' || p.s[p.at] == '-') {
		off, ok := ParseOffset(p.s[p.at:])
		if !ok {
			return false
		}
		p.offset, p.zoned, p.at = off, true, len(p.s)
	}
	return p.at == len(p.s)
}

// scanFraction reads digits after the point as microseconds; the seventh digit rounds.
func scanFraction(s []byte, i int) (micros int, digits int32, end int) {
	end = skipDigits(s, i)
	for k := range 6 {
		micros *= 10
		if i+k < end {
			micros += int(s[i+k] - '0')
		}
	}
	if end-i > 6 && s[i+6] >= '5' {
		micros++
	}
	return micros, int32(min(end-i, 6)), end
}

// ParseOffset reads a time zone offset '+hh:mm' within -13:59..+14:00, in seconds.
func ParseOffset(s []byte) (int64, bool) {
	if len(s) < 5 || len(s) > 6 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	colon := len(s) - 3
	if s[colon] != ':' || skipDigits(s, 1) != colon || skipDigits(s, colon+1) != len(s) {
		return 0, false
	}
	h, m := number2(s[1:colon]), number2(s[colon+1:])
	secs := int64(h*3600 + m*60)
	if m > 59 || secs > 14*3600 || s[0] == '-' && secs > 13*3600+59*60 {
		return 0, false
	}
	if s[0] == '-' {
		secs = -secs
	}
	return secs, true
}

func (p *dateParser) finish(loc *time.Location) (Temporal, bool) {
	v := &p.parts
	if p.century0 && v[1] == 0 && v[2] == 0 {
		v[0] = 0
	}
	zero := v[0] == 0 && v[1] == 0 && v[2] == 0 && !p.zoned
	if !zero && !ValidDate(v[0], v[1], v[2]) || v[3] > 23 || v[4] > 59 || v[5] > 59 {
		return Temporal{}, false
	}
	t := Temporal{HasTime: p.n > 3, Fraction: p.fraction}
	days := ZeroDate
	if !zero {
		days = DaysOf(v[0], v[1], v[2])
	}
	t.Micros = days*Day + int64(v[3])*Hour + int64(v[4])*Minute + int64(v[5])*Second + int64(p.micros)
	if p.zoned {
		t.Micros = UTCToLocal(t.Micros-p.offset*Second, loc)
	}
	return t, t.Micros <= MaxDateTime
}

// ParseTime reads '[-][D ]hh:mm[:ss[.frac]]', '[-]D hh', '[-]hhmmss[.frac]', or a whole datetime, whose time of day it takes.
// inRange is false when the value was cut to ±838:59:59.
func ParseTime(s []byte) (t Temporal, inRange, ok bool) {
	s = trimBlanks(s)
	if len(s) >= 11 && (skipDigits(s, 0) == 4 && isPunct(s[4]) && s[4] != ':' && s[4] != '.' || skipDigits(s, 0) >= 12) {
		if d, dok := ParseDateTime(s, time.UTC); dok && d.HasTime {
			_, d.Micros = FloorDay(d.Micros)
			return d, true, true
		}
	}
	neg := len(s) > 0 && s[0] == '-'
	if neg {
		s = s[1:]
	}
	micros, frac, ok := scanClock(s)
	if !ok {
		return Temporal{}, false, false
	}
	inRange = micros <= MaxTime
	micros = min(micros, MaxTime)
	if neg {
		micros = -micros
	}
	return Temporal{Micros: micros, HasTime: true, Fraction: frac}, inRange, true
}

// scanClock reads the magnitude of a time.
func scanClock(s []byte) (micros int64, frac int32, ok bool) {
	i := skipDigits(s, 0)
	if i == 0 || i > 10 {
		return 0, 0, false
	}
	first := int64(number2(s[:i]))
	var h, m, sec int64
	switch {
	case i < len(s) && isBlank(s[i]): // D hh[:mm[:ss]]
		j := skipBlanks(s, i)
		k := skipDigits(s, j)
		if k == j || k-j > 2 || first > 999 {
			return 0, 0, false
		}
		h = first*24 + int64(number2(s[j:k]))
		i = k
		if i == len(s) {
			return h * Hour, 0, true
		}
		if s[i] != ':' {
			return 0, 0, false
		}
		m, sec, i, ok = scanMinutes(s, i)
	case i < len(s) && s[i] == ':':
		h = first
		m, sec, i, ok = scanMinutes(s, i)
	default: // hhmmss
		h, m, sec, ok = first/10000, first/100%100, first%100, true
	}
	if !ok || m > 59 || sec > 59 {
		return 0, 0, false
	}
	micros = min(h, 10000)*Hour + m*Minute + sec*Second
	if i < len(s) && s[i] == '.' {
		var us int
		us, frac, i = scanFraction(s, i+1)
		micros += int64(us)
	}
	return micros, frac, i == len(s)
}

// scanMinutes reads ':mm[:ss]'.
func scanMinutes(s []byte, i int) (m, sec int64, end int, ok bool) {
	j := skipDigits(s, i+1)
	if j == i+1 || j-i > 3 {
		return 0, 0, i, false
	}
	m = int64(number2(s[i+1 : j]))
	if j < len(s) && s[j] == ':' {
		k := skipDigits(s, j+1)
		if k == j+1 || k-j > 3 {
			return 0, 0, i, false
		}
		return m, int64(number2(s[j+1 : k])), k, true
	}
	return m, 0, j, true
}

// NumberToDateTime reads YYMMDD, YYYYMMDD, YYMMDDhhmmss and YYYYMMDDhhmmss; 0 is the zero date.
func NumberToDateTime(n int64) (Temporal, bool) {
	if n == 0 {
		return Temporal{Micros: ZeroDateTime}, true
	}
	if n < 101 || n > 99991231235959 {
		return Temporal{}, false
	}
	date, clock := n, int64(0)
	hasTime := false
	if n > 99991231 {
		date, clock, hasTime = n/1000000, n%1000000, true
	}
	y := date / 10000
	switch {
	case y < 70:
		y += 2000
	case y < 100:
		y += 1900
	case y < 1000:
		return Temporal{}, false
	}
	m, d := int(date/100%100), int(date%100)
	hh, mm, ss := clock/10000, clock/100%100, clock%100
	if !ValidDate(int(y), m, d) || hh > 23 || mm > 59 || ss > 59 {
		return Temporal{}, false
	}
	return Temporal{Micros: DaysOf(int(y), m, d)*Day + hh*Hour + mm*Minute + ss*Second, HasTime: hasTime}, true
}

// NumberToTime reads [-]hhmmss.
func NumberToTime(n int64) (micros int64, inRange, ok bool) {
	neg := n < 0
	if neg {
		n = -n
	}
	if n > 8385959 || n < 0 {
		if t, dok := NumberToDateTime(n); dok && t.HasTime && !neg {
			_, micros = FloorDay(t.Micros)
			return micros, true, true
		}
		micros, inRange = MaxTime, false
	} else {
		if n/100%100 > 59 || n%100 > 59 {
			return 0, false, false
		}
		micros, inRange = n/10000*Hour+n/100%100*Minute+n%100*Second, true
	}
	if neg {
		micros = -micros
	}
	return micros, inRange, true
}

// TemporalToNumber is the number that a temporal value is in a numeric context (YYYYMMDD, YYYYMMDDhhmmss, hhmmss) and
// its microseconds of the second, with the same sign.
func TemporalToNumber(kind mt.Kind, v int64) (whole, micros int64) {
	switch kind {
	case mt.KindDate:
		y, m, d := DateOf(v)
		return int64(y*10000 + m*100 + d), 0
	case mt.KindTime:
		h, m, s, us := v/Hour, v/Minute%60, v/Second%60, v%Second
		return h*10000 + m*100 + s, us
	}
	days, rest := FloorDay(v)
	y, m, d := DateOf(days)
	clock := rest/Hour*10000 + rest/Minute%60*100 + rest/Second%60
	return int64(y*10000+m*100+d)*1000000 + clock, rest % Second
}
