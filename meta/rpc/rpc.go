// Package rpc is how processes of a cluster talk gRPC: one way to dial and one to serve, so that every call carries
// the cluster id and is checked for it, has a deadline, a bounded size, and errors that keep their MySQL number.
//
// It knows no service. A panic in a handler is logged and answered with Internal; the process lives on.
package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"stele/meta/types"
)

// ClusterKey is the metadata key of the cluster id.
const ClusterKey = "stele-cluster"

// Bounds of every connection.
const (
	MaxMessage         = 64 << 20
	MaxRows            = MaxMessage - 1<<20 // how long rows in a message may be: the rest is for what goes with them
	DefaultTimeout     = 30 * time.Second   // of a unary call whose caller gave no deadline
	keepaliveTime      = 10 * time.Second   // the least that gRPC lets a client ask for
	keepaliveTimeout   = 3 * time.Second
	maxStreamsPerPeer  = 4096
	connectTimeout     = 3 * time.Second
	windowPerStream    = 4 << 20
	windowPerTransport = 16 << 20
	// ioBuffer is what a server gives to the kernel, and a client takes from it, at once: 8 frames. Idle transports have none.
	ioBuffer = 128 << 10
)

// Cluster holds the id of the cluster that this process belongs to; a fresh node has none until it adopts one. It is
// safe for concurrent use.
type Cluster struct {
	id atomic.Pointer[types.ClusterID]
}

// NewCluster returns a holder of id; "" = none yet.
func NewCluster(id types.ClusterID) *Cluster {
	c := &Cluster{}
	c.id.Store(&id)
	return c
}

// ID returns the id, "" = none yet.
func (c *Cluster) ID() types.ClusterID { return *c.id.Load() }

// Adopt gives a fresh node its cluster, for good. Persist the id first. Adopting the same id again is no error.
func (c *Cluster) Adopt(id types.ClusterID) error {
	for {
		old := c.id.Load()
		if *old == id && id != "" {
			return nil
		}
		if *old != "" || id == "" {
			return &Error{Msg: fmt.Sprintf("this node belongs to cluster %q and cannot adopt %q", *old, id),
				Reason: ReasonWrongCluster, GRPC: codes.PermissionDenied}
		}
		if c.id.CompareAndSwap(old, &id) {
			return nil
		}
	}
}

// ServerConfig says how to serve.
type ServerConfig struct {
	Cluster *Cluster
	// AllowFresh names the methods (full names, "/service/Method") that may be called before both sides share a
	// cluster: by a caller that has no cluster yet, or on a node that has none. PeerCluster tells the handler which id
	// the caller carried. A caller with another id than this node's is turned away all the same. Nil allows none.
	AllowFresh func(method string) bool
	// Refused, if set, is told of a caller of another cluster, or of none (""), that was turned away.
	Refused func(address string, cluster types.ClusterID, method string)
	TLS     *tls.Config  // nil = clear text
	Log     *slog.Logger // nil = slog.Default
	Outbox  *Outbox      // of pipes; nil = one of the server's own
}

// NewServer returns a gRPC server with the checks of this package. extra comes last.
func NewServer(cfg ServerConfig, extra ...grpc.ServerOption) *grpc.Server {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	opts := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(MaxMessage), grpc.MaxSendMsgSize(MaxMessage), grpc.MaxConcurrentStreams(maxStreamsPerPeer),
		grpc.InitialWindowSize(windowPerStream), grpc.InitialConnWindowSize(windowPerTransport),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveTime / 2, PermitWithoutStream: true}),
		grpc.ChainUnaryInterceptor(cfg.unary), grpc.ChainStreamInterceptor(cfg.stream),
		grpc.WaitForHandlers(true), // what they use is closed after Stop
		experimental.BufferPool(Buffers), grpc.WriteBufferSize(ioBuffer),
	}
	if cfg.TLS != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(cfg.TLS)))
	}
	return grpc.NewServer(append(opts, extra...)...)
}

func (c *ServerConfig) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	if err := c.admit(ctx, info.FullMethod); err != nil {
		return nil, toStatus(err)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultTimeout)
		defer cancel()
	}
	defer c.rescue(info.FullMethod, &err)
	resp, err = next(ctx, req)
	return resp, toStatus(err)
}

func (c *ServerConfig) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	if err := c.admit(ss.Context(), info.FullMethod); err != nil {
		return toStatus(err)
	}
	defer c.rescue(info.FullMethod, &err)
	return toStatus(next(srv, ss))
}

// rescue turns a panic of a handler into an answer.
func (c *ServerConfig) rescue(method string, err *error) {
	if p := recover(); p != nil {
		c.Log.Error("panic in rpc handler", "method", method, "panic", p, "stack", string(debug.Stack()))
		*err = (&Error{Msg: fmt.Sprintf("%s: internal error: %v", method, p), Reason: ReasonPanic, GRPC: codes.Internal}).GRPCStatus().Err()
	}
}

