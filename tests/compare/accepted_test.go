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
	case a.err == 1690 && strings.Contains(a.message, "DECIMAL"):
		return "decimals have 38 digits"
	}
	return ""
}
