// Package errno declares the numbers of errors and warnings that a client may be told, each once: with its SQLSTATE, and when it is given.
// The texts stand where an error is made, since they name what is wrong there. ERRORS.md is generated from the declarations.
//
// A number and its SQLSTATE are MySQL's, https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html; numbers above 5000 are
// StarRocks'.
package errno

import (
	"cmp"
	"fmt"
	"slices"
)

// General is the SQLSTATE of an error that has no better one.
const General = "HY000"

// Entry is one number: its SQLSTATE, five characters, and when a client is told it, with the way out where the text of the error is not
// the place for it.
type Entry struct {
	Number  uint16
	State   string
	Meaning string
}

var entries = map[uint16]Entry{}

// declare adds a number. A number that is declared twice is a mistake in this package.
func declare(number uint16, state, meaning string) uint16 {
	if _, twice := entries[number]; twice || len(state) != len(General) || meaning == "" {
		panic(fmt.Sprintf("errno: number %d is declared twice, or without SQLSTATE or meaning", number))
	}
	entries[number] = Entry{number, state, meaning}
	return number
}

// State is the SQLSTATE of a number; one that is not declared has General.
func State(number uint16) string {
	if e, ok := entries[number]; ok {
		return e.State
	}
	return General
}

// All returns the declared numbers in ascending order.
func All() []Entry {
	out := make([]Entry, 0, len(entries))
	for _, e := range entries {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b Entry) int { return cmp.Compare(a.Number, b.Number) })
	return out
}
