package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"stele/meta/types"
)

// Reasons that this package itself gives.
const (
	ReasonWrongCluster = "wrong_cluster"
	ReasonNoCluster    = "no_cluster"
	ReasonPanic        = "panic"
	ReasonStopping     = "stopping"
)

// Error is an error that keeps its MySQL number, SQLSTATE and reason on its way between processes. A handler returns
// it (wrapped or not); the caller gets an *Error again.
type Error struct {
	Code   uint16 // MySQL error number, 0 = none
	State  string // SQLSTATE, "" = none
	Msg    string
	Reason string     // enumerated cause in snake_case, for callers that branch
	GRPC   codes.Code // OK = FailedPrecondition
	// Cluster is that of the node which refused a call of another cluster, "" = it did not say.
	Cluster types.ClusterID
}

// wireError is the detail of a status. Append keys, never renumber.
type wireError struct {
	Code   uint16 `cbor:"1,keyasint,omitempty"`
	State  string `cbor:"2,keyasint,omitempty"`
	Msg    string `cbor:"3,keyasint,omitempty"`
	Reason string `cbor:"4,keyasint,omitempty"`

	Cluster types.ClusterID `cbor:"5,keyasint,omitempty"`
}

func (e *Error) Error() string {
	if e.Code != 0 {
		return fmt.Sprintf("%s (%d)", e.Msg, e.Code)
	}
	return e.Msg
}

// MySQL returns the error as a client sees it.
func (e *Error) MySQL() (code uint16, state, msg string) {
	if e.Code == 0 {
		return 1105, "HY000", e.Msg
	}
	return e.Code, e.State, e.Msg
}

// GRPCStatus returns the status that carries the error.
func (e *Error) GRPCStatus() *status.Status {
	code := e.GRPC
	if code == codes.OK {
		code = codes.FailedPrecondition
	}
	st := status.New(code, e.Msg)
	detail, err := cbor.Marshal(wireError{Code: e.Code, State: e.State, Msg: e.Msg, Reason: e.Reason, Cluster: e.Cluster})
	if err != nil {
		return st
	}
	if with, err := st.WithDetails(wrapperspb.Bytes(detail)); err == nil {
		return with
	}
	return st
}

// Reason returns the reason of an *Error in err's chain, "" when there is none.
func Reason(err error) string {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// toStatus makes of a handler's error what gRPC sends: an *Error anywhere in the chain keeps its detail and takes the
// text of the whole chain.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		if text := err.Error(); !utf8.ValidString(text) {
			st := status.Convert(err)
			return status.Error(st.Code(), printable(st.Message()))
		}
		return err
	}
	whole := *e
	if whole.Msg = err.Error(); whole.Msg == e.Error() {
		whole.Msg = e.Msg // not wrapped: the number travels by itself
	}
	whole.Msg = printable(whole.Msg)
	return whole.GRPCStatus().Err()
}

// printable writes bytes that are no UTF-8 as MySQL does in its errors: a status holds no others, and a value that an error names may have any.
func printable(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var out strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&out, `\x%02X`, text[0])
		} else {
			out.WriteString(text[:n])
		}
		text = text[n:]
	}
	return out.String()
}

// fromStatus is the inverse of toStatus; an error without the detail keeps its status, and says what it says in plain words.
func fromStatus(err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	for _, d := range st.Details() {
		b, ok := d.(*wrapperspb.BytesValue)
		if !ok {
			continue
		}
		var w wireError
		if cbor.Unmarshal(b.GetValue(), &w) == nil {
			return &Error{Code: w.Code, State: w.State, Msg: w.Msg, Reason: w.Reason, GRPC: st.Code(), Cluster: w.Cluster}
		}
	}
	return &plainError{err, st}
}

// plainError is an error of a call without the words of the protocol: users read it.
type plainError struct {
	err error
	st  *status.Status
}

// Unavailable is the error of a call that no node could be asked for.
func Unavailable(text string) error { return fromStatus(status.Error(codes.Unavailable, text)) }

func (e *plainError) Error() string {
	switch text := e.st.Message(); {
	case text == context.DeadlineExceeded.Error():
		return "no answer in time"
	case text == "":
		return e.st.Code().String()
	default:
		return withoutTransport(text)
	}
}

func (e *plainError) Unwrap() error { return e.err }

// GRPCStatus returns the status of the error.
func (e *plainError) GRPCStatus() *status.Status { return e.st }

// withoutTransport takes away what the library puts around the reason why it could not connect.
func withoutTransport(text string) string {
	const desc = `desc = "`
	at := strings.Index(text, desc)
	if at < 0 || !strings.HasSuffix(text, `"`) {
		return text
	}
	return text[:at] + strings.TrimPrefix(text[at+len(desc):len(text)-1], "transport: ")
}
