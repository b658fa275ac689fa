package rpc

import (
	"context"
	"errors"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// notBegunError is the error of a call of which the callee has nothing, or not all: there was no connection, or it broke before all was sent.
type notBegunError struct{ err error }

func (e *notBegunError) Error() string { return e.err.Error() }
func (e *notBegunError) Unwrap() error { return e.err }

// GRPCStatus returns the status of the error.
func (e *notBegunError) GRPCStatus() *status.Status { return status.Convert(e.err) }

// notBegun marks the error of a call that did not reach the callee.
func notBegun(err error) error {
	if err == nil {
		return nil
	}
	return &notBegunError{err}
}

// NotBegun reports whether a call has certainly done nothing: the callee does not have it, or has turned it away before it looked at it. Whoever
// made it may make it again, whatever it was to do. Of other calls without an answer nobody knows.
func NotBegun(err error) bool {
	if errors.As(err, new(*notBegunError)) {
		return true
	}
	switch Reason(err) {
	case ReasonWrongCluster, ReasonNoCluster, ReasonStopping:
		return true
	}
	return false
}

// errStopping refuses a call to a server that stops.
var errStopping = (&Error{Msg: "the server is stopping", Reason: ReasonStopping, GRPC: codes.Unavailable}).GRPCStatus().Err()

// sentKey is where the context of a call by gRPC has whether any of it was given to a transport.
type sentKey struct{}

// watchSent returns the context of a call that notes whether any of it was sent.
func watchSent(ctx context.Context) (context.Context, *atomic.Bool) {
	sent := &atomic.Bool{}
	return context.WithValue(ctx, sentKey{}, sent), sent
}

// ofCall is the error of a call that has noted whether any of it was sent.
func ofCall(err error, sent *atomic.Bool) error {
	if sent.Load() {
		return err
	}
	return notBegun(err)
}

// sentNotes is told by gRPC what becomes of calls.
type sentNotes struct{}

// TagRPC implements stats.Handler.
func (sentNotes) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (sentNotes) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, ok := s.(*stats.OutHeader); !ok {
		return
	}
	if sent, ok := ctx.Value(sentKey{}).(*atomic.Bool); ok {
		sent.Store(true)
	}
}

// TagConn implements stats.Handler.
func (sentNotes) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (sentNotes) HandleConn(context.Context, stats.ConnStats) {}
