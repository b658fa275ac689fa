package define

import sqltypes "stele/sql/types"

// errorf makes an error with MySQL's number and SQLSTATE.
func errorf(code uint16, format string, args ...any) *sqltypes.Error {
	return sqltypes.Errorf(code, format, args...)
}

// refuse names a construct that is understood but not offered.
func refuse(what string) *sqltypes.Error { return sqltypes.NotSupported(what) }
