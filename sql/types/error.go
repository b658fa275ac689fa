// Package types gives SQL values MySQL's meaning: decimal and calendar arithmetic, parsing and printing, conversion of
// one type to another, and the errors that go with them.
//
// It is pure: no clock, no I/O, no state. Values are in the physical form of meta/types (see Phys). '0000-00-00' is a
// value that sorts before every date (ZeroDate); other dates with a zero month or day are incorrect values.
package types

import (
	"errors"
	"fmt"

	"stele/sql/errno"
)

// Error is an error with MySQL's number and SQLSTATE; the protocol server sends it as it is.
type Error struct {
	Code  uint16
	State string
	Msg   string
}

// Error implements error.
func (e *Error) Error() string { return e.Msg }

// Errorf makes an Error of a number that package errno declares, with its SQLSTATE.
func Errorf(code uint16, format string, args ...any) *Error {
	return &Error{Code: code, State: errno.State(code), Msg: fmt.Sprintf(format, args...)}
}

// NotSupported is the error of what MySQL knows and Stele does not do.
func NotSupported(what string) *Error {
	return Errorf(errno.NotSupported, "This version of Stele doesn't yet support '%s'", what)
}

// AsError finds the Error in a chain.
func AsError(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

// WithColumn completes an error of Convert with the column and row that MySQL names in its text.
func WithColumn(err error, column string, row int) error {
	e, ok := AsError(err)
	if !ok {
		return fmt.Errorf("column '%s' at row %d: %w", column, row, err)
	}
	out := *e
	switch e.Code {
	case errno.BadNull:
		out.Msg = fmt.Sprintf("Column '%s' cannot be null", column)
	case errno.OutOfRange, errno.DataTooLong, errno.DataTruncated, errno.TruncatedWrongValue, errno.WrongValue:
		out.Msg = fmt.Sprintf("%s for column '%s' at row %d", e.Msg, column, row)
	}
	return &out
}

// ErrOutOfRange is error 1690: a computed value does not fit its type.
func ErrOutOfRange(typ, expr string) *Error {
	return Errorf(errno.ValueOutOfRange, "%s value is out of range in '%s'", typ, expr)
}

// ErrDivisionByZero is error 1365, of a statement that writes in strict mode.
func ErrDivisionByZero() *Error { return Errorf(errno.DivisionByZero, "Division by 0") }

// ErrNull is error 1048; WithColumn names the column.
func ErrNull() *Error { return Errorf(errno.BadNull, "Column cannot be null") }

func errColumnRange() *Error { return Errorf(errno.OutOfRange, "Out of range value") }

func errTooLong() *Error { return Errorf(errno.DataTooLong, "Data too long") }

func errTruncated() *Error { return Errorf(errno.DataTruncated, "Data truncated") }

// errIncorrect is error 1292 for temporal values, 1366 for numbers and strings.
func errIncorrect(code uint16, typ, value string) *Error {
	if len(value) > 128 {
		value = value[:128]
	}
	return Errorf(code, "Incorrect %s value: '%s'", typ, value)
}

// MySQL returns the error as a client sees it.
func (e *Error) MySQL() (code uint16, state, msg string) { return e.Code, e.State, e.Msg }
