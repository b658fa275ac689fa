package types

import "time"

// Units of time in microseconds.
const (
	Second int64 = 1_000_000
	Minute       = 60 * Second
	Hour         = 60 * Minute
	Day          = 24 * Hour
)

// Bounds of the calendar, as days and microseconds since 1970-01-01: 0000-01-01 and 9999-12-31.
const (
	MinDate     int64 = -daysToEpoch
	MaxDate     int64 = 2932896
	MinDateTime       = MinDate * Day
	MaxDateTime       = MaxDate*Day + Day - 1
)

// The zero date '0000-00-00' is the day before the calendar, so that it sorts before every date; a DATETIME or TIMESTAMP of it is the
// first moment of that day, in every time zone. A DATETIME may have a time of day there, too. No row that was stored before there were
// zero dates holds such a value.
const (
	ZeroDate     = MinDate - 1
	ZeroDateTime = ZeroDate * Day
)

// Bounds of TIME and TIMESTAMP in microseconds; a TIMESTAMP may also be zero (ZeroDateTime).
const (
	MaxTime      = 838*Hour + 59*Minute + 59*Second
	MinTimestamp = Second
	MaxTimestamp = (1<<31)*Second - 1
)

// daysToEpoch is TO_DAYS('1970-01-01').
const daysToEpoch = 719528

// DaysOf returns the days from 1970-01-01 to a date of the proleptic Gregorian calendar.
func DaysOf(y, m, d int) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	era := y / 400
	if y < 0 {
		era = (y - 399) / 400
	}
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return int64(era)*146097 + int64(doe) - 719468
}

// DateOf is the inverse of DaysOf; the zero date has neither year, month nor day.
func DateOf(days int64) (y, m, d int) {
	if days == ZeroDate {
		return 0, 0, 0
	}
	z := days + 719468
	era := z / 146097
	if z < 0 {
		era = (z - 146096) / 146097
	}
	doe := uint32(z - era*146097)
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = int(doy - (153*mp+2)/5 + 1)
	y = int(yoe) + int(era)*400
	if mp < 10 {
		return y, int(mp + 3), d
	}
	return y + 1, int(mp - 9), d
}

// FloorDay splits microseconds into days and the microseconds of the day.
func FloorDay(micros int64) (days, rest int64) {
	days, rest = micros/Day, micros%Day
	if rest < 0 {
		days, rest = days-1, rest+Day
	}
	return days, rest
}

// IsLeap reports whether a year has 366 days.
func IsLeap(y int) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }

var monthDays = [13]int{0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// DaysIn returns the number of days of a month.
func DaysIn(y, m int) int {
	if m == 2 && IsLeap(y) {
		return 29
	}
	return monthDays[m]
}

// ValidDate reports whether a date exists and is within 0000-01-01..9999-12-31.
func ValidDate(y, m, d int) bool {
	return y >= 0 && y <= 9999 && m >= 1 && m <= 12 && d >= 1 && d <= DaysIn(y, m)
}

// ToDays returns MySQL's day number (TO_DAYS) of days since 1970-01-01; FromDays is the inverse.
func ToDays(days int64) int64 { return days + daysToEpoch }

// FromDays converts TO_DAYS' number to days since 1970-01-01.
func FromDays(n int64) int64 { return n - daysToEpoch }

// Weekday returns 0 for Monday .. 6 for Sunday.
func Weekday(days int64) int { return int(((days+3)%7 + 7) % 7) }

// DayOfYear returns 1..366.
func DayOfYear(days int64) int {
	y, _, _ := DateOf(days)
	return int(days-DaysOf(y, 1, 1)) + 1
}

// Bits of a week mode (WEEK's second argument, 0..7).
const (
	weekMonday    = 1 // weeks start on Monday
	weekYear      = 2 // weeks count from 1; a day may belong to a week of the year before
	weekFirstFull = 4 // the first week starts with the first such weekday (after the correction below)
)

// Week returns the week of a date in the given mode and the year that the week belongs to.
func Week(days int64, mode int) (week, year int) {
	mode &= 7
	if mode&weekMonday == 0 {
		mode ^= weekFirstFull
	}
	y, m, d := DateOf(days)
	first := DaysOf(y, 1, 1)
	weekday := Weekday(first)
	if mode&weekMonday == 0 {
		weekday = (weekday + 1) % 7
	}
	full := mode&weekFirstFull != 0
	inWeekYear := mode&weekYear != 0
	before := full && weekday != 0 || !full && weekday >= 4
	if m == 1 && d <= 7-weekday {
		if !inWeekYear && before {
			return 0, y
		}
		if before {
			inWeekYear = true
			y--
			length := 365
			if IsLeap(y) {
				length++
			}
			first -= int64(length)
			weekday = (weekday + 53*7 - length) % 7
			before = full && weekday != 0 || !full && weekday >= 4
		}
	}
	var offset int64
	if before {
		offset = days - (first + int64(7-weekday))
	} else {
		offset = days - (first - int64(weekday))
	}
	if inWeekYear && offset >= 52*7 {
		length := 365
		if IsLeap(y) {
			length++
		}
		weekday = (weekday + length) % 7
		if !full && weekday < 4 || full && weekday == 0 {
			return 1, y + 1
		}
	}
	return int(offset/7) + 1, y
}

// MonthNames and DayNames are English, as with lc_time_names = en_US; DayNames starts with Monday.
var (
	MonthNames = [13]string{"", "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
	DayNames   = [7]string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
)

// LocalToUTC converts a DATETIME, as written in the time zone, to a TIMESTAMP.
func LocalToUTC(micros int64, loc *time.Location) int64 {
	if loc == nil || loc == time.UTC || micros < MinDateTime {
		return micros
	}
	days, rest := FloorDay(micros)
	y, m, d := DateOf(days)
	t := time.Date(y, time.Month(m), d, 0, 0, int(rest/Second), int(rest%Second)*1000, loc)
	return t.UnixMicro()
}

// UTCToLocal converts a TIMESTAMP to a DATETIME of the time zone.
func UTCToLocal(micros int64, loc *time.Location) int64 {
	if loc == nil || loc == time.UTC || micros < MinDateTime {
		return micros
	}
	_, offset := time.UnixMicro(micros).In(loc).Zone()
	return micros + int64(offset)*Second
}

// RoundFraction rounds microseconds to fsp digits after the second, half away from zero.
func RoundFraction(micros int64, fsp int32) int64 {
	if fsp >= 6 {
		return micros
	}
	unit := Pow10Int64(6 - fsp)
	half := unit / 2
	if micros < 0 {
		return -((-micros + half) / unit * unit)
	}
	return (micros + half) / unit * unit
}
