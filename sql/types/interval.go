package types

import (
	"math"
	"strings"
)

// Interval is the amount of an INTERVAL: months and microseconds, which do not convert into one another.
type Interval struct {
	Months int64
	Micros int64
	// Date: the unit has a part of a day or more, so a time plus it is a datetime.
	Date bool
	// Time: the unit has a part smaller than a day, so a date plus it is a datetime.
	Time bool
	// Fraction: the unit may have a part smaller than a second.
	Fraction bool
}

// IntervalUnits are the units of INTERVAL and EXTRACT, in lower case.
var IntervalUnits = []string{
	"microsecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year",
	"second_microsecond", "minute_microsecond", "minute_second", "hour_microsecond", "hour_second", "hour_minute",
	"day_microsecond", "day_second", "day_minute", "day_hour", "year_month",
}

// simpleUnits maps a unit of one number to its months or microseconds.
var simpleUnits = map[string]Interval{
	"microsecond": {Micros: 1, Time: true, Fraction: true},
	"second":      {Micros: Second, Time: true},
	"minute":      {Micros: Minute, Time: true},
	"hour":        {Micros: Hour, Time: true},
	"day":         {Micros: Day},
	"week":        {Micros: 7 * Day},
	"month":       {Months: 1},
	"quarter":     {Months: 3},
	"year":        {Months: 12},
}

// compositeUnits maps a unit of several numbers to the factors of its numbers, from the last one on.
var compositeUnits = map[string][]Interval{
	"second_microsecond": {{Micros: 1}, {Micros: Second}},
	"minute_microsecond": {{Micros: 1}, {Micros: Second}, {Micros: Minute}},
	"minute_second":      {{Micros: Second}, {Micros: Minute}},
	"hour_microsecond":   {{Micros: 1}, {Micros: Second}, {Micros: Minute}, {Micros: Hour}},
	"hour_second":        {{Micros: Second}, {Micros: Minute}, {Micros: Hour}},
	"hour_minute":        {{Micros: Minute}, {Micros: Hour}},
	"day_microsecond":    {{Micros: 1}, {Micros: Second}, {Micros: Minute}, {Micros: Hour}, {Micros: Day}},
	"day_second":         {{Micros: Second}, {Micros: Minute}, {Micros: Hour}, {Micros: Day}},
	"day_minute":         {{Micros: Minute}, {Micros: Hour}, {Micros: Day}},
	"day_hour":           {{Micros: Hour}, {Micros: Day}},
	"year_month":         {{Months: 1}, {Months: 12}},
}

// UnitShape returns the flags of a unit, and false when there is no such unit.
func UnitShape(unit string) (Interval, bool) {
	if u, ok := simpleUnits[unit]; ok {
		return Interval{Date: !u.Time, Time: u.Time, Fraction: u.Fraction}, true
	}
	_, ok := compositeUnits[unit]
	days, months := strings.HasPrefix(unit, "day_"), unit == "year_month"
	return Interval{Date: days || months, Time: ok && !months, Fraction: strings.HasSuffix(unit, "_microsecond")}, ok
}

// IsSimpleUnit reports whether a unit takes one number.
func IsSimpleUnit(unit string) bool {
	_, ok := simpleUnits[unit]
	return ok
}

// IntervalOf multiplies a unit of one number; micro is a number of millionths (of seconds only, else 0). False means
// that the interval is longer than the calendar.
func IntervalOf(unit string, n, micro int64) (Interval, bool) {
	u := simpleUnits[unit]
	if u.Months != 0 {
		if n > math.MaxInt64/12 || n < math.MinInt64/12 {
			return u, false
		}
		u.Months *= n
		return u, true
	}
	if n > math.MaxInt64/u.Micros-1 || n < math.MinInt64/u.Micros+1 {
		return u, false
	}
	u.Micros = u.Micros*n + micro
	u.Fraction = u.Fraction || micro != 0
	return u, true
}

// ParseInterval reads the text of an interval of any unit: numbers with any punctuation between them. Fewer numbers
// than the unit has are the last ones; more are no interval.
func ParseInterval(unit string, s []byte) (Interval, bool) {
	factors, ok := compositeUnits[unit]
	if !ok {
		return parseSimpleInterval(unit, s)
	}
	i := skipBlanks(s, 0)
	neg := i < len(s) && s[i] == '-'
	var nums []int64
	lastLen := 0
	for i < len(s) {
		if !isDigit(s[i]) {
			i++
			continue
		}
		if len(nums) == len(factors) {
			return Interval{}, false
		}
		j := skipDigits(s, i)
		mag, _, _, fits := ParseInt(s[i:j])
		if !fits || mag > math.MaxInt64/uint64(Day) {
			return Interval{}, false
		}
		nums = append(nums, int64(mag))
		lastLen, i = j-i, j
	}
	out, _ := UnitShape(unit)
	for k := range nums {
		n, f := nums[len(nums)-1-k], factors[k]
		if k == 0 && f.Micros == 1 && len(nums) > 1 && lastLen < 6 {
			n *= Pow10Int64(int32(6 - lastLen)) // a fraction of a second
		}
		if f.Micros != 0 && n > math.MaxInt64/f.Micros/8 || f.Months != 0 && n > math.MaxInt64/f.Months/8 {
			return Interval{}, false
		}
		out.Micros += n * f.Micros
		out.Months += n * f.Months
	}
	if neg {
		out.Micros, out.Months = -out.Micros, -out.Months
	}
	return out, true
}

func parseSimpleInterval(unit string, s []byte) (Interval, bool) {
	if unit == "second" {
		v, scale, _, fits := ParseDecimal(s)
		micro, ok := Rescale(v, scale, 6)
		m, ok2 := micro.Int64()
		if !fits || !ok || !ok2 {
			return Interval{}, false
		}
		return IntervalOf(unit, m/Second, m%Second)
	}
	mag, neg, _, fits := ParseInt(s)
	if !fits || mag > math.MaxInt64 {
		return Interval{}, false
	}
	n := int64(mag)
	if neg {
		n = -n
	}
	return IntervalOf(unit, n, 0)
}

// AddInterval adds to a datetime; the day is cut to the month's last. False when the result leaves the calendar, in which the zero date
// never was.
func AddInterval(micros int64, iv Interval) (int64, bool) {
	if micros < MinDateTime {
		return 0, false
	}
	if iv.Months != 0 {
		var ok bool
		if micros, ok = addMonths(micros, iv.Months); !ok {
			return 0, false
		}
	}
	const span = 10000 * 366 * Day
	if iv.Micros > span || iv.Micros < -span {
		return 0, false
	}
	micros += iv.Micros
	return micros, micros >= MinDateTime && micros <= MaxDateTime
}

func addMonths(micros, months int64) (int64, bool) {
	if months > 120000 || months < -120000 {
		return 0, false
	}
	days, rest := FloorDay(micros)
	y, m, d := DateOf(days)
	total := int64(y)*12 + int64(m-1) + months
	if total < 0 || total >= 10000*12 {
		return 0, false
	}
	y, m = int(total/12), int(total%12)+1
	return DaysOf(y, m, min(d, DaysIn(y, m)))*Day + rest, true
}

// Neg returns the opposite interval.
func (iv Interval) Neg() Interval {
	iv.Months, iv.Micros = -iv.Months, -iv.Micros
	return iv
}
