package plan

import (
	"errors"

	"stele/sql/errno"
	sqltypes "stele/sql/types"
)

// Error is a statement that cannot be planned, with MySQL's number and SQLSTATE.
type Error = sqltypes.Error

// errorf makes an Error.
func errorf(code uint16, format string, args ...any) *Error {
	return sqltypes.Errorf(code, format, args...)
}

// refused reports whether a statement is one that Stele does not support.
func refused(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == errno.NotSupported
}

// refuse names a construct that is understood but not offered.
func refuse(what string) *Error {
	return sqltypes.NotSupported(what)
}
