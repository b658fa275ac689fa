package account

import "strings"

// Redact returns a statement as it may be shown to others and logged: one that may tell a password ends before its first
// string. It is crude on purpose: what a string is depends on the sql_mode of its session, and too little shown does no harm.
// It is called when something is shown, never when a statement runs.
func Redact(sql string) string {
	quote := strings.IndexAny(sql, `'"`)
	if quote < 0 || !mentions(sql, "identified") && !mentions(sql, "password") {
		return sql
	}
	return sql[:quote] + "'***'"
}

// mentions looks for a word (in lower case) without case.
func mentions(sql, word string) bool {
	for i := 0; i+len(word) <= len(sql); i++ {
		if sql[i]|0x20 == word[0] && strings.EqualFold(sql[i:i+len(word)], word) {
			return true
		}
	}
	return false
}
