package types

import (
	"math"
	"strconv"
)

// number is the longest numeric prefix of a string.
type number struct {
	neg         bool
	whole, frac []byte
	exp         int
	used        int // bytes taken, with blanks on both sides
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func skipBlanks(s []byte, i int) int {
	for i < len(s) && isBlank(s[i]) {
		i++
	}
	return i
}

func skipDigits(s []byte, i int) int {
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return i
}

// scanNumber finds [sign] digits [. digits] [e [sign] digits].
func scanNumber(s []byte) (n number, ok bool) {
	i := skipBlanks(s, 0)
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		n.neg = s[i] == '-'
		i++
	}
	j := skipDigits(s, i)
	n.whole = s[i:j]
	i = j
	if i < len(s) && s[i] == '.' {
		j = skipDigits(s, i+1)
		n.frac = s[i+1 : j]
		if len(n.whole)+len(n.frac) > 0 {
			i = j
		}
	}
	if len(n.whole)+len(n.frac) == 0 {
		return n, false
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i = n.scanExponent(s, i)
	}
	n.used = skipBlanks(s, i)
	return n, true
}

func (n *number) scanExponent(s []byte, at int) int {
	i := at + 1
	neg := false
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		neg = s[i] == '-'
		i++
	}
	j := skipDigits(s, i)
	if j == i {
		return at
	}
	for _, c := range s[i:j] {
		if n.exp < 100000 {
			n.exp = n.exp*10 + int(c-'0')
		}
	}
	if neg {
		n.exp = -n.exp
	}
	return j
}

// ParseFloat reads the longest numeric prefix as a double; complete tells whether that was the whole string (blanks
// aside). Without any digits the value is 0. Values beyond the range become the largest double.
func ParseFloat(s []byte) (f float64, complete bool) {
	n, ok := scanNumber(s)
	if !ok {
		return 0, false
	}
	start := skipBlanks(s, 0)
	end := n.used
	for end > start && isBlank(s[end-1]) {
		end--
	}
	f, _ = strconv.ParseFloat(string(s[start:end]), 64)
	if math.IsInf(f, 0) {
		return math.Copysign(math.MaxFloat64, f), false
	}
	return f, n.used == len(s)
}

// ParseInt reads the longest integer prefix, as CAST(s AS SIGNED) does. neg tells the sign; the magnitude saturates
// (fits is false).
func ParseInt(s []byte) (mag uint64, neg, complete, fits bool) {
	i := skipBlanks(s, 0)
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		neg = s[i] == '-'
		i++
	}
	j := skipDigits(s, i)
	fits = true
	for _, c := range s[i:j] {
		d := uint64(c - '0')
		if mag > (math.MaxUint64-d)/10 {
			mag, fits = math.MaxUint64, false
			break
		}
		mag = mag*10 + d
	}
	return mag, neg, j > i && skipBlanks(s, j) == len(s), fits
}

// maxPointExponent: a double is printed without exponent while its decimal point is within 15 digits (MySQL's my_gcvt).
const maxPointExponent = 15

// AppendFloat prints a DOUBLE (bits 64: the shortest text that reads back) or a FLOAT (bits 32: 6 digits) as MySQL does.
func AppendFloat(dst []byte, f float64, bits int) []byte {
	if f == 0 {
		return append(dst, '0')
	}
	prec := -1
	if bits == 32 {
		prec = 5
	}
	var buf [32]byte
	e := strconv.AppendFloat(buf[:0], f, 'e', prec, 64)
	if e[0] == '-' {
		dst = append(dst, '-')
		e = e[1:]
	}
	if !isDigit(e[0]) {
		return append(dst, e...)
	}
	var digits [24]byte
	n, i := 0, 0
	for ; i < len(e) && e[i] != 'e'; i++ {
		if e[i] != '.' {
			digits[n] = e[i]
			n++
		}
	}
	for n > 1 && digits[n-1] == '0' {
		n--
	}
	exp, _ := strconv.Atoi(string(e[i+1:]))
	return appendDigits(dst, digits[:n], exp+1)
}

// appendDigits prints 0.digits * 10^point.
func appendDigits(dst, digits []byte, point int) []byte {
	switch {
	case point > maxPointExponent || point <= 1-maxPointExponent:
		dst = append(dst, digits[0])
		if len(digits) > 1 {
			dst = append(append(dst, '.'), digits[1:]...)
		}
		return strconv.AppendInt(append(dst, 'e'), int64(point-1), 10)
	case point <= 0:
		dst = append(dst, "0."...)
		for range -point {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	case point >= len(digits):
		dst = append(dst, digits...)
		for range point - len(digits) {
			dst = append(dst, '0')
		}
		return dst
	}
	dst = append(dst, digits[:point]...)
	return append(append(dst, '.'), digits[point:]...)
}
