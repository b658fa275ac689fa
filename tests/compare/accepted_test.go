//go:build clients

package compare

import (
	"strings"
)

// accepted is why two answers may differ, "" = they may not.
func accepted(text, what string, a, b answer) string {
	switch {
	case a.err == 1235:
		return "refused by name"
	case a.err >= 3140 && a.err <= 3160 && b.err == 0:
		return "MySQL refuses invalid JSON, MariaDB takes it for NULL"
	case b.err == 1267 || b.err == 1270 || b.err == 1271:
		return "JSON has a collation of its own in MariaDB, utf8mb4_bin"
	case strings.Contains(text, "USING utf8mb4") || strings.Contains(text, "JSON_VALUE"):
		return "MariaDB takes text that is not UTF-8, and documents, for NULL"
	case strings.Contains(text, "REGEXP_SUBSTR"):
		return "where nothing matches MySQL has NULL, MariaDB an empty text"
	case strings.Contains(text, "JSON_") && what == "rows":
		return "JSON in MySQL is a type with an order of its own, in MariaDB it is text"
	case a.err == 1690 && strings.Contains(a.message, "DECIMAL"):
		return "decimals have 38 digits"
	}
	return ""
}