// admit checks the cluster id that a call carries.
func (c *ServerConfig) admit(ctx context.Context, method string) error {
	mine, theirs := c.Cluster.ID(), PeerCluster(ctx)
	if mine == theirs && mine != "" {
		return nil
	}
	if mine != "" && theirs != "" {
		if c.Refused != nil {
			c.Refused(callerAddress(ctx), theirs, method)
		}
		return &Error{Msg: fmt.Sprintf("%s: the caller belongs to cluster %q, this node to %q", method, theirs, mine),
			Reason: ReasonWrongCluster, GRPC: codes.PermissionDenied, Cluster: mine}
	}
	if c.AllowFresh != nil && c.AllowFresh(method) {
		return nil
	}
	who := "this node does"
	if theirs == "" {
		who = "the caller does"
		if mine != "" && c.Refused != nil {
			c.Refused(callerAddress(ctx), "", method)
		}
	}
	return &Error{Msg: fmt.Sprintf("%s: %s not belong to a cluster yet", method, who), Reason: ReasonNoCluster, GRPC: codes.PermissionDenied}
}

// callerAddress returns where a call comes from, without the port, which says nothing.
func callerAddress(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return "unknown"
	}
	return HostOf(p.Addr)
}

// HostOf returns the host of an address.
func HostOf(a net.Addr) string {
	if host, _, err := net.SplitHostPort(a.String()); err == nil {
		return host
	}
	return a.String()
}

// PeerCluster returns the cluster id that the caller carried, "" = none.
func PeerCluster(ctx context.Context) types.ClusterID {
	if v := metadata.ValueFromIncomingContext(ctx, ClusterKey); len(v) == 1 {
		return types.ClusterID(v[0])
	}
	return ""
}

// DialConfig says how to call.
type DialConfig struct {
	Cluster *Cluster
	Timeout time.Duration // of unary calls without a deadline; 0 = DefaultTimeout
	// Met, if set, is told of a callee of another cluster, which has refused a call.
	Met func(address string, cluster types.ClusterID, method string)
	TLS *tls.Config // nil = clear text
	// Outbox, if set, gathers what is sent by Start.
	Outbox *Outbox
}

// Dial returns a connection to addr ("host:port"); it connects when first used and again when it breaks. Calls on it
// fail at once while the peer cannot be reached.
func Dial(addr string, cfg DialConfig, extra ...grpc.DialOption) (*grpc.ClientConn, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	creds := insecure.NewCredentials()
	if cfg.TLS != nil {
		creds = credentials.NewTLS(cfg.TLS)
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		grpc.WithInitialWindowSize(windowPerStream), grpc.WithInitialConnWindowSize(windowPerTransport),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: connectTimeout}),
		grpc.WithChainUnaryInterceptor(cfg.unary), grpc.WithChainStreamInterceptor(cfg.stream),
		grpc.WithDisableServiceConfig(), grpc.WithContextDialer(connect), grpc.WithStatsHandler(sentNotes{}),
		experimental.WithBufferPool(Buffers), grpc.WithReadBufferSize(ioBuffer),
	}
	// passthrough: addresses are ours, a resolver or proxy setting of the machine has no say.
	conn, err := grpc.NewClient("passthrough:///"+addr, append(opts, extra...)...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	return conn, nil
}

func (c *DialConfig) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	ctx, sent := watchSent(c.carry(ctx))
	err := fromStatus(invoke(ctx, method, req, reply, cc, opts...))
	c.tell(cc.Target(), method, err)
	return ofCall(err, sent)
}

// tell has Met told if a callee has refused a call because it is of another cluster.
func (c *DialConfig) tell(target, method string, err error) {
	if e := (*Error)(nil); c.Met != nil && errors.As(err, &e) && e.Reason == ReasonWrongCluster {
		c.Met(strings.TrimPrefix(target, "passthrough:///"), e.Cluster, method)
	}
}

func (c *DialConfig) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, start grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, sent := watchSent(c.carry(ctx))
	s, err := start(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, ofCall(fromStatus(err), sent)
	}
	return clientStream{s, c, cc.Target(), method}, nil
}

func (c *DialConfig) carry(ctx context.Context) context.Context {
	if id := c.Cluster.ID(); id != "" {
		return metadata.AppendToOutgoingContext(ctx, ClusterKey, string(id))
	}
	return ctx
}

// clientStream gives errors of a stream their detail back. io.EOF passes as it is.
type clientStream struct {
	grpc.ClientStream
	cfg            *DialConfig
	target, method string
}

func (s clientStream) RecvMsg(m any) error {
	err := fromStatus(s.ClientStream.RecvMsg(m))
	s.cfg.tell(s.target, s.method, err)
	return err
}

func (s clientStream) SendMsg(m any) error { return fromStatus(s.ClientStream.SendMsg(m)) }
