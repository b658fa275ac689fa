package vars

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"stele/sql/define"
	"stele/sql/errno"
	sqltypes "stele/sql/types"
)

// What values variables take, and in which form they are kept.

// checkTimestamp takes seconds since 1970 with a fraction, as far as TIMESTAMP goes.
func checkTimestamp(s string) (string, error) {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return "", errorf(errno.WrongVariableType, "Incorrect argument type to variable 'timestamp'")
	}
	if !(x >= 0 && x < 1<<31) {
		return "", errorf(errno.WrongVariableValue, "Variable 'timestamp' can't be set to the value of '%s'", s)
	}
	if x == 0 {
		return noTimestamp, nil
	}
	return strconv.FormatFloat(x, 'f', -1, 64), nil
}

func checkTimeZone(s string) (string, error) {
	if strings.EqualFold(s, "SYSTEM") {
		return "SYSTEM", nil
	}
	if _, err := sqltypes.LoadLocation(s, time.UTC); err != nil {
		return "", errorf(errno.UnknownTimeZone, "Unknown or incorrect time zone: '%s'", s)
	}
	return s, nil
}

func checkCharset(s string) (string, error) {
	switch l := strings.ToLower(s); l {
	case "utf8mb4", "utf8", "utf8mb3", "ascii", "binary", "latin1", "null", "":
		// Every text is UTF-8; latin1 is accepted from old clients that send ASCII.
		if l == "utf8" {
			l = "utf8mb3" // as MySQL 8 spells it
		}
		return l, nil
	}
	return "", fmt.Errorf("the only character set is utf8mb4")
}

func checkCollation(s string) (string, error) {
	l := strings.ToLower(s)
	if strings.HasPrefix(l, "utf8") || strings.HasPrefix(l, "latin1") || strings.HasPrefix(l, "ascii") || l == "binary" {
		return l, nil
	}
	return "", fmt.Errorf("unknown collation")
}

// anyText accepts a value that has no effect.
func anyText(s string) (string, error) { return s, nil }

func checkSelectLimit(s string) (string, error) {
	if _, err := strconv.ParseUint(s, 10, 64); err != nil {
		return "", errorf(errno.WrongVariableType, "Incorrect argument type to variable 'sql_select_limit'")
	}
	return s, nil
}

func checkUnsigned(s string) (string, error) {
	_, err := strconv.ParseUint(s, 10, 64)
	return s, err
}

// What foreign_key_definitions says of foreign keys that a statement declares: that they are kept and enforced, that they are left out, or
// that it is refused, but with foreign_key_checks = OFF goes on without them. Tools turn foreign_key_checks on and off by themselves, so
// whoever runs Stele says it in a variable that they do not know.
const (
	enforceForeignKeys = "ENFORCE"
	refuseForeignKeys  = "REFUSE"
	leaveForeignKeys   = "LEAVE_OUT"
)

func checkForeignKeyDefinitions(s string) (string, error) {
	switch u := strings.ToUpper(s); u {
	case enforceForeignKeys, refuseForeignKeys, leaveForeignKeys:
		return u, nil
	}
	return "", fmt.Errorf("none of %s, %s and %s", enforceForeignKeys, refuseForeignKeys, leaveForeignKeys)
}

// ForeignKeys says what becomes of the foreign keys that a statement declares.
func (v *Values) ForeignKeys() define.ForeignKeys {
	definitions := v.Text("foreign_key_definitions")
	out := define.ForeignKeys{Unchecked: !v.Bool("foreign_key_checks")}
	switch {
	case definitions == enforceForeignKeys:
	case definitions == leaveForeignKeys:
		out.LeftOut = "foreign_key_definitions is " + leaveForeignKeys
	case out.Unchecked:
		out.LeftOut = "foreign_key_checks is OFF"
	default:
		out.Refused = true
	}
	return out
}

// RepeatableRead is the isolation level in which a transaction sees one state.
const RepeatableRead = "REPEATABLE-READ"

// Isolation brings the name of an isolation level into the form of transaction_isolation.
func Isolation(text string) (string, error) {
	return variables["transaction_isolation"].Normalise(text)
}

func checkIsolation(s string) (string, error) {
	switch u := strings.ToUpper(strings.ReplaceAll(s, " ", "-")); u {
	case RepeatableRead, "READ-COMMITTED", "READ-UNCOMMITTED": // of the last two each gives what the first of them promises
		return u, nil
	}
	return "", fmt.Errorf("this is snapshot isolation: REPEATABLE-READ at most")
}

// sqlModes are the modes that Stele knows.
var sqlModes = []string{"ALLOW_INVALID_DATES", "ANSI_QUOTES", "ERROR_FOR_DIVISION_BY_ZERO", "HIGH_NOT_PRECEDENCE", "IGNORE_SPACE", "NO_AUTO_CREATE_USER",
	"NO_AUTO_VALUE_ON_ZERO", "NO_BACKSLASH_ESCAPES", "NO_ENGINE_SUBSTITUTION", "NO_ZERO_DATE", "NO_ZERO_IN_DATE", "ONLY_FULL_GROUP_BY",
	"PIPES_AS_CONCAT", "STRICT_ALL_TABLES", "STRICT_TRANS_TABLES"}

// forgottenModes are of servers before MySQL 8: the mysqldump of MariaDB asks for them with --skip-opt. What they leave out of SHOW CREATE TABLE
// stays in it, which those who read it take as well; they are not in the value afterwards.
var forgottenModes = []string{"NO_FIELD_OPTIONS", "NO_KEY_OPTIONS", "NO_TABLE_OPTIONS"}

func checkSQLMode(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	var out []string
	for _, m := range strings.Split(strings.ToUpper(s), ",") {
		m = strings.TrimSpace(m)
		switch {
		case m == "", slices.Contains(forgottenModes, m):
		case m == "TRADITIONAL":
			out = append(out, strings.Split(defaultSQLMode, ",")...)
		case slices.Contains(sqlModes, m):
			out = append(out, m)
		default:
			return "", fmt.Errorf("unknown mode %s", m)
		}
	}
	return strings.Join(out, ","), nil
}
