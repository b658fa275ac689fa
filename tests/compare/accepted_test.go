//go:build clients

package compare

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// accepted is why two answers may differ, "" = they may not. Each reason has a pattern of its own; README names those that are Stele's.
func accepted(text, what string, a, b answer) string {
	for _, d := range acceptedDifferences {
		if d.holds(text, what, a, b) {
			return d.reason
		}
	}
	return ""
}

// valueErrors are those of values that do not fit: which of several a statement names depends on what is worked out first.
var valueErrors = []uint16{1048, 1062, 1264, 1265, 1292, 1364, 1365, 1366, 1406, 1411, 1441, 1690, 3140, 4025}

var (
	joined      = regexp.MustCompile(`(?:^|; *\n *)UPDATE IGNORE t\d a (?:LEFT )?JOIN t\d b [^;]*$`)
	mixedLeast  = regexp.MustCompile(`\b(?:LEAST|GREATEST)\(`)
	truthOfJSON = regexp.MustCompile(`JSON_CONTAINS_PATH\(`)
	hexLiteral  = regexp.MustCompile(`x'[0-9a-f]+'`)
	deleteJoin  = regexp.MustCompile(`(?:^|; *\n *)DELETE [ab](?:, b)? FROM [^;]*\bSELECT\b[^;]*$`)
	groupedBy   = regexp.MustCompile(`^(?:WITH .*\) )?SELECT (.*) FROM .* GROUP BY (?:\w+\.\w+, )*(.*?)(?: WITH ROLLUP)?(?: HAVING .*)?$`)
	rolledUp    = regexp.MustCompile(`^SELECT (\S+), (\S+) FROM .* WITH ROLLUP$`)
	noTimes     = regexp.MustCompile(`\b(?:HOUR|MINUTE|SECOND|MICROSECOND)\(\d{8}\)`)
	numberDates = regexp.MustCompile(`\bBETWEEN (?:\w+\()*FROM_DAYS\(`)
	castDates   = regexp.MustCompile(`CAST\([^()]* AS DATE(?:TIME(?:\(\d\))?)?\) (?:<=>|[<>=]+)|(?:<=>|[<>=]+) \(?CAST\([^()]* AS DATE`)
	timesAdded  = regexp.MustCompile(`\b(?:ADDTIME|SUBTIME|TIMESTAMP)\(`)
	movedKeys   = regexp.MustCompile(`(?:^|; *\n *)UPDATE IGNORE t\d (?:a .*)?SET (?:[^;]*[, .])?(?:id|u) = [^;]*$`)
)

// left reports whether a write ended alike and left other rows.
func left(what string) bool { return strings.HasPrefix(what, "left in ") }

// anyNull reports whether a row has a NULL.
func anyNull(a answer) bool {
	return slices.ContainsFunc(a.rows, func(row []string) bool { return slices.Contains(row, "NULL") })
}

// fourDigits reports whether two cells are equal up to four digits behind the point.
func fourDigits(a, b string) bool {
	x, errA := strconv.ParseFloat(strings.TrimPrefix(a, "="), 64)
	y, errB := strconv.ParseFloat(strings.TrimPrefix(b, "="), 64)
	return a == b || errA == nil && errB == nil && math.Abs(x-y) <= 0.00005
}

