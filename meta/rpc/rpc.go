// Package rpc is how nodes call one another: dialing, serving, the check of the cluster id, and SQL errors that cross
// the wire with their numbers.
//
// Every call carries the id of the caller's cluster. A callee that belongs to another cluster turns it away with
// PermissionDenied and goes on undisturbed; one that belongs to none yet lets the call through, and the handler
// decides whether it may join (ClusterOf).
package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"stele/meta/types"
)

// Metadata keys.
const (
	clusterKey = "stele-cluster"
	codeKey    = "stele-mysql-code"
	stateKey   = "stele-mysql-state"
)

// MaxMessage bounds one message: a statement of max_allowed_packet with its overhead fits.
const MaxMessage = 160 << 20

// Dial returns a connection that carries the cluster id with every call. It connects when it is first used.
func Dial(address string, cluster func() types.ClusterID) (*grpc.ClientConn, error) {
	withCluster := func(ctx context.Context) context.Context {
		return metadata.AppendToOutgoingContext(ctx, clusterKey, string(cluster()))
	}
	return grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		// A BE that comes back is reached within a second; a call to one that is gone fails at once.
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2,
			MaxDelay: time.Second}, MinConnectTimeout: 2 * time.Second}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			var trailer metadata.MD
			err := invoke(withCluster(ctx), method, req, reply, cc, append(opts, grpc.Trailer(&trailer))...)
			return fromTrailer(err, trailer)
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			s, err := streamer(withCluster(ctx), desc, cc, method, opts...)
			if err != nil {
				return nil, err
			}
			return &clientStream{s}, nil
		}))
}

// clientStream gives the error that ends a stream its number.
type clientStream struct{ grpc.ClientStream }

// RecvMsg receives a message.
func (s *clientStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err != nil {
		return fromTrailer(err, s.Trailer())
	}
	return nil
}

// NewServer returns a server that checks the cluster id of every call and survives panics of handlers. cluster is this
// node's, "" while it belongs to none.
func NewServer(cluster func() types.ClusterID, log *slog.Logger) *grpc.Server {
	return grpc.NewServer(
		grpc.MaxRecvMsgSize(MaxMessage), grpc.MaxSendMsgSize(MaxMessage),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
			if err := check(ctx, cluster(), info.FullMethod, log); err != nil {
				return nil, err
			}
			defer func() { err = contain(recover(), err, info.FullMethod, log) }()
			resp, err = handle(ctx, req)
			return resp, withTrailer(err, func(md metadata.MD) { grpc.SetTrailer(ctx, md) })
		}),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
			if err := check(ss.Context(), cluster(), info.FullMethod, log); err != nil {
				return err
			}
			defer func() { err = contain(recover(), err, info.FullMethod, log) }()
			return withTrailer(handle(srv, ss), ss.SetTrailer)
		}))
}

// check turns away callers of another cluster.
func check(ctx context.Context, own types.ClusterID, method string, log *slog.Logger) error {
	theirs := ClusterOf(ctx)
	if own == "" || theirs == own {
		return nil
	}
	log.Warn("turned away a call of another cluster", "method", method, "their_cluster", theirs, "cluster", own)
	return status.Errorf(codes.PermissionDenied, "this node belongs to cluster %q, the call came from cluster %q", own, theirs)
}

// contain turns a panic into an error: a bug in one call must not end the process.
func contain(p any, err error, method string, log *slog.Logger) error {
	if p == nil {
		return err
	}
	log.Error("panic in a call", "method", method, "panic", p, "stack", string(debug.Stack()))
	return status.Errorf(codes.Internal, "panic in %s: %v", method, p)
}

// ClusterOf returns the cluster id of the caller, "" when it named none.
func ClusterOf(ctx context.Context) types.ClusterID {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get(clusterKey); len(v) > 0 {
		return types.ClusterID(v[0])
	}
	return ""
}

// Error is an SQL error that came from another node.
type Error struct {
	Code  uint16
	State string
	Msg   string
}

func (e *Error) Error() string { return e.Msg }

// MySQL returns the error as a client sees it.
func (e *Error) MySQL() (code uint16, state, msg string) { return e.Code, e.State, e.Msg }

// numbered is an error that knows its MySQL number.
type numbered interface {
	MySQL() (code uint16, state, msg string)
}

// withTrailer sends the number of an SQL error along with its text.
func withTrailer(err error, set func(metadata.MD)) error {
	var n numbered
	if err == nil || !errors.As(err, &n) {
		return err
	}
	code, state, msg := n.MySQL()
	set(metadata.Pairs(codeKey, strconv.Itoa(int(code)), stateKey, state))
	return status.Error(codes.InvalidArgument, msg)
}

// fromTrailer is the other end of withTrailer.
func fromTrailer(err error, trailer metadata.MD) error {
	v := trailer.Get(codeKey)
	if err == nil || len(v) == 0 {
		return err
	}
	code, perr := strconv.ParseUint(v[0], 10, 16)
	if perr != nil {
		return fmt.Errorf("error with a malformed number %q: %w", v[0], err)
	}
	e := &Error{Code: uint16(code), Msg: status.Convert(err).Message()}
	if s := trailer.Get(stateKey); len(s) > 0 {
		e.State = s[0]
	}
	return e
}
