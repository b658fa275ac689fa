//go:build clients

package compare

import (
	"slices"
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
var valueErrors = []uint16{1048, 1062, 1264, 1265, 1292, 1364, 1365, 1366, 1406, 1690, 3140, 4025}

var acceptedDifferences = []struct {
	reason string
	holds  func(text, what string, a, b answer) bool
}{
	{"refused by name", func(_, _ string, a, _ answer) bool { return a.err == 1235 }},
	{"MySQL refuses invalid JSON, MariaDB takes it for NULL", func(_, _ string, a, b answer) bool { return a.err >= 3140 && a.err <= 3160 && b.err == 0 }},
	{"JSON has a collation of its own in MariaDB, utf8mb4_bin", func(_, _ string, _, b answer) bool { return b.err == 1267 || b.err == 1270 || b.err == 1271 }},
	{"MariaDB takes text that is not UTF-8 for NULL", func(text, _ string, _, _ answer) bool { return strings.Contains(text, "USING utf8mb4") }},
	{"MariaDB takes documents for NULL", func(text, _ string, _, _ answer) bool { return strings.Contains(text, "JSON_VALUE") }},
	{"where nothing matches MySQL has NULL, MariaDB an empty text", func(text, _ string, _, _ answer) bool { return strings.Contains(text, "REGEXP_SUBSTR") }},
	{"JSON in MySQL is a type with an order of its own, in MariaDB it is text", func(text, what string, _, _ answer) bool {
		return strings.Contains(text, "JSON_") && what == "rows"
	}},
	{"decimals have 38 digits", func(_, _ string, a, _ answer) bool { return a.err == 1690 && strings.Contains(a.message, "DECIMAL") }},
	{"both refuse a value, which of several is another", func(_, _ string, a, b answer) bool {
		return slices.Contains(valueErrors, a.err) && slices.Contains(valueErrors, b.err)
	}},
	{"a text that is no number or date is refused where it is stored, not where a strict write reads it on the way", func(_, _ string, a, b answer) bool {
		return a.err == 0 && b.err == 1292 && strings.HasPrefix(b.message, "Truncated incorrect ")
	}},
}