var acceptedDifferences = []struct {
	reason string
	holds  func(text, what string, a, b answer) bool
}{
	{"MySQL finds what GROUP BY groups by in the expressions of SELECT, MariaDB not within all functions", func(text, _ string, a, b answer) bool {
		m := groupedBy.FindStringSubmatch(text)
		return a.err == 0 && b.err == 1055 && m != nil && strings.Contains(m[1], m[2])
	}},
	{"a column that SELECT names twice is NULL in both places of a total row in MySQL, in the first in MariaDB", func(text, what string, _, _ answer) bool {
		m := rolledUp.FindStringSubmatch(text)
		return what == "rows" && m != nil && m[1] == m[2]
	}},
	{"a negative number in the ORDER BY of GROUP_CONCAT is a constant in MySQL, the place of a column in MariaDB", func(text, _ string, a, b answer) bool {
		return a.err == 0 && b.err == 1054 && strings.HasPrefix(b.message, "Unknown column '-") && strings.Contains(text, "GROUP_CONCAT(")
	}},
	{"MariaDB cuts the standard deviation of integers in a window, and of bits, to four digits", func(text, what string, a, b answer) bool {
		return what == "rows" && strings.Contains(text, "STDDEV(") && len(a.rows) == len(b.rows) && !slices.ContainsFunc(a.rows, func(row []string) bool {
			return !slices.ContainsFunc(b.rows, func(other []string) bool { return slices.EqualFunc(row, other, fourDigits) })
		})
	}},
	{"a negative double as UNSIGNED goes round in MySQL, and is 0 in MariaDB", func(text, what string, a, b answer) bool {
		round := func(row []string) bool {
			return slices.ContainsFunc(row, func(cell string) bool { return strings.Contains(cell, "1844674407370955") })
		}
		return what == "rows" && strings.Contains(text, " AS UNSIGNED)") && slices.ContainsFunc(a.rows, round) && !slices.ContainsFunc(b.rows, round)
	}},
	{"a number of hours beyond TIME has no minute in MySQL, and is 0 in MariaDB", func(text, what string, _, _ answer) bool {
		return (what == "rows" || left(what)) && noTimes.MatchString(text)
	}},
	{"numbers that are no constants compare with a date as numbers in MySQL, as dates in MariaDB", func(text, what string, _, _ answer) bool {
		return (what == "rows" || left(what)) && numberDates.MatchString(text)
	}},
	{"what a CAST makes a date compares with a number that is no constant as a number in MySQL, as a date in MariaDB", func(text, what string, _, _ answer) bool {
		return (what == "rows" || what == "affected" || left(what)) && castDates.MatchString(text)
	}},
	{"a DATETIME that is added to a time is its time of day in MySQL, and makes the sum NULL in MariaDB", func(text, what string, _, b answer) bool {
		return what == "rows" && timesAdded.MatchString(text) && anyNull(b)
	}},
	{"numbers that rows which IGNORE leaves out have drawn are not given to the rows behind them", func(text, what string, _, _ answer) bool {
		return (what == "insert id" || left(what)) && strings.Contains(text, "INSERT IGNORE") && strings.Contains(text, "AUTO_INCREMENT")
	}},
	{"refused by name", func(_, _ string, a, _ answer) bool { return a.err == 1235 }},
	{"MySQL refuses invalid JSON, MariaDB takes it for NULL", func(_, _ string, a, b answer) bool { return a.err >= 3140 && a.err <= 3160 && b.err == 0 }},
	{"JSON has a collation of its own in MariaDB, utf8mb4_bin", func(_, _ string, _, b answer) bool { return b.err == 1267 || b.err == 1270 || b.err == 1271 }},
	{"MariaDB takes text that is not UTF-8 for NULL", func(text, what string, _, _ answer) bool {
		return strings.Contains(text, "USING utf8mb4") && (what == "rows" || what == "affected" || left(what))
	}},
	{"MariaDB takes documents for NULL", func(text, what string, _, _ answer) bool {
		return strings.Contains(text, "JSON_VALUE(") && (what == "rows" || left(what))
	}},
	{"where nothing matches MySQL has NULL, MariaDB an empty text", func(text, what string, _, _ answer) bool {
		return strings.Contains(text, "REGEXP_SUBSTR(") && (what == "rows" || what == "affected" || left(what))
	}},
	{"JSON in MySQL is a type with an order of its own, in MariaDB it is text", func(text, what string, _, _ answer) bool {
		return strings.Contains(text, "JSON_") && what == "rows"
	}},
	{"decimals have 38 digits", func(_, _ string, a, _ answer) bool { return a.err == 1690 && strings.Contains(a.message, "DECIMAL") }},
	{"both refuse a value, which of several is another", func(_, _ string, a, b answer) bool {
		return slices.Contains(valueErrors, a.err) && slices.Contains(valueErrors, b.err)
	}},
	{"MySQL does not count the rows of a joined UPDATE IGNORE that meet a key, MariaDB does", func(text, what string, a, b answer) bool {
		return what == "affected" && a.affected < b.affected && joined.MatchString(text)
	}},
	{"which rows an UPDATE IGNORE that moves keys passes over follows from the order of the rows, which is none without ORDER BY", func(text, what string, _, _ answer) bool {
		return (left(what) || what == "affected") && movedKeys.MatchString(text) && !strings.Contains(text[strings.LastIndex(text, "UPDATE"):], "ORDER BY")
	}},
	{"LEAST and GREATEST compare texts and numbers as texts in MySQL, as numbers in MariaDB", func(text, what string, _, _ answer) bool {
		return (left(what) || what == "rows") && mixedLeast.MatchString(text)
	}},
	{"conditions are true and false in a JSON column, numbers in MariaDB", func(text, what string, _, _ answer) bool {
		return left(what) && truthOfJSON.MatchString(text) && strings.Contains(text, " JSON")
	}},
	{"hex literals are numbers in a column of numbers, texts in MariaDB", func(text, what string, _, _ answer) bool {
		return left(what) && strings.Contains(text, "IGNORE") && hexLiteral.MatchString(text)
	}},
	{"a DELETE reads the tables that it deletes from as they were before", func(text, _ string, a, b answer) bool {
		return a.err == 0 && b.err == 1093 && deleteJoin.MatchString(text)
	}},
	{"MySQL 8 refuses a constant text that is no date beside a date, MariaDB takes it for the zero date", func(_, _ string, a, _ answer) bool {
		return a.err == 1525
	}},
	{"ADDTIME and SUBTIME read the beginning of a text, MariaDB refuses it in a strict write", func(text, _ string, a, b answer) bool {
		return a.err == 0 && b.err == 1292 && strings.HasPrefix(b.message, "Incorrect INTERVAL DAY TO SECOND value: ") && strings.Contains(text, "TIME(")
	}},
	{"numbers beyond TIME are errors in a strict write, MariaDB cuts them silently", func(text, _ string, a, b answer) bool {
		return a.err == 1292 && b.err == 0 && strings.HasPrefix(a.message, "Truncated incorrect time value: ") && strings.Contains(text, "AS TIME")
	}},
	{"a text that is no number or date is refused where it is stored, not where a strict write reads it on the way", func(_, _ string, a, b answer) bool {
		return a.err == 0 && b.err == 1292 && strings.HasPrefix(b.message, "Truncated incorrect ")
	}},
}
