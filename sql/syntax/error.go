package syntax

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"stele/sql/errno"
)

// The errors of this package, by MySQL's numbers.
const (
	stateSyntax = "42000"
	// nearBytesMax is how much of the text MySQL quotes behind "near".
	nearBytesMax = 80
)

// Error is a statement that cannot be read. It carries what a MySQL client shows (Code, State, Msg) and where.
type Error struct {
	Code  uint16
	State string
	Msg   string
	// Offset is the byte offset of the offending token in the text that was given; Line and Column count from 1, Column in
	// characters.
	Offset, Line, Column int
	// Expected lists what could have stood there, when the grammar knows.
	Expected []string
}

// Error returns the message.
func (e *Error) Error() string { return e.Msg }

// NewError makes MySQL's error 1064 for the token at offset, with what was expected there if the caller knows.
func NewError(src string, offset int, expected ...string) *Error {
	e := at(src, offset)
	e.Code, e.Expected = errno.Syntax, expected
	var b strings.Builder
	fmt.Fprintf(&b, "You have an error in your SQL syntax; check the manual that corresponds to your Stele version "+
		"for the right syntax to use near '%s' at line %d", near(src[e.Offset:]), e.Line)
	if len(expected) > 0 {
		b.WriteString("; expected ")
		b.WriteString(joinOr(expected))
	}
	e.Msg = b.String()
	return e
}

// NotSupported makes MySQL's error 1235 for a construct that is understood but refused, named by what.
func NotSupported(src string, offset int, what string) *Error {
	e := at(src, offset)
	e.Code = errno.NotSupported
	e.Msg = fmt.Sprintf("This version of Stele doesn't yet support '%s' (line %d)", what, e.Line)
	return e
}

// EmptyQuery is MySQL's error 1065, for a text without a statement.
func EmptyQuery() *Error {
	return &Error{Code: errno.EmptyQuery, State: stateSyntax, Msg: "Query was empty", Line: 1, Column: 1}
}

// At positions an error found elsewhere (a driver, the binder) in a text.
func At(src string, offset int, code uint16, state, msg string) *Error {
	e := at(src, offset)
	e.Code, e.State, e.Msg = code, state, msg
	return e
}

// In moves the error from a piece (see Split) to the whole text: offset, line and column then count in it. The message stays, since
// MySQL counts the lines of each statement of a text from 1.
func (e *Error) In(whole string, p Piece) *Error {
	moved := *e
	pos := at(whole, p.Offset+e.Offset)
	moved.Offset, moved.Line, moved.Column = pos.Offset, pos.Line, pos.Column
	return &moved
}

// at computes the position.
func at(src string, offset int) *Error {
	offset = min(max(offset, 0), len(src))
	head := src[:offset]
	line := strings.Count(head, "\n") + 1
	column := utf8.RuneCountInString(head[strings.LastIndexByte(head, '\n')+1:]) + 1
	return &Error{State: stateSyntax, Offset: offset, Line: line, Column: column}
}

// near cuts the excerpt, never inside a character.
func near(rest string) string {
	if len(rest) <= nearBytesMax {
		return rest
	}
	cut := nearBytesMax
	for cut > 0 && !utf8.RuneStart(rest[cut]) {
		cut--
	}
	return rest[:cut]
}

// joinOr writes "a, b or c".
func joinOr(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	last := len(list) - 1
	return strings.Join(list[:last], ", ") + " or " + list[last]
}

// MySQL returns the error as a client sees it.
func (e *Error) MySQL() (code uint16, state, msg string) { return e.Code, e.State, e.Msg }
