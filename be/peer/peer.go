// Package peer is how a BE calls other BEs and the FEs: one connection an address, kept for reuse.
package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stele/be/clone"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/proto/fepb"
)

// Peers holds the connections of a BE. It is safe for concurrent use.
type Peers struct {
	cluster *rpc.Cluster
	tls     *tls.Config // nil = clear text
	outbox  *rpc.Outbox
	met     func(address string, cluster types.ClusterID, method string)

	mu    sync.Mutex
	conns map[string]*rpc.Conn
}

// New returns peers that carry the id of the cluster with every call.
func New(cluster *rpc.Cluster) *Peers { return NewSecure(cluster, nil, nil) }

// NewSecure is New with mutual TLS, nil = clear text, and with an outbox for what is sent, nil = none.
func NewSecure(cluster *rpc.Cluster, secure *tls.Config, outbox *rpc.Outbox) *Peers {
	return &Peers{cluster: cluster, tls: secure, outbox: outbox, conns: map[string]*rpc.Conn{}}
}

// OnStranger has met be told of nodes of another cluster that answer where one of this cluster was called. Call it first.
func (p *Peers) OnStranger(met func(address string, cluster types.ClusterID, method string)) {
	p.met = met
}

func (p *Peers) conn(address string) (*rpc.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.conns[address]; c != nil {
		return c, nil
	}
	c, err := rpc.DialPiped(address, rpc.DialConfig{Cluster: p.cluster, TLS: p.tls, Met: p.met, Outbox: p.outbox}, bepb.Backend_Replicate_FullMethodName)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	p.conns[address] = c
	return c, nil
}

// Close closes the connections.
func (p *Peers) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, c := range p.conns {
		errs = append(errs, c.Close())
	}
	p.conns = map[string]*rpc.Conn{}
	return errors.Join(errs...)
}

// Forward sends the rows of a write to another replica; done must not block, and may run before Forward returns.
func (p *Peers) Forward(address string, req *bepb.ReplicateRequest, timeout time.Duration, done func(*bepb.ReplicateResponse, error)) {
	c, err := p.conn(address)
	if err != nil {
		done(nil, err)
		return
	}
	resp := &bepb.ReplicateResponse{}
	c.Start(bepb.Backend_Replicate_FullMethodName, req, resp, timeout, func(err error) { done(resp, err) })
}

// Scan runs a fragment on another BE and hands every encoded batch to each.
func (p *Peers) Scan(ctx context.Context, address string, req *bepb.ScanRequest, each func([]byte) error) error {
	c, err := p.conn(address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := bepb.NewBackendClient(c).Scan(ctx, req)
	if err != nil {
		return err
	}
	return rpc.Drain(stream.Recv, func(m *bepb.ScanResponse) error { return each(m.Batch) })
}

// FetchChanges reads change sets from another BE.
func (p *Peers) FetchChanges(ctx context.Context, address string, req *bepb.FetchChangesRequest, each func(*bepb.FetchChangesResponse) error) error {
	c, err := p.conn(address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := bepb.NewBackendClient(c).FetchChanges(ctx, req)
	if err != nil {
		return sourceError(err)
	}
	return rpc.Drain(fromSource(stream.Recv), each)
}

// FetchSnapshot reads a whole replica from another BE.
func (p *Peers) FetchSnapshot(ctx context.Context, address string, req *bepb.FetchSnapshotRequest, each func(*bepb.FetchSnapshotResponse) error) error {
	c, err := p.conn(address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := bepb.NewBackendClient(c).FetchSnapshot(ctx, req, inSnapshots)
	if err != nil {
		return sourceError(err)
	}
	return rpc.Drain(fromSource(stream.Recv), each)
}

// fromSource maps the error with which a stream of a clone's source ends.
func fromSource[T any](recv func() (T, error)) func() (T, error) {
	return func() (T, error) {
		msg, err := recv()
		if err != nil {
			err = sourceError(err)
		}
		return msg, err
	}
}

// sourceError maps the statuses that a clone acts on.
func sourceError(err error) error {
	var reasoned *rpc.Error
	switch {
	case status.Code(err) == codes.OutOfRange:
		return fmt.Errorf("%w: %s", clone.ErrGone, status.Convert(err).Message())
	case errors.As(err, &reasoned) && reasoned.Reason == clone.ReasonNoSlot:
		return fmt.Errorf("%w: %s", clone.ErrBusy, reasoned.Msg)
	case status.Code(err) == codes.Unavailable:
		return fmt.Errorf("%w: %w", clone.ErrUnreachable, err)
	}
	return err
}

// Report sends a report to an FE.
func (p *Peers) Report(ctx context.Context, address string, req *fepb.ReportRequest) (*fepb.ReportResponse, error) {
	c, err := p.conn(address)
	if err != nil {
		return nil, err
	}
	return fepb.NewFrontendClient(c).Report(ctx, req)
}

// Resolve asks an FE for the outcome of pending transactions.
func (p *Peers) Resolve(ctx context.Context, address string, req *fepb.ResolveRequest) (*fepb.ResolveResponse, error) {
	c, err := p.conn(address)
	if err != nil {
		return nil, err
	}
	return fepb.NewFrontendClient(c).Resolve(ctx, req)
}
