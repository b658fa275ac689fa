package server

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"stele/sql/errno"
	sqltypes "stele/sql/types"
)

// errorTextMax bounds the text of an error packet (libmysqlclient keeps 512 bytes of it).
const errorTextMax = 4096

// Why a statement's context ended; the cause of its cancellation.
var (
	errKilled     error = &clientError{code: errno.QueryInterrupted, msg: "Query execution was interrupted"}
	errShutdown   error = &clientError{code: errno.ServerShutdown, msg: "Server shutdown in progress"}
	errClientGone       = errors.New("client closed the connection")
)

// clientError is an error of the protocol layer in MySQL's terms.
type clientError struct {
	code  uint16
	state string // "" = by code
	msg   string
}

func (e *clientError) Error() string { return fmt.Sprintf("error %d: %s", e.code, e.msg) }

// MySQL implements MySQLError.
func (e *clientError) MySQL() (code uint16, state, msg string) { return e.code, e.state, e.msg }

func clientErrorf(code uint16, format string, args ...any) error {
	return &clientError{code: code, msg: fmt.Sprintf(format, args...)}
}

// explain renders err for a client. ctx is the statement's: an error that is only the echo of its cancellation is
// told as the reason for the cancellation.
func explain(ctx context.Context, err error) (code uint16, state, msg string) {
	var me MySQLError
	cause := context.Cause(ctx)
	sqlErr, isSQL := sqltypes.AsError(err)
	switch {
	case errors.As(err, &me):
	case isSQL:
		me = &clientError{code: sqlErr.Code, state: sqlErr.State, msg: sqlErr.Msg}
	case errors.As(cause, &me):
	case errors.Is(err, context.DeadlineExceeded):
		me = &clientError{code: errno.QueryTimeout, msg: "Query execution was interrupted, maximum statement execution time exceeded"}
	case errors.Is(err, context.Canceled):
		me = &clientError{code: errno.QueryInterrupted, msg: "Query execution was interrupted"}
	default:
		me = &clientError{code: errno.UnknownError, msg: err.Error()}
	}
	code, state, msg = me.MySQL()
	if len(state) != 5 {
		state = errno.State(code)
	}
	return code, state, clip(msg)
}

// clip cuts msg to errorTextMax bytes at a character boundary.
func clip(msg string) string {
	if len(msg) <= errorTextMax {
		return msg
	}
	n := errorTextMax
	for n > 0 && !utf8.RuneStart(msg[n]) {
		n--
	}
	return msg[:n]
}
