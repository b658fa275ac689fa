// Package beclient is how an FE calls BEs and other FEs: one connection a node, kept for reuse, with the cluster id on every call and
// a deadline on every call but streams, which end with their context.
package beclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/proto/fepb"
	"stele/sql/errno"
)

// Address joins a host and a port.
func Address(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// Clients holds the connections to BEs and FEs by address. It is safe for concurrent use.
type Clients struct {
	cluster *rpc.Cluster
	tls     *tls.Config // nil = clear text
	met     func(address string, cluster types.ClusterID, method string)
	reads   func() // told before rows are read; nil = nobody

	mu    sync.Mutex
	conns map[string]*rpc.Conn
	// open is a copy of conns, which nobody changes: most calls find their connection there.
	open atomic.Pointer[map[string]*rpc.Conn]
}

// piped are the calls that statements consist of.
var piped = []string{bepb.Backend_Write_FullMethodName, bepb.Backend_Publish_FullMethodName, bepb.Backend_Abort_FullMethodName,
	bepb.Backend_Get_FullMethodName, bepb.Backend_Fetch_FullMethodName, bepb.Backend_Modify_FullMethodName, bepb.Backend_ModifyRows_FullMethodName,
	fepb.Frontend_Propose_FullMethodName, fepb.Frontend_ReadIndex_FullMethodName}

// New returns clients that carry the id of the cluster with every call.
func New(cluster *rpc.Cluster) *Clients { return NewSecure(cluster, nil) }

// NewSecure is New with mutual TLS; nil = clear text.
func NewSecure(cluster *rpc.Cluster, secure *tls.Config) *Clients {
	return &Clients{cluster: cluster, tls: secure, conns: map[string]*rpc.Conn{}}
}

// OnStranger has met be told of nodes of another cluster that answer where one of this cluster was called. Call it first.
func (c *Clients) OnStranger(met func(address string, cluster types.ClusterID, method string)) {
	c.met = met
}

// BeforeReads has f run before rows are read by Get, Fetch, Scan or Query. Call it first.
func (c *Clients) BeforeReads(f func()) { c.reads = f }

func (c *Clients) beforeRead() {
	if c.reads != nil {
		c.reads()
	}
}

// BE returns the client of the BE at address; the connection is made when it is first used.
func (c *Clients) BE(address string) (bepb.BackendClient, error) {
	conn, err := c.conn(address)
	if err != nil {
		return nil, err
	}
	return bepb.NewBackendClient(conn), nil
}

// Write has a BE lead a write. It is BackendClient's without what that makes anew for each call.
func (c *Clients) Write(ctx context.Context, address string, req *bepb.WriteRows) (*bepb.WriteResponse, error) {
	resp := &bepb.WriteResponse{}
	if err := c.invoke(ctx, address, bepb.Backend_Write_FullMethodName, req, resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// Modify has a BE lead the modification of a row; see Write.
func (c *Clients) Modify(ctx context.Context, address string, req *bepb.ModifyRequest) (*bepb.ModifyResponse, error) {
	resp := &bepb.ModifyResponse{}
	if err := c.invoke(ctx, address, bepb.Backend_Modify_FullMethodName, req, resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// ModifyRows has a BE find rows and lead their modification; see Write.
func (c *Clients) ModifyRows(ctx context.Context, address string, req *bepb.ModifyRowsWanted) (*bepb.ModifyRowsResponse, error) {
	resp := &bepb.ModifyRowsResponse{}
	if err := c.invoke(ctx, address, bepb.Backend_ModifyRows_FullMethodName, req, resp); err != nil {
		return nil, err
	}
	return resp, nil
}

func (c *Clients) invoke(ctx context.Context, address, method string, req, resp any) error {
	conn, err := c.conn(address)
	if err != nil {
		return err
	}
	return conn.Invoke(ctx, method, req, resp)
}

// Publish tells a BE committed versions; done must not block, and may run before Publish returns. Who may wait for a BE in this process says
// so: it does it at once.
func (c *Clients) Publish(address string, req *bepb.PublishRequest, timeout time.Duration, mayWait bool, done func(*bepb.PublishResponse, error)) {
	conn, err := c.conn(address)
	if err != nil {
		done(nil, err)
		return
	}
	start, resp := conn.Start, &bepb.PublishResponse{}
	if mayWait {
		start = conn.StartHere
	}
	start(bepb.Backend_Publish_FullMethodName, req, resp, timeout, func(err error) { done(resp, err) })
}

// conn returns the connection to a BE.
func (c *Clients) conn(address string) (*rpc.Conn, error) {
	if address == "" {
		return nil, rpc.Unavailable("the be is not known here")
	}
	if open := c.open.Load(); open != nil && (*open)[address] != nil {
		return (*open)[address], nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	conn, err := c.connLocked(address)
	if err != nil {
		return nil, fmt.Errorf("dial be %s: %w", address, err)
	}
	return conn, nil
}

// Drop closes the connection to an address that nobody is at any more. Calls under way get their answer, an error, within it: hold
// no lock that their callbacks may want.
func (c *Clients) Drop(address string) {
	c.mu.Lock()
	conn := c.conns[address]
	delete(c.conns, address)
	c.showLocked()
	c.mu.Unlock()
	if conn != nil {
		_ = conn.Close() // its error says only that it was closed before
	}
}

// showLocked has calls find the connections as they are now.
func (c *Clients) showLocked() {
	open := maps.Clone(c.conns)
	c.open.Store(&open)
}

// Reset makes the next call to address connect at once instead of waiting out a back-off; it is called when the BE
// is known to be back.
func (c *Clients) Reset(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn := c.conns[address]; conn != nil {
		conn.ResetConnectBackoff()
	}
}

// Close closes the connections.
func (c *Clients) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	c.conns = map[string]*rpc.Conn{}
	c.showLocked()
	return errors.Join(errs...)
}

// Unreachable reports whether an error says that the BE did not answer, as against answered no. A node of another cluster at its
// address, or a blank one, is not that BE.
func Unreachable(err error) bool {
	switch rpc.Reason(err) {
	case rpc.ReasonWrongCluster, rpc.ReasonNoCluster: // another node answers there, or one that has lost all that it knew
		return true
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return true
	}
	return false
}

// Behind reports whether a BE said that it does not have the version asked for, or no such replica, so that another
// replica should be asked.
func Behind(err error) bool {
	switch status.Code(err) {
	case codes.FailedPrecondition, codes.NotFound, codes.OutOfRange:
		return true
	}
	return false
}

// Unknown reports whether a BE does not know the call: it is of an older version.
func Unknown(err error) bool { return status.Code(err) == codes.Unimplemented }

// AtFault reports whether a BE said that what it was asked cannot be done by any: the request is wrong.
func AtFault(err error) bool { return status.Code(err) == codes.InvalidArgument }

// NoRoom reports whether a BE said that none of its disks takes what was to be stored.
func NoRoom(err error) bool { return status.Code(err) == codes.ResourceExhausted }

// Gone reports whether a BE said that it no longer keeps the version asked for.
func Gone(err error) bool { return status.Code(err) == codes.OutOfRange }

// Corrupt reports whether a BE said that its replica is damaged.
func Corrupt(err error) bool { return status.Code(err) == codes.DataLoss }

// LostRows reports whether a BE said that it does not have the rows that the asking transaction wrote to it.
func LostRows(err error) bool {
	var e *rpc.Error
	return errors.As(err, &e) && e.Code == errno.Deadlock
}

// Scan runs a fragment on a BE and hands every encoded batch to each.
func (c *Clients) Scan(ctx context.Context, address string, req *bepb.ScanRequest, each func([]byte) error) error {
	return batches(ctx, c, address, func(ctx context.Context, be bepb.BackendClient) (grpc.ServerStreamingClient[bepb.ScanResponse], error) {
		return be.Scan(ctx, req)
	}, func(m *bepb.ScanResponse) error { return each(m.Batch) })
}

// Query runs the upper part of a query on a query node and hands every encoded batch to each.
func (c *Clients) Query(ctx context.Context, address string, req *bepb.QueryRequest, each func([]byte) error) error {
	return batches(ctx, c, address, func(ctx context.Context, be bepb.BackendClient) (grpc.ServerStreamingClient[bepb.QueryResponse], error) {
		return be.Query(ctx, req)
	}, func(m *bepb.QueryResponse) error { return each(m.Batch) })
}

// batches reads what a BE streams, to its end.
func batches[M any](ctx context.Context, c *Clients, address string, open func(context.Context, bepb.BackendClient) (grpc.ServerStreamingClient[M], error),
	each func(*M) error) error {
	c.beforeRead()
	be, err := c.BE(address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := open(ctx, be)
	if err != nil {
		return err
	}
	return rpc.Drain(stream.Recv, each)
}

// Get reads rows that are named by their keys and hands every encoded batch to each. Done is false when the answer is too
// large for one message, or the BE older than the call: Scan is the way then.
func (c *Clients) Get(ctx context.Context, address string, req *bepb.GetRequest, each func([]byte) error) (done bool, err error) {
	c.beforeRead()
	be, err := c.BE(address)
	if err != nil {
		return false, err
	}
	resp, err := be.Get(ctx, req)
	return whole(resp, err, each)
}

// Fetch is Scan by one call, for few rows; done is that of Get.
func (c *Clients) Fetch(ctx context.Context, address string, req *bepb.ScanFragment, each func([]byte) error) (done bool, err error) {
	c.beforeRead()
	resp := &bepb.GetResponse{}
	err = c.invoke(ctx, address, bepb.Backend_Fetch_FullMethodName, req, resp)
	return whole(resp, err, each)
}

// whole hands the batches of an answer that may be no whole one to each.
func whole(resp *bepb.GetResponse, err error, each func([]byte) error) (done bool, _ error) {
	switch {
	case Unknown(err), err == nil && resp.Large:
		return false, nil
	case err != nil:
		return false, err
	}
	for _, b := range resp.Batches {
		if err := each(b); err != nil {
			return false, err
		}
	}
	return true, nil
}

// Silent reports whether a BE did not answer within the deadline of the call.
func Silent(err error) bool { return status.Code(err) == codes.DeadlineExceeded }

// Mute reports whether a process takes connections and says nothing on them until they are given up: it hangs.
func Mute(err error) bool {
	text := status.Convert(err).Message()
	return status.Code(err) == codes.Unavailable && strings.Contains(text, "reading server preface") &&
		(strings.Contains(text, "closed network connection") || strings.Contains(text, "timeout"))
}

// Canceled reports whether the caller did not wait for the answer any longer.
func Canceled(err error) bool { return status.Code(err) == codes.Canceled }

// Refused reports whether nobody listens at the address: the process is gone, not slow.
func Refused(err error) bool {
	return status.Code(err) == codes.Unavailable && strings.Contains(status.Convert(err).Message(), "connection refused")
}

// Silence says in words why a node has not answered a heartbeat.
func Silence(err error) string {
	switch {
	case Refused(err):
		return "nobody listens there (connection refused)"
	case Silent(err), Mute(err):
		return "no answer to a heartbeat in time"
	}
	return Reason(err)
}

// OtherBE returns which BE of this cluster has refused a heartbeat because it was meant for another one, 0 when it is none.
func OtherBE(err error) types.BEID {
	for _, d := range status.Convert(err).Details() {
		if who, ok := d.(*bepb.HeartbeatResponse); ok {
			return types.BEID(who.BeId)
		}
	}
	return 0
}

// Reason is what an error says, without the words of the protocol.
func Reason(err error) string { return status.Convert(err).Message() }
