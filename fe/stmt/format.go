package stmt

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Capacity prints bytes with three decimals in a unit of 1024: "584.578 GB".
func Capacity(n int64) string {
	if n == 0 {
		return "0.000 "
	}
	f, unit := scaled(n)
	return fmt.Sprintf("%.3f %s", f, unit)
}

// Compact prints bytes briefly: "784B", "4KB", "1.5MB".
func Compact(n int64) string {
	f, unit := scaled(n)
	text := strconv.FormatFloat(f, 'f', 1, 64)
	return strings.TrimSuffix(text, ".0") + unit
}

// Lettered prints bytes as the verbs of OpenMLDB's operators do: "0.000", "8.498K", "1.250M".
func Lettered(n int64) string {
	f, unit := scaled(n)
	return fmt.Sprintf("%.3f%s", f, strings.TrimSuffix(unit, "B"))
}

// scaled gives bytes in the largest unit of which there is one.
func scaled(n int64) (f float64, unit string) {
	units := [...]string{"B", "KB", "MB", "GB", "TB"}
	f, i := float64(n), 0
	for math.Abs(f) >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return f, units[i]
}

// Percent prints part of total with two decimals: "71.00 %".
func Percent(part, total int64) string {
	if total <= 0 {
		return "0.00 %"
	}
	return fmt.Sprintf("%.2f %%", float64(part)/float64(total)*100)
}

// Share prints part of total the way ADMIN SHOW REPLICA DISTRIBUTION does: two decimals, a half rounded to the even
// digit, and no zero before the point.
func Share(part, total int64) string {
	if total <= 0 {
		return ".00 %"
	}
	n := part * 10000
	q, r := n/total, n%total
	if 2*r > total || 2*r == total && q%2 == 1 {
		q++
	}
	whole := ""
	if q >= 100 {
		whole = strconv.FormatInt(q/100, 10)
	}
	return fmt.Sprintf("%s.%02d %%", whole, q%100)
}

// OrMinus gives -1 for an unset number.
func OrMinus[T ~uint64](n T) int64 {
	if n == 0 {
		return -1
	}
	return int64(n)
}

// MatchLike matches a LIKE pattern without regard to case; \ takes the next character literally.
func MatchLike(pattern, text string) bool {
	return likeRunes([]rune(strings.ToLower(pattern)), []rune(strings.ToLower(text)))
}

// likeRunes goes back to the last % only, which is enough and keeps the work below len(p)*len(t).
func likeRunes(p, t []rune) bool {
	pi, ti, star, mark := 0, 0, -1, 0
	for ti < len(t) {
		if pi < len(p) && p[pi] == '%' {
			star, mark = pi, ti
			pi++
			continue
		}
		if pi < len(p) {
			c, width := p[pi], 1
			if c == '\\' && pi+1 < len(p) {
				c, width = p[pi+1], 2
			}
			if c == t[ti] || width == 1 && c == '_' {
				pi, ti = pi+width, ti+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		mark++
		pi, ti = star+1, mark
	}
	for pi < len(p) && p[pi] == '%' {
		pi++
	}
	return pi == len(p)
}
