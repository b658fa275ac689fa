package web

import (
	"context"
	"net"
	"net/netip"
	"sync"
)

// pipes is a listener whose connections begin in the same process, on behalf of somebody else: their address is his.
type pipes struct {
	dialed chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{dialed: make(chan net.Conn), closed: make(chan struct{})} }

// Listener is where connections of requests arrive.
func (h *Handler) Listener() net.Listener { return h.within }

// Accept returns the next connection.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialed:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr names the listener.
func (p *pipes) Addr() net.Addr { return within{} }

type within struct{}

func (within) Network() string { return "within" }
func (within) String() string  { return "within the process" }

// borrowed is an end of a pipe at which somebody else seems to be.
type borrowed struct {
	net.Conn
	from net.Addr
}

// RemoteAddr is the address of whoever the connection is for.
func (b borrowed) RemoteAddr() net.Addr { return b.from }

// dialer makes connections for whoever is at an address.
func (p *pipes) dialer(from netip.AddrPort) func(ctx context.Context, network, address string) (net.Conn, error) {
	addr := net.TCPAddrFromAddrPort(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		mine, its := net.Pipe()
		select {
		case p.dialed <- borrowed{its, addr}:
			return mine, nil
		case <-p.closed:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
